//! What the real Django and DRF answered to 497 requests, sent to Portcullis
//! byte for byte: status, body, headers, cookies, and what is in the database
//! afterwards.
//!
//! `cases.json` holds the answers of Django 5.2, and of 6.1 where they are others
//! (`record.py` takes them from the real ones, `make_cases.py` writes the file);
//! `differences.json` holds the answers of ours that are others on purpose, each
//! with its reason. Nothing else may differ, from either Django.
//!
//! `cargo test --test conformance` sends all of them and prints a table for each
//! database. `CONFORMANCE=17,logout` picks cases by number, or by a part of a
//! section's or a case's name.

mod case;
mod judge;
mod replay;
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
use replay::replay;
use report::Report;
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
        judge(&file, &backend, &wanted)
    };
    // Past the test's captured output: the table is wanted of good runs too.
    let table = report.to_string();
    std::io::stdout()
        .write_all(table.as_bytes())
        .expect("the table is printed");
    report.assert_good();
}

fn judge<'a>(file: &'a CaseFile, backend: &Backend, wanted: &[&str]) -> Report<'a> {
    let database = backend.create();
    let server = Server::start(file, &database);
    let mut report = Report::new(backend.name(), file);
    let port = |case: &Case| server.port(case.https);
    replay(file, &database, wanted, port, |judge, case, exchange| {
        report.add(case, judge.judge(backend, case, exchange));
    });
    report
}
