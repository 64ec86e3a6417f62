//! `PORTCULLIS_LOGIN_WITH`: names, e-mail addresses, or either.

use each_database::each_database;
use reqwest::RequestBuilder;
use reqwest::multipart::Form;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{program_on, run};

const EMAIL: (&str, &str) = ("PORTCULLIS_LOGIN_WITH", "email");
const EITHER: (&str, &str) = ("PORTCULLIS_LOGIN_WITH", "either");
const OTHER_PASSWORD: &str = "another horse battery staple";

const PATHS: [&str; 3] = ["/api/v1/login/", "/login/", "/api-token-auth/"];

/// Every way to send a name and a password, each in this field.
fn entry_points(app: &TestApp, field: &str, name: &str) -> Vec<(String, RequestBuilder)> {
    let pairs = [(field, name), ("password", PASSWORD)];
    let mut requests = Vec::new();
    for path in PATHS {
        let post = || app.program().post(format!("{}{path}", app.url));
        let json = json!({ field: name, "password": PASSWORD });
        requests.push((format!("{path} JSON"), post().json(&json)));
        requests.push((format!("{path} form"), post().form(&pairs)));
        let parts = Form::new().text(field.to_owned(), name.to_owned());
        let parts = parts.text("password", PASSWORD);
        requests.push((format!("{path} multipart"), post().multipart(parts)));
    }
    let page = app.program().post(format!("{}/login/", app.url));
    let page = page.header("Accept", "text/html").form(&pairs);
    requests.push(("the page".to_owned(), page));
    requests
}

/// That `name` logs in, or does not, everywhere.
async fn everywhere(app: &TestApp, field: &str, name: &str, logs_in: bool) {
    for (label, request) in entry_points(app, field, name) {
        let answer = Answer::of(request).await;
        let is_good = matches!(answer.status, 200 | 303);
        assert_eq!(
            is_good, logs_in,
            "{field} {name} at {label}: {}",
            answer.body
        );
        assert!(
            is_good || answer.status == 400,
            "{label}: {}",
            answer.status
        );
    }
}

#[each_database]
async fn every_entry_point_takes_what_is_set(backend: Backend) {
    let unthrottled = ("PORTCULLIS_THROTTLE", "off");
    for (setting, by_name, by_email) in [
        ("username", true, false),
        ("email", false, true),
        ("either", true, true),
    ] {
        let settings = [("PORTCULLIS_LOGIN_WITH", setting), unthrottled];
        let app = TestApp::start_with(&backend, &settings).await;
        app.create_user("alice", PASSWORD).await;
        everywhere(&app, "username", "alice", by_name).await;
        everywhere(&app, "username", "alice@example.com", by_email).await;
        everywhere(&app, "username", "ALICE@Example.COM", by_email).await;
        everywhere(&app, "email", "alice@Example.com", by_email).await;
        everywhere(&app, "username", "alice@example.co", false).await;
    }
}

#[each_database]
async fn the_field_email_counts_where_username_is_missing(backend: Backend) {
    let app = TestApp::start_with(&backend, &[EITHER]).await;
    app.create_user("alice", PASSWORD).await;
    for (username, status) in [
        (json!(null), 200),
        (json!(""), 200),
        (json!("bob"), 400),
        (json!(7), 400),
    ] {
        let body =
            json!({"username": username, "email": "alice@example.com", "password": PASSWORD});
        for path in PATHS {
            let answer = app.post_json(&app.program(), path, &body).await;
            assert_eq!(answer.status, status, "{path} {username}: {}", answer.body);
        }
    }
    let nothing = json!({"password": PASSWORD});
    let answer = app
        .post_json(&app.program(), "/api-token-auth/", &nothing)
        .await;
    assert_eq!(answer.body, r#"{"username":["This field is required."]}"#);
}

#[each_database]
async fn a_name_goes_before_an_address(backend: Backend) {
    let app = TestApp::start_with(&backend, &[EITHER]).await;
    app.create_user("alice@example.org", PASSWORD).await;
    app.create_user("bob", OTHER_PASSWORD).await;
    app.database.execute(
        "UPDATE accounts_customuser SET email = 'alice@example.org' WHERE username = 'bob'",
    );
    let named = async |name, password| app.log_in(&app.program(), name, password).await;
    assert_eq!(named("alice@example.org", PASSWORD).await.status, 200);
    assert_eq!(named("alice@example.org", OTHER_PASSWORD).await.status, 400);
    // Nobody has that name, since names are not folded.
    assert_eq!(named("Alice@example.org", OTHER_PASSWORD).await.status, 200);
}

#[each_database]
async fn an_address_of_two_active_users_is_nobodys(backend: Backend) {
    let app = TestApp::start_with(&backend, &[EITHER]).await;
    app.create_user("alice", PASSWORD).await;
    app.create_user("bob", OTHER_PASSWORD).await;
    app.create_user("carol", OTHER_PASSWORD).await;
    app.database.execute(
        "UPDATE accounts_customuser SET email = 'US@example.org' WHERE username = 'alice';
         UPDATE accounts_customuser SET email = 'us@Example.org' WHERE username = 'bob';
         UPDATE accounts_customuser SET email = 'us@example.org', is_active = FALSE
           WHERE username = 'carol'",
    );
    let nobody = app
        .log_in(&app.program(), "nobody@example.org", PASSWORD)
        .await;
    for password in [PASSWORD, OTHER_PASSWORD] {
        let hashed = app.auth.passwords.pool().completed();
        let refused = app.log_in(&app.program(), "us@example.org", password).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body, nobody.body);
        assert_eq!(refused.headers_but_date(), nobody.headers_but_date());
        assert_eq!(app.auth.passwords.pool().completed() - hashed, 1);
    }
    assert_eq!(
        app.log_in(&app.program(), "bob", OTHER_PASSWORD)
            .await
            .status,
        200
    );

    let folder = tempfile::tempdir().unwrap();
    let mut check = program_on(&app.database, folder.path());
    let said = run(check.arg("check").env(EITHER.0, EITHER.1)).stdout();
    assert!(said.contains("belong to several active users"), "{said}");

    let deactivate = "UPDATE accounts_customuser SET is_active = FALSE WHERE username = 'bob'";
    app.database.execute(deactivate);
    let login = app.log_in(&app.program(), "us@example.org", PASSWORD).await;
    assert_eq!(login.status, 200, "{}", login.body);
    let user = app.user_by_token(&login.token()).await.json();
    assert_eq!(user["username"], "alice");
    let said = run(&mut check).stdout();
    assert!(!said.contains("several active users"), "{said}");
}

/// CVE-2019-19844, and addresses that are patterns to `LIKE`.
#[each_database]
async fn an_address_that_only_looks_alike_is_another(backend: Backend) {
    let settings = [EMAIL, ("PORTCULLIS_THROTTLE", "off")];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("mike", PASSWORD).await;
    app.database
        .execute("UPDATE accounts_customuser SET email = 'mikes_@x.org'");
    let status = async |name| app.log_in(&app.program(), name, PASSWORD).await.status;
    assert_eq!(status("MIKES_@X.org").await, 200);
    for other in [
        "mıkes_@x.org",
        "mi\u{212a}es_@x.org",
        "mikeſ_@x.org",
        "ｍikes_@x.org",
        "mikesx@x.org",
        "mikes_@x.or%",
        "mikes_@x.org ",
        "%",
        "",
    ] {
        assert_eq!(status(other).await, 400, "{other}");
    }
    // Who has one of these does not get in the way of who has the other.
    app.create_user("evil", OTHER_PASSWORD).await;
    app.database
        .execute("UPDATE accounts_customuser SET email = 'mıkes_@x.org' WHERE username = 'evil'");
    assert_eq!(status("mikes_@x.org").await, 200);
}

#[each_database]
async fn an_empty_address_is_no_address(backend: Backend) {
    for setting in [EMAIL, EITHER] {
        let app = TestApp::start_with(&backend, &[setting]).await;
        app.create_user("alice", PASSWORD).await;
        app.database
            .execute("UPDATE accounts_customuser SET email = ''");
        for name in ["", " "] {
            for field in ["username", "email"] {
                let body = json!({field: name, "password": PASSWORD});
                let answer = app.post_json(&app.program(), "/login/", &body).await;
                assert_eq!(answer.status, 400, "{body}");
            }
        }
    }
}

#[each_database]
async fn an_account_has_the_same_counters_by_any_name(backend: Backend) {
    let app = TestApp::start_with(&backend, &[EITHER]).await;
    app.create_user("alice", PASSWORD).await;
    let names = [
        "alice",
        "alice@example.com",
        "Alice@example.com",
        "alice",
        "ALICE@EXAMPLE.COM",
    ];
    for name in names {
        assert_eq!(app.log_in(&app.program(), name, "wrong").await.status, 400);
    }
    for name in names {
        let answer = app.log_in(&app.program(), name, PASSWORD).await;
        assert_eq!(answer.status, 429, "{name}");
    }
    let failures = app.auth.throttle.find_failures(100).await.unwrap();
    let of_clients = failures.iter().filter(|it| it.client != "everywhere");
    let accounts: Vec<&str> = of_clients.map(|it| it.account.as_str()).collect();
    assert!(accounts.contains(&"alice"), "{accounts:?}");
    assert!(
        !accounts.iter().any(|name| name.starts_with('~')),
        "{accounts:?}"
    );
}

/// A table of a project's own, which our queries see through another name.
#[each_database]
async fn another_user_table_with_its_index(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.database
        .execute("ALTER TABLE accounts_customuser RENAME TO auth_user");
    let settings = [("PORTCULLIS_USER_TABLE", "auth_user"), EMAIL];
    let folder = tempfile::tempdir().unwrap();
    let mut check = program_on(&app.database, folder.path());
    check.arg("check").envs(settings);
    let said = run(&mut check).stdout();
    let advice = if app.database.is_sqlite() {
        r#"CREATE INDEX portcullis_email ON "auth_user" (email COLLATE NOCASE)"#
    } else {
        r#"CREATE INDEX portcullis_email ON "auth_user" (upper(email))"#
    };
    assert!(said.contains(advice), "{said}");
    app.database
        .execute("CREATE INDEX other ON auth_user (email)");
    assert!(run(&mut check).stdout().contains(advice));
    app.database.execute(advice);
    let said = run(&mut check).stdout();
    assert!(!said.contains("CREATE INDEX"), "{said}");

    let second = app.start_another(&settings).await;
    let body = json!({"username": "ALICE@example.com", "password": PASSWORD});
    let request = app.program().post(format!("{}/login/", second.url));
    assert_eq!(Answer::of(request.json(&body)).await.status, 200);
}

#[each_database]
async fn without_a_column_of_addresses_the_start_is_refused(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.database
        .execute("ALTER TABLE accounts_customuser DROP COLUMN email");
    let folder = tempfile::tempdir().unwrap();
    for (key, value) in [EMAIL, EITHER] {
        let mut serve = program_on(&app.database, folder.path());
        let refused = run(serve.arg("serve").env(key, value)).failure();
        assert!(refused.contains("has no column email"), "{refused}");
        assert!(refused.contains("PORTCULLIS_LOGIN_WITH"), "{refused}");
    }
}

#[each_database]
async fn the_page_says_what_it_takes(backend: Backend) {
    for (setting, label, wrong) in [
        (
            "username",
            ">Username</label>",
            "The username or the password",
        ),
        (
            "email",
            ">E-mail address</label>",
            "The e-mail address or the password",
        ),
        (
            "either",
            ">Username or e-mail address</label>",
            "The name or the password",
        ),
    ] {
        let app = TestApp::start_with(&backend, &[("PORTCULLIS_LOGIN_WITH", setting)]).await;
        let page = app.program().get(format!("{}/login/", app.url));
        let page = Answer::of(page.header("Accept", "text/html")).await;
        assert!(page.body.contains(label), "{}", page.body);
        let form = [("username", "nobody@example.org"), ("password", "wrong")];
        let refused = app
            .program()
            .post(format!("{}/login/", app.url))
            .form(&form);
        let refused = Answer::of(refused.header("Accept", "text/html")).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(wrong), "{}", refused.body);
        assert!(refused.body.contains("value=\"nobody@example.org\""));
    }
}
