//! `portcullis seal` and `unseal`.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::context::auth;
use super::error::CliError;
use crate::auth::Storage;
use crate::auth::seal::Keys;
use crate::settings::Settings;

/// Seals every plaintext key. It may be stopped at any time, and run again.
pub(super) async fn seal(settings: &Settings) -> Result<(), CliError> {
    if settings.auth.storage == Storage::Django {
        return Err(CliError::message(
            "PORTCULLIS_STORAGE is django, so keys stay plaintext; set it to sealed once Django no longer shares the tables",
        ));
    }
    let auth = auth(settings)?;
    for (keys, name) in [(Keys::Tokens, "tokens"), (Keys::Sessions, "sessions")] {
        let bar = ProgressBar::new(auth.count_plaintext(keys).await?.unsigned_abs());
        if let Ok(style) = ProgressStyle::with_template("{msg:8} {bar:40} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(name);
        let mut sealed = 0;
        loop {
            match auth.seal_some(keys).await? {
                0 => break,
                some => sealed += some,
            }
            bar.set_position(sealed as u64);
        }
        bar.finish_and_clear();
        println!("sealed {sealed} {name}");
    }
    Ok(())
}

#[derive(Args)]
pub(super) struct UnsealArgs {
    /// Also delete the sessions that are still sealed: the last step before Django answers
    #[arg(long)]
    finish: bool,
}

/// The way back: makes tokens plaintext for Django. It may be stopped at any time, and
/// run again.
pub(super) async fn unseal(settings: &Settings, args: UnsealArgs) -> Result<(), CliError> {
    if settings.auth.storage == Storage::Sealed {
        return Err(CliError::message(
            "PORTCULLIS_STORAGE is sealed, so keys would be sealed again; set it to django first, here and where Portcullis serves",
        ));
    }
    let auth = auth(settings)?;
    let (mut unsealed, mut lost, mut last) = (0, 0, String::new());
    loop {
        let done = auth.unseal_some(last).await?;
        unsealed += done.unsealed;
        lost += done.lost;
        match done.last {
            Some(key) => last = key,
            None => break,
        }
    }
    println!("unsealed {unsealed} tokens");
    if lost > 0 {
        println!("deleted {lost} tokens whose secret key is gone: their users get new ones");
    }
    if args.finish {
        let mut deleted = 0;
        loop {
            match auth.delete_sealed_sessions().await? {
                0 => break,
                some => deleted += some,
            }
        }
        println!("deleted {deleted} sessions that nobody used meanwhile");
        return Ok(());
    }
    let sessions = auth.count_sealed_sessions().await?;
    if sessions > 0 {
        println!(
            "{sessions} sessions stay sealed: each becomes plaintext when its browser comes to Portcullis; before Django answers, `portcullis unseal --finish` deletes the rest"
        );
    }
    Ok(())
}
