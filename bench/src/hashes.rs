//! How long a password takes to verify, in the server and in Python.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    Plan,
    http::Client,
    logins, process,
    report::{Report, Row},
    seed::{self, BCRYPT, BCRYPT_COST, Content, Database, PBKDF2, PBKDF2_COST, System},
    server::{Server, Setting},
    stats::Spread,
};

/// Hashers at Django's default costs, and how much faster than Python they are to
/// be.
const HASHERS: [(Setting, Setting, f64); 4] = [
    (BCRYPT, BCRYPT_COST, 1.0),
    (PBKDF2, PBKDF2_COST, 2.5),
    (
        ("PORTCULLIS_PASSWORD_HASHER", "scrypt"),
        ("PORTCULLIS_PASSWORD_COST", "14"),
        1.0,
    ),
    (
        ("PORTCULLIS_PASSWORD_HASHER", "argon2"),
        ("PORTCULLIS_PASSWORD_COST", "2"),
        1.0,
    ),
];

/// Milliseconds of one verification.
#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    cpu: f64,
}

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let times = if plan.quick { 2 } else { 5 };
    let mut table = String::from(
        "Ours is the wall time of a whole login while nobody else logs in, and the CPU of its hash thread. \
         Python's is its library's alone, without Django.\n\n\
         | hasher | ours, wall ms | CPU ms | Python's, wall ms | CPU ms | faster by wall | by CPU |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (hasher, cost, limit) in HASHERS {
        let name = hasher.1;
        let content = Content {
            hasher,
            cost,
            ..Content::of(1)
        };
        let database = Database::seed(work, &format!("hash-{name}"), System::Sqlite, &content)?;
        // Python is not nice either.
        let settings = [hasher, cost, ("PORTCULLIS_HASH_NICE", "0")];
        let server = Server::start(work, &database.url, &settings)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=plan.rounds {
            eprintln!("{name}: round {round} of {}", plan.rounds);
            ours.push(by_logins(&server, times)?);
            theirs.push(by_python(name, times)?);
        }
        let spread =
            |times: &[Time], figure: fn(&Time) -> f64| Spread::of(times.iter().map(figure));
        let faster = |figure: fn(&Time) -> f64| {
            Spread::of(ours.iter().zip(&theirs).map(|(o, t)| figure(t) / figure(o)))
        };
        let (wall, cpu) = (faster(|t| t.wall), faster(|t| t.cpu));
        table += &format!(
            "| {name} | {} | {} | {} | {} | {wall} | {cpu} |\n",
            spread(&ours, |t| t.wall),
            spread(&ours, |t| t.cpu),
            spread(&theirs, |t| t.wall),
            spread(&theirs, |t| t.cpu),
        );
        // Argon2 uses several cores at once in Python; the others one, so that
        // their CPU is their time on an idle machine.
        let (by, speed) = if name == "argon2" {
            ("wall", wall)
        } else {
            ("CPU", cpu)
        };
        report.row(Row {
            what: format!("verify speed against CPython's library, {name}, by {by}"),
            goal: format!("≥ {limit}"),
            measured: speed.to_string(),
            met: Some(speed.median >= limit),
        });
    }
    report.section("One password", &table);
    Ok(())
}

fn by_logins(server: &Server, times: usize) -> Result<Time> {
    let mut client = Client::new(server.address);
    let before = process::thread_seconds(server.pid(), "hash-")?;
    let walls: Result<Vec<f64>> = (0..times)
        .map(|_| Ok(logins::log_in(&mut client, 1)?.millis))
        .collect();
    let cpu = process::thread_seconds(server.pid(), "hash-")? - before;
    Ok(Time {
        wall: Spread::of(walls?).median,
        cpu: cpu * 1e3 / times as f64,
    })
}

fn by_python(hasher: &str, times: usize) -> Result<Time> {
    let said = seed::run(Command::new(process::python()?).args([
        "django/verify.py",
        hasher,
        &times.to_string(),
    ]))?;
    let numbers = said
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    let [wall, cpu] = numbers[..] else {
        return Err(anyhow::anyhow!("{said}")).context("verify.py says");
    };
    Ok(Time { wall, cpu })
}
