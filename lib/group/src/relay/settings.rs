//! Who a relay is, and what its operator decided for all groups.

use std::time::Duration;

use agent::non_empty::NonEmpty;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Random, random};
use serde_json::{Map, Value};
use smp::address::ServerWithPassword;

use crate::extension::Extension;
use crate::identity::GroupId;
use crate::profile::GroupType;
use crate::user_data::{RelayLinkContents, RelayProfile};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Where credentials stand in the data behind links.
const CREDENTIALS: &str = "identity";

/// What a relay of ours does beyond the protocol.
pub(super) const EXTENSIONS: [Extension; 6] = [
    Extension::RelayReady,
    Extension::Suspension,
    Extension::GroupInFixedData,
    Extension::SignedProfile,
    Extension::SignedJoin,
    Extension::PairedConnections,
];

/// Signs the data of a relay's address, and proves to owners who it is.
#[derive(Debug, Clone)]
pub struct AddressKey(pub(super) Ed25519PrivateKey);

impl From<Ed25519PrivateKey> for AddressKey {
    fn from(key: Ed25519PrivateKey) -> Self {
        AddressKey(key)
    }
}

/// Who a relay is.
#[derive(Debug, Clone)]
pub struct RelayIdentity {
    /// The root key of its address.
    pub address_key: AddressKey,
    /// What it says about itself.
    pub profile: RelayProfile,
    /// What its operator adds to that, such as certificates. Links sign it, and nothing here understands it.
    pub credentials: Option<Map<String, Value>>,
}

impl RelayIdentity {
    /// What stands behind the address, or behind the relay link of a group.
    pub(super) fn contents(&self, group_id: Option<GroupId>) -> RelayLinkContents {
        let credentials = self.credentials.clone().map(|credentials| (CREDENTIALS.to_owned(), credentials.into()));
        RelayLinkContents {
            relay_profile: self.profile.clone(),
            group_id,
            ext: EXTENSIONS.into_iter().collect(),
            other: credentials.into_iter().collect(),
        }
    }
}

/// What the operator decided.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Where queues and relay links are made; one of them is drawn for each.
    pub servers: NonEmpty<ServerWithPassword>,
    /// Kinds of groups that are served.
    pub group_types: Vec<GroupType>,
    /// The longest profile of a group, as JSON.
    pub max_profile: usize,
    /// The longest picture in it.
    pub max_image: usize,
    /// How many groups are served or about to be.
    pub max_services: usize,
    /// How many invitations to one group may wait to be listed: anybody who knows the group link can send them.
    pub max_unlisted: usize,
    /// How many services may wait to be listed in all.
    pub max_unlisted_services: usize,
    /// How many services that are over are remembered.
    pub max_remembered: usize,
    /// How many group links may wait to be read.
    pub max_unread: usize,
    /// How many refusals and tests may wait for their peers.
    pub max_transient: usize,
    /// Whether somebody is asked about every invitation.
    pub ask_policy: bool,
    /// How many members one group has, those who are only let in among them.
    pub max_members: u64,
    /// How many of these may not have connected yet.
    pub max_admitted: u64,
    /// Whether somebody is asked about everybody who wants to join.
    pub ask_about_members: bool,
    /// Whether members are admitted before the group link lists the relay.
    pub admit_unlisted: bool,
    /// Where groups are shown as web pages.
    pub web_domain: Option<String>,
    /// How many group links are read at a time for new invitations, and how many relay links are created.
    pub workers: usize,
    /// How many group links are looked at at a time in which the relay may be listed.
    pub max_checks: usize,
    /// How many of either may be at one server.
    pub max_reads_per_server: usize,
    /// Between looks at a group link.
    pub check_interval: Duration,
    /// How long a service that was accepted waits to be listed.
    pub listing_patience: Duration,
    /// How long a group link may be missing from its server before the group counts as gone.
    pub missing_patience: Duration,
    /// How long connections of an inactive service stay, and refusals and answered tests of peers that fell silent.
    pub cleanup_after: Duration,
    /// How long it is remembered that a service became inactive.
    pub forget_after: Duration,
}

impl RelaySettings {
    /// What is usual, with these servers.
    pub fn new(servers: NonEmpty<ServerWithPassword>) -> Self {
        RelaySettings {
            servers,
            group_types: vec![GroupType::Channel, GroupType::Group],
            max_profile: 65_536,
            max_image: 32_768,
            max_services: 10_000,
            max_unlisted: 4,
            max_unlisted_services: 1_000,
            max_remembered: 10_000,
            max_unread: 250,
            max_transient: 1_000,
            ask_policy: false,
            max_members: 1_000_000,
            max_admitted: 10_000,
            ask_about_members: false,
            admit_unlisted: true,
            web_domain: None,
            workers: 16,
            max_checks: 64,
            max_reads_per_server: 8,
            check_interval: Duration::from_secs(15 * MINUTE),
            listing_patience: Duration::from_secs(7 * DAY),
            missing_patience: Duration::from_secs(DAY),
            cleanup_after: Duration::from_secs(DAY),
            forget_after: Duration::from_secs(30 * DAY),
        }
    }

    /// A server for a queue or a link.
    pub fn draw_server(&self, random: &mut dyn Random) -> &ServerWithPassword {
        let servers: Vec<&ServerWithPassword> = self.servers.iter().collect();
        let drawn = usize::try_from(u32::from_be_bytes(random::array(random))).unwrap_or_default();
        let place = drawn.checked_rem(servers.len()).unwrap_or_default();
        servers.get(place).copied().unwrap_or(self.servers.first())
    }
}
