//! Reading the group link as everybody does: whether its server returns what it confirmed.
//!
//! Those who read a link for the first time cannot tell when a server returns what stood there before. The owner wrote
//! it and can. Old data is written once more: a server that lost something, such as one that was restored from a
//! backup, has it then; one that lies is found out again.

use agent::link_read::RetrievedLinkData;

use super::GroupOwner;
use super::task::Outcome;
use crate::link_state::{LinkState, Unknown};

/// What the server of the group link returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkCondition {
    /// What it confirmed last.
    Current,
    /// Something else that an owner signed: what stood there before.
    Old,
    /// What another owner has written since: [`TaskId::ReadGroupLink`](super::TaskId::ReadGroupLink) takes it.
    Newer,
    /// Nothing.
    Missing,
    /// Something that no owner signed, or that cannot be read.
    Foreign,
}

impl GroupOwner {
    /// Compares what was read from the group link with what its server confirmed. Nothing is said if nothing was read, or
    /// if the newest data is not confirmed: then either may be there.
    pub fn read_back(&mut self, outcome: &Outcome) -> Option<LinkCondition> {
        if !self.is_written() || self.writing.is_some() || self.closing.is_some() {
            return None;
        }
        let condition = match outcome {
            Outcome::Retrieved(found) => self.condition(found),
            Outcome::Refused(_) => LinkCondition::Missing,
            Outcome::Done | Outcome::Written(_) | Outcome::Unreachable(_) => return None,
        };
        if condition == LinkCondition::Old && self.link.queue().access.is_some() {
            self.write_again();
        }
        Some(condition)
    }

    fn condition(&self, found: &RetrievedLinkData) -> LinkCondition {
        if found.data == self.link.link_data().1 {
            return LinkCondition::Current;
        }
        match LinkState::read(self.link.group().short_link(), found) {
            Ok(state) if !self.link.group().written().revision.covers(&state.revision) => LinkCondition::Newer,
            Ok(_) | Err(Unknown::NoRevision) => LinkCondition::Old,
            Err(Unknown::Foreign) => LinkCondition::Foreign,
        }
    }
}
