//! Files that other users of this machine may read or change.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::finding::{Finding, warning};
use crate::db::DatabaseUrl;
use crate::settings::{Settings, secret_file};

/// Permission bits of the group and of all others.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
const ALL_WRITE: u32 = 0o002;

pub(super) fn findings(settings: &Settings, config: &Path) -> Vec<Finding> {
    let mut findings = Vec::from_iter(config_finding(settings, config));
    if let DatabaseUrl::Sqlite(path) = &settings.database.url {
        let files = [
            (path.clone(), "the password hashes in it can be cracked"),
            (beside(path, "-wal"), "it holds parts of the database"),
            (beside(path, "-shm"), "it belongs to the database"),
            (secret_file(path), "its key makes tokens and sessions"),
        ];
        for (file, why) in files {
            if allows(&file, OTHERS) {
                let file = file.display();
                findings.push(warning(format!(
                    "{file} is open to other users: {why}; chmod 600 it"
                )));
            }
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if allows(folder, ALL_WRITE) {
            let folder = folder.display();
            findings.push(warning(format!(
                "{folder} can be changed by every user: they can put a database of their own there; chmod o-w it"
            )));
        }
    }
    findings
}

fn config_finding(settings: &Settings, config: &Path) -> Option<Finding> {
    let file = config.display();
    let secrets = ["PORTCULLIS_SECRET_KEY", "PORTCULLIS_SECRET_KEY_FALLBACKS"];
    let has_secret = secrets.iter().any(|key| settings.is_from_file(key))
        || settings.is_from_file("DATABASE_URL") && settings.database.url.has_password();
    if has_secret && allows(config, OTHERS) {
        Some(warning(format!(
            "{file} is open to other users, and has a secret in it; chmod 600 it"
        )))
    } else if allows(config, OTHERS_WRITE) {
        Some(warning(format!(
            "{file} can be changed by other users: they can name another database; chmod go-w it"
        )))
    } else {
        None
    }
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// False for a file that is not there.
fn allows(path: &Path, bits: u32) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & bits != 0)
}
