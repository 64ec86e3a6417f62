//! The program on a database, with a log that nobody reads.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::database::TestDatabase;
use crate::support::program::{Serving, program_on};

/// Starts an instance, with settings of its own beside the usual ones.
pub fn serve(database: &TestDatabase, folder: &Path, settings: &[(&str, &str)]) -> Serving {
    let mut command = command(database, folder);
    command.envs(settings.iter().copied());
    Serving::start_quietly(&mut command, "users")
}

/// The same, started by another program that ends by becoming it.
pub fn serve_by(program: &[&str], database: &TestDatabase, folder: &Path) -> Serving {
    let server = command(database, folder);
    let settings = server.get_envs();
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .arg(server.get_program())
        .args(server.get_args())
        .env_clear()
        .envs(settings.filter_map(|(key, value)| Some((key, value?))))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    Serving::start_quietly(&mut command, "users")
}

fn command(database: &TestDatabase, folder: &Path) -> Command {
    let mut command = program_on(database, folder);
    command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("PORTCULLIS_LOG", "warn")
        .stderr(Stdio::null());
    command
}
