//! What is to be sent next in a group, and what follows once connections have taken it.

use agent::time::Time;

pub use super::composer::Bodies;
use super::hall::{Hall, Lane};
use super::member::{Link, LinkState, Member, MemberState};
use super::page::{self, PageSettlement};
use super::parting::{self, EndSettlement};
use super::rows::{ReadRows, Rows};
use super::turn::{self, TurnSettlement};
use super::view::GroupView;
use crate::relay::name::{ConnectionName, ServiceId};

/// What is to be done next in one group. Nothing else is done there before it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Requests to accept.
    pub answers: Vec<Answer>,
    /// What to hand to connections, all of it in one step of the agent.
    pub dispatch: Dispatch,
}

/// A request to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose request.
    pub member: u64,
    /// Its number at the relay link.
    pub request: u64,
    /// The name of the connection that it makes.
    pub connection: ConnectionName,
    /// What to say.
    pub info: Vec<u8>,
}

/// What to hand to connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// In which group.
    pub service: ServiceId,
    /// What it is, for whoever asks for the next one.
    pub kind: DispatchKind,
    /// To whom.
    pub handovers: Vec<Handover>,
    /// What follows.
    pub settlement: Settlement,
}

/// What a dispatch is. They take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchKind {
    /// What concerns single members.
    Turns,
    /// A page of a job.
    Page(Lane),
    /// The end of the group.
    End,
}

/// What one connection is to take: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// Which connection.
    pub connection: ConnectionName,
    /// Bodies to send, in this order.
    pub bodies: Bodies,
    /// Whether it is deleted then.
    pub deletion: Option<Deletion>,
}

/// What becomes of messages that wait when a connection is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// They are sent first.
    AfterMessages,
    /// They are dropped.
    AtOnce,
}

/// What became of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoverOutcome {
    /// The connection has it.
    Taken,
    /// Too much waits there already, and it took nothing.
    Full,
    /// There is no such connection, or it takes nothing any more.
    Gone,
}

/// What follows once the connections have what a dispatch brings. Belongs into the same transaction as what they keep of
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Page(PageSettlement),
    Turns(TurnSettlement),
    End(EndSettlement),
}

impl Settlement {
    /// Settles a dispatch; `outcomes` are those of its handovers, in their order. Where there is none, the connection is
    /// gone.
    pub fn settle<R: Rows>(
        &self,
        handovers: &[Handover],
        outcomes: &[HandoverOutcome],
        rows: &mut R,
        now: Time,
    ) -> Result<(), R::Error> {
        let outcome = |place: usize| outcomes.get(place).copied().unwrap_or(HandoverOutcome::Gone);
        match &self.0 {
            Kind::Page(page) => page.settle(handovers, outcome, rows, now),
            Kind::Turns(turns) => turns.settle(outcome, rows, now),
            Kind::End(end) => end.settle(rows),
        }
    }
}

impl From<PageSettlement> for Settlement {
    fn from(settlement: PageSettlement) -> Self {
        Settlement(Kind::Page(settlement))
    }
}

impl From<TurnSettlement> for Settlement {
    fn from(settlement: TurnSettlement) -> Self {
        Settlement(Kind::Turns(settlement))
    }
}

impl From<EndSettlement> for Settlement {
    fn from(settlement: EndSettlement) -> Self {
        Settlement(Kind::End(settlement))
    }
}

/// What is to be done next in a group, after a dispatch of the kind `before`. Without a view only an end is.
pub fn next_dispatch<R: ReadRows>(
    service: ServiceId,
    view: Option<&GroupView>,
    rows: &R,
    now: Time,
    before: Option<DispatchKind>,
) -> Result<Option<Work>, R::Error> {
    let Some(hall) = rows.hall()? else { return Ok(None) };
    if hall.ending.is_some() {
        return parting::end(service, &hall, rows).map(Some);
    }
    let Some(view) = view else { return Ok(None) };
    for kind in order(before) {
        let work = match kind {
            DispatchKind::Page(lane) => page::next(view, &hall, lane, rows)?,
            DispatchKind::Turns | DispatchKind::End => turn::next(view, &hall, rows, now)?,
        };
        if work.is_some() {
            return Ok(work);
        }
    }
    Ok(None)
}

/// Whatever was not before comes first.
fn order(before: Option<DispatchKind>) -> [DispatchKind; 3] {
    use DispatchKind::{Page, Turns};
    match before {
        Some(Turns) => [Page(Lane::Support), Page(Lane::Group), Turns],
        Some(Page(Lane::Support)) => [Page(Lane::Group), Turns, Page(Lane::Support)],
        _ => [Turns, Page(Lane::Support), Page(Lane::Group)],
    }
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// The connection is open and durable, now or before.
    Done,
    /// Nobody knows yet: it is to be tried again.
    Later,
    /// It cannot be made.
    Failed,
}

impl Answer {
    /// Takes what became of the answer.
    pub fn settle<R: Rows>(&self, outcome: AnswerOutcome, rows: &mut R, now: Time) -> Result<(), R::Error> {
        let Some(mut member) = rows.member(self.member)?.filter(Member::is_current) else { return Ok(()) };
        let asked = |link: &&mut Link| link.request == self.request && link.state == LinkState::Asked;
        let is_content = member.content.as_ref().is_some_and(|content| content.request == self.request);
        let link = if is_content { member.content.as_mut() } else { Some(&mut member.link) };
        let Some(link) = link.filter(asked) else { return Ok(()) };
        match outcome {
            AnswerOutcome::Done => {
                link.state = LinkState::Answered;
                member.due = member.next_turn(now);
            }
            AnswerOutcome::Later => member.rest(now),
            AnswerOutcome::Failed if is_content => (member.content, member.pair_until) = (None, None),
            AnswerOutcome::Failed => return forget_admitted(member, rows),
        }
        rows.put_member(&member)
    }
}

/// Somebody who was let in never comes.
pub(super) fn forget_admitted<R: Rows>(member: Member, rows: &mut R) -> Result<(), R::Error> {
    let mut hall: Hall = rows.hall()?.unwrap_or_default();
    if member.state == MemberState::Admitted {
        hall.admitted = hall.admitted.saturating_sub(1);
        rows.put_hall(&hall)?;
    }
    rows.remove_member(member.number)
}
