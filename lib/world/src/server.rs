//! An SMP server without sockets, disk and clock: the rules of `smp-server`, applied to queues in memory.
//!
//! Every command comes as the bytes of a transmission and is authorised for its session as on the wire. Nothing is told
//! before it is durable: answers and deliveries wait for [`Server::commit`], and [`Server::crash`] falls back to the
//! last commit. So a command may have been executed without anybody knowing, and one that was answered is never lost.

mod shelf;

use std::collections::BTreeMap;
use std::sync::Arc;

use agent::time::Time;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::{BoxKey, Random, Secret, SeededRandom, random};
use smp::address::ServerAddress;
use smp::command::{Command, LinkData, MessageFlags, NewQueue};
use smp::delivery::Delivered;
use smp::error::{CommandError, Error};
use smp::id::{CorrId, EntityId, LinkId, SenderId};
use smp::response::{MessageKind, Response};
use smp::transmission::{ClientTransmission, encode_response};
use smp_server::authority::{Authority, Check, SessionCheck};
use smp_server::body::{Body, Budget};
use smp_server::queue::{Change, Message, MessageKey, Queue};
use smp_server::step::new::{Admission, Created, Repeatable};
use smp_server::step::{self, Context, Reply, Request, Sent};
use smp_server::subscription::{Holding, next_to_push};

use crate::dice::seed_bytes;
use shelf::Shelf;

/// Names a session among all sessions of a world.
pub type SessionNumber = u64;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The version of all its sessions.
    pub version: u16,
    /// Messages that a queue may hold.
    pub quota: usize,
    /// The age in seconds that messages may reach.
    pub message_ttl: i64,
    /// Who may create queues.
    pub admission: Admission,
    /// Tells before it is durable. No honest server does; tests show with it that they can fail.
    pub answers_before_commit: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            version: 18,
            quota: 128,
            message_ttl: 21 * 86_400,
            admission: Admission::default(),
            answers_before_commit: false,
        }
    }
}

/// What a client must know of its session.
#[derive(Debug, Clone)]
pub struct SessionTerms {
    /// The agreed version.
    pub version: u16,
    /// Binds authorizations to the session.
    pub id: Vec<u8>,
    /// The server's session key.
    pub server_key: X25519PublicKey,
}

/// Bytes for the client of a session.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The session.
    pub session: SessionNumber,
    /// A transmission.
    pub bytes: Vec<u8>,
}

/// One server.
pub struct Server {
    address: ServerAddress,
    rules: Rules,
    random: SeededRandom,
    creation_secret: Secret<32>,
    shelf: Shelf,
    durable: Shelf,
    sessions: BTreeMap<SessionNumber, Session>,
    /// By row: who gets a queue's messages.
    subscribers: BTreeMap<i64, Subscriber>,
    untold: Vec<Outgoing>,
    events: Vec<LateEvent>,
    bodies: Arc<Budget>,
    tampering: Option<Tampering>,
    link_writes: Vec<LinkWrite>,
    lies: BTreeMap<LinkId, LinkLie>,
    executed: u64,
}

/// Data that somebody put behind a link, be it that a crash took it back.
#[derive(Debug, Clone)]
pub struct LinkWrite {
    /// The link.
    pub link: LinkId,
    /// The queue behind it.
    pub sender_id: SenderId,
    /// Its data from then on.
    pub data: Arc<LinkData>,
}

/// What a hostile server says to whoever reads a link.
#[derive(Debug, Clone)]
pub enum LinkLie {
    /// There is no such link.
    Nothing,
    /// This stands behind it.
    Data(Arc<LinkData>),
}

#[derive(Debug)]
struct Session {
    id: Vec<u8>,
    key: X25519PrivateKey,
    /// By row: queues on which `GET` was used.
    got: BTreeMap<i64, Option<MessageKey>>,
}

#[derive(Debug, Clone, Copy)]
struct Subscriber {
    session: SessionNumber,
    delivered: Option<MessageKey>,
}

/// `END` or `DELD`, which a server collects for a while.
#[derive(Debug)]
struct LateEvent {
    due: Time,
    session: SessionNumber,
    row: i64,
    entity_id: EntityId,
    response: Response,
}

/// What a hostile server does to the body of the next `MSG`.
pub type Tampering = Box<dyn FnOnce(&mut Vec<u8>)>;

impl Server {
    /// A server without queues.
    pub fn new(seed: u64, name: &str, rules: Rules) -> Self {
        let mut random = SeededRandom::new(&seed_bytes(seed), &format!("server {name}"));
        let fingerprint = codec::text::base64url(&random::array::<32>(&mut random));
        let creation_secret = Secret::new(random::array(&mut random));
        Server {
            address: format!("smp://{fingerprint}@{name}.example:5223").parse().unwrap(),
            rules,
            random,
            creation_secret,
            shelf: Shelf::default(),
            durable: Shelf::default(),
            sessions: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            untold: Vec::new(),
            events: Vec::new(),
            bodies: Budget::new(usize::MAX),
            tampering: None,
            link_writes: Vec::new(),
            lies: BTreeMap::new(),
            executed: 0,
        }
    }

    /// Where clients find it.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// How it behaves; may be changed at any time.
    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// How many commands were executed, refused ones included.
    pub fn executed(&self) -> u64 {
        self.executed
    }

    /// A client has connected.
    pub fn open(&mut self, number: SessionNumber) -> SessionTerms {
        let id = random::array::<32>(&mut self.random).to_vec();
        let key = X25519PrivateKey::generate(&mut self.random);
        let terms = SessionTerms { version: self.rules.version, id: id.clone(), server_key: key.public() };
        self.sessions.insert(number, Session { id, key, got: BTreeMap::new() });
        terms
    }

    /// A client has gone, and its subscriptions with it.
    pub fn close(&mut self, number: SessionNumber) {
        self.sessions.remove(&number);
        self.subscribers.retain(|_, subscriber| subscriber.session != number);
    }

    /// Executes a transmission. What is owed for it comes with the next commit.
    pub fn receive(&mut self, session: SessionNumber, bytes: &[u8], now: Time) {
        let Some(known) = self.sessions.get(&session) else { return };
        self.executed += 1;
        let (corr_id, entity_id, response) = match ClientTransmission::parse(self.rules.version, &known.id, bytes) {
            Err(refusal) => (refusal.corr_id, refusal.entity_id, Response::Err(refusal.error)),
            Ok(transmission) => {
                let (corr_id, entity_id) = (transmission.corr_id.clone(), transmission.entity_id.clone());
                let response = self.execute(session, transmission, now).unwrap_or_else(Response::Err);
                (corr_id, entity_id, response)
            }
        };
        self.tell(session, &corr_id, &entity_id, &response);
    }

    /// What is told before it is durable: nothing, unless the rules say otherwise.
    pub fn take_hasty(&mut self) -> Vec<Outgoing> {
        if self.rules.answers_before_commit { std::mem::take(&mut self.untold) } else { Vec::new() }
    }

    /// Makes everything durable, and returns what may now be told.
    pub fn commit(&mut self, now: Time) -> Vec<Outgoing> {
        self.durable = self.shelf.clone();
        self.push_all();
        self.tell_events(now);
        std::mem::take(&mut self.untold)
    }

    /// When something waits to be told although nothing else happens.
    pub fn next_event_at(&self) -> Option<Time> {
        self.events.iter().map(|event| event.due).min()
    }

    /// Loses whatever was not durable, and all sessions.
    pub fn crash(&mut self) {
        self.creation_secret = Secret::new(random::array(&mut self.random));
        self.shelf = self.durable.clone();
        self.sessions.clear();
        self.subscribers.clear();
        self.untold.clear();
        self.events.clear();
    }

    /// Forgets messages that are too old.
    pub fn expire(&mut self, now: Time) {
        let before = self.expire_before(now);
        for stored in self.shelf.queues_mut() {
            let expired = stored.queue.expired(before);
            stored.queue.apply(&Change::Removed(expired));
        }
    }

    /// The bodies that wait in the queue with this sender ID, oldest first; nothing for quota messages.
    pub fn waiting(&self, sender_id: &SenderId) -> Vec<Vec<u8>> {
        let queue = self.shelf.by_sender(sender_id);
        queue.map(|stored| stored.queue.messages.iter().filter_map(body).collect()).unwrap_or_default()
    }

    /// The queue with this sender ID.
    pub fn queue(&self, sender_id: &SenderId) -> Option<&Queue> {
        self.shelf.by_sender(sender_id).map(|stored| &stored.queue)
    }

    /// The sender IDs of all queues, oldest first.
    pub fn sender_ids(&self) -> Vec<SenderId> {
        self.shelf.queues().map(|stored| stored.queue.sender_id.clone()).collect()
    }

    /// A hostile server: drops the messages of a queue that have not been delivered yet, as `lose` says.
    pub fn lose(&mut self, sender_id: &SenderId, lose: impl Fn(usize) -> bool) {
        let delivered = self.delivered(sender_id);
        if let Some(stored) = self.shelf.by_sender_mut(sender_id) {
            let mut index = 0;
            stored.queue.messages.retain(|message| {
                index += 1;
                Some(message.id) == delivered || !lose(index - 1)
            });
        }
    }

    /// A hostile server, or whoever else can: puts a body into a queue without asking who sends it.
    pub fn inject(&mut self, sender_id: &SenderId, body: Vec<u8>, now: Time) {
        let message = Command::Send(MessageFlags::default(), body);
        let row = self.shelf.by_sender(sender_id).expect("a queue").queue.row;
        self.execute_on(SessionNumber::MAX, row, message, now).expect("a queue that takes messages");
    }

    /// A hostile server: alters the body of the next message that it delivers.
    pub fn tamper(&mut self, tampering: impl FnOnce(&mut Vec<u8>) + 'static) {
        self.tampering = Some(Box::new(tampering));
    }

    /// Everything that was ever put behind links, in order.
    pub fn link_writes(&self) -> &[LinkWrite] {
        &self.link_writes
    }

    /// What stands behind a link.
    pub fn link_data(&self, link: &LinkId) -> Option<&LinkData> {
        self.shelf.by_link(link)?.link_data.as_deref()
    }

    /// A hostile server: lies to whoever reads a link, until it is told to say the truth.
    pub fn lie(&mut self, link: LinkId, lie: LinkLie) {
        self.lies.insert(link, lie);
    }

    /// From now on it says the truth about links.
    pub fn stop_lying(&mut self) {
        self.lies.clear();
    }

    fn delivered(&self, sender_id: &SenderId) -> Option<MessageKey> {
        let row = self.shelf.by_sender(sender_id)?.queue.row;
        self.subscribers.get(&row)?.delivered
    }

    fn execute(
        &mut self,
        session: SessionNumber,
        transmission: ClientTransmission,
        now: Time,
    ) -> Result<Response, Error> {
        let row = self.shelf.find(transmission.command.party(), &transmission.entity_id);
        let queue = row.map(|row| &self.shelf.at(row).queue);
        let key = &self.sessions[&session].key;
        let check = SessionCheck::new(&transmission, key);
        let authority = Authority::over(&transmission.command, queue);
        authority.permit(&transmission, check.as_ref().map(|check| check as &dyn Check))?;
        match (transmission.command, row) {
            (Command::New(new), _) => self.create(session, &transmission.corr_id, *new, now),
            (Command::Ping, _) => Ok(Response::Pong),
            (command, Some(row)) => self.execute_on(session, row, command, now),
            _ => Err(CommandError::Prohibited.into()),
        }
    }

    fn create(
        &mut self,
        session: SessionNumber,
        corr_id: &CorrId,
        new: NewQueue,
        now: Time,
    ) -> Result<Response, Error> {
        self.rules.admission.check(new.basic_auth.as_ref())?;
        let subscribe = new.subscribe;
        let mut repeatable = Repeatable::new(&self.creation_secret, corr_id, &new);
        let random = repeatable.as_mut().map_or(&mut self.random as &mut dyn Random, |source| source);
        let created = step::new::new(corr_id, new, seconds(now), random)?;
        let dh_key = created.dh_key;
        if let (Some(link), Some(data)) = (&created.queue.link, &created.link_data) {
            let write = (link.id.clone(), created.queue.sender_id.clone(), data.clone());
            self.note_link_write(write);
        }
        let row = match self.shelf.is_free(&created.queue) {
            true => self.shelf.insert(created.queue, created.link_data),
            false => self.repeat(created)?,
        };
        if subscribe {
            self.subscribe(session, row, now);
        }
        Ok(Response::Ids(Box::new(self.shelf.at(row).queue.ids(dh_key))))
    }

    fn note_link_write(&mut self, (link, sender_id, data): (LinkId, SenderId, LinkData)) {
        self.link_writes.push(LinkWrite { link, sender_id, data: Arc::new(data) });
    }

    fn repeat(&mut self, created: Created) -> Result<i64, Error> {
        let existing = self.shelf.by_sender(&created.queue.sender_id).ok_or(Error::Auth)?;
        let row = existing.queue.row;
        let changes = step::new::repeat(&existing.queue, created)?;
        self.shelf.apply(row, changes);
        Ok(row)
    }

    fn execute_on(&mut self, session: SessionNumber, row: i64, command: Command, now: Time) -> Result<Response, Error> {
        let holding = self.holding(session, row);
        let context =
            Context { now: seconds(now), quota: self.rules.quota, expire_before: Some(self.expire_before(now)) };
        let request = self.request(command);
        let decision = step::step(&self.shelf.at(row).queue, holding, request, &context)?;
        self.shelf.check_link(row, &decision.changes)?;
        for change in &decision.changes {
            if let Change::LinkSet(link, data) = change {
                let sender_id = self.shelf.at(row).queue.sender_id.clone();
                self.note_link_write((link.clone(), sender_id, data.clone()));
            }
        }
        let response = self.response(row, decision.reply);
        let (id, deleted) = {
            let queue = &self.shelf.at(row).queue;
            let deleted = decision.changes.iter().any(|change| matches!(change, Change::Deleted(_)));
            (queue.recipient_id.clone(), deleted)
        };
        if let Some(holding) = decision.holding {
            self.hold(session, row, holding, now);
        }
        self.shelf.apply(row, decision.changes);
        if deleted && let Some(subscriber) = self.subscribers.remove(&row) {
            self.add_event(subscriber.session, row, id.into(), Response::Deld, now);
        }
        Ok(response)
    }

    fn request(&mut self, command: Command) -> Request {
        match command {
            Command::Send(flags, body) => Request::Send(Sent {
                row: self.shelf.next_message(),
                id: random::array(&mut self.random),
                flags,
                body: Body::new(body, &self.bodies),
            }),
            command => Request::Other(command),
        }
    }

    fn response(&mut self, row: i64, reply: Reply) -> Response {
        match reply {
            Reply::Ok => Response::Ok,
            Reply::Subscribed => Response::Sok(None),
            Reply::Description(description) => Response::Info(description),
            Reply::QuotaMet => Response::Err(Error::Quota),
            Reply::Message(message) => self.message(row, &message),
            Reply::LinkData => {
                let stored = self.shelf.at(row);
                let truth = stored.link_data.as_ref().expect("the rule has seen the link");
                let data = match stored.queue.link.as_ref().and_then(|link| self.lies.get(&link.id)) {
                    Some(LinkLie::Nothing) => return Response::Err(Error::Auth),
                    Some(LinkLie::Data(data)) => data,
                    None => truth,
                };
                Response::Lnk(stored.queue.sender_id.clone(), data.as_ref().clone())
            }
        }
    }

    /// The message encrypted for the recipient.
    fn message(&mut self, row: i64, message: &Message) -> Response {
        let key = BoxKey::agreed(&self.shelf.at(row).queue.delivery_secret);
        let delivered = match body(message) {
            None => Delivered::Quota { met_at: message.accepted_at },
            Some(body) => Delivered::Message { sent_at: message.accepted_at, flags: message.flags, body },
        };
        let mut sealed = delivered.seal(&key, &message.wire_id()).expect("an accepted body is short enough");
        if let Some(tamper) = self.tampering.take() {
            tamper(&mut sealed);
        }
        Response::Msg(message.wire_id(), sealed)
    }

    fn holding(&self, session: SessionNumber, row: i64) -> Holding {
        if let Some(subscriber) = self.subscribers.get(&row).filter(|subscriber| subscriber.session == session) {
            return Holding::Subscribed { delivered: subscriber.delivered };
        }
        match self.sessions.get(&session).and_then(|session| session.got.get(&row)) {
            Some(delivered) => Holding::GetOnly { delivered: *delivered },
            None => Holding::Nothing,
        }
    }

    fn hold(&mut self, session: SessionNumber, row: i64, holding: Holding, now: Time) {
        match holding {
            Holding::Nothing => {
                self.subscribers.retain(|of, subscriber| *of != row || subscriber.session != session);
            }
            Holding::GetOnly { delivered } => {
                let session = self.sessions.get_mut(&session).expect("a session");
                session.got.insert(row, delivered);
            }
            Holding::Subscribed { delivered } => {
                self.subscribe(session, row, now);
                self.subscribers.insert(row, Subscriber { session, delivered });
            }
        }
    }

    /// Makes the session the queue's subscriber; another one is told.
    fn subscribe(&mut self, session: SessionNumber, row: i64, now: Time) {
        let earlier = self.subscribers.insert(row, Subscriber { session, delivered: None });
        if let Some(earlier) = earlier.filter(|earlier| earlier.session != session) {
            let id = self.shelf.at(row).queue.recipient_id.clone();
            self.add_event(earlier.session, row, id.into(), Response::End, now);
        }
    }

    /// Events are late by up to 15 seconds.
    fn add_event(&mut self, session: SessionNumber, row: i64, entity_id: EntityId, response: Response, now: Time) {
        let delay = random::array::<1>(&mut self.random)[0];
        let due = now.after(std::time::Duration::from_millis(u64::from(delay) * 58));
        self.events.push(LateEvent { due, session, row, entity_id, response });
    }

    /// A session that subscribed again meanwhile would misunderstand `END`.
    fn tell_events(&mut self, now: Time) {
        let (due, later): (Vec<_>, Vec<_>) = self.events.drain(..).partition(|event| event.due <= now);
        self.events = later;
        for event in due {
            let holder = self.subscribers.get(&event.row).map(|subscriber| subscriber.session);
            if event.response != Response::End || holder != Some(event.session) {
                self.tell(event.session, &CorrId::default(), &event.entity_id, &event.response);
            }
        }
    }

    fn push_all(&mut self) {
        let rows: Vec<i64> = self.subscribers.keys().copied().collect();
        for row in rows {
            let Subscriber { session, delivered } = self.subscribers[&row];
            let queue = &self.shelf.at(row).queue;
            let Some(message) = next_to_push(queue, Holding::Subscribed { delivered }).cloned() else { continue };
            let entity_id = queue.recipient_id.clone().into();
            self.subscribers.insert(row, Subscriber { session, delivered: Some(message.id) });
            let response = self.message(row, &message);
            self.tell(session, &CorrId::default(), &entity_id, &response);
        }
    }

    fn tell(&mut self, session: SessionNumber, corr_id: &CorrId, entity_id: &EntityId, response: &Response) {
        let bytes = encode_response(self.rules.version, corr_id, entity_id, response);
        self.untold.push(Outgoing { session, bytes });
    }

    fn expire_before(&self, now: Time) -> i64 {
        seconds(now).saturating_sub(self.rules.message_ttl)
    }
}

fn body(message: &Message) -> Option<Vec<u8>> {
    match message.kind {
        MessageKind::Quota => None,
        MessageKind::Message => Some(message.body.as_ref().expect("bodies stay in memory").bytes().to_vec()),
    }
}

/// Unix seconds, as servers count.
pub fn seconds(now: Time) -> i64 {
    i64::try_from(now.millis() / 1000).unwrap()
}
