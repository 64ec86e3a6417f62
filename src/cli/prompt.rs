//! Questions to a person, and answers from a script.

use std::io::{IsTerminal, Write};

use super::CliError;

/// Where a script puts a password: never on the command line, which everybody
/// on the machine can read.
pub(super) const PASSWORD_VARIABLE: &str = "PORTCULLIS_USER_PASSWORD";

/// Asks for a line; fails at once where there is nobody to ask.
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

/// A new password: from the environment, or asked for twice.
pub(super) fn new_password(no_input: bool) -> Result<String, CliError> {
    let password = match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) => password,
        Err(_) if no_input || !std::io::stdin().is_terminal() => {
            return Err(CliError::message(format!(
                "{PASSWORD_VARIABLE}: not set; --no-input takes the password from it"
            )));
        }
        Err(_) => {
            let first = rpassword::prompt_password("Password: ")?;
            if rpassword::prompt_password("Password (again): ")? != first {
                return Err(CliError::message("the two passwords are not the same"));
            }
            first
        }
    };
    let longest = crate::auth::credentials::MAX_PASSWORD_BYTES;
    match password.len() {
        0 => Err(CliError::message("the password is empty")),
        length if length > longest => Err(CliError::message(format!(
            "the password is longer than {longest} bytes"
        ))),
        _ => Ok(password),
    }
}
