//! The client against a small server: pipelining, events, time limits, and what breaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crypto::authorize::AuthPrivateKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey};
use net::Blame;
use net::client::{
    Client, ClientError, ClientOptions, Collected, Collector, End, Event, Events, NotSubmitted, Request, Violation,
};
use net::handshake::{ConnectOptions, connect};
use net::tls::Connector;
use smp::command::{Command, MessageFlags};
use smp::error::Error;
use smp::id::{EntityId, MessageId, RecipientId, SenderId};
use smp::response::Response;
use support::random;
use support::server::{Block, MiniServer, Reaction, event, reply};

async fn client_with(server: &MiniServer, options: ClientOptions) -> (Client, Events) {
    let key = X25519PrivateKey::generate(&mut random("client"));
    let connector = Connector::new().unwrap();
    let connection = connect(&server.address, &connector, ConnectOptions::default(), key).await.unwrap();
    Client::start(connection, options, Box::new(random("corr ids")))
}

async fn client(server: &MiniServer) -> (Client, Events) {
    client_with(server, ClientOptions::default()).await
}

fn queue(name: u8) -> RecipientId {
    RecipientId::from([name; 24])
}

fn key() -> AuthPrivateKey {
    AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut random("queue key")))
}

fn message(id: u8) -> Response {
    Response::Msg(MessageId::from([id; 24]), vec![id; 16_122])
}

fn send_command(body: u8) -> Command {
    Command::Send(MessageFlags::default(), vec![body; 10])
}

/// Answers everything with `OK`.
fn agreeable(block: &Block) -> Reaction {
    block.answer(&Response::Ok)
}

#[tokio::test]
async fn waiting_commands_share_blocks_and_every_response_finds_its_command() {
    // Answers in reverse order, each with an error that tells the queues apart.
    let server = MiniServer::start(|block| {
        let error = |id: &EntityId| Error::Store(id.as_bytes()[0].to_string());
        let answers = block.commands.iter().rev().map(|c| reply(c, Response::Err(error(&c.entity_id))));
        Reaction::Answer(answers.collect())
    })
    .await;
    let (client, _events) = client(&server).await;
    let mut pending = Vec::new();
    for id in 0..200_u8 {
        let request = Request::new(send_command(id)).about(SenderId::from([id; 24]));
        pending.push((id, client.submit(request).await.unwrap()));
    }
    for (id, pending) in pending {
        let refused = pending.response().await.unwrap_err();
        assert_eq!(refused, ClientError::Refused(Error::Store(id.to_string())));
        assert_eq!(refused.blame(), Blame::Refused);
    }
    let blocks = server.blocks.lock().unwrap().clone();
    assert_eq!(blocks.iter().sum::<usize>(), 200);
    assert!(blocks.len() < 20, "200 small commands came in {} blocks", blocks.len());
}

#[tokio::test]
async fn commands_are_authorised_for_this_session() {
    let keys = [
        key(),
        AuthPrivateKey::Ed448(Ed448PrivateKey::generate(&mut random("ed448"))),
        AuthPrivateKey::X25519(X25519PrivateKey::generate(&mut random("x25519"))),
    ];
    // The small server's session keys come from the number of the connection.
    let session_key = X25519PrivateKey::generate(&mut random("0"));
    let publics: Vec<_> = keys.iter().map(|key| key.public().unwrap()).collect();
    let server = MiniServer::start(move |block| {
        let check = |command: &smp::transmission::ClientTransmission| {
            let public = &publics[usize::from(command.entity_id.as_bytes()[0])];
            let authorization = command.authorization().unwrap();
            let corr_id = command.corr_id.as_bytes();
            let verified = public.verify(authorization, &session_key, corr_id, &command.authorized);
            reply(command, if verified.is_ok() { Response::Ok } else { Response::Err(Error::Auth) })
        };
        Reaction::Answer(block.commands.iter().map(check).collect())
    })
    .await;
    let (client, _events) = client(&server).await;
    for (name, key) in (0..).zip(&keys) {
        client.suspend(&queue(name), key).await.unwrap();
    }
    let wrong = client.suspend(&queue(0), &keys[2]).await;
    assert_eq!(wrong, Err(ClientError::Refused(Error::Auth)));
}

#[tokio::test]
async fn a_response_that_is_none_fails_its_command_only() {
    let server = MiniServer::start(|block| {
        let command = &block.commands[0];
        let ok = |entity_id: EntityId| Reaction::Answer(vec![(command.corr_id.clone(), entity_id, Response::Ok)]);
        match &command.command {
            Command::Off => ok(queue(9).into()),
            Command::Del => ok(EntityId::default()),
            Command::Ping => ok(EntityId::default()),
            Command::Sub => block.answer(&Response::Pong),
            _ => block.answer(&Response::Ok),
        }
    })
    .await;
    let (client, _events) = client(&server).await;
    let (id, key) = (queue(1), key());
    let violation = |outcome: Result<(), ClientError>| match outcome {
        Err(error @ ClientError::Protocol(_)) => {
            assert_eq!(error.blame(), Blame::Protocol);
            error.to_string()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(client.suspend(&id, &key).await, Err(ClientError::Protocol(Violation::Entity)));
    assert!(violation(client.delete_queue(&id, &key).await).contains("NO_ENTITY"));
    assert!(violation(client.ping().await).contains("NO_ENTITY"));
    assert!(violation(client.subscribe(&id, &key).await).contains("HAS_AUTH"));
    let no_link = client.get_link(&smp::id::LinkId::from([1; 24])).await;
    assert_eq!(no_link, Err(ClientError::Protocol(Violation::Unexpected("LGET"))));
    client.send_message(&SenderId::from([1; 24]), None, MessageFlags::default(), vec![]).await.unwrap();
}

#[tokio::test]
async fn events_arrive_in_order_and_the_older_answer_to_sub_is_one() {
    let server = MiniServer::start(|block| {
        let mut answers = vec![reply(&block.commands[0], message(0))];
        answers.extend((1..5).map(|id| event(queue(id), message(id))));
        answers.push(event(queue(5), Response::End));
        answers.push(event(queue(6), Response::Deld));
        Reaction::Answer(answers)
    })
    .await;
    let (client, mut events) = client(&server).await;
    client.subscribe(&queue(0), &key()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..7 {
        let Event { entity_id, response } = events.next().await.unwrap();
        seen.push((entity_id.as_bytes()[0], response.unwrap()));
    }
    seen.sort_by_key(|(id, _)| *id);
    let expected: Vec<_> =
        (0..5).map(|id| (id, message(id))).chain([(5, Response::End), (6, Response::Deld)]).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_message_that_answers_a_forgotten_acknowledgement_is_an_event() {
    let server = MiniServer::start(|block| match &block.commands[0].command {
        Command::Ping => {
            let late = (block.commands[0].corr_id.clone(), EntityId::default(), Response::Pong);
            Reaction::Answer(vec![late])
        }
        _ => block.answer(&message(2)),
    })
    .await;
    let (client, mut events) = client(&server).await;
    let key = key();
    let acknowledge = Request::new(Command::Ack(MessageId::from([1; 24]))).about(queue(1)).authorized_by(&key);
    drop(client.submit(acknowledge).await.unwrap());
    let event = events.next().await.unwrap();
    assert_eq!((event.entity_id, event.response), (queue(1).into(), Ok(message(2))));
    let next = client.acknowledge(&queue(1), &MessageId::from([2; 24]), &key).await.unwrap().unwrap();
    assert_eq!(next.id, MessageId::from([2; 24]));
}

/// Responses of thousands of commands in one place: every command has one outcome there, and no message is lost.
#[tokio::test]
async fn collected_responses_come_by_number_and_messages_among_them_as_events() {
    let server = MiniServer::start(|block| {
        let answer = |command: &smp::transmission::ClientTransmission| match command.command {
            Command::Ack(_) => reply(command, message(2)),
            Command::Off => reply(command, Response::Err(Error::Auth)),
            Command::Del => (command.corr_id.clone(), queue(9).into(), Response::Ok),
            _ => reply(command, Response::Ok),
        };
        Reaction::Answer(block.commands.iter().map(answer).collect())
    })
    .await;
    let (client, mut events) = client(&server).await;
    let (collector, mut collected) = Collector::new();
    let key = key();
    let commands = [Command::Ack(MessageId::from([1; 24])), Command::Off, Command::Del, Command::Sub];
    for (number, command) in (10..).zip(commands) {
        let request = Request::new(command).about(queue(1)).authorized_by(&key);
        assert!(client.submit_collected(request, number, &collector).unwrap().1 > 0);
    }
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let Collected { number, outcome } = collected.recv().await.unwrap();
        outcomes.push((number, outcome));
    }
    let acknowledged = Response::Msg(MessageId::from([2; 24]), Vec::new());
    let expected = [
        (10, Ok(acknowledged)),
        (11, Ok(Response::Err(Error::Auth))),
        (12, Err(ClientError::Protocol(Violation::Entity))),
        (13, Ok(Response::Ok)),
    ];
    assert_eq!(outcomes, expected);
    let event = events.next().await.unwrap();
    assert_eq!((event.entity_id, event.response), (queue(1).into(), Ok(message(2))));
}

#[tokio::test]
async fn every_collected_command_has_an_outcome_even_without_a_connection() {
    let server = MiniServer::start(|block| match block.commands[0].command {
        Command::Off => Reaction::Cut,
        _ => Reaction::Answer(Vec::new()),
    })
    .await;
    let options = ClientOptions { queue: 2, ..ClientOptions::default() };
    let (client, _events) = client_with(&server, options).await;
    let (collector, mut collected) = Collector::new();
    let submit = |number| {
        let key = key();
        let request = Request::new(Command::Off).about(queue(1)).authorized_by(&key);
        client.submit_collected(request, number, &collector)
    };
    // Nothing is sent before this task waits.
    assert!(submit(1).is_ok() && submit(2).is_ok());
    assert_eq!(submit(3), Err(NotSubmitted::Full));
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let Collected { number, outcome } = collected.recv().await.unwrap();
        outcomes.push((number, outcome));
    }
    // What has no answer ends in no order.
    outcomes.sort_by_key(|(number, _)| *number);
    assert_eq!(outcomes, [(1, Err(ClientError::OutcomeUnknown)), (2, Err(ClientError::OutcomeUnknown))]);
    wait_until(|| client.is_closed()).await;
    assert_eq!(submit(4), Err(NotSubmitted::Failed(ClientError::NotSent)));
}

#[tokio::test]
async fn no_answer_is_a_timeout_and_the_session_goes_on() {
    let server = MiniServer::start(|block| match &block.commands[0].command {
        Command::Off => Reaction::Answer(vec![]),
        _ => agreeable(block),
    })
    .await;
    let after = Duration::from_millis(500);
    let (client, _events) = client_with(&server, ClientOptions { command_timeout: after, ..Default::default() }).await;
    let error = client.suspend(&queue(1), &key()).await.unwrap_err();
    assert_eq!(error, ClientError::TimedOut(after));
    assert_eq!(error.blame(), Blame::TimedOut);
    client.delete_queue(&queue(1), &key()).await.unwrap();
}

#[tokio::test]
async fn one_task_may_take_events_and_wait_for_responses() {
    // Every acknowledgement is answered behind more events than may wait.
    let server = MiniServer::start(|block| {
        let mut answers: Vec<_> = (0..20).map(|id| event(queue(id), message(id))).collect();
        answers.push(reply(&block.commands[0], Response::Ok));
        Reaction::Answer(answers)
    })
    .await;
    let (client, mut events) = client_with(&server, ClientOptions { events: 2, ..Default::default() }).await;
    for _ in 0..3 {
        client.suspend(&queue(1), &key()).await.unwrap();
        for id in 0..20 {
            assert_eq!(events.next().await.unwrap().response, Ok(message(id)));
        }
    }
}

#[tokio::test]
async fn a_caller_that_takes_no_events_makes_the_server_wait() {
    let sent = Arc::new(AtomicUsize::new(0));
    let acceptor = net::tls::Acceptor::new(support::identity(net::identity::Algorithm::Ed25519, "flood")).unwrap();
    let fingerprint = *acceptor.identity().fingerprint();
    let (client_tcp, server_tcp) = support::tcp_pair().await;
    let total = 2000;
    let flood = {
        let sent = sent.clone();
        async move {
            let session_key = X25519PrivateKey::generate(&mut random("flood"));
            let options = net::handshake::AcceptOptions::default();
            let mut session = net::handshake::accept(server_tcp, &acceptor, options, session_key).await.unwrap();
            let (corr_id, entity_id, response) = event(queue(1), message(1));
            let transmission = smp::transmission::encode_response(18, &corr_id, &entity_id, &response);
            for _ in 0..total {
                session.writer.queue(&smp::block::payloads([transmission.as_slice()])[0]).unwrap();
                session.writer.flush().await.unwrap();
                sent.fetch_add(1, Ordering::SeqCst);
            }
            session
        }
    };
    let flood = tokio::spawn(flood);
    let connector = Connector::new().unwrap();
    let key = X25519PrivateKey::generate(&mut random("client"));
    let connection = net::handshake::connect_over(client_tcp, &fingerprint, &connector, ConnectOptions::default(), key);
    let options = ClientOptions { events: 10, ..Default::default() };
    let (_client, mut events) = Client::start(connection.await.unwrap(), options, Box::new(random("corr ids")));
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = sent.load(Ordering::SeqCst);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    assert!(before < total, "all {total} messages were read although nobody wanted them");
    for _ in 0..total {
        events.next().await.unwrap();
    }
    flood.await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_leaves_the_outcome_unknown() {
    let server = MiniServer::start(|_| Reaction::Cut).await;
    let (client, mut events) = client(&server).await;
    let error = client.suspend(&queue(1), &key()).await.unwrap_err();
    assert_eq!(error, ClientError::OutcomeUnknown);
    assert_eq!(error.blame(), Blame::Unreachable);
    assert_eq!(events.next().await, None);
    assert!(matches!(client.end(), Some(End::ClosedByServer | End::Broken(_))));
    let later = client.suspend(&queue(1), &key()).await.unwrap_err();
    assert_eq!(later, ClientError::NotSent);
}

#[tokio::test]
async fn an_unreadable_payload_ends_the_session() {
    for payload in [vec![], vec![0], vec![1, 0, 9, 0], vec![1, 0, 1, 0, 7]] {
        let server = MiniServer::start(move |_| Reaction::Payload(payload.clone())).await;
        let (client, mut events) = client(&server).await;
        assert_eq!(client.suspend(&queue(1), &key()).await, Err(ClientError::OutcomeUnknown));
        assert_eq!(events.next().await, None);
        assert_eq!(client.end(), Some(End::Unreadable));
    }
}

#[tokio::test]
async fn closing_sends_what_was_given_and_ends_the_events() {
    let server = MiniServer::start(agreeable).await;
    let (client, mut events) = client(&server).await;
    let key = key();
    for name in 0..100 {
        let request = Request::new(Command::Off).about(queue(name)).authorized_by(&key);
        drop(client.submit(request).await.unwrap());
    }
    client.close().await;
    assert!(client.is_closed());
    assert_eq!(client.end(), Some(End::Closed));
    assert_eq!(events.next().await, None);
    wait_until(|| server.blocks.lock().unwrap().iter().sum::<usize>() == 100).await;
}

#[tokio::test]
async fn the_session_ends_with_the_last_handle() {
    let server = MiniServer::start(agreeable).await;
    let (client, mut events) = client(&server).await;
    let other = client.clone();
    drop(client);
    other.suspend(&queue(1), &key()).await.unwrap();
    drop(other);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_subscribed_client_asks_for_signs_of_life_and_gives_up_without() {
    let pings = Arc::new(AtomicUsize::new(0));
    let counter = pings.clone();
    let server = MiniServer::start(move |block| match &block.commands[0].command {
        Command::Ping => {
            let alive = counter.fetch_add(1, Ordering::SeqCst) < 3;
            if alive { block.answer(&Response::Pong) } else { Reaction::Answer(vec![]) }
        }
        _ => agreeable(block),
    })
    .await;
    let (ping_after, give_up_after) = (Duration::from_millis(50), Duration::from_secs(1));
    let options = ClientOptions { ping_after, give_up_after, ..Default::default() };
    let (client, mut events) = client_with(&server, options).await;
    client.suspend(&queue(1), &key()).await.unwrap();
    tokio::time::sleep(ping_after * 5).await;
    assert_eq!(pings.load(Ordering::SeqCst), 0, "without a subscription silence is no matter");
    client.subscribe(&queue(1), &key()).await.unwrap();
    assert_eq!(events.next().await, None);
    assert_eq!(client.end(), Some(End::Silent));
    assert_eq!(pings.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_command_that_fits_no_block_is_the_callers_fault() {
    let server = MiniServer::start(agreeable).await;
    let (client, _events) = client(&server).await;
    let too_large =
        Request::new(Command::Send(MessageFlags::default(), vec![0; 16_384])).about(SenderId::from([1; 24]));
    let error = client.send(too_large).await.unwrap_err();
    assert_eq!((error.blame(), error), (Blame::Caller, ClientError::TooLarge));
    client.suspend(&queue(1), &key()).await.unwrap();
}

async fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came true");
}
