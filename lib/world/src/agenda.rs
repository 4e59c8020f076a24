//! What will happen, in the order in which it will.

use std::collections::BTreeMap;

use agent::time::Time;

/// Things to come. Those of one moment happen in the order in which they were added.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BTreeMap<(Time, u64), T>,
    added: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { entries: BTreeMap::new(), added: 0 }
    }
}

impl<T> Agenda<T> {
    /// `what` will happen at `when`.
    pub fn add(&mut self, when: Time, what: T) {
        self.entries.insert((when, self.added), what);
        self.added += 1;
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.entries.first_key_value().map(|((when, _), _)| *when)
    }

    /// Takes the next thing.
    pub fn take_next(&mut self) -> Option<(Time, T)> {
        self.entries.pop_first().map(|((when, _), what)| (when, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_order_of_time_then_of_addition() {
        let mut agenda = Agenda::default();
        for (millis, what) in [(2, "c"), (1, "a"), (2, "d"), (1, "b")] {
            agenda.add(Time::from_millis(millis), what);
        }
        assert_eq!(agenda.next_at(), Some(Time::from_millis(1)));
        let order: Vec<_> = std::iter::from_fn(|| agenda.take_next()).map(|(_, what)| what).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
