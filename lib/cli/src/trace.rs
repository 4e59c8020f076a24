//! The record of a run: one JSON line per protocol step, appended to `--trace FILE`.
//!
//! ```json
//! {"type":"step","v":1,"at":1700000000000,"tool":"grp-join","who":"member","to":"relay","step":"relay_join","bytes":312,"outcome":"ok"}
//! ```
//!
//! `at` is the time of the run in milliseconds since 1970, so a run with `--now` writes the same bytes again. Every line
//! is one write to a file opened for appending, so the tools of a pipeline can share one file. Secrets never go in.
//!
//! Records of several parties can be put together without trusting their clocks ([`crate::sequence`]): what one of them
//! `tells`, another one `hears` later, and both lines give it the same name.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::random::Clock;
use crate::{Code, Error, OrError};

/// One step of the protocol, as somebody took it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Step<'a> {
    /// Who acts: `owner`, `relay`, `member`, or the address of a server.
    pub who: &'a str,
    /// Whom it concerns; empty for a local step.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub to: &'a str,
    /// Name of the step, snake_case, as its file and its test are called.
    #[serde(rename = "step")]
    pub name: &'a str,
    /// Bytes that were sent or received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// How it ended: `ok`, or the code of the error.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub outcome: &'a str,
    /// Whatever helps to follow it; never a secret.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub note: &'a str,
    /// Which of several groups or connections it is about, as whoever acts calls it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub about: &'a str,
    /// The name of what somebody else is told with this step, the same for both.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tells: &'a str,
    /// The name of what somebody else told before this step.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub hears: &'a str,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.who)?;
        if !self.to.is_empty() {
            write!(f, " -> {}", self.to)?;
        }
        if let Some(bytes) = self.bytes {
            write!(f, ", {bytes} bytes")?;
        }
        [self.outcome, self.note].iter().filter(|text| !text.is_empty()).try_for_each(|text| write!(f, ", {text}"))
    }
}

/// Where steps are recorded; clones write to the same file.
#[derive(Clone, Debug)]
pub struct Trace {
    tool: &'static str,
    clock: Clock,
    file: Option<Arc<Mutex<Record>>>,
}

#[derive(Debug)]
struct Record {
    file: File,
    failure: Option<Error>,
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    v: u32,
    at: u64,
    tool: &'static str,
    #[serde(flatten)]
    step: &'a Step<'a>,
}

impl Trace {
    pub(crate) fn open(tool: &'static str, path: Option<&Path>, clock: Clock) -> Result<Self, Error> {
        let open = |path: &Path| {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            let file = file.or_error_at(Code::FileFailed, path.display())?;
            Ok(Arc::new(Mutex::new(Record { file, failure: None })))
        };
        Ok(Trace { tool, clock, file: path.map(open).transpose()? })
    }

    /// Whether there is a file. What would cost much, and is of no use to who reads along, asks before.
    pub fn is_recorded(&self) -> bool {
        self.file.is_some()
    }

    /// Records a step, and shows it with `--verbose`. A file that cannot be written fails the run at its end.
    pub fn step(&self, step: Step<'_>) {
        tracing::info!("{step}");
        let Some(record) = &self.file else { return };
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.write(&mut record.file, &step) {
            record.failure.get_or_insert(error.at("trace"));
        }
    }

    fn write(&self, file: &mut File, step: &Step<'_>) -> Result<(), Error> {
        let line = Line { r#type: "step", v: 1, at: self.clock.millis(), tool: self.tool, step };
        let mut line = serde_json::to_string(&line).or_error(Code::Bug)?;
        line.push('\n');
        file.write_all(line.as_bytes()).or_error(Code::FileFailed)
    }

    /// The first step that could not be written.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.file.as_ref().and_then(|record| record.lock().unwrap_or_else(PoisonError::into_inner).failure.take())
    }
}
