//! What happened, to be read when a run fails.

use std::fmt::{self, Write as _};

use agent::time::Time;

/// When every world begins.
pub const START: Time = Time::from_millis(1_800_000_000_000);

/// The lines of a run, with the time since its start.
#[derive(Debug, Default)]
pub struct Trace {
    lines: String,
}

impl Trace {
    /// Notes a line.
    pub fn note(&mut self, now: Time, line: fmt::Arguments<'_>) {
        let since = now.since(START);
        let _ = writeln!(self.lines, "{:>9}.{:03} {line}", since.as_secs(), since.subsec_millis());
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines)
    }
}
