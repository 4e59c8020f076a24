//! What a member says, written down for all relays alike.
//!
//! | said | by whom | signed |
//! |---|---|---|
//! | a post, or a file by reference | authors and those above; in chats with the moderators everybody | if wanted |
//! | an edit | whoever wrote the message; of messages of the group any owner | if wanted, and always if the message was |
//! | a deletion | the same, within 78 hours; moderators of what others wrote | the same; moderators always |
//! | a reaction | everybody, if the group allows reactions | never |
//!
//! Owners speak as themselves or as the group. Without a signature nobody learns which owner spoke for the group, but if
//! there is only one, everybody knows: that is refused unless it is wanted all the same. What is said here with a signature
//! can be shown to others as proof; what is said without can be denied, and forged by relays.

use agent::time::{Env, Time};
use codec::time::UtcTime;
use crypto::Random;

use super::comparison::{Arrival, Copy, Delivered};
use super::error::SpeechFault;
use super::item::{DELETION_WINDOW, Touch};
use super::reactions::{Reactor, TooMany};
use super::records::{Change, Page, RecordKey, Records};
use super::relay::{RelayNumber, RelayRecord, Unsent};
use super::view::{View, seconds};
use super::{MAX_UNSENT, MemberError, Membership};
use crate::body::{Batch, single};
use crate::content::{
    Content, FileDescription, FileDescriptionPart, FileInvitation, MAX_DESCRIPTION_PART, Mention, Mentions,
    MessageDeletion, MessageReaction, MessageRef, MessageUpdate, NewMessage, Quote, Reaction, Scope,
};
use crate::element::{AuthoredMessage, Element};
use crate::event::Event as ChatEvent;
use crate::identity::MemberId;
use crate::keys::{Asserted, Author};
use crate::member::Role;
use crate::message::Message;
use crate::message_id::MessageId;
use crate::preferences::Feature;
use crate::profile::GroupType;
use crate::signature::Signer;
use crate::transcript::is_post;
use crate::verification::AcceptedMessage;

/// How many parts the description of a file may have.
const MAX_DESCRIPTION_PARTS: usize = 16;

/// What to say, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// The name of the message, drawn by whoever wants it said; absent for a fresh one. What is said again under the same
    /// name is said once: so it can be repeated when nobody knows whether it was said.
    pub id: Option<MessageId>,
    /// What.
    pub what: Saying,
    /// As whom.
    pub voice: Voice,
    /// With a signature.
    pub signed: bool,
    /// In whose chat with the moderators; absent for the whole group.
    pub scope: Option<MemberId>,
}

/// As whom something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Voice {
    /// As the member that one is.
    #[default]
    Oneself,
    /// As the group, which hides one owner among several.
    Group,
    /// As the group, although everybody knows who its only owner is.
    GroupAlone,
}

/// What is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    /// A message.
    Post {
        /// What it says.
        content: Content,
        /// Members named in the text.
        mentions: Mentions,
        /// The message that it answers.
        reply_to: Option<MessageId>,
        /// A file that was stored somewhere.
        file: Option<FileReference>,
        /// After how many seconds it disappears.
        ttl: Option<i64>,
    },
    /// A message says something else from now on.
    Edit {
        /// Which.
        message: MessageId,
        /// What it says.
        content: Content,
        /// Members named in the text.
        mentions: Mentions,
    },
    /// A message goes.
    Delete {
        /// Which.
        message: MessageId,
    },
    /// A reaction to a message.
    React {
        /// Which.
        message: MessageId,
        /// How.
        reaction: Reaction,
        /// Whether it is added or taken back.
        add: bool,
    },
}

/// A file that was stored somewhere, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReference {
    /// Its name.
    pub name: String,
    /// Its length.
    pub size: i64,
    /// Its hash.
    pub digest: Option<Vec<u8>>,
    /// Where it is and how it is decrypted, in the words of whatever stored it.
    pub description: String,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The message, and those that carry the rest of it.
    pub messages: Vec<MessageId>,
    /// The relays that are to get it; see [`Event::Sent`](super::Event::Sent).
    pub relays: Vec<RelayNumber>,
    /// It is said as the group, but the signature tells which owner said it.
    pub reveals_owner: bool,
    /// Records to be written.
    pub changes: Vec<Change>,
}

/// What is to be said, written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Composition {
    /// The names of the messages.
    pub(crate) messages: Vec<MessageId>,
    /// What relays are to get: nothing if it was said before.
    pub(crate) composed: Vec<Composed>,
    /// Records to be written.
    pub(crate) changes: Vec<Change>,
}

/// One message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Composed {
    pub(crate) id: MessageId,
    pub(crate) body: Vec<u8>,
}

impl Speech {
    /// The message that it is about.
    fn subject(&self) -> Option<&MessageId> {
        match &self.what {
            Saying::Post { reply_to, .. } => reply_to.as_ref(),
            Saying::Edit { message, .. } | Saying::Delete { message } | Saying::React { message, .. } => Some(message),
        }
    }

    /// The name of one of the messages that say it: the first, or a part of a file's description.
    fn name(&self, index: usize, random: &mut dyn Random) -> MessageId {
        match &self.id {
            None => MessageId::random(random),
            Some(id) if index == 0 => id.clone(),
            Some(id) => id.of_part(index),
        }
    }
}

impl Membership {
    /// Says something to all relays that can be talked to. If it cannot be said, nothing has changed.
    pub fn say(&mut self, speech: &Speech, records: &dyn Records, env: &mut Env<'_>) -> Result<Spoken, MemberError> {
        self.check_not_over()?;
        let relays = self.hearers()?;
        let Composition { messages, composed, changes } = compose_with(&self.view, speech, records, env)?;
        for message in &composed {
            self.send_to(&relays, message);
        }
        let said = composed.iter().filter_map(|composed| self.view.as_others_hear(&composed.body));
        let posts: Vec<MessageId> = said.filter_map(|said| is_post(said.message()).cloned()).collect();
        posts.into_iter().for_each(|post| self.view.marks.said(post, seconds(env.now)));
        let reveals_owner = speech.signed && speech.voice != Voice::Oneself;
        Ok(Spoken { messages, relays, reveals_owner, changes })
    }

    /// The relays that can be talked to, if there is one, and all of them take more.
    pub(super) fn hearers(&self) -> Result<Vec<RelayNumber>, MemberError> {
        let relays: Vec<RelayNumber> =
            self.relays.iter().filter(|record| record.is_connected()).map(RelayRecord::number).collect();
        if relays.is_empty() {
            return Err(MemberError::NotConnected);
        }
        if self.relays.iter().any(|record| record.unsent.len() >= MAX_UNSENT) {
            return Err(MemberError::TooManyUnsent(MAX_UNSENT));
        }
        Ok(relays)
    }

    /// A message waits for these relays from now on.
    pub(super) fn send_to(&mut self, relays: &[RelayNumber], message: &Composed) {
        for relay in relays {
            let number = self.next_unsent;
            let Ok(record) = self.record_mut(*relay) else { continue };
            record.speak();
            if record.owes(&message.id) {
                continue;
            }
            record.unsent.push_back(Unsent { number, message: Some(message.id.clone()), body: message.body.clone() });
            self.next_unsent = number.saturating_add(1);
        }
    }
}

/// Writes down what somebody says who sees the group like this, with the records that change.
pub(crate) fn compose_with(
    view: &View,
    speech: &Speech,
    records: &dyn Records,
    env: &mut Env<'_>,
) -> Result<Composition, MemberError> {
    let names = speech.subject().into_iter().chain(&speech.id);
    let reactor = view.reactor(speech).map(RecordKey::Reactions);
    let mut page = Page::load(records, names.cloned().map(RecordKey::Message).chain(reactor))?;
    if let Some(messages) = view.said_before(speech, &page, env)? {
        return Ok(Composition { messages, composed: Vec::new(), changes: Vec::new() });
    }
    view.count_reaction(speech, &mut page)?;
    let composed = view.compose(speech, &mut page, env)?;
    let messages = composed.iter().map(|composed| composed.id.clone()).collect();
    Ok(Composition { messages, composed, changes: page.into_changes() })
}

impl View {
    /// Who reacts to what with it.
    fn reactor(&self, speech: &Speech) -> Option<Reactor> {
        let Saying::React { message, .. } = &speech.what else { return None };
        Some(Reactor { message: message.clone(), member: self.me.id.clone() })
    }

    /// Members drop what is more than they count.
    fn count_reaction(&self, speech: &Speech, page: &mut Page) -> Result<(), SpeechFault> {
        let (Some(reactor), Saying::React { message, reaction, add }) = (self.reactor(speech), &speech.what) else {
            return Ok(());
        };
        let reaction = self.reaction(speech, message, reaction, *add, page)?;
        let (ChatEvent::MessageReact(reaction), Some(record)) = (&reaction, page.reactions_mut(&reactor)) else {
            return Ok(());
        };
        record.take(reaction).map_err(|TooMany| SpeechFault::TooManyReactions)
    }

    /// The names of the messages, if they were said before under the name that they have here.
    fn said_before(
        &self,
        speech: &Speech,
        page: &Page,
        env: &mut Env<'_>,
    ) -> Result<Option<Vec<MessageId>>, SpeechFault> {
        let Some(id) = &speech.id else { return Ok(None) };
        let Some(copy) = page.message(id).and_then(|record| record.kept()) else { return Ok(None) };
        let count = match self.events(speech, page, env.now) {
            Ok((events, _)) => {
                let said = copy.message().filter(|_| self.check_ours(id, copy).is_ok());
                let same = said.zip(events.first()).is_some_and(|(said, event)| said.message().event.says(event));
                if !same {
                    return Err(SpeechFault::NameTaken(id.clone()));
                }
                events.len()
            }
            // It could be said then, and cannot any more.
            Err(_) => {
                self.check_ours(id, copy).map_err(|_| SpeechFault::NameTaken(id.clone()))?;
                1
            }
        };
        Ok(Some((0..count).map(|index| speech.name(index, env.random)).collect()))
    }

    /// The events that say it, and whether they are to be signed.
    fn events(&self, speech: &Speech, page: &Page, now: Time) -> Result<(Vec<ChatEvent>, bool), SpeechFault> {
        self.check_voice(speech)?;
        Ok(match &speech.what {
            Saying::Post { .. } => (self.post(speech, page)?, speech.signed),
            Saying::Edit { message, content, mentions } => self.edit(speech, message, content, mentions, page)?,
            Saying::Delete { message } => self.deletion(speech, message, page, now)?,
            Saying::React { message, reaction, add } => {
                (vec![self.reaction(speech, message, reaction, *add, page)?], false)
            }
        })
    }

    /// Writes down what is said. The page knows of it afterwards.
    pub(super) fn compose(
        &self,
        speech: &Speech,
        page: &mut Page,
        env: &mut Env<'_>,
    ) -> Result<Vec<Composed>, MemberError> {
        let (events, signed) = self.events(speech, page, env.now)?;
        let mut composed: Vec<Composed> = Vec::new();
        for (index, event) in events.into_iter().enumerate() {
            let described = composed.first().map(|first| first.id.clone());
            let id = speech.name(index, env.random);
            let message = Message { id: Some(id.clone()), ..Message::unnamed(of_message(event, described)) };
            // Parts of a description are never signed, whatever they describe.
            let signs = signed && !matches!(message.event, ChatEvent::MessageFileDescription(_));
            let authored: AuthoredMessage = match signs {
                true => self.signer().sign(message).into(),
                false => message.into(),
            };
            composed.push(Composed { id: id.clone(), body: single(authored.clone())? });
            self.remember(id, authored, page, env.now);
        }
        Ok(composed)
    }

    /// What members are told of a message of ours: who says something as the group only if it is signed.
    pub(crate) fn as_others_hear(&self, body: &[u8]) -> Option<AcceptedMessage> {
        let Some(Ok(Element::Message(authored))) = Batch::parse(body).ok()?.into_iter().next() else { return None };
        let anonymous = authored.message().event.is_as_group() && matches!(authored, AuthoredMessage::Unsigned(_));
        let heard = match anonymous {
            true => authored.accept_from_channel(),
            false => authored.verify(&self.myself(), &self.recipient()),
        };
        heard.ok()
    }

    pub(super) fn signer(&self) -> Signer<'_> {
        Signer { group: &self.group.group_id, member: &self.me.id, key: &self.me.key }
    }

    /// What we would believe of ourselves.
    pub(super) fn myself(&self) -> Author {
        let asserted = Asserted { role: self.me.role.clone(), key: Some(self.me.key.public()) };
        self.links.author(&self.me.id, &self.roster, asserted)
    }

    /// Our own messages are known as those of others are, so that they can be edited, and copies are compared.
    pub(super) fn remember(&self, id: MessageId, authored: AuthoredMessage, page: &mut Page, now: Time) {
        let Ok(message) = authored.verify(&self.myself(), &self.recipient()) else { return };
        let (at, relay) = (seconds(now), self.me.id.clone());
        let mut record = super::MessageRecord::default();
        record.take(&Arrival {
            message: &message,
            delivered: Delivered { relay, at, sent_at: at },
            expected: Vec::new(),
        });
        page.add_message(id, record);
        let touch = Touch::of(&message, super::permission::moderated(&message).cloned());
        match message.event() {
            ChatEvent::MessageUpdate(update) => {
                let target = page.message_mut(&update.message_id);
                target.into_iter().for_each(|target| target.item.edited = Some(touch.clone()));
            }
            ChatEvent::MessageDelete(deletion) => {
                let target = page.message_mut(&deletion.message_id);
                target.into_iter().for_each(|target| target.item.deleted = Some(touch.clone()));
            }
            _ => {}
        }
    }

    fn check_voice(&self, speech: &Speech) -> Result<(), SpeechFault> {
        let role = self.role();
        match (speech.voice, &speech.scope) {
            (Voice::Oneself, None) => {}
            (Voice::Group | Voice::GroupAlone, _) if role != Role::Owner => return Err(SpeechFault::NotAnOwner),
            (Voice::Group, _) if self.group.owners.len() <= 1 => return Err(SpeechFault::SingleOwner),
            (Voice::Group | Voice::GroupAlone, None) => {}
            (_, Some(_)) if !self.preferences().allow(Feature::Support, &role) => {
                return Err(SpeechFault::Off("chats with the moderators"));
            }
            (_, Some(with)) if *with != self.me.id && role < Role::Moderator => return Err(fault_of(&role)),
            (_, Some(_)) => {}
        }
        Ok(())
    }

    fn post(&self, speech: &Speech, page: &Page) -> Result<Vec<ChatEvent>, SpeechFault> {
        let Saying::Post { content, mentions, reply_to, file, ttl } = &speech.what else { return Ok(Vec::new()) };
        let role = self.role();
        if speech.scope.is_none() && role < Role::Author && self.group.group_type == GroupType::Channel {
            return Err(fault_of(&role));
        }
        let quote = reply_to.as_ref().map(|id| self.quote(id, page)).transpose()?;
        let message = NewMessage {
            mentions: mentions.clone(),
            file: file.as_ref().map(FileReference::invitation),
            ttl: *ttl,
            scope: scope(speech),
            as_group: as_group(speech.voice),
            quote,
            ..NewMessage::of(content.clone())
        };
        let parts = file.as_ref().map(FileReference::parts).transpose()?.unwrap_or_default();
        Ok(std::iter::once(ChatEvent::MessageNew(message.into())).chain(parts).collect())
    }

    fn quote(&self, id: &MessageId, page: &Page) -> Result<Quote, SpeechFault> {
        let unknown = || SpeechFault::UnknownMessage(id.clone());
        let copy = known(id, page)?;
        let said = copy.message().ok_or_else(unknown)?;
        let ChatEvent::MessageNew(said) = &said.message().event else { return Err(unknown()) };
        let sent_at = copy.deliveries().first().map_or(0, |delivered| delivered.sent_at);
        let member_id = copy.author().filter(|_| !copy.is_from_channel()).cloned();
        let message = MessageRef {
            message_id: Some(id.clone()),
            sent_at: UtcTime::from_seconds(sent_at),
            sent: copy.author() == Some(&self.me.id),
            member_id,
        };
        Ok(Quote { message, content: said.content.clone() })
    }

    fn edit(
        &self,
        speech: &Speech,
        id: &MessageId,
        content: &Content,
        mentions: &Mentions,
        page: &Page,
    ) -> Result<(Vec<ChatEvent>, bool), SpeechFault> {
        let copy = known(id, page)?;
        self.check_ours(id, copy)?;
        let update = MessageUpdate {
            message_id: id.clone(),
            content: content.clone(),
            mentions: mentions.clone(),
            ttl: None,
            live: None,
            scope: scope(speech),
            as_group: copy.is_from_channel().then_some(true),
        };
        Ok((vec![ChatEvent::MessageUpdate(update.into())], speech.signed || copy.trust().is_verified()))
    }

    fn deletion(
        &self,
        speech: &Speech,
        id: &MessageId,
        page: &Page,
        now: Time,
    ) -> Result<(Vec<ChatEvent>, bool), SpeechFault> {
        let copy = known(id, page)?;
        let ours = self.check_ours(id, copy).is_ok();
        let role = self.role();
        let member_id = match (ours, copy.author()) {
            (true, _) => None,
            (false, Some(author)) if role >= Role::Moderator && role >= *copy.role() => Some(author.clone()),
            (false, _) => return Err(SpeechFault::NotOurs(id.clone())),
        };
        let said_at = copy.deliveries().first().map_or(0, |delivered| delivered.sent_at);
        if ours && !copy.is_from_channel() && seconds(now).saturating_sub(said_at) > DELETION_WINDOW {
            return Err(SpeechFault::TooOld(id.clone()));
        }
        let signed = speech.signed || member_id.is_some() || copy.trust().is_verified();
        let deletion = MessageDeletion { message_id: id.clone(), member_id, scope: scope(speech), only_history: None };
        Ok((vec![ChatEvent::MessageDelete(deletion)], signed))
    }

    fn reaction(
        &self,
        speech: &Speech,
        id: &MessageId,
        reaction: &Reaction,
        add: bool,
        page: &Page,
    ) -> Result<ChatEvent, SpeechFault> {
        if !self.preferences().allow(Feature::Reactions, &self.role()) {
            return Err(SpeechFault::Off("reactions"));
        }
        let copy = known(id, page)?;
        let member_id = copy.author().filter(|_| !copy.is_from_channel()).cloned();
        let reaction = reaction.clone();
        Ok(ChatEvent::MessageReact(MessageReaction {
            message_id: id.clone(),
            member_id,
            scope: scope(speech),
            reaction,
            add,
        }))
    }

    /// What others accept as ours to change.
    fn check_ours(&self, id: &MessageId, copy: &Copy) -> Result<(), SpeechFault> {
        let ours = match copy.is_from_channel() {
            true => self.role() == Role::Owner,
            false => copy.author() == Some(&self.me.id),
        };
        if ours { Ok(()) } else { Err(SpeechFault::NotOurs(id.clone())) }
    }
}

fn known<'a>(id: &MessageId, page: &'a Page) -> Result<&'a Copy, SpeechFault> {
    let copy = page.message(id).and_then(|record| record.kept());
    copy.ok_or_else(|| SpeechFault::UnknownMessage(id.clone()))
}

fn fault_of(role: &Role) -> SpeechFault {
    SpeechFault::Role(role.name().to_owned())
}

fn scope(speech: &Speech) -> Option<Scope> {
    speech.scope.clone().map(|member_id| Scope::Member(Mention { member_id }))
}

fn as_group(voice: Voice) -> Option<bool> {
    (voice != Voice::Oneself).then_some(true)
}

/// A part of a description names the message that was written before it.
fn of_message(event: ChatEvent, described: Option<MessageId>) -> ChatEvent {
    match (event, described) {
        (ChatEvent::MessageFileDescription(part), Some(message_id)) => {
            ChatEvent::MessageFileDescription(FileDescriptionPart { message_id, ..part })
        }
        (event, _) => event,
    }
}

impl FileReference {
    fn invitation(&self) -> FileInvitation {
        FileInvitation {
            file_name: self.name.clone(),
            file_size: self.size,
            file_digest: self.digest.clone(),
            file_conn_req: None,
            file_inline: None,
            file_descr: None,
        }
    }

    /// The description in parts; the message that they belong to has no name yet.
    fn parts(&self) -> Result<Vec<ChatEvent>, SpeechFault> {
        let placeholder = MessageId::from_bytes(b"-").ok_or(SpeechFault::FileDescription)?;
        let chunks = cut(&self.description);
        if chunks.len() > MAX_DESCRIPTION_PARTS {
            return Err(SpeechFault::FileDescription);
        }
        let count = chunks.len();
        let part = |(index, text): (usize, String)| {
            let number = index.saturating_add(1);
            let file_descr = FileDescription {
                file_descr_text: text,
                file_descr_part_no: i64::try_from(number).unwrap_or(i64::MAX),
                file_descr_complete: number == count,
            };
            ChatEvent::MessageFileDescription(FileDescriptionPart { message_id: placeholder.clone(), file_descr })
        };
        Ok(chunks.into_iter().enumerate().map(part).collect())
    }
}

/// Cuts a text into parts that are not too long, nor are when they stand in JSON.
fn cut(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut room = 0;
    for character in text.chars() {
        let length = match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            control if control < ' ' => 6,
            other => other.len_utf8(),
        };
        room = match parts.last_mut() {
            Some(part) if length <= room => {
                part.push(character);
                room.saturating_sub(length)
            }
            _ => {
                parts.push(character.into());
                MAX_DESCRIPTION_PART.saturating_sub(length)
            }
        };
    }
    parts
}
