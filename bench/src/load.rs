//! One round of wrk against a server, with what it cost the server.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{process, seed};

/// A kind of request that `wrk.lua` makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Its name in wrk.lua.
    pub kind: &'static str,
    pub title: &'static str,
    /// What all of its answers must be.
    pub status: u16,
    pub keys: KeyFile,
    /// Only so many of the keys are used.
    pub active: Option<usize>,
}

/// Users who are there at the same time, out of many more.
pub const ACTIVE: usize = 50_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFile {
    None,
    Tokens,
    Sessions,
}

pub const BARE: Subject = Subject {
    kind: "bare",
    title: "bare handler, `/healthz`",
    status: 200,
    keys: KeyFile::None,
    active: None,
};
pub const TOKEN: Subject = Subject {
    kind: "token",
    title: "token check",
    status: 200,
    keys: KeyFile::Tokens,
    active: None,
};
pub const SESSION: Subject = Subject {
    kind: "session",
    title: "session check",
    status: 200,
    keys: KeyFile::Sessions,
    active: None,
};
pub const ACTIVE_TOKEN: Subject = Subject {
    title: "token check, 50,000 of the users",
    active: Some(ACTIVE),
    ..TOKEN
};
pub const ACTIVE_SESSION: Subject = Subject {
    title: "session check, 50,000 of the users",
    active: Some(ACTIVE),
    ..SESSION
};
pub const UNKNOWN_TOKEN: Subject = Subject {
    kind: "unknown-token",
    title: "unknown token",
    status: 401,
    keys: KeyFile::None,
    active: None,
};
pub const NEAR_TOKEN: Subject = Subject {
    kind: "near-token",
    title: "token with one digit changed",
    status: 401,
    keys: KeyFile::Tokens,
    active: None,
};
pub const UNKNOWN_SESSION: Subject = Subject {
    kind: "unknown-session",
    title: "unknown session",
    status: 401,
    keys: KeyFile::None,
    active: None,
};

/// What one round measured.
#[derive(Clone, Copy)]
pub struct Sample {
    /// The server's own CPU for one request, microseconds.
    pub cpu: f64,
    /// Requests a second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// How hard wrk works.
#[derive(Clone, Copy)]
pub struct Load {
    pub threads: usize,
    pub connections: usize,
    pub seconds: u64,
}

impl Load {
    /// That of every round on our server.
    pub fn of(seconds: u64) -> Self {
        Self {
            threads: 2,
            connections: 64,
            seconds,
        }
    }

    /// Runs one round against the process `pid`; every answer must be the
    /// subject's.
    pub fn run(
        self,
        subject: Subject,
        database: &seed::Database,
        pid: u32,
        address: SocketAddr,
    ) -> Result<Sample> {
        let before = process::cpu_seconds(pid)?;
        let mut command = Command::new("wrk");
        command
            .args([
                format!("-t{}", self.threads),
                format!("-c{}", self.connections),
            ])
            .args([&format!("-d{}s", self.seconds), "-s", "wrk.lua"])
            .args([&format!("http://{address}"), "--", subject.kind]);
        match subject.keys {
            KeyFile::None => &mut command,
            KeyFile::Tokens => command.arg(database.token_file()),
            KeyFile::Sessions => command.arg(database.session_file()),
        };
        command.args(subject.active.map(|count| count.to_string()));
        let output = seed::run(&mut command)?;
        let cpu = process::cpu_seconds(pid)? - before;

        let line = output
            .lines()
            .find_map(|line| line.strip_prefix("MEASURED "));
        let numbers: Option<Vec<f64>> =
            line.and_then(|line| line.split(' ').map(|n| n.parse().ok()).collect());
        let numbers = numbers.with_context(|| format!("wrk says: {output}"))?;
        let &[requests, micros, p50, p99, refused, failed] = numbers.as_slice() else {
            anyhow::bail!("wrk says: {output}");
        };
        let expected = if subject.status < 400 { 0.0 } else { requests };
        ensure!(
            requests > 0.0 && failed == 0.0,
            "{}: {failed} requests without an answer",
            subject.title
        );
        ensure!(
            refused == expected,
            "{}: {refused} of {requests} answers are errors, and {expected} should be",
            subject.title
        );
        Ok(Sample {
            cpu: cpu * 1e6 / requests,
            rate: requests * 1e6 / micros,
            p50: p50 / 1e3,
            p99: p99 / 1e3,
        })
    }
}

/// Whether the server in front of `path` answers this subject as it should, and
/// with what; a look before thousands are sent.
pub fn probe(address: SocketAddr, subject: Subject, database: &seed::Database) -> Result<()> {
    let mut client = crate::http::Client::new(address);
    let user = database.users / 2 + 1;
    let (path, header) = match subject.kind {
        "bare" => ("/healthz", String::new()),
        "token" => (
            "/api/v1/user/",
            format!("Authorization: Token {}", database.token(user)),
        ),
        "session" => (
            "/api/v1/user/",
            format!("Cookie: sessionid={}", database.session(user)),
        ),
        "unknown-session" => (
            "/api/v1/user/",
            format!("Cookie: sessionid={}", "a".repeat(32)),
        ),
        _ => (
            "/api/v1/user/",
            format!("Authorization: Token {}", "a".repeat(40)),
        ),
    };
    let answer = client.get(path, &header)?;
    let whose = subject.status != 200
        || subject == BARE
        || answer
            .body
            .contains(&format!("\"username\":\"bench{user}\""));
    ensure!(
        answer.status == subject.status && whose,
        "{}: the answer is {} {}",
        subject.title,
        answer.status,
        answer.body
    );
    Ok(())
}
