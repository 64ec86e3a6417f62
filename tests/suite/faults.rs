//! When the database, or the time to hash, is not to be had.

use std::process::{Command, Stdio};
use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use each_database::each_database;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{Serving, program_on};
use crate::support::until;

#[each_database]
async fn a_database_without_our_tables_is_a_503_and_never_an_answer(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
    let rename = |from: &str, to: &str| {
        for table in ["accounts_customuser", "authtoken_token", "django_session"] {
            app.database
                .execute(&format!("ALTER TABLE {from}{table} RENAME TO {to}{table}"));
        }
    };

    rename("", "gone_");
    for answer in [
        app.log_in(&app.program(), "alice", PASSWORD).await,
        app.user_by_token(&token).await,
        app.user_by_session(&session).await,
        app.get(&app.program(), "/readyz").await,
    ] {
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.header("retry-after").is_some());
        assert!(
            !answer.body.contains("accounts_customuser"),
            "{}",
            answer.body
        );
    }
    assert_eq!(app.get(&app.program(), "/healthz").await.status, 200);

    rename("gone_", "");
    assert_eq!(app.user_by_token(&token).await.status, 200);
    assert_eq!(app.user_by_session(&session).await.status, 200);
    assert_eq!(
        app.log_in(&app.program(), "alice", PASSWORD).await.status,
        200
    );
}

#[each_database]
async fn a_locked_database_is_a_503_and_checks_go_on(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let lock = Lock::take(&app.database);

    let refused = app.log_in(&app.program(), "alice", PASSWORD).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(app.user_by_token(&token).await.status, 200);
    assert_eq!(app.database.count("django_session"), 1, "nothing half-done");

    drop(lock);
    assert_eq!(
        app.log_in(&app.program(), "alice", PASSWORD).await.status,
        200
    );
}

/// Another program's hold on all writes.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(diesel::pg::PgConnection),
}

impl Lock {
    fn take(database: &TestDatabase) -> Self {
        let url = database.url();
        if database.is_sqlite() {
            let mut c = SqliteConnection::establish(&url).unwrap();
            c.batch_execute("BEGIN IMMEDIATE").unwrap();
            Self::Sqlite(c)
        } else {
            let mut c = diesel::pg::PgConnection::establish(&url).unwrap();
            c.batch_execute("BEGIN; LOCK accounts_customuser IN EXCLUSIVE MODE")
                .unwrap();
            Self::Postgres(c)
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        match self {
            Self::Sqlite(c) => c.batch_execute("ROLLBACK"),
            Self::Postgres(c) => c.batch_execute("ROLLBACK"),
        }
        .unwrap();
    }
}

/// SQLite has no connections to lose. Each may refuse once, so there is one.
#[each_database(postgres)]
async fn a_lost_connection_is_a_503_at_most_once(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_DATABASE_POOL", "1")]).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();

    for _ in 0..3 {
        app.database.terminate_connections();

        let mut refused = 0;
        for _ in 0..3 {
            refused += until_answered(async || app.user_by_token(&token).await).await;
            let log_in = async || app.log_in(&app.program(), "alice", PASSWORD).await;
            refused += until_answered(log_in).await;
        }
        assert!(refused <= 1, "{refused}");
    }
}

/// How often it was 503 before it was 200.
async fn until_answered(ask: impl AsyncFn() -> Answer) -> usize {
    for refused in 0..20 {
        let status = ask().await.status;
        if status == 200 {
            return refused;
        }
        assert_eq!(status, 503);
    }
    panic!("it does not recover");
}

/// As when the Django project beside us changes its user model.
#[each_database]
async fn a_migration_under_our_feet_goes_unnoticed(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();

    let user = "ALTER TABLE accounts_customuser";
    let mut changes = vec![format!("{user} ADD COLUMN nickname text")];
    if !app.database.is_sqlite() {
        changes.push(format!("{user} ALTER COLUMN username TYPE varchar(254)"));
        changes.push(format!("{user} ALTER COLUMN email TYPE text"));
    }
    for change in changes {
        // Statements are prepared by then.
        assert_eq!(app.user_by_token(&token).await.status, 200);
        app.database.execute(&change);

        assert_eq!(app.user_by_token(&token).await.status, 200, "{change}");
        let login = app.log_in(&app.program(), "alice", PASSWORD).await;
        assert_eq!(login.status, 200, "{change}");
    }
}

/// No statement takes as long as one may, but together they take longer than
/// anybody waits. On SQLite none is slow: there, this is a login like any other.
#[each_database]
async fn a_login_that_takes_too_long_is_not_done_later(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    if !app.database.is_sqlite() {
        app.database.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(4); RETURN NEW; END $$",
        );
        for table in ["authtoken_token", "django_session"] {
            app.database.execute(&format!(
                "CREATE TRIGGER slow BEFORE INSERT ON {table}
                 FOR EACH ROW EXECUTE FUNCTION slow()"
            ));
        }

        let refused = app.log_in(&app.program(), "alice", PASSWORD).await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        // The login is still at the second of them, and has locked both.
        app.database
            .execute("BEGIN; LOCK authtoken_token IN ACCESS EXCLUSIVE MODE; COMMIT");
        app.database.execute("DROP FUNCTION slow CASCADE");
        for table in ["authtoken_token", "django_session"] {
            assert_eq!(app.database.count(table), 0, "{table}");
        }
    }
    let log_in = app.log_in(&app.program(), "alice", PASSWORD).await;
    assert_eq!(log_in.status, 200, "{}", log_in.body);
}

#[each_database]
async fn a_full_hashing_queue_is_a_503_at_once(backend: Backend) {
    let settings = [
        ("PORTCULLIS_HASH_THREADS", "1"),
        ("PORTCULLIS_HASH_QUEUE", "1"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let (release, held) = mpsc::channel::<()>();
    let (started, starting) = tokio::sync::oneshot::channel();
    let pool = app.auth.passwords.pool().clone();
    let running = actix_web::rt::spawn({
        let pool = pool.clone();
        async move {
            pool.run("another client", move || {
                let _ = started.send(());
                held.recv()
            })
            .await
        }
    });
    starting.await.expect("the thread is busy");
    let waiting = actix_web::rt::spawn({
        let pool = pool.clone();
        async move { pool.run("a third client", || ()).await }
    });
    until("it waits", async || pool.depth() > 0).await;

    let refused = app.log_in(&app.program(), "alice", PASSWORD).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(app.user_by_token(&token).await.status, 200, "checks go on");

    release.send(()).expect("the job listens");
    running.await.unwrap().unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(
        app.log_in(&app.program(), "alice", PASSWORD).await.status,
        200
    );
}

#[each_database]
async fn one_address_does_not_keep_others_out(backend: Backend) {
    let settings = [
        ("PORTCULLIS_HASH_THREADS", "1"),
        ("PORTCULLIS_HASH_QUEUE", "4"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let (release, held) = mpsc::channel::<()>();
    let (started, starting) = tokio::sync::oneshot::channel();
    let pool = app.auth.passwords.pool().clone();
    for name in ["a0", "a1", "a2", "a3", "b"] {
        app.create_user(name, PASSWORD).await;
    }
    let running = actix_web::rt::spawn({
        let pool = pool.clone();
        async move {
            pool.run("", move || {
                let _ = started.send(());
                held.recv()
            })
            .await
        }
    });
    starting.await.expect("the thread is busy");
    let log_in = |address: &'static str, name: String| {
        let request = app
            .program()
            .post(format!("{}/api/v1/login/", app.url))
            .header("X-Forwarded-For", address)
            .json(&json!({"username": name, "password": PASSWORD}));
        actix_web::rt::spawn(async move { Answer::of(request).await.status })
    };

    let crowd: Vec<_> = (0..3)
        .map(|n| log_in("192.0.2.1", format!("a{n}")))
        .collect();
    until("they wait", async || pool.depth() == 3).await;
    let refused = log_in("192.0.2.1", "a3".to_owned()).await.unwrap();
    assert_eq!(refused, 503, "it has half of the places");
    let other = log_in("192.0.2.2", "b".to_owned());
    until("the other waits", async || pool.depth() == 4).await;

    release.send(()).expect("the job listens");
    running.await.unwrap().unwrap().unwrap();
    assert_eq!(other.await.unwrap(), 200);
    for login in crowd {
        assert_eq!(login.await.unwrap(), 200);
    }
}

#[each_database]
async fn a_full_disk_is_a_503_and_checks_go_on(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let serving = serve_on_full_disk(&app.database, folder.path());
    let ask = async |method: &str, path: &str, header: &'static str, value: String| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", serving.url());
        let request = app.program().request(method, url).header(header, value);
        Answer::of(request.json(&serde_json::json!({"username": "alice", "password": PASSWORD})))
            .await
    };
    let authorization = || ("Authorization", format!("Token {token}"));

    let (name, value) = authorization();
    let user = ask("GET", "/api/v1/user/", name, value).await;
    assert_eq!(user.status, 200, "{}", user.body);
    let cookie = format!("sessionid={session}");
    assert_eq!(
        ask("GET", "/api/v1/user/", "Cookie", cookie).await.status,
        200
    );
    let refused = ask("POST", "/api/v1/login/", "X-Nothing", String::new()).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("set-cookie"), None);
    // Who was told that they are out would be in still.
    let (name, value) = authorization();
    assert_eq!(ask("POST", "/logout/", name, value).await.status, 503);
    let (name, value) = authorization();
    assert_eq!(ask("GET", "/api/v1/user/", name, value).await.status, 200);
    assert_eq!(app.database.count("django_session"), 1, "nothing half-done");

    make_room(&app.database);
    let again = app.log_in(&app.program(), "alice", PASSWORD).await;
    assert_eq!((again.status, again.token()), (200, token));
}

/// A process whose every write fails. On SQLite it is one that may make no file
/// longer than the longest there is; on PostgreSQL the tables say what a full
/// disk says.
fn serve_on_full_disk(database: &TestDatabase, folder: &std::path::Path) -> Serving {
    let mut server = program_on(database, folder);
    server.args(["serve", "--bind", "127.0.0.1:0"]);
    let Some(files) = database.folder() else {
        database.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
        );
        for table in database.tables() {
            database.execute(&format!(
                "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE OR DELETE ON {table}
                 FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
            ));
        }
        return Serving::start(&mut server, "users");
    };
    let length =
        |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().metadata().unwrap().len();
    let longest = std::fs::read_dir(files).unwrap().map(length).max().unwrap();
    let mut limited = Command::new("sh");
    // The limit is in blocks of 512 bytes; without the trap its signal kills.
    limited
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
            "sh",
        ])
        .arg((longest / 512).to_string())
        .arg(server.get_program())
        .args(server.get_args())
        .env_clear()
        .envs(
            server
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    Serving::start_quietly(&mut limited, "users")
}

fn make_room(database: &TestDatabase) {
    if !database.is_sqlite() {
        database.execute("DROP FUNCTION full_disk CASCADE");
    }
}
