//! Which commands may be executed: the queue exists in the role that the command implies, and the right key authorised
//! it. What is right is for [`crate::authority`] to say.

use std::sync::Arc;

use crypto::dh::X25519PrivateKey;
use smp::command::{Command, Party};
use smp::error::Error;
use smp::id::{CorrId, EntityId, LinkId, RecipientId, SenderId};
use smp::transmission::{ClientTransmission, Refusal};

use crate::authority::{Authority, Check, SessionCheck};
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

/// Checks a command of a session. Nothing is executed, so all commands of a block are checked against the same keys.
pub(crate) fn verify(
    transmission: ClientTransmission,
    registry: &Registry,
    session_key: &X25519PrivateKey,
) -> Result<Verified, Refusal> {
    let check = SessionCheck::new(&transmission, session_key);
    match authorize(&transmission, registry, check.as_ref().map(|check| check as &dyn Check)) {
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

/// The queue that the command is about, if the command is authorised. No lock is held while keys are tried.
fn authorize(
    transmission: &ClientTransmission,
    registry: &Registry,
    check: Option<&dyn Check>,
) -> Result<Option<Arc<Entry>>, Error> {
    let command = &transmission.command;
    let queue = find(command.party(), &transmission.entity_id, registry);
    let authority = match &queue {
        Some(entry) => Authority::over(command, Some(&entry.lock().queue)),
        None => Authority::over(command, None),
    };
    authority.permit(transmission, check).map(|()| queue)
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

#[cfg(test)]
mod tests;
