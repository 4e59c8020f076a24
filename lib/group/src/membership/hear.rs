//! What comes from relays. All of it may be wrong on purpose.
//!
//! ```text
//! element ── is it for its author to say? ── verified? ── compared with other copies ── done, and told
//! ```
//!
//! Nothing is remembered of what is refused, except that a post of this name was: a forged copy must not stand in the way
//! of the true one.

use agent::time::Time;
use codec::VersionRange;

use super::comparison::{Arrival, Comparison, Delivered, Mark, MessageRecord};
use super::error::RecordError;
use super::event::{Event, Heard};
use super::health::Health;
use super::people::{OtherKey, ProvenJoin, Standing};
use super::permission::Objection;
use super::reactions::Reactor;
use super::records::{Change, Page, RecordKey, Records};
use super::status::GoneReason;
use super::view::{Demand, View, seconds};
use crate::body::Batch;
use crate::chunk::Chunk;
use crate::content_digest::copy_key;
use crate::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender};
use crate::event::{Event as ChatEvent, Signing};
use crate::identity::MemberId;
use crate::keys::Asserted;
use crate::member::MemberInfo;
use crate::message::Message;
use crate::message_id::MessageId;
use crate::roster_transfer::{RosterTransfer, TransferProgress};
use crate::text::shown;
use crate::transcript::{Post, is_post};
use crate::verification::{AcceptedMessage, Attribution, Refusal};

/// How many things are told of one body: it may hold hundreds.
const MAX_COMPLAINTS: usize = 32;

/// What came of one body.
#[derive(Debug)]
pub(crate) struct Overheard {
    /// What is told.
    pub(crate) events: Vec<Event>,
    /// What is to be done about it.
    pub(crate) demands: Vec<Demand>,
    /// Posts that every relay has delivered now.
    pub(crate) posts: Vec<Post>,
    /// Records to be written.
    pub(crate) changes: Vec<Change>,
    /// What the relay's program speaks: every message that it writes itself says that.
    pub(crate) versions: Option<VersionRange>,
    /// How many members there are, if somebody counts.
    pub(crate) present: Option<u64>,
}

/// One body from one relay.
pub(super) struct Step<'a> {
    pub(super) relay: &'a MemberId,
    pub(super) now: Time,
    pub(super) page: &'a mut Page,
    pub(super) events: Vec<Event>,
    pub(super) demands: Vec<Demand>,
    /// Posts that every relay has delivered now.
    pub(super) posts: Vec<Post>,
    complaints: usize,
}

impl<'a> Step<'a> {
    pub(super) fn new(relay: &'a MemberId, now: Time, page: &'a mut Page) -> Self {
        Step { relay, now, page, events: Vec::new(), demands: Vec::new(), posts: Vec::new(), complaints: 0 }
    }

    pub(super) fn drop_what_came(&mut self, reason: &str) {
        self.complain(Event::Dropped { relay: self.relay.clone(), reason: shown(reason) });
    }

    fn complain(&mut self, event: Event) {
        self.complaints = self.complaints.saturating_add(1);
        if self.complaints <= MAX_COMPLAINTS {
            self.events.push(event);
        }
    }

    /// A post came in a copy that is not accepted.
    fn note_refusal(&mut self, message: &Message) {
        let record = is_post(message).and_then(|id| self.page.message_mut(id));
        record.into_iter().for_each(MessageRecord::refuse);
    }

    pub(super) fn other_key(&mut self, member: &MemberId) {
        self.complain(Event::OtherKey { member: member.clone(), relay: self.relay.clone() });
    }
}

/// The records that a body is about.
fn names_in(batch: &Batch) -> Vec<RecordKey> {
    let mut names = Vec::new();
    for element in batch.elements() {
        let authored = match element {
            Element::Message(authored) => authored,
            Element::Forward(Forward { sender, content: ForwardContent::Message(authored), .. }) => {
                if let ForwardSender::Member(id, _) = sender {
                    names.push(RecordKey::Member(id.clone()));
                    if let ChatEvent::MessageReact(reaction) = &authored.message().event {
                        let reactor = Reactor { message: reaction.message_id.clone(), member: id.clone() };
                        names.push(RecordKey::Reactions(reactor));
                    }
                }
                names.extend(authored.message().id.clone().map(RecordKey::Message));
                authored
            }
            Element::Forward(_) | Element::Chunk(_) => continue,
        };
        let (message, member) = subject(&authored.message().event);
        names.extend(message.cloned().map(RecordKey::Message));
        names.extend(member.cloned().map(RecordKey::Member));
    }
    names
}

/// The message and the member that an event is about.
pub(super) fn subject(event: &ChatEvent) -> (Option<&MessageId>, Option<&MemberId>) {
    match event {
        ChatEvent::MessageUpdate(update) => (Some(&update.message_id), None),
        ChatEvent::MessageDelete(deletion) => (Some(&deletion.message_id), deletion.member_id.as_ref()),
        ChatEvent::MessageReact(reaction) => (Some(&reaction.message_id), None),
        ChatEvent::MessageFileDescription(part) => (Some(&part.message_id), None),
        ChatEvent::FileCancel(cancel) => (Some(&cancel.message_id), None),
        ChatEvent::GroupMemberNew(member) => (None, Some(&member.member_info.member_id)),
        ChatEvent::GroupMemberIntroduction(member) => (None, Some(&member.member_info.member_id)),
        ChatEvent::GroupMemberRole(change) => (None, Some(&change.member_id)),
        ChatEvent::GroupMemberRestrict(restriction) => (None, Some(&restriction.member_id)),
        ChatEvent::GroupMemberDelete(removal) => (None, Some(&removal.member_id)),
        _ => (None, None),
    }
}

fn versions_in(batch: &Batch) -> Option<VersionRange> {
    let own = batch.elements().filter_map(|element| match element {
        Element::Message(authored) => Some(authored.message().versions),
        Element::Forward(_) | Element::Chunk(_) => None,
    });
    own.last()
}

impl View {
    /// Takes a body that a relay delivered. If records cannot be read, nothing has changed.
    pub(crate) fn overhear(
        &mut self,
        relay: &MemberId,
        body: &[u8],
        records: &dyn Records,
        now: Time,
    ) -> Result<Overheard, RecordError> {
        let batch = Batch::parse(body);
        let (mut names, versions) = match &batch {
            Ok(batch) => (names_in(batch), versions_in(batch)),
            Err(_) => (Vec::new(), None),
        };
        // Members know from the group link how many there are; owners write that there.
        if self.links.is_owner(&self.me.id) {
            names.push(RecordKey::Census);
        }
        let mut page = Page::load(records, names)?;
        let mut step = Step::new(relay, now, &mut page);
        match batch {
            Ok(batch) => self.hear(batch, &mut step),
            Err(error) => self.malformed(&error.to_string(), &mut step),
        }
        let Step { events, demands, posts, .. } = step;
        let present = page.present();
        Ok(Overheard { events, demands, posts, changes: page.into_changes(), versions, present })
    }

    fn hear(&mut self, batch: Batch, step: &mut Step<'_>) {
        self.health_mut(step.relay).last_at = Some(seconds(step.now));
        for element in batch {
            match element {
                Ok(Element::Message(message)) => self.relay_says(message, step),
                Ok(Element::Forward(forward)) => self.forwarded(forward, step),
                Ok(Element::Chunk(chunk)) => self.chunk(&chunk, step),
                Err(error) => self.malformed(&error.to_string(), step),
            }
        }
    }

    fn malformed(&mut self, reason: &str, step: &mut Step<'_>) {
        count(&mut self.health_mut(step.relay).malformed);
        step.drop_what_came(reason);
    }

    fn refuse(&mut self, reason: &str, step: &mut Step<'_>) {
        count(&mut self.health_mut(step.relay).refused);
        step.drop_what_came(reason);
    }

    /// A relay speaks for itself, and tells of members.
    fn relay_says(&mut self, message: AuthoredMessage, step: &mut Step<'_>) {
        let author = self.links.author(step.relay, &self.roster, Asserted::default());
        let message = match message.verify(&author, &self.recipient()) {
            Ok(message) => message,
            Err(refusal) => return self.refused(Some(step.relay.clone()), "a relay", refusal, step),
        };
        match message.event() {
            ChatEvent::GroupMemberNew(member) => self.introduced(&member.member_info, true, step),
            ChatEvent::GroupMemberIntroduction(member) => self.introduced(&member.member_info, false, step),
            ChatEvent::GroupLeave => step.demands.push(Demand::Part(step.relay.clone(), GoneReason::Left)),
            ChatEvent::GroupRelayPair => step.demands.push(Demand::Pair),
            other if other.is_content() => self.refuse("relays say nothing in the group", step),
            other if other.signing() != Signing::Required || matches!(other, ChatEvent::Info(_)) => {
                step.demands.push(Demand::Consider(message.into()));
            }
            other => self.refuse(&format!("{} is not for relays to say", other.name()), step),
        }
    }

    fn refused(&mut self, author: Option<MemberId>, event: &str, why: Refusal, step: &mut Step<'_>) {
        count(&mut self.health_mut(step.relay).refused);
        step.complain(Event::Refused { relay: step.relay.clone(), author, event: shown(event), why });
    }

    /// A relay's word about a member. `joined` if it says that the member is new, and not that it was there before.
    fn introduced(&mut self, info: &MemberInfo, joined: bool, step: &mut Step<'_>) {
        let id = &info.member_id;
        let is_in_roster = self.roster.role(id).is_some_and(|role| role.is_in_roster());
        let vouched_for = is_in_roster || self.links.is_owner(id) || self.links.is_relay(id);
        if *id == self.me.id {
            return;
        }
        let pinned = self.roster.key(id);
        if pinned.is_some_and(|pinned| info.member_key.is_some_and(|key| key != pinned)) {
            step.other_key(id);
        }
        let Some(record) = step.page.member(id) else { return };
        if joined && info.member_role.is_privileged() && !vouched_for && !record.is_known() {
            return self.refuse("a relay claims rights for somebody who has none", step);
        }
        let now = seconds(step.now);
        if let Some(record) = step.page.member_mut(id) {
            if joined {
                record.seen(now);
            }
            if record.introduced(info, vouched_for) == Err(OtherKey) {
                step.other_key(id);
            }
        }
        self.count(id, step);
    }

    /// Somebody may be there who was not, or the other way round. Owners and relays are counted by the group link.
    pub(super) fn count(&self, id: &MemberId, step: &mut Step<'_>) {
        if !self.links.is_owner(id) && !self.links.is_relay(id) {
            step.page.count(id);
        }
    }

    fn forwarded(&mut self, forward: Forward, step: &mut Step<'_>) {
        let Forward { sender, sent_at, content } = forward;
        let ForwardContent::Message(message) = content else {
            return self.malformed("a part of a file that was forwarded", step);
        };
        match sender {
            ForwardSender::Channel => match message.accept_from_channel() {
                Ok(message) => self.accepted(&message, sent_at, step),
                Err(refusal) => self.refused(None, "something as the group", refusal, step),
            },
            ForwardSender::Member(id, _) if id == self.me.id => self.in_our_name(&message, step),
            ForwardSender::Member(id, name) => self.by_member(&id, name.as_str(), message, sent_at, step),
        }
    }

    /// Nobody sends us what we said ourselves, unless to see what we make of it.
    fn in_our_name(&mut self, message: &AuthoredMessage, step: &mut Step<'_>) {
        let signed = match message {
            AuthoredMessage::Signed(signed) => {
                signed.is_signed_by(&self.group.group_id, &self.me.id, &self.me.key.public())
            }
            AuthoredMessage::Unsigned(_) => false,
        };
        if !signed {
            self.refuse("somebody speaks in our name", step);
        }
    }

    fn by_member(&mut self, id: &MemberId, name: &str, message: AuthoredMessage, sent_at: i64, step: &mut Step<'_>) {
        let Some(record) = step.page.member(id) else { return };
        if record.standing() == Standing::Removed {
            step.note_refusal(message.message());
            return self.refuse("it is attributed to somebody who was removed", step);
        }
        if matches!(message.message().event, ChatEvent::Member(_)) {
            return self.joined(id, &message, step);
        }
        let is_stranger = !record.is_known() && self.author(id, record).key().is_none();
        let said = message.message().clone();
        let now = seconds(step.now);
        match message.verify(&self.author(id, record), &self.recipient()) {
            Ok(message) => {
                if let Some(record) = step.page.member_mut(id).filter(|_| *message.event() != ChatEvent::GroupLeave) {
                    record.called(name);
                    record.seen(now);
                }
                self.accepted(&message, sent_at, step);
            }
            // Relays introduce nobody who only leaves.
            Err(Refusal::UnknownKey) if is_stranger && said.event == ChatEvent::GroupLeave => {}
            Err(refusal) => {
                step.note_refusal(&said);
                self.refused(Some(id.clone()), said.event.name(), refusal, step);
            }
        }
    }

    /// What a member signed when it joined, passed on with extension `mkey1`. The roster knows better.
    fn joined(&mut self, id: &MemberId, message: &AuthoredMessage, step: &mut Step<'_>) {
        let Some(join) = ProvenJoin::verify(message, id, &self.group.group_id) else {
            return self.refused(Some(id.clone()), message.message().event.name(), Refusal::BadSignature, step);
        };
        let outcome = step.page.member_mut(id).map(|record| record.joined(&join));
        if outcome == Some(Err(OtherKey)) {
            step.other_key(id);
        }
        self.count(id, step);
    }

    /// Something that is authentic, as far as can be known. Whether it counts, other copies of it decide.
    fn accepted(&mut self, message: &AcceptedMessage, sent_at: i64, step: &mut Step<'_>) {
        if let Err(Objection(reason)) = self.permit(message, sent_at, step.page) {
            step.note_refusal(message.message());
            return self.refuse(&reason, step);
        }
        let Some(id) = copy_key(message) else {
            count(&mut self.health_mut(step.relay).delivered);
            return self.process(message, sent_at, false, step);
        };
        let comparison = self.compare(id, message, sent_at, step);
        // Chunks follow from whichever relay sent the header.
        if !matches!(comparison, Comparison::Different(_)) {
            self.begin_roster(message, step);
        }
        match comparison {
            Comparison::First => self.process(message, sent_at, false, step),
            Comparison::Replaced(marks) => {
                self.tell_marks(id, marks, step);
                self.process(message, sent_at, true, step);
            }
            Comparison::Confirmed(marks) => {
                step.events.push(Event::Confirmed { message: id.clone(), relay: step.relay.clone() });
                self.tell_marks(id, marks, step);
            }
            Comparison::Verified(marks) => {
                step.events.push(Event::Verified { message: id.clone(), relay: step.relay.clone() });
                self.tell_marks(id, marks, step);
            }
            Comparison::Different(marks) => self.tell_marks(id, marks, step),
            Comparison::Repeated => {}
        }
    }

    fn compare(&mut self, id: &MessageId, message: &AcceptedMessage, sent_at: i64, step: &mut Step<'_>) -> Comparison {
        let delivered = Delivered { relay: step.relay.clone(), at: seconds(step.now), sent_at };
        let owed = is_owed_by_all(message.event());
        let expected = if owed { self.expected(sent_at, step.relay) } else { Vec::new() };
        let arrival = Arrival { message, delivered, expected: expected.clone() };
        let Some(record) = step.page.message_mut(id) else { return Comparison::Repeated };
        let is_new_author = !record.is_attributed_to(author_of(message));
        let sources = || self.sources.iter().filter(|(_, source)| source.since.is_some()).map(|(id, _)| id);
        let was_alike = record.told_alike_by(sources()).is_some();
        let comparison = record.take(&arrival);
        let alike = record.told_alike_by(sources()).filter(|_| !was_alike);
        let post = alike.and_then(|said_at| Post::of(message, said_at.min(seconds(step.now))));
        step.posts.extend(post);
        let was_expected = record.expects(step.relay);
        let counts = record.counts(message);
        self.post_came(message, counts, is_new_author, step);
        let health = self.health_mut(step.relay);
        match &comparison {
            Comparison::Repeated => count(&mut health.repeated),
            Comparison::First => {
                count(&mut health.delivered);
                count(&mut health.first);
                self.wait(id, expected, step.now, &mut step.events);
            }
            _ => {
                count(&mut health.delivered);
                self.came(id, was_expected, step);
            }
        }
        comparison
    }

    /// A relay delivered what another one had delivered before.
    fn came(&mut self, id: &MessageId, was_expected: bool, step: &mut Step<'_>) {
        let in_time = self.awaited.came(id, step.relay);
        let health = self.health_mut(step.relay);
        if !in_time && was_expected && health.missing > 0 {
            health.missing = health.missing.saturating_sub(1);
            count(&mut health.late);
            step.events.push(Event::Late { message: id.clone(), relay: step.relay.clone() });
        }
    }

    fn tell_marks(&mut self, id: &MessageId, marks: Vec<Mark>, step: &mut Step<'_>) {
        if marks.is_empty() {
            return;
        }
        for mark in &marks {
            let health: &mut Health = self.health_mut(&mark.relay);
            count(&mut health.differing);
            if mark.refuted {
                count(&mut health.altered);
            }
        }
        step.events.push(Event::Different { message: id.clone(), marks });
    }

    /// A header that an owner signed. It may come again, from the same relay or another one, if chunks were missing.
    fn begin_roster(&mut self, message: &AcceptedMessage, step: &mut Step<'_>) {
        let ChatEvent::GroupRoster(header) = message.event() else { return };
        let complete = self.roster.version() >= Some(header.version) && self.roster.missing().is_none();
        let Some(source) = self.sources.get_mut(step.relay).filter(|_| !complete) else { return };
        match RosterTransfer::begin(message, &self.roster, source.transfer.as_ref()) {
            Ok(transfer) => source.transfer = Some(transfer),
            Err(error) => step.drop_what_came(&error.to_string()),
        }
    }

    fn chunk(&mut self, chunk: &Chunk, step: &mut Step<'_>) {
        let Some(source) = self.sources.get_mut(step.relay) else { return };
        // Chunks of a roster that we have already need no transfer.
        let Some(transfer) = source.transfer.take() else { return };
        match transfer.clone().chunk(chunk) {
            Ok(TransferProgress::Waiting(transfer)) => source.transfer = Some(transfer),
            Ok(TransferProgress::Complete(complete)) => match self.roster.apply_complete(&complete, &self.links) {
                Ok(update) => {
                    step.events.push(Event::Roster(complete.version()));
                    if !update.changed.is_empty() {
                        step.events.push(Event::Roles(update.changed));
                    }
                    update.other_keys.iter().for_each(|member| step.other_key(member));
                }
                Err(old) => step.drop_what_came(&old.to_string()),
            },
            Err(error) if error.is_harmless() => source.transfer = Some(transfer),
            Err(error) => self.malformed(&error.to_string(), step),
        }
    }

    /// Tells what somebody said.
    pub(super) fn tell(&mut self, message: &AcceptedMessage, sent_at: i64, replaces: bool, step: &mut Step<'_>) {
        let author = match message.attribution() {
            Attribution::Member(id, _) => step.page.member(id),
            Attribution::Channel => None,
        };
        let item = copy_key(message).and_then(|id| step.page.message(id)).map(|record| record.item());
        let is_post = matches!(message.event(), ChatEvent::MessageNew(_));
        let heard = Heard {
            message: message.clone(),
            author_name: author.and_then(|record| record.name()).map(str::to_owned),
            blocked: author.is_some_and(|record| record.is_blocked()),
            relay: step.relay.clone(),
            sent_at,
            replaces,
            edited_before: is_post && item.is_some_and(|item| item.edited().is_some()),
            deleted_before: is_post && item.is_some_and(|item| item.deleted().is_some()),
        };
        step.events.push(Event::Heard(heard.into()));
    }
}

fn author_of(message: &AcceptedMessage) -> Option<&MemberId> {
    match message.attribution() {
        Attribution::Member(id, _) => Some(id),
        Attribution::Channel => None,
    }
}

/// Whether all relays were told. Owners tell single relays that they are listed, and the others that there is a new one;
/// rosters come from the relay that was asked. Whoever was told nothing keeps nothing back.
fn is_owed_by_all(event: &ChatEvent) -> bool {
    !matches!(event, ChatEvent::GroupInfo(_) | ChatEvent::GroupRelayNew(_) | ChatEvent::GroupRoster(_))
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
