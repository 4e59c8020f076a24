//! A relay's answer to an invitation, and the checks between it and the group link.
//!
//! ```text
//! connection information ─▶ Answer ─ relay link retrieved, checked ─▶ AdmittedRelay ─▶ published
//! ```
//!
//! Only [`admit`] makes an [`AdmittedRelay`] of what a relay said, and only such a relay can reach a status from which
//! its link is published.

use agent::link_read::RetrievedLinkData;
use agent::short_link::{ContactKind, ContactShortLink};
use codec::{Malformed, VersionRange};

use crate::body::{ConnectionInfo, ConnectionInfoError};
use crate::check::Check;
use crate::event::{Event, RejectionReason, RelayAccept, RelayCapabilities};
use crate::extension::{Extension, Extensions};
use crate::identity::{GroupId, MemberId};
use crate::profile::{ProfileFault, check_name};
use crate::step::link_verify::{VerifiedRelay, verify_relay_link};
use crate::text::shown;
use crate::version;

/// A relay link longer than this is longer than any that a relay needs.
const MAX_LINK: usize = 2048;

/// What a relay answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Accepts(Answer),
    Refuses(RejectionReason),
}

/// A relay that is willing, of whose link nothing is known but the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) relay_link: RelayLink,
    pub(super) capabilities: RelayCapabilities,
    pub(super) versions: VersionRange,
}

/// A relay link, and the very text in which it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RelayLink {
    text: String,
    link: ContactShortLink,
}

/// A relay whose link passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdmittedRelay {
    pub(super) relay: VerifiedRelay,
    pub(super) answer: Answer,
}

/// Why an answer is no answer. The relay is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerFault {
    #[error(transparent)]
    Info(#[from] ConnectionInfoError),
    #[error("{0} is no answer to an invitation")]
    Event(String),
    #[error("a relay link of {0} bytes")]
    TooLong(usize),
    #[error("its relay link: {0}")]
    Link(#[from] Malformed),
    #[error("its relay link is of another kind than those of groups")]
    Kind,
}

/// Why a relay link must not be published. The relay is at fault, or the server between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RelayLinkFault {
    #[error("{name}: {detail}", name = .0.name, detail = shown(.0.detail.as_deref().unwrap_or("failed")))]
    Check(Check),
    #[error("it belongs to another member than the one that was invited")]
    OtherMember,
    #[error("it takes no requests")]
    NotDirect,
    #[error(transparent)]
    Profile(#[from] ProfileFault),
}

impl Reply {
    /// Reads what a relay says when it takes up our connection.
    pub(super) fn parse(info: &[u8]) -> Result<Self, AnswerFault> {
        let info = ConnectionInfo::parse(info)?;
        let versions = info.authored().message().versions;
        match info.event() {
            Event::GroupRelayAccept(accept) => Ok(Reply::Accepts(Answer::new(accept, versions)?)),
            Event::GroupRelayReject(reject) => Ok(Reply::Refuses(bounded(&reject.reason))),
            other => Err(AnswerFault::Event(shown(other.name()))),
        }
    }
}

fn bounded(reason: &RejectionReason) -> RejectionReason {
    RejectionReason::from(shown(reason.name()))
}

/// Capabilities are kept: no more of them than we know, and no longer than people can read.
pub(super) fn bounded_capabilities(capabilities: &RelayCapabilities) -> RelayCapabilities {
    let RelayCapabilities { web_domain, ext } = capabilities;
    let mut known = Extensions::default();
    for extension in ext.0.iter().filter(|extension| !matches!(extension, Extension::Other(_))) {
        if !known.announce(extension) {
            known.0.push(extension.clone());
        }
    }
    RelayCapabilities { web_domain: web_domain.as_deref().map(shown), ext: known }
}

impl Answer {
    fn new(accept: &RelayAccept, versions: VersionRange) -> Result<Self, AnswerFault> {
        let relay_link = RelayLink::new(accept.relay_link.clone())?;
        let capabilities = accept.relay_cap.as_ref().map(bounded_capabilities).unwrap_or_default();
        Ok(Answer { relay_link, capabilities, versions })
    }

    /// Whether the relay takes rosters, and must before it is published.
    pub(super) fn takes_rosters(&self) -> bool {
        self.versions.max() >= version::ROSTER
    }
}

impl RelayLink {
    /// A link as a relay wrote it.
    pub(super) fn new(text: String) -> Result<Self, AnswerFault> {
        if text.len() > MAX_LINK {
            return Err(AnswerFault::TooLong(text.len()));
        }
        let link: ContactShortLink = text.parse()?;
        if link.kind != ContactKind::Group {
            return Err(AnswerFault::Kind);
        }
        Ok(RelayLink { text, link })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn link(&self) -> &ContactShortLink {
        &self.link
    }
}

/// Checks what was retrieved behind the link in an answer: it must belong to this group and to the member that was
/// invited, and be of use to members.
pub(super) fn admit(
    answer: &Answer,
    retrieved: &RetrievedLinkData,
    group: GroupId,
    invited: &MemberId,
) -> Result<AdmittedRelay, RelayLinkFault> {
    let link = answer.relay_link.link();
    let relay = verify_relay_link(link.clone(), retrieved, group).map_err(RelayLinkFault::Check)?;
    if relay.member_id != *invited {
        return Err(RelayLinkFault::OtherMember);
    }
    // The data passed every check, so that it can be read.
    if !retrieved.read(link).is_ok_and(|data| data.user().direct()) {
        return Err(RelayLinkFault::NotDirect);
    }
    check_name(&relay.profile.display_name)?;
    Ok(AdmittedRelay { relay, answer: answer.clone() })
}
