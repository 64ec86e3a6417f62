//! `portcullis check`: the effective settings, and what is wrong with them.
//!
//! It changes nothing: it makes no file and runs no migration. `docs/deployment.md`
//! lists what it says about unsafe settings.

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

/// Exit code 1 if there is a warning; `config` is the file of settings, which
/// need not be there.
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
    // The files first, because opening a database makes files beside it. A database
    // that is away hides none of the other findings.
    let mut findings = Vec::new();
    if args.deploy {
        findings.extend(deploy::findings(settings));
        findings.extend(files::findings(settings, config));
    }
    let failure = match database::findings(settings, args.deploy).await {
        Ok(found) => {
            findings.extend(found);
            None
        }
        Err(error) => Some(error),
    };
    for finding in &findings {
        println!("{finding}");
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let is_warning = |finding: &finding::Finding| finding.severity == Severity::Warning;
    if findings.iter().any(is_warning) {
        return Ok(ExitCode::FAILURE);
    }
    println!("no problems found");
    Ok(ExitCode::SUCCESS)
}
