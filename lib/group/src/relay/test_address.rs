//! Testing a relay's address: whoever sends a challenge gets it back, signed with the root key of the address.

use agent::time::{Env, Time};
use serde::{Deserialize, Serialize};

use super::event::{Dismissal, Event as RelayEvent};
use super::record::{RecordKey, moment};
use super::settings::RelayIdentity;
use super::state::Relay;
use crate::body::ConnectionInfo;
use crate::bytes::unpadded;
use crate::event::{Event, RelayTest};

/// Nothing else is ever signed: no link data is so short.
const CHALLENGE: usize = 32;
/// How long the connection stays after the answer.
const STAYS: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// A test under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AddressTest {
    #[serde(with = "unpadded")]
    challenge: Vec<u8>,
    pub(super) answered: bool,
    #[serde(with = "moment")]
    pub(super) delete_at: Time,
}

impl AddressTest {
    /// The challenge, signed.
    pub(super) fn answer_info(&self, identity: &RelayIdentity) -> Option<Vec<u8>> {
        let signature = identity.address_key.0.sign(&self.challenge).to_vec();
        let test = RelayTest { challenge: self.challenge.clone(), signature: Some(signature) };
        ConnectionInfo::unsigned(Event::GroupRelayTest(test)).to_bytes().ok()
    }
}

impl Relay {
    pub(super) fn test_requested(&mut self, request: u64, test: &RelayTest, env: &Env<'_>) -> Result<(), Dismissal> {
        if test.challenge.len() != CHALLENGE {
            return Err(Dismissal::Challenge);
        }
        if self.tests.len() >= self.settings.max_transient {
            return Err(Dismissal::Busy);
        }
        let challenge = test.challenge.clone();
        self.tests.insert(request, AddressTest { challenge, answered: false, delete_at: env.now.after(STAYS) });
        self.out.dirty.insert(RecordKey::Test(request));
        self.out.events.push(RelayEvent::Tested);
        Ok(())
    }

    pub(super) fn test_answered(&mut self, request: u64, env: &Env<'_>) {
        if let Some(test) = self.tests.get_mut(&request) {
            test.answered = true;
            test.delete_at = env.now.after(STAYS);
            self.out.dirty.insert(RecordKey::Test(request));
        }
    }

    pub(super) fn test_gone(&mut self, request: u64) {
        self.tests.remove(&request);
        self.out.dirty.insert(RecordKey::Test(request));
    }
}
