//! Padding: a Word16 length, the message, then `#` up to a fixed size.

use crate::Error;

const FILLER: u8 = b'#';
const LENGTH: usize = 2;
/// The longest message that any padded size can carry.
pub const MAX_MESSAGE: usize = 65_533;

/// Pads `message` to `size` bytes.
pub fn pad(message: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    let mut padded = Vec::with_capacity(size);
    pad_into(&mut padded, message, size)?;
    Ok(padded)
}

/// Appends `message` padded to `size` bytes to `out`; on error `out` is unchanged.
pub fn pad_into(out: &mut Vec<u8>, message: &[u8], size: usize) -> Result<(), Error> {
    let length = u16::try_from(message.len()).map_err(|_| Error::TooLarge)?;
    if message.len() > MAX_MESSAGE || message.len().saturating_add(LENGTH) > size {
        return Err(Error::TooLarge);
    }
    let end = out.len().saturating_add(size);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    out.resize(end, FILLER);
    Ok(())
}

/// The message inside `padded`. The filler is not checked.
pub fn unpad(padded: &[u8]) -> Result<&[u8], Error> {
    let (length, rest) = padded.split_first_chunk::<LENGTH>().ok_or(Error::Unpad)?;
    rest.get(..u16::from_be_bytes(*length).into()).ok_or(Error::Unpad)
}
