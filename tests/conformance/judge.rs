//! Compares an answer of ours with the one that is expected.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, Utc};
use django_auth::{SecretKey, SecretKeys, SessionAuthHash, SessionCodec};
use portcullis::models::Timestamp;
use serde_json::Value;

use crate::case::{Case, CaseFile, Expected, HeaderValues, Piece, Reference};
use crate::replay::Exchange;
use crate::rows::Snapshot;
use crate::support::database::Backend;
use crate::wire::Answer;

/// Compared by their one value; `Vary` and `Set-Cookie` have rules of their own.
const HEADERS: [&str; 5] = [
    "Content-Type",
    "WWW-Authenticate",
    "Allow",
    "Location",
    "Transfer-Encoding",
];
const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";
/// Seconds that a new session lives.
const SESSION_AGE: i64 = 1_209_600;
/// Stands in an expected body for whatever a parser has to say.
const ANY: &str = "<any>";

/// How an answer compares with one Django's.
pub enum Outcome<'a> {
    Same,
    /// As it should be, for this reason.
    Different(&'a str),
    /// What is not as it should be.
    Wrong(Vec<String>),
}

pub struct Judge<'a> {
    file: &'a CaseFile,
    codec: SessionCodec,
    session_hash: SessionAuthHash,
    /// What the cases of this chain were given, by its name in later ones.
    memory: BTreeMap<String, String>,
}

impl<'a> Judge<'a> {
    pub fn new(file: &'a CaseFile) -> Self {
        let keys = SecretKeys::new(SecretKey::new(file.secret_key.clone()), Vec::new());
        Self {
            file,
            codec: SessionCodec::new(&keys),
            session_hash: SessionAuthHash::new(&keys),
            memory: BTreeMap::new(),
        }
    }

    /// The bytes to send, with what earlier answers gave.
    pub fn fill_in(&self, send: &[Vec<Piece>]) -> Vec<Vec<u8>> {
        let bytes = |text: &str| -> Vec<u8> {
            text.chars()
                .map(|c| u8::try_from(c).expect("a character a byte"))
                .collect()
        };
        let chunk = |pieces: &Vec<Piece>| {
            pieces.iter().fold(Vec::new(), |mut chunk, piece| {
                match piece {
                    Piece::Text(text) => {
                        let text = self
                            .memory
                            .iter()
                            .fold(text.clone(), |text, (name, value)| {
                                text.replace(name, value)
                            });
                        chunk.extend(bytes(&text));
                    }
                    Piece::Repeated { repeat, times } => chunk.extend(bytes(repeat).repeat(*times)),
                }
                chunk
            })
        };
        send.iter().map(chunk).collect()
    }

    /// What the answer is to each reference, in their order.
    pub fn judge(
        &mut self,
        backend: &Backend,
        case: &Case,
        exchange: &Exchange,
    ) -> [Outcome<'a>; Reference::ALL.len()] {
        let observed = match self.observe(case, exchange) {
            Ok(observed) => observed,
            Err(problem) => return Reference::ALL.map(|_| Outcome::Wrong(vec![problem.clone()])),
        };
        Reference::ALL.map(|django| {
            let (expected, reason) = self.file.expected(case, django, backend.name());
            let mut wrong = compare(&expected, &observed);
            if reason.is_some() && expected == *case.answer_of(django, backend.name()) {
                wrong.push("listed as different, with Django's very answer".to_owned());
            }
            if let Ok(answer) = &exchange.answer
                && !answer.rest.is_empty()
                && !answer.rest.starts_with(b"HTTP/1.1 ")
            {
                let rest = String::from_utf8_lossy(&answer.rest);
                wrong.push(format!("bytes after the answer: {rest:?}"));
            }
            match reason {
                _ if !wrong.is_empty() => Outcome::Wrong(wrong),
                Some(reason) => Outcome::Different(reason),
                None => Outcome::Same,
            }
        })
    }

    /// The answer, with what is new each time replaced by its name; or why it is none.
    pub fn observe(&mut self, case: &Case, exchange: &Exchange) -> Result<Expected, String> {
        let answer = exchange.answer.as_ref().map_err(String::clone)?;
        let (before, after) = (&exchange.before, &exchange.after);
        if !case.keep {
            self.memory.clear();
        }
        // What a refused login does not give is asked for all the same.
        for (name, nothing) in [
            ("token", "nosuchtoken"),
            ("session key", "nosuchsessionkey"),
        ] {
            let name = format!("<{name} of {}>", case.n);
            self.memory.insert(name, nothing.to_owned());
        }
        let mut names = BTreeMap::new();
        for (name, value) in &self.memory {
            names.insert(value.clone(), name.clone());
        }
        for key in before.tokens.keys().chain(after.tokens.keys()) {
            if !before.tokens.contains_key(key) && is_token(key) {
                names.insert(key.clone(), "<new token>".to_owned());
                self.memory
                    .insert(format!("<token of {}>", case.n), key.clone());
            } else if names.contains_key(key) {
                names.insert(key.clone(), "<earlier token>".to_owned());
            }
        }
        let was_sent = |value: &str| {
            let value = value.as_bytes();
            let mut chunks = exchange.sent.iter();
            chunks.any(|chunk| chunk.windows(value.len()).any(|window| window == value))
        };
        for (name, value) in cookies(answer) {
            let (kind, of) = match name.as_str() {
                "sessionid" if is_session_key(&value) => ("<new session key>", "session key"),
                "csrftoken" if is_csrf_secret(&value) => ("<new CSRF secret>", "CSRF secret"),
                _ => continue,
            };
            if !was_sent(&value) && !before.sessions.contains_key(&value) {
                names.insert(value.clone(), kind.to_owned());
                self.memory.insert(format!("<{of} of {}>", case.n), value);
            }
        }
        let named = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (value, name)| {
                text.replace(value, name)
            })
        };
        let headers = HEADERS
            .iter()
            .chain(&["Vary", "Set-Cookie"])
            .filter_map(|name| {
                let values: Vec<String> = answer
                    .headers
                    .iter()
                    .filter(|(sent, _)| sent.eq_ignore_ascii_case(name))
                    .map(|(_, value)| mask_expiry(&named(value)))
                    .collect();
                (!values.is_empty()).then(|| ((*name).to_owned(), HeaderValues::Many(values)))
            })
            .collect();
        let body = String::from_utf8_lossy(&answer.body);
        Ok(Expected {
            status: answer.status,
            went_on: answer.went_on,
            headers,
            body: named(&body),
            page: title(&body).map(str::to_owned),
            effect: self.effect(before, after, &names),
        })
    }

    fn effect(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        names: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let mut effect = Vec::new();
        for (key, owner) in &after.tokens {
            if !before.tokens.contains_key(key) {
                effect.push(format!("+token({})", self.user(*owner)));
            }
        }
        for (key, owner) in &before.tokens {
            if !after.tokens.contains_key(key) {
                effect.push(format!("-token({})", self.user(*owner)));
            }
        }
        let label = |key: &str| match names.get(key) {
            Some(name) => name.clone(),
            None if before.sessions.contains_key(key) => key.to_owned(),
            None => "key not sent".to_owned(),
        };
        for (key, new) in &after.sessions {
            let content = self.content(&new.data, after);
            match before.sessions.get(key) {
                None => effect.push(format!("+session[{}] {content}", label(key))),
                Some(old) if old != new => {
                    let old = self.content(&old.data, after);
                    effect.push(format!("~session[{}] {old} -> {content}", label(key)));
                }
                Some(_) => continue,
            }
            if !is_near(new.expires, SESSION_AGE) {
                effect.push(format!("{} ends at {:?}", label(key), new.expires));
            }
        }
        for key in before.sessions.keys() {
            if !after.sessions.contains_key(key) {
                effect.push(format!("-session[{}]", label(key)));
            }
        }
        for (id, new) in &after.users {
            let old = &before.users[id];
            if old.last_login != new.last_login {
                effect.push(format!("last_login({})", self.user(*id)));
                if !new.last_login.is_some_and(|at| is_near(at, 0)) {
                    effect.push(format!("last_login is {:?}", new.last_login));
                }
            }
            if old.password != new.password {
                let kind = |password: &str| {
                    password
                        .splitn(3, '$')
                        .take(2)
                        .collect::<Vec<_>>()
                        .join("$")
                };
                effect.push(format!(
                    "password({}): {} -> {}",
                    self.user(*id),
                    kind(&old.password),
                    kind(&new.password)
                ));
            }
        }
        effect.sort();
        effect
    }

    fn user(&self, id: i64) -> &str {
        let user = self.file.users.iter().find(|user| user.id == id);
        user.map_or("?", |user| user.username.as_str())
    }

    fn content(&self, data: &str, after: &Snapshot) -> String {
        let Ok(data) = self.codec.decode(data) else {
            return "undecodable".to_owned();
        };
        let mut data: serde_json::Map<String, Value> =
            serde_json::from_str(&data.to_json()).expect("JSON");
        let password = data
            .get("_auth_user_id")
            .and_then(Value::as_str)
            .and_then(|id| Some(&after.users.get(&id.parse().ok()?)?.password));
        let current = password.map(|password| self.session_hash.of(password));
        if let Some(hash) = data.get_mut("_auth_user_hash") {
            let name = if hash.as_str() == current.as_deref() {
                "<hash of the current password>"
            } else {
                "<other hash>"
            };
            *hash = name.into();
        }
        if let Some(backend) = data.get_mut("_auth_user_backend")
            && *backend == MODEL_BACKEND
        {
            *backend = "<ModelBackend>".into();
        }
        serde_json::to_string(&data).expect("JSON")
    }
}

/// What is not as expected.
pub fn compare(expected: &Expected, observed: &Expected) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, expected: String, observed: String| {
        if expected != observed {
            wrong.push(format!(
                "{what}\n      should be {expected}\n      but is    {observed}"
            ));
        }
    };
    let status = |of: &Expected| match of.went_on {
        true => format!("100, then {}", of.status),
        false => of.status.to_string(),
    };
    check("status", status(expected), status(observed));
    let values = |of: &Expected, name: &str| {
        let values = of.headers.get(name);
        values.map(HeaderValues::to_vec).unwrap_or_default()
    };
    for name in HEADERS {
        let line = |of: &Expected| format!("{:?}", values(of, name));
        check(name, line(expected), line(observed));
    }
    // Ours may list more.
    let listed = |of: &Expected| -> Vec<String> {
        let text = values(of, "Vary").join(",").to_ascii_lowercase();
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    let ours = listed(observed);
    for name in listed(expected) {
        if !ours.contains(&name) {
            check("Vary", format!("… {name} …"), format!("{ours:?}"));
        }
    }
    let cookies = |of: &Expected| {
        let mut cookies: Vec<String> = values(of, "Set-Cookie")
            .iter()
            .map(|cookie| sorted_attributes(cookie))
            .collect();
        cookies.sort();
        cookies.join("\n                ")
    };
    check("Set-Cookie", cookies(expected), cookies(observed));
    match (&expected.page, expected.body.split_once(ANY)) {
        (Some(title), _) if observed.page.as_ref() == Some(title) => {}
        (Some(title), _) => check("body", format!("the page {title:?}"), observed.body.clone()),
        (None, Some((start, end)))
            if observed.body.starts_with(start) && observed.body.ends_with(end) => {}
        _ => check("body", expected.body.clone(), observed.body.clone()),
    }
    let mut effect = expected.effect.clone();
    effect.sort();
    check("database", effect.join("; "), observed.effect.join("; "));
    wrong
}

/// Of a page that is too long to be recorded whole.
fn title(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<title>").filter(|_| body.len() > 1000)?;
    Some(rest.split_once("</title>")?.0.trim())
}

/// Name and value of the cookies that an answer sets.
fn cookies(answer: &Answer) -> Vec<(String, String)> {
    let set = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    set.filter_map(|(_, cookie)| {
        let (name, value) = cookie.split(';').next()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    })
    .collect()
}

/// Whether that is so many seconds from now, give or take what a slow request
/// and a cut fraction make of it.
fn is_near(moment: Timestamp, seconds: i64) -> bool {
    let off = (moment.to_utc() - Utc::now()).num_seconds() - seconds;
    (-30..=1).contains(&off)
}

fn is_token(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_session_key(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_csrf_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn sorted_attributes(cookie: &str) -> String {
    let mut parts = cookie.split(';').map(str::trim);
    let pair = parts.next().unwrap_or_default().to_owned();
    let mut attributes: Vec<&str> = parts.collect();
    attributes.sort_unstable();
    std::iter::once(pair.as_str())
        .chain(attributes)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Names the end of a cookie's life that fits its `Max-Age`.
fn mask_expiry(cookie: &str) -> String {
    let attribute = |wanted: &str| {
        cookie
            .split(';')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    };
    let (Some(expires), Some(max_age)) = (attribute("expires"), attribute("max-age")) else {
        return cookie.to_owned();
    };
    let end = NaiveDateTime::parse_from_str(expires, "%a, %d %b %Y %H:%M:%S GMT");
    let (Ok(end), Ok(max_age)) = (end, max_age.parse::<i64>()) else {
        return cookie.to_owned();
    };
    if is_near(Timestamp::new(end.and_utc()), max_age) {
        cookie.replace(expires, "<now + Max-Age>")
    } else {
        cookie.to_owned()
    }
}
