//! Sealing the plaintext keys that Django left.

use diesel::prelude::QueryResult;

use super::audit::{Event, Kind};
use super::keyring::{seal_session, seal_token};
use super::{Auth, AuthError, Client};
use crate::db::Connection;
use crate::models;

/// Rows that one transaction seals: small, so that logins go on in between.
const BATCH: i64 = 50;

/// One of the two tables that hold keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// `authtoken_token`
    Tokens,
    /// `django_session`
    Sessions,
}

impl Auth {
    /// How many keys of a table are plaintext.
    pub async fn count_plaintext(&self, keys: Keys) -> Result<i64, AuthError> {
        let counted = self.database.read(move |c| match keys {
            Keys::Tokens => models::token::count_plaintext(c),
            Keys::Sessions => models::session::count_plaintext(c),
        });
        Ok(counted.await?)
    }

    /// Seals some of them in one transaction; 0 when none is left. The key on the wire
    /// stays the same, so this can stop and start again while requests are answered.
    pub async fn seal_some(&self, keys: Keys) -> Result<usize, AuthError> {
        self.audit
            .write(&Client::command_line(), move |c, events| {
                let sealed = seal(c, keys)?;
                if sealed > 0 {
                    let what = match keys {
                        Keys::Tokens => "tokens",
                        Keys::Sessions => "sessions",
                    };
                    let detail = format!("{sealed} {what}");
                    events.push(Event::without_user(Kind::KeysSealed, detail));
                }
                Ok(sealed)
            })
            .await
    }
}

fn seal(conn: &mut Connection<'_>, keys: Keys) -> QueryResult<usize> {
    let plaintext = match keys {
        Keys::Tokens => models::token::find_plaintext(conn, BATCH)?,
        Keys::Sessions => models::session::find_plaintext(conn, BATCH)?,
    };
    for key in &plaintext {
        // A row that is gone by now needs no seal.
        match keys {
            Keys::Tokens => {
                models::token::replace_key(conn, key, &seal_token(key), None)?;
            }
            Keys::Sessions => {
                models::session::replace_key(conn, key, &seal_session(key))?;
            }
        }
    }
    Ok(plaintext.len())
}
