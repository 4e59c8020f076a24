//! The JSON documents that carry state from step to step: their fields, and what these mean.
//!
//! A document is what a program prints and another one reads. The envelope around it (`type`, `v`, and the test mark)
//! is not part of these structs: the programs add and check it, so that a test document stays one. Field names are
//! snake_case; bytes are base64url without padding; times are integers that end in `_at`.
//!
//! A document is outside data like any other: turning it back into typed values checks that its parts belong together.

mod appointment;
mod connections;
mod group;
mod group_status;
mod member;
mod member_status;
mod owner;
mod relay_record;
mod status_table;
mod transcript;
mod verified_link;

pub use appointment::{GroupOfDocument, HandoverDocument, OwnerCandidateDocument, OwnerRequestDocument};
pub use connections::ConnectionRecords;
pub use group::{
    ClosingDocument, GroupDocument, GroupState, GroupStatus, KnownUserDataDocument, LinkDataDocument,
    ListedOwnerDocument, QueueDocument, QueueKeyDocument, RelayDocument, ServerPassword,
};
pub use group_status::{GroupStatusDocument, OwnerStatusDocument, RelayStatusDocument};
pub use member::{
    AwaitedDocument, LinkWatchDocument, MemberDocument, MemberKeysDocument, MemberRelayDocument, UnsentDocument,
};
pub use member_status::{MemberRelayStatusDocument, MemberStatusDocument};
pub use owner::OwnerDocument;
pub use relay_record::{
    AwaitedByOwnerDocument, DiscardedDocument, HandshakeDocument, HeadcountDocument, OwedDocument, PartingDocument,
    PersonaDocument, ReasonCode, RelayIdDocument, RelayRecordDocument,
};
pub use transcript::{LedgerDocument, MarkDocument, TallyDocument};
pub use verified_link::{
    LinkOfDocument, LinkReportDocument, VerifiedLinkDocument, VerifiedOwnerDocument, VerifiedRelayDocument,
};

/// The parts of a document do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Inconsistent {
    /// The path of the field at fault.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Inconsistent {
    pub(crate) fn new(field: &'static str, reason: impl ToString) -> Self {
        Inconsistent { field, reason: reason.to_string() }
    }
}

pub(crate) fn require(holds: bool, field: &'static str, reason: &str) -> Result<(), Inconsistent> {
    if holds { Ok(()) } else { Err(Inconsistent::new(field, reason)) }
}
