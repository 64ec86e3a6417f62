//! The clock of the machine is put forward and back by an hour.

use each_database::each_database;

use crate::drill::Tally;
use crate::people::{Key, Load, Person, verify};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Backend;

const HOUR: i64 = 3600;
const MINUTE: i64 = 60;

#[each_database]
async fn steps_under_load(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let urls = [app.url.clone()];
    let mut people = Person::create(&app.database, 8);
    let mut tally = Tally::default();
    for step in [HOUR, -HOUR, -HOUR, HOUR, 2 * HOUR, -2 * HOUR] {
        let load = Load::start(people, &urls);
        load.goes_on(200).await;
        app.clock.advance(step);
        load.goes_on(400).await;
        people = load.stop().await;
        verify(&mut people, &urls).await;
        // What is swept by a wrong clock is what had ended by it.
        app.auth.sweep().await.unwrap();
        verify(&mut people, &urls).await;
        tally.rounds += 1;
    }
    let refused: usize = people.iter().map(|person| person.seen.refused).sum();
    assert_eq!(refused, 0, "a clock is no reason for a 503");
    tally.add(people);
    tally.report("clock steps by an hour, either way", &backend);
}

#[each_database]
async fn steps_at_the_limits(backend: Backend) {
    let mut tally = Tally::default();
    for is_forward_first in [true, false] {
        let step = if is_forward_first { HOUR } else { -HOUR };
        sessions_end(&backend, step, &mut tally).await;
        a_block_ends(&backend, step, &mut tally).await;
        tally.rounds += 1;
    }
    tally.report(
        "clock steps by an hour; sessions at their end, blocked logins",
        &backend,
    );
}

/// A session of half an hour ends by the clock, and what has been logged out or swept
/// does not come back.
async fn sessions_end(backend: &Backend, step: i64, tally: &mut Tally) {
    let limits = [
        ("PORTCULLIS_SESSION_AGE", "30m"),
        ("PORTCULLIS_SESSION_IDLE", "10m"),
    ];
    let app = TestApp::start_with(backend, &limits).await;
    let mut person = Person::create(&app.database, 1).pop().unwrap();
    person.log_in(&app.url).await;
    let ended = person.keys();
    person.log_out(&app.url).await;
    person.log_in(&app.url).await;
    let [Key::Token(token), Key::Session(session)] = person.keys() else {
        panic!("a token, and a session");
    };
    let expect = async |by_token: u16, by_session: u16| {
        assert_eq!(app.user_by_token(&token).await.status, by_token);
        let answer = app.user_by_session(&session).await;
        assert_eq!(answer.status, by_session, "{}", answer.body);
        assert!(by_session != 200 || answer.body.contains(&person.name));
        for key in &ended {
            let answer = match key {
                Key::Token(token) => app.user_by_token(token).await,
                Key::Session(session) => app.user_by_session(session).await,
            };
            assert_eq!(answer.status, 401, "it was logged out");
        }
    };

    app.clock.advance(step);
    expect(200, if step > 0 { 401 } else { 200 }).await;
    app.clock.advance(-step);
    // What was over by the wrong clock only goes on, and no longer than it would have.
    expect(200, 200).await;
    app.clock.advance(11 * MINUTE);
    expect(200, 401).await;
    app.auth.sweep().await.unwrap();
    app.clock.advance(-HOUR);
    expect(200, 401).await;
    tally.add(vec![person]);
}

/// Five wrong passwords block for a minute: by a clock that was put back meanwhile
/// for an hour more, and no longer.
async fn a_block_ends(backend: &Backend, step: i64, tally: &mut Tally) {
    let app = TestApp::start(backend).await;
    let mut person = Person::create(&app.database, 1).pop().unwrap();
    let client = app.program();
    for _ in 0..5 {
        let wrong = app.log_in(&client, &person.name, "wrong").await;
        assert_eq!(wrong.status, 400);
    }
    let blocked = app.log_in(&client, &person.name, PASSWORD).await;
    assert_eq!(blocked.status, 429);

    app.clock.advance(step);
    if step < 0 {
        let blocked = app.log_in(&client, &person.name, PASSWORD).await;
        assert_eq!(blocked.status, 429);
        let wait: i64 = blocked.header("retry-after").unwrap().parse().unwrap();
        assert!(wait <= HOUR + MINUTE, "{wait}");
        app.clock.advance(wait);
    }
    person.log_in(&app.url).await;
    person.verify(&app.url).await;
    app.clock.advance(-step);
    person.log_in(&app.url).await;
    person.verify(&app.url).await;
    assert_eq!(person.seen.logins, 2, "{:?}", person.seen.complaints);
    tally.add(vec![person]);
}
