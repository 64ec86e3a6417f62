//! A Django of the test's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use reqwest::RequestBuilder;
use serde_json::json;

use crate::asked::python;
use crate::support::PATIENCE;
use crate::support::app::{Answer, SECRET_KEY, TestApp};
use crate::support::database::{Backend, TestDatabase};

/// Settings under which Portcullis shares Django's tables.
pub const SHARED: [(&str, &str); 1] = [("PORTCULLIS_STORAGE", "django")];

/// A running Django, ended with the value.
pub struct Django {
    pub url: String,
    database: String,
    process: Child,
}

impl Django {
    /// Migrates an empty database and serves it.
    pub async fn start(database: &TestDatabase) -> Self {
        let database = database.url();
        let done = manage(&database, &["migrate", "--verbosity", "0"]).status();
        assert!(done.expect("Python").success(), "Django migrates");
        Self::serve(database, &[]).await
    }

    /// Serves a database that is migrated already.
    pub async fn serve(database: String, environment: &[(&str, &str)]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let process = manage(&database, &["runserver", "--noreload", &address])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Django");
        let mut django = Self {
            url: format!("http://{address}"),
            database,
            process,
        };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < end, "Django serves");
            assert!(
                django.process.try_wait().expect("a status").is_none(),
                "Django serves"
            );
            tokio::task::yield_now().await;
        }
        django
    }

    /// Runs Python in the project; what it printed.
    pub fn run(&self, code: &str) -> String {
        let code = format!(
            "from accounts.models import CustomUser\nfrom rest_framework.authtoken.models import Token\n{code}"
        );
        let output = manage(&self.database, &["shell", "-c", &code, "--verbosity", "0"]);
        let output = { output }.output().expect("Python");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Django {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn manage(database: &str, arguments: &[&str]) -> Command {
    let mut command = in_project(&python(), database);
    command.arg("manage.py").args(arguments);
    command
}

/// A program in the project's folder, with what its settings read.
pub fn in_project(program: &str, database: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/neighbour/site"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NEIGHBOUR_SECRET_KEY", SECRET_KEY)
        .env("NEIGHBOUR_DATABASE", database)
        .stdin(Stdio::null());
    command
}

/// The two of them, on one database.
pub struct Pair {
    pub django: Django,
    pub app: TestApp,
}

impl Pair {
    pub async fn start(backend: &Backend, settings: &[(&'static str, &str)]) -> Self {
        let database = backend.create();
        let django = Django::start(&database).await;
        let settings = [&SHARED[..], settings].concat();
        let app = TestApp::start_on(database, &settings).await;
        Self { django, app }
    }

    /// Django's address and ours, then ours and Django's: whoever is asked
    /// first, the other must agree.
    pub fn both_ways(&self) -> [(&str, &str); 2] {
        let (theirs, ours) = (self.django.url.as_str(), self.app.url.as_str());
        [(theirs, ours), (ours, theirs)]
    }
}

/// One login, as its client holds it.
pub struct Held {
    pub token: String,
    pub session: String,
    pub csrf: String,
}

pub async fn log_in(url: &str, username: &str, password: &str) -> Held {
    let answer = try_log_in(url, username, password).await;
    assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    Held {
        token: answer.token(),
        session: answer.cookie("sessionid").expect("a session"),
        csrf: answer.cookie("csrftoken").expect("a CSRF cookie"),
    }
}

pub async fn try_log_in(url: &str, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    let request = reqwest::Client::new().post(format!("{url}/api/v1/login/"));
    Answer::of(request.json(&body)).await
}

impl Held {
    pub async fn by_token(&self, url: &str) -> u16 {
        self.user(url, "Authorization", format!("Token {}", self.token))
            .await
    }

    pub async fn by_session(&self, url: &str) -> u16 {
        self.user(url, "Cookie", format!("sessionid={}", self.session))
            .await
    }

    async fn user(&self, url: &str, name: &str, value: String) -> u16 {
        let request = reqwest::Client::new().get(format!("{url}/api/v1/user/"));
        Answer::of(request.header(name, value)).await.status
    }

    pub fn log_out_by_token(&self, url: &str) -> RequestBuilder {
        let request = reqwest::Client::new().post(format!("{url}/api/v1/logout/"));
        request.header("Authorization", format!("Token {}", self.token))
    }

    pub fn log_out_by_session(&self, url: &str) -> RequestBuilder {
        reqwest::Client::new()
            .post(format!("{url}/api/v1/logout/"))
            .header(
                "Cookie",
                format!("sessionid={}; csrftoken={}", self.session, self.csrf),
            )
            .header("X-CSRFToken", &self.csrf)
    }
}
