//! Sessions that Django and its packages wrote.

use chrono::{DateTime, TimeDelta, Utc};
use django_auth::{SecretKey, SecretKeys, SessionAuthHash, SessionCodec, SessionData};
use each_database::each_database;
use serde_json::{Value, json};

use crate::support::app::{Answer, PASSWORD, SECRET_KEY, TestApp};
use crate::support::database::Backend;
use crate::support::program::{program_on, run};

const STORED: (&str, &str) = ("PORTCULLIS_STORAGE", "django");
const ALLAUTH: &str = "allauth.account.auth_backends.AuthenticationBackend";
const MODEL: &str = "django.contrib.auth.backends.ModelBackend";
const KEY: &str = "asessionthatdjangohadmadebefore0";

fn keys() -> SecretKeys {
    SecretKeys::new(SecretKey::new(SECRET_KEY.to_owned()), vec![])
}

/// Stores a session as Django does.
fn store(app: &TestApp, data: &SessionData) {
    let text = SessionCodec::new(&keys()).encode(data, 1_760_000_000);
    app.database.execute(&format!(
        "INSERT INTO django_session VALUES ('{KEY}', '{text}', '2099-01-01 00:00:00')"
    ));
}

/// A session of the only user, by that backend.
fn session_of(app: &TestApp, backend: &str) -> SessionData {
    let row = "SELECT CAST(id AS text) AS text FROM accounts_customuser";
    let id = app.database.texts(row)[0].clone().unwrap();
    let row = "SELECT password AS text FROM accounts_customuser";
    let password = app.database.texts(row)[0].clone().unwrap();
    let mut data = SessionData::new();
    data.insert("_auth_user_id", id);
    data.insert("_auth_user_backend", backend);
    data.insert(
        "_auth_user_hash",
        SessionAuthHash::new(&keys()).of(&password),
    );
    data
}

/// Logs in inside of that session; the answer, and the row of the new one.
async fn log_in_with(app: &TestApp, username: &str) -> (Answer, SessionData, DateTime<Utc>) {
    let request = app
        .program()
        .post(format!("{}/login/", app.url))
        .header("Cookie", format!("sessionid={KEY}"))
        .json(&json!({"username": username, "password": PASSWORD}));
    let answer = Answer::of(request).await;
    let key = answer.cookie("sessionid").expect("a session");
    let column = |column: &str| {
        let sql = format!(
            "SELECT CAST({column} AS text) AS text FROM django_session WHERE session_key = '{key}'"
        );
        app.database.texts(&sql)[0].clone().expect("a row")
    };
    let data = SessionCodec::new(&keys()).decode(&column("session_data"));
    let expires = column("expire_date");
    let expires = portcullis::models::Timestamp::from_django_text(expires.trim_end_matches("+00"));
    (
        answer,
        data.expect("session data"),
        expires.expect("a date").to_utc(),
    )
}

#[each_database]
async fn sessions_by_any_backend_of_the_setting_are_accepted(backend: Backend) {
    let app = TestApp::start_with(&backend, &[STORED]).await;
    app.create_user("alice", PASSWORD).await;
    store(&app, &session_of(&app, ALLAUTH));
    assert_eq!(app.user_by_session(KEY).await.status, 401);
    let folder = tempfile::tempdir().unwrap();
    let mut check = program_on(&app.database, folder.path());
    check.arg("check").env(STORED.0, STORED.1);
    let said = run(&mut check).stdout();
    assert!(
        said.contains(&format!("1 of the newest sessions are by {ALLAUTH}")),
        "{said}"
    );
    check.env(
        "PORTCULLIS_AUTHENTICATION_BACKENDS",
        format!("{MODEL}, {ALLAUTH}"),
    );
    let said = run(&mut check).stdout();
    assert!(!said.contains("newest sessions are by"), "{said}");

    for (setting, written) in [
        (format!("{ALLAUTH},{MODEL}"), ALLAUTH),
        (format!("{MODEL},{ALLAUTH}"), MODEL),
    ] {
        let settings = [STORED, ("PORTCULLIS_AUTHENTICATION_BACKENDS", &*setting)];
        let second = app.start_another(&settings).await;
        let request = app.program().get(format!("{}/api/v1/user/", second.url));
        let user = Answer::of(request.header("Cookie", format!("sessionid={KEY}"))).await;
        assert_eq!(user.status, 200, "{setting}");
        let login = json!({"username": "alice", "password": PASSWORD});
        let request = app
            .program()
            .post(format!("{}/login/", second.url))
            .json(&login);
        let key = Answer::of(request).await.cookie("sessionid").unwrap();
        let sql =
            format!("SELECT session_data AS text FROM django_session WHERE session_key = '{key}'");
        let text = app.database.texts(&sql)[0].clone().unwrap();
        let data = SessionCodec::new(&keys()).decode(&text).unwrap();
        assert_eq!(data.get("_auth_user_backend"), Some(Value::from(written)));
    }
}

/// What Python writes and is no JSON, and what no machine number holds.
const ODD: &str = r#"{"nan":NaN,"inf":[Infinity,-Infinity],"half":"\ud83d","long":123456789012345678901234567890,"e":1e+16,"\u00e9":{"b":1,"a":0.10}}"#;

#[each_database]
async fn odd_values_are_read_and_stay_to_the_byte(backend: Backend) {
    let app = TestApp::start_with(&backend, &[STORED]).await;
    app.create_user("alice", PASSWORD).await;
    let odd = SessionData::parse(ODD).unwrap();
    store(&app, &odd);
    let (login, data, _) = log_in_with(&app, "alice").await;
    assert_eq!(login.status, 200);
    let start = ODD.strip_suffix('}').unwrap();
    assert!(data.to_json().starts_with(start), "{}", data.to_json());

    app.database.execute("DELETE FROM django_session");
    let mut data = session_of(&app, MODEL);
    for (name, value) in odd.iter() {
        data.insert_json(name.to_owned(), value.to_owned());
    }
    store(&app, &data);
    assert_eq!(app.user_by_session(KEY).await.status, 200);
}

#[each_database]
async fn the_life_that_a_project_gave_a_session_goes_on(backend: Backend) {
    let app = TestApp::start_with(&backend, &[STORED]).await;
    app.create_user("alice", PASSWORD).await;
    let now = Utc::now();
    let date = (now + TimeDelta::days(3)).format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    for (expiry, life, max_age) in [
        (json!(3600), 3600, Some(3600)),
        (json!(0), 14 * 86_400, None),
        (json!(date.to_string()), 3 * 86_400, Some(3 * 86_400)),
        (Value::Null, 14 * 86_400, Some(14 * 86_400)),
    ] {
        app.database.execute("DELETE FROM django_session");
        let mut data = SessionData::new();
        data.insert("_session_expiry", expiry.clone());
        store(&app, &data);
        let (login, data, expires) = log_in_with(&app, "alice").await;
        assert_eq!(data.get("_session_expiry"), Some(expiry.clone()));
        let off = (expires - now).num_seconds() - life;
        assert!((-60..60).contains(&off), "{expiry}: {off} s");
        let cookie = login.set_cookie("sessionid").unwrap();
        let age = cookie
            .split("; ")
            .find_map(|part| part.strip_prefix("Max-Age="));
        let age: Option<i64> = age.map(|age| age.parse().unwrap());
        match (age, max_age) {
            (Some(age), Some(max_age)) => assert!((age - max_age).abs() < 60, "{cookie}"),
            (age, max_age) => assert_eq!(age, max_age, "{cookie}"),
        }
        assert_eq!(cookie.contains("expires="), max_age.is_some(), "{cookie}");
    }
}

/// `CSRF_USE_SESSIONS`: who knew the secret before the login must not know it after.
#[each_database]
async fn a_csrf_secret_in_the_session_is_replaced(backend: Backend) {
    let app = TestApp::start_with(&backend, &[STORED]).await;
    app.create_user("alice", PASSWORD).await;
    let mut data = SessionData::new();
    data.insert("_csrftoken", "abcdefghijklmnopqrstuvwxyzABCDEF");
    store(&app, &data);
    let (_, data, _) = log_in_with(&app, "alice").await;
    let secret = data.get("_csrftoken").unwrap();
    let secret = secret.as_str().unwrap();
    assert_eq!(secret.len(), 32);
    assert_ne!(secret, "abcdefghijklmnopqrstuvwxyzABCDEF");
}
