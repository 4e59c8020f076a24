//! Whether somebody who says to be a relay holds the key of its address.
//!
//! ```text
//! address read, checked ─▶ x.grp.relay.test with 32 random bytes ─▶ the same, and a signature of them
//! ```
//!
//! It is something that an owner may do before it invites a relay. It belongs to no group, leaves nothing behind, and
//! fails when no answer comes within 40 seconds.

use std::time::Duration;

use agent::connection::Delivery;
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use codec::text;
use crypto::{Random, random};
use smp::address::ServerWithPassword;

use super::address::{AddressFault, CheckedAddress};
use super::record::ConnectionName;
use super::task::{Outcome, Task};
use crate::body::{ConnectionInfo, ConnectionInfoError};
use crate::event::{Event, RelayTest};
use crate::limits::TooLong;
use crate::text::shown;
use crate::user_data::RelayProfile;

/// How long a relay may take.
pub const PATIENCE: Duration = Duration::from_secs(40);
const CHALLENGE: usize = 32;
const NAME_ENTROPY: usize = 12;

/// A test of a relay address.
#[derive(Debug, Clone)]
pub struct AddressTest {
    address: ContactShortLink,
    server: ServerWithPassword,
    connection: ConnectionName,
    challenge: [u8; CHALLENGE],
    /// When the address was read.
    began: Option<Time>,
    stage: Stage,
    /// Whether there may be a connection.
    opened: bool,
}

#[derive(Debug, Clone)]
enum Stage {
    Reading,
    Asking(CheckedAddress),
    Asked(CheckedAddress),
    Over(Result<CheckedAddress, TestFault>),
}

/// What is to be done for a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TestTask {
    /// Read what is behind the address.
    ReadAddress,
    /// Open a connection and send the challenge.
    Ask,
    /// Delete the connection.
    Delete,
}

/// Why a relay address did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestFault {
    /// It is no relay address.
    #[error(transparent)]
    Address(#[from] AddressFault),
    /// It cannot be read, or nothing can be sent there.
    #[error("{0}")]
    Failed(String),
    /// The challenge does not fit a request; never with ours.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The relay's answer cannot be read.
    #[error(transparent)]
    Info(#[from] ConnectionInfoError),
    /// The relay answered something else.
    #[error("{0} is no answer to a challenge")]
    OtherAnswer(String),
    /// The relay answered somebody else's challenge.
    #[error("the answer is to another challenge")]
    OtherChallenge,
    /// The signature is missing, or by another key than that of the address.
    #[error("the relay does not prove that it holds the key of its address")]
    Signature,
    /// No answer came in time.
    #[error("no answer within 40 s")]
    TimedOut,
}

impl AddressTest {
    /// Begins a test. The answer will come to a queue at `server`.
    pub fn start(address: ContactShortLink, server: ServerWithPassword, env: &mut Env<'_>) -> Result<Self, TestFault> {
        CheckedAddress::check_kind(&address)?;
        let challenge = random::array(env.random);
        let connection = ConnectionName::test(env.random);
        Ok(AddressTest { address, server, connection, challenge, began: None, stage: Stage::Reading, opened: false })
    }

    /// The connection that is used for it.
    pub fn connection(&self) -> &ConnectionName {
        &self.connection
    }

    /// What is to be done now. One task at a time.
    pub fn due(&self) -> Option<TestTask> {
        match self.stage {
            Stage::Reading => Some(TestTask::ReadAddress),
            Stage::Asking(_) => Some(TestTask::Ask),
            Stage::Asked(_) => None,
            Stage::Over(_) => self.opened.then_some(TestTask::Delete),
        }
    }

    /// How to do it. Nothing if it is not due.
    pub fn task(&self) -> Result<Option<Task>, TestFault> {
        Ok(match &self.stage {
            Stage::Reading => Some(Task::ReadLink(self.address.clone())),
            Stage::Asking(address) => Some(Task::Open {
                connection: self.connection.clone(),
                link: Box::new(address.link().clone()),
                server: self.server.clone(),
                info: self.request().to_bytes()?,
            }),
            Stage::Asked(_) => None,
            Stage::Over(_) => {
                let task = Task::Delete { connection: self.connection.clone(), delivery: Delivery::Drop };
                self.opened.then_some(task)
            }
        })
    }

    fn request(&self) -> ConnectionInfo {
        let test = RelayTest { challenge: self.challenge.to_vec(), signature: None };
        ConnectionInfo::unsigned(Event::GroupRelayTest(test))
    }

    /// Takes what became of a task.
    pub fn finish(&mut self, task: TestTask, outcome: Outcome, now: Time) {
        let stage = match (&self.stage, task, outcome) {
            (Stage::Reading, TestTask::ReadAddress, Outcome::Retrieved(retrieved)) => {
                match CheckedAddress::check(&self.address, &retrieved) {
                    Ok(address) => {
                        self.began = Some(now);
                        Stage::Asking(address)
                    }
                    Err(fault) => Stage::Over(Err(fault.into())),
                }
            }
            (Stage::Asking(address), TestTask::Ask, Outcome::Done) => {
                self.opened = true;
                Stage::Asked(address.clone())
            }
            (Stage::Over(_), TestTask::Ask, Outcome::Done) => {
                self.opened = true;
                return;
            }
            (Stage::Over(_), TestTask::Delete, Outcome::Done | Outcome::Refused(_)) => {
                self.opened = false;
                return;
            }
            (Stage::Reading | Stage::Asking(_), _, Outcome::Refused(reason) | Outcome::Unreachable(reason)) => {
                Stage::Over(Err(TestFault::Failed(shown(&reason))))
            }
            _ => return,
        };
        self.stage = stage;
    }

    /// Takes what the relay said when it took up the connection.
    pub fn answered(&mut self, info: &[u8], now: Time) {
        self.check_time(now);
        if let Stage::Asked(address) = &self.stage {
            self.stage = Stage::Over(self.check_answer(address, info).map(|()| address.clone()));
        }
    }

    fn check_answer(&self, address: &CheckedAddress, info: &[u8]) -> Result<(), TestFault> {
        let info = ConnectionInfo::parse(info)?;
        let Event::GroupRelayTest(answer) = info.event() else {
            return Err(TestFault::OtherAnswer(shown(info.event().name())));
        };
        if answer.challenge != self.challenge {
            return Err(TestFault::OtherChallenge);
        }
        let signature = answer.signature.as_ref().ok_or(TestFault::Signature)?;
        address.root_key().verify(&self.challenge, signature).map_err(|_| TestFault::Signature)
    }

    /// The connection failed.
    pub fn connection_failed(&mut self, reason: &str) {
        if !matches!(self.stage, Stage::Over(_)) {
            self.stage = Stage::Over(Err(TestFault::Failed(shown(reason))));
        }
    }

    /// When time runs out: the relay has it from when its address is known. Nothing once the test is over.
    pub fn deadline(&self) -> Option<Time> {
        self.began.filter(|_| !matches!(self.stage, Stage::Over(_))).map(|began| began.after(PATIENCE))
    }

    /// Gives up if time has run out.
    pub fn check_time(&mut self, now: Time) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.stage = Stage::Over(Err(TestFault::TimedOut));
        }
    }

    /// How it ended: with what the relay says about itself, if it proved to hold the key.
    pub fn result(&self) -> Option<Result<&RelayProfile, &TestFault>> {
        match &self.stage {
            Stage::Over(result) => Some(result.as_ref().map(CheckedAddress::profile)),
            _ => None,
        }
    }

    /// Whether it ended and left nothing behind.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_)) && !self.opened
    }
}

impl ConnectionName {
    fn test(source: &mut dyn Random) -> Self {
        let text = text::base64url_unpadded(&random::array::<NAME_ENTROPY>(source));
        ConnectionName::of_test(&text)
    }
}
