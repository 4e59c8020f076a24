//! The relay's address: where owners send invitations.

use agent::link_data::LinkEntityId;
use agent::prepared_link::{OwnFixedData, PreparedContactLink};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use crypto::{Nonce, Random, hash};
use smp::address::ServerWithPassword;
use smp::command::LinkData;

use super::link::{LinkError, prepare, user_data};
use super::settings::RelayIdentity;

/// A relay address that is to be created.
#[derive(Debug, Clone)]
pub struct PreparedAddress {
    /// The address, for owners.
    pub link: ContactShortLink,
    /// What the agent makes it of.
    pub prepared: PreparedContactLink,
    /// The data behind it.
    pub data: LinkData,
}

/// The operator's profile does not fit an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address cannot be made: {0}")]
pub struct AddressError(String);

impl From<LinkError> for AddressError {
    fn from(error: LinkError) -> Self {
        AddressError(error.to_string())
    }
}

impl RelayIdentity {
    /// Prepares the address of the relay at a server. Its entity ID is the hash of its root key.
    pub fn address(
        &self,
        server: &ServerWithPassword,
        random: &mut dyn Random,
    ) -> Result<PreparedAddress, AddressError> {
        let key = &self.address_key.0;
        let entity_id = LinkEntityId::new(hash::sha256(key.public().as_bytes()));
        let (prepared, data) = prepare(entity_id, Vec::new(), &self.contents(None), key, server, random)?;
        let link = prepared.fixed().short_link(ContactKind::Relay, LinkScheme::Https);
        Ok(PreparedAddress { link, prepared, data })
    }

    /// The data behind an address that exists, with what the relay says about itself now.
    pub fn address_data(&self, address: &OwnFixedData, random: &mut dyn Random) -> Result<LinkData, AddressError> {
        let user = user_data(&self.contents(None))?;
        let data = address.with_user_data(&user, &self.address_key.0, Nonce::random(random));
        Ok(data.map_err(LinkError::from)?)
    }

    /// Whether an address is this relay's.
    pub fn owns(&self, address: &OwnFixedData) -> bool {
        address.data().root_key == self.address_key.0.public()
    }
}
