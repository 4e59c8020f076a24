//! Transmissions: a command or response with its IDs and what authorises it.
//!
//! The ladder on the server: bytes → [`Received`] → [`ClientTransmission`] (a command whose credentials are present
//! where they must be) → authorised against the queue's keys, which only the server knows.

use codec::{Decode as _, Encode as _, Malformed, Reader, Write};
use crypto::authorize::{AUTHENTICATOR, AuthPrivateKey, Authorization};
use crypto::dh::X25519PublicKey;
use crypto::sign::{ED448_SIGNATURE, ED25519_SIGNATURE};

use crate::command::Command;
use crate::error::{CommandError, Error};
use crate::id::{CorrId, EntityId};
use crate::response::Response;
use crate::version;

/// A transmission split into its parts; nothing is interpreted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// Empty, or what authorises the command.
    pub authorization: &'a [u8],
    /// The signature of a service.
    pub service: Option<&'a [u8; ED25519_SIGNATURE]>,
    /// What is authorised, without the session ID.
    pub rest: &'a [u8],
    /// Matches response and command.
    pub corr_id: CorrId,
    /// What it is about.
    pub entity_id: EntityId,
    /// Tag and parameters.
    pub command: &'a [u8],
}

impl<'a> Received<'a> {
    /// Splits a transmission of a peer that speaks `version`.
    pub fn parse(version: u16, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let authorization = reader.short()?;
        let has_service = version >= version::SERVICES && !authorization.is_empty();
        let service = if has_service { reader.maybe(service_signature)? } else { None };
        let rest = reader.rest();
        let corr_id = CorrId::decode(&mut reader)?;
        let entity_id = EntityId::decode(&mut reader)?;
        Ok(Received { authorization, service, rest, corr_id, entity_id, command: reader.tail() })
    }

    /// The bytes that an authorization covers in this session.
    pub fn authorized(&self, session_id: &[u8]) -> Vec<u8> {
        authorized(session_id, self.rest)
    }
}

/// Correlation and entity ID as we make them and an authorization, with their lengths; a guess that only saves moving
/// bytes.
const MAX_OVERHEAD: usize = 2 * 33 + ED448_SIGNATURE + 2;

/// Unlike an authorization, a service signature of a wrong length leaves the whole transmission unread.
fn service_signature<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8; ED25519_SIGNATURE], Malformed> {
    reader.short()?.try_into().map_err(|_| Malformed::BadValue("service signature"))
}

/// What an authorization covers: the session ID, which is not transmitted, and everything after the authorization.
fn authorized(session_id: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rest.len().saturating_add(session_id.len()).saturating_add(1));
    out.put_short(session_id);
    out.put(rest);
    out
}

/// A command as a server received it. It parses and has the right credentials, but is not authorised yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTransmission {
    /// To be echoed.
    pub corr_id: CorrId,
    /// In the role that the command implies.
    pub entity_id: EntityId,
    /// What is asked.
    pub command: Command,
    /// What should authorise it.
    pub authorization: Vec<u8>,
    /// The signature of a service.
    pub service: Option<Vec<u8>>,
    /// What the authorization must cover.
    pub authorized: Vec<u8>,
}

/// A refusal, with the IDs it is answered under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Echoed as far as it could be read.
    pub corr_id: CorrId,
    /// Echoed as far as the protocol wants.
    pub entity_id: EntityId,
    /// Why.
    pub error: Error,
}

impl Refusal {
    /// A refusal of something whose IDs could not be read.
    pub fn unreadable() -> Self {
        Refusal { corr_id: CorrId::default(), entity_id: EntityId::default(), error: Error::Block }
    }
}

impl ClientTransmission {
    /// Reads a transmission in the order of checks that clients rely on.
    pub fn parse(version: u16, session_id: &[u8], bytes: &[u8]) -> Result<Self, Refusal> {
        let received = Received::parse(version, bytes).map_err(|_| Refusal::unreadable())?;
        let corr_id = received.corr_id.clone();
        let length = received.authorization.len();
        if ![0, ED25519_SIGNATURE, AUTHENTICATOR, ED448_SIGNATURE].contains(&length) {
            return Err(Refusal { corr_id, ..Refusal::unreadable() });
        }
        let entity_id = received.entity_id.clone();
        match read_command(version, &received) {
            Err(error) => Err(Refusal { corr_id, entity_id, error: error.into() }),
            Ok(command) => Ok(ClientTransmission {
                corr_id,
                entity_id,
                command,
                authorization: received.authorization.to_vec(),
                service: received.service.map(|signature| signature.to_vec()),
                authorized: received.authorized(session_id),
            }),
        }
    }

    /// The authorization, if there is one.
    pub fn authorization(&self) -> Option<Authorization<'_>> {
        Authorization::from_bytes(&self.authorization)
    }
}

fn read_command(version: u16, received: &Received<'_>) -> Result<Command, CommandError> {
    let command = Command::decode(version, received.command)?;
    command.check_credentials(!received.authorization.is_empty(), !received.entity_id.is_empty())?;
    Ok(command)
}

/// A response or event as a client received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTransmission {
    /// Empty for events.
    pub corr_id: CorrId,
    /// What it is about.
    pub entity_id: EntityId,
    /// The response, or why it cannot be one.
    pub response: Result<Response, CommandError>,
}

impl ServerTransmission {
    /// Reads a transmission of a server that speaks `version`.
    pub fn parse(version: u16, bytes: &[u8]) -> Result<Self, Malformed> {
        let received = Received::parse(version, bytes)?;
        let entity = !received.entity_id.is_empty();
        let response = Response::decode(version, received.command)
            .and_then(|response| response.check_entity(entity).map(|()| response));
        Ok(ServerTransmission { corr_id: received.corr_id, entity_id: received.entity_id, response })
    }

    /// True when nobody asked for it.
    pub fn is_event(&self) -> bool {
        self.corr_id.is_empty()
    }
}

/// The session that authorizations are bound to.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// The agreed version.
    pub version: u16,
    /// The client's TLS Finished.
    pub id: &'a [u8],
    /// The server's session key from its hello.
    pub server_key: &'a X25519PublicKey,
}

/// A client's transmission: `command` about `entity_id`, authorised by `key` if there is one.
pub fn encode_command(
    session: Session<'_>,
    corr_id: &CorrId,
    entity_id: &EntityId,
    command: &Command,
    key: Option<&AuthPrivateKey>,
) -> Result<Vec<u8>, crypto::Error> {
    // What is authorised begins with the session ID. It is not transmitted: the authorization takes its place.
    let mut out = Vec::with_capacity(command.size_hint().saturating_add(MAX_OVERHEAD));
    out.put_short(session.id);
    let start = out.len();
    corr_id.encode(&mut out);
    entity_id.encode(&mut out);
    command.encode(session.version, &mut out);
    let mut authorization = Vec::with_capacity(ED448_SIGNATURE + 2);
    match key {
        None => authorization.put_short(&[]),
        Some(key) => {
            authorization.put_short(&key.authorize(session.server_key, corr_id.as_bytes(), &out)?);
            if session.version >= version::SERVICES {
                authorization.put(b"0");
            }
        }
    }
    out.splice(..start, authorization);
    Ok(out)
}

/// A server's transmission, which is never authorised.
pub fn encode_response(version: u16, corr_id: &CorrId, entity_id: &EntityId, response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    put_response(&mut out, version, corr_id, entity_id, response);
    out
}

/// Appends a server's transmission to `out`.
pub fn put_response(out: &mut Vec<u8>, version: u16, corr_id: &CorrId, entity_id: &EntityId, response: &Response) {
    out.put_short(&[]);
    corr_id.encode(out);
    entity_id.encode(out);
    response.encode(version, out);
}
