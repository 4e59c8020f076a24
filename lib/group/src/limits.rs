//! How long things may be, in bytes unless said otherwise.

/// A JSON message that stands alone in a body, and any batch of several elements.
pub const AUTHORED: usize = 15_602;
/// One forwarded element in a batch of its own: an authored message of any length, and what the relay puts around it.
pub const FORWARDED_ALONE: usize = AUTHORED + 161;
/// Information in a handshake.
pub const CONNECTION_INFORMATION: usize = 14_694;
/// What an agent takes for one message; bounds file chunks.
pub const AGENT_MESSAGE: usize = 15_840;
/// A body that arrived, before and after expansion.
pub const BODY: usize = 65_536;
/// How many messages one body may hold.
pub const MESSAGES_IN_BODY: usize = 255;
/// The content of every file chunk but the last.
pub const CHUNK: usize = 15_780;
/// How many members a roster may name.
pub const ROSTER_ENTRIES: usize = 256;
/// A roster.
pub const ROSTER_BLOB: usize = 32_768;

/// Something is too long to be sent: the caller must say less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are too long to send, the limit is {limit}")]
pub struct TooLong {
    /// How long it is
    pub length: usize,
    /// How long it may be
    pub limit: usize,
}

pub(crate) fn check(length: usize, limit: usize) -> Result<(), TooLong> {
    if length <= limit { Ok(()) } else { Err(TooLong { length, limit }) }
}
