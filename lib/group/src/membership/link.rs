//! The group link: when it is read again, and what follows from what it says.

use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use crypto::random;

use super::event::Event;
use super::relay::{RelayNumber, RelayRecord, Stage};
use super::status::GoneReason;
use super::view::KnownGroup;
use super::{MemberError, Membership};
use crate::identity::MemberId;
use crate::link_history::{Freshness, LinkHistory};
use crate::revision::Revision;
use crate::step::link_verify::verify_group_link;
use crate::text::shown;

/// How often the link is read when nothing else is a reason to.
const INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// How soon it is read again when no relay is left: later each time, up to the interval.
const ALONE: Duration = Duration::from_secs(60);
/// How many relays that are gone are remembered.
const MAX_GONE: usize = 64;

/// What is known of the group link beside what it says.
#[derive(Debug, Clone)]
pub(super) struct LinkWatch {
    /// When to read it next.
    pub(super) next: Time,
    pub(super) seen: LinkHistory,
    /// How long it took until it was read again without a relay.
    alone: Duration,
}

impl LinkWatch {
    pub(super) fn new(read: &RetrievedLinkData, revision: Option<&Revision>, now: Time) -> Self {
        let mut seen = LinkHistory::default();
        seen.believed(read, revision);
        LinkWatch::kept(now.after(INTERVAL), seen)
    }

    pub(super) fn kept(next: Time, seen: LinkHistory) -> Self {
        LinkWatch { next, seen, alone: ALONE }
    }

    pub(super) fn look_now(&mut self, now: Time) {
        self.next = self.next.min(now);
    }

    /// Plans the next look, a tenth of the interval earlier or later, so that members do not come all at once.
    fn later(&mut self, is_usable: bool, env: &mut Env<'_>) {
        let interval = match is_usable {
            true => INTERVAL,
            false => self.alone,
        };
        self.alone = match is_usable {
            true => ALONE,
            false => self.alone.saturating_mul(2).min(INTERVAL),
        };
        let spread = interval / 5;
        let part = u32::from(u16::from_be_bytes(random::array(env.random)));
        let offset = spread.saturating_mul(part) / u32::from(u16::MAX);
        self.next = env.now.after(interval.saturating_sub(spread / 2).saturating_add(offset));
    }
}

impl Membership {
    /// Reads the group link as soon as possible, and joins relays again that were lost or refused: `grp-restore`.
    pub fn restore(&mut self, env: &mut Env<'_>) -> Result<Vec<Event>, MemberError> {
        self.check_not_over()?;
        let mut events = Vec::new();
        self.link.look_now(env.now);
        self.retries.clear();
        for record in &mut self.relays {
            if record.why_gone().is_some_and(|why| !why.is_final() && *why != GoneReason::Unlisted) {
                record.join_again(&mut events);
            }
        }
        Ok(events)
    }

    pub(super) fn check_not_over(&self) -> Result<(), MemberError> {
        self.ended.map_or(Ok(()), |why| Err(MemberError::Over(why)))
    }

    /// The server returned this for the group link.
    pub(super) fn group_link_read(&mut self, data: RetrievedLinkData, env: &mut Env<'_>, events: &mut Vec<Event>) {
        self.link.later(self.is_usable(), env);
        let verified = match verify_group_link(self.view.group.link.clone(), data.clone()) {
            Ok(verified) => verified,
            Err(failed) => {
                let reason = shown(&format!("{}: {}", failed.name, failed.detail.unwrap_or_default()));
                return events.push(Event::LinkUnusable { reason });
            }
        };
        if verified.group_id() != self.group_id() {
            // The link names its fixed data by their hash: this would be our own mistake.
            let reason = "it is another group's".to_owned();
            return events.push(Event::LinkUnusable { reason });
        }
        let revision = verified.revision();
        if self.link.seen.freshness(&data, revision.as_ref()) == Freshness::Replayed {
            return events.push(Event::LinkReplayed);
        }
        self.link.seen.believed(&data, revision.as_ref());
        if !verified.profile().says_the_same(&self.view.group.profile) {
            events.push(Event::Profile(verified.profile().clone().into()));
        }
        self.view.set_group(KnownGroup::from(&verified));
        let is_owner = |id: &MemberId| verified.owners().iter().any(|owner| owner.id == *id);
        events.extend(self.view.marks.in_link(verified.transcript(), is_owner));
        self.reconcile(verified.relay_links(), events);
    }

    /// Parts with relays that the group link does not list, and joins those that it lists.
    pub(super) fn reconcile(&mut self, listed: &[ContactShortLink], events: &mut Vec<Event>) {
        let is_listed = |record: &RelayRecord| listed.iter().any(|link| link.same_link(&record.link));
        let unlisted: Vec<RelayNumber> =
            self.relays.iter().filter(|record| !is_listed(record)).map(|record| record.number).collect();
        for number in unlisted {
            self.part_with(number, GoneReason::Unlisted, events);
        }
        for link in listed {
            match self.relays.iter_mut().rev().find(|record| record.link.same_link(link)) {
                Some(record) if record.why_gone().is_some_and(GoneReason::may_return) => record.join_again(events),
                Some(_) => {}
                None => {
                    self.relays.push(RelayRecord::new(RelayNumber(self.next_relay), link.clone()));
                    self.next_relay = self.next_relay.saturating_add(1);
                }
            }
        }
        self.forget_gone(listed);
    }

    /// Relays that are gone and not listed are forgotten when there are many of them.
    fn forget_gone(&mut self, listed: &[ContactShortLink]) {
        let forgettable = |record: &RelayRecord| {
            matches!(record.stage, Stage::Gone(..))
                && record.discarded.is_empty()
                && !listed.iter().any(|link| link.same_link(&record.link))
        };
        let count = self.relays.iter().filter(|record| forgettable(record)).count();
        let surplus = self.relays.iter().filter(|record| forgettable(record)).take(count.saturating_sub(MAX_GONE));
        let surplus: Vec<RelayNumber> = surplus.map(|record| record.number).collect();
        for number in surplus {
            let id = self.relay(number).and_then(RelayRecord::id).cloned();
            self.relays.retain(|record| record.number != number);
            if let Some(id) = id.filter(|id| self.relay_with_id(id).is_none()) {
                self.view.forget_relay(&id);
            }
        }
    }

    /// A relay is gone.
    pub(super) fn part_with(&mut self, number: RelayNumber, why: GoneReason, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(number) else { return };
        if record.why_gone().is_some() {
            return;
        }
        let id = record.id().cloned();
        record.part(why, None, events);
        if let Some(id) = id {
            self.view.part_relay(&id);
        }
    }
}
