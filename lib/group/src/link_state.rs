//! What stands behind a group link, as far as its owners compare it with what they know.

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use smp::command::LinkData;

use crate::link_merge::{LinkContents, Side};
use crate::revision::Revision;
use crate::step::link_create::GroupContents;
use crate::step::link_verify::{VerifiedGroupLink, verify_group_link};

/// Owners and members cannot be fewer.
const FEWEST_MEMBERS: u64 = 1;

/// Link data with a revision, after every check.
#[derive(Debug, Clone)]
pub(crate) struct LinkState {
    pub(crate) revision: Revision,
    pub(crate) said: LinkContents,
    /// Of the signer: 0 is the root key.
    rank: usize,
    pub(crate) data: LinkData,
}

/// Why what was found cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is not this group's link, or nobody signed it who may.
    Foreign,
    /// No owner of several wrote it.
    NoRevision,
}

impl LinkState {
    /// Checks and takes apart what was found under the link.
    pub(crate) fn read(link: &ContactShortLink, found: &RetrievedLinkData) -> Result<Self, Unknown> {
        let verified = verify_group_link(link.clone(), found.clone());
        let verified = verified.map_err(|_| Unknown::Foreign)?;
        LinkState::of(&verified, found.data.clone()).ok_or(Unknown::NoRevision)
    }

    pub(crate) fn of(verified: &VerifiedGroupLink, data: LinkData) -> Option<Self> {
        let owners = verified.owner_list().clone();
        let contents = GroupContents {
            profile: verified.profile().clone(),
            member_count: verified.member_count().unwrap_or(FEWEST_MEMBERS),
            relays: verified.relay_links().to_vec(),
            transcript: verified.transcript().clone(),
        };
        let rank = owners.rank(verified.root_key(), verified.signer());
        Some(LinkState { revision: verified.revision()?, said: LinkContents { contents, owners }, rank, data })
    }

    pub(crate) fn own(revision: Revision, said: LinkContents, rank: usize, data: LinkData) -> Self {
        LinkState { revision, said, rank, data }
    }

    pub(crate) fn side(&self) -> Side<'_> {
        Side { said: &self.said, by: self.revision.by(), rank: self.rank, number: self.revision.number() }
    }
}
