//! What is wrong with one row or one request is nobody else's affair.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use each_database::each_database;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{Serving, program_on, run};

/// Asks with one credential until it is told to stop; all answers.
async fn ask_on(url: String, header: [String; 2], stop: Arc<AtomicBool>) -> Vec<u16> {
    let client = reqwest::Client::new();
    let mut statuses = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = client.get(format!("{url}/api/v1/user/"));
        let answer = Answer::of(request.header(&header[0], &header[1])).await;
        statuses.push(answer.status);
    }
    statuses
}

/// On PostgreSQL the look-ups that wait share a query. On SQLite they share a snapshot.
#[each_database]
async fn an_unreadable_row_is_its_owners_alone(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let mut credentials = Vec::new();
    for name in ["alice", "bad_mail", "bad_password", "bad_date", "bad_flag"] {
        app.create_user(name, PASSWORD).await;
        let login = app.log_in(&app.program(), name, PASSWORD).await;
        let session = login.cookie("sessionid").unwrap();
        let key = app
            .database
            .texts("SELECT session_key AS text FROM django_session");
        credentials.push((name, login.token(), session, key));
    }
    let last = |n: usize| {
        let all = &credentials[n].3;
        let before: &[Option<String>] = if n == 0 { &[] } else { &credentials[n - 1].3 };
        all.iter()
            .find(|key| !before.contains(key))
            .unwrap()
            .clone()
            .unwrap()
    };
    if app.database.is_sqlite() {
        app.database.execute(&format!(
            "UPDATE accounts_customuser SET email = x'ff00' WHERE username = 'bad_mail';
             UPDATE accounts_customuser SET password = x'ff00fe' WHERE username = 'bad_password';
             UPDATE accounts_customuser SET is_active = 'ja' WHERE username = 'bad_flag';
             UPDATE django_session SET expire_date = 'soon' WHERE session_key = '{}'",
            last(3)
        ));
    } else {
        let table = "accounts_customuser";
        app.database.execute(&format!(
            "ALTER TABLE {table} ALTER email DROP NOT NULL, ALTER is_active DROP NOT NULL,
               ALTER password DROP NOT NULL;
             UPDATE {table} SET email = NULL WHERE username = 'bad_mail';
             UPDATE {table} SET password = NULL WHERE username = 'bad_password';
             UPDATE {table} SET is_active = NULL WHERE username = 'bad_flag';
             UPDATE django_session SET expire_date = 'infinity' WHERE session_key = '{}'",
            last(3)
        ));
    }
    // Nor does it keep anybody from starting, or from looking.
    let second = app.start_another(&[]).await;
    second.auth.passwords.learn_workload().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checked = run(program_on(&app.database, folder.path()).arg("check"));
    assert!(checked.stdout().contains("5 users"), "{}", checked.stderr());
    let stop = Arc::new(AtomicBool::new(false));
    let asks = |(_, token, session, _): &(_, String, String, _)| {
        [
            ["Authorization".to_owned(), format!("Token {token}")],
            ["Cookie".to_owned(), format!("sessionid={session}")],
        ]
    };
    let bad: Vec<_> = credentials[1..].iter().flat_map(asks).collect();
    let good: Vec<_> = (0..8).flat_map(|_| asks(&credentials[0])).collect();
    let spawn = |header: &[String; 2]| {
        let (url, stop) = (app.url.clone(), Arc::clone(&stop));
        actix_web::rt::spawn(ask_on(url, header.clone(), stop))
    };
    let bad: Vec<_> = bad.iter().map(spawn).collect();
    for _ in 0..40 {
        let asks = good.iter().map(async |[name, value]| {
            let request = app.program().get(format!("{}/api/v1/user/", app.url));
            Answer::of(request.header(name, value)).await
        });
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for asks in bad {
        let statuses = asks.await.unwrap();
        assert!(!statuses.is_empty());
        assert!(
            statuses.iter().all(|status| [200, 401].contains(status)),
            "{statuses:?}"
        );
    }
}

/// A database and a role of a test's own, gone with the value.
struct Latin {
    server: Backend,
    name: String,
}

impl Latin {
    fn create(backend: &Backend) -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let server = backend.create();
        server.execute(&format!(
            "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ));
        server.execute(&format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'unused-0123456789'"
        ));
        Self {
            server: backend.clone(),
            name,
        }
    }

    /// The address, as the owner or as the role.
    fn url(&self, user: Option<&str>) -> String {
        let Backend::Postgres(url) = &self.server else {
            unreachable!("only PostgreSQL has encodings");
        };
        let mut url = url::Url::parse(url).unwrap();
        url.set_path(&self.name);
        if let Some(user) = user {
            url.set_username(user).unwrap();
            url.set_password(Some("unused-0123456789")).unwrap();
        }
        url.into()
    }
}

impl Drop for Latin {
    fn drop(&mut self) {
        let server = self.server.create();
        server.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        server.execute(&format!("DROP ROLE {}", self.name));
    }
}

/// LATIN1 has no Japanese; and a role that only reads and writes may not make tables.
/// SQLite has neither encodings nor roles.
#[each_database(postgres)]
async fn few_letters_and_few_rights_will_do(backend: Backend) {
    let (latin, folder) = (Latin::create(&backend), tempfile::tempdir().unwrap());
    let database = backend.create();
    let program = |url: String, words: &[&str]| {
        let mut command = program_on(&database, folder.path());
        command
            .env("DATABASE_URL", url)
            .env("PORTCULLIS_USER_PASSWORD", PASSWORD)
            .args(words);
        command
    };
    let create = ["createuser", "--no-input", "--username", "j\u{f6}rg"];
    run(&mut program(latin.url(None), &create)).ok();
    let role = &latin.name;
    let owner = TestDatabase::Postgres {
        url: latin.url(None),
        schema: String::new(),
    };
    owner.execute(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
         REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    ));
    std::mem::forget(owner);

    let mut serve = program(latin.url(Some(role)), &["serve"]);
    let serving = Serving::start(&mut serve, "users");

    for (name, status) in [
        ("j\u{f6}rg", 200),
        ("日本", 400),
        ("nobody", 400),
        ("j\u{f6}rg", 200),
    ] {
        let login = reqwest::Client::new()
            .post(format!("{}/api/v1/login/", serving.url()))
            .json(&serde_json::json!({"username": name, "password": PASSWORD}));
        assert_eq!(Answer::of(login).await.status, status, "{name}");
    }
}
