//! `RKEY`: the recipient of a contact queue replaces its keys.

use crypto::authorize::AuthPublicKey;
use smp::error::{CommandError, Error};

use super::Decision;
use crate::queue::{Change, Queue};

/// Every key may have to be tried for every command, so their number is limited. The protocol sets no limit.
const MAX_KEYS: usize = 32;

/// The list may leave out the key that authorised the command.
pub(super) fn rkey(queue: &Queue, keys: Vec<AuthPublicKey>) -> Result<Decision, Error> {
    if !queue.is_contact() {
        return Err(Error::Auth);
    }
    if keys.len() > MAX_KEYS {
        return Err(CommandError::Prohibited.into());
    }
    let unchanged = *queue.recipient_keys == *keys;
    Ok(if unchanged { Decision::ok() } else { Decision::ok().with(Change::RecipientKeys(keys.into())) })
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, auth_key, contact, decide, messaging, queue};

    #[test]
    fn replaces_the_whole_list() {
        for queue in [contact(), queue(None)] {
            let decision = decide(&queue, Command::Rkey(vec![auth_key(8), auth_key(9)])).unwrap();
            let queue = applied(queue, &decision);
            assert_eq!(*queue.recipient_keys, [auth_key(8), auth_key(9)]);
            assert_eq!(decide(&queue, Command::Rkey(vec![auth_key(8), auth_key(9)])), Ok(Decision::ok()));
        }
    }

    #[test]
    fn messaging_queues_keep_their_key() {
        assert_eq!(decide(&messaging(), Command::Rkey(vec![auth_key(8)])), Err(Error::Auth));
    }

    #[test]
    fn there_is_a_limit() {
        let keys = |count| Command::Rkey(vec![auth_key(8); count]);
        assert!(decide(&contact(), keys(MAX_KEYS)).is_ok());
        assert_eq!(decide(&contact(), keys(MAX_KEYS + 1)), Err(CommandError::Prohibited.into()));
    }
}
