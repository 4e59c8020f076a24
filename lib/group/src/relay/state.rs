//! The whole relay, and how it is kept.

use std::collections::{BTreeMap, BTreeSet};

use agent::time::Env;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::due::Stuck;
use super::event::Event;
use super::index::{Index, Standing};
use super::journal::LogEntry;
use super::name::ServiceId;
use super::record::{self, Change, LoadError, RecordKey};
use super::roster::Rosters;
use super::service::{Context, Service};
use super::settings::{RelayIdentity, RelaySettings};
use super::status::{Inactivity, Status};
use super::task::TaskId;
use super::test_address::AddressTest;
use super::work::Work;

/// A relay with all groups that it serves, served or refuses.
#[derive(Debug)]
pub struct Relay {
    pub(super) identity: RelayIdentity,
    pub(super) settings: RelaySettings,
    pub(super) services: BTreeMap<ServiceId, Service>,
    pub(super) tests: BTreeMap<u64, AddressTest>,
    /// Requests without answer. They are judged again after a restart.
    pub(super) dismissed: BTreeSet<u64>,
    next_service: u64,
    /// Of tasks whose failures need not be remembered.
    pub(super) retries: BTreeMap<TaskId, Work>,
    /// Servers of new group links that could not be reached. Found out again after a restart.
    pub(super) stuck: Stuck,
    pub(super) index: Index,
    pub(super) out: Out,
}

/// What steps leave behind.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) events: Vec<Event>,
    pub(super) log: Vec<LogEntry>,
    pub(super) dirty: BTreeSet<RecordKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredRelay {
    next_service: u64,
}

impl Relay {
    /// A relay that was never asked for anything.
    pub fn new(identity: RelayIdentity, settings: RelaySettings) -> Self {
        Relay {
            identity,
            settings,
            services: BTreeMap::new(),
            tests: BTreeMap::new(),
            dismissed: BTreeSet::new(),
            next_service: 1,
            retries: BTreeMap::new(),
            stuck: Stuck::default(),
            index: Index::default(),
            out: Out::default(),
        }
    }

    /// A relay from its records; lines of the log are passed over.
    pub fn load(
        identity: RelayIdentity,
        settings: RelaySettings,
        records: impl IntoIterator<Item = (RecordKey, Zeroizing<Vec<u8>>)>,
    ) -> Result<Self, LoadError> {
        let mut relay = Relay::new(identity, settings);
        let mut rosters: BTreeMap<ServiceId, Rosters> = BTreeMap::new();
        for (key, value) in records {
            match key {
                RecordKey::Relay => relay.next_service = record::read::<StoredRelay>(key, &value)?.next_service,
                RecordKey::Service(id) => {
                    relay.services.insert(id, record::read(key, &value)?);
                }
                RecordKey::Roster(id) => {
                    rosters.insert(id, record::read(key, &value)?);
                }
                RecordKey::Test(request) => {
                    relay.tests.insert(request, record::read(key, &value)?);
                }
                RecordKey::Log(..) => {}
            }
        }
        for (id, kept) in rosters {
            let service = relay.services.get_mut(&id).ok_or(LoadError::Stray(RecordKey::Roster(id)))?;
            service.rosters = kept;
        }
        relay.services.values().for_each(|service| relay.index.enter(service, &relay.settings));
        match relay.services.values().find(|service| service.id.0 >= relay.next_service) {
            Some(service) => Err(LoadError::Stray(RecordKey::Service(service.id))),
            None => Ok(relay),
        }
    }

    /// What the steps since the last call changed.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let lines = std::mem::take(&mut self.out.log).into_iter().map(|entry| {
            let key = RecordKey::Log(entry.service, entry.number);
            Change { key, value: Some(Zeroizing::new(entry.to_json())) }
        });
        let lines: Vec<Change> = lines.collect();
        let dirty = std::mem::take(&mut self.out.dirty);
        let changes = dirty.into_iter().map(|key| Change { key, value: self.record(key) });
        changes.chain(lines).collect()
    }

    /// A record as it is now, if it is to be there.
    fn record(&self, key: RecordKey) -> Option<Zeroizing<Vec<u8>>> {
        match key {
            RecordKey::Relay => Some(record::write(&StoredRelay { next_service: self.next_service })),
            RecordKey::Service(id) => self.services.get(&id).map(record::write),
            RecordKey::Roster(id) => self.services.get(&id).map(|service| record::write(&service.rosters)),
            RecordKey::Test(request) => self.tests.get(&request).map(record::write),
            RecordKey::Log(..) => None,
        }
    }

    /// Who it is.
    pub fn identity(&self) -> &RelayIdentity {
        &self.identity
    }

    /// What its operator decided.
    pub fn settings(&self) -> &RelaySettings {
        &self.settings
    }

    /// Every service that is remembered, oldest first.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// A service.
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(&id)
    }

    pub(super) fn next_service(&mut self) -> ServiceId {
        let id = ServiceId(self.next_service);
        self.next_service = self.next_service.saturating_add(1);
        self.out.dirty.insert(RecordKey::Relay);
        id
    }

    /// Makes a step of one service.
    pub(super) fn with<T>(
        &mut self,
        id: ServiceId,
        env: &mut Env<'_>,
        step: impl FnOnce(&mut Service, &mut Context<'_, '_>) -> T,
    ) -> Option<T> {
        let Relay { identity, settings, services, index, out, .. } = self;
        let service = services.get_mut(&id)?;
        let made = step(service, &mut Context { settings, identity, out, env });
        service.touch(&mut Context { settings, identity, out, env });
        index.enter(service, settings);
        Some(made)
    }

    /// Adds a service. Of those that are over only so many are remembered, because anybody can make them.
    pub(super) fn insert(&mut self, service: Service) {
        let surplus = self.index.count(Standing::Over).saturating_sub(self.settings.max_remembered);
        let oldest: Vec<ServiceId> = self.index.standing(Standing::Over).take(surplus).collect();
        oldest.into_iter().for_each(|id| self.forget(id));
        self.index.enter(&service, &self.settings);
        self.services.insert(service.id, service);
    }

    /// Makes something that needs a context but is not a service yet.
    pub(super) fn with_context<T>(&mut self, env: &mut Env<'_>, make: impl FnOnce(&mut Context<'_, '_>) -> T) -> T {
        let Relay { identity, settings, out, .. } = self;
        make(&mut Context { settings, identity, out, env })
    }

    /// What a step told, after the groups in which it changed something were put in order: a service that is listed
    /// replaces older ones.
    pub(super) fn told(&mut self, env: &mut Env<'_>) -> Vec<Event> {
        let listed = |event: &Event| match event {
            Event::StatusChanged { service, status: Status::Active } => Some(*service),
            _ => None,
        };
        let active: Vec<ServiceId> = self.out.events.iter().filter_map(listed).collect();
        for newer in active {
            let group = self.service(newer).and_then(Service::group_id);
            let replaced = |older: &&Service| {
                older.id < newer && older.status.is_current() && group.is_some() && older.group_id() == group
            };
            let replaced: Vec<ServiceId> = self.services.values().filter(replaced).map(|older| older.id).collect();
            for older in replaced {
                self.with(older, env, |service, context| service.deactivate(Inactivity::Replaced, context));
            }
        }
        std::mem::take(&mut self.out.events)
    }

    /// Forgets a service of which nothing is left.
    pub(super) fn forget_finished(&mut self, id: ServiceId, env: &Env<'_>) {
        let settings = &self.settings;
        if self.services.get(&id).is_some_and(|service| service.is_forgettable(settings, env.now)) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ServiceId) {
        self.services.remove(&id);
        self.index.remove(id);
        self.out.dirty.extend([RecordKey::Service(id), RecordKey::Roster(id)]);
    }
}
