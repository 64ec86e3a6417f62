//! The table of docs/reliability.md.

use std::fmt::Write;

use crate::drill::Outcome;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");
const BEGIN: &str = "<!-- the drills begin -->\n";
const END: &str = "<!-- the drills end -->";

pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| fault | database | rounds | requests | answered logins lost | answered logouts undone \
         | 5xx other than 503 | longest time to recover |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for outcome in outcomes {
        let tally = &outcome.tally;
        let seen = &tally.seen;
        let recovery = tally
            .recovery
            .map_or("–".to_owned(), |time| format!("{} ms", time.as_millis()));
        writeln!(
            text,
            "| {} | {} | {} | {} | {} of {} | {} of {} | {} | {recovery} |",
            outcome.fault,
            outcome.database,
            thousands(tally.rounds),
            thousands(seen.requests),
            seen.lost,
            thousands(seen.logins),
            seen.undone,
            thousands(seen.logouts),
            seen.other_5xx,
        )
        .unwrap();
    }
    text
}

/// Puts the table where the page has it.
pub fn write(outcomes: &[Outcome]) {
    let page = std::fs::read_to_string(PAGE).expect("docs/reliability.md");
    let (before, rest) = page.split_once(BEGIN).expect("where the drills begin");
    let (_, after) = rest.split_once(END).expect("where the drills end");
    let table = markdown(outcomes);
    std::fs::write(PAGE, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("the page");
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
