//! What the encoded texts of all algorithms have in common.

use subtle::ConstantTimeEq;

/// In bytes. Django's column takes 128 characters, but tables may have been widened.
pub(super) const MAX_LENGTH: usize = 1024;

/// Characters of `[a-zA-Z0-9]` in a salt: the fewest with 128 bits.
pub(super) const SALT_LENGTH: usize = 22;

/// What follows `name$`.
pub(super) fn after_name<'a>(name: &str, encoded: &'a str) -> Option<&'a str> {
    encoded.strip_prefix(name)?.strip_prefix('$')
}

/// A number as `%d` writes it: Django compares whole texts, so `+5`, `05` and ` 5`
/// never verify there.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    (plain && !leading_zero).then(|| text.parse().ok())?
}

/// Django's `must_update_salt`: under 128 bits, at 62 characters to choose from.
pub(super) fn is_short_salt(characters: usize) -> bool {
    characters < SALT_LENGTH
}

/// Compares hashes in the same time wherever they differ.
pub(super) fn same(computed: &[u8], stored: &[u8]) -> bool {
    computed.ct_eq(stored).into()
}
