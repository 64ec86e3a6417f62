//! The command line, as a script sees it: text, exit codes, effects.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use each_database::each_database;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD};
use crate::support::database::Backend;
use crate::support::program::{Serving, program, program_on, run};

fn create(command: &mut Command, kind: &str, name: &str) -> crate::support::program::Finished {
    run(command
        .args([
            kind,
            "--no-input",
            "--username",
            name,
            "--email",
            "me@EXAMPLE.org",
        ])
        .env("PORTCULLIS_USER_PASSWORD", PASSWORD))
}

async fn log_in(url: &str, name: &str, password: &str) -> Answer {
    let body = json!({"username": name, "password": password});
    let request = reqwest::Client::new().post(format!("{url}/login/"));
    Answer::of(request.json(&body)).await
}

#[each_database]
async fn a_superuser_is_made_without_a_terminal_and_logs_in(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let on = || program_on(&database, folder.path());

    let made = create(&mut on(), "createsuperuser", "admin").ok();
    assert_eq!(made.stdout(), "superuser \"admin\" created\n");
    let again = create(&mut on(), "createuser", "admin").failure();
    assert!(
        again.contains("there is a user \"admin\" already"),
        "{again}"
    );
    create(&mut on(), "createuser", "plain").ok();
    let bad = create(&mut on(), "createuser", "no spaces").failure();
    assert!(bad.contains("username"), "{bad}");

    let flags = "SELECT CAST(is_superuser AS text) || CAST(is_staff AS text) || email AS text
                 FROM accounts_customuser ORDER BY id";
    let rows: Vec<String> = database.texts(flags).into_iter().flatten().collect();
    assert!(
        rows[0] == "11me@example.org" || rows[0] == "truetrueme@example.org",
        "{rows:?}"
    );
    assert!(
        rows[1] == "00me@example.org" || rows[1] == "falsefalseme@example.org",
        "{rows:?}"
    );
    let serving = Serving::start(on().args(["--bind", "127.0.0.1:0"]), "users");
    assert!(
        serving.printed.contains("users    2"),
        "{}",
        serving.printed
    );
    assert_eq!(log_in(&serving.url(), "admin", PASSWORD).await.status, 200);
}

#[each_database]
async fn users_have_passwords_and_tokens(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let on = || program_on(&database, folder.path());
    create(&mut on(), "createuser", "alice").ok();
    let serving = Serving::start(on().args(["serve", "--bind", "127.0.0.1:0"]), "users");
    let login = log_in(&serving.url(), "alice", PASSWORD).await;
    let ask = async |name: &'static str, value: String| {
        let url = format!("{}/api/v1/user/", serving.url());
        let request = reqwest::Client::new().get(url).header(name, value);
        Answer::of(request).await.status
    };
    let session = format!("sessionid={}", login.cookie("sessionid").unwrap());

    let shown = run(on().args(["token", "alice"])).ok().stdout();
    assert_eq!(
        shown,
        format!("Generated token {} for user alice\n", login.token())
    );
    let reset = run(on().args(["token", "--reset", "alice"])).ok().stdout();
    let reset = reset.split(' ').nth(2).unwrap().to_owned();
    assert_eq!(
        ask("Authorization", format!("Token {}", login.token())).await,
        401
    );
    assert_eq!(ask("Authorization", format!("Token {reset}")).await, 200);

    assert_eq!(ask("Cookie", session.clone()).await, 200);
    run(on()
        .args(["changepassword", "alice", "--no-input"])
        .env("PORTCULLIS_USER_PASSWORD", "another password"))
    .ok();
    assert_eq!(ask("Cookie", session).await, 401);
    assert_eq!(log_in(&serving.url(), "alice", PASSWORD).await.status, 400);
    assert_eq!(
        log_in(&serving.url(), "alice", "another password")
            .await
            .status,
        200
    );

    let none = run(on().args(["token", "nobody"])).failure();
    assert!(none.contains("there is no user \"nobody\""), "{none}");
    let silent = run(on().args(["changepassword", "alice", "--no-input"])).failure();
    assert!(silent.contains("PORTCULLIS_USER_PASSWORD"), "{silent}");
    run(on().arg("clearsessions")).ok();
    run(on().arg("seal")).ok();
    let migrated = run(on().arg("migrate")).ok().stdout();
    assert!(migrated.contains("up to date"), "{migrated}");
}

#[each_database]
async fn an_empty_database_says_how_to_make_the_first_user(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let on = || program_on(&database, folder.path());
    let serving = Serving::start(on().args(["--bind", "127.0.0.1:0"]), "createsuperuser");

    let line = serving
        .printed
        .lines()
        .find(|line| line.contains("createsuperuser"))
        .unwrap();
    let mut words = line.split_whitespace();
    let said = words.next().unwrap();
    assert_eq!(
        said,
        env!("CARGO_BIN_EXE_portcullis"),
        "it can be copied and run"
    );
    let mut command = on();
    command.args(words);
    run(command
        .args(["--no-input", "--username", "first"])
        .env("PORTCULLIS_USER_PASSWORD", PASSWORD))
    .ok();
    assert_eq!(log_in(&serving.url(), "first", PASSWORD).await.status, 200);
}

#[each_database]
async fn a_database_that_a_newer_version_took_from_is_refused(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    run(program_on(&database, folder.path()).arg("migrate")).ok();
    let newer = |version: &str| {
        database.execute(&format!(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')"
        ));
    };

    // What only adds is for older instances to live with.
    newer("29990101235959");
    run(program_on(&database, folder.path()).arg("migrate")).ok();

    newer("29990101900000");
    let line = run(&mut program_on(&database, folder.path())).failure();
    assert!(
        line.contains("from a newer portcullis") && line.contains("29990101900000"),
        "{line}"
    );
}

#[each_database]
async fn check_masks_secrets_and_changes_nothing(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let checked = run(program_on(&database, folder.path()).arg("check"))
        .ok()
        .stdout();

    assert!(
        !checked.contains(crate::support::app::SECRET_KEY),
        "{checked}"
    );
    assert!(
        checked.contains("********") && checked.contains("PORTCULLIS_SESSION_AGE"),
        "{checked}"
    );
    if let Some(folder) = database.folder() {
        assert_eq!(
            std::fs::read_dir(folder).unwrap().count(),
            0,
            "no file was made"
        );
    }
    run(program_on(&database, folder.path()).arg("migrate")).ok();
    let checked = run(program_on(&database, folder.path()).arg("check"))
        .ok()
        .stdout();
    assert!(checked.contains("answers, 0 users"), "{checked}");
}

#[test]
fn every_command_has_help() {
    let folder = tempfile::tempdir().unwrap();
    let all = run(program(folder.path()).arg("--help")).ok().stdout();
    for command in [
        "serve",
        "demo",
        "migrate",
        "createuser",
        "createsuperuser",
        "changepassword",
        "token",
        "clearsessions",
        "seal",
        "check",
    ] {
        assert!(all.contains(command), "{command}");
        let help = run(program(folder.path()).args([command, "--help"]))
            .ok()
            .stdout();
        assert!(
            help.contains("--bind") && help.contains("Usage:"),
            "{command}: {help}"
        );
    }
    let unknown = run(program(folder.path()).arg("frobnicate"));
    assert_eq!(unknown.code(), 2);
}

#[test]
fn the_demo_works_as_it_says() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut demo = Serving::start(
        program(folder.path())
            .args(["demo", "--bind", "127.0.0.1:0"])
            .env("TMPDIR", temporary.path()),
        "Ctrl-C",
    );
    let shell = |command: &str| {
        let command = format!("{command} -s");
        let output = Command::new("sh").args(["-c", &command]).output();
        let output = output.expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str::<serde_json::Value>(&text).expect(&text)
    };
    let (_, rest) = demo.printed.split_once("Log in with curl:\n\n").unwrap();
    let (log_in, rest) = rest.split_once("\n\n").unwrap();
    let with_token: Vec<&str> = rest.lines().filter(|l| l.contains("<token>")).collect();
    assert_eq!(with_token.len(), 2, "{rest}");

    let answer = shell(log_in);
    assert_eq!(answer["message"], "user logged in");
    let token = answer["token"].as_str().unwrap();
    assert_eq!(token.len(), 40);
    let show = with_token[0].replace("<token>", token);
    assert_eq!(shell(&show)["username"], "user123");
    let log_out = with_token[1].replace("<token>", token);
    assert_eq!(shell(&log_out)["message"], "Logged out successfully");
    assert!(shell(&show)["detail"].is_string(), "the token has ended");

    demo.signal("INT");
    assert!(demo.process.wait().unwrap().success());
    for folder in [&folder, &temporary] {
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "the demo left something behind");
    }
}

#[test]
fn settings_come_from_flag_environment_file_and_default_in_that_order() {
    let folder = tempfile::tempdir().unwrap();
    let age = |command: &mut Command| {
        let text = run(command.arg("check")).ok().stdout();
        let line = text
            .lines()
            .find(|line| line.starts_with("PORTCULLIS_SESSION_AGE"))
            .unwrap();
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let new = || program(folder.path());

    assert_eq!(age(&mut new()), "14d default");
    std::fs::write(
        folder.path().join("portcullis.toml"),
        "session_age = '3d'\nhash_threads = 2\ntrusted_origins = ['https://a.example']\n",
    )
    .unwrap();
    assert_eq!(age(&mut new()), "3d portcullis.toml");
    assert_eq!(
        age(new().env("PORTCULLIS_SESSION_AGE", "2d")),
        "2d environment"
    );
    let mut all = new();
    all.env("PORTCULLIS_SESSION_AGE", "2d")
        .args(["--session-age", "1d"]);
    assert_eq!(age(&mut all), "1d flag");
}

#[test]
fn what_cannot_be_set_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("DATABASE_URL", "mysql://h/d"),
        ("DATABASE_URL", "sqlite://"),
        ("PORTCULLIS_DATABASE_POOL", "0"),
        ("PORTCULLIS_BIND", "localhost"),
        ("PORTCULLIS_BIND", "127.0.0.1:99999"),
        ("PORTCULLIS_PUBLIC_URL", "login.example.org"),
        ("PORTCULLIS_PUBLIC_URL", "ftp://x"),
        ("PORTCULLIS_PUBLIC_URL", "https://x/path"),
        ("PORTCULLIS_ALLOWED_HOSTS", "a b"),
        ("PORTCULLIS_SESSION_COOKIE", "a;b"),
        ("PORTCULLIS_SESSION_COOKIE", "csrftoken"),
        ("PORTCULLIS_SESSION_COOKIE", "__Host-sessionid"),
        ("PORTCULLIS_SECRET_KEY", "changeme"),
        ("PORTCULLIS_STORAGE", "open"),
        ("PORTCULLIS_USER_TABLE", "a b"),
        ("PORTCULLIS_USER_TABLE", "schema.table"),
        ("PORTCULLIS_LOGIN_WITH", "phone"),
        ("PORTCULLIS_TIME_ZONE", "Asia/Nowhere"),
        ("PORTCULLIS_PASSWORD_HASHER", "md5"),
        ("PORTCULLIS_PASSWORD_COST", "3"),
        ("PORTCULLIS_PASSWORD_COST", "many"),
        ("PORTCULLIS_PASSWORD_MIN", "0"),
        ("PORTCULLIS_PASSWORD_MIN", "65"),
        ("PORTCULLIS_SESSION_AGE", "14"),
        ("PORTCULLIS_SESSION_AGE", "0d"),
        ("PORTCULLIS_SESSION_IDLE", "never"),
        ("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("PORTCULLIS_CORS_ORIGINS", "https://*.example.org"),
        ("PORTCULLIS_TRUSTED_ORIGINS", "example.org"),
        ("PORTCULLIS_THROTTLE", "maybe"),
        ("PORTCULLIS_HASH_THREADS", "-1"),
        ("PORTCULLIS_HASH_QUEUE", "x"),
        ("PORTCULLIS_HASH_NICE", "20"),
        ("PORTCULLIS_WORKERS", "0"),
        ("PORTCULLIS_WORKERS", "513"),
        ("PORTCULLIS_MAX_CONNECTIONS", "0"),
        ("PORTCULLIS_KEEP_ALIVE", "0s"),
        ("PORTCULLIS_HEADER_TIMEOUT", "10"),
        ("PORTCULLIS_REQUEST_TIMEOUT", "soon"),
        ("PORTCULLIS_MAX_HEADERS", "131073"),
        ("PORTCULLIS_MAX_BODY", "64k"),
        ("PORTCULLIS_SHUTDOWN_DELAY", "off"),
        ("PORTCULLIS_SHUTDOWN_TIMEOUT", "0s"),
        ("PORTCULLIS_LOG", "portcullis=loud"),
        ("PORTCULLIS_LOG_FORMAT", "xml"),
        ("PORTCULLIS_TYPO", "1"),
    ] {
        let line = run(program(folder.path()).env(name, value)).failure();
        assert!(line.contains(name), "{name}={value}: {line}");
        assert!(
            name == "PORTCULLIS_SECRET_KEY" || line.len() > name.len() + 20,
            "{line}"
        );
    }
    let few = run(program(folder.path())
        .env("PORTCULLIS_WORKERS", "3")
        .env("PORTCULLIS_MAX_CONNECTIONS", "2"));
    assert_eq!(
        few.failure(),
        "portcullis: PORTCULLIS_MAX_CONNECTIONS (from environment): must be at least PORTCULLIS_WORKERS, which is 3"
    );
    for (file, named) in [
        ("sesion_age = '1d'", "sesion_age"),
        ("session_age = [1]", "session_age"),
        ("= 1", "portcullis.toml"),
    ] {
        std::fs::write(folder.path().join("portcullis.toml"), file).unwrap();
        let line = run(&mut program(folder.path())).failure();
        assert!(line.contains(named), "{line}");
    }
    let unknown = run(program(folder.path()).args(["--sesion-age", "1d"]));
    assert_eq!(unknown.code(), 2);
    assert!(unknown.stderr().contains("--sesion-age"));
}

#[test]
fn what_cannot_be_opened_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let directory = folder.path().join("directory.db");
    std::fs::create_dir(&directory).unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database, whatever its name says").unwrap();
    let secret = "x".repeat(50);
    for (name, value, named) in [
        (
            "DATABASE_URL",
            "sqlite:///proc/nothing.db",
            "/proc/nothing.db",
        ),
        (
            "DATABASE_URL",
            "sqlite://missing/folder/x.db",
            "missing/folder/x.db",
        ),
        ("DATABASE_URL", directory.to_str().unwrap(), "directory.db"),
        ("DATABASE_URL", garbage.to_str().unwrap(), "garbage.db"),
        (
            "DATABASE_URL",
            "postgres://me:hush@127.0.0.1:1/nowhere",
            "127.0.0.1:1/nowhere",
        ),
        ("PORTCULLIS_BIND", taken.as_str(), taken.as_str()),
        ("PORTCULLIS_BIND", "192.0.2.1:80", "192.0.2.1:80"),
        ("PORTCULLIS_USER_TABLE", "auth_user", "auth_user"),
        ("PORTCULLIS_CONFIG", "no-such.toml", "no-such.toml"),
    ] {
        let line = run(program(folder.path())
            .env("DATABASE_URL", "sqlite://good.db")
            .env("PORTCULLIS_BIND", "127.0.0.1:0")
            .env("PORTCULLIS_SECRET_KEY", &secret)
            .env(name, value))
        .failure();
        assert!(line.contains(named), "{name}={value}: {line}");
        assert!(!line.contains("hush"), "{line}");
    }
    let line = run(program(folder.path()).env("DATABASE_URL", "postgres://127.0.0.1/x")).failure();
    assert!(line.contains("PORTCULLIS_SECRET_KEY"), "{line}");
}

#[test]
fn the_secret_is_made_once_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    run(program(folder.path()).arg("migrate")).ok();
    let file = folder.path().join("portcullis.db.secret");
    let first = std::fs::read_to_string(&file).unwrap();
    run(program(folder.path()).arg("clearsessions")).ok();

    assert_eq!(first.len(), 64);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    for name in ["portcullis.db.secret", "portcullis.db"] {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    std::fs::write(&file, "short").unwrap();
    let line = run(program(folder.path()).arg("migrate")).failure();
    assert!(line.contains("portcullis.db.secret"), "{line}");
}

#[test]
fn check_writes_nothing_where_nothing_is_yet() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["check"][..], &["check", "--deploy"]] {
        let checked = run(program(folder.path()).args(arguments)).stdout();
        assert!(checked.contains("not there yet"), "{checked}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[each_database]
async fn expired_sessions_are_cleared(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    run(program_on(&database, folder.path()).arg("migrate")).ok();
    for (key, date) in [
        ("old", "2001-01-01 00:00:00"),
        ("new", "2999-01-01 00:00:00"),
    ] {
        database.execute(&format!(
            "INSERT INTO django_session (session_key, session_data, expire_date)
             VALUES ('{key}', '', '{date}')"
        ));
    }

    let cleared = run(program_on(&database, folder.path()).arg("clearsessions")).ok();

    assert_eq!(cleared.stdout(), "deleted 1 expired sessions\n");
    let left = database.texts("SELECT session_key AS text FROM django_session");
    assert_eq!(left, [Some("new".to_owned())]);
}

#[each_database]
async fn many_starts_at_once_on_a_new_database_all_serve(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let mut command = program_on(&database, folder.path());
            command.args(["--bind", "127.0.0.1:0"]);
            if database.is_sqlite() {
                // Then they also have to agree on the one that is made.
                command.env_remove("PORTCULLIS_SECRET_KEY");
            }
            std::thread::spawn(move || Serving::start(&mut command, "users"))
        })
        .collect();
    let mut serving: Vec<Serving> = starts
        .into_iter()
        .map(|start| start.join().unwrap())
        .collect();

    assert_eq!(database.count("__diesel_schema_migrations"), 8);
    let mut command = program_on(&database, folder.path());
    if database.is_sqlite() {
        command.env_remove("PORTCULLIS_SECRET_KEY");
    }
    create(&mut command, "createuser", "alice").ok();
    let mut tokens = std::collections::HashSet::new();
    for one in &mut serving {
        let login = log_in(&one.url(), "alice", PASSWORD).await;
        assert_eq!(login.status, 200, "{}", login.body);
        tokens.insert(login.token());
        assert!(one.process.try_wait().unwrap().is_none(), "it still runs");
    }
    assert_eq!(tokens.len(), 1, "one key for all of them");
}

#[test]
fn the_command_for_the_first_user_can_be_copied_into_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/it's a database.db", folder.path().display());
    let flags = [
        "--bind",
        "127.0.0.1:0",
        "--password-cost",
        "4",
        "--database-url",
        &url,
    ];
    let serving = Serving::start(program(folder.path()).args(flags), "createsuperuser");
    let line = serving.printed.lines().last().unwrap().trim();
    assert!(line.contains("--password-cost 4"), "{line}");

    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{line} --no-input --username first")])
        .current_dir(folder.path())
        .env("PORTCULLIS_USER_PASSWORD", PASSWORD);
    run(&mut shell).ok();

    let serving = Serving::start(program(folder.path()).args(flags), "users");
    assert!(
        serving.printed.contains("users    1"),
        "{}",
        serving.printed
    );
}

#[test]
fn passwords_in_a_database_url_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "x".repeat(50);
    for url in [
        "postgres://me:hush@127.0.0.1:1/nowhere",
        "postgres://me@127.0.0.1:1/nowhere?password=hush",
        "postgres://me:hush%zz@127.0.0.1:1/nowhere",
        "postgres://me:hush%00@127.0.0.1:1/nowhere",
        "postgres://me:hush@127.0.0.1:99999/nowhere",
        "postgres:/me:hush@127.0.0.1/nowhere",
        "postgres:me:hush@127.0.0.1",
        "host=127.0.0.1 port=1 user=me password=hush dbname=nowhere",
        "mysql://me:hush@127.0.0.1/nowhere",
    ] {
        for command in ["serve", "migrate", "check"] {
            let ended = run(program(folder.path())
                .arg(command)
                .env("PORTCULLIS_BIND", "127.0.0.1:0")
                .env("PORTCULLIS_SECRET_KEY", &secret)
                .env("DATABASE_URL", url));
            assert!(
                !ended.stdout().contains("hush"),
                "{command} {url}: {}",
                ended.stdout()
            );
            let line = ended.failure();
            assert!(!line.contains("hush"), "{command} {url}: {line}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_not_text_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let garbage = OsStr::from_bytes(b"\xff");
    for name in [
        "DATABASE_URL",
        "PORTCULLIS_SECRET_KEY",
        "PORTCULLIS_SESSION_AGE",
    ] {
        let line = run(program(folder.path()).arg("migrate").env(name, garbage)).failure();
        assert!(line.contains(name) && line.contains("UTF-8"), "{line}");
    }
    let line = run(program(folder.path())
        .args(["createuser", "--no-input", "--username", "alice"])
        .env("PORTCULLIS_USER_PASSWORD", garbage))
    .failure();
    assert!(
        line.contains("PORTCULLIS_USER_PASSWORD") && line.contains("UTF-8"),
        "{line}"
    );
    // What is not ours may be anything.
    run(program(folder.path())
        .arg("migrate")
        .env("LS_COLORS", garbage))
    .ok();

    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, b"\xff").unwrap();
    let line = run(program(folder.path()).arg("migrate")).failure();
    assert!(line.contains("portcullis.toml"), "{line}");
    std::fs::write(&file, "storage = 'sealed'\nsession_age = 3d\n").unwrap();
    let line = run(program(folder.path()).arg("migrate")).failure();
    assert!(line.contains("portcullis.toml: line 2: "), "{line}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let line = run(program(folder.path()).arg("migrate")).failure();
    assert!(line.contains("portcullis.toml"), "{line}");
}

#[test]
fn a_reader_that_goes_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = program(folder.path());
    let mut gone = check
        .arg("check")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(gone.stdout.take());
    let ended = gone.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert!(ended.status.success());

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut check = program(folder.path());
    let ended = check
        .arg("check")
        .stdout(full.unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "what was asked for is lost");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        said.contains("standard output") && said.lines().count() == 1,
        "{said}"
    );
}

/// As after a crash of whatever the log was piped into.
#[test]
fn a_log_that_nobody_reads_any_more_stops_nothing() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let mut serve = program(folder.path());
        serve
            .args(["--bind", "127.0.0.1:0", "--log", "trace"])
            .args([
                "--log-format",
                format,
                "--password-cost",
                "4",
                "--throttle",
                "off",
            ])
            .stderr(Stdio::piped());
        let mut serving = Serving::start_quietly(&mut serve, "createsuperuser");
        drop(serving.process.stderr.take());

        let url = serving.url();
        actix_web::rt::System::new().block_on(async {
            for _ in 0..20 {
                assert_eq!(log_in(&url, "nobody", "no").await.status, 400, "{format}");
            }
            let page = reqwest::Client::new().get(format!("{url}/readyz"));
            assert_eq!(Answer::of(page).await.body, "ready\n");
        });

        serving.signal("INT");
        assert_eq!(serving.exit_code(), Some(0), "{format}");
    }
}

#[test]
fn what_anybody_can_send_writes_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = "GET /api/v1/user/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Cookie: sessionid=0123456789abcdef0123456789abcdef\r\n\r\n";
    for (filter, lines) in [
        ("info", [false, false]),
        ("warn,actix_http=error", [true, false]),
        ("warn,actix_session=info", [false, true]),
    ] {
        let mut serve = program(folder.path());
        serve
            .args(["--bind", "127.0.0.1:0", "--log", filter])
            .stderr(Stdio::piped());
        let mut serving = Serving::start_quietly(&mut serve, "createsuperuser");
        for bytes in [
            "\x16\x03\x01",
            "GET / HTTP/9\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
            unknown,
        ] {
            let mut stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
            stream.write_all(bytes.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
        serving.signal("INT");
        assert_eq!(serving.exit_code(), Some(0));
        let mut log = String::new();
        let mut stderr = serving.process.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        assert!(
            log.contains("stopp") || filter != "info",
            "it is the log: {log}"
        );
        let found = ["ERROR", "No session state"].map(|text| log.contains(text));
        assert_eq!(found, lines, "{filter}: {log}");
    }
}
