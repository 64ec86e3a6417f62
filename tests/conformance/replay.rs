//! Sends the recorded requests to a server on a database, one after the other.

use crate::case::{Case, CaseFile};
use crate::judge::Judge;
use crate::rows::{Rows, Snapshot};
use crate::support::database::TestDatabase;
use crate::wire::{self, Answer};

/// One request, and what came of it.
pub struct Exchange {
    pub sent: Vec<Vec<u8>>,
    pub answer: Result<Answer, String>,
    pub before: Snapshot,
    pub after: Snapshot,
}

/// All cases, or those that are wanted with what they go on from. The server has made
/// the tables.
pub fn replay<'a>(
    file: &'a CaseFile,
    database: &TestDatabase,
    wanted: &[&str],
    port: impl Fn(&Case) -> u16,
    mut each: impl FnMut(&mut Judge<'a>, &'a Case, &Exchange),
) {
    let mut rows = Rows::open(database);
    let mut judge = Judge::new(file);
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
            let answer = wire::exchange(port(case), &sent, case.half_close);
            let after = rows.snapshot();
            let exchange = Exchange {
                sent,
                answer,
                before,
                after,
            };
            each(&mut judge, case, &exchange);
        }
    }
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
