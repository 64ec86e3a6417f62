//! One fault, and what came of it.

use std::fmt::Write;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;

use crate::people::{Person, Seen};
use crate::support::database::Backend;

/// Which kinds of database a drill is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    Each,
    Sqlite,
    Postgres,
}

/// A fault that can be made to happen.
pub struct Drill {
    /// What goes wrong, in the words of the table.
    pub fault: &'static str,
    pub on: On,
    pub run: fn(Backend) -> Pin<Box<dyn Future<Output = Tally>>>,
}

impl Drill {
    pub fn is_for(&self, backend: &Backend) -> bool {
        match self.on {
            On::Each => true,
            On::Sqlite => matches!(backend, Backend::Sqlite),
            On::Postgres => matches!(backend, Backend::Postgres(_)),
        }
    }
}

/// What a drill has counted.
#[derive(Default)]
pub struct Tally {
    pub rounds: usize,
    pub seen: Seen,
    /// From the end of the fault to the first login and the first check that are
    /// good again; `None` where nothing was out of order.
    pub recovery: Option<Duration>,
}

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
}

/// Longest time to recover that is promised.
const RECOVERY: Duration = Duration::from_secs(2);

/// A drill on one database, before or after it was run.
pub struct Outcome {
    pub fault: &'static str,
    pub database: &'static str,
    pub tally: Tally,
    panicked: bool,
}

impl Outcome {
    pub fn of(drill: &Drill, backend: &Backend) -> Self {
        Self {
            fault: drill.fault,
            database: match backend {
                Backend::Sqlite => "SQLite",
                Backend::Postgres(_) => "PostgreSQL",
            },
            tally: Tally::default(),
            panicked: false,
        }
    }

    pub fn name(&self) -> String {
        format!("{}, {}", self.fault, self.database)
    }

    pub fn run(mut self, drill: &Drill, backend: &Backend) -> Self {
        // One that panics says why on standard error; the others go on.
        let backend = backend.clone();
        let run = move || actix_web::rt::System::new().block_on((drill.run)(backend));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(tally) => self.tally = tally,
            Err(_) => self.panicked = true,
        }
        self
    }

    pub fn is_good(&self) -> bool {
        let late = self.tally.recovery.is_some_and(|time| time > RECOVERY);
        !self.panicked && self.tally.seen.is_good() && !late
    }

    pub fn complaints(&self) -> String {
        let mut text = String::new();
        if self.panicked {
            text += "the drill ended early; ";
        }
        if let Some(time) = self.tally.recovery.filter(|time| *time > RECOVERY) {
            write!(text, "it took {time:?} to recover; ").unwrap();
        }
        text + &self.tally.seen.complaints.join("; ")
    }
}
