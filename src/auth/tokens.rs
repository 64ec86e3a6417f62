//! API tokens: DRF's one token a user.

use std::sync::Arc;

use diesel::prelude::QueryResult;

use super::audit::{Audit, Event, Kind};
use super::client::Client;
use super::clock::Clock;
use super::error::AuthError;
use super::keyring::{Keyring, Token};
use crate::db::{Connection, Database, LookUps};
use crate::models::token::Owner;
use crate::models::user::User;
use crate::models::{self, KeyKind, RowKeys, TimeZone, UserId, UserTable};

/// Logins that try again when others take the token from under them.
const TRIES: usize = 3;

/// A token that its row gave again.
pub(super) struct Recovered {
    pub(super) token: Token,
    /// Whether an old secret key encrypted it.
    is_of_old_key: bool,
}

/// The token of each user.
#[derive(Clone)]
pub struct Tokens {
    database: Database,
    audit: Audit,
    keyring: Keyring,
    clock: Clock,
    zone: TimeZone,
    owners: LookUps<RowKeys, Owner>,
    /// Of the user table.
    key: KeyKind,
}

impl Tokens {
    pub(super) fn new(
        database: Database,
        table: &UserTable,
        audit: Audit,
        keyring: Keyring,
        clock: Clock,
    ) -> Self {
        let (key, table) = (table.key(), table.clone());
        Self {
            key,
            zone: table.zone().clone(),
            owners: database.look_ups(move |c, keys| models::token::find_owners(c, &table, keys)),
            database,
            audit,
            keyring,
            clock,
        }
    }

    /// The owner of a token. Whether the owner is active is for the caller to ask,
    /// since DRF answers that with other words.
    pub async fn find_user(&self, token: &Token) -> Result<Option<Arc<User>>, AuthError> {
        let keys = self.row_keys(token);
        let Some(owner) = self.owners.get(keys).await? else {
            return Ok(None);
        };
        // Stored the other way, as by Django: good, and moved now that it is used.
        if let Some(other) = owner.other_key {
            let (tokens, token) = (self.clone(), token.clone());
            self.database
                .write(move |c| tokens.store_again(c, &other, &token))
                .await?;
        }
        Ok(Some(owner.user))
    }

    /// A user's id as it was read beside a token, in its own kind.
    pub(super) fn own(&self, user: UserId) -> UserId {
        self.key.own(user)
    }

    /// The primary keys under which that token's row may stand.
    pub(super) fn row_keys(&self, token: &Token) -> RowKeys {
        self.keyring.token_row_keys(token)
    }

    /// The token of a user who is logged in, if it can be shown again.
    pub async fn find(&self, user: &UserId) -> Result<Option<Token>, AuthError> {
        let (tokens, user) = (self.clone(), user.clone());
        let found = self
            .database
            .read(move |c| match models::token::find_key(c, &user)? {
                Some(key) => tokens.recover(c, &user, &key),
                None => Ok(None),
            });
        Ok(found.await?.map(|found| found.token))
    }

    /// Deletes the user's token and makes a new one (`drf_create_token --reset`).
    pub async fn reset(&self, user: &User) -> Result<Token, AuthError> {
        let (tokens, user) = (self.clone(), user.clone());
        self.audit
            .write(&Client::command_line(), move |c, events| {
                models::token::delete_by_user(c, &user.id)?;
                events.push(Event::of(Kind::TokenReset, &user, ""));
                tokens.get_or_insert(c, &user.id)
            })
            .await
    }

    /// The user's token, made if there is none (`drf_create_token`).
    pub async fn get_or_create(&self, user: &User) -> Result<Token, AuthError> {
        let (tokens, user) = (self.clone(), user.clone());
        self.audit
            .write(&Client::command_line(), move |c, events| {
                events.push(Event::of(Kind::TokenShown, &user, ""));
                tokens.get_or_insert(c, &user.id)
            })
            .await
    }

    /// The user's token: the one there is, or a new one where there is none, or where
    /// it cannot be recovered from its row.
    pub(super) fn get_or_insert(
        &self,
        conn: &mut Connection<'_>,
        user: &UserId,
    ) -> QueryResult<Token> {
        for _ in 0..TRIES {
            let now = self.zone.to_django(self.clock.timestamp());
            let old = models::token::find_key_for_update(conn, user)?;
            if let Some(key) = &old
                && let Some(found) = self.recover(conn, user, key)?
            {
                if *key != self.keyring.token_row_key(&found.token) {
                    if !self.store_again(conn, key, &found.token)? {
                        continue;
                    }
                } else if found.is_of_old_key {
                    self.adopt(conn, key, &found.token)?;
                }
                return Ok(found.token);
            }
            let token = self.keyring.new_token(user, &mut rand::rng());
            let key = self.keyring.token_row_key(&token);
            let is_stored = match old {
                Some(old) => models::token::replace_key(conn, &old, &key, Some(now))?,
                // `false` if another login of this user was faster: take its token.
                None => models::token::create(conn, user, &key, now)?,
            };
            if is_stored {
                return Ok(token);
            }
        }
        // Only if others log this user in and out without pause: a 503.
        Err(diesel::result::Error::RollbackTransaction)
    }

    /// The token of a row, if it can be given again.
    pub(super) fn recover(
        &self,
        conn: &mut Connection<'_>,
        user: &UserId,
        row_key: &str,
    ) -> QueryResult<Option<Recovered>> {
        if let Some(token) = self.keyring.recover_token(user, row_key) {
            let is_of_old_key = false;
            return Ok(Some(Recovered {
                token,
                is_of_old_key,
            }));
        }
        let encrypted = models::adopted_token::find(conn, row_key)?;
        let decrypted = encrypted.and_then(|text| self.keyring.decrypt(&text, row_key));
        Ok(decrypted.map(|(token, is_current)| Recovered {
            token,
            is_of_old_key: !is_current,
        }))
    }

    /// Stores a token that Django made beside its sealed row, encrypted under the current
    /// secret key.
    fn adopt(&self, conn: &mut Connection<'_>, row_key: &str, token: &Token) -> QueryResult<()> {
        match self.keyring.encrypt(token) {
            Some(encrypted) => models::adopted_token::store(conn, row_key, &encrypted),
            None => Ok(()),
        }
    }

    /// Stores a token the way that the settings say, sealed or as plaintext, in place of
    /// its row that is stored the other way; `false` if that is gone.
    pub(super) fn store_again(
        &self,
        conn: &mut Connection<'_>,
        old: &str,
        token: &Token,
    ) -> QueryResult<bool> {
        let new = self.keyring.token_row_key(token);
        if !models::token::replace_key(conn, old, &new, None)? {
            return Ok(false);
        }
        if self.keyring.is_sealed() {
            self.adopt(conn, &new, token)?;
        } else {
            models::adopted_token::delete(conn, old)?;
        }
        Ok(true)
    }
}
