//! The release binary, as it is used: started by its command line, and spoken to
//! over HTTP.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{http::Client, process};

pub const SECRET: &str = "the-secret-key-of-the-benchmark-which-guards-nothing-at-all";
pub const PASSWORD: &str = "plinth-otter-42-veranda";

/// A setting of the server and its value.
pub type Setting<'a> = (&'a str, &'a str);

/// The binary that is measured: `BENCH_BINARY`, or the repository's release.
pub fn binary() -> PathBuf {
    env::var_os("BENCH_BINARY").map_or_else(|| "../target/release/portcullis".into(), PathBuf::from)
}

/// Runs the binary with these settings and none of the caller's.
pub fn command(database: &str, settings: &[Setting]) -> Command {
    command_of(&binary(), database, settings)
}

fn command_of(binary: &Path, database: &str, settings: &[Setting]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars() {
        if name.starts_with("PORTCULLIS_") {
            command.env_remove(name);
        }
    }
    command
        .env("DATABASE_URL", database)
        .env("PORTCULLIS_SECRET_KEY", SECRET)
        .env("PORTCULLIS_BIND", "127.0.0.1:0")
        // One machine plays all clients, and gives each an address of its own: the
        // throttle and the hashing queue tell them apart.
        .env("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    command
}

/// A running server; dropping it ends it.
pub struct Server {
    child: Child,
    /// Stays open: the server may still write.
    _stdout: BufReader<ChildStdout>,
    log: PathBuf,
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub start: Duration,
}

impl Server {
    pub fn start(work: &Path, database: &str, settings: &[Setting]) -> Result<Self> {
        Self::start_binary(&binary(), work, database, settings)
    }

    /// The same, of another binary.
    pub fn start_binary(
        binary: &Path,
        work: &Path,
        database: &str,
        settings: &[Setting],
    ) -> Result<Self> {
        let log = work.join("server.log");
        let started = Instant::now();
        let mut child = command_of(binary, database, settings)
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{} does not start; build it first", binary.display()))?;
        let mut stdout = BufReader::new(child.stdout.take().context("no output to read")?);
        let address = match read_address(&mut stdout) {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(error.context(said));
            }
        };
        let mut server = Self {
            child,
            _stdout: stdout,
            log,
            address,
            start: Duration::ZERO,
        };
        let status = Client::new(address).get("/healthz", "")?.status;
        server.start = started.elapsed();
        ensure!(status == 200, "/healthz answers {status}");
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn cpu_seconds(&self) -> Result<f64> {
        process::cpu_seconds(self.pid())
    }

    /// Lines of the log that hold one of these words.
    pub fn logged(&self, words: &[&str]) -> Result<usize> {
        let log = fs::read_to_string(&self.log)?.to_ascii_lowercase();
        Ok(log
            .lines()
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The databases are thrown away, so nothing has to be put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It listens on a port that the system chose, and says which.
fn read_address(stdout: &mut impl BufRead) -> Result<SocketAddr> {
    let mut line = String::new();
    while stdout.read_line(&mut line)? > 0 {
        if let Some(address) = line.trim().strip_prefix("Portcullis listens on ") {
            return address.parse().context("its address is none");
        }
        line.clear();
    }
    bail!("the server ended before it listened")
}
