//! Two instances on one database behind a proxy, each restarted in turn: not one
//! request fails.

use std::sync::Arc;

use actix_web::rt::task::spawn_blocking;
use each_database::each_database;

use crate::drill::Tally;
use crate::people::{Load, Person, verify};
use crate::proxy::Proxy;
use crate::server::serve;
use crate::support::database::Backend;
use crate::support::program::Serving;

const PEOPLE: u64 = 8;
const RESTARTS_OF_EACH: usize = 3;

#[each_database]
async fn restart_in_turn(backend: Backend) {
    let (database, folder) = (Arc::new(backend.create()), tempfile::tempdir().unwrap());
    let people = Person::create(&database, PEOPLE);
    let start = {
        let database = Arc::clone(&database);
        // A proxy that asks 20 times a second has seen it long before.
        move || {
            serve(
                &database,
                folder.path(),
                &[("PORTCULLIS_SHUTDOWN_DELAY", "1s")],
            )
        }
    };
    let servers = [start(), start()];
    let proxy = Proxy::start(servers.each_ref().map(|server| server.port));
    let load = Load::start(people, &[proxy.url()]);

    let restarting = spawn_blocking({
        let proxy = Arc::clone(&proxy);
        move || restart(servers, start, &proxy)
    });
    let servers = restarting.await.unwrap();
    let mut people = load.stop().await;
    proxy.stop();

    verify(&mut people, &servers.each_ref().map(Serving::url)).await;
    let mut tally = Tally {
        rounds: RESTARTS_OF_EACH * servers.len(),
        ..Tally::default()
    };
    tally.add(people);
    let seen = &mut tally.seen;
    let failed = seen.refused + seen.broken;
    if failed > 0 {
        let requests = seen.requests;
        let complaint = format!("{failed} of {requests} requests failed");
        seen.complaints.push(complaint);
    }
    tally.report(
        "SIGTERM and a new start of each of two instances, under load",
        &backend,
    );
}

/// Each on another port than before, as in a cluster.
fn restart(mut servers: [Serving; 2], start: impl Fn() -> Serving, proxy: &Proxy) -> [Serving; 2] {
    for _ in 0..RESTARTS_OF_EACH {
        for (number, server) in servers.iter_mut().enumerate() {
            server.signal("TERM");
            assert_eq!(server.exit_code(), Some(0));
            *server = start();
            proxy.moved(number, server.port);
        }
    }
    servers
}
