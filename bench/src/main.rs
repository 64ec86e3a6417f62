//! Measures the release binary from outside, as its users meet it: by HTTP and by
//! the rows in its database. `bench/run` builds what it needs and starts it.

mod capacity;
mod checks;
mod compare;
mod django;
mod hashes;
mod http;
mod keys;
mod load;
mod logins;
mod memory;
mod plot;
mod process;
mod report;
mod seed;
mod server;
mod stats;
mod storm;
mod writes;

use std::{env, fs, path::Path};

use anyhow::{Result, bail};

use report::Report;

/// How long and how large.
pub struct Plan {
    pub quick: bool,
    pub rounds: usize,
    /// Of one subject in one round.
    pub seconds: u64,
    /// Users, on SQLite.
    pub sizes: Vec<usize>,
}

impl Plan {
    fn full() -> Self {
        Self {
            quick: false,
            rounds: 5,
            seconds: 3,
            sizes: vec![1000, 10_000, 100_000, 1_000_000],
        }
    }

    /// For trying: its figures are no measurement.
    fn quick() -> Self {
        Self {
            quick: true,
            rounds: 2,
            seconds: 1,
            sizes: vec![1000, 10_000],
        }
    }
}

type Part = fn(&Plan, &Path, &mut Report) -> Result<()>;
const PARTS: [(&str, Part); 7] = [
    ("compare", compare::run),
    ("checks", checks::run),
    ("storm", storm::run),
    ("writes", writes::run),
    ("memory", memory::run),
    ("django", django::run),
    ("capacity", capacity::run),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut plan = Plan::full();
    let mut wanted = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => plan = Plan::quick(),
            "--users" => match words
                .next()
                .map(|users| users.split(',').map(str::parse).collect())
            {
                Some(Ok(sizes)) => plan.sizes = sizes,
                _ => bail!("--users takes numbers, such as 1000,1000000"),
            },
            name => match PARTS.iter().find(|(part, _)| *part == name) {
                Some(part) => wanted.push(part),
                None => bail!(
                    "no part '{name}'; there are: {}",
                    PARTS.map(|(part, _)| part).join(" ")
                ),
            },
        }
    }
    if wanted.is_empty() {
        // To compare takes a second binary.
        wanted.extend(PARTS.iter().filter(|(name, _)| *name != "compare"));
    }

    let said: String = arguments.iter().map(|word| format!(" {word}")).collect();
    let mut report = Report::new(Path::new("results"), &said)?;
    // Not below /tmp, which may be memory: a commit must reach a disk.
    let work = env::current_dir()?.join(format!("target/work-{}", run_id()));
    fs::create_dir_all(&work)?;
    let ran = wanted.iter().try_for_each(|(name, part)| {
        eprintln!("\n==> {name}");
        part(&plan, &work, &mut report)
    });
    // Also after a failure, to save what was measured by then.
    report.finish()?;
    fs::remove_dir_all(&work)?;
    ran
}

/// Tells our folders and databases from those of another run; `bench/run` sets
/// it, to clean up after a run that was stopped.
pub fn run_id() -> String {
    env::var("BENCH_RUN").unwrap_or_else(|_| std::process::id().to_string())
}
