//! Errors as SMP sends them: the `ERR` response and the transport errors inside it.
//!
//! These are values of the protocol. Why *we* could not read something is [`codec::Malformed`].

use codec::{Reader, Write};
use serde::{Deserialize, Serialize};

use crate::version;

/// What follows `ERR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The block or a transmission in it could not be read.
    #[error("BLOCK")]
    Block,
    /// The session ID is wrong; cannot occur in the versions we speak.
    #[error("SESSION")]
    Session,
    /// The command could not be accepted as such.
    #[error("CMD {0}")]
    Command(#[from] CommandError),
    /// A proxy could not do its work.
    #[error("PROXY {0}")]
    Proxy(Box<ProxyError>),
    /// Not authorised, or no such queue: deliberately the same answer.
    #[error("AUTH")]
    Auth,
    /// The operator blocked the queue.
    #[error("BLOCKED {0}")]
    Blocked(BlockingInfo),
    /// A service signature is missing, unwanted or wrong.
    #[error("SERVICE")]
    Service,
    /// A forwarded transmission does not decrypt.
    #[error("CRYPTO")]
    Crypto,
    /// The queue is full until its recipient has acknowledged everything.
    #[error("QUOTA")]
    Quota,
    /// Persistence failed.
    #[error("STORE {0}")]
    Store(String),
    /// Nothing to acknowledge under this ID.
    #[error("NO_MSG")]
    NoMessage,
    /// The message body is too long.
    #[error("LARGE_MSG")]
    LargeMessage,
    /// Reserved.
    #[error("EXPIRED")]
    Expired,
    /// The server failed.
    #[error("INTERNAL")]
    Internal,
    /// Internal to the reference; never sent.
    #[error("DUPLICATE_")]
    Duplicate,
}

/// What is wrong with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("UNKNOWN")]
    Unknown,
    /// Its parameters do not parse.
    #[error("SYNTAX")]
    Syntax,
    /// Not allowed here.
    #[error("PROHIBITED")]
    Prohibited,
    /// Authorization or entity ID is missing.
    #[error("NO_AUTH")]
    NoAuth,
    /// Authorization or entity ID is present where none may be.
    #[error("HAS_AUTH")]
    HasAuth,
    /// The entity ID is missing.
    #[error("NO_ENTITY")]
    NoEntity,
}

/// Why a proxy could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The relay answered with an error.
    #[error("PROTOCOL {0}")]
    Protocol(Error),
    /// The relay could not be reached or broke the protocol.
    #[error("BROKER {0}")]
    Broker(BrokerError),
    /// The proxy wants another password, or does not proxy at all.
    #[error("BASIC_AUTH")]
    BasicAuth,
    /// The session with the relay is gone.
    #[error("NO_SESSION")]
    NoSession,
}

/// What went wrong between a proxy and a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The response does not parse.
    #[error("RESPONSE {0:?}")]
    Response(String),
    /// The response answers another command.
    #[error("UNEXPECTED {0:?}")]
    Unexpected(String),
    /// No connection. Details are read but never sent.
    #[error("NETWORK")]
    Network(Option<NetworkError>),
    /// No answer in time.
    #[error("TIMEOUT")]
    Timeout,
    /// The host is not allowed.
    #[error("HOST")]
    Host,
    /// The service is unavailable.
    #[error("NO_SERVICE")]
    NoService,
    /// The handshake or a block failed.
    #[error("TRANSPORT {0}")]
    Transport(TransportError),
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkError {
    /// Connecting failed.
    Connect(String),
    /// TLS failed.
    Tls(String),
    /// The certificate is somebody else's.
    UnknownCa,
    /// Unspecified.
    Failed,
    /// No answer in time.
    Timeout,
    /// Subscribing failed.
    Subscribe(String),
}

/// Why a connection or a block cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// A block does not decrypt or parse.
    #[error("BLOCK")]
    Block,
    /// No common version.
    #[error("VERSION")]
    Version,
    /// A block does not unpad, or a message does not fit one.
    #[error("LARGE_MSG")]
    LargeMessage,
    /// The session ID of the hello is not that of TLS.
    #[error("SESSION")]
    Session,
    /// The peer showed no key.
    #[error("NO_AUTH")]
    NoAuth,
    /// A hello was refused.
    #[error("HANDSHAKE {0}")]
    Handshake(HandshakeError),
}

/// Why a hello was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It does not parse.
    #[error("PARSE")]
    Parse,
    /// It is meant for another server.
    #[error("IDENTITY")]
    Identity,
    /// Its certificates or signatures do not verify.
    #[error("BAD_AUTH")]
    BadAuth,
    /// The service is known under another role or could not be stored.
    #[error("BAD_SERVICE")]
    BadService,
}

/// Why and how a queue is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockingInfo {
    /// The operator's reason.
    pub reason: BlockingReason,
    /// What the client may tell its user; from version 18 on.
    pub notice: Option<ClientNotice>,
}

/// The operator's reason for blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockingReason {
    /// Spam.
    Spam,
    /// Content.
    Content,
}

/// A notice for the client's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientNotice {
    /// Seconds for which the notice stands; absent means indefinitely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
}

impl std::fmt::Display for BlockingInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.reason {
            BlockingReason::Spam => "reason=spam",
            BlockingReason::Content => "reason=content",
        })?;
        let json = self.notice.and_then(|notice| serde_json::to_string(&notice).ok());
        json.map_or(Ok(()), |json| write!(f, ",notice={json}"))
    }
}

/// A proxied error may hold an error; deeper nesting means nothing and is refused.
const MAX_DEPTH: u8 = 4;

impl Error {
    /// Appends the error as a peer of `version` reads it.
    pub fn encode(&self, version: u16, out: &mut Vec<u8>) {
        match self {
            Self::Blocked(info) => {
                let notice = info.notice.filter(|_| version >= version::CLIENT_NOTICES);
                out.put(format!("BLOCKED {}", BlockingInfo { notice, ..*info }).as_bytes());
            }
            Self::Proxy(error) => {
                out.put(b"PROXY ");
                error.encode(version, out);
            }
            other => out.put(other.to_string().as_bytes()),
        }
    }

    /// Reads an error to the end of the transmission.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let error = Self::read(&mut reader, MAX_DEPTH)?;
        reader.is_empty().then_some(error)
    }

    fn read(reader: &mut Reader<'_>, depth: u8) -> Option<Self> {
        Some(match word(reader) {
            b"BLOCK" => Self::Block,
            b"SESSION" => Self::Session,
            b"CMD" => Self::Command(CommandError::read(spaced(reader)?)?),
            b"PROXY" => Self::Proxy(Box::new(ProxyError::read(spaced(reader)?, depth.checked_sub(1)?)?)),
            b"AUTH" => Self::Auth,
            b"BLOCKED" => Self::Blocked(BlockingInfo::read(spaced(reader)?)?),
            b"SERVICE" => Self::Service,
            b"CRYPTO" => Self::Crypto,
            b"QUOTA" => Self::Quota,
            b"STORE" => Self::Store(text(spaced(reader)?.tail())?),
            b"NO_MSG" => Self::NoMessage,
            b"LARGE_MSG" => Self::LargeMessage,
            b"EXPIRED" => Self::Expired,
            b"INTERNAL" => Self::Internal,
            b"DUPLICATE_" => Self::Duplicate,
            _ => return None,
        })
    }
}

impl CommandError {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match word(reader) {
            b"UNKNOWN" => Self::Unknown,
            b"SYNTAX" => Self::Syntax,
            b"PROHIBITED" => Self::Prohibited,
            b"NO_AUTH" => Self::NoAuth,
            b"HAS_AUTH" => Self::HasAuth,
            b"NO_ENTITY" | b"NO_QUEUE" => Self::NoEntity,
            _ => return None,
        })
    }
}

impl ProxyError {
    fn encode(&self, version: u16, out: &mut Vec<u8>) {
        match self {
            Self::Protocol(error) => {
                out.put(b"PROTOCOL ");
                error.encode(version, out);
            }
            Self::Broker(BrokerError::Response(detail)) => put_detail(out, b"BROKER RESPONSE ", detail),
            Self::Broker(BrokerError::Unexpected(detail)) => put_detail(out, b"BROKER UNEXPECTED ", detail),
            other => out.put(other.to_string().as_bytes()),
        }
    }

    fn read(reader: &mut Reader<'_>, depth: u8) -> Option<Self> {
        Some(match word(reader) {
            b"PROTOCOL" => Self::Protocol(Error::read(spaced(reader)?, depth)?),
            b"BROKER" => Self::Broker(BrokerError::read(spaced(reader)?)?),
            b"BASIC_AUTH" => Self::BasicAuth,
            b"NO_SESSION" => Self::NoSession,
            _ => return None,
        })
    }
}

/// A detail is a ShortString: what does not fit is cut at a character boundary.
fn put_detail(out: &mut Vec<u8>, tag: &[u8], detail: &str) {
    let mut end = detail.len().min(usize::from(u8::MAX));
    while !detail.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    out.put(tag);
    out.put_short(detail.get(..end).unwrap_or_default().as_bytes());
}

impl BrokerError {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match word(reader) {
            b"RESPONSE" => Self::Response(text(spaced(reader)?.short().ok()?)?),
            b"UNEXPECTED" => Self::Unexpected(text(spaced(reader)?.short().ok()?)?),
            b"NETWORK" if reader.is_empty() => Self::Network(None),
            b"NETWORK" => Self::Network(Some(NetworkError::read(spaced(reader)?)?)),
            b"TIMEOUT" => Self::Timeout,
            b"HOST" => Self::Host,
            b"NO_SERVICE" => Self::NoService,
            b"TRANSPORT" => Self::Transport(TransportError::read(spaced(reader)?)?),
            _ => return None,
        })
    }
}

impl NetworkError {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match word(reader) {
            b"CONNECT" => Self::Connect(text(spaced(reader)?.short().ok()?)?),
            b"TLS" => Self::Tls(text(spaced(reader)?.short().ok()?)?),
            b"UNKNOWNCA" => Self::UnknownCa,
            b"FAILED" => Self::Failed,
            b"TIMEOUT" => Self::Timeout,
            b"SUBSCRIBE" => Self::Subscribe(text(spaced(reader)?.short().ok()?)?),
            _ => return None,
        })
    }
}

impl TransportError {
    /// Reads a transport error to the end, as in the response to a service hello.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let error = Self::read(&mut reader)?;
        reader.is_empty().then_some(error)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match word(reader) {
            b"BLOCK" => Self::Block,
            b"VERSION" => Self::Version,
            b"LARGE_MSG" => Self::LargeMessage,
            b"SESSION" => Self::Session,
            b"NO_AUTH" => Self::NoAuth,
            b"HANDSHAKE" => Self::Handshake(match word(spaced(reader)?) {
                b"PARSE" => HandshakeError::Parse,
                b"IDENTITY" => HandshakeError::Identity,
                b"BAD_AUTH" => HandshakeError::BadAuth,
                b"BAD_SERVICE" => HandshakeError::BadService,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

impl BlockingInfo {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let info = std::str::from_utf8(reader.tail()).ok()?;
        let (reason, notice) = match info.split_once(",notice=") {
            Some((reason, json)) => (reason, Some(serde_json::from_str(json).ok()?)),
            None => (info, None),
        };
        let reason = match reason {
            "reason=spam" => BlockingReason::Spam,
            "reason=content" => BlockingReason::Content,
            _ => return None,
        };
        Some(BlockingInfo { reason, notice })
    }
}

/// The bytes up to a space or the end; the space stays.
fn word<'a>(reader: &mut Reader<'a>) -> &'a [u8] {
    let rest = reader.rest();
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    reader.take(end).unwrap_or_default()
}

/// Steps over the one space that must come next.
fn spaced<'r, 'a>(reader: &'r mut Reader<'a>) -> Option<&'r mut Reader<'a>> {
    reader.literal(b" ").then_some(reader)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
