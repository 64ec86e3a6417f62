//! Logging out: the token and the session end together.

use super::audit::{Event, Kind};
use super::{Auth, AuthError, Client, SessionKey};
use crate::models;
use crate::models::user::User;

impl Auth {
    /// When this returns, neither the token nor the session is accepted anywhere.
    pub async fn log_out(
        &self,
        user: &User,
        session: Option<SessionKey>,
        client: &Client,
    ) -> Result<(), AuthError> {
        let (sessions, user) = (self.sessions.clone(), user.clone());
        self.audit
            .write(client, move |c, events| {
                let tokens = models::token::delete_by_user(c, &user.id)?;
                let sessions = match session {
                    Some(key) => sessions.delete_row(c, &key)?,
                    None => 0,
                };
                let ended = match (tokens, sessions) {
                    (0, 0) => "nothing was left",
                    (_, 0) => "token",
                    (0, _) => "session",
                    (_, _) => "token and session",
                };
                events.push(Event::of(Kind::Logout, &user, ended));
                Ok(())
            })
            .await
    }
}
