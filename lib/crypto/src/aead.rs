//! AES-256-GCM with the 16-byte IVs of the double ratchet. Messages are padded before they are sealed.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;

use crate::{Error, pad};

/// Length of the authentication tag.
pub const TAG: usize = 16;

/// Ciphertext and tag of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// As long as the padded message.
    pub ciphertext: Vec<u8>,
    /// Kept apart from the ciphertext on the wire.
    pub tag: [u8; TAG],
}

/// Seals `message` padded to `size`, bound to `associated`.
pub fn seal_padded(
    key: &[u8; 32],
    iv: &[u8; 16],
    associated: &[u8],
    message: &[u8],
    size: usize,
) -> Result<Sealed, Error> {
    let padded = pad::pad(message, size)?;
    let mut sealed = Sealed { ciphertext: Vec::with_capacity(size), tag: [0; TAG] };
    seal(key, iv, associated, &padded, &mut sealed).map_err(|_| Error::Library)?;
    Ok(sealed)
}

/// Opens and unpads a message.
pub fn open_padded(
    key: &[u8; 32],
    iv: &[u8; 16],
    associated: &[u8],
    ciphertext: &[u8],
    tag: &[u8; TAG],
) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::with_capacity(ciphertext.len());
    open(key, iv, associated, ciphertext, tag, &mut plain).map_err(|_| Error::Decrypt)?;
    pad::unpad(&plain).map(<[u8]>::to_vec)
}

type OpenSsl<T> = Result<T, openssl::error::ErrorStack>;

fn seal(key: &[u8; 32], iv: &[u8; 16], associated: &[u8], plain: &[u8], out: &mut Sealed) -> OpenSsl<()> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(Cipher::aes_256_gcm()), None, None)?;
    context.set_iv_length(iv.len())?;
    context.encrypt_init(None, Some(key), Some(iv))?;
    context.cipher_update(associated, None)?;
    context.cipher_update_vec(plain, &mut out.ciphertext)?;
    context.cipher_final_vec(&mut out.ciphertext)?;
    context.tag(&mut out.tag)
}

fn open(
    key: &[u8; 32],
    iv: &[u8; 16],
    associated: &[u8],
    ciphertext: &[u8],
    tag: &[u8; TAG],
    out: &mut Vec<u8>,
) -> OpenSsl<()> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(Cipher::aes_256_gcm()), None, None)?;
    context.set_iv_length(iv.len())?;
    context.decrypt_init(None, Some(key), Some(iv))?;
    context.cipher_update(associated, None)?;
    context.cipher_update_vec(ciphertext, out)?;
    context.set_tag(tag)?;
    context.cipher_final_vec(out).map(|_| ())
}
