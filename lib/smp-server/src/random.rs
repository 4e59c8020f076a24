//! Random bytes from the operating system.

use crypto::Random;

/// The operating system's source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[allow(clippy::expect_used, reason = "a server that cannot draw IDs and keys must not go on")]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}
