//! What a ratchet knows about encapsulation between two of its turns.

use crypto::kem::{KemCiphertext, KemSecretKey, KemSharedSecret};

use super::RatchetError;
use crate::key_source::KeySource;
use crate::ratchet_keys::KemOffer;

/// Our key, and what our headers say.
#[derive(Clone)]
pub(crate) enum KemState {
    /// Headers say nothing.
    None,
    /// Headers propose our key.
    Proposed(KemSecretKey),
    /// Headers accept the peer's proposal, and propose our key for the way back.
    Accepted(KemSecretKey, KemCiphertext),
}

impl KemState {
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, KemState::None)
    }

    /// What our headers say.
    pub(crate) fn offer(&self) -> Option<KemOffer> {
        match self {
            KemState::None => None,
            KemState::Proposed(key) => Some(KemOffer::Proposed(key.public())),
            KemState::Accepted(key, ciphertext) => Some(KemOffer::Accepted(ciphertext.clone(), key.public())),
        }
    }

    /// The secret that the peer encapsulated to us.
    pub(super) fn received(&self, offer: Option<&KemOffer>) -> Result<Option<KemSharedSecret>, RatchetError> {
        match (offer, self) {
            (Some(KemOffer::Accepted(ciphertext, _)), KemState::Proposed(key) | KemState::Accepted(key, _)) => {
                Ok(Some(key.decapsulate(ciphertext)))
            }
            (Some(KemOffer::Accepted(..)), KemState::None) => Err(RatchetError::KemState),
            (Some(KemOffer::Proposed(_)) | None, _) => Ok(None),
        }
    }

    /// The state after a turn, and the secret that we encapsulate to the peer in it.
    pub(super) fn turned(
        &self,
        offer: Option<&KemOffer>,
        wanted: bool,
        keys: &mut dyn KeySource,
    ) -> (KemState, Option<KemSharedSecret>) {
        match offer {
            Some(KemOffer::Proposed(theirs) | KemOffer::Accepted(_, theirs)) if wanted => {
                let (ciphertext, secret) = keys.encapsulate(theirs);
                (KemState::Accepted(keys.kem_key(), ciphertext), Some(secret))
            }
            // A peer that answered our proposal with nothing does not want it now; the next turn may ask again.
            None if wanted && !self.is_some() => (KemState::Proposed(keys.kem_key()), None),
            Some(_) | None => (KemState::None, None),
        }
    }
}
