//! How many jobs there may be for the hashing threads, and how many of one client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places: one for each thread, and one for each job that may wait.
///
/// One client may hold half of them, rounded up, or as many as there are threads if
/// that is more. The last eighth is for clients that hold none: two that take all they
/// may do not lock out a third.
pub(super) struct Places {
    free: Arc<Semaphore>,
    of_each_client: usize,
    for_newcomers: usize,
    /// What the clients that hold a place may still take.
    clients: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Free again when it is dropped.
pub(super) struct Place {
    _of_client: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        let all = threads.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(all)),
            of_each_client: all.div_ceil(2).max(threads.min(all)),
            for_newcomers: all / 8,
            clients: Mutex::default(),
        }
    }

    /// A place, if one is free and the client holds few enough.
    pub(super) fn take(&self, client: &str) -> Option<Place> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, own| Arc::strong_count(own) > 1);
        let own = clients
            .entry(client.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.of_each_client)));
        let is_newcomer = Arc::strong_count(own) == 1;
        if !is_newcomer && self.free.available_permits() <= self.for_newcomers {
            return None;
        }
        Some(Place {
            _of_client: Arc::clone(own).try_acquire_owned().ok()?,
            _of_all: Arc::clone(&self.free).try_acquire_owned().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_may_use_all_threads_and_leaves_a_place_to_others() {
        for (threads, queue, of_one) in [(1, 0, 1), (1, 1, 1), (3, 1, 3), (2, 5, 4)] {
            let places = Places::new(threads, queue);
            let mut taken: Vec<Place> = std::iter::from_fn(|| places.take("a")).collect();
            assert_eq!(taken.len(), of_one, "{threads} and {queue}");
            taken.extend(std::iter::from_fn(|| places.take("b")));
            taken.extend(std::iter::from_fn(|| places.take("c")));
            assert_eq!(taken.len(), threads + queue);
        }
    }

    #[test]
    fn two_clients_leave_places_to_those_that_hold_none() {
        let places = Places::new(2, 64);
        let all_of =
            |client: &str| -> Vec<Place> { std::iter::from_fn(|| places.take(client)).collect() };
        let (a, b) = (all_of("a"), all_of("b"));
        assert_eq!((a.len(), b.len()), (33, 25));
        let others: Vec<Vec<Place>> = (0..9).map(|n| all_of(&n.to_string())).collect();
        let taken: Vec<usize> = others.iter().map(Vec::len).collect();
        assert_eq!(taken, [1, 1, 1, 1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn a_client_without_a_place_is_forgotten() {
        let places = Places::new(1, 1);
        for client in ["a", "b", "c"] {
            drop(places.take(client));
        }
        assert_eq!(places.clients.lock().unwrap().len(), 1);
    }
}
