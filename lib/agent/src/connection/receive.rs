//! What comes through our queue: open each layer, decide by what is there, and always end with an acknowledgement or
//! with the application.

use std::time::Duration;

use codec::Decode as _;
use crypto::BoxKey;
use smp::delivery::Delivered;
use smp::envelope::{Envelope, PrivateHeader, PublicHeader};
use smp::id::MessageId;
use smp::queue_address::QueueMode;

use super::confirmation::Confirmation;
use super::conversation::is_duplicate;
use super::incoming::{Incoming, IncomingState};
use super::retry::DAY;
use super::{Connection, Event, PeerFault, Phase, sender_key};
use crate::envelope::{AgentEnvelope, EnvelopeContent};
use crate::time::Env;

/// A message that the application does not acknowledge is dropped after so many deliveries and so long a time.
const MAX_DELIVERIES: u32 = 8;
const MAX_UNACKNOWLEDGED: Duration = Duration::from_secs(DAY);

/// How a message is answered.
pub(super) enum Received {
    /// The application will acknowledge it.
    Waits(Incoming),
    /// We acknowledge it.
    Done,
}

impl Connection {
    /// Takes a message that the server delivered: an event, or the answer to `SUB` or `ACK`.
    ///
    /// One that waits for the application is not displaced by another: a server delivers that again, because nobody
    /// acknowledges it, at the latest when its queue is subscribed to.
    pub fn receive(&mut self, id: MessageId, body: &[u8], env: &mut Env<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        if self.ending.as_ref().is_some_and(|ending| !ending.receives()) {
            return events;
        }
        if self.incoming.as_ref().is_some_and(|incoming| incoming.id == id) {
            self.receive_again(&mut events, env);
            return events;
        }
        if self.incoming.as_ref().is_some_and(Incoming::is_waiting) {
            self.passed_over = true;
            return events;
        }
        let incoming = match self.open_delivery(&id, body, &mut events, env) {
            Ok(Received::Waits(incoming)) => {
                events.extend(incoming.event());
                incoming
            }
            Ok(Received::Done) => Incoming::done(id),
            Err(fault) => {
                events.push(Event::Refused(fault));
                Incoming::done(id)
            }
        };
        self.incoming = Some(incoming);
        self.dirty.incoming = true;
        events
    }

    /// Whether a message was passed over since the last call, and the one that kept it out waits no more: the queue is to
    /// be subscribed to again.
    pub fn take_passed_over(&mut self) -> bool {
        let waits = self.incoming.as_ref().is_some_and(Incoming::is_waiting);
        !waits && std::mem::take(&mut self.passed_over)
    }

    /// The server repeats what it delivered, because it has not been acknowledged.
    fn receive_again(&mut self, events: &mut Vec<Event>, env: &mut Env<'_>) {
        let Some(incoming) = &mut self.incoming else { return };
        incoming.held_by_server = true;
        let IncomingState::Waiting(waiting) = &mut incoming.state else { return };
        waiting.deliveries = waiting.deliveries.saturating_add(1);
        self.dirty.incoming = true;
        if waiting.deliveries >= MAX_DELIVERIES && env.now.since(waiting.first) >= MAX_UNACKNOWLEDGED {
            incoming.state = IncomingState::Acknowledged;
            events.push(Event::Refused(PeerFault::Undeliverable));
            return;
        }
        events.extend(incoming.event());
    }

    /// The layer between server and recipient.
    fn open_delivery(
        &mut self,
        id: &MessageId,
        body: &[u8],
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<Received, PeerFault> {
        let queue = self.queue().ok_or(PeerFault::Prohibited("message without a queue"))?;
        match queue.open_delivery(id, body)? {
            Delivered::Quota { .. } => {
                self.tell_queue_continues(env);
                Ok(Received::Done)
            }
            Delivered::Message { sent_at, body, .. } => self.open_envelope(id, sent_at, &body, events, env),
        }
    }

    /// The layer between sender and recipient: whether its header carries a key tells a first message from later ones.
    fn open_envelope(
        &mut self,
        id: &MessageId,
        sent_at: i64,
        body: &[u8],
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<Received, PeerFault> {
        let envelope = Envelope::decode_all(body)?;
        let queue = self.queue().ok_or(PeerFault::Prohibited("message without a queue"))?;
        let PublicHeader { version, sender_key } = &envelope.header;
        self.check_client(*version)?;
        match (queue.sender_key(), sender_key) {
            (None, Some(key)) => {
                let secret = queue.agree(key);
                let (header, content) = open(&envelope, &BoxKey::agreed(&secret))?;
                self.receive_first(header, content, secret, *version, events, env)
            }
            (Some(key), None) => match open(&envelope, &key)? {
                (PrivateHeader::Empty, content) => self.receive_later(id, sent_at, content, events, env),
                (PrivateHeader::SenderKey(_), _) => Err(PeerFault::Prohibited("key for securing in a later message")),
            },
            (Some(key), Some(_)) => match open(&envelope, &key)?.1.content {
                // Its first delivery was processed; the sender did not learn of it.
                EnvelopeContent::Confirmation { .. } => Ok(Received::Done),
                _ => Err(PeerFault::Prohibited("key in a later message")),
            },
            (None, None) => Err(PeerFault::Prohibited("first message without a key")),
        }
    }

    fn check_client(&self, version: u16) -> Result<(), PeerFault> {
        let agreed = self.queue().and_then(|queue| queue.sender_version());
        let known = self.versions().client.contains(version) || agreed.is_some_and(|agreed| version <= agreed);
        if known { Ok(()) } else { Err(PeerFault::Version(version, "client")) }
    }

    /// A confirmation, or a request to our address.
    fn receive_first(
        &mut self,
        header: PrivateHeader,
        envelope: AgentEnvelope,
        secret: crypto::dh::SharedSecret,
        client: u16,
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<Received, PeerFault> {
        let mode = self.queue().and_then(|queue| queue.mode);
        let sender_key = sender_key(header);
        match envelope.content {
            EnvelopeContent::Confirmation { keys, encrypted } => {
                if sender_key.is_none() && mode != Some(QueueMode::Messaging) {
                    return Err(PeerFault::Prohibited("confirmation without a key for securing"));
                }
                let agent = envelope.version;
                let confirmation = Confirmation { secret, client, sender_key, agent, keys, encrypted };
                self.receive_confirmation(confirmation, events, env)?;
            }
            EnvelopeContent::Invitation(invitation) if sender_key.is_none() => {
                self.receive_request(&invitation, events)?;
            }
            _ => return Err(PeerFault::Prohibited("first message that confirms nothing")),
        }
        Ok(Received::Done)
    }

    /// Anything after the confirmation.
    fn receive_later(
        &mut self,
        id: &MessageId,
        sent_at: i64,
        envelope: AgentEnvelope,
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<Received, PeerFault> {
        match envelope.content {
            EnvelopeContent::Message { encrypted } => {
                let outcome = self.receive_message(id, sent_at, envelope.version, &encrypted, events, env);
                outcome.or_else(|fault| self.pass_over_known(fault, &encrypted))
            }
            EnvelopeContent::RatchetKey { .. } => {
                self.raise_agent(envelope.version);
                Err(PeerFault::Unsupported("synchronisation of ratchets"))
            }
            _ => Err(PeerFault::Prohibited("handshake after the handshake")),
        }
    }

    /// What the ratchet refuses only because it knows it is acknowledged in silence.
    fn pass_over_known(&self, fault: PeerFault, encrypted: &[u8]) -> Result<Received, PeerFault> {
        let known = self.talk().is_some_and(|talk| talk.knows(encrypted));
        if known && is_duplicate(&fault) { Ok(Received::Done) } else { Err(fault) }
    }

    /// The peer may have learned new versions.
    pub(super) fn raise_agent(&mut self, theirs: u16) {
        let ours = self.settings.versions.agent;
        let Some(talk) = self.talk_mut() else { return };
        let raised = crate::version::raised_agent(talk.agent, theirs, ours);
        if raised != talk.agent {
            talk.agent = raised;
            self.dirty.core = true;
        }
    }

    /// Whether messages can be received at all.
    pub(super) fn is_talking(&self) -> bool {
        matches!(self.phase, Phase::Confirmed(_) | Phase::Talking(_))
    }
}

/// Opens the box and reads the agent's envelope.
fn open(envelope: &Envelope, key: &BoxKey) -> Result<(PrivateHeader, AgentEnvelope), PeerFault> {
    let message = envelope.open(key).map_err(|error| match error {
        smp::delivery::OpenError::Malformed(malformed) => PeerFault::Malformed(malformed),
        smp::delivery::OpenError::Crypto(_) => PeerFault::Envelope,
    })?;
    Ok((message.header, AgentEnvelope::decode_all(&message.content)?))
}
