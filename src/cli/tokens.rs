//! `portcullis token`.

use clap::Args;

use super::context::auth;
use super::error::CliError;
use super::users;
use crate::settings::Settings;

#[derive(Args)]
pub(super) struct TokenArgs {
    /// Whose token
    username: String,
    /// Replace the token; the old one is refused from now on
    #[arg(short, long)]
    reset: bool,
}

pub(super) async fn token(settings: &Settings, args: TokenArgs) -> Result<(), CliError> {
    let auth = auth(settings)?;
    let user = users::find(&auth, &args.username).await?;
    let token = if args.reset {
        auth.tokens.reset(&user).await?
    } else {
        auth.tokens.get_or_create(&user).await?
    };
    // The line of DRF's `drf_create_token`.
    println!(
        "Generated token {} for user {}",
        token.expose(),
        args.username
    );
    Ok(())
}
