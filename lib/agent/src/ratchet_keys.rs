//! The public keys that the two sides of a connection exchange to start a double ratchet.
//!
//! The owner of the link is the *receiver*: its keys come from the link, or later alone to re-synchronise. Who joined
//! is the *sender*: its keys travel in the confirmation. Both are the same but for encapsulation, which a receiver can
//! only propose; a sender may also accept.

use codec::{Decode, Encode, Malformed, Reader, VersionRange, Write};
use crypto::dh::X448PublicKey;
use crypto::kem::{KemCiphertext, KemPublicKey};

use crate::ratchet_offer::RatchetOffer;
use crate::version::RATCHET_KEM;

const PROPOSED: u8 = b'P';
const ACCEPTED: u8 = b'A';

/// Keys for one version of the ratchet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatchetKeys<K> {
    version: u16,
    key_1: X448PublicKey,
    key_2: X448PublicKey,
    kem: Option<K>,
}

/// The keys of the link's owner.
pub type ReceiverKeys = RatchetKeys<KemPublicKey>;
/// The keys of who joined.
pub type SenderKeys = RatchetKeys<KemOffer>;

/// How a side takes part in encapsulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KemOffer {
    /// A key that the peer may encapsulate to.
    Proposed(KemPublicKey),
    /// A secret encapsulated to the peer's key, and a key for the way back.
    Accepted(KemCiphertext, KemPublicKey),
}

impl<K> RatchetKeys<K> {
    /// Keys at a version; versions without encapsulation leave it out.
    pub fn new(version: u16, key_1: X448PublicKey, key_2: X448PublicKey, kem: Option<K>) -> Self {
        RatchetKeys { version, key_1, key_2, kem: kem.filter(|_| version >= RATCHET_KEM) }
    }

    /// The version of the ratchet.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The first key of the agreement.
    pub fn key_1(&self) -> &X448PublicKey {
        &self.key_1
    }

    /// The second key of the agreement.
    pub fn key_2(&self) -> &X448PublicKey {
        &self.key_2
    }

    /// The part in encapsulation, if any.
    pub fn kem(&self) -> Option<&K> {
        self.kem.as_ref()
    }
}

impl RatchetOffer {
    /// The keys at the highest version that both sides speak, if there is one.
    pub fn agree(&self, ours: VersionRange) -> Option<ReceiverKeys> {
        let version = self.versions.common(ours)?.max();
        Some(ReceiverKeys::new(version, self.key_1, self.key_2, self.kem.clone()))
    }
}

impl From<ReceiverKeys> for SenderKeys {
    /// In a re-synchronisation both sides propose, and either may turn out to be the sender.
    fn from(keys: ReceiverKeys) -> Self {
        SenderKeys::new(keys.version, keys.key_1, keys.key_2, keys.kem.map(KemOffer::Proposed))
    }
}

/// What the two sides may say about encapsulation.
pub(crate) trait KemPart: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl KemPart for KemPublicKey {
    fn put(&self, out: &mut Vec<u8>) {
        out.put(&[PROPOSED]);
        out.put_large(self.as_bytes());
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match KemOffer::take(reader)? {
            KemOffer::Proposed(key) => Ok(key),
            KemOffer::Accepted(..) => Err(Malformed::BadValue("encapsulation: accepted what nobody proposed")),
        }
    }
}

impl KemPart for KemOffer {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            KemOffer::Proposed(key) => key.put(out),
            KemOffer::Accepted(ciphertext, key) => {
                out.put(&[ACCEPTED]);
                out.put_large(ciphertext.as_bytes());
                out.put_large(key.as_bytes());
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            PROPOSED => kem_key(reader.large()?).map(KemOffer::Proposed),
            ACCEPTED => {
                let ciphertext = KemCiphertext::from_bytes(reader.large()?);
                let ciphertext = ciphertext.map_err(|_| Malformed::BadValue("length of encapsulated secret"))?;
                Ok(KemOffer::Accepted(ciphertext, kem_key(reader.large()?)?))
            }
            _ => Err(Malformed::BadValue("encapsulation: neither proposed nor accepted")),
        }
    }
}

pub(crate) fn kem_key(bytes: &[u8]) -> Result<KemPublicKey, Malformed> {
    KemPublicKey::from_bytes(bytes).map_err(|_| Malformed::BadValue("length of encapsulation key"))
}

pub(crate) fn agreement_key(der: &[u8]) -> Result<X448PublicKey, Malformed> {
    X448PublicKey::from_der(der).map_err(|_| Malformed::BadValue("X448 key"))
}

impl<K: KemPart> Encode for RatchetKeys<K> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.version);
        out.put_short(&self.key_1.to_der());
        out.put_short(&self.key_2.to_der());
        if self.version >= RATCHET_KEM {
            out.put_maybe(self.kem.as_ref(), |out, kem| kem.put(out));
        }
    }
}

impl<K: KemPart> Decode for RatchetKeys<K> {
    /// Any version decodes; whether we speak it is for the agreement to say.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.u16()?;
        let (key_1, key_2) = (agreement_key(reader.short()?)?, agreement_key(reader.short()?)?);
        let kem = if version >= RATCHET_KEM { reader.maybe(K::take)? } else { None };
        Ok(RatchetKeys { version, key_1, key_2, kem })
    }
}
