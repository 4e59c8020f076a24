//! Blocks of 16384 bytes: batches of transmissions, padded, and encrypted with a key chain where the session has one.

use codec::{Malformed, Reader};
use crypto::boxes::TAG;
use crypto::chain::BlockChain;
use crypto::pad;

/// Size of every block on the wire.
pub const BLOCK: usize = 16_384;
/// The longest payload of an unencrypted block.
pub const MAX_PLAIN_PAYLOAD: usize = BLOCK - 2;
/// The longest payload of an encrypted block.
pub const MAX_SEALED_PAYLOAD: usize = BLOCK - TAG - 2;
/// The longest transmission, which then has a block for itself.
pub const MAX_TRANSMISSION: usize = MAX_SEALED_PAYLOAD - 3;
/// The most transmissions in a block.
pub const MAX_BATCH: u8 = 255;

/// A block holds nothing that can be read; the connection stays usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable block")]
pub struct BadBlock;

/// A payload or transmission does not fit a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not fit a block")]
pub struct TooLarge;

/// Makes the blocks of one direction.
#[derive(Debug, Clone)]
pub struct BlockSealer(Option<BlockChain>);

/// Reads the blocks of one direction.
#[derive(Debug, Clone)]
pub struct BlockOpener(Option<BlockChain>);

impl BlockSealer {
    /// Encrypts with `chain`; without one, blocks are only padded.
    pub fn new(chain: Option<BlockChain>) -> Self {
        BlockSealer(chain)
    }

    /// Appends one block to `out`. The chain advances only if the payload fits, so it counts blocks sent.
    pub fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), TooLarge> {
        match &mut self.0 {
            None => pad::pad_into(out, payload, BLOCK).map_err(|_| TooLarge),
            Some(_) if payload.len() > MAX_SEALED_PAYLOAD => Err(TooLarge),
            Some(chain) => {
                let step = chain.step();
                step.key.seal_padded_into(step.nonce, payload, BLOCK - TAG, out).map_err(|_| TooLarge)
            }
        }
    }
}

impl BlockOpener {
    /// Decrypts with `chain`; without one, blocks are only padded.
    pub fn new(chain: Option<BlockChain>) -> Self {
        BlockOpener(chain)
    }

    /// Opens a block where it stands and returns its payload. The chain advances also when that fails.
    pub fn open<'a>(&mut self, block: &'a mut [u8; BLOCK]) -> Result<&'a [u8], BadBlock> {
        let padded: &[u8] = match &mut self.0 {
            None => block,
            Some(chain) => {
                let step = chain.step();
                step.key.open_in_place(step.nonce, block).map_err(|_| BadBlock)?
            }
        };
        pad::unpad(padded).map_err(|_| BadBlock)
    }
}

/// Collects transmissions into one payload.
#[derive(Debug, Clone)]
pub struct Batch {
    payload: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { payload: vec![0] }
    }
}

impl Batch {
    /// Adds a transmission if it still fits; `false` leaves the batch as it was.
    pub fn push(&mut self, transmission: &[u8]) -> Result<bool, TooLarge> {
        self.push_with(|out| out.extend_from_slice(transmission))
    }

    /// Adds the transmission that `put` appends if it still fits; `false` leaves the batch as it was.
    pub fn push_with(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> Result<bool, TooLarge> {
        let start = self.payload.len();
        self.payload.extend_from_slice(&[0; 2]);
        put(&mut self.payload);
        let added = self.account_for(start);
        if added != Ok(true) {
            self.payload.truncate(start);
        }
        added
    }

    /// Writes the length of the transmission that was appended at `start`, and counts it, if both may be.
    fn account_for(&mut self, start: usize) -> Result<bool, TooLarge> {
        let grown = self.payload.len();
        let (head, added) = self.payload.split_at_mut_checked(start).ok_or(TooLarge)?;
        let (prefix, transmission) = added.split_first_chunk_mut::<2>().ok_or(TooLarge)?;
        if transmission.len() > MAX_TRANSMISSION {
            return Err(TooLarge);
        }
        let length = u16::try_from(transmission.len()).map_err(|_| TooLarge)?;
        let room = |count: &&mut u8| **count < MAX_BATCH && grown <= MAX_SEALED_PAYLOAD;
        let Some(count) = head.first_mut().filter(room) else { return Ok(false) };
        *count = count.saturating_add(1);
        *prefix = length.to_be_bytes();
        Ok(true)
    }

    /// True when nothing was added.
    pub fn is_empty(&self) -> bool {
        self.payload.len() <= 1
    }

    /// The payload so far.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Starts anew, in the memory it has.
    pub fn clear(&mut self) {
        self.payload.truncate(1);
        self.payload.fill(0);
    }

    /// The payload so far; the batch starts anew.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.payload, vec![0])
    }
}

/// The payloads that carry `transmissions` in order, as few as possible. Those that fit no block are left out.
pub fn payloads<'a>(transmissions: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut batch = Batch::default();
    let mut payloads = Vec::new();
    for transmission in transmissions {
        if batch.push(transmission) == Ok(false) {
            payloads.push(batch.take());
            // It fits an empty batch, because its length was accepted above.
            let _ = batch.push(transmission);
        }
    }
    if !batch.is_empty() {
        payloads.push(batch.take());
    }
    payloads
}

/// The transmissions in a payload, which must hold at least one and nothing else.
pub fn transmissions(payload: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(payload);
    let transmissions = reader.non_empty(Reader::large)?;
    reader.finish()?;
    Ok(transmissions)
}
