//! How many members the group link says there are.
//!
//! Relays tell owners of everybody who joins, and forward that somebody leaves or is removed. Each member ID counts once,
//! whichever relays tell of it. The number is worth what the relays are: one that lies can invent members, up to a bound,
//! and nobody hears of members that vanish without a word. It is for people to look at; nothing depends on it but
//! whether relays are told of new relays at all.
//!
//! Members that were there before anybody counted, or that the owner knows of by other means, are in the number that
//! stood in the link then; what is heard since is added to it. The link is not written for this more often than every ten
//! minutes, however many join.

use std::time::Duration;

use agent::time::{Env, Time};

use super::{Event, GroupOwner};
use crate::step::link_create::GroupContents;
use crate::text::shown;

/// How much time is between two writes of the link for the number alone.
const INTERVAL: Duration = Duration::from_secs(600);
/// No group has more members: what is above is invented.
const MAX_PRESENT: u64 = 1_000_000;

/// How many members there are, and how many of them the link tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Headcount {
    /// Owners, and members that nobody has heard of: what the link said when counting began.
    pub(super) unheard: u64,
    /// Members that were heard of and are there.
    pub(super) present: u64,
    /// Those of them that the link tells of.
    pub(super) published: u64,
    /// When the link was changed last for this alone.
    pub(super) published_at: Option<Time>,
}

impl Headcount {
    /// Nobody was heard of yet, and the link says this.
    pub(super) fn of(member_count: u64) -> Self {
        Headcount { unheard: member_count, ..Headcount::default() }
    }

    /// The owner says how many there are, or the link does.
    pub(super) fn set(&mut self, member_count: u64) {
        self.unheard = member_count.saturating_sub(self.present);
        self.published = self.present;
    }

    /// Relays have told of so many.
    pub(super) fn heard(&mut self, present: u64) {
        self.present = present.min(MAX_PRESENT);
    }

    /// When the link is to be changed, if it is.
    pub(super) fn due(&self) -> Option<Time> {
        let changed = self.present != self.published;
        changed.then(|| self.published_at.map_or(Time::default(), |at| at.after(INTERVAL)))
    }

    fn member_count(&self) -> u64 {
        self.unheard.saturating_add(self.present)
    }
}

impl GroupOwner {
    /// Members that relays told of, and that neither left nor were removed as far as anybody heard.
    pub fn present(&self) -> u64 {
        self.headcount.present
    }

    /// Whether there is somebody to whom relays pass something on.
    pub(super) fn has_members(&self) -> bool {
        self.headcount.present > 0 || self.link.group().contents().member_count > 1
    }

    /// When the number in the link is to be changed, if this owner can write there.
    pub(super) fn headcount_due(&self) -> Option<Time> {
        self.headcount.due().filter(|_| self.link.queue().access.is_some() && self.closing.is_none())
    }

    /// Brings the number of members into the link, if that is due.
    pub(super) fn publish_headcount(&mut self, env: &mut Env<'_>, events: &mut Vec<Event>) {
        if self.headcount_due().is_none_or(|due| due > env.now) {
            return;
        }
        let contents = self.link.group().contents().clone();
        let contents = GroupContents { member_count: self.headcount.member_count(), ..contents };
        if let Err(error) = self.update(contents, env) {
            events.push(Event::LinkNotWritten { reason: shown(&error.to_string()) });
        }
        self.headcount.published = self.headcount.present;
        self.headcount.published_at = Some(env.now);
    }
}
