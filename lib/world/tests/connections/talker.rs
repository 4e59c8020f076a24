//! An application that makes one connection and talks through it: durable, at its own pace, and ready to be told
//! everything twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use agent::connection::{
    AddressPlan, Connection, ConnectionError, Delivery, Event, InviteLink, JoinLink, QueuePlan, ReceivedMessage,
    SendOptions, Settings, TaskFault,
};
use agent::full_link::FullLink;
use agent::link_data::{ContactData, Payload};
use agent::message_chain::Integrity;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, PreparedContactLink};
use agent::receipt::{NoReceipt, ReceiptStatus};
use agent::short_link::{ContactKind, LinkScheme, ShortLink};
use crypto::Nonce;
use crypto::sign::Ed25519PrivateKey;
use smp::error::Error;
use smp::id::MessageId;
use world::{Application, HostId, Turn};

/// The connection between the two, on either side.
pub(crate) const PEER: &str = "peer";
/// The contact address.
pub(crate) const ADDRESS: &str = "address";
/// It is time to do what there is to do.
const GO_ON: u64 = 1;

/// What a talker is to do.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) role: Role,
    pub(crate) other: HostId,
    pub(crate) settings: Settings,
    pub(crate) queue: QueuePlan,
    pub(crate) messages: Vec<Planned>,
    /// Whether it gives receipts.
    pub(crate) gives_receipts: bool,
    /// How long it takes over things, in milliseconds.
    pub(crate) pace: RangeInclusive<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Invites the other.
    Inviter { short: bool, propose: bool },
    /// Has a contact address.
    Owner { short: bool },
    /// Uses the link that it gets.
    Guest,
}

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) body: Arc<[u8]>,
    pub(crate) options: SendOptions,
}

/// A message that was accepted for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) number: i64,
    pub(crate) body: Arc<[u8]>,
    /// Whether a receipt is awaited.
    pub(crate) receipt: bool,
}

/// The application. All of it is durable.
#[derive(Debug, Clone)]
pub(crate) struct Talker {
    pub(crate) part: Arc<Part>,
    link: Option<String>,
    to_retry: bool,
    to_allow: bool,
    to_accept: Option<u64>,
    accepted_request: Option<u64>,
    to_acknowledge: BTreeMap<MessageId, bool>,
    next: usize,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) handled: Vec<ReceivedMessage>,
    acknowledged: BTreeSet<MessageId>,
    pub(crate) receipts: BTreeMap<i64, ReceiptStatus>,
    /// Numbers of messages for which no receipt could be given.
    pub(crate) without_receipt: BTreeSet<i64>,
    pub(crate) connected: bool,
    /// The message after the end.
    pub(crate) last: Option<i64>,
    pub(crate) suspended: bool,
    /// What must not happen.
    pub(crate) fault: Option<String>,
    /// Messages may be refused from now on.
    pub(crate) ending: bool,
}

impl Talker {
    pub(crate) fn new(part: Part) -> Self {
        Talker {
            part: Arc::new(part),
            link: None,
            to_retry: false,
            to_allow: false,
            to_accept: None,
            accepted_request: None,
            to_acknowledge: BTreeMap::new(),
            next: 0,
            accepted: Vec::new(),
            handled: Vec::new(),
            acknowledged: BTreeSet::new(),
            receipts: BTreeMap::new(),
            without_receipt: BTreeSet::new(),
            connected: false,
            last: None,
            suspended: false,
            fault: None,
            ending: false,
        }
    }

    /// Begins what it begins with.
    pub(crate) fn start(&mut self, turn: &mut Turn<'_>) {
        let part = self.part.clone();
        match part.role {
            Role::Inviter { short, propose } => {
                let short = short.then(|| Payload::new(*b"hello").unwrap());
                let link = InviteLink { short, propose };
                let queue = part.queue.clone();
                turn.begin(PEER, |env| Connection::invite(queue, link, &part.settings, env)).unwrap();
            }
            Role::Owner { short } => {
                turn.begin(ADDRESS, |env| {
                    let plan = if short { linked_address(&part, env.random) } else { full_address(&part) };
                    Connection::address(plan, &part.settings, env)
                })
                .unwrap();
            }
            Role::Guest => {}
        }
    }

    /// Whether everything that was to be said was said, and heard.
    pub(crate) fn is_done(&self) -> bool {
        self.connected && self.next == self.part.messages.len() && self.to_acknowledge.is_empty()
    }

    /// Sends one message more, whatever its plan.
    pub(crate) fn send_last(&mut self, turn: &mut Turn<'_>) -> i64 {
        let sent = turn.step(PEER, |connection, env| connection.send(b"last", SendOptions::default(), env));
        sent.unwrap().number
    }

    pub(crate) fn suspend(&mut self, turn: &mut Turn<'_>) {
        turn.step(PEER, |connection, _| connection.suspend());
    }

    /// Deletes what it has.
    pub(crate) fn delete_all(&mut self, turn: &mut Turn<'_>, delivery: Delivery) {
        self.ending = true;
        for name in [PEER, ADDRESS] {
            if turn.connection(name).is_some() {
                turn.eventful(name, |connection, env| connection.delete(delivery, env));
            }
        }
    }

    fn must_not(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    fn later(&self, turn: &mut Turn<'_>) {
        let delay = turn.dice().millis(self.part.pace.clone());
        turn.wake_after(delay, GO_ON);
    }

    /// Does everything that there is to do now.
    fn go_on(&mut self, turn: &mut Turn<'_>) {
        if std::mem::take(&mut self.to_retry) {
            turn.step(PEER, |connection, _| connection.retry());
        }
        self.publish(turn);
        self.join(turn);
        self.allow(turn);
        self.accept(turn);
        self.acknowledge(turn);
        self.send_next(turn);
    }

    /// Tells the other the link, once it works, and again after a crash.
    fn publish(&mut self, turn: &mut Turn<'_>) {
        let name = if turn.connection(ADDRESS).is_some() { ADDRESS } else { PEER };
        let Some(connection) = turn.connection(name).filter(|connection| connection.subscription().is_some()) else {
            return;
        };
        let link = match self.part.role {
            Role::Inviter { short, .. } => connection.invitation().map(|own| match own.short.filter(|_| short) {
                Some(link) => ShortLink::Invitation(link).to_string(),
                None => own.full.to_string(),
            }),
            Role::Owner { short } if self.accepted_request.is_none() => {
                connection.own_address().map(|own| match own.fixed.filter(|_| short) {
                    Some(fixed) => {
                        ShortLink::Contact(fixed.short_link(ContactKind::Contact, LinkScheme::Simplex)).to_string()
                    }
                    None => own.full.to_string(),
                })
            }
            _ => None,
        };
        if let Some(link) = link {
            turn.mail(self.part.other, link);
        }
    }

    /// A guest opens the link, and joins when it knows what it says.
    fn join(&mut self, turn: &mut Turn<'_>) {
        let Some(link) = &self.link else { return };
        if turn.connection(PEER).is_none() && !self.ending {
            let link = parse_link(link);
            let settings = self.part.settings;
            turn.begin(PEER, |env| Ok(Connection::open(link, &settings, env))).unwrap();
        }
        let readable = turn.connection(PEER).is_some_and(|connection| connection.link_read().is_some());
        if readable && !self.ending {
            let plan = self.part.queue.clone();
            let info = info_of(&self.part.role);
            turn.step(PEER, |connection, env| connection.join(plan, info, env)).unwrap();
        }
    }

    fn allow(&mut self, turn: &mut Turn<'_>) {
        if std::mem::take(&mut self.to_allow) {
            let info = info_of(&self.part.role);
            turn.step(PEER, |connection, env| connection.allow(info, env)).unwrap();
        }
    }

    fn accept(&mut self, turn: &mut Turn<'_>) {
        let Some(request) = self.to_accept.take() else { return };
        let (plan, info) = (self.part.queue.clone(), info_of(&self.part.role));
        let accepted = turn.step(ADDRESS, |address, env| address.accept(request, plan, info, env)).unwrap();
        turn.insert(PEER, accepted);
        self.accepted_request = Some(request);
    }

    fn acknowledge(&mut self, turn: &mut Turn<'_>) {
        if turn.connection(PEER).is_none() {
            return;
        }
        for (id, wants_receipt) in std::mem::take(&mut self.to_acknowledge) {
            let receipt = wants_receipt.then(|| b"read".to_vec());
            let mut acknowledged = turn.step(PEER, |connection, env| connection.acknowledge(&id, receipt, env));
            // Receipts need an agent that knows them, and a way to the peer.
            let no_receipt = ConnectionError::NoReceipt(NoReceipt::OldAgent);
            if acknowledged == Err(no_receipt) || matches!(acknowledged, Err(ConnectionError::Prohibited(..))) {
                acknowledged = turn.step(PEER, |connection, env| connection.acknowledge(&id, None, env));
                let number = self.handled.iter().find(|message| message.id == id).map(|message| message.number);
                self.without_receipt.extend(number);
            }
            if let Err(error) = acknowledged {
                self.must_not(format!("{id} cannot be acknowledged: {error}"));
            }
            self.acknowledged.insert(id);
        }
    }

    fn send_next(&mut self, turn: &mut Turn<'_>) {
        let Some(planned) = self.part.messages.get(self.next).cloned().filter(|_| !self.ending) else { return };
        if !turn.connection(PEER).is_some_and(Connection::can_send) {
            return;
        }
        let Planned { body, options } = planned;
        match turn.step(PEER, |connection, env| connection.send(&body, options, env)) {
            Ok(sent) => {
                self.next += 1;
                self.accepted.push(Accepted { number: sent.number, body, receipt: options.receipt });
                self.later(turn);
            }
            Err(error) => self.must_not(format!("message {} is not accepted: {error}", self.next)),
        }
    }

    fn handle(&mut self, message: ReceivedMessage) {
        let id = message.id.clone();
        if let Some(known) = self.handled.iter().find(|known| known.id == id) {
            if known != &message {
                self.must_not(format!("message {} came again as another", message.number));
            }
        } else {
            if message.integrity != Integrity::Ok {
                self.must_not(format!("message {} came with {:?}", message.number, message.integrity));
            }
            if self.handled.iter().any(|known| known.number >= message.number) {
                self.must_not(format!("message {} came after a later one", message.number));
            }
            self.handled.push(message);
        }
        if !self.acknowledged.contains(&id) {
            self.to_acknowledge.insert(id, self.part.gives_receipts);
        }
    }

    fn request(&mut self, id: u64) {
        match self.accepted_request.or(self.to_accept) {
            None => self.to_accept = Some(id),
            Some(known) if known == id => {}
            Some(known) => self.must_not(format!("request {known} came again as {id}")),
        }
    }
}

impl Application for Talker {
    type Kept = Self;

    fn kept(&self) -> Self {
        self.clone()
    }

    fn load(kept: &Self) -> Self {
        kept.clone()
    }

    fn told(&mut self, turn: &mut Turn<'_>, name: &str, event: Event) {
        match event {
            Event::Confirmed { info } => {
                if info != info_of(&Role::Guest) && !matches!(self.part.role, Role::Guest) {
                    self.must_not("the joiner's information is wrong".to_owned());
                }
                self.to_allow = turn.connection(PEER).is_some_and(is_confirmed);
            }
            Event::Connected { .. } => {
                self.connected = true;
                turn.step(PEER, |connection, _| connection.heard());
            }
            Event::Requested(request) => self.request(request.id),
            Event::Message(message) => self.handle(message),
            Event::Receipts { id, receipts } => {
                for receipt in receipts {
                    if !self.acknowledged.contains(&id)
                        && self
                            .receipts
                            .insert(receipt.number, receipt.status)
                            .is_some_and(|_| !self.to_acknowledge.contains_key(&id))
                    {
                        self.must_not(format!("a second receipt for {}", receipt.number));
                    }
                }
                if !self.acknowledged.contains(&id) {
                    self.to_acknowledge.insert(id, false);
                }
            }
            Event::NotSent { .. } if self.ending => {}
            Event::Suspended => self.suspended = true,
            // Repeated confirmations have filled a small queue; its owner will empty it.
            Event::Stopped(TaskFault::Refused { error: Error::Quota, .. }) => self.to_retry = true,
            Event::Deleted(None) => {}
            Event::NotSent { .. } | Event::Stopped(_) | Event::Refused(_) | Event::Deleted(_) | Event::QueueLost => {
                self.must_not(format!("{name}: {event:?}"));
            }
            Event::LinkRead | Event::Created | Event::Info(_) | Event::Sent { .. } | Event::LinkSet => {}
            Event::QuotaExceeded { .. } | Event::QuotaRestored => {}
        }
        self.later(turn);
    }

    fn mailed(&mut self, turn: &mut Turn<'_>, _from: HostId, mail: &str) {
        if self.link.is_none() {
            self.link = Some(mail.to_owned());
            self.later(turn);
        }
    }

    fn woken(&mut self, turn: &mut Turn<'_>, _token: u64) {
        self.go_on(turn);
    }

    fn restarted(&mut self, turn: &mut Turn<'_>) {
        self.later(turn);
    }
}

fn is_confirmed(connection: &Connection) -> bool {
    connection.pending().iter().any(|event| matches!(event, Event::Confirmed { .. }))
}

fn info_of(role: &Role) -> Vec<u8> {
    match role {
        Role::Guest => b"a guest".to_vec(),
        Role::Inviter { .. } | Role::Owner { .. } => b"a host".to_vec(),
    }
}

fn parse_link(text: &str) -> JoinLink {
    match text.parse() {
        Ok(ShortLink::Invitation(link)) => JoinLink::Invitation(link),
        Ok(ShortLink::Contact(link)) => JoinLink::Contact(link),
        Err(_) => JoinLink::Full(Box::new(text.parse::<FullLink>().unwrap())),
    }
}

fn full_address(part: &Part) -> AddressPlan {
    AddressPlan::Full(part.queue.clone())
}

fn linked_address(part: &Part, random: &mut dyn crypto::Random) -> AddressPlan {
    let root_key = Ed25519PrivateKey::generate(random);
    let request = ContactLinkRequest {
        server: part.queue.server.clone(),
        entity_id: None,
        tail: Vec::new(),
        client_data: None,
        agent_versions: part.settings.versions.agent,
        client_versions: part.settings.versions.client,
    };
    let link = PreparedContactLink::prepare(request, &root_key, LinkSecrets::random(random)).unwrap();
    let payload = Payload::new(*b"an address").unwrap();
    let data = ContactData::new(part.settings.versions.agent, true, Vec::new(), Vec::new(), payload).unwrap();
    let data = link.fixed().with_user_data(&data, &root_key, Nonce::random(random)).unwrap();
    AddressPlan::Linked { link: Box::new(link), data, password: None }
}
