//! Ends connections to PostgreSQL that do not answer.
//!
//! The kernel gives a connection up when its packets are lost
//! (`tcp_user_timeout`), but not when they reach something that has stopped: a
//! proxy that hangs, a frozen PostgreSQL. libpq would wait there for ever, with
//! a thread and a place in the pool. So each connection notes when it begins to
//! wait, and one thread looks at all of them, and shuts the socket of one that
//! waits too long. To libpq it is then closed.
//!
//! Neither Diesel nor libpq lends its socket. So each connection is made with a
//! `tcp_user_timeout` that no other has, and is found by it among the sockets of
//! this process, also while it is still being made. Connections over Unix
//! sockets are not found, nor any on other systems than Linux.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::result::{DatabaseErrorKind, Error};

/// How late a connection may be found that waits too long.
const TICK: Duration = Duration::from_millis(200);
/// The least `tcp_user_timeout`, in milliseconds, and how many there are.
const FIRST_MARK: u32 = 5000;
const MARKS: u32 = 2000;

/// What `since` says of a connection that waits for nothing.
const IDLE: u64 = 0;

/// A thread that lasts as long as this value.
pub(super) struct Watch(Sender<Weak<Line>>);

impl Watch {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = channel();
        thread::Builder::new()
            .name("postgres-watch".to_owned())
            .spawn(move || watch(&receiver))?;
        Ok(Self(sender))
    }

    /// For a connection that is about to be made.
    pub(super) fn line(&self, limit: Duration) -> Arc<Line> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let line = Arc::new(Line {
            mark: FIRST_MARK + NEXT.fetch_add(1, Ordering::Relaxed) % MARKS,
            since: AtomicU64::new(IDLE),
            limit: AtomicU64::new(milliseconds(limit)),
            has_erred: AtomicBool::new(false),
        });
        // The thread takes them for as long as we are here.
        let _ = self.0.send(Arc::downgrade(&line));
        line
    }
}

/// One connection, as the watch sees it.
pub(super) struct Line {
    mark: u32,
    /// When it began to wait, in milliseconds, or [`IDLE`].
    since: AtomicU64,
    limit: AtomicU64,
    has_erred: AtomicBool,
}

impl Line {
    /// The `tcp_user_timeout` that the connection has to have.
    pub(super) fn mark(&self) -> u32 {
        self.mark
    }

    /// How long it may wait from now on, each time.
    pub(super) fn set_limit(&self, limit: Duration) {
        self.limit.store(milliseconds(limit), Ordering::Relaxed);
    }

    pub(super) fn begin(&self) {
        self.since.store(now(), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.since.store(IDLE, Ordering::Relaxed);
    }

    /// Whether a statement was refused for more than what it was to write.
    pub(super) fn has_erred(&self) -> bool {
        self.has_erred.load(Ordering::Relaxed)
    }

    pub(super) fn forget_errors(&self) {
        self.has_erred.store(false, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.since.load(Ordering::Relaxed) == IDLE
    }

    fn is_late(&self) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        since != IDLE && now().saturating_sub(since) > self.limit.load(Ordering::Relaxed)
    }
}

/// Diesel tells when a statement goes out, and when its answer is in.
pub(super) struct Statements(pub(super) Arc<Line>);

impl Instrumentation for Statements {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => self.0.begin(),
            InstrumentationEvent::FinishQuery { error, .. } => {
                self.0.end();
                let unknown = DatabaseErrorKind::Unknown;
                if matches!(error, Some(Error::DatabaseError(kind, _)) if *kind == unknown) {
                    self.0.has_erred.store(true, Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }
}

/// Never [`IDLE`].
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    milliseconds(START.elapsed()) + 1
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn watch(new: &Receiver<Weak<Line>>) {
    let mut lines: Vec<Weak<Line>> = Vec::new();
    loop {
        match new.recv_timeout(TICK) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        lines.retain(|line| line.strong_count() > 0);
        end_late(lines.iter().filter_map(Weak::upgrade).collect());
    }
}

/// Ends those that wait too long, and with them those that nobody uses: they
/// lead to the same place, and whoever took one would be the next to wait.
fn end_late(mut lines: Vec<Arc<Line>>) {
    let late = lines.iter().filter(|line| line.is_late()).count();
    if late == 0 {
        return;
    }
    lines.retain(|line| line.is_late() || line.is_idle());
    match shut(&lines.iter().map(|line| line.mark).collect::<Vec<_>>()) {
        Ok(ended) => tracing::warn!(late, ended, "PostgreSQL does not answer: connections ended"),
        Err(error) => tracing::error!(
            late,
            %error,
            "PostgreSQL does not answer, and its connections cannot be ended: \
             allow this process the system call pidfd_getfd"
        ),
    }
    // Each is told of once.
    lines.iter().for_each(|line| line.end());
}

/// Shuts our sockets that have one of these marks, and counts them.
#[cfg(target_os = "linux")]
fn shut(marks: &[u32]) -> io::Result<usize> {
    use rustix::net::{Shutdown, shutdown, sockopt::tcp_user_timeout};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let us = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut ended = 0;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        let is_socket =
            std::fs::read_link(&path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let (true, Some(number)) = (is_socket, number) else {
            continue;
        };
        // A descriptor of our own: the number may be another's by now.
        let socket = match pidfd_getfd(&us, number, PidfdGetfdFlags::empty()) {
            Err(rustix::io::Errno::BADF) => continue,
            socket => socket?,
        };
        if tcp_user_timeout(&socket).is_ok_and(|mark| marks.contains(&mark)) {
            // It fails if the other side was quicker.
            ended += usize::from(shutdown(&socket, Shutdown::Both).is_ok());
        }
    }
    Ok(ended)
}

#[cfg(not(target_os = "linux"))]
fn shut(_marks: &[u32]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};

    use rustix::net::sockopt::set_tcp_user_timeout;

    use super::*;

    /// A connection to somebody who never says anything.
    fn connect(listener: &TcpListener, line: &Line) -> TcpStream {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set_tcp_user_timeout(&stream, line.mark()).unwrap();
        stream
    }

    #[test]
    fn who_waits_too_long_is_ended_and_the_idle_with_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let watch = Watch::start().unwrap();
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(3600));
        let lines = [short, long, long].map(|limit| watch.line(limit));
        let [mut late, mut idle, mut busy] = [0, 1, 2].map(|n| connect(&listener, &lines[n]));
        lines[2].begin();
        lines[0].begin();
        for ended in [&mut late, &mut idle] {
            assert_eq!(ended.read(&mut [0]).unwrap(), 0);
        }
        busy.set_read_timeout(Some(2 * TICK)).unwrap();
        let kind = busy.read(&mut [0]).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::WouldBlock, "it may go on waiting");
    }

    #[test]
    fn who_was_answered_in_time_is_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let watch = Watch::start().unwrap();
        let line = watch.line(3 * TICK);
        let mut stream = connect(&listener, &line);
        stream.set_read_timeout(Some(2 * TICK)).unwrap();
        for _ in 0..4 {
            line.begin();
            let kind = stream.read(&mut [0]).unwrap_err().kind();
            assert_eq!(kind, ErrorKind::WouldBlock);
            line.end();
        }
    }
}
