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
    pad_with(out, size, |out| out.extend_from_slice(message))
}

/// Appends the message that `put` appends, padded to `size` bytes, to `out`; on error `out` is unchanged.
pub fn pad_with(out: &mut Vec<u8>, size: usize, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
    let start = out.len();
    out.reserve(size);
    out.extend_from_slice(&[0; LENGTH]);
    put(out);
    let length = out.len().saturating_sub(start).saturating_sub(LENGTH);
    let fits = length <= MAX_MESSAGE && length.saturating_add(LENGTH) <= size;
    let prefix = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<LENGTH>);
    let (Ok(length), Some(prefix), true) = (u16::try_from(length), prefix, fits) else {
        out.truncate(start);
        return Err(Error::TooLarge);
    };
    *prefix = length.to_be_bytes();
    out.resize(start.saturating_add(size), FILLER);
    Ok(())
}

/// The message inside `padded`. The filler is not checked.
pub fn unpad(padded: &[u8]) -> Result<&[u8], Error> {
    let (length, rest) = padded.split_first_chunk::<LENGTH>().ok_or(Error::Unpad)?;
    rest.get(..u16::from_be_bytes(*length).into()).ok_or(Error::Unpad)
}
