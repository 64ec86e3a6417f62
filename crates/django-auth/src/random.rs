//! Django's random texts: letters and digits from a cryptographic generator.

use rand::{CryptoRng, Rng, distr::Alphanumeric};

/// `length` characters of `[a-zA-Z0-9]`, each equally likely (5.95 bits each).
pub fn random_string(length: usize, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    (0..length)
        .map(|_| char::from(rng.sample(Alphanumeric)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn uses_all_62_characters_and_no_other() {
        let text = random_string(10_000, &mut rand::rng());

        assert_eq!(text.len(), 10_000);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(text.bytes().collect::<HashSet<_>>().len(), 62);
    }
}
