//! Who is at fault, and why.

use codec::Malformed;
use smp::error::Error as ServerError;

use super::TaskId;
use crate::agreement::AgreementError;
use crate::link_read::LinkReadError;
use crate::padding::TooLarge;
use crate::prepared_link::{CreationMismatch, LinkWriteError};
use crate::ratchet::{RatchetError, StoredError};
use crate::receipt::NoReceipt;

/// Why the application cannot do what it asked for. The connection is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Not at this point of the connection's life.
    #[error("{0}: not while {1}")]
    Prohibited(&'static str, &'static str),
    /// No such request, message or event.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The peer's versions and ours do not overlap.
    #[error("no common version of the {0}")]
    Version(&'static str),
    /// It does not fit one message.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The message cannot have a receipt.
    #[error(transparent)]
    NoReceipt(#[from] NoReceipt),
    /// The link's keys do not give a ratchet.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The ratchet cannot encrypt.
    #[error(transparent)]
    Ratchet(#[from] RatchetError),
    /// The link's data cannot be written.
    #[error(transparent)]
    Link(#[from] LinkWriteError),
    /// The cryptographic library failed on valid input, or a value that we made ourselves is wrong.
    #[error("cryptographic library failure")]
    Library,
}

/// Why a task failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskFault {
    /// The server refused.
    #[error("{task:?}: refused with {error}")]
    Refused {
        /// Which task.
        task: TaskId,
        /// The server's reason.
        error: ServerError,
    },
    /// The server broke the protocol.
    #[error("{0:?}: the server broke the protocol")]
    Violated(TaskId),
    /// The server could not be reached for too long.
    #[error("{0:?}: given up")]
    Expired(TaskId),
    /// The server created something else than what was prepared.
    #[error(transparent)]
    Mismatch(#[from] CreationMismatch),
    /// The data behind the link is wrong.
    #[error(transparent)]
    Link(#[from] LinkReadError),
    /// What the link leads to cannot be used.
    #[error(transparent)]
    Unusable(#[from] ConnectionError),
}

/// What is wrong with what came through a queue. The peer is at fault, or the server between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// Not encrypted for us by the server.
    #[error("delivery does not decrypt")]
    Delivery,
    /// Not encrypted for us by a sender.
    #[error("envelope does not decrypt")]
    Envelope,
    /// Does not decode.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// A version that we do not speak.
    #[error("version {0} of the {1} is not supported")]
    Version(u16, &'static str),
    /// Not at this point of the connection's life.
    #[error("prohibited: {0}")]
    Prohibited(&'static str),
    /// The keys do not agree.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The ratchet refuses it.
    #[error(transparent)]
    Ratchet(#[from] RatchetError),
    /// It was delivered before, and its acknowledgement did not come in time.
    #[error("dropped after being delivered too often")]
    Undeliverable,
    /// It names a queue that this connection does not have.
    #[error("names no queue of this connection")]
    UnknownQueue,
    /// Known, and not supported here: rotation of queues, synchronisation of ratchets.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

/// Why records are not a connection. Nobody but this program writes them: they are damaged, or of a newer program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A record is damaged or of another program.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A record is missing.
    #[error("a record is missing: {0}")]
    Missing(&'static str),
}

impl From<Malformed> for LoadError {
    fn from(error: Malformed) -> Self {
        LoadError::Stored(StoredError::Damaged(error))
    }
}
