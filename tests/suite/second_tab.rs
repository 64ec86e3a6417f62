//! A login form that is older than the browser's CSRF token, as in a second tab.

use each_database::each_database;
use reqwest::Client;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn open(app: &TestApp, browser: &Client, path: &str) -> Answer {
    let request = browser.get(format!("{}{path}", app.url));
    Answer::of(request.header("Accept", HTML)).await
}

/// The token that a tab holds in its form.
async fn tab(app: &TestApp, browser: &Client) -> String {
    token_in(&open(app, browser, "/login/").await)
}

fn token_in(page: &Answer) -> String {
    let start = "name=\"csrfmiddlewaretoken\" value=\"";
    let (_, rest) = page.body.split_once(start).expect("a form");
    rest.split('"').next().expect("a value").to_owned()
}

/// A form as it is sent: with these headers, this token, user, password and `next`.
struct Form<'a> {
    headers: &'a [(&'a str, &'a str)],
    token: &'a str,
    username: &'a str,
    password: &'a str,
    next: &'a str,
}

impl<'a> Form<'a> {
    /// The form of a tab of alice's.
    fn of(token: &'a str) -> Self {
        Self {
            headers: &[],
            token,
            username: "alice",
            password: PASSWORD,
            next: "",
        }
    }

    async fn send(&self, app: &TestApp, browser: &Client) -> Answer {
        let fields = [
            ("csrfmiddlewaretoken", self.token),
            ("username", self.username),
            ("password", self.password),
            ("next", self.next),
        ];
        let mut request = browser
            .post(format!("{}/login/", app.url))
            .header("Accept", HTML);
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.form(&fields)).await
    }
}

/// A browser with two tabs, of which one has logged alice in; the token of the other.
async fn two_tabs(app: &TestApp) -> (Client, String) {
    app.create_user("alice", PASSWORD).await;
    app.create_user("bob", "another good password").await;
    let browser = app.browser();
    let (first, second) = (tab(app, &browser).await, tab(app, &browser).await);
    let headers = [("Origin", app.url.as_str())];
    let form = Form {
        headers: &headers,
        ..Form::of(&first)
    };
    assert_eq!(form.send(app, &browser).await.status, 303);
    (browser, second)
}

async fn is_alice(app: &TestApp, browser: &Client) -> bool {
    let page = open(app, browser, "/account/").await;
    page.status == 200 && page.body.contains("alice@example.com")
}

/// What a login or a logout would change.
fn traces(app: &TestApp) -> Vec<Option<String>> {
    [
        "SELECT session_key AS text FROM django_session ORDER BY 1",
        "SELECT key AS text FROM authtoken_token ORDER BY 1",
        "SELECT CAST(last_login AS text) AS text FROM accounts_customuser ORDER BY id",
        "SELECT CAST(count(*) AS text) AS text FROM portcullis_event",
        "SELECT CAST(count(*) AS text) AS text FROM portcullis_attempt",
    ]
    .iter()
    .flat_map(|sql| app.database.texts(sql))
    .collect()
}

#[each_database]
async fn who_is_logged_in_goes_on(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (browser, old) = two_tabs(&app).await;
    let before = traces(&app);
    let own = [
        ("Origin", app.url.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
    ];

    for (headers, token, password) in [
        (&own[..], old.as_str(), PASSWORD),
        (&own[..1], &old, "a wrong password"),
        (&own[1..], &old, PASSWORD),
        (&[], &old, PASSWORD),
        (&own, "", PASSWORD),
    ] {
        for (next, target) in [
            ("", "/account/"),
            ("/account/?a=b", "/account/?a=b"),
            ("//evil.example", "/account/"),
            ("https://evil.example/", "/account/"),
            ("/\\evil.example", "/account/"),
        ] {
            let form = Form {
                headers,
                password,
                next,
                ..Form::of(token)
            };
            let answer = form.send(&app, &browser).await;
            let went = (answer.status, answer.header("location"));
            assert_eq!(went, (303, Some(target)), "{headers:?} {next}");
            assert_eq!(answer.set_cookie("sessionid"), None);
            assert_eq!(answer.set_cookie("csrftoken"), None);
        }
    }
    assert_eq!(traces(&app), before, "nobody was logged in or out");
    assert!(is_alice(&app, &browser).await);
}

#[each_database]
async fn who_is_not_gets_the_form_again_filled(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (browser, old) = two_tabs(&app).await;
    app.database.execute("DELETE FROM django_session");
    let before = traces(&app);
    let headers = [("Origin", app.url.as_str())];
    let form = Form {
        headers: &headers,
        next: "/account/?a=b",
        ..Form::of(&old)
    };

    let again = form.send(&app, &browser).await;

    assert_eq!(again.status, 403);
    assert_eq!(again.body.matches("role=\"alert\"").count(), 1);
    assert!(
        again.body.contains("This page was too old"),
        "{}",
        again.body
    );
    assert!(
        again
            .body
            .contains("name=\"username\" type=\"text\" value=\"alice\"")
    );
    assert!(again.body.contains("name=\"next\" value=\"/account/?a=b\""));
    assert!(
        !again.body.contains(PASSWORD),
        "the password is not sent back"
    );
    assert_eq!(
        traces(&app),
        before,
        "nobody was logged in, nothing counted"
    );

    let fresh = token_in(&again);
    let form = Form {
        token: &fresh,
        ..form
    };
    let answer = form.send(&app, &browser).await;
    let went = (answer.status, answer.header("location"));
    assert_eq!(went, (303, Some("/account/?a=b")));
    assert!(is_alice(&app, &browser).await);
}

/// A browser that has lost its cookies gets new ones with the form.
#[each_database]
async fn a_form_without_its_cookie_works_the_second_time(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (_, old) = two_tabs(&app).await;
    let browser = app.browser();
    let headers = [("Origin", app.url.as_str())];
    let form = Form {
        headers: &headers,
        ..Form::of(&old)
    };
    let again = form.send(&app, &browser).await;
    assert_eq!(again.status, 403);
    assert!(again.set_cookie("csrftoken").is_some());

    let fresh = token_in(&again);
    let form = Form {
        token: &fresh,
        ..form
    };
    assert_eq!(form.send(&app, &browser).await.status, 303);
}

/// Whoever typed another name must not go on as alice and take that for bob.
#[each_database]
async fn who_wants_to_be_another_does_not_go_on_as_this_one(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (browser, old) = two_tabs(&app).await;
    let before = traces(&app);
    let headers = [("Origin", app.url.as_str())];
    for username in ["bob", "nobody", "", "alice\0"] {
        let form = Form {
            headers: &headers,
            username,
            password: "another good password",
            ..Form::of(&old)
        };
        let again = form.send(&app, &browser).await;
        assert_eq!(again.status, 403, "{username:?}");
        assert!(again.body.contains("This page was too old"));
    }
    assert_eq!(traces(&app), before);
    assert!(is_alice(&app, &browser).await, "still");
}

#[each_database]
async fn another_site_gets_neither(backend: Backend) {
    let app = TestApp::start_with(
        &backend,
        &[("PORTCULLIS_TRUSTED_ORIGINS", "https://friend.example")],
    )
    .await;
    let (browser, old) = two_tabs(&app).await;
    let before = traces(&app);
    let (ours, site) = (("Origin", app.url.as_str()), "Sec-Fetch-Site");
    for headers in [
        &[("Origin", "https://evil.example")][..],
        &[("Origin", "https://evil.example"), (site, "same-origin")],
        &[("Origin", "null")],
        &[(site, "cross-site")],
        &[(site, "same-site")],
        &[ours, (site, "cross-site")],
        &[ours, (site, "same-site")],
        &[ours, (site, "same-origin"), (site, "cross-site")],
        &[("Origin", "https://friend.example"), (site, "cross-site")],
    ] {
        for token in [old.as_str(), ""] {
            for client in [&browser, &app.browser()] {
                let form = Form {
                    headers,
                    next: "/account/",
                    ..Form::of(token)
                };
                let answer = form.send(&app, client).await;
                assert_eq!(answer.status, 403, "{headers:?}");
                assert!(!answer.body.contains("<form"), "{headers:?}");
                assert!(!answer.body.contains("alice"), "{headers:?}");
                assert_eq!(answer.set_cookie("csrftoken"), None);
            }
        }
    }
    assert_eq!(traces(&app), before);
    assert!(is_alice(&app, &browser).await);
}

/// A logout or a page with the token on it has no kinder answer.
#[each_database]
async fn only_the_login_form_is_taken_old(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (browser, old) = two_tabs(&app).await;
    for path in ["/logout/", "/account/"] {
        let request = browser
            .post(format!("{}{path}", app.url))
            .header("Accept", HTML)
            .header("Origin", &app.url)
            .form(&[("csrfmiddlewaretoken", old.as_str()), ("show_token", "1")]);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(!answer.body.contains("<form"), "{path}");
    }
    // Nor is what is no form.
    let request = browser
        .post(format!("{}/login/", app.url))
        .header("Accept", HTML)
        .header("Origin", &app.url)
        .json(&serde_json::json!({"username": "alice", "password": PASSWORD}));
    let answer = Answer::of(request).await;
    assert!(answer.status == 403 && !answer.body.contains("<form"));
    assert!(is_alice(&app, &browser).await);
}
