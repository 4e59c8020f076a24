//! What members say: verified, judged, followed, and put into its lane.

use super::event::{MemberEvent, Parting};
use super::hall::Lane;
use super::inputs::Members;
use super::introduction::Stage;
use super::member::Member;
use super::rights::Effect;
use super::rows::Rows;
use super::sequence::Speaker;
use crate::body::Batch;
use crate::element::{AuthoredMessage, Element};
use crate::event::{Event, RosterRequest};
use crate::identity::MemberId;
use crate::keys::Asserted;
use crate::member::Role;
use crate::relay::name::ConnectionName;
use crate::roster::Served;
use crate::verification::{AcceptedMessage, Attribution};
use crate::version;

/// What one member says while a job is under way, beyond which it is not heard: nobody else has to wait for it.
const MAX_BURST: u32 = 256;

impl<R: Rows> Members<'_, '_, R> {
    /// A message came from a member, which reached our queue at that time in Unix seconds. It may be acknowledged once
    /// the rows are durable, whatever it says. May be told twice.
    pub fn received(
        &mut self,
        name: &ConnectionName,
        message: &[u8],
        sent_at: i64,
        body: &[u8],
    ) -> Result<(), R::Error> {
        let ConnectionName::Member(_, _, attempt) = *name else { return Ok(()) };
        let Some(member) = self.member_of(name)?.filter(Member::is_current) else { return Ok(()) };
        let attempt = u64::from(attempt);
        let mut member = self.stands(member, attempt)?;
        let Some(link) = member.link_mut(attempt) else { return Ok(()) };
        if link.last.as_deref() == Some(message) {
            return Ok(());
        }
        link.last = Some(message.to_vec());
        self.rows.put_member(&member)?;
        let Ok(batch) = Batch::parse(body) else {
            self.refuse(&member.id, "a malformed body");
            return Ok(());
        };
        for element in batch {
            // What came before may have ended the membership.
            let Some(member) = self.rows.member(member.number)?.filter(Member::is_connected) else { return Ok(()) };
            match element {
                Ok(Element::Message(authored)) => self.hear(member, authored, sent_at)?,
                Ok(Element::Forward(_)) => self.refuse(&member.id, "members forward nothing"),
                Ok(Element::Chunk(_)) => self.refuse(&member.id, "members send no files to relays"),
                Err(_) => self.refuse(&member.id, "a malformed element"),
            }
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, member: &MemberId, why: &'static str) {
        self.events.push(MemberEvent::Refused(member.clone(), why));
    }

    fn hear(&mut self, mut member: Member, authored: AuthoredMessage, sent_at: i64) -> Result<(), R::Error> {
        let said = Asserted { role: member.role.clone(), key: member.key };
        let author = self.view.links.author(&member.id, &self.view.roster, said);
        let versions = authored.message().versions;
        let id = member.id.clone();
        let accepted = match authored.verify(&author, &self.view.recipient()) {
            Ok(accepted) => accepted,
            Err(_) => {
                self.refuse(&id, "a message that does not verify");
                return Ok(());
            }
        };
        member.max_version = versions.max();
        let count = member.burst.count(self.hall()?.progress());
        self.rows.put_member(&member)?;
        let role = author.role().clone();
        match accepted.event() {
            Event::GroupRosterRequest(request) => self.serve_roster(member, request),
            Event::GroupLeave => self.process_of(member, role, &accepted, sent_at),
            _ if count >= MAX_BURST && role != Role::Owner => {
                self.refuse(&id, "more than others can take");
                Ok(())
            }
            // What an owner does about the group goes through its first connection.
            event if role == Role::Owner && !event.is_content() => {
                self.refuse(&id, "not through the connection for content");
                Ok(())
            }
            _ => self.process_of(member, role, &accepted, sent_at),
        }
    }

    fn process_of(
        &mut self,
        member: Member,
        role: Role,
        accepted: &AcceptedMessage,
        sent_at: i64,
    ) -> Result<(), R::Error> {
        let name = self.name_of(&member)?;
        let speaker = Speaker { id: member.id.clone(), role, name, member: Some(member) };
        self.process(speaker, accepted, sent_at)
    }

    fn name_of(&self, member: &Member) -> Result<String, R::Error> {
        let persona = self.rows.persona(member.number)?;
        Ok(persona.map(|persona| persona.profile.display_name).unwrap_or_default())
    }

    /// A member asks for the roster.
    fn serve_roster(&mut self, mut member: Member, request: &RosterRequest) -> Result<(), R::Error> {
        let Some(stored) = self.view.stored_roster.as_ref().map(|roster| roster.version) else { return Ok(()) };
        let due = Served { last: member.roster_served }.is_due(request, stored);
        if due && member.stage.is_none() && member.max_version >= version::ROSTER {
            member.stage = Some(Stage::RosterAgain);
            member.due = Some(self.env.now);
            self.rows.put_member(&member)?;
        }
        Ok(())
    }

    /// An owner said something that the relay has accepted and followed.
    pub fn owner_said(&mut self, accepted: &AcceptedMessage, sent_at: i64) -> Result<(), R::Error> {
        let Attribution::Member(id, role) = accepted.attribution() else { return Ok(()) };
        let member = self.rows.member_with_id(id)?.filter(Member::is_owner);
        let name = self.view.owner_name(id).to_owned();
        let speaker = Speaker { id: id.clone(), role: role.clone(), name, member };
        self.process(speaker, accepted, sent_at)
    }

    fn process(&mut self, mut speaker: Speaker, accepted: &AcceptedMessage, sent_at: i64) -> Result<(), R::Error> {
        if let Event::MessageDelete(deletion) = accepted.event()
            && deletion.only_history == Some(true)
        {
            return self.delete_from_history(&speaker, accepted);
        }
        if !accepted.event().is_forwarded() {
            self.refuse(&speaker.id, "an event that is not forwarded");
            return Ok(());
        }
        if let Some(id) = &accepted.message().id
            && self.rows.has_said(&speaker.id, id)?
        {
            self.refuse(&speaker.id, "said before");
            return Ok(());
        }
        let passage = match self.rule(&speaker, accepted)? {
            Ok(passage) => passage,
            Err(why) => {
                self.refuse(&speaker.id, why);
                return Ok(());
            }
        };
        let blocked = speaker.member.as_ref().is_some_and(|member| member.blocked);
        let own = matches!(passage.effect, Effect::Leave | Effect::Profile);
        // Whatever a change replaces makes place first, so that it is not replaced itself.
        if !blocked {
            self.make_place(&passage.effect)?;
        }
        if let Effect::Profile = passage.effect {
            self.follow_profile(&mut speaker, accepted)?;
        }
        let seq = match blocked && !matches!(passage.effect, Effect::Leave) {
            true => None,
            false => self.append(&mut speaker, accepted, &passage, sent_at)?,
        };
        if own || !blocked { self.follow(speaker, passage.effect, seq) } else { Ok(()) }
    }

    fn follow_profile(&mut self, speaker: &mut Speaker, accepted: &AcceptedMessage) -> Result<(), R::Error> {
        let (Some(member), Event::Info(info)) = (speaker.member.as_mut(), accepted.event()) else { return Ok(()) };
        if !member.is_owner() {
            self.change_persona(member, info.profile.clone())?;
            self.rows.put_member(member)?;
            speaker.name = self.name_of_speaker(speaker.member.as_ref())?;
        }
        Ok(())
    }

    fn name_of_speaker(&self, member: Option<&Member>) -> Result<String, R::Error> {
        member.map_or_else(|| Ok(String::new()), |member| self.name_of(member))
    }

    /// Those who join later get the last edit of a post, and nothing of what was deleted.
    fn make_place(&mut self, effect: &Effect) -> Result<(), R::Error> {
        let (item, all) = match effect {
            Effect::Forget(item) => (*item, true),
            Effect::Edit(item) => (*item, false),
            _ => return Ok(()),
        };
        for mut message in self.rows.of_item(item)? {
            if all || (message.seq != item && is_edit(&message.element)) {
                message.history = None;
                self.rows.put_message(&message)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self, speaker: Speaker, effect: Effect, seq: Option<u64>) -> Result<(), R::Error> {
        match effect {
            Effect::Leave => match speaker.member {
                Some(member) => self.part(member, Parting::Left, None),
                None => Ok(()),
            },
            Effect::Remove(member) => match self.rows.member(member.number)? {
                Some(member) => self.part(member, Parting::Removed, seq),
                None => Ok(()),
            },
            Effect::Role(member, role) => {
                let Some(mut member) = self.rows.member(member.number)? else { return Ok(()) };
                self.set_role(&mut member, role)?;
                self.rows.put_member(&member)
            }
            Effect::Block(member, blocked) => {
                let Some(mut member) = self.rows.member(member.number)? else { return Ok(()) };
                member.blocked = blocked;
                self.rows.put_member(&member)
            }
            Effect::Nothing | Effect::Profile | Effect::Forget(_) | Effect::Edit(_) => Ok(()),
        }
    }

    /// Somebody takes back what it said, for those only who join later.
    fn delete_from_history(&mut self, speaker: &Speaker, accepted: &AcceptedMessage) -> Result<(), R::Error> {
        if speaker.role < Role::Moderator {
            self.refuse(&speaker.id, "only moderators delete from the history alone");
            return Ok(());
        }
        match self.rule(speaker, accepted)? {
            Ok(passage) => self.make_place(&passage.effect),
            Err(why) => {
                self.refuse(&speaker.id, why);
                Ok(())
            }
        }
    }

    /// How much waits in a lane.
    pub fn waiting(&self, lane: Lane) -> Result<u64, R::Error> {
        Ok(self.hall()?.lane(lane).waiting())
    }
}

/// Whether an element that we wrote forwards an edit.
fn is_edit(element: &[u8]) -> bool {
    use crate::element::ForwardContent;
    let Ok(Element::Forward(forward)) = Element::parse(element) else { return false };
    let ForwardContent::Message(authored) = forward.content else { return false };
    matches!(authored.message().event, Event::MessageUpdate(_))
}
