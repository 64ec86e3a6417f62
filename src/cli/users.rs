//! `createuser`, `createsuperuser` and `changepassword`.

use clap::Args;
use django_auth::password::validation::Owner;

use super::context::auth;
use super::error::CliError;
use super::prompt;
use crate::auth::Auth;
use crate::auth::users::Profile;
use crate::models::user::User;
use crate::settings::Settings;

/// Without a terminal: --no-input, --username and PORTCULLIS_USER_PASSWORD.
#[derive(Args)]
pub(super) struct NewUserArgs {
    /// The name to log in with; asked for if it is not given
    #[arg(long)]
    username: Option<String>,
    /// E-mail address
    #[arg(long)]
    email: Option<String>,
    /// First name
    #[arg(long, default_value = "")]
    first_name: String,
    /// Last name
    #[arg(long, default_value = "")]
    last_name: String,
    /// Ask nothing; the password comes from PORTCULLIS_USER_PASSWORD
    #[arg(long, visible_alias = "noinput")]
    no_input: bool,
}

#[derive(Args)]
pub(super) struct ChangePasswordArgs {
    /// Whose password
    username: String,
    /// Ask nothing; the password comes from PORTCULLIS_USER_PASSWORD
    #[arg(long, visible_alias = "noinput")]
    no_input: bool,
}

pub(super) async fn create(
    settings: &Settings,
    args: NewUserArgs,
    is_superuser: bool,
) -> Result<(), CliError> {
    let no_input = args.no_input;
    let profile = profile(args, is_superuser)?;
    let owner = Owner {
        username: &profile.username,
        first_name: &profile.first_name,
        last_name: &profile.last_name,
        email: &profile.email,
    };
    let password = prompt::new_password(no_input, &settings.password_policy, &owner)?;
    let auth = auth(settings)?;
    let encoded = auth.passwords.hash(password).await?;
    let username = profile.username.clone();
    if !auth.users.create(profile, encoded).await? {
        return Err(CliError::message(format!(
            "there is a user {username:?} already; choose another name, or see changepassword"
        )));
    }
    let kind = if is_superuser { "superuser" } else { "user" };
    println!("{kind} {username:?} created");
    Ok(())
}

/// The new user's profile; asks for what is missing.
fn profile(args: NewUserArgs, is_superuser: bool) -> Result<Profile, CliError> {
    let username = match args.username {
        Some(username) => username,
        None if args.no_input => return Err(CliError::message("--no-input needs --username")),
        None => prompt::ask("Username")?,
    };
    let email = match args.email {
        Some(email) => email,
        None if args.no_input => String::new(),
        None => prompt::ask("E-mail address")?,
    };
    let profile = Profile {
        username,
        email,
        first_name: args.first_name,
        last_name: args.last_name,
        is_superuser,
    };
    let validated = profile.validated();
    validated.map_err(|error| CliError::message(error.to_string()))
}

pub(super) async fn change_password(
    settings: &Settings,
    args: ChangePasswordArgs,
) -> Result<(), CliError> {
    let auth = auth(settings)?;
    let user = find(&auth, &args.username).await?;
    let owner = Owner {
        username: &user.username,
        first_name: &user.first_name,
        last_name: &user.last_name,
        email: &user.email,
    };
    let password = prompt::new_password(args.no_input, &settings.password_policy, &owner)?;
    let encoded = auth.passwords.hash(password).await?;
    if !auth.users.set_password(&user, encoded).await? {
        return Err(no_such_user(&args.username));
    }
    println!(
        "password of {:?} changed; all sessions of this user have ended",
        args.username
    );
    Ok(())
}

pub(super) async fn find(auth: &Auth, username: &str) -> Result<User, CliError> {
    let user = auth.users.find(username).await?;
    user.ok_or_else(|| no_such_user(username))
}

fn no_such_user(username: &str) -> CliError {
    CliError::message(format!("there is no user {username:?}"))
}
