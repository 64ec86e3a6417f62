//! `portcullis throttle list` and `portcullis throttle clear`.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::context::auth;
use super::error::CliError;
use super::users;
use crate::auth::throttle::failures::Whose;
use crate::settings::Settings;

/// Counters that `list` shows.
const SHOWN: i64 = 1000;

#[derive(Subcommand)]
pub(super) enum ThrottleCommand {
    /// Show which accounts and networks have failed logins, worst first
    List,
    /// Clear failed logins, so that the next one is checked
    Clear(ClearArgs),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct ClearArgs {
    /// Failures of this user, from everywhere
    username: Option<String>,
    /// Failures from the network of this address
    #[arg(long)]
    address: Option<IpAddr>,
    /// All failures
    #[arg(long)]
    all: bool,
}

pub(super) async fn throttle(
    settings: &Settings,
    command: ThrottleCommand,
) -> Result<(), CliError> {
    match command {
        ThrottleCommand::List => list(settings).await,
        ThrottleCommand::Clear(args) => clear(settings, args).await,
    }
}

async fn list(settings: &Settings) -> Result<(), CliError> {
    let rows = auth(settings)?.throttle.find_failures(SHOWN).await?;
    if rows.is_empty() {
        println!("no failed logins");
        return Ok(());
    }
    println!(
        "{:>8}  {:>9}  {:24} client",
        "failures", "blocked", "account"
    );
    for row in rows {
        // A name from Django may hold anything but a NUL.
        let account = row.account.escape_debug().to_string();
        println!(
            "{:>8}  {:>9}  {account:24} {}",
            row.failures,
            blocked(row.blocked_for),
            row.client
        );
    }
    Ok(())
}

/// `-`, or whole minutes and seconds.
fn blocked(time: Duration) -> String {
    match time.as_millis().div_ceil(1000) {
        0 => "-".to_owned(),
        seconds => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

async fn clear(settings: &Settings, args: ClearArgs) -> Result<(), CliError> {
    let auth = auth(settings)?;
    let whose = match (args.username, args.address) {
        (Some(username), _) => Whose::User(users::find(&auth, &username).await?),
        (None, Some(address)) => Whose::Network(address),
        (None, None) => Whose::All,
    };
    let cleared = auth.throttle.clear_failures(whose).await?;
    println!("cleared {cleared} counters");
    Ok(())
}
