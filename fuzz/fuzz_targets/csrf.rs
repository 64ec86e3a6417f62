//! CSRF tokens, masked and not: what was sent, and below it the cookie.
#![no_main]

use django_auth::csrf::{check_format, mask, matches};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fuzz_target!(|text: &str| {
    let (sent, cookie) = text.split_once('\n').unwrap_or((text, text));
    let same = secret(sent).is_some() && secret(sent) == secret(cookie);
    assert_eq!(matches(sent, cookie), same);
    assert_eq!(matches(cookie, sent), same);
    assert_eq!(check_format(sent).is_ok(), secret(sent).is_some());

    let seed = text.bytes().map(u64::from).sum();
    let masked = mask(cookie, &mut StdRng::seed_from_u64(seed));
    assert!(masked.len() == 64 && check_format(&masked).is_ok());
    assert_eq!(matches(&masked, cookie), secret(cookie).is_some());
    // The mask is fresh: another one for the same secret looks otherwise.
    assert_ne!(masked, mask(cookie, &mut StdRng::seed_from_u64(seed + 1)));
});

/// Django's way: by looking characters up.
fn secret(token: &str) -> Option<String> {
    let places: Option<Vec<usize>> = token.chars().map(|c| ALPHABET.find(c)).collect();
    let places = places?;
    match places.len() {
        32 => Some(token.to_owned()),
        64 => {
            let (mask, cipher) = places.split_at(32);
            let pairs = cipher.iter().zip(mask);
            let at = |(cipher, mask): (&usize, &usize)| (cipher + 62 - mask) % 62;
            pairs
                .map(at)
                .map(|place| ALPHABET.chars().nth(place))
                .collect()
        }
        _ => None,
    }
}
