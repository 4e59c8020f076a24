//! The end of a group: everybody is told the last word, and nothing stays.

use super::dispatch::{Bodies, Deletion, Dispatch, DispatchKind, Handover, Work};
use super::hall::Hall;
use super::member::Member;
use super::rows::{ReadRows, Rows};
use super::turn::no_bodies;
use crate::relay::name::{ConnectionName, ServiceId};

/// Members that are told together.
const PAGE: usize = 200;

/// What follows a page of an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndSettlement {
    members: Vec<u64>,
    upto: u64,
    is_last: bool,
}

pub(super) fn end<R: ReadRows>(service: ServiceId, hall: &Hall, rows: &R) -> Result<Work, R::Error> {
    let after = hall.ending.unwrap_or_default();
    let members = rows.everybody(after, PAGE)?;
    let word: Bodies = hall.last_word.clone().into_iter().collect::<Vec<_>>().into();
    let handovers = members.iter().flat_map(|member| farewell(service, member, &word)).collect();
    let settlement = EndSettlement {
        upto: members.last().map_or(after, |member| member.number),
        is_last: members.len() < PAGE,
        members: members.into_iter().map(|member| member.number).collect(),
    };
    let dispatch = Dispatch { service, kind: DispatchKind::End, handovers, settlement: settlement.into() };
    Ok(Work { answers: Vec::new(), dispatch })
}

/// All connections of a member; the one that it receives through brings the last word. Owners are told by the service
/// itself.
fn farewell(service: ServiceId, member: &Member, word: &Bodies) -> Vec<Handover> {
    let told = member.outlet().filter(|_| member.is_connected()).map(|link| link.attempt);
    let links = [Some(&member.link).filter(|_| !member.is_owner()), member.content.as_ref()];
    let attempts = links.into_iter().flatten().map(|link| link.attempt);
    let attempts = attempts.chain(member.discarded.iter().map(|attempt| u64::from(*attempt)));
    let handover = |attempt: u64| {
        let takes_word = told == Some(attempt) && !member.is_owner();
        let connection = ConnectionName::Member(service, member.number, u16::try_from(attempt).unwrap_or(u16::MAX));
        match takes_word {
            true => Handover { connection, bodies: word.clone(), deletion: Some(Deletion::AfterMessages) },
            false => Handover { connection, bodies: no_bodies(), deletion: Some(Deletion::AtOnce) },
        }
    };
    attempts.map(handover).collect()
}

impl EndSettlement {
    pub(super) fn settle<R: Rows>(&self, rows: &mut R) -> Result<(), R::Error> {
        let Some(mut hall) = rows.hall()?.filter(|hall| hall.ending.is_some()) else { return Ok(()) };
        if self.is_last {
            return rows.clear();
        }
        self.members.iter().try_for_each(|number| rows.remove_member(*number))?;
        hall.ending = Some(self.upto);
        rows.put_hall(&hall)
    }
}
