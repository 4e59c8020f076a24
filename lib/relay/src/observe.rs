//! Watching a relay, for a record of the protocol step by step.

use std::sync::Arc;

use agent::short_link::ContactShortLink;
use group::relay::{ConnectionName, ServiceId};
use net::client::Exchange;
use smp::address::ServerAddress;

/// Something that a relay does or hears.
#[derive(Debug)]
pub enum Observed<'a> {
    /// A command to a server that the relay reads group links from. Those of the agent are shown by the agent's observer.
    Command(&'a ServerAddress, &'a Exchange<'a>),
    /// A body is handed to the agent, to be sent.
    Says(ConnectionName, &'a [u8]),
    /// A body came, and is handed to the machine.
    Hears(ConnectionName, &'a [u8]),
    /// Something was done about a link, or could not be done.
    Link(ServiceId, LinkStep, &'a ContactShortLink, Done),
    /// A line of the log that is durable now.
    Logged(&'a str),
}

/// What is done about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStep {
    /// The group link of an invitation is read.
    ReadGroupLink,
    /// The group link is read, to see whether it lists the relay.
    LookAtGroupLink,
    /// The relay link is created.
    CreateRelayLink,
    /// The relay link is deleted.
    DeleteRelayLink,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// With what was wanted.
    Yes,
    /// Not now.
    NotYet,
    /// For good.
    No,
}

/// Told of everything. Must not block.
#[derive(Clone)]
pub struct Observer(Arc<Observe>);

type Observe = dyn Fn(&Observed<'_>) + Send + Sync;

impl Observer {
    /// Calls `observe`.
    pub fn new(observe: impl Fn(&Observed<'_>) + Send + Sync + 'static) -> Self {
        Observer(Arc::new(observe))
    }

    /// Nobody watches.
    pub fn none() -> Self {
        Observer::new(|_| {})
    }

    pub(crate) fn show(&self, observed: &Observed<'_>) {
        (self.0)(observed);
    }
}
