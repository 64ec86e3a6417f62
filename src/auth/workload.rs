//! The hash work of a refusal in this database, as far as it is known by now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use django_auth::password::{Hasher, Work, Workload};

use super::{Auth, AuthError};

/// One workload for all logins of the process.
pub(super) struct SharedWorkload(Mutex<Arc<Workload>>);

impl SharedWorkload {
    pub(super) fn new(preferred: &Hasher) -> Self {
        Self(Mutex::new(Arc::new(Workload::new(preferred))))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Workload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workload, with that hash's work in it from now on.
    pub(super) fn with(&self, encoded: Option<&str>) -> Arc<Workload> {
        let work = encoded.and_then(Work::of);
        let mut workload = self.lock();
        if let Some(work) = work.filter(|work| !workload.covers(*work)) {
            Arc::make_mut(&mut workload).include(work);
        }
        Arc::clone(&workload)
    }
}

impl Auth {
    /// Reads through all users for what their hashes are made of, slowly: a
    /// neighbour may have written some, and those that are gone need not be
    /// worked for any more.
    pub async fn learn_workload(&self) -> Result<(), AuthError> {
        let mut learnt = Workload::new(&self.0.hasher);
        let mut left_out = 0_usize;
        self.visit_hashes(|encoded| {
            let is_left_out = Work::of(encoded).is_some_and(|work| !learnt.include(work));
            left_out += usize::from(is_left_out);
        })
        .await?;
        if left_out > 0 {
            tracing::warn!(
                users = left_out,
                "some users' hashes take so much work that a refusal does not make up for it: an attacker can tell by time that they exist"
            );
        }
        *self.0.workload.lock() = Arc::new(learnt);
        Ok(())
    }
}
