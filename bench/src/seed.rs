//! Databases of many users, each with a token and a session.
//!
//! The server makes the tables and one password hash; the rows then go in by the
//! databases' own bulk loads, which read CSV.

use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    keys::{Keys, Storage},
    server::{self, PASSWORD, SECRET, Setting},
};

/// Which of the two database systems.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum System {
    Sqlite,
    Postgres,
}

/// What a database is to hold.
pub struct Content<'a> {
    pub users: usize,
    pub storage: Storage,
    /// The hasher and cost of everybody's password.
    pub hasher: Setting<'a>,
    pub cost: Setting<'a>,
}

/// A seeded database; a PostgreSQL one is dropped with it.
pub struct Database {
    pub url: String,
    pub users: usize,
    /// Where each key's file for wrk is.
    folder: PathBuf,
    keys: Keys,
    system: System,
}

pub const BCRYPT: Setting = ("PORTCULLIS_PASSWORD_HASHER", "bcrypt_sha256");
pub const BCRYPT_COST: Setting = ("PORTCULLIS_PASSWORD_COST", "12");
pub const PBKDF2: Setting = ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256");
pub const PBKDF2_COST: Setting = ("PORTCULLIS_PASSWORD_COST", "1000000");
pub const LEAST_COST: Setting = ("PORTCULLIS_PASSWORD_COST", "1");

impl Content<'_> {
    /// The server's defaults.
    pub fn of(users: usize) -> Self {
        Self {
            users,
            storage: Storage::Sealed,
            hasher: BCRYPT,
            cost: BCRYPT_COST,
        }
    }
}

impl Database {
    /// Makes it in a folder of that name below `work`.
    pub fn seed(work: &Path, name: &str, system: System, content: &Content) -> Result<Self> {
        eprintln!("seeding {name}: {} users", content.users);
        let folder = work.join(name);
        fs::create_dir_all(&folder)?;
        let url = match system {
            System::Sqlite => format!("sqlite://{}", folder.join("bench.db").display()),
            System::Postgres => create_postgres(name)?,
        };
        // From here on it is dropped, whatever fails.
        let mut database = Self {
            url,
            users: content.users,
            folder,
            keys: Keys::new(content.storage, SECRET, ""),
            system,
        };
        let hash = database.prepare(content)?;
        database.keys = Keys::new(content.storage, SECRET, &hash);
        database.fill(&hash)?;
        database.settle()?;
        Ok(database)
    }

    /// What that user's client shows.
    pub fn token(&self, user: usize) -> String {
        self.keys.token(user)
    }

    pub fn session(&self, user: usize) -> String {
        self.keys.session(user)
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    pub fn session_file(&self) -> PathBuf {
        self.folder.join("sessions")
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        self.folder.join("bench.db")
    }

    /// The tables, empty, and the hash of the one password.
    fn prepare(&self, content: &Content) -> Result<String> {
        let settings = [
            content.hasher,
            content.cost,
            ("PORTCULLIS_STORAGE", content.storage.name()),
        ];
        run(server::command(&self.url, &settings).arg("migrate"))?;
        run(server::command(&self.url, &settings)
            .env("PORTCULLIS_USER_PASSWORD", PASSWORD)
            .args(["createuser", "--no-input", "--username", "first"]))?;
        let hash = self.sql("SELECT password FROM accounts_customuser")?;
        self.sql("DELETE FROM portcullis_event; DELETE FROM accounts_customuser")?;
        Ok(hash.trim().to_owned())
    }

    fn fill(&mut self, hash: &str) -> Result<()> {
        let now = "2026-01-02 03:04:05.678901";
        let zone = if self.system == System::Postgres {
            "+00"
        } else {
            ""
        };
        self.load("accounts_customuser", |_, user, to| {
            // password, last_login, is_superuser, the names, …: Django's order.
            writeln!(
                to,
                "{user},\"{hash}\",{now}{zone},0,bench{user},Bench,User {user},bench{user}@example.org,0,1,{now}{zone}"
            )
        })?;

        let mut tokens = BufWriter::new(File::create(self.token_file())?);
        self.load("authtoken_token", |keys, user, to| {
            let token = keys.token(user);
            tokens.write_all(token.as_bytes())?;
            writeln!(to, "{},{now}{zone},{user}", keys.token_row(&token))
        })?;
        tokens.flush()?;

        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut sessions = BufWriter::new(File::create(self.session_file())?);
        self.load("django_session", |keys, user, to| {
            let session = keys.session(user);
            sessions.write_all(session.as_bytes())?;
            let data = keys.session_data(user, seconds);
            writeln!(
                to,
                "{},{data},2099-01-01 00:00:00{zone}",
                keys.session_row(&session)
            )
        })?;
        sessions.flush()?;
        Ok(())
    }

    /// Loads one line of CSV a user.
    fn load(
        &mut self,
        table: &str,
        mut line: impl FnMut(&mut Keys, usize, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<()> {
        let mut command = match self.system {
            System::Sqlite => {
                let mut command = Command::new("sqlite3");
                command
                    .args([
                        "-bail",
                        "-cmd",
                        "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000",
                    ])
                    .arg(self.file())
                    .arg(format!(".import --csv /dev/stdin {table}"));
                command
            }
            System::Postgres => {
                let mut command = psql(&self.url);
                command.args(["-c", &format!("COPY {table} FROM STDIN WITH (FORMAT csv)")]);
                command
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut to = BufWriter::new(child.stdin.take().context("no input to write")?);
        for user in 1..=self.users {
            line(&mut self.keys, user, &mut to)?;
        }
        to.flush()?;
        drop(to);
        ensure!(child.wait()?.success(), "loading {table} failed");
        let rows = self.sql(&format!("SELECT count(*) FROM {table}"))?;
        ensure!(
            rows.trim() == self.users.to_string(),
            "{table} has {rows} rows"
        );
        Ok(())
    }

    /// As after a quiet night: statistics taken, nothing left in the log.
    fn settle(&self) -> Result<()> {
        self.sql(match self.system {
            System::Sqlite => "ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)",
            System::Postgres => "VACUUM ANALYZE",
        })?;
        if self.system == System::Postgres {
            self.sql("CHECKPOINT")?;
        }
        Ok(())
    }

    /// What statements give, as the system's own client prints it.
    pub fn sql(&self, sql: &str) -> Result<String> {
        match self.system {
            System::Sqlite => run(Command::new("sqlite3")
                .arg("-bail")
                .arg(self.file())
                .arg(sql)),
            System::Postgres => run(psql(&self.url).args(["-c", sql])),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.system == System::Postgres
            && let Some((server, name)) = self.url.rsplit_once('/')
        {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            if let Err(error) = run(psql(&format!("{server}/postgres")).args(["-c", &drop])) {
                eprintln!("{name} could not be dropped: {error:#}");
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A database of our own on the server that `BENCH_POSTGRES` names.
fn create_postgres(name: &str) -> Result<String> {
    let server = env::var("BENCH_POSTGRES").context("set BENCH_POSTGRES, or use bench/run")?;
    let name = format!(
        "portcullis_bench_{}_{}",
        crate::run_id(),
        name.replace('-', "_")
    );
    run(psql(&format!("{server}/postgres")).args(["-c", &format!("CREATE DATABASE {name}")]))?;
    Ok(format!("{server}/{name}"))
}

fn psql(url: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["-XAtqw", "-v", "ON_ERROR_STOP=1", url]);
    command
}

/// Its output; an error if it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} does not start"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}
