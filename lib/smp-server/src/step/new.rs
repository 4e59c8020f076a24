//! `NEW`: creates a queue.

use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::{ConstantTimeEq as _, Random, Secret, hash};
use smp::command::{BasicAuth, LinkData, NewQueue, QueueRequest};
use smp::error::{CommandError, Error};
use smp::id::{CorrId, LinkId, RecipientId, SenderId};

use super::DAY;
use crate::queue::{Change, Link, Queue};

/// Who may create queues.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// Nobody may.
    pub closed: bool,
    /// Only who knows it.
    pub password: Option<BasicAuth>,
}

impl Admission {
    /// A server without a password ignores any that is given.
    pub fn check(&self, given: Option<&BasicAuth>) -> Result<(), Error> {
        let given = given.map(|password| password.expose().as_bytes()).unwrap_or_default();
        let right = self.password.as_ref().is_none_or(|password| password.expose().as_bytes().ct_eq(given).into());
        if right && !self.closed { Ok(()) } else { Err(Error::Auth) }
    }
}

/// A queue that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The queue; its row in the store is still to be given.
    pub queue: Queue,
    /// The server's half of the delivery secret, for the recipient.
    pub dh_key: X25519PublicKey,
    /// Created along with it.
    pub link_data: Option<LinkData>,
}

/// What a server draws for a `NEW` that its client may repeat: the same for the same command, and known to nobody else.
///
/// So the repetition of a command, or the first one that arrives late after its repetition, agrees on the delivery secret
/// that the client already has.
pub struct Repeatable {
    secret: Secret<32>,
    command: Vec<u8>,
    drawn: u8,
}

impl Repeatable {
    /// For this command; `secret` is the server's own. `None` where the server makes a new queue for every command.
    pub fn new(secret: &Secret<32>, corr_id: &CorrId, new: &NewQueue) -> Option<Self> {
        let (QueueRequest::Messaging(Some(_)) | QueueRequest::Contact(Some(_))) = new.request.as_ref()? else {
            return None;
        };
        let command = [corr_id.as_bytes(), new.dh_key.as_bytes(), &new.recipient_key.to_der()].concat();
        Some(Repeatable { secret: secret.clone(), command, drawn: 0 })
    }
}

impl Random for Repeatable {
    fn fill(&mut self, out: &mut [u8]) {
        self.drawn = self.drawn.wrapping_add(1);
        hash::hkdf_sha512_into(&[self.drawn], self.secret.expose(), &self.command, out);
    }
}

/// Decides on the command and draws the IDs that are the server's choice. Whether those that are the client's choice
/// are free is decided where all queues are known ([`crate::state`]).
///
/// Notifier credentials are left out of the reply until the server notifies; clients then do without.
pub fn new(corr_id: &CorrId, new: NewQueue, now: i64, random: &mut dyn Random) -> Result<Created, Error> {
    let mode = new.request.as_ref().map(QueueRequest::mode);
    let (sender_id, link) = match new.request {
        Some(QueueRequest::Messaging(Some((sender_id, data)))) => {
            (chosen(sender_id, corr_id)?, Some((LinkId::random(random), data)))
        }
        Some(QueueRequest::Contact(Some((link_id, sender_id, data)))) => {
            (chosen(sender_id, corr_id)?, Some((link_id, data)))
        }
        _ => (SenderId::random(random), None),
    };
    let server_key = X25519PrivateKey::generate(random);
    let queue = Queue {
        row: 0,
        recipient_id: RecipientId::random(random),
        sender_id,
        recipient_keys: Box::new([new.recipient_key]),
        delivery_secret: server_key.agree(&new.dh_key),
        sender_key: None,
        mode,
        link: link.as_ref().map(|(id, data)| Box::new(Link::of(id.clone(), data))),
        suspended: false,
        blocked: None,
        used_on: now.div_euclid(DAY),
        messages: Default::default(),
    };
    Ok(Created { queue, dh_key: server_key.public(), link_data: link.map(|(_, data)| data) })
}

/// What a repeated `NEW` does to the queue that the first one made, whose answer may have been lost on the way.
///
/// The author is recognised by the queue's key, which authorised the command, and by the link, which only it can have
/// made. The server's half of the delivery secret was not kept; it is the same again ([`Repeatable`]), unless the server
/// was restarted meanwhile. Then the secret is agreed anew, which is harmless only while nothing has happened to the
/// queue. Everything else is the conflict that it is for other servers.
pub fn repeat(existing: &Queue, created: Created) -> Result<Vec<Change>, Error> {
    let Created { queue, link_data: Some(data), .. } = created else { return Err(Error::Auth) };
    let (Some(link), Some(wanted)) = (existing.link.as_deref(), queue.link.as_deref()) else {
        return Err(Error::Auth);
    };
    let same_link = link.fixed_hash == wanted.fixed_hash && (link.id == wanted.id || !existing.is_contact());
    let same_author = (&existing.sender_id, &existing.recipient_keys, existing.mode)
        == (&queue.sender_id, &queue.recipient_keys, queue.mode);
    let unused = existing.sender_key.is_none()
        && existing.messages.is_empty()
        && !existing.suspended
        && existing.blocked.is_none();
    if same_link && same_author && unused {
        Ok(vec![Change::Rekeyed(queue.delivery_secret), Change::LinkSet(link.id.clone(), data)])
    } else {
        Err(Error::Auth)
    }
}

/// A client may choose only the sender ID that its correlation ID determines, so it cannot probe for existing ones.
fn chosen(sender_id: SenderId, corr_id: &CorrId) -> Result<SenderId, Error> {
    if sender_id == SenderId::from_corr_id(corr_id) { Ok(sender_id) } else { Err(CommandError::Prohibited.into()) }
}

#[cfg(test)]
mod tests {
    use crypto::SeededRandom;
    use smp::queue_address::QueueMode;

    use super::*;
    use crate::step::testing::{NOW, auth_key, link_data, link_id};

    fn create(request: Option<QueueRequest>) -> Result<Created, Error> {
        let client_key = X25519PrivateKey::from_bytes([9; 32]);
        let command = NewQueue {
            recipient_key: auth_key(1),
            dh_key: client_key.public(),
            basic_auth: None,
            subscribe: true,
            request,
            notifier: None,
        };
        let created = new(&corr_id(), command, NOW, &mut SeededRandom::new(&[0; 32], "new"))?;
        assert_eq!(created.queue.delivery_secret, client_key.agree(&created.dh_key));
        Ok(created)
    }

    fn corr_id() -> CorrId {
        CorrId::from([4; 24])
    }

    #[test]
    fn without_link_data_the_server_chooses_all_ids() {
        for (request, mode) in [
            (None, None),
            (Some(QueueRequest::Messaging(None)), Some(QueueMode::Messaging)),
            (Some(QueueRequest::Contact(None)), Some(QueueMode::Contact)),
        ] {
            let queue = create(request).unwrap().queue;
            assert_eq!((queue.mode, queue.link, &*queue.recipient_keys), (mode, None, &[auth_key(1)][..]));
            assert_ne!(queue.sender_id.as_bytes(), queue.recipient_id.as_bytes());
        }
    }

    #[test]
    fn with_link_data_the_client_chooses_the_sender_id() {
        let sender_id = SenderId::from_corr_id(&corr_id());
        let messaging = create(Some(QueueRequest::Messaging(Some((sender_id.clone(), link_data(1, 2)))))).unwrap();
        assert_eq!(messaging.queue.sender_id, sender_id);
        assert!(messaging.queue.link.is_some());
        let contact = QueueRequest::Contact(Some((link_id(7), sender_id.clone(), link_data(1, 2))));
        let contact = create(Some(contact)).unwrap();
        assert_eq!(contact.queue.link.unwrap().id, link_id(7));
        assert_eq!((contact.queue.sender_id, contact.link_data), (sender_id, Some(link_data(1, 2))));
    }

    fn contact(link: u8, fixed: u8) -> Created {
        let sender_id = SenderId::from_corr_id(&corr_id());
        create(Some(QueueRequest::Contact(Some((link_id(link), sender_id, link_data(fixed, 2)))))).unwrap()
    }

    #[test]
    fn a_repeated_new_agrees_on_a_new_secret_for_the_same_queue() {
        let again = contact(7, 1);
        let secret = again.queue.delivery_secret.clone();
        let changes = vec![Change::Rekeyed(secret), Change::LinkSet(link_id(7), link_data(1, 2))];
        assert_eq!(repeat(&contact(7, 1).queue, again), Ok(changes));
    }

    #[test]
    fn what_is_drawn_for_a_repeatable_new_depends_on_all_of_it_and_on_the_server() {
        let key = |byte| X25519PrivateKey::from_bytes([byte; 32]).public();
        let link = Some(QueueRequest::Messaging(Some((SenderId::from([1; 24]), link_data(1, 2)))));
        let command = |dh_key, recipient, request| NewQueue {
            recipient_key: auth_key(recipient),
            dh_key: key(dh_key),
            basic_auth: None,
            subscribe: true,
            request,
            notifier: None,
        };
        let draw = |secret, corr_id, dh_key, recipient| {
            let command = command(dh_key, recipient, link.clone());
            let mut source =
                Repeatable::new(&Secret::new([secret; 32]), &CorrId::from([corr_id; 24]), &command).unwrap();
            let two: [[u8; 24]; 2] = [crypto::random::array(&mut source), crypto::random::array(&mut source)];
            two
        };
        let [first, second] = draw(1, 1, 1, 1);
        assert_ne!(first, second);
        assert_eq!(draw(1, 1, 1, 1), [first, second]);
        for other in [draw(2, 1, 1, 1), draw(1, 2, 1, 1), draw(1, 1, 2, 1), draw(1, 1, 1, 2)] {
            assert!(!other.contains(&first) && !other.contains(&second));
        }
        let plain = command(1, 1, Some(QueueRequest::Messaging(None)));
        assert!(Repeatable::new(&Secret::new([1; 32]), &corr_id(), &plain).is_none());
    }

    #[test]
    fn a_new_that_differs_or_comes_too_late_is_a_conflict() {
        let existing = contact(7, 1).queue;
        let conflict = |existing: &Queue, again| assert_eq!(repeat(existing, again), Err(Error::Auth));
        conflict(&existing, contact(8, 1));
        conflict(&existing, contact(7, 2));
        conflict(&existing, create(Some(QueueRequest::Contact(None))).unwrap());
        conflict(&Queue { recipient_keys: Box::new([auth_key(2)]), ..existing.clone() }, contact(7, 1));
        conflict(&Queue { sender_key: Some(auth_key(3)), ..existing.clone() }, contact(7, 1));
        conflict(&Queue { suspended: true, ..existing.clone() }, contact(7, 1));
        conflict(&Queue { link: None, ..existing }, contact(7, 1));
    }

    #[test]
    fn another_sender_id_is_prohibited() {
        let foreign = SenderId::from([1; 24]);
        let prohibited = Err(Error::from(CommandError::Prohibited));
        assert_eq!(create(Some(QueueRequest::Messaging(Some((foreign.clone(), link_data(1, 2)))))), prohibited);
        assert_eq!(create(Some(QueueRequest::Contact(Some((link_id(7), foreign, link_data(1, 2)))))), prohibited);
    }

    #[test]
    fn admission_wants_the_password_unless_there_is_none() {
        let password = |text| BasicAuth::new(text).unwrap();
        let guarded = Admission { closed: false, password: Some(password("secret")) };
        assert_eq!(guarded.check(Some(&password("secret"))), Ok(()));
        assert_eq!(guarded.check(Some(&password("wrong"))), Err(Error::Auth));
        assert_eq!(guarded.check(None), Err(Error::Auth));
        assert_eq!(Admission::default().check(Some(&password("any"))), Ok(()));
        assert_eq!(Admission { closed: true, password: None }.check(None), Err(Error::Auth));
    }
}
