//! A peer that builds whatever it likes from the pieces of the protocol, and a victim to deliver it to.

use agent::agreement::join;
use agent::connection::{Connection, Event, PeerFault, RecordKey, TaskId};
use agent::envelope::{AgentEnvelope, EnvelopeContent};
use agent::full_link::FullLink;
use agent::message::{AgentMessage, DecryptedMessage, MessageBody, MessageHash};
use agent::message_chain::SentChain;
use agent::non_empty::NonEmpty;
use agent::padding::Padding;
use agent::ratchet::{Pq, Ratchet, StoredRatchet};
use agent::ratchet_keys::SenderKeys;
use agent::time::{Env, Time};
use agent::version;
use codec::Encode as _;
use crypto::dh::{SharedSecret, X25519PrivateKey};
use crypto::{BoxKey, Nonce, SeededRandom};
use smp::address::ServerAddress;
use smp::command::MessageFlags;
use smp::delivery::Delivered;
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::id::{MessageId, SenderId};
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode};
use world::Records;

use crate::support::{Pair, Side};

/// A side's connection as it is on disk, apart from its world, and the secret it shares with its server.
pub(crate) struct Victim {
    pub(crate) connection: Connection,
    delivery: SharedSecret,
    random: SeededRandom,
    now: Time,
}

impl Victim {
    pub(crate) fn of(pair: &mut Pair, side: Side) -> Self {
        let (server, queue) = (pair.server_of(side), pair.queue_of(side));
        let delivery = pair.world.server(server).queue(&queue).unwrap().delivery_secret.clone();
        let records = pair.world.records(side.host, side.name).unwrap();
        let connection = Connection::load(records.iter().map(|(key, value)| (*key, value.clone()))).unwrap();
        Victim { connection, delivery, random: SeededRandom::new(&[2; 32], "victim"), now: pair.world.now() }
    }

    pub(crate) fn step<T>(&mut self, step: impl FnOnce(&mut Connection, &mut Env<'_>) -> T) -> T {
        let result = step(&mut self.connection, &mut Env { now: self.now, random: &mut self.random });
        // Whatever it said has changed is all that has.
        self.connection.take_changes();
        result
    }

    /// What the server makes of the body of a `SEND`.
    pub(crate) fn sealed(&mut self, body: &[u8]) -> (MessageId, Vec<u8>) {
        let id = MessageId::random(&mut self.random);
        let delivered = Delivered::Message { sent_at: 1_800_000_000, flags: MessageFlags::default(), body };
        let sealed = delivered.seal(&BoxKey::agreed(&self.delivery), &id).unwrap();
        (id, sealed)
    }

    pub(crate) fn deliver(&mut self, body: &[u8]) -> Vec<Event> {
        let (id, sealed) = self.sealed(body);
        self.deliver_sealed(&id, &sealed)
    }

    pub(crate) fn deliver_sealed(&mut self, id: &MessageId, sealed: &[u8]) -> Vec<Event> {
        self.step(|connection, env| connection.receive(id.clone(), sealed, env))
    }

    /// All that it keeps, but for the message that it is about to acknowledge.
    pub(crate) fn kept(&self) -> Records {
        let mut records: Records = self.connection.records().into_iter().collect();
        records.remove(&RecordKey::Incoming);
        records
    }

    /// The body is refused, for the peer's fault that is returned, and changes nothing.
    pub(crate) fn refuse(&mut self, body: &[u8]) -> PeerFault {
        let (id, sealed) = self.sealed(body);
        self.refuse_sealed(&id, &sealed)
    }

    pub(crate) fn refuse_sealed(&mut self, id: &MessageId, sealed: &[u8]) -> PeerFault {
        let before = self.kept();
        let events = self.deliver_sealed(id, sealed);
        assert!(self.kept() == before, "{events:?} changed something");
        let acknowledges = self.connection.due(self.now).contains(&TaskId::Acknowledge(id.clone()));
        assert!(acknowledges, "{events:?} is not acknowledged");
        let [Event::Refused(fault)] = events.as_slice() else { panic!("{events:?}") };
        fault.clone()
    }

    /// As [`Self::refuse`], for what may also be accepted; then it is taken back.
    pub(crate) fn refuse_or_accept(&mut self, body: &[u8]) -> Option<PeerFault> {
        let before: Vec<_> = self.connection.records();
        match self.deliver(body).as_slice() {
            [Event::Refused(fault)] => Some(fault.clone()),
            [Event::Message(_)] => {
                self.connection = Connection::load(before).unwrap();
                None
            }
            other => panic!("{other:?}"),
        }
    }

    /// The body is taken in silence, and changes nothing.
    pub(crate) fn ignore(&mut self, body: &[u8]) {
        let before = self.kept();
        let (id, sealed) = self.sealed(body);
        assert_eq!(self.deliver_sealed(&id, &sealed), []);
        assert!(self.kept() == before);
        assert!(self.connection.due(self.now).contains(&TaskId::Acknowledge(id)));
    }
}

/// Whoever joins an invitation by hand.
pub(crate) struct Mallory {
    pub(crate) random: SeededRandom,
    pub(crate) keys: SenderKeys,
    pub(crate) ratchet: Ratchet,
    pub(crate) agent: u16,
    pub(crate) client: u16,
    pub(crate) sent: SentChain,
    pq: bool,
    e2e_key: X25519PrivateKey,
    box_key: BoxKey,
    reply: QueueInfo,
}

impl Mallory {
    pub(crate) fn joins(link: &FullLink, pq: Pq, server: ServerAddress) -> Self {
        let mut random = SeededRandom::new(&[3; 32], "mallory");
        let FullLink::Invitation(request, offer) = link else { panic!("no invitation") };
        let (keys, ratchet) = join(&offer.agree(version::RATCHET).unwrap(), version::RATCHET, pq, &mut random).unwrap();
        let e2e_key = X25519PrivateKey::generate(&mut random);
        let box_key = BoxKey::agreed(&e2e_key.agree(&request.first_queue().address.dh_key));
        let address = QueueAddress {
            server,
            sender_id: SenderId::random(&mut random),
            dh_key: X25519PrivateKey::generate(&mut random).public(),
            mode: Some(QueueMode::Messaging),
        };
        let reply = QueueInfo { version: 4, address };
        let sent = SentChain::default();
        Mallory { random, keys, ratchet, agent: 7, client: 4, sent, pq: pq == Pq::On, e2e_key, box_key, reply }
    }

    /// Goes back to what it was before it did something.
    pub(crate) fn undo<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let (ratchet, sent, versions) = (self.ratchet.to_stored(), self.sent.clone(), (self.agent, self.client));
        let (keys, reply) = (self.keys.clone(), self.reply.clone());
        let result = act(self);
        let StoredRatchet::Established(ratchet) = StoredRatchet::from_stored(&ratchet).unwrap() else {
            panic!("state")
        };
        (self.ratchet, self.sent, (self.agent, self.client)) = (*ratchet, sent, versions);
        (self.keys, self.reply) = (keys, reply);
        result
    }

    pub(crate) fn reply_mut(&mut self) -> &mut QueueInfo {
        &mut self.reply
    }

    pub(crate) fn padding(&self) -> Padding {
        Padding::new(7, self.pq)
    }

    /// What an honest joiner says first.
    pub(crate) fn info(&self) -> DecryptedMessage {
        DecryptedMessage::InfoReply { queues: NonEmpty::one(self.reply.clone()), info: b"mallory".to_vec() }
    }

    pub(crate) fn encrypt(&mut self, plaintext: &[u8], size: usize) -> Vec<u8> {
        self.ratchet.encrypt(None, plaintext, size).unwrap()
    }

    /// A confirmation that says this.
    pub(crate) fn confirmation(&mut self, content: &DecryptedMessage) -> Vec<u8> {
        let encoded = content.to_bytes();
        self.sent.append_unnumbered(encoded.clone());
        let encrypted = self.encrypt(&encoded, self.padding().confirmation);
        let content = EnvelopeContent::Confirmation { keys: Some(self.keys.clone()), encrypted };
        self.first(PrivateHeader::Empty, content)
    }

    /// A first message through the queue.
    pub(crate) fn first(&mut self, header: PrivateHeader, content: EnvelopeContent) -> Vec<u8> {
        let content = AgentEnvelope { version: self.agent, content }.to_bytes();
        self.seal(Some(self.e2e_key.public()), ClientMessage { header, content })
    }

    pub(crate) fn seal(&mut self, key: Option<crypto::dh::X25519PublicKey>, message: ClientMessage) -> Vec<u8> {
        let header = PublicHeader { version: self.client, sender_key: key };
        Envelope::seal(header, &self.box_key, Nonce::random(&mut self.random), &message).unwrap().to_bytes()
    }

    /// A later message through the queue, encrypted already.
    pub(crate) fn later(&mut self, encrypted: Vec<u8>) -> Vec<u8> {
        let content = EnvelopeContent::Message { encrypted };
        let content = AgentEnvelope { version: self.agent, content }.to_bytes();
        self.seal(None, ClientMessage { header: PrivateHeader::Empty, content })
    }

    /// A message with the next number.
    pub(crate) fn message(&mut self, body: MessageBody) -> Vec<u8> {
        let numbered = self.sent.append(body, self.padding()).unwrap();
        let encrypted = self.encrypt(&numbered.encoded, self.padding().message);
        self.later(encrypted)
    }

    /// A message with any number.
    pub(crate) fn numbered(&mut self, number: i64, body: MessageBody) -> Vec<u8> {
        let message = AgentMessage { number, previous_hash: MessageHash::default(), body };
        let encoded = DecryptedMessage::Message(message).to_bytes();
        let encrypted = self.encrypt(&encoded, self.padding().message);
        self.later(encrypted)
    }
}
