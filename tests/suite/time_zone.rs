//! `PORTCULLIS_TIME_ZONE`: beside a Django with `USE_TZ = False`, which writes on SQLite
//! what its clock shows.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use django_auth::{SecretKey, SecretKeys, SessionCodec, SessionData};
use each_database::each_database;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, SECRET_KEY, TestApp};
use crate::support::database::Backend;
use crate::support::program::{program_on, run};

const STORED: (&str, &str) = ("PORTCULLIS_STORAGE", "django");
const NEW_YORK: (&str, &str) = ("PORTCULLIS_TIME_ZONE", "America/New_York");
const KOLKATA: (&str, &str) = ("PORTCULLIS_TIME_ZONE", "Asia/Kolkata");

/// Each setting, and how far its clock is ahead in January.
const ZONES: [((&str, &str), TimeDelta); 3] = [
    (KOLKATA, TimeDelta::minutes(330)),
    (NEW_YORK, TimeDelta::minutes(-300)),
    (("PORTCULLIS_TIME_ZONE", "UTC"), TimeDelta::zero()),
];

/// When the tests happen, in UTC.
const NOW: &str = "2027-01-15 12:00:30";

fn set_clock(app: &TestApp, utc: &str) {
    let utc = DateTime::parse_from_rfc3339(&format!("{}Z", utc.replace(' ', "T"))).unwrap();
    app.clock
        .advance((utc.to_utc() - app.clock.now()).num_seconds());
}

async fn start(backend: &Backend, settings: &[(&'static str, &str)], now: &str) -> TestApp {
    let app = TestApp::start_with(backend, settings).await;
    set_clock(&app, now);
    app.create_user("alice", PASSWORD).await;
    app
}

/// The only session there is, by its key.
async fn session(app: &TestApp) -> String {
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    assert_eq!(login.status, 200, "{}", login.body);
    login.cookie("sessionid").unwrap()
}

fn set_end(app: &TestApp, text: &str) {
    let update = format!("UPDATE django_session SET expire_date = '{text}'");
    app.database.execute(&update);
}

/// A column of the only row, to the second.
fn time(app: &TestApp, table: &str, column: &str) -> NaiveDateTime {
    let value = match app.database.is_sqlite() {
        true => column.to_owned(),
        false => format!("{column} AT TIME ZONE 'UTC'"),
    };
    let rows = app.database.texts(&format!(
        "SELECT CAST({value} AS text) AS text FROM {table}"
    ));
    let text = rows[0].as_deref().expect("a time");
    NaiveDateTime::parse_from_str(&text[..19], "%Y-%m-%d %H:%M:%S").expect(text)
}

#[track_caller]
fn assert_near(time: NaiveDateTime, expected: DateTime<Utc>, what: &str) {
    let off = (time - expected.naive_utc()).num_seconds().abs();
    assert!(off < 60, "{what}: {time}, not {expected}");
}

#[each_database]
async fn times_are_written_as_django_writes_them(backend: Backend) {
    for (setting, ahead) in ZONES {
        let app = start(&backend, &[setting], NOW).await;
        let key = session(&app).await;
        // PostgreSQL's columns have their offset anyway.
        let ahead = if app.database.is_sqlite() {
            ahead
        } else {
            TimeDelta::zero()
        };
        let now = app.clock.now();
        for (table, column, at) in [
            (
                "django_session",
                "expire_date",
                now + ahead + TimeDelta::days(14),
            ),
            ("accounts_customuser", "last_login", now + ahead),
            ("accounts_customuser", "date_joined", now + ahead),
            ("authtoken_token", "created", now + ahead),
            ("portcullis_event", "at", now),
            ("portcullis_client", "seen", now),
        ] {
            assert_near(
                time(&app, table, column),
                at,
                &format!("{setting:?} {column}"),
            );
        }
        assert_eq!(app.user_by_session(&key).await.status, 200);
        let page = app.program().get(format!("{}/account/", app.url));
        let page = page.header("Accept", "text/html");
        let page = Answer::of(page.header("Cookie", format!("sessionid={key}"))).await;
        assert!(
            page.body.contains("2027-01-15 12:0"),
            "{setting:?}: {}",
            page.body
        );
    }
}

#[test]
fn a_session_ends_by_djangos_clock() {
    crate::run(Backend::Sqlite, async |backend| {
        for (setting, ahead) in ZONES {
            let app = start(&backend, &[setting], NOW).await;
            let key = session(&app).await;
            let clock = |minutes| {
                let time = app.clock.now() + ahead + TimeDelta::minutes(minutes);
                time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
            };
            for (end, status, left) in [(clock(5), 200, 1), (clock(-5), 401, 0)] {
                set_end(&app, &end);
                assert_eq!(
                    app.user_by_session(&key).await.status,
                    status,
                    "{setting:?} {end}"
                );
                app.auth.clear_sessions().await.unwrap();
                assert_eq!(
                    app.database.count("django_session"),
                    left,
                    "{setting:?} {end}"
                );
            }
        }
    });
}

/// In New York the clock shows 01:30 at 05:30 and at 06:30 on that day.
#[test]
fn of_two_moments_the_first_ends_a_session_and_the_second_its_row() {
    crate::run(Backend::Sqlite, async |backend| {
        for (end, ends, goes) in [
            ("2027-11-07 00:59:00", "07 04:59", "07 04:59"),
            ("2027-11-07 01:30:00", "07 05:30", "07 06:30"),
            ("2027-11-07 02:10:00", "07 07:10", "07 07:10"),
            ("2027-11-07 01:30:00-05:00", "07 06:30", "07 06:30"),
            ("2027-11-07 07:30:00+02:00", "07 05:30", "07 05:30"),
            ("2027-11-07T06:30:00Z", "07 06:30", "07 06:30"),
            ("2027-11-06 22:30:00-10:00", "07 08:30", "07 08:30"),
        ] {
            let app = start(&backend, &[NEW_YORK], "2027-11-07 04:30:00").await;
            let key = session(&app).await;
            set_end(&app, end);
            let at_first = (4 * 60 + 31..9 * 60).step_by(13);
            // Texts that are not Django's may wait for a day that is surely after them.
            let mut minutes = at_first.chain((9 * 60..48 * 60).step_by(60));
            let gone = loop {
                let now = minutes.next().expect("it goes at last");
                let (day, hour, minute) = (7 + now / 1440, now / 60 % 24, now % 60);
                let now = format!("{day:02} {hour:02}:{minute:02}");
                set_clock(&app, &format!("2027-11-{now}:30"));
                let is_alive = app.user_by_session(&key).await.status == 200;
                assert_eq!(is_alive, *now < *ends, "{end} at {now}");
                app.auth.sweep().await.unwrap();
                app.auth.clear_sessions().await.unwrap();
                if app.database.count("django_session") == 0 {
                    break now;
                }
            };
            assert!(*gone >= *goes, "{end} was swept at {gone}");
        }
    });
}

#[test]
fn use_puts_a_sessions_end_off() {
    crate::run(Backend::Sqlite, async |backend| {
        for (setting, ahead) in ZONES {
            let idle = ("PORTCULLIS_SESSION_IDLE", "1h");
            let app = start(&backend, &[setting, idle], NOW).await;
            let key = session(&app).await;
            for _ in 0..3 {
                app.clock.advance(50 * 60);
                assert_eq!(app.user_by_session(&key).await.status, 200, "{setting:?}");
                let end = app.clock.now() + ahead + TimeDelta::hours(1);
                assert_near(time(&app, "django_session", "expire_date"), end, setting.1);
            }
            app.clock.advance(61 * 60);
            assert_eq!(app.user_by_session(&key).await.status, 401, "{setting:?}");
        }
    });
}

/// `set_expiry` with a date, which has no offset then, on PostgreSQL neither.
#[each_database]
async fn a_date_in_a_session_is_djangos_too(backend: Backend) {
    const KEY: &str = "asessionthatdjangohadmadebefore0";
    for (setting, ahead) in ZONES {
        let app = start(&backend, &[setting, STORED], NOW).await;
        let end = app.clock.now() + TimeDelta::days(3);
        let mut data = SessionData::new();
        data.insert(
            "_session_expiry",
            (end + ahead).format("%Y-%m-%dT%H:%M:%S").to_string(),
        );
        let keys = SecretKeys::new(SecretKey::new(SECRET_KEY.to_owned()), vec![]);
        let text = SessionCodec::new(&keys).encode(&data, 1_800_000_000);
        app.database.execute(&format!(
            "INSERT INTO django_session VALUES ('{KEY}', '{text}', '2099-01-01 00:00:00')"
        ));
        let login = app
            .program()
            .post(format!("{}/login/", app.url))
            .header("Cookie", format!("sessionid={KEY}"))
            .json(&json!({"username": "alice", "password": PASSWORD}));
        assert_eq!(Answer::of(login).await.status, 200);
        let ahead = if app.database.is_sqlite() {
            ahead
        } else {
            TimeDelta::zero()
        };
        assert_near(
            time(&app, "django_session", "expire_date"),
            end + ahead,
            setting.1,
        );
    }
}

#[test]
fn check_says_that_times_are_ahead() {
    crate::run(Backend::Sqlite, async |backend| {
        let app = TestApp::start(&backend).await;
        app.create_user("alice", PASSWORD).await;
        let folder = tempfile::tempdir().unwrap();
        let said = |zone: (&str, &str)| {
            let mut check = program_on(&app.database, folder.path());
            run(check.arg("check").env(zone.0, zone.1)).stdout()
        };
        let advice = "if Django has USE_TZ = False, set it to Django's TIME_ZONE";
        let kolkata = Utc::now() + TimeDelta::minutes(330);
        let text = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        session(&app).await;
        assert!(!said(ZONES[2].0).contains(advice), "nothing is ahead");
        for (table, column, time) in [
            (
                "django_session",
                "expire_date",
                kolkata + TimeDelta::days(14),
            ),
            ("accounts_customuser", "last_login", kolkata),
        ] {
            let before = app
                .database
                .texts(&format!("SELECT {column} AS text FROM {table}"));
            let set = |text: &str| {
                let update = format!("UPDATE {table} SET {column} = '{text}'");
                app.database.execute(&update);
            };
            set(&text(time));
            assert!(said(ZONES[2].0).contains(advice), "{column}");
            assert!(!said(KOLKATA).contains(advice), "{column}");
            set(before[0].as_deref().unwrap());
        }
    });
}
