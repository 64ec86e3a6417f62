//! The line in front of the counters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::lock;
use crate::auth::passwords::pool::Busy;
use crate::models::attempt::Place;

/// Lets as many attempts of one account and client at the counters as there is
/// room for at most, the others in the order in which they came. Without it, a
/// burst would ask the database all the time.
#[derive(Clone)]
pub(super) struct Gate {
    room: usize,
    lines: Arc<Mutex<Lines>>,
}

type Lines = HashMap<(String, String), Arc<Semaphore>>;

/// A turn at the gate, until it is dropped.
pub(super) struct Turn {
    gate: Gate,
    key: (String, String),
    permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// Lets `room` in at a time.
    pub(super) fn new(room: u64) -> Self {
        Self {
            room: usize::try_from(room).unwrap_or(1),
            lines: Arc::default(),
        }
    }

    /// A turn, if there is nobody to wait for.
    pub(super) fn try_enter(&self, place: &Place) -> Option<Turn> {
        let (mut turn, line) = self.queue(place);
        turn.permit = Some(line.try_acquire_owned().ok()?);
        Some(turn)
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// [`Busy`] if it did not come by the deadline.
    pub(super) async fn enter(&self, place: &Place, deadline: Instant) -> Result<Turn, Busy> {
        let (mut turn, line) = self.queue(place);
        let entered = timeout_at(deadline, line.acquire_owned()).await;
        turn.permit = Some(entered.map_err(|_| Busy)?.map_err(|_| Busy)?);
        Ok(turn)
    }

    /// The line of that place, and a turn that is still to come there.
    fn queue(&self, place: &Place) -> (Turn, Arc<Semaphore>) {
        let key = (place.account.clone(), place.client.clone());
        let line = {
            let mut lines = lock(&self.lines);
            let line = lines
                .entry(key.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(self.room)));
            Arc::clone(line)
        };
        // From here on, whoever gives up cleans up.
        let turn = Turn {
            gate: self.clone(),
            key,
            permit: None,
        };
        (turn, line)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = lock(&self.gate.lines);
        drop(self.permit.take());
        let is_last = |line: &Arc<Semaphore>| Arc::strong_count(line) == 1;
        if lines.get(&self.key).is_some_and(is_last) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn place(account: &str) -> Place {
        Place {
            account: account.to_owned(),
            client: "client".to_owned(),
            network: "network".to_owned(),
        }
    }

    #[test]
    fn a_line_is_gone_with_the_last_one_in_it() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let gate = Gate::new(1);
            let soon = || Instant::now() + Duration::from_millis(1);
            let inside = gate.enter(&place("a"), soon()).await;

            // Another line is another matter; in this one it is too long.
            assert!(gate.enter(&place("b"), soon()).await.is_ok());
            assert!(gate.enter(&place("a"), soon()).await.is_err());
            assert_eq!(lock(&gate.lines).len(), 1);

            drop(inside);
            assert_eq!(lock(&gate.lines).len(), 0);
            assert!(gate.enter(&place("a"), soon()).await.is_ok());
        });
    }
}
