//! Receiving a confirmation: of whoever joined our invitation, or of the peer that allowed us.

use codec::Decode as _;
use crypto::authorize::AuthPublicKey;
use crypto::dh::SharedSecret;

use super::conversation::Conversation;
use super::{Confirmed, Connection, Event, Hello, Inviting, PeerFault, Phase, ReceiveStatus, Stage};
use crate::message::DecryptedMessage;
use crate::ratchet::Pq;
use crate::ratchet_keys::SenderKeys;
use crate::time::Env;
use crate::version::{PQ_AGENT, RATCHET_KEM};

/// A confirmation, its box opened.
pub(super) struct Confirmation {
    /// Agreed with the key in the envelope's header.
    pub(super) secret: SharedSecret,
    /// The client version in the envelope's header.
    pub(super) client: u16,
    /// The key to secure our queue with, if the peer could not do so.
    pub(super) sender_key: Option<AuthPublicKey>,
    /// The agent version of the connection.
    pub(super) agent: u16,
    /// The peer's keys, if it joined.
    pub(super) keys: Option<SenderKeys>,
    /// For the ratchet.
    pub(super) encrypted: Vec<u8>,
}

impl Connection {
    pub(super) fn receive_confirmation(
        &mut self,
        confirmation: Confirmation,
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<(), PeerFault> {
        match &self.phase {
            Phase::Inviting(_) => self.receive_joining(confirmation, events, env),
            Phase::Talking(talking) if talking.stage == Stage::Joined => {
                self.receive_allowing(confirmation, events, env)
            }
            _ => Err(PeerFault::Prohibited("confirmation")),
        }
    }

    /// Somebody used our invitation.
    fn receive_joining(
        &mut self,
        confirmation: Confirmation,
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<(), PeerFault> {
        let settings = self.settings;
        let Phase::Inviting(inviting) = &mut self.phase else { return Ok(()) };
        let theirs = confirmation.keys.as_ref().ok_or(PeerFault::Prohibited("confirmation without keys"))?;
        let agent = check_agent(confirmation.agent, settings.versions.agent)?;
        let pq = settings.pq.is_on() && agent >= PQ_AGENT && theirs.version() >= RATCHET_KEM;
        let pq = if pq { Pq::On } else { Pq::Off };
        let (talk, info) = agree(inviting, theirs, pq, agent, &confirmation.encrypted, settings.versions.ratchet, env)?;
        let DecryptedMessage::InfoReply { queues, info } = info else {
            return Err(PeerFault::Prohibited("confirmation without a queue for replies"));
        };
        let reply = queues.first().clone();
        if !settings.versions.client.contains(reply.version) {
            return Err(PeerFault::Version(reply.version, "client"));
        }
        bind(&mut inviting.queue, &confirmation, settings.versions.client.max());
        self.dirty.core = true;
        self.dirty.position = true;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Inviting(inviting) => {
                let queue = inviting.queue;
                let info = info.clone();
                Phase::Confirmed(Box::new(Confirmed { queue, talk, reply, info, owes_continue: false }))
            }
            other => other,
        };
        events.push(Event::Confirmed { info });
        Ok(())
    }

    /// The peer allowed us.
    fn receive_allowing(
        &mut self,
        confirmation: Confirmation,
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<(), PeerFault> {
        let versions = self.settings.versions;
        let Phase::Talking(talking) = &mut self.phase else { return Ok(()) };
        if confirmation.keys.is_some() {
            return Err(PeerFault::Prohibited("keys in the confirmation of an inviter"));
        }
        if !versions.agent.contains(confirmation.agent) && confirmation.agent > talking.talk.agent {
            return Err(PeerFault::Version(confirmation.agent, "agent"));
        }
        let content = talking.talk.open_confirmation(&confirmation.encrypted, env.random)?;
        self.dirty.position = true;
        let DecryptedMessage::Info(info) = content else {
            return Err(PeerFault::Prohibited("confirmation of an inviter without information"));
        };
        talking.talk.agent = confirmation.agent;
        bind(&mut talking.queue, &confirmation, versions.client.max());
        self.dirty.core = true;
        self.unheard.info = Some(info.clone());
        events.push(Event::Info(info));
        if talking.queue.secure_with.is_some() {
            talking.stage = Stage::Greeting;
            talking.hello = Some(Hello { first: true, sent: false, heard: false });
        } else {
            talking.queue.status = ReceiveStatus::Active;
            self.connected(events);
        }
        Ok(())
    }
}

/// From the keys of both sides to a conversation, and what the peer's first message says.
fn agree(
    inviting: &Inviting,
    theirs: &SenderKeys,
    pq: Pq,
    agent: u16,
    encrypted: &[u8],
    ratchet: codec::VersionRange,
    env: &mut Env<'_>,
) -> Result<(Conversation, DecryptedMessage), PeerFault> {
    let awaiting = inviting.keys.accept(theirs, ratchet, pq)?;
    let mut random = &mut *env.random;
    let (ratchet, received) = awaiting.decrypt(encrypted, &mut random)?;
    let content = DecryptedMessage::decode_all(&received.plaintext)?;
    let mut talk = Conversation::new(ratchet, agent, pq.is_on());
    talk.begin_receiving(&received.plaintext);
    talk.remember(encrypted);
    Ok((talk, content))
}

fn check_agent(version: u16, ours: codec::VersionRange) -> Result<u16, PeerFault> {
    if ours.contains(version) { Ok(version) } else { Err(PeerFault::Version(version, "agent")) }
}

/// The queue belongs to this peer from now on.
fn bind(queue: &mut super::ReceiveQueue, confirmation: &Confirmation, ours: u16) {
    let secret = SharedSecret::from_bytes(*confirmation.secret.expose());
    queue.bind(secret, confirmation.client.min(ours));
    queue.secure_with.clone_from(&confirmation.sender_key);
}
