//! The client that connects again: what it does when connections end, and what it never does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crypto::authorize::AuthPrivateKey;
use crypto::sign::Ed25519PrivateKey;
use net::Blame;
use net::client::{ClientError, ClientOptions, Event};
use net::handshake::ConnectOptions;
use net::steady::{Backoff, SteadyClient, SteadyEvent, SteadyEvents, SteadyOptions, Subscribed, Unavailable};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::command::Command;
use smp::error::Error;
use smp::id::RecipientId;
use smp::response::Response;
use support::random;
use support::server::{Block, MiniServer, Reaction, event, reply};

fn queue(name: u16) -> RecipientId {
    RecipientId::new(name.to_be_bytes().repeat(12)).unwrap()
}

fn key() -> AuthPrivateKey {
    AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut random("queue key")))
}

fn start(address: &ServerAddress) -> (SteadyClient, SteadyEvents) {
    let options = SteadyOptions {
        connect: ConnectOptions { timeout: Duration::from_secs(5), ..Default::default() },
        client: ClientOptions { command_timeout: Duration::from_secs(1), ..Default::default() },
        backoff: Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(100) },
    };
    SteadyClient::start(address.clone(), Connector::new().unwrap(), options, Box::new(random("steady")))
}

/// Every queue that was subscribed to on a connection, in the order of connections.
#[derive(Clone, Default)]
struct Subscriptions(Arc<Mutex<Vec<BTreeSet<RecipientId>>>>);

impl Subscriptions {
    fn note(&self, block: &Block) {
        let mut connections = self.0.lock().unwrap();
        let count = connections.len().max(block.connection + 1);
        connections.resize_with(count, BTreeSet::new);
        for command in block.commands.iter().filter(|command| command.command == Command::Sub) {
            connections[block.connection].insert(command.entity_id.clone().into());
        }
    }

    fn on(&self, connection: usize) -> BTreeSet<RecipientId> {
        self.0.lock().unwrap()[connection].clone()
    }
}

/// Events until all of `wanted` are subscribed to.
async fn await_subscribed(events: &mut SteadyEvents, wanted: &BTreeSet<RecipientId>) {
    let mut missing = wanted.clone();
    while !missing.is_empty() {
        if let SteadyEvent::Subscribed(Subscribed { queue, outcome: Ok(_), .. }) = events.next().await.unwrap() {
            missing.remove(&queue);
        }
    }
}

async fn next_matching<T>(events: &mut SteadyEvents, pick: impl Fn(SteadyEvent) -> Option<T>) -> T {
    loop {
        if let Some(found) = pick(events.next().await.unwrap()) {
            return found;
        }
    }
}

#[tokio::test]
async fn after_a_lost_connection_every_wanted_queue_is_subscribed_again() {
    let subscriptions = Subscriptions::default();
    let noted = subscriptions.clone();
    let server = MiniServer::start(move |block| {
        noted.note(block);
        match &block.commands[0].command {
            Command::Off => Reaction::Cut,
            _ => block.answer(&Response::Sok(None)),
        }
    })
    .await;
    let (client, mut events) = start(&server.address);
    let wanted: BTreeSet<RecipientId> = (0..500).map(queue).collect();
    for queue in &wanted {
        client.subscribe(queue.clone(), key());
    }
    await_subscribed(&mut events, &wanted).await;
    assert_eq!(subscriptions.on(0), wanted);

    let cut = client.client().await.unwrap().suspend(&queue(1), &key()).await;
    assert_eq!(cut, Err(ClientError::OutcomeUnknown), "a command is never repeated for its caller");
    client.unsubscribe(&queue(7));
    let wanted: BTreeSet<RecipientId> = wanted.into_iter().filter(|id| *id != queue(7)).collect();
    await_subscribed(&mut events, &wanted).await;
    assert_eq!(subscriptions.on(1), wanted);
    let blocks = server.blocks.lock().unwrap().clone();
    assert!(blocks.len() < 20, "1000 subscriptions came in {} blocks", blocks.len());
}

#[tokio::test]
async fn a_queue_that_is_subscribed_to_by_its_creation_is_subscribed_to_after_reconnection_only() {
    let subscriptions = Subscriptions::default();
    let noted = subscriptions.clone();
    let server = MiniServer::start(move |block| {
        noted.note(block);
        match &block.commands[0].command {
            Command::Off => Reaction::Cut,
            _ => block.answer(&Response::Sok(None)),
        }
    })
    .await;
    let (client, mut events) = start(&server.address);
    let first = client.client().await.unwrap();
    client.keep_subscribed(queue(1), key(), &first);
    client.subscribe(queue(2), key());
    await_subscribed(&mut events, &[queue(2)].into()).await;
    assert_eq!(subscriptions.on(0), [queue(2)].into());
    let _ = first.suspend(&queue(1), &key()).await;
    await_subscribed(&mut events, &[queue(1), queue(2)].into()).await;
    // The session that created it has ended.
    client.keep_subscribed(queue(3), key(), &first);
    await_subscribed(&mut events, &[queue(3)].into()).await;
    assert_eq!(subscriptions.on(1), [queue(1), queue(2), queue(3)].into());
}

#[tokio::test]
async fn a_queue_that_another_connection_took_is_left_to_it() {
    let subscriptions = Subscriptions::default();
    let noted = subscriptions.clone();
    let server = MiniServer::start(move |block| {
        noted.note(block);
        let mut answers: Vec<_> = block.commands.iter().map(|c| reply(c, Response::Sok(None))).collect();
        match &block.commands[0].command {
            Command::Off => return Reaction::Cut,
            Command::Sub if block.connection == 0 => {
                answers.push(event(queue(1), Response::End));
                answers.push(event(queue(2), Response::Deld));
            }
            _ => {}
        }
        Reaction::Answer(answers)
    })
    .await;
    let (client, mut events) = start(&server.address);
    for name in [1, 2, 3] {
        client.subscribe(queue(name), key());
    }
    let ended = |event| match event {
        SteadyEvent::Event(Event { entity_id, response: Ok(Response::Deld) }) => Some(entity_id),
        _ => None,
    };
    assert_eq!(next_matching(&mut events, ended).await, queue(2).into());
    let _ = client.client().await.unwrap().suspend(&queue(3), &key()).await;
    let reconnected = |event| matches!(event, SteadyEvent::Connected { .. }).then_some(());
    next_matching(&mut events, reconnected).await;
    await_subscribed(&mut events, &[queue(3)].into()).await;
    assert_eq!(subscriptions.on(1), [queue(3)].into());
}

#[tokio::test]
async fn a_refused_subscription_is_reported_and_an_unanswered_one_repeated() {
    let silent = Mutex::new(true);
    let server = MiniServer::start(move |block| {
        let answer = |command: &smp::transmission::ClientTransmission| match command.entity_id == queue(1).into() {
            true => Some(reply(command, Response::Err(Error::Auth))),
            false if std::mem::take(&mut *silent.lock().unwrap()) => None,
            false => Some(reply(command, Response::Sok(None))),
        };
        Reaction::Answer(block.commands.iter().filter_map(answer).collect())
    })
    .await;
    let (client, mut events) = start(&server.address);
    client.subscribe(queue(1), key());
    client.subscribe(queue(2), key());
    let refused = |event| match event {
        SteadyEvent::Subscribed(Subscribed { queue, outcome: Err(error), .. }) => Some((queue, error)),
        _ => None,
    };
    let refused = next_matching(&mut events, refused).await;
    assert_eq!(refused, (queue(1), ClientError::Refused(Error::Auth)));
    await_subscribed(&mut events, &[queue(2)].into()).await;
}

#[tokio::test]
async fn without_a_server_it_keeps_trying_and_says_why() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    let server = MiniServer::start(|block| block.answer(&Response::Ok)).await;
    let fingerprint = server.address.key_hash();
    let (client, mut events) = start(&format!("smp://{fingerprint}@{place}").parse().unwrap());
    for _ in 0..3 {
        match events.next().await.unwrap() {
            SteadyEvent::ConnectFailed(error) => assert_eq!(error.blame(), Blame::Unreachable),
            other => panic!("{other:?}"),
        }
    }
    client.close().await;
    assert!(matches!(client.client().await, Err(Unavailable::Closed)));
}

#[tokio::test]
async fn it_closes_with_its_last_handle_even_if_nobody_takes_events() {
    let server = MiniServer::start(|block| {
        let flood = (0..50).map(|name| event(queue(name), Response::End));
        Reaction::Answer(block.commands.iter().map(|c| reply(c, Response::Ok)).chain(flood).collect())
    })
    .await;
    let options = SteadyOptions { client: ClientOptions { events: 1, ..Default::default() }, ..Default::default() };
    let connector = Connector::new().unwrap();
    let (client, mut events) =
        SteadyClient::start(server.address.clone(), connector, options, Box::new(random("steady")));
    client.client().await.unwrap().suspend(&queue(1), &key()).await.unwrap();
    drop(client);
    while events.next().await.is_some() {}
}
