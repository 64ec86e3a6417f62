//! `portcullis serve`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::CliError;
use crate::app::Application;
use crate::settings::Settings;
use crate::telemetry;

/// Where the users are, and how their passwords are hashed.
const USER_SETTINGS: [&str; 5] = [
    "DATABASE_URL",
    "PORTCULLIS_USER_TABLE",
    "PORTCULLIS_USERNAME_COLUMN",
    "PORTCULLIS_PASSWORD_HASHER",
    "PORTCULLIS_PASSWORD_COST",
];

/// Open files besides connections: for the database, the log, and some to spare.
const OTHER_FILES: u64 = 256;

pub(super) async fn serve(settings: Settings) -> Result<(), CliError> {
    telemetry::init(&settings.log);
    allow_files(&settings);
    let application = Application::build(&settings)?;
    let users = application.auth().users.count().await?;
    println!("Portcullis listens on {}", application.address());
    println!("  address  {}", application.public_url());
    println!("  database {}", settings.database.url);
    println!("  users    {users}");
    if users == 0 {
        println!("\nNobody can log in yet. Make the first user:\n");
        println!("  {}\n", first_user_command(&settings));
        if settings.database.url.has_password() && settings.flag("DATABASE_URL").is_some() {
            println!("  (with the database's password in PGPASSWORD)\n");
        }
    }
    application.run_until_stopped().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Raises the soft limit on open files (1024 on most systems), so that connections
/// leave some for the database.
fn allow_files(settings: &Settings) {
    let connections = settings.server.max_connections.get() as u64;
    let needed = connections.saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = maximum.map_or(needed, |maximum| maximum.min(needed));
    if current.is_some_and(|current| current < allowed) {
        let raised = Rlimit {
            current: Some(allowed),
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files stays as it is");
        }
    }
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than connections need: raise the limit (ulimit -Hn, \
             LimitNOFILE), or lower PORTCULLIS_MAX_CONNECTIONS"
        );
    }
}

/// A shell command for the same database: it repeats the flags, as the environment and
/// the file apply again. It may get into a log, so it holds no password.
fn first_user_command(settings: &Settings) -> String {
    let program = std::env::args().next();
    let mut words = vec![
        program.unwrap_or_else(|| "portcullis".to_owned()),
        "createsuperuser".to_owned(),
    ];
    for key in crate::settings::KEYS.iter() {
        let Some(value) = settings.flag(key.name) else {
            continue;
        };
        if USER_SETTINGS.contains(&key.name) {
            words.push(format!("--{}", key.flag_name()));
            words.push(match key.name {
                "DATABASE_URL" => settings.database.url.without_password(),
                _ => value.to_owned(),
            });
        }
    }
    let quoted: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
    quoted.join(" ")
}

fn shell_quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, quoted) in [
            ("sqlite:///srv/a-b.db", "sqlite:///srv/a-b.db"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("postgres://h/d?a=b&c=d", "'postgres://h/d?a=b&c=d'"),
            ("", "''"),
        ] {
            assert_eq!(shell_quoted(word), quoted);
        }
    }
}
