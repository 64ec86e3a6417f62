//! Logging out: the token and the session end together.

use super::audit::{Event, Kind};
use super::{Auth, AuthError, Client, SessionKey, Token};
use crate::models;
use crate::models::user::User;

impl Auth {
    /// When this returns, neither the user's token, nor the `token` and the `session` that
    /// came with the request are accepted anywhere.
    pub async fn log_out(
        &self,
        user: &User,
        token: Option<&Token>,
        session: Option<SessionKey>,
        client: &Client,
    ) -> Result<(), AuthError> {
        let (sessions, user) = (self.sessions.clone(), user.clone());
        let presented = token.map(|token| self.tokens.row_keys(token));
        self.audit
            .write(client, move |c, events| {
                let mut tokens = models::token::delete_by_user(c, &user.id)?;
                // Whosever row it is: the token that came must not live on.
                if let (0, Some(keys)) = (tokens, &presented) {
                    tokens = models::token::delete(c, &keys.both())?;
                }
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
