//! Logins whose hashing costs next to nothing, so that the writes show.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    Plan,
    logins::{Logins, Storm},
    report::{Report, Row},
    seed::{Content, Database, LEAST_COST, PBKDF2, System},
    server::Server,
    stats::{Spread, short},
};

/// One round.
struct Round {
    logins: Logins,
    /// Logins a second.
    rate: f64,
    /// The server's CPU for one login, microseconds.
    cpu: f64,
}

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let content = Content {
        hasher: PBKDF2,
        cost: LEAST_COST,
        ..Content::of(1000)
    };
    let database = Database::seed(work, "writes", System::Sqlite, &content)?;

    let mut locked = 0;
    let mut table = String::from(
        "| throttle | clients | logins/s | write jobs/s | p50 ms | p99 ms | slowest ms | server CPU µs a login | fsyncs a login | errors |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    // The throttle stores an attempt before the password is checked, so a login is two
    // jobs for the writer with it, and one without.
    for (throttle, jobs_a_login) in [("on", 2.0), ("off", 1.0)] {
        let settings = [
            PBKDF2,
            LEAST_COST,
            ("PORTCULLIS_HASH_QUEUE", "512"),
            ("PORTCULLIS_THROTTLE", throttle),
        ];
        let server = Server::start(work, &database.url, &settings)?;
        for clients in [1, 64, 256] {
            let mut rounds = Vec::new();
            for round in 0..=plan.rounds {
                eprintln!(
                    "writes: {clients} at once, throttle {throttle}, round {round} of {}",
                    plan.rounds
                );
                let measured = storm(&server, clients, if round == 0 { 1 } else { plan.seconds })?;
                if round > 0 {
                    rounds.push(measured);
                }
            }
            let fsyncs = fsyncs_a_login(&server, clients)?;
            let spread = |figure: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
            let rate = spread(&|r| r.rate);
            let jobs = spread(&|r| r.rate * jobs_a_login);
            let p99 = spread(&|r| r.logins.percentile(99.0));
            let cpu = spread(&|r| r.cpu);
            let errors: usize = rounds.iter().map(|r| r.logins.bad).sum();
            table += &format!(
                "| {throttle} | {clients} | {rate} | {jobs} | {} | {p99} | {} | {cpu} | {} | {errors} |\n",
                spread(&|r| r.logins.percentile(50.0)),
                spread(&|r| r.logins.percentile(100.0)),
                short(fsyncs),
            );
            let mut row = |what: &str, goal: &str, measured: String, met: bool| {
                report.row(Row {
                    what: format!("{what}; {clients} at once, throttle {throttle}"),
                    goal: goal.into(),
                    measured,
                    met: Some(met),
                });
            };
            if clients == 1 {
                row("fsyncs a login", "≤ 2", short(fsyncs), fsyncs <= 2.0);
                let millis = cpu.median / 1e3;
                row(
                    "CPU of a login without its hash, ms",
                    "< 1",
                    short(millis),
                    millis < 1.0,
                );
            } else {
                row(
                    "write jobs/s of logins",
                    "≥ 10000",
                    jobs.to_string(),
                    jobs.median >= 10_000.0,
                );
                row(
                    "p99 of these logins, ms",
                    "< 25",
                    p99.to_string(),
                    p99.median < 25.0,
                );
                row("logins that failed", "0", errors.to_string(), errors == 0);
            }
        }
        locked += server.logged(&["locked", "busy"])?;
    }
    report.section(
        "Writes: logins with PBKDF2 of one iteration, SQLite, 1,000 users",
        &table,
    );
    report.row(Row {
        what: "\"locked\" or \"busy\" in the log of all of these".into(),
        goal: "0".into(),
        measured: locked.to_string(),
        met: Some(locked == 0),
    });
    Ok(())
}

fn storm(server: &Server, clients: usize, seconds: u64) -> Result<Round> {
    let before = server.cpu_seconds()?;
    let storm = Storm::start(server.address, clients);
    thread::sleep(Duration::from_secs(seconds));
    let logins = storm.finish();
    let cpu = (server.cpu_seconds()? - before) * 1e6 / logins.good.len() as f64;
    let rate = logins.rate(1)?;
    Ok(Round { logins, rate, cpu })
}

/// Counted by strace, which slows everything down: a round of its own.
fn fsyncs_a_login(server: &Server, clients: usize) -> Result<f64> {
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-c",
            "-e",
            "trace=fsync,fdatasync",
            "-p",
            &server.pid().to_string(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("strace does not start")?;
    wait_until_traced(server.pid())?;
    let round = storm(server, clients, 1)?;
    // Told to stop, it prints its table.
    crate::seed::run(Command::new("kill").args(["-INT", &strace.id().to_string()]))?;
    let mut said = String::new();
    std::io::Read::read_to_string(&mut strace.stderr.take().context("no output")?, &mut said)?;
    strace.wait()?;
    // % time, seconds, usecs/call, calls, [errors], name
    let calls = said
        .lines()
        .filter(|line| line.ends_with("fsync") || line.ends_with("fdatasync"));
    let calls: f64 = calls
        .filter_map(|line| line.split_whitespace().nth(3)?.parse::<f64>().ok())
        .sum();
    Ok(calls / round.logins.good.len() as f64)
}

/// All threads have to be traced before the first login.
fn wait_until_traced(pid: u32) -> Result<()> {
    let all_traced = || -> Result<bool> {
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            if status.contains("TracerPid:\t0\n") {
                return Ok(false);
            }
        }
        Ok(true)
    };
    for _ in 0..1000 {
        if all_traced()? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("strace may not trace the server; run it as root, or allow ptrace")
}
