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

use anyhow::{Result, ensure};

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
    pub fn rate(&self, at_once: usize) -> f64 {
        let counted = &self.good[at_once.min(self.good.len()).saturating_sub(1)..];
        let [first, .., last] = counted else {
            return 0.0;
        };
        (counted.len() - 1) as f64 / (last.answered - first.answered).as_secs_f64()
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
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Logins>>,
}

impl Storm {
    /// Starts that many clients, as users 1, 2, 3, …
    pub fn start(address: SocketAddr, clients: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let clients = (1..=clients)
            .map(|user| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || client(address, user, &stop))
            })
            .collect();
        Self { stop, clients }
    }

    /// Tells the clients to hang up, and gathers what they saw.
    pub fn finish(self) -> Logins {
        self.stop.store(true, Ordering::Relaxed);
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
}

fn client(address: SocketAddr, user: usize, stop: &Arc<AtomicBool>) -> Logins {
    let mut client = Client::stopped_by(address, Arc::clone(stop));
    let mut logins = Logins {
        good: Vec::new(),
        bad: 0,
    };
    while !stop.load(Ordering::Relaxed) {
        match log_in(&mut client, user) {
            Ok(login) => logins.good.push(login),
            // Its own doing.
            Err(_) if stop.load(Ordering::Relaxed) => {}
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
