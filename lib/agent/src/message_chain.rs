//! The numbers and hashes that bind the messages of a connection together, one chain for each direction.
//!
//! What the recipient finds is reported to the application; it is never a reason to drop a message.

use codec::{Decode, Encode, Malformed, Reader, Write};

use crate::message::{AgentMessage, DecryptedMessage, MessageBody, MessageHash};
use crate::padding::{Padding, TooLarge};

/// The chain of what we sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentChain(Last);

/// The chain of what we received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceivedChain(Last);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Last {
    number: i64,
    hash: MessageHash,
}

/// A message ready to be encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its number.
    pub number: i64,
    /// Of the encoding.
    pub hash: MessageHash,
    /// What is encrypted.
    pub encoded: Vec<u8>,
}

/// How a received message continues the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// It follows the last one.
    Ok,
    /// The numbers between were not received.
    Skipped {
        /// The first missing number.
        from: i64,
        /// The last missing number.
        to: i64,
    },
    /// Its number is lower than the last one.
    BadNumber {
        /// The last number.
        last: i64,
    },
    /// Its number is the last one.
    Duplicate,
    /// Its number follows, but the sender's last message was another than ours.
    BadHash,
}

impl SentChain {
    /// Numbers a message, unless it does not fit; then no number is used.
    pub fn append(&mut self, body: MessageBody, padding: Padding) -> Result<Numbered, TooLarge> {
        let number = self.next_number();
        let message = AgentMessage { number, previous_hash: self.0.hash.clone(), body };
        let encoded = DecryptedMessage::Message(message).to_bytes();
        padding.check_message(&encoded)?;
        Ok(self.continue_with(encoded))
    }

    /// Numbers what carries neither number nor hash: our confirmation, and what is beside new ratchet keys.
    pub fn append_unnumbered(&mut self, encoded: Vec<u8>) -> Numbered {
        self.continue_with(encoded)
    }

    /// The number of the last message.
    pub fn last_number(&self) -> i64 {
        self.0.number
    }

    fn next_number(&self) -> i64 {
        self.0.number.saturating_add(1)
    }

    fn continue_with(&mut self, encoded: Vec<u8>) -> Numbered {
        let hash = MessageHash::of(&encoded);
        self.0 = Last { number: self.next_number(), hash: hash.clone() };
        Numbered { number: self.0.number, hash, encoded }
    }
}

impl ReceivedChain {
    /// The chain after the peer's confirmation, decrypted as these bytes.
    pub fn after_confirmation(encoded: &[u8]) -> Self {
        ReceivedChain(Last { number: 1, hash: MessageHash::of(encoded) })
    }

    /// Takes a message, decrypted as these bytes, and says how it follows.
    pub fn receive(&mut self, message: &AgentMessage, encoded: &[u8]) -> Integrity {
        let integrity = self.check(message);
        self.0 = Last { number: message.number, hash: MessageHash::of(encoded) };
        integrity
    }

    fn check(&self, message: &AgentMessage) -> Integrity {
        let last = self.0.number;
        let next = last.saturating_add(1);
        match message.number {
            number if number < last => Integrity::BadNumber { last },
            number if number == last => Integrity::Duplicate,
            number if number > next => Integrity::Skipped { from: next, to: number.saturating_sub(1) },
            _ if message.previous_hash == self.0.hash => Integrity::Ok,
            _ => Integrity::BadHash,
        }
    }

    /// The number of the last message.
    pub fn last_number(&self) -> i64 {
        self.0.number
    }
}

impl Encode for Last {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i64(self.number);
        self.hash.encode(out);
    }
}

impl Decode for Last {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Last { number: reader.i64()?, hash: MessageHash::decode(reader)? })
    }
}

macro_rules! stored_as_last {
    ($($name:ident)*) => {$(
        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Last::decode(reader).map($name)
            }
        }
    )*};
}

stored_as_last!(SentChain ReceivedChain);
