//! The box of NaCl, with its tag in front, for agreed and for symmetric keys.
//!
//! A key first goes through HSalsa20 with sixteen zero bytes. For an agreed key this is the second half of NaCl's
//! `crypto_box`; SimpleX does the same for symmetric keys, so its symmetric boxes are *not* `crypto_secretbox`.
#![allow(unsafe_code, reason = "libsodium is four times faster than the pure Rust box; each call argues its soundness")]

use std::ffi::c_ulonglong;
use std::fmt;
use std::sync::Once;

use libsodium_sys as sodium;

use crate::dh::SharedSecret;
use crate::{Error, Random, Secret, pad, random};

/// Length of the authentication tag in front of the ciphertext.
pub const TAG: usize = 16;

/// Without initialisation libsodium stays with its portable code, several times slower than what the processor offers.
fn select_fastest_code() {
    static INITIALIZED: Once = Once::new();
    INITIALIZED.call_once(|| {
        // SAFETY: sodium_init may be called at any time and needs no arguments; on failure the portable code works on.
        unsafe { sodium::sodium_init() };
    });
}

/// 24 bytes that must not repeat under one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 24]);

impl Nonce {
    /// A random nonce.
    pub fn random(random: &mut dyn Random) -> Self {
        Nonce(random::array(random))
    }

    /// The nonce made from a message ID or correlation ID: its first 24 bytes, or zeros after a shorter one.
    pub fn from_id(id: &[u8]) -> Self {
        let mut nonce = [0; 24];
        nonce.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
        Nonce(nonce)
    }

    /// The nonce of a reply: the bytes in reverse order.
    pub fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&codec::text::base64url(&self.0))
    }
}

/// A key ready to seal and open boxes.
#[derive(Clone, PartialEq, Eq)]
pub struct BoxKey(Secret<32>);

impl BoxKey {
    /// From a symmetric key.
    pub fn symmetric(key: &[u8; 32]) -> Self {
        select_fastest_code();
        let mut derived = [0; 32];
        let input = [0u8; 16];
        // SAFETY: hsalsa20 reads 16 bytes of input and 32 of key and writes 32; a null constant means its default.
        unsafe {
            sodium::crypto_core_hsalsa20(derived.as_mut_ptr(), input.as_ptr(), key.as_ptr(), std::ptr::null());
        }
        BoxKey(Secret::new(derived))
    }

    /// From an X25519 agreement.
    pub fn agreed(secret: &SharedSecret) -> Self {
        Self::symmetric(secret.expose())
    }

    /// Tag and ciphertext of `message`.
    pub fn seal(&self, nonce: Nonce, message: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(message.len().saturating_add(TAG));
        sealed.resize(TAG, 0);
        sealed.extend_from_slice(message);
        self.seal_in_place(nonce, &mut sealed, 0);
        sealed
    }

    /// Box over `message` padded to `size`: `size + TAG` bytes.
    pub fn seal_padded(&self, nonce: Nonce, message: &[u8], size: usize) -> Result<Vec<u8>, Error> {
        let mut sealed = Vec::with_capacity(size.saturating_add(TAG));
        self.seal_padded_into(nonce, message, size, &mut sealed)?;
        Ok(sealed)
    }

    /// Appends a box over `message` padded to `size` to `out`; on error `out` is unchanged.
    pub fn seal_padded_into(&self, nonce: Nonce, message: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        self.seal_padded_with(nonce, size, out, |out| out.extend_from_slice(message))
    }

    /// Appends a box over the message that `put` appends, padded to `size`, to `out`; on error `out` is unchanged.
    pub fn seal_padded_with(
        &self,
        nonce: Nonce,
        size: usize,
        out: &mut Vec<u8>,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        let start = out.len();
        out.reserve(size.saturating_add(TAG));
        out.resize(start.saturating_add(TAG), 0);
        if let Err(error) = pad::pad_with(out, size, put) {
            out.truncate(start);
            return Err(error);
        }
        self.seal_in_place(nonce, out, start);
        Ok(())
    }

    /// Encrypts what follows the `TAG` reserved bytes at `start` and writes the tag there.
    fn seal_in_place(&self, nonce: Nonce, out: &mut [u8], start: usize) {
        let Some((tag, text)) = out.get_mut(start..).and_then(|sealed| sealed.split_first_chunk_mut::<TAG>()) else {
            return;
        };
        // SAFETY: the tag has 16 bytes; ciphertext and plaintext are the same slice, which the function allows.
        unsafe {
            sodium::crypto_secretbox_detached(
                text.as_mut_ptr(),
                tag.as_mut_ptr(),
                text.as_ptr(),
                text.len() as c_ulonglong,
                nonce.0.as_ptr(),
                self.0.expose().as_ptr(),
            );
        }
    }

    /// The message in a box.
    pub fn open(&self, nonce: Nonce, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut buffer = sealed.to_vec();
        let length = self.open_in_place(nonce, &mut buffer)?.len();
        buffer.drain(..buffer.len().saturating_sub(length));
        Ok(buffer)
    }

    /// The message in a padded box.
    pub fn open_padded(&self, nonce: Nonce, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut buffer = sealed.to_vec();
        pad::unpad(self.open_in_place(nonce, &mut buffer)?).map(<[u8]>::to_vec)
    }

    /// Decrypts a box where it stands and returns the plaintext after the tag.
    pub fn open_in_place<'a>(&self, nonce: Nonce, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Error> {
        let (tag, text) = sealed.split_first_chunk_mut::<TAG>().ok_or(Error::Decrypt)?;
        // SAFETY: the tag has 16 bytes; ciphertext and plaintext are the same slice, which the function allows.
        let status = unsafe {
            sodium::crypto_secretbox_open_detached(
                text.as_mut_ptr(),
                text.as_ptr(),
                tag.as_ptr(),
                text.len() as c_ulonglong,
                nonce.0.as_ptr(),
                self.0.expose().as_ptr(),
            )
        };
        if status == 0 { Ok(text) } else { Err(Error::Decrypt) }
    }
}

impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxKey(…)")
    }
}
