//! A browser's session, as logins and logouts use it: the session cookie, the key in the
//! store, the CSRF secret and the device cookie.

use std::future::{Ready, ready};

use actix_identity::Identity;
use actix_session::{Session, SessionExt};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};

use super::store::{self, Row};
use super::{cookie, device_cookie};
use crate::auth::login::LogIn;
use crate::auth::sessions::{Claim, StartedSession};
use crate::auth::{Client, SessionKey};
use crate::http::csrf::{self, Csrf, FormSecret};
use crate::http::request::cookies::RequestCookies;
use crate::http::request::shared;
use crate::http::response::error::ApiError;

/// The session of a request's browser, if it has one.
pub struct BrowserSession {
    session: Session,
    request: HttpRequest,
    key: Option<SessionKey>,
    csrf: web::Data<Csrf>,
}

impl BrowserSession {
    /// The session of a request, which it holds on to: a middleware must drop it before
    /// it calls the next service.
    pub fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let cookies = RequestCookies::from_extensions(request);
        Ok(Self {
            session: request.get_session(),
            request: request.clone(),
            key: cookies.session_key().cloned(),
            csrf: shared::<Csrf>(request)?.clone(),
        })
    }

    /// The key that the browser presented; no session need have it.
    pub fn key(&self) -> Option<&SessionKey> {
        self.key.as_ref()
    }

    /// Whose session it says it is; `None` if it is anonymous or has ended.
    pub fn claim(&self) -> Result<Option<Claim>, ApiError> {
        if self.key.is_none() {
            return Ok(None);
        }
        match store::row(&self.session) {
            Row::Unanswered => Err(ApiError::Unavailable),
            Row::Missing => {
                self.remove_cookie();
                Ok(None)
            }
            Row::Found => {
                let identity = Identity::extract(&self.request).into_inner();
                Ok(identity.ok().and_then(|_| store::claim(&self.session)))
            }
        }
    }

    /// Makes the answer remove the session cookie.
    pub fn remove_cookie(&self) {
        cookie::remove(&self.request);
    }

    /// Goes on under a new key, which is stored already.
    pub fn renew(&self, started: StartedSession) -> Result<(), ApiError> {
        self.session.renew();
        store::announce(&self.session, &started.key).map_err(|_| ApiError::Unavailable)?;
        cookie::set_max_age(&self.request, started.cookie_age);
        let cookies = RequestCookies::from_extensions(&self.request).with_key(started.key);
        self.request.extensions_mut().insert(cookies);
        Ok(())
    }

    /// Gives the client the session of a login, with a new CSRF secret and, if it is a
    /// browser, its device cookie. The login is stored, so a failure here is only logged:
    /// the answer has the token, but no session cookie.
    pub fn start(&self, mut response: HttpResponse, login: &LogIn, by: &Client) -> HttpResponse {
        if let Err(error) = self.enter(login) {
            tracing::error!(%error, "a login has no session cookie");
        }
        csrf::rotate(response.headers_mut(), &self.csrf);
        if let Some(device) = &by.device {
            device_cookie::give(response.headers_mut(), device, self.csrf.is_https());
        }
        response
    }

    fn enter(&self, login: &LogIn) -> anyhow::Result<()> {
        store::announce(&self.session, &login.session.key)?;
        cookie::set_max_age(&self.request, login.session.cookie_age);
        Identity::login(&self.request.extensions(), login.user.to_string())?;
        Ok(())
    }

    /// The key, for a logout to end: the browser loses the cookie, even one that came
    /// with a token, whether or not the logout succeeds.
    pub fn give_up_key(&self) -> Option<SessionKey> {
        if self.key.is_some() {
            self.remove_cookie();
        }
        self.key.clone()
    }

    /// Forgets the session, whose row is deleted already.
    pub fn end(&self) {
        self.session.purge();
    }

    /// The secret behind the forms of a page.
    pub fn form_secret(&self) -> FormSecret<'_> {
        FormSecret::of(&self.request, &self.csrf)
    }
}

impl FromRequest for BrowserSession {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
