//! Whether something is for its author to say. Relays check that too, but a member need not believe that they do.

use super::hear::subject;
use super::item::{DELETION_WINDOW, Touch};
use super::people::MemberRecord;
use super::records::Page;
use super::view::View;
use crate::content::{MessageDeletion, Scope};
use crate::event::Event as ChatEvent;
use crate::identity::MemberId;
use crate::member::Role;
use crate::message_id::MessageId;
use crate::preferences::Feature;
use crate::profile::GroupType;
use crate::verification::{AcceptedMessage, Attribution};

/// Why something does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection(pub(super) String);

fn object<T>(reason: impl ToString) -> Result<T, Objection> {
    Err(Objection(reason.to_string()))
}

impl View {
    /// Whether a message is for its author to say, and about what it may be about.
    pub(super) fn permit(&self, message: &AcceptedMessage, sent_at: i64, page: &Page) -> Result<(), Objection> {
        let event = message.event();
        let role = match message.attribution() {
            Attribution::Member(_, role) => role.clone(),
            Attribution::Channel => Role::Owner,
        };
        match event {
            ChatEvent::MessageNew(new) => self.permit_words(message, &role, new.scope.as_ref()),
            ChatEvent::MessageUpdate(update) => {
                self.permit_words(message, &role, update.scope.as_ref())?;
                permit_touch(message, &update.message_id, None, page)
            }
            ChatEvent::MessageDelete(deletion) => permit_deletion(message, deletion, &role, sent_at, page),
            ChatEvent::MessageReact(_) => match self.preferences().allow(Feature::Reactions, &role) {
                true => Ok(()),
                false => object("reactions are off"),
            },
            ChatEvent::MessageFileDescription(part) => permit_touch(message, &part.message_id, None, page),
            ChatEvent::FileCancel(cancel) => permit_touch(message, &cancel.message_id, None, page),
            ChatEvent::GroupInfo(info) => {
                let public_group = info.group_profile.public_group.as_ref();
                let same = public_group.is_some_and(|public| public.public_group_id == self.group.group_id);
                owner_only(message)?;
                if same { Ok(()) } else { object("the profile is that of another group") }
            }
            ChatEvent::GroupPreferences(_)
            | ChatEvent::GroupDelete
            | ChatEvent::GroupRelayNew(_)
            | ChatEvent::GroupRoster(_) => owner_only(message),
            ChatEvent::GroupMemberRole(_) => at_least(&role, &Role::Moderator),
            ChatEvent::GroupMemberRestrict(restriction) => {
                at_least(&role, &Role::Moderator)?;
                at_least(&role, &self.role_of(&restriction.member_id, page))
            }
            ChatEvent::GroupMemberDelete(removal) => {
                let id = &removal.member_id;
                if self.links.is_owner(id) || self.links.is_relay(id) {
                    return owner_only(message);
                }
                at_least(&role, &Role::Admin)
            }
            ChatEvent::GroupLeave | ChatEvent::Info(_) => Ok(()),
            other => object(format!("{} is not for relays to forward", other.name())),
        }
    }

    /// What somebody may do.
    pub(super) fn role_of(&self, id: &MemberId, page: &Page) -> Role {
        let unknown = MemberRecord::default();
        self.author(id, page.member(id).unwrap_or(&unknown)).role().clone()
    }

    /// In channels observers only read, but everybody may talk with the moderators.
    fn permit_words(&self, message: &AcceptedMessage, role: &Role, scope: Option<&Scope>) -> Result<(), Objection> {
        let author = match message.attribution() {
            Attribution::Member(id, _) => Some(id),
            Attribution::Channel => None,
        };
        match scope {
            Some(Scope::Member(with)) => {
                let its_own = author == Some(&with.member_id);
                let for_us = with.member_id == self.me.id || self.role() >= Role::Moderator;
                match (for_us, its_own || *role >= Role::Moderator) {
                    (false, _) => object("it is meant for somebody else"),
                    (true, false) => object("it is said in somebody else's chat with the moderators"),
                    (true, true) => Ok(()),
                }
            }
            None if *role >= Role::Author || self.group.group_type != GroupType::Channel => Ok(()),
            None => object(format!("members with role {role} only read")),
        }
    }
}

fn owner_only(message: &AcceptedMessage) -> Result<(), Objection> {
    let event = message.event().name();
    if message.is_word_of_owner() { Ok(()) } else { object(format!("{event} is for owners to say")) }
}

fn at_least(role: &Role, needed: &Role) -> Result<(), Objection> {
    if role >= needed { Ok(()) } else { object(format!("a member with role {role} may not do that")) }
}

/// Whether an edit may change its message, as far as that is known.
fn permit_touch(
    message: &AcceptedMessage,
    target: &MessageId,
    moderates: Option<MemberId>,
    page: &Page,
) -> Result<(), Objection> {
    let Some(copy) = page.message(target).and_then(|record| record.kept()) else { return Ok(()) };
    let touch = Touch::of(message, moderates);
    // File descriptions are never signed, but they come for messages that are.
    let is_description = matches!(message.event(), ChatEvent::MessageFileDescription(_) | ChatEvent::FileCancel(_));
    let outcome = if is_description { touch.check_author(copy) } else { touch.check(copy) };
    outcome.or_else(object)
}

fn permit_deletion(
    message: &AcceptedMessage,
    deletion: &MessageDeletion,
    role: &Role,
    sent_at: i64,
    page: &Page,
) -> Result<(), Objection> {
    let target = &deletion.message_id;
    let moderates = moderated(message);
    let copy = page.message(target).and_then(|record| record.kept());
    permit_touch(message, target, moderates.cloned(), page)?;
    match (copy, moderates) {
        (None, Some(_)) if !message.trust().may_moderate_unseen() => {
            object("an unsigned deletion of what has not arrived")
        }
        (_, Some(_)) => at_least(role, &Role::Moderator),
        (Some(copy), None) if !copy.is_from_channel() => {
            let said_at = copy.deliveries().first().map_or(sent_at, |delivered| delivered.sent_at);
            let in_time = sent_at.saturating_sub(said_at) <= DELETION_WINDOW;
            if in_time { Ok(()) } else { object("the message is too old to be deleted by its author") }
        }
        (_, None) => Ok(()),
    }
}

/// Whose message is deleted, if it is somebody else's.
pub(super) fn moderated(message: &AcceptedMessage) -> Option<&MemberId> {
    let (_, whose) = subject(message.event());
    match message.attribution() {
        Attribution::Member(author, _) => whose.filter(|whose| *whose != author),
        Attribution::Channel => whose,
    }
}
