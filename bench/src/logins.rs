//! Clients that log in without pause, each as a user of its own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Result, bail, ensure};

use crate::{http::Client, server::PASSWORD, stats};

/// One login that was answered.
#[derive(Clone, Copy)]
pub struct Login {
    pub answered: Instant,
    pub millis: f64,
}

/// What clients did until they were stopped.
pub struct Logins {
    /// In the order of their answers; all of them 200.
    pub good: Vec<Login>,
    /// Other answers, and broken connections.
    pub bad: usize,
}

impl Logins {
    /// Logins a second, from a steady state on: as many as run at once are left
    /// out at the start, since nobody saw when they began.
    ///
    /// # Errors
    ///
    /// If there are too few to tell.
    pub fn rate(&self, at_once: usize) -> Result<f64> {
        let [first, .., last] = self.good.get(at_once - 1..).unwrap_or_default() else {
            let (good, bad) = (self.good.len(), self.bad);
            bail!("{good} logins were answered well and {bad} not: too few for a rate");
        };
        let counted = self.good.len() - at_once;
        Ok(counted as f64 / (last.answered - first.answered).as_secs_f64())
    }

    pub fn percentile(&self, percent: f64) -> f64 {
        stats::percentile(
            &stats::sorted(self.good.iter().map(|login| login.millis)),
            percent,
        )
    }
}

/// Clients at work.
pub struct Storm {
    last: Arc<AtomicBool>,
    hang_up: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Logins>>,
}

impl Storm {
    /// Starts that many clients, as users 1, 2, 3, …
    pub fn start(address: SocketAddr, clients: usize) -> Self {
        let (last, hang_up) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let clients = (1..=clients)
            .map(|user| {
                let (last, hang_up) = (Arc::clone(&last), Arc::clone(&hang_up));
                thread::spawn(move || client(address, user, &last, &hang_up))
            })
            .collect();
        Self {
            last,
            hang_up,
            clients,
        }
    }

    /// Waits for the logins that are under way: none is left to the server.
    pub fn finish(self) -> Logins {
        self.last.store(true, Ordering::Relaxed);
        let mut all = Logins {
            good: Vec::new(),
            bad: 0,
        };
        for client in self.clients {
            let one = client.join().expect("a login client panicked");
            all.good.extend(one.good);
            all.bad += one.bad;
        }
        all.good.sort_by_key(|login| login.answered);
        all
    }

    /// Does not wait: the clients close their connections.
    pub fn break_off(self) -> Logins {
        self.hang_up.store(true, Ordering::Relaxed);
        self.finish()
    }
}

fn client(
    address: SocketAddr,
    user: usize,
    last: &AtomicBool,
    hang_up: &Arc<AtomicBool>,
) -> Logins {
    let mut client = Client::stopped_by(address, Arc::clone(hang_up));
    let mut logins = Logins {
        good: Vec::new(),
        bad: 0,
    };
    while !last.load(Ordering::Relaxed) {
        match log_in(&mut client, user) {
            Ok(login) => logins.good.push(login),
            // Its own doing.
            Err(_) if hang_up.load(Ordering::Relaxed) => break,
            Err(_) => logins.bad += 1,
        }
    }
    logins
}

/// One login, from an address of the user's own; an error unless it is answered
/// by a token.
pub fn log_in(client: &mut Client, user: usize) -> Result<Login> {
    let body = format!(r#"{{"username":"bench{user}","password":"{PASSWORD}"}}"#);
    let from = format!("X-Forwarded-For: 10.{}.{}.1", user / 256, user % 256);
    let sent = Instant::now();
    let answer = client.post_json("/api/v1/login/", &from, &body)?;
    let answered = Instant::now();
    ensure!(
        answer.status == 200 && answer.body.contains("\"token\""),
        "the login of bench{user} is answered {} {}",
        answer.status,
        answer.body
    );
    Ok(Login {
        answered,
        millis: (answered - sent).as_secs_f64() * 1e3,
    })
}
