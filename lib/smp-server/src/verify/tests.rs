//! The answer to a wrong key and to a queue that does not exist costs the same: on every path exactly the same
//! verifications are done, counted by kind.

use std::cell::RefCell;

use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey};
use smp::command::MessageFlags;
use smp::id::LinkId;

use super::*;
use crate::queue::Queue;
use crate::step::testing::{contact, linked, messaging};

/// Says what it was asked; nothing is ever right.
struct Counting {
    kind: Kind,
    done: RefCell<Vec<Kind>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ed25519,
    Ed448,
    X25519,
}

const KINDS: [Kind; 3] = [Kind::Ed25519, Kind::Ed448, Kind::X25519];

impl Check for Counting {
    fn verify(&self, key: &AuthPublicKey) -> bool {
        assert!(self.fits(key), "a key of another kind is never tried");
        self.done.borrow_mut().push(self.kind);
        false
    }

    fn verify_in_vain(&self) {
        self.done.borrow_mut().push(self.kind);
    }

    fn fits(&self, key: &AuthPublicKey) -> bool {
        kind_of(key) == self.kind
    }
}

fn kind_of(key: &AuthPublicKey) -> Kind {
    match key {
        AuthPublicKey::Ed25519(_) => Kind::Ed25519,
        AuthPublicKey::Ed448(_) => Kind::Ed448,
        AuthPublicKey::X25519(_) => Kind::X25519,
    }
}

fn private_key(kind: Kind) -> AuthPrivateKey {
    match kind {
        Kind::Ed25519 => AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_seed([7; 32])),
        Kind::Ed448 => AuthPrivateKey::Ed448(Ed448PrivateKey::from_seed([7; 57])),
        Kind::X25519 => AuthPrivateKey::X25519(X25519PrivateKey::from_bytes([7; 32])),
    }
}

fn key(kind: Kind) -> AuthPublicKey {
    private_key(kind).public().unwrap()
}

fn authorization(kind: Kind) -> Vec<u8> {
    vec![
        0;
        match kind {
            Kind::Ed25519 => 64,
            Kind::Ed448 => 114,
            Kind::X25519 => 80,
        }
    ]
}

fn transmission(command: Command, entity_id: impl Into<EntityId>, authorization: Vec<u8>) -> ClientTransmission {
    ClientTransmission {
        corr_id: CorrId::from([5; 24]),
        entity_id: entity_id.into(),
        command,
        authorization,
        service: None,
        authorized: Vec::new(),
    }
}

fn registry(queue: Queue) -> Registry {
    let registry = Registry::default();
    let entry = Entry::new(queue);
    assert!(registry.insert(&entry, &entry.lock()));
    registry
}

/// The verifications done before a command with a wrong authorization of `kind` is refused.
fn cost(registry: &Registry, command: Command, id: EntityId, kind: Kind) -> Vec<Kind> {
    let check = Counting { kind, done: RefCell::default() };
    let transmission = transmission(command, id, authorization(kind));
    assert!(matches!(authorize(&transmission, registry, Some(&check)), Err(Error::Auth)));
    check.done.into_inner()
}

fn queue_with_keys(kind: Kind) -> Queue {
    let mut queue = linked(contact());
    queue.recipient_keys = Box::new([key(kind)]);
    queue.sender_key = Some(key(kind));
    queue
}

#[test]
fn smp_78_every_refusal_does_one_verification_of_the_kind_that_was_supplied() {
    let missing = EntityId::from([9; 24]);
    for of_key in KINDS {
        let queue = queue_with_keys(of_key);
        let registry = registry(queue.clone());
        for supplied in KINDS {
            let commands: [(Command, EntityId); 4] = [
                (Command::Sub, queue.recipient_id.clone().into()),
                (Command::Send(MessageFlags::default(), vec![1]), queue.sender_id.clone().into()),
                (Command::Skey(key(of_key)), queue.sender_id.clone().into()),
                (Command::Lkey(key(of_key)), queue.link.as_ref().unwrap().id.clone().into()),
            ];
            for (command, id) in commands {
                assert_eq!(cost(&registry, command.clone(), id, supplied), [supplied], "{} wrong key", command.tag());
                assert_eq!(cost(&registry, command.clone(), missing.clone(), supplied), [supplied], "missing");
            }
            assert_eq!(cost(&registry, Command::Nsub, missing.clone(), supplied), [supplied]);
        }
    }
}

#[test]
fn an_unsecured_queue_refuses_authorization_at_the_same_cost() {
    let registry = registry(messaging());
    for supplied in KINDS {
        let send = Command::Send(MessageFlags::default(), vec![1]);
        assert_eq!(cost(&registry, send, messaging().sender_id.into(), supplied), [supplied]);
    }
}

#[test]
fn every_recipient_key_is_tried_and_keys_of_other_kinds_cost_nothing() {
    let mut queue = contact();
    queue.recipient_keys = KINDS.iter().chain(&[Kind::Ed25519]).map(|kind| key(*kind)).collect();
    let registry = registry(queue);
    let of = |kind| cost(&registry, Command::Sub, contact().recipient_id.into(), kind);
    assert_eq!(of(Kind::Ed25519), [Kind::Ed25519; 2]);
    assert_eq!(of(Kind::Ed448), [Kind::Ed448]);
}

#[test]
fn the_right_key_of_every_kind_is_accepted_in_its_session_only() {
    let session_key = X25519PrivateKey::from_bytes([8; 32]);
    for kind in KINDS {
        let registry = registry(queue_with_keys(kind));
        let signed = |covered: &[u8]| {
            let authorized = b"session and command".to_vec();
            let authorization =
                private_key(kind).authorize(&session_key.public(), CorrId::from([5; 24]).as_bytes(), covered).unwrap();
            ClientTransmission { authorized, ..transmission(Command::Sub, contact().recipient_id, authorization) }
        };
        let verified = verify(signed(b"session and command"), &registry, &session_key).unwrap();
        assert!(verified.queue.is_some());
        let refused = verify(signed(b"other session"), &registry, &session_key).unwrap_err();
        assert_eq!(refused.error, Error::Auth);
    }
}

#[test]
fn an_id_of_another_role_is_unknown() {
    let queue = queue_with_keys(Kind::Ed25519);
    let registry = registry(queue.clone());
    let link = queue.link.unwrap().id;
    for (party, id) in [
        (Party::Recipient, EntityId::from(queue.sender_id.clone())),
        (Party::Sender, queue.recipient_id.into()),
        (Party::LinkClient, queue.sender_id.into()),
        (Party::Sender, link.into()),
        (Party::Notifier, LinkId::default().into()),
    ] {
        assert!(find(party, &id, &registry).is_none(), "{party:?}");
    }
}

#[test]
fn service_signatures_are_refused_but_not_before_the_queue_is_found() {
    let registry = registry(queue_with_keys(Kind::Ed25519));
    let check = Counting { kind: Kind::Ed25519, done: RefCell::default() };
    let with_service = |id: EntityId| {
        let plain = transmission(Command::Sub, id, authorization(Kind::Ed25519));
        let transmission = ClientTransmission { service: Some(vec![0; 64]), ..plain };
        authorize(&transmission, &registry, Some(&check)).unwrap_err()
    };
    assert_eq!(with_service(contact().recipient_id.into()), Error::Service);
    assert_eq!(with_service(EntityId::from([9; 24])), Error::Auth);
}

#[test]
fn sending_without_authorization_is_for_unsecured_queues() {
    let send = || transmission(Command::Send(MessageFlags::default(), vec![1]), messaging().sender_id, Vec::new());
    assert!(authorize(&send(), &registry(messaging()), None).is_ok());
    assert_eq!(authorize(&send(), &registry(queue_with_keys(Kind::Ed448)), None).unwrap_err(), Error::Auth);
}
