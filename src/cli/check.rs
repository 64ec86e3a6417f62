//! `portcullis check`: the effective settings, and what is wrong with them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::CliError;
use crate::db::Database;
use crate::models;
use crate::settings::{Settings, secret_file};

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
    check_database(settings).await?;
    let problems = if args.deploy {
        deployment_problems(settings)
    } else {
        Vec::new()
    };
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

/// Looks without changing anything: no file is made, no migration run.
async fn check_database(settings: &Settings) -> Result<(), CliError> {
    let url = &settings.database_url;
    if let crate::db::DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        println!("{url}: not there yet; `portcullis serve` makes it");
        return Ok(());
    }
    let database =
        Database::open(url, &settings.user_table, 1).map_err(crate::app::StartError::from)?;
    match database.read(models::user::count).await {
        Ok(users) => println!("{url}: answers, {users} users"),
        Err(_) => println!("{url}: answers, but has no user table; run `portcullis migrate`"),
    }
    Ok(())
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
    if let crate::db::DatabaseUrl::Sqlite(path) = &settings.database_url {
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
