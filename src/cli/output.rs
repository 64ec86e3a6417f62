//! Lines on standard output and standard error.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether output could not be written, for another reason than a closed pipe.
pub(super) static OUTPUT_IS_LOST: AtomicBool = AtomicBool::new(false);

pub(super) fn print_line(line: std::fmt::Arguments<'_>) {
    let is_lost = |error: &std::io::Error| error.kind() != std::io::ErrorKind::BrokenPipe;
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && is_lost(&error)
        && !OUTPUT_IS_LOST.swap(true, Ordering::Relaxed)
    {
        complain(&format!("cannot write to standard output: {error}"));
    }
}

/// Prints one line, even if a driver's message has several.
pub(super) fn complain(problem: &dyn std::fmt::Display) {
    let line = problem.to_string().replace('\n', " ");
    // If standard error fails too, the exit code is what is left.
    let _ = writeln!(std::io::stderr(), "portcullis: {line}");
}
