//! The documents that the `grp-` binaries hand to each other: bodies from `lib/group`, envelopes from `lib/cli`.

use cli::Document;
use group::document::{
    GroupDocument, GroupOfDocument, GroupStatusDocument, HandoverDocument, LinkOfDocument, LinkReportDocument,
    MemberDocument, MemberStatusDocument, OwnerCandidateDocument, OwnerDocument, OwnerRequestDocument,
    VerifiedLinkDocument,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! documents {
    ($($(#[$doc:meta])* $name:ident($body:ty) $kind:literal $secrets:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $name(pub $body);

        impl Document for $name {
            const TYPE: &'static str = $kind;
            const V: u32 = 1;
            const SECRETS: &'static [&'static str] = $secrets;
        }
    )*};
}

documents! {
    /// Keys of a group that does not exist yet.
    Owner(OwnerDocument) "owner" OwnerDocument::SECRETS;
    /// Keys of somebody who wants to be an owner of a group.
    OwnerCandidate(OwnerCandidateDocument) "owner_request" OwnerCandidateDocument::SECRETS;
    /// The public part of the same: what an owner is asked.
    OwnerRequest(OwnerRequestDocument) "owner_request" &[];
    /// What a new owner gets.
    Handover(HandoverDocument) "owner_handover" &[];
    /// A group, whole or its public part, read for its name only.
    GroupNamed(GroupOfDocument) "group" &[];
    /// A verified link, read for the group's name only.
    VerifiedLinkNamed(GroupOfDocument) "verified_link" &[];
    /// A group with its link.
    Group(GroupDocument) "group" GroupDocument::SECRETS;
    /// A group as one of its members keeps it.
    Member(MemberDocument) "member" MemberDocument::SECRETS;
    /// A group, whole or its public part, read for its link only.
    GroupSeen(LinkOfDocument) "group" &[];
    /// A verified link, read for the link only: whoever acts on it verifies again.
    VerifiedLinkSeen(LinkOfDocument) "verified_link" &[];
    /// What a group link says, after every check.
    VerifiedLink(VerifiedLinkDocument) "verified_link" &[];
    /// What was checked of a link that is not verified.
    LinkReport(LinkReportDocument) "link_report" &[];
}

/// What an owner knows of a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct GroupStatus(pub GroupStatusDocument);

impl Document for GroupStatus {
    const TYPE: &'static str = "group_status";
    const V: u32 = 1;

    fn table(&self) -> Option<String> {
        Some(self.0.table())
    }
}

/// What a member knows of a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct MemberStatus(pub MemberStatusDocument);

impl Document for MemberStatus {
    const TYPE: &'static str = "member_status";
    const V: u32 = 1;

    fn table(&self) -> Option<String> {
        Some(self.0.table())
    }
}
