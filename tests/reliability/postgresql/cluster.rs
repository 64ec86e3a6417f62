//! A PostgreSQL that may be stopped, frozen and killed: nobody else uses it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::network::Network;

/// Longest time that one of PostgreSQL's own programs may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One in a temporary folder, on a free port, gone when the value is dropped.
pub struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    address: Ipv4Addr,
    port: u16,
    network: Option<Network>,
}

impl Cluster {
    /// On this machine's loopback.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, None)
    }

    /// At the far end of a network of its own.
    pub fn start_in(network: Network) -> Self {
        Self::start_at(network.far(), Some(network))
    }

    fn start_at(address: Ipv4Addr, network: Option<Network>) -> Self {
        let cluster = Self {
            folder: tempfile::tempdir().expect("a folder"),
            programs: programs(),
            address,
            port: free_port(),
            network,
        };
        if is_root() {
            run(Command::new("chown")
                .arg("postgres")
                .arg(cluster.folder.path()));
        }
        run(cluster.program("initdb").args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]));
        let hba = cluster.data().join("pg_hba.conf");
        let rules = std::fs::read_to_string(&hba).expect("pg_hba.conf");
        std::fs::write(hba, format!("{rules}host all all samenet trust\n")).expect("pg_hba.conf");
        cluster.start_again();
        cluster
    }

    /// Where a program finds it.
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@{}:{}/postgres",
            self.address, self.port
        )
    }

    /// The same by its Unix socket.
    pub fn url_by_socket(&self) -> String {
        let folder = self.folder.path().to_str().expect("a path");
        format!(
            "postgres:///postgres?user=postgres&host={folder}&port={}",
            self.port
        )
    }

    /// The same database by way of a port of this machine's.
    pub fn url_by(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres")
    }

    pub fn address(&self) -> (Ipv4Addr, u16) {
        (self.address, self.port)
    }

    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("a network of its own")
    }

    /// A connection past the server that is being tested.
    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).expect("PostgreSQL answers")
    }

    /// Starts it, or starts it again, and says since when it answers.
    pub fn start_again(&self) -> Instant {
        let options = format!(
            "-p {} -c listen_addresses={} -c unix_socket_directories={} -c max_connections=50",
            self.port,
            self.address,
            self.folder.path().display()
        );
        let log = self.folder.path().join("log");
        run(self
            .program("pg_ctl")
            .args(["start", "-W", "-s", "-o", &options, "-l"])
            .arg(log));
        self.wait_until_it_answers()
    }

    pub fn wait_until_it_answers(&self) -> Instant {
        let url = format!("{}?connect_timeout=2", self.url());
        let end = Instant::now() + PATIENCE;
        while PgConnection::establish(&url).is_err() {
            assert!(Instant::now() < end, "PostgreSQL does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        Instant::now()
    }

    /// Stops it as `pg_ctl` does: `fast`, or `immediate`, which is a crash.
    pub fn stop(&self, mode: &str) {
        run(self
            .program("pg_ctl")
            .args(["stop", "-w", "-s", "-m", mode]));
    }

    /// Sends a signal to the first of its processes, and then to those that it
    /// has started.
    pub fn signal_all(&self, name: &str) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"));
        let first = file.ok().and_then(|text| text.lines().next()?.parse().ok());
        if let Some(first) = first {
            signal(first, name);
            let path = format!("/proc/{first}/task/{first}/children");
            let others = std::fs::read_to_string(path).expect("its children");
            for other in others.split_whitespace() {
                // Some end in the meantime.
                let _ = Command::new("kill").args(["-s", name, other]).output();
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs on this cluster, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let mut words: Vec<&str> = Vec::new();
        if let Some(network) = &self.network {
            words.extend(network.words());
        }
        if is_root() {
            words.extend(["runuser", "-u", "postgres", "--"]);
        }
        let program = self.programs.join(name);
        words.push(program.to_str().expect("a path"));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("-D").arg(self.data());
        command.current_dir("/");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self
            .program("pg_ctl")
            .args(["stop", "-w", "-s", "-m", "immediate"])
            .output();
    }
}

pub fn signal(id: u32, name: &str) {
    run(Command::new("kill").args(["-s", name, &id.to_string()]));
}

/// Runs a command that has to succeed.
pub fn run(command: &mut Command) {
    // Not piped: a daemon would hold the pipe open.
    let log = tempfile::NamedTempFile::new().expect("a file");
    let file = |log: &tempfile::NamedTempFile| log.reopen().expect("the file");
    let status = command.stdout(file(&log)).stderr(file(&log)).status();
    let is_good = status.as_ref().is_ok_and(|status| status.success());
    let said = std::fs::read_to_string(log.path()).unwrap_or_default();
    assert!(is_good, "{command:?}: {status:?}: {said}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Debian keeps them off the PATH, in a folder for each version.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let debian = debian.flatten().map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_initdb = |folder: &PathBuf| folder.join("initdb").is_file();
    let found = debian
        .chain(std::env::split_paths(&path))
        .find(has_initdb)
        .expect("PostgreSQL's initdb, which Debian's package postgresql brings");
    // A link to the program is not in the folder of the others.
    let real = Path::new(&found)
        .join("initdb")
        .canonicalize()
        .expect("initdb");
    real.parent().expect("a folder").to_owned()
}
