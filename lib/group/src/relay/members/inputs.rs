//! What happens to members: connections that stand, are full, have room again or are lost; and the end of the group.

use std::time::Duration;

use agent::time::{Env, Time};

use super::behind::Behind;
use super::event::{MemberEvent, Parting};
use super::hall::{Hall, Lane};
use super::introduction::Stage;
use super::member::{Link, LinkState, Member, MemberState};
use super::persona::Persona;
use super::rows::Rows;
use super::view::GroupView;
use crate::body::ConnectionInfo;
use crate::element::{AuthoredMessage, Element};
use crate::event::{Event, MemberNew};
use crate::identity::MemberId;
use crate::member::{MemberInfo, Role};
use crate::message::Message;
use crate::relay::name::ConnectionName;
use crate::version;

/// How long a full queue is left alone if its owner does not say that there is room.
const FULL_REST: Duration = Duration::from_secs(10 * 60);
/// How long it is remembered who was there: messages may still be about it.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// Members whose roles are compared with a roster at a time; there are never so many.
const MODERATORS: usize = 1_000;

/// Makes steps of the members' side of one group.
pub struct Members<'a, 'e, R> {
    pub(super) view: &'a GroupView,
    pub(super) rows: &'a mut R,
    pub(super) env: &'a mut Env<'e>,
    pub(super) events: Vec<MemberEvent>,
}

impl<'a, 'e, R: Rows> Members<'a, 'e, R> {
    /// For steps at one moment.
    pub fn new(view: &'a GroupView, rows: &'a mut R, env: &'a mut Env<'e>) -> Self {
        Members { view, rows, env, events: Vec::new() }
    }

    /// What the steps told.
    pub fn into_events(self) -> Vec<MemberEvent> {
        self.events
    }

    pub(super) fn hall(&self) -> Result<Hall, R::Error> {
        Ok(self.rows.hall()?.unwrap_or_default())
    }

    /// The member that a connection belongs to, if it still does.
    pub(super) fn member_of(&mut self, name: &ConnectionName) -> Result<Option<Member>, R::Error> {
        let ConnectionName::Member(_, number, attempt) = *name else { return Ok(None) };
        let member = self.rows.member(number)?.filter(|member| {
            let links = [Some(&member.link).filter(|_| !member.is_owner()), member.content.as_ref()];
            links.into_iter().flatten().any(|link| link.attempt == u64::from(attempt))
        });
        if member.is_none() {
            self.events.push(MemberEvent::UnknownConnection(*name));
        }
        Ok(member)
    }

    /// A member answered the relay's answer, and says this about itself.
    pub fn informed(&mut self, name: &ConnectionName, info: &[u8]) -> Result<(), R::Error> {
        let Some(mut member) = self.member_of(name)? else { return Ok(()) };
        let Ok(info) = ConnectionInfo::parse(info) else { return Ok(()) };
        let Event::Info(said) = info.event() else { return Ok(()) };
        member.max_version = info.authored().message().versions.max();
        let same_key = said.member_key.is_none_or(|key| member.key == Some(key));
        let right = match info.authored() {
            AuthoredMessage::Unsigned(_) => true,
            AuthoredMessage::Signed(signed) => {
                member.key.is_some_and(|key| signed.is_signed_by(&self.view.group_id, &member.id, &key))
            }
        };
        if said.profile.check().is_ok() && same_key && right {
            self.change_persona(&mut member, said.profile.clone())?;
        }
        self.rows.put_member(&member)
    }

    pub(super) fn change_persona(
        &mut self,
        member: &mut Member,
        profile: crate::member::MemberProfile,
    ) -> Result<(), R::Error> {
        let before = self.rows.persona(member.number)?;
        let persona = Persona::new(profile, &self.view.profile, &member.role);
        if before.as_ref().is_none_or(|before| before.profile != persona.profile) {
            member.last_spoke = None;
            member.last_asked = None;
            self.introduce_from_now(member)?;
        }
        let (join, joined_at) = before.map(|before| (before.join, before.joined_at)).unwrap_or_default();
        self.rows.put_persona(member.number, &Persona { join, joined_at, ..persona })
    }

    /// The connection stands. May be told twice.
    pub fn connected(&mut self, name: &ConnectionName) -> Result<(), R::Error> {
        let ConnectionName::Member(_, _, attempt) = *name else { return Ok(()) };
        let Some(member) = self.member_of(name)? else { return Ok(()) };
        self.stands(member, u64::from(attempt)).map(drop)
    }

    /// What follows shows that the connection stands, or it was said.
    pub(super) fn stands(&mut self, mut member: Member, attempt: u64) -> Result<Member, R::Error> {
        let is_first = member.link.attempt == attempt && !member.is_owner();
        let waiting = |link: &&mut Link| !link.is_connected();
        let Some(link) = member.link_mut(attempt).filter(waiting) else { return Ok(member) };
        link.state = LinkState::Connected;
        if member.pair_until.take().is_some() {
            member.due = Some(self.env.now);
        }
        if is_first && member.state == MemberState::Admitted {
            self.arrives(&mut member)?;
        }
        self.rows.put_member(&member)?;
        Ok(member)
    }

    /// A member is there: it is introduced, and moderators hear of it.
    fn arrives(&mut self, member: &mut Member) -> Result<(), R::Error> {
        let mut hall = self.hall()?;
        hall.admitted = hall.admitted.saturating_sub(1);
        hall.members = hall.members.saturating_add(1);
        member.arrived = hall.tick();
        self.rows.put_hall(&hall)?;
        let frontier = Behind::frontier(&hall, member.number);
        member.state = MemberState::Connected;
        member.since = self.env.now;
        member.start = frontier.group;
        member.role_since = frontier.support;
        member.behind = Some(frontier);
        member.stage = Some(Stage::Welcome);
        member.introduced_since = member.moderates().then_some(member.arrived);
        member.due = Some(self.env.now);
        self.rows.put_member(member)?;
        self.events.push(MemberEvent::Connected(member.id.clone()));
        self.announce(member)
    }

    /// Tells owners and moderators who has come. Those who know `mkey1` get with it what the member signed.
    fn announce(&mut self, member: &mut Member) -> Result<(), R::Error> {
        let Some(persona) = self.rows.persona(member.number)? else { return Ok(()) };
        let member_info = member_info(member, &persona);
        let event = Event::GroupMemberNew(MemberNew { member_info, scope: None }.into());
        let element = Element::from(Message::unnamed(event));
        member.last_asked = Some(self.append_of_relay(&element, member)?);
        self.rows.put_member(member)
    }

    /// An owner of the group is connected, and nobody else can be at the other end. May be told twice.
    pub fn owner_connected(&mut self, owner: &MemberId, connection: u64, max_version: u16) -> Result<(), R::Error> {
        let mut hall = self.hall()?;
        let mut member = match self.rows.member_with_id(owner)? {
            Some(member) if member.is_owner() => member,
            Some(_) => return Ok(()),
            None => {
                hall.last_member = hall.last_member.saturating_add(1);
                Member::admitted(hall.last_member, owner.clone(), Role::Owner, 0, self.env.now)
            }
        };
        if member.is_connected() && member.link.is_connected() && member.link.attempt <= connection {
            return Ok(());
        }
        let was_there = member.is_connected();
        member.max_version = max_version;
        member.takes_joins = self.view.takes_joins(owner);
        member.link = Link { state: LinkState::Connected, ..Link::new(connection, 0) };
        if !was_there {
            let frontier = Behind::frontier(&hall, member.number);
            member.state = MemberState::Connected;
            (member.start, member.role_since) = (frontier.group, frontier.support);
            member.behind = Some(frontier);
            // Another owner's roster, unless it is its own.
            let stored = self.view.stored_roster.as_ref().filter(|stored| stored.owner != *owner);
            member.stage = stored.filter(|_| max_version >= version::ROSTER).map(|_| Stage::RosterAgain);
            member.due = Some(self.env.now);
            hall.members = hall.members.saturating_add(1);
        }
        self.rows.put_hall(&hall)?;
        self.rows.put_member(&member)?;
        self.rows.put_persona(member.number, &self.view.owner_persona(owner))
    }

    /// The relay has no connection with an owner any more.
    pub fn owner_lost(&mut self, owner: &MemberId, connection: u64) -> Result<(), R::Error> {
        let Some(mut member) = self.rows.member_with_id(owner)?.filter(Member::is_owner) else { return Ok(()) };
        if member.link.attempt != connection {
            return Ok(());
        }
        member.link.state = LinkState::Asked;
        if member.content.as_ref().is_some_and(Link::is_connected) {
            return self.rows.put_member(&member);
        }
        self.part(member, Parting::Lost, None)
    }

    /// The queue behind the connection takes no more for now.
    pub fn queue_full(&mut self, name: &ConnectionName) -> Result<(), R::Error> {
        let Some(mut member) = self.receiver(name)? else { return Ok(()) };
        if member.behind.is_none() {
            member.behind = Some(Behind::frontier(&self.hall()?, member.number));
        }
        member.due = Some(self.env.now.after(FULL_REST));
        self.rows.put_member(&member)
    }

    /// The queue has room again: whoever missed something may have missed a roster too, and gets it first.
    pub fn queue_restored(&mut self, name: &ConnectionName) -> Result<(), R::Error> {
        let Some(mut member) = self.receiver(name)?.filter(|member| member.behind.is_some()) else { return Ok(()) };
        let stored = self.view.stored_roster.as_ref().map(|roster| roster.version);
        let newer = stored.is_some_and(|stored| member.roster_served.is_none_or(|served| stored > served));
        if newer && !member.is_owner() && member.max_version >= version::ROSTER && member.stage.is_none() {
            member.stage = Some(Stage::RosterAgain);
        }
        member.refusals = 0;
        member.due = Some(self.env.now);
        self.rows.put_member(&member)
    }

    /// The member that receives through a connection.
    fn receiver(&mut self, name: &ConnectionName) -> Result<Option<Member>, R::Error> {
        let member = match *name {
            ConnectionName::Owner(_, connection) => self.owner_with(connection)?,
            _ => self.member_of(name)?,
        };
        let service = self.view.service;
        let receives = |member: &Member| {
            member.is_connected() && member.outlet().is_some_and(|link| member.connection(service, link) == *name)
        };
        Ok(member.filter(receives))
    }

    fn owner_with(&self, connection: u64) -> Result<Option<Member>, R::Error> {
        for owner in &self.view.owners {
            let member = self.rows.member_with_id(owner)?;
            let has = |member: &Member| member.is_owner() && member.link.attempt == connection;
            if let Some(member) = member.filter(has) {
                return Ok(Some(member));
            }
        }
        Ok(None)
    }

    /// Nothing goes through a connection any more, or it could not be made.
    pub fn connection_lost(&mut self, name: &ConnectionName) -> Result<(), R::Error> {
        let ConnectionName::Member(_, _, attempt) = *name else { return Ok(()) };
        let Some(mut member) = self.member_of(name)?.filter(Member::is_current) else { return Ok(()) };
        if member.link.attempt == u64::from(attempt) && !member.is_owner() {
            return self.part(member, Parting::Lost, None);
        }
        if member.content.is_some() {
            member.replace_content(None);
            member.due = Some(self.env.now);
        }
        self.rows.put_member(&member)
    }

    /// An owner signed another roster: roles of members follow it, and whoever has another key than an owner says is
    /// not that member.
    pub fn roster_changed(&mut self) -> Result<(), R::Error> {
        let listed: Vec<MemberId> = self.view.roster.listed().map(|(id, _)| id.clone()).collect();
        for id in &listed {
            if let Some(member) = self.rows.member_with_id(id)? {
                self.follow_roster(member)?;
            }
        }
        let moderators = self.rows.moderators(0, MODERATORS)?;
        for member in moderators.into_iter().filter(|member| !listed.contains(&member.id) && !member.is_owner()) {
            self.follow_roster(member)?;
        }
        Ok(())
    }

    pub(super) fn follow_roster(&mut self, mut member: Member) -> Result<(), R::Error> {
        let pinned = self.view.roster.key(&member.id);
        if pinned.is_some_and(|pinned| member.key != Some(pinned)) && !member.is_owner() {
            return self.part(member, Parting::OtherKey, None);
        }
        let listed = self.view.roster.role(&member.id).filter(Role::is_in_roster);
        let role = match listed {
            Some(role) => role,
            None if member.role.is_privileged() => Role::Observer,
            None => return Ok(()),
        };
        if role != member.role && !member.is_owner() {
            self.set_role(&mut member, role)?;
            self.rows.put_member(&member)?;
        }
        Ok(())
    }

    /// Those who come from now on are introduced to a moderator as it is now.
    fn introduce_from_now(&mut self, member: &mut Member) -> Result<(), R::Error> {
        let mut hall = self.hall()?;
        member.introduced_since = member.moderates().then_some(hall.tick());
        self.rows.put_hall(&hall)
    }

    pub(super) fn set_role(&mut self, member: &mut Member, role: Role) -> Result<(), R::Error> {
        let hall = self.hall()?;
        let moderated = member.moderates();
        member.role = role;
        if member.moderates() != moderated {
            member.role_since = hall.support.next;
        }
        self.introduce_from_now(member)
    }

    /// A member is no longer one. Its connections are deleted once it was told.
    pub(super) fn part(&mut self, mut member: Member, why: Parting, word: Option<u64>) -> Result<(), R::Error> {
        if !member.is_current() {
            return Ok(());
        }
        let mut hall = self.hall()?;
        let count = match member.state {
            MemberState::Connected => &mut hall.members,
            _ => &mut hall.admitted,
        };
        *count = count.saturating_sub(1);
        self.rows.put_hall(&hall)?;
        let word = word.filter(|_| member.is_connected());
        member.state = MemberState::Parting { word, banned: why == Parting::Removed };
        member.since = self.env.now;
        member.behind = None;
        member.stage = None;
        member.due = Some(self.env.now);
        self.rows.put_member(&member)?;
        self.events.push(MemberEvent::Parted(member.id, why));
        Ok(())
    }
}

/// What relays tell about a member.
pub(super) fn member_info(member: &Member, persona: &Persona) -> MemberInfo {
    // The role and key of whoever has rights stand in the roster alone.
    let key = member.key.filter(|_| !member.is_owner());
    MemberInfo {
        member_id: member.id.clone(),
        member_role: member.role.clone(),
        v: codec::VersionRange::new(version::CHAT.min(), member.max_version.max(version::CHAT.min())),
        profile: persona.profile.clone(),
        member_key: key,
    }
}

/// The service has ended: members are told the last word, their connections are deleted, and nothing is remembered. May
/// be called twice.
pub fn end<R: Rows>(rows: &mut R, last_word: Option<Vec<u8>>) -> Result<(), R::Error> {
    let Some(mut hall) = rows.hall()? else { return Ok(()) };
    if hall.ending.is_none() {
        hall.stop(last_word);
        rows.put_hall(&hall)?;
    }
    Ok(())
}

/// Lets go of messages that are older than that. Whoever misses some for so long never gets them.
pub fn forget_old<R: Rows>(rows: &mut R, age: Duration, now: Time) -> Result<(), R::Error> {
    let Some(hall) = rows.hall()? else { return Ok(()) };
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    // The profile is for everybody who joins, however old it is.
    if let Some(seq) = hall.signed_profile
        && let Some(mut profile) = rows.message(Lane::Group, seq)?
    {
        profile.at = now;
        rows.put_message(&profile)?;
    }
    let before = Time::from_millis(now.millis().saturating_sub(age));
    rows.forget_messages(before, hall.group.done, hall.support.done)
}
