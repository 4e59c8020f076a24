//! Sessions between hosts and servers: ordered both ways, late, and cut without either end being told.

use std::time::Duration;

use agent::time::Time;

use crate::host::HostId;

/// Names a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub usize);

/// One session.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) host: HostId,
    pub(crate) server: ServerId,
    pub(crate) to_server: Direction,
    pub(crate) to_host: Direction,
}

/// One direction of a session.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    last_arrival: Time,
    cut_at: Option<Time>,
    /// What is under way is kept so long by somebody in between.
    pub(crate) stall: Duration,
}

impl Wire {
    pub(crate) fn new(host: HostId, server: ServerId) -> Self {
        Wire { host, server, to_server: Direction::default(), to_host: Direction::default() }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.to_server.cut_at.is_some() || self.to_host.cut_at.is_some()
    }
}

impl Direction {
    /// When something arrives that would be there at `at` if nothing were before it; nothing if it is lost.
    pub(crate) fn arrival(&mut self, at: Time) -> Option<Time> {
        self.last_arrival = self.last_arrival.max(at);
        self.cut_at.is_none_or(|cut| self.last_arrival < cut).then_some(self.last_arrival)
    }

    /// Nothing arrives from `at` on.
    pub(crate) fn cut(&mut self, at: Time) {
        self.cut_at = Some(self.cut_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Whether something that would have arrived at `at` does arrive.
    pub(crate) fn delivers(&self, at: Time) -> bool {
        self.cut_at.is_none_or(|cut| at < cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_later_never_overtakes_and_a_cut_is_final() {
        let mut direction = Direction::default();
        let at = Time::from_millis;
        assert_eq!(direction.arrival(at(10)), Some(at(10)));
        assert_eq!(direction.arrival(at(5)), Some(at(10)));
        direction.cut(at(20));
        direction.cut(at(30));
        assert_eq!(direction.arrival(at(19)), Some(at(19)));
        assert!(direction.delivers(at(19)) && !direction.delivers(at(20)));
        assert_eq!(direction.arrival(at(20)), None);
    }
}
