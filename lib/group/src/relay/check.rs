//! Steps 7 and 8: a relay looks at the group link before it serves the group, and refuses what it does not want.
//!
//! | what is wrong | reason |
//! |---|---|
//! | the link cannot be read or believed, names another group or another owner, or its profile is too long | `bad_profile` |
//! | the operator does not want groups of this kind | `policy` |
//! | there are too many already | `capacity` |
//! | the operator left the group before | `rejoin_rejected` |

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;

use super::group::ServedGroup;
use super::invitation::Invitation;
use super::settings::RelaySettings;
use crate::check::Check;
use crate::event::RejectionReason;
use crate::json;
use crate::member::Role;
use crate::profile::PublicGroup;
use crate::step::link_verify::{VerifiedGroupLink, verify_group_link};

/// Why a relay does not serve a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct GroupRefusal {
    /// What the owner is told.
    pub reason: RejectionReason,
    /// What the operator is told.
    pub detail: String,
}

impl GroupRefusal {
    pub(super) fn new(reason: RejectionReason, detail: impl ToString) -> Self {
        GroupRefusal { reason, detail: detail.to_string() }
    }

    fn bad_profile(detail: impl ToString) -> Self {
        GroupRefusal::new(RejectionReason::BadProfile, detail)
    }
}

/// Makes every check of a group link. Relay links that it lists are other relays' business: they are not read.
pub(super) fn verify_group(
    link: &ContactShortLink,
    retrieved: RetrievedLinkData,
) -> Result<VerifiedGroupLink, GroupRefusal> {
    verify_group_link(link.clone(), retrieved).map_err(|Check { name, detail, .. }| {
        GroupRefusal::bad_profile(format!("{name}: {}", detail.unwrap_or_default()))
    })
}

/// Whether the relay serves the group to which it was invited.
pub(super) fn admit_group(
    invitation: &Invitation,
    verified: &VerifiedGroupLink,
    settings: &RelaySettings,
) -> Result<ServedGroup, GroupRefusal> {
    let group = ServedGroup::from(verified);
    if !group.has_owner(&invitation.owner) {
        return Err(GroupRefusal::bad_profile("whoever invites is no owner in the group link"));
    }
    if group.has_owner(&invitation.relay_member_id) {
        return Err(GroupRefusal::bad_profile("the relay is to have the member ID of an owner"));
    }
    let image = group.profile.image.as_ref().map_or(0, String::len);
    let length = json::to_vec(&group.profile).len();
    if image > settings.max_image || length > settings.max_profile {
        return Err(GroupRefusal::bad_profile(format!("a profile of {length} bytes with a picture of {image}")));
    }
    if !settings.group_types.contains(verified.group_type()) {
        let detail = format!("groups of type {} are not served", verified.group_type());
        return Err(GroupRefusal::new(RejectionReason::Policy, detail));
    }
    Ok(group)
}

/// Whether a profile that an owner signed is one of the same group.
pub(super) fn is_of_group(public_group: Option<&PublicGroup>, group: &ServedGroup) -> bool {
    public_group.is_some_and(|public_group| public_group.public_group_id == group.group_id)
}

/// What a relay is in its groups.
pub(super) const ROLE: Role = Role::Relay;
