//! The command line. Exit codes: 0 done; 1 failed, with one line on standard error that
//! says why; 2 the command line itself is wrong.

/// Prints a line. The standard macro panics when the reader is gone, but `portcullis
/// check | head -1` is no failure, and a server must serve on.
macro_rules! println {
    () => {
        $crate::cli::output::print_line(format_args!(""))
    };
    ($($argument:tt)*) => {
        $crate::cli::output::print_line(format_args!($($argument)*))
    };
}

mod check;
mod context;
mod demo;
mod error;
mod migrate;
mod output;
mod prompt;
mod seal;
mod serve;
mod sessions;
mod throttle;
mod tokens;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::error::CliError;
use self::output::{OUTPUT_IS_LOST, complain};
use crate::settings::{KEYS, Key, Settings, Values};

/// A login service: cookie sessions and API tokens in one step, on Django's own tables.
///
/// Settings come from flags, then the environment, then portcullis.toml. Try
/// it with `portcullis demo`; start for real with `portcullis createsuperuser`
/// and `portcullis serve`.
#[derive(Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer requests (the default); pending migrations run first
    Serve,
    /// Serve a throw-away database with the user user123 / securepassword
    Demo,
    /// Bring the database up to date, and stop
    Migrate,
    /// Make a user who can log in
    Createuser(users::NewUserArgs),
    /// Make a user who may do everything in Django's admin
    Createsuperuser(users::NewUserArgs),
    /// Give a user another password; all their sessions end
    Changepassword(users::ChangePasswordArgs),
    /// Print a user's API token, making it if there is none
    Token(tokens::TokenArgs),
    /// Show failed logins, or clear them
    #[command(subcommand)]
    Throttle(throttle::ThrottleCommand),
    /// Delete expired sessions
    Clearsessions,
    /// Seal the plaintext keys that Django left
    ///
    /// In small steps, while requests are answered; it can be stopped and run
    /// again at any time. Tokens and cookies in use keep working.
    Seal,
    /// Make sealed tokens plaintext again, for the way back to Django
    Unseal(seal::UnsealArgs),
    /// Print the effective settings and say what is wrong with them
    Check(check::CheckArgs),
}

/// Names the file of settings, instead of `portcullis.toml`.
const CONFIG_VARIABLE: &str = "PORTCULLIS_CONFIG";

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let matches = flags(Cli::command()).get_matches();
    let command = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.command.unwrap_or(Command::Serve),
        Err(error) => error.exit(),
    };
    match actix_web::rt::System::new().block_on(dispatch(command, &matches)) {
        Ok(_) if OUTPUT_IS_LOST.load(Ordering::Relaxed) => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match command {
        Command::Serve => serve::serve(settings(matches)?).await?,
        Command::Demo => demo::demo(set_flags(matches)).await?,
        Command::Migrate => migrate::migrate(&settings(matches)?)?,
        Command::Createuser(args) => users::create(&settings(matches)?, args, false).await?,
        Command::Createsuperuser(args) => users::create(&settings(matches)?, args, true).await?,
        Command::Changepassword(args) => users::change_password(&settings(matches)?, args).await?,
        Command::Token(args) => tokens::token(&settings(matches)?, args).await?,
        Command::Throttle(command) => throttle::throttle(&settings(matches)?, command).await?,
        Command::Seal => seal::seal(&settings(matches)?).await?,
        Command::Unseal(args) => seal::unseal(&settings(matches)?, args).await?,
        Command::Clearsessions => sessions::clear_sessions(&settings(matches)?).await?,
        Command::Check(args) => {
            let settings = Settings::for_looking(values(matches)?)?;
            return check::check(&settings, &config_file().0, &args).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds a flag for each setting, to every command.
fn flags(command: clap::Command) -> clap::Command {
    let flag = |key: &Key| {
        let default = match (key.default, key.default_note) {
            ("", "") => String::new(),
            ("", note) => format!(" [default: {note}]"),
            (default, _) => format!(" [default: {default}]"),
        };
        Arg::new(key.name)
            .long(clap::builder::Str::from(key.flag_name()))
            .global(true)
            .value_name("VALUE")
            .help(format!("{}{default} [env: {}]", key.meaning, key.name))
            .help_heading("Settings")
    };
    KEYS.iter()
        .filter(|key| !key.secret)
        .fold(command, |command, key| command.arg(flag(key)))
}

fn set_flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let value = |key: &Key| matches.get_one::<String>(key.name).cloned();
    KEYS.iter()
        .filter(|key| !key.secret)
        .filter_map(|key| Some((key.name, value(key)?)))
        .collect()
}

fn settings(matches: &ArgMatches) -> Result<Settings, CliError> {
    Ok(Settings::new(values(matches)?)?)
}

fn values(matches: &ArgMatches) -> Result<Values, CliError> {
    let (path, must_exist) = config_file();
    Ok(Values::from_flags(set_flags(matches))?
        .with_environment(environment()?)?
        .with_file(&path, must_exist)?)
}

/// The file of settings, and whether it must exist.
fn config_file() -> (PathBuf, bool) {
    match std::env::var_os(CONFIG_VARIABLE) {
        Some(named) => (named.into(), true),
        None => ("portcullis.toml".into(), false),
    }
}

/// The variables that are text; ours must be.
fn environment() -> Result<Vec<(String, String)>, CliError> {
    let is_ours = |name: &str| {
        name != CONFIG_VARIABLE && (name.starts_with("PORTCULLIS_") || name == "DATABASE_URL")
    };
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if is_ours(&name) => {
                return Err(CliError::message(format!(
                    "{name} (from environment): the value is not UTF-8 text"
                )));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}
