//! The audit log: what is in it, and what never is.

use std::io::Read;
use std::process::Stdio;

use django_auth::password::{Algorithm, Hasher};
use each_database::each_database;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{program_on, run};

/// Kind, user, entry point and detail of every event, in order.
fn events(app: &TestApp) -> Vec<String> {
    let sql = "SELECT kind || ' ' || username || ' ' || door || ' ' || detail AS text
                 FROM portcullis_event ORDER BY id";
    app.database.texts(sql).into_iter().flatten().collect()
}

#[each_database]
async fn every_act_of_a_user_is_one_event(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.create_user("idle", PASSWORD).await;
    app.create_user("old", PASSWORD).await;
    app.database
        .execute("UPDATE accounts_customuser SET is_active = false WHERE username = 'idle'");
    let hasher = Hasher::new(Algorithm::Pbkdf2Sha256, Some(1000)).unwrap();
    let old = hasher.make(PASSWORD, &mut rand::rng()).unwrap();
    app.database.execute(&format!(
        "UPDATE accounts_customuser SET password = '{old}' WHERE username = 'old'"
    ));
    app.database.execute("DELETE FROM portcullis_event");
    let client = app.program();

    let login = app.log_in(&client, "alice", PASSWORD).await;
    app.log_in(&client, "alice", "wrong").await;
    app.log_in(&client, "nobody", "wrong").await;
    app.log_in(&client, "idle", PASSWORD).await;
    app.log_in(&client, "old", PASSWORD).await;
    let credentials = json!({"username": "alice", "password": PASSWORD});
    app.post_json(&client, "/api-token-auth/", &credentials)
        .await;
    app.with_token(Method::POST, "/logout/", &login.token())
        .await;
    for _ in 0..6 {
        app.log_in(&client, "alice", "wrong").await;
    }

    let expected = [
        "login alice /api/v1/login token and session",
        "login_failed alice /api/v1/login wrong password",
        "login_failed  /api/v1/login no such user",
        "login_failed idle /api/v1/login inactive user",
        "login old /api/v1/login token and session",
        "hash_upgraded old /api/v1/login pbkdf2_sha256, 1000 to bcrypt_sha256, 04",
        "login alice /api-token-auth token",
        "logout alice /logout token",
    ];
    let wrong = ["login_failed alice /api/v1/login wrong password"; 5];
    let throttled = ["throttled alice /api/v1/login failures of the account from 127.0.0.1"];
    let expected = [&expected[..], &wrong[..], &throttled[..]].concat();
    assert_eq!(events(&app), expected);
    let sql = "SELECT address || ' ' || CAST(length(request_id) AS text) || ' '
               || CAST(user_id IS NULL OR user_id <> '' AS text) AS text FROM portcullis_event";
    for row in app.database.texts(sql).into_iter().flatten() {
        assert!(
            row == "127.0.0.1 36 1" || row == "127.0.0.1 36 true",
            "{row}"
        );
    }
}

#[each_database]
async fn every_act_of_an_admin_is_one_event(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = program_on(&app.database, folder.path());
        command
            .args(arguments)
            .env("PORTCULLIS_USER_PASSWORD", PASSWORD);
        run(&mut command).ok()
    };

    command(&["createsuperuser", "--no-input", "--username", "alice"]);
    command(&["changepassword", "alice", "--no-input"]);
    command(&["token", "alice"]);
    command(&["token", "alice", "--reset"]);
    command(&["throttle", "clear", "alice"]);
    command(&["throttle", "clear", "--address", "2001:db8::1"]);
    command(&["throttle", "clear", "--all"]);
    command(&["clearsessions"]);

    let expected = [
        "user_created alice command line superuser",
        "password_changed alice command line ",
        "token_shown alice command line ",
        "token_reset alice command line ",
        "throttle_cleared alice command line ",
        "throttle_cleared  command line 2001:db8::/64",
        "throttle_cleared  command line everything",
        "sessions_cleared  command line 0 sessions",
    ];
    assert_eq!(events(&app), expected);
}

#[each_database]
async fn a_name_that_is_nobodys_is_kept_nowhere(backend: Backend) {
    let app = TestApp::start(&backend).await;
    // What people type into the wrong field.
    let password = "my secret that I typed one field too early";
    crate::support::secrets::note(password);

    for path in ["/api/v1/login/", "/login/", "/api-token-auth/"] {
        let body = json!({"username": password, "password": "wrong"});
        app.post_json(&app.program(), path, &body).await;
    }

    assert_eq!(app.database.count("portcullis_event"), 3);
    let kept = app.database.everything();
    let password = password.as_bytes();
    assert!(!kept.windows(password.len()).any(|bytes| bytes == password));
}

#[each_database]
async fn a_flood_of_refused_logins_is_one_row_a_block(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let client = app.program();
    for _ in 0..2 {
        for _ in 0..30 {
            app.log_in(&client, "nobody", "wrong").await;
        }
        app.clock.advance(60);
    }

    let throttled = events(&app)
        .iter()
        .filter(|event| event.starts_with("throttled"))
        .count();
    assert_eq!(throttled, 2);
    assert_eq!(app.database.count("portcullis_event"), 6 + 2);

    // The same for an account that is closed to strangers.
    app.database.execute(
        "UPDATE portcullis_attempt SET failures = 90, blocked_until = 0 WHERE client = ''",
    );
    app.clock.advance(3600);
    for _ in 0..10 {
        assert_eq!(app.log_in(&client, "nobody", "wrong").await.status, 429);
        app.clock.advance(1);
    }
    assert_eq!(app.database.count("portcullis_event"), 6 + 2 + 1);
}

/// Characters that end a line, colour a terminal, or turn the reading order.
const HOSTILE: &str = "x\r\nINFO forged\u{1b}[31m\u{2028}\u{2029}\u{202e}\u{2066}\u{85}\u{7}\u{9b}";

#[each_database]
async fn no_text_of_a_client_forges_a_log_line(backend: Backend) {
    for format in ["json", "text"] {
        let app = TestApp::start(&backend).await;
        app.create_user(HOSTILE, PASSWORD).await;
        let folder = tempfile::tempdir().unwrap();
        let mut command = program_on(&app.database, folder.path());
        command
            .env("PORTCULLIS_BIND", "127.0.0.1:0")
            .env("PORTCULLIS_LOG", "trace")
            .env("PORTCULLIS_LOG_FORMAT", format)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let port = {
            let mut stdout = std::io::BufReader::new(process.stdout.take().unwrap());
            let mut line = String::new();
            std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
            line.trim()
                .rsplit(':')
                .next()
                .unwrap()
                .parse::<u16>()
                .unwrap()
        };
        let mut stderr = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });

        let url = format!("http://127.0.0.1:{port}");
        let client = app.program();
        for password in [PASSWORD, "wrong"] {
            for name in [HOSTILE, &HOSTILE[1..]] {
                let body = json!({"username": name, "password": password});
                let request = client.post(format!("{url}/login/")).json(&body);
                Answer::of(request).await;
            }
        }
        for path in [
            "%0d%0aINFO%20forged%1b%5b31m%e2%80%a8%e2%80%ae",
            "\u{202e}\u{2028}",
            "login/?next=%0d%0a",
        ] {
            let request = client
                .get(format!("{url}/{path}"))
                .header("User-Agent", "x\u{202e}\u{2028}")
                .header("X-Request-Id", "forged");
            Answer::of(request).await;
        }
        for line in [
            "GET /\x1b[31m HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\rINFO forged\r\n\r\n",
            "\x1b[31m\r\n\r\n",
        ] {
            use std::io::Write;
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(line.as_bytes()).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
        }
        let stop = std::process::Command::new("kill")
            .args(["-s", "INT", &process.id().to_string()])
            .status();
        assert!(stop.unwrap().success());
        assert!(process.wait().unwrap().success());
        let log = log.join().unwrap();

        let is_hostile = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if let Some(at) = log.find(is_hostile) {
            panic!("{format}: {:?}", &log[at.saturating_sub(200)..at + 3]);
        }
        assert!(log.contains("login_failed"), "{log}");
        for line in log.lines() {
            if format == "json" {
                let event: Value = serde_json::from_str(line).expect(line);
                assert!(event["timestamp"].is_string(), "{line}");
            } else {
                let (date, rest) = line.split_once('T').expect(line);
                assert!(date.len() == 10 && rest.contains('Z'), "{line}");
            }
        }
    }
}
