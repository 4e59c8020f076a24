//! The marks of all owners, as they stand in the group link.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::mark::Mark;
use crate::identity::MemberId;

/// How many owners' marks a link may hold.
const MAX_MARKS: usize = 16;

/// The marks of all owners. Whatever cannot be read is not there: it must not make a link unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Transcript {
    marks: Vec<Mark>,
}

impl<'de> Deserialize<'de> for Transcript {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let marks = match value.get_mut("marks").map(Value::take) {
            Some(Value::Array(marks)) => marks,
            _ => Vec::new(),
        };
        let mut transcript = Transcript::default();
        for mark in marks.into_iter().take(MAX_MARKS).filter_map(|mark| serde_json::from_value(mark).ok()) {
            transcript.put(mark);
        }
        Ok(transcript)
    }
}

impl Transcript {
    /// Whether there is no mark.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// All marks, one of each owner.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The mark of an owner.
    pub fn of(&self, owner: &MemberId) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.by == *owner)
    }

    /// Takes a mark, unless a newer one of the same owner is there.
    pub fn put(&mut self, mark: Mark) {
        let has_room = self.marks.len() < MAX_MARKS;
        match self.marks.iter_mut().find(|known| known.by == mark.by) {
            Some(known) if known.number < mark.number => *known = mark,
            Some(_) => {}
            None if has_room => self.marks.push(mark),
            None => {}
        }
    }

    /// What two owners know together: of each owner the newer mark. Marks of those who are no owners any more are to be
    /// [dropped](Self::retain).
    pub fn merge(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        other.marks.iter().cloned().for_each(|mark| merged.put(mark));
        merged
    }

    /// Drops the marks of whoever is no owner any more.
    pub fn retain(&mut self, is_owner: impl Fn(&MemberId) -> bool) {
        self.marks.retain(|mark| is_owner(&mark.by));
    }

    /// Takes an owner's mark in the place of any other of it.
    pub(crate) fn replace(&mut self, mark: Mark) {
        self.marks.retain(|known| known.by != mark.by);
        self.put(mark);
    }

    /// The same with at most so many posts in each mark.
    pub(crate) fn shortened(&self, posts: usize) -> Self {
        Transcript { marks: self.marks.iter().map(|mark| mark.shortened(posts)).collect() }
    }
}

impl From<Mark> for Transcript {
    fn from(mark: Mark) -> Self {
        Transcript { marks: vec![mark] }
    }
}
