//! What `check` sees in the database.

use super::{Finding, warning};
use crate::app::{StartError, auth_config};
use crate::auth::keyring::Storage;
use crate::auth::survey::Survey;
use crate::auth::{Auth, Clock};
use crate::cli::CliError;
use crate::db::{Database, DatabaseUrl, inspect};
use crate::models;
use crate::settings::Settings;

/// Says what there is, and gives what is wrong with it.
pub(super) async fn findings(
    settings: &Settings,
    is_deployed: bool,
) -> Result<Vec<Finding>, CliError> {
    let url = &settings.database.url;
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        println!("{url}: not there yet; `portcullis serve` makes it");
        return Ok(Vec::new());
    }
    let database =
        Database::open(url, &settings.database.user_table, 1).map_err(StartError::from)?;
    let mut findings = if is_deployed {
        deployment_findings(&database, settings).await?
    } else {
        Vec::new()
    };
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
        return Ok(findings);
    }
    let auth = Auth::new(&auth_config(settings), database, Clock::system())?;
    let survey = auth.survey().await?;
    println!("{url}: answers, {} users", survey.users);
    print_survey(&survey);
    findings.extend(survey_findings(&survey, settings));
    Ok(findings)
}

async fn deployment_findings(
    database: &Database,
    settings: &Settings,
) -> Result<Vec<Finding>, CliError> {
    let mut findings = Vec::new();
    if database.read(inspect::is_superuser).await? {
        findings.push(warning(
            "DATABASE_URL names a superuser of PostgreSQL: a fault here would open every database there; use a role that owns these tables only",
        ));
    }
    if settings.auth.storage == Storage::Django && !database.read(inspect::has_django).await? {
        findings.push(warning(
            "PORTCULLIS_STORAGE is django, but this database has no django_migrations: keys stand in clear for no Django; remove the setting",
        ));
    }
    Ok(findings)
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

fn survey_findings(survey: &Survey, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if survey.secret_fits == Some(false) {
        findings.push(warning(
            "PORTCULLIS_SECRET_KEY does not fit the newest session: with Django's SECRET_KEY here, its sessions go on",
        ));
    }
    if survey.locked_out > 0 {
        findings.push(warning(format!(
            "{} users have no password that could fit: unusable, empty, or of an algorithm that is not known here; they need a new one",
            survey.locked_out
        )));
    }
    if !survey.names_by_case.is_empty() {
        let some: Vec<&str> = survey
            .names_by_case
            .iter()
            .take(5)
            .map(String::as_str)
            .collect();
        findings.push(warning(format!(
            "{} names are used twice but for upper and lower case, such as {}: people will mix them up",
            survey.names_by_case.len(),
            some.join(", ").escape_debug()
        )));
    }
    let in_clear = survey.clear_tokens + survey.clear_sessions;
    if in_clear > 0 && settings.auth.storage == Storage::Sealed {
        findings.push(warning(format!(
            "{in_clear} keys stand in clear, and can be used by whoever reads the database; `portcullis seal` seals them"
        )));
    }
    findings
}
