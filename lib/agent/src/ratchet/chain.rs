//! Chains of message keys. A chain only moves forward, and every key is made once.

use crypto::aead;
use crypto::{Error as CryptoError, Secret};

use super::derive::{Key, chain_turn};
use super::{MAX_SKIP, RatchetError};

/// The key and IV of one message body.
#[derive(Clone)]
pub(super) struct BodyKey {
    pub(super) key: Key,
    pub(super) iv: [u8; 16],
}

impl BodyKey {
    pub(super) fn open(
        &self,
        associated: &[u8],
        ciphertext: &[u8],
        tag: &[u8; aead::TAG],
    ) -> Result<Vec<u8>, RatchetError> {
        aead::open_padded(self.key.expose(), &self.iv, associated, ciphertext, tag).map_err(|error| match error {
            CryptoError::Unpad => RatchetError::Padding,
            _ => RatchetError::Body,
        })
    }
}

/// One position of a chain.
#[derive(Clone)]
pub(super) struct ChainKey(pub(super) Key);

/// What one position gives.
pub(super) struct ChainTurn {
    pub(super) next: ChainKey,
    pub(super) body: BodyKey,
    pub(super) header_iv: [u8; 16],
}

impl ChainKey {
    pub(super) fn turn(&self) -> ChainTurn {
        let (next, key, ivs) = chain_turn(&self.0);
        let (iv, header_iv) = halves(&ivs);
        ChainTurn { next: ChainKey(next), body: BodyKey { key, iv }, header_iv }
    }
}

fn halves(ivs: &Secret<32>) -> ([u8; 16], [u8; 16]) {
    let mut bytes = ivs.expose().iter().copied();
    let mut half = || std::array::from_fn(|_| bytes.next().unwrap_or_default());
    (half(), half())
}

/// The chain we send with.
pub(super) struct SendingChain {
    pub(super) chain: ChainKey,
    pub(super) header_key: Key,
    /// The number of the next message.
    pub(super) next: u32,
    /// How many messages the chain before this one had.
    pub(super) previous: u32,
    /// Whether an encapsulated secret went into the chain.
    pub(super) post_quantum: bool,
}

/// The chain we receive with.
pub(super) struct ReceivingChain {
    pub(super) chain: ChainKey,
    pub(super) header_key: Key,
    /// The number of the next message.
    pub(super) next: u32,
    /// Whether an encapsulated secret went into the chain.
    pub(super) post_quantum: bool,
}

/// The key of a message that has not come yet.
pub(super) type Skipped = (u32, BodyKey);

impl ReceivingChain {
    /// The chain at message `number`, and the keys of those passed over.
    pub(super) fn skip_to(&self, number: u32) -> Result<(Self, Vec<Skipped>), RatchetError> {
        match self.next.checked_sub(number) {
            Some(0) | None => {}
            Some(1) => return Err(RatchetError::Duplicate),
            Some(past) => return Err(RatchetError::Earlier(past.saturating_sub(1))),
        }
        let gap = number.saturating_sub(self.next);
        if gap > MAX_SKIP {
            return Err(RatchetError::TooManySkipped(gap.saturating_add(1)));
        }
        let mut chain = self.chain.clone();
        let mut passed = Vec::new();
        for skipped in self.next..number {
            let turn = chain.turn();
            chain = turn.next;
            passed.push((skipped, turn.body));
        }
        Ok((self.at(chain, number), passed))
    }

    /// The key of the next message, and the chain behind it.
    pub(super) fn advance(&self) -> Result<(Self, BodyKey), RatchetError> {
        let turn = self.chain.turn();
        let next = self.next.checked_add(1).ok_or(RatchetError::Exhausted)?;
        Ok((self.at(turn.next, next), turn.body))
    }

    fn at(&self, chain: ChainKey, next: u32) -> Self {
        ReceivingChain { chain, header_key: self.header_key.clone(), next, post_quantum: self.post_quantum }
    }
}
