//! Messages expire, and silent connections are closed.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval_at};

use crate::connections::Connections;
use crate::state::State;

/// Looks through all queues from time to time.
pub(crate) async fn messages(state: Arc<State>) {
    let period = state.config.expiry.interval;
    if period.is_zero() {
        return std::future::pending().await;
    }
    let mut interval = interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        for queues in state.registry.recipients.portions() {
            state.expire_messages(&queues);
            tokio::task::yield_now().await;
        }
    }
}

/// Looks at all connections from time to time.
pub(crate) async fn connections(state: Arc<State>, connections: Arc<Connections>) {
    let Some(inactivity) = state.config.inactivity else { return std::future::pending().await };
    let ttl = i64::try_from(inactivity.ttl.as_secs()).unwrap_or(i64::MAX);
    let mut interval = interval_at(tokio::time::Instant::now() + inactivity.interval, inactivity.interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let since = state.config.clock.now().saturating_sub(ttl);
        let closed = connections.stop_where(|outbox| outbox.is_idle_since(since));
        state.metrics.inactive.add(closed);
    }
}
