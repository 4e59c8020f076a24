//! What an audit compared, and how much of it differs.

use cli::{Blob, Document};
use group::membership::{Compared, MarkStatus, Membership};
use group::transcript::Strength;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lines::blob_of_member;

/// What relays delivered, compared with what owners counted
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupAudit {
    /// When it was compared, in Unix seconds
    pub at: i64,
    /// What owners counted; empty if no owner publishes transcript marks, or none has said anything yet
    pub marks: Vec<AuditedMark>,
    /// Posts that no relay delivered
    pub withheld: u64,
    /// Posts of which what counts here is something else than an owner counted
    pub altered: u64,
    /// Posts of the member itself that did not reach an owner
    pub unmarked: u64,
    /// Marks that are older than one that was seen before, or say something else of earlier posts
    pub marks_at_fault: u64,
}

/// The newest transcript mark of an owner
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AuditedMark {
    /// Which owner
    pub owner_id: Blob,
    /// Whether it says digests of what was said
    pub strength: Strength,
    /// Counts the marks of this owner
    pub number: u64,
    /// When it was made, in Unix seconds
    pub made_at: i64,
    /// How many posts the owner counted
    pub total: u64,
}

impl Document for GroupAudit {
    const TYPE: &'static str = "group_audit";
    const V: u32 = 1;
}

impl GroupAudit {
    /// How a membership stands.
    pub fn of(member: &Membership, at: i64) -> Self {
        let marks = member.marks().iter().map(AuditedMark::from).collect();
        let mut audit = GroupAudit { at, marks, withheld: 0, altered: 0, unmarked: 0, marks_at_fault: 0 };
        for finding in member.findings() {
            let (counter, found) = match finding.what {
                Compared::Withheld { .. } => (&mut audit.withheld, 1),
                Compared::WithheldUnnamed { missing } => (&mut audit.withheld, missing),
                Compared::Altered { .. } => (&mut audit.altered, 1),
                Compared::Unmarked { .. } => (&mut audit.unmarked, 1),
                Compared::Replayed | Compared::Rewritten => (&mut audit.marks_at_fault, 1),
            };
            *counter = counter.saturating_add(found);
        }
        audit
    }
}

impl From<&MarkStatus> for AuditedMark {
    fn from(mark: &MarkStatus) -> Self {
        AuditedMark {
            owner_id: blob_of_member(&mark.by),
            strength: mark.strength,
            number: mark.number,
            made_at: mark.made_at,
            total: mark.total,
        }
    }
}
