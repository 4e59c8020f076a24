//! The two plain records behind a short link.
//!
//! [`FixedData`] never changes, because the link key is its hash: the root key and the full link. User data may be
//! replaced: [`ContactData`] for addresses, channels, groups and relays, [`InvitationData`] for invitations. Both end in
//! a payload that means something to the application only.
//!
//! Records grow at their end. Readers ignore what they do not know there; of fixed data the tail is kept, because
//! applications may put something there that older readers never see.

use codec::{Decode, Encode, Malformed, Reader, VersionRange, Write};
use crypto::sign::Ed25519PublicKey;

use crate::full_link::FullLink;
use crate::owner::OwnerAuth;
use crate::short_link::ContactShortLink;

/// Instead of a length byte: a two-byte length follows.
const LONG: u8 = 0xff;
const MAX_LIST: usize = 255;
const MAX_ENTITY_ID: usize = 255;
const MAX_PAYLOAD: usize = 65_535;

/// Binds a link to something that the application knows by this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntityId(Vec<u8>);

impl LinkEntityId {
    /// An ID of at most 255 bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() <= MAX_ENTITY_ID).then_some(LinkEntityId(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The record that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedData {
    /// Agent versions of the link's owner; nobody checks them.
    pub versions: VersionRange,
    /// Signs this record, and says who else may sign the other one.
    pub root_key: Ed25519PublicKey,
    /// Where to connect.
    pub link: FullLink,
    /// What the link belongs to.
    pub entity_id: Option<LinkEntityId>,
    /// What follows; empty unless there is an entity ID. Readers of versions before 6.5 accept neither.
    pub tail: Vec<u8>,
}

impl Encode for FixedData {
    fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        out.put_short(&self.root_key.to_der());
        self.link.encode(out);
        if let Some(entity_id) = &self.entity_id {
            out.put_short(&entity_id.0);
        }
        out.put(&self.tail);
    }
}

impl Decode for FixedData {
    /// The entity ID has no flag of its own: it is there if it can be read.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let versions = VersionRange::decode(reader)?;
        let root_key = Ed25519PublicKey::from_der(reader.short()?).map_err(|_| Malformed::BadValue("root key"))?;
        let link = FullLink::decode(reader)?;
        let mut ahead = reader.clone();
        let entity_id = ahead.short().ok().map(|bytes| LinkEntityId(bytes.to_vec()));
        if entity_id.is_some() {
            *reader = ahead;
        }
        Ok(FixedData { versions, root_key, link, entity_id, tail: reader.tail().to_vec() })
    }
}

/// Bytes of the application.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// A payload, if its length can be written. What fits a link is less: sealing tells.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() <= MAX_PAYLOAD).then_some(Payload(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Encode for Payload {
    fn encode(&self, out: &mut Vec<u8>) {
        if self.0.len() < usize::from(LONG) {
            out.put_short(&self.0);
        } else {
            out.push(LONG);
            out.put_large(&self.0);
        }
    }
}

impl Decode for Payload {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = if reader.literal(&[LONG]) { reader.large()? } else { reader.short()? };
        Ok(Payload(bytes.to_vec()))
    }
}

/// The record that may be replaced, of one kind of link. What follows the known fields is ignored.
pub trait UserData: Encode + Decode {
    /// Who may sign it besides the root key.
    fn owners(&self) -> &[OwnerAuth];
}

/// User data of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationData {
    /// Agent versions of the writer; nobody checks them.
    pub versions: VersionRange,
    /// For the application.
    pub payload: Payload,
}

impl UserData for InvitationData {
    fn owners(&self) -> &[OwnerAuth] {
        &[]
    }
}

impl Encode for InvitationData {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(b"I");
        self.versions.encode(out);
        self.payload.encode(out);
    }
}

impl Decode for InvitationData {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        expect_kind(reader, b"I")?;
        let data = InvitationData { versions: VersionRange::decode(reader)?, payload: Payload::decode(reader)? };
        reader.tail();
        Ok(data)
    }
}

/// User data of an address, a channel, a group or a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactData {
    versions: VersionRange,
    direct: bool,
    owners: Vec<OwnerAuth>,
    relays: Vec<ContactShortLink>,
    payload: Payload,
}

impl ContactData {
    /// User data with at most 255 owners and 255 relays.
    pub fn new(
        versions: VersionRange,
        direct: bool,
        owners: Vec<OwnerAuth>,
        relays: Vec<ContactShortLink>,
        payload: Payload,
    ) -> Result<Self, Malformed> {
        if owners.len() > MAX_LIST || relays.len() > MAX_LIST {
            return Err(Malformed::BadValue("number of owners or relays"));
        }
        Ok(ContactData { versions, direct, owners, relays, payload })
    }

    /// Agent versions of the writer; nobody checks them.
    pub fn versions(&self) -> VersionRange {
        self.versions
    }

    /// Whether requests may be sent to the queue in the fixed data.
    pub fn direct(&self) -> bool {
        self.direct
    }

    /// Where else to connect.
    pub fn relays(&self) -> &[ContactShortLink] {
        &self.relays
    }

    /// For the application.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

impl UserData for ContactData {
    fn owners(&self) -> &[OwnerAuth] {
        &self.owners
    }
}

impl Encode for ContactData {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(b"C");
        self.versions.encode(out);
        out.put_bool(self.direct);
        out.put_list(&self.owners, |out, owner| owner.encode(out));
        out.put_list(&self.relays, |out, relay| relay.encode(out));
        self.payload.encode(out);
    }
}

impl Decode for ContactData {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        expect_kind(reader, b"C")?;
        let data = ContactData {
            versions: VersionRange::decode(reader)?,
            direct: reader.bool()?,
            owners: reader.list(OwnerAuth::decode)?,
            relays: reader.list(ContactShortLink::decode)?,
            payload: Payload::decode(reader)?,
        };
        reader.tail();
        Ok(data)
    }
}

fn expect_kind(reader: &mut Reader<'_>, kind: &[u8]) -> Result<(), Malformed> {
    if reader.literal(kind) { Ok(()) } else { Err(Malformed::BadValue("kind of link data")) }
}
