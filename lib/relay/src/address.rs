//! The relay's address: made at the first start, the same ever after.

use agent::connection::{AddressPlan, Connection, ConnectionError, Settings};
use agent::ratchet::Pq;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::Env;
use group::relay::{AddressError, ConnectionName, RelayIdentity};
use net::SharedRandom;
use net::agent::{Agent, AgentError, ChangeError};
use smp::address::ServerWithPassword;

use crate::config::Clock;
use crate::effects::connection_id;
use crate::service::StartError;
use crate::store::RelayStore;

/// In groups with relays nothing is encapsulated.
pub(crate) fn settings() -> Settings {
    Settings { pq: Pq::Off, ..Settings::default() }
}

/// The address as it was found or made.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) link: ContactShortLink,
    /// Whether its server has it.
    pub(crate) exists: bool,
}

/// Finds the address in the store, or makes it. What stands behind it follows the identity.
pub(crate) async fn open(
    agent: &Agent,
    store: &RelayStore,
    identity: &RelayIdentity,
    server: &ServerWithPassword,
    mut random: SharedRandom,
    clock: &Clock,
) -> Result<Address, StartError> {
    let said = (&identity.profile, &identity.credentials);
    let profile = serde_json::to_string(&said).map_err(|_| StartError::Profile)?;
    match find(agent, identity).await? {
        Some(address) => {
            if store.profile()?.as_ref() != Some(&profile) {
                renew(agent, identity).await?;
                store.set_profile(profile).await?;
            }
            Ok(address)
        }
        None => {
            let prepared = identity.address(server, &mut random)?;
            let (link, password) = (prepared.link, server.password.clone());
            let plan = AddressPlan::Linked { link: prepared.prepared.into(), data: prepared.data, password };
            let connection = Connection::address(plan, &settings(), &mut Env { now: clock(), random: &mut random })?;
            // The profile first: with it alone nothing is wrong, without it the address would be written once more.
            store.set_profile(profile).await?;
            agent.open(connection_id(&ConnectionName::Address), connection).await?;
            Ok(Address { link, exists: false })
        }
    }
}

async fn find(agent: &Agent, identity: &RelayIdentity) -> Result<Option<Address>, StartError> {
    let identity = identity.clone();
    let look = move |connection: &mut Connection, _: &mut Env<'_>| {
        let own = connection.own_address().and_then(|own| own.fixed).ok_or(StartError::NoAddress)?;
        if !identity.owns(&own) {
            return Err(StartError::OtherIdentity);
        }
        connection.retry();
        let exists = connection.status().receive.is_some_and(|queue| queue.recipient_id.is_some());
        Ok(Address { link: own.short_link(ContactKind::Relay, LinkScheme::Https), exists })
    };
    match agent.change(&connection_id(&ConnectionName::Address), look).await {
        Ok(address) => Ok(Some(address)),
        Err(ChangeError::Agent(AgentError::Unknown(_))) => Ok(None),
        Err(ChangeError::Agent(error)) => Err(error.into()),
        Err(ChangeError::Refused(error)) => Err(error),
    }
}

/// Writes what the relay says about itself behind the address.
async fn renew(agent: &Agent, identity: &RelayIdentity) -> Result<(), StartError> {
    let identity = identity.clone();
    let renew = move |connection: &mut Connection, env: &mut Env<'_>| {
        let own = connection.own_address().and_then(|own| own.fixed).ok_or(StartError::NoAddress)?;
        connection.set_link(identity.address_data(&own, env.random)?)?;
        Ok(())
    };
    match agent.change(&connection_id(&ConnectionName::Address), renew).await {
        Ok(()) => Ok(()),
        Err(ChangeError::Agent(error)) => Err(error.into()),
        Err(ChangeError::Refused(error)) => Err(error),
    }
}

impl From<AddressError> for StartError {
    fn from(error: AddressError) -> Self {
        StartError::Address(error)
    }
}

impl From<ConnectionError> for StartError {
    fn from(error: ConnectionError) -> Self {
        StartError::Connection(error)
    }
}
