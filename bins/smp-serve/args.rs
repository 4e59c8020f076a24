//! Everything about the server that can be chosen, as flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args as ArgGroup, ValueEnum};
use codec::VersionRange;
use grp::values::{Seconds, StoreUrl};
use net::identity::Algorithm;
use smp::address::Host;
use smp::version::SUPPORTED;
use smp_server::config::{Config, Expiry, Inactivity, Limits};
use smp_server::sqlite::Space;
use smp_server::step::new::Admission;

/// Arguments of `smp-serve`.
#[derive(ArgGroup)]
pub(crate) struct Args {
    /// Listen on ADDR; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:5223")]
    pub(crate) listen: SocketAddr,

    /// Names under which clients reach the server, joined by commas; they stand in its address and certificate.
    /// Without them: the address it listens on
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub(crate) host: Vec<Host>,

    /// Keep certificates and keys in DIR; they are made at the first start
    #[arg(long, value_name = "DIR", default_value = "smp-identity")]
    pub(crate) identity: PathBuf,

    /// Algorithm of the certificates that are made at the first start
    #[arg(long, value_enum, default_value_t, hide_short_help = true)]
    pub(crate) algorithm: AlgorithmName,

    /// Keep queues and messages in the file at PATH
    #[arg(long, value_name = "sqlite://PATH", default_value = "sqlite://smp-queues.sqlite")]
    pub(crate) store: StoreUrl,

    /// Let that file grow to so much; what needs more is refused as on a full disk. Its log, which takes some 32 MiB
    /// and more under load, is not counted
    #[arg(long, value_name = "MIB", value_parser = mebibytes(1))]
    store_limit: Option<u64>,

    /// Hold so much of the disk beside that file, up to an eighth of it, so that messages can still be received, and
    /// queues deleted, when the disk is full
    #[arg(long, value_name = "MIB", default_value = "64", value_parser = mebibytes(0), hide_short_help = true)]
    store_reserve: u64,

    /// Serve /metrics (Prometheus) and /health on ADDR over plain HTTP
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,

    /// Take the operator's orders (blocking of queues) on a Unix socket at PATH that only this user can open
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub(crate) control: Option<PathBuf>,

    /// Offer these SMP versions
    #[arg(long, value_name = "MIN-MAX", default_value_t = SUPPORTED, value_parser = versions, hide_short_help = true)]
    pub(crate) versions: VersionRange,

    /// Let clients create queues
    #[arg(long, value_enum, default_value = "on")]
    pub(crate) new_queues: Switch,

    /// Ask for the password in FILE before a queue is created
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Keep at most this many messages in a queue
    #[arg(long, value_name = "MESSAGES", default_value_t = 128, value_parser = quota)]
    pub(crate) quota: usize,

    #[command(flatten)]
    pub(crate) times: Times,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// When things happen and how long they may take.
#[derive(ArgGroup)]
#[command(next_help_heading = "Times")]
pub(crate) struct Times {
    /// Forget messages that are older
    #[arg(long, value_name = "SECS", default_value = "1814400")]
    message_ttl: Seconds,

    /// Look for messages to forget this often
    #[arg(long, value_name = "SECS", default_value = "7200", hide_short_help = true)]
    expire_every: Seconds,

    /// Look for messages to forget at start
    #[arg(long, value_enum, default_value = "on", hide_short_help = true)]
    expire_on_start: Switch,

    /// Look for messages to forget in a queue when a message arrives in it
    #[arg(long, value_enum, default_value = "off", hide_short_help = true)]
    expire_on_send: Switch,

    /// Collect END and DELD events this long before they are sent
    #[arg(long, value_name = "SECS", default_value = "15", hide_short_help = true)]
    event_delay: Seconds,

    /// Close connections without subscription that have been silent for so long; 0 never does
    #[arg(long, value_name = "SECS", default_value = "21600", hide_short_help = true)]
    inactive_ttl: Seconds,

    /// Look for silent connections this often
    #[arg(long, value_name = "SECS", default_value = "3600", hide_short_help = true)]
    inactive_check: Seconds,

    /// Give a client so long for TLS
    #[arg(long, value_name = "SECS", default_value = "60", hide_short_help = true)]
    tls_timeout: Seconds,

    /// Give a client so long for the SMP handshake
    #[arg(long, value_name = "SECS", default_value = "120", hide_short_help = true)]
    handshake_timeout: Seconds,

    /// Take a client for dead that does not read for so long
    #[arg(long, value_name = "SECS", default_value = "300", hide_short_help = true)]
    write_timeout: Seconds,

    /// Let connections finish for so long after SIGTERM or SIGINT
    #[arg(long, value_name = "SECS", default_value = "10", hide_short_help = true)]
    drain_timeout: Seconds,
}

/// What clients may take.
#[derive(ArgGroup)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Serve at most this many connections
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    max_connections: usize,

    /// Serve at most this many connections of one IPv4 address or one IPv6 network of 64 bits
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_per_address)]
    max_connections_per_address: usize,

    /// Work on at most this many blocks of one connection at a time
    #[arg(long, value_name = "N", default_value_t = Limits::default().blocks_in_flight, hide_short_help = true)]
    max_blocks_in_flight: usize,

    /// Let at most this many blocks of all connections wait for the disk
    #[arg(long, value_name = "N", default_value_t = Limits::default().unwritten_blocks, hide_short_help = true)]
    max_unwritten_blocks: usize,

    /// Keep up to so much of message bodies in memory for delivery
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().body_memory >> 20, hide_short_help = true)]
    body_memory: usize,
}

impl Args {
    /// The space that the store may take.
    pub(crate) fn space(&self) -> Space {
        Space { limit: self.store_limit.map(|mib| mib << 20), reserve: self.store_reserve << 20 }
    }

    /// The server's configuration. The password comes from its file.
    pub(crate) fn config(&self, password: Option<smp::command::BasicAuth>) -> Config {
        let Times { message_ttl, expire_every, event_delay, inactive_ttl, inactive_check, .. } = &self.times;
        Config {
            versions: self.versions,
            admission: Admission { closed: self.new_queues == Switch::Off, password },
            quota: self.quota,
            expiry: Expiry {
                ttl: message_ttl.0,
                interval: expire_every.0,
                on_start: self.times.expire_on_start == Switch::On,
                on_send: self.times.expire_on_send == Switch::On,
            },
            event_delay: event_delay.0,
            inactivity: (!inactive_ttl.0.is_zero())
                .then_some(Inactivity { ttl: inactive_ttl.0, interval: inactive_check.0 }),
            tls_timeout: self.times.tls_timeout.0,
            handshake_timeout: self.times.handshake_timeout.0,
            write_timeout: self.times.write_timeout.0,
            drain_timeout: self.times.drain_timeout.0,
            limits: self.limits.limits(),
            ..Config::default()
        }
    }
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections,
            connections_per_address: self.max_connections_per_address,
            blocks_in_flight: self.max_blocks_in_flight.max(1),
            unwritten_blocks: self.max_unwritten_blocks.max(1),
            body_memory: self.body_memory.saturating_mul(1 << 20),
            ..Limits::default()
        }
    }
}

/// A flag that says which way it is set.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    Off,
}

/// Algorithms of certificates.
#[derive(ValueEnum, Debug, Clone, Copy, Default)]
pub(crate) enum AlgorithmName {
    #[default]
    Ed25519,
    Ed448,
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Ed25519 => Algorithm::Ed25519,
            AlgorithmName::Ed448 => Algorithm::Ed448,
        }
    }
}

fn versions(text: &str) -> Result<VersionRange, String> {
    let range: VersionRange = text.parse().map_err(|_| "expected MIN-MAX".to_owned())?;
    let known = SUPPORTED.contains(range.min()) && SUPPORTED.contains(range.max());
    if known { Ok(range) } else { Err(format!("supported are {SUPPORTED}")) }
}

fn mebibytes(least: u64) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(least..1 << 30)
}

fn quota(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|quota| *quota > 0).ok_or("not a number of messages above 0")
}
