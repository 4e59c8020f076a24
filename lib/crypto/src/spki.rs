//! DER forms of public keys: a fixed prefix that names the algorithm, then the raw key. No other form is accepted.

use crate::Error;

/// X25519 SubjectPublicKeyInfo prefix.
pub const X25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
/// X448 SubjectPublicKeyInfo prefix.
pub const X448: [u8; 12] = [0x30, 0x42, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6f, 0x03, 0x39, 0x00];
/// Ed25519 SubjectPublicKeyInfo prefix.
pub const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Ed448 SubjectPublicKeyInfo prefix.
pub const ED448: [u8; 12] = [0x30, 0x43, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x03, 0x3a, 0x00];

/// The DER form of a raw key.
pub fn der(prefix: &[u8; 12], raw: &[u8]) -> Vec<u8> {
    [prefix.as_slice(), raw].concat()
}

/// The raw key in a DER form that must start with `prefix` and hold exactly `N` more bytes.
pub fn raw<const N: usize>(prefix: &[u8; 12], der: &[u8]) -> Result<[u8; N], Error> {
    der.strip_prefix(prefix).and_then(|raw| raw.try_into().ok()).ok_or(Error::BadKey)
}
