//! What the operator wants: leave groups, allow them again, keep members out for a while.

use agent::short_link::ContactShortLink;
use agent::time::Env;

use super::event::Event;
use super::journal::AdmissionBy;
use super::name::ServiceId;
use super::service::Service;
use super::state::Relay;
use super::status::Inactivity;
use crate::identity::GroupId;

/// Names the services of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSelector {
    /// One service.
    Service(ServiceId),
    /// Those that were invited with this group link.
    Link(ContactShortLink),
    /// Those of the group with this ID, as far as its link was read.
    Group(GroupId),
}

/// Why a command does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such service.
    #[error("no such group")]
    Unknown,
    /// There is, and it is not in a state where the command means anything.
    #[error("the group is not in a state for this")]
    NotNow,
}

impl GroupSelector {
    fn selects(&self, service: &Service) -> bool {
        match self {
            GroupSelector::Service(id) => service.id == *id,
            GroupSelector::Link(link) => service.invitation.group_link.same_link(link),
            GroupSelector::Group(id) => service.group_id() == Some(*id),
        }
    }
}

impl Relay {
    /// The services that are meant.
    pub fn select(&self, selector: &GroupSelector) -> Vec<ServiceId> {
        self.services.values().filter(|service| selector.selects(service)).map(Service::id).collect()
    }

    fn select_if(
        &self,
        selector: &GroupSelector,
        fits: impl Fn(&Service) -> bool,
    ) -> Result<Vec<ServiceId>, CommandError> {
        let selected = self.select(selector);
        let fitting = |id: &ServiceId| self.service(*id).is_some_and(&fits);
        let fitting: Vec<ServiceId> = selected.iter().copied().filter(fitting).collect();
        match (selected.is_empty(), fitting.is_empty()) {
            (true, _) => Err(CommandError::Unknown),
            (false, true) => Err(CommandError::NotNow),
            (false, false) => Ok(fitting),
        }
    }

    /// Leaves a group: everybody is told, and further invitations are refused until it is allowed again.
    pub fn leave(&mut self, selector: &GroupSelector, env: &mut Env<'_>) -> Result<Vec<Event>, CommandError> {
        for id in self.select_if(selector, |service| service.status.is_current())? {
            self.with(id, env, Service::leave);
        }
        Ok(self.told(env))
    }

    /// Allows a group again that was left: the next invitation is accepted. No owner is told.
    pub fn allow(&mut self, selector: &GroupSelector, env: &mut Env<'_>) -> Result<Vec<Event>, CommandError> {
        for id in self.select_if(selector, |service| service.status.is_left())? {
            self.with(id, env, |service, context| service.deactivate(Inactivity::Allowed, context));
        }
        Ok(self.told(env))
    }

    /// Keeps members out of a group, or lets them in again.
    pub fn suspend(
        &mut self,
        selector: &GroupSelector,
        suspended: bool,
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, CommandError> {
        for id in self.select_if(selector, |service| service.status.is_current())? {
            self.with(id, env, |service, context| service.admit(AdmissionBy::Operator, suspended, context));
        }
        Ok(self.told(env))
    }
}
