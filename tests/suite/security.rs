//! What docs/security.md promises and no other file tests; and that it names
//! tests that are there.

use std::collections::BTreeSet;
use std::path::Path;

use each_database::each_database;
use portcullis::routes::{api, ops, pages};
use reqwest::Method;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

/// Who may have an answer from a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Anyone may read it.
    Public,
    /// It is where one says who one is.
    Login,
    /// Only who is logged in, by token or session.
    Private,
    /// A page: sends strangers to the login.
    Page,
}

/// Every path in the route tables, with its policy. A new route fails the test
/// until it is listed here.
const ROUTES: [(&str, Policy); 10] = [
    ("/healthz", Policy::Public),
    ("/readyz", Policy::Public),
    ("/login/", Policy::Login),
    ("/logout/", Policy::Private),
    ("/account/", Policy::Page),
    ("/", Policy::Page),
    ("/api/v1/login/", Policy::Login),
    ("/api/v1/logout/", Policy::Private),
    ("/api/v1/user/", Policy::Private),
    ("/api-token-auth/", Policy::Login),
];

#[each_database]
async fn every_route_has_a_policy_and_keeps_to_it(backend: Backend) {
    let views = api::VIEWS.iter().flat_map(|view| view.paths).copied();
    let pages = pages::PAGES.iter().map(|page| page.path);
    let probes = ops::PROBES.iter().map(|probe| probe.path);
    let served: BTreeSet<&str> = views.chain(pages).chain(probes).collect();
    let stated: BTreeSet<&str> = ROUTES.iter().map(|(path, _)| *path).collect();
    assert_eq!(served, stated, "each route, and nothing else, has a policy");

    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    app.log_in(&app.program(), "alice", PASSWORD).await;
    let methods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW",
    ];
    for (path, policy) in ROUTES {
        for method in methods {
            for accept in ["application/json", "text/html"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let request = app
                    .program()
                    .request(method.clone(), format!("{}{path}", app.url))
                    .header("Accept", accept)
                    .header("X-HTTP-Method-Override", "GET");
                let answer = Answer::of(request).await;
                let what = format!("{method} {path} for {accept}: {answer:?}");
                assert!(answer.status < 500, "{what}");
                assert!(!answer.body.contains("alice"), "{what}");
                assert_eq!(answer.set_cookie("sessionid"), None, "{what}");
                let reads = method == Method::GET || method == Method::HEAD;
                match policy {
                    Policy::Public => assert_eq!(answer.status == 200, reads, "{what}"),
                    Policy::Login => assert!(
                        answer.status >= 400 || (reads && accept == "text/html"),
                        "{what}"
                    ),
                    // The page that says goodbye is shown to who is out already.
                    Policy::Private if accept == "text/html" && path == "/logout/" => {}
                    Policy::Private => assert!([401, 405].contains(&answer.status), "{what}"),
                    Policy::Page => assert!(answer.status >= 400 || answer.status == 303, "{what}"),
                }
            }
        }
    }
    // None of them logged her out.
    assert_eq!(app.database.count("authtoken_token"), 1);
    assert_eq!(app.database.count("django_session"), 1);
}

/// With all that a browser and a program can send of themselves.
#[each_database]
async fn only_posts_change_anything(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let [session, csrf] = ["sessionid", "csrftoken"].map(|name| login.cookie(name).unwrap());
    let kept = || {
        let tables = ["authtoken_token", "django_session", "portcullis_event"];
        tables.map(|table| app.database.count(table))
    };
    let before = kept();
    for (path, _) in ROUTES {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE"] {
            for accept in ["application/json", "text/html"] {
                for by_token in [true, false] {
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    let request = app
                        .program()
                        .request(method.clone(), format!("{}{path}", app.url))
                        .header("Accept", accept)
                        .header("X-HTTP-Method-Override", "POST");
                    let request = match by_token {
                        true => request.header("Authorization", format!("Token {}", login.token())),
                        false => request
                            .header("Cookie", format!("sessionid={session}; csrftoken={csrf}"))
                            .header("X-CSRFToken", &csrf),
                    };
                    let form = [
                        ("username", "alice"),
                        ("password", PASSWORD),
                        ("_method", "POST"),
                    ];
                    let answer = Answer::of(request.form(&form)).await;
                    assert!(answer.status < 500, "{method} {path}: {answer:?}");
                    assert_eq!(answer.set_cookie("sessionid"), None, "{method} {path}");
                    assert_eq!(kept(), before, "{method} {path} {answer:?}");
                }
            }
        }
    }
}

#[each_database]
async fn nothing_in_an_address_is_a_credential(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (token, session) = (login.token(), login.cookie("sessionid").unwrap());
    for name in [
        "token",
        "key",
        "auth_token",
        "access_token",
        "Authorization",
    ] {
        for value in [token.clone(), format!("Token%20{token}")] {
            let path = format!("/api/v1/user/?{name}={value}&sessionid={session}");
            assert_eq!(app.get(&app.program(), &path).await.status, 401, "{name}");
        }
    }
    let password = PASSWORD.replace(' ', "%20");
    for path in ["/login/", "/api/v1/login/", "/api-token-auth/"] {
        let path = format!("{path}?username=alice&password={password}");
        let answer = app
            .post_json(&app.program(), &path, &serde_json::json!({}))
            .await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[each_database]
async fn every_answer_has_the_headers_that_protect_it(backend: Backend) {
    let https = ("PORTCULLIS_PUBLIC_URL", "https://127.0.0.1");
    for settings in [vec![], vec![https]] {
        let app = TestApp::start_with(&backend, &settings).await;
        let paths = ROUTES.map(|(path, _)| path);
        for path in paths
            .into_iter()
            .chain(["/nothing/here", "/static/nothing"])
        {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                for accept in ["application/json", "text/html", "image/png"] {
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    let request = app
                        .program()
                        .request(method.clone(), format!("{}{path}", app.url))
                        .header("Accept", accept);
                    let answer = Answer::of(request).await;
                    let what = format!("{method} {path} for {accept}: {answer:?}");
                    for (name, value) in [
                        ("cache-control", "no-store"),
                        ("x-content-type-options", "nosniff"),
                        ("x-frame-options", "DENY"),
                        ("referrer-policy", "same-origin"),
                        ("cross-origin-opener-policy", "same-origin"),
                    ] {
                        assert_eq!(answer.header(name), Some(value), "{name}: {what}");
                    }
                    let vary: Vec<String> = answer
                        .headers
                        .get_all("vary")
                        .iter()
                        .flat_map(|value| value.to_str().unwrap().split(", "))
                        .map(str::to_lowercase)
                        .collect();
                    for name in ["authorization", "cookie"] {
                        assert!(vary.iter().any(|text| text == name), "{name}: {what}");
                    }
                    let csp = answer.header("content-security-policy").unwrap();
                    assert!(csp.contains("default-src 'none'"), "{what}");
                    assert!(csp.contains("frame-ancestors 'none'"), "{what}");
                    assert!(!csp.contains("unsafe"), "{what}");
                    assert_eq!(
                        answer.header("strict-transport-security").is_some(),
                        !settings.is_empty(),
                        "{what}"
                    );
                    assert_eq!(answer.header("server"), None, "{what}");
                }
            }
        }
    }
}

#[each_database]
async fn odd_session_cookies_are_nobodys(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    app.log_in(&app.program(), "alice", PASSWORD).await;
    let long = "a".repeat(8000);
    let cookies: [&[u8]; 11] = [
        b"sessionid=",
        b"sessionid=   ",
        b"sessionid",
        b"=; sessionid==",
        b"sessionid=\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
        b"sessionid=\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
        b"sessionid=%00%00%00%00%00%00%00%00",
        b"sessionid=../../../../etc/passwd",
        b"sessionid=' OR '1'='1",
        b"$Version=1; sessionid=\"abcdefghijklmnopqrstuvwxyz012345\"; $Path=/",
        long.as_bytes(),
    ];
    for cookie in cookies {
        let request = app
            .program()
            .get(format!("{}/api/v1/user/", app.url))
            .header(
                "Cookie",
                reqwest::header::HeaderValue::from_bytes(cookie).unwrap(),
            );
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 401, "{}", String::from_utf8_lossy(cookie));
    }
    assert_eq!(app.database.count("django_session"), 1);
}

/// The key is good; how it is sent is not.
#[each_database]
async fn a_live_key_counts_only_under_its_own_name(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let key = login.cookie("sessionid").unwrap();
    let status = async |cookie: &str| {
        let request = app
            .program()
            .get(format!("{}/api/v1/user/", app.url))
            .header(
                "Cookie",
                reqwest::header::HeaderValue::from_bytes(cookie.as_bytes()).unwrap(),
            );
        Answer::of(request).await.status
    };
    for cookie in [
        "sessionid=KEY; sessionid=KEY",
        "sessionid=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; sessionid=KEY",
        "sessionid=KEY; sessionid=",
        "\u{2000}sessionid=KEY",
        "\u{85}sessionid=KEY",
        "\u{a0}sessionid=KEY",
        "sessionid\u{2000}=KEY",
        "__Host-sessionid=KEY",
        "Sessionid=KEY",
        "%73essionid=KEY",
        "sessionid=%KEY",
        "sessionid=KEY,sessionid=KEY",
        "a=\"b; sessionid=KEY\"",
        "sessionid=KEY%20",
        "sessionid=KEY\u{2000}",
        "sessionid KEY",
        "KEY",
    ] {
        assert_eq!(status(&cookie.replace("KEY", &key)).await, 401, "{cookie}");
    }
    assert_eq!(status(&format!("a=b; sessionid={key}; c")).await, 200);
}

#[each_database]
async fn strangers_leave_no_sessions_behind(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    for n in 0..100 {
        let key = format!("{n:032}");
        let cookie = format!("sessionid={key}; csrftoken={key}");
        for (method, path) in [
            (Method::GET, "/login/"),
            (Method::GET, "/account/"),
            (Method::GET, "/api/v1/user/"),
            (Method::POST, "/api/v1/logout/"),
            (Method::POST, "/logout/"),
            (Method::POST, "/api/v1/login/"),
        ] {
            let request = app
                .program()
                .request(method, format!("{}{path}", app.url))
                .header("Cookie", &cookie)
                .form(&[("username", "nobody"), ("password", "wrong")]);
            assert!(Answer::of(request).await.status < 500);
        }
    }
    assert_eq!(app.database.count("django_session"), 0);
    assert_eq!(app.database.count("authtoken_token"), 0);
}

#[each_database]
async fn no_other_spelling_of_a_name_logs_in(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    for name in ["mike", "straße", "josé"] {
        app.create_user(name, PASSWORD).await;
    }
    for other in [
        "MIKE",
        "m\u{131}ke",
        "mi\u{212a}e",
        "mike ",
        " mike",
        "mike\u{200b}",
        "\u{ff4d}ike",
        "STRASSE",
        "strasse",
        "jose\u{301}",
        "JOSÉ",
        "mike%",
        "m_ke",
    ] {
        let answer = app.log_in(&app.program(), other, PASSWORD).await;
        assert_eq!(answer.status, 400, "{other:?}");
    }
    for name in ["mike", "straße", "josé"] {
        assert_eq!(app.log_in(&app.program(), name, PASSWORD).await.status, 200);
    }
}

#[each_database]
async fn the_database_never_holds_a_password(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let wrong = "a wrong password that somebody typed";
    app.log_in(&app.program(), "alice", PASSWORD).await;
    app.log_in(&app.program(), "alice", wrong).await;
    app.log_in(&app.program(), wrong, "x").await;

    let kept = app.database.everything();
    for password in [PASSWORD, wrong] {
        let holds = kept
            .windows(password.len())
            .any(|bytes| bytes == password.as_bytes());
        assert!(!holds, "{password}");
    }
}

#[each_database]
async fn logins_at_once_do_not_mix(backend: Backend) {
    let settings = [
        ("PORTCULLIS_HASH_THREADS", "64"),
        ("PORTCULLIS_HASH_QUEUE", "512"),
        ("PORTCULLIS_THROTTLE", "off"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let password = |n: usize| format!("the password of number {n}");
    for n in 0..8 {
        app.create_user(&format!("user{n}"), &password(n)).await;
    }
    let client = app.program();
    let attempts = (0..256).map(|n| {
        let (user, whose) = (n % 8, n / 8 % 8);
        let (app, client) = (&app, &client);
        async move {
            let name = format!("user{user}");
            let answer = app.log_in(client, &name, &password(whose)).await;
            assert_eq!(answer.status, if user == whose { 200 } else { 400 });
            if user == whose {
                let shown = app.user_by_token(&answer.token()).await;
                assert_eq!(shown.json()["username"], name.as_str());
            }
        }
    });
    futures_util::future::join_all(attempts).await;
}

#[each_database]
async fn a_csrf_cookie_inside_another_cookie_is_none(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let (session, csrf) = (login.cookie("sessionid"), login.cookie("csrftoken"));
    let (session, csrf) = (session.unwrap(), csrf.unwrap());
    let log_out = |cookie: String| {
        let request = app
            .program()
            .post(format!("{}/api/v1/logout/", app.url))
            .header("Cookie", format!("sessionid={session}; {cookie}"))
            .header("X-CSRFToken", &csrf);
        Answer::of(request)
    };
    for cookie in [
        format!("a=b]csrftoken={csrf}"),
        format!("a=\"x; csrftoken={csrf}y\""),
        format!("csrftoken=x]csrftoken={csrf}"),
        format!("csrftoken={csrf}; csrftoken={csrf}"),
        format!("\u{a0}csrftoken={csrf}"),
        format!("a=b\u{85}csrftoken={csrf}"),
    ] {
        assert_eq!(log_out(cookie.clone()).await.status, 403, "{cookie}");
    }
    assert_eq!(log_out(format!("csrftoken={csrf}")).await.status, 200);
}

// ---- documents and dependencies ------------------------------------------------

const SECURITY: &str = include_str!("../../docs/security.md");

/// The rows below a heading, each as its cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = SECURITY
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("docs/security.md has no {heading:?}"));
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .filter(|cells: &Vec<String>| !cells[0].starts_with("---") && cells[0] != "#")
    .collect()
}

/// Every test that there is, by its modules and its name.
fn all_tests() -> Vec<String> {
    fn walk(folder: &Path, root: &Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let module = path.with_extension("");
                let module = module.strip_prefix(root).unwrap().to_str().unwrap();
                let module = module.replace('/', "::").replace('-', "_");
                let mut is_test = false;
                for line in text.lines().map(str::trim_start) {
                    let line = line.strip_prefix("async ").unwrap_or(line);
                    is_test |= line.starts_with("#[") && line.ends_with("test]");
                    is_test |= line.starts_with("#[each_database");
                    if let Some(rest) = line.strip_prefix("fn ") {
                        let name = rest.split(['(', '<']).next().unwrap_or_default();
                        into.extend(is_test.then(|| format!("{module}::{name}")));
                        is_test = false;
                    }
                }
            }
        }
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    for (folder, root) in [
        ("src", "src"),
        ("crates", "crates"),
        ("tests/suite", "tests/suite"),
        ("tests/browser", "tests"),
    ] {
        walk(&home.join(folder), &home.join(root), &mut names);
    }
    names
}

/// Whether there is a test of that name in modules of those names:
/// `password::a_test` is `django_auth::password::tests::a_test`.
fn is_there(tests: &[String], name: &str) -> bool {
    tests.iter().any(|test| {
        let (modules, last) = test.rsplit_once("::").unwrap();
        let modules: BTreeSet<&str> = modules.split("::").collect();
        let mut named = name.split("::").collect::<Vec<_>>();
        named.pop() == Some(last) && named.iter().all(|module| modules.contains(module))
    })
}

/// Names in backquotes that look like a test's: `module::of_a_test`.
fn named_tests(cell: &str) -> Vec<&str> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.contains("::"))
        .collect()
}

/// Each row names tests that are there, or says in words why there is none.
fn check_rows(rows: &[Vec<String>], text: usize, answer: usize) {
    let tests = all_tests();
    for row in rows {
        assert_eq!(row.len(), answer + 1, "{row:?}");
        assert!(!row[text].is_empty(), "{row:?}");
        let names = named_tests(&row[answer]);
        for name in &names {
            assert!(
                is_there(&tests, name),
                "{}: there is no test {name}",
                row[0]
            );
        }
        let has_reason = ["does not apply: ", "not met: ", "by reading: "]
            .iter()
            .any(|start| row[answer].starts_with(start) && row[answer].len() > start.len() + 10);
        assert!(!names.is_empty() || has_reason, "{row:?}");
    }
}

#[test]
fn the_table_of_failures_names_tests_that_are_there() {
    let rows = table("## What broke elsewhere");
    let numbers: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
    let expected: Vec<String> = (1..=66).map(|number| format!("S{number}")).collect();
    assert_eq!(numbers, expected);
    check_rows(&rows, 1, 2);
    assert!(rows.iter().all(|row| !row[2].starts_with("not met: ")));
}

#[test]
fn the_asvs_map_names_tests_that_are_there() {
    let rows = table("## ASVS 5.0");
    let ids: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "each requirement stands there once");
    for row in &rows {
        let numbers: Vec<u32> = row[0].split('.').map(|n| n.parse().unwrap()).collect();
        assert!(
            numbers.len() == 3 && (1..=16).contains(&numbers[0]),
            "{row:?}"
        );
        assert!(["1", "2", "3"].contains(&row[1].as_str()), "{row:?}");
    }
    check_rows(&rows, 2, 3);
}

#[test]
fn no_secret_is_compared_with_equals() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, name) in [
        ("src/auth/keyring/token.rs", "Token"),
        ("src/auth/keyring/session_key.rs", "SessionKey"),
        ("src/auth/client.rs", "Device"),
        ("src/auth/credentials.rs", "Credentials"),
        ("crates/django-auth/src/secret_key.rs", "SecretKey"),
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let (before, _) = text
            .split_once(&format!("pub struct {name}"))
            .unwrap_or_else(|| panic!("{file} has no {name}"));
        let derives = before.rsplit("\n\n").next().unwrap_or_default();
        assert!(!derives.contains("PartialEq"), "{file}: {name}");
        assert!(!text.contains(&format!("PartialEq for {name}")), "{file}");
        assert!(!derives.contains("Debug"), "{file}: {name} prints itself");
    }
}

#[test]
fn dependencies_are_reviewed_and_above_their_floors() {
    let lock = include_str!("../../Cargo.lock");
    let packages: Vec<(&str, &str)> = lock
        .split("[[package]]")
        .skip(1)
        .map(|package| {
            let field = |name: &str| {
                let start = format!("\n{name} = \"");
                let rest = package.split(&start).nth(1).unwrap_or_default();
                rest.split('"').next().unwrap_or_default()
            };
            (field("name"), field("version"))
        })
        .collect();
    let version = |text: &str| -> Vec<u64> {
        let text = text.split(['-', '+']).next().unwrap_or_default();
        text.split('.').map(|part| part.parse().unwrap()).collect()
    };
    for (name, floor) in [
        ("actix-http", "3.12.1"),
        ("bcrypt", "0.19.2"),
        ("diesel", "2.3.10"),
        ("tracing-subscriber", "0.3.20"),
    ] {
        let found: Vec<_> = packages.iter().filter(|(n, _)| *n == name).collect();
        assert!(!found.is_empty(), "{name}");
        for (_, found) in found {
            assert!(version(found) >= version(floor), "{name} {found} < {floor}");
        }
    }
    for banned in [
        "actix-files",
        "djangohashers",
        "totp-rs",
        "postgress",
        "tracings",
        "tracing-check",
        "openssl",
    ] {
        assert!(packages.iter().all(|(name, _)| *name != banned), "{banned}");
    }
    let manifest = include_str!("../../Cargo.toml");
    let reviewed = include_str!("../../CONTRIBUTING.md");
    let reviewed: BTreeSet<&str> = reviewed
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, reason)| {
            assert!(reason.len() > 5, "{name}");
            name
        })
        .collect();
    let mut depends = BTreeSet::new();
    let library = include_str!("../../crates/django-auth/Cargo.toml");
    let sections = ["[dependencies]", "[dev-dependencies]"];
    for (manifest, section) in [manifest, library]
        .into_iter()
        .flat_map(|manifest| sections.map(|section| (manifest, section)))
    {
        let (_, rest) = manifest.split_once(section).unwrap();
        let lines = rest
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with('['));
        depends.extend(lines.filter_map(|line| Some(line.split_once(" = ")?.0)));
    }
    depends.retain(|name| !name.starts_with('#'));
    assert_eq!(
        depends, reviewed,
        "each dependency has its reason in CONTRIBUTING.md"
    );
    // HTTP/2 is off: nothing of it is in the server.
    assert!(!manifest.contains("http2"));
    assert!(manifest.contains("actix-web = { version = \"4.12\", default-features = false"));
}
