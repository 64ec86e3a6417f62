//! A Django of the test's own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::app::{Answer, SECRET_KEY, TestApp};
use crate::support::database::{Backend, TestDatabase};

/// Settings under which Portcullis shares Django's tables.
pub const SHARED: [(&str, &str); 1] = [("PORTCULLIS_STORAGE", "django")];

/// One that Portcullis can run beside.
#[derive(Clone, Copy)]
pub enum Version {
    Django52,
    Django61,
}

impl Version {
    /// What names a Python that has it, and what is installed there.
    fn python(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Django52 => (
                "NEIGHBOUR_PYTHON",
                "requirements.txt",
                include_str!("requirements.txt"),
            ),
            Self::Django61 => (
                "NEIGHBOUR_PYTHON_61",
                "requirements-6.1.txt",
                include_str!("requirements-6.1.txt"),
            ),
        }
    }
}

/// A running Django, ended with the value.
pub struct Django {
    pub url: String,
    version: Version,
    database: String,
    process: Child,
    /// Kept open: Django ends when it can print no more.
    _output: BufReader<ChildStdout>,
}

impl Django {
    /// Migrates an empty database and serves it.
    pub fn start(version: Version, database: &TestDatabase) -> Self {
        let database = database.url();
        let done = manage(version, &database, &["migrate", "--verbosity", "0"]).status();
        assert!(done.expect("Python").success(), "Django migrates");
        // On a port that the system chooses, and Django tells once it listens there.
        let mut process = manage(
            version,
            &database,
            &["runserver", "--noreload", "127.0.0.1:0"],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Django");
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        let url = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, url) = line.split_once("http://127.0.0.1:")?;
                Some(format!("http://127.0.0.1:{}", url.trim_end_matches('/')))
            });
        Self {
            url: url.expect("Django serves"),
            version,
            database,
            process,
            _output: output,
        }
    }

    /// Runs Python in the project; what it printed.
    pub fn run(&self, code: &str) -> String {
        let code = format!(
            "from accounts.models import CustomUser\nfrom rest_framework.authtoken.models import Token\n{code}"
        );
        let arguments = ["shell", "-c", &code, "--verbosity", "0"];
        let output = manage(self.version, &self.database, &arguments);
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

fn manage(version: Version, database: &str, arguments: &[&str]) -> Command {
    let (variable, file, requirements) = version.python();
    let python = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no Python with tests/neighbour/{file}: use .ci/run neighbour")
    });
    let pinned = requirements
        .lines()
        .find_map(|l| l.strip_prefix("Django=="));
    let mut command = Command::new(python);
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/neighbour/site/manage.py"
        ))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("NEIGHBOUR_DJANGO", pinned.expect("the pinned Django"))
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
    pub async fn start(
        backend: &Backend,
        django: Version,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let database = backend.create();
        let django = Django::start(django, &database);
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
