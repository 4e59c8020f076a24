//! The double ratchet: every message under a key of its own, headers encrypted, secrets of a KEM mixed in.
//!
//! A ratchet begins with an [agreement](crate::agreement). The link's owner then holds an [`AwaitingRatchet`], which
//! can only receive: its first received message makes it a [`Ratchet`], which sends and receives. Who joined starts
//! with a [`Ratchet`].
//!
//! Every step either succeeds as a whole or leaves the ratchet as it was. In particular a message whose body does not
//! authenticate changes nothing, so that who alters a message cannot use up the key of the true one. A ratchet cannot
//! be copied, and a message key seals once: [`Ratchet::next_key`] moves the chain before it gives the key away.
//!
//! # Encapsulation
//!
//! A header may *propose* a key of a KEM or *accept* the peer's proposal with an encapsulated secret. Once both sides
//! want it, each turn of the ratchet carries a fresh secret. [`Pq::On`] and [`Pq::Off`] with a sent message change what
//! this side wants; the change takes effect at its next turns. Within one chain all headers say the same about
//! encapsulation, so that any message of the chain suffices to begin it.

mod chain;
pub(crate) mod derive;
mod header;
mod kem;
mod message_key;
mod skipped;
pub(crate) mod stored;

use std::fmt;

use codec::{Malformed, VersionRange};
use crypto::hash::sha256;
use crypto::kem::KemSharedSecret;

use self::chain::{ChainKey, ReceivingChain, SendingChain};
use self::derive::{Agreed, Key, RootTurn};
use self::header::{EncryptedMessage, Header};
pub(crate) use self::kem::KemState;
pub use self::message_key::MessageKey;
use self::message_key::check_size;
pub(crate) use self::message_key::{BareKey, Heading};
use self::skipped::SkippedKeys;
pub use self::stored::{StoredError, StoredRatchet};
use crate::key_source::{KeyPair, KeySource};
use crate::version::RATCHET_KEM;

/// How many messages one received message may pass over in a chain.
pub const MAX_SKIP: u32 = 512;
/// Length of what both sides bind every message to: a public key of each.
pub(crate) const ASSOCIATED: usize = 112;

/// What this side wants of post-quantum encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pq {
    /// Encapsulate as soon as the peer does too.
    On,
    /// Stop encapsulating.
    Off,
}

impl Pq {
    pub(crate) fn is_on(self) -> bool {
        self == Pq::On
    }
}

/// Why a message cannot be sent or received. The ratchet is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RatchetError {
    /// The peer, or who delivered the message, sent something that is no message.
    #[error("malformed ratchet message: {0}")]
    Malformed(#[from] Malformed),
    /// No header key of this connection opens the message: it is from another ratchet, from long ago, or altered.
    #[error("the message belongs to no known chain")]
    UnknownHeader,
    /// The last received message again.
    #[error("duplicate message")]
    Duplicate,
    /// A message from before the last one that is not expected any more; it was received, or its key forgotten.
    #[error("message {0} before the last one, received before")]
    Earlier(u32),
    /// The peer's message claims that more messages are missing than may be: 512.
    #[error("{0} messages are missing or would be")]
    TooManySkipped(u32),
    /// The header is right and the body is not: altered, or encrypted in a state that differs from ours.
    #[error("the message body does not decrypt")]
    Body,
    /// The peer encrypted a body that is not padded.
    #[error("the message body is not padded")]
    Padding,
    /// The peer accepted an encapsulation that we did not propose.
    #[error("encapsulation accepted without a proposal")]
    KemState,
    /// The peer sent a public key that no honest side has.
    #[error("bad agreement key")]
    PeerKey,
    /// Our message does not fit the size it should be padded to.
    #[error("message of {length} bytes does not fit {size}")]
    TooLarge {
        /// Length of the message.
        length: usize,
        /// The padded size.
        size: usize,
    },
    /// A chain has no numbers left.
    #[error("the chain is exhausted")]
    Exhausted,
    /// The cryptographic library failed on valid input.
    #[error("cryptographic library failure")]
    Library,
}

impl RatchetError {
    /// Agreement fails with a key of the peer's choice, or because the library does.
    fn of_agreement(error: crypto::Error) -> Self {
        match error {
            crypto::Error::BadKey => RatchetError::PeerKey,
            _ => RatchetError::Library,
        }
    }
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What the peer encrypted.
    pub plaintext: Vec<u8>,
    /// Whether an encapsulated secret protects the chain we now receive with.
    pub post_quantum: bool,
}

/// What both states of a ratchet hold.
struct Session {
    /// The version we write.
    current: u16,
    /// The highest version we speak.
    max: u16,
    associated: [u8; ASSOCIATED],
    own_key: KeyPair,
    kem: KemState,
    /// Headers have room for encapsulation; once they have, they keep it.
    large_headers: bool,
    pq: Pq,
    root: Key,
    next_sending_header: Key,
    next_receiving_header: Key,
}

/// The ratchet of the link's owner until the first message arrives. It cannot send: there is no chain to send with.
pub struct AwaitingRatchet {
    session: Session,
}

/// A ratchet that sends and receives.
pub struct Ratchet {
    session: Session,
    sending: SendingChain,
    receiving: Option<ReceivingChain>,
    skipped: SkippedKeys,
    touched: Touched,
}

/// Which parts of a ratchet changed besides its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Touched {
    /// The chains are new.
    pub(crate) turn: bool,
    /// Keys of skipped messages came or went.
    pub(crate) skipped: bool,
}

/// What an agreement decides for either side.
pub(crate) struct Start {
    pub(crate) versions: VersionRange,
    pub(crate) version: u16,
    pub(crate) associated: [u8; ASSOCIATED],
    pub(crate) agreed: Agreed,
    pub(crate) own_key: KeyPair,
    pub(crate) kem: KemState,
    pub(crate) pq: Pq,
}

impl AwaitingRatchet {
    pub(crate) fn start(start: Start) -> Self {
        let Agreed { header, next_header, root } = start.agreed;
        let session = Session {
            current: start.version,
            max: start.versions.max(),
            associated: start.associated,
            own_key: start.own_key,
            kem: start.kem,
            large_headers: start.pq.is_on(),
            pq: start.pq,
            root,
            next_sending_header: next_header,
            next_receiving_header: header,
        };
        AwaitingRatchet { session }
    }

    /// Receives the first message; this state is then done with.
    pub fn decrypt(&self, message: &[u8], keys: &mut dyn KeySource) -> Result<(Ratchet, Received), RatchetError> {
        let message = EncryptedMessage::parse(message)?;
        let session = &self.session;
        let header = message.open_header(&session.next_receiving_header, &session.associated);
        let turn = session.turn(&header.ok_or(RatchetError::UnknownHeader)??, 0, &message, keys)?;
        let mut ratchet = Ratchet::begin(turn.session, turn.sending);
        let plaintext = ratchet.receive_with(turn.reception);
        Ok((ratchet, plaintext))
    }

    /// Equal on both sides, if nobody stands between them; people may compare it.
    pub fn security_code(&self) -> [u8; 32] {
        sha256(&self.session.associated)
    }
}

impl Ratchet {
    pub(crate) fn start(
        start: Start,
        their_key: &crypto::dh::X448PublicKey,
        encapsulated: Option<&KemSharedSecret>,
    ) -> Result<Self, RatchetError> {
        let Agreed { header, next_header, root } = start.agreed;
        let turn = RootTurn::derive(&root, their_key, &start.own_key.private, encapsulated)
            .map_err(RatchetError::of_agreement)?;
        let session = Session {
            current: start.version,
            max: start.versions.max(),
            associated: start.associated,
            own_key: start.own_key,
            kem: start.kem,
            large_headers: start.pq.is_on(),
            pq: start.pq,
            root: turn.root,
            next_sending_header: turn.next_header,
            next_receiving_header: next_header,
        };
        let sending = SendingChain {
            chain: ChainKey(turn.chain),
            header_key: header,
            next: 0,
            previous: 0,
            post_quantum: encapsulated.is_some(),
        };
        Ok(Ratchet::begin(session, sending))
    }

    fn begin(session: Session, sending: SendingChain) -> Self {
        let touched = Touched { turn: true, skipped: false };
        Ratchet { session, sending, receiving: None, skipped: SkippedKeys::default(), touched }
    }

    /// What changed since the last call.
    pub(crate) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Encrypts a message padded to `size` bytes; `request` changes what this side wants of post-quantum encryption.
    pub fn encrypt(&mut self, request: Option<Pq>, plaintext: &[u8], size: usize) -> Result<Vec<u8>, RatchetError> {
        check_size(plaintext, size)?;
        self.next_key(request)?.seal(plaintext, size)
    }

    /// The key of the next message. The chain has moved on: no other message will get this key.
    pub fn next_key(&mut self, request: Option<Pq>) -> Result<MessageKey, RatchetError> {
        let heading = self.heading();
        self.next_bare_key(request)?.complete(heading)
    }

    /// The key of the next message, without its header.
    pub(crate) fn next_bare_key(&mut self, request: Option<Pq>) -> Result<BareKey, RatchetError> {
        let session = &mut self.session;
        let number = self.sending.next;
        let next = number.checked_add(1).ok_or(RatchetError::Exhausted)?;
        let turn = self.sending.chain.turn();
        self.sending.chain = turn.next;
        self.sending.next = next;
        session.pq = request.unwrap_or(session.pq);
        session.large_headers |= session.current >= RATCHET_KEM && session.pq.is_on();
        session.max = session.max.max(session.current).max(if request == Some(Pq::On) { RATCHET_KEM } else { 0 });
        Ok(BareKey {
            version: session.current,
            body: turn.body,
            max: session.max,
            large: session.large_headers,
            number,
            header_iv: turn.header_iv,
        })
    }

    /// What all headers of the chain that we send with have in common.
    pub(crate) fn heading(&self) -> Heading {
        Heading {
            associated: self.session.associated,
            header_key: self.sending.header_key.clone(),
            public: self.session.own_key.public,
            kem: self.session.kem.offer(),
            previous: self.sending.previous,
        }
    }

    /// Whether the chain that we send with still is the one with this heading.
    pub(crate) fn sends_with(&self, heading: &Heading) -> bool {
        self.sending.header_key == heading.header_key
    }

    /// Receives a message, in whatever order they come.
    pub fn decrypt(&mut self, message: &[u8], keys: &mut dyn KeySource) -> Result<Received, RatchetError> {
        let message = EncryptedMessage::parse(message)?;
        match self.open_header(&message)? {
            (Place::Current, header) => self.decrypt_in_current_chain(&header, &message),
            (Place::Next, header) => self.decrypt_in_next_chain(&header, &message, keys),
            (Place::Skipped(header_key), header) => self.decrypt_skipped(&header_key, &header, &message),
        }
    }

    /// The chain that a message belongs to is the one whose key opens the header.
    fn open_header(&self, message: &EncryptedMessage<'_>) -> Result<(Place, Header), RatchetError> {
        let open = |key: &Key| message.open_header(key, &self.session.associated);
        let current = self.receiving.as_ref().map(|chain| &chain.header_key);
        if let Some(header) = current.and_then(open) {
            return Ok((Place::Current, header?));
        }
        if let Some(header) = open(&self.session.next_receiving_header) {
            return Ok((Place::Next, header?));
        }
        let mut earlier = self.skipped.chains.iter().map(|chain| &chain.header_key);
        let opened = earlier.find_map(|key| open(key).map(|header| (key.clone(), header)));
        let (key, header) = opened.ok_or(RatchetError::UnknownHeader)?;
        Ok((Place::Skipped(key), header?))
    }

    fn decrypt_in_current_chain(
        &mut self,
        header: &Header,
        message: &EncryptedMessage<'_>,
    ) -> Result<Received, RatchetError> {
        let current = self.receiving.as_ref().ok_or(RatchetError::UnknownHeader)?;
        let header_key = current.header_key.clone();
        if self.skipped.get(&header_key, header.number).is_some() {
            return self.decrypt_skipped(&header_key, header, message);
        }
        let reception = Reception::open(current, header, message, &self.session.associated)?;
        self.session.current = self.session.raised_version(header);
        Ok(self.receive_with(reception))
    }

    fn decrypt_in_next_chain(
        &mut self,
        header: &Header,
        message: &EncryptedMessage<'_>,
        keys: &mut dyn KeySource,
    ) -> Result<Received, RatchetError> {
        let missing = self.receiving.as_ref().map(|chain| chain.skip_to(header.previous)).transpose()?;
        let turn = self.session.turn(header, self.sending.next, message, keys)?;
        if let Some((chain, passed)) = missing {
            self.skip(&chain.header_key, passed);
        }
        self.session = turn.session;
        self.sending = turn.sending;
        self.touched.turn = true;
        Ok(self.receive_with(turn.reception))
    }

    fn decrypt_skipped(
        &mut self,
        header_key: &Key,
        header: &Header,
        message: &EncryptedMessage<'_>,
    ) -> Result<Received, RatchetError> {
        let key = self.skipped.get(header_key, header.number).ok_or(RatchetError::UnknownHeader)?;
        let associated = [&self.session.associated, message.whole_header].concat();
        let plaintext = key.open(&associated, message.body, &message.body_tag)?;
        self.skipped.remove(header_key, header.number);
        self.touched.skipped = true;
        Ok(Received { plaintext, post_quantum: self.receives_post_quantum() })
    }

    fn receive_with(&mut self, reception: Reception) -> Received {
        let Reception { chain, passed, plaintext } = reception;
        self.skip(&chain.header_key, passed);
        let post_quantum = chain.post_quantum;
        self.receiving = Some(chain);
        Received { plaintext, post_quantum }
    }

    fn skip(&mut self, header_key: &Key, passed: Vec<chain::Skipped>) {
        self.touched.skipped |= !passed.is_empty();
        self.skipped.store(header_key, passed);
    }

    /// Equal on both sides, if nobody stands between them; people may compare it.
    pub fn security_code(&self) -> [u8; 32] {
        sha256(&self.session.associated)
    }

    /// The version of the ratchet that we write; it rises with what the peer speaks.
    pub fn version(&self) -> u16 {
        self.session.current
    }

    /// Whether an encapsulated secret protects what we send.
    pub fn sends_post_quantum(&self) -> bool {
        self.sending.post_quantum
    }

    /// Whether an encapsulated secret protects what we receive.
    pub fn receives_post_quantum(&self) -> bool {
        self.receiving.as_ref().is_some_and(|chain| chain.post_quantum)
    }

    /// How many messages were passed over and may still come.
    pub fn skipped_messages(&self) -> usize {
        self.skipped.len()
    }
}

impl fmt::Debug for AwaitingRatchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingRatchet").field("version", &self.session.current).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ratchet")
            .field("version", &self.version())
            .field("sent", &self.sending.next)
            .field("received", &self.receiving.as_ref().map(|chain| chain.next))
            .finish_non_exhaustive()
    }
}

/// The chain a received message belongs to.
enum Place {
    Current,
    Next,
    Skipped(Key),
}

/// A message opened in a chain, and the chain behind it.
struct Reception {
    chain: ReceivingChain,
    passed: Vec<chain::Skipped>,
    plaintext: Vec<u8>,
}

impl Reception {
    fn open(
        chain: &ReceivingChain,
        header: &Header,
        message: &EncryptedMessage<'_>,
        associated: &[u8; ASSOCIATED],
    ) -> Result<Self, RatchetError> {
        let (chain, passed) = chain.skip_to(header.number)?;
        let (chain, key) = chain.advance()?;
        let associated = [associated, message.whole_header].concat();
        let plaintext = key.open(&associated, message.body, &message.body_tag)?;
        Ok(Reception { chain, passed, plaintext })
    }
}

/// A turn of the ratchet: a new key of ours, and new chains in both directions.
struct Turn {
    session: Session,
    sending: SendingChain,
    reception: Reception,
}

impl Session {
    /// The first message of a new chain turns the ratchet; `sent` counts the messages of the chain we send with.
    fn turn(
        &self,
        header: &Header,
        sent: u32,
        message: &EncryptedMessage<'_>,
        keys: &mut dyn KeySource,
    ) -> Result<Turn, RatchetError> {
        let current = self.raised_version(header);
        let wanted = self.pq.is_on() && current >= RATCHET_KEM;
        let received = self.kem.received(header.kem.as_ref())?;
        let receive = RootTurn::derive(&self.root, &header.key, &self.own_key.private, received.as_ref())
            .map_err(RatchetError::of_agreement)?;
        let receiving = ReceivingChain {
            chain: ChainKey(receive.chain),
            header_key: self.next_receiving_header.clone(),
            next: 0,
            post_quantum: received.is_some(),
        };
        // The body proves that the chain is right, before anything is drawn for the way back.
        let reception = Reception::open(&receiving, header, message, &self.associated)?;

        let (kem, sent_secret) = self.kem.turned(header.kem.as_ref(), wanted, keys);
        let own_key = KeyPair::new(keys.agreement_key()).map_err(|_| RatchetError::Library)?;
        let send = RootTurn::derive(&receive.root, &header.key, &own_key.private, sent_secret.as_ref())
            .map_err(RatchetError::of_agreement)?;
        let sending = SendingChain {
            chain: ChainKey(send.chain),
            header_key: self.next_sending_header.clone(),
            next: 0,
            previous: sent,
            post_quantum: sent_secret.is_some(),
        };
        let pq = if received.is_some() || sent_secret.is_some() || kem.is_some() { Pq::On } else { Pq::Off };
        let session = Session {
            current,
            max: self.max,
            associated: self.associated,
            own_key,
            kem,
            large_headers: self.large_headers || current >= RATCHET_KEM && pq.is_on(),
            pq,
            root: send.root,
            next_sending_header: send.next_header,
            next_receiving_header: receive.next_header,
        };
        Ok(Turn { session, sending, reception })
    }

    fn raised_version(&self, header: &Header) -> u16 {
        self.current.max(header.max.min(self.max))
    }
}
