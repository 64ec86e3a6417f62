//! `portcullis serve`.

use super::CliError;
use crate::app::Application;
use crate::settings::Settings;
use crate::telemetry;

pub(super) async fn serve(settings: Settings) -> Result<(), CliError> {
    telemetry::init(&settings);
    let application = Application::build(&settings)?;
    let users = application.auth().count_users().await?;
    println!("Portcullis listens on {}", application.address());
    println!("  address  {}", application.public_url());
    println!("  database {}", settings.database_url);
    println!("  users    {users}");
    if users == 0 {
        println!("\nNobody can log in yet. Make the first user:\n");
        println!(
            "  {} createsuperuser{}\n",
            program(),
            database_flag(&settings)
        );
    }
    application.run_until_stopped().await?;
    tracing::info!("stopped");
    Ok(())
}

/// How this program was called, so that a line can be copied and run.
pub(super) fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| "portcullis".to_owned())
}

/// What the other command needs to find the same database, if that is not in
/// the environment or in the file.
fn database_flag(settings: &Settings) -> String {
    let set_by_flag = settings
        .describe()
        .iter()
        .any(|(key, _, origin)| *key == "DATABASE_URL" && *origin == "flag");
    if set_by_flag {
        format!(" --database-url {}", settings.database_url)
    } else {
        String::new()
    }
}
