//! What the real Django and DRF answered to 497 requests, sent to Portcullis
//! byte for byte: status, body, headers, cookies, and what is in the database
//! afterwards.
//!
//! `cases.json` holds Django's answers (`make_cases.py` writes it from a capture
//! of the real thing); `differences.json` holds the answers of ours that are
//! others on purpose, each with its reason. Nothing else may differ.
//!
//! `cargo test --test conformance` runs all of it on SQLite and, when
//! `TEST_POSTGRES_URL` is set, on PostgreSQL. Arguments pick cases by number, or
//! by a part of a section's or a case's name.

mod case;
#[allow(dead_code, reason = "the suite uses all of it")]
#[path = "../suite/support/database.rs"]
mod database;
mod judge;
mod report;
mod rows;
mod server;
mod wire;

use std::process::ExitCode;

use case::{Case, CaseFile};
use database::Backend;
use judge::Judge;
use report::Report;
use rows::Rows;
use server::Server;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What cargo hands to the other kind of test binaries.
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let file = CaseFile::load();
    let backends = Backend::all();
    if backends.len() == 1 {
        eprintln!("TEST_POSTGRES_URL is not set: running on SQLite only");
    }
    let mut is_good = true;
    for backend in &backends {
        let report = run(&file, backend, &wanted);
        print!("{report}");
        is_good &= report.is_good();
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run<'a>(file: &'a CaseFile, backend: &Backend, wanted: &[&str]) -> Report<'a> {
    let database = backend.create();
    let server = Server::start(file, &database);
    let mut rows = Rows::open(&database);
    let mut judge = Judge::new(file);
    let mut report = Report::new(backend.name(), file.cases.len());
    for chain in chains(&file.cases) {
        if !wanted.is_empty() && !chain.iter().any(|case| is_wanted(case, wanted)) {
            continue;
        }
        for case in chain {
            if !case.keep {
                rows.reset(&file.users);
            }
            rows.prepare(case);
            let before = rows.snapshot();
            let sent = judge.fill_in(&case.send);
            let answer = wire::exchange(server.port(case.https), &sent, case.half_close);
            let outcome = judge.judge(backend, case, &sent, answer, &before, &rows.snapshot());
            report.add(case, outcome);
        }
    }
    report
}

/// Cases that go on with what the one before them left behind stay together.
fn chains(cases: &[Case]) -> impl Iterator<Item = &[Case]> {
    cases.chunk_by(|_, next| next.keep)
}

fn is_wanted(case: &Case, wanted: &[&str]) -> bool {
    wanted.iter().any(|text| match text.parse::<usize>() {
        Ok(n) => case.n == n,
        Err(_) => case.name.contains(text) || case.section.contains(text),
    })
}
