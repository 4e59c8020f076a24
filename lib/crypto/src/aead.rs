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

/// Appends the tag and then the ciphertext of `message` padded to `size`, bound to `associated`, to `out`; on error
/// `out` is unchanged.
pub fn seal_padded_into(
    key: &[u8; 32],
    iv: &[u8; 16],
    associated: &[u8],
    message: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    out.reserve(size.saturating_add(TAG));
    out.resize(start.saturating_add(TAG), 0);
    let padded = pad::pad_into(out, message, size);
    let parts = out.get_mut(start..).and_then(|sealed| sealed.split_first_chunk_mut::<TAG>());
    let outcome = padded.and_then(|()| {
        let (tag, text) = parts.ok_or(Error::Library)?;
        seal(key, iv, associated, text, tag).map_err(|_| Error::Library)
    });
    if outcome.is_err() {
        out.truncate(start);
    }
    outcome
}

/// Seals `message` padded to `size`, bound to `associated`.
pub fn seal_padded(
    key: &[u8; 32],
    iv: &[u8; 16],
    associated: &[u8],
    message: &[u8],
    size: usize,
) -> Result<Sealed, Error> {
    let mut sealed = Sealed { ciphertext: pad::pad(message, size)?, tag: [0; TAG] };
    seal(key, iv, associated, &mut sealed.ciphertext, &mut sealed.tag).map_err(|_| Error::Library)?;
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

/// Encrypts `text` where it stands.
fn seal(key: &[u8; 32], iv: &[u8; 16], associated: &[u8], text: &mut [u8], tag: &mut [u8; TAG]) -> OpenSsl<()> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(Cipher::aes_256_gcm()), None, None)?;
    context.set_iv_length(iv.len())?;
    context.encrypt_init(None, Some(key), Some(iv))?;
    context.cipher_update(associated, None)?;
    context.cipher_update_inplace(text, text.len())?;
    context.cipher_final(&mut [])?;
    context.tag(tag)
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
