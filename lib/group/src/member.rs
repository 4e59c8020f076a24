//! Who is in a group and what they may do: roles, and what members are told about each other.

use agent::full_link::FullLink;
use agent::short_link::ShortLink;
use codec::VersionRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bytes::{der_option, padded, text_form_option};
use crate::identity::{MemberId, MemberPublicKey};
use crate::preferences::{Feature, Preferences};
use crate::profile::{ProfileFault, check_name, is_inline};
use crate::user_data::RelayProfile;
use crate::wire_name::wire_names;

wire_names! {
    /// What somebody may do in a group, from the lowest to the highest. Roles that we do not know rank below all others.
    #[derive(PartialOrd, Ord)]
    pub enum Role {
        /// Forwards what others say, and says nothing in the group itself.
        Relay = "relay",
        /// Reads.
        Observer = "observer",
        /// Writes where authors may.
        Author = "author",
        /// Writes.
        Member = "member",
        /// Deletes what members wrote, and blocks them.
        Moderator = "moderator",
        /// Removes members.
        Admin = "admin",
        /// Speaks for the group.
        Owner = "owner",
    }

    /// Whether others see what a member writes.
    pub enum Restriction {
        /// They do not.
        Blocked = "blocked",
        /// They do.
        Unrestricted = "unrestricted",
    }
}

impl Role {
    /// Whether owners sign who has it.
    pub fn is_in_roster(&self) -> bool {
        matches!(self, Role::Member | Role::Moderator | Role::Admin)
    }

    /// Whether nobody has it on a relay's word alone.
    pub fn is_privileged(&self) -> bool {
        *self >= Role::Member
    }
}

/// A member and a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberIdRole {
    /// Who.
    #[serde(with = "padded")]
    pub member_id: MemberId,
    /// As what.
    pub member_role: Role,
}

/// What a member says about itself
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberProfile {
    /// Short name.
    pub display_name: String,
    /// Long name, may be empty.
    pub full_name: String,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_descr: Option<String>,
    /// Longer text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Picture as a `data:` URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where to contact the member outside the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_link: Option<String>,
    /// Features in direct chats; means nothing in groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferences: Option<Map<String, Value>>,
    /// `human`, `bot`, `business` or something later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_type: Option<String>,
}

impl MemberProfile {
    /// A profile with a name and nothing else.
    pub fn named(display_name: &str) -> Self {
        MemberProfile {
            display_name: display_name.to_owned(),
            full_name: String::new(),
            short_descr: None,
            description: None,
            image: None,
            contact_link: None,
            preferences: None,
            peer_type: None,
        }
    }

    /// What of the profile is shown in a group to which its member belongs with `role`. Ways to reach the member
    /// outside are taken out, unless the group wants both direct messages and links.
    pub fn in_group(self, preferences: Preferences<'_>, role: &Role) -> Self {
        let reachable = [Feature::DirectMessages, Feature::SimplexLinks].iter().all(|on| preferences.allow(*on, role));
        let text = |text: Option<String>| if reachable { text } else { text.as_deref().map(without_links) };
        MemberProfile {
            short_descr: text(self.short_descr),
            description: text(self.description),
            image: self.image.map(|image| if is_inline(&image) { image } else { String::new() }),
            contact_link: self.contact_link.filter(|_| reachable),
            preferences: None,
            ..self
        }
    }

    /// Checks the name.
    pub fn check(&self) -> Result<(), ProfileFault> {
        check_name(&self.display_name)
    }
}

fn without_links(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).filter(|word| !is_link(word.trim_end())).collect()
}

fn is_link(word: &str) -> bool {
    word.parse::<ShortLink>().is_ok() || word.parse::<FullLink>().is_ok()
}

impl From<RelayProfile> for MemberProfile {
    fn from(relay: RelayProfile) -> Self {
        let RelayProfile { display_name, full_name, short_descr, image } = relay;
        MemberProfile { full_name, short_descr, image, ..MemberProfile::named(&display_name) }
    }
}

/// What relays tell about a member. None of it is signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberInfo {
    /// Who.
    #[serde(with = "padded")]
    pub member_id: MemberId,
    /// As what.
    pub member_role: Role,
    /// What the member's program speaks.
    #[serde(default, with = "text_form_option", skip_serializing_if = "Option::is_none")]
    pub v: Option<VersionRange>,
    /// What the member says about itself.
    pub profile: MemberProfile,
    /// The key that the relay knows for the member.
    #[serde(default, with = "der_option", skip_serializing_if = "Option::is_none")]
    pub member_key: Option<MemberPublicKey>,
}

/// What a moderator decided about a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRestrictions {
    /// Whether others see what the member writes.
    pub restriction: Restriction,
}
