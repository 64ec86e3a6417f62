//! Jobs that share a core by turns.
//!
//! A job is a future that rests in one place only: where it has a [`Chain`] to
//! derive, which it leaves in its [`Lane`]. Whoever runs it advances the chains of
//! all jobs that rest, so that two take less time than one after the other.

use std::cell::{RefCell, RefMut};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::future::LocalBoxFuture;

use super::pbkdf2_sha256::{Chain, Key};

/// Jobs that take turns. A third gains nothing.
const LANES: usize = 2;
/// Iterations of a turn, about a millisecond: for so long nobody looks whether
/// another job has come.
const TURN: u32 = 8192;

/// Where a job leaves what takes long; each job has its own.
#[derive(Clone, Default)]
pub struct Lane(Rc<RefCell<Option<Chain>>>);

impl Lane {
    /// Rests until the chain is at its end.
    pub(super) async fn derive(&self, chain: Chain) -> Key {
        self.0.replace(Some(chain));
        poll_fn(|_| match self.chain().and_then(|chain| chain.key()) {
            Some(key) => Poll::Ready(key),
            None => Poll::Pending,
        })
        .await
    }

    fn chain(&self) -> Option<RefMut<'_, Chain>> {
        RefMut::filter_map(self.0.borrow_mut(), Option::as_mut).ok()
    }

    /// Whether its job has nothing to do until the chain is at its end.
    fn is_resting(&self) -> bool {
        self.chain().is_some_and(|chain| chain.key().is_none())
    }
}

/// Runs a job that shares the core with no other.
pub(super) fn alone<T>(job: impl AsyncFnOnce(&Lane) -> T) -> T {
    let lane = Lane::default();
    let mut job = pin!(job(&lane));
    loop {
        if let Poll::Ready(result) = poll(job.as_mut()) {
            return result;
        }
        if let Some(mut chain) = lane.chain() {
            Chain::advance([&mut chain], u32::MAX);
        }
    }
}

/// The jobs of one thread, each of which comes to a `T`.
pub(super) struct Lanes<T> {
    /// The oldest first.
    running: Vec<Running<T>>,
    /// A younger job than the oldest has come and gone.
    is_overtaken: bool,
}

struct Running<T> {
    lane: Lane,
    job: LocalBoxFuture<'static, T>,
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self {
            running: Vec::with_capacity(LANES),
            is_overtaken: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Not so for a job that would be the second to overtake the oldest one: those that
    /// do not rest would never let it go on.
    pub(super) fn has_room(&self) -> bool {
        self.running.len() < LANES && !self.is_overtaken
    }

    /// Takes a job, which is first run by the next turn.
    pub(super) fn start(&mut self, job: impl FnOnce(Lane) -> LocalBoxFuture<'static, T>) {
        let lane = Lane::default();
        let job = job(lane.clone());
        self.running.push(Running { lane, job });
    }

    /// Runs the jobs for a moment, or until one comes to its result: it has left
    /// then.
    pub(super) fn take_turns(&mut self) -> Option<T> {
        for at in 0..self.running.len() {
            if let Some(running) = self.running.get_mut(at)
                && !running.lane.is_resting()
                && let Poll::Ready(result) = poll(running.job.as_mut())
            {
                self.running.remove(at);
                self.is_overtaken = at > 0;
                return Some(result);
            }
        }
        let mut chains = self
            .running
            .iter()
            .filter_map(|running| running.lane.chain());
        match (chains.next(), chains.next()) {
            (Some(mut one), Some(mut other)) => Chain::advance([&mut one, &mut other], TURN),
            (Some(mut one), None) => Chain::advance([&mut one], TURN),
            (None, _) => {}
        }
        None
    }
}

/// Nobody is woken: a job that rests is polled again when its chain is at its end.
fn poll<T>(job: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    job.poll(&mut Context::from_waker(Waker::noop()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    /// A job that derives as many keys as there are costs.
    async fn job(lane: Lane, name: usize, costs: Vec<u32>) -> (usize, Vec<Key>) {
        let mut keys = Vec::new();
        for cost in costs {
            keys.push(lane.derive(chain(name, cost)).await);
        }
        (name, keys)
    }

    fn chain(name: usize, cost: u32) -> Chain {
        Chain::new(name.to_string().as_bytes(), b"salt", cost)
    }

    fn key_of(name: usize, cost: u32) -> Key {
        alone(async |lane| lane.derive(chain(name, cost)).await)
    }

    proptest! {
        #[test]
        fn each_job_comes_to_what_it_does_alone(
            jobs in proptest::collection::vec(proptest::collection::vec(1_u32..20_000, 0..3), 1..6),
        ) {
            let mut lanes = Lanes::new();
            let mut waiting = jobs.iter().cloned().enumerate();
            let mut results = Vec::new();
            loop {
                while lanes.has_room() && let Some((name, costs)) = waiting.next() {
                    lanes.start(|lane| job(lane, name, costs).boxed_local());
                }
                if lanes.is_empty() {
                    break;
                }
                results.extend(lanes.take_turns());
            }
            results.sort_unstable();
            let alone = jobs.iter().enumerate().map(|(name, costs)| {
                (name, costs.iter().map(|cost| key_of(name, *cost)).collect())
            });
            prop_assert_eq!(results, alone.collect::<Vec<(usize, Vec<Key>)>>());
        }
    }

    #[test]
    fn two_jobs_go_on_together() {
        let mut lanes = Lanes::new();
        lanes.start(|lane| job(lane, 0, vec![3 * TURN]).boxed_local());
        lanes.start(|lane| job(lane, 1, vec![TURN]).boxed_local());
        assert!(!lanes.has_room());

        let mut turns = 1;
        let first = loop {
            match lanes.take_turns() {
                Some((name, _)) => break name,
                None => turns += 1,
            }
        };

        assert_eq!(
            (first, turns),
            (1, 2),
            "the shorter one, though it came later"
        );
        assert!(!lanes.has_room(), "one has overtaken the oldest");

        while lanes.take_turns().is_none() {}
        assert!(lanes.has_room() && lanes.is_empty());
    }
}
