//! `DATABASE_URL`, as the `diesel` command line takes it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use url::Url;

/// Which database, and where. `Display` never shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A `postgres://` URL, whole, as libpq takes it.
    Postgres(String),
}

impl DatabaseUrl {
    /// Reads `sqlite://file`, `sqlite:///absolute/file`, a bare path, or
    /// `postgres://…`; anything else is an error that says what to type.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // libpq's error would repeat the word, which may be the password.
            if !is_percent_encoded(text) {
                return Err("a `%` in a PostgreSQL URL must be written %25".to_owned());
            }
            return Url::parse(text)
                .map(|_| Self::Postgres(text.to_owned()))
                .map_err(|error| format!("not a PostgreSQL URL ({error})"));
        }
        if is_key_value(text) {
            return Err("write it as postgres://user:password@host/database".to_owned());
        }
        let path = text.strip_prefix("sqlite://").unwrap_or(text);
        let schemes = ["sqlite:", "postgres:", "postgresql:"];
        if path.contains("://") || schemes.iter().any(|scheme| path.starts_with(scheme)) {
            return Err("the scheme is neither sqlite:// nor postgres://".to_owned());
        }
        if path.is_empty() || path == ":memory:" || path.starts_with("file:") {
            return Err("name a file, such as sqlite://portcullis.db".to_owned());
        }
        if path.contains(['?', '#', '%']) {
            return Err("a SQLite path may not hold `?`, `#` or `%`".to_owned());
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// Whether the URL holds a password, which must not be shown.
    pub fn has_password(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(text) => *text != self.without_password(),
        }
    }

    /// Whether the database is on this machine, so that no network is between.
    pub fn is_local(&self) -> bool {
        let Self::Postgres(text) = self else {
            return true;
        };
        let Ok(url) = Url::parse(text) else {
            return false;
        };
        let named = |name: &str| parameter(&url, name);
        let host = named("hostaddr").or_else(|| named("host"));
        let host = host.or_else(|| url.host_str().map(str::to_owned));
        host.is_none_or(|host| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            let is_socket = host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
            host == "localhost" || is_socket || address.is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// Whether libpq refuses a server that cannot prove its name.
    pub fn verifies_server(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(text) => Url::parse(text)
                .is_ok_and(|url| parameter(&url, "sslmode").as_deref() == Some("verify-full")),
        }
    }

    /// The URL without its passwords, to be typed again.
    pub fn without_password(&self) -> String {
        let Self::Postgres(text) = self else {
            return self.to_string();
        };
        let (address, query) = match text.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (text.as_str(), None),
        };
        let named = address.rsplit_once('@').and_then(|(user, rest)| {
            let (scheme, user) = user.split_once("://")?;
            let name = user.split(':').next()?;
            Some(format!("{scheme}://{name}@{rest}"))
        });
        let mut url = named.unwrap_or_else(|| address.to_owned());
        let is_secret =
            |pair: &&str| pair.starts_with("password=") || pair.starts_with("sslpassword=");
        let rest: Vec<&str> = query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter(|pair| !is_secret(pair))
            .collect();
        if !rest.is_empty() {
            url = format!("{url}?{}", rest.join("&"));
        }
        url
    }
}

/// A parameter of the query; libpq takes the last one of a name.
fn parameter(url: &Url, name: &str) -> Option<String> {
    let pairs = url.query_pairs().filter(|(key, _)| key == name);
    pairs.last().map(|(_, value)| value.into_owned())
}

/// Whether each `%` begins a byte that libpq takes: two hex digits, not zero.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        rest.get(..2)
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits != "00")
    })
}

/// libpq's other form, `host=… password=…`. It would make a file of that name.
fn is_key_value(text: &str) -> bool {
    let keys = ["host", "hostaddr", "dbname", "user", "password", "service"];
    text.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .any(|(key, _)| keys.contains(&key))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => match Url::parse(text) {
                // Without the query, which may hold a password too.
                Ok(url) => {
                    let host = url.host_str().unwrap_or("localhost");
                    let port = url.port().map(|port| format!(":{port}"));
                    let port = port.unwrap_or_default();
                    write!(f, "postgres://{host}{port}{}", url.path())
                }
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_the_diesel_command_line_takes() {
        let file = |text: &str| DatabaseUrl::parse(text).unwrap();
        assert_eq!(file("sqlite://a.db"), DatabaseUrl::Sqlite("a.db".into()));
        assert_eq!(
            file("sqlite:///x/a.db"),
            DatabaseUrl::Sqlite("/x/a.db".into())
        );
        assert_eq!(file("a.db"), DatabaseUrl::Sqlite("a.db".into()));
        assert!(matches!(file("postgres://u@h/d"), DatabaseUrl::Postgres(_)));
        for wrong in ["", "sqlite://", "mysql://h/d", ":memory:", "sqlite://a?b"] {
            assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
        }
        assert!(DatabaseUrl::parse("postgres://u:100%25@h/d").is_ok());
        for wrong in [
            "postgres:/u:hush@h/d",
            "host=h user=u password=hush dbname=d",
            "postgres://u:hush%zz@h/d",
            "postgres://u:hush%00@h/d",
            "postgres://u:hush%",
        ] {
            let problem = DatabaseUrl::parse(wrong).unwrap_err();
            assert!(!problem.contains("hush"), "{wrong}: {problem}");
        }
    }

    #[test]
    fn a_server_elsewhere_has_to_prove_its_name() {
        for (text, is_local, verifies) in [
            ("a.db", true, true),
            ("postgres://u@localhost/d", true, false),
            ("postgres://u@127.0.0.1:5433/d", true, false),
            ("postgres://u@[::1]/d", true, false),
            ("postgres:///d?host=/run/postgresql", true, false),
            ("postgres://%2Frun%2Fpostgresql/d", true, false),
            ("postgres:///d", true, false),
            ("postgres://u@db.example.org/d", false, false),
            ("postgres://u@10.0.0.1/d?sslmode=require", false, false),
            ("postgres://u@localhost/d?host=db.example.org", false, false),
            ("postgres://u@localhost.example.org/d", false, false),
            ("postgres://u@h/d?sslmode=verify-full", false, true),
            (
                "postgres://u@h/d?sslmode=verify-full&sslmode=allow",
                false,
                false,
            ),
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert_eq!(
                (url.is_local(), url.verifies_server()),
                (is_local, verifies),
                "{text}"
            );
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgres://me:hush@db:5433/app?password=hush").unwrap();
        assert_eq!(url.to_string(), "postgres://db:5433/app");
        assert!(!format!("{url:?}").contains("hush"));
        for (text, shown) in [
            (
                "postgres://me:hush@db:5433/app?password=hush",
                "postgres://me@db:5433/app",
            ),
            (
                "postgres://me:h@ush@db/app?a=b%20c&sslpassword=hush",
                "postgres://me@db/app?a=b%20c",
            ),
            ("postgres:///app?host=/run", "postgres:///app?host=/run"),
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert_eq!(url.without_password(), shown);
            assert_eq!(url.has_password(), text != shown, "{text}");
        }
    }
}
