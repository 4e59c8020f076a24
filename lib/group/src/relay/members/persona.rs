//! What a member says about itself, as the relay passes it on: nothing that leads outside the group, and not too much.

use serde::{Deserialize, Serialize};

use super::rows::MalformedRow;
use crate::bytes::unpadded_option;
use crate::element::{AuthoredMessage, Forward, ForwardContent, ForwardSender, ShortName};
use crate::identity::MemberId;
use crate::json;
use crate::member::{MemberProfile, Role};
use crate::preferences::Preferences;
use crate::profile::GroupProfile;

/// A profile that is longer loses its picture, then everything but its name: it must fit a message with others.
const MAX_PROFILE: usize = 12_000;
/// Longer names are cut.
const MAX_NAME: usize = 64;

/// What a member says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Persona {
    /// As others see it.
    pub profile: MemberProfile,
    /// What it signed when it joined.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub join: Option<Vec<u8>>,
    /// When that came, in Unix seconds.
    #[serde(default)]
    pub joined_at: i64,
}

impl Persona {
    /// As a member of a group with that role is shown there.
    pub(super) fn new(profile: MemberProfile, group: &GroupProfile, role: &Role) -> Self {
        let preferences = Preferences::of(group.group_preferences.as_ref());
        Persona { profile: bounded(profile.in_group(preferences, role)), join: None, joined_at: 0 }
    }

    /// Somebody of whom only a name is known.
    pub(super) fn named(name: &str) -> Self {
        Persona { profile: bounded(MemberProfile::named(name)), join: None, joined_at: 0 }
    }

    /// The name in front of what the member says.
    pub(super) fn short_name(&self) -> ShortName {
        ShortName::new(&self.profile.display_name)
    }

    /// The signed request of the member, for those who check keys.
    pub(super) fn forwarded_join(&self, id: &MemberId) -> Option<Forward> {
        let signed = AuthoredMessage::parse(self.join.as_deref()?).ok()?;
        let sender = ForwardSender::Member(id.clone(), self.short_name());
        Some(Forward { sender, sent_at: self.joined_at, content: ForwardContent::Message(signed) })
    }

    /// As it is kept.
    pub fn to_record(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// From what is kept.
    pub fn from_record(bytes: &[u8]) -> Result<Self, MalformedRow> {
        serde_json::from_slice(bytes).map_err(|_| MalformedRow("persona"))
    }
}

fn bounded(profile: MemberProfile) -> MemberProfile {
    let display_name = profile.display_name.chars().take(MAX_NAME).collect();
    let profile = MemberProfile { display_name, ..profile };
    let fits = |profile: &MemberProfile| json::to_vec(profile).len() <= MAX_PROFILE;
    if fits(&profile) {
        return profile;
    }
    let plain = MemberProfile { image: None, ..profile };
    if fits(&plain) { plain } else { MemberProfile::named(&plain.display_name) }
}
