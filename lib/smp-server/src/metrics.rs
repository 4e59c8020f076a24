//! Counters: aggregates only, nothing about a single queue or client.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use smp::error::Error;
use store::Statistics;

/// Commands by tag.
const TAGS: [&str; 24] = [
    "NEW", "SUB", "SUBS", "KEY", "RKEY", "LSET", "LDEL", "NKEY", "NDEL", "GET", "ACK", "OFF", "DEL", "QUE", "SKEY",
    "SEND", "PING", "LKEY", "LGET", "NSUB", "NSUBS", "PRXY", "PFWD", "RFWD",
];

/// One number that only grows, or grows and shrinks.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: usize) {
        self.0.fetch_sub(u64::try_from(count).unwrap_or_default(), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) connections: Counter,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed_handshakes: Counter,
    pub(crate) inactive: Counter,
    pub(crate) blocks_received: Counter,
    pub(crate) blocks_sent: Counter,
    pub(crate) messages_received: Counter,
    pub(crate) messages_delivered: Counter,
    pub(crate) messages_acknowledged: Counter,
    pub(crate) messages_expired: Counter,
    pub(crate) recoveries: Counter,
    commands: BTreeMap<&'static str, Counter>,
    errors: BTreeMap<&'static str, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let zeros = |names: &[&'static str]| names.iter().map(|name| (*name, Counter::default())).collect();
        Metrics {
            connections: Counter::default(),
            accepted: Counter::default(),
            refused: Counter::default(),
            failed_handshakes: Counter::default(),
            inactive: Counter::default(),
            blocks_received: Counter::default(),
            blocks_sent: Counter::default(),
            messages_received: Counter::default(),
            messages_delivered: Counter::default(),
            messages_acknowledged: Counter::default(),
            messages_expired: Counter::default(),
            recoveries: Counter::default(),
            commands: zeros(&TAGS),
            errors: zeros(&ERRORS),
        }
    }
}

const ERRORS: [&str; 12] = [
    "AUTH",
    "BLOCK",
    "BLOCKED",
    "CMD",
    "CRYPTO",
    "INTERNAL",
    "LARGE_MSG",
    "NO_MSG",
    "PROXY",
    "QUOTA",
    "SERVICE",
    "STORE",
];

fn error_name(error: &Error) -> &'static str {
    match error {
        Error::Auth => "AUTH",
        Error::Block | Error::Session => "BLOCK",
        Error::Blocked(_) => "BLOCKED",
        Error::Command(_) => "CMD",
        Error::Crypto => "CRYPTO",
        Error::LargeMessage => "LARGE_MSG",
        Error::NoMessage => "NO_MSG",
        Error::Proxy(_) => "PROXY",
        Error::Quota => "QUOTA",
        Error::Service => "SERVICE",
        Error::Store(_) => "STORE",
        Error::Expired | Error::Internal | Error::Duplicate => "INTERNAL",
    }
}

/// Numbers that are not counted but looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) queues: usize,
    pub(crate) body_memory: usize,
    pub(crate) serving: bool,
    pub(crate) short_of_space: bool,
    pub(crate) store: Statistics,
}

impl Metrics {
    pub(crate) fn command(&self, tag: &str) {
        if let Some(counter) = self.commands.get(tag) {
            counter.add(1);
        }
    }

    pub(crate) fn error(&self, error: &Error) {
        if let Some(counter) = self.errors.get(error_name(error)) {
            counter.add(1);
        }
    }

    /// Everything in the text format of Prometheus.
    pub(crate) fn render(&self, gauges: Gauges) -> String {
        let mut page = Page::default();
        page.gauge("connections", "Connections that are open.", self.connections.get());
        page.gauge("queues", "Queues that exist.", gauges.queues as u64);
        page.gauge("body_memory_bytes", "Message bodies in memory.", gauges.body_memory as u64);
        page.gauge("serving", "1 unless a failure of the store is being repaired.", gauges.serving.into());
        page.gauge("store_full", "1 while there is no space for more.", gauges.short_of_space.into());
        page.counter("accepted_total", "Connections accepted.", self.accepted.get());
        page.counter("refused_total", "Connections refused because of a limit.", self.refused.get());
        page.counter("failed_handshakes_total", "Handshakes that failed.", self.failed_handshakes.get());
        page.counter("inactive_total", "Connections closed because they were silent.", self.inactive.get());
        page.counter("blocks_received_total", "Blocks received.", self.blocks_received.get());
        page.counter("blocks_sent_total", "Blocks sent.", self.blocks_sent.get());
        page.counter("messages_received_total", "Messages stored.", self.messages_received.get());
        page.counter("messages_delivered_total", "Messages sent to recipients.", self.messages_delivered.get());
        page.counter("messages_acknowledged_total", "Messages acknowledged.", self.messages_acknowledged.get());
        page.counter("messages_expired_total", "Messages expired.", self.messages_expired.get());
        page.counter("store_recoveries_total", "Failed commits recovered from.", self.recoveries.get());
        page.counter("store_commits_total", "Commits.", gauges.store.batches);
        page.counter("store_writes_total", "Writes in those commits.", gauges.store.writes);
        page.counter("store_rows_total", "Rows changed.", gauges.store.rows);
        page.counter("store_fsyncs_total", "Times the disk was asked to make writes durable.", gauges.store.fsyncs());
        page.labelled("commands_total", "Commands executed.", "command", &self.commands);
        page.labelled("errors_total", "Errors answered.", "error", &self.errors);
        page.0
    }
}

#[derive(Default)]
struct Page(String);

/// Writing to a string does not fail.
impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP smp_{name} {help}\n# TYPE smp_{name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        let _ = writeln!(self.0, "smp_{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        let _ = writeln!(self.0, "smp_{name} {value}");
    }

    fn labelled(&mut self, name: &str, help: &str, label: &str, counters: &BTreeMap<&'static str, Counter>) {
        self.head(name, help, "counter");
        for (value, counter) in counters {
            let _ = writeln!(self.0, "smp_{name}{{{label}=\"{value}\"}} {}", counter.get());
        }
    }
}
