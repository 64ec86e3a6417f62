//! When a session and a token count, and what the database keeps of them.

use each_database::each_database;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

async fn logged_in(app: &TestApp) -> (String, String, Answer) {
    app.create_user("alice", PASSWORD).await;
    let answer = app.log_in(&app.program(), "alice", PASSWORD).await;
    (answer.token(), answer.cookie("sessionid").unwrap(), answer)
}

async fn statuses(app: &TestApp, token: &str, session: &str) -> (u16, u16) {
    (
        app.user_by_token(token).await.status,
        app.user_by_session(session).await.status,
    )
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|part| part == needle.as_bytes())
}

#[each_database]
async fn the_database_holds_no_key_that_was_on_the_wire(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (token, session, answer) = logged_in(&app).await;
    app.user_by_session(&session).await;

    let everything = app.database.everything();

    assert!(
        holds(&everything, "alice"),
        "the search finds what is there"
    );
    for key in [&token, &session, &answer.cookie("csrftoken").unwrap()] {
        assert!(!holds(&everything, key), "{key}");
    }
    assert!(!holds(&everything, PASSWORD));
}

#[each_database]
async fn a_sealed_key_out_of_the_database_opens_nothing(backend: Backend) {
    let app = TestApp::start(&backend).await;
    logged_in(&app).await;
    let token = app
        .database
        .texts("SELECT key AS text FROM authtoken_token")[0]
        .clone()
        .unwrap();
    let session = app
        .database
        .texts("SELECT session_key AS text FROM django_session")[0]
        .clone()
        .unwrap();

    assert!(token.len() == 40 && token.starts_with('$'));
    assert!(session.len() == 40 && session.starts_with('$'));
    assert_eq!(statuses(&app, &token, &session).await, (401, 401));
}

#[each_database]
async fn a_changed_password_ends_the_sessions_and_not_the_token(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (token, session, _) = logged_in(&app).await;
    let encoded = app.auth.passwords.hash("another".to_owned()).await.unwrap();

    app.database.execute(&format!(
        "UPDATE accounts_customuser SET password = '{encoded}'"
    ));

    assert_eq!(statuses(&app, &token, &session).await, (200, 401));
    assert_eq!(
        app.database.count("django_session"),
        0,
        "as Django flushes it"
    );
    assert_eq!(
        app.log_in(&app.program(), "alice", PASSWORD).await.status,
        400
    );
    assert_eq!(
        app.log_in(&app.program(), "alice", "another").await.status,
        200
    );
}

/// Nothing that a process remembers is what ends a session.
#[each_database]
async fn a_changed_password_counts_after_a_restart(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (_, session, _) = logged_in(&app).await;
    assert_eq!(app.user_by_session(&session).await.status, 200);
    let encoded = app.auth.passwords.hash("another".to_owned()).await.unwrap();
    app.database.execute(&format!(
        "UPDATE accounts_customuser SET password = '{encoded}'"
    ));

    let url = app.start_another(&[]).await.url;

    let request = app
        .program()
        .get(format!("{url}/api/v1/user/"))
        .header("Cookie", format!("sessionid={session}"));
    assert_eq!(Answer::of(request).await.status, 401);
}

#[each_database]
async fn a_clock_that_jumps_lets_nobody_in(backend: Backend) {
    const YEAR: i64 = 366 * 24 * 3600;
    let app = TestApp::start(&backend).await;
    let (_, session, login) = logged_in(&app).await;
    let csrf = login.cookie("csrftoken").unwrap();
    let request = app
        .program()
        .post(format!("{}/logout/", app.url))
        .header("Cookie", format!("sessionid={session}; csrftoken={csrf}"))
        .header("X-CSRFToken", &csrf);
    assert_eq!(Answer::of(request).await.status, 200);
    let live = app.log_in(&app.program(), "alice", PASSWORD).await;
    let live = live.cookie("sessionid").unwrap();

    for (years, expected) in [(0, 200), (1, 401), (100, 401), (-20, 200)] {
        app.clock.advance(years * YEAR);
        let ended = statuses(&app, &login.token(), &session).await;
        assert_eq!(ended, (401, 401), "{years}");
        assert_eq!(app.user_by_session(&live).await.status, expected, "{years}");
        let wrong = app.log_in(&app.program(), "alice", "wrong").await;
        assert_eq!(wrong.status, 400, "{years}");
        app.clock.advance(-years * YEAR);
    }
}

#[each_database]
async fn a_deactivated_or_deleted_user_is_refused_at_once(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (token, session, _) = logged_in(&app).await;

    app.database
        .execute("UPDATE accounts_customuser SET is_active = FALSE");
    let answer = app.user_by_token(&token).await;
    assert_eq!(answer.body, r#"{"detail":"User inactive or deleted."}"#);
    assert_eq!(statuses(&app, &token, &session).await, (401, 401));

    app.database
        .execute("UPDATE accounts_customuser SET is_active = TRUE");
    assert_eq!(statuses(&app, &token, &session).await, (200, 200));

    app.database
        .execute("DELETE FROM authtoken_token; DELETE FROM accounts_customuser");
    assert_eq!(statuses(&app, &token, &session).await, (401, 401));
}

#[each_database]
async fn sessions_end_by_age(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_SESSION_AGE", "1h")]).await;
    let (token, session, _) = logged_in(&app).await;

    app.clock.advance(3590);
    assert_eq!(statuses(&app, &token, &session).await, (200, 200));
    app.clock.advance(20);
    assert_eq!(statuses(&app, &token, &session).await, (200, 401));

    assert_eq!(app.auth.clear_sessions().await.unwrap(), 1);
    assert_eq!(app.database.count("django_session"), 0);
}

#[each_database]
async fn sessions_end_by_idleness_and_by_age_however_busy(backend: Backend) {
    let settings = [
        ("PORTCULLIS_SESSION_AGE", "1h"),
        ("PORTCULLIS_SESSION_IDLE", "10m"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let (_, session, _) = logged_in(&app).await;
    let idle = app
        .log_in(&app.program(), "alice", PASSWORD)
        .await
        .cookie("sessionid")
        .unwrap();

    for _ in 0..7 {
        app.clock.advance(500);
        assert_eq!(
            app.user_by_session(&session).await.status,
            200,
            "a busy one lives on"
        );
    }
    assert_eq!(
        app.user_by_session(&idle).await.status,
        401,
        "an idle one does not"
    );
    app.clock.advance(200);
    assert_eq!(
        app.user_by_session(&session).await.status,
        401,
        "nor does any after an hour"
    );
}

#[each_database]
async fn clear_keys_of_django_are_accepted_and_sealed(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_STORAGE", "django")]).await;
    let (token, session, _) = logged_in(&app).await;
    let key = "SELECT key AS text FROM authtoken_token";
    assert_eq!(
        app.database.texts(key)[0].as_ref(),
        Some(&token),
        "Django finds it"
    );
    let session_key = "SELECT session_key AS text FROM django_session";
    assert_eq!(app.database.texts(session_key)[0].as_ref(), Some(&session));
    let url = app.start_another(&[]).await.url;
    let status = async |name: &'static str, value: String| {
        let request = app
            .program()
            .get(format!("{url}/api/v1/user/"))
            .header(name, value);
        Answer::of(request).await.status
    };

    for _ in 0..2 {
        assert_eq!(status("Authorization", format!("Token {token}")).await, 200);
        assert_eq!(status("Cookie", format!("sessionid={session}")).await, 200);
    }

    let everything = app
        .database
        .texts(key)
        .into_iter()
        .chain(app.database.texts(session_key));
    for key in everything.flatten() {
        assert!(key.starts_with('$'), "{key} is sealed now that it was used");
    }
}

#[each_database]
async fn a_session_of_a_fallback_key_is_renewed(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (token, session, _) = logged_in(&app).await;
    let settings = [
        (
            "PORTCULLIS_SECRET_KEY",
            "the-next-secret-key-of-this-service-0123456789-012345",
        ),
        (
            "PORTCULLIS_SECRET_KEY_FALLBACKS",
            crate::support::app::SECRET_KEY,
        ),
    ];
    let url = app.start_another(&settings).await.url;
    let with_session = async |key: &str| {
        let request = app
            .program()
            .get(format!("{url}/api/v1/user/"))
            .header("Cookie", format!("sessionid={key}"));
        Answer::of(request).await
    };

    let answer = with_session(&session).await;

    assert_eq!(answer.status, 200);
    let renewed = answer.cookie("sessionid").expect("a new key");
    assert_eq!(
        with_session(&session).await.status,
        401,
        "the old key is dead"
    );
    let again = with_session(&renewed).await;
    assert_eq!((again.status, again.cookie("sessionid")), (200, None));
    assert_eq!(app.database.count("django_session"), 1);
    let body = serde_json::json!({"username": "alice", "password": PASSWORD});
    let login = Answer::of(app.program().post(format!("{url}/login/")).json(&body)).await;
    assert_eq!(login.token(), token, "made again with the fallback key");
}

#[each_database]
async fn unreadable_sessions_are_nobodys_and_stay_as_they_are(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_STORAGE", "django")]).await;
    let (_, session, _) = logged_in(&app).await;
    let data = "SELECT session_data AS text FROM django_session ORDER BY session_key";
    let good = app.database.texts(data)[0].clone().unwrap();
    let tampered = format!("{}x", good);

    for text in ["", "garbage", "a:b:c", &tampered, &good[1..]] {
        app.database.execute(&format!(
            "UPDATE django_session SET session_data = '{text}'"
        ));
        let answer = app.user_by_session(&session).await;
        assert_eq!(answer.status, 401, "{text}");
        assert_eq!(answer.set_cookie("sessionid"), None, "{text}");
        assert_eq!(app.database.texts(data), [Some(text.to_owned())]);
    }
}
