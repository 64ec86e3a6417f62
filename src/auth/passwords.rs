//! Passwords: checked and hashed on threads of their own, with the same work for every
//! refusal.

mod hashing;
mod places;
pub mod pool;
mod queue;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::hashing::{Hashing, Stored};
use self::pool::{HashPool, Ticket};
use secrecy::{ExposeSecret, SecretString};

use super::client::Client;
use super::config::Config;
use super::credentials::Credentials;
use super::error::AuthError;
use crate::db::Database;
use crate::models::UserTable;
use crate::models::user::User;
use django_auth::password::{self, Hasher, MakeError, Work, Workload};

/// Users that one read looks at, and how long others go first after it.
const PAGE: i64 = 2000;
const PAUSE: Duration = Duration::from_millis(2);

/// The hashing threads, and what new hashes are made of.
#[derive(Clone)]
pub struct Passwords {
    database: Database,
    table: UserTable,
    pool: HashPool,
    hasher: Hasher,
    upgrades_hashes: bool,
    /// The hash work of a refusal in this database, as far as it is known.
    workload: Arc<Mutex<Arc<Workload>>>,
}

impl Passwords {
    pub(super) fn new(
        config: &Config,
        database: Database,
        table: UserTable,
    ) -> std::io::Result<Self> {
        let workload = Arc::new(Workload::new(&config.hasher));
        Ok(Self {
            database,
            table,
            pool: HashPool::new(config.hash_limits)?,
            hasher: config.hasher,
            upgrades_hashes: config.upgrades_hashes,
            workload: Arc::new(Mutex::new(workload)),
        })
    }

    /// The hashing threads; their counter tells how much work a request was.
    pub fn pool(&self) -> &HashPool {
        &self.pool
    }

    /// A new hash of a new password, for a command.
    pub async fn hash(&self, password: String) -> Result<String, AuthError> {
        self.hash_for(&Client::command_line(), &password.into())
            .await
    }

    async fn hash_for(
        &self,
        client: &Client,
        password: &SecretString,
    ) -> Result<String, AuthError> {
        let (hasher, password) = (self.hasher, password.clone());
        self.pool
            .run(&client.network(), move || {
                hasher.make(password.expose_secret(), &mut rand::rng())
            })
            .await?
            .map_err(|_: MakeError| AuthError::InvalidCredentials)
    }

    /// A place for one check of this client.
    pub(super) fn reserve(&self, client: &Client) -> Result<Ticket, AuthError> {
        Ok(self.pool.reserve(&client.network())?)
    }

    /// Whether the credentials are that user's and the user is active, after the same
    /// work in every case; `started` is set when the check begins.
    pub(super) async fn check(
        &self,
        ticket: Ticket,
        user: Option<&User>,
        credentials: &Credentials,
        started: Option<Arc<AtomicBool>>,
    ) -> Result<bool, AuthError> {
        let may_pass = user.is_some_and(|user| user.is_active);
        let encoded = user.map(|user| user.password.clone());
        let workload = self.workload_with(encoded.as_deref());
        let password = credentials.password().cloned();
        let checked = ticket.run(move || {
            if let Some(started) = started {
                started.store(true, Ordering::Release);
            }
            let text = password.as_ref().map_or("", |text| text.expose_secret());
            let encoded = encoded.as_deref().filter(|_| password.is_some());
            password::check(encoded, text, may_pass, &workload)
        });
        Ok(checked.await?)
    }

    /// The preferred hasher's hash of a password that was right, where the stored one
    /// is outdated.
    pub(super) async fn upgraded_hash(
        &self,
        encoded: &str,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<Option<String>, AuthError> {
        let is_outdated = self.upgrades_hashes
            && self.hasher.must_update(encoded)
            && !self.hasher.would_weaken(encoded);
        match credentials.password().filter(|_| is_outdated) {
            Some(password) => self.hash_for(client, password).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the hashes of all users for how much work they take, slowly: another
    /// process may have written some, and those that are gone cost every refusal.
    pub async fn learn_workload(&self) -> Result<(), AuthError> {
        let mut learnt = Workload::new(&self.hasher);
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
        *self.lock() = Arc::new(learnt);
        Ok(())
    }

    /// Shows every user's password column, page by page beside the requests.
    pub(super) async fn visit_hashes(&self, mut visit: impl FnMut(&str)) -> Result<(), AuthError> {
        let mut last = None;
        loop {
            let table = self.table.clone();
            let page = self
                .database
                .read_aside(move |c| table.find_passwords_after(c, last.as_ref(), PAGE))
                .await?;
            let Some((id, _)) = page.last() else {
                return Ok(());
            };
            last = Some(id.clone());
            page.iter().for_each(|(_, encoded)| visit(encoded));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The workload, which includes that hash's work from now on.
    fn workload_with(&self, encoded: Option<&str>) -> Arc<Workload> {
        let work = encoded.and_then(Work::of);
        let mut workload = self.lock();
        if let Some(work) = work.filter(|work| !workload.covers(*work)) {
            Arc::make_mut(&mut workload).include(work);
        }
        Arc::clone(&workload)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Workload>> {
        self.workload.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
