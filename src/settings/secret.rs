//! The secret key's file, for those who do not bring a key.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// A key that someone copied from a guide protects nobody.
const SAMPLES: [&str; 4] = ["secret", "changeme", "change-me", "django-insecure"];

pub(super) fn parse(text: &str) -> Result<String, String> {
    if SAMPLES.contains(&text) {
        return Err("is a sample value; use 50 random characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads the key; if there is none, gives one that is never written.
pub(super) fn load_or_invent(path: &Path) -> Result<String, String> {
    Ok(read(path)?.unwrap_or_else(new_key))
}

fn new_key() -> String {
    django_auth::random::random_string(64, &mut rand::rng())
}

/// Reads the key, or makes one. Of several processes that start at once, one
/// creates the file, whole, and all read that.
pub(super) fn load_or_create(path: &Path) -> Result<String, String> {
    if let Some(text) = read(path)? {
        return Ok(text);
    }
    let cannot =
        |error: std::io::Error| format!("cannot write the secret file {}: {error}", path.display());
    let key = new_key();
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut whole = tempfile::Builder::new()
        .prefix(".portcullis-secret")
        .tempfile_in(directory)
        .map_err(cannot)?;
    whole.write_all(key.as_bytes()).map_err(cannot)?;
    whole.as_file().sync_all().map_err(cannot)?;
    match whole.persist_noclobber(path) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| format!("the secret file {} vanished", path.display()))
        }
        Err(error) => Err(cannot(error.error)),
    }
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(format!(
                "cannot read the secret file {}: {error}",
                path.display()
            ));
        }
    };
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| format!("cannot read the secret file {}: {error}", path.display()))?;
    let text = text.trim();
    if text.len() < 32 {
        return Err(format!(
            "the secret file {} holds fewer than 32 characters; restore it, or remove it to start over with new sessions and tokens",
            path.display()
        ));
    }
    Ok(Some(text.to_owned()))
}
