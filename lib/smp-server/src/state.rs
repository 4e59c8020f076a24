//! The server between its connections and its store: all queues in memory, and the execution of commands on them.
//!
//! A command changes memory and queues its write under the lock of its queue, so that memory and store see the same
//! order. Nothing is told to anybody before it is durable: an answer waits for the last write of its queue. When a
//! write fails, `recovery` closes the gate, reads back what is on disk and opens it again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crypto::{Random, Secret, random};
use smp::command::{Command, NewQueue};
use smp::error::{BlockingInfo, Error};
use smp::id::{CorrId, RecipientId, SenderId};
use smp::response::{QueueIds, Response};
use store::{Commits, Ticket};
use tokio::sync::{Semaphore, watch};

use crate::answer::{Answer, Content, Then};
use crate::body::{Body, Budget};
use crate::config::Config;
use crate::events::DelayedEvents;
use crate::holdings::Holdings;
use crate::metrics::{Gauges, Metrics};
use crate::outbox::{Outbox, Outgoing};
use crate::queue::{Change, Message};
use crate::queue_store::{QueueStore, Share};
use crate::random::SystemRandom;
use crate::registry::{Entry, Live, Registry};
use crate::step::new::{Created, Repeatable};
use crate::step::{self, Context, Reply, Request, Sent};
use crate::subscription::{self, Holding};
use crate::unsupported;
use crate::verify::Verified;

/// Everything that connections share.
#[derive(Debug)]
pub struct State {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn QueueStore>,
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    pub(crate) events: DelayedEvents,
    pub(crate) gate: Gate,
    /// Memory for blocks that wait for the disk.
    pub(crate) unwritten: Arc<Semaphore>,
    /// Reads from disk that may run at a time.
    pub(crate) reads: Semaphore,
    bodies: Arc<Budget>,
    /// Of this process; commands of clients that connected to an earlier one cannot arrive any more.
    creation_secret: Secret<32>,
    next_queue: AtomicI64,
    next_message: AtomicI64,
}

/// Open while memory agrees with the store. Commands run while it is held open.
#[derive(Debug)]
pub(crate) struct Gate(RwLock<bool>);

impl Gate {
    /// Calls `run` with whether the gate is open, which it then stays meanwhile.
    pub(crate) fn pass<T>(&self, run: impl FnOnce(bool) -> T) -> T {
        run(*self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens or closes the gate once nobody is passing it.
    pub(crate) fn set(&self, open: bool) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = open;
    }
}

impl State {
    /// Reads all queues from the store. Blocks.
    pub fn load(store: Arc<dyn QueueStore>, config: Config) -> Result<Arc<Self>, store::Error> {
        let loaded = store.load()?;
        let state = State {
            registry: Registry::default(),
            metrics: Metrics::default(),
            events: DelayedEvents::new(config.event_delay),
            gate: Gate(RwLock::new(true)),
            unwritten: Arc::new(Semaphore::new(config.limits.unwritten_blocks)),
            reads: Semaphore::new(config.limits.reads),
            bodies: Budget::new(config.limits.body_memory),
            creation_secret: Secret::new(random::array(&mut SystemRandom)),
            next_queue: AtomicI64::new(loaded.next_queue),
            next_message: AtomicI64::new(loaded.next_message),
            config,
            store,
        };
        for queue in loaded.queues {
            let entry = Entry::new(queue);
            state.registry.insert(&entry, &entry.lock());
        }
        if state.config.expiry.on_start {
            state.registry.recipients.portions().for_each(|queues| state.expire_messages(&queues));
        }
        Ok(Arc::new(state))
    }

    /// Number of queues.
    pub fn queues(&self) -> usize {
        self.registry.recipients.len()
    }

    /// What has been committed and what has failed, as it changes.
    pub(crate) fn commits(&self) -> watch::Receiver<Commits> {
        self.store.commits()
    }

    /// Waits until a write is durable or has failed.
    pub(crate) async fn durable(&self, ticket: Ticket) -> Result<(), store::Error> {
        let mut commits = self.commits();
        let settled = commits.wait_for(|commits| commits.outcome(ticket).is_some()).await;
        settled.ok().and_then(|commits| commits.outcome(ticket)).unwrap_or(Err(store::Error::Closed))
    }

    /// The metrics page.
    pub(crate) fn metrics_page(&self) -> String {
        self.metrics.render(Gauges {
            queues: self.queues(),
            body_memory: self.bodies.used(),
            serving: self.is_serving(),
            short_of_space: self.store.is_short_of_space(),
            store: self.store.statistics(),
        })
    }

    /// False while a failure of the store is being repaired.
    pub(crate) fn is_serving(&self) -> bool {
        self.gate.pass(|open| open)
    }

    /// Executes the commands of a block in order.
    pub(crate) fn execute(&self, commands: Vec<Verified>, holdings: &mut Holdings, share: &Share) -> Vec<Answer> {
        self.gate.pass(|open| {
            let short = self.store.is_short_of_space();
            let execute = |verified: Verified| {
                self.metrics.command(verified.command.tag());
                match hindrance(&verified.command, open, short) {
                    None => self.execute_one(verified, holdings, share),
                    Some(why) => {
                        let error = Error::Store(why.to_owned());
                        Answer::now(verified.corr_id, verified.entity_id, Response::Err(error))
                    }
                }
            };
            commands.into_iter().map(execute).collect()
        })
    }

    fn execute_one(&self, verified: Verified, holdings: &mut Holdings, share: &Share) -> Answer {
        let Verified { corr_id, entity_id, command, queue, .. } = verified;
        if let Some(response) = unsupported::answer(&command) {
            return Answer::now(corr_id, entity_id, response);
        }
        let (content, after, then) = match (command, queue) {
            (Command::New(new), _) => self.create(&corr_id, *new, holdings, share),
            (command, Some(entry)) => self.execute_on(&entry, command, holdings, share),
            // Of the commands that name no queue, only this one is left.
            (_, None) => (Content::Response(Response::Pong), Ticket::START, None),
        };
        Answer { corr_id, entity_id, content, after, then }
    }

    fn create(
        &self,
        corr_id: &CorrId,
        new: NewQueue,
        holdings: &mut Holdings,
        share: &Share,
    ) -> (Content, Ticket, Option<Then>) {
        let mut after = Ticket::START;
        let ids = self.try_create(corr_id, new, holdings, share, &mut after);
        (ids.map(|ids| Response::Ids(Box::new(ids))).into(), after, None)
    }

    fn try_create(
        &self,
        corr_id: &CorrId,
        new: NewQueue,
        holdings: &mut Holdings,
        share: &Share,
        after: &mut Ticket,
    ) -> Result<QueueIds, Error> {
        self.config.admission.check(new.basic_auth.as_ref())?;
        let subscribe = new.subscribe;
        let mut repeatable = Repeatable::new(&self.creation_secret, corr_id, &new);
        let mut system = SystemRandom;
        let random = repeatable.as_mut().map_or(&mut system as &mut dyn Random, |source| source);
        let mut created = step::new::new(corr_id, new, self.config.clock.now(), random)?;
        created.queue.row = self.next_queue.fetch_add(1, Ordering::Relaxed);
        let entry = Entry::new(created.queue.clone());
        let mut live = entry.lock();
        if !self.registry.insert(&entry, &live) {
            drop(live);
            return self.try_repeat(created, subscribe, holdings, share, after);
        }
        let ids = created.queue.ids(created.dh_key);
        live.written = self.store.create(created.queue, created.link_data, share.clone());
        *after = live.written;
        if subscribe {
            holdings.subscribe(&entry, &mut live, false, &self.events);
        }
        Ok(ids)
    }

    /// The IDs that the client chose are taken: by a stranger, or by its own first attempt.
    fn try_repeat(
        &self,
        created: Created,
        subscribe: bool,
        holdings: &mut Holdings,
        share: &Share,
        after: &mut Ticket,
    ) -> Result<QueueIds, Error> {
        let dh_key = created.dh_key;
        let entry = self.registry.senders.get(&created.queue.sender_id).ok_or(Error::Auth)?;
        let live = &mut *entry.lock();
        *after = live.written;
        if live.deleted {
            return Err(Error::Auth);
        }
        let changes = step::new::repeat(&live.queue, created)?;
        self.make(&entry, live, changes, share);
        *after = live.written;
        if subscribe {
            holdings.subscribe(&entry, live, false, &self.events);
        }
        Ok(live.queue.ids(dh_key))
    }

    /// Also an error may rest on a write that is not durable yet.
    fn execute_on(
        &self,
        entry: &Arc<Entry>,
        command: Command,
        holdings: &mut Holdings,
        share: &Share,
    ) -> (Content, Ticket, Option<Then>) {
        let live = &mut *entry.lock();
        match self.try_execute_on(entry, live, command, holdings, share) {
            Ok((content, then)) => (content, live.written, then),
            Err(error) => (Content::Response(Response::Err(error)), live.written, None),
        }
    }

    fn try_execute_on(
        &self,
        entry: &Arc<Entry>,
        live: &mut Live,
        command: Command,
        holdings: &mut Holdings,
        share: &Share,
    ) -> Result<(Content, Option<Then>), Error> {
        if live.deleted {
            return Err(Error::Auth);
        }
        let is_ack = matches!(command, Command::Ack(_));
        let held = holdings.of(live);
        let decision = step::step(&live.queue, held, self.request(command), &self.context())?;
        self.claim_link(entry, live, &decision.changes)?;
        let then = then(entry, live, &decision);
        if is_ack && decision.changes.iter().any(|change| matches!(change, Change::Removed(_))) {
            self.metrics.messages_acknowledged.add(1);
        }
        self.make(entry, live, decision.changes, share);
        match decision.holding {
            Some(_) if decision.reply == Reply::Subscribed => holdings.subscribe(entry, live, true, &self.events),
            Some(holding) => holdings.hold(live, holding),
            None => {}
        }
        Ok((content(entry, decision.reply), then))
    }

    /// Names are drawn under the lock of the queue, so that rows have the order of messages.
    fn request(&self, command: Command) -> Request {
        match command {
            Command::Send(flags, body) => Request::Send(Sent {
                row: self.next_message.fetch_add(1, Ordering::Relaxed),
                id: random::array(&mut SystemRandom),
                flags,
                body: Body::new(body, &self.bodies),
            }),
            command => Request::Other(command),
        }
    }

    fn context(&self) -> Context {
        let now = self.config.clock.now();
        let expiry = &self.config.expiry;
        Context { now, quota: self.config.quota, expire_before: expiry.on_send.then(|| expiry.before(now)) }
    }

    /// A link ID that another queue has is refused like any conflict.
    fn claim_link(&self, entry: &Arc<Entry>, live: &Live, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            if let Change::LinkSet(id, _) = change
                && live.queue.link.is_none()
                && !self.registry.links.claim(id, entry)
            {
                return Err(Error::Auth);
            }
        }
        Ok(())
    }

    /// Makes changes in memory and queues their write.
    fn make(&self, entry: &Arc<Entry>, live: &mut Live, changes: Vec<Change>, share: &Share) {
        if changes.is_empty() {
            return;
        }
        let mut stored = None;
        for change in &changes {
            match change {
                Change::LinkDeleted | Change::Deleted(_) => self.release_link(entry, live),
                Change::Stored(_, body) => stored = Some(body.clone()),
                _ => {}
            }
            live.deleted |= matches!(change, Change::Deleted(_));
            live.queue.apply(change);
        }
        live.written = self.store.change(live.queue.row, changes, share.clone());
        if let Some(body) = stored {
            self.keep_body(live, body);
        }
    }

    pub(crate) fn release_link(&self, entry: &Arc<Entry>, live: &Live) {
        if let Some(link) = live.queue.link.as_deref() {
            self.registry.links.release(&link.id, entry);
        }
    }

    /// Keeps the body of the message that has just been stored, if somebody is there to take it soon.
    fn keep_body(&self, live: &mut Live, body: Arc<Body>) {
        self.metrics.messages_received.add(1);
        let wanted = live.subscriber.is_some() && self.bodies.has_room();
        let written = live.written;
        if let Some(message) = live.queue.messages.back_mut() {
            message.written = written;
            message.body = wanted.then_some(body);
        }
    }

    /// Does what a durable command leads to.
    pub(crate) fn conclude(&self, then: Then, outbox: &Outbox) {
        match then {
            Then::Notify(entry) => notify(&entry),
            Then::Push(entry) => outbox.send(Outgoing::Push(entry)),
            Then::Forget(entry) => self.forget(&entry),
        }
    }

    /// Takes a deleted queue out of the registry and tells its subscriber.
    fn forget(&self, entry: &Arc<Entry>) {
        let mut live = entry.lock();
        self.registry.remove(entry, &live);
        if let Some(subscriber) = live.subscriber.take() {
            let id = live.queue.recipient_id.clone();
            self.events.add(&subscriber.outbox, entry, id.into(), Response::Deld);
        }
    }

    /// The message to push to a connection now; from here on it counts as delivered.
    pub(crate) fn take_push(&self, entry: &Entry, outbox: &Outbox) -> Option<Message> {
        let live = &mut *entry.lock();
        if live.deleted {
            return None;
        }
        let subscriber = live.subscriber.as_deref_mut().filter(|subscriber| subscriber.outbox.id() == outbox.id())?;
        subscriber.signalled = false;
        let holding = Holding::Subscribed { delivered: subscriber.delivered };
        let message = subscription::next_to_push(&live.queue, holding)?.clone();
        subscriber.delivered = Some(message.id);
        Some(message)
    }

    /// The message could not be sent because it has gone meanwhile: the connection may have another one.
    pub(crate) fn retract(&self, entry: &Arc<Entry>, outbox: &Outbox, message: &Message) {
        let mut live = entry.lock();
        if let Some(subscriber) = live.subscriber_mut(outbox.id()).filter(|s| s.delivered == Some(message.id)) {
            subscriber.delivered = None;
            drop(live);
            notify(entry);
        }
    }

    /// Removes messages that have expired.
    pub(crate) fn expire_messages(&self, queues: &[Arc<Entry>]) {
        let before = self.config.expiry.before(self.config.clock.now());
        for entry in queues {
            self.gate.pass(|open| {
                let live = &mut *entry.lock();
                let expired = live.queue.expired(before);
                if open && !live.deleted && !expired.is_empty() {
                    self.metrics.messages_expired.add(expired.len());
                    self.make(entry, live, vec![Change::Removed(expired)], &None);
                }
            });
        }
    }

    /// The operator blocks a queue, named by its recipient or sender ID, or unblocks it with `None`.
    ///
    /// The subscriber learns at once; the write to wait for is returned, or `None` if there is no such queue.
    pub fn block(&self, id: &[u8], info: Option<BlockingInfo>) -> Option<Ticket> {
        let recipient = RecipientId::new(id).and_then(|id| self.registry.recipients.get(&id));
        let entry = recipient.or_else(|| SenderId::new(id).and_then(|id| self.registry.senders.get(&id)))?;
        self.gate.pass(|open| {
            let live = &mut *entry.lock();
            if live.deleted || !open {
                return None;
            }
            self.make(&entry, live, vec![Change::Blocked(info)], &None);
            if let (Some(info), Some(subscriber)) = (info, live.subscriber.as_deref()) {
                let event = (live.queue.recipient_id.clone().into(), Response::Err(Error::Blocked(info)));
                subscriber.outbox.send(Outgoing::Events(vec![event]));
            }
            Some(live.written)
        })
    }
}

/// Why a command cannot be executed now. Without space, those go on that make some, or need none.
fn hindrance(command: &Command, open: bool, short: bool) -> Option<&'static str> {
    match command {
        Command::Ping => None,
        _ if !open => Some("temporarily unavailable"),
        Command::New(_) | Command::Send(..) | Command::Lset(..) if short => Some("no space left"),
        Command::Key(_) | Command::Rkey(_) | Command::Skey(_) | Command::Lkey(_) if short => Some("no space left"),
        _ => None,
    }
}

/// Tells the subscriber that the queue may have something to push.
pub(crate) fn notify(entry: &Arc<Entry>) {
    let mut live = entry.lock();
    if let Some(subscriber) = live.subscriber.as_deref_mut()
        && !subscriber.signalled
        && subscriber.delivered.is_none()
    {
        subscriber.signalled = true;
        subscriber.outbox.send(Outgoing::Push(entry.clone()));
    }
}

fn content(entry: &Arc<Entry>, reply: Reply) -> Content {
    Content::Response(match reply {
        Reply::Ok => Response::Ok,
        Reply::Subscribed => Response::Sok(None),
        Reply::Description(description) => Response::Info(description),
        Reply::QuotaMet => Response::Err(Error::Quota),
        Reply::Message(message) => return Content::Message(entry.clone(), message),
        Reply::LinkData => return Content::LinkData(entry.clone()),
    })
}

fn then(entry: &Arc<Entry>, live: &Live, decision: &step::Decision) -> Option<Then> {
    if decision.reply == Reply::Subscribed {
        return Some(Then::Push(entry.clone()));
    }
    decision.changes.iter().find_map(|change| match change {
        Change::Stored(..) if live.subscriber.is_some() => Some(Then::Notify(entry.clone())),
        Change::Deleted(_) => Some(Then::Forget(entry.clone())),
        _ => None,
    })
}
