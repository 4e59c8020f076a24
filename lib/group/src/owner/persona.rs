//! What relays see of an owner, made for one group alone.
//!
//! A relay that serves two groups of one owner must not learn that. So each group has an owner with another name, another
//! member ID and key, and connections with other keys and queues, and, where several servers are configured, queues at
//! another server. Who really wants to be known says so with a profile of its own.

use crypto::{Random, random};
use smp::address::{ServerAddress, ServerWithPassword};

use crate::member::{MemberProfile, Role};
use crate::membership::{MemberError, OrderFault};
use crate::preferences::Preferences;
use crate::profile::ProfileFault;

const QUALITIES: [&str; 32] = [
    "Amber", "Brisk", "Calm", "Candid", "Clever", "Copper", "Early", "Eager", "Gentle", "Golden", "Grave", "Hidden",
    "Honest", "Idle", "Jolly", "Keen", "Late", "Lucky", "Mellow", "Modest", "Nimble", "Olive", "Patient", "Plain",
    "Quiet", "Rapid", "Silent", "Steady", "Sunny", "Tidy", "Vivid", "Wary",
];
const THINGS: [&str; 32] = [
    "Acorn", "Anchor", "Badger", "Beacon", "Birch", "Bridge", "Canyon", "Cedar", "Comet", "Falcon", "Fern", "Garden",
    "Harbor", "Heron", "Island", "Kettle", "Lantern", "Maple", "Meadow", "Needle", "Otter", "Pebble", "Pillar",
    "Quarry", "River", "Saddle", "Sparrow", "Thicket", "Tower", "Valley", "Willow", "Window",
];

/// How an owner appears to the relays of one group.
#[derive(Debug, Clone)]
pub struct Persona {
    pub(super) profile: MemberProfile,
    pub(super) server: ServerWithPassword,
    /// Whether the profile says who it is. Who goes by a random name keeps it.
    pub(super) known: bool,
}

impl Persona {
    /// Somebody whom nobody knows, whose queues will be at `server`.
    pub fn random(server: ServerWithPassword, random: &mut dyn Random) -> Self {
        Persona { profile: MemberProfile::named(&random_name(random)), server, known: false }
    }

    /// An owner who wants to be known. Ways to reach it outside the group are left out all the same.
    pub fn known(profile: MemberProfile, server: ServerWithPassword) -> Result<Self, ProfileFault> {
        profile.check()?;
        let profile = profile.in_group(Preferences::of(None), &Role::Owner);
        Ok(Persona { profile: MemberProfile { contact_link: None, ..profile }, server, known: true })
    }

    /// The same with another profile. A random name is not changed: its bearer would be seen to be the same as before.
    pub(crate) fn renamed(&self, profile: &MemberProfile) -> Result<Self, MemberError> {
        if !self.known {
            return Err(OrderFault::Incognito.into());
        }
        Ok(Persona::known(profile.clone(), self.server.clone())?)
    }

    /// Whether it goes by a name that it chose, and not by a random one.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// What relays are told about the owner.
    pub fn profile(&self) -> &MemberProfile {
        &self.profile
    }

    /// Where queues for messages from relays are.
    pub fn server(&self) -> &ServerWithPassword {
        &self.server
    }
}

fn random_name(random: &mut dyn Random) -> String {
    let [quality, thing] = random::array::<2>(random);
    let word =
        |words: &[&'static str; 32], number: u8| words.get(usize::from(number % 32)).copied().unwrap_or_default();
    format!("{}{}", word(&QUALITIES, quality), word(&THINGS, thing))
}

/// Chooses where the queues of a new group will be: at random among those of `configured` that the fewest of the owner's
/// other groups use. Nothing if nothing is configured.
pub fn choose_server<'a>(
    configured: &'a [ServerWithPassword],
    used_by_other_groups: &[ServerAddress],
    random: &mut dyn Random,
) -> Option<&'a ServerWithPassword> {
    let uses = |server: &ServerWithPassword| {
        used_by_other_groups.iter().filter(|used| used.same_server(&server.address)).count()
    };
    let fewest = configured.iter().map(uses).min()?;
    let mut candidates: Vec<&ServerWithPassword> = Vec::new();
    for server in configured.iter().filter(|server| uses(server) == fewest) {
        if !candidates.iter().any(|known| known.address.same_server(&server.address)) {
            candidates.push(server);
        }
    }
    let number = u64::from_be_bytes(random::array(random)).checked_rem(u64::try_from(candidates.len()).ok()?)?;
    candidates.get(usize::try_from(number).ok()?).copied()
}
