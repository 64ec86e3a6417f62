//! What a drill has counted, and what is promised of it.

use std::io::Write;
use std::time::Duration;

use crate::people::{Person, Seen};
use crate::support::database::Backend;
use crate::table;

#[derive(Default)]
pub struct Tally {
    pub rounds: usize,
    pub seen: Seen,
    /// From the end of the fault to the first login and the first check that are
    /// good again; `None` where nothing was out of order.
    pub recovery: Option<Duration>,
}

/// Longest time to recover that is promised.
const RECOVERY: Duration = Duration::from_secs(2);

impl Tally {
    /// Adds what these people have seen.
    pub fn add(&mut self, people: Vec<Person>) {
        for person in people {
            self.seen.add(person.seen);
        }
    }

    /// Keeps the longest of the recoveries.
    pub fn recovered_in(&mut self, time: Duration) {
        self.recovery = self.recovery.max(Some(time));
    }

    /// Prints the row of the table, writes it into the page if that is wanted,
    /// and fails if a promise was broken.
    pub fn report(self, fault: &str, backend: &Backend) {
        let row = table::row(fault, backend, &self);
        // Past the test's captured output: rows are wanted of good drills too.
        writeln!(
            std::io::stdout(),
            "{row} slowest answer {:?}",
            self.seen.slowest
        )
        .expect("the row is printed");
        if std::env::var_os("RELIABILITY_WRITE").is_some() {
            table::write(fault, backend, &row);
        }
        let seen = &self.seen;
        let broken = [
            (seen.lost, "answered logins refused"),
            (seen.undone, "answered logouts undone"),
            (seen.other_5xx, "5xx other than 503"),
        ];
        assert!(
            broken.iter().all(|(count, _)| *count == 0) && seen.complaints.is_empty(),
            "{broken:?}: {:#?}",
            seen.complaints
        );
        assert!(
            self.recovery.is_none_or(|time| time <= RECOVERY),
            "it took {:?} to recover",
            self.recovery
        );
    }
}
