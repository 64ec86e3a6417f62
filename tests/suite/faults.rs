//! When the database, or the time to hash, is not to be had.

use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::registry::{DatabaseTest, on_each_database};

pub const TESTS: &[DatabaseTest] = on_each_database![
    a_database_without_our_tables_is_a_503_and_never_an_answer,
    a_locked_database_is_a_503_and_checks_go_on,
    a_lost_connection_is_a_503_at_most_once,
    a_full_hashing_queue_is_a_503_at_once,
];

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

/// SQLite has no connections to lose: there, this is a check like any other.
async fn a_lost_connection_is_a_503_at_most_once(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();

    app.database.terminate_connections();

    let mut refused = 0;
    loop {
        let status = app.user_by_token(&token).await.status;
        if status == 200 {
            break;
        }
        assert_eq!(status, 503);
        refused += 1;
        assert!(refused < 10, "it does not recover");
    }
}

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
    let pool = app.auth.hash_pool().clone();
    let running = actix_web::rt::spawn({
        let pool = pool.clone();
        async move {
            pool.run(move || {
                let _ = started.send(());
                held.recv()
            })
            .await
        }
    });
    starting.await.expect("the thread is busy");
    let waiting = actix_web::rt::spawn({
        let pool = pool.clone();
        async move { pool.run(|| ()).await }
    });
    while pool.depth() == 0 {
        tokio::task::yield_now().await;
    }

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
