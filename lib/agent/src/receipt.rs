//! Receipts: the recipient's application says that a message arrived, and proves that it was this one.

use codec::{Decode, Encode, Malformed, Reader, Write};

use crate::message::{AgentMessage, MessageBody, MessageHash};
use crate::version::RECEIPTS_AGENT;

/// One message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    number: i64,
    hash: MessageHash,
    info: Vec<u8>,
}

/// Why no receipt can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReceipt {
    /// Only application messages have receipts; receipts have none.
    #[error("no receipt for what is no application message")]
    NotOfApplication,
    /// The peer's agent is too old to understand receipts.
    #[error("the peer's agent does not know receipts")]
    OldAgent,
    /// The application's information exceeds 65,535 bytes.
    #[error("information of receipt too long")]
    TooLong,
}

impl Receipt {
    /// The receipt for a message that was received as these bytes.
    pub fn for_message(
        message: &AgentMessage,
        encoded: &[u8],
        agent_version: u16,
        info: Vec<u8>,
    ) -> Result<Self, NoReceipt> {
        if !matches!(message.body, MessageBody::Application(_)) {
            return Err(NoReceipt::NotOfApplication);
        }
        if agent_version < RECEIPTS_AGENT {
            return Err(NoReceipt::OldAgent);
        }
        Receipt { number: message.number, hash: MessageHash::of(encoded), info: Vec::new() }.with_info(info)
    }

    /// The same receipt with other information.
    pub fn with_info(&self, info: Vec<u8>) -> Result<Self, NoReceipt> {
        if info.len() > usize::from(u16::MAX) {
            return Err(NoReceipt::TooLong);
        }
        Ok(Receipt { number: self.number, hash: self.hash.clone(), info })
    }

    /// The sender's number of the message.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// For the application.
    pub fn info(&self) -> &[u8] {
        &self.info
    }
}

impl Encode for Receipt {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i64(self.number);
        self.hash.encode(out);
        out.put_large(&self.info);
    }
}

impl Decode for Receipt {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Receipt { number: reader.i64()?, hash: MessageHash::decode(reader)?, info: reader.large()?.to_vec() })
    }
}

/// What is kept of a sent message until its receipt comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Of the encoded message.
    pub hash: MessageHash,
    /// Whether it is the application's.
    pub of_application: bool,
    /// What its last receipt said.
    pub receipt: Option<ReceiptStatus>,
}

/// What a receipt says of a message we sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// The peer received what we sent.
    Confirmed,
    /// The peer received something else under this number.
    OtherHash,
}

/// The peer sent a receipt for something that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("receipt for what is no application message")]
pub struct ProhibitedReceipt;

impl SentMessage {
    /// Takes a receipt for this message: what is new, if anything. A confirmed message stays confirmed.
    pub fn take_receipt(&mut self, receipt: &Receipt) -> Result<Option<ReceiptStatus>, ProhibitedReceipt> {
        if !self.of_application {
            return Err(ProhibitedReceipt);
        }
        if self.receipt == Some(ReceiptStatus::Confirmed) {
            return Ok(None);
        }
        let status = if receipt.hash == self.hash { ReceiptStatus::Confirmed } else { ReceiptStatus::OtherHash };
        self.receipt = Some(status);
        Ok(Some(status))
    }
}
