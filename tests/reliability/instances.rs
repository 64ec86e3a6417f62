//! Many instances on one database: what one has answered holds at all of them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use each_database::each_database;
use reqwest::Client;
use tokio::sync::watch::{self, Receiver};

use crate::drill::Tally;
use crate::people::{END_OF_HOPE, Key, Load, Person, verify};
use crate::server::serve;
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{Serving, program_on, run};

fn three(database: &TestDatabase) -> Vec<Serving> {
    let folder = tempfile::tempdir().unwrap();
    (0..3)
        .map(|_| serve(database, folder.path(), &[]))
        .collect()
}

fn urls(instances: &[Serving]) -> Vec<String> {
    instances.iter().map(Serving::url).collect()
}

/// What the readers present, and whether its logout has been answered.
struct Login {
    keys: [Key; 2],
    is_over: Cell<bool>,
}

impl Login {
    fn of(person: &Person) -> Rc<Self> {
        Rc::new(Self {
            keys: person.keys(),
            is_over: Cell::new(false),
        })
    }
}

/// Asks one instance with one kind of key, over one connection, without pause.
#[derive(Default)]
struct Reader {
    /// Requests that were answered 200; those that were sent after the logout's
    /// answer.
    before: Cell<usize>,
    after: Cell<usize>,
    undone: Cell<usize>,
    odd: Cell<Option<u16>>,
}

impl Reader {
    fn has_seen_the_end(&self) -> bool {
        self.after.get() + self.undone.get() >= 2
    }

    async fn read(self: Rc<Self>, mut logins: Receiver<Rc<Login>>, url: String, kind: usize) {
        let http = Client::new();
        while logins.changed().await.is_ok() {
            let login = Rc::clone(&logins.borrow_and_update());
            // Two that were sent when all was over; then the next one's.
            while !self.has_seen_the_end() {
                let is_over = login.is_over.get();
                let request = login.keys[kind].present(http.get(format!("{url}/api/v1/user/")));
                let status = request.send().await.expect("an answer").status().as_u16();
                match (is_over, status) {
                    (false, 200) => self.before.set(self.before.get() + 1),
                    // It was sent before the logout's answer, which may be on its way.
                    (false, 401) => {}
                    (true, 401) => self.after.set(self.after.get() + 1),
                    (true, 200) => self.undone.set(self.undone.get() + 1),
                    (_, status) => self.odd.set(Some(status)),
                }
            }
        }
    }
}

#[each_database]
async fn logged_out_for_all(backend: Backend) {
    let database = backend.create();
    let instances = three(&database);
    let urls = urls(&instances);
    let mut person = Person::create(&database, 1).pop().unwrap();
    let mut tally = Tally::default();
    person.log_in(&urls[0]).await;
    let (logins, current) = watch::channel(Login::of(&person));
    let readers: Vec<Rc<Reader>> = (0..urls.len() * 2)
        .map(|number| {
            let reader = Rc::<Reader>::default();
            let url = urls[number / 2].clone();
            actix_web::rt::spawn(Rc::clone(&reader).read(current.clone(), url, number % 2));
            reader
        })
        .collect();
    for round in 0..1000 {
        person.log_in(&urls[round % 3]).await;
        let login = Login::of(&person);
        logins.send_replace(Rc::clone(&login));
        // All have been let in, more than once: from memory too, where there is one.
        until(&readers, |reader| reader.before.get() >= 2).await;
        let answered = person.log_out(&urls[(round + 1) % 3]).await;
        assert!(answered, "the logout is answered");
        login.is_over.set(true);
        until(&readers, Reader::has_seen_the_end).await;
        for reader in &readers {
            let read = [&reader.before, &reader.after, &reader.undone].map(Cell::take);
            tally.seen.requests += read.iter().sum::<usize>();
            tally.seen.undone += read[2];
            assert_eq!(reader.odd.take(), None);
        }
        tally.rounds += 1;
    }
    tally.add(vec![person]);
    tally.report("logged out while three instances answer", &backend);
}

async fn until(readers: &[Rc<Reader>], is_so: impl Fn(&Reader) -> bool) {
    let end = Instant::now() + END_OF_HOPE;
    while !readers.iter().all(|reader| is_so(reader)) {
        assert!(
            Instant::now() < end,
            "a reader is not answered as it should be"
        );
        tokio::task::yield_now().await;
    }
}

#[each_database]
async fn from_one_to_the_next(backend: Backend) {
    let database = backend.create();
    let instances = three(&database);
    let urls = urls(&instances);
    let mut tally = Tally::default();
    let people = Person::create(&database, 4).into_iter().enumerate();
    let tours = people.map(|(number, mut person)| {
        let urls = urls.clone();
        actix_web::rt::spawn(async move {
            for round in 0..50 {
                let at = |place: usize| &urls[(number + round + place) % 3];
                person.log_in(at(0)).await;
                person.verify(at(1)).await;
                person.log_out(at(2)).await;
                person.verify(at(0)).await;
                person.verify(at(1)).await;
                person.forget_the_oldest();
            }
            person
        })
    });
    for tour in tours.collect::<Vec<_>>() {
        tally.add(vec![tour.await.unwrap()]);
        tally.rounds += 50;
    }
    tally.report("login, use and logout at different instances", &backend);
}

/// One migrates, and the others wait for it.
#[each_database]
async fn started_at_once(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let by_one = backend.create();
    run(program_on(&by_one, folder.path()).arg("migrate")).ok();
    let migrations = by_one.count("__diesel_schema_migrations");
    let mut tally = Tally::default();
    for _ in 0..5 {
        let database = backend.create();
        let instances: Vec<Serving> = std::thread::scope(|scope| {
            let start = || serve(&database, folder.path(), &[]);
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            let started = starts.into_iter().map(|start| start.join().unwrap());
            started.collect()
        });
        assert_eq!(database.count("__diesel_schema_migrations"), migrations);
        let urls = urls(&instances);
        let mut people = Person::create(&database, 1);
        for url in &urls {
            people[0].log_in(url).await;
        }
        verify(&mut people, &urls).await;
        assert_eq!(people[0].seen.logins, urls.len());
        tally.add(people);
        tally.rounds += 1;
    }
    tally.report("eight started at once on an empty database", &backend);
}

/// An upgrade adds what the older version does not know, and takes nothing away.
#[each_database]
async fn older_beside_newer(backend: Backend) {
    let database = backend.create();
    let folder = tempfile::tempdir().unwrap();
    let mut instances = vec![
        serve(&database, folder.path(), &[]),
        serve(&database, folder.path(), &[]),
    ];
    let people = Person::create(&database, 4);
    let load = Load::start(people, &urls(&instances));
    let mut tally = Tally::default();
    for round in 0..5 {
        load.goes_on(100).await;
        for statement in [
            format!("ALTER TABLE accounts_customuser ADD COLUMN newer{round} VARCHAR(80) NULL"),
            format!("CREATE TABLE portcullis_newer{round} (id INTEGER PRIMARY KEY)"),
            format!(
                "INSERT INTO __diesel_schema_migrations (version) VALUES ('2099010100000{round}')"
            ),
        ] {
            database.execute(&statement);
        }
        // An older one that is started meanwhile serves too.
        instances.push(serve(&database, folder.path(), &[]));
        load.ask(&urls(&instances));
        tally.rounds += 1;
    }
    load.goes_on(100).await;
    let mut people = load.stop().await;
    verify(&mut people, &urls(&instances)).await;
    tally.add(people);
    tally.report(
        "a newer version's migration while older ones serve",
        &backend,
    );
}
