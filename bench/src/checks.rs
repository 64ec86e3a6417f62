//! What a token check and a session check cost, against the bare handler.

use std::path::Path;

use anyhow::Result;

use crate::{
    Plan,
    load::{self, Load, Sample, Subject},
    plot,
    report::{Report, Row},
    seed::{Content, Database, System},
    server::Server,
    stats::Spread,
};

const SUBJECTS: [Subject; 8] = [
    load::BARE,
    load::TOKEN,
    load::SESSION,
    load::ACTIVE_TOKEN,
    load::ACTIVE_SESSION,
    load::UNKNOWN_TOKEN,
    load::NEAR_TOKEN,
    load::UNKNOWN_SESSION,
];

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let mut curves = Vec::new();
    for &users in &plan.sizes {
        let samples = measure(plan, work, System::Sqlite, users)?;
        let title = format!("SQLite, {} users", thousands(users));
        report.section(&format!("Checks: {title}"), &table(&samples));
        goals(report, &title, &samples);
        curves.push((users, samples));
    }
    if curves.len() > 1 {
        draw(report, &curves)?;
    }
    let samples = measure(plan, work, System::Postgres, 1000)?;
    report.section("Checks: PostgreSQL, 1,000 users", &table(&samples));
    let fresh = ratio(&samples, &load::TOKEN, |s| s.rate);
    report.row(Row {
        what: "token check, PostgreSQL, always fresh: throughput of bare".into(),
        goal: "≥ 0.35".into(),
        measured: fresh.to_string(),
        met: Some(fresh.median >= 0.35),
    });
    Ok(())
}

/// The rounds of every subject, in the order of [`SUBJECTS`]; none of those that
/// would be the same as another on so few users.
type Samples = Vec<Vec<Sample>>;

fn measure(plan: &Plan, work: &Path, system: System, users: usize) -> Result<Samples> {
    let name = format!(
        "{}-{users}",
        if system == System::Sqlite {
            "sqlite"
        } else {
            "postgres"
        }
    );
    let database = Database::seed(work, &name, system, &Content::of(users))?;
    let server = Server::start(work, &database.url, &[])?;
    for subject in SUBJECTS {
        load::probe(server.address, subject, &database)?;
    }
    let mut samples = vec![Vec::new(); SUBJECTS.len()];
    // Round 0 fills the caches, and counts for nothing.
    for round in 0..=plan.rounds {
        eprintln!("{name}: round {round} of {}", plan.rounds);
        for (subject, samples) in SUBJECTS.into_iter().zip(&mut samples) {
            if subject.active.is_some_and(|active| active >= users) {
                continue;
            }
            let seconds = match round {
                // Until all of them have been asked for more than once.
                0 if subject.active.is_some() => 15,
                0 => 1,
                _ => plan.seconds,
            };
            let sample = Load::of(seconds).run(subject, &database, server.pid(), server.address)?;
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    Ok(samples)
}

/// A figure of one subject against the bare handler's of the same round.
fn ratio(samples: &Samples, subject: &Subject, figure: impl Fn(&Sample) -> f64) -> Spread {
    Spread::of(
        of(samples, subject)
            .iter()
            .zip(of(samples, &load::BARE))
            .map(|(s, b)| figure(s) / figure(b)),
    )
}

fn of<'a>(samples: &'a Samples, subject: &Subject) -> &'a [Sample] {
    let at = SUBJECTS
        .iter()
        .position(|s| s == subject)
        .expect("all subjects are in the list");
    &samples[at]
}

fn table(samples: &Samples) -> String {
    let mut text = String::from(
        "| request | CPU µs | x bare | requests/s | of bare | p50 ms | p99 ms |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for subject in &SUBJECTS {
        if of(samples, subject).is_empty() {
            continue;
        }
        let spread =
            |figure: fn(&Sample) -> f64| Spread::of(of(samples, subject).iter().map(figure));
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            subject.title,
            spread(|s| s.cpu),
            ratio(samples, subject, |s| s.cpu),
            spread(|s| s.rate),
            ratio(samples, subject, |s| s.rate),
            spread(|s| s.p50),
            spread(|s| s.p99),
        );
    }
    text
}

fn goals(report: &mut Report, title: &str, samples: &Samples) {
    let mut limit = |what: &str, limit: f64, at_most: bool, spread: Spread| {
        report.row(Row {
            what: format!("{what}, {title}"),
            goal: format!("{} {limit}", if at_most { "≤" } else { "≥" }),
            measured: spread.to_string(),
            met: Some(if at_most {
                spread.median <= limit
            } else {
                spread.median >= limit
            }),
        });
    };
    for (check, limit_of_cpu) in [
        (&load::TOKEN, 2.0),
        (&load::SESSION, 3.0),
        (&load::ACTIVE_TOKEN, 2.0),
        (&load::ACTIVE_SESSION, 3.0),
    ] {
        if of(samples, check).is_empty() {
            continue;
        }
        limit(
            &format!("{}: CPU against bare", check.title),
            limit_of_cpu,
            true,
            ratio(samples, check, |s| s.cpu),
        );
        if check.kind == load::TOKEN.kind {
            limit(
                &format!("{}: throughput of bare", check.title),
                0.55,
                false,
                ratio(samples, check, |s| s.rate),
            );
        }
    }
    for (bad, good) in [
        (&load::UNKNOWN_TOKEN, &load::TOKEN),
        (&load::NEAR_TOKEN, &load::TOKEN),
        (&load::UNKNOWN_SESSION, &load::SESSION),
    ] {
        let rounds = of(samples, bad).iter().zip(of(samples, good));
        let spread = Spread::of(rounds.map(|(b, g)| b.cpu / g.cpu));
        limit(
            &format!("{}: CPU against a good one", bad.title),
            1.0,
            true,
            spread,
        );
    }
}

fn draw(report: &Report, curves: &[(usize, Samples)]) -> Result<()> {
    let lines = |figure: fn(&Sample) -> f64| {
        let line = |subject: &Subject| plot::Line {
            title: subject.title.replace('`', ""),
            points: curves
                .iter()
                .map(|(users, samples)| {
                    let median = Spread::of(of(samples, subject).iter().map(figure)).median;
                    ((*users as f64).log10(), median)
                })
                .collect(),
        };
        [load::BARE, load::TOKEN, load::SESSION]
            .iter()
            .map(line)
            .collect::<Vec<_>>()
    };
    let users = |x: f64| thousands(10f64.powf(x).round() as usize);
    report.plot(
        "throughput.svg",
        "Checks a second, SQLite",
        ("users", "requests/s"),
        users,
        &lines(|s| s.rate),
    )?;
    report.plot(
        "p99.svg",
        "p99 of checks at full load, SQLite",
        ("users", "ms"),
        users,
        &lines(|s| s.p99),
    )
}

/// 1,000,000 is easier to read than 1000000.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
