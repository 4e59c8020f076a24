//! Records of several parties, put together into one sequence of steps.
//!
//! Clocks of machines differ, and what happens at the same time happens in another order every time. So the order is
//! that of cause and effect: the steps of a party follow each other as in its record, and whoever hears something does so
//! after it was told ([`Step::tells`](crate::Step::tells), [`Step::hears`](crate::Step::hears)). What is still open is
//! decided by the order of the parties: each goes on until it has to wait. Two runs in which everybody does the same give
//! the same sequence.
//!
//! What is to be shown of a sequence is a [`Drawing`], which can be given as [`text()`], as a [`mermaid()`] diagram, and as
//! an [`svg()`] picture.

mod drawing;
mod mermaid;
mod svg;
mod text;

pub use drawing::{Drawing, Line, Way};
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

use std::collections::HashMap;

use serde::Deserialize;

use crate::{Code, Error, OrError as _};

/// A line of a record is at most so long.
const MAX_LINE: usize = 64 * 1024;
/// A record has at most so many lines.
const MAX_LINES: usize = 1_000_000;

/// A step as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RecordedStep {
    r#type: String,
    v: u32,
    /// When, in milliseconds since 1970, by the clock of whoever acted.
    pub at: Option<u64>,
    /// The tool that took it.
    pub tool: String,
    /// Who acted.
    pub who: String,
    /// Whom it concerned.
    #[serde(default)]
    pub to: String,
    /// Its name.
    #[serde(rename = "step")]
    pub name: String,
    /// Bytes that were sent or received.
    pub bytes: Option<u64>,
    /// How it ended.
    #[serde(default)]
    pub outcome: String,
    /// Whatever helps to follow it.
    #[serde(default)]
    pub note: String,
    /// Which of several groups or connections it was about.
    #[serde(default)]
    pub about: String,
    /// The name of what somebody else was told.
    #[serde(default)]
    pub tells: String,
    /// The name of what somebody else had told.
    #[serde(default)]
    pub hears: String,
}

/// What one party recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How the party is called.
    pub party: String,
    /// What it did, in its order.
    pub steps: Vec<RecordedStep>,
}

/// A step in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Whose step.
    pub party: &'a str,
    /// The step.
    pub step: &'a RecordedStep,
    /// Who told what it hears, if that was recorded.
    pub from: Option<&'a str>,
    /// Who heard what it tells, if that was recorded.
    pub heard_by: Option<&'a str>,
}

impl Record {
    /// Reads what `--trace` wrote.
    pub fn read(party: &str, bytes: &[u8]) -> Result<Self, Error> {
        let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        let read = |(index, line)| {
            let read =
                if index < MAX_LINES { step(line) } else { Err(malformed(format!("more than {MAX_LINES} lines"))) };
            read.map_err(|error| error.at(format!("{party}, line {}", number(index))))
        };
        let steps = lines.map(read).collect::<Result<_, _>>()?;
        Ok(Record { party: party.to_owned(), steps })
    }

    /// A record for each of those who acted, called as they call themselves: tools of a pipeline share one file.
    pub fn by_who(self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut places = HashMap::new();
        for step in self.steps {
            let place = *places.entry(step.who.clone()).or_insert_with(|| {
                records.push(Record { party: step.who.clone(), steps: Vec::new() });
                records.len().saturating_sub(1)
            });
            if let Some(record) = records.get_mut(place) {
                record.steps.push(step);
            }
        }
        records
    }
}

fn number(index: usize) -> usize {
    index.saturating_add(1)
}

fn malformed(message: String) -> Error {
    Error::new(Code::JsonMalformed, message)
}

fn step(line: &[u8]) -> Result<RecordedStep, Error> {
    if line.len() > MAX_LINE {
        return Err(malformed(format!("longer than {MAX_LINE} bytes")));
    }
    let step: RecordedStep = serde_json::from_slice(line).or_error(Code::FieldInvalid)?;
    if (step.r#type.as_str(), step.v) != ("step", 1) {
        return Err(Error::new(Code::FieldInvalid, "not a step of version 1"));
    }
    Ok(step)
}

/// Puts records together. Of parties that may go on, the one that comes first in `records` does; each as far as it can.
///
/// What nobody recorded to have told keeps nobody waiting. Records that contradict each other, each waiting for the other,
/// are gone on with by the first party.
pub fn merge(records: &[Record]) -> Vec<Placed<'_>> {
    let (told, heard) = (first_to(records, |step| &step.tells), first_to(records, |step| &step.hears));
    let mut merge = Merge { records, told, heard, next: vec![0; records.len()] };
    let mut placed = Vec::new();
    let mut current = 0;
    while let Some(party) = merge.goes_on(current) {
        placed.extend(merge.place(party));
        current = party;
    }
    placed
}

/// Where each name comes first: the party's number and the step's.
fn first_to(records: &[Record], name: impl Fn(&RecordedStep) -> &String) -> HashMap<&str, Place> {
    let mut first = HashMap::new();
    for (party, record) in records.iter().enumerate() {
        for (step, recorded) in record.steps.iter().enumerate() {
            first.entry(name(recorded).as_str()).or_insert(Place { party, step });
        }
    }
    first.remove("");
    first
}

#[derive(Clone, Copy)]
struct Place {
    party: usize,
    step: usize,
}

struct Merge<'a> {
    records: &'a [Record],
    told: HashMap<&'a str, Place>,
    heard: HashMap<&'a str, Place>,
    /// The step of each party that is to be placed next.
    next: Vec<usize>,
}

impl<'a> Merge<'a> {
    /// Who goes on: the one who went on before if it can.
    fn goes_on(&self, current: usize) -> Option<usize> {
        let others = 0..self.records.len();
        let ready = std::iter::once(current).chain(others.clone()).find(|party| self.is_ready(*party));
        ready.or_else(|| others.into_iter().find(|party| self.step(*party).is_some()))
    }

    fn step(&self, party: usize) -> Option<&'a RecordedStep> {
        self.records.get(party)?.steps.get(*self.next.get(party)?)
    }

    fn is_ready(&self, party: usize) -> bool {
        let Some(step) = self.step(party) else { return false };
        let Some(told) = self.told.get(step.hears.as_str()) else { return true };
        told.party == party || self.next.get(told.party).is_some_and(|next| *next > told.step)
    }

    fn place(&mut self, party: usize) -> Option<Placed<'a>> {
        let (record, step) = (self.records.get(party)?, self.step(party)?);
        if let Some(next) = self.next.get_mut(party) {
            *next = next.saturating_add(1);
        }
        let other = |places: &HashMap<&str, Place>, name: &str| {
            let place = places.get(name).filter(|place| place.party != party)?;
            self.records.get(place.party).map(|record| record.party.as_str())
        };
        let (from, heard_by) = (other(&self.told, &step.hears), other(&self.heard, &step.tells));
        Some(Placed { party: &record.party, step, from, heard_by })
    }
}

#[cfg(test)]
mod tests;
