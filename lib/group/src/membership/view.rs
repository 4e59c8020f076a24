//! What a member or an owner knows of its group, whoever told it.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::short_link::ContactShortLink;
use agent::time::Time;

use super::event::Event;
use super::health::{Awaited, Health, PATIENCE, Waiting};
use super::people::MemberRecord;
use super::status::{EndReason, GoneReason};
use super::transcript::MarkWatch;
use crate::event::RosterRequest;
use crate::identity::{GroupId, MemberId, MemberKey, RelayPublicKey};
use crate::keys::{Author, LinkKeys};
use crate::member::Role;
use crate::message_id::MessageId;
use crate::preferences::Preferences;
use crate::profile::{GroupProfile, GroupType};
use crate::roster::Roster;
use crate::roster_transfer::RosterTransfer;
use crate::step::link_verify::{VerifiedGroupLink, VerifiedOwner};
use crate::verification::{AcceptedMessage, Recipient};

/// The group as its link describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownGroup {
    /// The link through which it was joined.
    pub link: ContactShortLink,
    /// Its name.
    pub group_id: GroupId,
    /// Channel or group.
    pub group_type: GroupType,
    /// Who may sign for it.
    pub owners: Vec<VerifiedOwner>,
    /// What it says about itself.
    pub profile: GroupProfile,
    /// Members and owners, if the link says how many.
    pub member_count: Option<u64>,
}

impl From<&VerifiedGroupLink> for KnownGroup {
    fn from(link: &VerifiedGroupLink) -> Self {
        KnownGroup {
            link: link.link().clone(),
            group_id: link.group_id(),
            group_type: link.group_type().clone(),
            owners: link.owners().to_vec(),
            profile: link.profile().clone(),
            member_count: link.member_count(),
        }
    }
}

/// Who the member is in this group, and in no other.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) id: MemberId,
    pub(crate) key: MemberKey,
    /// As relays say; owners may say more.
    pub(crate) role: Role,
}

/// What comes from one relay.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) health: Health,
    /// The roster that is on its way.
    pub(crate) transfer: Option<RosterTransfer>,
    /// Since when it delivers.
    pub(crate) since: Option<Time>,
}

/// What a member knows of its group.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) me: Me,
    pub(crate) group: KnownGroup,
    pub(crate) roster: Roster,
    /// Owners, and the relays of `sources`.
    pub(crate) links: LinkKeys,
    relays: BTreeMap<MemberId, RelayPublicKey>,
    pub(crate) sources: BTreeMap<MemberId, Source>,
    pub(crate) awaited: Awaited,
    /// What owners counted, compared with what came.
    pub(super) marks: MarkWatch,
    /// For so long something may be on its way.
    pub(super) patience: Duration,
    /// When this run began to listen.
    pub(crate) opened: Time,
}

/// What follows from what was heard, beside what is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Demand {
    /// Something is said to be new; what the group link says is true.
    ReadGroupLink,
    /// The relay has sent everything that it will send through its first connection before the second one stands.
    Pair,
    /// A relay is gone.
    Part(MemberId, GoneReason),
    /// The membership is over.
    End(EndReason),
    /// Versions of the roster are missing: the relay that forwards later ones may have them.
    RequestRoster(RosterRequest),
    /// The relay says something about itself. Members read that in its relay link; owners deal with it.
    Consider(Box<AcceptedMessage>),
}

impl View {
    pub(crate) fn new(me: Me, group: KnownGroup, opened: Time) -> Self {
        let mut view = View {
            me,
            group,
            roster: Roster::default(),
            links: LinkKeys::default(),
            relays: BTreeMap::new(),
            sources: BTreeMap::new(),
            awaited: Awaited::default(),
            marks: MarkWatch::default(),
            patience: PATIENCE,
            opened,
        };
        view.learn_links();
        view
    }

    fn learn_links(&mut self) {
        let owners = self.group.owners.iter().map(|owner| (owner.id.clone(), owner.key));
        let relays = self.relays.iter().map(|(id, key)| (id.clone(), *key));
        self.links = LinkKeys::new(owners, relays);
    }

    /// The group link says something else than before.
    pub(crate) fn set_group(&mut self, group: KnownGroup) {
        self.group = group;
        self.learn_links();
    }

    /// A relay whose relay link passed every check.
    pub(crate) fn add_relay(&mut self, id: &MemberId, key: RelayPublicKey) {
        self.relays.insert(id.clone(), key);
        self.sources.entry(id.clone()).or_default();
        self.learn_links();
    }

    /// Nothing is expected from a relay any more. How well it delivered is remembered.
    pub(crate) fn part_relay(&mut self, id: &MemberId) {
        self.relays.remove(id);
        if let Some(source) = self.sources.get_mut(id) {
            source.since = None;
            source.transfer = None;
        }
        self.awaited.forget(id);
        self.learn_links();
    }

    /// Nothing is expected from a relay until it is connected again.
    pub(crate) fn relay_silent(&mut self, id: &MemberId) {
        if let Some(source) = self.sources.get_mut(id) {
            source.since = None;
        }
        self.awaited.forget(id);
    }

    /// Forgets a relay.
    pub(crate) fn forget_relay(&mut self, id: &MemberId) {
        self.sources.remove(id);
    }

    /// A relay as it was kept; nothing is expected of one that is gone, and it has no key.
    pub(crate) fn restore_relay(&mut self, id: &MemberId, key: Option<RelayPublicKey>, source: Source) {
        if let Some(key) = key {
            self.add_relay(id, key);
        }
        self.sources.insert(id.clone(), source);
    }

    /// A relay delivers from now on.
    pub(crate) fn relay_connected(&mut self, id: &MemberId, now: Time) {
        if let Some(source) = self.sources.get_mut(id) {
            source.since = Some(now);
        }
    }

    /// What the member may do.
    pub(crate) fn role(&self) -> Role {
        self.author(&self.me.id, &MemberRecord::default()).role().max(&self.me.role).clone()
    }

    /// What is known about the author of something.
    pub(crate) fn author(&self, id: &MemberId, record: &MemberRecord) -> Author {
        self.links.author(id, &self.roster, record.asserted())
    }

    pub(crate) fn recipient(&self) -> Recipient {
        Recipient { group: self.group.group_id, role: self.role() }
    }

    pub(crate) fn preferences(&self) -> Preferences<'_> {
        Preferences::of(self.group.profile.group_preferences.as_ref())
    }

    /// The relays that are to deliver what was sent at a time, in Unix seconds, besides the one that did.
    pub(crate) fn expected(&self, sent_at: i64, but: &MemberId) -> Vec<MemberId> {
        let sent = |since: Time| i64::try_from(since.millis() / 1000).is_ok_and(|since| since <= sent_at);
        let delivering = self.sources.iter().filter(|(_, source)| source.since.is_some_and(sent));
        delivering.map(|(id, _)| id).filter(|id| *id != but).cloned().collect()
    }

    /// Waits for other relays to deliver a message.
    pub(crate) fn wait(&mut self, message: &MessageId, relays: Vec<MemberId>, now: Time, events: &mut Vec<Event>) {
        let waiting = Waiting { message: message.clone(), since: now, relays };
        let given_up = self.awaited.wait(waiting);
        given_up.into_iter().for_each(|waiting| self.missing(waiting, events));
    }

    fn missing(&mut self, waiting: Waiting, events: &mut Vec<Event>) {
        for relay in waiting.relays {
            if let Some(source) = self.sources.get_mut(&relay) {
                source.health.missing = source.health.missing.saturating_add(1);
            }
            events.push(Event::Missing { message: waiting.message.clone(), relay });
        }
    }

    /// Time has passed.
    pub(crate) fn elapsed(&mut self, now: Time, events: &mut Vec<Event>) {
        for waiting in self.awaited.give_up(self.opened, now) {
            self.missing(waiting, events);
        }
    }

    pub(crate) fn health_mut(&mut self, relay: &MemberId) -> &mut Health {
        &mut self.sources.entry(relay.clone()).or_default().health
    }
}

/// The time in Unix seconds.
pub(crate) fn seconds(time: Time) -> i64 {
    i64::try_from(time.millis() / 1000).unwrap_or(i64::MAX)
}

/// The moment that [`seconds`] told.
pub(crate) fn moment(seconds: i64) -> Time {
    Time::from_millis(u64::try_from(seconds).unwrap_or_default().saturating_mul(1000))
}
