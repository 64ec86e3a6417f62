//! Django REST framework beside us: the same requests on the same database.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    Plan, hashes,
    keys::Storage,
    load::{self, Load, Sample},
    logins::Storm,
    process,
    report::{Report, Row},
    seed::{self, Content, Database, PBKDF2, PBKDF2_COST, System},
    server::{SECRET, Server},
    stats::{Spread, short},
};

const CLIENTS: usize = 8;

/// Of one of the two.
#[derive(Default)]
struct Side {
    token: Vec<Sample>,
    session: Vec<Sample>,
    logins: Vec<f64>,
    /// Milliseconds of CPU.
    login_cpu: Vec<f64>,
}

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let storage = ("PORTCULLIS_STORAGE", Storage::Django.name());
    let content = Content {
        storage: Storage::Django,
        hasher: PBKDF2,
        cost: PBKDF2_COST,
        ..Content::of(1000)
    };
    let database = Database::seed(work, "django", System::Sqlite, &content)?;
    let ours = Server::start(work, &database.url, &[storage, PBKDF2, PBKDF2_COST])?;
    let theirs = Gunicorn::start(&database.file())?;
    let servers = [
        (ours.pid(), ours.address),
        (theirs.child.id(), theirs.address),
    ];
    for (_, address) in servers {
        load::probe(address, load::TOKEN, &database)?;
        load::probe(address, load::SESSION, &database)?;
    }
    let login_seconds = if plan.quick { 4 } else { 15 };
    let mut sides = [Side::default(), Side::default()];
    for round in 1..=plan.rounds {
        eprintln!("django: round {round} of {}", plan.rounds);
        let load = Load {
            threads: 1,
            connections: CLIENTS,
            seconds: plan.seconds,
        };
        for ((pid, address), side) in servers.into_iter().zip(&mut sides) {
            side.token
                .push(load.run(load::TOKEN, &database, pid, address)?);
        }
        for ((pid, address), side) in servers.into_iter().zip(&mut sides) {
            side.session
                .push(load.run(load::SESSION, &database, pid, address)?);
        }
        for ((pid, address), side) in servers.into_iter().zip(&mut sides) {
            let before = process::cpu_seconds(pid)?;
            let storm = Storm::start(address, CLIENTS);
            thread::sleep(Duration::from_secs(login_seconds));
            let logins = storm.finish();
            ensure!(logins.bad == 0, "{} logins failed at {address}", logins.bad);
            let used = (process::cpu_seconds(pid)? - before) * 1e3;
            side.login_cpu.push(used / logins.good.len() as f64);
            side.logins
                .push(logins.rate(thread::available_parallelism()?.get())?);
        }
    }
    describe(
        report,
        &sides,
        process::memory(ours.pid())?,
        theirs.memory()?,
    );
    drop(theirs);
    drop(ours);
    hashes::run(plan, work, report)
}

fn describe(
    report: &mut Report,
    [ours, theirs]: &[Side; 2],
    our_memory: process::Memory,
    their_memory: f64,
) {
    let mut table = format!(
        "gunicorn with 2 sync workers and keep-alive, `wrk -t1 -c{CLIENTS}`, {CLIENTS} clients that log in.\n\n\
         | | ours | Django's | ratio |\n| --- | --- | --- | --- |\n"
    );
    let mut line = |what: &str, ours: &[f64], theirs: &[f64], more_is_better: bool| {
        let rounds = ours.iter().zip(theirs);
        let ratio = Spread::of(rounds.map(|(o, t)| if more_is_better { o / t } else { t / o }));
        let [ours, theirs] = [ours, theirs].map(|values| Spread::of(values.iter().copied()));
        table += &format!("| {what} | {ours} | {theirs} | {ratio} |\n");
        ratio
    };
    let figure =
        |samples: &[Sample], of: fn(&Sample) -> f64| samples.iter().map(of).collect::<Vec<_>>();
    let mut ratios = Vec::new();
    for (what, o, t) in [
        ("token check", &ours.token, &theirs.token),
        ("session check", &ours.session, &theirs.session),
    ] {
        ratios.push(line(
            &format!("{what}, CPU µs"),
            &figure(o, |s| s.cpu),
            &figure(t, |s| s.cpu),
            false,
        ));
        line(
            &format!("{what}, requests/s"),
            &figure(o, |s| s.rate),
            &figure(t, |s| s.rate),
            true,
        );
        line(
            &format!("{what}, p99 ms"),
            &figure(o, |s| s.p99),
            &figure(t, |s| s.p99),
            false,
        );
    }
    ratios.push(line(
        "logins/s, PBKDF2 of 1,000,000",
        &ours.logins,
        &theirs.logins,
        true,
    ));
    line("login, CPU ms", &ours.login_cpu, &theirs.login_cpu, false);
    table += &format!(
        "| resident memory after all that, MB | {} | {} | |\n",
        short(our_memory.resident),
        short(their_memory)
    );
    report.section("Beside Django REST framework, SQLite, 1,000 users", &table);

    let goals = [
        ("a token check against Django's, times less CPU", 100.0),
        ("a session check against Django's, times less CPU", 80.0),
        ("logins/s against Django's, PBKDF2", 2.5),
    ];
    for ((what, limit), ratio) in goals.into_iter().zip(ratios) {
        report.row(Row {
            what: what.into(),
            goal: format!("≥ {limit}"),
            measured: ratio.to_string(),
            met: Some(ratio.median >= limit),
        });
    }
}

/// gunicorn with the app of `bench/django`; dropping it ends it.
struct Gunicorn {
    child: Child,
    /// Stays open: it may still write.
    _log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Gunicorn {
    fn start(database: &Path) -> Result<Self> {
        let mut child = Command::new(process::python()?)
            .args([
                "-m",
                "gunicorn",
                "--workers",
                "2",
                "--bind",
                "127.0.0.1:0",
                "project.wsgi",
            ])
            .current_dir("django")
            .env("DJANGO_SETTINGS_MODULE", "project.settings")
            .env("BENCH_SECRET_KEY", SECRET)
            .env("BENCH_DATABASE", database)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("gunicorn does not start")?;
        let mut log = BufReader::new(child.stderr.take().context("no log to read")?);
        let mut said = String::new();
        let address = loop {
            let from = said.len();
            ensure!(log.read_line(&mut said)? > 0, "gunicorn ended: {said}");
            if let Some((_, rest)) = said[from..].split_once("Listening at: http://") {
                break rest.split(' ').next().unwrap_or(rest).trim().parse()?;
            }
        };
        Ok(Self {
            child,
            _log: log,
            address,
        })
    }

    /// Resident megabytes of the master and its workers.
    fn memory(&self) -> Result<f64> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let mut sum = process::memory(pid)?.resident;
        for child in children.split_whitespace() {
            sum += process::memory(child.parse()?)?.resident;
        }
        Ok(sum)
    }
}

impl Drop for Gunicorn {
    fn drop(&mut self) {
        // Asked, not killed: it takes its workers along.
        let pid = self.child.id().to_string();
        if let Err(error) = seed::run(Command::new("kill").arg(&pid)) {
            eprintln!("gunicorn, process {pid}, could not be ended: {error:#}");
        }
        let _ = self.child.wait();
    }
}
