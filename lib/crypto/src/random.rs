//! Where random bytes come from: always from the caller.

use sha2::{Digest, Sha512};

/// A source of random bytes. The operating system's stands on a higher floor; tests and reproducible runs bring their own.
pub trait Random {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);
}

impl<R: Random + ?Sized> Random for &mut R {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// `N` fresh random bytes.
pub fn array<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut out = [0; N];
    random.fill(&mut out);
    out
}

/// The reproducible source of marked test documents: a stream that depends only on a seed and the name of a step.
///
/// Block `i` of the stream is SHA-512 over a fixed label, the seed, the step name with its length, and `i`.
#[derive(Clone)]
pub struct SeededRandom {
    prefix: Sha512,
    counter: u64,
    block: [u8; 64],
    used: usize,
}

impl SeededRandom {
    /// Starts the stream of `step` under `seed`.
    pub fn new(seed: &[u8; 32], step: &str) -> Self {
        let length = u64::try_from(step.len()).unwrap_or(u64::MAX);
        let prefix = Sha512::new()
            .chain_update(b"grp reproducible run v1")
            .chain_update(seed)
            .chain_update(length.to_be_bytes())
            .chain_update(step);
        SeededRandom { prefix, counter: 0, block: [0; 64], used: 64 }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.block = self.prefix.clone().chain_update(self.counter.to_be_bytes()).finalize().into();
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used = self.used.saturating_add(1);
        byte
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next_byte());
    }
}
