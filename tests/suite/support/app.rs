//! A server for one test, and what people do with it.

use actix_web::dev::ServerHandle;
use portcullis::app::Application;
use portcullis::auth::users::Profile;
use portcullis::auth::{Auth, Clock};
use portcullis::models::UserId;
use portcullis::settings::{Settings, Values};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::database::{Backend, TestDatabase};
use super::{PATIENCE, secrets};

pub const SECRET_KEY: &str = "a-secret-key-for-tests-only-0123456789-0123456789-012";
pub const PASSWORD: &str = "correct horse battery staple";

/// A running server. Tests must end with [`TestApp::stop`] only if they need to
/// know that it has ended; dropping it stops it too.
pub struct TestApp {
    /// `http://127.0.0.1:<port>`, without a slash.
    pub url: String,
    pub port: u16,
    pub auth: Auth,
    pub clock: Clock,
    pub handle: ServerHandle,
    // Last: dropped after the server is told to stop.
    pub database: TestDatabase,
}

impl TestApp {
    /// A server with the cheapest hashes, so that tests are quick.
    pub async fn start(backend: &Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    /// The same, with other settings.
    pub async fn start_with(backend: &Backend, settings: &[(&'static str, &str)]) -> Self {
        Self::start_on(backend.create(), settings).await
    }

    /// The same, on a database that is there already.
    pub async fn start_on(database: TestDatabase, settings: &[(&'static str, &str)]) -> Self {
        let clock = Clock::system();
        let application = Self::build(&database, settings, &clock);
        let app = Self {
            url: format!("http://127.0.0.1:{}", application.port()),
            port: application.port(),
            auth: application.auth().clone(),
            clock,
            handle: application.handle(),
            database,
        };
        actix_web::rt::spawn(application.run_until_stopped());
        app
    }

    /// A second server on the database of this one.
    pub async fn start_another(&self, settings: &[(&'static str, &str)]) -> SecondServer {
        let application = Self::build(&self.database, settings, &self.clock);
        let second = SecondServer {
            url: format!("http://127.0.0.1:{}", application.port()),
            auth: application.auth().clone(),
        };
        actix_web::rt::spawn(application.run_until_stopped());
        second
    }

    fn build(
        database: &TestDatabase,
        settings: &[(&'static str, &str)],
        clock: &Clock,
    ) -> Application {
        let defaults = [
            ("DATABASE_URL", database.url()),
            ("PORTCULLIS_BIND", "127.0.0.1:0".to_owned()),
            ("PORTCULLIS_SECRET_KEY", SECRET_KEY.to_owned()),
            ("PORTCULLIS_PASSWORD_COST", "4".to_owned()),
            ("PORTCULLIS_DATABASE_POOL", "4".to_owned()),
        ];
        let settings = settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()));
        let values = Values::from_flags(defaults.into_iter().chain(settings)).expect("settings");
        let settings = Settings::new(values).expect("settings");
        Application::build_with_clock(&settings, clock.clone()).expect("a server")
    }

    /// A user with that password.
    pub async fn create_user(&self, username: &str, password: &str) -> UserId {
        secrets::note(password);
        let encoded = self
            .auth
            .passwords
            .hash(password.to_owned())
            .await
            .expect("a hash");
        let profile = Profile {
            username: username.to_owned(),
            email: format!("{username}@example.com"),
            ..Default::default()
        };
        assert!(
            self.auth
                .users
                .create(profile, encoded)
                .await
                .expect("a user")
        );
        let user = self.auth.users.find(username).await.expect("the database");
        user.expect("the user").id
    }

    /// A browser of its own: it keeps cookies and does not follow redirects.
    pub fn browser(&self) -> Client {
        Client::builder()
            .cookie_store(true)
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .build()
            .expect("a client")
    }

    /// A program: no cookies.
    pub fn program(&self) -> Client {
        Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .build()
            .expect("a client")
    }

    /// `POST /api/v1/login/` with JSON.
    pub async fn log_in(&self, client: &Client, username: &str, password: &str) -> Answer {
        self.post_json(
            client,
            "/api/v1/login/",
            &json!({"username": username, "password": password}),
        )
        .await
    }

    pub async fn post_json(&self, client: &Client, path: &str, body: &Value) -> Answer {
        Answer::of(client.post(format!("{}{path}", self.url)).json(body)).await
    }

    pub async fn get(&self, client: &Client, path: &str) -> Answer {
        Answer::of(client.get(format!("{}{path}", self.url))).await
    }

    /// `GET /api/v1/user/` with a token.
    pub async fn user_by_token(&self, token: &str) -> Answer {
        self.with_token(reqwest::Method::GET, "/api/v1/user/", token)
            .await
    }

    /// `GET /api/v1/user/` with a session cookie.
    pub async fn user_by_session(&self, session: &str) -> Answer {
        let request = self
            .program()
            .get(format!("{}/api/v1/user/", self.url))
            .header("Cookie", format!("sessionid={session}"));
        Answer::of(request).await
    }

    pub async fn with_token(&self, method: reqwest::Method, path: &str, token: &str) -> Answer {
        let request = self
            .program()
            .request(method, format!("{}{path}", self.url))
            .header("Authorization", format!("Token {token}"));
        Answer::of(request).await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Only sends the message; the workers end by themselves.
        drop(self.handle.stop(false));
    }
}

/// A server beside a [`TestApp`], on its database.
pub struct SecondServer {
    pub url: String,
    pub auth: Auth,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.expect("an answer");
        let answer = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a body"),
        };
        answer.note_secrets();
        answer
    }

    /// Whatever of it would be good for anything in other hands.
    fn note_secrets(&self) {
        for cookie in self.headers.get_all("set-cookie") {
            let text = cookie.to_str().expect("a text");
            secrets::note(text.split(['=', ';']).nth(1).unwrap_or_default());
        }
        if let Ok(Value::Object(body)) = serde_json::from_str(&self.body) {
            secrets::note(
                body.get("token")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
        }
        if let Some((_, rest)) = self
            .body
            .split_once("name=\"csrfmiddlewaretoken\" value=\"")
        {
            secrets::note(rest.split('"').next().unwrap_or_default());
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a text"))
    }

    /// Every header that does not change by itself.
    pub fn headers_but_date(&self) -> reqwest::header::HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove("date");
        headers
    }

    /// The token of a good login.
    pub fn token(&self) -> String {
        let body = self.json();
        body["token"].as_str().expect("a token").to_owned()
    }

    /// The whole `Set-Cookie` of that name.
    pub fn set_cookie(&self, name: &str) -> Option<String> {
        let start = format!("{name}=");
        self.headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().expect("a text").to_owned())
            .find(|text| text.starts_with(&start))
    }

    /// The value of a cookie that was set.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let text = self.set_cookie(name)?;
        let value = text.split(['=', ';']).nth(1)?;
        Some(value.to_owned())
    }
}
