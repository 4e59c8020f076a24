//! Messages sent per second of one core over many connections, each message durable before it leaves, and what a
//! connection takes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use agent::connection::keep::ConnectionId;
use agent::connection::{Connection, Event, InviteLink, JoinLink, QueuePlan, SendOptions, Settings};
use agent::time::{Env, Time};
use cpu_time::ProcessTime;
use crypto::SeededRandom;
use net::agent::{Agent, AgentEvent, AgentEvents, AgentOptions};
use net::tls::Connector;
use smp::address::ServerAddress;
use store::connections::Connections;

use crate::Failure;
use crate::primitives::Primitives;
use crate::program::memory_of_this_process;
use crate::report::Measured;
use crate::server::Server;

const CONNECTIONS: usize = 1_000;
/// Messages for each connection in one run. The peers are away, so that only sending is measured; their queues hold more.
const MESSAGES: usize = 20;
/// Of these, the one in the middle counts: machines are shared.
const RUNS: usize = 3;
/// A message of ordinary length. On the wire every message has 16 KiB.
const BODY: usize = 300;
/// How often every connection is put into memory to see what it takes.
const COPIES: usize = 10;

/// Sends to every connection at once, as a relay does, and waits until the server has everything.
pub(crate) fn measure() -> Result<Vec<Measured>, Failure> {
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let mut sender = Party::start(&folder.path().join("sender.sqlite"), server.address(), 1)?;
        let receiver = Party::start(&folder.path().join("receiver.sqlite"), server.address(), 2)?;
        connect(&mut sender, receiver).await?;
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(Run::measure(&mut sender).await?);
        }
        runs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let mut results = runs.get(RUNS / 2).ok_or("no run")?.results();
        results.extend(sender.sizes().await?);
        Ok(results)
    })
}

/// An agent with its file, and its events.
struct Party {
    agent: Agent,
    events: AgentEvents,
    server: ServerAddress,
    random: SeededRandom,
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}

fn name(index: usize) -> Result<ConnectionId, Failure> {
    ConnectionId::new(format!("connection {index}").as_bytes()).ok_or_else(|| "name of a connection".into())
}

impl Party {
    fn start(file: &Path, server: &str, seed: u8) -> Result<Self, Failure> {
        let random = SeededRandom::new(&[seed; 32], "connections");
        let source = Box::new(SeededRandom::new(&[seed; 32], "agent"));
        let keep = Connections::open(file)?;
        let (agent, events) = Agent::start(keep, Connector::new()?, AgentOptions::default(), source, Arc::new(now));
        Ok(Party { agent, events, server: server.parse()?, random })
    }

    /// Waits for an event of every connection.
    async fn all(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<(), Failure> {
        let mut missing = (0..CONNECTIONS).map(name).collect::<Result<HashSet<_>, _>>()?;
        while !missing.is_empty() {
            match self.events.next().await.ok_or("the agent has ended")? {
                AgentEvent::Connection(id, event) if wanted(&event) => drop(missing.remove(&id)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a step of every connection.
    async fn each<T: Send + 'static, E: std::error::Error + Send + Sync + 'static>(
        &self,
        step: impl Fn(&mut Connection, &mut Env<'_>) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Failure> {
        let steps = (0..CONNECTIONS).map(|index| Ok((name(index)?, step.clone()))).collect::<Result<_, Failure>>()?;
        let made = self.agent.change_many(steps).await?;
        made.into_iter().map(|outcome| outcome.map_err(|error| error.to_string().into())).collect()
    }

    /// Bytes of one connection: in the file, and in memory.
    async fn sizes(self) -> Result<Vec<Measured>, Failure> {
        let records = self.each(|connection, _| Ok::<_, std::convert::Infallible>(connection.records())).await?;
        let stored: usize = records.iter().flatten().map(|(_, value)| value.len()).sum();
        let before = memory_of_this_process()?;
        let copies = (0..COPIES).flat_map(|_| records.clone());
        let loaded = copies.map(Connection::load).collect::<Result<Vec<_>, _>>()?;
        let resident = (memory_of_this_process()? - before) / count(loaded.len());
        Ok(vec![
            Measured::plain("connection_stored", count(stored) / count(CONNECTIONS), "bytes"),
            Measured::plain("connection_in_memory", resident, "bytes"),
        ])
    }
}

/// Post-quantum connections from the sender to the receiver, who then goes away.
async fn connect(sender: &mut Party, mut receiver: Party) -> Result<(), Failure> {
    let settings = Settings::default();
    for index in 0..CONNECTIONS {
        let env = &mut Env { now: now(), random: &mut receiver.random };
        let plan = QueuePlan::at(receiver.server.clone());
        let invitation = Connection::invite(plan, InviteLink::default(), &settings, env)?;
        receiver.agent.open(name(index)?, invitation).await?;
    }
    receiver.all(|event| *event == Event::Created).await?;
    let links = receiver.each(|connection, _| connection.invitation().ok_or(std::fmt::Error)).await?;
    for (index, link) in links.into_iter().enumerate() {
        let env = &mut Env { now: now(), random: &mut sender.random };
        let mut connection = Connection::open(JoinLink::Full(Box::new(link.full)), &settings, env);
        connection.join(QueuePlan::at(sender.server.clone()), b"sender".to_vec(), env)?;
        sender.agent.open(name(index)?, connection).await?;
    }
    receiver.all(|event| matches!(event, Event::Confirmed { .. })).await?;
    receiver.each(|connection, env| connection.allow(b"receiver".to_vec(), env)).await?;
    sender.all(|event| matches!(event, Event::Connected { post_quantum: true })).await?;
    let heard = |connection: &mut Connection, _: &mut Env<'_>| {
        connection.heard();
        Ok::<_, std::convert::Infallible>(())
    };
    sender.each(heard).await?;
    receiver.agent.close().await;
    Ok(())
}

/// One run, and the primitives around it.
struct Run {
    primitives: Primitives,
    bound: f64,
    /// Seconds of processor time.
    busy: f64,
    /// Seconds.
    wall: f64,
}

impl Run {
    async fn measure(sender: &mut Party) -> Result<Self, Failure> {
        let primitives = Primitives::measure();
        let (processor, start) = (ProcessTime::now(), Instant::now());
        let body: Arc<[u8]> = vec![7; BODY].into();
        for _ in 0..MESSAGES {
            let body = body.clone();
            sender.each(move |connection, env| connection.send(&body, SendOptions::default(), env)).await?;
            sender.all(|event| matches!(event, Event::Sent { .. })).await?;
        }
        let (busy, wall) = (processor.elapsed().as_secs_f64(), start.elapsed().as_secs_f64());
        let bound = 2.0 / (primitives.sent_message() + Primitives::measure().sent_message());
        Ok(Run { primitives, bound, busy, wall })
    }

    fn ratio(&self) -> f64 {
        count(CONNECTIONS * MESSAGES) / self.busy / self.bound
    }

    fn results(&self) -> Vec<Measured> {
        let Run { primitives, bound, busy, wall } = self;
        let sent = count(CONNECTIONS * MESSAGES);
        vec![
            Measured::of_bound("connection_send", sent / busy, "messages/s/core", *bound),
            Measured::plain("connection_send_wall", sent / wall, "messages/s"),
            Measured::plain("primitive_ratchet_pass", primitives.ratchet_pass * 1e6, "us"),
            Measured::plain("primitive_ratchet_step", primitives.ratchet_step * 1e6, "us"),
            Measured::plain("primitive_sign_send", primitives.sign_send * 1e6, "us"),
        ]
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
