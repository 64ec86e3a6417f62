//! The queue before the hashing threads: clients take turns.

use std::collections::VecDeque;

/// Jobs that wait, in a line for each client. Within a line the first to come is the
/// first to go.
pub(super) struct FairQueue<J> {
    /// None is empty; the first is the next to give a job.
    lines: VecDeque<Line<J>>,
}

struct Line<J> {
    client: String,
    jobs: VecDeque<J>,
}

impl<J> Default for FairQueue<J> {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
        }
    }
}

impl<J> FairQueue<J> {
    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(|line| line.jobs.len()).sum()
    }

    /// Puts a job at the end of its client's line.
    pub(super) fn push(&mut self, client: &str, job: J) {
        match self.lines.iter_mut().find(|line| line.client == client) {
            Some(line) => line.jobs.push_back(job),
            None => self.lines.push_back(Line {
                client: client.to_owned(),
                jobs: VecDeque::from([job]),
            }),
        }
    }

    /// The next job; its client then goes behind the others.
    pub(super) fn pop(&mut self) -> Option<J> {
        let mut line = self.lines.pop_front()?;
        let job = line.jobs.pop_front();
        if !line.jobs.is_empty() {
            self.lines.push_back(line);
        }
        job
    }

    /// Drops the jobs that nobody waits for any more.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&J) -> bool) {
        for line in &mut self.lines {
            line.jobs.retain(&is_wanted);
        }
        self.lines.retain(|line| !line.jobs.is_empty());
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
    fn what_nobody_waits_for_leaves_the_queue() {
        let mut queue = queue(&[("a", 1), ("b", 2), ("b", 3)]);

        queue.retain(|job| *job == 3);

        assert_eq!(queue.len(), 1);
        assert_eq!(drained(queue), [3]);
    }

    proptest! {
        /// However many one client sends, another's first job comes after one of each
        /// client at most.
        #[test]
        fn a_newcomer_waits_for_one_turn_of_each(
            jobs in prop::collection::vec(0..5_u32, 0..60),
        ) {
            let mut queue = FairQueue::default();
            for client in &jobs {
                queue.push(&client.to_string(), *client);
            }
            queue.push("new", 9);
            let clients: std::collections::HashSet<_> = jobs.iter().collect();
            prop_assert_eq!(queue.len(), jobs.len() + 1);
            let served = drained(queue);

            prop_assert_eq!(served.len(), jobs.len() + 1);
            let at = served.iter().position(|job| *job == 9);
            prop_assert_eq!(at, Some(clients.len()));
        }
    }
}
