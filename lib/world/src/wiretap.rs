//! Listens to everything that leaves a host and knows every key, to find out whether a message key ever covered two
//! plaintexts, in this timeline or in one that a crash took back.
//!
//! One position of a ratchet's chain gives the key and IV of a message body and the IV of its header. Header IVs stand in
//! the clear, so that two messages with one header IV are two messages under one key and IV; they must be equal, byte for
//! byte. Keys that wait on disk for their message are looked at in the records.

use std::collections::BTreeMap;

use agent::connection::record::RecordKey;
use agent::connection::task::TaskId;
use agent::envelope::{AgentEnvelope, EnvelopeContent};
use codec::{Decode as _, Malformed, Reader};
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::hash::sha256;
use crypto::{BoxKey, Nonce};
use smp::envelope::{ClientMessage, Envelope};
use smp::id::EntityId;

/// A queue as its sender names it.
pub(crate) type Place = (String, EntityId);
/// Host, connection and task that a message comes from.
type Source = (String, String, TaskId);
type Digest = [u8; 32];

/// What was heard.
#[derive(Default)]
pub struct Wiretap {
    /// The recipient's key of a queue.
    recipients: BTreeMap<Place, X25519PrivateKey>,
    /// The keys that senders of a queue share with its recipient since their first message.
    shared: BTreeMap<Place, Vec<BoxKey>>,
    /// What was sealed under a nonce.
    sealed: BTreeMap<[u8; 24], Digest>,
    /// The ciphertext that a header IV stands before.
    by_header_iv: BTreeMap<[u8; 16], Digest>,
    /// What a task sent, inside the box.
    by_source: BTreeMap<Source, Digest>,
    /// By key and IV: the plaintext that waits for them.
    by_key: BTreeMap<([u8; 32], [u8; 16]), Digest>,
    heard: u64,
}

impl Wiretap {
    /// How many messages were heard.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// How many keys of messages were seen, each with its plaintext.
    pub fn keys(&self) -> usize {
        self.by_header_iv.len() + self.by_key.len()
    }

    /// Whether a message to this queue was heard before.
    pub(crate) fn knows(&self, place: &Place) -> bool {
        self.recipients.contains_key(place)
    }

    /// The key between the first sender and the recipient of a queue, once a message was heard.
    pub fn box_key(&self, server: &str, queue: &EntityId) -> Option<&BoxKey> {
        self.shared.get(&(server.to_owned(), queue.clone()))?.first()
    }

    /// Listens to the body of a `SEND`. `drawn` is all that may be a private key.
    pub(crate) fn hear<'a>(
        &mut self,
        place: Place,
        source: Source,
        body: &[u8],
        drawn: impl Iterator<Item = &'a [u8; 32]>,
    ) -> Result<(), String> {
        self.heard += 1;
        let envelope = Envelope::decode_all(body).map_err(|error| format!("{source:?} sends no envelope: {error}"))?;
        remember(&mut self.sealed, envelope.nonce.0, sha256(body))
            .map_err(|()| format!("{source:?} uses the nonce {:?} twice", Nonce(envelope.nonce.0)))?;
        let message =
            self.open(&place, &envelope, drawn).ok_or_else(|| format!("{source:?} sends what nobody can read"))?;
        self.check_key(&source, &message.content)?;
        remember(&mut self.by_source, source.clone(), sha256(&message.content))
            .map_err(|()| format!("{source:?} repeats a message with another content"))
    }

    fn check_key(&mut self, source: &Source, content: &[u8]) -> Result<(), String> {
        let envelope = AgentEnvelope::decode_all(content);
        let envelope = envelope.map_err(|error| format!("{source:?} sends no agent envelope: {error}"))?;
        let encrypted = match envelope.content {
            EnvelopeContent::Confirmation { encrypted, .. } | EnvelopeContent::Message { encrypted } => encrypted,
            EnvelopeContent::Invitation(_) | EnvelopeContent::RatchetKey { .. } => return Ok(()),
        };
        let iv = header_iv(&encrypted).map_err(|error| format!("{source:?} sends no ratchet message: {error}"))?;
        remember(&mut self.by_header_iv, iv, sha256(&encrypted))
            .map_err(|()| format!("{source:?} encrypts two plaintexts with one message key"))
    }

    /// Looks at a message that waits on disk.
    pub(crate) fn audit_record(&mut self, host: &str, name: &str, key: RecordKey, record: &[u8]) -> Result<(), String> {
        let waiting = waiting(record).map_err(|error| format!("{host} {name}: cannot read {key:?}: {error}"))?;
        let Some(Waiting { key: message_key, iv, plaintext }) = waiting else { return Ok(()) };
        remember(&mut self.by_key, (message_key, iv), plaintext)
            .map_err(|()| format!("{host} {name}: {key:?} keeps a second plaintext for one message key"))
    }

    fn open<'a>(
        &mut self,
        place: &Place,
        envelope: &Envelope,
        drawn: impl Iterator<Item = &'a [u8; 32]>,
    ) -> Option<ClientMessage> {
        let Some(sender_key) = &envelope.header.sender_key else {
            return self.shared.get(place)?.iter().find_map(|key| envelope.open(key).ok());
        };
        let known = self.recipients.get(place).and_then(|key| try_open(envelope, key, sender_key));
        let (key, message) = match known {
            Some(opened) => opened,
            None => {
                let (recipient, opened) =
                    drawn.map(|key| X25519PrivateKey::from_bytes(*key)).find_map(|recipient| {
                        try_open(envelope, &recipient, sender_key).map(|opened| (recipient, opened))
                    })?;
                self.recipients.insert(place.clone(), recipient);
                opened
            }
        };
        let shared = self.shared.entry(place.clone()).or_default();
        if !shared.contains(&key) {
            shared.push(key);
        }
        Some(message)
    }
}

fn try_open(
    envelope: &Envelope,
    recipient: &X25519PrivateKey,
    sender: &X25519PublicKey,
) -> Option<(BoxKey, ClientMessage)> {
    let key = BoxKey::agreed(&recipient.agree(sender));
    let message = envelope.open(&key).ok()?;
    Some((key, message))
}

/// Notes a value under a key; an error if there is another one already.
fn remember<K: Ord>(known: &mut BTreeMap<K, Digest>, key: K, value: Digest) -> Result<(), ()> {
    if *known.entry(key).or_insert(value) == value { Ok(()) } else { Err(()) }
}

/// The IV of an encrypted message's header, which stands in the clear behind the version.
fn header_iv(encrypted: &[u8]) -> Result<[u8; 16], Malformed> {
    let mut reader = Reader::new(encrypted);
    let header = match reader.peek() {
        Some(first) if first >= 32 => reader.short()?,
        _ => reader.large()?,
    };
    let mut reader = Reader::new(header);
    reader.u16()?;
    reader.array()
}

/// What a record keeps of a message that waits to be sealed.
struct Waiting {
    key: [u8; 32],
    iv: [u8; 16],
    /// Of the plaintext and the size it is padded to.
    plaintext: Digest,
}

/// Reads a record of a message to send; confirmations wait sealed. How records are written is the agent's own affair:
/// when that changes, this says that it cannot read them.
fn waiting(record: &[u8]) -> Result<Option<Waiting>, Malformed> {
    let mut reader = Reader::new(record);
    let (_version, _created, _notify) = (reader.u8()?, reader.i64()?, reader.bool()?);
    match reader.u8()? {
        b'B' | b'M' => {}
        b'C' => return Ok(None),
        _ => return Err(Malformed::BadValue("kind of waiting message")),
    }
    let stored_key = long(&mut reader)?;
    let mut stored_key = Reader::new(stored_key);
    let (_version, _kind, _ratchet) = (stored_key.u8()?, stored_key.u8()?, stored_key.u16()?);
    let (key, iv) = (stored_key.array()?, stored_key.array()?);
    let plaintext = long(&mut reader)?;
    let size = reader.u32()?.to_be_bytes();
    Ok(Some(Waiting { key, iv, plaintext: sha256(&[plaintext, &size].concat()) }))
}

fn long<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let length = reader.u32()?;
    reader.take(usize::try_from(length).unwrap())
}
