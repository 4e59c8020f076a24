//! Who may give a command, as a pure rule.
//!
//! The answer to a queue that does not exist and to a wrong key is the same, `ERR AUTH`, and costs the same: where
//! there is nothing to check, the authorization is checked in vain against a key that nobody has.

use crypto::authorize::{AuthPublicKey, Authorization};
use crypto::dh::X25519PrivateKey;
use smp::command::{Command, Party};
use smp::error::Error;
use smp::transmission::ClientTransmission;

use crate::queue::Queue;

/// What a command needs to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Nothing: anybody may give it.
    Anybody,
    /// An authorization with one of these keys.
    OneOf(Box<[AuthPublicKey]>),
    /// An authorization with this key once the queue is secured; before, no authorization at all.
    Sender(Option<AuthPublicKey>),
    /// A queue that exists.
    Nobody,
}

impl Authority {
    /// What a command about a queue needs, or about none where the IDs name none.
    pub fn over(command: &Command, queue: Option<&Queue>) -> Self {
        match (command, queue) {
            (_, None) if names_a_queue(command.party()) => Authority::Nobody,
            (Command::New(new), _) => Authority::OneOf(Box::new([new.recipient_key])),
            (Command::Skey(key) | Command::Lkey(key), _) => Authority::OneOf(Box::new([*key])),
            (Command::Send(..), Some(queue)) => Authority::Sender(queue.sender_key),
            (_, Some(queue)) if command.party() == Party::Recipient => Authority::OneOf(queue.recipient_keys.clone()),
            _ => Authority::Anybody,
        }
    }

    /// Whether the transmission has what it needs. `check` checks its authorization, if it has one.
    pub fn permit(&self, transmission: &ClientTransmission, check: Option<&dyn Check>) -> Result<(), Error> {
        if *self == Authority::Nobody {
            if let Some(check) = check {
                check.verify_in_vain();
            }
            return Err(Error::Auth);
        }
        if transmission.service.is_some() {
            return Err(Error::Service);
        }
        if self.is_met(check) { Ok(()) } else { Err(Error::Auth) }
    }

    fn is_met(&self, check: Option<&dyn Check>) -> bool {
        match (self, check) {
            (Authority::Anybody, _) => true,
            (Authority::OneOf(keys), Some(check)) => is_authorized(keys, check),
            (Authority::Sender(key), Some(check)) => is_authorized(key.as_slice(), check),
            (Authority::Sender(key), None) => key.is_none(),
            (Authority::OneOf(_), None) | (Authority::Nobody, _) => false,
        }
    }
}

/// There are no notifiers yet, so every notifier ID is unknown.
fn names_a_queue(party: Party) -> bool {
    matches!(party, Party::Recipient | Party::Sender | Party::LinkClient | Party::Notifier)
}

/// Whether one of `keys` authorised the command. Whatever they are, at least one verification is done.
fn is_authorized(keys: &[AuthPublicKey], check: &dyn Check) -> bool {
    let mut fitting = keys.iter().filter(|key| check.fits(key)).peekable();
    if fitting.peek().is_none() {
        check.verify_in_vain();
        return false;
    }
    fitting.any(|key| check.verify(key))
}

/// Checks one authorization. The real one is [`SessionCheck`]; tests count.
pub trait Check {
    /// Checks against a key of the same kind.
    fn verify(&self, key: &AuthPublicKey) -> bool;
    /// Spends the same time for nothing.
    fn verify_in_vain(&self);
    /// Whether a key is of the kind that the authorization needs.
    fn fits(&self, key: &AuthPublicKey) -> bool;
}

/// An authorization in the session that it was made for.
pub struct SessionCheck<'a> {
    authorization: Authorization<'a>,
    session_key: &'a X25519PrivateKey,
    transmission: &'a ClientTransmission,
}

impl<'a> SessionCheck<'a> {
    /// The authorization of a transmission, if it has one.
    pub fn new(transmission: &'a ClientTransmission, session_key: &'a X25519PrivateKey) -> Option<Self> {
        let authorization = transmission.authorization()?;
        Some(SessionCheck { authorization, session_key, transmission })
    }
}

impl Check for SessionCheck<'_> {
    fn verify(&self, key: &AuthPublicKey) -> bool {
        let ClientTransmission { corr_id, authorized, .. } = self.transmission;
        key.verify(self.authorization, self.session_key, corr_id.as_bytes(), authorized).is_ok()
    }

    fn verify_in_vain(&self) {
        // It cannot succeed.
        let authorized = &self.transmission.authorized;
        let _ = self.authorization.verify_in_vain(self.session_key, self.transmission.corr_id.as_bytes(), authorized);
    }

    fn fits(&self, key: &AuthPublicKey) -> bool {
        matches!(
            (key, self.authorization),
            (AuthPublicKey::Ed25519(_), Authorization::Ed25519(_))
                | (AuthPublicKey::Ed448(_), Authorization::Ed448(_))
                | (AuthPublicKey::X25519(_), Authorization::Authenticator(_))
        )
    }
}
