//! Responses and events: what a server tells its clients.

use codec::{Decode as _, Encode as _, Malformed, Reader, VersionRange, Write};
use crypto::Nonce;
use crypto::dh::X25519PublicKey;
use serde::{Deserialize, Serialize};

use crate::command::{LinkData, dh_key};
use crate::error::{CommandError, Error};
use crate::id::{LinkId, MessageId, NotifierId, RecipientId, SenderId, ServiceId};
use crate::queue_address::QueueMode;
use crate::version;

/// A response to a command, or an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// A queue was created.
    Ids(Box<QueueIds>),
    /// Link data.
    Lnk(SenderId, LinkData),
    /// Subscribed; at version 15 this is plain `OK` on the wire.
    Sok(Option<ServiceId>),
    /// A service subscribed to that many queues.
    Soks(i64),
    /// A message, encrypted for the recipient.
    Msg(MessageId, Vec<u8>),
    /// Notifications are enabled.
    Nid(NotifierCredentials),
    /// A notification, encrypted for the recipient.
    Nmsg(Nonce, Vec<u8>),
    /// A proxy's session with a relay.
    Pkey(Box<RelaySession>),
    /// A relay's answer to a proxy.
    Rres(Vec<u8>),
    /// A proxy passes a relay's answer on.
    Pres(Vec<u8>),
    /// Another connection subscribed.
    End,
    /// Another connection took over that many subscriptions of a service.
    Ends(i64),
    /// The queue was deleted.
    Deld,
    /// Done.
    Ok,
    /// Alive.
    Pong,
    /// A queue's description.
    Info(QueueDescription),
    /// Refused.
    Err(Error),
}

/// What `NEW` created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueIds {
    /// For the recipient's commands.
    pub recipient_id: RecipientId,
    /// For the queue address.
    pub sender_id: SenderId,
    /// The server's half of the delivery secret.
    pub dh_key: X25519PublicKey,
    /// Echoes the request.
    pub mode: Option<QueueMode>,
    /// When link data was created with the queue.
    pub link_id: Option<LinkId>,
    /// In a service session; from version 16 on.
    pub service_id: Option<ServiceId>,
    /// When notifier keys came with the request; from version 17 on.
    pub notifier: Option<NotifierCredentials>,
}

/// What enables notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierCredentials {
    /// For the notifier's commands.
    pub notifier_id: NotifierId,
    /// The server's half of the notification secret.
    pub dh_key: X25519PublicKey,
}

/// The hello of a relay, as its proxy received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySession {
    /// Of the connection between proxy and relay.
    pub session_id: Vec<u8>,
    /// Versions that proxy and relay have in common.
    pub versions: VersionRange,
    /// The relay's certificates, leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// The relay's session key, signed by its leaf certificate.
    pub signed_key: Vec<u8>,
}

/// A queue as its recipient may look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDescription {
    /// Has a sender key.
    #[serde(rename = "qiSnd")]
    pub secured: bool,
    /// Has a notifier.
    #[serde(rename = "qiNtf")]
    pub notifier: bool,
    /// The asking connection's own subscription.
    #[serde(rename = "qiSub", default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionDescription>,
    /// Number of stored messages.
    #[serde(rename = "qiSize")]
    pub size: u64,
    /// The first message.
    #[serde(rename = "qiMsg", default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadDescription>,
}

/// A subscription in a [`QueueDescription`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionDescription {
    /// `noSub`, `subPending`, `subThread` or `prohibitSub`.
    #[serde(rename = "qSubThread")]
    pub state: SubscriptionState,
    /// The delivered message, in standard base64.
    #[serde(rename = "qDelivered", default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<String>,
}

/// How the asking connection stands to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubscriptionState {
    /// Not subscribed.
    NoSub,
    /// A delivery waits for room in the connection's output.
    SubPending,
    /// Subscribed.
    SubThread,
    /// `GET` was used, which excludes subscribing.
    ProhibitSub,
}

/// The first message in a [`QueueDescription`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadDescription {
    /// In standard base64.
    #[serde(rename = "msgId")]
    pub id: String,
    /// ISO 8601.
    #[serde(rename = "msgTs")]
    pub time: String,
    /// `message` or `quota`.
    #[serde(rename = "msgType")]
    pub kind: MessageKind,
}

/// What a stored message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageKind {
    /// Sent by the sender.
    Message,
    /// Tells the recipient that the sender met the quota.
    Quota,
}

impl Response {
    /// Appends the response as a client of `version` reads it.
    pub fn encode(&self, version: u16, out: &mut Vec<u8>) {
        match self {
            Self::Ids(ids) => {
                out.put(b"IDS ");
                ids.encode(version, out);
            }
            Self::Lnk(sender_id, data) => {
                out.put(b"LNK ");
                sender_id.encode(out);
                data.encode(out);
            }
            Self::Sok(_) if version < version::SERVICES => out.put(b"OK"),
            Self::Sok(service_id) => {
                out.put(b"SOK ");
                out.put_maybe(service_id.as_ref(), |out, id| id.encode(out));
            }
            Self::Soks(count) => put_count(out, b"SOKS ", *count),
            Self::Msg(id, body) => {
                out.put(b"MSG ");
                id.encode(out);
                out.put(body);
            }
            Self::Nid(credentials) => {
                out.put(b"NID ");
                credentials.encode(out);
            }
            Self::Nmsg(nonce, metadata) => {
                out.put(b"NMSG ");
                out.put(&nonce.0);
                out.put_short(metadata);
            }
            Self::Pkey(session) => {
                out.put(b"PKEY ");
                session.encode(out);
            }
            Self::Rres(sealed) => put_tail(out, b"RRES ", sealed),
            Self::Pres(sealed) => put_tail(out, b"PRES ", sealed),
            Self::End => out.put(b"END"),
            Self::Ends(count) => put_count(out, b"ENDS ", *count),
            Self::Deld => out.put(b"DELD"),
            Self::Ok => out.put(b"OK"),
            Self::Pong => out.put(b"PONG"),
            Self::Info(description) => {
                out.put(b"INFO ");
                out.put(&serde_json::to_vec(description).unwrap_or_default());
            }
            Self::Err(error) => {
                out.put(b"ERR ");
                error.encode(version, out);
            }
        }
    }

    /// The encoded response alone.
    pub fn to_bytes(&self, version: u16) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(version, &mut out);
        out
    }

    /// Reads a complete response of a server that speaks `version`.
    pub fn decode(version: u16, bytes: &[u8]) -> Result<Self, CommandError> {
        let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
        let (tag, parameters) = bytes.split_at_checked(end).ok_or(CommandError::Unknown)?;
        let read = reader_of(tag).ok_or(CommandError::Unknown)?;
        let mut reader = Reader::new(parameters);
        let response = read(version, &mut reader);
        let complete = response.and_then(|response| reader.finish().map(|()| response));
        complete.map_err(|_| CommandError::Syntax)
    }

    /// Whether the entity ID is present where it must be, and only there.
    pub fn check_entity(&self, entity: bool) -> Result<(), CommandError> {
        match self {
            Self::Pong | Self::Pkey(_) | Self::Rres(_) if entity => Err(CommandError::HasAuth),
            Self::Pong | Self::Pkey(_) | Self::Rres(_) | Self::Ids(_) | Self::Err(_) => Ok(()),
            _ if entity => Ok(()),
            _ => Err(CommandError::NoEntity),
        }
    }
}

type Read = fn(u16, &mut Reader<'_>) -> Result<Response, Malformed>;

fn reader_of(tag: &[u8]) -> Option<Read> {
    Some(match tag {
        b"IDS" => |version, r| QueueIds::decode(version, spaced(r)?).map(|ids| Response::Ids(Box::new(ids))),
        b"LNK" => |_, r| Ok(Response::Lnk(SenderId::decode(spaced(r)?)?, LinkData::decode(r)?)),
        b"SOK" => |_, r| spaced(r)?.maybe(ServiceId::decode).map(Response::Sok),
        b"SOKS" => |_, r| spaced(r)?.i64().map(Response::Soks),
        b"MSG" => |_, r| Ok(Response::Msg(MessageId::decode(spaced(r)?)?, r.tail().to_vec())),
        b"NID" => |_, r| NotifierCredentials::decode(spaced(r)?).map(Response::Nid),
        b"NMSG" => |_, r| Ok(Response::Nmsg(Nonce(spaced(r)?.array()?), r.short()?.to_vec())),
        b"PKEY" => |_, r| RelaySession::decode(spaced(r)?).map(|session| Response::Pkey(Box::new(session))),
        b"RRES" => |_, r| Ok(Response::Rres(spaced(r)?.tail().to_vec())),
        b"PRES" => |_, r| Ok(Response::Pres(spaced(r)?.tail().to_vec())),
        b"END" => |_, _| Ok(Response::End),
        b"ENDS" => |_, r| spaced(r)?.i64().map(Response::Ends),
        b"DELD" => |_, _| Ok(Response::Deld),
        b"OK" => |_, _| Ok(Response::Ok),
        b"PONG" => |_, _| Ok(Response::Pong),
        b"INFO" => |_, r| {
            let json = spaced(r)?.tail();
            serde_json::from_slice(json).map(Response::Info).map_err(|_| Malformed::BadValue("queue description"))
        },
        b"ERR" => |_, r| Error::decode(spaced(r)?.tail()).map(Response::Err).ok_or(Malformed::BadValue("error")),
        _ => return None,
    })
}

/// Steps over the space between tag and parameters.
fn spaced<'r, 'a>(reader: &'r mut Reader<'a>) -> Result<&'r mut Reader<'a>, Malformed> {
    if reader.literal(b" ") { Ok(reader) } else { Err(Malformed::Truncated) }
}

fn put_count(out: &mut Vec<u8>, tag: &[u8], count: i64) {
    out.put(tag);
    out.put_i64(count);
}

fn put_tail(out: &mut Vec<u8>, tag: &[u8], bytes: &[u8]) {
    out.put(tag);
    out.put(bytes);
}

impl QueueIds {
    fn encode(&self, version: u16, out: &mut Vec<u8>) {
        self.recipient_id.encode(out);
        self.sender_id.encode(out);
        out.put_short(&self.dh_key.to_der());
        out.put_maybe(self.mode, |out, mode| out.put(mode.letter()));
        out.put_maybe(self.link_id.as_ref(), |out, id| id.encode(out));
        if version >= version::SERVICES {
            out.put_maybe(self.service_id.as_ref(), |out, id| id.encode(out));
        }
        if version >= version::NEW_NOTIFIERS {
            out.put_maybe(self.notifier.as_ref(), |out, credentials| credentials.encode(out));
        }
    }

    fn decode(version: u16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(QueueIds {
            recipient_id: RecipientId::decode(reader)?,
            sender_id: SenderId::decode(reader)?,
            dh_key: dh_key(reader)?,
            mode: reader.maybe(|r| QueueMode::from_letter(r.u8()?).ok_or(Malformed::BadValue("queue mode")))?,
            link_id: reader.maybe(LinkId::decode)?,
            service_id: if version >= version::SERVICES { reader.maybe(ServiceId::decode)? } else { None },
            notifier: if version >= version::NEW_NOTIFIERS { reader.maybe(NotifierCredentials::decode)? } else { None },
        })
    }
}

impl NotifierCredentials {
    fn encode(&self, out: &mut Vec<u8>) {
        self.notifier_id.encode(out);
        out.put_short(&self.dh_key.to_der());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(NotifierCredentials { notifier_id: NotifierId::decode(reader)?, dh_key: dh_key(reader)? })
    }
}

impl RelaySession {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_short(&self.session_id);
        self.versions.encode(out);
        out.put_list(&self.certificates, |out, certificate| out.put_large(certificate));
        out.put_large(&self.signed_key);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(RelaySession {
            session_id: reader.short()?.to_vec(),
            versions: VersionRange::decode(reader)?,
            certificates: reader.non_empty(|r| r.large().map(<[u8]>::to_vec))?,
            signed_key: reader.large()?.to_vec(),
        })
    }
}
