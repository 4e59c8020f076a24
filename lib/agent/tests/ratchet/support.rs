//! Two parties with a ratchet between them, and key sources that give what a test wants.

use std::collections::VecDeque;

use agent::agreement::{AgreementKeys, join};
use agent::key_source::KeySource;
use agent::ratchet::{AwaitingRatchet, Pq, Ratchet, RatchetError, Received, StoredRatchet};
use agent::version;
use codec::VersionRange;
use crypto::SeededRandom;
use crypto::dh::X448PrivateKey;
use crypto::kem::{KemCiphertext, KemPublicKey, KemSecretKey, KemSharedSecret};

/// Gives prepared keys, in order; runs dry when something draws more than expected.
#[derive(Default)]
pub(crate) struct Prepared {
    pub(crate) agreement: VecDeque<X448PrivateKey>,
    pub(crate) kem: VecDeque<KemSecretKey>,
    pub(crate) encapsulated: VecDeque<(KemCiphertext, KemSharedSecret)>,
}

impl Prepared {
    pub(crate) fn agreement(keys: impl IntoIterator<Item = [u8; 56]>) -> Self {
        Prepared { agreement: keys.into_iter().map(X448PrivateKey::from_bytes).collect(), ..Self::default() }
    }

    pub(crate) fn assert_used_up(&self) {
        assert!(self.agreement.is_empty() && self.kem.is_empty() && self.encapsulated.is_empty(), "keys left over");
    }
}

impl KeySource for Prepared {
    fn agreement_key(&mut self) -> X448PrivateKey {
        self.agreement.pop_front().expect("a key for agreement was expected to be drawn")
    }

    fn kem_key(&mut self) -> KemSecretKey {
        self.kem.pop_front().expect("a key for encapsulation was expected to be drawn")
    }

    fn encapsulate(&mut self, _to: &KemPublicKey) -> (KemCiphertext, KemSharedSecret) {
        self.encapsulated.pop_front().expect("an encapsulation was expected")
    }
}

/// A ratchet in either state.
pub(crate) enum Party {
    Awaiting(AwaitingRatchet),
    Established(Ratchet),
}

impl Party {
    pub(crate) fn from_stored(bytes: &[u8]) -> Self {
        match StoredRatchet::from_stored(bytes).unwrap() {
            StoredRatchet::Awaiting(ratchet) => Party::Awaiting(*ratchet),
            StoredRatchet::Established(ratchet) => Party::Established(*ratchet),
        }
    }

    pub(crate) fn stored(&self) -> Vec<u8> {
        match self {
            Party::Awaiting(ratchet) => ratchet.to_stored().to_vec(),
            Party::Established(ratchet) => ratchet.to_stored().to_vec(),
        }
    }

    pub(crate) fn ratchet(&mut self) -> &mut Ratchet {
        match self {
            Party::Awaiting(_) => panic!("nothing was received yet"),
            Party::Established(ratchet) => ratchet,
        }
    }

    /// Receives; a refused message must leave the state as it was.
    pub(crate) fn decrypt(&mut self, message: &[u8], keys: &mut dyn KeySource) -> Result<Received, RatchetError> {
        let before = self.stored();
        let outcome = match self {
            Party::Established(ratchet) => ratchet.decrypt(message, keys),
            Party::Awaiting(ratchet) => ratchet.decrypt(message, keys).map(|(ratchet, received)| {
                *self = Party::Established(ratchet);
                received
            }),
        };
        if outcome.is_err() {
            assert!(self.stored() == before, "a refused message changed the ratchet");
        }
        outcome
    }
}

pub(crate) const SIZE: usize = 100;

/// The two sides of a connection.
pub(crate) struct Pair {
    pub(crate) joiner: Party,
    pub(crate) owner: Party,
    pub(crate) random: SeededRandom,
}

/// What each side wants and speaks.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) joiner: Pq,
    pub(crate) owner: Pq,
    /// Whether the link proposes.
    pub(crate) proposed: Pq,
    pub(crate) joiner_versions: VersionRange,
    pub(crate) owner_versions: VersionRange,
}

pub(crate) const PLAIN: Terms = Terms {
    joiner: Pq::Off,
    owner: Pq::Off,
    proposed: Pq::Off,
    joiner_versions: version::RATCHET,
    owner_versions: version::RATCHET,
};
pub(crate) const HYBRID: Terms = Terms { joiner: Pq::On, owner: Pq::On, proposed: Pq::On, ..PLAIN };

impl Pair {
    pub(crate) fn new(terms: Terms) -> Self {
        Self::seeded(terms, [7; 32])
    }

    pub(crate) fn seeded(terms: Terms, seed: [u8; 32]) -> Self {
        let mut random = SeededRandom::new(&seed, "pair");
        let keys = AgreementKeys::generate(terms.proposed, &mut random).unwrap();
        let offer = keys.offer(terms.owner_versions).agree(terms.joiner_versions).unwrap();
        let (sent, joiner) = join(&offer, terms.joiner_versions, terms.joiner, &mut random).unwrap();
        let owner = keys.accept(&sent, terms.owner_versions, terms.owner).unwrap();
        Pair { joiner: Party::Established(joiner), owner: Party::Awaiting(owner), random }
    }

    /// A pair where each side has received from the other.
    pub(crate) fn talking(terms: Terms) -> Self {
        let mut pair = Self::new(terms);
        pair.reach_owner(b"hello");
        pair.reach_joiner(b"hello back");
        pair
    }

    pub(crate) fn joiner_sends(&mut self, text: &[u8]) -> Vec<u8> {
        self.joiner.ratchet().encrypt(None, text, SIZE).unwrap()
    }

    pub(crate) fn owner_sends(&mut self, text: &[u8]) -> Vec<u8> {
        self.owner.ratchet().encrypt(None, text, SIZE).unwrap()
    }

    pub(crate) fn at_owner(&mut self, message: &[u8]) -> Result<Vec<u8>, RatchetError> {
        self.owner.decrypt(message, &mut self.random).map(|received| received.plaintext)
    }

    pub(crate) fn at_joiner(&mut self, message: &[u8]) -> Result<Vec<u8>, RatchetError> {
        self.joiner.decrypt(message, &mut self.random).map(|received| received.plaintext)
    }

    pub(crate) fn reach_owner(&mut self, text: &[u8]) {
        let message = self.joiner_sends(text);
        assert_eq!(self.at_owner(&message).unwrap(), text);
    }

    pub(crate) fn reach_joiner(&mut self, text: &[u8]) {
        let message = self.owner_sends(text);
        assert_eq!(self.at_joiner(&message).unwrap(), text);
    }
}
