//! Which state of a group link came after which, when several owners write it.
//!
//! A server keeps what was written last, and says nothing about what it took the place of. So the owners count: user
//! data of a group link carries a [`Revision`] under a key that other programs ignore:
//!
//! ```json
//! "revision": {"number": 7, "by": "…", "owners": [{"id": "…", "number": 5, "key": "…"}, {"id": "…", "number": 7, "key": "…"}]}
//! ```
//!
//! Every write has a higher number than all that its writer knew. A number alone would not do: of two owners who write
//! at once each takes the same number, and a third write after one of them has a higher number than both without what
//! the other one changed. Therefore a revision says of each owner which was the last of its revisions that went into this
//! one. A revision [`covers`](Revision::covers) another one if it was made from it, directly or not; of two that do not
//! cover each other neither knew the other, and they are merged.
//!
//! The keys are those with which owners give the server commands for the queue behind the link. The server replaces the
//! whole list of them at once (`RKEY`), so every owner has to know all of them. With a single owner there is no list.

use std::collections::BTreeMap;

use crypto::sign::Ed25519PublicKey;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bytes::{padded, padded_option};
use crate::identity::MemberId;

/// The highest number that every JSON reader keeps exactly.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// How many owners a revision counts: those of today, and some of before.
const MAX_COUNTED: usize = 64;

/// The place of link data in the order of writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    number: u64,
    by: MemberId,
    /// The last revision of each owner that went into this one.
    includes: BTreeMap<MemberId, u64>,
}

impl Revision {
    /// A revision of an owner that knows of no others.
    pub fn alone(number: u64, by: MemberId) -> Self {
        Revision { number, includes: BTreeMap::from([(by.clone(), number)]), by }
    }

    /// Only grows.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Who wrote it.
    pub fn by(&self) -> &MemberId {
        &self.by
    }

    /// Whether it was made from `other`, or is the same.
    pub fn covers(&self, other: &Self) -> bool {
        other.includes.iter().all(|(id, number)| self.includes.get(id).is_some_and(|known| known >= number))
    }

    /// The next one, made by an owner from this one.
    pub(crate) fn next(&self, by: &MemberId) -> Self {
        let number = self.number.saturating_add(1);
        let mut includes = self.includes.clone();
        includes.insert(by.clone(), number);
        Revision { number, by: by.clone(), includes }.bounded()
    }

    /// A revision that both are part of, for [`Self::next`]: nobody writes it.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        let mut includes = self.includes.clone();
        for (id, number) in &other.includes {
            let known = includes.entry(id.clone()).or_default();
            *known = (*known).max(*number);
        }
        Revision { number: self.number.max(other.number), by: self.by.clone(), includes }.bounded()
    }

    /// Those that wrote longest ago are forgotten first. What they wrote is merged once more, if it ever comes back.
    fn bounded(mut self) -> Self {
        while self.includes.len() > MAX_COUNTED {
            let oldest = self.includes.iter().min_by_key(|(_, number)| **number).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.includes.remove(&oldest);
        }
        self
    }
}

/// A revision as it stands in user data, with the owners' keys for the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionMark {
    number: u64,
    #[serde(with = "padded")]
    by: MemberId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owners: Vec<OwnerMark>,
}

/// What a revision says of an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OwnerMark {
    #[serde(with = "padded")]
    id: MemberId,
    /// Of the last revision of it that went into this one; 0 if it never wrote.
    number: u64,
    /// Gives commands for the queue behind the link.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    key: Option<Ed25519PublicKey>,
}

impl RevisionMark {
    /// The mark of a revision, with the keys of several owners; one owner alone needs no list.
    pub(crate) fn new(revision: &Revision, keys: &BTreeMap<MemberId, Ed25519PublicKey>) -> Self {
        let is_alone = keys.len() <= 1 && revision.includes.len() <= 1;
        let mark = |id: &MemberId| OwnerMark {
            id: id.clone(),
            number: revision.includes.get(id).copied().unwrap_or_default(),
            key: keys.get(id).copied(),
        };
        let former = revision.includes.keys().filter(|id| !keys.contains_key(*id));
        let owners = if is_alone { Vec::new() } else { keys.keys().chain(former).map(mark).collect() };
        RevisionMark { number: revision.number, by: revision.by.clone(), owners }
    }

    /// The revision.
    pub fn revision(&self) -> Revision {
        let listed = self.owners.iter().filter(|mark| mark.number > 0).map(|mark| (mark.id.clone(), mark.number));
        let mut includes: BTreeMap<MemberId, u64> = listed.collect();
        includes.insert(self.by.clone(), self.number);
        Revision { number: self.number, by: self.by.clone(), includes }.bounded()
    }

    /// An owner's key for the queue.
    pub(crate) fn queue_key(&self, id: &MemberId) -> Option<Ed25519PublicKey> {
        self.owners.iter().find(|mark| mark.id == *id)?.key
    }

    fn is_sensible(&self) -> bool {
        self.number <= MAX_NUMBER && self.owners.iter().all(|mark| mark.number <= self.number)
    }
}

/// Reads what may be under the key in data of programs that do not know it: then there is no revision.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RevisionMark>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok().filter(RevisionMark::is_sensible))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn id(name: &str) -> MemberId {
        MemberId::from_bytes(name.as_bytes()).unwrap()
    }

    #[test]
    fn of_two_that_were_made_at_once_neither_covers_the_other() {
        let first = Revision::alone(1, id("a"));
        let (mine, theirs) = (first.next(&id("a")), first.next(&id("b")));
        assert_eq!((mine.number(), theirs.number()), (2, 2));
        assert!(mine.covers(&first) && theirs.covers(&first));
        assert!(!mine.covers(&theirs) && !theirs.covers(&mine));

        // A later one of the same owner covers no more, whatever its number.
        let later = theirs.next(&id("b"));
        assert!(later.covers(&theirs) && !later.covers(&mine));
        let merged = mine.joined(&later).next(&id("a"));
        assert_eq!(merged.number(), 4);
        assert!(merged.covers(&mine) && merged.covers(&later));
    }

    #[test]
    fn a_mark_gives_the_revision_back() {
        let alone = Revision::alone(3, id("a"));
        let key = Ed25519PublicKey::from_bytes([7; 32]);
        let mark = RevisionMark::new(&alone, &BTreeMap::from([(id("a"), key)]));
        assert_eq!(serde_json::to_string(&mark).unwrap(), r#"{"number":3,"by":"YQ=="}"#);
        assert_eq!(mark.revision(), alone);

        let several = alone.next(&id("b"));
        let mark = RevisionMark::new(&several, &BTreeMap::from([(id("b"), key), (id("c"), key)]));
        let mark: RevisionMark = serde_json::from_str(&serde_json::to_string(&mark).unwrap()).unwrap();
        assert_eq!(mark.revision(), several);
        assert_eq!((mark.queue_key(&id("a")), mark.queue_key(&id("c"))), (None, Some(key)));
    }

    #[test]
    fn what_is_no_revision_is_none() {
        let read = |text: &str| lenient(&mut serde_json::Deserializer::from_str(text)).unwrap();
        assert!(read(r#"{"number":3,"by":"YQ==","later":true}"#).is_some());
        for other in [
            "7",
            "null",
            r#"{"number":-1,"by":"YQ=="}"#,
            r#"{"number":3,"by":""}"#,
            r#"{"number":18446744073709551615,"by":"YQ=="}"#,
            r#"{"number":3,"by":"YQ==","owners":[{"id":"Yg==","number":4}]}"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
