//! The server is killed while it works.

use std::time::{Duration, Instant};

use each_database::each_database;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::drill::Tally;
use crate::people::{Load, Person, recovered, verify};
use crate::server::serve;
use crate::support::database::{Backend, TestDatabase};

const PEOPLE: u64 = 8;

#[each_database]
async fn kill_under_load(backend: Backend) {
    let rounds = match backend {
        Backend::Sqlite => 100,
        Backend::Postgres(_) => 30,
    };
    let database = backend.create();
    let folder = tempfile::tempdir().unwrap();
    let start = || serve(&database, folder.path(), &[]);
    let mut people = Person::create(&database, PEOPLE);
    let seed = seed();
    eprint!("RELIABILITY_SEED={seed} ");
    let mut moments = StdRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    let mut serving = start();
    for _ in 0..rounds {
        let load = Load::start(people, &[serving.url()]);
        let moment = Duration::from_micros(moments.random_range(1_000..150_000));
        actix_web::rt::time::sleep(moment).await;
        let killed = Instant::now();
        serving.process.kill().unwrap();
        serving.process.wait().unwrap();
        people = load.stop().await;

        serving = start();
        let urls = [serving.url()];
        tally.recovered_in(recovered(&mut people[0], &urls, killed).await);
        verify(&mut people, &urls).await;
        assert_sound(&database);
        // What was being hashed when the server died counts as failed, since
        // nobody can say what came of it: people as unlucky as these would soon
        // have to wait.
        database.execute("DELETE FROM portcullis_attempt");
        tally.rounds += 1;
    }
    tally.add(people);
    tally.report("`kill -9` of the server under load", &backend);
}

fn seed() -> u64 {
    match std::env::var("RELIABILITY_SEED") {
        Ok(text) => text.parse().expect("RELIABILITY_SEED is a number"),
        Err(_) => rand::random(),
    }
}

/// Whose user is not there.
const ORPHANS: &str = "
    SELECT 'a token' AS text FROM authtoken_token
     WHERE user_id NOT IN (SELECT id FROM accounts_customuser)
    UNION ALL
    SELECT 'a client' AS text FROM portcullis_client
     WHERE user_id NOT IN (SELECT CAST(id AS text) FROM accounts_customuser)";

/// The database's own opinion of itself, and ours.
pub fn assert_sound(database: &TestDatabase) {
    if database.is_sqlite() {
        let said = database.texts("SELECT integrity_check AS text FROM pragma_integrity_check");
        assert_eq!(said, [Some("ok".to_owned())]);
    } else {
        // Reads every row of every table, and its text.
        database.everything();
    }
    assert_eq!(database.texts(ORPHANS), [], "without a user");
}
