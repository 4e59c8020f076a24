//! How a relay link says which group it serves.
//!
//! The fixed data of a relay link names the relay's member ID, not the group. Relays of ours add a tail that names the
//! group, so that the link cannot be reused for another one; readers that do not know the tail ignore it. A relay
//! without the tail is bound to the group only through the member ID that the owner gave it.

use codec::{Malformed, Reader, Write};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::GroupId;

const TAG: &[u8] = b"gid1";

/// How firmly a relay link belongs to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBinding {
    /// The group ID stands in data that never changes
    FixedData,
    /// Only the relay's member ID stands there
    MemberId,
}

/// The tail that names `group`.
pub fn tail(group: &GroupId) -> Vec<u8> {
    let mut out = TAG.to_vec();
    out.put_short(group.as_bytes());
    out
}

/// The group that a tail names, if it names one. What follows belongs to later versions.
pub fn read_tail(tail: &[u8]) -> Result<Option<GroupId>, Malformed> {
    let mut reader = Reader::new(tail);
    if !reader.literal(TAG) {
        return Ok(None);
    }
    GroupId::from_bytes(reader.short()?).map(Some).ok_or(Malformed::BadValue("length of group ID in fixed data"))
}
