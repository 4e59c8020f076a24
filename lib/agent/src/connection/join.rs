//! Joining an invitation: agree on keys, secure the peer's queue, create our own, confirm.

use codec::{Encode as _, Reader};
use smp::queue_address::QueueInfo;

use super::conversation::{Conversation, ConversationRecords};
use super::fault::LoadError;
use super::link::Read;
use super::plan::{QueuePlan, Settings};
use super::receive_queue::ReceiveQueue;
use super::send_queue::SendQueue;
use super::stored::{put_long, put_value, take_long, take_value};
use super::{Connection, ConnectionError, Joining, Phase, Stage, Talking, TaskFault};
use crate::agreement;
use crate::full_link::FullLink;
use crate::message::DecryptedMessage;
use crate::non_empty::NonEmpty;
use crate::padding::{Padding, TooLarge};
use crate::ratchet::Pq;
use crate::ratchet_offer::RatchetOffer;
use crate::time::Env;
use crate::version::{PQ_AGENT, RATCHET_KEM};

impl Connection {
    /// Joins through the link that was opened, with a queue of ours and what the peer shall know of us.
    pub fn join(&mut self, plan: QueuePlan, info: Vec<u8>, env: &mut Env<'_>) -> Result<(), ConnectionError> {
        let Phase::Read(read) = &self.phase else { return Err(self.prohibited("join")) };
        self.phase = match &read.read.link {
            FullLink::Invitation(..) => {
                Phase::Joining(Box::new(Joining::begin(read, plan, info, &self.settings, env)?))
            }
            FullLink::Contact(request) => {
                Phase::Inviting(Box::new(super::ask::ask(request, plan, info, &self.settings, env)?))
            }
        };
        self.dirty.core = true;
        self.dirty.position = true;
        Ok(())
    }

    /// Our queue is there and the peer's is ours: now the confirmation can be encrypted, once.
    pub(super) fn confirm_joining(&mut self, env: &mut Env<'_>) -> Result<(), TaskFault> {
        let Phase::Joining(joining) = &mut self.phase else { return Ok(()) };
        if !joining.queue.is_created() || joining.send.needs_securing() {
            return Ok(());
        }
        let number = joining.confirm(env)?;
        self.dirty.outgoing.insert(number);
        self.dirty.core = true;
        self.dirty.position = true;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Joining(joining) => {
                let Joining { queue, send, talk, .. } = *joining;
                Phase::Talking(Box::new(Talking { queue, send, talk, stage: Stage::Joined, hello: None }))
            }
            other => other,
        };
        Ok(())
    }
}

impl Joining {
    /// Everything that the peer will need to know us by is fixed here, before the first command.
    fn begin(
        read: &Read,
        plan: QueuePlan,
        info: Vec<u8>,
        settings: &Settings,
        env: &mut Env<'_>,
    ) -> Result<Self, ConnectionError> {
        let FullLink::Invitation(request, offer) = &read.read.link else {
            return Err(ConnectionError::Unknown("invitation"));
        };
        let (agent, peer) = negotiate(request.versions(), request.first_queue(), settings)?;
        let pq = if pq_support(settings.pq, agent, offer, settings) { Pq::On } else { Pq::Off };
        let queue = ReceiveQueue::plan(plan, env.random);
        check_info(&info, agent, pq, queue.info_to_be(peer.version))?;
        let ours = settings.versions.ratchet;
        let theirs = offer.agree(ours).ok_or(ConnectionError::Version("ratchet"))?;
        let mut random = &mut *env.random;
        let (keys, ratchet) = agreement::join(&theirs, ours, pq, &mut random)?;
        let talk = Conversation::new(ratchet, agent, pq.is_on());
        let send = match &read.claimed {
            Some(key) => SendQueue::claimed(peer, key.clone(), env.random),
            None => SendQueue::new(peer, env.random),
        };
        Ok(Joining { queue, send, talk, keys, info })
    }

    fn confirm(&mut self, env: &mut Env<'_>) -> Result<i64, ConnectionError> {
        let reply = self.queue.info(self.send.info.version).ok_or(ConnectionError::Unknown("queue"))?;
        let content = DecryptedMessage::InfoReply { queues: NonEmpty::one(reply), info: self.info.clone() };
        self.talk.confirm(&content, Some(self.keys.clone()), env.now)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.send.put(out);
        put_value(out, &self.keys);
        put_long(out, &self.info);
        self.talk.put(out);
    }

    pub(super) fn take(reader: &mut Reader<'_>, records: &mut ConversationRecords) -> Result<Self, LoadError> {
        Ok(Joining {
            queue: ReceiveQueue::take(reader)?,
            send: SendQueue::take(reader)?,
            keys: take_value(reader)?,
            info: take_long(reader)?,
            talk: records.load(reader)?,
        })
    }
}

/// The agent version, and the peer's queue at the client version, that both sides speak.
pub(super) fn negotiate(
    agent: codec::VersionRange,
    queue: &smp::queue_address::QueueUri,
    settings: &Settings,
) -> Result<(u16, QueueInfo), ConnectionError> {
    let agent = agent.common(settings.versions.agent).ok_or(ConnectionError::Version("agent"))?.max();
    let queue = queue.agree(settings.versions.client).ok_or(ConnectionError::Version("client"))?;
    Ok((agent, queue))
}

/// Whether encapsulation is possible through an invitation, and wanted.
pub(super) fn pq_support(wanted: Pq, agent: u16, offer: &RatchetOffer, settings: &Settings) -> bool {
    let ratchet = offer.versions.common(settings.versions.ratchet).map(|common| common.max());
    wanted.is_on() && agent >= PQ_AGENT && ratchet.is_some_and(|version| version >= RATCHET_KEM)
}

/// Refuses information that will not fit beside our queue, before anything is sent.
fn check_info(info: &[u8], agent: u16, pq: Pq, reply: QueueInfo) -> Result<(), ConnectionError> {
    let queues = NonEmpty::one(reply).to_bytes().len();
    let limit = Padding::new(agent, pq.is_on()).max_info().saturating_sub(queues);
    let length = info.len();
    if length > limit { Err(TooLarge { length, limit }.into()) } else { Ok(()) }
}
