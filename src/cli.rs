//! The command line: what each command takes, and what it prints.
//!
//! Exit codes: 0 done; 1 could not be done, with one line on standard error
//! that says why; 2 the command line itself is wrong.

/// Prints a line on standard output, in the place of the standard macro, which
/// panics when nobody reads it any more: `portcullis check | head -1` is no
/// failure, and a server goes on serving.
macro_rules! println {
    () => {
        $crate::cli::print_line(format_args!(""))
    };
    ($($argument:tt)*) => {
        $crate::cli::print_line(format_args!($($argument)*))
    };
}

mod check;
mod demo;
mod prompt;
mod seal;
mod serve;
mod throttle;
mod users;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::StartError;
use crate::auth::{Auth, AuthError, Clock};
use crate::db::DatabaseError;
use crate::settings::{KEYS, Key, Settings, SettingsError, Values};

/// A login service: cookie sessions and API tokens in one step, on Django's
/// own tables.
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
    Token(users::TokenArgs),
    /// Failed logins: show them, or forget them
    #[command(subcommand)]
    Throttle(throttle::ThrottleCommand),
    /// Delete expired sessions
    Clearsessions,
    /// Turn the keys that Django left in clear into sealed ones
    ///
    /// In small steps, while requests are answered; it can be stopped and run
    /// again at any time. Tokens and cookies that are out there keep working.
    Seal,
    /// Print the effective settings and say what is wrong with them
    Check(check::CheckArgs),
}

/// Names the file of settings, in the place of `portcullis.toml`.
const CONFIG_VARIABLE: &str = "PORTCULLIS_CONFIG";

/// Why a command was not done; one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the database did not do it: {0}")]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    Auth(#[from] AuthError),
    #[error("{0}")]
    System(#[from] std::io::Error),
    #[error("{0}")]
    Message(String),
}

impl CliError {
    fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}

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

/// Whether something that was to be printed is neither written nor unwanted.
static OUTPUT_IS_LOST: AtomicBool = AtomicBool::new(false);

fn print_line(line: std::fmt::Arguments<'_>) {
    let is_lost = |error: &std::io::Error| error.kind() != std::io::ErrorKind::BrokenPipe;
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && is_lost(&error)
        && !OUTPUT_IS_LOST.swap(true, Ordering::Relaxed)
    {
        complain(&format!("cannot write to standard output: {error}"));
    }
}

/// One line, whatever a driver may have put into its message.
fn complain(problem: &dyn std::fmt::Display) {
    let line = problem.to_string().replace('\n', " ");
    // If that cannot be written either, the exit code is what is left.
    let _ = writeln!(std::io::stderr(), "portcullis: {line}");
}

async fn dispatch(command: Command, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match command {
        Command::Serve => serve::serve(settings(matches)?).await?,
        Command::Demo => demo::demo(set_flags(matches)).await?,
        Command::Migrate => migrate(&settings(matches)?)?,
        Command::Createuser(args) => users::create(&settings(matches)?, args, false).await?,
        Command::Createsuperuser(args) => users::create(&settings(matches)?, args, true).await?,
        Command::Changepassword(args) => users::change_password(&settings(matches)?, args).await?,
        Command::Token(args) => users::token(&settings(matches)?, args).await?,
        Command::Throttle(command) => throttle::throttle(&settings(matches)?, command).await?,
        Command::Seal => seal::seal(&settings(matches)?).await?,
        Command::Clearsessions => clear_sessions(&settings(matches)?).await?,
        Command::Check(args) => {
            let settings = Settings::for_looking(values(matches)?)?;
            return check::check(&settings, &config_file().0, &args).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn migrate(settings: &Settings) -> Result<(), CliError> {
    let done = crate::db::Database::migrate(&settings.database.url, &settings.database.user_table)
        .map_err(StartError::from)?;
    for migration in &done {
        println!("applied {migration}");
    }
    if done.is_empty() {
        println!("{} is up to date", settings.database.url);
    }
    Ok(())
}

async fn clear_sessions(settings: &Settings) -> Result<(), CliError> {
    let gone = auth(settings)?.clear_sessions().await?;
    println!("deleted {gone} expired sessions");
    Ok(())
}

/// The rules, on the migrated database.
fn auth(settings: &Settings) -> Result<Auth, CliError> {
    let database = crate::app::open(settings)?;
    let config = crate::app::auth_config(settings);
    Ok(Auth::new(&config, database, Clock::system())?)
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

/// The file of settings, and whether it has to be there.
fn config_file() -> (PathBuf, bool) {
    match std::env::var_os(CONFIG_VARIABLE) {
        Some(named) => (named.into(), true),
        None => ("portcullis.toml".into(), false),
    }
}

/// The variables that are text; our own have to be.
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
