//! The server of the world: what it tells is durable, and commands are authorised for their session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use crypto::authorize::AuthPrivateKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use crypto::{BoxKey, SeededRandom};
use smp::command::{Command, MessageFlags, NewQueue, QueueRequest};
use smp::delivery::Delivered;
use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::response::{QueueIds, Response};
use smp::transmission::{ServerTransmission, Session, encode_command};
use world::server::{Outgoing, SessionNumber, SessionTerms};
use world::trace::START;
use world::{Rules, Server};

/// A server with its clients.
struct Stage {
    server: Server,
    random: SeededRandom,
    sessions: Vec<(SessionNumber, SessionTerms)>,
}

impl Stage {
    fn new() -> Self {
        let random = SeededRandom::new(&[1; 32], "clients");
        Stage { server: Server::new(1, "one", Rules { quota: 2, ..Rules::default() }), random, sessions: Vec::new() }
    }

    fn connect(&mut self) -> usize {
        let number = self.sessions.len() as SessionNumber + 1;
        let terms = self.server.open(number);
        self.sessions.push((number, terms));
        self.sessions.len() - 1
    }

    fn give(&mut self, client: usize, entity: &EntityId, command: &Command, key: Option<&AuthPrivateKey>) {
        let (number, terms) = &self.sessions[client];
        let session = Session { version: terms.version, id: &terms.id, server_key: &terms.server_key };
        let corr_id = CorrId::random(&mut self.random);
        let bytes = encode_command(session, &corr_id, entity, command, key).unwrap();
        self.server.receive(*number, &bytes, START);
    }

    /// What is told at the next commit: to whom, and what.
    fn commit(&mut self) -> Vec<(SessionNumber, Response)> {
        told(self.server.commit(START))
    }

    fn ask(&mut self, client: usize, entity: &EntityId, command: &Command, key: Option<&AuthPrivateKey>) -> Response {
        self.give(client, entity, command, key);
        self.commit().remove(0).1
    }

    fn create(&mut self, client: usize) -> Queue {
        let auth = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut self.random));
        let dh_key = X25519PrivateKey::generate(&mut self.random);
        let new = NewQueue {
            recipient_key: auth.public().unwrap(),
            dh_key: dh_key.public(),
            basic_auth: None,
            subscribe: true,
            request: Some(QueueRequest::Messaging(None)),
            notifier: None,
        };
        let created = self.ask(client, &EntityId::default(), &Command::New(Box::new(new)), Some(&auth));
        let Response::Ids(ids) = created else { panic!("{created:?}") };
        let delivery = BoxKey::agreed(&dh_key.agree(&ids.dh_key));
        Queue { ids: *ids, auth, delivery }
    }
}

/// A queue as its recipient knows it.
struct Queue {
    ids: QueueIds,
    auth: AuthPrivateKey,
    delivery: BoxKey,
}

impl Queue {
    fn entity(&self) -> EntityId {
        self.ids.recipient_id.clone().into()
    }

    fn sender(&self) -> EntityId {
        self.ids.sender_id.clone().into()
    }
}

fn told(outgoing: Vec<Outgoing>) -> Vec<(SessionNumber, Response)> {
    let parse = |outgoing: Outgoing| {
        let transmission = ServerTransmission::parse(18, &outgoing.bytes).unwrap();
        (outgoing.session, transmission.response.unwrap())
    };
    outgoing.into_iter().map(parse).collect()
}

fn send(body: &[u8]) -> Command {
    Command::Send(MessageFlags::default(), body.to_vec())
}

fn body_of(queue: &Queue, response: &Response) -> Vec<u8> {
    let Response::Msg(id, sealed) = response else { panic!("{response:?}") };
    match Delivered::open(&queue.delivery, id, sealed).unwrap() {
        Delivered::Message { body, .. } => body,
        Delivered::Quota { .. } => b"quota".to_vec(),
    }
}

#[test]
fn what_was_told_survives_a_crash_and_what_was_not_told_may_be_lost() {
    let mut stage = Stage::new();
    let client = stage.connect();
    let queue = stage.create(client);
    assert_eq!(stage.ask(client, &queue.sender(), &send(b"told"), None), Response::Ok);
    stage.give(client, &queue.sender(), &send(b"not told"), None);
    assert_eq!(stage.server.waiting(&queue.ids.sender_id).len(), 2);
    stage.server.crash();
    assert_eq!(stage.commit(), []);
    assert_eq!(stage.server.waiting(&queue.ids.sender_id), [b"told".to_vec()]);
    // Sessions are gone, too.
    stage.give(client, &queue.sender(), &send(b"into the void"), None);
    assert_eq!(stage.commit(), []);
    let client = stage.connect();
    stage.give(client, &queue.entity(), &Command::Sub, Some(&queue.auth));
    let told = stage.commit();
    assert_eq!(told[0].1, Response::Sok(None));
    assert_eq!(body_of(&queue, &told[1].1), b"told");
}

#[test]
fn a_full_queue_takes_a_marker_and_nothing_more_until_it_is_empty() {
    let mut stage = Stage::new();
    let client = stage.connect();
    let queue = stage.create(client);
    let mut delivered = Vec::new();
    for body in [b"1", b"2"] {
        stage.give(client, &queue.sender(), &send(body), None);
        delivered.extend(stage.commit().into_iter().skip(1));
    }
    assert_eq!(stage.ask(client, &queue.sender(), &send(b"3"), None), Response::Err(Error::Quota));
    let mut bodies = Vec::new();
    let mut next = delivered.remove(0).1;
    while let Response::Msg(id, _) = &next {
        bodies.push(body_of(&queue, &next));
        next = stage.ask(client, &queue.entity(), &Command::Ack(id.clone()), Some(&queue.auth));
    }
    assert_eq!(bodies, [b"1".to_vec(), b"2".to_vec(), b"quota".to_vec()]);
    assert_eq!(stage.ask(client, &queue.sender(), &send(b"3"), None), Response::Ok);
}

#[test]
fn whoever_loses_a_subscription_is_told_within_fifteen_seconds() {
    let mut stage = Stage::new();
    let (first, second) = (stage.connect(), stage.connect());
    let queue = stage.create(first);
    assert_eq!(stage.ask(second, &queue.entity(), &Command::Sub, Some(&queue.auth)), Response::Sok(None));
    assert!(stage.server.next_event_at().is_some_and(|at| at <= START.after(Duration::from_secs(15))));
    let later = told(stage.server.commit(START.after(Duration::from_secs(15))));
    assert_eq!(later, [(1, Response::End)]);
    // A message goes to the second, and to the second only.
    stage.give(first, &queue.sender(), &send(b"for the second"), None);
    let told = stage.commit();
    assert_eq!(told.iter().map(|(session, _)| *session).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(body_of(&queue, &told[1].1), b"for the second");
}

#[test]
fn commands_are_authorised_by_the_right_key_in_their_own_session() {
    let mut stage = Stage::new();
    let (client, other) = (stage.connect(), stage.connect());
    let queue = stage.create(client);
    let foreign = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut stage.random));
    let refused = Response::Err(Error::Auth);
    assert_eq!(stage.ask(client, &queue.entity(), &Command::Off, Some(&foreign)), refused);
    assert_eq!(stage.ask(client, &queue.sender(), &Command::Off, Some(&queue.auth)), refused);
    let (mut mixed, (number, _)) = (stage.sessions[other].clone(), stage.sessions[client].clone());
    mixed.0 = number;
    stage.sessions.push(mixed);
    assert_eq!(stage.ask(2, &queue.entity(), &Command::Off, Some(&queue.auth)), refused);
    assert_eq!(stage.ask(client, &queue.entity(), &Command::Off, Some(&queue.auth)), Response::Ok);
    assert_eq!(stage.ask(client, &queue.sender(), &send(b"too late"), None), refused);
}
