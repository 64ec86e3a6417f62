//! Logging in, over JSON, forms and multipart.

use serde_json::json;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::registry::{DatabaseTest, on_each_database};

pub const TESTS: &[DatabaseTest] = on_each_database![
    a_good_login_gives_a_token_and_two_cookies,
    two_hundred_first_logins_at_once_give_one_token,
];

async fn a_good_login_gives_a_token_and_two_cookies(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;

    let answer = app.log_in(&app.program(), "alice", PASSWORD).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.token();
    assert_eq!(
        answer.body,
        format!(r#"{{"message":"user logged in","token":"{token}"}}"#)
    );
    assert!(token.len() == 40 && token.bytes().all(|b| b.is_ascii_hexdigit()));
    let session = answer.cookie("sessionid").expect("a session");
    assert_eq!(app.user_by_token(&token).await.json()["username"], "alice");
    assert_eq!(
        app.user_by_session(&session).await.json()["username"],
        "alice"
    );
}

async fn two_hundred_first_logins_at_once_give_one_token(backend: Backend) {
    let settings = [("PORTCULLIS_HASH_QUEUE", "256")];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let client = app.program();
    let body = json!({"username": "alice", "password": PASSWORD});
    let logins = (0..200).map(|_| app.post_json(&client, "/api/v1/login/", &body));

    let answers: Vec<Answer> = futures_util::future::join_all(logins).await;

    let first = answers[0].token();
    for answer in &answers {
        assert_eq!((answer.status, answer.token()), (200, first.clone()));
    }
    assert_eq!(app.database.count("authtoken_token"), 1);
    assert_eq!(app.database.count("django_session"), 200);
    assert_eq!(app.user_by_token(&first).await.status, 200);
}
