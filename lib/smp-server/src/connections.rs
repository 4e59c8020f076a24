//! All connections: how many there may be, and how to end them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::Limits;
use crate::outbox::Outbox;

/// What is known of all connections.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    table: Mutex<Table>,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Table {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
    outboxes: HashMap<u64, Arc<Outbox>>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    network: IpAddr,
    outbox: Option<u64>,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Connections { limits, table: Mutex::default(), closing: watch::Sender::new(false) })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection from `address`, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut table = self.table();
        let of_network = table.by_network.get(&network).copied().unwrap_or_default();
        if table.total >= self.limits.connections || of_network >= self.limits.connections_per_address {
            return None;
        }
        table.total = table.total.saturating_add(1);
        table.by_network.insert(network, of_network.saturating_add(1));
        Some(Place { connections: self.clone(), network, outbox: None })
    }

    /// Asks all connections to end, those that are being made too.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
        self.stop_where(|_| true);
    }

    /// Asks connections to end; returns how many.
    pub(crate) fn stop_where(&self, condition: impl Fn(&Outbox) -> bool) -> usize {
        let table = self.table();
        let stopping = table.outboxes.values().filter(|outbox| condition(outbox));
        stopping.map(|outbox| outbox.stop()).count()
    }
}

impl Place {
    /// Resolves when all connections shall end.
    pub(crate) async fn closing(&self) {
        // The sender lives as long as `self`.
        let _ = self.connections.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// The handshake is done: others can reach the connection now.
    pub(crate) fn occupy(&mut self, outbox: Arc<Outbox>) {
        self.outbox = Some(outbox.id());
        self.connections.table().outboxes.insert(outbox.id(), outbox.clone());
        if *self.connections.closing.borrow() {
            outbox.stop();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        table.total = table.total.saturating_sub(1);
        if let Some(id) = self.outbox {
            table.outboxes.remove(&id);
        }
        if let Some(count) = table.by_network.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.by_network.remove(&self.network);
            }
        }
    }
}

/// Whoever has one IPv6 address has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_per_network_and_given_back() {
        let connections = Connections::new(Limits { connections: 3, connections_per_address: 2, ..Limits::default() });
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = connections.admit(address("2001:db8::1")).unwrap();
        let _second = connections.admit(address("2001:db8::2")).unwrap();
        assert!(connections.admit(address("2001:db8::3")).is_none(), "two of one network");
        let _third = connections.admit(address("192.0.2.1")).unwrap();
        assert!(connections.admit(address("192.0.2.2")).is_none(), "three in all");
        drop(first);
        assert!(connections.admit(address("::ffff:192.0.2.1")).is_some());
        assert_eq!(connections.table().by_network.len(), 2);
    }
}
