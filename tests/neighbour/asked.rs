//! A Django with one user model, which does what it is asked: see `models/asked.py`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::app::SECRET_KEY;

/// Which Python has the Django to be asked.
pub fn python() -> String {
    std::env::var("NEIGHBOUR_PYTHON")
        .expect("NEIGHBOUR_PYTHON names a Python with tests/neighbour/requirements.txt")
}

/// Ended with the value.
pub struct Asked {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Asked {
    /// `model` is a file of `models/users/models/`, or `stock`; `folder` is where the
    /// migrations of it are.
    pub fn start(
        python: &str,
        model: &str,
        database: &str,
        folder: &std::path::Path,
        environment: &[(&str, &str)],
    ) -> Self {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/neighbour/models/asked.py"
        );
        let mut process = Command::new(python)
            .arg(file)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NEIGHBOUR_SECRET_KEY", SECRET_KEY)
            .env("NEIGHBOUR_DATABASE", database)
            .env("NEIGHBOUR_FOLDER", folder)
            .env("USER_MODEL", model)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        Self {
            questions: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().expect("its output")),
            process,
        }
    }

    /// Django's answer; what it raises ends the test.
    pub fn ask(&mut self, function: &str, arguments: Value) -> Value {
        let questions = self.questions.as_mut().expect("its input");
        writeln!(questions, "{}", json!([function, &arguments])).expect("Django reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("Django answers");
        let mut answer: Value = serde_json::from_str(&line).expect("Django answers");
        if let Some(raised) = answer[1].as_str() {
            panic!("{function}{arguments}: {raised}");
        }
        answer[0].take()
    }

    pub fn migrate(&mut self) {
        self.ask("migrate", json!([]));
    }

    /// By the model's own manager; its key.
    pub fn make(&mut self, name: &str, password: &str, fields: &str) -> Value {
        let fields: Value = serde_json::from_str(fields).expect("JSON");
        self.ask("make", json!([name, password, fields]))
    }

    /// A token and a session, if Django lets that person in.
    pub fn log_in(&mut self, name: &str, password: &str) -> Option<[String; 2]> {
        let answer = self.ask("log_in", json!([name, password]));
        serde_json::from_value(answer).expect("two texts or nothing")
    }

    /// Whose token that is.
    pub fn by_token(&mut self, token: &str) -> Value {
        self.ask("by_token", json!([token]))
    }

    /// Whose session that is.
    pub fn by_session(&mut self, session: &str) -> Value {
        self.ask("by_session", json!([session]))
    }

    pub fn set_password(&mut self, name: &str, password: &str) {
        self.ask("set_password", json!([name, password]));
    }

    /// Runs Python; what it leaves in `answer`.
    pub fn run(&mut self, code: &str) -> Value {
        self.ask("run", json!([code]))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}
