//! Logging in, over JSON, forms and multipart.

use django_auth::password::{Algorithm, Hasher};
use django_auth::{SecretKey, SecretKeys, SessionCodec, SessionData};
use each_database::each_database;
use reqwest::multipart::Form;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, SECRET_KEY, TestApp};
use crate::support::database::Backend;

#[each_database]
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
    assert!(token.len() == 40 && token.bytes().all(|b| b"0123456789abcdef".contains(&b)));
    let session = answer.cookie("sessionid").expect("a session");
    assert!(session.len() == 32 && session.bytes().all(|b| b.is_ascii_alphanumeric()));
    let set = answer.set_cookie("sessionid").unwrap();
    let attributes: Vec<&str> = set.split("; ").skip(1).collect();
    assert!(attributes[0].starts_with("expires="));
    assert_eq!(
        attributes[1..],
        ["HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Lax"]
    );
    let csrf = answer.set_cookie("csrftoken").expect("a CSRF cookie");
    assert!(
        csrf.ends_with("; Max-Age=31449600; Path=/; SameSite=Lax"),
        "{csrf}"
    );
    for (name, value) in [
        ("content-type", "application/json"),
        ("allow", "POST, OPTIONS"),
        ("vary", "Accept, Authorization, Cookie"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(app.user_by_token(&token).await.json()["username"], "alice");
    assert_eq!(
        app.user_by_session(&session).await.json()["username"],
        "alice"
    );
    let last_login = "SELECT CAST(last_login AS text) AS text FROM accounts_customuser";
    assert!(app.database.texts(last_login)[0].is_some());
}

#[each_database]
async fn every_path_and_body_type_logs_in(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("josé", "pässwörd 🔑 with spaces ").await;
    let fields = [
        ("username", "josé"),
        ("password", "pässwörd 🔑 with spaces "),
    ];
    let json = json!({"username": fields[0].1, "password": fields[1].1, "other": [1]});
    let client = app.program();

    for path in ["/login/", "/login", "/api/v1/login/", "/api/v1/login"] {
        let answer = app.post_json(&client, path, &json).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        let request = client.post(format!("{}{path}", app.url));
        assert_eq!(
            Answer::of(request.form(&fields)).await.status,
            200,
            "{path}"
        );
        let form = Form::new()
            .text("username", "josé")
            .text("password", fields[1].1);
        let request = client.post(format!("{}{path}", app.url));
        assert_eq!(
            Answer::of(request.multipart(form)).await.status,
            200,
            "{path}"
        );
    }
}

#[each_database]
async fn the_second_login_gives_the_same_token(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;

    let first = app.log_in(&app.program(), "alice", PASSWORD).await;
    let second = app.log_in(&app.program(), "alice", PASSWORD).await;

    assert_eq!(first.token(), second.token());
    assert_ne!(first.cookie("sessionid"), second.cookie("sessionid"));
    assert_eq!(app.database.count("authtoken_token"), 1);
}

#[each_database]
async fn two_hundred_first_logins_at_once_give_one_token(backend: Backend) {
    // Of which one client may have half.
    let settings = [("PORTCULLIS_HASH_QUEUE", "512")];
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

#[each_database]
async fn every_refusal_looks_the_same_and_hashes_once(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for name in ["alice", "inactive", "unusable", "empty", "gibberish"] {
        app.create_user(name, PASSWORD).await;
    }
    app.database.execute(
        "UPDATE accounts_customuser SET is_active = FALSE WHERE username = 'inactive';
         UPDATE accounts_customuser SET password = '!abc' WHERE username = 'unusable';
         UPDATE accounts_customuser SET password = '' WHERE username = 'empty';
         UPDATE accounts_customuser SET password = 'what$1$is' WHERE username = 'gibberish'",
    );
    let client = app.program();
    let long = "x".repeat(4097);
    let first = app
        .log_in(&client, "alice", "wrong")
        .await
        .headers_but_date();

    for body in [
        json!({"username": "alice", "password": "wrong"}),
        json!({"username": "nobody", "password": PASSWORD}),
        json!({"username": "inactive", "password": PASSWORD}),
        json!({"username": "unusable", "password": PASSWORD}),
        json!({"username": "unusable", "password": "!abc"}),
        json!({"username": "empty", "password": PASSWORD}),
        json!({"username": "empty", "password": ""}),
        json!({"username": "gibberish", "password": PASSWORD}),
        json!({"username": "ALICE", "password": PASSWORD}),
        json!({"username": " alice", "password": PASSWORD}),
        json!({"username": "alice\u{0}", "password": PASSWORD}),
        json!({"username": "alice@example.com", "password": PASSWORD}),
        json!({"username": "alice", "password": format!("{PASSWORD} ")}),
        json!({"username": "alice", "password": long}),
        json!({"username": "alice"}),
        json!({"password": PASSWORD}),
        json!({"username": "", "password": ""}),
        json!({}),
    ] {
        let before = app.auth.passwords.pool().completed();
        let answer = app.post_json(&client, "/api/v1/login/", &body).await;
        let hashed = app.auth.passwords.pool().completed() - before;

        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.body, r#"{"error":"Invalid credentials"}"#, "{body}");
        assert_eq!(answer.headers_but_date(), first, "{body}");
        assert_eq!(hashed, 1, "{body}");
    }
    assert_eq!(app.database.count("django_session"), 0);
    assert_eq!(app.database.count("authtoken_token"), 0);
}

#[each_database]
async fn only_texts_are_credentials(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("12345", "67890").await;
    app.create_user("True", "True").await;
    let client = app.program();

    for (username, password) in [
        (json!(12345), json!("67890")),
        (json!("12345"), json!(67890)),
        (json!(true), json!(true)),
        (json!(["12345"]), json!("67890")),
        (json!({"$gt": ""}), json!("67890")),
        (json!(null), json!(null)),
    ] {
        let body = json!({"username": username, "password": password});
        let before = app.auth.passwords.pool().completed();
        let answer = app.post_json(&client, "/login/", &body).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, r#"{"error":"Invalid credentials"}"#)
        );
        let hashed = app.auth.passwords.pool().completed() - before;
        assert_eq!(hashed, 1, "{body}");
    }
}

/// Neither in what is sent nor in what is stored. (A zero at the very end is
/// nothing to PBKDF2, in Django too.)
#[each_database]
async fn a_zero_ends_no_password(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let hashers = [
        ("bcrypt_sha256", Algorithm::BcryptSha256, 4),
        ("bcrypt", Algorithm::Bcrypt, 4),
        ("pbkdf2", Algorithm::Pbkdf2Sha256, 10),
    ];
    for (name, algorithm, cost) in hashers {
        let hasher = Hasher::new(algorithm, Some(cost)).unwrap();
        for (name, password) in [
            (format!("{name}-short"), "before"),
            (format!("{name}-whole"), "before\u{0}after"),
        ] {
            app.create_user(&name, PASSWORD).await;
            let encoded = hasher.make(password, &mut rand::rng()).unwrap();
            app.database.execute(&format!(
                "UPDATE accounts_customuser SET password = '{encoded}' WHERE username = '{name}'"
            ));
            for sent in ["before", "before\u{0}after", "before\u{0}other"] {
                let answer = app.log_in(&app.program(), &name, sent).await;
                let status = if sent == password { 200 } else { 400 };
                assert_eq!(answer.status, status, "{name} {sent:?}");
            }
        }
    }
}

/// Whoever planted it knows it.
#[each_database]
async fn a_csrf_token_that_came_with_a_login_goes(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let planted = "p".repeat(32);
    let mut given = Vec::new();
    for _ in 0..2 {
        let request = app
            .program()
            .post(format!("{}/api/v1/login/", app.url))
            .header("Cookie", format!("csrftoken={planted}"))
            .header("X-CSRFToken", &planted)
            .json(&json!({"username": "alice", "password": PASSWORD}));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200);
        given.push(answer.cookie("csrftoken").expect("another one"));
    }
    assert_ne!(given[0], planted);
    assert_ne!(given[0], given[1]);
}

#[each_database]
async fn an_outdated_hash_is_upgraded_and_the_sessions_go_on(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let old = app.log_in(&app.program(), "alice", PASSWORD).await;
    let settings = [("PORTCULLIS_PASSWORD_COST", "5")];
    let url = app.start_another(&settings).await.url;
    let body = json!({"username": "alice", "password": PASSWORD});

    let request = app.program().post(format!("{url}/login/")).json(&body);
    let new = Answer::of(request).await;

    assert_eq!(new.status, 200);
    let hash = "SELECT password AS text FROM accounts_customuser";
    let hash = app.database.texts(hash)[0].clone().unwrap();
    assert!(hash.starts_with("bcrypt_sha256$$2b$05$"), "{hash}");
    assert_eq!(
        new.token(),
        old.token(),
        "the token lives on, as Django's does"
    );
    let session = |answer: &Answer| answer.cookie("sessionid").unwrap();
    assert_eq!(app.user_by_session(&session(&old)).await.status, 200);
    assert_eq!(app.user_by_session(&session(&new)).await.status, 200);
}

#[each_database]
async fn a_login_gets_a_new_key_and_the_old_one_is_dead(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let browser = app.browser();

    let first = app.log_in(&browser, "alice", PASSWORD).await;
    let second = app.log_in(&browser, "alice", PASSWORD).await;

    let keys = [first, second].map(|answer| answer.cookie("sessionid").unwrap());
    assert_ne!(keys[0], keys[1]);
    assert_eq!(app.user_by_session(&keys[0]).await.status, 401);
    assert_eq!(app.user_by_session(&keys[1]).await.status, 200);
    assert_eq!(app.database.count("django_session"), 1);
}

#[each_database]
async fn what_another_user_had_in_the_session_is_gone(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_STORAGE", "django")]).await;
    app.create_user("alice", PASSWORD).await;
    app.create_user("bob", PASSWORD).await;
    let codec = SessionCodec::new(&SecretKeys::new(
        SecretKey::new(SECRET_KEY.to_owned()),
        vec![],
    ));
    let store = |key: &str, data: &str| {
        app.database.execute(&format!(
            "INSERT INTO django_session VALUES ('{key}', '{data}', '2099-01-01 00:00:00')"
        ));
    };
    let cart = SessionData::parse(r#"{"cart":[1,2]}"#).unwrap();
    store("anonymouskey", &codec.encode(&cart, 0));
    let login = async |name: &str, key: &str| {
        let request = app
            .program()
            .post(format!("{}/login/", app.url))
            .header("Cookie", format!("sessionid={key}"))
            .json(&json!({"username": name, "password": PASSWORD}));
        let key = Answer::of(request)
            .await
            .cookie("sessionid")
            .expect("a session");
        let sql =
            format!("SELECT session_data AS text FROM django_session WHERE session_key = '{key}'");
        let data = app.database.texts(&sql)[0].clone().expect("a row");
        (key, codec.decode(&data).expect("session data"))
    };

    let (alices, kept) = login("alice", "anonymouskey").await;
    assert_eq!(
        kept.get("cart"),
        Some(json!([1, 2])),
        "an anonymous cart comes along"
    );
    let (alices_next, kept) = login("alice", &alices).await;
    assert_eq!(
        kept.get("cart"),
        Some(json!([1, 2])),
        "and stays with its user"
    );
    let (_, data) = login("bob", &alices_next).await;
    assert_eq!(data.get("cart"), None, "and with nobody else");
    assert_eq!(
        app.database.count("django_session"),
        1,
        "each login ended the one before"
    );
}

#[each_database]
async fn a_bad_token_is_refused_even_at_the_login(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;

    let request = app
        .program()
        .post(format!("{}/login/", app.url))
        .header("Authorization", "Token bad")
        .json(&json!({"username": "alice", "password": PASSWORD}));
    let answer = Answer::of(request).await;

    assert_eq!(answer.status, 401);
    assert_eq!(answer.body, r#"{"detail":"Invalid token."}"#);
    assert_eq!(answer.header("www-authenticate"), Some("Token"));
    assert_eq!(app.database.count("authtoken_token"), 0);
}

#[each_database]
async fn a_login_is_served_inside_a_live_session_without_a_csrf_token(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.create_user("bob", PASSWORD).await;
    let browser = app.browser();

    assert_eq!(app.log_in(&browser, "alice", PASSWORD).await.status, 200);
    assert_eq!(app.log_in(&browser, "bob", PASSWORD).await.status, 200);

    assert_eq!(
        app.get(&browser, "/api/v1/user/").await.json()["username"],
        "bob"
    );
}

#[each_database]
async fn a_page_of_another_site_cannot_log_a_browser_in(backend: Backend) {
    let settings = [(
        "PORTCULLIS_TRUSTED_ORIGINS",
        "https://app.example.org,https://*.wild.example",
    )];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let own = app.url.clone();
    let status = async |name: &'static str, value: &str| {
        let request = app
            .program()
            .post(format!("{}/login/", app.url))
            .header(name, value)
            .form(&[("username", "alice"), ("password", PASSWORD)]);
        Answer::of(request).await.status
    };

    for origin in [
        "https://evil.example",
        "null",
        "",
        "https://evilwild.example",
        "http://app.example.org",
    ] {
        assert_eq!(status("Origin", origin).await, 403, "{origin}");
    }
    for site in ["cross-site", "same-site", "what"] {
        assert_eq!(status("Sec-Fetch-Site", site).await, 403, "{site}");
    }
    assert_eq!(app.database.count("django_session"), 0);
    for origin in [
        own.as_str(),
        "https://app.example.org",
        "https://a.wild.example",
        "https://wild.example",
    ] {
        assert_eq!(status("Origin", origin).await, 200, "{origin}");
    }
    assert_eq!(status("Sec-Fetch-Site", "same-origin").await, 200);
}

#[each_database]
async fn obtain_auth_token_gives_the_token_and_no_session(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let client = app.program();
    let path = "/api-token-auth/";

    let good = json!({"username": " alice ", "password": PASSWORD});
    let answer = app.post_json(&client, path, &good).await;
    let login = app.log_in(&client, "alice", PASSWORD).await;
    assert_eq!(answer.body, format!(r#"{{"token":"{}"}}"#, login.token()));
    assert_eq!(answer.set_cookie("sessionid"), None);

    for (body, expected) in [
        (
            json!({"username": "alice", "password": "x"}),
            r#"{"non_field_errors":["Unable to log in with provided credentials."]}"#,
        ),
        (
            json!({}),
            r#"{"username":["This field is required."],"password":["This field is required."]}"#,
        ),
        (
            json!({"username": null, "password": ""}),
            r#"{"username":["This field may not be null."],"password":["This field may not be blank."]}"#,
        ),
        (
            json!({"username": true, "password": []}),
            r#"{"username":["Not a valid string."],"password":["Not a valid string."]}"#,
        ),
        (
            json!([]),
            r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#,
        ),
        (json!(null), r#"{"non_field_errors":["No data provided"]}"#),
    ] {
        let before = app.auth.passwords.pool().completed();
        let answer = app.post_json(&client, path, &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, expected));
        // A field that is wrong is so whoever has an account: no hash.
        let hashed = app.auth.passwords.pool().completed() - before;
        assert_eq!(hashed, u64::from(expected.contains("Unable")), "{body}");
    }
}

#[each_database]
async fn obtain_auth_token_tells_no_refusal_from_another(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for name in ["alice", "inactive", "unusable", "empty", "gibberish"] {
        app.create_user(name, PASSWORD).await;
    }
    app.database.execute(
        "UPDATE accounts_customuser SET is_active = FALSE WHERE username = 'inactive';
         UPDATE accounts_customuser SET password = '!abc' WHERE username = 'unusable';
         UPDATE accounts_customuser SET password = '' WHERE username = 'empty';
         UPDATE accounts_customuser SET password = 'what$1$is' WHERE username = 'gibberish'",
    );
    let client = app.program();
    let long = "x".repeat(4097);
    let mut first = None;
    for (username, password) in [
        ("alice", "wrong"),
        ("nobody", PASSWORD),
        ("inactive", PASSWORD),
        ("unusable", "!abc"),
        ("empty", PASSWORD),
        ("gibberish", PASSWORD),
        ("ALICE", PASSWORD),
        ("alice", &long),
    ] {
        let body = json!({"username": username, "password": password});
        let before = app.auth.passwords.pool().completed();
        let answer = app.post_json(&client, "/api-token-auth/", &body).await;
        let hashed = app.auth.passwords.pool().completed() - before;

        let seen = (
            answer.status,
            answer.body.clone(),
            answer.headers_but_date(),
        );
        let first = first.get_or_insert_with(|| seen.clone());
        assert_eq!(seen, *first, "{username}");
        assert_eq!((answer.status, hashed), (400, 1), "{username}");
    }
    assert_eq!(app.database.count("authtoken_token"), 0);
}
