//! The roster of a served group: what was applied, what is kept for those who join, and what is on its way.

use std::collections::VecDeque;

use codec::Encode as _;
use serde::{Deserialize, Serialize};

use crate::bytes::unpadded;
use crate::chunk::Chunk;
use crate::event::{Event, RosterAcknowledgement};
use crate::identity::MemberId;
use crate::keys::LinkKeys;
use crate::roster::{Roster, RosterVersion};
use crate::roster_transfer::{CompleteRoster, RosterTransfer, TransferError, TransferProgress, acknowledgement};
use crate::verification::AcceptedMessage;

/// How many owners may send rosters at the same time.
const MAX_TRANSFERS: usize = 8;

/// A roster as an owner sent it: what those are sent who join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoster {
    /// Its version.
    pub version: RosterVersion,
    /// Who sent it.
    #[serde(with = "unpadded")]
    pub owner: MemberId,
    /// The signed header, with its exact bytes.
    #[serde(with = "unpadded")]
    pub header: Vec<u8>,
    /// The list.
    #[serde(with = "unpadded")]
    pub blob: Vec<u8>,
}

/// All that a relay knows about the roster of a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rosters {
    pub(super) applied: Roster,
    pub(super) stored: Option<StoredRoster>,
    transfers: VecDeque<Transfer>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Transfer {
    #[serde(with = "unpadded")]
    owner: MemberId,
    #[serde(with = "unpadded")]
    header: Vec<u8>,
    transfer: RosterTransfer,
}

/// What a header or a chunk led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// More must come, or it concerns nobody.
    Waiting,
    /// A roster was stored.
    Stored(RosterVersion),
    /// A roster cannot be used, and the owner is told.
    Refused(RosterVersion, TransferError),
    /// Nothing came of it, and nobody is told.
    Ignored(TransferError),
}

impl Progress {
    /// What the owner is told.
    pub(super) fn answer(&self) -> Option<RosterAcknowledgement> {
        let event = match self {
            Progress::Waiting | Progress::Ignored(_) => return None,
            Progress::Stored(version) => acknowledgement(*version, Ok(())),
            Progress::Refused(version, error) => acknowledgement(*version, Err(*error)),
        };
        match event {
            Event::GroupRosterAcknowledgement(acknowledgement) => Some(acknowledgement),
            _ => None,
        }
    }
}

impl Rosters {
    /// A header that an owner signed.
    pub(super) fn begin(&mut self, owner: &MemberId, header: &AcceptedMessage) -> Progress {
        let current = self.transfers.iter().find(|transfer| transfer.owner == *owner);
        match RosterTransfer::begin(header, &self.applied, current.map(|current| &current.transfer)) {
            Ok(transfer) => {
                self.transfers.retain(|transfer| transfer.owner != *owner);
                let header = header.authored().to_bytes();
                self.transfers.push_back(Transfer { owner: owner.clone(), header, transfer });
                while self.transfers.len() > MAX_TRANSFERS {
                    self.transfers.pop_front();
                }
                Progress::Waiting
            }
            Err(error @ TransferError::TooLong(_)) => match header.event() {
                Event::GroupRoster(announced) => Progress::Refused(announced.version, error),
                _ => Progress::Ignored(error),
            },
            Err(error) => Progress::Ignored(error),
        }
    }

    /// A chunk that came through the same owner's connection.
    pub(super) fn chunk(&mut self, owner: &MemberId, chunk: &Chunk, links: &LinkKeys) -> Progress {
        let Some(place) = self.transfers.iter().position(|transfer| transfer.owner == *owner) else {
            return Progress::Ignored(TransferError::OtherFile);
        };
        let Some(Transfer { owner, header, transfer }) = self.transfers.remove(place) else {
            return Progress::Waiting;
        };
        let version = transfer.version();
        match transfer.clone().chunk(chunk) {
            Ok(TransferProgress::Waiting(transfer)) => {
                self.transfers.push_back(Transfer { owner, header, transfer });
                Progress::Waiting
            }
            Ok(TransferProgress::Complete(complete)) => self.apply(owner, header, &complete, links),
            Err(error) if error.is_harmless() => {
                self.transfers.push_back(Transfer { owner, header, transfer });
                Progress::Ignored(error)
            }
            Err(TransferError::Cancelled) => Progress::Ignored(TransferError::Cancelled),
            Err(error) => Progress::Refused(version, error),
        }
    }

    /// Versions are compared once more: another owner's roster may have come meanwhile.
    fn apply(&mut self, owner: MemberId, header: Vec<u8>, complete: &CompleteRoster, links: &LinkKeys) -> Progress {
        let version = complete.version();
        match self.applied.apply_complete(complete, links) {
            Ok(_) => {
                let blob = complete.blob().to_bytes();
                self.stored = Some(StoredRoster { version, owner, header, blob });
                Progress::Stored(version)
            }
            Err(_) => Progress::Ignored(TransferError::Old),
        }
    }

    /// What is on its way will not come any more.
    pub(super) fn stop(&mut self) {
        self.transfers.clear();
    }
}
