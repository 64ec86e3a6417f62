//! A Django of the test's own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use reqwest::RequestBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::case::{CaseFile, Reference};
use crate::support::app::{Answer, SECRET_KEY, TestApp};
use crate::support::database::{Backend, TestDatabase};

const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/neighbour/site");

/// Settings under which Portcullis shares Django's tables.
pub const SHARED: [(&str, &str); 1] = [("PORTCULLIS_STORAGE", "django")];

/// A running Django, ended with the value.
pub struct Django {
    pub url: String,
    version: Reference,
    database: String,
    process: Child,
}

impl Django {
    /// Migrates an empty database and serves it.
    pub fn start(version: Reference, database: &TestDatabase) -> Self {
        let database = database.url();
        migrate(version, &database);
        Self::serve(version, database, &[])
    }

    /// Serves a database that is migrated already.
    pub fn serve(version: Reference, database: String, environment: &[(&str, &str)]) -> Self {
        // On a port that the system chooses, and Django tells once it listens there.
        let mut process = manage(
            version,
            &database,
            &["runserver", "--noreload", "127.0.0.1:0"],
        )
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Django");
        let port = port_in(process.stdout.take().expect("its output"));
        Self {
            url: format!("http://127.0.0.1:{port}"),
            version,
            database,
            process,
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

/// The app that `tests/conformance` has the answers of, as gunicorn serves it.
pub struct ReferenceApp {
    pub port: u16,
    process: Child,
}

impl ReferenceApp {
    /// Migrates an empty database and serves it.
    pub fn start(version: Reference, database: &TestDatabase, file: &CaseFile) -> Self {
        let database = database.url();
        migrate(version, &database);
        let mut process = python(version, &database)
            .args(["-m", "gunicorn", "project.wsgi", "--bind", "127.0.0.1:0"])
            .current_dir(SITE)
            .env("DJANGO_SETTINGS_MODULE", "project.reference")
            .env("NEIGHBOUR_SECRET_KEY", &file.secret_key)
            .env("NEIGHBOUR_TRUSTED_ORIGINS", &file.trusted_origins)
            .env("NEIGHBOUR_ITERATIONS", file.iterations.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gunicorn");
        let port = port_in(process.stderr.take().expect("its output"));
        Self { port, process }
    }
}

impl Drop for ReferenceApp {
    fn drop(&mut self) {
        // Its worker ends with it, which it would not do by SIGKILL.
        if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// From the first line that says where the server listens.
fn port_in(output: impl Read + Send + 'static) -> u16 {
    let mut output = BufReader::new(output);
    let mut lines = output.by_ref().lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, port) = line.split_once("http://127.0.0.1:")?;
        let mut parts = port.split(|c: char| !c.is_ascii_digit());
        parts.next()?.parse().ok()
    });
    // A server that can print no more would stop.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    port.expect("Django serves")
}

fn migrate(version: Reference, database: &str) {
    let done = manage(version, database, &["migrate", "--verbosity", "0"]).status();
    assert!(done.expect("Python").success(), "Django migrates");
}

fn manage(version: Reference, database: &str, arguments: &[&str]) -> Command {
    let mut command = python(version, database);
    command.arg(format!("{SITE}/manage.py")).args(arguments);
    command
}

fn python(version: Reference, database: &str) -> Command {
    in_project(version, &interpreter(version), database)
}

/// That Django's Python.
pub fn interpreter(version: Reference) -> String {
    let (variable, file, _) = pinned(version);
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no Python with tests/neighbour/{file}: use .ci/run neighbour")
    })
}

/// Which variable names that Django's Python, and what is pinned in which file.
fn pinned(version: Reference) -> (&'static str, &'static str, &'static str) {
    match version {
        Reference::Django52 => (
            "NEIGHBOUR_PYTHON",
            "requirements.txt",
            include_str!("requirements.txt"),
        ),
        Reference::Django61 => (
            "NEIGHBOUR_PYTHON_61",
            "requirements-6.1.txt",
            include_str!("requirements-6.1.txt"),
        ),
    }
}

/// A program in the project's folder, with what its settings read.
pub fn in_project(version: Reference, program: &str, database: &str) -> Command {
    let (_, _, requirements) = pinned(version);
    let pinned = requirements
        .lines()
        .find_map(|line| line.strip_prefix("Django=="));
    let mut command = Command::new(program);
    command
        .current_dir(SITE)
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
        django: Reference,
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
