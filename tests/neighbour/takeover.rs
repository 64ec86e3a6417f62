//! Ten thousand users of the real Django, with two devices each, taken over and given
//! back while all of them ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use each_database::each_database;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::case::Reference;
use crate::django::Pair;
use crate::support::app::Answer;
use crate::support::database::Backend;
use crate::support::program::{program_on, run};

const USERS: usize = 10_000;
/// A token, and a session for each of two devices.
const CREDENTIALS: usize = 3;
/// Requests at once.
const AT_ONCE: usize = 16;

/// All that Django makes: every kind of hash, tokens and sessions whose keys are known.
const MADE: &str = "
from datetime import timedelta
from django.contrib.auth.hashers import get_hashers, make_password
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
names = [hasher.algorithm for hasher in get_hashers()]
CustomUser.objects.bulk_create([
    CustomUser(username=f'user{n}', password=make_password('a password', hasher=names[n % len(names)]))
    for n in range(USERS)], batch_size=500)
users = {user.username: user for user in CustomUser.objects.all()}
users = [users[f'user{n}'] for n in range(USERS)]
Token.objects.bulk_create([Token(key=f'{n:040x}', user=user) for n, user in enumerate(users)], batch_size=500)
until = timezone.now() + timedelta(days=10)
def data(user):
    return SessionStore().encode({
        '_auth_user_id': str(user.pk),
        '_auth_user_backend': 'django.contrib.auth.backends.ModelBackend',
        '_auth_user_hash': user.get_session_auth_hash()})
Session.objects.bulk_create([
    Session(session_key=f'device{device}of{n:024}', session_data=data(user), expire_date=until)
    for n, user in enumerate(users) for device in (0, 1)], batch_size=500)
";

/// What of it Django itself no longer takes.
const LOST: &str = "
from django.contrib.auth import authenticate, get_user
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from rest_framework.authentication import TokenAuthentication
lost = []
def who(key):
    request = HttpRequest()
    request.session = SessionStore(key)
    return get_user(request).get_username()
for n in range(USERS):
    try:
        assert TokenAuthentication().authenticate_credentials(f'{n:040x}')[0].username == f'user{n}'
    except Exception as error:
        lost.append(f'token of {n}: {error}')
    for device in (0, 1):
        if who(f'device{device}of{n:024}') != f'user{n}':
            lost.append(f'device {device} of {n}')
lost += [f'password of {n}' for n in range(0, USERS, 97)
         if authenticate(username=f'user{n}', password='a password') is None]
print(len(lost), lost[:5])
";

/// One credential of all.
fn credential(number: usize) -> (&'static str, String) {
    let (n, which) = (number / CREDENTIALS, number % CREDENTIALS);
    match which {
        2 => ("Authorization", format!("Token {n:040x}")),
        device => ("Cookie", format!("sessionid=device{device}of{n:024}")),
    }
}

async fn is_known(client: &reqwest::Client, url: &str, number: usize) -> Result<(), String> {
    let (name, value) = credential(number);
    let request = client
        .get(format!("{url}/api/v1/user/"))
        .header(name, &value);
    let answer = Answer::of(request).await;
    let name = format!("\"user{}\"", number / CREDENTIALS);
    match answer.status == 200 && answer.body.contains(&name) {
        true => Ok(()),
        false => Err(format!("{value}: {} {}", answer.status, answer.body)),
    }
}

/// Asks with every credential; those that failed.
async fn ask_all(url: &str, count: usize) -> Vec<String> {
    let client = reqwest::Client::new();
    let asks = stream::iter(0..count).map(|number| is_known(&client, url, number));
    let answers = asks.buffer_unordered(AT_ONCE);
    answers
        .filter_map(|answer| std::future::ready(answer.err()))
        .collect()
        .await
}

/// Each logs in once more, and gets the token that Django gave.
async fn log_in_all(url: &str) -> Vec<String> {
    let client = reqwest::Client::new();
    let logins = stream::iter(0..USERS).map(async |n| {
        let body = json!({"username": format!("user{n}"), "password": "a password"});
        let request = client.post(format!("{url}/api/v1/login/")).json(&body);
        let answer = Answer::of(request).await;
        let is_same = answer.body.contains(&format!("{n:040x}"));
        (!is_same).then(|| format!("login {n}: {} {}", answer.status, answer.body))
    });
    let failed = logins.buffer_unordered(AT_ONCE);
    failed.filter_map(std::future::ready).collect().await
}

/// SQLite with Django 6.1, PostgreSQL with 5.2.
#[each_database]
async fn nobody_of_ten_thousand_is_logged_out(backend: Backend) {
    let django = match backend {
        Backend::Sqlite => Reference::Django61,
        Backend::Postgres(_) => Reference::Django52,
    };
    let settings = [
        ("PORTCULLIS_THROTTLE", "off"),
        ("PORTCULLIS_HASH_QUEUE", "256"),
    ];
    let pair = Pair::start(&backend, django, &settings).await;
    let python = |code: &str| pair.django.run(&code.replace("USERS", &USERS.to_string()));
    python(MADE);
    let sealed = pair.app.start_another(&settings).await.url;
    let all = USERS * CREDENTIALS;
    let none = Vec::<String>::new();

    // Somebody asks at either server all the time.
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = [pair.app.url.clone(), sealed.clone()].map(|url| {
        let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
        actix_web::rt::spawn(async move {
            let client = reqwest::Client::new();
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = asked.fetch_add(7919, Ordering::Relaxed) % all;
                failed.extend(is_known(&client, &url, number).await.err());
            }
            failed
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let command = |storage: &str, word: &str| {
        let mut command = program_on(&pair.app.database, folder.path());
        command.env("PORTCULLIS_STORAGE", storage).arg(word);
        tokio::task::spawn_blocking(move || run(&mut command).ok().stdout())
    };

    assert_eq!(ask_all(&sealed, all / 2).await, none, "half of them by use");
    assert_eq!(log_in_all(&sealed).await, none, "each once more");
    command("sealed", "seal").await.unwrap();
    assert_eq!(ask_all(&sealed, all).await, none, "all are sealed");

    command("django", "unseal").await.unwrap();
    assert_eq!(
        ask_all(&pair.app.url, all).await,
        none,
        "each device on the way back"
    );
    stop.store(true, Ordering::Relaxed);
    for load in load {
        assert_eq!(load.await.unwrap(), none, "under load");
    }
    // The load at the sealed server has sealed some of them again.
    command("django", "unseal").await.unwrap();
    assert_eq!(
        ask_all(&pair.app.url, all).await,
        none,
        "each device once more"
    );
    assert_eq!(python(LOST).trim(), "0 []", "at Django");
}
