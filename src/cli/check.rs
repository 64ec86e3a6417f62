//! `portcullis check`: the effective settings, and what is wrong with them
//! (`docs/deployment.md` lists that). It makes no file and runs no migration.

mod database;
mod deploy;
mod files;
mod finding;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use self::finding::Severity;
use super::error::CliError;
use crate::settings::Settings;

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Also name the settings that are unsafe in production
    #[arg(long)]
    deploy: bool,
}

/// Exit code 1 if there is a warning. `config`, the settings file, may be missing.
pub(super) async fn check(
    settings: &Settings,
    config: &Path,
    args: &CheckArgs,
) -> Result<ExitCode, CliError> {
    for (key, value, origin) in settings.describe() {
        println!(
            "{key:34} {:40} {origin}",
            if value.is_empty() { "-" } else { &value }
        );
    }
    println!();
    // Files first, as opening a database makes files beside it. A database that is
    // down hides no other finding.
    let mut findings = Vec::new();
    if args.deploy {
        findings.extend(deploy::findings(settings));
        findings.extend(files::findings(settings, config));
    }
    let in_database = database::findings(settings, args.deploy).await;
    for finding in findings.iter().chain(in_database.iter().flatten()) {
        println!("{finding}");
    }
    findings.extend(in_database?);
    let is_warning = |finding: &finding::Finding| finding.severity == Severity::Warning;
    if findings.iter().any(is_warning) {
        return Ok(ExitCode::FAILURE);
    }
    println!("no problems found");
    Ok(ExitCode::SUCCESS)
}
