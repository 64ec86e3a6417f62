//! PostgreSQL is away, frozen or killed, or nothing comes back from it: each
//! answer is then a 503 that says when to come back, none takes long, and when it
//! is back nobody has to restart the server.

mod cluster;
mod network;
mod proxy;

use std::mem::{ManuallyDrop, take};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use each_database::each_database;
use futures_util::future::join_all;

use self::cluster::{Cluster, signal};
use self::network::Network;
use self::proxy::Proxy;
use crate::drill::Tally;
use crate::people::{Load, Person, recovered, verify};
use crate::server::serve;
use crate::support::PATIENCE;
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::Serving;

const ROUNDS: usize = 3;
/// More than the server has connections, or threads that could wait for one.
const PEOPLE: u64 = 24;
/// No answer takes longer: the server's own limit of 10 s, and a little for the
/// machine.
const LONGEST_ANSWER: Duration = Duration::from_secs(11);
/// Once it is known that PostgreSQL is away, nobody waits for it.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Connections that hang are given up by then.
const GIVEN_UP: Duration = Duration::from_secs(7);
/// People are at work so long before something happens, and see so much of it.
const WHILE: Duration = Duration::from_secs(1);

#[each_database(postgres)]
async fn stopped(backend: Backend) {
    let mut scene = Scene::set(Cluster::start(), None);
    scene
        .outages(|c| c.stop("fast"), Cluster::start_again)
        .await;
    scene
        .end()
        .await
        .report("PostgreSQL stopped under load, and started", &backend);
}

#[each_database(postgres)]
async fn crashed(backend: Backend) {
    let mut scene = Scene::set(Cluster::start(), None);
    let crash = |c: &Cluster| c.stop("immediate");
    scene.outages(crash, Cluster::start_again).await;
    scene
        .end()
        .await
        .report("PostgreSQL crashed under load, and started", &backend);
}

#[each_database(postgres)]
async fn frozen(backend: Backend) {
    let mut scene = Scene::set(Cluster::start(), None);
    let thaw = |c: &Cluster| {
        c.signal_all("CONT");
        Instant::now()
    };
    scene.outages(|c| c.signal_all("STOP"), thaw).await;
    scene
        .end()
        .await
        .report("PostgreSQL frozen (`SIGSTOP`)", &backend);
}

#[each_database(postgres)]
async fn all_swallowed(backend: Backend) {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.address());
    let mut scene = Scene::set(cluster, Some(&proxy));
    let begin = {
        let proxy = proxy.clone();
        move |_: &Cluster| {
            proxy.swallow_new(true);
            proxy.swallow();
        }
    };
    let end = move |_: &Cluster| {
        proxy.swallow_new(false);
        Instant::now()
    };
    scene.outages(begin, end).await;
    scene
        .end()
        .await
        .report("connections that swallow all, new ones too", &backend);
}

#[each_database(postgres)]
async fn packets_lost(backend: Backend) {
    let mut scene = Scene::set(Cluster::start_in(Network::new()), None);
    let lose_none = |c: &Cluster| {
        c.network().lose_none();
        Instant::now()
    };
    scene
        .outages(|c| c.network().lose_packets(), lose_none)
        .await;
    scene
        .end()
        .await
        .report("packets from PostgreSQL lost", &backend);
}

/// Nothing is away: who meets such a connection waits until it is given up, and
/// then all is well.
#[each_database(postgres)]
async fn old_swallowed(backend: Backend) {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.address());
    let mut scene = Scene::set(cluster, Some(&proxy));
    for _ in 0..ROUNDS {
        let load = scene.load().await;
        proxy.swallow();
        let took = recovered(&mut scene.witness, &scene.urls, Instant::now()).await;
        assert!(took < GIVEN_UP, "it took {took:?}");
        scene.settle(load).await;
    }
    scene
        .end()
        .await
        .report("connections that swallow all, new ones work", &backend);
}

/// PostgreSQL ends all of its connections when a backend dies like that.
#[each_database(postgres)]
async fn killed(backend: Backend) {
    let mut scene = Scene::set(Cluster::start(), None);
    for _ in 0..ROUNDS {
        let load = scene.load().await;
        let mut other = scene.cluster.connect();
        let row = format!(
            "BEGIN; SELECT 1 FROM accounts_customuser WHERE username = '{}' FOR UPDATE",
            scene.witness.name
        );
        other.batch_execute(&row).unwrap();
        let log_in = scene.witness.log_in(&scene.urls[0]);
        let cluster = Arc::clone(&scene.cluster);
        let kill = blocking(move || {
            signal(waiting_backend(&mut cluster.connect()), "KILL");
            let end = Instant::now() + PATIENCE;
            while other.batch_execute("SELECT 1").is_ok() {
                assert!(Instant::now() < end, "it survives");
                std::thread::yield_now();
            }
            cluster.wait_until_it_answers()
        });
        let (logged_in, returned) = futures_util::future::join(log_in, kill).await;
        assert!(!logged_in, "it was killed, and yet answered");
        scene.recover(load, returned).await;
    }
    scene
        .end()
        .await
        .report("a backend killed in the middle of a login", &backend);
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// The backend that waits for a lock, as soon as there is one.
fn waiting_backend(connection: &mut PgConnection) -> u32 {
    let query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "nobody waits");
        let found: Vec<Waiting> = diesel::sql_query(query).load(connection).unwrap();
        if let Some(waiting) = found.first() {
            return waiting.pid.unsigned_abs();
        }
    }
}

/// A server on a cluster of its own, and people who use it.
struct Scene {
    people: Vec<Person>,
    /// Who takes no part in the load, but sees whether it works.
    witness: Person,
    tally: Tally,
    urls: [String; 1],
    _serving: Serving,
    cluster: Arc<Cluster>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn set(cluster: Cluster, proxy: Option<&Proxy>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut people = Person::create(&database(cluster.url()), PEOPLE + 1);
        let url = proxy.map_or_else(|| cluster.url(), |proxy| cluster.url_by(proxy.port()));
        // A login that a fault has cut short counts as failed, and all of these
        // people come from one address: they would soon have to wait.
        let settings = [("PORTCULLIS_THROTTLE", "off")];
        let serving = serve(&database(url), folder.path(), &settings);
        Self {
            witness: people.pop().unwrap(),
            people,
            tally: Tally::default(),
            urls: [serving.url()],
            _serving: serving,
            cluster: Arc::new(cluster),
            _folder: folder,
        }
    }

    /// Everybody at work.
    async fn load(&mut self) -> Load {
        let load = Load::start(take(&mut self.people), &self.urls);
        actix_web::rt::time::sleep(WHILE).await;
        load
    }

    /// Times in which the database is away; `end` says since when it is back.
    async fn outages(
        &mut self,
        begin: impl Fn(&Cluster) + Clone + Send + 'static,
        end: impl Fn(&Cluster) -> Instant + Clone + Send + 'static,
    ) {
        for _ in 0..ROUNDS {
            let load = self.load().await;
            let (cluster, begin) = (Arc::clone(&self.cluster), begin.clone());
            blocking(move || begin(&cluster)).await;
            self.people = load.stop().await;
            self.until_it_is_known().await;
            self.all_are_refused().await;

            let load = self.load().await;
            let (cluster, end) = (Arc::clone(&self.cluster), end.clone());
            let returned = blocking(move || end(&cluster)).await;
            self.recover(load, returned).await;
        }
    }

    /// The server knows that PostgreSQL is away when a try to connect has failed,
    /// which takes a second; until then one may wait for it.
    async fn until_it_is_known(&self) {
        let end = Instant::now() + GIVEN_UP;
        let is_known = async || {
            let asked = Instant::now();
            let answer = reqwest::get(format!("{}/readyz", self.urls[0])).await;
            assert_eq!(answer.unwrap().status(), 503);
            asked.elapsed() < AT_ONCE / 2
        };
        while !is_known().await {
            assert!(Instant::now() < end, "it does not find out");
        }
    }

    /// Nobody gets anything but a 503, but for who asks whether the process is up.
    async fn all_are_refused(&mut self) {
        let url = &self.urls[0];
        let end = Instant::now() + WHILE;
        let refused = self.people.iter_mut().map(|person| async {
            while Instant::now() < end {
                let asked = Instant::now();
                assert!(!person.act(url).await, "{} was served", person.name);
                let took = asked.elapsed();
                assert!(took < AT_ONCE, "to be refused took {took:?}");
            }
        });
        let about_us = async {
            while Instant::now() < end {
                for (path, expected) in [("/healthz", 200), ("/readyz", 503)] {
                    let answer = reqwest::get(format!("{url}{path}")).await.unwrap();
                    assert_eq!(answer.status(), expected, "{path}");
                }
            }
        };
        futures_util::future::join(join_all(refused), about_us).await;
    }

    async fn recover(&mut self, load: Load, returned: Instant) {
        let took = recovered(&mut self.witness, &self.urls, returned).await;
        self.tally.recovered_in(took);
        self.settle(load).await;
    }

    /// Everybody verifies what they were answered.
    async fn settle(&mut self, load: Load) {
        self.people = load.stop().await;
        verify(&mut self.people, &self.urls).await;
        self.tally.rounds += 1;
    }

    async fn end(mut self) -> Tally {
        self.witness.verify(&self.urls[0]).await;
        self.people.push(self.witness);
        self.tally.add(self.people);
        let slowest = self.tally.seen.slowest;
        assert!(slowest < LONGEST_ANSWER, "an answer took {slowest:?}");
        self.tally
    }
}

/// The cluster's own, which goes with it: nothing has to be dropped in it.
fn database(url: String) -> ManuallyDrop<TestDatabase> {
    ManuallyDrop::new(TestDatabase::Postgres {
        url,
        schema: "public".to_owned(),
    })
}

/// Beside the people, who go on meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    actix_web::rt::task::spawn_blocking(work).await.unwrap()
}
