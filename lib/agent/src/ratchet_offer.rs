//! What an invitation offers for the double ratchet: two X448 keys and perhaps a key for post-quantum encapsulation.
//!
//! The owner of the link is the side that will receive first. An offer may *propose* encapsulation by sending a public
//! key; *accepting* answers a proposal and has no place in a link.

use std::fmt;
use std::str::FromStr;

use codec::query::Query;
use codec::{Decode, Encode, Malformed, Reader, VersionRange, Write, text};
use crypto::dh::X448PublicKey;
use crypto::kem::KemPublicKey;

use crate::ratchet_keys::{KemPart, agreement_key, kem_key};
use crate::version::RATCHET_KEM;

/// The keys of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatchetOffer {
    /// Ratchet versions of the link's owner.
    pub versions: VersionRange,
    /// The first key of the agreement.
    pub key_1: X448PublicKey,
    /// The second key of the agreement; also the first key of the ratchet.
    pub key_2: X448PublicKey,
    /// Proposes post-quantum encapsulation. Ratchet versions below 3 leave it out of the text form.
    pub kem: Option<KemPublicKey>,
}

impl RatchetOffer {
    /// The same offer without a proposal of encapsulation, as printed beside a short link.
    pub fn without_kem(self) -> Self {
        RatchetOffer { kem: None, ..self }
    }
}

impl fmt::Display for RatchetOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |key: &X448PublicKey| text::base64url(&key.to_der());
        write!(f, "v={}&x3dh={},{}", self.versions, key(&self.key_1), key(&self.key_2))?;
        match &self.kem {
            Some(kem) if self.versions.max() >= RATCHET_KEM => {
                write!(f, "&kem_key={}", text::base64url(kem.as_bytes()))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for RatchetOffer {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let query = Query::parse(text);
        let versions: VersionRange = query.text("v").ok_or(Malformed::BadValue("ratchet versions"))?.parse()?;
        let keys = query.text("x3dh").and_then(|keys| keys.split_once(','));
        let (key_1, key_2) = keys.ok_or(Malformed::BadValue("ratchet keys"))?;
        let kem = if versions.max() >= RATCHET_KEM { parse_kem(&query)? } else { None };
        Ok(RatchetOffer { versions, key_1: parse_key(key_1)?, key_2: parse_key(key_2)?, kem })
    }
}

/// A ciphertext without a key means nothing and is ignored; with a key it would accept a proposal nobody made.
fn parse_kem(query: &Query) -> Result<Option<KemPublicKey>, Malformed> {
    match (query.text("kem_key"), query.get("kem_ct")) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Malformed::BadValue("ratchet offer: encapsulation accepted in a link")),
        (Some(key), None) => kem_key(&text::from_base64url(key)?).map(Some),
    }
}

fn parse_key(text: &str) -> Result<X448PublicKey, Malformed> {
    agreement_key(&text::from_base64url(text)?)
}

impl Encode for RatchetOffer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        out.put_short(&self.key_1.to_der());
        out.put_short(&self.key_2.to_der());
        out.put_maybe(self.kem.as_ref(), |out, kem| kem.put(out));
    }
}

impl Decode for RatchetOffer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(RatchetOffer {
            versions: VersionRange::decode(reader)?,
            key_1: agreement_key(reader.short()?)?,
            key_2: agreement_key(reader.short()?)?,
            kem: reader.maybe(KemPublicKey::take)?,
        })
    }
}
