//! No secret is logged: every test of `#[each_database]` ends with a look for
//! its own. Here it is seen that this look can find something.

use each_database::each_database;
use reqwest::Method;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::secrets::{length_of_log, logged_since, note, noted, watch};

/// By all that a client can hold.
#[each_database]
async fn none_was_logged(backend: Backend) {
    let start = length_of_log();
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.get(&app.program(), "/login/").await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
    assert_eq!(app.user_by_session(&session).await.status, 200);
    let out = app.with_token(Method::POST, "/logout/", &token).await;
    assert_eq!(out.status, 200);

    let noted = noted();
    for secret in [PASSWORD, &token, &session] {
        assert!(noted.contains(secret), "{secret} is not looked for");
    }
    let log = String::from_utf8(logged_since(start)).unwrap();
    assert!(log.contains("TRACE"), "the finest level is logged");
    assert!(log.contains("portcullis::audit"), "events are logged");
}

#[test]
#[should_panic(expected = "a secret was logged")]
fn a_logged_secret_fails_its_test() {
    watch(|| {
        note("a secret of this test");
        tracing::info!("it tells of a secret of this test");
    });
}
