//! Everybody and everything between them: the clock, letters on their way, crashes, and what is noted of a run.

use std::collections::BTreeMap;
use std::fmt;

use agent::time::Time;
use crypto::SeededRandom;
use group::element::Element;
use group::message_id::MessageId;
use smp::address::ServerWithPassword;
use world::agenda::Agenda;
use world::dice::seed_bytes;
use world::trace::{START, Trace};
use world::world::Tally;
use world::{Dice, trace};

use crate::lies::{Misdeed, Vice};
use crate::links::{LinkLie, Links};
use crate::member::Member;
use crate::owner::Owner;
use crate::pipes::{Client, Letter, PipeId, Pipes, Sent, Way};
use crate::plan::{Act, MemberPlan, Plan};
use crate::relay::Relay;
use crate::truth::Truth;

/// Who has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Owner(usize),
    Member(usize),
    Relay(usize),
}

impl From<Client> for Party {
    fn from(client: Client) -> Self {
        match client {
            Client::Owner(number) => Party::Owner(number),
            Client::Member(number) => Party::Member(number),
        }
    }
}

/// A program that runs, or is about to run again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Host {
    pub(crate) down_until: Option<Time>,
    pub(crate) work_at: Option<Time>,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Work(Party),
    Deliver(PipeId, Way),
    Act(usize),
}

/// Whether somebody crashes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Calm,
    /// Before anything is durable.
    Before,
    /// After everything is.
    After,
}

pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) now: Time,
    agenda: Agenda<Happening>,
    trace: trace::Trace,
    violation: Option<String>,
    pub(crate) tally: Tally,
    /// When letters arrive, and who crashes.
    pub(crate) dice: Dice,
    /// What hostile relays do.
    pub(crate) malice: Dice,
    pub(crate) random: SeededRandom,
    pub(crate) links: Links,
    pub(crate) pipes: Pipes,
    pub(crate) owners: Vec<Owner>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) members: Vec<Member>,
    pub(crate) truth: Truth,
    pub(crate) misdeeds: Vec<Misdeed>,
    /// What hostile relays decided about messages.
    pub(crate) decisions: BTreeMap<(usize, Vice, MessageId), bool>,
    /// The first rosters that hostile relays passed on.
    pub(crate) rosters: BTreeMap<usize, Vec<Element>>,
    /// What hostile relays may say again.
    pub(crate) remembered: Vec<Vec<Element>>,
    letters: u64,
}

pub(crate) fn server(host: &str) -> ServerWithPassword {
    format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@{host}").parse().expect("an address")
}

pub(crate) fn seconds(time: Time) -> i64 {
    i64::try_from(time.millis() / 1000).expect("a time")
}

impl Stage {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut stage = Stage {
            now: START,
            agenda: Agenda::default(),
            trace: Trace::default(),
            violation: None,
            tally: Tally::new(),
            dice: Dice::new(seed, "stage"),
            malice: Dice::new(seed, "malice"),
            random: SeededRandom::new(&seed_bytes(seed), "members"),
            links: Links::default(),
            pipes: Pipes::default(),
            owners: Vec::new(),
            relays: Vec::new(),
            members: Vec::new(),
            truth: Truth::default(),
            misdeeds: Vec::new(),
            decisions: BTreeMap::new(),
            rosters: BTreeMap::new(),
            remembered: vec![Vec::new(); plan.relays.len()],
            letters: 0,
            plan,
        };
        stage.found_group();
        (0..stage.plan.relays.len()).for_each(|number| stage.add_relay(number));
        for number in 0..stage.plan.members.len() {
            let MemberPlan { joins_at, goes_on } = stage.plan.members[number];
            stage.members.push(Member::new(goes_on));
            stage.wake_at(Party::Member(number), joins_at);
        }
        for (number, (at, _)) in stage.plan.acts.iter().enumerate() {
            stage.agenda.add(*at, Happening::Act(number));
        }
        stage
    }

    pub(crate) fn note(&mut self, line: fmt::Arguments<'_>) {
        self.trace.note(self.now, line);
    }

    pub(crate) fn trace(&self) -> String {
        self.trace.to_string()
    }

    pub(crate) fn violate(&mut self, line: fmt::Arguments<'_>) {
        self.note(format_args!("VIOLATION {line}"));
        self.violation.get_or_insert_with(|| line.to_string());
    }

    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Whether things go wrong.
    pub(crate) fn is_chaos(&self) -> bool {
        self.now < self.plan.chaos_until
    }

    /// Whether the network fails somebody now.
    pub(crate) fn fails(&mut self) -> bool {
        self.is_chaos() && self.dice.per_mille(self.plan.failures)
    }

    pub(crate) fn fate(&mut self) -> Fate {
        if !self.is_chaos() || !self.dice.per_mille(self.plan.crashes) {
            Fate::Calm
        } else if self.dice.coin() {
            Fate::Before
        } else {
            Fate::After
        }
    }

    fn host_mut(&mut self, party: Party) -> &mut Host {
        match party {
            Party::Owner(number) => &mut self.owners[number].host,
            Party::Member(number) => &mut self.members[number].host,
            Party::Relay(number) => &mut self.relays[number].host,
        }
    }

    /// Somebody has something to do then, if not before.
    pub(crate) fn wake_at(&mut self, party: Party, at: Time) {
        let at = at.max(self.now);
        let host = self.host_mut(party);
        let at = host.down_until.map_or(at, |until| until.max(at));
        if host.work_at.is_none_or(|work| at < work) {
            host.work_at = Some(at);
            self.agenda.add(at, Happening::Work(party));
        }
    }

    /// Somebody has something to do soon.
    pub(crate) fn wake(&mut self, party: Party) {
        let pace = match party {
            Party::Relay(number) => self.plan.relays[number].pace,
            _ => 1,
        };
        let delay = self.dice.millis(0..=pace);
        self.wake_at(party, self.now.after(delay));
    }

    /// The program dies, and is back after a while with what it kept.
    pub(crate) fn crash(&mut self, party: Party) {
        self.note(format_args!("{party:?} crashes"));
        self.count("crashes");
        match party {
            Party::Owner(number) => self.owners[number].reload(self.now),
            Party::Member(number) => self.members[number].reload(self.now),
            Party::Relay(number) => self.relays[number].reload(),
        }
        let down = self.dice.millis(0..=self.plan.longest_pause);
        let until = self.now.after(down);
        let host = self.host_mut(party);
        host.down_until = Some(until);
        host.work_at = None;
        self.wake_at(party, until);
    }

    /// A letter is on its way.
    pub(crate) fn post(&mut self, pipe: PipeId, way: Way, letter: Letter) {
        let slow = self.dice.per_mille(self.plan.slow);
        let delay = self.dice.millis(if slow { 1..=self.plan.slowest } else { 1..=self.plan.delay });
        let number = self.letters;
        self.letters += 1;
        let lane = self.pipes.all[pipe].lane_mut(way);
        lane.last = lane.last.max(self.now.after(delay));
        lane.letters.push_back(Sent { letter, at: self.now, number });
        self.agenda.add(lane.last, Happening::Deliver(pipe, way));
    }

    fn deliver(&mut self, id: PipeId, way: Way) {
        let pipe = &mut self.pipes.all[id];
        let party = match way {
            Way::ToRelay => Party::Relay(pipe.relay),
            Way::ToClient => pipe.client.into(),
        };
        let (deaf, mute) = (pipe.is_deaf(way), pipe.is_deaf(other(way)));
        let host = *self.host_mut(party);
        if let Some(until) = host.down_until.filter(|until| *until > self.now) {
            return self.agenda.add(until, Happening::Deliver(id, way));
        }
        let Some(sent) = self.pipes.all[id].lane_mut(way).letters.pop_front() else { return };
        if deaf {
            if !mute && !matches!(sent.letter, Letter::Lost | Letter::Connected) {
                self.post(id, other(way), Letter::Lost);
            }
            return;
        }
        let fate = self.fate();
        if fate != Fate::Before {
            match (way, self.pipes.all[id].client) {
                (Way::ToRelay, _) => self.relay_takes(id, &sent),
                (Way::ToClient, Client::Owner(owner)) => self.owner_takes(owner, id, &sent.letter),
                (Way::ToClient, Client::Member(member)) => self.member_takes(member, id, &sent.letter),
            }
            self.wake(party);
        }
        if fate != Fate::Calm {
            self.crash(party);
        }
        // What was not acknowledged comes again.
        if fate == Fate::Before || (fate == Fate::After && self.dice.coin()) {
            self.count("letters that came again");
            self.pipes.all[id].lane_mut(way).letters.push_front(sent);
            self.agenda.add(self.now, Happening::Deliver(id, way));
        }
    }

    /// Both sides lose a connection.
    pub(crate) fn cut(&mut self, id: PipeId) {
        for way in [Way::ToRelay, Way::ToClient] {
            if !self.pipes.all[id].is_deaf(way) {
                self.pipes.all[id].lane_mut(way).letters.clear();
                self.post(id, way, Letter::Lost);
            }
        }
    }

    fn work(&mut self, party: Party) {
        let host = self.host_mut(party);
        host.work_at = None;
        let restarts = host.down_until.take().is_some();
        let next = match party {
            Party::Owner(number) => self.owner_works(number),
            Party::Member(number) => self.member_works(number, restarts),
            Party::Relay(number) => self.relay_works(number),
        };
        if let Some(next) = next {
            self.wake_at(party, next.max(self.now));
        }
    }

    fn act(&mut self, number: usize) {
        let act = self.plan.acts[number].1.clone();
        let party = match &act {
            Act::Owner(owner, _) => Some(Party::Owner(*owner)),
            Act::Member(member, _) => Some(Party::Member(*member)),
            Act::Link(_) | Act::Cut(..) | Act::Pause(..) | Act::Mischief(_) => None,
        };
        if let Some(until) = party.and_then(|party| self.host_mut(party).down_until).filter(|until| *until > self.now) {
            return self.agenda.add(until, Happening::Act(number));
        }
        match act {
            Act::Owner(owner, deed) => self.owner_does(owner, &deed),
            Act::Member(member, deed) => self.member_does(member, &deed),
            Act::Link(lie) => {
                self.note(format_args!("the group link: {lie:?}"));
                self.links.lie = lie;
            }
            Act::Cut(member, relay) => {
                let cut = |pipe: &&crate::pipes::Pipe| {
                    pipe.client == Client::Member(member) && pipe.relay == relay && !pipe.left && !pipe.closed
                };
                let found = self.pipes.all.iter().rposition(|pipe| cut(&pipe) && pipe.connected);
                if let Some(id) = found {
                    self.note(format_args!("member {member} and relay {relay} are cut off from each other"));
                    self.count("connections that were cut");
                    self.cut(id);
                }
            }
            Act::Pause(relay) => self.crash(Party::Relay(relay)),
            Act::Mischief(relay) => self.mischief(relay),
        }
    }

    /// Goes on until nothing more happens before `end`.
    pub(crate) fn run_until(&mut self, end: Time) {
        while self.violation.is_none() && self.agenda.next_at().is_some_and(|next| next <= end) {
            let Some((at, happening)) = self.agenda.take_next() else { return };
            self.now = self.now.max(at);
            self.count("happenings");
            match happening {
                Happening::Work(party) if self.host_mut(party).work_at == Some(at) => self.work(party),
                Happening::Work(_) => {}
                Happening::Deliver(pipe, way) => self.deliver(pipe, way),
                Happening::Act(number) => self.act(number),
            }
        }
        self.now = self.now.max(end);
    }

    /// Nothing lies any more and nothing breaks.
    pub(crate) fn calm(&mut self) {
        self.links.lie = LinkLie::No;
    }
}

fn other(way: Way) -> Way {
    match way {
        Way::ToRelay => Way::ToClient,
        Way::ToClient => Way::ToRelay,
    }
}
