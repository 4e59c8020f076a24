//! The course of a run: connect, create, load, drain, delete.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cli::{Code, Error, OrError as _, Shutdown, Step, Trace};
use crypto::Random;
use crypto::dh::X25519PrivateKey;
use net::client::{Client, ClientError, ClientOptions, Event, Events, Message};
use net::handshake::{ConnectOptions, connect};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::command::BasicAuth;
use smp::id::EntityId;
use smp::response::Response;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::Load;
use crate::flow::{Flow, Keys, Style};
use crate::tally::Tally;

/// Queues that are created or deleted at the same time.
const AT_ONCE: usize = 256;

/// What was asked for.
pub(crate) struct Plan {
    pub(crate) server: ServerAddress,
    pub(crate) password: Option<BasicAuth>,
    pub(crate) queues: u32,
    pub(crate) connections: u32,
    pub(crate) senders: u32,
    pub(crate) style: Style,
    pub(crate) duration: Duration,
    pub(crate) timeout: Duration,
}

/// Connects; every connection has a source of randomness of its own.
struct Dialler<R> {
    server: ServerAddress,
    connector: Connector,
    timeout: Duration,
    random: R,
}

/// What happened between the first and the last message.
#[derive(Default)]
struct Loaded {
    lasted: Duration,
    sent: u64,
    received: u64,
}

/// Makes the queues, uses them, and deletes them whatever happened in between.
pub(crate) async fn run(
    plan: &Plan,
    mut random: impl FnMut() -> Box<dyn Random + Send>,
    trace: &Trace,
    shutdown: &mut Shutdown,
) -> Result<Load, Error> {
    let mut keys = random();
    let keys = (0..plan.queues).map(|_| Keys::generate(keys.as_mut())).collect();
    let mut dialler = Dialler::new(plan, random)?;
    let (recipients, events) = dialler.open(plan.connections).await?;
    let (senders, _no_events) = dialler.open(plan.senders).await?;
    let tally = Arc::new(Tally::default());
    let (server, ok) = (plan.server.to_string(), "ok");
    let step = |name, outcome| trace.step(Step { who: "bench", to: &server, name, outcome, ..Step::default() });
    step("connect", ok);

    let start = Instant::now();
    let (flows, outcome) = create(plan, keys, &recipients, &senders, shutdown).await;
    let created = start.elapsed();
    step("create_queues", outcome.as_ref().map_or_else(|error| grp::code(error.blame()).name(), |()| ok));
    let loaded = match &outcome {
        Ok(()) if !plan.duration.is_zero() => load(plan, &flows, &recipients, events, &senders, &tally, shutdown).await,
        _ => Loaded::default(),
    };
    step("load", ok);
    let start = Instant::now();
    delete(&mut dialler, &flows, recipients, &tally).await;
    let deleted = start.elapsed();
    step("delete_queues", ok);

    outcome.map_err(|error| refused(plan, &error))?;
    if shutdown.is_requested() {
        return Err(Error::new(Code::Interrupted, "stopped by SIGINT; the queues are deleted"));
    }
    Ok(report(plan, senders.first().map_or(0, Client::version), created, &loaded, deleted, &tally))
}

impl<R: FnMut() -> Box<dyn Random + Send>> Dialler<R> {
    fn new(plan: &Plan, random: R) -> Result<Self, Error> {
        let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
        Ok(Dialler { server: plan.server.clone(), connector, timeout: plan.timeout, random })
    }

    async fn open(&mut self, count: u32) -> Result<(Vec<Client>, Vec<Events>), Error> {
        let (mut clients, mut events) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (client, its_events) = self.dial().await?;
            clients.push(client);
            events.push(its_events);
        }
        Ok((clients, events))
    }

    async fn dial(&mut self) -> Result<(Client, Events), Error> {
        let mut random = (self.random)();
        let key = X25519PrivateKey::generate(random.as_mut());
        let options = ConnectOptions { timeout: self.timeout, ..ConnectOptions::default() };
        let connection = connect(&self.server, &self.connector, options, key).await;
        let connection = connection.map_err(|error| grp::connect_error(&self.server, &error))?;
        let options = ClientOptions { command_timeout: self.timeout, ..ClientOptions::default() };
        Ok(Client::start(connection, options, random))
    }
}

fn refused(plan: &Plan, error: &ClientError) -> Error {
    let refused = Error::new(grp::code(error.blame()), format!("creating a queue: {error}")).at(&plan.server);
    match (error, &plan.password) {
        (ClientError::Refused(smp::error::Error::Auth), None) => {
            refused.hint("the server may want a password to create queues: --password-file")
        }
        (ClientError::Refused(smp::error::Error::Auth), Some(_)) => {
            refused.hint("the password is wrong, or the server creates no queues")
        }
        _ => refused,
    }
}

/// The one that serves the queue with this number, all having about the same share.
fn share(clients: &[Client], number: usize) -> Option<&Client> {
    clients.get(number.checked_rem(clients.len())?)
}

/// Creates all queues, until one fails or a signal comes; what was created by then is returned in any case.
async fn create(
    plan: &Plan,
    keys: Vec<Keys>,
    recipients: &[Client],
    senders: &[Client],
    shutdown: &Shutdown,
) -> (Vec<Arc<Flow>>, Result<(), ClientError>) {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for (number, keys) in keys.into_iter().enumerate() {
        let Ok(turn) = at_once.clone().acquire_owned().await else { break };
        let (Some(recipient), Some(sender)) = (share(recipients, number), share(senders, number)) else { break };
        if shutdown.is_requested() || at_once.is_closed() {
            break;
        }
        let (recipient, sender, password) = (recipient.clone(), sender.clone(), plan.password.clone());
        let (at_once, window) = (at_once.clone(), plan.style.window);
        under_way.spawn(async move {
            let created = Flow::create(number, keys, &recipient, &sender, password, window).await;
            drop(turn);
            // After a failure no other queue is begun.
            created.inspect_err(|_| at_once.close())
        });
    }
    let (mut flows, mut outcome) = (Vec::new(), Ok(()));
    for created in under_way.join_all().await {
        match created {
            Ok(flow) => flows.push(Arc::new(flow)),
            Err(error) => outcome = Err(error),
        }
    }
    (flows, outcome)
}

/// Sends for as long as the plan says, then waits for what is under way.
async fn load(
    plan: &Plan,
    flows: &[Arc<Flow>],
    recipients: &[Client],
    events: Vec<Events>,
    senders: &[Client],
    tally: &Arc<Tally>,
    shutdown: &mut Shutdown,
) -> Loaded {
    let (mut sending, mut receiving) = (JoinSet::new(), JoinSet::new());
    let mut inboxes = HashMap::new();
    for flow in flows {
        let (inbox, arriving) = mpsc::unbounded_channel();
        inboxes.insert(EntityId::from(flow.recipient_id.clone()), inbox);
        if let Some(client) = share(recipients, flow.number) {
            receiving.spawn(flow.clone().receive(client.clone(), arriving, plan.style, tally.clone()));
        }
    }
    let inboxes = Arc::new(inboxes);
    for events in events {
        receiving.spawn(distribute(events, inboxes.clone(), tally.clone()));
    }
    let start = Instant::now();
    for flow in flows {
        if let Some(client) = share(senders, flow.number) {
            sending.spawn(flow.clone().send(client.clone(), plan.style, tally.clone()));
        }
    }
    tokio::select! {
        () = tokio::time::sleep(plan.duration) => {}
        () = shutdown.requested() => {}
        () = async { while sending.join_next().await.is_some() {} } => {}
    }
    let (sent, received) = tally.sent_and_received();
    let loaded = Loaded { lasted: start.elapsed(), sent, received };
    flows.iter().for_each(|flow| flow.stop());
    sending.join_all().await;
    tally.drained(plan.timeout).await;
    loaded
}

/// Brings messages to the flows they belong to.
async fn distribute(
    mut events: Events,
    inboxes: Arc<HashMap<EntityId, mpsc::UnboundedSender<Message>>>,
    tally: Arc<Tally>,
) {
    while let Some(Event { entity_id, response }) = events.next().await {
        match (response, inboxes.get(&entity_id)) {
            (Ok(Response::Msg(id, body)), Some(inbox)) => {
                let _ = inbox.send(Message { id, body });
            }
            (other, _) => tally.failed("receive", format!("unexpected {other:?}")),
        }
    }
    tally.failed("receive", "the connection ended");
}

/// Deletes all queues, over new connections where the old ones are gone.
async fn delete<R: FnMut() -> Box<dyn Random + Send>>(
    dialler: &mut Dialler<R>,
    flows: &[Arc<Flow>],
    mut recipients: Vec<Client>,
    tally: &Arc<Tally>,
) {
    for client in recipients.iter_mut().filter(|client| client.is_closed()) {
        match dialler.dial().await {
            Ok((fresh, _)) => *client = fresh,
            Err(error) => tally.failed("delete", error),
        }
    }
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for flow in flows {
        let Ok(turn) = at_once.clone().acquire_owned().await else { break };
        let Some(client) = share(&recipients, flow.number).cloned() else { break };
        let (flow, tally) = (flow.clone(), tally.clone());
        under_way.spawn(async move {
            if let Err(error) = flow.delete(&client).await {
                tally.failed("delete", error);
            }
            drop(turn);
        });
    }
    under_way.join_all().await;
}

fn report(plan: &Plan, version: u16, created: Duration, loaded: &Loaded, deleted: Duration, tally: &Tally) -> Load {
    let counts = tally.counts();
    Load {
        server: plan.server.to_string(),
        version,
        queues: plan.queues,
        connections: plan.connections,
        senders: plan.senders,
        message_bytes: plan.style.size,
        checked: plan.style.check,
        create_ms: millis(created),
        create_per_sec: per_second(plan.queues.into(), created),
        load_ms: millis(loaded.lasted),
        messages_sent: counts.sent,
        messages_received: counts.received,
        send_per_sec: per_second(loaded.sent, loaded.lasted),
        receive_per_sec: per_second(loaded.received, loaded.lasted),
        latency_p50_us: counts.latencies.percentile(50),
        latency_p90_us: counts.latencies.percentile(90),
        latency_p99_us: counts.latencies.percentile(99),
        latency_max_us: counts.latencies.max(),
        delete_ms: millis(deleted),
        errors: counts.errors(),
        failures: counts.failures(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn per_second(count: u64, duration: Duration) -> u64 {
    let rate = u128::from(count).saturating_mul(1_000_000).checked_div(duration.as_micros());
    u64::try_from(rate.unwrap_or(0)).unwrap_or(u64::MAX)
}
