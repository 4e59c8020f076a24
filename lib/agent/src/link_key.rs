//! The key inside a short link, and what is derived from it.
//!
//! A link key is the hash of the link's fixed data, so whoever has the link can tell that the server returned the right
//! data; and it yields the key that encrypts the data, so the server cannot read it. For contact links it also yields
//! the ID under which the server keeps the data, so the server never sees the link key.

use std::fmt;

use codec::{Malformed, text};
use crypto::{BoxKey, hash};
use smp::id::LinkId;

/// Length of a link key.
pub const LINK_KEY: usize = 32;

const CONTACT: &[u8] = b"SimpleXContactLink";
const INVITATION: &[u8] = b"SimpleXInvLink";

/// SHA3-256 of the fixed data of a link. Whoever knows it can read the link's data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LinkKey([u8; LINK_KEY]);

impl LinkKey {
    /// From the bytes in a link.
    pub fn from_bytes(bytes: [u8; LINK_KEY]) -> Self {
        LinkKey(bytes)
    }

    /// The key of the link to this fixed data, without its signature.
    pub fn of_fixed_data(body: &[u8]) -> Self {
        LinkKey(hash::sha3_256(body))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; LINK_KEY] {
        &self.0
    }

    /// Where the server keeps the data of a contact link, and the key that encrypts it.
    pub fn derive_contact(&self) -> (LinkId, BoxKey) {
        let (mut id, mut key) = ([0; 24], [0; 32]);
        let derived: [u8; 56] = hash::hkdf_sha512(b"", &self.0, CONTACT);
        let mut bytes = derived.iter();
        id.iter_mut().chain(&mut key).zip(&mut bytes).for_each(|(to, from)| *to = *from);
        (LinkId::from(id), BoxKey::symmetric(&key))
    }

    /// The key that encrypts the data of an invitation; its link ID is the server's choice.
    pub fn derive_invitation(&self) -> BoxKey {
        BoxKey::symmetric(&hash::hkdf_sha512(b"", &self.0, INVITATION))
    }

    pub(crate) fn decode_short(bytes: &[u8]) -> Result<Self, Malformed> {
        bytes.try_into().map(LinkKey).map_err(|_| Malformed::BadValue("length of link key"))
    }

    pub(crate) fn to_text(&self) -> String {
        text::base64url_unpadded(&self.0)
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(…)")
    }
}
