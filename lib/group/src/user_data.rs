//! What chat programs put into the user data of links: JSON, compressed when it is long.
//!
//! A group link carries the group's profile, a relay link the relay's. Up to 10,240 bytes the JSON stands there as it
//! is; longer JSON is compressed behind an `X`. Readers never expand more than 65,536 bytes.

use agent::link_data::Payload;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bytes::padded_option;
use crate::extension::Extensions;
use crate::identity::GroupId;
use crate::profile::GroupProfile;
use crate::revision::{RevisionMark, lenient};
use crate::roster::RosterVersion;
use crate::transcript::Transcript;

const COMPRESSED: u8 = b'X';
const MAX_PLAIN: usize = 10_240;
const MAX_EXPANDED: usize = 65_536;
const LEVEL: i32 = 3;

/// User data of a group link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupLinkContents {
    /// What the group says about itself.
    pub group_profile: GroupProfile,
    /// What changes without an edit of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_group_data: Option<PublicGroupData>,
    /// Which writes of which owners are in here.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionMark>,
    /// How much was said, by the count of each owner.
    #[serde(default, skip_serializing_if = "Transcript::is_empty")]
    pub transcript: Transcript,
    /// What other programs put there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Numbers about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicGroupData {
    /// Members and owners, not relays.
    pub public_member_count: u64,
    /// The version of the roster, for owners who restored an old copy of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster_version: Option<RosterVersion>,
}

/// User data of a relay link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayLinkContents {
    /// What the relay says about itself.
    pub relay_profile: RelayProfile,
    /// The group that the relay serves with this link, for readers that do not see the fixed data's tail.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    /// What the relay can do beyond the protocol.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub ext: Extensions,
    /// What other programs put there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a relay says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelayProfile {
    /// Short name
    pub display_name: String,
    /// Long name, may be empty
    pub full_name: String,
    /// One line
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_descr: Option<String>,
    /// Picture as a data: URI
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Contents that can stand in the user data of a link.
pub trait Contents: Serialize + DeserializeOwned {
    /// The bytes for the link. Whether they fit is known when the link data is sealed.
    fn to_payload(&self) -> Result<Payload, ContentsError> {
        let json = serde_json::to_vec(self).map_err(|error| ContentsError::Json(error.to_string()))?;
        Payload::new(pack(json)?).ok_or(ContentsError::TooLong)
    }

    /// Reads the bytes of a link.
    fn from_payload(payload: &Payload) -> Result<Self, ContentsError> {
        let json = unpack(payload.as_bytes())?;
        serde_json::from_slice(&json).map_err(|error| ContentsError::Json(error.to_string()))
    }
}

impl Contents for GroupLinkContents {}
impl Contents for RelayLinkContents {}

/// Why the contents of a link cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// There is nothing.
    #[error("no user data")]
    Empty,
    /// Compressed data is damaged, or expands to more than is allowed.
    #[error("user data does not expand to at most 65,536 bytes")]
    Expansion,
    /// The bytes are not the JSON they should be.
    #[error("user data: {0}")]
    Json(String),
    /// No link can hold so much, even compressed.
    #[error("user data is too long for a link")]
    TooLong,
}

fn pack(json: Vec<u8>) -> Result<Vec<u8>, ContentsError> {
    if json.len() <= MAX_PLAIN {
        return Ok(json);
    }
    if json.len() > MAX_EXPANDED {
        return Err(ContentsError::TooLong);
    }
    let frame = zstd::bulk::compress(&json, LEVEL).map_err(|_| ContentsError::TooLong)?;
    Ok([&[COMPRESSED], frame.as_slice()].concat())
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, ContentsError> {
    match bytes.split_first() {
        None => Err(ContentsError::Empty),
        Some((&COMPRESSED, frame)) => zstd::bulk::decompress(frame, MAX_EXPANDED).map_err(|_| ContentsError::Expansion),
        Some(_) => Ok(bytes.to_vec()),
    }
}
