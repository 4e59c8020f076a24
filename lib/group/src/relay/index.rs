//! Which services something is to be done about, and when, so that nobody has to look at all of them.
//!
//! Everything here follows from the services: it is made when they are loaded, and renewed after every step of one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use agent::short_link::ContactShortLink;
use agent::time::Time;

use super::name::ServiceId;
use super::service::Service;
use super::settings::RelaySettings;

/// What a service counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Its group link is still to be read.
    Unread,
    /// It serves the group, or is about to.
    Current,
    /// It does, and was not found in the group link.
    Unlisted,
    /// This one invitation was refused, and somebody may still want to know.
    Refused,
    /// The operator left the group.
    Left,
    /// Nothing is left of it but what is remembered, so that its member ID gets no other link.
    Over,
}

/// Services by what is to be done about them, and by what they are looked for.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<ServiceId, Entry>,
    checks: BTreeSet<(Time, ServiceId)>,
    moments: BTreeSet<(Time, ServiceId)>,
    links: BTreeSet<([u8; 32], ServiceId)>,
    standings: BTreeSet<(Standing, ServiceId)>,
    counts: BTreeMap<Standing, usize>,
    requests: BTreeMap<u64, ServiceId>,
}

/// What stands in the index about one service.
#[derive(Debug)]
struct Entry {
    check: Option<Time>,
    moments: Vec<Time>,
    link: [u8; 32],
    standings: Vec<Standing>,
    requests: Vec<u64>,
}

impl Entry {
    fn of(service: &Service, settings: &RelaySettings) -> Self {
        Entry {
            check: service.check_at(),
            moments: service.moments(settings),
            link: *service.invitation.group_link.key.as_bytes(),
            standings: service.standings(),
            requests: service.owners_of_address().map(|connection| connection.request).collect(),
        }
    }
}

impl Index {
    /// Enters a service as it is now.
    pub(super) fn enter(&mut self, service: &Service, settings: &RelaySettings) {
        let id = service.id;
        self.remove(id);
        let entry = Entry::of(service, settings);
        self.checks.extend(entry.check.map(|check| (check, id)));
        self.moments.extend(entry.moments.iter().map(|moment| (*moment, id)));
        self.links.insert((entry.link, id));
        self.requests.extend(entry.requests.iter().map(|request| (*request, id)));
        for standing in &entry.standings {
            self.standings.insert((*standing, id));
            let count = self.counts.entry(*standing).or_default();
            *count = count.saturating_add(1);
        }
        self.entries.insert(id, entry);
    }

    /// Forgets a service.
    pub(super) fn remove(&mut self, id: ServiceId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Some(check) = entry.check {
            self.checks.remove(&(check, id));
        }
        for moment in entry.moments {
            self.moments.remove(&(moment, id));
        }
        self.links.remove(&(entry.link, id));
        for request in entry.requests {
            self.requests.remove(&request);
        }
        for standing in entry.standings {
            self.standings.remove(&(standing, id));
            if let Some(count) = self.counts.get_mut(&standing) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Services whose group link is to be looked at by now: who has waited longest comes first.
    pub(super) fn checks(&self, now: Time) -> impl Iterator<Item = ServiceId> {
        self.checks.range(..=(now, LAST)).map(|(_, id)| *id)
    }

    /// Services about which anything else may be due.
    pub(super) fn due(&self, now: Time) -> BTreeSet<ServiceId> {
        self.moments.range(..=(now, LAST)).map(|(_, id)| *id).collect()
    }

    /// When something of a service becomes due after that.
    pub(super) fn next(&self, now: Time) -> Option<Time> {
        let next = |moments: &BTreeSet<(Time, ServiceId)>| {
            let later = (Bound::Excluded((now, LAST)), Bound::Unbounded);
            moments.range(later).next().map(|(time, _)| *time)
        };
        next(&self.checks).into_iter().chain(next(&self.moments)).min()
    }

    /// Services whose link has the same key: few, unless somebody repeats itself.
    pub(super) fn with_key_of(&self, link: &ContactShortLink) -> impl Iterator<Item = ServiceId> {
        let key = *link.key.as_bytes();
        self.links.range((key, FIRST)..=(key, LAST)).map(|(_, id)| *id)
    }

    /// Services that count as this, oldest first.
    pub(super) fn standing(&self, standing: Standing) -> impl Iterator<Item = ServiceId> {
        self.standings.range((standing, FIRST)..=(standing, LAST)).map(|(_, id)| *id)
    }

    /// How many count as this.
    pub(super) fn count(&self, standing: Standing) -> usize {
        self.counts.get(&standing).copied().unwrap_or_default()
    }

    /// Whether a service has a connection that this request made or will make.
    pub(super) fn knows_request(&self, request: u64) -> bool {
        self.requests.contains_key(&request)
    }
}

const FIRST: ServiceId = ServiceId(0);
const LAST: ServiceId = ServiceId(u64::MAX);
