//! Logging out, by token and by session.

use std::cell::Cell;

use actix_session::storage::{SessionKey as StoreKey, SessionStore};
use actix_web::cookie::time::Duration;
use each_database::each_database;
use portcullis::http::session::store::DjangoSessionStore;
use reqwest::{Method, RequestBuilder};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

const REMOVED: &str =
    r#"sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"#;
const DONE: &str = r#"{"message":"Logged out successfully"}"#;

fn by_session(app: &TestApp, login: &Answer) -> RequestBuilder {
    let cookies = ["sessionid", "csrftoken"]
        .map(|name| format!("{name}={}", login.cookie(name).unwrap()))
        .join("; ");
    app.program()
        .post(format!("{}/logout/", app.url))
        .header("Cookie", cookies)
}

#[each_database]
async fn logout_by_token_ends_the_token(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    for path in ["/logout/", "/logout", "/api/v1/logout/", "/api/v1/logout"] {
        let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();

        let answer = app.with_token(Method::POST, path, &token).await;

        assert_eq!((answer.status, answer.body.as_str()), (200, DONE));
        assert_eq!(answer.set_cookie("sessionid"), None);
        let again = app.with_token(Method::POST, path, &token).await;
        assert_eq!(
            (again.status, again.body.as_str()),
            (401, r#"{"detail":"Invalid token."}"#)
        );
        assert_eq!(app.user_by_token(&token).await.status, 401);
        assert_eq!(app.database.count("authtoken_token"), 0);
    }
}

#[each_database]
async fn logout_by_session_ends_the_session_and_the_token(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let csrf = login.cookie("csrftoken").unwrap();

    let answer = Answer::of(by_session(&app, &login).header("X-CSRFToken", csrf)).await;

    assert_eq!((answer.status, answer.body.as_str()), (200, DONE));
    assert_eq!(answer.set_cookie("sessionid").as_deref(), Some(REMOVED));
    let session = login.cookie("sessionid").unwrap();
    let refused = app.user_by_session(&session).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.set_cookie("sessionid").as_deref(), Some(REMOVED));
    assert_eq!(app.user_by_token(&login.token()).await.status, 401);
    assert_eq!(app.database.count("authtoken_token"), 0);
    assert_eq!(app.database.count("django_session"), 0);
}

#[each_database]
async fn a_session_needs_its_csrf_token_to_log_out(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let csrf = login.cookie("csrftoken").unwrap();
    let session = login.cookie("sessionid").unwrap();
    let wrong = "a".repeat(32);
    let from_header =
        |problem: &str| format!("CSRF token from the 'X-Csrftoken' HTTP header {problem}.");

    for (cookie, header, reason) in [
        (None, None, "CSRF cookie not set.".to_owned()),
        (None, Some(csrf.as_str()), "CSRF cookie not set.".to_owned()),
        (Some(csrf.as_str()), None, "CSRF token missing.".to_owned()),
        (Some(&csrf), Some(wrong.as_str()), from_header("incorrect")),
        (
            Some(&csrf),
            Some("short"),
            from_header("has incorrect length"),
        ),
        (Some(&csrf), Some(""), from_header("has incorrect length")),
        (
            Some(&csrf),
            Some(&"!".repeat(32)),
            from_header("has invalid characters"),
        ),
        (
            Some("short"),
            Some(&csrf),
            "CSRF cookie has incorrect length.".to_owned(),
        ),
    ] {
        let cookie = cookie
            .map(|text| format!("; csrftoken={text}"))
            .unwrap_or_default();
        let mut request = app
            .program()
            .post(format!("{}/logout/", app.url))
            .header("Cookie", format!("sessionid={session}{cookie}"));
        if let Some(header) = header {
            request = request.header("X-CSRFToken", header);
        }
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 403, "{reason}");
        assert_eq!(answer.json()["detail"], format!("CSRF Failed: {reason}"));
    }
    let foreign = by_session(&app, &login)
        .header("X-CSRFToken", &csrf)
        .header("Origin", "https://evil.example");
    assert_eq!(Answer::of(foreign).await.status, 403);
    assert_eq!(
        app.user_by_session(&session).await.status,
        200,
        "still logged in"
    );

    let mut rng = rand::rng();
    let masked = django_auth::csrf::mask(&csrf, &mut rng);
    let form = [("csrfmiddlewaretoken", masked.as_str())];
    let answer = Answer::of(by_session(&app, &login).form(&form)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, DONE));
}

#[each_database]
async fn nobody_logs_out_without_saying_who_they_are(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let client = app.program();
    for method in [Method::POST, Method::GET, Method::PUT, Method::OPTIONS] {
        let request = client.request(method, format!("{}/api/v1/logout/", app.url));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Token"));
        assert_eq!(
            answer.body,
            r#"{"detail":"Authentication credentials were not provided."}"#
        );
    }
}

#[each_database]
async fn the_body_of_a_logout_is_not_read(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    for (kind, body) in [("application/json", "{"), ("text/plain", "x")] {
        let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
        let request = app
            .program()
            .post(format!("{}/logout/", app.url))
            .header("Authorization", format!("token   {token}"))
            .header("Content-Type", kind)
            .body(body);
        assert_eq!(Answer::of(request).await.status, 200);
    }
}

#[each_database]
async fn a_token_decides_and_the_session_that_came_along_ends_too(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.create_user("bob", PASSWORD).await;
    let alice = app.log_in(&app.program(), "alice", PASSWORD).await;
    let bob = app.log_in(&app.program(), "bob", PASSWORD).await;

    let request =
        by_session(&app, &bob).header("Authorization", format!("Token {}", alice.token()));
    let answer = Answer::of(request).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.set_cookie("sessionid").as_deref(), Some(REMOVED));
    assert_eq!(app.user_by_token(&alice.token()).await.status, 401);
    assert_eq!(app.user_by_token(&bob.token()).await.status, 200);
    let session = bob.cookie("sessionid").unwrap();
    assert_eq!(app.user_by_session(&session).await.status, 401);
}

#[each_database]
async fn a_session_whose_token_is_gone_logs_out_all_the_same(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    app.database.execute("DELETE FROM authtoken_token");
    let csrf = login.cookie("csrftoken").unwrap();

    let answer = Answer::of(by_session(&app, &login).header("X-CSRFToken", csrf)).await;

    assert_eq!(answer.status, 200);
    assert_eq!(app.database.count("django_session"), 0);
}

#[each_database]
async fn a_slow_request_does_not_bring_a_session_back(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let store = DjangoSessionStore::new(app.auth.clone());
    let key = || StoreKey::try_from(login.cookie("sessionid").unwrap()).unwrap();
    let state = store.load(&key()).await.unwrap().expect("a live session");
    let csrf = login.cookie("csrftoken").unwrap();
    Answer::of(by_session(&app, &login).header("X-CSRFToken", csrf)).await;

    let saved = store
        .update(key(), state, &Duration::days(14))
        .await
        .unwrap();

    assert_eq!(saved, key(), "no other key is handed out");
    assert_eq!(app.database.count("django_session"), 0);
    assert!(store.load(&key()).await.unwrap().is_none());
}

#[each_database]
async fn no_request_under_way_outlives_a_logout(backend: Backend) {
    let settings = [
        ("PORTCULLIS_SESSION_IDLE", "10m"),
        ("PORTCULLIS_THROTTLE", "off"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let client = app.program();
    for _ in 0..100 {
        let login = app.log_in(&client, "alice", PASSWORD).await;
        let [session, csrf] = ["sessionid", "csrftoken"].map(|name| login.cookie(name).unwrap());
        let is_over = Cell::new(false);
        let log_out = async {
            let answer = Answer::of(by_session(&app, &login).header("X-CSRFToken", &csrf)).await;
            assert_eq!(answer.status, 200);
            is_over.set(true);
        };
        let ask = async || {
            // More than a tenth of the idle time: each use writes the row.
            app.clock.advance(61);
            let url = format!("{}/api/v1/user/", app.url);
            let request = client
                .get(url)
                .header("Cookie", format!("sessionid={session}"));
            let answer = Answer::of(request).await;
            assert!(
                answer
                    .set_cookie("sessionid")
                    .is_none_or(|set| set == REMOVED)
            );
            answer.status
        };
        let go_on = async || {
            while !is_over.get() {
                assert!([200, 401].contains(&ask().await));
            }
        };
        let going_on = futures_util::future::join_all((0..5).map(|_| go_on()));

        futures_util::future::join(going_on, log_out).await;

        assert_eq!(ask().await, 401);
        assert_eq!(app.database.count("django_session"), 0);
        assert_eq!(app.database.count("authtoken_token"), 0);
    }
}

/// Six requests with one session, all at once, of which one is its logout. Gives
/// how that was answered, and the keys that the requests were given.
async fn race(app: &TestApp, url: &str, login: &Answer, logout: usize) -> (u16, Vec<String>) {
    let [session, csrf] = ["sessionid", "csrftoken"].map(|name| login.cookie(name).unwrap());
    let client = app.program();
    let request = |n: usize| {
        let cookie = format!("sessionid={session}; csrftoken={csrf}");
        let request = match n {
            n if n == logout => client.post(format!("{url}/logout/")),
            _ => client.get(format!("{url}/api/v1/user/")),
        };
        Answer::of(
            request
                .header("Cookie", cookie)
                .header("X-CSRFToken", &csrf),
        )
    };
    let answers: Vec<Answer> = futures_util::future::join_all((0..6).map(request)).await;
    let given = answers
        .iter()
        .inspect(|answer| assert!([200, 401].contains(&answer.status), "{answer:?}"))
        .filter_map(|answer| answer.cookie("sessionid"))
        .filter(|key| key.len() > 2)
        .collect();
    (answers[logout].status, given)
}

/// After a change of the secret key the first use of a session gives it another
/// key, which must not be a way around a logout that was told of the old one.
#[each_database]
async fn no_renewal_under_way_outlives_a_logout(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
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
    let mut logouts = 0;
    for round in 0..400 {
        let login = app.log_in(&app.program(), "alice", PASSWORD).await;

        let (status, given) = race(&app, &url, &login, round % 6).await;

        // Only one of them renews it, so the old key is dead in any case; whose
        // logout came too late is told so.
        let old = login.cookie("sessionid").unwrap();
        assert_eq!(app.user_by_session(&old).await.status, 401);
        let alive = i64::from(status != 200);
        assert_eq!(app.database.count("django_session"), alive, "{given:?}");
        assert_eq!(given.len(), usize::from(status != 200));
        app.database.execute("DELETE FROM django_session");
        logouts += usize::from(status == 200);
        if round >= 50 && logouts > 0 {
            return;
        }
    }
    panic!("no logout was ever the first");
}

#[each_database]
async fn a_body_that_names_somebody_else_ends_nothing_of_theirs(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let alice = app.create_user("alice", PASSWORD).await;
    let bob = app.create_user("bob", PASSWORD).await;
    let bobs = app.log_in(&app.program(), "bob", PASSWORD).await;
    let (token, session) = (bobs.token(), bobs.cookie("sessionid").unwrap());
    let body = serde_json::json!({
        "username": "bob", "user": bob.to_string(), "user_id": bob.to_string(),
        "token": token, "key": token, "sessionid": session,
    });
    for is_json in [true, false] {
        let own = app.log_in(&app.program(), "alice", PASSWORD).await.token();
        let path = format!("{}/logout/?user={bob}&username=bob&token={token}", app.url);
        let request = app
            .program()
            .post(path)
            .header("Authorization", format!("Token {own}"));
        let request = match is_json {
            true => request.json(&body),
            false => request.form(&body),
        };
        assert_eq!(Answer::of(request).await.status, 200);
        assert_eq!(app.user_by_token(&own).await.status, 401, "{alice}");
        assert_eq!(app.user_by_token(&token).await.json()["username"], "bob");
        assert_eq!(app.user_by_session(&session).await.status, 200);
    }
}

/// On SQLite a column may hold what is equal to a user's id, and is not the same.
#[each_database]
async fn a_logout_ends_the_token_that_came_whatever_its_row_says(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    if app.database.is_sqlite() {
        app.database.execute(
            "ALTER TABLE authtoken_token RENAME TO old;
             CREATE TABLE authtoken_token (key varchar(40) PRIMARY KEY, created datetime NOT NULL,
               user_id varchar(10) NOT NULL UNIQUE);
             INSERT INTO authtoken_token SELECT key, created, '0' || user_id FROM old",
        );
    }
    assert_eq!(app.user_by_token(&token).await.status, 200);

    let out = app.with_token(Method::POST, "/logout/", &token).await;

    assert_eq!(out.status, 200, "{}", out.body);
    assert_eq!(app.user_by_token(&token).await.status, 401);
    assert_eq!(app.database.count("authtoken_token"), 0);
}
