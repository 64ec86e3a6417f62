//! What users cost: measured on a database of a million, computed for others, and
//! the model of waits checked against a real server.

use std::{
    collections::BinaryHeap,
    net::SocketAddr,
    path::Path,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Plan,
    checks::thousands,
    http::Client,
    load::{self, Load},
    logins::{self, Storm},
    process,
    report::Report,
    seed::{BCRYPT, Content, Database, LEAST_COST, PBKDF2, System},
    server::Server,
    stats::{self, short},
    storm,
};

/// What each user does on a day, and how much more there is at the busiest time
/// than on average.
const LOGINS_A_DAY: f64 = 1.0;
const CHECKS_A_DAY: f64 = 200.0;
const PEAK: f64 = 4.0;
/// How busy processors may be at the busiest time.
const BUSY: f64 = 0.7;
const QUEUE: usize = 64;

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let users = if plan.quick { 10_000 } else { 1_000_000 };
    let sqlite = sizes_on_sqlite(work, users)?;
    let database = Database::seed(
        work,
        "capacity",
        System::Postgres,
        &Content {
            hasher: PBKDF2,
            cost: LEAST_COST,
            ..Content::of(users)
        },
    )?;
    let postgres = sizes_on_postgres(&database)?;
    let title = format!("Bytes a row, of {} users", thousands(users));
    report.section(&title, &table_of_sizes(&sqlite, &postgres, users));
    let costs = costs(plan, work, &database)?;
    let title = format!("Cost of a request, PostgreSQL, {} users", thousands(users));
    report.section(&title, &table_of_costs(&costs));
    drop(database);
    report.section(
        "Waiting for a hash: computed and measured",
        &waits(plan, work)?,
    );
    let a_user = postgres.iter().map(|(_, bytes)| bytes).sum::<f64>() / users as f64;
    let hash = hash_seconds(plan, work)?;
    report.section("What users cost", &forecast(&costs, a_user, hash));
    Ok(())
}

/// The time of a login with the default settings and a core to itself.
fn hash_seconds(plan: &Plan, work: &Path) -> Result<f64> {
    let database = Database::seed(work, "hash", System::Sqlite, &Content::of(1000))?;
    let server = Server::start(work, &database.url, &[])?;
    Ok(storm::one_login(server.address, if plan.quick { 3 } else { 20 })? / 1e3)
}

/// Names of tables and indexes, and their bytes.
type Sizes = Vec<(String, f64)>;

fn parse_sizes(text: &str) -> Result<Sizes> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, bytes) = line.split_once('|').context("no size")?;
            Ok((name.to_owned(), bytes.parse()?))
        })
        .collect()
}

const LARGE: &str = "('accounts_customuser', 'authtoken_token', 'django_session')";

fn sizes_on_sqlite(work: &Path, users: usize) -> Result<Sizes> {
    let database = Database::seed(work, "capacity-sqlite", System::Sqlite, &Content::of(users))?;
    parse_sizes(&database.sql(&format!(
        "SELECT d.name, sum(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
         WHERE s.tbl_name IN {LARGE} GROUP BY d.name ORDER BY s.tbl_name, s.type DESC, d.name"
    ))?)
}

fn sizes_on_postgres(database: &Database) -> Result<Sizes> {
    parse_sizes(&database.sql(&format!(
        "SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c
         LEFT JOIN pg_index i ON i.indexrelid = c.oid
         WHERE coalesce(i.indrelid, c.oid) IN
             (SELECT oid FROM pg_class WHERE relname IN {LARGE})
         ORDER BY coalesce(i.indrelid, c.oid), i.indrelid IS NOT NULL, c.relname"
    ))?)
}

fn table_of_sizes(sqlite: &Sizes, postgres: &Sizes, users: usize) -> String {
    let mut text =
        String::from("| database | table or index | bytes a row |\n| --- | --- | --- |\n");
    for (database, sizes) in [("SQLite", sqlite), ("PostgreSQL", postgres)] {
        for (name, bytes) in sizes {
            text += &format!("| {database} | `{name}` | {:.0} |\n", bytes / users as f64);
        }
        let all: f64 = sizes.iter().map(|(_, bytes)| bytes).sum();
        text += &format!("| {database} | all of them | {:.0} |\n", all / users as f64);
    }
    text
}

/// Of one kind of request.
struct Cost {
    what: &'static str,
    /// Microseconds of processor: ours, and PostgreSQL's.
    server: f64,
    postgres: f64,
    /// Transactions, and bytes that PostgreSQL writes to its log.
    transactions: f64,
    log: f64,
}

/// What PostgreSQL has done so far.
struct Work {
    seconds: f64,
    transactions: f64,
    log: f64,
}

impl Work {
    fn of(database: &Database) -> Result<Self> {
        let pid = database.sql("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")?;
        // Sessions tell what they did once they have been idle for a second.
        thread::sleep(Duration::from_millis(1500));
        let said = database.sql(
            "SELECT xact_commit + xact_rollback || '|' || pg_current_wal_lsn() - '0/0'
             FROM pg_stat_database WHERE datname = current_database()",
        )?;
        let (transactions, log) = said.trim().split_once('|').context("no figures")?;
        Ok(Self {
            seconds: process::cpu_seconds(pid.trim().parse()?)?,
            transactions: transactions.parse()?,
            log: log.parse()?,
        })
    }
}

fn costs(plan: &Plan, work: &Path, database: &Database) -> Result<Vec<Cost>> {
    let settings = [PBKDF2, LEAST_COST];
    let server = Server::start(work, &database.url, &settings)?;
    let seconds = if plan.quick { 2 } else { 10 };
    let mut costs = Vec::new();
    let mut measure = |what, round: &dyn Fn() -> Result<f64>| -> Result<()> {
        round()?;
        let (before, ours) = (Work::of(database)?, server.cpu_seconds()?);
        let requests = round()?;
        let (after, ours) = (Work::of(database)?, server.cpu_seconds()? - ours);
        costs.push(Cost {
            what,
            server: ours * 1e6 / requests,
            postgres: (after.seconds - before.seconds) * 1e6 / requests,
            transactions: (after.transactions - before.transactions) / requests,
            log: (after.log - before.log) / requests,
        });
        Ok(())
    };
    for (what, subject) in [
        ("token check", load::TOKEN),
        ("session check", load::SESSION),
    ] {
        measure(what, &|| {
            let load = Load::of(seconds);
            let sample = load.run(subject, database, server.pid(), server.address)?;
            Ok(sample.rate * seconds as f64)
        })?;
    }
    measure("login, without its hash", &|| {
        let storm = Storm::start(server.address, 64);
        thread::sleep(Duration::from_secs(seconds));
        let logins = storm.finish();
        ensure!(logins.bad == 0, "{} logins failed", logins.bad);
        Ok(logins.good.len() as f64)
    })?;
    Ok(costs)
}

fn table_of_costs(costs: &[Cost]) -> String {
    let mut text = String::from(
        "| request | our CPU, µs | PostgreSQL's CPU, µs | transactions | bytes in its log |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for cost in costs {
        let figures = [cost.server, cost.postgres, cost.transactions, cost.log].map(short);
        text += &format!("| {} | {} |\n", cost.what, figures.join(" | "));
    }
    text
}

/// Seconds that logins take, sorted, and how many are refused, if `rate` of them come
/// each second, at random times, and a hash takes `hash` seconds.
fn simulate(seed: u64, rate: f64, hash: f64, threads: usize, logins: usize) -> (Vec<f64>, usize) {
    let mut random = StdRng::seed_from_u64(seed);
    // When each thread, and each place in the queue, is free again; the soonest first.
    let mut free: BinaryHeap<std::cmp::Reverse<u64>> =
        (0..threads).map(|_| std::cmp::Reverse(0)).collect();
    let mut begins: std::collections::VecDeque<u64> = std::collections::VecDeque::new();
    let (mut now, mut taken, mut refused) = (0.0, Vec::new(), 0);
    for _ in 0..logins {
        now -= (1.0 - random.random::<f64>()).ln() / rate;
        let nanos = (now * 1e9) as u64;
        while begins.front().is_some_and(|begin| *begin <= nanos) {
            begins.pop_front();
        }
        if begins.len() >= QUEUE {
            refused += 1;
            continue;
        }
        let std::cmp::Reverse(soonest) = free.pop().expect("a thread");
        let begin = soonest.max(nanos);
        let end = begin + (hash * 1e9) as u64;
        free.push(std::cmp::Reverse(end));
        if begin > nanos {
            begins.push_back(begin);
        }
        taken.push((end - nanos) as f64 / 1e9);
    }
    taken.sort_by(f64::total_cmp);
    (taken, refused)
}

/// A hash that takes long enough to count, and briefly enough to count many.
const CHECKED_COST: (&str, &str) = ("PORTCULLIS_PASSWORD_COST", "9");

fn waits(plan: &Plan, work: &Path) -> Result<String> {
    let users = 1000;
    let content = Content {
        hasher: BCRYPT,
        cost: CHECKED_COST,
        ..Content::of(users)
    };
    let database = Database::seed(work, "waits", System::Sqlite, &content)?;
    let threads = thread::available_parallelism()?.get();
    let server = Server::start(work, &database.url, &[BCRYPT, CHECKED_COST])?;
    // All threads at once, as they work at the busiest time.
    let storm = Storm::start(server.address, threads);
    thread::sleep(Duration::from_secs(if plan.quick { 2 } else { 10 }));
    let hash = threads as f64 / storm.finish().rate(threads)?;
    let seconds = if plan.quick { 5.0 } else { 40.0 };
    let mut text = format!(
        "{threads} threads, a login of {} ms (bcrypt, cost 9), {QUEUE} places to wait, SQLite. Logins come at \
         random times.\n\n\
         | of what the threads can do | logins/s | p50 ms: computed, measured | p99 ms: computed, measured \
         | refused: computed, measured |\n| --- | --- | --- | --- | --- |\n",
        short(hash * 1e3),
    );
    for share in [0.3, 0.5, BUSY, 1.5] {
        let rate = share * threads as f64 / hash;
        let logins = (rate * seconds) as usize;
        let (computed, refused) = simulate(1, rate, hash, threads, logins * 20);
        let (measured, turned_away) = come_at_random(server.address, users, rate, logins)?;
        let millis = |sorted: &[f64], percent| short(stats::percentile(sorted, percent) * 1e3);
        text += &format!(
            "| {:.0} % | {} | {}, {} | {}, {} | {:.1} %, {:.1} % |\n",
            share * 100.0,
            short(rate),
            millis(&computed, 50.0),
            millis(&measured, 50.0),
            millis(&computed, 99.0),
            millis(&measured, 99.0),
            refused as f64 / (logins * 20) as f64 * 100.0,
            turned_away as f64 / logins as f64 * 100.0,
        );
    }
    Ok(text)
}

/// Logs users in at random times, however many wait; the seconds that the admitted
/// logins took, sorted, and how many were refused.
fn come_at_random(
    address: SocketAddr,
    users: usize,
    rate: f64,
    logins: usize,
) -> Result<(Vec<f64>, usize)> {
    let mut random = StdRng::seed_from_u64(2);
    let mut at = 0.0;
    let times: Vec<f64> = (0..logins)
        .map(|_| {
            at -= (1.0 - random.random::<f64>()).ln() / rate;
            at
        })
        .collect();
    let next = Mutex::new(times.into_iter().enumerate());
    let start = Instant::now();
    // More than can be in the server at once, so that there is always a free client.
    let clients = QUEUE * 2;
    let outcomes: Vec<Option<f64>> = thread::scope(|scope| {
        let client = || {
            let mut client = Client::new(address);
            let mut outcomes = Vec::new();
            loop {
                let Some((number, time)) = next.lock().expect("no panic").next() else {
                    return outcomes;
                };
                let due = start + Duration::from_secs_f64(time);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let login = logins::log_in(&mut client, number % users + 1);
                outcomes.push(login.is_ok().then(|| due.elapsed().as_secs_f64()));
            }
        };
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let all = threads.into_iter();
        all.flat_map(|thread| thread.join().expect("a client panicked"))
            .collect()
    });
    let refused = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    Ok((stats::sorted(outcomes.into_iter().flatten()), refused))
}

fn forecast(costs: &[Cost], bytes_a_user: f64, hash: f64) -> String {
    let of = |what: &str, figure: fn(&Cost) -> f64| {
        let cost = costs.iter().find(|cost| cost.what.starts_with(what));
        cost.map(figure).unwrap_or_default() / 1e6
    };
    let mut text = format!(
        "Each user logs in {LOGINS_A_DAY} times a day and is asked for {CHECKS_A_DAY} times, by token; at the \
         busiest time there is {PEAK} times the average; processors are then busy for {:.0} %. A hash \
         takes {hash:.3} s of one core.\n\n\
         | users | logins/s | checks/s | cores that hash | cores that answer | cores for PostgreSQL \
         | transactions/s | log, MB/s | tables, GB | wait for a hash, p99 ms |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        BUSY * 100.0,
    );
    for users in [1e3, 1e6, 1e8] {
        let logins = users * LOGINS_A_DAY * PEAK / 86_400.0;
        let checks = users * CHECKS_A_DAY * PEAK / 86_400.0;
        let sum =
            |figure: fn(&Cost) -> f64| logins * of("login", figure) + checks * of("token", figure);
        let hashing = logins * hash / BUSY;
        let threads = (hashing.ceil() as usize).max(2);
        let (taken, _) = simulate(3, logins, hash, threads, 200_000);
        let waiting = (stats::percentile(&taken, 99.0) - hash).max(0.0);
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |\n",
            thousands(users as usize),
            short(logins),
            short(checks),
            short(hashing),
            short(sum(|c| c.server) / BUSY),
            short(sum(|c| c.postgres) / BUSY),
            short(sum(|c| c.transactions) * 1e6),
            short(sum(|c| c.log)),
            short(users * bytes_a_user / 1e9),
            waiting * 1e3,
        );
    }
    text
}
