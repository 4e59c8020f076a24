//! Everything about a server that can be chosen.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codec::VersionRange;
use smp::id::CorrId;
use smp::response::Response;
use smp::version;

use crate::step::new::Admission;

const HOUR: Duration = Duration::from_secs(3600);

/// How a server behaves. The defaults are those of the reference server, where it has them.
#[derive(Debug, Clone)]
pub struct Config {
    /// Offered to clients; within the versions that are supported.
    pub versions: VersionRange,
    /// Who may create queues.
    pub admission: Admission,
    /// Messages that a queue may hold.
    pub quota: usize,
    /// When messages are forgotten.
    pub expiry: Expiry,
    /// How long `END` and `DELD` are collected before they are sent.
    pub event_delay: Duration,
    /// When silent connections are closed; `None` never closes them.
    pub inactivity: Option<Inactivity>,
    /// For TLS.
    pub tls_timeout: Duration,
    /// For the hellos after it.
    pub handshake_timeout: Duration,
    /// How long a client may leave a block unread before it is taken for dead.
    pub write_timeout: Duration,
    /// How long connections may finish what they began when the server stops.
    pub drain_timeout: Duration,
    /// What clients may take.
    pub limits: Limits,
    /// Where the time comes from.
    pub clock: Clock,
    /// Told of every answer.
    pub observer: Option<Observer>,
}

/// Told of every answer, with the correlation ID of its command, just before it goes out. Must not block.
#[derive(Clone)]
pub struct Observer(Arc<Observe>);

type Observe = dyn Fn(&CorrId, &Response) + Send + Sync;

impl Observer {
    /// Calls `observe`.
    pub fn new(observe: impl Fn(&CorrId, &Response) + Send + Sync + 'static) -> Self {
        Observer(Arc::new(observe))
    }

    pub(crate) fn answered(&self, corr_id: &CorrId, response: &Response) {
        (self.0)(corr_id, response);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// When messages are forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Expiry {
    /// The age that messages may reach.
    pub ttl: Duration,
    /// How often all queues are looked through.
    pub interval: Duration,
    /// Whether all queues are looked through at start.
    pub on_start: bool,
    /// Whether a queue is looked at when a message arrives.
    pub on_send: bool,
}

impl Expiry {
    /// Messages accepted before this time have expired.
    pub fn before(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX))
    }
}

/// When silent connections are closed.
#[derive(Debug, Clone, Copy)]
pub struct Inactivity {
    /// How long neither side may be silent on a connection without subscription.
    pub ttl: Duration,
    /// How often connections are looked at.
    pub interval: Duration,
}

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 network of 64 bits.
    pub connections_per_address: usize,
    /// Blocks of one connection that are under way before its next one is read.
    pub blocks_in_flight: usize,
    /// Blocks of all connections that may wait for the disk.
    pub unwritten_blocks: usize,
    /// Bytes of message bodies kept for delivery; others are read from disk.
    pub body_memory: usize,
    /// Reads from disk at a time.
    pub reads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            versions: version::SUPPORTED,
            admission: Admission::default(),
            quota: 128,
            expiry: Expiry { ttl: 21 * 24 * HOUR, interval: 2 * HOUR, on_start: true, on_send: false },
            event_delay: Duration::from_secs(15),
            inactivity: Some(Inactivity { ttl: 6 * HOUR, interval: HOUR }),
            tls_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            clock: Clock::default(),
            observer: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 20_000,
            connections_per_address: 10_000,
            blocks_in_flight: 16,
            unwritten_blocks: 4096,
            body_memory: 256 << 20,
            reads: 8,
        }
    }
}

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system.
    #[default]
    System,
    /// Whoever holds the other end, in Unix seconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Unix seconds.
    pub fn now(&self) -> i64 {
        match self {
            Self::Manual(seconds) => seconds.load(Ordering::Relaxed),
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
            }
        }
    }
}
