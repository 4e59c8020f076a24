//! The container in which applications compress what they send: short data as it is, longer data in a frame of zstd.

use codec::{Malformed, Reader, Write};

const PLAIN: u8 = b'0';
const FRAME: u8 = b'1';
const MAX_PLAIN: usize = 180;
const LEVEL: i32 = 3;

/// Why data was not compressed or expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// The bytes are no container.
    #[error("malformed container: {0}")]
    Malformed(#[from] Malformed),
    /// The frame does not say how much it holds, or more than is allowed.
    #[error("compressed data expands beyond {0} bytes")]
    Expansion(usize),
    /// The frame is damaged.
    #[error("damaged compressed data")]
    Damaged,
    /// Even compressed, the data exceeds what a container holds.
    #[error("too much data for a container")]
    TooLong,
}

/// Data in a container.
pub fn compress(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    if data.len() <= MAX_PLAIN {
        out.put(&[PLAIN]);
        out.put_short(data);
        return Ok(out);
    }
    let frame = zstd::bulk::compress(data, LEVEL).map_err(|_| CompressionError::TooLong)?;
    if frame.len() > usize::from(u16::MAX) {
        return Err(CompressionError::TooLong);
    }
    out.put(&[FRAME]);
    out.put_large(&frame);
    Ok(out)
}

/// The data in a container. A frame must say how much it holds, and at most `limit` bytes; nothing is expanded before.
pub fn decompress(container: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut reader = Reader::new(container);
    let data = read(&mut reader, limit)?;
    reader.finish()?;
    Ok(data)
}

/// Takes a container off the front of `reader`, as [`decompress`] does. The limit does not hold for short data.
pub fn read(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<u8>, CompressionError> {
    match reader.u8()? {
        PLAIN => Ok(reader.short()?.to_vec()),
        FRAME => expand(reader.large()?, limit),
        _ => Err(Malformed::BadValue("kind of container").into()),
    }
}

fn expand(frame: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let declared = zstd::zstd_safe::get_frame_content_size(frame).map_err(|_| CompressionError::Damaged)?;
    let declared = declared.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= limit);
    let declared = declared.ok_or(CompressionError::Expansion(limit))?;
    zstd::bulk::decompress(frame, declared).map_err(|_| CompressionError::Damaged)
}
