//! People who log in, ask who they are, and log out, each as a user of their own,
//! and who keep a book of what they were answered.
//!
//! What has no answer, or 503, decides nothing: afterwards it may have been done
//! or not. What was answered holds, whatever happens.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::task::JoinHandle;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::app::PASSWORD;
use crate::support::database::TestDatabase;
use crate::support::program::{program_on, run};

/// Longest wait for an answer; without one by then, the server hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait until a service works again.
pub const END_OF_HOPE: Duration = Duration::from_secs(20);
/// Keys that each remembers when all have been verified.
const KEYS: usize = 4;
/// A CSRF token as a client may make it.
const CSRF: &str = "abcdefghijklmnopqrstuvwxyzABCDEF";

/// What was answered.
#[derive(Default)]
pub struct Seen {
    pub requests: usize,
    /// Answered with 200.
    pub logins: usize,
    pub logouts: usize,
    /// Answered logins whose token or session was refused later.
    pub lost: usize,
    /// Answered logouts whose token or session was accepted later.
    pub undone: usize,
    pub refused: usize,
    pub other_5xx: usize,
    /// Requests without an answer.
    pub broken: usize,
    pub slowest: Duration,
    /// What must never be, in words.
    pub complaints: Vec<String>,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.logins += other.logins;
        self.logouts += other.logouts;
        self.lost += other.lost;
        self.undone += other.undone;
        self.refused += other.refused;
        self.other_5xx += other.other_5xx;
        self.broken += other.broken;
        self.slowest = self.slowest.max(other.slowest);
        self.complaints.extend(other.complaints);
    }

    fn complain(&mut self, text: String) {
        // The first ones say it all.
        if self.complaints.len() < 5 {
            self.complaints.push(text);
        }
    }
}

/// What proves a login.
#[derive(Clone, Debug)]
pub enum Key {
    Token(String),
    Session(String),
}

impl Key {
    pub fn present(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Token(token) => request.header("Authorization", format!("Token {token}")),
            Self::Session(session) => request.header("Cookie", format!("sessionid={session}")),
        }
    }
}

pub struct Person {
    pub name: String,
    http: Client,
    rng: StdRng,
    /// Good for as long as this person does not log out.
    token: Option<String>,
    sessions: Vec<String>,
    /// What a logout that was answered has ended.
    ended: Vec<Key>,
    pub seen: Seen,
}

/// An answer, as far as it matters.
struct Answer {
    status: u16,
    session: Option<String>,
    body: String,
}

impl Person {
    /// Users of that database.
    pub fn create(database: &TestDatabase, count: u64) -> Vec<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        (0..count)
            .map(|number| {
                let name = format!("person{number}");
                let mut command = program_on(database, folder.path());
                command
                    .args(["createuser", "--no-input", "--username", &name])
                    .args(["--email", &format!("{name}@example.com")])
                    .env("PORTCULLIS_USER_PASSWORD", PASSWORD);
                run(&mut command).ok();
                Self::new(name, number)
            })
            .collect()
    }

    /// A user who is there.
    pub fn new(name: String, seed: u64) -> Self {
        Self {
            name,
            http: Client::builder()
                .timeout(PATIENCE)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client"),
            rng: StdRng::seed_from_u64(seed),
            token: None,
            sessions: Vec::new(),
            ended: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// One request of any kind; whether it was answered, and not with 503.
    pub async fn act(&mut self, url: &str) -> bool {
        let key = match (self.rng.random_range(0..10), &self.token) {
            (_, None) | (0..2, _) => return self.log_in(url).await,
            (2..4, Some(_)) => return self.log_out(url).await,
            (4..7, Some(token)) => Key::Token(token.clone()),
            (_, Some(token)) => match self.sessions.choose(&mut self.rng) {
                Some(session) => Key::Session(session.clone()),
                None => Key::Token(token.clone()),
            },
        };
        self.check(url, &key, true).await
    }

    pub async fn log_in(&mut self, url: &str) -> bool {
        let body = json!({"username": self.name, "password": PASSWORD});
        let request = self.http.post(format!("{url}/api/v1/login/")).json(&body);
        let Some(answer) = self.ask(request).await else {
            return false;
        };
        if answer.status != 200 {
            return self.unexpected("a login", &answer);
        }
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        self.token = body["token"].as_str().map(str::to_owned);
        self.sessions.extend(answer.session);
        self.seen.logins += 1;
        true
    }

    /// By the token and the session at once, or by the session alone: each ends
    /// both.
    pub async fn log_out(&mut self, url: &str) -> bool {
        let request = self.http.post(format!("{url}/api/v1/logout/"));
        let (Some(token), session) = (self.token.take(), self.sessions.pop()) else {
            return self.log_in(url).await;
        };
        let request = match &session {
            Some(session) if self.rng.random() => request
                .header("Cookie", format!("sessionid={session}; csrftoken={CSRF}"))
                .header("X-CSRFToken", CSRF),
            Some(session) => request
                .header("Cookie", format!("sessionid={session}"))
                .header("Authorization", format!("Token {token}")),
            None => request.header("Authorization", format!("Token {token}")),
        };
        let Some(answer) = self.ask(request).await else {
            return false;
        };
        match answer.status {
            200 => {
                self.ended.push(Key::Token(token));
                self.ended.extend(session.map(Key::Session));
                self.seen.logouts += 1;
                true
            }
            401 => {
                self.lose(&format!("logging out with {token}"));
                true
            }
            _ => self.unexpected("a logout", &answer),
        }
    }

    /// Presents a key that must be good, or must not be.
    async fn check(&mut self, url: &str, key: &Key, is_good: bool) -> bool {
        let request = key.present(self.http.get(format!("{url}/api/v1/user/")));
        let Some(answer) = self.ask(request).await else {
            return false;
        };
        match (answer.status, is_good) {
            (200, true) => {
                let name = format!("\"username\":\"{}\"", self.name);
                if !answer.body.contains(&name) {
                    let body = &answer.body;
                    self.seen
                        .complain(format!("{key:?} of {} is {body}", self.name));
                }
            }
            (401, false) => {}
            (200, false) => {
                self.seen.undone += 1;
                self.seen
                    .complain(format!("{key:?} was logged out, and is accepted"));
            }
            (401, true) => {
                self.lose(&format!("asking with {key:?}"));
                match key {
                    Key::Token(_) => self.token = None,
                    Key::Session(lost) => self.sessions.retain(|session| session != lost),
                }
            }
            _ => return self.unexpected("a check", &answer),
        }
        true
    }

    async fn check_token(&mut self, url: &str) -> bool {
        match self.token.clone() {
            Some(token) => self.check(url, &Key::Token(token), true).await,
            None => false,
        }
    }

    /// The token, and the latest session.
    pub fn keys(&self) -> [Key; 2] {
        let token = self.token.clone().expect("a token");
        let session = self.sessions.last().cloned().expect("a session");
        [Key::Token(token), Key::Session(session)]
    }

    /// Presents all keys that must be good, and all that must not be.
    pub async fn verify(&mut self, url: &str) {
        let good = self.token.clone().map(Key::Token).into_iter();
        let good = good.chain(self.sessions.clone().into_iter().map(Key::Session));
        let ended = self.ended.clone().into_iter().map(|key| (key, false));
        for (key, is_good) in good.map(|key| (key, true)).chain(ended).collect::<Vec<_>>() {
            if !self.check(url, &key, is_good).await {
                self.seen.complain(format!("{key:?} could not be verified"));
            }
        }
    }

    /// Of what has been verified, only the latest is presented again.
    pub fn forget_the_oldest(&mut self) {
        let surplus = self.sessions.len().saturating_sub(KEYS);
        self.sessions.drain(..surplus);
        let surplus = self.ended.len().saturating_sub(2 * KEYS);
        self.ended.drain(..surplus);
    }

    fn lose(&mut self, what: &str) {
        self.seen.lost += 1;
        self.seen
            .complain(format!("{} is refused when {what}", self.name));
    }

    fn unexpected(&mut self, what: &str, answer: &Answer) -> bool {
        if answer.status != 503 {
            let Answer { status, body, .. } = answer;
            self.seen
                .complain(format!("{what} is answered {status} {body}"));
        }
        false
    }

    async fn ask(&mut self, request: RequestBuilder) -> Option<Answer> {
        let sent = Instant::now();
        self.seen.requests += 1;
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                self.seen.broken += 1;
                if error.is_timeout() {
                    self.seen.complain(format!("no answer within {PATIENCE:?}"));
                }
                return None;
            }
        };
        let status = response.status().as_u16();
        if status == 503 {
            self.seen.refused += 1;
            if !response.headers().contains_key("retry-after") {
                self.seen.complain("a 503 without Retry-After".to_owned());
            }
        } else if status >= 500 {
            self.seen.other_5xx += 1;
        }
        let session = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .find_map(|cookie| cookie.to_str().ok()?.strip_prefix("sessionid="))
            .and_then(|rest| rest.split(';').next())
            .map(str::to_owned);
        // Without its end it is no answer.
        let Ok(body) = response.text().await else {
            self.seen.broken += 1;
            return None;
        };
        self.seen.slowest = self.seen.slowest.max(sent.elapsed());
        Some(Answer {
            status,
            session,
            body,
        })
    }
}

/// All of them at once, until they are stopped.
pub struct Load {
    people: Vec<JoinHandle<Person>>,
    urls: Rc<RefCell<Vec<String>>>,
    answers: Rc<Cell<usize>>,
    is_over: Rc<Cell<bool>>,
}

impl Load {
    /// Each asks one of these, at random, again and again.
    pub fn start(people: Vec<Person>, urls: &[String]) -> Self {
        let urls = Rc::new(RefCell::new(urls.to_vec()));
        let (answers, is_over) = (Rc::<Cell<usize>>::default(), Rc::<Cell<bool>>::default());
        let people = people
            .into_iter()
            .map(|mut person| {
                let (urls, answers) = (Rc::clone(&urls), Rc::clone(&answers));
                let is_over = Rc::clone(&is_over);
                actix_web::rt::spawn(async move {
                    while !is_over.get() {
                        let url = urls.borrow().choose(&mut person.rng).cloned();
                        let url = url.expect("somebody to ask");
                        if person.act(&url).await {
                            answers.set(answers.get() + 1);
                        } else {
                            // As a client that has any sense.
                            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    person
                })
            })
            .collect();
        Self {
            people,
            urls,
            answers,
            is_over,
        }
    }

    /// Until so many more requests have been answered well.
    pub async fn goes_on(&self, requests: usize) {
        let (start, end) = (Instant::now(), self.answers.get() + requests);
        while self.answers.get() < end {
            assert!(start.elapsed() < END_OF_HOPE, "nothing is answered");
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whom they ask from now on.
    pub fn ask(&self, urls: &[String]) {
        *self.urls.borrow_mut() = urls.to_vec();
    }

    /// Lets them finish what they are at.
    pub async fn stop(self) -> Vec<Person> {
        self.is_over.set(true);
        let mut people = Vec::new();
        for person in self.people {
            people.push(person.await.expect("a person"));
        }
        people
    }
}

/// Verifies all records, at every instance.
pub async fn verify(people: &mut [Person], urls: &[String]) {
    for person in people {
        for url in urls {
            person.verify(url).await;
        }
        person.forget_the_oldest();
    }
}

/// How long after `since` a login and a check are good again, at every instance.
pub async fn recovered(person: &mut Person, urls: &[String], since: Instant) -> Duration {
    for url in urls {
        while !(person.log_in(url).await && person.check_token(url).await) {
            let complaints = &person.seen.complaints;
            assert!(
                since.elapsed() < END_OF_HOPE,
                "it does not recover: {complaints:?}"
            );
            actix_web::rt::time::sleep(Duration::from_millis(2)).await;
        }
    }
    since.elapsed()
}
