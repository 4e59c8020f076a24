//! Names of services and of their connections.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a service at its relay; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceId(pub u64);

/// Names a connection of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnectionName {
    /// The relay's own contact address.
    Address,
    /// With an owner; a service has several if its invitation was repeated.
    Owner(ServiceId, u64),
    /// The contact address for members.
    Link(ServiceId),
    /// With a member, by its number in the group; a member that comes again gets another one.
    Member(ServiceId, u64, u16),
    /// With somebody who tests the relay's address, named by its request.
    Test(u64),
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionName::Address => f.write_str("address"),
            ConnectionName::Owner(service, number) => write!(f, "owner-{service}-{number}"),
            ConnectionName::Link(service) => write!(f, "link-{service}"),
            ConnectionName::Member(service, number, attempt) => write!(f, "member-{service}-{number}-{attempt}"),
            ConnectionName::Test(request) => write!(f, "test-{request}"),
        }
    }
}

/// The text names no connection of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a relay's connection")]
pub struct UnknownName;

impl FromStr for ConnectionName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let number = |text: &str| text.parse().map_err(|_| UnknownName);
        let parts: Vec<&str> = text.split('-').collect();
        match parts.as_slice() {
            ["address"] => Ok(ConnectionName::Address),
            ["owner", service, index] => Ok(ConnectionName::Owner(ServiceId(number(service)?), number(index)?)),
            ["member", service, index, attempt] => {
                let attempt = attempt.parse().map_err(|_| UnknownName)?;
                Ok(ConnectionName::Member(ServiceId(number(service)?), number(index)?, attempt))
            }
            ["link", service] => Ok(ConnectionName::Link(ServiceId(number(service)?))),
            ["test", request] => Ok(ConnectionName::Test(number(request)?)),
            _ => Err(UnknownName),
        }
    }
}
