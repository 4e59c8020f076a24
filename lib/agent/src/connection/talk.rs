//! Messages: sending them, receiving them, receipts, and the word that a full queue has room again.

use smp::id::MessageId;

use super::conversation::{Accepted, Opened};
use super::incoming::{Incoming, IncomingState, WaitingContent};
use super::plan::SendOptions;
use super::receive::Received;
use super::{Connection, ConnectionError, Event, Hello, PeerFault, Phase, ReceiveStatus, ReceivedMessage, SendStatus};
use crate::message::{MessageBody, SendAddress};
use crate::non_empty::NonEmpty;
use crate::receipt::{NoReceipt, Receipt};
use crate::time::Env;
use crate::version::RECEIPTS_AGENT;

impl Connection {
    /// Whether a message can be accepted now.
    pub fn can_send(&self) -> bool {
        matches!(&self.phase, Phase::Talking(talking) if talking.accepts_messages()) && self.ending.is_none()
    }

    /// How many messages wait to be sent.
    pub fn unsent(&self) -> usize {
        self.talk().map_or(0, |talk| talk.outbox.len())
    }

    /// Accepts a message: it has a number and a key of its own, and is sent after all messages before it.
    pub fn send(&mut self, body: &[u8], options: SendOptions, env: &mut Env<'_>) -> Result<Accepted, ConnectionError> {
        if !self.can_send() {
            return Err(self.prohibited("send"));
        }
        let Phase::Talking(talking) = &mut self.phase else { return Err(self.prohibited("send")) };
        let body = MessageBody::Application(body.to_vec());
        let pq_before = talking.talk.pq_support;
        let accepted = talking.talk.push(body, options.notify, options.pq, env.now)?;
        self.dirty.core |= talking.talk.pq_support != pq_before;
        self.dirty.outgoing.insert(accepted.number);
        self.dirty.position = true;
        if options.receipt && talking.talk.agent >= RECEIPTS_AGENT {
            self.dirty.awaited.insert(accepted.number);
            self.dirty.awaited.extend(talking.talk.await_receipt(&accepted, env.now));
        }
        Ok(accepted)
    }

    /// The application has what it was told: a message, for which it may give a receipt, or receipts.
    pub fn acknowledge(
        &mut self,
        id: &MessageId,
        receipt: Option<Vec<u8>>,
        env: &mut Env<'_>,
    ) -> Result<(), ConnectionError> {
        let unknown = ConnectionError::Unknown("message");
        let incoming = self.incoming.as_ref().filter(|incoming| incoming.id == *id).ok_or(unknown)?;
        let IncomingState::Waiting(waiting) = &incoming.state else { return Ok(()) };
        let receipt = receipt.map(|info| receipt_for(&waiting.content, info)).transpose()?;
        if let Some(receipt) = receipt {
            self.send_receipt(receipt, env)?;
        }
        self.forget_confirmed();
        if let Some(incoming) = &mut self.incoming {
            incoming.state = IncomingState::Acknowledged;
        }
        self.dirty.incoming = true;
        Ok(())
    }

    /// Receipts need a queue to the peer, and a peer that understands them.
    fn send_receipt(&mut self, receipt: Receipt, env: &mut Env<'_>) -> Result<(), ConnectionError> {
        let Phase::Talking(talking) = &mut self.phase else { return Err(self.prohibited("send a receipt")) };
        if talking.talk.agent < RECEIPTS_AGENT {
            return Err(NoReceipt::OldAgent.into());
        }
        let accepted = talking.talk.push(MessageBody::Receipts(NonEmpty::one(receipt)), false, None, env.now)?;
        self.dirty.outgoing.insert(accepted.number);
        self.dirty.position = true;
        Ok(())
    }

    fn forget_confirmed(&mut self) {
        let Some(Incoming { state: IncomingState::Waiting(waiting), .. }) = &self.incoming else { return };
        let WaitingContent::Receipts(receipts) = &waiting.content else { return };
        let receipts = receipts.clone();
        if let Some(talk) = self.talk_mut() {
            let forgotten = talk.forget_confirmed(&receipts);
            self.dirty.awaited.extend(forgotten);
        }
    }

    /// Decrypts a message and does what it says.
    pub(super) fn receive_message(
        &mut self,
        id: &MessageId,
        sent_at: i64,
        version: u16,
        encrypted: &[u8],
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<Received, PeerFault> {
        if !self.is_talking() {
            return Err(PeerFault::Prohibited("message before the handshake"));
        }
        let Some(talk) = self.talk_mut() else { return Err(PeerFault::Prohibited("message before the handshake")) };
        let opened = talk.open(encrypted, env.random)?;
        self.dirty.position = true;
        self.raise_agent(version);
        self.activate();
        let Opened { message, plaintext, integrity, post_quantum } = opened;
        match message.body.clone() {
            MessageBody::Application(body) => {
                let receipt = Receipt::for_message(&message, &plaintext, RECEIPTS_AGENT, Vec::new()).ok();
                let number = message.number;
                let message = ReceivedMessage { id: id.clone(), sent_at, number, integrity, post_quantum, body };
                let content = WaitingContent::Message { message, receipt };
                Ok(Received::Waits(Incoming::waiting(id.clone(), env.now, content)))
            }
            MessageBody::Receipts(receipts) => self.receive_receipts(id, &receipts, env),
            MessageBody::QueueContinues(address) => self.receive_queue_continues(&address, events),
            MessageBody::Hello => self.receive_hello(events, env),
            MessageBody::AddQueues(_) | MessageBody::QueueKeys(_) => Err(PeerFault::Unsupported("rotation of queues")),
            MessageBody::UseQueues(_) | MessageBody::TestQueues(_) => Err(PeerFault::Unsupported("rotation of queues")),
            MessageBody::RatchetReady { .. } => Err(PeerFault::Unsupported("synchronisation of ratchets")),
        }
    }

    /// The first message shows that the peer uses our queue.
    fn activate(&mut self) {
        let Some(queue) = self.queue_mut() else { return };
        let was_active = queue.status == ReceiveStatus::Active;
        queue.status = ReceiveStatus::Active;
        self.dirty.core |= !was_active;
    }

    fn receive_receipts(
        &mut self,
        id: &MessageId,
        receipts: &NonEmpty<Receipt>,
        env: &Env<'_>,
    ) -> Result<Received, PeerFault> {
        let prohibited = |_| PeerFault::Prohibited("receipt for what is no application message");
        let Some(talk) = self.talk_mut() else { return Ok(Received::Done) };
        let new = talk.take_receipts(receipts).map_err(prohibited)?;
        self.dirty.awaited.extend(new.iter().map(|receipt| receipt.number));
        if new.is_empty() {
            return Ok(Received::Done);
        }
        Ok(Received::Waits(Incoming::waiting(id.clone(), env.now, WaitingContent::Receipts(new))))
    }

    /// The peer has emptied its queue: whatever waited for that is due now.
    fn receive_queue_continues(
        &mut self,
        address: &SendAddress,
        events: &mut Vec<Event>,
    ) -> Result<Received, PeerFault> {
        let Phase::Talking(talking) = &self.phase else { return Err(PeerFault::UnknownQueue) };
        if !SendAddress::from(&talking.send.info).same_queue(address) {
            return Err(PeerFault::UnknownQueue);
        }
        self.retries.retain(|task, _| !matches!(task, super::TaskId::Send(_)));
        events.push(Event::QuotaRestored);
        Ok(Received::Done)
    }

    /// The hello of the peer. Whoever joined speaks first; the inviter answers.
    fn receive_hello(&mut self, events: &mut Vec<Event>, env: &mut Env<'_>) -> Result<Received, PeerFault> {
        let Phase::Talking(talking) = &mut self.phase else { return Err(PeerFault::Prohibited("hello")) };
        let hello = talking.hello.as_mut().filter(|hello| !hello.heard).ok_or(PeerFault::Prohibited("hello"))?;
        hello.heard = true;
        self.dirty.core = true;
        let Hello { first, sent, .. } = *hello;
        if sent {
            self.connected(events);
        } else if !first {
            self.greet(env);
        }
        Ok(Received::Done)
    }

    /// Queues our hello.
    pub(super) fn greet(&mut self, env: &mut Env<'_>) {
        self.push_unasked(MessageBody::Hello, true, env);
    }

    /// The server has our hello.
    pub(super) fn hello_sent(&mut self, events: &mut Vec<Event>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        talking.send.status = SendStatus::Active;
        self.dirty.core = true;
        let Some(hello) = &mut talking.hello else { return };
        hello.sent = true;
        if hello.heard {
            self.connected(events);
        }
    }

    /// Tells the peer that our queue, which was full, is empty now.
    pub(super) fn tell_queue_continues(&mut self, env: &mut Env<'_>) {
        match &mut self.phase {
            Phase::Talking(talking) => {
                if let Some(info) = talking.queue.info(talking.send.info.version) {
                    self.push_unasked(MessageBody::QueueContinues(SendAddress::from(&info)), false, env);
                }
            }
            Phase::Confirmed(confirmed) => {
                confirmed.owes_continue = true;
                self.dirty.core = true;
            }
            _ => {}
        }
    }

    /// Queues a message that the application did not ask for. It is short, so that only an exhausted chain, which no
    /// message can leave any more, keeps it back.
    fn push_unasked(&mut self, body: MessageBody, notify: bool, env: &mut Env<'_>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        if let Ok(accepted) = talking.talk.push(body, notify, None, env.now) {
            self.dirty.outgoing.insert(accepted.number);
            self.dirty.position = true;
        }
    }
}

fn receipt_for(content: &WaitingContent, info: Vec<u8>) -> Result<Receipt, ConnectionError> {
    match content {
        WaitingContent::Message { receipt: Some(receipt), .. } => Ok(receipt.with_info(info)?),
        _ => Err(NoReceipt::NotOfApplication.into()),
    }
}
