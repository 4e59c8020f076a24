//! Cryptography of the SimpleX protocols: keys typed by purpose, boxes, signatures, key derivation, certificates.
//!
//! Floor 0. Everything is a function of its arguments: randomness comes in through [`Random`], time as seconds.
//! Secrets are zeroized when dropped and print as `…` in `Debug`.
//!
//! | module | holds |
//! |---|---|
//! | [`boxes`] | NaCl boxes, padded and bare; the symmetric boxes of SimpleX with their extra HSalsa20 step |
//! | [`chain`] | the two key chains that encrypt the blocks of an SMP session |
//! | [`dh`] | X25519 and X448 agreement |
//! | [`kem`] | sntrup761 encapsulation, against quantum computers |
//! | [`sign`] | Ed25519 and Ed448 signatures |
//! | [`authorize`] | keys that authorise commands: signatures and deniable authenticators |
//! | [`spki`], [`pkcs8`] | DER forms of public and of private keys |
//! | [`aead`] | AES-256-GCM with a 16-byte IV |
//! | [`hash`] | hashes and HKDF |
//! | [`certificate`] | certificate chains, server identity, session keys signed by certificates |
//! | [`random`] | where random bytes come from |

pub mod aead;
pub mod authorize;
pub mod boxes;
pub mod certificate;
pub mod chain;
pub mod dh;
pub mod hash;
pub mod kem;
pub mod pad;
pub mod pkcs8;
pub mod random;
mod secret;
pub mod sign;
pub mod spki;

pub use boxes::{BoxKey, Nonce};
pub use random::{Random, SeededRandom};
pub use secret::Secret;
pub use subtle::ConstantTimeEq;

/// Why a cryptographic operation refused its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The authentication tag does not match: wrong key, wrong nonce or altered bytes.
    #[error("does not decrypt")]
    Decrypt,
    /// The padded plaintext states a longer message than it holds.
    #[error("bad padding")]
    Unpad,
    /// The message does not fit the padded size.
    #[error("message too large for its padded size")]
    TooLarge,
    /// A key has the wrong length or encoding.
    #[error("bad key")]
    BadKey,
    /// A signature does not verify.
    #[error("signature does not verify")]
    BadSignature,
    /// The cryptographic library failed on valid input.
    #[error("cryptographic library failure")]
    Library,
}
