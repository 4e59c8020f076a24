//! What a relay does for 1,000, 10,000 and 100,000 members of one group: deliveries per second of one core, memory, and
//! the time until the last member has a post.
//!
//! The relay is a `relay-serve` with its file, the server an `smp-serve` with its own; an owner posts through a connection
//! with the relay, and every member's post is stored on the server as a message of 16 KiB, which the server counts.
//! Simulated are the members: they did not join, and their ratchets are copies of one ([`crate::crowd`]). They are away
//! while the relay works, so that only the relay is measured; twenty of them come then, take everything that was said
//! from the server, decrypt it and acknowledge it, and it has to be what the owner said.

use std::path::Path;
use std::time::{Duration, Instant};

use agent::connection::keep::{ConnectionId, Keep as _, Revision};
use agent::connection::{Change, Connection, RecordKey};
use crypto::SeededRandom;
use group::body::single;
use group::content::{Content, NewMessage};
use group::event::Event;
use group::message::Message;
use group::relay::ConnectionName;
use relay::store::RelayStore;
use serde::Deserialize;
use smp::address::ServerWithPassword;

use crate::Failure;
use crate::client::{runtime, start_client};
use crate::connections::count;
use crate::crowd::{SERVICE, join_all};
use crate::line::Session;
use crate::primitives::{Primitives, stored_message};
use crate::program::Program;
use crate::report::Measured;
use crate::server::Server;
use crate::watching::{serve_groups, write_records};

/// All but the server's.
const CORES: &str = "1-1023";
/// Members that take what was said.
const SAMPLE: u64 = 20;
/// Deliveries that are measured at least, in whole posts.
const DELIVERIES: u64 = 10_000;
/// Nothing that is waited for takes so long.
const PATIENCE: Duration = Duration::from_secs(600);

/// The names of results.
struct Names {
    deliveries: &'static str,
    wall: &'static str,
    last: &'static str,
    memory: &'static str,
    peak: &'static str,
    stored: &'static str,
}

pub(crate) fn to_1k() -> Result<Vec<Measured>, Failure> {
    let names = Names {
        deliveries: "relay_forwarding_1k",
        wall: "relay_forwarding_1k_wall",
        last: "relay_forwarding_1k_last",
        memory: "relay_memory_1k",
        peak: "relay_memory_1k_peak",
        stored: "relay_member_1k_stored",
    };
    measure(1_000, &names)
}

pub(crate) fn to_10k() -> Result<Vec<Measured>, Failure> {
    let names = Names {
        deliveries: "relay_forwarding_10k",
        wall: "relay_forwarding_10k_wall",
        last: "relay_forwarding_10k_last",
        memory: "relay_memory_10k",
        peak: "relay_memory_10k_peak",
        stored: "relay_member_10k_stored",
    };
    measure(10_000, &names)
}

pub(crate) fn to_100k() -> Result<Vec<Measured>, Failure> {
    let names = Names {
        deliveries: "relay_forwarding_100k",
        wall: "relay_forwarding_100k_wall",
        last: "relay_forwarding_100k_last",
        memory: "relay_memory_100k",
        peak: "relay_memory_100k_peak",
        stored: "relay_member_100k_stored",
    };
    measure(100_000, &names)
}

fn measure(members: u64, names: &Names) -> Result<Vec<Measured>, Failure> {
    runtime()?.block_on(async {
        let mut scene = Scene::set(members).await?;
        // The first post finds nothing in memory, and introduces the owner.
        scene.post().await?;
        let mut runs = Vec::new();
        for _ in 0..DELIVERIES.div_ceil(members) {
            runs.push(scene.post().await?);
        }
        let after = Primitives::measure();
        let peak = scene.relay.peak_memory()?;
        scene.hear().await?;
        let Scene { primitives, position, message, memory, stored, .. } = scene;
        let store = stored_message(position, message)?;
        let bound = 2.0 / (primitives.sent_message() + after.sent_message() + 2.0 * store);
        let posts = count(runs.len());
        let deliveries = posts * members_as_number(members);
        let busy: f64 = runs.iter().map(|run| run.busy).sum();
        let wall: f64 = runs.iter().map(|run| run.wall).sum();
        Ok(vec![
            Measured::of_bound(names.deliveries, deliveries / busy, "deliveries/s/core", bound),
            Measured::plain(names.wall, deliveries / wall, "deliveries/s"),
            Measured::plain(names.last, wall / posts, "s to the last"),
            Measured::limited(names.memory, memory / members_as_number(members), "bytes/idle member", 1024.0),
            Measured::plain(names.peak, peak / 1_048_576.0, "MiB"),
            Measured::plain(names.stored, stored / members_as_number(members), "bytes/member"),
            Measured::plain("primitive_stored_message", store * 1e6, "us"),
        ])
    })
}

#[allow(clippy::cast_precision_loss, reason = "members far below 2^52")]
fn members_as_number(members: u64) -> f64 {
    members as f64
}

/// A relay at work, and everybody around it.
struct Scene {
    server: Server,
    relay: Program,
    session: Session,
    owner: Connection,
    sample: Vec<Connection>,
    members: u64,
    said: u64,
    primitives: Primitives,
    /// Bytes of the records that a message changes.
    position: usize,
    message: usize,
    /// Bytes by which the process grew for all members while nothing happens.
    memory: f64,
    /// Bytes by which its file grew.
    stored: f64,
    _folder: tempfile::TempDir,
}

/// One post to everybody.
struct Run {
    /// Seconds of the relay's processor time.
    busy: f64,
    /// Seconds until the last member has it.
    wall: f64,
}

/// The relay's ready line; nothing in it is needed.
#[derive(Deserialize)]
struct Listening {}

fn start_relay(folder: &Path, server: &Server) -> Result<Program, Failure> {
    let (relay, Listening {}) = Program::start("relay-serve", CORES, |command| {
        command.current_dir(folder).arg("--quiet").args(["--server", server.address()]);
    })?;
    Ok(relay)
}

/// Waits until a program has nothing to do.
async fn settle(program: &Program) -> Result<(), Failure> {
    let mut before = program.processor_time()?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = program.processor_time()?;
        if now - before < 0.015 {
            return Ok(());
        }
        before = now;
    }
}

impl Scene {
    /// A relay that serves a group with so many members.
    async fn set(members: u64) -> Result<Self, Failure> {
        let server = Server::start()?;
        let place = ServerWithPassword { address: server.address().parse()?, password: None };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("relay.sqlite");
        // The first start makes the address.
        start_relay(folder.path(), &server)?.stop()?;
        write_records(&file, &serve_groups(&server, &place, 1).await?)?;
        let mut random = SeededRandom::new(&[11; 32], "members");
        let (client, events) = start_client(&server, &mut random).await?;
        let mut session = Session { client, events, next: None, random };
        let owner = session.connect(&place.address).await?;
        keep(&file, &ConnectionName::Owner(SERVICE, 1), &owner.relay).await?;
        let relay = start_relay(folder.path(), &server)?;
        settle(&relay).await?;
        let memory = relay.memory()?;
        relay.stop()?;
        let stored = size(&file)?;
        let line = session.connect(&place.address).await?;
        let position = length(&line.relay, RecordKey::Position);
        let sample = join_all(&mut session, line, &file, members, SAMPLE).await?;
        let stored = size(&file)? - stored;
        let primitives = Primitives::measure();
        let relay = start_relay(folder.path(), &server)?;
        settle(&relay).await?;
        let memory = relay.memory()? - memory;
        let (owner, message, said) = (owner.member, post(0, &mut session.random)?.len(), 0);
        Ok(Scene {
            server,
            relay,
            session,
            owner,
            sample,
            members,
            said,
            primitives,
            position,
            message,
            memory,
            stored,
            _folder: folder,
        })
    }

    /// The owner says something, and the server has it for everybody.
    async fn post(&mut self) -> Result<Run, Failure> {
        const COUNTER: &str = "smp_messages_received_total ";
        settle(&self.relay).await?;
        let body = post(self.said, &mut self.session.random)?;
        self.said += 1;
        let (before, busy, began) = (self.server.counter(COUNTER)?, self.relay.processor_time()?, Instant::now());
        self.session.say(&mut self.owner, &body).await?;
        // What the owner said is one of them.
        let all = before + 1.0 + members_as_number(self.members);
        while self.server.counter(COUNTER)? < all {
            if began.elapsed() > PATIENCE {
                return Err("not everybody got the post".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let wall = began.elapsed().as_secs_f64();
        settle(&self.relay).await?;
        Ok(Run { busy: self.relay.processor_time()? - busy, wall })
    }

    /// Some members take everything that was said.
    async fn hear(&mut self) -> Result<(), Failure> {
        for member in &mut self.sample {
            self.session.subscribe(member).await?;
            for number in 0..self.said {
                let body = self.session.listen(member).await?;
                let text = text(number);
                if !body.windows(text.len()).any(|part| part == text.as_bytes()) {
                    return Err(format!("a member did not get post {number}").into());
                }
            }
        }
        Ok(())
    }
}

fn text(number: u64) -> String {
    format!("post number {number} of an ordinary length, which is what people write on an ordinary day")
}

fn post(number: u64, random: &mut SeededRandom) -> Result<Vec<u8>, Failure> {
    let message = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text(&text(number))) };
    Ok(single(Message::named(Event::MessageNew(message.into()), random))?)
}

/// Puts a connection into the store of a relay that does not run.
async fn keep(file: &Path, name: &ConnectionName, connection: &Connection) -> Result<(), Failure> {
    let name = ConnectionId::new(name.to_string().as_bytes()).ok_or("name of a connection")?;
    let change = |(key, value)| Change { key, value: Some(value) };
    let changes = connection.records().into_iter().map(change).collect();
    Ok(RelayStore::open(file)?.connections()?.commit(vec![(name, Revision::Change(changes))]).await?)
}

fn length(connection: &Connection, key: RecordKey) -> usize {
    connection.records().iter().filter(|(of, _)| *of == key).map(|(_, value)| value.len()).sum()
}

#[allow(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
fn size(file: &Path) -> Result<f64, Failure> {
    Ok(std::fs::metadata(file)?.len() as f64)
}
