//! New passwords: which ones the commands take.

use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use each_database::each_database;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{program_on, run};

const SHORT: &str = "This password is too short. It must contain at least 8 characters.";
const COMMON: &str = "This password is too common.";

#[each_database]
async fn a_script_cannot_set_a_bad_password(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    run(program_on(&database, folder.path()).arg("migrate")).ok();
    let longest = "k9 ".repeat(1365) + "x";
    let too_long = format!("{longest}x");
    for (password, said) in [
        ("", "Blank passwords aren't allowed."),
        ("            ", "Blank passwords aren't allowed."),
        ("q!z kq!", SHORT),
        ("Password123", COMMON),
        (" password123", COMMON),
        ("1q2w3e", &format!("{SHORT} {COMMON}")),
        ("83047561029", "This password is entirely numeric."),
        (
            "12345",
            &format!("{SHORT} {COMMON} This password is entirely numeric."),
        ),
        ("Ada.Byron", "The password is too similar to the username."),
        (
            "augusta-ada",
            "The password is too similar to the first name.",
        ),
        ("Lovelace!", "The password is too similar to the last name."),
        (
            "xcountessx",
            "The password is too similar to the email address.",
        ),
        (
            "portcullis1",
            "The password is too similar to the name of this service.",
        ),
        (
            "acme-corporation",
            "The password is too similar to the name of this service.",
        ),
        (
            &too_long,
            "This password is too long. It must contain at most 4096 bytes.",
        ),
    ] {
        for command in ["createuser", "createsuperuser"] {
            let refused = run(program_on(&database, folder.path())
                .args([command, "--no-input", "--username", "ada.byron"])
                .args(["--first-name", "Augusta Ada", "--last-name", "Lovelace"])
                .args(["--email", "countess@example.org"])
                .env(
                    "PORTCULLIS_PUBLIC_URL",
                    "https://login.acme-corporation.example",
                )
                .env("PORTCULLIS_USER_PASSWORD", password))
            .failure();
            assert_eq!(refused, format!("portcullis: {said}"), "{password}");
        }
    }
    let least = |least: &str, password: &str| {
        run(program_on(&database, folder.path())
            .args(["createuser", "--no-input", "--username", "eve"])
            .args(["--password-min", least])
            .env("PORTCULLIS_USER_PASSWORD", password))
    };
    assert_eq!(
        least("15", "q!z kq!z kq!z ").failure(),
        "portcullis: This password is too short. It must contain at least 15 characters."
    );
    assert_eq!(database.count("accounts_customuser"), 0);
    least("15", "q!z kq!z kq!z k").ok();
}

/// The stored names count, not what the command line says.
#[each_database]
async fn a_user_is_not_given_a_password_like_their_name(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let on = |password: &str| {
        let mut command = program_on(&database, folder.path());
        command.env("PORTCULLIS_USER_PASSWORD", password);
        command
    };
    run(on(PASSWORD)
        .args(["createuser", "--no-input", "--username", "ada"])
        .args(["--email", "countess@example.org"]))
    .ok();
    let hash = || database.texts("SELECT password AS text FROM accounts_customuser");
    let before = hash();

    let refused = run(on("countess!").args(["changepassword", "ada", "--no-input"])).failure();

    assert_eq!(
        refused,
        "portcullis: The password is too similar to the email address."
    );
    assert_eq!(hash(), before);
    run(on("no such thing").args(["changepassword", "ada", "--no-input"])).ok();
    assert_ne!(hash(), before);
}

/// A program at a terminal of its own.
struct Terminal {
    process: Child,
    shown: String,
}

impl Terminal {
    fn start(command: &Command) -> Self {
        let mut line = command.get_program().to_string_lossy().into_owned();
        for argument in command.get_args() {
            line = format!("{line} {}", argument.to_string_lossy());
        }
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(command.get_current_dir().expect("a folder"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self {
            process: script.spawn().expect("util-linux's script"),
            shown: String::new(),
        }
    }

    /// Waits for a question, and answers it.
    fn answer(&mut self, question: &str, answer: &str) {
        let mut output = BufReader::with_capacity(1, self.process.stdout.as_mut().unwrap());
        let mut shown = Vec::new();
        while !shown.ends_with(question.as_bytes()) {
            let mut byte = [0];
            let more = output.read(&mut byte).expect("its output");
            let so_far = String::from_utf8_lossy(&shown);
            assert_eq!(more, 1, "no {question:?} after {}{so_far}", self.shown);
            shown.push(byte[0]);
        }
        self.shown.push_str(&String::from_utf8_lossy(&shown));
        let input = self.process.stdin.as_mut().unwrap();
        writeln!(input, "{answer}").expect("a keyboard");
    }

    /// All that was shown, and the exit code.
    fn finish(mut self) -> (String, i32) {
        let mut rest = String::new();
        let mut output = self.process.stdout.take().unwrap();
        output.read_to_string(&mut rest).expect("its output");
        let status = self.process.wait().expect("its end");
        (self.shown + &rest, status.code().expect("an exit code"))
    }
}

#[each_database]
async fn a_person_is_asked_again(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let mut command = program_on(&database, folder.path());
    command.args(["createsuperuser", "--username", "ada"]);
    let mut terminal = Terminal::start(&command);
    terminal.answer("E-mail address: ", "ada@example.org");
    for (first, second) in [
        ("letmein", "letmein"),
        (PASSWORD, "correct horse"),
        (PASSWORD, PASSWORD),
    ] {
        terminal.answer("Password: ", first);
        terminal.answer("Password (again): ", second);
    }
    let (shown, code) = terminal.finish();

    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains(&format!("{SHORT}\r\n{COMMON}\r\n")),
        "{shown}"
    );
    assert!(
        shown.contains("The two passwords are not the same.\r\n"),
        "{shown}"
    );
    assert!(shown.contains("superuser \"ada\" created"), "{shown}");
    assert_eq!(database.count("accounts_customuser"), 1);
}

#[each_database]
async fn a_person_is_not_asked_for_ever(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let mut command = program_on(&database, folder.path());
    command.args([
        "createuser",
        "--username",
        "ada",
        "--email",
        "ada@example.org",
    ]);
    let mut terminal = Terminal::start(&command);
    for _ in 0..3 {
        terminal.answer("Password: ", "letmein");
        terminal.answer("Password (again): ", "letmein");
    }
    let (shown, code) = terminal.finish();

    assert_eq!(code, 1, "{shown}");
    assert!(
        shown.contains("portcullis: no password after 3 tries"),
        "{shown}"
    );
}

#[each_database]
async fn a_password_is_kept_as_it_was_given(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let folder = tempfile::tempdir().unwrap();
    let longest = "k9 ".repeat(1365) + "x";
    for (name, password, other) in [
        ("blanks", "  q!z kq!z  ", "q!z kq!z"),
        ("case", "Q!z kQ!z", "q!z kq!z"),
        ("unicode", "pa\u{308}sswo\u{308}rd!", "pässwörd!"),
        ("long", &longest, &longest[..4095]),
    ] {
        run(program_on(&app.database, folder.path())
            .args(["createuser", "--no-input", "--username", name])
            .env("PORTCULLIS_USER_PASSWORD", password))
        .ok();
        for (password, status) in [(password, 200), (other, 400)] {
            let body = json!({"username": name, "password": password});
            let request = reqwest::Client::new().post(format!("{}/login/", app.url));
            let answer = Answer::of(request.json(&body)).await;
            assert_eq!(answer.status, status, "{name}");
        }
    }
}
