//! A host: what is durable on it, and what only lives until it crashes.

use std::collections::{BTreeMap, BTreeSet};

use agent::connection::Connection;
use agent::connection::fault::LoadError;
use agent::connection::record::{Change, RecordKey};
use agent::connection::task::{Task, TaskId};
use agent::time::Time;
use crypto::{Random, SeededRandom};
use smp::id::{CorrId, RecipientId};
use zeroize::Zeroizing;

use crate::application::Application;
use crate::dice::seed_bytes;
use crate::network::ServerId;
use crate::server::{SessionNumber, SessionTerms};

/// Names a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// The moments of a transaction at which a host may crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersistPoint {
    /// The step is lost, and nothing has left the host.
    BeforeCommit,
    /// The step is durable, and nothing has left the host.
    AfterCommit,
    /// The step is durable and one command has left the host; nothing else has.
    AfterEffect,
}

/// Whether a host keeps to the contract of running connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discipline {
    /// It commits, then acts.
    #[default]
    Kept,
    /// It acts, then commits.
    ActsBeforeCommit,
    /// It writes this record once and never again.
    WritesOnce(RecordKey),
}

/// All records of a connection.
pub type Records = BTreeMap<RecordKey, Zeroizing<Vec<u8>>>;

/// What survives a crash.
pub(crate) struct Disk<A: Application> {
    pub(crate) connections: BTreeMap<String, Records>,
    pub(crate) application: A::Kept,
}

/// What does not.
pub(crate) struct Memory<A> {
    pub(crate) application: A,
    pub(crate) connections: BTreeMap<String, Active>,
    pub(crate) uplinks: BTreeMap<ServerId, Uplink>,
    /// By session: commands that have one of their own.
    pub(crate) calls: BTreeMap<SessionNumber, Call>,
}

impl<A> Memory<A> {
    pub(crate) fn new(application: A) -> Self {
        Memory { application, connections: BTreeMap::new(), uplinks: BTreeMap::new(), calls: BTreeMap::new() }
    }
}

/// A command that was given in a session of its own.
pub(crate) struct Call {
    pub(crate) token: u64,
    pub(crate) version: u16,
}

/// A connection in memory.
pub(crate) struct Active {
    pub(crate) connection: Connection,
    /// Tasks that are under way.
    pub(crate) running: BTreeSet<TaskId>,
    /// The moment for which a timer is set.
    pub(crate) timer: Option<Time>,
    /// When the application will have handled what it was told last.
    pub(crate) told_until: Time,
}

impl Active {
    pub(crate) fn new(connection: Connection) -> Self {
        Active { connection, running: BTreeSet::new(), timer: None, told_until: Time::default() }
    }
}

/// How a host stands to a server.
#[derive(Default)]
pub(crate) struct Uplink {
    pub(crate) state: UplinkState,
    /// How often connecting has failed.
    pub(crate) failures: u32,
    /// Tasks that wait for the session.
    pub(crate) held: Vec<(String, TaskId, Task)>,
}

#[derive(Default)]
pub(crate) enum UplinkState {
    /// Nothing is tried.
    #[default]
    Idle,
    /// An attempt is under way, or will be after a pause.
    Connecting,
    /// There is a session.
    Up(Box<Uplinked>),
}

pub(crate) struct Uplinked {
    pub(crate) session: SessionNumber,
    pub(crate) terms: SessionTerms,
    /// Commands without an answer yet.
    pub(crate) waiting: BTreeMap<CorrId, Waiting>,
    /// Queues that the session is or will be subscribed to, as far as the host knows.
    pub(crate) subscribed: BTreeSet<RecipientId>,
}

/// What a command was given for.
#[derive(Debug, Clone)]
pub(crate) enum Waiting {
    Task(String, TaskId),
    Subscription(String),
}

/// One host.
pub(crate) struct Host<A: Application> {
    pub(crate) name: String,
    pub(crate) random: RecordingRandom,
    pub(crate) disk: Disk<A>,
    /// Nothing while it is down.
    pub(crate) memory: Option<Memory<A>>,
    /// Counts crashes: what was to happen before one does not happen after it.
    pub(crate) life: u64,
    pub(crate) online: bool,
    pub(crate) discipline: Discipline,
    /// Counts transactions.
    pub(crate) turns: u64,
    /// In this transaction and at this point it will crash.
    pub(crate) crash_at: Option<(u64, PersistPoint)>,
}

impl<A: Application> Host<A> {
    pub(crate) fn new(seed: u64, name: &str, application: A) -> Self {
        Host {
            name: name.to_owned(),
            random: RecordingRandom::new(seed, name),
            disk: Disk { connections: BTreeMap::new(), application: application.kept() },
            memory: Some(Memory::new(application)),
            life: 0,
            online: true,
            discipline: Discipline::Kept,
            turns: 0,
            crash_at: None,
        }
    }
}

impl<A: Application> Disk<A> {
    /// Makes changes of a connection durable.
    pub(crate) fn write(&mut self, name: &str, changes: &[Change], discipline: Discipline) {
        let records = self.connections.entry(name.to_owned()).or_default();
        for change in changes {
            if discipline == Discipline::WritesOnce(change.key) && records.contains_key(&change.key) {
                continue;
            }
            match &change.value {
                Some(value) => {
                    records.insert(change.key, value.clone());
                }
                None => {
                    records.remove(&change.key);
                }
            }
        }
    }

    /// What is on disk and not in memory, or the other way round: every change must have been among the changes.
    pub(crate) fn difference(&self, name: &str, connection: &Connection) -> Option<String> {
        let in_memory: Records = connection.records().into_iter().collect();
        let on_disk = self.connections.get(name)?;
        let mut keys: Vec<_> = in_memory.keys().chain(on_disk.keys()).collect();
        keys.retain(|key| in_memory.get(key) != on_disk.get(key));
        keys.dedup();
        (!keys.is_empty()).then(|| format!("{name}: the changes leave out {keys:?}"))
    }

    /// The connection as it is on disk, if there is one.
    pub(crate) fn load(&self, name: &str) -> Result<Option<Connection>, LoadError> {
        let Some(records) = self.connections.get(name) else { return Ok(None) };
        Connection::load(records.iter().map(|(key, value)| (*key, value.clone()))).map(Some)
    }
}

/// A host's randomness, which remembers what may have become keys: whoever listens to the whole world may know them.
pub(crate) struct RecordingRandom {
    source: SeededRandom,
    pub(crate) drawn: Vec<[u8; 32]>,
}

impl RecordingRandom {
    fn new(seed: u64, name: &str) -> Self {
        RecordingRandom { source: SeededRandom::new(&seed_bytes(seed), &format!("host {name}")), drawn: Vec::new() }
    }
}

impl Random for RecordingRandom {
    fn fill(&mut self, out: &mut [u8]) {
        self.source.fill(out);
        if let Ok(key) = (&*out).try_into() {
            self.drawn.push(key);
        }
    }
}
