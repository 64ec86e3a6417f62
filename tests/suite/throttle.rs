//! The throttle: how many passwords one may try, from where.

use std::sync::Arc;

use each_database::each_database;
use portcullis::auth::throttle::failures::Failures;
use reqwest::Client;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{Serving, program_on, run};
use crate::support::until;

const PROXIES: (&str, &str) = ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8");
/// Nobody is refused for want of room before the counters are asked.
const ROOM: (&str, &str) = ("PORTCULLIS_HASH_QUEUE", "256");

/// A login as if through a trusted proxy, from that address.
async fn log_in_from(app: &TestApp, address: &str, username: &str, password: &str) -> Answer {
    let request = app
        .program()
        .post(format!("{}/api/v1/login/", app.url))
        .header("X-Forwarded-For", address)
        .json(&json!({"username": username, "password": password}));
    Answer::of(request).await
}

/// The seconds in `Retry-After`; on a slow machine some have passed.
fn about_a_minute(answer: &Answer) -> u64 {
    let wait = answer.header("retry-after").expect("a time to wait");
    let wait = wait.parse().expect("seconds");
    assert!((40..=60).contains(&wait), "{wait}");
    wait
}

async fn failures(app: &TestApp) -> Vec<Failures> {
    app.auth.throttle.find_failures(100).await.unwrap()
}

#[each_database]
async fn five_failures_block_an_account_for_a_client(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.create_user("bob", PASSWORD).await;
    let client = app.program();
    let hashed = app.auth.passwords.pool().completed();

    for _ in 0..5 {
        assert_eq!(app.log_in(&client, "alice", "wrong").await.status, 400);
    }
    let right = app.log_in(&client, "alice", PASSWORD).await;
    let wrong = app.log_in(&client, "alice", "wrong").await;

    assert_eq!(right.status, 429);
    let wait = about_a_minute(&right);
    assert_eq!(
        right.body,
        format!(r#"{{"detail":"Request was throttled. Expected available in {wait} seconds."}}"#)
    );
    assert_eq!(right.header("set-cookie"), None);
    assert_eq!(right.header("cache-control"), Some("no-store"));
    about_a_minute(&wrong);
    assert_eq!(wrong.status, 429);
    assert_eq!(app.auth.passwords.pool().completed() - hashed, 5);
    assert_eq!(app.log_in(&client, "bob", PASSWORD).await.status, 200);
    assert_eq!(app.database.count("django_session"), 1);
    assert_eq!(app.database.count("authtoken_token"), 1);

    app.clock.advance(61);
    assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 200);
    // And the count starts anew.
    for _ in 0..5 {
        assert_eq!(app.log_in(&client, "alice", "wrong").await.status, 400);
    }
    assert_eq!(app.log_in(&client, "alice", "wrong").await.status, 429);
}

#[each_database]
async fn each_further_failure_doubles_the_wait_to_an_hour(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let client = app.program();
    for _ in 0..5 {
        assert_eq!(app.log_in(&client, "nobody", "wrong").await.status, 400);
    }

    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let refused = app.log_in(&client, "nobody", "wrong").await;
        let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert_eq!(refused.status, 429);
        assert!((minutes * 60 - 30..=minutes * 60).contains(&wait), "{wait}");
        app.clock.advance(wait);
        // One try, and no more.
        let tries = [(); 3].map(|()| app.log_in(&client, "nobody", "wrong"));
        let answers = futures_util::future::join_all(tries).await;
        let tried = answers.iter().filter(|answer| answer.status == 400).count();
        assert_eq!(tried, 1, "after {minutes} minutes");
    }

    // A day later it is another day.
    app.clock.advance(25 * 3600);
    for _ in 0..5 {
        assert_eq!(app.log_in(&client, "nobody", "wrong").await.status, 400);
    }
}

/// Sends that many logins at once, by turns to these servers; how many were
/// answered with which status.
async fn storm(urls: &[String], passwords: &[&str], count: usize) -> Vec<(u16, usize)> {
    let client = Client::new();
    let requests = (0..count).map(|n| {
        let password = passwords[n % passwords.len()];
        let request = client
            .post(format!("{}/api/v1/login/", urls[n % urls.len()]))
            .json(&json!({"username": "alice", "password": password}));
        async move { Answer::of(request).await.status }
    });
    let statuses = futures_util::future::join_all(requests).await;
    let mut counts: Vec<(u16, usize)> = Vec::new();
    for status in statuses {
        match counts.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => counts.push((status, 1)),
        }
    }
    counts.sort_unstable();
    counts
}

#[each_database]
async fn two_hundred_wrong_logins_at_two_servers_are_five_hash_checks(backend: Backend) {
    let app = TestApp::start_with(&backend, &[ROOM]).await;
    app.create_user("alice", PASSWORD).await;
    let other = app.start_another(&[ROOM]).await;
    let hashed = app.auth.passwords.pool().completed();

    let urls = [app.url.clone(), other.url.clone()];
    let answers = storm(&urls, &["wrong"], 200).await;

    assert_eq!(answers, [(400, 5), (429, 195)]);
    let here = app.auth.passwords.pool().completed() - hashed;
    assert_eq!(here + other.auth.passwords.pool().completed(), 5);
}

#[each_database]
async fn two_hundred_wrong_logins_at_two_processes_are_five_hash_checks(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = program_on(&app.database, folder.path());
        command.env("PORTCULLIS_BIND", "127.0.0.1:0");
        command.env(ROOM.0, ROOM.1);
        Serving::start(&mut command, "users")
    };
    let (one, two) = (start(), start());

    let answers = storm(&[one.url(), two.url()], &["wrong"], 200).await;

    // Whoever got 400 had the password hashed, and nobody else had.
    assert_eq!(answers, [(400, 5), (429, 195)]);
}

#[each_database]
async fn a_burst_of_right_logins_is_never_refused(backend: Backend) {
    let settings = [("PORTCULLIS_HASH_THREADS", "2"), ROOM];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let other = app.start_another(&settings).await;

    let urls = [app.url.clone(), other.url.clone()];
    assert_eq!(storm(&urls, &[PASSWORD], 100).await, [(200, 100)]);
    assert_eq!(failures(&app).await, []);
    assert_eq!(app.database.count("portcullis_attempt"), 0);
}

#[each_database]
async fn right_logins_wait_for_wrong_ones_and_not_the_other_way_round(backend: Backend) {
    let app = TestApp::start_with(&backend, &[ROOM]).await;
    app.create_user("alice", PASSWORD).await;

    // Four wrong ones among them are no reason to refuse anybody.
    let mut passwords = [PASSWORD; 40];
    passwords[..4].fill("wrong");

    let answers = storm(std::slice::from_ref(&app.url), &passwords, 40).await;
    assert_eq!(answers, [(200, 36), (400, 4)]);
}

#[each_database]
async fn fifty_failures_over_all_accounts_block_a_network(backend: Backend) {
    let app = TestApp::start_with(&backend, &[PROXIES, ROOM]).await;
    app.create_user("alice", PASSWORD).await;
    let attempt = |n: usize| {
        let app = &app;
        async move { log_in_from(app, "203.0.113.9", &format!("user{n}"), "wrong").await }
    };

    let answers = futures_util::future::join_all((0..80).map(attempt)).await;

    let counted = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((counted(400), counted(429)), (50, 30));
    let refused = log_in_from(&app, "203.0.113.9", "alice", PASSWORD).await;
    assert_eq!(refused.status, 429);
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((840..=900).contains(&wait), "{wait}");
    assert_eq!(
        log_in_from(&app, "203.0.113.10", "alice", PASSWORD)
            .await
            .status,
        200
    );
    app.clock.advance(wait);
    assert_eq!(
        log_in_from(&app, "203.0.113.9", "alice", PASSWORD)
            .await
            .status,
        200
    );
}

#[each_database]
async fn a_good_login_of_ones_own_does_not_clear_the_network(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("mallory", PASSWORD).await;
    let client = app.program();

    for n in 0..50 {
        let guess = app.log_in(&client, &format!("victim{n}"), "wrong").await;
        assert_eq!(guess.status, 400, "{n}");
        assert_eq!(app.log_in(&client, "mallory", PASSWORD).await.status, 200);
    }
    let guess = app.log_in(&client, "another victim", "wrong").await;
    assert_eq!(guess.status, 429);
}

#[each_database]
async fn an_account_takes_no_more_than_a_hundred_failures_in_a_row(backend: Backend) {
    let app = TestApp::start_with(&backend, &[PROXIES]).await;
    app.create_user("alice", PASSWORD).await;
    // Her browser logs in once, and is known from then on, wherever it is.
    let browser = app.browser();
    let log_in = |address: &'static str, password: &'static str| {
        let request = browser
            .post(format!("{}/api/v1/login/", app.url))
            .header("Sec-Fetch-Site", "same-origin")
            .header("X-Forwarded-For", address)
            .json(&json!({"username": "alice", "password": password}));
        Answer::of(request)
    };
    let first = log_in("198.51.100.1", PASSWORD).await;
    let cookie = first.set_cookie("portcullis_device").expect("a device");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=15552000"),
        "{cookie}"
    );

    let mut tried = 0;
    for network in 0..250 {
        for _ in 0..2 {
            let address = format!("10.1.{network}.7");
            let answer = log_in_from(&app, &address, "alice", "wrong").await;
            assert!([400, 429].contains(&answer.status));
            tried += usize::from(answer.status == 400);
        }
    }
    assert!((50..=100).contains(&tried), "{tried} passwords were tried");
    let stranger = log_in_from(&app, "10.9.9.9", "alice", PASSWORD).await;
    assert_eq!(stranger.status, 429);
    assert_eq!(stranger.header("retry-after"), Some("3600"));
    // Not even months later, as long as nobody has logged in.
    app.clock.advance(60 * 24 * 3600);
    let stranger = log_in_from(&app, "10.9.9.9", "alice", PASSWORD).await;
    assert_eq!(stranger.status, 429);

    assert_eq!(log_in("10.8.8.8", PASSWORD).await.status, 200);
    // That broke the row, for strangers too.
    let stranger = log_in_from(&app, "10.9.9.9", "alice", PASSWORD).await;
    assert_eq!(stranger.status, 200);
}

#[each_database]
async fn a_known_address_keeps_its_lane(backend: Backend) {
    let app = TestApp::start_with(&backend, &[PROXIES]).await;
    app.create_user("alice", PASSWORD).await;
    let home = "2001:db8:1:2::7";
    assert_eq!(log_in_from(&app, home, "alice", PASSWORD).await.status, 200);

    for network in 0..100 {
        log_in_from(&app, &format!("10.1.{network}.7"), "alice", "wrong").await;
    }

    // The same /64, another host in it.
    let neighbour = "2001:db8:1:2:aaaa::1";
    let answer = log_in_from(&app, neighbour, "alice", PASSWORD).await;
    assert_eq!(answer.status, 200);
}

#[each_database]
async fn other_spellings_of_a_name_open_no_new_counter(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let client = app.program();

    for spelling in ["josé", "JOSÉ", " jose\u{301} ", "ｊｏｓé", "José"] {
        assert_eq!(app.log_in(&client, spelling, "wrong").await.status, 400);
    }
    for spelling in ["josé", "jOsÉ", "jose\u{301}"] {
        assert_eq!(app.log_in(&client, spelling, "wrong").await.status, 429);
    }
    // Whoever it is, one counter: what is no text, and what is none at all.
    for body in [json!({}), json!({"username": 7}), json!({"username": ""})] {
        let answer = app.post_json(&client, "/api/v1/login/", &body).await;
        assert_eq!(answer.status, 400);
    }
    let account = &failures(&app).await;
    assert_eq!(
        account.iter().filter(|f| f.client == "everywhere").count(),
        2
    );
    assert!(account.iter().all(|f| !f.account.contains("jos")));
}

#[each_database]
async fn only_trusted_proxies_say_where_a_client_is(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let names = [
        "X-Forwarded-For",
        "X_Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
    ];
    for (n, name) in names.iter().cycle().take(12).enumerate() {
        let request = app
            .program()
            .post(format!("{}/api/v1/login/", app.url))
            .header(*name, format!("203.0.113.{n}"))
            .json(&json!({"username": "nobody", "password": "wrong"}));
        let status = Answer::of(request).await.status;
        assert_eq!(status, if n < 5 { 400 } else { 429 }, "{name}");
    }

    // And through a proxy: one network is one network, however it is written.
    let app = TestApp::start_with(&backend, &[PROXIES]).await;
    for (n, address) in [
        "203.0.113.7",
        "::ffff:203.0.113.7",
        "203.0.113.7:4711",
        "6.6.6.6, 203.0.113.7",
        "[::ffff:203.0.113.7]:1",
        "203.0.113.7, 127.0.0.9",
    ]
    .iter()
    .enumerate()
    {
        let status = log_in_from(&app, address, "nobody", "wrong").await.status;
        assert_eq!(status, if n < 5 { 400 } else { 429 }, "{address}");
    }
    for n in 0..6 {
        let address = format!("2001:db8:7:7:{n}::1");
        let status = log_in_from(&app, &address, "nobody", "wrong").await.status;
        assert_eq!(status, if n < 5 { 400 } else { 429 }, "{address}");
    }
}

#[each_database]
async fn every_entry_point_shares_the_counters(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let wrong = json!({"username": "alice", "password": "wrong"});
    let right = json!({"username": "alice", "password": PASSWORD});
    let client = app.program();
    let paths = [
        "/api/v1/login/",
        "/login/",
        "/api-token-auth/",
        "/api/v1/login",
        "/api-token-auth",
    ];

    for path in paths {
        let answer = app.post_json(&client, path, &wrong).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    for path in paths {
        let answer = app.post_json(&client, path, &right).await;
        assert_eq!(answer.status, 429, "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
    // Tokens and sessions that are out there are of no concern to it.
    assert_eq!(app.user_by_token("0").await.status, 401);
}

#[each_database]
async fn a_browser_gets_a_page_that_says_to_wait(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let send = || {
        let request = app
            .program()
            .post(format!("{}/login/", app.url))
            .header("Accept", "text/html")
            .form(&[("username", "nobody"), ("password", "wrong")]);
        Answer::of(request)
    };
    for _ in 0..5 {
        assert_eq!(send().await.status, 400);
    }

    let page = send().await;

    assert_eq!(page.status, 429);
    about_a_minute(&page);
    assert_eq!(page.header("set-cookie"), None);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.body.contains("Please wait a minute"), "{}", page.body);
}

#[each_database]
async fn hanging_up_does_not_save_an_attempt(backend: Backend) {
    // Slow enough to hang up in the middle.
    let settings = [("PORTCULLIS_PASSWORD_COST", "11")];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let app = Arc::new(app);

    for n in 1..=5_i64 {
        let body = r#"{"username":"alice","password":"wrong"}"#;
        let request = format!(
            "POST /api/v1/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", app.port))
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let pending = "SELECT CAST(pending AS text) AS text FROM portcullis_attempt
                        WHERE account <> '' AND client <> '' AND pending > 0";
        until("the password is being looked at", async || {
            !app.database.texts(pending).is_empty()
        })
        .await;
        drop(stream);
        until("the failure is counted", async || {
            app.database.texts(pending).is_empty()
                && failures(&app).await.iter().any(|f| f.failures == n)
        })
        .await;
    }
    let answer = app.log_in(&app.program(), "alice", PASSWORD).await;
    assert_eq!(answer.status, 429);
}

#[each_database]
async fn a_killed_process_leaves_failures_behind(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    // Hashes of a second or more, for whoever there is not.
    let mut command = program_on(&app.database, folder.path());
    command
        .env("PORTCULLIS_BIND", "127.0.0.1:0")
        .env("PORTCULLIS_PASSWORD_COST", "16");
    let serving = Serving::start(&mut command, "users");
    let client = Client::new();
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let request = client
                .post(format!("{}/api/v1/login/", serving.url()))
                .json(&json!({"username": "nobody", "password": "wrong"}));
            tokio::spawn(request.send())
        })
        .collect();
    let pending = "SELECT CAST(pending AS text) AS text FROM portcullis_attempt
                    WHERE account <> '' AND client = ''";
    until("all three are being looked at", async || {
        app.database.texts(pending) == [Some("3".to_owned())]
    })
    .await;

    serving.signal("KILL");
    for request in requests {
        assert!(request.await.unwrap().is_err());
    }

    // They may still be answered, as far as anybody else knows; then not.
    app.clock.advance(121);
    assert_eq!(failures(&app).await, []);
    let answer = app.log_in(&app.program(), "nobody", "wrong").await;
    assert_eq!(answer.status, 400);
    let worst = failures(&app).await;
    assert_eq!(worst.iter().map(|f| f.failures).max(), Some(4));
}

#[each_database]
async fn an_admin_sees_and_clears_failures(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        run(program_on(&app.database, folder.path())
            .arg("throttle")
            .args(arguments))
    };
    let client = app.program();
    assert_eq!(command(&["list"]).ok().stdout(), "no failed logins\n");
    let fail = || async {
        for _ in 0..5 {
            assert_eq!(app.log_in(&client, "alice", "wrong").await.status, 400);
        }
        assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 429);
    };

    fail().await;
    let list = command(&["list"]).ok().stdout();
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["failures", "blocked", "account", "client"]);
    assert!(
        lines.contains(&vec!["5", "-", "alice", "everywhere"]),
        "{list}"
    );
    assert!(
        lines.contains(&vec!["5", "-", "every", "account", "127.0.0.1"]),
        "{list}"
    );
    let blocked = lines
        .iter()
        .find(|line| line[2..] == ["alice", "127.0.0.1"]);
    let blocked = blocked.expect(&list)[1];
    assert!(blocked.starts_with("0m") || blocked == "1m00s", "{blocked}");

    assert_eq!(
        command(&["clear", "alice"]).ok().stdout(),
        "cleared 2 counters\n"
    );
    assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 200);
    fail().await;
    let clear = command(&["clear", "--address", "::ffff:127.0.0.1"]);
    assert_eq!(clear.ok().stdout(), "cleared 2 counters\n");
    assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 200);
    fail().await;
    command(&["clear", "--all"]).ok();
    assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 200);

    assert!(command(&["clear", "mallory"]).failure().contains("mallory"));
    assert_eq!(command(&["clear"]).code(), 2);
    assert_eq!(command(&["clear", "alice", "--all"]).code(), 2);
}

#[each_database]
async fn another_password_clears_the_failures(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let client = app.program();
    assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 200);
    assert_eq!(app.database.count("portcullis_client"), 1);
    for _ in 0..5 {
        assert_eq!(app.log_in(&client, "alice", "wrong").await.status, 400);
    }

    let mut command = program_on(&app.database, folder.path());
    command
        .args(["changepassword", "alice", "--no-input"])
        .env("PORTCULLIS_USER_PASSWORD", "another good password");
    run(&mut command).ok();

    // Whoever knew the old one keeps no lane either.
    assert_eq!(app.database.count("portcullis_client"), 0);
    let answer = app.log_in(&client, "alice", "another good password").await;
    assert_eq!(answer.status, 200);
}

#[each_database]
async fn off_means_off(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let client = app.program();

    for _ in 0..60 {
        assert_eq!(app.log_in(&client, "nobody", "wrong").await.status, 400);
    }
    assert_eq!(app.database.count("portcullis_attempt"), 0);
}

#[each_database]
async fn what_has_run_out_is_swept(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let client = app.program();
    assert_eq!(app.log_in(&client, "alice", PASSWORD).await.status, 200);
    for n in 0..3 {
        app.log_in(&client, &format!("nobody{n}"), "wrong").await;
    }
    let rows = |app: &TestApp| {
        [
            "portcullis_attempt",
            "portcullis_client",
            "portcullis_event",
            "django_session",
        ]
        .map(|table| app.database.count(table))
    };
    // A network, and three accounts with and without it; the events of four
    // logins and of a new user.
    assert_eq!(rows(&app), [7, 1, 5, 1]);
    assert_eq!(app.auth.sweep().await.unwrap(), 0);

    app.clock.advance(24 * 3600 + 1);
    app.auth.sweep().await.unwrap();
    // The accounts' own are never forgotten.
    assert_eq!(rows(&app), [3, 1, 5, 1]);

    app.clock.advance(90 * 24 * 3600);
    app.auth.sweep().await.unwrap();
    assert_eq!(rows(&app), [3, 1, 0, 0]);

    app.clock.advance(90 * 24 * 3600);
    app.auth.sweep().await.unwrap();
    assert_eq!(rows(&app), [3, 0, 0, 0]);
}
