//! Sessions from before a password hash was upgraded.
//!
//! Each holds a keyed hash of the password column, and Django finds no session by its
//! user. So the login that upgrades the column stores which session hash replaces which,
//! and a session with the old one is signed anew when it is used. Another password voids
//! that: the new hash is then no longer the user's.

use std::sync::Arc;

use chrono::TimeDelta;
use diesel::prelude::QueryResult;
use sha2::{Digest, Sha256};

use super::Sessions;
use super::claim::set_hash;
use crate::auth::error::AuthError;
use crate::auth::keyring::SessionKey;
use crate::db::Connection;
use crate::models::upgraded_hash::{self, UpgradedHash};
use crate::models::user::User;
use crate::models::{self, Timestamp, UserId};

/// Longer than any session lives.
const KEPT: TimeDelta = TimeDelta::days(400);

impl Sessions {
    /// Stores that the user's column has become `upgraded`.
    pub(in crate::auth) fn carry_over(
        &self,
        conn: &mut Connection<'_>,
        user: &User,
        upgraded: &str,
    ) -> QueryResult<()> {
        let now = self.clock.now();
        let forget_at = now.checked_add_signed(KEPT).unwrap_or(now);
        let hash = UpgradedHash {
            user: &user.id.to_string(),
            old: &self.digests(&user.password),
            new: &self.digests(upgraded),
        };
        upgraded_hash::store(conn, &hash, Timestamp::new(forget_at))
    }

    /// Whether a session with that hash is from before an upgrade of the user's column.
    pub(super) fn is_carried_over(
        &self,
        conn: &mut Connection<'_>,
        user: &UserId,
        encoded: &str,
        presented: &str,
    ) -> QueryResult<bool> {
        let hash = UpgradedHash {
            user: &user.to_string(),
            old: &[digest(presented)],
            new: &self.digests(encoded),
        };
        upgraded_hash::exists(conn, &hash)
    }

    /// Of the session hashes under every secret key, the current one first.
    fn digests(&self, encoded: &str) -> Vec<String> {
        let hashes = self.hash.under_all_keys(encoded);
        hashes.iter().map(|hash| digest(hash)).collect()
    }

    /// Signs such a session anew, if it is one.
    pub(super) async fn sign_again(
        &self,
        key: &SessionKey,
        user: &User,
        presented: &str,
    ) -> Result<bool, AuthError> {
        let (sessions, owner, presented) = (self.clone(), user.clone(), presented.to_owned());
        let is_carried_over = self
            .database
            .read(move |c| sessions.is_carried_over(c, &owner.id, &owner.password, &presented));
        if !is_carried_over.await? {
            return Ok(false);
        }
        let (sessions, hash) = (self.clone(), self.hash.of(&user.password));
        let (keys, now) = ([self.keyring.session_row_keys(key)], self.clock.now());
        let signed = self.database.write(move |c| {
            let row = models::session::find(c, &keys)?.pop().flatten();
            let Some(row) = row else { return Ok(()) };
            if let Ok(data) = sessions.codec.decode(&row.data) {
                let mut data = Arc::unwrap_or_clone(data);
                set_hash(&mut data, &hash);
                let text = sessions.codec.encode(&data, now.timestamp());
                models::session::replace_data(c, &row.key, &row.data, &text)?;
            }
            Ok(())
        });
        signed.await?;
        Ok(true)
    }
}

fn digest(hash: &str) -> String {
    format!("{:x}", Sha256::digest(hash.as_bytes()))
}
