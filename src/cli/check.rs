//! `portcullis check`: the effective settings, and what is wrong with them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::CliError;
use crate::app::StartError;
use crate::auth::survey::Survey;
use crate::auth::{Auth, Clock};
use crate::db::{Database, DatabaseUrl};
use crate::models;
use crate::settings::{Settings, Storage, secret_file};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Also complain of what is fine on a desk and not in production
    #[arg(long)]
    deploy: bool,
}

/// Exit code 1 if there is anything to complain of.
pub(super) async fn check(settings: &Settings, args: &CheckArgs) -> Result<ExitCode, CliError> {
    for (key, value, origin) in settings.describe() {
        println!(
            "{key:34} {:40} {origin}",
            if value.is_empty() { "-" } else { &value }
        );
    }
    println!();
    let mut problems = check_database(settings).await?;
    if args.deploy {
        problems.extend(deployment_problems(settings));
    }
    for problem in &problems {
        println!("warning: {problem}");
    }
    if problems.is_empty() {
        println!("no problems found");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// Looks without changing anything: no file is made, no migration run. Gives
/// what is wrong with what it saw.
async fn check_database(settings: &Settings) -> Result<Vec<String>, CliError> {
    let url = &settings.database_url;
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        println!("{url}: not there yet; `portcullis serve` makes it");
        return Ok(Vec::new());
    }
    let database = Database::open(url, &settings.user_table, 1).map_err(StartError::from)?;
    let mut missing = Vec::new();
    for (table, probe) in [
        (
            "authtoken_token",
            database.read(models::token::count_clear).await,
        ),
        (
            "django_session",
            database.read(models::session::count_clear).await,
        ),
        ("user", database.read(models::user::count).await),
    ] {
        if probe.is_err() {
            missing.push(table);
        }
    }
    if !missing.is_empty() {
        println!(
            "{url}: answers, but has no {} table; run `portcullis migrate`, or Django's `manage.py migrate`",
            missing.join(", no ")
        );
        return Ok(Vec::new());
    }
    let auth = Auth::new(settings, database, Clock::system())?;
    let survey = auth.survey().await?;
    println!("{url}: answers, {} users", survey.users);
    print_survey(&survey);
    Ok(survey_problems(&survey, settings))
}

fn print_survey(survey: &Survey) {
    for (kind, count) in &survey.hashes {
        println!("  {count:>9} passwords: {kind}");
    }
    for (count, what) in [
        (survey.clear_tokens, "token keys in clear"),
        (survey.clear_sessions, "session keys in clear"),
        (
            survey.expired_sessions,
            "expired sessions; `clearsessions` deletes them",
        ),
        (
            survey.tokens_of_inactive,
            "tokens of inactive users; they are refused",
        ),
    ] {
        if count > 0 {
            println!("  {count:>9} {what}");
        }
    }
}

fn survey_problems(survey: &Survey, settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    if survey.secret_fits == Some(false) {
        problems.push(
            "PORTCULLIS_SECRET_KEY does not fit the newest session: with Django's SECRET_KEY here, its sessions go on".to_owned(),
        );
    }
    if survey.locked_out > 0 {
        problems.push(format!(
            "{} users have no password that could fit: unusable, empty, or of an algorithm that is not known here; they need a new one",
            survey.locked_out
        ));
    }
    if !survey.names_by_case.is_empty() {
        let some: Vec<&str> = survey
            .names_by_case
            .iter()
            .take(5)
            .map(String::as_str)
            .collect();
        problems.push(format!(
            "{} names are used twice but for upper and lower case, such as {}: people will mix them up",
            survey.names_by_case.len(),
            some.join(", ").escape_debug()
        ));
    }
    let in_clear = survey.clear_tokens + survey.clear_sessions;
    if in_clear > 0 && settings.storage == Storage::Sealed {
        problems.push(format!(
            "{in_clear} keys stand in clear, and can be used by whoever reads the database; `portcullis seal` seals them"
        ));
    }
    problems
}

fn deployment_problems(settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    match &settings.public_url {
        None => problems.push(
            "PORTCULLIS_PUBLIC_URL is not set: cookies are sent without Secure, and links lead to the listen address".to_owned(),
        ),
        Some(url) if url.scheme() != "https" => problems.push(
            "PORTCULLIS_PUBLIC_URL is not https: passwords and cookies can be read on the way".to_owned(),
        ),
        Some(_) if settings.trusted_proxies.is_empty() => problems.push(
            "PORTCULLIS_TRUSTED_PROXIES is empty: behind a proxy all clients look like one".to_owned(),
        ),
        Some(_) => {}
    }
    if settings.secret_keys.current().expose_bytes().len() < 50 {
        problems.push("PORTCULLIS_SECRET_KEY is shorter than 50 characters".to_owned());
    }
    if !settings.throttle {
        problems
            .push("PORTCULLIS_THROTTLE is off: passwords can be guessed without limit".to_owned());
    }
    if settings.log.contains("debug") || settings.log.contains("trace") {
        problems.push("PORTCULLIS_LOG is debug or trace: for finding faults only".to_owned());
    }
    let weakest = match settings.hasher.algorithm.name() {
        "bcrypt_sha256" => 10,
        "pbkdf2_sha256" => 600_000,
        "scrypt" => 14,
        _ => 1,
    };
    if settings.hasher.cost.get() < weakest {
        problems.push(format!(
            "PORTCULLIS_PASSWORD_COST is low: at least {weakest} for {}",
            settings.hasher.algorithm.name()
        ));
    }
    if settings.allowed_hosts.iter().any(|host| host == "*") {
        problems.push("PORTCULLIS_ALLOWED_HOSTS is *: any Host header is answered".to_owned());
    }
    if let DatabaseUrl::Sqlite(path) = &settings.database_url {
        for file in [path.clone(), secret_file(path)] {
            if is_readable_by_others(&file) {
                problems.push(format!(
                    "{} can be read by other users: chmod 600 it",
                    file.display()
                ));
            }
        }
    }
    problems
}

fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}
