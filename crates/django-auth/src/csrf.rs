//! Django's CSRF tokens: a secret in a cookie, and under a fresh mask in every page.
//!
//! ```text
//! masked  = mask (32) ++ cipher (32), all of a-zA-Z0-9
//! cipher  = A[(index(secret[i]) + index(mask[i])) mod 62],  A = a-zA-Z0-9
//! ```
//!
//! The mask hides the secret from attacks on compressed answers (BREACH).

use rand::{CryptoRng, Rng};
use subtle::ConstantTimeEq;

use crate::random::random_string;

/// Django's name for the cookie that holds the secret.
pub const COOKIE_NAME: &str = "csrftoken";
/// Django's name for the form field that holds the masked secret.
pub const FIELD_NAME: &str = "csrfmiddlewaretoken";

const SECRET_LENGTH: usize = 32;
const TOKEN_LENGTH: usize = 2 * SECRET_LENGTH;
const ALPHABET_SIZE: u8 = 62;

/// A secret or a mask, as indices into the alphabet (each below 62).
type Indices = [u8; SECRET_LENGTH];

/// Why a text cannot be a token; the words are Django's, to go after
/// `CSRF cookie ` or `CSRF token from … `.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Neither 32 nor 64 characters.
    #[error("has incorrect length.")]
    IncorrectLength,
    /// A character outside `[a-zA-Z0-9]`.
    #[error("has invalid characters.")]
    InvalidCharacters,
}

/// A new secret for the cookie: 32 of `[a-zA-Z0-9]`, 190 bits.
pub fn new_secret(rng: &mut (impl CryptoRng + ?Sized)) -> String {
    random_string(SECRET_LENGTH, rng)
}

/// The secret under a fresh mask, 64 characters, for a form or a header.
///
/// `secret` is the cookie's value: 32 characters, or the 64 of an old masked cookie.
/// For anything else the token matches nothing.
pub fn mask(secret: &str, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let secret = secret_of(secret).unwrap_or_else(|| random_indices(rng));
    mask_with(&secret, &random_indices(rng))
}

/// Whether `token` could be one, masked or not.
///
/// # Errors
///
/// Django's complaint: of length, in characters, before the characters themselves.
pub fn check_format(token: &str) -> Result<(), FormatError> {
    if !matches!(token.chars().count(), SECRET_LENGTH | TOKEN_LENGTH) {
        return Err(FormatError::IncorrectLength);
    }
    if token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(FormatError::InvalidCharacters)
    }
}

/// Whether what was sent holds the cookie's secret; each may be masked or not.
///
/// Takes the same time wherever they differ. False if either is malformed.
pub fn matches(sent: &str, cookie: &str) -> bool {
    let secrets = secret_of(sent).zip(secret_of(cookie));
    secrets.is_some_and(|(sent, cookie)| sent.ct_eq(&cookie).into())
}

fn secret_of(token: &str) -> Option<Indices> {
    let (first, second) = match token.len() {
        SECRET_LENGTH => return indices(token.as_bytes()),
        TOKEN_LENGTH => token.as_bytes().split_at_checked(SECRET_LENGTH)?,
        _ => return None,
    };
    let mut secret = indices(second)?;
    for (index, mask) in secret.iter_mut().zip(indices(first)?) {
        *index = (*index + ALPHABET_SIZE - mask) % ALPHABET_SIZE;
    }
    Some(secret)
}

fn mask_with(secret: &Indices, mask: &Indices) -> String {
    let cipher = secret
        .iter()
        .zip(mask)
        .map(|(secret, mask)| (secret + mask) % ALPHABET_SIZE);
    mask.iter().copied().chain(cipher).map(character).collect()
}

fn random_indices(rng: &mut (impl CryptoRng + ?Sized)) -> Indices {
    std::array::from_fn(|_| rng.random_range(0..ALPHABET_SIZE))
}

fn indices(text: &[u8]) -> Option<Indices> {
    let mut indices = Indices::try_from(text).ok()?;
    for byte in &mut indices {
        *byte = index_of(*byte)?;
    }
    Some(indices)
}

/// Arithmetic instead of a table: no memory access depends on the secret.
fn index_of(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(byte - b'a'),
        b'A'..=b'Z' => Some(byte - b'A' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        _ => None,
    }
}

fn character(index: u8) -> char {
    char::from(match index {
        0..26 => b'a' + index,
        26..52 => b'A' + (index - 26),
        _ => b'0' + (index - 52) % 10,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vectors;

    #[test]
    fn masked_tokens_are_djangos() {
        let rows = vectors::rows("csrf");
        assert_eq!(rows.len(), 3);

        for row in &rows {
            let secret = vectors::text(row, "secret (the csrftoken cookie)");
            let mask = vectors::text(row, "mask");
            let token = vectors::text(row, "masked token");
            let [plain, masked] = [secret, mask].map(|text| indices(text.as_bytes()).unwrap());

            assert_eq!(mask_with(&plain, &masked), token);
            assert!(matches(token, secret));
            assert!(matches(secret, token));
            assert!(matches(token, token));
        }
    }

    #[test]
    fn formats_are_refused_in_djangos_words() {
        let long = "a".repeat(64);
        for (token, expected) in [
            ("", Err(FormatError::IncorrectLength)),
            (&long[..31], Err(FormatError::IncorrectLength)),
            (&long[..63], Err(FormatError::IncorrectLength)),
            (&long[..32], Ok(())),
            (&long, Ok(())),
            (
                &format!("{}-", &long[..31]),
                Err(FormatError::InvalidCharacters),
            ),
            (&"é".repeat(32), Err(FormatError::InvalidCharacters)),
            (&"é".repeat(16), Err(FormatError::IncorrectLength)),
        ] {
            assert_eq!(check_format(token), expected, "{token}");
        }
        assert_eq!(
            FormatError::IncorrectLength.to_string(),
            "has incorrect length."
        );
        assert_eq!(
            FormatError::InvalidCharacters.to_string(),
            "has invalid characters."
        );
    }

    #[test]
    fn malformed_tokens_match_nothing_not_even_themselves() {
        let (short, dirty) = ("a".repeat(31), "-".repeat(32));
        for token in ["", short.as_str(), dirty.as_str(), &"é".repeat(32)] {
            assert!(!matches(token, token), "{token}");
            assert!(!matches(&mask(token, &mut rand::rng()), token), "{token}");
            let masked = mask(token, &mut rand::rng());
            assert_eq!(check_format(&masked), Ok(()));
            assert!(!matches(&masked, &"a".repeat(32)), "{token}");
        }
    }

    proptest! {
        #[test]
        fn a_masked_secret_matches_its_secret_alone(
            secret in "[a-zA-Z0-9]{32}", other in "[a-zA-Z0-9]{32}",
        ) {
            let rng = &mut rand::rng();
            let token = mask(&secret, rng);
            prop_assert_eq!(check_format(&token), Ok(()));
            prop_assert_eq!(token.len(), 64);
            prop_assert!(matches(&token, &secret));
            prop_assert!(matches(&mask(&token, rng), &secret));
            prop_assert!(token != mask(&secret, rng));
            prop_assert_eq!(matches(&token, &other), secret == other);
        }

        #[test]
        fn any_text_is_compared_without_panic(sent in any::<String>(), cookie in "\\PC{32}|\\PC{64}") {
            let _ = matches(&sent, &cookie);
            let _ = matches(&cookie, &sent);
            let _ = check_format(&sent);
        }
    }

    #[test]
    fn new_secrets_are_well_formed_and_differ() {
        let [one, two] = [(), ()].map(|()| new_secret(&mut rand::rng()));

        assert_eq!(one.len(), 32);
        assert_eq!(check_format(&one), Ok(()));
        assert_ne!(one, two);
    }
}
