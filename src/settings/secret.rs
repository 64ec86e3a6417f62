//! The secret key's file, for those who do not bring a key.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The secret file of a SQLite database: beside it, `<name>.secret`.
pub fn secret_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    name.into()
}

/// Reads the key; if there is none, makes one up that is never written.
pub(super) fn load_or_invent(path: &Path) -> Result<String, String> {
    Ok(read(path)?.unwrap_or_else(new_key))
}

fn new_key() -> String {
    django_auth::random::random_string(64, &mut rand::rng())
}

/// Reads the key, or makes one. If several processes start at once, one creates the
/// file, whole, and all read that.
pub(super) fn load_or_create(path: &Path) -> Result<String, String> {
    if let Some(text) = read(path)? {
        return Ok(text);
    }
    let (key, file) = (new_key(), path.display());
    match create(path, &key) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| format!("the secret file {file} vanished"))
        }
        Err(error) => Err(format!("cannot write the secret file {file}: {error}")),
    }
}

/// Writes the file, which only its owner may read, unless it exists.
fn create(path: &Path, key: &str) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut whole = tempfile::Builder::new()
        .prefix(".portcullis-secret")
        .tempfile_in(folder)?;
    whole.write_all(key.as_bytes())?;
    whole.as_file().sync_all()?;
    whole.persist_noclobber(path)?;
    Ok(())
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let file = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read the secret file {file}: {error}")),
    };
    let text = text.trim();
    if text.len() < 32 {
        return Err(format!(
            "the secret file {file} holds fewer than 32 characters; restore it, or remove it to start over with new sessions and tokens"
        ));
    }
    Ok(Some(text.to_owned()))
}
