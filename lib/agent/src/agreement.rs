//! From the keys that two sides exchanged to a ratchet on each: three agreements with X448, in the manner of X3DH, and
//! a secret of a KEM if one was proposed and accepted.
//!
//! The link's owner keeps [`AgreementKeys`] behind what its link offers. Who joins needs nothing from before:
//! [`join`] gives its first ratchet and the public keys that its confirmation carries. With these the owner
//! [accepts](AgreementKeys::accept).

use codec::{Malformed, VersionRange, Write};
use crypto::dh::X448PrivateKey;
use crypto::kem::{KemSecretKey, KemSharedSecret};
use zeroize::Zeroizing;

use crate::key_source::{KeyPair, KeySource};
use crate::ratchet::derive::{Agreed, owner_agreements};
use crate::ratchet::{ASSOCIATED, AwaitingRatchet, KemState, Pq, Ratchet, RatchetError, Start, StoredError, stored};
use crate::ratchet_keys::{KemOffer, RatchetKeys, ReceiverKeys, SenderKeys};
use crate::ratchet_offer::RatchetOffer;
use crate::version::RATCHET_KEM;

const STORED_KIND: u8 = b'K';

/// Why two sides do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// The peer uses a version of the ratchet that we do not speak.
    #[error("ratchet version {0} is not supported")]
    Version(u16),
    /// The peer accepted an encapsulation that we did not propose.
    #[error("encapsulation accepted without a proposal")]
    KemState,
    /// The peer sent a public key that no honest side has.
    #[error("bad agreement key")]
    PeerKey,
    /// The cryptographic library failed on valid input.
    #[error("cryptographic library failure")]
    Library,
}

impl From<crypto::Error> for AgreementError {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::BadKey => AgreementError::PeerKey,
            _ => AgreementError::Library,
        }
    }
}

impl From<RatchetError> for AgreementError {
    fn from(error: RatchetError) -> Self {
        match error {
            RatchetError::PeerKey => AgreementError::PeerKey,
            _ => AgreementError::Library,
        }
    }
}

/// The private keys behind an offer; to be stored before the offer is shown to anybody.
#[derive(Debug, Clone)]
pub struct AgreementKeys {
    key_1: KeyPair,
    key_2: KeyPair,
    kem: Option<KemSecretKey>,
}

/// The side of a link's owner: what comes from its private keys and the keys of who joined.
impl AgreementKeys {
    /// Fresh keys, with one for encapsulation if it shall be proposed.
    pub fn generate(propose: Pq, keys: &mut dyn KeySource) -> Result<Self, AgreementError> {
        let (key_1, key_2) = (keys.agreement_key(), keys.agreement_key());
        let kem = propose.is_on().then(|| keys.kem_key());
        Self::new(key_1, key_2, kem)
    }

    /// These keys.
    pub fn new(
        key_1: X448PrivateKey,
        key_2: X448PrivateKey,
        kem: Option<KemSecretKey>,
    ) -> Result<Self, AgreementError> {
        Ok(AgreementKeys { key_1: KeyPair::new(key_1)?, key_2: KeyPair::new(key_2)?, kem })
    }

    /// What a link offers.
    pub fn offer(&self, versions: VersionRange) -> RatchetOffer {
        let kem = self.kem.as_ref().map(KemSecretKey::public);
        RatchetOffer { versions, key_1: self.key_1.public, key_2: self.key_2.public, kem }
    }

    /// The public keys at one version.
    pub fn public(&self, version: u16) -> ReceiverKeys {
        let kem = self.kem.as_ref().map(KemSecretKey::public);
        ReceiverKeys::new(version, self.key_1.public, self.key_2.public, kem)
    }

    /// Agrees with who joined. `pq` is what the connection wants from its first turn on.
    pub fn accept(
        &self,
        theirs: &SenderKeys,
        versions: VersionRange,
        pq: Pq,
    ) -> Result<AwaitingRatchet, AgreementError> {
        let version = supported(theirs, versions)?;
        let (kem, encapsulated) = match (theirs.kem(), &self.kem) {
            (Some(KemOffer::Accepted(ciphertext, _)), Some(key)) => {
                (KemState::Accepted(key.clone(), ciphertext.clone()), Some(key.decapsulate(ciphertext)))
            }
            (Some(KemOffer::Accepted(..)), None) => return Err(AgreementError::KemState),
            (Some(KemOffer::Proposed(_)) | None, _) => (KemState::None, None),
        };
        let secrets = owner_agreements([&self.key_1, &self.key_2], [theirs.key_1(), theirs.key_2()])?;
        Ok(AwaitingRatchet::start(Start {
            versions,
            version,
            associated: associated(theirs.key_1().as_bytes(), self.key_1.public.as_bytes()),
            agreed: Agreed::derive(&secrets, encapsulated.as_ref()),
            own_key: self.key_2.clone(),
            kem,
            pq,
        }))
    }

    /// Starts as the sender where both sides only proposed, as in a re-synchronisation.
    pub fn begin(
        &self,
        theirs: &ReceiverKeys,
        versions: VersionRange,
        keys: &mut dyn KeySource,
    ) -> Result<Ratchet, AgreementError> {
        let version = supported(theirs, versions)?;
        let kem = self.kem.clone().filter(|_| version >= RATCHET_KEM);
        let kem = kem.map_or(KemState::None, KemState::Proposed);
        self.start_sending(theirs, versions, kem, None, keys)
    }

    fn start_sending(
        &self,
        theirs: &ReceiverKeys,
        versions: VersionRange,
        kem: KemState,
        encapsulated: Option<&KemSharedSecret>,
        keys: &mut dyn KeySource,
    ) -> Result<Ratchet, AgreementError> {
        let [s1_r2, s2_r1, s2_r2] = owner_agreements([&self.key_1, &self.key_2], [theirs.key_1(), theirs.key_2()])?;
        let start = Start {
            versions,
            version: theirs.version(),
            associated: associated(self.key_1.public.as_bytes(), theirs.key_1().as_bytes()),
            agreed: Agreed::derive(&[s2_r1, s1_r2, s2_r2], encapsulated),
            own_key: KeyPair::new(keys.agreement_key())?,
            pq: if kem.is_some() { Pq::On } else { Pq::Off },
            kem,
        };
        Ok(Ratchet::start(start, theirs.key_2(), encapsulated)?)
    }

    /// The bytes to keep.
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(2_048));
        out.put(&[stored::VERSION, STORED_KIND]);
        out.put(self.key_1.private.to_bytes().expose());
        out.put(self.key_2.private.to_bytes().expose());
        out.put_maybe(self.kem.as_ref(), |out, key| out.put(key.expose()));
        out
    }

    /// Reads what [`AgreementKeys::to_stored`] wrote.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StoredError> {
        let mut reader = stored::open_version(bytes)?;
        if reader.u8()? != STORED_KIND {
            return Err(Malformed::BadValue("kind of agreement keys").into());
        }
        let key_1 = X448PrivateKey::from_bytes(reader.array()?);
        let key_2 = X448PrivateKey::from_bytes(reader.array()?);
        let kem = reader.maybe(stored::take_kem_key)?;
        reader.finish()?;
        Self::new(key_1, key_2, kem).map_err(|_| Malformed::BadValue("agreement keys").into())
    }
}

/// Joins with the keys of a link, at the version [agreed](RatchetOffer::agree): the ratchet, and the keys for the owner.
///
/// With [`Pq::On`] a proposal is accepted, and without one this side proposes.
pub fn join(
    theirs: &ReceiverKeys,
    versions: VersionRange,
    pq: Pq,
    keys: &mut dyn KeySource,
) -> Result<(SenderKeys, Ratchet), AgreementError> {
    let version = supported(theirs, versions)?;
    let ours = AgreementKeys::generate(Pq::Off, keys)?;
    let (kem, encapsulated) = match theirs.kem() {
        _ if !pq.is_on() || version < RATCHET_KEM => (KemState::None, None),
        None => (KemState::Proposed(keys.kem_key()), None),
        Some(key) => {
            let (ciphertext, secret) = keys.encapsulate(key);
            (KemState::Accepted(keys.kem_key(), ciphertext), Some(secret))
        }
    };
    let public = SenderKeys::new(version, ours.key_1.public, ours.key_2.public, kem.offer());
    let ratchet = ours.start_sending(theirs, versions, kem, encapsulated.as_ref(), keys)?;
    Ok((public, ratchet))
}

fn supported<K>(theirs: &RatchetKeys<K>, versions: VersionRange) -> Result<u16, AgreementError> {
    let version = theirs.version();
    if versions.contains(version) { Ok(version) } else { Err(AgreementError::Version(version)) }
}

/// What every message is bound to: the first key of the sender, then that of the receiver.
fn associated(sender: &[u8; 56], receiver: &[u8; 56]) -> [u8; ASSOCIATED] {
    let mut bytes = sender.iter().chain(receiver).copied();
    std::array::from_fn(|_| bytes.next().unwrap_or_default())
}
