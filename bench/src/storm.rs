//! A login storm, and its effect on token checks.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    Plan,
    http::Client,
    logins::{self, Storm},
    plot, process,
    report::{Report, Row},
    seed::{Content, Database, System},
    server::Server,
    stats::{self, Spread},
};

const CHECKS_A_SECOND: f64 = 1000.0;
const CLIENTS: usize = 64;
/// Connections of the checks: so many may be late before the next has to wait.
const CONNECTIONS: usize = 64;

/// One token check of the open loop.
struct Check {
    /// Seconds from the start of the round to when it was to be sent.
    at: f64,
    /// From then to its answer.
    millis: f64,
}

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let (quiet, storm) = if plan.quick { (3, 6) } else { (10, 20) };
    let database = Database::seed(work, "storm", System::Sqlite, &Content::of(1000))?;
    // All clients fit in the queue, so none is refused.
    let server = Server::start(work, &database.url, &[("PORTCULLIS_HASH_QUEUE", "80")])?;
    let cores = thread::available_parallelism()?.get();

    let (mut alone, mut before, mut beside, mut during, mut rates, mut shares, mut used) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    let (spin, logins_from) = (quiet, 2 * quiet);
    let end = logins_from + storm;
    let mut by_second: Vec<Vec<f64>> = vec![Vec::new(); end];
    for round in 1..=plan.rounds {
        eprintln!("storm: round {round} of {}", plan.rounds);
        let hash = one_login(server.address, if plan.quick { 3 } else { 8 })?;
        let (checks, logins, spent) = thread::scope(|scope| {
            let checks = scope.spawn(|| check_tokens(server.address, &database, end as f64));
            // All begins at its time, not when something has happened.
            thread::sleep(Duration::from_secs(spin as u64));
            let spinners = Spinners::start(cores);
            thread::sleep(Duration::from_secs((logins_from - spin) as u64));
            drop(spinners);
            let spent = Spent::so_far(&server);
            let clients = Storm::start(server.address, CLIENTS);
            let checks = checks.join().expect("the checks panicked");
            (checks, clients.break_off(), spent)
        });
        let (checks, spent, now) = (checks?, spent?, Spent::so_far(&server)?);
        ensure!(
            logins.bad == 0,
            "{} logins of the storm were refused",
            logins.bad
        );
        // The last hashes run to their end; this one waits its turn behind them.
        one_login(server.address, 1)?;

        let of = |from: usize, to: usize| {
            let within = checks
                .iter()
                .filter(|c| c.at >= from as f64 && c.at < to as f64);
            stats::sorted(within.map(|c| c.millis))
        };
        for (second, p99s) in by_second.iter_mut().enumerate() {
            p99s.push(stats::percentile(&of(second, second + 1), 99.0));
        }
        before.push(of(0, spin));
        beside.push(of(spin, logins_from));
        during.push(of(logins_from, end));
        alone.push(hash);
        let rate = logins.rate(cores)?;
        rates.push(rate);
        let of_all = |seconds: f64| 100.0 * seconds / storm as f64 / cores as f64;
        used.push([
            of_all(now.hashing - spent.hashing),
            of_all(now.answering - spent.answering),
            of_all(now.asking - spent.asking),
        ]);
        shares.push(rate * hash / 1e3 / cores as f64);
    }

    let point = |rounds: &[Vec<f64>], percent: f64| {
        Spread::of(
            rounds
                .iter()
                .map(|sorted| stats::percentile(sorted, percent)),
        )
    };
    let against = |others: &[Vec<f64>]| {
        Spread::of(
            others
                .iter()
                .zip(&during)
                .map(|(o, d)| stats::percentile(d, 99.0) / stats::percentile(o, 99.0)),
        )
    };
    let ratio = against(&before);
    let p99 = point(&during, 99.0);
    let share = Spread::of(shares);
    let part = |which: usize| Spread::of(used.iter().map(|parts| parts[which]));
    report.section(
        "Login storm: 1,000 token checks a second, SQLite, 1,000 users",
        &format!(
            "{CLIENTS} clients log in without pause (bcrypt, cost 12), {logins_from} s after the checks began and for \
             {storm} s. A check's time counts from when it was to be sent. From second {spin} to {logins_from}, \
             while nobody logs in, {cores} programs of the lowest priority (nice 19) do nothing but spin: what \
             checks feel of these is the machine's doing, and no server can do better.\n\n\
             | token checks | p50 ms | p99 ms | p99.9 ms | slowest ms |\n| --- | --- | --- | --- | --- |\n\
             | without logins | {} | {} | {} | {} |\n| beside programs that spin | {} | {} | {} | {} |\n\
             | in the storm | {} | {} | {} | {} |\n\n\
             | logins | |\n| --- | --- |\n| a second, in the storm | {} |\n| one alone, ms | {} |\n| cores | {cores} |\n\
             | processor time in the storm, % of all: hashing | {} |\n| all else in the server | {} |\n\
             | the programs that ask and log in | {} |\n",
            point(&before, 50.0),
            point(&before, 99.0),
            point(&before, 99.9),
            point(&before, 100.0),
            point(&beside, 50.0),
            point(&beside, 99.0),
            point(&beside, 99.9),
            point(&beside, 100.0),
            point(&during, 50.0),
            p99,
            point(&during, 99.9),
            point(&during, 100.0),
            Spread::of(rates),
            Spread::of(alone),
            part(0),
            part(1),
            part(2),
        ),
    );
    report.row(Row {
        what: "token check p99 in a login storm, against without".into(),
        goal: "≤ 1.5".into(),
        measured: ratio.to_string(),
        met: Some(ratio.median <= 1.5),
    });
    report.row(Row {
        what: "the same, against programs that only spin".into(),
        goal: "–".into(),
        measured: against(&beside).to_string(),
        met: None,
    });
    report.row(Row {
        what: "the same, ms at 1,000 checks/s".into(),
        goal: "< 5".into(),
        measured: p99.to_string(),
        met: Some(p99.median < 5.0),
    });
    report.row(Row {
        what: "logins/s in the storm, of cores / time of one login alone".into(),
        goal: "≥ 0.95".into(),
        measured: share.to_string(),
        met: Some(share.median >= 0.95),
    });

    let seconds = |pick: fn(Spread) -> f64| {
        let points = by_second.iter().enumerate();
        points
            .map(|(second, p99s)| (second as f64, pick(Spread::of(p99s.iter().copied()))))
            .collect()
    };
    let lines = [
        plot::Line {
            title: "median of the rounds".into(),
            points: seconds(|s| s.median),
        },
        plot::Line {
            title: "worst round".into(),
            points: seconds(|s| s.max),
        },
    ];
    let title = format!(
        "p99 of token checks; others spin from second {spin}, {CLIENTS} clients log in from {logins_from}"
    );
    report.plot(
        "storm.svg",
        &title,
        ("seconds", "ms"),
        |x| format!("{x:.0}"),
        &lines,
    )
}

/// Seconds of CPU since the start.
struct Spent {
    hashing: f64,
    /// All else that the server does.
    answering: f64,
    /// This process, which is all of its clients.
    asking: f64,
}

impl Spent {
    fn so_far(server: &Server) -> Result<Self> {
        let hashing = process::thread_seconds(server.pid(), "hash-")?;
        Ok(Self {
            hashing,
            answering: process::thread_seconds(server.pid(), "")? - hashing,
            asking: process::cpu_seconds(std::process::id())? - process::cpu_seconds(server.pid())?,
        })
    }
}

/// Programs of the lowest priority that keep all processors busy; dropping the
/// value ends them.
struct Spinners(Vec<Child>);

impl Spinners {
    fn start(count: usize) -> Self {
        let spin = |_| {
            Command::new("nice")
                .args(["-n", "19", "sh", "-c", "while :; do :; done"])
                .spawn()
                .expect("nice and sh are there")
        };
        Self((0..count).map(spin).collect())
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Milliseconds of a login while nobody else logs in: the median of some.
pub fn one_login(address: SocketAddr, times: usize) -> Result<f64> {
    let mut client = Client::new(address);
    let logins: Result<Vec<_>> = (0..times)
        .map(|_| logins::log_in(&mut client, 1000))
        .collect();
    Ok(Spread::of(logins?.iter().map(|login| login.millis)).median)
}

/// Checks tokens at a fixed rate, however slow the answers are.
fn check_tokens(address: SocketAddr, database: &Database, seconds: f64) -> Result<Vec<Check>> {
    let next = AtomicU64::new(0);
    let start = Instant::now();
    // A thread a connection: the system wakes them more exactly than a runtime's
    // timers of a millisecond.
    thread::scope(|scope| {
        let connection = || -> Result<Vec<Check>> {
            let mut client = Client::new(address);
            let mut checks = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let at = number as f64 / CHECKS_A_SECOND;
                if at >= seconds {
                    return Ok(checks);
                }
                // All users in a scrambled order.
                let user = (number as usize).wrapping_mul(7919) % database.users + 1;
                let header = format!("Authorization: Token {}", database.token(user));
                let due = start + Duration::from_secs_f64(at);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let status = client.get("/api/v1/user/", &header)?.status;
                ensure!(status == 200, "a token check is answered {status}");
                checks.push(Check {
                    at,
                    millis: due.elapsed().as_secs_f64() * 1e3,
                });
            }
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(connection)).collect();
        let mut checks = Vec::new();
        for thread in threads {
            let of_one = thread.join().expect("a check panicked");
            checks.extend(of_one.context("the checks ended early")?);
        }
        Ok(checks)
    })
}
