//! `portcullis check --deploy`: each unsafe setting is named, and no safe one.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use each_database::each_database;

use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{Finished, program, run};

/// A weak key that is long, and a short one that is random.
const DULL: &str = "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd";
const SHORT: &str = "r4nd0m-Tho_ugh.sh0rt-k3y+of=49*chars!QWzxnm,PlkJh";
const GOOD: &str = "r4nd0m-Tho_ugh.sh0rt-k3y+of=50*chars!QWzxnm,PlkJhG";

/// Settings without a finding.
const CLEAN: [(&str, &str); 6] = [
    ("PORTCULLIS_PUBLIC_URL", "https://login.example.org"),
    ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1"),
    ("PORTCULLIS_PASSWORD_MIN", "15"),
    ("PORTCULLIS_SESSION_COOKIE", "__Host-sessionid"),
    ("PORTCULLIS_SESSION_IDLE", "12h"),
    ("PORTCULLIS_SECRET_KEY", GOOD),
];

/// One rule: its finding, settings that break it, and settings that just do not.
struct Rule {
    finding: &'static str,
    unsafe_: &'static [(&'static str, &'static str)],
    safe: &'static [(&'static str, &'static str)],
}

const fn rule(
    finding: &'static str,
    unsafe_: &'static [(&'static str, &'static str)],
    safe: &'static [(&'static str, &'static str)],
) -> Rule {
    Rule {
        finding,
        unsafe_,
        safe,
    }
}

/// Each is laid over [`CLEAN`]; an empty value unsets.
const RULES: &[Rule] = &[
    rule(
        "warning: PORTCULLIS_PUBLIC_URL is not set",
        &[("PORTCULLIS_PUBLIC_URL", ""), PLAIN_COOKIE],
        &[("PORTCULLIS_PUBLIC_URL", "https://x.example:8443")],
    ),
    rule(
        "warning: PORTCULLIS_PUBLIC_URL is not https",
        &[
            ("PORTCULLIS_PUBLIC_URL", "http://login.example.org"),
            PLAIN_COOKIE,
        ],
        &[("PORTCULLIS_PUBLIC_URL", "https://10.0.0.1")],
    ),
    rule(
        "warning: PORTCULLIS_PUBLIC_URL is not https",
        &[
            ("PORTCULLIS_PUBLIC_URL", "http://10.0.0.1:8000"),
            PLAIN_COOKIE,
        ],
        &[],
    ),
    rule(
        "note: PORTCULLIS_PUBLIC_URL is on this machine",
        &[("PORTCULLIS_PUBLIC_URL", "http://[::1]:8000"), PLAIN_COOKIE],
        &[],
    ),
    rule(
        "warning: PORTCULLIS_TRUSTED_PROXIES is empty",
        &[("PORTCULLIS_TRUSTED_PROXIES", "")],
        &[("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.0/8,fc00::/7")],
    ),
    rule(
        "warning: PORTCULLIS_TRUSTED_PROXIES has 0.0.0.0/0",
        &[("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.1,0.0.0.0/0")],
        &[],
    ),
    rule(
        "warning: PORTCULLIS_TRUSTED_PROXIES has ::/0",
        &[("PORTCULLIS_TRUSTED_PROXIES", "::/0")],
        &[],
    ),
    rule(
        "warning: PORTCULLIS_TRUSTED_PROXIES has 128.0.0.0/1",
        &[("PORTCULLIS_TRUSTED_PROXIES", "128.0.0.0/1")],
        &[],
    ),
    rule(
        "note: PORTCULLIS_BIND is 0.0.0.0:8000",
        &[("PORTCULLIS_BIND", "0.0.0.0:8000")],
        &[("PORTCULLIS_BIND", "[::1]:8000")],
    ),
    rule(
        "warning: PORTCULLIS_ALLOWED_HOSTS is *",
        &[("PORTCULLIS_ALLOWED_HOSTS", "login.example.org,*")],
        &[("PORTCULLIS_ALLOWED_HOSTS", ".example.org")],
    ),
    rule(
        "warning: PORTCULLIS_SECRET_KEY is shorter than 50 characters",
        &[("PORTCULLIS_SECRET_KEY", SHORT)],
        &[("PORTCULLIS_SECRET_KEY", GOOD)],
    ),
    rule(
        "warning: PORTCULLIS_SECRET_KEY has fewer than 5 different characters",
        &[("PORTCULLIS_SECRET_KEY", DULL)],
        &[(
            "PORTCULLIS_SECRET_KEY",
            "abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde",
        )],
    ),
    rule(
        "warning: PORTCULLIS_SECRET_KEY was made for development",
        &[(
            "PORTCULLIS_SECRET_KEY",
            "django-insecure-r4nd0m-Tho_ugh.sh0rt-k3y+of=50*chars!QWzxnm,PlkJhG",
        )],
        &[],
    ),
    rule(
        "note: PORTCULLIS_SECRET_KEY_FALLBACKS is set",
        &[(
            "PORTCULLIS_SECRET_KEY_FALLBACKS",
            "G0od-but-old-r4nd0m-Tho_ugh.sh0rt-k3y+of=50*chars!Q",
        )],
        &[("PORTCULLIS_SECRET_KEY_FALLBACKS", "")],
    ),
    rule(
        "warning: PORTCULLIS_THROTTLE is off",
        &[("PORTCULLIS_THROTTLE", "off")],
        &[("PORTCULLIS_THROTTLE", "on")],
    ),
    rule(
        "warning: PORTCULLIS_PASSWORD_COST is 9 for bcrypt_sha256",
        &[("PORTCULLIS_PASSWORD_COST", "9")],
        &[("PORTCULLIS_PASSWORD_COST", "10")],
    ),
    rule(
        "warning: PORTCULLIS_PASSWORD_COST is 599999 for pbkdf2_sha256",
        &[
            ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256"),
            ("PORTCULLIS_PASSWORD_COST", "599999"),
        ],
        &[
            ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256"),
            ("PORTCULLIS_PASSWORD_COST", "600000"),
        ],
    ),
    rule(
        "warning: PORTCULLIS_PASSWORD_COST is 14 for scrypt",
        &[("PORTCULLIS_PASSWORD_HASHER", "scrypt")],
        &[
            ("PORTCULLIS_PASSWORD_HASHER", "scrypt"),
            ("PORTCULLIS_PASSWORD_COST", "15"),
        ],
    ),
    rule(
        "warning: PORTCULLIS_PASSWORD_MIN is 7",
        &[("PORTCULLIS_PASSWORD_MIN", "7")],
        &[
            ("PORTCULLIS_PASSWORD_MIN", "15"),
            // Argon2 has no cost that is too low.
            ("PORTCULLIS_PASSWORD_HASHER", "argon2"),
            ("PORTCULLIS_PASSWORD_COST", "1"),
        ],
    ),
    rule(
        "note: PORTCULLIS_PASSWORD_MIN is 14",
        &[("PORTCULLIS_PASSWORD_MIN", "14")],
        &[],
    ),
    rule(
        "note: PORTCULLIS_SESSION_COOKIE is sessionid",
        &[("PORTCULLIS_SESSION_COOKIE", "sessionid")],
        &[],
    ),
    rule(
        "note: PORTCULLIS_SESSION_AGE is over 30 days",
        &[("PORTCULLIS_SESSION_AGE", "31d")],
        &[("PORTCULLIS_SESSION_AGE", "30d")],
    ),
    rule(
        "note: PORTCULLIS_SESSION_IDLE is off",
        &[("PORTCULLIS_SESSION_IDLE", "off")],
        &[("PORTCULLIS_SESSION_IDLE", "1d")],
    ),
    rule(
        "warning: PORTCULLIS_TRUSTED_ORIGINS has an http origin",
        &[(
            "PORTCULLIS_TRUSTED_ORIGINS",
            "https://a.example,http://b.example",
        )],
        &[(
            "PORTCULLIS_TRUSTED_ORIGINS",
            "https://a.example,https://b.example",
        )],
    ),
    rule(
        "note: PORTCULLIS_TRUSTED_ORIGINS has a wildcard",
        &[("PORTCULLIS_TRUSTED_ORIGINS", "https://*.example.org")],
        &[],
    ),
    rule(
        "warning: PORTCULLIS_CORS_ORIGINS has an http origin",
        &[("PORTCULLIS_CORS_ORIGINS", "http://localhost:3000")],
        &[("PORTCULLIS_CORS_ORIGINS", "https://localhost:3000")],
    ),
    rule(
        "warning: PORTCULLIS_LOG is debug or trace",
        &[("PORTCULLIS_LOG", "debug")],
        // The name of a target is no level.
        &[("PORTCULLIS_LOG", "info,debugger=warn")],
    ),
    rule(
        "warning: PORTCULLIS_LOG is debug or trace",
        &[("PORTCULLIS_LOG", "warn,actix_web=TRACE")],
        &[("PORTCULLIS_LOG", "warn")],
    ),
    rule(
        "warning: PORTCULLIS_HASH_THREADS is 1000 on",
        &[("PORTCULLIS_HASH_THREADS", "1000")],
        &[("PORTCULLIS_HASH_THREADS", "4")],
    ),
    rule(
        "warning: PORTCULLIS_HASH_QUEUE is 1001",
        &[("PORTCULLIS_HASH_QUEUE", "1001")],
        &[("PORTCULLIS_HASH_QUEUE", "1000")],
    ),
];

/// Without https, browsers drop the other one.
const PLAIN_COOKIE: (&str, &str) = ("PORTCULLIS_SESSION_COOKIE", "sessionid");

/// `check --deploy` on the clean settings and some others.
fn check(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = program(folder);
    command.args(["check", "--deploy"]).envs(CLEAN);
    for (key, value) in settings {
        command.env(key, value);
    }
    command
}

fn printed(checked: &Finished) -> Vec<String> {
    let is_finding = |line: &&str| line.starts_with("warning: ") || line.starts_with("note: ");
    let text = checked.stdout();
    text.lines().filter(is_finding).map(str::to_owned).collect()
}

/// What it found, after making sure that the exit code fits that.
fn findings(checked: &Finished) -> Vec<String> {
    let text = checked.stdout();
    let found = printed(checked);
    let warns = found.iter().any(|line| line.starts_with("warning: "));
    assert_eq!(
        checked.code(),
        i32::from(warns),
        "{text}{}",
        checked.stderr()
    );
    assert_eq!(text.ends_with("no problems found\n"), !warns, "{text}");
    found
}

/// A folder with a database in it, as `migrate` leaves it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(program(folder.path()).arg("migrate")).ok();
    folder
}

#[test]
fn a_production_configuration_is_clean() {
    let folder = folder();
    assert_eq!(findings(&run(&mut check(folder.path(), &[]))), [""; 0]);
    // With the secret file in the place of a secret in the environment, too.
    let mut command = check(folder.path(), &[]);
    command.env_remove("PORTCULLIS_SECRET_KEY");
    assert_eq!(findings(&run(&mut command)), [""; 0]);
    assert!(folder.path().join("portcullis.db.secret").exists());
}

#[test]
fn each_unsafe_setting_is_named_and_its_twin_is_not() {
    let folder = folder();
    for rule in RULES {
        let found = findings(&run(&mut check(folder.path(), rule.unsafe_)));
        assert_eq!(found.len(), 1, "{}: {found:?}", rule.finding);
        assert!(
            found[0].starts_with(rule.finding),
            "{}: {found:?}",
            rule.finding
        );
        assert!(
            found[0].contains(": ") && found[0].contains("; "),
            "what, why, and what to do: {found:?}"
        );
        let mut without = program(folder.path());
        without
            .arg("check")
            .envs(CLEAN)
            .envs(rule.unsafe_.iter().copied());
        assert_eq!(findings(&run(&mut without)), [""; 0], "only for --deploy");
        let found = findings(&run(&mut check(folder.path(), rule.safe)));
        assert_eq!(found, [""; 0], "the twin of {}", rule.finding);
    }
    // A guessed old key is as good as the current one.
    let weak = [("PORTCULLIS_SECRET_KEY_FALLBACKS", SHORT)];
    let found = findings(&run(&mut check(folder.path(), &weak)));
    let is_named = |line: &String| {
        line.starts_with("warning: PORTCULLIS_SECRET_KEY_FALLBACKS is shorter than 50")
    };
    assert!(found.iter().any(is_named), "{found:?}");
}

#[test]
fn a_first_try_is_told_all_at_once() {
    let folder = folder();
    let mut command = program(folder.path());
    let found = findings(&run(command.args(["check", "--deploy"])));
    let keys: Vec<&str> = found
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(
        keys,
        [
            "PORTCULLIS_PUBLIC_URL",
            "PORTCULLIS_PASSWORD_MIN",
            "PORTCULLIS_SESSION_IDLE"
        ]
    );
}

/// Nothing listens at port 1, so each ends with the error; what is wrong with
/// the address is said all the same.
#[test]
fn a_database_that_is_away_hides_no_finding() {
    let folder = tempfile::tempdir().unwrap();
    let unverified = "warning: DATABASE_URL does not verify the server";
    for (url, said) in [
        ("postgres://me@0.0.0.0:1/d", unverified),
        ("postgres://me@0.0.0.0:1/d?sslmode=prefer", unverified),
        ("postgres://me@127.0.0.1:1/d", ""),
        ("postgres://me@localhost/d?host=/nowhere", ""),
    ] {
        let checked = run(&mut check(folder.path(), &[("DATABASE_URL", url)]));
        checked.failure();
        assert!(!checked.stdout().contains("no problems"), "{url}");
        let found = printed(&checked).join("\n");
        assert!(
            found.starts_with(said) && found.is_empty() == said.is_empty(),
            "{url}: {found}"
        );
    }
    let config = folder.path().join("portcullis.toml");
    let url = "database_url = 'postgres://me:hush@127.0.0.1:1/nowhere'\n";
    std::fs::write(&config, url).unwrap();
    for (mode, count) in [(0o640, 1), (0o600, 0)] {
        set_mode(&config, mode);
        let checked = run(&mut check(folder.path(), &[]));
        checked.failure();
        let found = printed(&checked);
        assert_eq!(found.len(), count, "{mode:o}: {found:?}");
        assert!(
            found.iter().all(|line| line.contains("has a secret in it")),
            "{found:?}"
        );
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_that_others_may_read_or_change_are_named() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("portcullis.toml"), "log = 'info'\n").unwrap();
    std::fs::write(path("secret.toml"), format!("secret_key = '{GOOD}'\n")).unwrap();
    set_mode(&path("secret.toml"), 0o600);
    let looked = |config: &str| {
        let mut command = check(folder.path(), &[("PORTCULLIS_CONFIG", config)]);
        if config == "secret.toml" {
            command.env_remove("PORTCULLIS_SECRET_KEY");
        }
        findings(&run(&mut command))
    };
    let plain = "portcullis.toml";
    for (file, config, safe, unsafe_, said) in [
        ("portcullis.db", plain, 0o600, 0o640, "chmod 600"),
        ("portcullis.db", plain, 0o600, 0o604, "chmod 600"),
        ("portcullis.db-wal", plain, 0o600, 0o644, "chmod 600"),
        ("portcullis.db-shm", plain, 0o600, 0o666, "chmod 600"),
        ("portcullis.db.secret", plain, 0o400, 0o440, "chmod 600"),
        (".", plain, 0o755, 0o757, "chmod o-w"),
        (plain, plain, 0o644, 0o664, "chmod go-w"),
        (plain, plain, 0o644, 0o646, "chmod go-w"),
        ("secret.toml", "secret.toml", 0o600, 0o640, "chmod 600"),
        ("secret.toml", "secret.toml", 0o600, 0o604, "chmod 600"),
    ] {
        let mut found = Vec::new();
        for mode in [safe, unsafe_, safe] {
            // The last connection to close removes these two.
            for ending in ["wal", "shm"] {
                let beside = path(&format!("portcullis.db-{ending}"));
                std::fs::write(&beside, "").unwrap();
                set_mode(&beside, 0o600);
            }
            set_mode(&path(file), mode);
            found.push(looked(config));
        }
        assert_eq!(found[0], [""; 0], "{file} {safe:o}");
        assert_eq!(found[2], [""; 0], "{file} {safe:o}");
        let found = &found[1];
        assert_eq!(found.len(), 1, "{file} {unsafe_:o}: {found:?}");
        assert!(
            found[0].starts_with(&format!("warning: {file}")) && found[0].contains(said),
            "{file} {unsafe_:o}: {found:?}"
        );
    }
}

/// The page that people read has each of them, in its words.
#[test]
fn each_finding_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/deployment.md")).unwrap();
    let rows: BTreeSet<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter_map(|(key, rest)| Some((key, rest.split(" | ").next()?)))
        .collect();
    let named: BTreeSet<(&str, &str)> = RULES
        .iter()
        .filter_map(|rule| {
            let (severity, text) = rule.finding.split_once(": ")?;
            Some((text.split(' ').next()?, severity))
        })
        .chain([
            ("DATABASE_URL", "warning"),
            ("PORTCULLIS_SECRET_KEY_FALLBACKS", "warning"),
            ("PORTCULLIS_STORAGE", "note"),
            ("PORTCULLIS_STORAGE", "warning"),
            ("portcullis.db", "warning"),
            ("portcullis.toml", "warning"),
        ])
        .collect();
    assert_eq!(rows, named);
}

/// A role that owns what is in the test's schema and nothing else, gone with
/// the value.
struct Role<'a> {
    database: &'a TestDatabase,
    name: String,
}

impl<'a> Role<'a> {
    fn new(database: &'a TestDatabase) -> Self {
        let schema = database.schema().expect("PostgreSQL");
        let name = format!("role_{schema}");
        database.execute(&format!(
            "CREATE ROLE {name} LOGIN;
             GRANT USAGE ON SCHEMA {schema} TO {name};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}"
        ));
        Self { database, name }
    }

    fn url(&self) -> String {
        // Whoever the URL names, or nobody: the last one counts.
        format!("{}&user={}", self.database.url(), self.name)
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let name = &self.name;
        self.database
            .execute(&format!("DROP OWNED BY {name}; DROP ROLE {name}"));
    }
}

#[each_database]
async fn a_superuser_of_the_database_is_a_warning(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let on = |url: &str| findings(&run(&mut check(folder.path(), &[("DATABASE_URL", url)])));
    run(program(folder.path())
        .arg("migrate")
        .envs(CLEAN)
        .env("DATABASE_URL", database.url()))
    .ok();
    if database.is_sqlite() {
        assert_eq!(on(&database.url()), [""; 0]);
        return;
    }
    let found = on(&database.url());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("warning: DATABASE_URL names a superuser"),
        "{found:?}"
    );
    let role = Role::new(&database);
    assert_eq!(on(&role.url()), [""; 0]);
}

#[each_database]
async fn keys_in_clear_need_a_django_to_read_them(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    run(program(folder.path())
        .arg("migrate")
        .envs(CLEAN)
        .env("DATABASE_URL", database.url()))
    .ok();
    let looked = || {
        let url = database.url();
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("PORTCULLIS_STORAGE", "django"),
        ];
        let found = findings(&run(&mut check(folder.path(), &settings)));
        let of_storage = |line: &String| line.contains("PORTCULLIS_STORAGE");
        found.into_iter().filter(of_storage).collect::<Vec<_>>()
    };
    let alone = looked();
    assert_eq!(alone.len(), 2, "{alone:?}");
    let (note, warning) = (&alone[0], &alone[1]);
    assert!(
        note.starts_with("note: PORTCULLIS_STORAGE is django:"),
        "{note}"
    );
    assert!(
        warning.starts_with("warning: PORTCULLIS_STORAGE is django, but"),
        "{warning}"
    );

    database.execute("CREATE TABLE django_migrations (id integer)");

    assert_eq!(looked(), alone[..1]);
}
