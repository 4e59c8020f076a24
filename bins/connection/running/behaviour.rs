//! How the agent of a run behaves.

use std::sync::Arc;
use std::time::Instant;

use agent::time::Time;
use cli::{Clock, Timeout, Trace};
use net::agent::{AgentExchange, AgentObserver, AgentOptions};
use net::client::ClientOptions;
use net::handshake::ConnectOptions;
use net::steady::SteadyOptions;

use super::Watch;

/// An agent that gives up no later than its user.
pub(crate) fn options(timeout: Timeout, watch: Watch, observer: AgentObserver) -> AgentOptions {
    let limit = timeout.duration();
    let steady = SteadyOptions {
        connect: ConnectOptions { timeout: limit, ..ConnectOptions::default() },
        client: ClientOptions { command_timeout: limit, ..ClientOptions::default() },
        ..SteadyOptions::default()
    };
    AgentOptions { steady, receive: watch != Watch::Send, observer: Some(observer), ..AgentOptions::default() }
}

/// Records every command.
pub(crate) fn observer(trace: Trace, who: &'static str) -> AgentObserver {
    Arc::new(move |observed: &AgentExchange<'_>| {
        crate::trace_exchange(&trace, who, &observed.server.to_string(), "", &observed.exchange)
    })
}

/// Time goes on during a run, whatever moment it is said to begin at: a retry waits for its time.
pub(crate) fn clock(clock: Clock) -> net::agent::Clock {
    let (begun, start) = (Time::from_millis(clock.millis()), Instant::now());
    Arc::new(move || if clock.is_fixed() { begun.after(start.elapsed()) } else { Time::from_millis(clock.millis()) })
}
