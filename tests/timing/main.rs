//! Whether the time of a refused login tells who there is: 500 logins of each
//! kind, by turns in random order, over HTTP against the real program.
//!
//! Two kinds are told apart if the Mann-Whitney test says so (p under 0.01 after
//! Holm's correction), or if their medians differ by 2 % or more. It measures for
//! minutes and wants the machine for itself, so it is run by its name only:
//! `cargo test --test timing`. `TIMING_SAMPLES` sets another number of logins,
//! `TIMING_SAME=off` measures kinds that must be told apart, to show that the
//! measurement can.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    unused_imports,
    unused_macros,
    reason = "tests, and what they share with others"
)]

#[path = "../suite/support/mod.rs"]
mod support;

mod statistics;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Instant;

use portcullis::auth::password::{Algorithm, Hasher};
use rand::seq::SliceRandom;
use serde_json::json;
use support::app::{PASSWORD, TestApp};
use support::database::Backend;
use support::program::{Serving, program_on};

/// Least p-value, and largest difference of medians in percent, of two kinds
/// that cannot be told apart.
const P_VALUE: f64 = 0.01;
const PERCENT: f64 = 2.0;

/// A kind of user: the password column, and whether the account is open.
struct Kind {
    name: &'static str,
    encoded: Option<String>,
    is_active: bool,
    password: &'static str,
}

/// Costs stand to each other as Django's do, but small enough to measure often.
fn kinds() -> Vec<Kind> {
    let wrong = |name, algorithm, cost| {
        let hasher = Hasher::new(algorithm, Some(cost)).unwrap();
        Kind {
            name,
            encoded: Some(hasher.make(PASSWORD, &mut rand::rng()).unwrap()),
            is_active: true,
            password: "wrong",
        }
    };
    let text = |name, encoded: &str| Kind {
        name,
        encoded: Some(encoded.to_owned()),
        is_active: true,
        password: PASSWORD,
    };
    let bcrypt = wrong("bcrypt, dear", Algorithm::BcryptSha256, 6);
    vec![
        Kind {
            name: "unknown",
            encoded: None,
            is_active: true,
            password: "wrong",
        },
        Kind {
            name: "inactive, right password",
            encoded: bcrypt.encoded.clone(),
            is_active: false,
            password: PASSWORD,
        },
        bcrypt,
        wrong("bcrypt, cheap", Algorithm::BcryptSha256, 5),
        wrong("PBKDF2 of 260,000 / 75", Algorithm::Pbkdf2Sha256, 3_467),
        wrong("PBKDF2 of 1,000,000 / 75", Algorithm::Pbkdf2Sha256, 13_333),
        wrong("PBKDF2 of 1,500,000 / 75", Algorithm::Pbkdf2Sha256, 20_000),
        wrong("scrypt", Algorithm::Scrypt, 8),
        text(
            "Argon2",
            "argon2$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
        ),
        text("unusable", "!unusable"),
        text("empty", ""),
        text("unknown algorithm", "md5$salt$hash"),
        text("corrupt", "pbkdf2_sha256$20000$salt"),
    ]
}

/// One connection that stays open; times are in milliseconds.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    fn log_in(&mut self, username: &str, password: &str) -> (u16, f64) {
        let body = json!({"username": username, "password": password}).to_string();
        let request = format!(
            "POST /api/v1/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let start = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        self.stream.read_exact(&mut vec![0; length]).unwrap();
        (status, start.elapsed().as_secs_f64() * 1000.0)
    }
}

fn main() -> ExitCode {
    statistics::check();
    let samples = std::env::var("TIMING_SAMPLES").map_or(500, |text| text.parse().unwrap());
    let shows_difference = std::env::var("TIMING_SAME").is_ok_and(|text| text == "off");
    actix_web::rt::System::new().block_on(measure(samples, shows_difference))
}

async fn measure(samples: usize, shows_difference: bool) -> ExitCode {
    let kinds = kinds();
    let app = TestApp::start(&Backend::Sqlite).await;
    for (number, kind) in kinds.iter().enumerate() {
        let Some(encoded) = &kind.encoded else {
            continue;
        };
        let name = format!("user{number:02}");
        app.create_user(&name, PASSWORD).await;
        app.database.execute(&format!(
            "UPDATE accounts_customuser SET password = '{encoded}', is_active = {}
              WHERE username = '{name}'",
            kind.is_active
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = program_on(&app.database, folder.path());
    command
        .env("PORTCULLIS_BIND", "127.0.0.1:0")
        .env("PORTCULLIS_THROTTLE", "off")
        .env("PORTCULLIS_LOG", "error")
        .env("PORTCULLIS_PASSWORD_HASHER", "bcrypt_sha256")
        .env("PORTCULLIS_PASSWORD_COST", "5");
    let serving = Serving::start_quietly(&mut command, "users");
    let mut client = Client::connect(serving.port);

    // A round to begin with, so that nothing is met for the first time.
    let mut times = vec![Vec::with_capacity(samples); kinds.len()];
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    for round in 0..=samples {
        order.shuffle(&mut rand::rng());
        for &number in &order {
            let kind = &kinds[number];
            let password = match (shows_difference, number) {
                // Good logins take their own time, and no more.
                (true, 2..8) => PASSWORD,
                _ => kind.password,
            };
            let (status, time) = client.log_in(&format!("user{number:02}"), password);
            let expected = if shows_difference && (2..8).contains(&number) {
                200
            } else {
                400
            };
            assert_eq!(status, expected, "{}", kind.name);
            if round > 0 {
                times[number].push(time);
            }
        }
    }
    report(&kinds, &times)
}

fn report(kinds: &[Kind], times: &[Vec<f64>]) -> ExitCode {
    let base = statistics::median(&times[0]);
    let p_values: Vec<f64> = times[1..]
        .iter()
        .map(|others| statistics::mann_whitney(&times[0], others))
        .collect();
    let corrected = statistics::holm(&p_values);
    println!("| refused login | median, ms | against the first | p | p, corrected |");
    println!("| --- | --- | --- | --- | --- |");
    println!("| {} | {base:.3} | | | |", kinds[0].name);
    let mut told_apart = 0;
    for (number, kind) in kinds.iter().enumerate().skip(1) {
        let median = statistics::median(&times[number]);
        let percent = (median - base) / base * 100.0;
        let (p, corrected) = (p_values[number - 1], corrected[number - 1]);
        let is_apart = percent.abs() >= PERCENT || corrected < P_VALUE;
        told_apart += usize::from(is_apart);
        let mark = if is_apart { " **told apart**" } else { "" };
        println!(
            "| {} | {median:.3} | {percent:+.2} %{mark} | {p:.3} | {corrected:.3} |",
            kind.name
        );
    }
    println!(
        "\n{} logins of each kind; {told_apart} kinds told apart",
        times[0].len()
    );
    if told_apart == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
