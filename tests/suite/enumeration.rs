//! No answer tells whether an account exists, be it by its bytes or by what is
//! hashed for it. How much work that is: `hash_work.rs`. What a watch says of it:
//! `tests/timing`.

use each_database::each_database;
use portcullis::models::UserId;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::secrets;

const NOBODY: &str = "user00";

/// Accounts that [`PASSWORD`] does not open, each of another kind. Their names
/// are as long as [`NOBODY`], which is not among them.
pub struct Accounts(Vec<(String, &'static str)>);

impl Accounts {
    pub async fn create(app: &TestApp) -> Self {
        let mut accounts = Vec::new();
        for (number, (kind, change)) in KINDS.iter().enumerate() {
            let name = format!("user{:02}", number + 1);
            let _: UserId = app.create_user(&name, PASSWORD).await;
            app.database.execute(&format!(
                "UPDATE accounts_customuser SET {change} WHERE username = '{name}'"
            ));
            accounts.push((name, *kind));
        }
        Self(accounts)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, kind)| (name.as_str(), *kind))
    }

    /// The names, with nobody's among them.
    pub fn and_nobody(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().chain([(NOBODY, "nobody")])
    }
}

/// What is changed in the row of a user who could log in. No password is known
/// that fits one of these hashes.
const KINDS: [(&str, &str); 19] = [
    ("inactive, and the password is right", "is_active = FALSE"),
    (
        "preferred",
        "password = 'bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e'",
    ),
    (
        "dearer than preferred",
        "password = 'bcrypt_sha256$$2b$05$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e'",
    ),
    (
        "plain bcrypt",
        "password = 'bcrypt$$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e'",
    ),
    (
        "few iterations",
        "password = 'pbkdf2_sha256$1000$seasalt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
    ),
    (
        "many iterations",
        "password = 'pbkdf2_sha256$20000$seasalt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
    ),
    (
        "SHA-1",
        "password = 'pbkdf2_sha1$10000$seasalt$AAAAAAAAAAAAAAAAAAAAAAAAAAA='",
    ),
    (
        "argon2id",
        "password = 'argon2$argon2id$v=19$m=2048,t=2,p=1$c2Vhc2FsdHNlYQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
    ),
    (
        "argon2i of old",
        "password = 'argon2$argon2i$m=2048,t=1,p=2$c2Vhc2FsdHNlYQ$AAAAAAAAAAAAAAAAAAAAAA'",
    ),
    (
        "scrypt",
        "password = 'scrypt$1024$seasalt$8$1$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=='",
    ),
    (
        "inactive, of another kind",
        "is_active = FALSE, password = 'pbkdf2_sha256$7000$seasalt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
    ),
    ("unusable", "password = '!'"),
    (
        "unusable, as Django writes it",
        "password = '!Vd9iXlVJ3LrZQ0m2X8mQ1QvC5tYh0KcPq7sRw4nE'",
    ),
    ("empty", "password = ''"),
    (
        "unknown algorithm",
        "password = 'md5$seasalt$0123456789abcdef'",
    ),
    ("plaintext", "password = 'correct horse battery staple'"),
    ("corrupt", "password = 'bcrypt_sha256$$2b$12$abcdefghijkl'"),
    ("corrupt cost", "password = 'pbkdf2_sha256$-1$seasalt$AAAA'"),
    (
        "beyond what is hashed",
        "password = 'pbkdf2_sha256$2000000000$seasalt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
    ),
];

/// A way to send a password: what follows the name in a JSON object, and in a
/// form.
struct Attempt {
    label: &'static str,
    json: String,
    form: String,
    /// Whether DRF's own view does more than to look at the field.
    is_a_password: bool,
}

fn attempts() -> Vec<Attempt> {
    let attempt = |label, json: &str, form: &str| Attempt {
        label,
        json: format!(r#","password":{json}"#),
        form: format!("&password={form}"),
        is_a_password: true,
    };
    let text = |label, text: &str| {
        secrets::note(text);
        let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        attempt(label, &json!(text).to_string(), &form)
    };
    let no_password = |attempt| Attempt {
        is_a_password: false,
        ..attempt
    };
    vec![
        text("right for some", PASSWORD),
        text("wrong", "incorrect horse battery staple"),
        text("longer than bcrypt takes", &"horse".repeat(15)),
        text("as long as may be", &"staple!!".repeat(512)),
        text("too long", &format!("{}.", "staple!!".repeat(512))),
        text("what the column holds", "!"),
        no_password(text("with a NUL", "correct\0horse battery staple")),
        no_password(text("empty", "")),
        no_password(attempt("a number", "7", "7&password=")),
        no_password(Attempt {
            label: "missing",
            json: String::new(),
            form: String::new(),
            is_a_password: false,
        }),
    ]
}

/// A place that takes passwords.
struct EntryPoint {
    path: &'static str,
    is_page: bool,
    /// Whether what is no password gets an answer of its own, to everybody.
    looks_at_fields: bool,
}

const ENTRY_POINTS: [EntryPoint; 4] = [
    EntryPoint {
        path: "/api/v1/login/",
        is_page: false,
        looks_at_fields: false,
    },
    EntryPoint {
        path: "/login/",
        is_page: false,
        looks_at_fields: false,
    },
    EntryPoint {
        path: "/login/",
        is_page: true,
        looks_at_fields: false,
    },
    EntryPoint {
        path: "/api-token-auth/",
        is_page: false,
        looks_at_fields: true,
    },
];

impl EntryPoint {
    /// A login there, as a program or as a browser that has its form.
    fn request(&self, app: &TestApp, name: &str, attempt: &Attempt) -> String {
        let secret = "0123456789abcdefghijABCDEFGHIJxy";
        let (headers, body) = if self.is_page {
            let origin = &app.url;
            (
                format!(
                    "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                     Origin: {origin}\r\nCookie: csrftoken={secret}\r\n"
                ),
                format!(
                    "csrfmiddlewaretoken={secret}&username={name}{}",
                    attempt.form
                ),
            )
        } else {
            (
                "Content-Type: application/json\r\n".to_owned(),
                format!(r#"{{"username":"{name}"{}}}"#, attempt.json),
            )
        };
        format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            self.path,
            app.port,
            body.len()
        )
    }
}

/// All that comes back, and how many passwords were hashed for it.
async fn exchange(app: &TestApp, request: &str) -> (String, u64) {
    let hashed = app.auth.passwords.pool().completed();
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", app.port))
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer, app.auth.passwords.pool().completed() - hashed)
}

/// The answer without what is of the moment: the date, the order of the headers
/// (the server's map has none), the mask of the form's token. And without the
/// name, which the form keeps.
fn comparable(answer: &str, name: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    let (status, headers) = head.split_once("\r\n").expect(answer);
    let mut headers: Vec<&str> = headers
        .split("\r\n")
        .filter(|line| !line.starts_with("date: "))
        .collect();
    headers.sort_unstable();
    let mut body = body.to_owned();
    let field = "name=\"csrfmiddlewaretoken\" value=\"";
    if let Some(at) = body.find(field) {
        let from = at + field.len();
        body.replace_range(from..from + 64, "…");
    }
    let body = body.replace(&format!("value=\"{name}\""), "value=\"NAME\"");
    assert!(!body.contains(name), "{body}");
    format!("{status}\n{}\n\n{body}", headers.join("\n"))
}

#[each_database]
async fn every_refusal_is_the_same_to_the_byte(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let accounts = Accounts::create(&app).await;

    for entry in &ENTRY_POINTS {
        for attempt in &attempts() {
            let what = format!(
                "{} (page: {}), {}",
                entry.path, entry.is_page, attempt.label
            );
            let answer = async |name: &str| {
                let request = entry.request(&app, name, attempt);
                let (answer, hashed) = exchange(&app, &request).await;
                (comparable(&answer, name), hashed)
            };

            let nobodys = answer(NOBODY).await;
            assert!(
                nobodys.0.starts_with("HTTP/1.1 400 "),
                "{what}: {nobodys:?}"
            );
            let is_hashed = attempt.is_a_password || !entry.looks_at_fields;
            assert_eq!(nobodys.1, u64::from(is_hashed), "{what}");
            for (name, kind) in accounts.iter() {
                assert_eq!(answer(name).await, nobodys, "{kind}: {what}");
            }
        }
    }
}

#[each_database]
async fn a_refusal_leaves_the_account_as_it_was(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let accounts = Accounts::create(&app).await;
    let rows = "SELECT password || ' ' || coalesce(CAST(last_login AS text), 'never') AS text
                FROM accounts_customuser ORDER BY id";
    let before = app.database.texts(rows);

    for (name, kind) in accounts.and_nobody() {
        for path in ["/api/v1/login/", "/api-token-auth/"] {
            let body = json!({"username": name, "password": PASSWORD});
            let answer = app.post_json(&app.program(), path, &body).await;
            assert_eq!(answer.status, 400, "{kind}");
        }
    }

    assert_eq!(before.len(), KINDS.len());
    assert_eq!(app.database.texts(rows), before);
    for table in ["django_session", "authtoken_token", "portcullis_client"] {
        assert_eq!(app.database.count(table), 0, "{table}");
    }
    // Whom it is about stands in the audit log, and nowhere else.
    let failures = "SELECT username AS text FROM portcullis_event WHERE kind = 'login_failed'";
    assert_eq!(app.database.texts(failures).len(), 2 * (KINDS.len() + 1));
}

#[each_database]
async fn the_throttle_blocks_who_exists_and_who_does_not_alike(backend: Backend) {
    let settings = [("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8")];
    let app = TestApp::start_with(&backend, &settings).await;
    let accounts = Accounts::create(&app).await;
    let client = app.program();
    let mut nobodys: Option<Vec<(u16, HeaderMap, String, u64)>> = None;

    for (number, (name, kind)) in accounts.and_nobody().enumerate() {
        let mut answers = Vec::new();
        for _ in 0..7 {
            let hashed = app.auth.passwords.pool().completed();
            let request = client
                .post(format!("{}/api/v1/login/", app.url))
                .header("X-Forwarded-For", format!("203.0.113.{number}"))
                .json(&json!({"username": name, "password": PASSWORD}));
            let answer = Answer::of(request).await;
            let hashed = app.auth.passwords.pool().completed() - hashed;
            let mut headers = answer.headers_but_date();
            let mut body = answer.body;
            // How much of the minute is left depends on when it was asked.
            if let Some(wait) = headers.remove("retry-after") {
                let wait = wait.to_str().unwrap();
                assert!((40..=60).contains(&wait.parse::<u32>().unwrap()), "{wait}");
                body = body.replace(wait, "60");
            }
            answers.push((answer.status, headers, body, hashed));
        }
        let seen: Vec<(u16, u64)> = answers.iter().map(|a| (a.0, a.3)).collect();
        assert_eq!(
            seen,
            [[(400, 1); 5].as_slice(), &[(429, 0); 2]].concat(),
            "{kind}"
        );
        let nobodys = nobodys.get_or_insert_with(|| answers.clone());
        assert_eq!(&answers, nobodys, "{kind}");
    }
}
