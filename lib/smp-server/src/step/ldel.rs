//! `LDEL`: the recipient deletes link data, if there is any.

use smp::error::Error;

use super::Decision;
use crate::queue::{Change, Queue};

pub(super) fn ldel(queue: &Queue) -> Result<Decision, Error> {
    Ok(if queue.link.is_some() { Decision::ok().with(Change::LinkDeleted) } else { Decision::ok() })
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, contact, decide, linked};

    #[test]
    fn deletes_and_may_be_repeated() {
        let decision = decide(&linked(contact()), Command::Ldel).unwrap();
        let queue = applied(linked(contact()), &decision);
        assert_eq!(queue.link, None);
        assert_eq!(decide(&queue, Command::Ldel), Ok(Decision::ok()));
        assert_eq!(decide(&queue, Command::Lget), Err(Error::Auth));
    }
}
