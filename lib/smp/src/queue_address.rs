//! Where a sender finds a queue and how it encrypts to it.
//!
//! A recipient publishes a [`QueueUri`]: a server, the sender's ID of the queue, the recipient's key, and the range of
//! client versions that it understands. A sender picks one version and continues with a [`QueueInfo`]. Both have a
//! binary form; only the URI has a text form:
//!
//! ```text
//! smp://fingerprint@host:5223/senderId#/?v=1-4&dh=key&q=m&k=s&srv=more.hosts
//! ```
//!
//! The forms differ by client version, because each version had to be readable by the one before: version 1 knew one
//! host, version 3 knew only "the sender may secure", version 4 knows queue modes.

use std::fmt;
use std::str::FromStr;

use codec::query::Query;
use codec::{Decode, Encode, Malformed, Reader, VersionRange, Write, query, text};
use crypto::dh::X25519PublicKey;

use crate::address::{Host, ServerAddress};
use crate::id::SenderId;

/// The client version from which an address may hold several hosts.
const SEVERAL_HOSTS: u16 = 2;
/// The client version from which senders may secure messaging queues.
const SENDER_SECURES: u16 = 3;
/// The client version from which addresses state the queue mode.
const QUEUE_MODES: u16 = 4;

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueMode {
    /// Messages of one connection; the sender may secure it.
    Messaging,
    /// Contact requests from anybody.
    Contact,
}

impl QueueMode {
    /// The letter on the wire.
    pub fn letter(self) -> &'static [u8; 1] {
        match self {
            Self::Messaging => b"M",
            Self::Contact => b"C",
        }
    }

    /// The mode of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'M' => Some(Self::Messaging),
            b'C' => Some(Self::Contact),
            _ => None,
        }
    }
}

/// A queue as its sender sees it, without a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAddress {
    /// The server that holds the queue.
    pub server: ServerAddress,
    /// The sender's name for the queue.
    pub sender_id: SenderId,
    /// The recipient's key for the end-to-end layer of the queue.
    pub dh_key: X25519PublicKey,
    /// What the queue is for; old addresses do not say.
    pub mode: Option<QueueMode>,
}

/// A queue address with the range of client versions that its recipient understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUri {
    /// SMP client versions.
    pub versions: VersionRange,
    /// The queue.
    pub address: QueueAddress,
}

/// A queue address at one client version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueInfo {
    /// SMP client version.
    pub version: u16,
    /// The queue.
    pub address: QueueAddress,
}

impl QueueUri {
    /// The queue at the highest version that both sides understand, if there is one.
    pub fn agree(&self, ours: VersionRange) -> Option<QueueInfo> {
        self.versions.common(ours).map(|common| self.at(common.max()))
    }

    /// The queue at `version`.
    pub fn at(&self, version: u16) -> QueueInfo {
        QueueInfo { version, address: self.address.clone() }
    }
}

impl QueueInfo {
    /// The queue for peers that speak `versions`.
    pub fn to_uri(&self, versions: VersionRange) -> QueueUri {
        QueueUri { versions, address: self.address.clone() }
    }
}

impl fmt::Display for QueueUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueueAddress { server, sender_id, dh_key, mode } = &self.address;
        let one_host = self.versions.min() < SEVERAL_HOSTS;
        let authority = if one_host { server.with_first_host_only() } else { server.clone() };
        let dh = text::base64url(&dh_key.to_der());
        write!(f, "{authority}/{sender_id}#/?v={}&dh={}", self.versions, query::escape(dh.as_bytes()))?;
        match mode {
            Some(QueueMode::Messaging) => f.write_str("&q=m")?,
            Some(QueueMode::Contact) => f.write_str("&q=c")?,
            None => {}
        }
        if *mode == Some(QueueMode::Messaging) && self.versions.min() < QUEUE_MODES {
            f.write_str("&k=s")?;
        }
        if one_host && !server.other_hosts().is_empty() {
            write!(f, "&srv={}", query::escape(Host::join(server.other_hosts()).as_bytes()))?;
        }
        Ok(())
    }
}

impl FromStr for QueueUri {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.contains([' ', '\n']) {
            return Err(Malformed::BadValue("queue address: space or line feed"));
        }
        let (server, rest) = ServerAddress::take(text)?;
        let (sender_id, fragment) =
            rest.strip_prefix('/').and_then(|path| path.split_once('#')).ok_or(Malformed::BadValue("queue address"))?;
        let sender_id = text::from_base64url(sender_id.strip_suffix('/').unwrap_or(sender_id))?;
        let sender_id = SenderId::new(sender_id).ok_or(Malformed::BadValue("length of sender ID"))?;
        let Fragment { versions, dh_key, mode, more_hosts } = fragment.parse()?;
        let server = server.with_more_hosts(more_hosts)?;
        Ok(QueueUri { versions, address: QueueAddress { server, sender_id, dh_key, mode } })
    }
}

/// What follows `#` in a queue URI.
struct Fragment {
    versions: VersionRange,
    dh_key: X25519PublicKey,
    mode: Option<QueueMode>,
    more_hosts: Vec<Host>,
}

impl FromStr for Fragment {
    type Err = Malformed;

    /// `key`, or parameters after `?` with the key before it or among them.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let Some((before, params)) = text.split_once('?') else {
            let versions = VersionRange::single(1);
            return Ok(Fragment { versions, dh_key: parse_key(text)?, mode: None, more_hosts: Vec::new() });
        };
        let query = Query::parse(params);
        let param = |name| query.text(name).ok_or(Malformed::BadValue("parameters of queue address"));
        let dh_key = match before.strip_suffix('/').unwrap_or(before) {
            "" => parse_key(param("dh")?)?,
            key => parse_key(key)?,
        };
        let more_hosts = query.text("srv").map(Host::parse_list).transpose()?.unwrap_or_default();
        Ok(Fragment { versions: param("v")?.parse()?, dh_key, mode: parse_mode(&query), more_hosts })
    }
}

fn parse_key(text: &str) -> Result<X25519PublicKey, Malformed> {
    decode_key(&text::from_base64url(text)?)
}

fn decode_key(der: &[u8]) -> Result<X25519PublicKey, Malformed> {
    X25519PublicKey::from_der(der).map_err(|_| Malformed::BadValue("X25519 key of queue"))
}

fn parse_mode(query: &Query) -> Option<QueueMode> {
    match (query.text("q"), query.text("k")) {
        (Some("m"), _) => Some(QueueMode::Messaging),
        (Some("c"), _) => Some(QueueMode::Contact),
        (_, Some("s")) => Some(QueueMode::Messaging),
        _ => None,
    }
}

impl Encode for QueueUri {
    fn encode(&self, out: &mut Vec<u8>) {
        let messaging = self.address.mode == Some(QueueMode::Messaging);
        self.versions.encode(out);
        self.address.server.encode(out);
        self.address.encode_ids(out);
        if self.versions.min() >= QUEUE_MODES {
            self.address.encode_mode(out);
        } else if self.versions.min() == SENDER_SECURES || (self.versions.max() >= SENDER_SECURES && messaging) {
            out.put_bool(messaging);
        }
    }
}

impl Decode for QueueUri {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let versions = VersionRange::decode(reader)?;
        let server = ServerAddress::decode(reader)?;
        Ok(QueueUri { versions, address: QueueAddress::decode_after(server, reader)? })
    }
}

impl Encode for QueueInfo {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.version);
        if self.version < SEVERAL_HOSTS {
            self.address.server.encode_legacy(out);
        } else {
            self.address.server.encode(out);
        }
        self.address.encode_ids(out);
        if self.version >= QUEUE_MODES {
            self.address.encode_mode(out);
        } else if self.version == SENDER_SECURES && self.address.mode == Some(QueueMode::Messaging) {
            out.put_bool(true);
        }
    }
}

impl Decode for QueueInfo {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.u16()?;
        let server = if version < SEVERAL_HOSTS {
            ServerAddress::decode_legacy(reader)?
        } else {
            ServerAddress::decode(reader)?
        };
        Ok(QueueInfo { version, address: QueueAddress::decode_after(server, reader)? })
    }
}

impl QueueAddress {
    fn encode_ids(&self, out: &mut Vec<u8>) {
        self.sender_id.encode(out);
        out.put_short(&self.dh_key.to_der());
    }

    fn encode_mode(&self, out: &mut Vec<u8>) {
        if let Some(mode) = self.mode {
            out.put(mode.letter());
        }
    }

    fn decode_after(server: ServerAddress, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let sender_id = SenderId::decode(reader)?;
        let dh_key = decode_key(reader.short()?)?;
        Ok(QueueAddress { server, sender_id, dh_key, mode: take_mode(reader) })
    }
}

/// The mode suffix is optional and does not depend on the version. What may follow a queue never begins like one.
fn take_mode(reader: &mut Reader<'_>) -> Option<QueueMode> {
    if reader.literal(b"M") || reader.literal(b"T") {
        Some(QueueMode::Messaging)
    } else if reader.literal(b"C") || reader.literal(b"F") {
        Some(QueueMode::Contact)
    } else {
        None
    }
}
