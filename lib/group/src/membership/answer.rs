//! What relays answer to a request for admission, and connections that begin and end.

use agent::connection::Delivery;
use agent::time::Env;
use codec::VersionRange;

use super::event::Event;
use super::relay::{Connected, ContentLine, Handshake, KnownRelay, RelayNumber, Stage, known_extensions};
use super::status::GoneReason;
use super::task::Line;
use super::{MemberError, Membership};
use crate::body::ConnectionInfo;
use crate::event::{Event as ChatEvent, GroupLinkInvitation};
use crate::extension::Extension;
use crate::identity::{GroupId, MemberId};
use crate::json;
use crate::member::Role;
use crate::owner::ConnectionName;
use crate::text::shown;

impl Membership {
    /// A relay took up our connection and said this. The first answer counts: what comes again after a restart changes
    /// nothing.
    pub fn answered(
        &mut self,
        connection: &ConnectionName,
        info: &[u8],
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, MemberError> {
        let (number, line) = self.end_of(connection)?;
        let mut events = Vec::new();
        self.asked(number, line, &mut events);
        match line {
            Line::Main => self.main_answered(number, info, env, &mut events),
            Line::Content => self.content_answered(number, info, &mut events),
        }
        Ok(events)
    }

    /// A relay was asked. Whoever answers was asked, even if we did not get round to writing that down.
    pub(super) fn asked(&mut self, number: RelayNumber, line: Line, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(number) else { return };
        match (line, &record.stage) {
            (Line::Main, Stage::Listed(Some(relay))) => {
                let stage = Stage::Joining(relay.clone());
                record.enter(stage, events);
            }
            (Line::Content, Stage::Connected(_, Connected { content: ContentLine::Wanted, .. })) => {
                record.set_content_line(ContentLine::Joining);
            }
            _ => {}
        }
    }

    fn main_answered(&mut self, number: RelayNumber, info: &[u8], env: &Env<'_>, events: &mut Vec<Event>) {
        let Ok(Stage::Joining(relay)) = self.record(number).map(|record| &record.stage) else { return };
        match read_answer(info, &relay.id, self.id(), self.group_id()) {
            Ok((invitation, versions)) => {
                let role = believable(&invitation.invited_member.member_role);
                let mut relay = KnownRelay { versions: Some(versions), ..relay.clone() };
                extend(&mut relay, &invitation);
                if self.view.me.role < role {
                    self.view.me.role = role;
                }
                if let Ok(record) = self.record_mut(number) {
                    record.enter(Stage::Admitted(relay, Handshake::Answered), events);
                }
            }
            Err(why) => {
                self.part_with(number, why, events);
                self.look_if_alone(env);
            }
        }
    }

    /// The relay knows us already; if it does not want a second connection, the first one does.
    fn content_answered(&mut self, number: RelayNumber, info: &[u8], events: &mut Vec<Event>) {
        let (id, group) = (self.id().clone(), self.group_id());
        let Ok(record) = self.record_mut(number) else { return };
        let (Some(ContentLine::Joining), Some(relay)) = (record.content_line(), record.known()) else { return };
        match read_answer(info, &relay.id, &id, group) {
            Ok(_) => record.set_content_line(ContentLine::Answered),
            Err(why) => self.content_lost(number, &why.to_string(), events),
        }
    }

    /// Everything goes through the first connection.
    pub(super) fn content_lost(&mut self, number: RelayNumber, reason: &str, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(number) else { return };
        if record.content_line().is_some_and(|line| line >= ContentLine::Joining) {
            let connection = record.connection(Line::Content);
            record.discarded.push((connection, Delivery::Drop));
        }
        record.set_content_line(ContentLine::Unwanted);
        record.hinder(&format!("the connection for content: {reason}"), events);
    }

    /// Both sides of a connection can talk.
    pub fn connected(&mut self, connection: &ConnectionName, env: &mut Env<'_>) -> Result<Vec<Event>, MemberError> {
        let (number, line) = self.end_of(connection)?;
        let mut events = Vec::new();
        let record = self.record_mut(number)?;
        match (line, &record.stage) {
            (Line::Main, Stage::Admitted(relay, _)) => {
                let relay = relay.clone();
                let paired = relay.extensions.contains(&Extension::PairedConnections);
                let content = if paired { ContentLine::Wanted } else { ContentLine::Unwanted };
                let id = relay.id.clone();
                record.enter(
                    Stage::Connected(relay, Connected { since: env.now, content, may_pair: false, spoke: false }),
                    &mut events,
                );
                self.view.relay_connected(&id, env.now);
            }
            (Line::Content, Stage::Connected(_, Connected { content, .. })) if *content >= ContentLine::Answered => {
                record.set_content_line(ContentLine::Connected);
            }
            _ => {}
        }
        Ok(events)
    }

    /// A connection failed for good.
    pub fn connection_failed(
        &mut self,
        connection: &ConnectionName,
        reason: &str,
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, MemberError> {
        let (number, line) = self.end_of(connection)?;
        let mut events = Vec::new();
        match line {
            Line::Main => self.relay_lost(number, reason, env, &mut events),
            Line::Content => self.content_lost(number, reason, &mut events),
        }
        Ok(events)
    }

    /// A relay cannot be talked to any more. If it was the last one, the group link may list others.
    pub(super) fn relay_lost(&mut self, number: RelayNumber, reason: &str, env: &mut Env<'_>, events: &mut Vec<Event>) {
        self.part_with(number, GoneReason::ConnectionLost(shown(reason)), events);
        self.look_if_alone(env);
    }

    /// Without a relay the group link is read at once.
    pub(super) fn look_if_alone(&mut self, env: &Env<'_>) {
        if self.ended.is_none() && self.relays.iter().all(|record| record.why_gone().is_some()) {
            self.link.look_now(env.now);
        }
    }
}

/// Reads what a relay says when it takes up our connection: it must be the relay that we asked, and speak of us and of
/// the group that we want. What else it says of the group, the group link says better.
pub(crate) fn read_answer(
    info: &[u8],
    relay: &MemberId,
    member: &MemberId,
    group: GroupId,
) -> Result<(GroupLinkInvitation, VersionRange), GoneReason> {
    let answer = |reason: &dyn ToString| GoneReason::Answer(shown(&reason.to_string()));
    let info = ConnectionInfo::parse(info).map_err(|error| answer(&error))?;
    let invitation = match info.event() {
        ChatEvent::GroupLinkInvite(invite) => invite.group_link_invitation.clone(),
        ChatEvent::GroupLinkReject(reject) => {
            let words = String::from_utf8_lossy(&json::to_vec(&reject.group_link_rejection)).into_owned();
            return Err(GoneReason::Refused(shown(&words)));
        }
        other => return Err(answer(&format!("{} is no answer to a request for admission", other.name()))),
    };
    let public_group = invitation.group_profile.public_group.as_ref();
    let same_group = public_group.is_some_and(|public_group| public_group.public_group_id == group);
    if !same_group {
        Err(answer(&"it leads to another group"))
    } else if invitation.from_member.member_id != *relay {
        Err(answer(&"it is another relay's"))
    } else if invitation.invited_member.member_id != *member {
        Err(answer(&"it is for somebody else"))
    } else {
        Ok((invitation, info.authored().message().versions))
    }
}

/// No relay makes anybody more than an author.
fn believable(role: &Role) -> Role {
    if role.is_privileged() || *role == Role::Relay { Role::Observer } else { role.clone() }
}

fn extend(relay: &mut KnownRelay, invitation: &GroupLinkInvitation) {
    for extension in known_extensions(&invitation.ext) {
        if !relay.extensions.contains(&extension) {
            relay.extensions.push(extension);
        }
    }
}
