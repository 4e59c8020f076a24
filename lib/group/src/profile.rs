//! What a group says about itself, in the JSON of the chat protocol.
//!
//! Keys that we do not know are kept where they stood: other programs of the same owner may have put them there, and
//! an edit with our tools must not lose them. Field names are those of the wire.

use agent::short_link::ContactKind;
use codec::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bytes::{Base64Url, padded};
use crate::identity::GroupId;
use crate::wire_name::wire_names;

/// Settings for web pages; opaque, but part of what a group says.
const ACCESS: &str = "publicGroupAccess";
const MAX_SHORT_DESCRIPTION: usize = 160;
const DATA_URI: &str = "data:";

/// A group's or channel's profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupProfile {
    /// Short name
    pub display_name: String,
    /// Long name, may be empty
    pub full_name: String,
    /// One line, up to 160 characters
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_descr: Option<String>,
    /// Welcome text
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Picture as a data: URI
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What binds the profile to its link; in groups with relays only
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_group: Option<PublicGroup>,
    /// Which features are on
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_preferences: Option<Map<String, Value>>,
    /// How members are admitted
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_admission: Option<Map<String, Value>>,
    /// What other programs put there
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What binds a profile to a group link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicGroup {
    /// `channel` or `group`
    #[schemars(with = "String")]
    pub group_type: GroupType,
    /// The group link
    pub group_link: String,
    /// The group ID, with padding as everywhere in the chat protocol
    #[serde(with = "padded")]
    #[schemars(with = "Base64Url")]
    pub public_group_id: GroupId,
    /// What other programs put there, web settings among it
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

wire_names! {
    /// What kind of group it is.
    pub enum GroupType {
        /// Members only read by default.
        Channel = "channel",
        /// Members write.
        Group = "group",
    }
}

impl GroupType {
    /// The kind of link that leads to such a group, if we know it.
    pub fn link_kind(&self) -> Option<ContactKind> {
        match self {
            GroupType::Channel => Some(ContactKind::Channel),
            GroupType::Group => Some(ContactKind::Group),
            GroupType::Other(_) => None,
        }
    }
}

impl PublicGroup {
    fn without_unknown(mut self) -> Self {
        self.other.retain(|key, _| key == ACCESS);
        self
    }
}

/// What no profile may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileFault {
    /// There must be a name to show.
    #[error("the display name is empty")]
    NoName,
    /// `#` and `@` mark groups and contacts where names are typed.
    #[error("the display name begins with # or @")]
    NameMark,
    /// Longer texts belong into the description.
    #[error("the short description is longer than 160 characters")]
    LongShortDescription,
    /// Pictures travel inside the profile; an address would tell its server who looks.
    #[error("the image is not a data: URI")]
    ImageNotInline,
    /// Nobody could review: relays admit members.
    #[error("member admission by review does not work with relays")]
    Review,
}

impl GroupProfile {
    /// A profile with a name and nothing else.
    pub fn named(display_name: &str) -> Self {
        GroupProfile {
            display_name: display_name.to_owned(),
            full_name: String::new(),
            short_descr: None,
            description: None,
            image: None,
            public_group: None,
            group_preferences: None,
            member_admission: None,
            other: Map::new(),
        }
    }

    /// Whether both say the same. Keys that we do not know make no difference, because relays lose them.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let known = |profile: &Self| {
            let public_group = profile.public_group.clone().map(PublicGroup::without_unknown);
            GroupProfile { public_group, other: Map::new(), ..profile.clone() }
        };
        known(self) == known(other)
    }

    /// Checks what holds for every profile of a group with relays.
    pub fn check(&self) -> Result<(), ProfileFault> {
        let review = self.member_admission.as_ref().is_some_and(|admission| admission.contains_key("review"));
        let short_length = self.short_descr.as_ref().map_or(0, |text| text.chars().count());
        check_name(&self.display_name)?;
        if short_length > MAX_SHORT_DESCRIPTION {
            Err(ProfileFault::LongShortDescription)
        } else if self.image.as_ref().is_some_and(|image| !is_inline(image)) {
            Err(ProfileFault::ImageNotInline)
        } else if review {
            Err(ProfileFault::Review)
        } else {
            Ok(())
        }
    }
}

/// Checks a name that people or groups go by.
pub(crate) fn check_name(name: &str) -> Result<(), ProfileFault> {
    if name.trim().is_empty() {
        Err(ProfileFault::NoName)
    } else if name.starts_with(['#', '@']) {
        Err(ProfileFault::NameMark)
    } else {
        Ok(())
    }
}

/// Whether a picture is there itself, and not the address of a server that would learn who looks.
pub(crate) fn is_inline(image: &str) -> bool {
    image.starts_with(DATA_URI)
}

/// The `data:` URI of a picture file, if its first bytes are those of a JPEG or PNG file.
pub fn image_uri(file: &[u8]) -> Option<String> {
    let subtype = match file {
        [0xff, 0xd8, 0xff, ..] => "jpg",
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => "png",
        _ => return None,
    };
    Some(format!("data:image/{subtype};base64,{}", text::base64_standard(file)))
}
