//! Two sides that share a ratchet: numbers, hashes, what waits to be sent and what waits for a receipt.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use codec::{Decode as _, Encode as _, Malformed, Reader, Write};
use crypto::Random;
use crypto::hash::sha256;
use zeroize::Zeroizing;

use super::event::ReceiptEvent;
use super::fault::{ConnectionError, LoadError, PeerFault};
use super::outbox::{Content, Kind, Outbox, Outgoing, SealingKey};
use super::retry::DAY;
use super::stored::{self, put_long, put_time, put_version, take_long, take_time};
use crate::envelope::{AgentEnvelope, EnvelopeContent};
use crate::message::{AgentMessage, DecryptedMessage, MessageBody, MessageHash};
use crate::message_chain::{Integrity, Numbered, ReceivedChain, SentChain};
use crate::non_empty::NonEmpty;
use crate::padding::Padding;
use crate::ratchet::{Pq, Ratchet, RatchetError, Received};
use crate::ratchet_keys::SenderKeys;
use crate::receipt::{ProhibitedReceipt, Receipt, ReceiptStatus, SentMessage};
use crate::time::Time;
use crate::version::PQ_AGENT;

/// How long a sent message may wait for its receipt.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(21 * DAY);
/// How many sent messages may wait for receipts; the oldest are forgotten.
const MAX_AWAITED: usize = 10_000;
/// How many processed messages are remembered, to know them when they come again. A server can only repeat the last
/// one, and a sender repeats a message before it sends the next.
const REMEMBERED: usize = 16;

pub(super) struct Conversation {
    pub(super) ratchet: Ratchet,
    /// The agreed agent version.
    pub(super) agent: u16,
    /// Headers and padding leave room for encapsulation.
    pub(super) pq_support: bool,
    pub(super) outbox: Outbox,
    sent: SentChain,
    received: ReceivedChain,
    recent: VecDeque<[u8; 16]>,
    awaited: BTreeMap<i64, Awaited>,
}

/// A sent message whose receipt is awaited.
struct Awaited {
    message: SentMessage,
    since: Time,
}

/// The number and hash of a message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Counts what was sent through this connection.
    pub number: i64,
    /// Of the message as the peer will decrypt it.
    pub hash: MessageHash,
}

/// A message for us.
pub(super) struct Opened {
    pub(super) message: AgentMessage,
    pub(super) plaintext: Vec<u8>,
    pub(super) integrity: Integrity,
    pub(super) post_quantum: bool,
}

impl Conversation {
    pub(super) fn new(ratchet: Ratchet, agent: u16, pq_support: bool) -> Self {
        Conversation {
            ratchet,
            agent,
            pq_support,
            outbox: Outbox::default(),
            sent: SentChain::default(),
            received: ReceivedChain::default(),
            recent: VecDeque::new(),
            awaited: BTreeMap::new(),
        }
    }

    pub(super) fn padding(&self) -> Padding {
        Padding::new(self.agent, self.pq_support)
    }

    pub(super) fn last_sent(&self) -> i64 {
        self.sent.last_number()
    }

    pub(super) fn last_received(&self) -> i64 {
        self.received.last_number()
    }

    // ---- Sending

    /// Encrypts our confirmation and queues it.
    pub(super) fn confirm(
        &mut self,
        content: &DecryptedMessage,
        keys: Option<SenderKeys>,
        now: Time,
    ) -> Result<i64, ConnectionError> {
        let encoded = content.to_bytes();
        let padding = self.padding();
        padding.check_confirmation(&encoded)?;
        let encrypted = self.ratchet.encrypt(None, &encoded, padding.confirmation)?;
        let content = EnvelopeContent::Confirmation { keys, encrypted };
        let envelope = AgentEnvelope { version: self.agent, content }.to_bytes();
        let number = self.sent.append_unnumbered(encoded).number;
        self.outbox.push(Outgoing { number, created: now, notify: true, content: Content::Confirmation(envelope) });
        Ok(number)
    }

    /// Numbers a message, takes its key and queues it.
    pub(super) fn push(
        &mut self,
        body: MessageBody,
        notify: bool,
        pq: Option<Pq>,
        now: Time,
    ) -> Result<Accepted, ConnectionError> {
        let pq = pq.filter(|_| self.agent >= PQ_AGENT);
        let pq_support = self.pq_support || pq == Some(Pq::On);
        let padding = Padding::new(self.agent, pq_support);
        let kind = Kind::of(&body);
        let mut sent = self.sent.clone();
        let Numbered { number, hash, encoded } = sent.append(body, padding)?;
        let key = Box::new(SealingKey::Bare(self.ratchet.next_bare_key(pq)?));
        (self.sent, self.pq_support) = (sent, pq_support);
        let plaintext = Zeroizing::new(encoded);
        let content = Content::Message { key, plaintext, size: padding.message, kind };
        self.outbox.push(Outgoing { number, created: now, notify, content });
        Ok(Accepted { number, hash })
    }

    // ---- Receipts

    /// Remembers a message until its receipt comes. Returns the messages that are forgotten for it.
    pub(super) fn await_receipt(&mut self, accepted: &Accepted, now: Time) -> Vec<i64> {
        let message = SentMessage { hash: accepted.hash.clone(), of_application: true, receipt: None };
        self.awaited.insert(accepted.number, Awaited { message, since: now });
        let mut forgotten = Vec::new();
        while let Some((&number, oldest)) = self.awaited.first_key_value() {
            if self.awaited.len() <= MAX_AWAITED && now.since(oldest.since) < RECEIPT_PATIENCE {
                break;
            }
            self.awaited.remove(&number);
            forgotten.push(number);
        }
        forgotten
    }

    /// Takes receipts: what is new. A receipt for a message that is not awaited says nothing new.
    pub(super) fn take_receipts(
        &mut self,
        receipts: &NonEmpty<Receipt>,
    ) -> Result<Vec<ReceiptEvent>, ProhibitedReceipt> {
        let mut events = Vec::new();
        for receipt in receipts.iter() {
            let Some(awaited) = self.awaited.get_mut(&receipt.number()) else { continue };
            if let Some(status) = awaited.message.take_receipt(receipt)? {
                events.push(ReceiptEvent { number: receipt.number(), status, info: receipt.info().to_vec() });
            }
        }
        Ok(events)
    }

    /// Messages whose receipts the application has seen need no memory.
    pub(super) fn forget_confirmed(&mut self, receipts: &[ReceiptEvent]) -> Vec<i64> {
        let confirmed = receipts.iter().filter(|receipt| receipt.status == ReceiptStatus::Confirmed);
        confirmed.map(|receipt| receipt.number).filter(|number| self.awaited.remove(number).is_some()).collect()
    }

    // ---- Receiving

    /// Decrypts the confirmation of a peer, which starts the chain of what we receive.
    pub(super) fn open_confirmation(
        &mut self,
        encrypted: &[u8],
        random: &mut dyn Random,
    ) -> Result<DecryptedMessage, PeerFault> {
        let Received { plaintext, .. } = self.decrypt(encrypted, random)?;
        self.begin_receiving(&plaintext);
        self.remember(encrypted);
        Ok(DecryptedMessage::decode_all(&plaintext)?)
    }

    /// Decrypts, which may turn the ratchet.
    fn decrypt(&mut self, encrypted: &[u8], random: &mut dyn Random) -> Result<Received, RatchetError> {
        let mut random = random;
        let heading = self.outbox.waits_in_chain().then(|| self.ratchet.heading());
        let received = self.ratchet.decrypt(encrypted, &mut random)?;
        if let Some(heading) = heading.filter(|heading| !self.ratchet.sends_with(heading)) {
            self.outbox.end_chain(&heading)?;
        }
        Ok(received)
    }

    pub(super) fn begin_receiving(&mut self, confirmation: &[u8]) {
        self.received = ReceivedChain::after_confirmation(confirmation);
    }

    /// Decrypts a message and takes its place in the chain. Once it decrypts, its key is used up even if it says nothing
    /// that we understand.
    pub(super) fn open(&mut self, encrypted: &[u8], random: &mut dyn Random) -> Result<Opened, PeerFault> {
        let Received { plaintext, post_quantum } = self.decrypt(encrypted, random)?;
        self.remember(encrypted);
        match DecryptedMessage::decode_all(&plaintext)? {
            DecryptedMessage::Message(message) => {
                let integrity = self.received.receive(&message, &plaintext);
                Ok(Opened { message, plaintext, integrity, post_quantum })
            }
            _ => Err(PeerFault::Prohibited("information of a handshake in a message")),
        }
    }

    /// Whether a message that the ratchet refuses was processed before.
    pub(super) fn knows(&self, encrypted: &[u8]) -> bool {
        self.recent.contains(&fingerprint(encrypted))
    }

    pub(super) fn remember(&mut self, encrypted: &[u8]) {
        if self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(fingerprint(encrypted));
    }

    // ---- Keeping

    pub(super) fn stored_position(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(640));
        put_version(&mut out);
        put_long(&mut out, &self.ratchet.stored_position());
        self.sent.encode(&mut out);
        self.received.encode(&mut out);
        let recent: Vec<_> = self.recent.iter().collect();
        out.put_list(&recent, |out, fingerprint| out.put(*fingerprint));
        out
    }

    pub(super) fn stored_awaited(&self, number: i64) -> Option<Zeroizing<Vec<u8>>> {
        let Awaited { message, since } = self.awaited.get(&number)?;
        let mut out = Zeroizing::new(Vec::new());
        put_version(&mut out);
        put_time(&mut out, *since);
        message.hash.encode(&mut out);
        out.put(match message.receipt {
            None => b"0",
            Some(ReceiptStatus::Confirmed) => b"C",
            Some(ReceiptStatus::OtherHash) => b"H",
        });
        Some(out)
    }

    pub(super) fn awaited_numbers(&self) -> impl Iterator<Item = i64> {
        self.awaited.keys().copied()
    }

    /// What of it stands in the core record.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.agent);
        out.put_bool(self.pq_support);
    }
}

/// The records of a conversation.
#[derive(Default)]
pub(super) struct ConversationRecords {
    pub(super) position: Option<Zeroizing<Vec<u8>>>,
    pub(super) turn: Option<Zeroizing<Vec<u8>>>,
    pub(super) skipped: Option<Zeroizing<Vec<u8>>>,
    pub(super) outgoing: BTreeMap<i64, Zeroizing<Vec<u8>>>,
    pub(super) awaited: BTreeMap<i64, Zeroizing<Vec<u8>>>,
}

impl ConversationRecords {
    /// Puts the conversation together again; what stands in the core record is read from there.
    pub(super) fn load(&mut self, core: &mut Reader<'_>) -> Result<Conversation, LoadError> {
        let (agent, pq_support) = (core.u16()?, core.bool()?);
        let turn = self.turn.take().ok_or(LoadError::Missing("turn of the ratchet"))?;
        let position = self.position.take().ok_or(LoadError::Missing("position of the ratchet"))?;
        let skipped = self.skipped.take();
        let (ratchet, sent, received, recent) = stored::open(&position, |reader| {
            let position = Zeroizing::new(take_long(reader)?);
            let ratchet = Ratchet::from_stored_parts(&turn, &position, skipped.as_ref().map(|bytes| bytes.as_slice()))?;
            let (sent, received) = (SentChain::decode(reader)?, ReceivedChain::decode(reader)?);
            Ok((ratchet, sent, received, reader.list(Reader::array)?.into()))
        })?;
        let mut outbox = Outbox::default();
        for (number, bytes) in std::mem::take(&mut self.outgoing) {
            outbox.push(Outgoing::from_stored(number, &bytes)?);
        }
        let awaited = std::mem::take(&mut self.awaited).into_iter();
        let awaited =
            awaited.map(|(number, bytes)| Ok((number, take_awaited(&bytes)?))).collect::<Result<_, LoadError>>()?;
        Ok(Conversation { ratchet, agent, pq_support, outbox, sent, received, recent, awaited })
    }
}

fn take_awaited(bytes: &[u8]) -> Result<Awaited, LoadError> {
    stored::open(bytes, |reader| {
        let since = take_time(reader)?;
        let hash = MessageHash::decode(reader)?;
        let receipt = match reader.u8()? {
            b'0' => None,
            b'C' => Some(ReceiptStatus::Confirmed),
            b'H' => Some(ReceiptStatus::OtherHash),
            _ => return Err(Malformed::BadValue("status of receipt").into()),
        };
        Ok(Awaited { message: SentMessage { hash, of_application: true, receipt }, since })
    })
}

fn fingerprint(encrypted: &[u8]) -> [u8; 16] {
    let mut bytes = sha256(encrypted).into_iter();
    std::array::from_fn(|_| bytes.next().unwrap_or_default())
}

/// Whether the ratchet refused a message only because it was received before.
pub(super) fn is_duplicate(fault: &PeerFault) -> bool {
    matches!(
        fault,
        PeerFault::Ratchet(RatchetError::Duplicate | RatchetError::Earlier(_) | RatchetError::UnknownHeader)
    )
}
