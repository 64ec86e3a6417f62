//! What `check` finds in the database.

use super::finding::{Finding, warning};
use crate::app::{Opened, StartError};
use crate::auth::survey::Survey;
use crate::auth::{Clock, Storage};
use crate::cli::error::CliError;
use crate::db::{Database, DatabaseUrl, inspect, look};
use crate::models::UserTable;
use crate::settings::Settings;

/// Prints what there is, and returns the findings.
pub(super) async fn findings(
    settings: &Settings,
    is_deployed: bool,
) -> Result<Vec<Finding>, CliError> {
    let url = &settings.database.url;
    let requirements = settings.database.requirements();
    let found = look(url, |c| {
        Ok((
            requirements.before_migrations(c)?,
            crate::app::find(c, &requirements)?,
        ))
    });
    let Some((may_migrate, found)) = found.map_err(StartError::from)? else {
        println!("{url}: not there yet; `portcullis serve` makes it");
        return Ok(Vec::new());
    };
    let database = Database::open(url, 1).map_err(StartError::from)?;
    let mut findings = if is_deployed {
        deployment_findings(&database, settings).await?
    } else {
        Vec::new()
    };
    let (users, passwords) = match (may_migrate, found) {
        (Err(error), _) | (Ok(false), Err(error)) => {
            findings.push(warning(error.to_string()));
            return Ok(findings);
        }
        (Ok(true), Err(error)) => {
            println!(
                "{url}: answers, but not all tables are there ({error}); run `portcullis migrate`"
            );
            return Ok(findings);
        }
        (Ok(_), Ok(found)) => found,
    };
    findings.extend(names_finding(&users, &requirements.username));
    findings.extend(missing_index(&database, settings).await?);
    let auth = Opened {
        database,
        users,
        passwords,
    };
    let auth = auth.auth(settings, Clock::system())?;
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
            "DATABASE_URL names a superuser of PostgreSQL: a flaw here would expose every database on that server; use a role that owns only these tables",
        ));
    }
    if settings.auth.storage == Storage::Django && !database.read(inspect::has_django).await? {
        findings.push(warning(
            "PORTCULLIS_STORAGE is django, but this database has no django_migrations: no Django needs the plaintext keys; remove the setting",
        ));
    }
    Ok(findings)
}

fn names_finding(users: &UserTable, column: &str) -> Option<Finding> {
    (!users.has_unique_names()).then(|| {
        warning(format!(
            "PORTCULLIS_USERNAME_COLUMN is {column}, which is not unique: who shares a name cannot log in; name the column that people log in with, such as email"
        ))
    })
}

/// Without it each login reads all users.
async fn missing_index(
    database: &Database,
    settings: &Settings,
) -> Result<Option<Finding>, CliError> {
    if !settings.database.login_with.takes_emails() {
        return Ok(None);
    }
    let table = settings.database.user_table.quoted();
    let quoted = table.clone();
    let has_index = database.read(move |c| inspect::has_index_without_case(c, &quoted, "email"));
    let what = match settings.database.url {
        DatabaseUrl::Sqlite(_) => "email COLLATE NOCASE",
        DatabaseUrl::Postgres(_) => "upper(email)",
    };
    Ok((!has_index.await?).then(|| {
        warning(format!(
            "PORTCULLIS_LOGIN_WITH takes e-mail addresses, and no index finds them: each login reads all users; CREATE INDEX portcullis_email ON {table} ({what})"
        ))
    }))
}

fn print_survey(survey: &Survey) {
    for (kind, count) in &survey.hashes {
        println!("  {count:>9} passwords: {kind}");
    }
    for (count, what) in [
        (survey.plaintext_tokens, "plaintext token keys"),
        (survey.plaintext_sessions, "plaintext session keys"),
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
    for (backend, count) in &survey.foreign_backends {
        findings.push(warning(format!(
            "{count} of the newest sessions are by {}, whose sessions are refused: if Django has it in AUTHENTICATION_BACKENDS, add it to PORTCULLIS_AUTHENTICATION_BACKENDS",
            backend.escape_debug()
        )));
    }
    let ahead = survey.sessions_ahead + survey.logins_ahead;
    if ahead > 0 && matches!(settings.database.url, DatabaseUrl::Sqlite(_)) {
        findings.push(warning(format!(
            "{ahead} sessions or last logins are hours ahead of PORTCULLIS_TIME_ZONE: if Django has USE_TZ = False, set it to Django's TIME_ZONE"
        )));
    }
    if survey.locked_out > 0 {
        findings.push(warning(format!(
            "{} users cannot log in: their password is unusable, empty, or hashed with an unknown algorithm; they need a new one",
            survey.locked_out
        )));
    }
    findings.extend(name_findings(survey));
    let plaintext = survey.plaintext_tokens + survey.plaintext_sessions;
    if plaintext > 0 && settings.auth.storage == Storage::Sealed {
        findings.push(warning(format!(
            "{plaintext} keys are plaintext: anyone who can read the database can use them; `portcullis seal` seals them"
        )));
    }
    let (tokens, sessions) = (survey.sealed_tokens, survey.sealed_sessions);
    if tokens + sessions > 0 && settings.auth.storage == Storage::Django {
        findings.push(warning(format!(
            "{tokens} tokens and {sessions} sessions are sealed, and Django takes other keys for them: `portcullis unseal` makes the tokens plaintext; sessions become so when they are used here, and `unseal --finish` deletes the rest"
        )));
    }
    findings
}

fn name_findings(survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (names, what) in [
        (
            &survey.shared_names,
            "names, such as {}, belong to several users, who all cannot log in",
        ),
        (
            &survey.names_by_case,
            "names, such as {}, have spellings that differ only by case: people will mix them up",
        ),
        (
            &survey.shared_emails,
            "e-mail addresses, such as {}, belong to several active users: nobody can log in with them",
        ),
    ] {
        if !names.is_empty() {
            let some: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
            let some = some.join(", ").escape_debug().to_string();
            let what = what.replace("{}", &some);
            findings.push(warning(format!("{} {what}", names.len())));
        }
    }
    findings
}
