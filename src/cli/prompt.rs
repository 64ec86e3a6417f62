//! Questions to a person, and answers from a script.

use std::io::{IsTerminal, Write};

use super::error::CliError;
use django_auth::password::validation::{Owner, Policy, Problem};

/// For a script's password: everybody on the machine can read command lines.
pub(super) const PASSWORD_VARIABLE: &str = "PORTCULLIS_USER_PASSWORD";

/// Asks for a line; fails at once without a terminal.
pub(super) fn ask(question: &str) -> Result<String, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::message(format!(
            "there is no terminal to ask for the {}; give it as an option, with --no-input",
            question.to_lowercase()
        )));
    }
    print!("{question}: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Tries to type an acceptable password, as in Django's `changepassword`.
const MAX_TRIES: usize = 3;

/// A new password for `owner` that `policy` takes: from the environment, or asked for
/// twice. Unlike Django's `createsuperuser`, it lets neither a script nor a person
/// bypass the policy.
pub(super) fn new_password(
    no_input: bool,
    policy: &Policy,
    owner: &Owner<'_>,
) -> Result<String, CliError> {
    match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) => checked(password, policy, owner),
        Err(_) if no_input || !std::io::stdin().is_terminal() => Err(CliError::message(format!(
            "{PASSWORD_VARIABLE}: not set; --no-input takes the password from it"
        ))),
        Err(_) => {
            for _ in 0..MAX_TRIES {
                match typed().and_then(|password| checked(password, policy, owner)) {
                    Err(CliError::Message(problem)) => writeln!(std::io::stderr(), "{problem}")?,
                    done => return done,
                }
            }
            Err(CliError::message(format!(
                "no password after {MAX_TRIES} tries; nothing was changed"
            )))
        }
    }
}

fn typed() -> Result<String, CliError> {
    let first = rpassword::prompt_password("Password: ")?;
    if rpassword::prompt_password("Password (again): ")? == first {
        Ok(first)
    } else {
        Err(CliError::message("The two passwords are not the same."))
    }
}

fn checked(password: String, policy: &Policy, owner: &Owner<'_>) -> Result<String, CliError> {
    let problems = policy.problems(&password, owner);
    if problems.is_empty() {
        return Ok(password);
    }
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    Err(CliError::message(lines.join("\n")))
}
