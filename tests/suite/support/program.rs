//! The `portcullis` program itself, as a person or a script runs it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::app::SECRET_KEY;
use super::database::TestDatabase;
use super::{PATIENCE, secrets};

/// The program with an environment of its own, in a folder of its own.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// The program on a test's database, on a free port, with the cheapest hashes.
pub fn program_on(database: &TestDatabase, folder: &Path) -> Command {
    let mut command = program(folder);
    command
        .env("DATABASE_URL", database.url())
        .env("PORTCULLIS_BIND", "127.0.0.1:0")
        .env("PORTCULLIS_SECRET_KEY", SECRET_KEY)
        .env("PORTCULLIS_PASSWORD_COST", "4");
    command
}

/// Kills a process that hangs, unless it is called off before.
struct Watchdog {
    called_off: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    fn of(process: &Child) -> Self {
        let id = process.id().to_string();
        let (called_off, waiting) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &id]).status();
            }
        });
        Self {
            called_off: Some(called_off),
            thread: Some(thread),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.called_off.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Finished {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let watchdog = Watchdog::of(&child);
    let output = child.wait_with_output().expect("its output");
    drop(watchdog);
    secrets::add_to_log(&output.stderr);
    assert!(
        output.status.code().is_some(),
        "{command:?} had to be killed"
    );
    Finished(output)
}

/// What it said, and how it ended.
pub struct Finished(Output);

impl Finished {
    pub fn code(&self) -> i32 {
        self.0.status.code().expect("an exit code")
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Succeeds, or shows why not.
    pub fn ok(self) -> Self {
        assert_eq!(self.code(), 0, "{}{}", self.stdout(), self.stderr());
        self
    }

    /// The one line that it failed with.
    pub fn failure(&self) -> String {
        let text = self.stderr();
        assert_eq!(self.code(), 1, "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1, "one line: {text}");
        assert!(text.starts_with("portcullis: "), "{text}");
        lines[0].to_owned()
    }
}

/// `portcullis serve` on a free port, ended with the value.
pub struct Serving {
    pub process: Child,
    pub port: u16,
    /// What it printed before it began to answer.
    pub printed: String,
    /// What it logs, unless the command has a place for that.
    log: Option<File>,
    // Kept open: a program is not to notice that nobody reads on.
    _stdout: BufReader<ChildStdout>,
}

impl Serving {
    /// Starts it and waits until it says where it listens, and all that goes
    /// with that.
    pub fn start(command: &mut Command, last_line: &str) -> Self {
        let log = tempfile::tempfile().expect("the log");
        command
            .env("PORTCULLIS_LOG", "trace")
            .stderr(log.try_clone().expect("the log"));
        let mut serving = Self::start_quietly(command, last_line);
        serving.log = Some(log);
        serving
    }

    /// The same, with whatever log the command has.
    pub fn start_quietly(command: &mut Command, last_line: &str) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the program");
        let watchdog = Watchdog::of(&process);
        let mut stdout = BufReader::new(process.stdout.take().expect("its output"));
        let mut printed = String::new();
        let mut line = String::new();
        while !line.contains(last_line) {
            line.clear();
            if stdout.read_line(&mut line).expect("a line") == 0 {
                break;
            }
            printed.push_str(&line);
        }
        drop(watchdog);
        let (_, rest) = printed
            .split_once("127.0.0.1:")
            .unwrap_or_else(|| panic!("it does not serve: {printed}"));
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let port = port.parse().expect("a port");
        Self {
            process,
            port,
            printed,
            log: None,
            _stdout: stdout,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits for its end; `None` if it had to be killed.
    pub fn exit_code(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a process") {
                return status.code();
            }
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name, as `kill` does.
    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(mut log) = self.log.take() {
            let mut text = Vec::new();
            log.rewind().expect("the log");
            log.read_to_end(&mut text).expect("the log");
            secrets::add_to_log(&text);
        }
    }
}
