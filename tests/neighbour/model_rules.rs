//! What one user model has that the others do not: see `user_models`.

use each_database::each_database;
use serde_json::{Value, json};

use crate::asked::{Asked, python};
use crate::support::app::PASSWORD;
use crate::support::database::{Backend, TestDatabase};
use crate::user_models::{
    BY_NAME, LABEL_STUDIO, Model, NULLS, OLD, PRETIX, Pair, STOCK, WEBLATE, check, settings, works,
};

const NOBODY: [Value; 2] = [Value::Null, Value::Null];

/// Names that differ by case only are one, there and here.
#[each_database(postgres)]
async fn citext(backend: Backend) {
    let mut database = backend.create();
    // One database has one citext, so it is in a schema that the other tests leave alone.
    database.execute(
        "CREATE SCHEMA IF NOT EXISTS citext;
         CREATE EXTENSION IF NOT EXISTS citext SCHEMA citext",
    );
    if let TestDatabase::Postgres { url, schema } = &mut database {
        *url = url.replace(&format!("%3D{schema}"), &format!("%3D{schema},citext"));
    }
    let model = Model {
        name: "citext",
        ..BY_NAME
    };
    let mut pair = Pair::start(database, &model, &[]).await;
    let [token, _] = pair.log_in("ANN", PASSWORD).await.expect("a login");
    assert_eq!(pair.of_token(&token).await, ["ann", "ann"]);
    let theirs = pair.django.log_in("Ann", PASSWORD).expect("a login there");
    assert_eq!(theirs[0], token);
    works(pair).await;
}

#[each_database(postgres)]
async fn a_table_in_another_schema(backend: Backend) {
    let database = backend.create();
    // Dropped with its value, as the first one is.
    let TestDatabase::Postgres { url, schema } = &database else {
        panic!("PostgreSQL");
    };
    let schema = format!("{schema}_staff");
    let url = url.clone();
    database.execute(&format!("CREATE SCHEMA {schema}"));
    let _other = TestDatabase::Postgres {
        url,
        schema: schema.clone(),
    };
    let table: &'static str = format!("{schema}.staff").leak();
    let model = Model {
        name: "schema",
        table,
        ..STOCK
    };
    works(Pair::start(database, &model, &[("OTHER_SCHEMA", &schema)]).await).await;
}

/// The model has a `get_session_auth_hash` of its own. No session goes across, and each
/// side ends the other's; tokens and passwords are as anywhere.
#[each_database]
async fn sessions_with_a_hash_of_their_own_stay_where_they_are(backend: Backend) {
    let mut pair = Pair::start(backend.create(), &PRETIX, &[]).await;
    let ann = PRETIX.people[0].0;
    let [_, ours] = pair.log_in(ann, PASSWORD).await.expect("a login");
    assert_eq!(pair.of_session(&ours).await, [json!(ann), Value::Null]);
    assert_eq!(pair.of_session(&ours).await, NOBODY, "Django has ended it");

    let [_, theirs] = pair.django.log_in(ann, PASSWORD).expect("a login there");
    assert_eq!(pair.django.by_session(&theirs), ann);
    assert_eq!(pair.of_session(&theirs).await, NOBODY, "we have ended it");
}

/// What a manager hides is hidden from Django alone: we read the table.
#[each_database]
async fn whom_a_manager_hides_must_be_deactivated_too(backend: Backend) {
    let mut pair = Pair::start(backend.create(), &LABEL_STUDIO, &[]).await;
    let ann = LABEL_STUDIO.people[0].0;
    pair.django.run(&format!(
        "User.objects.filter(email='{ann}').update(is_deleted=True)"
    ));
    assert_eq!(pair.django.log_in(ann, PASSWORD), None);
    let [token, session] = pair.log_in(ann, PASSWORD).await.expect("a login");
    assert_eq!(pair.of_session(&session).await, [json!(ann), Value::Null]);
    assert_eq!(
        pair.of_token(&token).await,
        [ann, ann],
        "DRF sees it as we do"
    );

    pair.django.run(&format!(
        "User.with_deleted.filter(email='{ann}').update(is_active=False)"
    ));
    assert_eq!(pair.log_in(ann, PASSWORD).await, None);
    assert_eq!(pair.of_session(&session).await, NOBODY);
    assert_eq!(pair.of_token(&token).await, NOBODY);
}

/// As with allauth, in cookiecutter-django's projects: a session that another backend made
/// is nobody's here unless the setting names it, and `check` says so. Ours are good there
/// if Django's own is listed.
#[each_database]
async fn sessions_of_another_backend_are_nobodys(backend: Backend) {
    let model = Model {
        people: [
            ("ann", r#"{"email": "ann@example.org"}"#),
            ("bob", r#"{"email": "bob@example.org"}"#),
        ],
        ..STOCK
    };
    let backends = "django.contrib.auth.backends.ModelBackend backends.ByAddress";
    let mut pair = Pair::start(backend.create(), &model, &[("BACKENDS", backends)]).await;
    let [token, ours] = pair.log_in("ann", PASSWORD).await.expect("a login");
    assert_eq!(pair.of_session(&ours).await, ["ann", "ann"]);
    pair.check().ok();

    let theirs = pair.django.log_in("ann@example.org", PASSWORD);
    let [their_token, theirs] = theirs.expect("a login there");
    assert_eq!(their_token, token);
    assert_eq!(pair.of_session(&theirs).await, [Value::Null, json!("ann")]);
    let said = "1 of the newest sessions are by backends.ByAddress";
    let checked = pair.check().stdout();
    assert!(checked.contains(said), "{checked}");
}

/// A NULL where Django has a flag, a hash or a name lets nobody in.
#[each_database]
async fn a_null_lets_nobody_in(backend: Backend) {
    let mut pair = Pair::start(backend.create(), &NULLS, &[]).await;
    pair.django.make("carl", PASSWORD, r#"{"id": 3}"#);
    pair.django
        .make("dora", PASSWORD, r#"{"id": 4, "is_active": true}"#);
    pair.django
        .run("User.objects.filter(id=4).update(password=None)");
    pair.django.run("User.objects.create(id=5, is_active=True)");
    for name in ["carl", "dora", ""] {
        assert_eq!(pair.log_in(name, PASSWORD).await, None, "{name}");
    }
    assert_eq!(pair.django.log_in("carl", PASSWORD), None);
    let checked = pair.check().stdout();
    assert!(checked.contains("answers, 5 users"), "{checked}");
    assert!(
        checked.contains("warning: 2 users cannot log in"),
        "{checked}"
    );
}

/// Ten years of hashers in one table. Those that Django 5.2 still has log in here as
/// there, but for MD5; `check` counts the others.
#[each_database]
async fn every_old_hasher(backend: Backend) {
    let mut pair = Pair::start(backend.create(), &OLD, &[]).await;
    pair.django.run(&format!(
        "from django.contrib.auth.hashers import get_hashers, make_password
for hasher in get_hashers():
    name = hasher.algorithm
    User.objects.create(username=name, password=make_password('{PASSWORD}', hasher=name))
import hashlib
digest = lambda name, salt: hashlib.new(name, (salt + '{PASSWORD}').encode()).hexdigest()
for name, encoded in {{
    'sha1': 'sha1$a1b2c$' + digest('sha1', 'a1b2c'),
    'unsalted_sha1': 'sha1$$' + digest('sha1', ''),
    'unsalted_md5': digest('md5', ''),
    'crypt': 'crypt$$ab1234567890.',
    'unusable': '!',
}}.items():
    User.objects.create(username=name, password=encoded)"
    ));
    let both = [
        "pbkdf2_sha256",
        "pbkdf2_sha1",
        "argon2",
        "bcrypt_sha256",
        "bcrypt",
        "scrypt",
    ];
    for name in both {
        let [token, session] = pair.log_in(name, PASSWORD).await.expect(name);
        assert_eq!(pair.of_token(&token).await, [name, name]);
        assert_eq!(pair.of_session(&session).await, [name, name]);
        assert!(pair.django.log_in(name, PASSWORD).is_some(), "{name}");
    }
    for name in ["sha1", "unsalted_sha1", "unsalted_md5", "crypt", "unusable"] {
        assert_eq!(pair.log_in(name, PASSWORD).await, None, "{name}");
        assert_eq!(pair.django.log_in(name, PASSWORD), None, "{name}");
    }
    let checked = pair.check().stdout();
    assert!(
        checked.contains("warning: 6 users cannot log in"),
        "{checked}"
    );
    assert_eq!(pair.log_in("md5", PASSWORD).await, None);
    // A login there gives the user Django's first hasher.
    assert!(pair.django.log_in("md5", PASSWORD).is_some());
    assert!(pair.log_in("md5", PASSWORD).await.is_some());
}

/// Weblate's tokens are no hexadecimal numbers.
#[each_database]
async fn a_token_may_be_any_text(backend: Backend) {
    let mut pair = Pair::start(backend.create(), &WEBLATE, &[]).await;
    let token = "wlu_Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7J";
    pair.django.run(&format!(
        "from rest_framework.authtoken.models import Token
Token.objects.create(user=User.objects.get(username='ann'), key='{token}')"
    ));
    assert_eq!(pair.of_token(token).await, ["ann", "ann"]);
    assert_eq!(
        pair.log_in("ann", PASSWORD).await.expect("a login")[0],
        token
    );
}

/// Projects that have their own tokens or sessions (saleor, Plane, pretix) are refused
/// until Django's apps are there, and nothing is made in their database.
#[each_database]
async fn an_app_that_is_missing_is_named(backend: Backend) {
    for (without, table) in [
        ("rest_framework.authtoken", "authtoken_token"),
        ("django.contrib.sessions", "django_session"),
    ] {
        let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
        let url = database.url();
        let environment = [("WITHOUT", without)];
        Asked::start(&python(), "stock", &url, folder.path(), &environment).migrate();
        let before = database.table_names();
        let refused = check(&database, &settings(&STOCK));
        let line = format!(
            "warning: there is no table {table}: in a Django project, add {without} to INSTALLED_APPS and run `manage.py migrate`"
        );
        assert!(refused.stdout().contains(&line), "{}", refused.stdout());
        assert_eq!(refused.code(), 1);
        assert_eq!(database.table_names(), before);
    }
}

/// Each wrong setting is answered with the right one.
#[each_database]
async fn a_wrong_setting_is_answered_with_the_right_one(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let url = database.url();
    Asked::start(&python(), "label_studio", &url, folder.path(), &[]).migrate();
    for (table, username, line) in [
        (
            "accounts_customuser",
            "email",
            "set PORTCULLIS_USER_TABLE=htx_user",
        ),
        ("auth_user", "email", "set PORTCULLIS_USER_TABLE=htx_user"),
        ("htx_user", "login", "set PORTCULLIS_USERNAME_COLUMN=email"),
        (
            "htx_user",
            "username",
            "warning: PORTCULLIS_USERNAME_COLUMN is username, which is not unique",
        ),
    ] {
        let model = Model {
            table,
            username,
            ..LABEL_STUDIO
        };
        let checked = check(&database, &settings(&model));
        assert!(checked.stdout().contains(line), "{}", checked.stdout());
        assert_eq!(checked.code(), 1);
    }
}
