//! Sealing what Django left in clear, for good.

use diesel::prelude::QueryResult;

use super::event::{Event, Kind};
use super::keyring::{seal_session, seal_token};
use super::{Auth, AuthError, Client};
use crate::db::Connection;
use crate::models;

/// Rows that one transaction seals: small, so that logins go on in between.
const BATCH: i64 = 200;

/// One of the two tables that hold keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// `authtoken_token`
    Tokens,
    /// `django_session`
    Sessions,
}

impl Auth {
    /// How many keys of a table stand in clear.
    pub async fn count_clear(&self, keys: Keys) -> Result<i64, AuthError> {
        let counted = self.database().read(move |c| match keys {
            Keys::Tokens => models::token::count_clear(c),
            Keys::Sessions => models::session::count_clear(c),
        });
        Ok(counted.await?)
    }

    /// Seals some of them in one transaction; 0 when none is left.
    ///
    /// A sealed row is found by the same key on the wire as before, so it can
    /// be stopped and started again at any point, while requests are answered.
    pub async fn seal_some(&self, keys: Keys) -> Result<usize, AuthError> {
        self.write_noting(&Client::command_line(), move |c, events| {
            let sealed = seal(c, keys)?;
            if sealed > 0 {
                let what = match keys {
                    Keys::Tokens => "tokens",
                    Keys::Sessions => "sessions",
                };
                events.note(Event::of_nobody(
                    Kind::KeysSealed,
                    format!("{sealed} {what}"),
                ));
            }
            Ok(sealed)
        })
        .await
    }
}

fn seal(connection: &mut Connection<'_>, keys: Keys) -> QueryResult<usize> {
    let clear = match keys {
        Keys::Tokens => models::token::find_clear(connection, BATCH)?,
        Keys::Sessions => models::session::find_clear(connection, BATCH)?,
    };
    for key in &clear {
        // Gone meanwhile is as good as sealed.
        match keys {
            Keys::Tokens => {
                models::token::replace_key(connection, key, &seal_token(key), None)?;
            }
            Keys::Sessions => {
                models::session::replace_key(connection, key, &seal_session(key))?;
            }
        }
    }
    Ok(clear.len())
}
