//! Checks by two binaries, round by round on the same database: `BENCH_AGAINST` names
//! the one to compare with, such as the release of the commit before.

use std::{env, path::Path};

use anyhow::{Context, Result};

use crate::{
    Plan,
    checks::thousands,
    load::{self, Load, Sample, Subject},
    report::{Report, Row},
    seed::{Content, Database, System},
    server::{self, Server},
    stats::Spread,
};

const SUBJECTS: [Subject; 5] = [
    load::BARE,
    load::TOKEN,
    load::SESSION,
    load::UNKNOWN_TOKEN,
    load::UNKNOWN_SESSION,
];

/// The rounds of every subject, by one binary.
type Samples = [Vec<Sample>; SUBJECTS.len()];

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let before = env::var("BENCH_AGAINST").context("BENCH_AGAINST names no binary")?;
    let binaries = [Path::new(&before).to_owned(), server::binary()];
    let sqlite = plan.sizes.iter().map(|users| (System::Sqlite, *users));
    for (system, users) in sqlite.chain([(System::Postgres, 1000)]) {
        let name = match system {
            System::Sqlite => "SQLite",
            System::Postgres => "PostgreSQL",
        };
        let title = format!("{name}, {} users", thousands(users));
        let folder = format!("compare-{name}-{users}").to_lowercase();
        let database = Database::seed(work, &folder, system, &Content::of(users))?;
        let mut servers = Vec::new();
        for binary in &binaries {
            servers.push(Server::start_binary(binary, work, &database.url, &[])?);
        }
        let mut samples: [Samples; 2] = Default::default();
        // Round 0 fills the caches, and does not count.
        for round in 0..=plan.rounds {
            eprintln!("{title}: round {round} of {}", plan.rounds);
            for (at, subject) in SUBJECTS.into_iter().enumerate() {
                let seconds = if round == 0 { 1 } else { plan.seconds };
                for (server, samples) in servers.iter().zip(&mut samples) {
                    let load = Load::of(seconds);
                    let sample = load.run(subject, &database, server.pid(), server.address)?;
                    if round > 0 {
                        samples[at].push(sample);
                    }
                }
            }
        }
        report.section(&format!("Before and now: {title}"), &table(&samples));
        goals(report, &title, system, &samples);
    }
    Ok(())
}

fn spread(samples: &Samples, subject: usize, figure: fn(&Sample) -> f64) -> Spread {
    Spread::of(samples[subject].iter().map(figure))
}

/// A figure of one subject against another's of the same round.
fn ratio(of: &[Sample], to: &[Sample], figure: fn(&Sample) -> f64) -> Spread {
    Spread::of(of.iter().zip(to).map(|(a, b)| figure(a) / figure(b)))
}

fn table(samples: &[Samples; 2]) -> String {
    let [before, now] = samples;
    let mut text = String::from(
        "| request | CPU µs before | now | now / before | x bare before | now | requests/s before | now | p99 ms before | now |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (at, subject) in SUBJECTS.iter().enumerate() {
        let pair = |figure: fn(&Sample) -> f64| {
            let [before, now] = samples.each_ref().map(|it| spread(it, at, figure));
            format!("{before} | {now}")
        };
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            subject.title,
            pair(|s| s.cpu),
            ratio(&now[at], &before[at], |s| s.cpu),
            ratio(&before[at], &before[0], |s| s.cpu),
            ratio(&now[at], &now[0], |s| s.cpu),
            pair(|s| s.rate),
            pair(|s| s.p99),
        );
    }
    text
}

fn goals(report: &mut Report, title: &str, system: System, [_, now]: &[Samples; 2]) {
    let mut row = |what: &str, goal: &str, spread: Spread, met: bool| {
        report.row(Row {
            what: format!("{what}, {title}"),
            goal: goal.into(),
            measured: spread.to_string(),
            met: Some(met),
        });
    };
    let [bare, token, session, unknown, _] = now;
    if system == System::Postgres {
        let rate = ratio(token, bare, |s| s.rate);
        row(
            "token check: throughput of bare",
            "≥ 0.40",
            rate,
            rate.median >= 0.40,
        );
        return;
    }
    for (what, samples, limit) in [("token", token, 1.8), ("session", session, 3.5)] {
        let cpu = ratio(samples, bare, |s| s.cpu);
        let goal = format!("≤ {limit}");
        row(
            &format!("{what} check: CPU against bare"),
            &goal,
            cpu,
            cpu.median <= limit,
        );
    }
    let unknown = ratio(unknown, token, |s| s.cpu);
    row(
        "unknown token: CPU against a good one",
        "≤ 1.2",
        unknown,
        unknown.median <= 1.2,
    );
}
