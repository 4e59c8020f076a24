//! Where a group stands: its lanes, and how many members there are.

use serde::{Deserialize, Serialize};

use crate::bytes::unpadded_option;

/// To whom messages go, each lane in an order of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// To everybody.
    Group,
    /// To owners and moderators, and to the one member whose chat with them it is.
    Support,
}

/// How far a lane is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// The number of the next message.
    pub next: u64,
    /// Every message below was handed to everybody who is not behind.
    pub done: u64,
    /// The last message of the job under way, which begins at `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// Members up to this number have the job.
    pub cursor: u64,
}

impl Default for LaneState {
    fn default() -> Self {
        LaneState { next: 1, done: 1, last: None, cursor: 0 }
    }
}

impl LaneState {
    /// The first message that a member does not have, if it is not behind.
    pub(super) fn frontier(&self, member: u64) -> u64 {
        match self.last {
            Some(last) if member <= self.cursor => last.saturating_add(1),
            _ => self.done,
        }
    }

    /// Messages that somebody waits for.
    pub fn waiting(&self) -> u64 {
        self.next.saturating_sub(self.done)
    }

    /// Forgets what was not delivered.
    fn stop(&mut self) {
        *self = LaneState { next: self.next, done: self.next, last: None, cursor: 0 };
    }
}

/// A group as a place where members meet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hall {
    /// What goes to everybody.
    pub group: LaneState,
    /// What goes to moderators.
    pub support: LaneState,
    /// The number of the last member that came.
    pub last_member: u64,
    /// Counts arrivals and whatever changes who is introduced as what.
    #[serde(default)]
    pub clock: u64,
    /// How many members are connected, owners among them.
    pub members: u64,
    /// How many were admitted and have not connected.
    pub admitted: u64,
    /// The message with the last profile of the group that an owner signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_profile: Option<u64>,
    /// The service has ended: up to which number members were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<u64>,
    /// What they are told then.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub last_word: Option<Vec<u8>>,
}

impl Hall {
    /// How far a lane is.
    pub fn lane(&self, lane: Lane) -> &LaneState {
        match lane {
            Lane::Group => &self.group,
            Lane::Support => &self.support,
        }
    }

    pub(super) fn lane_mut(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Group => &mut self.group,
            Lane::Support => &mut self.support,
        }
    }

    /// The next moment by the group's own clock.
    pub(super) fn tick(&mut self) -> u64 {
        self.clock = self.clock.saturating_add(1);
        self.clock
    }

    /// Grows whenever something was delivered.
    pub(super) fn progress(&self) -> u64 {
        self.group.done.saturating_add(self.support.done)
    }

    /// The service ends: what was not delivered never is, except for the last word.
    pub(super) fn stop(&mut self, last_word: Option<Vec<u8>>) {
        self.group.stop();
        self.support.stop();
        self.ending = Some(0);
        self.last_word = last_word;
    }
}
