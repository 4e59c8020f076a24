//! Putting messages into the lanes.

use codec::Encode as _;

use super::event::MemberEvent;
use super::hall::Lane;
use super::inputs::Members;
use super::member::Member;
use super::message::{History, StoredMessage, Told};
use super::rights::Passage;
use super::rows::Rows;
use crate::body::single;
use crate::element::Element;
use crate::event::Event;
use crate::identity::MemberId;
use crate::member::Role;
use crate::verification::AcceptedMessage;

/// Who speaks.
pub(super) struct Speaker {
    pub(super) id: MemberId,
    pub(super) role: Role,
    /// In front of what it says.
    pub(super) name: String,
    /// Its row; an owner that is not connected itself has none.
    pub(super) member: Option<Member>,
}

impl<R: Rows> Members<'_, '_, R> {
    /// Gives a message its place; which one. Nothing if it is too long to be passed on.
    pub(super) fn append(
        &mut self,
        speaker: &mut Speaker,
        accepted: &AcceptedMessage,
        passage: &Passage,
        sent_at: i64,
    ) -> Result<Option<u64>, R::Error> {
        let Some(forward) = accepted.to_forward(&speaker.name, sent_at) else { return Ok(None) };
        let element = Element::Forward(forward);
        if single(element.clone()).is_err() {
            self.events.push(MemberEvent::Refused(speaker.id.clone(), "too long to be forwarded"));
            return Ok(None);
        }
        let mut hall = self.hall()?;
        let lane = if passage.to_moderators { Lane::Support } else { Lane::Group };
        let state = hall.lane_mut(lane);
        let seq = state.next;
        state.next = seq.saturating_add(1);
        if matches!(accepted.event(), Event::GroupInfo(_)) && accepted.is_word_of_owner() {
            hall.signed_profile = Some(seq);
        }
        self.rows.put_hall(&hall)?;
        let progress = hall.progress();
        let message = StoredMessage {
            lane,
            seq,
            element: element.to_bytes(),
            author: speaker.id.clone(),
            id: accepted.message().id.clone(),
            sender: speaker.member.as_ref().map(|member| member.number),
            about: passage.about,
            scope: passage.scope.clone(),
            told: told_about(speaker, accepted),
            history: self.history_of(accepted, passage, lane, seq, sent_at),
            verified: accepted.trust().is_verified(),
            as_group: accepted.is_from_channel(),
            at: self.env.now,
        };
        self.rows.put_message(&message)?;
        self.spoke(speaker, &message, progress)?;
        self.events.push(MemberEvent::Forwarded);
        Ok(Some(seq))
    }

    fn spoke(&mut self, speaker: &mut Speaker, message: &StoredMessage, progress: u64) -> Result<(), R::Error> {
        let Some(member) = speaker.member.as_mut() else { return Ok(()) };
        member.burst.add(progress);
        match message.lane {
            _ if message.told.is_none() => {}
            Lane::Group => member.last_spoke = Some(message.seq),
            Lane::Support => member.last_asked = Some(message.seq),
        }
        self.rows.put_member(member)
    }

    fn history_of(
        &self,
        accepted: &AcceptedMessage,
        passage: &Passage,
        lane: Lane,
        seq: u64,
        sent_at: i64,
    ) -> Option<History> {
        if lane == Lane::Support {
            return None;
        }
        let Event::MessageNew(message) = accepted.event() else { return passage.item };
        let life = message.ttl.or_else(|| self.view.life_of_messages().and_then(|life| i64::try_from(life).ok()));
        Some(History { item: seq, until: life.map(|life| sent_at.saturating_add(life)) })
    }

    /// Tells owners and moderators something that only the relay says; in which message.
    pub(super) fn append_of_relay(&mut self, element: &Element, about: &Member) -> Result<u64, R::Error> {
        let mut hall = self.hall()?;
        let seq = hall.support.next;
        hall.support.next = seq.saturating_add(1);
        self.rows.put_hall(&hall)?;
        self.rows.put_message(&StoredMessage {
            lane: Lane::Support,
            seq,
            element: element.to_bytes(),
            author: self.view.relay.clone(),
            id: None,
            sender: None,
            about: Some(about.number),
            scope: None,
            told: None,
            history: None,
            verified: false,
            as_group: false,
            at: self.env.now,
        })?;
        Ok(seq)
    }
}

/// Owners are known from the group link; and nobody has to know who it was that left.
fn told_about(speaker: &Speaker, accepted: &AcceptedMessage) -> Option<Told> {
    let unknown = speaker.role != Role::Owner && !matches!(accepted.event(), Event::GroupLeave);
    speaker.member.as_ref().filter(|_| unknown).map(Told::about)
}
