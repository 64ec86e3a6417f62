//! What the real Django and DRF answered to 497 requests, sent to Portcullis
//! byte for byte: status, body, headers, cookies, and what is in the database
//! afterwards.
//!
//! `cases.json` holds Django's answers (`make_cases.py` writes it from a capture
//! of the real thing); `differences.json` holds the answers of ours that are
//! others on purpose, each with its reason. Nothing else may differ.
//!
//! `cargo test --test conformance` sends all of them and prints a table for each
//! database. `CONFORMANCE=17,logout` picks cases by number, or by a part of a
//! section's or a case's name.

mod case;
mod judge;
mod report;
mod rows;
mod server;
#[allow(dead_code, reason = "the suite uses all of it")]
#[path = "../suite/support/mod.rs"]
mod support;
mod wire;

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use each_database::each_database;

use case::{Case, CaseFile};
use judge::Judge;
use report::Report;
use rows::Rows;
use server::Server;
use support::database::Backend;
use support::run;

/// Each refusal is hash work of all kinds: two servers at it are too slow together.
static TURN: Mutex<()> = Mutex::new(());

#[each_database]
async fn every_answer_is_djangos_or_differs_on_purpose(backend: Backend) {
    let wanted = std::env::var("CONFORMANCE").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|text| !text.is_empty()).collect();
    let file = CaseFile::load();
    let report = {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        replay(&file, &backend, &wanted)
    };
    // Past the test's captured output: the table is wanted of good runs too.
    let table = report.to_string();
    std::io::stdout()
        .write_all(table.as_bytes())
        .expect("the table is printed");
    report.assert_good();
}

fn replay<'a>(file: &'a CaseFile, backend: &Backend, wanted: &[&str]) -> Report<'a> {
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
