//! Ratchets and message keys as bytes to keep: a version, a kind, the fields in order.
//!
//! A ratchet can be kept whole or in three parts that change at different times: a message moves the *position*, the
//! first message of a chain replaces the *turn*, gaps add to the *skipped* keys.
//!
//! The bytes hold every secret of the connection. They are zeroized when dropped; where they are written is for higher
//! floors to protect.

use std::collections::{BTreeMap, VecDeque};

use codec::{Malformed, Reader, Write};
use crypto::Secret;
use crypto::dh::{X448PrivateKey, X448PublicKey};
use crypto::kem::{KemCiphertext, KemSecretKey};
use zeroize::Zeroizing;

use super::chain::{BodyKey, ChainKey, ReceivingChain, SendingChain};
use super::derive::Key;
use super::skipped::{MAX_CHAINS, MAX_KEYS, SkippedChain, SkippedKeys};
use super::{ASSOCIATED, AwaitingRatchet, BareKey, KemState, MessageKey, Pq, Ratchet, Session, Touched};
use crate::key_source::KeyPair;

/// The version of everything stored here.
pub(crate) const VERSION: u8 = 1;
const AWAITING: u8 = b'A';
const ESTABLISHED: u8 = b'E';
const MESSAGE_KEY: u8 = b'M';
const BARE_KEY: u8 = b'B';
const POSITION: u8 = b'P';
const TURN: u8 = b'T';
const SKIPPED: u8 = b'S';
/// More than a position takes.
const SMALL_CAPACITY: usize = 128;
/// What a message key takes beside its header: kind, version, key, IV, bound keys, length.
const MESSAGE_KEY_FIXED: usize = 2 + 2 + 32 + 16 + ASSOCIATED + 2;
/// What a bare key takes: kind, version, key, IV, highest version, size of the header, number, IV.
const BARE_KEY_LENGTH: usize = 2 + 2 + 32 + 16 + 2 + 1 + 4 + 16;
/// More than a ratchet without skipped keys takes, so that writing does not move secrets around.
const FIXED_CAPACITY: usize = 4_096;
const SKIPPED_KEY: usize = 52;
const SKIPPED_CHAIN: usize = 36;

/// Why stored bytes cannot be used. Nobody but this program writes them: they are damaged, or of a newer program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// A version that this program does not know.
    #[error("stored by another program: version {0}")]
    Version(u8),
    /// The bytes are damaged.
    #[error("damaged: {0}")]
    Damaged(#[from] Malformed),
}

/// A ratchet in either state, as it was stored.
#[derive(Debug)]
pub enum StoredRatchet {
    /// Nothing was received yet.
    Awaiting(Box<AwaitingRatchet>),
    /// It sends and receives.
    Established(Box<Ratchet>),
}

impl StoredRatchet {
    /// Reads what [`AwaitingRatchet::to_stored`] or [`Ratchet::to_stored`] wrote.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StoredError> {
        let mut reader = open_version(bytes)?;
        let ratchet = match reader.u8()? {
            AWAITING => StoredRatchet::Awaiting(Box::new(AwaitingRatchet { session: take_session(&mut reader)? })),
            ESTABLISHED => StoredRatchet::Established(Box::new(take_ratchet(&mut reader)?)),
            _ => return Err(Malformed::BadValue("kind of ratchet").into()),
        };
        reader.finish()?;
        Ok(ratchet)
    }
}

impl AwaitingRatchet {
    /// The bytes to keep.
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(FIXED_CAPACITY));
        out.put(&[VERSION, AWAITING]);
        put_session(&mut out, &self.session);
        out
    }
}

impl Ratchet {
    /// The bytes to keep.
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let skipped = self.skipped.len().saturating_mul(SKIPPED_KEY);
        let skipped = skipped.saturating_add(self.skipped.chains.len().saturating_mul(SKIPPED_CHAIN));
        let mut out = Zeroizing::new(Vec::with_capacity(FIXED_CAPACITY.saturating_add(skipped)));
        out.put(&[VERSION, ESTABLISHED]);
        put_turn(&mut out, self);
        put_position(&mut out, self);
        put_skipped(&mut out, &self.skipped);
        out
    }

    /// The part that changes with every message.
    pub fn stored_position(&self) -> Zeroizing<Vec<u8>> {
        part(POSITION, SMALL_CAPACITY, |out| put_position(out, self))
    }

    /// The part that changes with every turn.
    pub fn stored_turn(&self) -> Zeroizing<Vec<u8>> {
        part(TURN, FIXED_CAPACITY, |out| put_turn(out, self))
    }

    /// The keys of messages that were passed over; nothing if there are none.
    pub fn stored_skipped(&self) -> Option<Zeroizing<Vec<u8>>> {
        let capacity = self.skipped.len().saturating_mul(SKIPPED_KEY).saturating_add(FIXED_CAPACITY);
        (self.skipped.len() > 0).then(|| part(SKIPPED, capacity, |out| put_skipped(out, &self.skipped)))
    }

    /// Puts the three parts together again.
    pub fn from_stored_parts(turn: &[u8], position: &[u8], skipped: Option<&[u8]>) -> Result<Self, StoredError> {
        let turn = open_part(TURN, turn, take_turn)?;
        let position = open_part(POSITION, position, take_position)?;
        let skipped = skipped.map(|bytes| open_part(SKIPPED, bytes, take_skipped)).transpose()?;
        Ok(turn.at(position, skipped.unwrap_or_default())?)
    }
}

fn part(kind: u8, capacity: usize, put: impl FnOnce(&mut Vec<u8>)) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(capacity));
    out.put(&[VERSION, kind]);
    put(&mut out);
    out
}

fn open_part<T>(
    kind: u8,
    bytes: &[u8],
    take: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<T, StoredError> {
    let mut reader = open_version(bytes)?;
    if reader.u8()? != kind {
        return Err(Malformed::BadValue("kind of what was stored of a ratchet").into());
    }
    let value = take(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

impl MessageKey {
    /// The bytes to keep, with the plaintext, until the message is sent.
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        // Exact, because wiping what was never used takes time with every message.
        let mut out = Zeroizing::new(Vec::with_capacity(MESSAGE_KEY_FIXED.saturating_add(self.header.len())));
        out.put(&[VERSION, MESSAGE_KEY]);
        out.put_u16(self.version);
        out.put(self.body.key.expose());
        out.put(&self.body.iv);
        out.put(&self.associated);
        out.put_large(&self.header);
        out
    }

    /// Reads what [`MessageKey::to_stored`] wrote. The key is for the same plaintext only.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StoredError> {
        let mut reader = open_version(bytes)?;
        if reader.u8()? != MESSAGE_KEY {
            return Err(Malformed::BadValue("kind of message key").into());
        }
        let version = reader.u16()?;
        let body = take_body_key(&mut reader)?;
        let associated = reader.array()?;
        let header = reader.large()?.to_vec();
        reader.finish()?;
        Ok(MessageKey { version, body, associated, header })
    }
}

impl BareKey {
    /// The bytes to keep, with the plaintext, until the message is sent or the ratchet turns.
    pub(crate) fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        part(BARE_KEY, BARE_KEY_LENGTH, |out| {
            out.put_u16(self.version);
            out.put(self.body.key.expose());
            out.put(&self.body.iv);
            out.put_u16(self.max);
            out.put_bool(self.large);
            out.put_u32(self.number);
            out.put(&self.header_iv);
        })
    }

    /// Reads what [`BareKey::to_stored`] wrote.
    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Self, StoredError> {
        open_part(BARE_KEY, bytes, |reader| {
            Ok(BareKey {
                version: reader.u16()?,
                body: take_body_key(reader)?,
                max: reader.u16()?,
                large: reader.bool()?,
                number: reader.u32()?,
                header_iv: reader.array()?,
            })
        })
    }
}

pub(crate) fn open_version(bytes: &[u8]) -> Result<Reader<'_>, StoredError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        VERSION => Ok(reader),
        other => Err(StoredError::Version(other)),
    }
}

fn put_session(out: &mut Vec<u8>, session: &Session) {
    put_session_turn(out, session);
    put_session_position(out, session);
}

fn put_session_turn(out: &mut Vec<u8>, session: &Session) {
    out.put(&session.associated);
    out.put(session.own_key.private.to_bytes().expose());
    out.put(session.own_key.public.as_bytes());
    match &session.kem {
        KemState::None => out.put(b"0"),
        KemState::Proposed(key) => {
            out.put(b"P");
            out.put(key.expose());
        }
        KemState::Accepted(key, ciphertext) => {
            out.put(b"A");
            out.put(key.expose());
            out.put(ciphertext.as_bytes());
        }
    }
    out.put(session.root.expose());
    out.put(session.next_sending_header.expose());
    out.put(session.next_receiving_header.expose());
}

fn put_session_position(out: &mut Vec<u8>, session: &Session) {
    out.put_u16(session.current);
    out.put_u16(session.max);
    out.put_bool(session.large_headers);
    out.put_bool(session.pq.is_on());
}

fn put_turn(out: &mut Vec<u8>, ratchet: &Ratchet) {
    put_session_turn(out, &ratchet.session);
    out.put(ratchet.sending.header_key.expose());
    out.put_u32(ratchet.sending.previous);
    out.put_bool(ratchet.sending.post_quantum);
    out.put_maybe(ratchet.receiving.as_ref(), |out, chain| {
        out.put(chain.header_key.expose());
        out.put_bool(chain.post_quantum);
    });
}

fn put_position(out: &mut Vec<u8>, ratchet: &Ratchet) {
    put_session_position(out, &ratchet.session);
    out.put(ratchet.sending.chain.0.expose());
    out.put_u32(ratchet.sending.next);
    out.put_maybe(ratchet.receiving.as_ref(), |out, chain| {
        out.put(chain.chain.0.expose());
        out.put_u32(chain.next);
    });
}

/// What of a session changes with turns.
struct SessionTurn {
    associated: [u8; ASSOCIATED],
    own_key: KeyPair,
    kem: KemState,
    root: Key,
    next_sending_header: Key,
    next_receiving_header: Key,
}

/// What of a session changes with messages.
struct SessionPosition {
    current: u16,
    max: u16,
    large_headers: bool,
    pq: Pq,
}

/// What of a ratchet changes with turns.
struct StoredTurn {
    session: SessionTurn,
    header_key: Key,
    previous: u32,
    post_quantum: bool,
    receiving: Option<(Key, bool)>,
}

/// What of a ratchet changes with messages.
struct Position {
    session: SessionPosition,
    sending: (Key, u32),
    receiving: Option<(Key, u32)>,
}

impl SessionTurn {
    fn at(self, position: SessionPosition) -> Session {
        let SessionTurn { associated, own_key, kem, root, next_sending_header, next_receiving_header } = self;
        let SessionPosition { current, max, large_headers, pq } = position;
        Session {
            current,
            max,
            associated,
            own_key,
            kem,
            large_headers,
            pq,
            root,
            next_sending_header,
            next_receiving_header,
        }
    }
}

impl StoredTurn {
    fn at(self, position: Position, skipped: SkippedKeys) -> Result<Ratchet, Malformed> {
        let receiving = match (self.receiving, position.receiving) {
            (None, None) => None,
            (Some((header_key, post_quantum)), Some((chain, next))) => {
                Some(ReceivingChain { chain: ChainKey(chain), header_key, next, post_quantum })
            }
            _ => return Err(Malformed::BadValue("parts of different ratchets")),
        };
        let (chain, next) = position.sending;
        let sending = SendingChain {
            chain: ChainKey(chain),
            header_key: self.header_key,
            next,
            previous: self.previous,
            post_quantum: self.post_quantum,
        };
        let session = self.session.at(position.session);
        Ok(Ratchet { session, sending, receiving, skipped, touched: Touched::default() })
    }
}

fn take_session(reader: &mut Reader<'_>) -> Result<Session, Malformed> {
    let turn = take_session_turn(reader)?;
    Ok(turn.at(take_session_position(reader)?))
}

fn take_session_turn(reader: &mut Reader<'_>) -> Result<SessionTurn, Malformed> {
    Ok(SessionTurn {
        associated: reader.array()?,
        own_key: KeyPair {
            private: X448PrivateKey::from_bytes(reader.array()?),
            public: X448PublicKey::from_bytes(reader.array()?),
        },
        kem: take_kem(reader)?,
        root: take_key(reader)?,
        next_sending_header: take_key(reader)?,
        next_receiving_header: take_key(reader)?,
    })
}

fn take_session_position(reader: &mut Reader<'_>) -> Result<SessionPosition, Malformed> {
    Ok(SessionPosition {
        current: reader.u16()?,
        max: reader.u16()?,
        large_headers: reader.bool()?,
        pq: if reader.bool()? { Pq::On } else { Pq::Off },
    })
}

fn take_turn(reader: &mut Reader<'_>) -> Result<StoredTurn, Malformed> {
    Ok(StoredTurn {
        session: take_session_turn(reader)?,
        header_key: take_key(reader)?,
        previous: reader.u32()?,
        post_quantum: reader.bool()?,
        receiving: reader.maybe(|reader| Ok((take_key(reader)?, reader.bool()?)))?,
    })
}

fn take_position(reader: &mut Reader<'_>) -> Result<Position, Malformed> {
    Ok(Position {
        session: take_session_position(reader)?,
        sending: (take_key(reader)?, reader.u32()?),
        receiving: reader.maybe(|reader| Ok((take_key(reader)?, reader.u32()?)))?,
    })
}

fn take_kem(reader: &mut Reader<'_>) -> Result<KemState, Malformed> {
    match reader.u8()? {
        b'0' => Ok(KemState::None),
        b'P' => take_kem_key(reader).map(KemState::Proposed),
        b'A' => {
            let key = take_kem_key(reader)?;
            let ciphertext = KemCiphertext::from_bytes(reader.take(crypto::kem::CIPHERTEXT)?);
            Ok(KemState::Accepted(key, ciphertext.map_err(|_| Malformed::Truncated)?))
        }
        _ => Err(Malformed::BadValue("state of encapsulation")),
    }
}

pub(crate) fn take_kem_key(reader: &mut Reader<'_>) -> Result<KemSecretKey, Malformed> {
    KemSecretKey::from_bytes(reader.take(crypto::kem::SECRET_KEY)?).map_err(|_| Malformed::Truncated)
}

fn take_ratchet(reader: &mut Reader<'_>) -> Result<Ratchet, Malformed> {
    let (turn, position) = (take_turn(reader)?, take_position(reader)?);
    turn.at(position, take_skipped(reader)?)
}

#[allow(clippy::cast_possible_truncation, reason = "both counts have bounds far below 65,536")]
fn put_skipped(out: &mut Vec<u8>, skipped: &SkippedKeys) {
    out.put_u16(skipped.chains.len() as u16);
    for chain in &skipped.chains {
        out.put(chain.header_key.expose());
        out.put_u16(chain.keys.len() as u16);
        for (number, key) in &chain.keys {
            out.put_u32(*number);
            out.put(key.key.expose());
            out.put(&key.iv);
        }
    }
}

fn take_skipped(reader: &mut Reader<'_>) -> Result<SkippedKeys, Malformed> {
    let mut skipped = SkippedKeys { chains: VecDeque::new() };
    for _ in 0..reader.u16()? {
        let header_key = take_key(reader)?;
        let mut keys = BTreeMap::new();
        for _ in 0..reader.u16()? {
            let number = reader.u32()?;
            if keys.last_key_value().is_some_and(|(last, _)| *last >= number) {
                return Err(Malformed::BadValue("order of skipped messages"));
            }
            keys.insert(number, take_body_key(reader)?);
        }
        skipped.chains.push_back(SkippedChain { header_key, keys });
    }
    let empty = skipped.chains.iter().any(|chain| chain.keys.is_empty());
    if empty || skipped.chains.len() > MAX_CHAINS || skipped.len() > MAX_KEYS {
        return Err(Malformed::BadValue("number of skipped messages"));
    }
    Ok(skipped)
}

fn take_body_key(reader: &mut Reader<'_>) -> Result<BodyKey, Malformed> {
    Ok(BodyKey { key: take_key(reader)?, iv: reader.array()? })
}

fn take_key(reader: &mut Reader<'_>) -> Result<Key, Malformed> {
    reader.array().map(Secret::new)
}
