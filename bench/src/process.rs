//! What the system tells of a process.

use std::{env, ffi::OsString, fs, path::PathBuf};

use anyhow::{Context, Result};

/// The unit of `/proc/PID/stat` on every Linux that Rust has a target for.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of CPU that a process and its living children have used.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    // The name is in brackets and may hold anything; user and system time are
    // the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut seconds = ticks / TICKS_A_SECOND;
    for child in children.split_whitespace() {
        seconds += cpu_seconds(child.parse()?)?;
    }
    Ok(seconds)
}

/// Megabytes of a process.
#[derive(Clone, Copy)]
pub struct Memory {
    /// All that is resident, mapped files included.
    pub resident: f64,
    /// Its own: the pages that belong to no file. A database that is mapped into
    /// memory is the system's cache, and is given back when others need room.
    pub private: f64,
}

pub fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let megabytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes
            .map(|k| k / 1024.0)
            .with_context(|| format!("no {name} in smaps_rollup"))
    };
    Ok(Memory {
        resident: megabytes("Rss:")?,
        private: megabytes("Anonymous:")?,
    })
}

/// Seconds of CPU of the threads whose names begin like that, to the nanosecond.
pub fn thread_seconds(pid: u32, name: &str) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.starts_with(name) {
            let times = fs::read_to_string(task.join("schedstat"))?;
            nanoseconds += times
                .split(' ')
                .next()
                .context("schedstat is empty")?
                .parse::<f64>()?;
        }
    }
    Ok(nanoseconds / 1e9)
}

/// The Python that has `bench/django/requirements.txt`.
pub fn python() -> Result<PathBuf> {
    let python: OsString =
        env::var_os("BENCH_PYTHON").context("set BENCH_PYTHON, or use bench/run")?;
    Ok(python.into())
}
