//! One page of a job: some messages for some members, in the order of their numbers.

use agent::time::Time;

use super::behind::Behind;
use super::composer::{Composer, job_size};
use super::dispatch::{Dispatch, DispatchKind, Handover, HandoverOutcome, Work};
use super::hall::{Hall, Lane};
use super::member::{Member, MemberState};
use super::message::StoredMessage;
use super::rows::{ReadRows, Rows};
use super::view::GroupView;
use crate::limits;
use crate::relay::name::ConnectionName;

/// Members in one page.
const PAGE: usize = 500;

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageSettlement {
    lane: Lane,
    first: u64,
    last: u64,
    /// Members with higher numbers.
    after: u64,
    /// Up to this one.
    upto: u64,
    /// There are no more members.
    is_last: bool,
    /// Whose handover it is, in the order of handovers.
    members: Vec<u64>,
}

/// The next page of a lane, if anything waits there.
pub(super) fn next<R: ReadRows>(view: &GroupView, hall: &Hall, lane: Lane, rows: &R) -> Result<Option<Work>, R::Error> {
    let state = hall.lane(lane);
    if state.done >= state.next {
        return Ok(None);
    }
    let first = state.done;
    let below = state.last.map_or(state.next, |last| last.saturating_add(1));
    let mut messages = rows.messages(lane, first, below, limits::MESSAGES_IN_BODY)?;
    if state.last.is_none() {
        messages.truncate(job_size(&messages));
    }
    let last = state.last.or(messages.last().map(|message| message.seq)).unwrap_or(first);
    let (receivers, is_last) = match lane {
        Lane::Group => {
            let page = rows.connected(state.cursor, PAGE)?;
            let is_last = page.len() < PAGE;
            (page, is_last)
        }
        Lane::Support => (interested(&messages, rows)?, true),
    };
    let upto = receivers.last().map_or(state.cursor, |member| member.number);
    let mut settlement = PageSettlement { lane, first, last, after: state.cursor, upto, is_last, members: Vec::new() };
    let mut composer = Composer::new(rows);
    let mut handovers = Vec::new();
    for member in receivers.iter().filter(|member| member.behind.is_none()) {
        let bodies = composer.bodies(&messages, member)?;
        if let Some(link) = member.outlet().filter(|_| !bodies.is_empty()) {
            handovers.push(Handover { connection: member.connection(view.service, link), bodies, deletion: None });
            settlement.members.push(member.number);
        }
    }
    let kind = DispatchKind::Page(lane);
    let dispatch = Dispatch { service: view.service, kind, handovers, settlement: settlement.into() };
    Ok(Some(Work { answers: Vec::new(), dispatch }))
}

/// Those who see chats with moderators: never so many that they need pages.
fn interested<R: ReadRows>(messages: &[StoredMessage], rows: &R) -> Result<Vec<Member>, R::Error> {
    let mut receivers = rows.moderators(0, PAGE)?;
    for scope in messages.iter().filter_map(|message| message.scope.as_ref()) {
        let known = receivers.iter().any(|member| member.id == *scope);
        let scoped = rows.member_with_id(scope)?.filter(|member| !known && member.is_connected());
        receivers.extend(scoped);
    }
    receivers.sort_by_key(|member| member.number);
    Ok(receivers)
}

impl PageSettlement {
    pub(super) fn settle<R: Rows>(
        &self,
        handovers: &[Handover],
        outcome: impl Fn(usize) -> HandoverOutcome,
        rows: &mut R,
        now: Time,
    ) -> Result<(), R::Error> {
        let Some(mut hall) = rows.hall()?.filter(|hall| self.is_next(hall)) else { return Ok(()) };
        let before = hall.clone();
        let late = self.became_behind(rows)?;
        for (place, number) in self.members.iter().enumerate() {
            match outcome(place) {
                HandoverOutcome::Taken if late.contains(number) => self.has_it(*number, rows)?,
                HandoverOutcome::Taken => {}
                HandoverOutcome::Full => self.misses_it(*number, &before, rows, now)?,
                HandoverOutcome::Gone => {
                    let connection = handovers.get(place).map(|handover| handover.connection);
                    lost(*number, connection, rows, now, &mut hall)?;
                }
            }
        }
        let state = hall.lane_mut(self.lane);
        state.last = Some(self.last);
        state.cursor = self.upto;
        if self.is_last {
            (state.done, state.last, state.cursor) = (self.last.saturating_add(1), None, 0);
        }
        rows.put_hall(&hall)
    }

    /// Whether the lane is still where it was when the page was made.
    fn is_next(&self, hall: &Hall) -> bool {
        let state = hall.lane(self.lane);
        let same_job = state.done == self.first && state.last.is_none_or(|last| last == self.last);
        hall.ending.is_none() && same_job && state.cursor == self.after
    }

    /// Members of the page whose queues were found full while it was under way.
    fn became_behind<R: ReadRows>(&self, rows: &R) -> Result<Vec<u64>, R::Error> {
        let after = if self.lane == Lane::Support { 0 } else { self.after };
        Ok(rows.behind(after, self.upto)?.into_iter().map(|member| member.number).collect())
    }

    fn has_it<R: Rows>(&self, number: u64, rows: &mut R) -> Result<(), R::Error> {
        let Some(mut member) = rows.member(number)? else { return Ok(()) };
        if let Some(behind) = &mut member.behind {
            let missing = behind.lane_mut(self.lane);
            *missing = (*missing).max(self.last.saturating_add(1));
        }
        rows.put_member(&member)
    }

    fn misses_it<R: Rows>(&self, number: u64, hall: &Hall, rows: &mut R, now: Time) -> Result<(), R::Error> {
        let Some(mut member) = rows.member(number)?.filter(Member::is_connected) else { return Ok(()) };
        if member.behind.is_none() {
            member.behind = Some(Behind::frontier(hall, number));
            member.rest(now);
        }
        rows.put_member(&member)
    }
}

/// There is no connection any more, unless it was replaced meanwhile.
pub(super) fn lost<R: Rows>(
    number: u64,
    connection: Option<ConnectionName>,
    rows: &mut R,
    now: Time,
    hall: &mut Hall,
) -> Result<(), R::Error> {
    let Some(mut member) = rows.member(number)?.filter(Member::is_connected) else { return Ok(()) };
    let (Some(connection), Some(link)) = (connection, member.outlet()) else { return Ok(()) };
    let service = match connection {
        ConnectionName::Owner(service, _) | ConnectionName::Member(service, ..) => service,
        _ => return Ok(()),
    };
    if member.connection(service, link) != connection {
        return Ok(());
    }
    if member.content.is_some() {
        member.replace_content(None);
        member.behind = member.behind.or(Some(Behind::frontier(hall, number)));
        member.due = Some(now);
        return rows.put_member(&member);
    }
    hall.members = hall.members.saturating_sub(1);
    member.state = MemberState::Parting { word: None, banned: false };
    member.since = now;
    (member.behind, member.stage) = (None, None);
    member.due = Some(now);
    rows.put_member(&member)
}
