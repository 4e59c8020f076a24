//! Everything that is to be, drawn from a seed.

use std::time::Duration;

use agent::time::Time;
use world::Dice;
use world::trace::START;

use crate::lies::Vice;
use crate::links::LinkLie;

/// Relays that are invited at the beginning; others replace them.
pub(crate) const FIRST: usize = 3;
/// Those that replace the first.
const SPARE: usize = 2;
const MINUTE: u64 = 60_000;

#[derive(Debug, Clone)]
pub(crate) struct RelayPlan {
    /// What it does to its group; nothing if it is honest.
    pub(crate) vices: Vec<Vice>,
    /// How long it takes over each thing at most, in milliseconds.
    pub(crate) pace: u64,
    /// The judgement takes it for honest: whatever it does must look like a fault then.
    pub(crate) disguised: bool,
}

impl RelayPlan {
    pub(crate) fn is_honest(&self) -> bool {
        self.vices.is_empty() || self.disguised
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct MemberPlan {
    pub(crate) joins_at: Time,
    /// Whether it takes messages until it is stopped, and opens second connections therefore.
    pub(crate) goes_on: bool,
}

/// What somebody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Post,
    Reply,
    /// In one's own chat with the moderators.
    Ask,
    Edit,
    Delete,
    React,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) what: What,
    pub(crate) signed: bool,
    pub(crate) as_group: bool,
}

/// A role that owners give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    Observer,
    Author,
    Member,
    Moderator,
    Admin,
}

/// What a user wants.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Invite(usize),
    Remove {
        relay: usize,
        unnotified: bool,
    },
    Profile(u64),
    /// A member gets another role.
    Appoint(usize, Rank),
    /// A member is removed.
    Expel(usize),
    /// A member is blocked, or no longer.
    Block(usize, bool),
    Say(Words),
    Leave,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Owner(usize, Deed),
    Member(usize, Deed),
    /// The group link's server lies from now on, or stops.
    Link(LinkLie),
    /// A member and a relay lose their connection.
    Cut(usize, usize),
    /// A relay is off for a while.
    Pause(usize),
    /// A hostile relay says something of its own.
    Mischief(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) relays: Vec<RelayPlan>,
    pub(crate) members: Vec<MemberPlan>,
    pub(crate) acts: Vec<(Time, Act)>,
    /// Whether joiners get what was said before.
    pub(crate) history: bool,
    /// Nothing breaks after that.
    pub(crate) chaos_until: Time,
    /// Relays are replaced then.
    pub(crate) restored_at: Time,
    /// In a thousand cases: programs that die, tasks that fail, letters that are slow.
    pub(crate) crashes: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
    /// In milliseconds.
    pub(crate) delay: u64,
    pub(crate) slowest: u64,
    pub(crate) longest_pause: u64,
    /// Letters that wait in one connection at most, while things go wrong.
    pub(crate) quota: usize,
}

fn moment(dice: &mut Dice, from: u64, until: u64) -> Time {
    START.after(dice.millis(from..=until))
}

impl Plan {
    /// Whatever the dice say.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let busy = MINUTE * dice.between(10..=40);
        let crowd = dice.pick(&[4, 8, 8, 12, 20, 50]);
        let count = dice.between(2..=crowd) as usize;
        let rough = dice.per_mille(600);
        let mut plan = Plan {
            relays: (0..FIRST + SPARE).map(|_| random_relay(dice)).collect(),
            members: (0..count).map(|_| random_member(dice, busy)).collect(),
            acts: Vec::new(),
            history: dice.coin(),
            chaos_until: START.after(Duration::from_millis(busy)),
            restored_at: START.after(Duration::from_millis(busy + MINUTE)),
            crashes: if rough { dice.pick(&[2, 5, 20]) } else { 0 },
            failures: if rough { dice.pick(&[0, 10, 100]) } else { 0 },
            slow: dice.pick(&[0, 20, 200]),
            delay: dice.pick(&[20, 500, 5_000]),
            slowest: dice.pick(&[10_000, 120_000]),
            longest_pause: dice.pick(&[1_000, 60_000]),
            quota: dice.pick(&[2, 4, 64, 1_000]),
        };
        // Who replaces others is honest.
        plan.relays.iter_mut().skip(FIRST).for_each(|relay| relay.vices.clear());
        if dice.per_mille(250) {
            plan.relays.iter_mut().for_each(|relay| relay.vices.clear());
        }
        plan.begin(dice);
        plan.talk(dice, busy, count);
        if rough {
            plan.trouble(dice, busy, count);
        }
        plan.harm(dice, busy);
        plan.restore(dice);
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    fn begin(&mut self, dice: &mut Dice) {
        for relay in 0..FIRST {
            self.acts.push((moment(dice, 0, MINUTE / 3), Act::Owner(0, Deed::Invite(relay))));
        }
    }

    fn talk(&mut self, dice: &mut Dice, busy: u64, members: usize) {
        for _ in 0..dice.between(3..=14) {
            let what =
                dice.pick(&[What::Post, What::Post, What::Post, What::Reply, What::Edit, What::Delete, What::React]);
            let words = Words { what, signed: dice.coin(), as_group: dice.per_mille(300) };
            self.acts.push((moment(dice, MINUTE, busy), Act::Owner(0, Deed::Say(words))));
        }
        for _ in 0..dice.between(0..=8) {
            let member = dice.between(0..=members as u64 - 1) as usize;
            let what = dice.pick(&[What::React, What::React, What::Ask, What::Post]);
            let words = Words { what, signed: dice.coin(), as_group: false };
            self.acts.push((moment(dice, MINUTE, busy), Act::Member(member, Deed::Say(words))));
        }
        for _ in 0..dice.between(0..=4) {
            let member = dice.between(0..=members as u64 - 1) as usize;
            let rank =
                dice.pick(&[Rank::Author, Rank::Member, Rank::Member, Rank::Moderator, Rank::Admin, Rank::Observer]);
            self.acts.push((moment(dice, MINUTE, busy), Act::Owner(0, Deed::Appoint(member, rank))));
            for _ in 0..dice.between(0..=4) {
                let what = dice.pick(&[What::Post, What::Post, What::Reply, What::Edit, What::Delete, What::React]);
                let words = Words { what, signed: dice.coin(), as_group: false };
                self.acts.push((moment(dice, MINUTE, busy), Act::Member(member, Deed::Say(words))));
            }
        }
        if dice.per_mille(400) {
            let member = dice.between(0..=members as u64 - 1) as usize;
            let deed = dice.pick(&[Deed::Expel(member), Deed::Block(member, true), Deed::Block(member, false)]);
            self.acts.push((moment(dice, MINUTE, busy), Act::Owner(0, deed)));
        }
        for which in 0..dice.pick(&[0, 0, 1, 2]) {
            self.acts.push((moment(dice, MINUTE, busy), Act::Owner(0, Deed::Profile(which))));
        }
        if dice.per_mille(300) {
            let member = dice.between(0..=members as u64 - 1) as usize;
            self.acts.push((moment(dice, MINUTE, busy), Act::Member(member, Deed::Leave)));
        }
    }

    fn trouble(&mut self, dice: &mut Dice, busy: u64, members: usize) {
        for _ in 0..dice.between(0..=3) {
            let member = dice.between(0..=members as u64 - 1) as usize;
            let relay = dice.between(0..=FIRST as u64 - 1) as usize;
            self.acts.push((moment(dice, MINUTE, busy), Act::Cut(member, relay)));
        }
        for _ in 0..dice.between(0..=2) {
            let relay = dice.between(0..=FIRST as u64 - 1) as usize;
            self.acts.push((moment(dice, MINUTE, busy), Act::Pause(relay)));
        }
        if dice.per_mille(300) {
            let lie = dice.pick(&[LinkLie::Old(1), LinkLie::Old(2), LinkLie::Unreachable]);
            self.acts.push((moment(dice, MINUTE, busy), Act::Link(lie)));
        }
    }

    fn harm(&mut self, dice: &mut Dice, busy: u64) {
        for relay in 0..FIRST {
            let times = if self.relays[relay].is_honest() { 0 } else { dice.between(2..=8) };
            for _ in 0..times {
                self.acts.push((moment(dice, MINUTE, busy), Act::Mischief(relay)));
            }
        }
    }

    /// When everything has calmed down, relays that lie are removed, and others come in their place.
    fn restore(&mut self, dice: &mut Dice) {
        let at = |minutes: u64| self.restored_at.after(Duration::from_millis(MINUTE * minutes));
        let hostile: Vec<usize> = (0..FIRST).filter(|relay| !self.relays[*relay].is_honest()).collect();
        let replaced = if hostile.is_empty() && dice.coin() { vec![0] } else { hostile };
        let mut acts = Vec::new();
        for relay in &replaced {
            let unnotified = dice.per_mille(300);
            acts.push((at(0), Act::Owner(0, Deed::Remove { relay: *relay, unnotified })));
        }
        for spare in 0..replaced.len().min(SPARE) {
            acts.push((at(dice.between(0..=3)), Act::Owner(0, Deed::Invite(FIRST + spare))));
        }
        if self.acts.iter().any(|(_, act)| matches!(act, Act::Link(LinkLie::Old(_)))) {
            acts.push((at(5), Act::Owner(0, Deed::Profile(9))));
        }
        let last = Words { what: What::Post, signed: true, as_group: false };
        acts.push((at(30), Act::Owner(0, Deed::Say(last))));
        acts.push((at(8 * 60), Act::Owner(0, Deed::Say(last))));
        acts.push((at(8 * 60), Act::Owner(0, Deed::Say(Words { signed: false, ..last }))));
        self.acts.extend(acts);
    }

    /// When everything is over.
    pub(crate) fn end(&self) -> Time {
        self.restored_at.after(Duration::from_millis(MINUTE * 9 * 60))
    }
}

fn random_member(dice: &mut Dice, busy: u64) -> MemberPlan {
    MemberPlan { joins_at: moment(dice, MINUTE / 2, busy * 2 / 3), goes_on: dice.coin() }
}

fn random_relay(dice: &mut Dice) -> RelayPlan {
    let count = if dice.coin() { dice.between(1..=4) } else { 0 };
    let vices = (0..count).map(|_| dice.pick(&Vice::ALL)).collect();
    RelayPlan { vices, pace: dice.pick(&[5, 200, 5_000]), disguised: false }
}
