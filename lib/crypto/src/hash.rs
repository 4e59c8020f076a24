//! Hashes and key derivation. Each use of a hash in the protocols is named where it is used.

use sha2::{Digest, Sha256, Sha512};
use sha3::{Sha3_256, Sha3_384};

/// SHA-256: certificate fingerprints, group IDs.
pub fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// SHA-512: authenticators.
pub fn sha512(message: &[u8]) -> [u8; 64] {
    Sha512::digest(message).into()
}

/// SHA3-256: link keys.
pub fn sha3_256(message: &[u8]) -> [u8; 32] {
    Sha3_256::digest(message).into()
}

/// SHA3-384: client-chosen sender IDs.
pub fn sha3_384(message: &[u8]) -> [u8; 48] {
    Sha3_384::digest(message).into()
}

/// HKDF (RFC 5869) with HMAC-SHA-512.
pub fn hkdf_sha512<const N: usize>(salt: &[u8], input_key: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    hkdf_sha512_into(salt, input_key, info, &mut out);
    out
}

/// HKDF into a buffer of any length up to 255 hash blocks.
#[allow(clippy::expect_used, reason = "lengths are our own constants, far below the limit of 255 blocks")]
pub fn hkdf_sha512_into(salt: &[u8], input_key: &[u8], info: &[u8], out: &mut [u8]) {
    hkdf::Hkdf::<Sha512>::new(Some(salt), input_key).expand(info, out).expect("derived keys are short");
}
