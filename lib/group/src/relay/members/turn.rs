//! What concerns single members: answering, introducing, catching up, parting, forgetting.
//!
//! # The second connection takes over
//!
//! Messages overtake each other on two connections. So a member is told through the first one, after everything else,
//! that the second takes over ([`Event::GroupRelayPair`]); from then on nothing is forwarded to it. It finishes the
//! handshake of the second connection once it has heard that, and everything that it misses comes through it. If the
//! handshake is not finished in time, the second connection goes, and the first one is used again.

use std::time::Duration;

use agent::time::Time;

use super::admission::answer;
use super::behind::Behind;
use super::composer::{Composer, Packer};
use super::dispatch::{
    Answer, Bodies, Deletion, Dispatch, DispatchKind, Handover, HandoverOutcome, Work, forget_admitted,
};
use super::hall::{Hall, Lane};
use super::inputs::REMEMBERED;
use super::introduction::{Introducer, Stage, served_roster};
use super::member::{Link, LinkState, Member, MemberState};
use super::page::lost;
use super::rows::{ReadRows, Rows};
use super::view::GroupView;
use crate::element::Element;
use crate::event::Event;
use crate::message::Message;
use crate::relay::name::{ConnectionName, ServiceId};
use crate::roster::RosterVersion;

/// Members whose turn it is together.
const TOGETHER: usize = 32;
/// Bodies for one member in one turn, about.
const BODIES: usize = 8;
/// Messages that are read at a time for whoever catches up.
const MESSAGES: usize = 32;

/// How long a member may take until its second connection stands, and how long messages wait for that.
const PAIRING: Duration = Duration::from_secs(60);

/// What follows a turn of some members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TurnSettlement(Vec<Plan>);

/// What one member's turn is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    number: u64,
    /// Connections that are deleted.
    discarded: Vec<u16>,
    then: Then,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    /// Nothing but what is done besides.
    Nothing,
    /// It got something: the place of the handover, and where it stands then.
    Advance {
        place: Option<usize>,
        connection: Option<ConnectionName>,
        stage: Option<Stage>,
        behind: Option<Behind>,
        roster: Option<RosterVersion>,
    },
    /// It was told that the second connection takes over, by the handover at this place.
    Pair(usize, ConnectionName),
    /// The second connection did not come about.
    Unpair,
    /// It was told, and its connections are gone.
    Gone,
    /// It never came, or was remembered for long enough.
    Forget,
}

struct Turns<'a, R> {
    view: &'a GroupView,
    hall: &'a Hall,
    rows: &'a R,
    now: Time,
    answers: Vec<Answer>,
    handovers: Vec<Handover>,
    plans: Vec<Plan>,
}

/// What is to be done for single members, if anything is.
pub(super) fn next<R: ReadRows>(view: &GroupView, hall: &Hall, rows: &R, now: Time) -> Result<Option<Work>, R::Error> {
    let due = rows.due(now, TOGETHER)?;
    if due.is_empty() {
        return Ok(None);
    }
    let (answers, handovers, plans) = Default::default();
    let mut turns = Turns { view, hall, rows, now, answers, handovers, plans };
    for member in &due {
        turns.take(member)?;
    }
    let Turns { answers, handovers, plans, .. } = turns;
    let settlement = TurnSettlement(plans).into();
    let dispatch = Dispatch { service: view.service, kind: DispatchKind::Turns, handovers, settlement };
    Ok(Some(Work { answers, dispatch }))
}

impl<R: ReadRows> Turns<'_, R> {
    fn take(&mut self, member: &Member) -> Result<(), R::Error> {
        let expired = self.now.since(member.since) >= REMEMBERED;
        let then = match member.state {
            MemberState::Admitted | MemberState::Connected if self.answer(member) => Then::Nothing,
            MemberState::Connected if member.is_to_pair() => self.pair(member),
            MemberState::Connected if member.pair_until.is_some_and(|until| until <= self.now) => Then::Unpair,
            MemberState::Connected if member.pair_until.is_some() => Then::Nothing,
            MemberState::Connected => self.advance(member)?,
            MemberState::Admitted if expired => {
                self.delete(member, member.link.attempt, no_bodies(), Deletion::AtOnce);
                Then::Forget
            }
            MemberState::Admitted => Then::Nothing,
            MemberState::Parting { word, .. } => self.part(member, word)?,
            MemberState::Gone { .. } if expired => Then::Forget,
            MemberState::Gone { .. } => Then::Nothing,
        };
        for attempt in &member.discarded {
            self.delete(member, u64::from(*attempt), no_bodies(), Deletion::AtOnce);
        }
        self.plans.push(Plan { number: member.number, discarded: member.discarded.clone(), then });
        Ok(())
    }

    /// Accepts the requests of a member; whether there are any.
    fn answer(&mut self, member: &Member) -> bool {
        let links = [Some(&member.link).filter(|_| !member.is_owner()), member.content.as_ref()];
        // The second connection takes over after the introduction.
        let may = |link: &&Link| member.stage.is_none() || member.link == **link;
        let asked: Vec<_> =
            links.into_iter().flatten().filter(|link| link.state == LinkState::Asked).filter(may).collect();
        let size = self.hall.members.saturating_add(1);
        for link in &asked {
            self.answers.push(Answer {
                member: member.number,
                request: link.request,
                connection: member.connection(self.view.service, link),
                info: answer(self.view, member, size),
            });
        }
        !asked.is_empty()
    }

    fn pair(&mut self, member: &Member) -> Then {
        let mut packer = Packer::default();
        packer.push(&codec::Encode::to_bytes(&Element::from(Message::unnamed(Event::GroupRelayPair))));
        let connection = member.connection(self.view.service, &member.link);
        self.handovers.push(Handover { connection, bodies: packer.finish().into(), deletion: None });
        Then::Pair(self.handovers.len().saturating_sub(1), connection)
    }

    fn delete(&mut self, member: &Member, attempt: u64, bodies: Bodies, deletion: Deletion) {
        let attempt = u16::try_from(attempt).unwrap_or(u16::MAX);
        let connection = ConnectionName::Member(self.view.service, member.number, attempt);
        self.handovers.push(Handover { connection, bodies, deletion: Some(deletion) });
    }

    /// Says the next part of what is to be said to a member.
    fn advance(&mut self, member: &Member) -> Result<Then, R::Error> {
        let (mut stage, mut behind, mut roster) = (member.stage, member.behind, None);
        let mut packer = Packer::default();
        let mut composer = Composer::new(self.rows);
        let now = i64::try_from(self.now.millis() / 1_000).unwrap_or(i64::MAX);
        let introducer = Introducer { view: self.view, rows: self.rows, hall: self.hall, now };
        while packer.full_bodies() < BODIES {
            if let Some(now) = stage {
                roster = served_roster(now, self.view, member).or(roster);
                stage = introducer.say(now, member, &mut composer, &mut packer)?;
            } else if !self.catch_up(member, behind.as_mut(), &mut composer, &mut packer)? {
                break;
            }
        }
        let bodies: Bodies = packer.finish().into();
        let outlet = member.outlet().map(|link| member.connection(self.view.service, link));
        let place = outlet.filter(|_| !bodies.is_empty()).map(|connection| {
            self.handovers.push(Handover { connection, bodies, deletion: None });
            self.handovers.len().saturating_sub(1)
        });
        Ok(Then::Advance { place, connection: outlet, stage, behind, roster })
    }

    /// Gives a member some of what it misses; whether there was something to look at.
    fn catch_up(
        &self,
        member: &Member,
        behind: Option<&mut Behind>,
        composer: &mut Composer<'_, R>,
        packer: &mut Packer,
    ) -> Result<bool, R::Error> {
        let Some(behind) = behind else { return Ok(false) };
        let frontier = Behind::frontier(self.hall, member.number);
        for lane in [Lane::Support, Lane::Group] {
            let (from, below) = (behind.lane(lane), frontier.lane(lane));
            if from >= below {
                continue;
            }
            let messages = self.rows.messages(lane, from, below, MESSAGES)?;
            let seen = messages.last().filter(|_| messages.len() >= MESSAGES);
            *behind.lane_mut(lane) = seen.map_or(below, |last| last.seq.saturating_add(1));
            composer.pack(&messages, member, packer)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Tells a member why it is no longer one, and deletes its connections.
    fn part(&mut self, member: &Member, word: Option<u64>) -> Result<Then, R::Error> {
        let mut packer = Packer::default();
        if let Some(seq) = word
            && let Some(message) = self.rows.message(Lane::Group, seq)?
        {
            packer.push(&message.element);
        }
        let bodies: Bodies = packer.finish().into();
        let told = member.outlet().map(|link| link.attempt);
        let links = [Some(&member.link).filter(|_| !member.is_owner()), member.content.as_ref()];
        for link in links.into_iter().flatten() {
            let (bodies, deletion) = match told == Some(link.attempt) {
                true => (bodies.clone(), Deletion::AfterMessages),
                false => (no_bodies(), Deletion::AtOnce),
            };
            self.delete(member, link.attempt, bodies, deletion);
        }
        Ok(Then::Gone)
    }
}

pub(super) fn no_bodies() -> Bodies {
    Vec::new().into()
}

impl TurnSettlement {
    pub(super) fn settle<R: Rows>(
        &self,
        outcome: impl Fn(usize) -> HandoverOutcome,
        rows: &mut R,
        now: Time,
    ) -> Result<(), R::Error> {
        self.0.iter().try_for_each(|plan| plan.settle(&outcome, rows, now))
    }
}

impl Plan {
    fn settle<R: Rows>(
        &self,
        outcome: &impl Fn(usize) -> HandoverOutcome,
        rows: &mut R,
        now: Time,
    ) -> Result<(), R::Error> {
        let Some(mut member) = rows.member(self.number)? else { return Ok(()) };
        member.discarded.retain(|attempt| !self.discarded.contains(attempt));
        match &self.then {
            Then::Nothing => {
                member.due = member.next_turn(now);
                rows.put_member(&member)
            }
            Then::Pair(place, connection) => match outcome(*place) {
                HandoverOutcome::Taken => paired(member, rows, now),
                HandoverOutcome::Full => {
                    member.rest(now);
                    rows.put_member(&member)
                }
                HandoverOutcome::Gone => self.lose(member, Some(*connection), rows, now),
            },
            Then::Unpair => {
                if member.pair_until.is_some_and(|until| until <= now) {
                    member.replace_content(None);
                }
                member.due = member.next_turn(now);
                rows.put_member(&member)
            }
            Then::Forget if member.state == MemberState::Admitted => forget_admitted(member, rows),
            Then::Forget if matches!(member.state, MemberState::Gone { .. }) => rows.remove_member(member.number),
            Then::Gone => match member.state {
                MemberState::Parting { banned, .. } => {
                    member.state = MemberState::Gone { banned };
                    (member.content, member.pair_until) = (None, None);
                    member.due = Some(member.since.after(REMEMBERED));
                    rows.put_member(&member)
                }
                _ => rows.put_member(&member),
            },
            Then::Forget => rows.put_member(&member),
            Then::Advance { place, connection, .. } => {
                let outcome = place.map_or(HandoverOutcome::Taken, outcome);
                match outcome {
                    HandoverOutcome::Gone => self.lose(member, *connection, rows, now),
                    outcome => self.advanced(member, outcome, rows, now),
                }
            }
        }
    }

    fn lose<R: Rows>(
        &self,
        member: Member,
        connection: Option<ConnectionName>,
        rows: &mut R,
        now: Time,
    ) -> Result<(), R::Error> {
        rows.put_member(&member)?;
        let mut hall = rows.hall()?.unwrap_or_default();
        lost(self.number, connection, rows, now, &mut hall)?;
        rows.put_hall(&hall)
    }

    fn advanced<R: Rows>(
        &self,
        mut member: Member,
        outcome: HandoverOutcome,
        rows: &mut R,
        now: Time,
    ) -> Result<(), R::Error> {
        let Then::Advance { connection, stage, behind, roster, .. } = &self.then else { return Ok(()) };
        if !member.is_connected() || !still(&member, *connection) {
            return rows.put_member(&member);
        }
        if outcome == HandoverOutcome::Full {
            member.rest(now);
            return rows.put_member(&member);
        }
        let hall = rows.hall()?.unwrap_or_default();
        member.refusals = 0;
        member.stage = *stage;
        member.roster_served = (*roster).or(member.roster_served);
        member.behind = behind.or(member.behind);
        let frontier = Behind::frontier(&hall, self.number);
        if member.stage.is_none() && member.behind.is_some_and(|behind| behind.has_reached(&frontier)) {
            member.behind = None;
        }
        member.due = member.next_turn(now);
        rows.put_member(&member)
    }
}

/// A member knows, or will, that its second connection takes over: nothing is forwarded until that stands.
fn paired<R: Rows>(mut member: Member, rows: &mut R, now: Time) -> Result<(), R::Error> {
    if member.is_connected() && member.is_to_pair() {
        let hall = rows.hall()?.unwrap_or_default();
        member.behind = member.behind.or(Some(Behind::frontier(&hall, member.number)));
        member.pair_until = Some(now.after(PAIRING));
        member.due = member.pair_until;
    }
    rows.put_member(&member)
}

/// Whether the member still receives through the connection that was written to.
fn still(member: &Member, connection: Option<ConnectionName>) -> bool {
    let service = match connection {
        Some(ConnectionName::Owner(service, _) | ConnectionName::Member(service, ..)) => service,
        _ => ServiceId(0),
    };
    member.outlet().map(|link| member.connection(service, link)) == connection
}
