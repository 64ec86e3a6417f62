//! From Django to sealed keys and back: nobody is logged out.

use django_auth::{SecretKey, SecretKeys, SessionAuthHash, SessionCodec, SessionData};
use each_database::each_database;
use portcullis::auth::sessions::MODEL_BACKEND;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, SECRET_KEY, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{program_on, run};

const DJANGO: &[(&str, &str)] = &[("PORTCULLIS_STORAGE", "django")];

fn token(n: usize) -> String {
    format!("{:040x}", 0xdead_beef_u64 + n as u64)
}

fn session(n: usize) -> String {
    format!("adevicethatdjangohasloggedin{n:04}")
}

/// Users with a token and a session each, as Django stores them.
fn django_rows(database: &TestDatabase, users: usize) {
    let hasher = django_auth::password::Hasher::new(
        django_auth::password::Algorithm::Pbkdf2Sha256,
        Some(10),
    );
    let encoded = hasher.unwrap().make(PASSWORD, &mut rand::rng()).unwrap();
    for n in 1..=users {
        let token = token(n);
        database.execute(&format!(
            "INSERT INTO accounts_customuser (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
               VALUES ({n}, '{encoded}', FALSE, 'user{n}', '', '', '', FALSE, TRUE, '2026-11-23 00:00:00');
             INSERT INTO authtoken_token (key, user_id, created) VALUES ('{token}', {n}, '2026-11-23 00:00:00')"
        ));
        store_session(database, n, &encoded);
    }
}

/// A session of that user, whose password column is `encoded`.
fn store_session(database: &TestDatabase, n: usize, encoded: &str) {
    let keys = SecretKeys::new(SecretKey::new(SECRET_KEY.to_owned()), vec![]);
    let mut data = SessionData::new();
    data.insert("_auth_user_id", n.to_string());
    data.insert("_auth_user_backend", MODEL_BACKEND);
    data.insert("_auth_user_hash", SessionAuthHash::new(&keys).of(encoded));
    let data = SessionCodec::new(&keys).encode(&data, 1_760_000_000);
    let session = session(n);
    database.execute(&format!(
        "INSERT INTO django_session VALUES ('{session}', '{data}', '2099-01-01 00:00:00')"
    ));
}

/// A database that Django made.
fn django(backend: &Backend, users: usize) -> TestDatabase {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    run(program_on(&database, folder.path()).arg("migrate")).ok();
    database.execute("CREATE TABLE django_migrations (id integer, app varchar(255))");
    django_rows(&database, users);
    database
}

/// Asks there who it is: neither the token nor the session of these may fail.
async fn all_are_known(url: &str, users: impl Iterator<Item = usize>, when: &str) {
    for n in users {
        for (name, value) in [
            ("Authorization", format!("Token {}", token(n))),
            ("Cookie", format!("sessionid={}", session(n))),
        ] {
            let request = reqwest::Client::new().get(format!("{url}/api/v1/user/"));
            let answer = Answer::of(request.header(name, value)).await;
            assert_eq!(answer.status, 200, "{name} of {n} {when}: {}", answer.body);
        }
    }
}

async fn same_token_is_given(url: &str, n: usize) {
    let body = json!({"username": format!("user{n}"), "password": PASSWORD});
    let request = reqwest::Client::new().post(format!("{url}/api/v1/login/"));
    let login = Answer::of(request.json(&body)).await;
    assert_eq!(login.status, 200, "{}", login.body);
    assert_eq!(login.token(), token(n));
}

#[each_database]
async fn nobody_is_logged_out_by_the_takeover_or_on_the_way_back(backend: Backend) {
    let app = TestApp::start_on(django(&backend, 8), DJANGO).await;
    let database = &app.database;
    let count = |rows: &str| database.count(rows);
    let folder = tempfile::tempdir().unwrap();
    let command = |storage: &str, words: &[&str]| {
        let mut command = program_on(database, folder.path());
        command.env("PORTCULLIS_STORAGE", storage).args(words);
        run(&mut command)
    };
    all_are_known(&app.url, 1..=2, "side by side").await;

    // Some log in again before anything of theirs was used, some are only used.
    let sealed = app.start_another(&[]).await.url;
    for n in 1..=4 {
        same_token_is_given(&sealed, n).await;
    }
    all_are_known(&sealed, 1..=6, "after the takeover").await;
    command("sealed", &["seal"]).ok();
    assert_eq!(count("authtoken_token WHERE key LIKE '$%'"), 8);
    all_are_known(&sealed, 1..=8, "when all is sealed").await;
    for n in 1..=8 {
        same_token_is_given(&sealed, n).await;
    }
    if !database.is_sqlite() {
        // The free pages of SQLite still have what was overwritten.
        let everything = String::from_utf8_lossy(&database.everything()).into_owned();
        assert!((1..=8).all(|n| !everything.contains(&token(n))));
    }

    let said = command("django", &["check"]).stdout();
    assert!(said.contains("8 tokens and "), "{said}");
    assert!(
        command("sealed", &["unseal"])
            .failure()
            .contains("PORTCULLIS_STORAGE")
    );
    let said = command("django", &["unseal"]).ok().stdout();
    assert!(said.contains("unsealed 8 tokens"), "{said}");
    let keys = database.texts("SELECT key AS text FROM authtoken_token ORDER BY key");
    let wanted: Vec<_> = (1..=8).map(|n| Some(token(n))).collect();
    assert_eq!(keys, wanted);
    assert_eq!(count("portcullis_adopted_token"), 0);
    let sealed_sessions = || count("django_session WHERE session_key LIKE '$%'");
    assert!(sealed_sessions() > 0);
    all_are_known(&app.url, 1..=8, "back with Django").await;
    let devices = (1..=8)
        .map(|n| format!("'{}'", session(n)))
        .collect::<Vec<_>>()
        .join(", ");
    let of_devices = format!("django_session WHERE session_key IN ({devices})");
    assert_eq!(count(&of_devices), 8);

    // To Django, a sealed key is a key: nobody may have a copy of one.
    database.execute(
        "INSERT INTO accounts_customuser (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
           VALUES (99, '!', FALSE, 'lost', '', '', '', FALSE, TRUE, '2026-11-23 00:00:00');
         INSERT INTO authtoken_token (key, user_id, created)
           VALUES ('$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 99, '2026-11-23 00:00:00')",
    );
    let said = command("django", &["unseal", "--finish"]).ok().stdout();
    assert!(said.contains("deleted 1 tokens"), "{said}");
    assert_eq!(count("authtoken_token"), 8);
    assert_eq!((sealed_sessions(), count(&of_devices)), (0, 8));
}

/// The next login after a change of the secret key encrypts it under the new one, and
/// so do the digests of session hashes fit under either.
#[each_database]
async fn what_was_adopted_outlives_the_secret_key(backend: Backend) {
    let app = TestApp::start_on(django(&backend, 1), &[]).await;
    all_are_known(&app.url, 1..=1, "adopted").await;
    let other = "another-secret-key-for-tests-0123456789-0123456789-01";
    let upgrading = [
        ("PORTCULLIS_SECRET_KEY", other),
        ("PORTCULLIS_SECRET_KEY_FALLBACKS", SECRET_KEY),
        ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256"),
        ("PORTCULLIS_PASSWORD_COST", "20"),
    ];
    let rotating = app.start_another(&upgrading).await.url;
    same_token_is_given(&rotating, 1).await;
    all_are_known(&rotating, 1..=1, "upgraded under another key").await;
    let rotated = app.start_another(&[("PORTCULLIS_SECRET_KEY", other)]).await;
    same_token_is_given(&rotated.url, 1).await;
}

/// The encrypted token is for its row and its secret key only.
#[each_database]
async fn an_adopted_token_is_given_to_nobody_else(backend: Backend) {
    let app = TestApp::start_on(django(&backend, 2), &[]).await;
    all_are_known(&app.url, 1..=2, "adopted").await;
    app.database.execute(
        "UPDATE portcullis_adopted_token SET encrypted = (SELECT max(encrypted) FROM portcullis_adopted_token)",
    );
    let given = async |n: usize| {
        let login = app
            .log_in(&app.program(), &format!("user{n}"), PASSWORD)
            .await;
        login.token()
    };
    let (one, two) = (given(1).await, given(2).await);
    assert!(
        one == token(1) || two == token(2),
        "one of them is its own row's"
    );
    assert!(one != token(2) && two != token(1));

    let rotated = [(
        "PORTCULLIS_SECRET_KEY",
        "another-secret-key-for-tests-0123456789-0123456789-01",
    )];
    let other = app.start_another(&rotated).await.url;
    for n in 1..=2 {
        let body = json!({"username": format!("user{n}"), "password": PASSWORD});
        let request = reqwest::Client::new().post(format!("{other}/api/v1/login/"));
        let login = Answer::of(request.json(&body)).await;
        assert_ne!(login.token(), token(n), "its key is gone");
    }
}

/// Each hash that is upgraded leaves the user's other devices logged in, as long as the
/// password is the same.
#[each_database]
async fn an_upgraded_hash_ends_no_session(backend: Backend) {
    let upgrading = |cost: &'static str| {
        [
            ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256"),
            ("PORTCULLIS_PASSWORD_COST", cost),
        ]
    };
    let app = TestApp::start_on(django(&backend, 2), &upgrading("20")).await;
    let again = app.start_another(&upgrading("30")).await.url;
    same_token_is_given(&app.url, 1).await;
    same_token_is_given(&app.url, 2).await;
    same_token_is_given(&again, 1).await;
    let sql = "SELECT password AS text FROM accounts_customuser ORDER BY id";
    let hashes = app.database.texts(sql);
    let starts = |n: usize, start: &str| hashes[n].as_deref().unwrap().starts_with(start);
    assert!(
        starts(0, "pbkdf2_sha256$30$") && starts(1, "pbkdf2_sha256$20$"),
        "{hashes:?}"
    );

    for _ in 0..2 {
        all_are_known(&app.url, 1..=2, "after the upgrade").await;
    }
    // Signed anew, they need our memory of the upgrade no more.
    let rows = "portcullis_upgraded_hash";
    assert_eq!(app.database.count(rows), 3);
    app.database.execute(&format!("DELETE FROM {rows}"));
    all_are_known(&app.url, 1..=2, "signed anew").await;

    // Another password ends them all the same, whatever was upgraded before.
    app.database.execute("DELETE FROM django_session");
    for n in 1..=2 {
        store_session(&app.database, n, hashes[n - 1].as_deref().unwrap());
    }
    same_token_is_given(&again, 2).await;
    let encoded = app
        .auth
        .passwords
        .hash("another password".to_owned())
        .await
        .unwrap();
    app.database.execute(&format!(
        "UPDATE accounts_customuser SET password = '{encoded}'"
    ));
    for n in 1..=2 {
        assert_eq!(app.user_by_session(&session(n)).await.status, 401);
    }
}
