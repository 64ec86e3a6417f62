//! Something between a server and PostgreSQL that can stop answering while its
//! kernel goes on to acknowledge all that is sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Whether one connection is a black hole by now, which it then stays.
type IsLost = Arc<AtomicBool>;

#[derive(Clone)]
pub struct Proxy {
    port: u16,
    connections: Arc<Mutex<Vec<(IsLost, TcpStream)>>>,
    swallows_new: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens until the process ends.
    pub fn start(to: (Ipv4Addr, u16)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let proxy = Self {
            port: listener.local_addr().expect("an address").port(),
            connections: Arc::default(),
            swallows_new: Arc::default(),
        };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                accepting.accept(&client.expect("a connection"), to);
            }
        });
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whatever comes over the connections that there are is read and thrown
    /// away, for ever.
    pub fn swallow(&self) {
        for (is_lost, _) in &*self.connections.lock().expect("no panic") {
            is_lost.store(true, Ordering::SeqCst);
        }
    }

    /// Closes those whose bytes it throws away.
    pub fn hang_up(&self) {
        for (is_lost, client) in &*self.connections.lock().expect("no panic") {
            if is_lost.load(Ordering::SeqCst) {
                // It fails if the other side was quicker.
                let _ = client.shutdown(Shutdown::Both);
            }
        }
    }

    /// The same for those that come while this is so.
    pub fn swallow_new(&self, does: bool) {
        self.swallows_new.store(does, Ordering::SeqCst);
    }

    fn accept(&self, client: &TcpStream, to: (Ipv4Addr, u16)) {
        let swallows = self.swallows_new.load(Ordering::SeqCst);
        let is_lost: IsLost = Arc::new(AtomicBool::new(swallows));
        self.connections
            .lock()
            .expect("no panic")
            .push((Arc::clone(&is_lost), client.try_clone().expect("a socket")));
        // PostgreSQL may be away; a real proxy hangs up then.
        let Ok(server) = TcpStream::connect(to) else {
            return;
        };
        for (from, to) in [(client, &server), (&server, client)] {
            let (from, to) = (from.try_clone(), to.try_clone());
            let (from, to) = (from.expect("a socket"), to.expect("a socket"));
            let is_lost = Arc::clone(&is_lost);
            thread::spawn(move || copy(from, to, &is_lost));
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, is_lost: &AtomicBool) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !is_lost.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Nor does a black hole say that the other side has gone.
    if !is_lost.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Both);
    }
}
