//! The table of docs/reliability.md.

use crate::drill::Tally;
use crate::support::database::Backend;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");
const END: &str = "\n<!-- the drills end -->";

/// What a row begins with: a fault and a database have one.
fn start(fault: &str, backend: &Backend) -> String {
    let database = match backend {
        Backend::Sqlite => "SQLite",
        Backend::Postgres(_) => "PostgreSQL",
    };
    format!("| {fault} | {database} |")
}

pub fn row(fault: &str, backend: &Backend, tally: &Tally) -> String {
    let seen = &tally.seen;
    let recovery = tally
        .recovery
        .map_or("–".to_owned(), |time| format!("{} ms", time.as_millis()));
    format!(
        "{} {} | {} | {} of {} | {} of {} | {} | {recovery} |",
        start(fault, backend),
        thousands(tally.rounds),
        thousands(seen.requests),
        seen.lost,
        thousands(seen.logins),
        seen.undone,
        thousands(seen.logouts),
        seen.other_5xx,
    )
}

/// Puts the row in the place of the one that is there, or after the last.
pub fn write(fault: &str, backend: &Backend, row: &str) {
    let start = start(fault, backend);
    let page = std::fs::read_to_string(PAGE).expect("docs/reliability.md");
    let page = match page.lines().find(|line| line.starts_with(&start)) {
        Some(old) => page.replace(old, row),
        None => page.replace(END, &format!("{row}\n{END}")),
    };
    std::fs::write(PAGE, page).expect("the page");
}

/// 1,000,000 is easier to read than 1000000.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
