//! Hashes that the real Django made, and ours that it reads.

use each_database::each_django;
use futures_util::{StreamExt, stream};

use crate::case::Reference;
use crate::django::{Pair, try_log_in};
use crate::support::database::Backend;
use django_auth::password::{Algorithm, Hasher};

const USERS: usize = 10_000;

#[each_django]
async fn ten_thousand_users_of_django_log_in_here(backend: Backend, django: Reference) {
    let settings = [
        ("PORTCULLIS_HASH_QUEUE", "256"),
        ("PORTCULLIS_THROTTLE", "off"),
    ];
    let pair = Pair::start(&backend, django, &settings).await;
    pair.django.run(&format!(
        "from django.contrib.auth.hashers import get_hashers, make_password
names = [h.algorithm for h in get_hashers()]
CustomUser.objects.bulk_create([
    CustomUser(username=f'user{{n}}', password=make_password(f'pass-{{n}}', hasher=names[n % len(names)]))
    for n in range({USERS})
], batch_size=500)"
    ));
    let hashes = "SELECT DISTINCT substr(password, 1, 8) AS text FROM accounts_customuser";
    assert_eq!(
        pair.app.database.texts(hashes).len(),
        5,
        "six algorithms, two of them `bcrypt…`"
    );
    let url = pair.app.url.as_str();
    let all = "SELECT password AS text FROM accounts_customuser ORDER BY id";
    let before = pair.app.database.texts(all);

    let wrong = stream::iter(0..USERS)
        .map(|n| async move {
            let right = try_log_in(url, &format!("user{n}"), &format!("pass-{n}")).await;
            let other = (n + 1) % USERS;
            let wrong = try_log_in(url, &format!("user{n}"), &format!("pass-{other}")).await;
            (n, right.status, wrong.status)
        })
        .buffer_unordered(16)
        .filter(|(_, right, wrong)| std::future::ready((*right, *wrong) != (200, 400)))
        .collect::<Vec<_>>()
        .await;

    assert_eq!(wrong, []);
    assert_eq!(pair.app.database.texts(all), before, "no hash was touched");
}

#[each_django]
async fn django_takes_every_hash_that_we_make(backend: Backend, django: Reference) {
    let pair = Pair::start(&backend, django, &[]).await;
    let password = "pässwörd 🔑";
    for (algorithm, cost) in [
        (Algorithm::Pbkdf2Sha256, 1000),
        (Algorithm::Pbkdf2Sha1, 1000),
        (Algorithm::Argon2, 1),
        (Algorithm::BcryptSha256, 4),
        (Algorithm::Bcrypt, 4),
        (Algorithm::Scrypt, 4),
    ] {
        let hasher = Hasher::new(algorithm, Some(cost)).unwrap();
        let encoded = hasher.make(password, &mut rand::rng()).unwrap();
        let said = pair.django.run(&format!(
            "from django.contrib.auth.hashers import check_password
print(check_password('{password}', '{encoded}'), check_password('other', '{encoded}'))"
        ));
        assert!(said.contains("True False"), "{encoded}: {said}");
    }
}
