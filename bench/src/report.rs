//! What a run writes down: goals and figures, the tables behind them, the plots.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::Result;

use crate::{plot, seed::run, server};

/// One goal, and what was measured.
pub struct Row {
    pub what: String,
    pub goal: String,
    pub measured: String,
    /// `None` for a figure without a limit.
    pub met: Option<bool>,
}

pub struct Report {
    folder: PathBuf,
    heading: String,
    rows: Vec<Row>,
    sections: String,
}

impl Report {
    pub fn new(folder: &Path, arguments: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            heading: format!("`bench/run{arguments}`\n\n{}", machine()),
            rows: Vec::new(),
            sections: String::new(),
        })
    }

    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn section(&mut self, title: &str, text: &str) {
        eprintln!("\n{title}\n\n{text}");
        self.sections += &format!("\n## {title}\n\n{}\n", text.trim_end());
    }

    pub fn plot(
        &self,
        file: &str,
        title: &str,
        axes: (&str, &str),
        tick: impl Fn(f64) -> String,
        lines: &[plot::Line],
    ) -> Result<()> {
        plot::draw(&self.folder.join(file), title, axes, tick, lines)
    }

    /// Prints the goals, and writes everything to `latest.md`.
    pub fn finish(self) -> Result<()> {
        let mut goals =
            String::from("| what | goal | measured | met |\n| --- | --- | --- | --- |\n");
        for row in &self.rows {
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            goals += &format!(
                "| {} | {} | {} | {met} |\n",
                row.what, row.goal, row.measured
            );
        }
        println!("{goals}");
        let file = self.folder.join("latest.md");
        let text = format!(
            "# Measured\n\n{}\nFigures are medians of the rounds, (smallest–largest). Ratios are of \
             the same round.\n\n{goals}{}",
            self.heading, self.sections
        );
        fs::write(&file, text)?;
        println!(
            "All of it is in bench/{}, with the plots beside it.",
            file.display()
        );
        Ok(())
    }
}

/// The machine, the versions, and how busy it was before the run.
fn machine() -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output
            .map(|o| [o.stdout, o.stderr].concat())
            .unwrap_or_default();
        String::from_utf8_lossy(&output)
            .lines()
            .next()
            .unwrap_or("not there")
            .to_owned()
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = read("/proc/meminfo");
    let memory = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse::<f64>().ok());
    let system = read("/etc/os-release");
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let load = read("/proc/loadavg");
    let postgres = env::var("BENCH_POSTGRES").map_or(String::new(), |server| {
        let asked = run(Command::new("psql").args([
            "-XAtqw",
            &format!("{server}/postgres"),
            "-c",
            "SHOW server_version",
        ]));
        asked.unwrap_or_default().trim().to_owned()
    });
    let lines = [
        ("date", first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("CPU", cpu.map_or("", |(_, name)| name).to_owned()),
        (
            "cores",
            thread::available_parallelism()
                .map_or(0, usize::from)
                .to_string(),
        ),
        ("memory", format!("{:.0} GB", memory.unwrap_or(0.0) / 1e6)),
        (
            "system",
            format!(
                "{}, Linux {}",
                system.unwrap_or("").trim_matches('"'),
                read("/proc/sys/kernel/osrelease").trim()
            ),
        ),
        (
            "load average before",
            load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        ),
        (
            "commit",
            first_line("git", &["describe", "--always", "--dirty"]),
        ),
        ("Rust", first_line("rustc", &["--version"])),
        ("wrk", first_line("wrk", &["--version"])),
        ("PostgreSQL", postgres),
        ("binary", server::binary().display().to_string()),
    ];
    lines
        .iter()
        .map(|(name, value)| format!("- {name}: {value}\n"))
        .collect()
}
