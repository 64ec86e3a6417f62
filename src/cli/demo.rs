//! `portcullis demo`: the whole service, on a database that is gone afterwards.

use super::error::CliError;
use crate::app::Application;
use crate::auth::users::Profile;
use crate::settings::{Settings, Values};
use crate::telemetry;

/// The reference app's user.
const USERNAME: &str = "user123";
const PASSWORD: &str = "securepassword";

pub(super) async fn demo(mut flags: Vec<(&'static str, String)>) -> Result<(), CliError> {
    let folder = tempfile::TempDir::with_prefix("portcullis-demo")?;
    let database = folder.path().join("demo.db");
    flags.push(("DATABASE_URL", format!("sqlite://{}", database.display())));
    // Only flags count: a demo must not touch the database that the environment names.
    let settings = Settings::new(Values::from_flags(flags)?)?;
    telemetry::init(&settings.log);
    let application = Application::build(&settings)?;
    let auth = application.auth();
    let password = auth.passwords.hash(PASSWORD.to_owned()).await?;
    let profile = Profile {
        username: USERNAME.to_owned(),
        email: "user123@example.com".to_owned(),
        ..Default::default()
    };
    auth.users.create(profile, password).await?;
    print_commands(&application);
    application.run_until_stopped().await?;
    Ok(())
}

fn print_commands(application: &Application) {
    let url = application.public_url();
    println!(
        r#"Portcullis demo, on a throw-away database: {url}

Log in with curl:

  curl -X POST {url}login/ \
  -H "Content-Type: application/json" \
  -d '{{"username": "{USERNAME}", "password": "{PASSWORD}"}}'

Then use the token of the answer, and log out:

  curl {url}api/v1/user/ -H "Authorization: Token <token>"
  curl -X POST {url}logout/ -H "Authorization: Token <token>"

Or open {url}login/ in a browser: {USERNAME} / {PASSWORD}

Ctrl-C ends the demo and deletes its database."#
    );
}
