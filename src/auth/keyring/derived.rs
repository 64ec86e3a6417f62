//! A key of its own for each use of the secret key.

use django_auth::SecretKey;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// HMAC with a derived key.
pub(in crate::auth) type HmacSha256 = Hmac<Sha256>;

/// The key of one purpose, for signing.
pub(in crate::auth) fn derived_key(secret: &SecretKey, purpose: &[u8]) -> Option<HmacSha256> {
    HmacSha256::new_from_slice(&derived_bytes(secret, purpose)?).ok()
}

/// The key of one purpose itself.
pub(super) fn derived_bytes(secret: &SecretKey, purpose: &[u8]) -> Option<[u8; 32]> {
    let mut derive = HmacSha256::new_from_slice(secret.expose_bytes()).ok()?;
    derive.update(purpose);
    Some(derive.finalize().into_bytes().into())
}
