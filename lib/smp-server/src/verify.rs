//! Which commands may be executed: the queue exists in the role that the command implies, and the right key authorised
//! it.
//!
//! The answer to a queue that does not exist and to a wrong key is the same, `ERR AUTH`, and costs the same: where
//! there is nothing to check, the authorization is checked in vain against a key that nobody has.

use std::sync::Arc;

use crypto::authorize::{AuthPublicKey, Authorization};
use crypto::dh::X25519PrivateKey;
use smp::command::{Command, Party};
use smp::error::Error;
use smp::id::{CorrId, EntityId, LinkId, RecipientId, SenderId};
use smp::transmission::{ClientTransmission, Refusal};

use crate::registry::{Entry, Registry};

/// A command that may be executed. Only [`verify`] makes one.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) corr_id: CorrId,
    pub(crate) entity_id: EntityId,
    pub(crate) command: Command,
    /// What the command is about, if it is about a queue.
    pub(crate) queue: Option<Arc<Entry>>,
    _private: (),
}

/// Checks one authorization. The real one is [`SessionCheck`]; tests count.
pub(crate) trait Check {
    /// Checks against a key of the same kind.
    fn verify(&self, key: &AuthPublicKey) -> bool;
    /// Spends the same time for nothing.
    fn verify_in_vain(&self);
    /// Whether a key is of the kind that the authorization needs.
    fn fits(&self, key: &AuthPublicKey) -> bool;
}

/// An authorization in the session that it was made for.
pub(crate) struct SessionCheck<'a> {
    authorization: Authorization<'a>,
    session_key: &'a X25519PrivateKey,
    corr_id: &'a [u8],
    authorized: &'a [u8],
}

impl Check for SessionCheck<'_> {
    fn verify(&self, key: &AuthPublicKey) -> bool {
        key.verify(self.authorization, self.session_key, self.corr_id, self.authorized).is_ok()
    }

    fn verify_in_vain(&self) {
        // It cannot succeed.
        let _ = self.authorization.verify_in_vain(self.session_key, self.corr_id, self.authorized);
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

/// Whether one of `keys` authorised the command. Whatever they are, at least one verification is done.
fn is_authorized(keys: &[AuthPublicKey], check: &dyn Check) -> bool {
    let mut fitting = keys.iter().filter(|key| check.fits(key)).peekable();
    if fitting.peek().is_none() {
        check.verify_in_vain();
        return false;
    }
    fitting.any(|key| check.verify(key))
}

/// Checks a command of a session. Nothing is executed, so all commands of a block are checked against the same keys.
pub(crate) fn verify(
    transmission: ClientTransmission,
    registry: &Registry,
    session_key: &X25519PrivateKey,
) -> Result<Verified, Refusal> {
    let corr_id = transmission.corr_id.clone();
    let check = transmission.authorization().map(|authorization| SessionCheck {
        authorization,
        session_key,
        corr_id: corr_id.as_bytes(),
        authorized: &transmission.authorized,
    });
    let check = check.as_ref().map(|check| check as &dyn Check);
    match authorize(&transmission, registry, check) {
        Err(error) => Err(Refusal { corr_id: transmission.corr_id, entity_id: transmission.entity_id, error }),
        Ok(queue) => Ok(Verified {
            corr_id: transmission.corr_id,
            entity_id: transmission.entity_id,
            command: transmission.command,
            queue,
            _private: (),
        }),
    }
}

/// The queue that the command is about, if the command is authorised.
fn authorize(
    transmission: &ClientTransmission,
    registry: &Registry,
    check: Option<&dyn Check>,
) -> Result<Option<Arc<Entry>>, Error> {
    let command = &transmission.command;
    let queue = find(command.party(), &transmission.entity_id, registry);
    if queue.is_none() && names_a_queue(command.party()) {
        if let Some(check) = check {
            check.verify_in_vain();
        }
        return Err(Error::Auth);
    }
    if transmission.service.is_some() {
        return Err(Error::Service);
    }
    let right = match (command, &queue) {
        (Command::New(new), _) => is_right(&[new.recipient_key], check),
        (Command::Skey(key) | Command::Lkey(key), _) => is_right(&[*key], check),
        (Command::Send(..), Some(queue)) => may_send(queue, check),
        (_, Some(queue)) if command.party() == Party::Recipient => {
            let keys = queue.lock().queue.recipient_keys.clone();
            is_right(&keys, check)
        }
        _ => true,
    };
    if right { Ok(queue) } else { Err(Error::Auth) }
}

fn is_right(keys: &[AuthPublicKey], check: Option<&dyn Check>) -> bool {
    check.is_some_and(|check| is_authorized(keys, check))
}

/// Before a queue is secured anybody may send without authorization; afterwards only its sender with one.
fn may_send(queue: &Entry, check: Option<&dyn Check>) -> bool {
    let key = queue.lock().queue.sender_key;
    match check {
        Some(check) => is_authorized(key.as_slice(), check),
        None => key.is_none(),
    }
}

fn find(party: Party, id: &EntityId, registry: &Registry) -> Option<Arc<Entry>> {
    let queue = match party {
        Party::Recipient => registry.recipients.get(&RecipientId::from(id.clone())),
        Party::Sender => registry.senders.get(&SenderId::from(id.clone())),
        Party::LinkClient => registry.links.get(&LinkId::from(id.clone())),
        _ => None,
    };
    queue.filter(|queue| !queue.lock().deleted)
}

/// There are no notifiers yet, so every notifier ID is unknown.
fn names_a_queue(party: Party) -> bool {
    matches!(party, Party::Recipient | Party::Sender | Party::LinkClient | Party::Notifier)
}

#[cfg(test)]
mod tests;
