//! How large messages are before they are encrypted, so that nobody sees how much they say.
//!
//! A connection with post-quantum support has larger headers and therefore less room. The support that counts is that
//! of the connection, which its first wish for encapsulation turns on for good, not that of the ratchet at the moment.

use crate::version::PQ_AGENT;

/// What encoding adds to an application message at most: padding, kinds, number and hash.
const MESSAGE_OVERHEAD: usize = 45;
/// What encoding adds to the information in a confirmation: padding and kind.
const INFO_OVERHEAD: usize = 3;

/// The padded sizes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    /// Of what a confirmation encrypts.
    pub confirmation: usize,
    /// Of every other message.
    pub message: usize,
}

/// Something does not fit; nothing was numbered or encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too large: {length} bytes where {limit} fit")]
pub struct TooLarge {
    /// Its length.
    pub length: usize,
    /// The limit.
    pub limit: usize,
}

impl Padding {
    /// The sizes at an agreed agent version.
    pub fn new(agent_version: u16, pq_support: bool) -> Self {
        match pq_support && agent_version >= PQ_AGENT {
            true => Padding { confirmation: 11_106, message: 13_618 },
            false => Padding { confirmation: 14_832, message: 15_840 },
        }
    }

    /// The longest body of an application message.
    pub fn max_body(self) -> usize {
        self.message.saturating_sub(MESSAGE_OVERHEAD)
    }

    /// The longest information in the confirmation of a link's owner.
    pub fn max_info(self) -> usize {
        self.confirmation.saturating_sub(INFO_OVERHEAD)
    }

    /// Whether an encoded confirmation fits.
    pub fn check_confirmation(self, encoded: &[u8]) -> Result<(), TooLarge> {
        check(encoded, self.confirmation)
    }

    /// Whether any other encoded message fits.
    pub fn check_message(self, encoded: &[u8]) -> Result<(), TooLarge> {
        check(encoded, self.message)
    }
}

fn check(encoded: &[u8], padded: usize) -> Result<(), TooLarge> {
    let (length, limit) = (encoded.len(), padded.saturating_sub(2));
    if length > limit { Err(TooLarge { length, limit }) } else { Ok(()) }
}
