//! Log in at one, go on at the other.

use each_database::each_django;

use crate::case::Reference;
use crate::django::{Pair, log_in, try_log_in};
use crate::support::app::{Answer, PASSWORD};
use crate::support::database::Backend;

fn make_user(pair: &Pair, name: &str) {
    pair.django.run(&format!(
        "CustomUser.objects.create_user('{name}', password='{PASSWORD}')"
    ));
}

#[each_django]
async fn what_one_gives_the_other_takes(backend: Backend, django: Reference) {
    let pair = Pair::start(&backend, django, &[]).await;
    make_user(&pair, "alice");
    for (first, second) in pair.both_ways() {
        let held = log_in(first, "alice", PASSWORD).await;
        assert_eq!(held.by_token(second).await, 200);
        assert_eq!(held.by_session(second).await, 200);
        let again = log_in(second, "alice", PASSWORD).await;
        assert_eq!(again.token, held.token, "the one token of the user");

        assert_eq!(Answer::of(held.log_out_by_token(second)).await.status, 200);
        assert_eq!(held.by_token(first).await, 401);
        assert_eq!(held.by_token(second).await, 401);

        let held = log_in(first, "alice", PASSWORD).await;
        let out = Answer::of(held.log_out_by_session(second)).await;
        assert_eq!(out.status, 200, "{}", out.body);
        for url in [first, second] {
            assert_eq!(held.by_token(url).await, 401);
            assert_eq!(held.by_session(url).await, 401);
        }
    }
}

#[each_django]
async fn a_password_changed_at_one_ends_the_sessions_at_the_other(
    backend: Backend,
    django: Reference,
) {
    let pair = Pair::start(&backend, django, &[]).await;
    make_user(&pair, "alice");
    let (ours, theirs) = (pair.app.url.as_str(), pair.django.url.as_str());

    for url in [ours, theirs] {
        let held = log_in(url, "alice", PASSWORD).await;
        let change = "u = CustomUser.objects.get(); u.set_password('another'); u.save()";
        pair.django.run(change);
        assert_eq!(held.by_session(ours).await, 401);
        assert_eq!(held.by_session(theirs).await, 401);
        assert_eq!(
            held.by_token(ours).await,
            200,
            "the token lives on, as Django's does"
        );
        assert_eq!(try_log_in(ours, "alice", PASSWORD).await.status, 400);

        let held = log_in(url, "alice", "another").await;
        let user = pair.app.auth.users.find("alice").await.unwrap().unwrap();
        let encoded = pair
            .app
            .auth
            .passwords
            .hash(PASSWORD.to_owned())
            .await
            .unwrap();
        assert!(
            pair.app
                .auth
                .users
                .set_password(&user, encoded)
                .await
                .unwrap()
        );
        assert_eq!(held.by_session(theirs).await, 401);
        assert_eq!(held.by_session(ours).await, 401);
        assert_eq!(held.by_token(theirs).await, 200);
        log_in(theirs, "alice", PASSWORD).await;
    }
}

#[each_django]
async fn a_deactivated_or_deleted_user_is_refused_by_both(backend: Backend, django: Reference) {
    let pair = Pair::start(&backend, django, &[]).await;
    make_user(&pair, "alice");
    for (first, second) in pair.both_ways() {
        let held = log_in(first, "alice", PASSWORD).await;
        pair.django
            .run("CustomUser.objects.update(is_active=False)");
        for url in [first, second] {
            assert_eq!(
                (held.by_token(url).await, held.by_session(url).await),
                (401, 401)
            );
            assert_eq!(try_log_in(url, "alice", PASSWORD).await.status, 400);
        }
        pair.django.run("CustomUser.objects.update(is_active=True)");
        assert_eq!(
            (held.by_token(second).await, held.by_session(second).await),
            (200, 200)
        );
    }
    let held = log_in(&pair.app.url, "alice", PASSWORD).await;
    pair.django.run("CustomUser.objects.get().delete()");
    for (url, _) in pair.both_ways() {
        assert_eq!(
            (held.by_token(url).await, held.by_session(url).await),
            (401, 401)
        );
    }
}

#[each_django]
async fn djangos_admin_opens_with_a_session_of_ours(backend: Backend, django: Reference) {
    let pair = Pair::start(&backend, django, &[]).await;
    let profile = portcullis::auth::users::Profile {
        username: "admin".to_owned(),
        is_superuser: true,
        ..Default::default()
    };
    let auth = &pair.app.auth;
    let encoded = auth.passwords.hash(PASSWORD.to_owned()).await.unwrap();
    assert!(auth.users.create(profile, encoded).await.unwrap());
    let held = log_in(&pair.app.url, "admin", PASSWORD).await;

    let request = reqwest::Client::new()
        .get(format!("{}/admin/", pair.django.url))
        .header("Cookie", format!("sessionid={}", held.session));
    let page = Answer::of(request).await;

    assert_eq!(page.status, 200);
    assert!(page.body.contains("Site administration"), "{}", page.body);
}

/// Neither rewrites what the other has written, ten times over: not while we
/// are told nothing of hashers, and not while we are told Django's.
#[each_django]
async fn no_hash_goes_back_and_forth(backend: Backend, django: Reference) {
    let same = [
        ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256"),
        ("PORTCULLIS_PASSWORD_COST", "1000"),
    ];
    for settings in [&[][..], &same] {
        let pair = Pair::start(&backend, django, settings).await;
        make_user(&pair, "alice");
        let hash = || {
            pair.app
                .database
                .texts("SELECT password AS text FROM accounts_customuser")
        };
        let first = hash();
        for _ in 0..10 {
            log_in(&pair.app.url, "alice", PASSWORD).await;
            assert_eq!(hash(), first);
            log_in(&pair.django.url, "alice", PASSWORD).await;
            assert_eq!(hash(), first);
        }
    }
}
