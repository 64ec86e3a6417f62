//! The program on a database, with a log that nobody reads.

use std::path::Path;
use std::process::Stdio;

use crate::support::database::TestDatabase;
use crate::support::program::{Serving, program_on};

/// Starts an instance, with settings of its own beside the usual ones.
pub fn serve(database: &TestDatabase, folder: &Path, settings: &[(&str, &str)]) -> Serving {
    let mut command = program_on(database, folder);
    command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("PORTCULLIS_LOG", "warn")
        .envs(settings.iter().copied())
        .stderr(Stdio::null());
    Serving::start_quietly(&mut command, "users")
}
