//! Choices that depend on a seed alone.

use std::ops::RangeInclusive;
use std::time::Duration;

use crypto::{SeededRandom, random};

/// Choices of one kind; those of another kind under the same seed are unrelated.
#[derive(Clone)]
pub struct Dice(SeededRandom);

/// The bytes behind a run's number.
pub fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

impl Dice {
    /// Choices for `purpose` in the run with this number.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Dice(SeededRandom::new(&seed_bytes(seed), purpose))
    }

    /// A number in the range.
    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        range.start() + u64::from_be_bytes(random::array(&mut self.0)) % width.max(1)
    }

    /// A duration in the range of milliseconds.
    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.between(range))
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&mut self, chance: u64) -> bool {
        chance > 0 && self.between(0..=999) < chance
    }

    /// True in half of the cases.
    pub fn coin(&mut self) -> bool {
        self.per_mille(500)
    }

    /// One of the choices.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        let index = usize::try_from(self.between(0..=choices.len() as u64 - 1)).unwrap();
        choices[index].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_depend_on_seed_and_purpose_and_stay_in_range() {
        let draw = |seed, purpose| -> Vec<u64> {
            let mut dice = Dice::new(seed, purpose);
            (0..100).map(|_| dice.between(3..=9)).collect()
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert!(draw(1, "a").iter().all(|number| (3..=9).contains(number)));
        let mut dice = Dice::new(1, "never and always");
        assert!((0..100).all(|_| !dice.per_mille(0) && dice.per_mille(1000)));
    }
}
