//! Sealing the plaintext keys that Django left, and the way back.

use diesel::prelude::QueryResult;

use super::audit::{Event, Kind};
use super::keyring::{seal_session, seal_token};
use super::tokens::Tokens;
use super::{Auth, AuthError, Client, Token};
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
        let tokens = self.tokens.clone();
        self.audit
            .write(&Client::command_line(), move |c, events| {
                let sealed = seal(c, &tokens, keys)?;
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

/// Tokens that one transaction of [`Auth::unseal_some`] looked at.
#[derive(Debug, Default)]
pub struct Unsealed {
    /// How many are plaintext now.
    pub unsealed: usize,
    /// How many were deleted, since no secret key of ours made or encrypted them: to
    /// Django, whoever has a copy of such a row has a token.
    pub lost: usize,
    /// The last row key; `None` if there was none.
    pub last: Option<String>,
}

impl Auth {
    /// Makes sealed tokens plaintext again, from the row after `last` on.
    pub async fn unseal_some(&self, last: String) -> Result<Unsealed, AuthError> {
        let tokens = self.tokens.clone();
        self.audit
            .write(&Client::command_line(), move |c, events| {
                let mut done = Unsealed::default();
                for (key, user) in models::token::find_sealed_after(c, &last, BATCH)? {
                    let user = tokens.own(user);
                    match tokens.recover(c, &user, &key)? {
                        Some(found) if tokens.store_again(c, &key, &found.token)? => {
                            done.unsealed += 1;
                        }
                        // Gone, or used meanwhile.
                        Some(_) => {}
                        None => done.lost += models::token::delete(c, &[&key])?,
                    }
                    done.last = Some(key);
                }
                if done.unsealed + done.lost > 0 {
                    let detail = format!("{} tokens, {} deleted", done.unsealed, done.lost);
                    events.push(Event::without_user(Kind::KeysUnsealed, detail));
                }
                Ok(done)
            })
            .await
    }

    /// Deletes some of the sessions that are still sealed; how many went.
    pub async fn delete_sealed_sessions(&self) -> Result<usize, AuthError> {
        let deleting = self
            .database
            .write(|c| models::session::delete_sealed(c, BATCH));
        Ok(deleting.await?)
    }

    /// How many session keys are sealed.
    pub async fn count_sealed_sessions(&self) -> Result<i64, AuthError> {
        Ok(self.database.read(models::session::count_sealed).await?)
    }
}

fn seal(conn: &mut Connection<'_>, tokens: &Tokens, keys: Keys) -> QueryResult<usize> {
    let plaintext = match keys {
        Keys::Tokens => models::token::find_plaintext(conn, BATCH)?,
        Keys::Sessions => models::session::find_plaintext(conn, BATCH)?,
    };
    for key in &plaintext {
        // A row that is gone by now needs no seal.
        match keys {
            Keys::Tokens => {
                match Token::parse(key) {
                    Some(token) => tokens.store_again(conn, key, &token)?,
                    // Nobody can present it.
                    None => models::token::replace_key(conn, key, &seal_token(key), None)?,
                };
            }
            Keys::Sessions => {
                models::session::replace_key(conn, key, &seal_session(key))?;
            }
        }
    }
    Ok(plaintext.len())
}
