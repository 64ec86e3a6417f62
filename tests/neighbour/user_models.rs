//! User models that the real Django made: whoever logs in here is logged in there, and
//! the other way round. Their definitions are in `models/users/models/`.

use each_database::each_database;
use serde_json::{Value, json};

use crate::asked::{Asked, python};
use crate::django::SHARED;
use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{Finished, program_on, run};

/// A user model, and what Portcullis has to be told of it.
#[derive(Clone, Copy)]
pub struct Model {
    /// A file of `models/users/models/`, or `stock`.
    pub name: &'static str,
    pub table: &'static str,
    /// The column of `USERNAME_FIELD`.
    pub username: &'static str,
    /// What two people log in with, and their other fields as JSON.
    pub people: [(&'static str, &'static str); 2],
    /// Python to run before they are made.
    pub first: &'static str,
    /// Whether its sessions hold what Django's own models put there.
    pub has_djangos_sessions: bool,
}

pub const STOCK: Model = Model {
    name: "stock",
    table: "auth_user",
    username: "username",
    people: [("ann", "{}"), ("bob", "{}")],
    first: "",
    has_djangos_sessions: true,
};
pub const BY_NAME: Model = Model {
    table: "users_user",
    ..STOCK
};
const BY_ADDRESS: Model = Model {
    username: "email",
    people: [("ann@example.org", "{}"), ("bob@example.org", "{}")],
    ..BY_NAME
};

pub const LABEL_STUDIO: Model = Model {
    name: "label_studio",
    table: "htx_user",
    ..BY_ADDRESS
};
pub const PRETIX: Model = Model {
    name: "pretix",
    table: "pretixbase_user",
    has_djangos_sessions: false,
    ..BY_ADDRESS
};
pub const WEBLATE: Model = Model {
    name: "weblate",
    table: "weblate_auth_user",
    people: [
        ("ann", r#"{"full_name": "Ann"}"#),
        ("bob", r#"{"full_name": "Bob"}"#),
    ],
    ..BY_NAME
};
pub const OLD: Model = Model {
    name: "old",
    ..STOCK
};
pub const NULLS: Model = Model {
    name: "nulls",
    table: "KUNDEN",
    people: [
        ("ann", r#"{"id": -7, "is_active": true}"#),
        ("bob", r#"{"id": 8, "is_active": true}"#),
    ],
    ..STOCK
};
const EXTRAS: Model = Model {
    name: "extras",
    people: [
        (
            "ann",
            r#"{"shoe_size": 38, "born": "1990-01-01", "settings": {}, "team_id": 1}"#,
        ),
        (
            "bob",
            r#"{"shoe_size": 44, "born": "1990-01-02", "settings": {}, "team_id": 1}"#,
        ),
    ],
    first: "from django.contrib.auth.models import Group; Group.objects.create(id=1, name='a')",
    ..BY_NAME
};

macro_rules! works {
    ($($name:ident: $model:expr;)*) => {$(
        #[each_database]
        async fn $name(backend: Backend) {
            works(Pair::start(backend.create(), &$model, &[]).await).await;
        }
    )*};
}
works! {
    stock: STOCK;
    cookiecutter_django: Model { name: "cookiecutter", ..BY_NAME };
    cookiecutter_django_by_address: Model { name: "cookiecutter_email", ..BY_ADDRESS };
    a_uuid_as_key: Model { name: "uuid_key", ..BY_NAME };
    a_text_as_key: Model {
        name: "text_key",
        people: [("ann", r#"{"staff_number": "42"}"#), ("bob", r#"{"staff_number": "42-b"}"#)],
        ..BY_NAME
    };
    no_names: Model { name: "no_names", username: "Login Name", ..BY_NAME };
    columns_that_must_have_a_value: EXTRAS;
    a_proxy: Model { name: "proxy", table: "users_person", ..BY_NAME };
    nulls_everywhere: NULLS;
    ten_years_old: OLD;
    label_studio: LABEL_STUDIO;
    saleor: Model { name: "saleor", table: "account_user", ..BY_ADDRESS };
    pretix: PRETIX;
    plane: Model {
        name: "plane",
        table: "users",
        people: [
            ("ann@example.org", r#"{"username": "b5f0"}"#),
            ("bob@example.org", r#"{"username": "c6a1"}"#),
        ],
        ..BY_ADDRESS
    };
    weblate: WEBLATE;
}

/// Django and Portcullis on one database.
pub struct Pair {
    pub model: Model,
    pub django: Asked,
    pub app: TestApp,
    /// The keys of the people, as Django says.
    keys: [Value; 2],
    /// Of the migrations.
    pub folder: tempfile::TempDir,
}

impl Pair {
    /// Django migrates an empty database and makes the people; then we serve it.
    pub async fn start(
        database: TestDatabase,
        model: &Model,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = database.url();
        let mut django = Asked::start(&python(), model.name, &url, folder.path(), environment);
        django.migrate();
        django.run(model.first);
        let keys = model
            .people
            .map(|(name, fields)| django.make(name, PASSWORD, fields));
        let app = TestApp::start_on(database, &settings(model)).await;
        Self {
            model: *model,
            django,
            app,
            keys,
            folder,
        }
    }

    /// Where a session is good: here, and there.
    pub async fn of_session(&mut self, session: &str) -> [Value; 2] {
        let here = self.app.user_by_session(session).await;
        [name_in(&here), self.django.by_session(session)]
    }

    /// Where a token is good: here, and there.
    pub async fn of_token(&mut self, token: &str) -> [Value; 2] {
        let here = self.app.user_by_token(token).await;
        [name_in(&here), self.django.by_token(token)]
    }

    /// A token and a session from here.
    pub async fn log_in(&self, name: &str, password: &str) -> Option<[String; 2]> {
        let login = self.app.log_in(&self.app.program(), name, password).await;
        if login.status == 400 {
            return None;
        }
        assert_eq!(login.status, 200, "{}", login.body);
        Some([login.token(), login.cookie("sessionid").expect("a session")])
    }

    pub fn check(&self) -> Finished {
        check(&self.app.database, &settings(&self.model))
    }
}

pub fn settings(model: &Model) -> Vec<(&'static str, &'static str)> {
    let users = [
        ("PORTCULLIS_USER_TABLE", model.table),
        ("PORTCULLIS_USERNAME_COLUMN", model.username),
    ];
    [&SHARED[..], &users].concat()
}

pub fn check(database: &TestDatabase, settings: &[(&str, &str)]) -> Finished {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = program_on(database, folder.path());
    run(command.envs(settings.iter().copied()).arg("check"))
}

/// The name in an answer; null if nobody was let in.
fn name_in(answer: &Answer) -> Value {
    match answer.status {
        200 => answer.json()["username"].clone(),
        401 => Value::Null,
        _ => panic!("{}: {}", answer.status, answer.body),
    }
}

const NOBODY: [Value; 2] = [Value::Null, Value::Null];

/// The whole of it, for both people.
pub async fn works(mut pair: Pair) {
    let model = pair.model;
    let mut held = Vec::new();
    for (number, (name, _)) in model.people.into_iter().enumerate() {
        assert_eq!(pair.log_in(name, "wrong").await, None);
        let [token, session] = pair.log_in(name, PASSWORD).await.expect("a login");
        let both = [json!(name), json!(name)];
        let user = pair.app.user_by_session(&session).await.json();
        assert_eq!(user["id"], pair.keys[number]);
        assert_eq!(pair.of_token(&token).await, both);
        shows_the_account(&pair.app, &session).await;
        if model.has_djangos_sessions {
            assert_eq!(pair.of_session(&session).await, both);
        }

        let theirs = pair.django.log_in(name, PASSWORD).expect("a login there");
        assert_eq!(theirs[0], token, "the one token of the user");
        if model.has_djangos_sessions {
            assert_eq!(pair.of_session(&theirs[1]).await, both);
        }
        held.push([token, session]);
    }
    let checked = pair.check().ok().stdout();
    assert!(checked.contains("answers, 2 users"), "{checked}");
    assert!(checked.contains("no problems found"), "{checked}");

    let [[token, session], [other_token, other_session]] = &held[..] else {
        panic!("two people");
    };
    log_out(&pair.app, token, session).await;
    assert_eq!(pair.of_token(token).await, NOBODY);
    assert_eq!(pair.of_session(session).await, NOBODY);
    let other = model.people[1].0;
    assert_eq!(pair.of_token(other_token).await, [other, other]);
    if model.has_djangos_sessions {
        assert_eq!(pair.of_session(other_session).await, [other, other]);
    }

    pair.django.set_password(other, "another");
    assert_eq!(pair.of_session(other_session).await, NOBODY);
    assert_eq!(pair.of_token(other_token).await, [other, other]);
    assert_eq!(pair.log_in(other, PASSWORD).await, None);
    assert!(pair.log_in(other, "another").await.is_some());
}

async fn shows_the_account(app: &TestApp, session: &str) {
    let page = app.program().get(format!("{}/account/", app.url));
    let page = page
        .header("Accept", "text/html")
        .header("Cookie", format!("sessionid={session}"));
    assert_eq!(Answer::of(page).await.status, 200);
}

async fn log_out(app: &TestApp, token: &str, session: &str) {
    let out = app.program().post(format!("{}/logout/", app.url));
    let out = out
        .header("Authorization", format!("Token {token}"))
        .header("Cookie", format!("sessionid={session}"));
    let out = Answer::of(out).await;
    assert_eq!(out.status, 200, "{}", out.body);
}
