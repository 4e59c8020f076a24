//! A roster on its way: a header that an owner signed, then chunks.
//!
//! ```text
//! x.grp.roster ─begin─▶ RosterTransfer ─chunk─▶ … ─chunk─▶ CompleteRoster
//! ```
//!
//! There is one transfer for each group and each peer that sends. A newer header replaces the one before.

use codec::Decode as _;
use crypto::hash;
use serde::{Deserialize, Serialize};

use crate::bytes::unpadded;
use crate::chunk::{Chunk, ChunkPart};
use crate::event::{Event, RosterAcknowledgement, RosterHeader};
use crate::limits;
use crate::message_id::MessageId;
use crate::roster::{Roster, RosterVersion};
use crate::roster_blob::RosterBlob;
use crate::verification::AcceptedMessage;

/// A roster of which some chunks are missing. Who receives it may keep it so: its chunks are acknowledged one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterTransfer {
    #[serde(with = "unpadded")]
    announced_by: MessageId,
    header: RosterHeader,
    next: u8,
    #[serde(default, with = "unpadded", skip_serializing_if = "Vec::is_empty")]
    received: Vec<u8>,
}

/// A roster that is what an owner signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteRoster {
    version: RosterVersion,
    blob: RosterBlob,
}

/// What a chunk led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferProgress {
    /// More must come.
    Waiting(RosterTransfer),
    /// All is here.
    Complete(CompleteRoster),
}

/// Why a roster is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The message announces none, or without a name for its chunks.
    #[error("no roster is announced")]
    NotAnnounced,
    /// Only owners sign rosters.
    #[error("the roster is not signed by an owner")]
    NotByOwner,
    /// Nobody has so many members with rights.
    #[error("a roster of {0} bytes")]
    TooLong(u64),
    /// A later version was applied, or is on its way.
    #[error("the roster is older than another one")]
    Old,
    /// The chunk belongs to another file.
    #[error("a chunk of another file")]
    OtherFile,
    /// A chunk is missing, repeated, or of the wrong length.
    #[error("a chunk out of order")]
    Order,
    /// The sender stopped.
    #[error("the transfer was cancelled")]
    Cancelled,
    /// The bytes are not those that the owner signed.
    #[error("the roster has another digest")]
    Digest,
    /// The bytes are what the owner signed, but no roster.
    #[error("the roster is malformed")]
    Malformed,
}

impl TransferError {
    /// Whether the transfer goes on as if the chunk had not come.
    pub fn is_harmless(self) -> bool {
        self == TransferError::OtherFile
    }
}

impl RosterTransfer {
    /// Begins with a header, unless something newer was applied or is on its way from the same peer.
    pub fn begin(header: &AcceptedMessage, applied: &Roster, current: Option<&Self>) -> Result<Self, TransferError> {
        let (Event::GroupRoster(announced), Some(id)) = (header.event(), &header.message().id) else {
            return Err(TransferError::NotAnnounced);
        };
        let size = announced.file_inv.file_size;
        let newest = applied.version().max(current.map(RosterTransfer::version));
        if !header.is_word_of_owner() {
            Err(TransferError::NotByOwner)
        } else if usize::try_from(size).is_ok_and(|size| size <= limits::ROSTER_BLOB) {
            let old = newest.is_some_and(|newest| announced.version < newest);
            let begun =
                RosterTransfer { announced_by: id.clone(), header: announced.clone(), next: 1, received: Vec::new() };
            if old { Err(TransferError::Old) } else { Ok(begun) }
        } else {
            Err(TransferError::TooLong(size))
        }
    }

    /// The version that is on its way.
    pub fn version(&self) -> RosterVersion {
        self.header.version
    }

    /// Takes a chunk. After an error that is not harmless the transfer is over.
    pub fn chunk(mut self, chunk: &Chunk) -> Result<TransferProgress, TransferError> {
        if chunk.file != self.announced_by {
            return Err(TransferError::OtherFile);
        }
        let ChunkPart::Data(number, bytes) = &chunk.part else { return Err(TransferError::Cancelled) };
        let missing = self.missing();
        let expected = missing.min(limits::CHUNK);
        if number.get() != self.next || bytes.len() != expected {
            return Err(TransferError::Order);
        }
        self.received.extend_from_slice(bytes);
        self.next = self.next.saturating_add(1);
        if missing > expected { Ok(TransferProgress::Waiting(self)) } else { self.complete() }
    }

    fn missing(&self) -> usize {
        let size = usize::try_from(self.header.file_inv.file_size).unwrap_or(limits::ROSTER_BLOB);
        size.saturating_sub(self.received.len())
    }

    fn complete(self) -> Result<TransferProgress, TransferError> {
        if hash::sha512(&self.received) != self.header.file_inv.file_digest {
            return Err(TransferError::Digest);
        }
        let blob = RosterBlob::decode_all(&self.received).map_err(|_| TransferError::Malformed)?;
        Ok(TransferProgress::Complete(CompleteRoster { version: self.header.version, blob }))
    }
}

impl CompleteRoster {
    /// Its version.
    pub fn version(&self) -> RosterVersion {
        self.version
    }

    /// The list.
    pub fn blob(&self) -> &RosterBlob {
        &self.blob
    }
}

/// What a relay answers to the owner once a roster was used, or could not be.
pub fn acknowledgement(version: RosterVersion, outcome: Result<(), TransferError>) -> Event {
    let error = outcome.err().map(|error| error.to_string());
    Event::GroupRosterAcknowledgement(RosterAcknowledgement { version, error })
}
