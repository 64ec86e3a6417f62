//! PBKDF2 (RFC 8018) with HMAC-SHA-256, of one block.
//!
//! An iteration is two calls of the `sha2` crate's compression, each on a digest with
//! the same padding. The `pbkdf2` crate copies its buffers and pads anew each time: a
//! million iterations, most of a login, take 97 ms with it and 79 ms here
//! (`docs/performance.md`). Once a release of it comes within a few percent, make
//! [`derive()`] one call of `pbkdf2_hmac_array`, as in the tests.

use pbkdf2::pbkdf2_hmac_array;
use sha2::{
    Digest, Sha256, compress256,
    digest::{consts::U64, generic_array::GenericArray},
};

const BLOCK: usize = 64;
const DIGEST: usize = 32;

/// FIPS 180-4, 5.3.3.
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Or a digest, as words.
type State = [u32; DIGEST / 4];
type Block = GenericArray<u8, U64>;

/// The key of so many iterations; of none as of one.
pub(super) fn derive(password: &[u8], salt: &[u8], iterations: u32) -> [u8; DIGEST] {
    let first: [u8; DIGEST] = pbkdf2_hmac_array::<Sha256, DIGEST>(password, salt, 1);
    let [inner, outer] = [0x36, 0x5c].map(|pad| keyed(password, pad));
    let mut last = words(&first);
    let mut key = last;
    for _ in 1..iterations {
        last = continued(outer, continued(inner, last));
        for (key, last) in key.iter_mut().zip(last) {
            *key ^= last;
        }
    }
    bytes(&key)
}

fn words(bytes: &[u8; DIGEST]) -> State {
    let mut words = State::default();
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*chunk);
    }
    words
}

fn bytes(words: &State) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *chunk = word.to_be_bytes();
    }
    bytes
}

/// SHA-256's state after HMAC's first block (RFC 2104).
fn keyed(password: &[u8], pad: u8) -> State {
    let mut block = [pad; BLOCK];
    let hashed;
    let key = match password.len() {
        ..=BLOCK => password,
        _ => {
            hashed = Sha256::digest(password);
            hashed.as_slice()
        }
    };
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = INITIAL;
    compress256(&mut state, &[Block::from(block)]);
    state
}

/// Room for a digest, and the padding that ends a message of one block and it.
const PADDED: [u8; BLOCK] = {
    let mut block = [0; BLOCK];
    block[DIGEST] = 0x80;
    let bits = (8 * (BLOCK + DIGEST) as u16).to_be_bytes();
    block[BLOCK - 2] = bits[0];
    block[BLOCK - 1] = bits[1];
    block
};

/// The digest of one block and a digest, where `state` is after the block.
#[inline]
fn continued(mut state: State, digest: State) -> State {
    let mut block = PADDED;
    block[..DIGEST].copy_from_slice(&bytes(&digest));
    compress256(&mut state, &[Block::from(block)]);
    state
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_the_crate_derives(
            password in proptest::collection::vec(any::<u8>(), 0..200),
            salt in proptest::collection::vec(any::<u8>(), 0..200),
            iterations in 1_u32..50,
        ) {
            let theirs = pbkdf2_hmac_array::<Sha256, DIGEST>(&password, &salt, iterations);
            prop_assert_eq!(derive(&password, &salt, iterations), theirs);
        }
    }

    #[test]
    fn passwords_about_as_long_as_a_block_are_keys_as_hmac_says() {
        for length in BLOCK - 2..=BLOCK + 2 {
            let password = vec![b'p'; length];
            let theirs = pbkdf2_hmac_array::<Sha256, DIGEST>(&password, b"salt", 3);
            assert_eq!(derive(&password, b"salt", 3), theirs, "{length}");
        }
    }
}
