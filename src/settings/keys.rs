//! The list of all settings.

use std::sync::LazyLock;

use super::entry::Key;
use super::{auth, database, http, log, server};

/// Every setting there is, in the order of the README's table, `--help` and `portcullis
/// check`.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    [
        database::CONNECTION,
        server::ADDRESS,
        http::NAMES,
        auth::SECRETS,
        database::USERS,
        auth::LOGINS,
        http::TRUSTED,
        auth::LIMITS,
        server::LIMITS,
        log::LOG,
    ]
    .concat()
});
