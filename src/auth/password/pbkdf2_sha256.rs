//! PBKDF2 (RFC 8018) with HMAC-SHA-256, of one block: what Django's default
//! hasher does a million times.
//!
//! An iteration is two calls of SHA-256's compression, each on a digest with the
//! same padding behind it. The `pbkdf2` and `hmac` crates, which do the first one
//! here, copy their buffers and pad anew for each, and so take a quarter longer.
//! The compression itself is the `sha2` crate's.

use pbkdf2::pbkdf2_hmac_array;
use sha2::{
    Digest, Sha256, compress256,
    digest::{consts::U64, generic_array::GenericArray},
};

const BLOCK: usize = 64;
const DIGEST: usize = 32;

/// What is derived.
pub(super) type Key = [u8; DIGEST];

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

/// The iterations of one key. Each needs the one before, so a core that has one
/// chain waits for most of its time, and two that take turns are done a sixth to a
/// third sooner than one after the other.
pub(super) struct Chain {
    /// SHA-256's states after HMAC's first blocks.
    inner: State,
    outer: State,
    last: State,
    key: State,
    left: u32,
}

impl Chain {
    /// For the key of so many iterations; of none as of one.
    pub(super) fn new(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let first = words(&pbkdf2_hmac_array::<Sha256, DIGEST>(password, salt, 1));
        Self {
            inner: keyed(password, 0x36),
            outer: keyed(password, 0x5c),
            last: first,
            key: first,
            left: iterations.saturating_sub(1),
        }
    }

    /// The key, once it is derived.
    pub(super) fn key(&self) -> Option<Key> {
        (self.left == 0).then(|| bytes(&self.key))
    }

    /// So many iterations of each chain, or fewer if one is at its end.
    pub(super) fn advance<const N: usize>(mut chains: [&mut Self; N], most: u32) {
        let steps = chains.iter().map(|chain| chain.left).fold(most, u32::min);
        for _ in 0..steps {
            // All of the first half at once: what stands next to each other in the
            // code is what the core can do at once.
            let inner = chains
                .each_ref()
                .map(|chain| continued(chain.inner, chain.last));
            for (chain, inner) in chains.iter_mut().zip(inner) {
                chain.last = continued(chain.outer, inner);
            }
            for chain in &mut chains {
                for (key, last) in chain.key.iter_mut().zip(chain.last) {
                    *key ^= last;
                }
            }
        }
        for chain in &mut chains {
            chain.left -= steps;
        }
    }
}

fn words(bytes: &[u8; DIGEST]) -> State {
    let (chunks, _) = bytes.as_chunks();
    let mut words = State::default();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u32::from_be_bytes(*chunk);
    }
    words
}

fn bytes(words: &State) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    let (chunks, _) = bytes.as_chunks_mut();
    for (chunk, word) in chunks.iter_mut().zip(words) {
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

/// A digest's place, and the padding that ends a message of one block and it.
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

    fn theirs(password: &[u8], salt: &[u8], iterations: u32) -> Option<Key> {
        Some(pbkdf2_hmac_array::<Sha256, DIGEST>(
            password, salt, iterations,
        ))
    }

    proptest! {
        #[test]
        fn it_is_what_the_crate_derives(
            password in proptest::collection::vec(any::<u8>(), 0..200),
            salt in proptest::collection::vec(any::<u8>(), 0..200),
            iterations in 1_u32..50,
        ) {
            let mut chain = Chain::new(&password, &salt, iterations);
            Chain::advance([&mut chain], u32::MAX);
            prop_assert_eq!(chain.key(), theirs(&password, &salt, iterations));
        }

        #[test]
        fn two_in_turns_are_what_each_is_alone(
            iterations in [1_u32..50, 1_u32..50],
            most in 1_u32..20,
        ) {
            let passwords: [&[u8]; 2] = [b"one", b"the other"];
            let chain = |n: usize| Chain::new(passwords[n], b"salt", iterations[n]);
            let [mut one, mut other] = [chain(0), chain(1)];
            while one.key().is_none() && other.key().is_none() {
                Chain::advance([&mut one, &mut other], most);
            }
            for (n, mut chain) in [one, other].into_iter().enumerate() {
                Chain::advance([&mut chain], u32::MAX);
                prop_assert_eq!(chain.key(), theirs(passwords[n], b"salt", iterations[n]));
            }
        }
    }

    #[test]
    fn passwords_about_as_long_as_a_block_are_keys_as_hmac_says() {
        for length in BLOCK - 2..=BLOCK + 2 {
            let password = vec![b'p'; length];
            let mut chain = Chain::new(&password, b"salt", 3);
            assert_eq!(chain.key(), None);
            Chain::advance([&mut chain], 2);
            assert_eq!(chain.key(), theirs(&password, b"salt", 3), "{length}");
        }
    }
}
