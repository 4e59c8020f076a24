//! Asking the owner of a contact address for a connection: an invitation of ours, sent to the address.
//!
//! The request carries a key made for it alone, and is kept as it was sent: an owner that gets it twice must be able to
//! tell that it is the same.

use codec::{Encode as _, Malformed, Reader, Write};
use crypto::dh::X25519PrivateKey;
use crypto::{BoxKey, Nonce};
use smp::address::ServerAddress;
use smp::command::{Command, MessageFlags};
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::queue_address::QueueInfo;

use super::join::negotiate;
use super::plan::{QueuePlan, Settings};
use super::receive_queue::ReceiveQueue;
use super::stored::{put_long, put_value, take_long, take_value};
use super::task::Task;
use super::{Connection, ConnectionError, Inviting, Phase, TaskFault};
use crate::agreement::AgreementKeys;
use crate::envelope::{AgentEnvelope, EnvelopeContent, Invitation};
use crate::full_link::{ConnectionRequest, FullLink};
use crate::ratchet::Pq;
use crate::time::Env;
use crate::version::PQ_AGENT;

/// A request to the owner of an address.
pub(super) struct Request {
    to: QueueInfo,
    agent: u16,
    content: Content,
}

enum Content {
    /// Our queue is not there yet.
    Info(Vec<u8>),
    /// The whole body of `SEND`.
    Sealed(Vec<u8>),
    /// The server has it.
    Sent,
}

/// The invitation that goes to an address.
pub(super) fn ask(
    address: &ConnectionRequest,
    plan: QueuePlan,
    info: Vec<u8>,
    settings: &Settings,
    env: &mut Env<'_>,
) -> Result<Inviting, ConnectionError> {
    let (agent, to) = negotiate(address.versions(), address.first_queue(), settings)?;
    let propose = if agent >= PQ_AGENT { settings.pq } else { Pq::Off };
    let mut random = &mut *env.random;
    let keys = AgreementKeys::generate(propose, &mut random)?;
    let queue = ReceiveQueue::plan(plan, env.random);
    let request = Request { to, agent, content: Content::Info(info) };
    let inviting = Inviting { queue, keys, request: Some(request) };
    // Seen early if it will not fit.
    inviting.invitation_to_be(settings)?;
    Ok(inviting)
}

impl Connection {
    /// Our queue is there: the request can be sealed, once.
    pub(super) fn seal_request(&mut self, env: &mut Env<'_>) -> Result<(), TaskFault> {
        let settings = self.settings;
        let Phase::Inviting(inviting) = &mut self.phase else { return Ok(()) };
        if !inviting.queue.is_created() {
            return Ok(());
        }
        let Some(invitation) = inviting.invitation_to_be(&settings)? else { return Ok(()) };
        if let Some(request) = &mut inviting.request {
            request.seal(invitation, env)?;
            self.dirty.core = true;
        }
        Ok(())
    }

    /// The server has the request.
    pub(super) fn request_sent(&mut self) {
        if let Phase::Inviting(inviting) = &mut self.phase
            && let Some(request) = &mut inviting.request
        {
            request.content = Content::Sent;
            self.dirty.core = true;
        }
    }
}

impl Inviting {
    /// The invitation for the request, unless it is sealed already.
    fn invitation_to_be(&self, settings: &Settings) -> Result<Option<Invitation>, ConnectionError> {
        let Some(Request { content: Content::Info(info), .. }) = &self.request else { return Ok(None) };
        let versions = &settings.versions;
        let queue = self.queue.info_to_be(versions.client.max()).to_uri(versions.client);
        let request =
            ConnectionRequest::new(versions.agent, vec![queue], None).map_err(|_| ConnectionError::Library)?;
        Ok(Some(Invitation::new(request, self.keys.offer(versions.ratchet), info.clone())?))
    }

    /// Whether the invitation goes to an address rather than to people.
    pub(super) fn is_request(&self) -> bool {
        self.request.is_some()
    }
}

impl Request {
    pub(super) fn server(&self) -> &ServerAddress {
        &self.to.address.server
    }

    pub(super) fn is_due(&self) -> bool {
        matches!(self.content, Content::Sealed(_))
    }

    pub(super) fn is_sent(&self) -> bool {
        matches!(self.content, Content::Sent)
    }

    pub(super) fn task(&self) -> Option<Task> {
        let Content::Sealed(body) = &self.content else { return None };
        let address = &self.to.address;
        Some(Task {
            server: address.server.clone(),
            corr_id: None,
            entity_id: address.sender_id.clone().into(),
            key: None,
            command: Command::Send(MessageFlags { notify: true }, body.clone()),
        })
    }

    fn seal(&mut self, invitation: Invitation, env: &mut Env<'_>) -> Result<(), ConnectionError> {
        let content = EnvelopeContent::Invitation(Box::new(invitation));
        let content = AgentEnvelope { version: self.agent, content }.to_bytes();
        let once = X25519PrivateKey::generate(env.random);
        let key = BoxKey::agreed(&once.agree(&self.to.address.dh_key));
        let header = PublicHeader { version: self.to.version, sender_key: Some(once.public()) };
        let message = ClientMessage { header: PrivateHeader::Empty, content };
        let sealed = Envelope::seal(header, &key, Nonce::random(env.random), &message);
        self.content = Content::Sealed(sealed.map_err(|_| ConnectionError::Library)?.to_bytes());
        Ok(())
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_value(out, &self.to);
        out.put_u16(self.agent);
        match &self.content {
            Content::Info(info) => {
                out.put(b"I");
                put_long(out, info);
            }
            Content::Sealed(body) => {
                out.put(b"S");
                put_long(out, body);
            }
            Content::Sent => out.put(b"D"),
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (to, agent) = (take_value(reader)?, reader.u16()?);
        let content = match reader.u8()? {
            b'I' => Content::Info(take_long(reader)?),
            b'S' => Content::Sealed(take_long(reader)?),
            b'D' => Content::Sent,
            _ => return Err(Malformed::BadValue("state of request")),
        };
        Ok(Request { to, agent, content })
    }
}

/// An invitation as it came in a request.
pub(super) fn invitation_link(invitation: &Invitation) -> FullLink {
    FullLink::Invitation(invitation.request().clone(), invitation.offer().clone())
}
