//! `portcullis seal`.

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
