//! Whether the time of a refused login tells who there is: 500 logins of each
//! kind, by turns in random order, over HTTP against the real program.
//!
//! Two kinds are told apart if the Mann-Whitney test says so (p under 0.01 after
//! Holm's correction), or if their medians differ by 2 % or more. It measures for
//! minutes and wants the machine for itself, so it is run by its name only:
//! `cargo test --test timing`, with `--release` for what is really served. A
//! disk only adds noise: `TMPDIR=/dev/shm` keeps the database in memory.
//!
//! Two controls say what the result is worth. A second name that nobody has must
//! not be told apart. The times of that name made longer by 2 % must be: if they
//! are not, the machine was too busy to see anything.
//!
//! - `TIMING_SAMPLES` sets another number of logins.
//! - `TIMING_COSTS=full` takes Django's costs instead of a small part of them;
//!   a login is then a second or more.
//! - `TIMING_SAME=off` lets some of them log in, who must be told apart.
//!
//! It fails if somebody is told apart, or if there is too much noise to say.

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

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use django_auth::password::{Algorithm, Hasher};
use rand::seq::SliceRandom;
use serde_json::json;
use support::app::{PASSWORD, TestApp};
use support::database::Backend;
use support::program::{Serving, program_on};

/// Least p-value, and largest difference of medians in percent, of two kinds
/// that cannot be told apart.
const P_VALUE: f64 = 0.01;
const PERCENT: f64 = 2.0;

/// As long as [`PASSWORD`]: what is sent is the same but for the name.
const WRONG: &str = "correct horse battery stable";

/// What the hashes cost, from Django's old ones to its new ones and beyond.
struct Costs {
    /// The second is the server's own.
    bcrypt: [u32; 3],
    pbkdf2: [u32; 3],
    /// KiB and lanes.
    argon2: (u32, u32),
    /// The binary logarithms of n.
    scrypt: [u32; 2],
}

const FULL: Costs = Costs {
    bcrypt: [10, 12, 13],
    pbkdf2: [260_000, 1_000_000, 1_500_000],
    argon2: (102_400, 8),
    scrypt: [13, 14],
};

/// They stand to each other much as the full ones do.
const SMALL: Costs = Costs {
    bcrypt: [4, 5, 6],
    pbkdf2: [3_467, 13_333, 20_000],
    argon2: (1024, 1),
    scrypt: [7, 8],
};

/// A kind of user: the password column, and whether the account is open.
struct Kind {
    name: String,
    encoded: Option<String>,
    is_active: bool,
    password: String,
    /// Whether [`PASSWORD`] is the right one, and all that is asked.
    opens: bool,
}

fn kinds(costs: &Costs) -> Vec<Kind> {
    let kind = |name: &str, encoded: Option<String>| Kind {
        name: name.to_owned(),
        encoded,
        is_active: true,
        password: WRONG.to_owned(),
        opens: false,
    };
    let text = |name: &str, encoded: &str| kind(name, Some(encoded.to_owned()));
    let hash = |algorithm, cost| {
        let hasher = Hasher::new(algorithm, Some(cost)).unwrap();
        hasher.make(PASSWORD, &mut rand::rng()).unwrap()
    };
    let hashed = |algorithm: Algorithm, cost| Kind {
        opens: true,
        ..kind(&format!("{algorithm}, {cost}"), Some(hash(algorithm, cost)))
    };
    let argon2 = |passes: u32| {
        let (memory, lanes) = costs.argon2;
        let parameters = format!("m={memory},t={passes},p={lanes}");
        // No password is known that fits.
        let encoded =
            format!("argon2$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo");
        kind(&format!("argon2, {parameters}"), Some(encoded))
    };
    let [_, preferred, _] = costs.bcrypt;
    let mut kinds = vec![
        kind("unknown", None),
        kind("unknown too", None),
        Kind {
            is_active: false,
            password: PASSWORD.to_owned(),
            ..text(
                "inactive, right password",
                &hash(Algorithm::BcryptSha256, preferred),
            )
        },
        Kind {
            password: WRONG.repeat(200),
            ..text(
                "password of 5,600 bytes",
                &hash(Algorithm::BcryptSha256, preferred),
            )
        },
        text("unusable", "!unusable"),
        text("empty", ""),
        text("unknown algorithm", "md5$salt$hash"),
        text("corrupt", "pbkdf2_sha256$20000$salt"),
        hashed(Algorithm::Bcrypt, preferred),
    ];
    kinds.extend(
        costs
            .bcrypt
            .map(|cost| hashed(Algorithm::BcryptSha256, cost)),
    );
    kinds.extend(
        costs
            .pbkdf2
            .map(|cost| hashed(Algorithm::Pbkdf2Sha256, cost)),
    );
    kinds.extend(costs.scrypt.map(|cost| hashed(Algorithm::Scrypt, cost)));
    kinds.extend([1, 2].map(argon2));
    kinds
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

#[test]
fn refused_logins_take_the_same_time() {
    let setting = |name: &str| std::env::var(name).ok();
    let samples = setting("TIMING_SAMPLES").map_or(500, |text| text.parse().unwrap());
    let shows_difference = setting("TIMING_SAME").is_some_and(|text| text == "off");
    let costs = match setting("TIMING_COSTS").as_deref() {
        Some("full") => &FULL,
        _ => &SMALL,
    };
    actix_web::rt::System::new().block_on(measure(samples, costs, shows_difference));
}

async fn measure(samples: usize, costs: &Costs, shows_difference: bool) {
    let mut kinds = kinds(costs);
    let app = TestApp::start(&Backend::Sqlite).await;
    for (number, kind) in kinds.iter_mut().enumerate() {
        // Good logins take their own time, and no more.
        kind.opens &= shows_difference;
        if kind.opens {
            kind.password = PASSWORD.to_owned();
        }
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
        .env("PORTCULLIS_PASSWORD_COST", costs.bcrypt[1].to_string());
    let serving = Serving::start_quietly(&mut command, "users");
    let mut client = Client::connect(serving.port);

    // A round to begin with, so that nothing is met for the first time.
    let mut times = vec![Vec::with_capacity(samples); kinds.len()];
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    for round in 0..=samples {
        order.shuffle(&mut rand::rng());
        for &number in &order {
            let kind = &kinds[number];
            let (status, time) = client.log_in(&format!("user{number:02}"), &kind.password);
            let expected = if kind.opens { 200 } else { 400 };
            assert_eq!(status, expected, "{}", kind.name);
            if round > 0 {
                times[number].push(time);
            }
        }
    }
    report(&kinds, &times);
}

fn report(kinds: &[Kind], times: &[Vec<f64>]) {
    let base = statistics::median(&times[0]);
    let p_values: Vec<f64> = times[1..]
        .iter()
        .map(|others| statistics::mann_whitney(&times[0], others))
        .collect();
    let corrected = statistics::holm(&p_values);
    let mut table = String::from(
        "| refused login | median, ms | against the first | p | p, corrected |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    writeln!(table, "| {} | {base:.3} | | | |", kinds[0].name).unwrap();
    let mut told_apart = 0;
    for (number, kind) in kinds.iter().enumerate().skip(1) {
        let median = statistics::median(&times[number]);
        let percent = (median - base) / base * 100.0;
        let (p, corrected) = (p_values[number - 1], corrected[number - 1]);
        let is_apart = percent.abs() >= PERCENT || corrected < P_VALUE;
        told_apart += usize::from(is_apart);
        let mark = if is_apart { " **told apart**" } else { "" };
        writeln!(
            table,
            "| {} | {median:.3} | {percent:+.2} %{mark} | {p:.3} | {corrected:.3} |",
            kind.name
        )
        .unwrap();
    }
    // The control, as strictly as Holm takes the first of them.
    let longer: Vec<f64> = times[1]
        .iter()
        .map(|time| time + base * PERCENT / 100.0)
        .collect();
    let p = statistics::mann_whitney(&times[0], &longer);
    let corrected = (p * p_values.len() as f64).min(1.0);
    let would_be_seen = corrected < P_VALUE;
    writeln!(
        table,
        "| *unknown too, and {PERCENT} %* | {:.3} | | {p:.3} | {corrected:.3} |",
        statistics::median(&longer)
    )
    .unwrap();
    writeln!(
        table,
        "\n{} logins of each kind; {told_apart} kinds told apart; {PERCENT} % more would {}be seen",
        times[0].len(),
        if would_be_seen { "" } else { "not " }
    )
    .unwrap();
    // Past the test's captured output: the table is wanted of good runs too.
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    assert_eq!(told_apart, 0, "kinds were told apart");
    assert!(would_be_seen, "there was too much noise to say");
}
