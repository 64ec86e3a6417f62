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
/// So many connections has the server, and threads that may hang in them.
const POOL: usize = 8;
/// r2d2's threads, which make connections.
const MAKERS: usize = 3;
/// So many pools may hang beside the one in use.
const MOST_ABANDONED: usize = 3;
/// Connections that hang are given up by then.
const GIVEN_UP: Duration = Duration::from_secs(7);
/// People are at work so long before something happens, and see so much of it.
const WHILE: Duration = Duration::from_secs(1);

#[each_database(postgres)]
async fn stopped(backend: Backend) {
    let mut scene = Scene::set(Cluster::start());
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
    let mut scene = Scene::set(Cluster::start());
    let crash = |c: &Cluster| c.stop("immediate");
    scene.outages(crash, Cluster::start_again).await;
    scene
        .end()
        .await
        .report("PostgreSQL crashed under load, and started", &backend);
}

#[each_database(postgres)]
async fn frozen(backend: Backend) {
    let mut scene = Scene::set(Cluster::start());
    scene.outages(|c| c.signal_all("STOP"), thaw).await;
    scene
        .end()
        .await
        .report("PostgreSQL frozen (`SIGSTOP`)", &backend);
}

/// Nobody can tell there that the other side takes no bytes.
#[each_database(postgres)]
async fn frozen_behind_a_socket(backend: Backend) {
    let cluster = Cluster::start();
    let url = cluster.url_by_socket();
    let mut scene = Scene::set_at(cluster, url);
    scene.outages(|c| c.signal_all("STOP"), thaw).await;
    // Nor does a stop wait for threads that hang.
    scene.cluster.signal_all("STOP");
    let hung = reqwest::get(format!("{}/readyz", scene.urls[0]));
    assert_eq!(hung.await.unwrap().status(), 503);
    scene.serving.signal("TERM");
    assert_eq!(scene.serving.exit_code(), Some(0));
    thaw(&scene.cluster);
    scene
        .end_stopped()
        .report("the same on a Unix socket", &backend);
}

fn thaw(cluster: &Cluster) -> Instant {
    cluster.signal_all("CONT");
    Instant::now()
}

#[each_database(postgres)]
async fn all_swallowed(backend: Backend) {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.address());
    let url = cluster.url_by(proxy.port());
    let mut scene = Scene::set_at(cluster, url);
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
    let mut scene = Scene::set(Cluster::start_in(Network::new()));
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
/// then all is well. But each time leaves threads behind, and once too often all
/// are refused until those end.
#[each_database(postgres)]
async fn old_swallowed(backend: Backend) {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.address());
    let url = cluster.url_by(proxy.port());
    let mut scene = Scene::set_at(cluster, url);
    for _ in 0..MOST_ABANDONED {
        let load = scene.load().await;
        proxy.swallow();
        let took = recovered(&mut scene.witness, &scene.urls, Instant::now()).await;
        assert!(took < GIVEN_UP, "it took {took:?}");
        scene.settle(load).await;
    }
    let load = scene.load().await;
    proxy.swallow();
    scene.people = load.stop().await;
    // Until each connection has met somebody.
    let url = &scene.urls[0];
    join_all(scene.people.iter_mut().map(|person| person.act(url))).await;
    scene.all_are_refused().await;
    scene.assert_threads();

    let load = scene.load().await;
    proxy.hang_up();
    scene.recover(load, Instant::now()).await;
    scene
        .end()
        .await
        .report("connections that swallow all, new ones work", &backend);
}

/// The others of PostgreSQL's processes go on. Nobody is at work meanwhile: a
/// backend that stops with a lock would stop all others.
#[each_database(postgres)]
async fn backends_frozen(backend: Backend) {
    let cluster = Cluster::start();
    let url = cluster.url_by_socket();
    let mut scene = Scene::set_at(cluster, url);
    for _ in 0..ROUNDS {
        let load = scene.load().await;
        scene.people = load.stop().await;
        let frozen = backends(&mut scene.cluster.connect());
        frozen.iter().for_each(|pid| signal(*pid, "STOP"));
        let took = recovered(&mut scene.witness, &scene.urls, Instant::now()).await;
        assert!(took < GIVEN_UP, "it took {took:?}");
        let load = scene.load().await;
        scene.assert_threads();
        frozen.iter().for_each(|pid| signal(*pid, "CONT"));
        scene.settle(load).await;
    }
    scene.end().await.report(
        "its backends frozen, new ones work, on a Unix socket",
        &backend,
    );
}

/// PostgreSQL ends all of its connections when a backend dies like that.
#[each_database(postgres)]
async fn killed(backend: Backend) {
    let mut scene = Scene::set(Cluster::start());
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
            while other.batch_execute("SELECT 1").is_ok() {
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

/// All but the one that is asked.
fn backends(connection: &mut PgConnection) -> Vec<u32> {
    let query = "SELECT pid FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let found: Vec<Waiting> = diesel::sql_query(query).load(connection).unwrap();
    found.iter().map(|b| b.pid.unsigned_abs()).collect()
}

/// The one that waits for somebody else's lock, as soon as there is one.
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
    serving: Serving,
    cluster: Arc<Cluster>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn set(cluster: Cluster) -> Self {
        let url = cluster.url();
        Self::set_at(cluster, url)
    }

    fn set_at(cluster: Cluster, url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut people = Person::create(&database(cluster.url()), PEOPLE + 1);
        // A login that a fault has cut short counts as failed, and all of these
        // people come from one address: they would soon have to wait.
        let settings = [("PORTCULLIS_THROTTLE", "off")];
        let serving = serve(&database(url), folder.path(), &settings);
        Self {
            witness: people.pop().unwrap(),
            people,
            tally: Tally::default(),
            urls: [serving.url()],
            serving,
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
            self.assert_threads();

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

    /// There are no more threads for PostgreSQL than there may be.
    fn assert_threads(&self) {
        let tasks = format!("/proc/{}/task", self.serving.process.id());
        let names = std::fs::read_dir(tasks).unwrap().filter_map(|task| {
            // It may have ended in the meantime.
            std::fs::read_to_string(task.unwrap().path().join("comm")).ok()
        });
        let ours = ["postgres", "r2d2-worker"];
        let is_ours = |name: &String| ours.iter().any(|start| name.starts_with(start));
        let count = names.filter(is_ours).count();
        let most = (1 + MOST_ABANDONED) * (POOL + MAKERS);
        assert!((1..=most).contains(&count), "{count} threads");
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
        self.end_stopped()
    }

    fn end_stopped(mut self) -> Tally {
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
