//! The table of settings.

/// One setting, as the README's table shows it.
pub struct Key {
    /// The environment variable. The toml key is the same in lower case,
    /// without the prefix; the flag is that with dashes.
    pub name: &'static str,
    /// The text that stands for "not set"; empty if there is none.
    pub default: &'static str,
    /// How the default reads in the documentation, where it is computed.
    pub default_note: &'static str,
    /// One sentence.
    pub meaning: &'static str,
    /// Never shown, and no flag: the command line is public on a machine.
    pub secret: bool,
}

impl Key {
    /// `PORTCULLIS_SESSION_AGE` is `session_age` in `portcullis.toml`.
    pub fn toml_name(&self) -> String {
        self.name
            .strip_prefix("PORTCULLIS_")
            .unwrap_or(self.name)
            .to_lowercase()
    }

    /// `PORTCULLIS_SESSION_AGE` is `--session-age`.
    pub fn flag_name(&self) -> String {
        self.toml_name().replace('_', "-")
    }
}

const fn key(
    name: &'static str,
    default: &'static str,
    default_note: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        default,
        default_note,
        meaning,
        secret: false,
    }
}

const fn secret(name: &'static str, default_note: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        default: "",
        default_note,
        meaning,
        secret: true,
    }
}

/// Every setting there is.
pub const KEYS: &[Key] = &[
    key(
        "DATABASE_URL",
        "sqlite://portcullis.db",
        "",
        "The database, as the diesel command line takes it: sqlite://file or postgres://…",
    ),
    key(
        "PORTCULLIS_DATABASE_POOL",
        "",
        "8",
        "PostgreSQL connections at most",
    ),
    key("PORTCULLIS_BIND", "127.0.0.1:8000", "", "Listen address"),
    key(
        "PORTCULLIS_PUBLIC_URL",
        "",
        "http:// and the listen address",
        "What browsers see: decides Secure cookies, the CSRF origin, HSTS and links",
    ),
    key(
        "PORTCULLIS_ALLOWED_HOSTS",
        "",
        "host of the public URL; loopback names too while bound to loopback",
        "Host headers that are answered, comma-separated; `.example.org` takes subdomains, `*` any",
    ),
    key(
        "PORTCULLIS_SESSION_COOKIE",
        "sessionid",
        "",
        "Name of the session cookie; __Host-sessionid where no Django shares it",
    ),
    secret(
        "PORTCULLIS_SECRET_KEY",
        "SQLite: generated once into a 0600 file beside the database; PostgreSQL: required",
        "Django's SECRET_KEY when sharing with Django",
    ),
    secret(
        "PORTCULLIS_SECRET_KEY_FALLBACKS",
        "",
        "Old secret keys, comma-separated, still accepted",
    ),
    key(
        "PORTCULLIS_STORAGE",
        "sealed",
        "",
        "sealed: keys digested at rest; django: Django's clear form, to share tables with a running Django",
    ),
    key(
        "PORTCULLIS_USER_TABLE",
        "accounts_customuser",
        "",
        "Table of the user model",
    ),
    key(
        "PORTCULLIS_PASSWORD_HASHER",
        "bcrypt_sha256",
        "",
        "For new and upgraded hashes: bcrypt_sha256, pbkdf2_sha256, argon2 or scrypt",
    ),
    key(
        "PORTCULLIS_PASSWORD_COST",
        "",
        "12 rounds, 1000000 iterations, argon2 t=2, scrypt 2^14",
        "Rounds, iterations, time cost or log2 n",
    ),
    key(
        "PORTCULLIS_PASSWORD_MIN",
        "8",
        "",
        "Fewest characters of a new password; 15 are better",
    ),
    key(
        "PORTCULLIS_SESSION_AGE",
        "14d",
        "",
        "Longest life of a session",
    ),
    key(
        "PORTCULLIS_SESSION_IDLE",
        "off",
        "",
        "Longest idle time of a session",
    ),
    key(
        "PORTCULLIS_TRUSTED_PROXIES",
        "",
        "none",
        "Networks whose X-Forwarded-For is believed, comma-separated",
    ),
    key(
        "PORTCULLIS_CORS_ORIGINS",
        "",
        "none",
        "Origins whose pages may log in and read answers, comma-separated; to write by session they must be trusted origins too",
    ),
    key(
        "PORTCULLIS_TRUSTED_ORIGINS",
        "",
        "none",
        "Django's CSRF_TRUSTED_ORIGINS, https://*.example.org included",
    ),
    key(
        "PORTCULLIS_THROTTLE",
        "on",
        "",
        "off only for load tests and conformance runs",
    ),
    key(
        "PORTCULLIS_EVENT_AGE",
        "90d",
        "",
        "How long the rows of the audit log are kept",
    ),
    key(
        "PORTCULLIS_HASH_THREADS",
        "",
        "cores",
        "Threads that hash passwords",
    ),
    key(
        "PORTCULLIS_HASH_QUEUE",
        "",
        "64",
        "Passwords waiting to be hashed; more get 503",
    ),
    key(
        "PORTCULLIS_HASH_NICE",
        "10",
        "",
        "How far hashing gives way to answering: 0, not at all, to 19",
    ),
    key(
        "PORTCULLIS_WORKERS",
        "",
        "cores",
        "Threads that answer requests",
    ),
    key(
        "PORTCULLIS_MAX_CONNECTIONS",
        "10000",
        "",
        "Connections that are held at once; more wait to be accepted",
    ),
    key(
        "PORTCULLIS_KEEP_ALIVE",
        "75s",
        "",
        "How long a connection is kept on which nothing is asked",
    ),
    key(
        "PORTCULLIS_HEADER_TIMEOUT",
        "10s",
        "",
        "Longest time for the first headers of a connection to arrive (then 408)",
    ),
    key(
        "PORTCULLIS_REQUEST_TIMEOUT",
        "30s",
        "",
        "Longest time for a request to arrive (then 408), and again for its answer to begin",
    ),
    key(
        "PORTCULLIS_MAX_HEADERS",
        "32768",
        "",
        "Most bytes of a request's path and headers; more get 431",
    ),
    key(
        "PORTCULLIS_MAX_BODY",
        "65536",
        "",
        "Most bytes of a request's body; more get 413",
    ),
    key(
        "PORTCULLIS_SHUTDOWN_DELAY",
        "7s",
        "",
        "How long everything but /readyz is still answered after SIGTERM, for a proxy to see it",
    ),
    key(
        "PORTCULLIS_SHUTDOWN_TIMEOUT",
        "20s",
        "",
        "Longest time after that for requests in flight to finish",
    ),
    key(
        "PORTCULLIS_LOG",
        "info",
        "",
        "Log filter, such as info or portcullis=debug; actix_http=debug shows what was no HTTP, actix_session=info each session key that nobody has",
    ),
    key(
        "PORTCULLIS_LOG_FORMAT",
        "text",
        "",
        "text, or json for machines",
    ),
];
