//! What a member misses of the lanes.

use serde::{Deserialize, Serialize};

use super::hall::{Hall, Lane};

/// The first messages that a member does not have, and that jobs do not bring it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Of what goes to everybody.
    pub group: u64,
    /// Of what goes to moderators.
    pub support: u64,
}

impl Behind {
    /// Where jobs would bring a member the next message.
    pub(super) fn frontier(hall: &Hall, member: u64) -> Self {
        Behind { group: hall.group.frontier(member), support: hall.support.frontier(member) }
    }

    pub(super) fn lane(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Group => self.group,
            Lane::Support => self.support,
        }
    }

    pub(super) fn lane_mut(&mut self, lane: Lane) -> &mut u64 {
        match lane {
            Lane::Group => &mut self.group,
            Lane::Support => &mut self.support,
        }
    }

    /// Whether jobs bring everything that is missing.
    pub(super) fn has_reached(&self, frontier: &Behind) -> bool {
        self.group >= frontier.group && self.support >= frontier.support
    }
}
