//! The list of members with rights that owners sign, as it travels.
//!
//! ```text
//! u16 count, then for each member: short(member ID) short(DER key) short(role) u16 0
//! ```
//!
//! The last field of an entry is reserved. A header that an owner signed states length and SHA-512; the blob follows in
//! chunks, which need no signature.

use codec::{Decode, Encode, Malformed, Reader, Write};
use crypto::hash;
use crypto::sign::Ed25519PublicKey;

use crate::chunk::Chunk;
use crate::event::{InlineFileInvitation, RosterHeader};
use crate::identity::{MemberId, MemberPublicKey};
use crate::limits;
use crate::member::Role;
use crate::message_id::MessageId;
use crate::roster::RosterVersion;

const RESERVED: u16 = 0;

/// A member with rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// Who.
    pub member_id: MemberId,
    /// Checks what the member signs.
    pub key: MemberPublicKey,
    /// Member, moderator or admin.
    pub role: Role,
}

/// The members with rights, each of them once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterBlob(Vec<RosterEntry>);

impl RosterBlob {
    /// A list of at most 256 members that have a role of the roster, each once.
    pub fn new(entries: Vec<RosterEntry>) -> Result<Self, Malformed> {
        if entries.len() > limits::ROSTER_ENTRIES {
            return Err(Malformed::BadValue("number of roster entries"));
        }
        let count = entries.len();
        let blob = RosterBlob(usable(entries));
        if blob.0.len() == count { Ok(blob) } else { Err(Malformed::BadValue("roster entry")) }
    }

    /// The entries.
    pub fn entries(&self) -> &[RosterEntry] {
        &self.0
    }

    /// What an owner signs before it sends the list.
    pub fn header(&self, version: RosterVersion) -> RosterHeader {
        let bytes = self.to_bytes();
        let file_size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        RosterHeader { version, file_inv: InlineFileInvitation { file_size, file_digest: hash::sha512(&bytes) } }
    }

    /// What follows the header, which was sent as the message `header`.
    pub fn chunks(&self, header: &MessageId) -> Vec<Chunk> {
        Chunk::split(header, &self.to_bytes()).unwrap_or_default()
    }
}

/// Entries with a role that nobody lists are dropped, and later ones of the same member.
fn usable(entries: Vec<RosterEntry>) -> Vec<RosterEntry> {
    let mut kept: Vec<RosterEntry> = Vec::new();
    for entry in entries {
        let listed = kept.iter().any(|other| other.member_id == entry.member_id);
        if entry.role.is_in_roster() && !listed {
            kept.push(entry);
        }
    }
    kept
}

impl Encode for RosterBlob {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(u16::try_from(self.0.len()).unwrap_or(u16::MAX));
        for entry in &self.0 {
            out.put_short(entry.member_id.as_bytes());
            out.put_short(&entry.key.0.to_der());
            out.put_short(entry.role.name().as_bytes());
            out.put_u16(RESERVED);
        }
    }
}

impl Decode for RosterBlob {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.u16()?;
        if usize::from(count) > limits::ROSTER_ENTRIES {
            return Err(Malformed::BadValue("number of roster entries"));
        }
        let entries: Result<Vec<_>, _> = (0..count).map(|_| RosterEntry::decode(reader)).collect();
        Ok(RosterBlob(usable(entries?)))
    }
}

impl Decode for RosterEntry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let member_id = MemberId::from_bytes(reader.short()?).ok_or(Malformed::BadValue("member ID in a roster"))?;
        let key = Ed25519PublicKey::from_der(reader.short()?).map_err(|_| Malformed::BadValue("key in a roster"))?;
        let role = Role::from(reader.text()?);
        reader.u16()?;
        Ok(RosterEntry { member_id, key: MemberPublicKey(key), role })
    }
}
