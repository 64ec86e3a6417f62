//! The queue in front of the counters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::auth::passwords::pool::Busy;
use crate::models::attempt::Slot;

/// Lets a few attempts of one account and client at the counters at a time, in the
/// order in which they came. Without it, a burst would ask the database all the time.
#[derive(Clone)]
pub(super) struct Gate {
    limit: usize,
    queues: Arc<Mutex<Queues>>,
}

type Queues = HashMap<(String, String), Arc<Semaphore>>;

/// A turn at the gate, until it is dropped.
pub(super) struct Turn {
    gate: Gate,
    key: (String, String),
    permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// Lets `limit` attempts in at a time.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(1),
            queues: Arc::default(),
        }
    }

    /// A turn, if nobody is before it.
    pub(super) fn try_enter(&self, slot: &Slot) -> Option<Turn> {
        let (mut turn, queue) = self.queue(slot);
        turn.permit = Some(queue.try_acquire_owned().ok()?);
        Some(turn)
    }

    /// Waits for a turn; [`Busy`] if it did not come by the deadline.
    pub(super) async fn enter(&self, slot: &Slot, deadline: Instant) -> Result<Turn, Busy> {
        let (mut turn, queue) = self.queue(slot);
        let entered = timeout_at(deadline, queue.acquire_owned()).await;
        turn.permit = Some(entered.map_err(|_| Busy)?.map_err(|_| Busy)?);
        Ok(turn)
    }

    /// The queue of that slot, and a turn that waits there.
    fn queue(&self, slot: &Slot) -> (Turn, Arc<Semaphore>) {
        let key = (slot.account.clone(), slot.client.clone());
        let queue = lock(&self.queues)
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.limit)))
            .clone();
        // From here on, whoever gives up cleans up.
        let turn = Turn {
            gate: self.clone(),
            key,
            permit: None,
        };
        (turn, queue)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = lock(&self.gate.queues);
        drop(self.permit.take());
        let is_last = |queue: &Arc<Semaphore>| Arc::strong_count(queue) == 1;
        if queues.get(&self.key).is_some_and(is_last) {
            queues.remove(&self.key);
        }
    }
}

/// The map is whole whenever the lock is free.
fn lock(queues: &Mutex<Queues>) -> MutexGuard<'_, Queues> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn slot(account: &str) -> Slot {
        Slot {
            account: account.to_owned(),
            client: "client".to_owned(),
            network: "network".to_owned(),
        }
    }

    #[test]
    fn a_queue_is_gone_with_its_last_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let gate = Gate::new(1);
            let soon = || Instant::now() + Duration::from_millis(1);
            let inside = gate.enter(&slot("a"), soon()).await;

            // Another queue is free; this one is not.
            assert!(gate.enter(&slot("b"), soon()).await.is_ok());
            assert!(gate.enter(&slot("a"), soon()).await.is_err());
            assert_eq!(lock(&gate.queues).len(), 1);

            drop(inside);
            assert_eq!(lock(&gate.queues).len(), 0);
            assert!(gate.enter(&slot("a"), soon()).await.is_ok());
        });
    }
}
