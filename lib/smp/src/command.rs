//! Commands: what clients ask of a server.
//!
//! A command is its tag, one space and its parameters. What may accompany it (authorization, entity ID) is in
//! [`Command::check_credentials`]; who gives it is in [`Command::party`].

use codec::{Decode as _, Encode, Malformed, Reader, Write};
use crypto::authorize::AuthPublicKey;
use crypto::dh::X25519PublicKey;

use crate::address::ServerAddress;
use crate::error::CommandError;
use crate::id::{LinkId, MessageId, SenderId};
use crate::queue_address::QueueMode;
use crate::version;

/// The longest body of a `SEND`.
pub const MAX_BODY: usize = 16_048;

/// A command with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create a queue.
    New(Box<NewQueue>),
    /// Subscribe to a queue.
    Sub,
    /// Subscribe to all queues of a service.
    Subs,
    /// Secure a queue with the sender's key, by the recipient.
    Key(AuthPublicKey),
    /// Replace the recipient's keys of a contact queue.
    Rkey(Vec<AuthPublicKey>),
    /// Create link data or replace its mutable part.
    Lset(LinkId, LinkData),
    /// Delete link data.
    Ldel,
    /// Enable notifications.
    Nkey(NotifierKeys),
    /// Disable notifications.
    Ndel,
    /// Receive one message without subscribing.
    Get,
    /// Acknowledge a message.
    Ack(MessageId),
    /// Stop accepting messages.
    Off,
    /// Delete a queue.
    Del,
    /// Describe a queue.
    Que,
    /// Secure a queue with the sender's key, by the sender.
    Skey(AuthPublicKey),
    /// Send a message.
    Send(MessageFlags, Vec<u8>),
    /// Keep the connection alive.
    Ping,
    /// Secure a queue and read its link data.
    Lkey(AuthPublicKey),
    /// Read link data of a contact queue.
    Lget,
    /// Subscribe to the notifications of a queue.
    Nsub,
    /// Subscribe to the notifications of all queues of a service.
    Nsubs,
    /// Ask a proxy for a session with a relay.
    Prxy(ServerAddress, Option<BasicAuth>),
    /// Ask a proxy to forward an encrypted transmission.
    Pfwd(ForwardedTransmission),
    /// Forward an encrypted transmission to a relay.
    Rfwd(Vec<u8>),
}

/// The parameters of `NEW`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQueue {
    /// Checks the recipient's commands, this one included.
    pub recipient_key: AuthPublicKey,
    /// The recipient's half of the delivery secret.
    pub dh_key: X25519PublicKey,
    /// The server's password.
    pub basic_auth: Option<BasicAuth>,
    /// Whether creating subscribes.
    pub subscribe: bool,
    /// Mode and link; absent leaves the queue without a mode.
    pub request: Option<QueueRequest>,
    /// Notifier credentials; from version 17 on.
    pub notifier: Option<NotifierKeys>,
}

/// What a queue is for, and the link data to create with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueRequest {
    /// A messaging queue; its link ID is the server's choice.
    Messaging(Option<(SenderId, LinkData)>),
    /// A contact queue; its link ID is derived from the link key.
    Contact(Option<(LinkId, SenderId, LinkData)>),
}

impl QueueRequest {
    /// The mode asked for.
    pub fn mode(&self) -> QueueMode {
        match self {
            Self::Messaging(_) => QueueMode::Messaging,
            Self::Contact(_) => QueueMode::Contact,
        }
    }
}

/// Both items of link data, encrypted by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkData {
    /// Never changes while the link exists.
    pub fixed: Vec<u8>,
    /// May be replaced by the queue's owner.
    pub user: Vec<u8>,
}

/// Public keys of a notifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierKeys {
    /// Checks the notifier's commands.
    pub auth_key: AuthPublicKey,
    /// The recipient's half of the notification secret.
    pub dh_key: X25519PublicKey,
}

/// An encrypted transmission on its way through a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedTransmission {
    /// The version of the transmission inside.
    pub version: u16,
    /// The client's one-time key.
    pub command_key: X25519PublicKey,
    /// Only the relay can open it.
    pub sealed: Vec<u8>,
}

/// Flags of a message. Bytes reserved for later versions are accepted and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageFlags {
    /// Whether the recipient wants a notification.
    pub notify: bool,
}

/// A server password: printable, without whitespace, `@`, `:` and `/`.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth(String);

impl BasicAuth {
    /// A password, if its characters and length are allowed.
    pub fn new(password: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_graphic() && !"@:/".contains(c);
        (password.len() <= usize::from(u8::MAX) && password.chars().all(allowed))
            .then(|| BasicAuth(password.to_owned()))
    }

    /// The password, for comparing or showing it to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BasicAuth(…)")
    }
}

/// Who gives a command, and thereby whose ID its entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Creates queues.
    Creator,
    /// Owns a queue.
    Recipient,
    /// Receives for many recipients.
    RecipientService,
    /// Sends to a queue.
    Sender,
    /// Reads link data.
    LinkClient,
    /// Is told of messages.
    Notifier,
    /// Is told of messages for many notifiers.
    NotifierService,
    /// Sends through a proxy.
    ProxiedClient,
    /// Is a proxy.
    Proxy,
    /// Anybody.
    Any,
}

impl Command {
    /// Who gives this command.
    pub fn party(&self) -> Party {
        match self {
            Self::New(_) => Party::Creator,
            Self::Sub | Self::Key(_) | Self::Rkey(_) | Self::Lset(..) | Self::Ldel | Self::Nkey(_) => Party::Recipient,
            Self::Ndel | Self::Get | Self::Ack(_) | Self::Off | Self::Del | Self::Que => Party::Recipient,
            Self::Subs => Party::RecipientService,
            Self::Skey(_) | Self::Send(..) => Party::Sender,
            Self::Lkey(_) | Self::Lget => Party::LinkClient,
            Self::Nsub => Party::Notifier,
            Self::Nsubs => Party::NotifierService,
            Self::Prxy(..) | Self::Pfwd(_) => Party::ProxiedClient,
            Self::Rfwd(_) => Party::Proxy,
            Self::Ping => Party::Any,
        }
    }

    /// Whether authorization and entity ID are present where they must be, and only there.
    pub fn check_credentials(&self, authorized: bool, entity: bool) -> Result<(), CommandError> {
        let fail = |wrong: bool, error| if wrong { Err(error) } else { Ok(()) };
        match self {
            Self::New(_) => {
                fail(!authorized, CommandError::NoAuth)?;
                fail(entity, CommandError::HasAuth)
            }
            Self::Send(..) => fail(!entity, CommandError::NoEntity),
            Self::Lget | Self::Pfwd(_) => {
                fail(!entity, CommandError::NoEntity)?;
                fail(authorized, CommandError::HasAuth)
            }
            Self::Ping | Self::Prxy(..) | Self::Rfwd(_) => fail(authorized || entity, CommandError::HasAuth),
            _ => fail(!authorized || !entity, CommandError::NoAuth),
        }
    }

    /// The command's tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::New(_) => "NEW",
            Self::Sub => "SUB",
            Self::Subs => "SUBS",
            Self::Key(_) => "KEY",
            Self::Rkey(_) => "RKEY",
            Self::Lset(..) => "LSET",
            Self::Ldel => "LDEL",
            Self::Nkey(_) => "NKEY",
            Self::Ndel => "NDEL",
            Self::Get => "GET",
            Self::Ack(_) => "ACK",
            Self::Off => "OFF",
            Self::Del => "DEL",
            Self::Que => "QUE",
            Self::Skey(_) => "SKEY",
            Self::Send(..) => "SEND",
            Self::Ping => "PING",
            Self::Lkey(_) => "LKEY",
            Self::Lget => "LGET",
            Self::Nsub => "NSUB",
            Self::Nsubs => "NSUBS",
            Self::Prxy(..) => "PRXY",
            Self::Pfwd(_) => "PFWD",
            Self::Rfwd(_) => "RFWD",
        }
    }

    /// Appends the command as a server of `version` reads it.
    pub fn encode(&self, version: u16, out: &mut Vec<u8>) {
        out.put(self.tag().as_bytes());
        if self.has_parameters() {
            out.put(b" ");
            self.encode_parameters(version, out);
        }
    }

    /// About how long the encoded command will be.
    pub(crate) fn size_hint(&self) -> usize {
        match self {
            Self::Send(_, body) => body.len().saturating_add(16),
            _ => 256,
        }
    }

    /// The encoded command alone.
    pub fn to_bytes(&self, version: u16) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(version, &mut out);
        out
    }

    fn has_parameters(&self) -> bool {
        !matches!(
            self,
            Self::Sub
                | Self::Subs
                | Self::Ldel
                | Self::Ndel
                | Self::Get
                | Self::Off
                | Self::Del
                | Self::Que
                | Self::Ping
                | Self::Lget
                | Self::Nsub
                | Self::Nsubs
        )
    }

    fn encode_parameters(&self, version: u16, out: &mut Vec<u8>) {
        match self {
            Self::New(new) => new.encode(version, out),
            Self::Key(key) | Self::Skey(key) | Self::Lkey(key) => out.put_short(&key.to_der()),
            Self::Rkey(keys) => out.put_list(keys, |out, key| out.put_short(&key.to_der())),
            Self::Lset(link_id, data) => {
                link_id.encode(out);
                data.encode(out);
            }
            Self::Nkey(keys) => keys.encode(out),
            Self::Ack(message_id) => message_id.encode(out),
            Self::Send(flags, body) => {
                out.put_bool(flags.notify);
                out.put(b" ");
                out.put(body);
            }
            Self::Prxy(relay, basic_auth) => {
                relay.encode(out);
                put_basic_auth(out, basic_auth.as_ref());
            }
            Self::Pfwd(forwarded) => forwarded.encode(out),
            Self::Rfwd(sealed) => out.put(sealed),
            _ => {}
        }
    }

    /// Reads a complete command of a client that speaks `version`.
    pub fn decode(version: u16, bytes: &[u8]) -> Result<Self, CommandError> {
        let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
        let (tag, parameters) = bytes.split_at_checked(end).ok_or(CommandError::Unknown)?;
        let mut reader = Reader::new(parameters);
        let decoder = decoder(tag).ok_or(CommandError::Unknown)?;
        let command = match decoder {
            Decoder::Bare(command) => Ok(command),
            Decoder::Parameters(read) if reader.literal(b" ") => read(version, &mut reader),
            Decoder::Parameters(_) => Err(Malformed::Truncated),
        };
        let complete = command.and_then(|command| reader.finish().map(|()| command));
        complete.map_err(|_| CommandError::Syntax)
    }
}

enum Decoder {
    Bare(Command),
    Parameters(fn(u16, &mut Reader<'_>) -> Result<Command, Malformed>),
}

fn decoder(tag: &[u8]) -> Option<Decoder> {
    use Decoder::{Bare, Parameters};
    Some(match tag {
        b"NEW" => Parameters(|version, r| NewQueue::decode(version, r).map(|new| Command::New(Box::new(new)))),
        b"SUB" => Bare(Command::Sub),
        b"SUBS" => Bare(Command::Subs),
        b"KEY" => Parameters(|_, r| auth_key(r).map(Command::Key)),
        b"RKEY" => Parameters(|_, r| r.non_empty(auth_key).map(Command::Rkey)),
        b"LSET" => Parameters(|_, r| Ok(Command::Lset(LinkId::decode(r)?, LinkData::decode(r)?))),
        b"LDEL" => Bare(Command::Ldel),
        b"NKEY" => Parameters(|_, r| NotifierKeys::decode(r).map(Command::Nkey)),
        b"NDEL" => Bare(Command::Ndel),
        b"GET" => Bare(Command::Get),
        b"ACK" => Parameters(|_, r| MessageId::decode(r).map(Command::Ack)),
        b"OFF" => Bare(Command::Off),
        b"DEL" => Bare(Command::Del),
        b"QUE" => Bare(Command::Que),
        b"SKEY" => Parameters(|_, r| auth_key(r).map(Command::Skey)),
        b"SEND" => Parameters(|_, r| Ok(Command::Send(MessageFlags::decode(r)?, r.tail().to_vec()))),
        b"PING" => Bare(Command::Ping),
        b"LKEY" => Parameters(|_, r| auth_key(r).map(Command::Lkey)),
        b"LGET" => Bare(Command::Lget),
        b"NSUB" => Bare(Command::Nsub),
        b"NSUBS" => Bare(Command::Nsubs),
        b"PRXY" => Parameters(|_, r| Ok(Command::Prxy(ServerAddress::decode(r)?, r.maybe(basic_auth)?))),
        b"PFWD" => Parameters(|_, r| ForwardedTransmission::decode(r).map(Command::Pfwd)),
        b"RFWD" => Parameters(|_, r| Ok(Command::Rfwd(r.tail().to_vec()))),
        _ => return None,
    })
}

impl NewQueue {
    fn encode(&self, version: u16, out: &mut Vec<u8>) {
        out.put_short(&self.recipient_key.to_der());
        out.put_short(&self.dh_key.to_der());
        put_basic_auth(out, self.basic_auth.as_ref());
        out.put(if self.subscribe { b"S" } else { b"C" });
        out.put_maybe(self.request.as_ref(), |out, request| request.encode(out));
        if version >= version::NEW_NOTIFIERS {
            out.put_maybe(self.notifier.as_ref(), |out, keys| keys.encode(out));
        }
    }

    fn decode(version: u16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(NewQueue {
            recipient_key: auth_key(reader)?,
            dh_key: dh_key(reader)?,
            basic_auth: reader.maybe(basic_auth)?,
            subscribe: match reader.u8()? {
                b'S' => true,
                b'C' => false,
                other => return Err(Malformed::BadFlag(other)),
            },
            request: reader.maybe(QueueRequest::decode)?,
            notifier: if version >= version::NEW_NOTIFIERS { reader.maybe(NotifierKeys::decode)? } else { None },
        })
    }
}

impl QueueRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Messaging(link) => {
                out.put(b"M");
                out.put_maybe(link.as_ref(), |out, (sender_id, data)| {
                    sender_id.encode(out);
                    data.encode(out);
                });
            }
            Self::Contact(link) => {
                out.put(b"C");
                out.put_maybe(link.as_ref(), |out, (link_id, sender_id, data)| {
                    link_id.encode(out);
                    sender_id.encode(out);
                    data.encode(out);
                });
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            b'M' => reader.maybe(|r| Ok((SenderId::decode(r)?, LinkData::decode(r)?))).map(Self::Messaging),
            b'C' => reader
                .maybe(|r| Ok((LinkId::decode(r)?, SenderId::decode(r)?, LinkData::decode(r)?)))
                .map(Self::Contact),
            other => Err(Malformed::BadFlag(other)),
        }
    }
}

impl LinkData {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_large(&self.fixed);
        out.put_large(&self.user);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(LinkData { fixed: reader.large()?.to_vec(), user: reader.large()?.to_vec() })
    }
}

impl NotifierKeys {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_short(&self.auth_key.to_der());
        out.put_short(&self.dh_key.to_der());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(NotifierKeys { auth_key: auth_key(reader)?, dh_key: dh_key(reader)? })
    }
}

impl ForwardedTransmission {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.version);
        out.put_short(&self.command_key.to_der());
        out.put(&self.sealed);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ForwardedTransmission {
            version: reader.u16()?,
            command_key: dh_key(reader)?,
            sealed: reader.tail().to_vec(),
        })
    }
}

impl MessageFlags {
    /// One flag, bytes reserved for later, and the space before the body.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let notify = reader.bool()?;
        let reserved = reader.rest().iter().position(|byte| *byte == b' ').ok_or(Malformed::Truncated)?;
        reader.take(reserved)?;
        reader.take(1)?;
        Ok(MessageFlags { notify })
    }
}

fn put_basic_auth(out: &mut Vec<u8>, basic_auth: Option<&BasicAuth>) {
    out.put_maybe(basic_auth, |out, password| out.put_short(password.expose().as_bytes()));
}

pub(crate) fn basic_auth(reader: &mut Reader<'_>) -> Result<BasicAuth, Malformed> {
    BasicAuth::new(reader.text()?).ok_or(Malformed::BadValue("password"))
}

pub(crate) fn auth_key(reader: &mut Reader<'_>) -> Result<AuthPublicKey, Malformed> {
    AuthPublicKey::from_der(reader.short()?).map_err(|_| Malformed::BadValue("auth key"))
}

pub(crate) fn dh_key(reader: &mut Reader<'_>) -> Result<X25519PublicKey, Malformed> {
    X25519PublicKey::from_der(reader.short()?).map_err(|_| Malformed::BadValue("DH key"))
}
