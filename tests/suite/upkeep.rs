//! What has run out is swept away, and nobody feels it.

use std::time::{Duration, Instant};

use actix_web::rt::spawn;
use each_database::each_database;

use crate::support::PATIENCE;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Backend;

const EXPIRED: usize = 20_000;

#[each_database]
async fn a_sweep_is_not_felt(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let second = app.start_another(&[]).await;
    app.create_user("alice", PASSWORD).await;
    let session = app.log_in(&app.program(), "alice", PASSWORD).await;
    let session = session.cookie("sessionid").unwrap();
    app.database.execute(&format!(
        "INSERT INTO django_session (session_key, session_data, expire_date)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EXPIRED})
         SELECT 'expired' || i, '{}', '2020-01-01 00:00:00' FROM n",
        "x".repeat(200)
    ));

    let begun = Instant::now();
    let sweeps = [app.auth.clone(), second.auth.clone()]
        .map(|auth| spawn(async move { auth.sweep().await.unwrap() }));
    let (mut slowest, mut logins) = (Duration::ZERO, 0);
    while !sweeps.iter().all(|sweep| sweep.is_finished()) {
        assert!(begun.elapsed() < PATIENCE, "it sweeps for ever");
        let sent = Instant::now();
        let login = app.log_in(&app.program(), "alice", PASSWORD).await;
        assert_eq!(login.status, 200);
        slowest = slowest.max(sent.elapsed());
        logins += 1;
    }
    let whole = begun.elapsed();

    let mut swept = 0;
    for sweep in sweeps {
        swept += sweep.await.unwrap();
    }
    assert_eq!(swept, EXPIRED, "each row once");
    assert_eq!(app.database.count("django_session"), logins + 1);
    assert_eq!(app.user_by_session(&session).await.status, 200);
    assert!(logins > 3, "they went on meanwhile: {logins} in {whole:?}");
    assert!(slowest < whole / 2, "{slowest:?} of {whole:?}");
}
