//! A check is never older than its question: what anybody commits, through us
//! or past us, is seen by the next request everywhere.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use each_database::each_database;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{Serving, program_on};
use crate::support::until;
use crate::wire::{HOST, ask, by_hand, connect, statuses};

/// Asks often enough for an answer to be remembered.
async fn is_known(app: &TestApp, token: &str, session: &str) -> [u16; 2] {
    let mut statuses = [0; 2];
    for _ in 0..3 {
        statuses = is_once_known(app, token, session).await;
    }
    statuses
}

async fn is_once_known(app: &TestApp, token: &str, session: &str) -> [u16; 2] {
    [
        app.user_by_token(token).await.status,
        app.user_by_session(session).await.status,
    ]
}

#[each_database]
async fn what_others_commit_is_seen_at_once(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
    let email = async || app.user_by_token(&token).await.json()["email"].clone();
    assert_eq!(is_known(&app, &token, &session).await, [200, 200]);

    for (statement, expected) in [
        (
            "UPDATE accounts_customuser SET is_active = FALSE",
            [401, 401],
        ),
        (
            "UPDATE accounts_customuser SET is_active = TRUE",
            [200, 200],
        ),
        (
            "UPDATE authtoken_token SET key = 'x' || substr(key, 2)",
            [401, 200],
        ),
        (
            "UPDATE authtoken_token SET key = '$' || substr(key, 2)",
            [200, 200],
        ),
        (
            "UPDATE django_session SET session_key = 'x' || substr(session_key, 2)",
            [200, 401],
        ),
        (
            "UPDATE django_session SET session_key = '$' || substr(session_key, 2)",
            [200, 200],
        ),
        (
            "UPDATE django_session SET expire_date = '2001-01-01 00:00:00'",
            [200, 401],
        ),
        (
            "UPDATE django_session SET expire_date = '2999-01-01 00:00:00'",
            [200, 200],
        ),
        (
            "UPDATE accounts_customuser SET password = 'another'",
            [200, 401],
        ),
        ("DELETE FROM authtoken_token", [401, 401]),
    ] {
        app.database.execute(statement);
        let seen = [
            app.user_by_token(&token).await.status,
            app.user_by_session(&session).await.status,
        ];
        assert_eq!(seen, expected, "{statement}");
        assert_eq!(
            is_known(&app, &token, &session).await,
            expected,
            "{statement}"
        );
        if seen[0] == 200 {
            let name = format!("{}@example.org", statement.len());
            app.database
                .execute(&format!("UPDATE accounts_customuser SET email = '{name}'"));
            assert_eq!(email().await, name, "{statement}");
        }
    }
}

/// One thread answers all, and has a look-up after the other to do meanwhile.
#[each_database]
async fn what_is_committed_in_a_burst_of_look_ups_is_seen_at_once(backend: Backend) {
    const ROUNDS: usize = 100;
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_WORKERS", "1")]).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let check = |token: &str| {
        format!("GET /api/v1/user/ HTTP/1.1\r\n{HOST}Authorization: Token {token}\r\n\r\n")
    };
    // Nobody has it, and the next one neither, so that each is looked for.
    let unknown = move |number: u64| check(&format!("{number:040x}"));
    let (request, port) = (check(&token), app.port);
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Over(Arc::clone(&is_over));
    let bursts: Vec<_> = (0..3)
        .map(|burst| {
            let is_over = Arc::clone(&is_over);
            actix_web::rt::task::spawn_blocking(move || {
                let mut stream = connect(port);
                let mut numbers = (burst << 32)..;
                let mut answers = [0; 65_536];
                while !is_over.load(Ordering::Relaxed) {
                    let many: String = numbers.by_ref().take(12).map(unknown).collect();
                    stream.write_all(many.as_bytes()).expect("requests");
                    assert!(stream.read(&mut answers).expect("answers") > 0);
                }
            })
        })
        .collect();

    for round in 0..ROUNDS {
        let (is_active, expected) = [("FALSE", 401), ("TRUE", 200)][round % 2];
        app.database.execute(&format!(
            "UPDATE accounts_customuser SET is_active = {is_active}"
        ));
        let request = request.clone();
        let answer = by_hand(move || ask(&mut connect(port), &request)).await;
        assert_eq!(statuses(&answer), [expected], "{round}: {answer}");
    }
    drop(over);
    for burst in bursts {
        burst.await.expect("a burst");
    }
}

/// Says so when it is dropped, by a test that fails too: there are threads that
/// would go on for ever.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Readers ask two servers, one of them another process, without pause. What
/// is asked after the logout's answer has come must be refused.
#[each_database]
async fn a_logout_is_final_everywhere(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = program_on(&app.database, folder.path());
    let other = Serving::start(command.env("PORTCULLIS_BIND", "127.0.0.1:0"), "users");
    let urls = [app.url.clone(), other.url()];
    let checked = Arc::new(AtomicU64::new(0));

    for round in 0..25 {
        let login = app.log_in(&app.program(), "alice", PASSWORD).await;
        let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                let client = app.program();
                let (token, session) = (token.clone(), session.clone());
                let url = format!("{}/api/v1/user/", urls[reader % 2]);
                let (is_over, checked) = (Arc::clone(&is_over), Arc::clone(&checked));
                actix_web::rt::spawn(async move {
                    let mut late = 0;
                    while late < 5 {
                        // Before the question is put.
                        let must_fail = is_over.load(Ordering::Acquire);
                        let request = client.get(&url);
                        let request = if reader % 4 < 2 {
                            request.header("Authorization", format!("Token {token}"))
                        } else {
                            request.header("Cookie", format!("sessionid={session}"))
                        };
                        let status = Answer::of(request).await.status;
                        checked.fetch_add(1, Ordering::Relaxed);
                        if must_fail {
                            assert_eq!(status, 401, "reader {reader} in round {round}");
                            late += 1;
                        }
                    }
                })
            })
            .collect();

        let before = checked.load(Ordering::Relaxed);
        until("they are checked", async || {
            checked.load(Ordering::Relaxed) >= before + 16
        })
        .await;
        let logout = app
            .program()
            .post(format!("{}/api/v1/logout/", urls[round % 2]))
            .header("Authorization", format!("Token {token}"))
            .header("Cookie", format!("sessionid={session}"));
        assert_eq!(Answer::of(logout).await.status, 200);
        is_over.store(true, Ordering::Release);
        for reader in readers {
            reader.await.expect("a reader");
        }
    }
}

/// Time passes without a commit, and a session ends all the same.
#[each_database]
async fn an_end_of_life_needs_no_commit(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_SESSION_AGE", "1h")]).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
    assert_eq!(is_known(&app, &token, &session).await, [200, 200]);

    app.clock.advance(3599);
    assert_eq!(is_known(&app, &token, &session).await, [200, 200]);
    app.clock.advance(2);
    assert_eq!(is_known(&app, &token, &session).await, [200, 401]);
}

/// A key that was not there is not taken to stay so.
#[each_database]
async fn unknown_keys_are_looked_for_each_time(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let token = "0123456789abcdef0123456789abcdef01234567";
    let id = app.create_user("alice", PASSWORD).await;
    for _ in 0..3 {
        assert_eq!(app.user_by_token(token).await.status, 401);
    }

    // In clear, as a Django beside us makes it.
    app.database.execute(&format!(
        "INSERT INTO authtoken_token (key, created, user_id)
         VALUES ('{token}', '2026-11-22 11:59:21', {id})"
    ));
    assert_eq!(app.user_by_token(token).await.status, 200);
    assert_eq!(app.user_by_token(token).await.status, 200, "sealed by now");
}

/// One login or logout after the other, while all that there is is asked for.
#[each_database]
async fn what_we_commit_ourselves_is_seen_at_once(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for name in ["alice", "bob"] {
        app.create_user(name, PASSWORD).await;
    }
    let log_in = async |name| {
        let login = app.log_in(&app.program(), name, PASSWORD).await;
        (login.token(), login.cookie("sessionid").unwrap())
    };
    let (token, session) = log_in("alice").await;
    for round in 0..5 {
        assert_eq!(is_known(&app, &token, &session).await, [200, 200]);
        let (others_token, others_session) = log_in("bob").await;
        let others = async || is_known(&app, &others_token, &others_session).await;
        assert_eq!(others().await, [200, 200], "{round}");

        let logout = app
            .program()
            .post(format!("{}/api/v1/logout/", app.url))
            .header("Authorization", format!("Token {others_token}"))
            .header("Cookie", format!("sessionid={others_session}"));
        assert_eq!(Answer::of(logout).await.status, 200);
        assert_eq!(others().await, [401, 401], "{round}");
    }
    assert_eq!(is_known(&app, &token, &session).await, [200, 200]);
}

/// So many that all keys are read, to know those that there are not.
#[each_database]
async fn a_flood_of_unknown_keys_hides_no_new_one(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let id = app.create_user("alice", PASSWORD).await;
    for round in 0..10 {
        for number in 0..100 {
            let token = format!("{:040x}", 1000 * round + number);
            let session = format!("{:032x}", 1000 * round + number);
            assert_eq!(is_once_known(&app, &token, &session).await, [401, 401]);
        }
        let (token, session) = if round % 2 == 0 {
            let login = app.log_in(&app.program(), "alice", PASSWORD).await;
            (login.token(), login.cookie("sessionid").unwrap())
        } else {
            // As a Django beside us makes it, for the session that was there.
            let token = format!("{:040x}", 1000 * round);
            let login = app.log_in(&app.program(), "alice", PASSWORD).await;
            app.database.execute(&format!(
                "UPDATE authtoken_token SET key = '{token}' WHERE user_id = {id}"
            ));
            (token, login.cookie("sessionid").unwrap())
        };
        let seen = is_once_known(&app, &token, &session).await;
        assert_eq!(seen, [200, 200], "{round}");
        app.database.execute("DELETE FROM authtoken_token");
        app.database.execute("DELETE FROM django_session");
        let seen = is_once_known(&app, &token, &session).await;
        assert_eq!(seen, [401, 401], "{round}");
    }
}
