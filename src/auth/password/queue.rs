//! The line before the hashing threads: bounded, and fair between clients.

use std::collections::VecDeque;

/// Jobs that wait, in a line for each client. The clients take turns, and
/// within a line the first to come is the first to go.
#[derive(Debug)]
pub(super) struct FairQueue<J> {
    /// Never holds an empty line; whose turn it is stands first.
    lines: VecDeque<Line<J>>,
    len: usize,
}

#[derive(Debug)]
struct Line<J> {
    client: String,
    jobs: VecDeque<J>,
}

impl<J> Default for FairQueue<J> {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
            len: 0,
        }
    }
}

impl<J> FairQueue<J> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Each client, and how many of its jobs wait.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lines
            .iter()
            .map(|line| (line.client.as_str(), line.jobs.len()))
    }

    /// Puts a job at the end of its client's line.
    pub(super) fn push(&mut self, client: &str, job: J) {
        self.len += 1;
        let line = self.lines.iter_mut().find(|line| line.client == client);
        if let Some(line) = line {
            line.jobs.push_back(job);
        } else {
            self.lines.push_back(Line {
                client: client.to_owned(),
                jobs: VecDeque::from([job]),
            });
        }
    }

    /// The next job; its client then goes behind the others.
    pub(super) fn pop(&mut self) -> Option<J> {
        let mut line = self.lines.pop_front()?;
        let job = line.jobs.pop_front();
        self.len -= 1;
        if !line.jobs.is_empty() {
            self.lines.push_back(line);
        }
        job
    }

    /// Gives up the last job of the longest line, to make room for a client
    /// who would still have fewer there than that one; `None`, and nothing
    /// given up, if nobody has so many.
    pub(super) fn make_room(&mut self, client: &str) -> Option<J> {
        let own = self.lines.iter().find(|line| line.client == client);
        let own = own.map_or(0, |line| line.jobs.len());
        let longest = self.lines.iter_mut().max_by_key(|line| line.jobs.len())?;
        if longest.jobs.len() <= own + 1 {
            return None;
        }
        self.len -= 1;
        longest.jobs.pop_back()
    }

    /// Keeps only the jobs that somebody still waits for.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&J) -> bool) {
        for line in &mut self.lines {
            line.jobs.retain(&is_wanted);
        }
        self.lines.retain(|line| !line.jobs.is_empty());
        self.len = self.lines.iter().map(|line| line.jobs.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(jobs: &[(&str, u32)]) -> FairQueue<u32> {
        let mut queue = FairQueue::default();
        for (client, job) in jobs {
            queue.push(client, *job);
        }
        queue
    }

    fn drained(mut queue: FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn clients_take_turns() {
        let queue = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)]);

        assert_eq!(drained(queue), [1, 4, 5, 2, 6, 3]);
    }

    #[test]
    fn one_client_is_served_in_order() {
        assert_eq!(drained(queue(&[("a", 1), ("a", 2), ("a", 3)])), [1, 2, 3]);
    }

    #[test]
    fn who_has_most_makes_room_with_the_last() {
        let mut queue = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 4)]);

        assert_eq!(queue.make_room("c"), Some(3));
        assert_eq!(queue.make_room("b"), None, "two each would be no fewer");
        assert_eq!(queue.make_room("c"), Some(2));
        assert_eq!(queue.make_room("c"), None, "nobody has more than one");
        assert_eq!(queue.make_room("a"), None);
        assert_eq!(queue.len(), 2);
        assert_eq!(drained(queue), [1, 4]);
    }

    #[test]
    fn what_nobody_waits_for_leaves_the_line() {
        let mut queue = queue(&[("a", 1), ("b", 2), ("b", 3)]);

        queue.retain(|job| *job == 3);

        assert_eq!(queue.len(), 1);
        assert_eq!(drained(queue), [3]);
    }

    proptest! {
        /// However many one client sends, another's first job is next but one.
        #[test]
        fn nobody_waits_for_more_than_a_turn_of_each(
            jobs in prop::collection::vec(0..5_u32, 0..60),
        ) {
            let mut queue = FairQueue::default();
            for client in &jobs {
                queue.push(&client.to_string(), *client);
            }
            queue.push("new", 9);
            let clients: std::collections::HashSet<_> = jobs.iter().collect();
            let served = drained(queue);

            prop_assert_eq!(served.len(), jobs.len() + 1);
            let place = served.iter().position(|job| *job == 9);
            prop_assert_eq!(place, Some(clients.len()));
        }

        /// Room is only made by who keeps at least as much as the newcomer gets.
        #[test]
        fn room_is_made_towards_equal_shares(
            jobs in prop::collection::vec((0..4_u32, 0..4_u32), 1..80),
        ) {
            let mut queue = FairQueue::default();
            let count = |queue: &FairQueue<u32>, client: u32| {
                let lines = queue.lines.iter().flat_map(|line| &line.jobs);
                lines.filter(|job| **job == client).count()
            };
            for (client, newcomer) in jobs {
                queue.push(&client.to_string(), client);
                if let Some(loser) = queue.make_room(&newcomer.to_string()) {
                    prop_assert!(count(&queue, loser) > count(&queue, newcomer));
                }
                let total: usize = queue.lines.iter().map(|line| line.jobs.len()).sum();
                prop_assert_eq!(total, queue.len());
            }
        }
    }
}
