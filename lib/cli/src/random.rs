//! Randomness and time of a run: from the system, or from a seed and `--now`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use codec::text::array_from_base64url;
use crypto::{Random, SeededRandom};

use crate::{Code, Error, Secret, file};

const MAX_SEED_FILE: usize = 4096;

/// The system's randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::expect_used, reason = "a system without randomness must not make keys")]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system gives random bytes");
    }
}

/// The randomness of one step: of the system, or of a seed.
pub(crate) fn source(seed: Option<&Secret<32>>, step: &str) -> Box<dyn Random + Send> {
    match seed {
        Some(seed) => Box::new(SeededRandom::new(seed.expose(), step)),
        None => Box::new(SystemRandom),
    }
}

/// Reads a seed: 32 bytes in base64url or hex; lines that begin with `#` are remarks.
pub(crate) fn seed_from_file(path: &Path) -> Result<Secret<32>, Error> {
    let bytes = file::read(path, MAX_SEED_FILE)?;
    let malformed = || {
        Error::new(Code::SeedMalformed, "expected 32 bytes in base64url or hex")
            .at(path.display())
            .hint("a seed is easily made: head -c 32 /dev/urandom | basenc --base64url")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(malformed()) };
    from_hex(line).or_else(|| array_from_base64url(line).ok()).map(Secret::new).ok_or_else(malformed)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The time of a run: the system's, or what `--now` says.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub(crate) fixed: Option<u64>,
}

impl Clock {
    /// Whether `--now` says what time it is.
    pub fn is_fixed(self) -> bool {
        self.fixed.is_some()
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> u64 {
        match self.fixed {
            Some(seconds) => seconds.saturating_mul(1000),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_64_digits() {
        assert_eq!(from_hex(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(from_hex(&"0".repeat(63)), None);
        assert_eq!(from_hex(&"+f".repeat(32)), None);
    }
}
