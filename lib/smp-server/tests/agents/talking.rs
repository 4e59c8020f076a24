//! Two agents that find each other, talk and part.

use std::sync::{Arc, Mutex};

use agent::connection::keep::ConnectionId;
use agent::connection::{AddressPlan, Connection, Delivery, Event, JoinLink, QueuePlan, Settings, TaskFault};
use agent::time::Env;
use net::agent::{AgentError, AgentExchange, AgentOptions, ChangeError};
use smp::error::Error;
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::support::{Server, in_time};
use crate::user::{User, connect, file, id, now, options};

#[tokio::test]
async fn two_agents_connect_through_two_servers_and_talk_both_ways() {
    let (here, there) = (Server::start().await, Server::start().await);
    let (mut alice, mut bob) = (User::new(&here), User::new(&there));
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    for round in 0..5u8 {
        let number = alice.send(&id, &[round; 100]).await;
        assert_eq!(bob.receive(&id).await.body, [round; 100]);
        alice.event(&id, |event| (*event == Event::Sent { number }).then_some(())).await;
        bob.send(&id, &[round; 13_000]).await;
        assert_eq!(alice.receive(&id).await.body, [round; 13_000]);
    }
    in_time(alice.agent.close()).await;
    in_time(bob.agent.close()).await;
}

/// An accepted request and the connection that comes of it are kept together.
#[tokio::test]
async fn a_contact_address_is_asked_and_makes_connections() {
    let (here, there) = (Server::start().await, Server::start().await);
    let (mut owner, mut asker) = (User::new(&here), User::new(&there));
    let (door, guest) = (id("door"), id("guest"));
    let mut env = Env { now: now(), random: &mut SystemRandom };
    let plan = AddressPlan::Full(QueuePlan::at(owner.server.clone()));
    let address = Connection::address(plan, &Settings::default(), &mut env).unwrap();
    in_time(owner.agent.open(door.clone(), address)).await.unwrap();
    owner.event(&door, |event| matches!(event, Event::Created).then_some(())).await;
    let link = owner.change(&door, |connection, _| connection.own_address().ok_or("no address")).await.full;
    asker.join(&guest, JoinLink::Full(Box::new(link))).await;
    let requested = |event: &Event| match event {
        Event::Requested(request) => Some(request.id),
        _ => None,
    };
    let request = owner.event(&door, requested).await;
    let plan = QueuePlan::at(owner.server.clone());
    let accept = move |address: &mut Connection, env: &mut Env<'_>| address.accept(request, plan, Vec::new(), env);
    in_time(owner.agent.open_from(guest.clone(), door.clone(), accept.clone())).await.unwrap();
    let again = in_time(owner.agent.open_from(id("other"), door.clone(), accept)).await;
    assert!(matches!(again, Err(ChangeError::Refused(_))), "{again:?}");
    asker.allow(&guest).await;
    asker.connected(&guest).await;
    owner.connected(&guest).await;
    let owner = owner.restart().await;
    owner.send(&guest, b"welcome").await;
    assert_eq!(asker.receive(&guest).await.body, b"welcome");
}

#[tokio::test]
async fn a_deleted_connection_leaves_nothing() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (User::new(&server), User::new(&server));
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    alice.change(&id, |connection, env| Ok::<_, ()>(connection.delete(Delivery::Drop, env))).await;
    alice.event(&id, |event| (*event == Event::Deleted(None)).then_some(())).await;
    let gone = in_time(alice.agent.status(&id)).await;
    assert!(matches!(gone, Err(AgentError::Unknown(_))), "{gone:?}");
    let number = bob.send(&id, b"is anybody there?").await;
    let refused = |event: &Event| match event {
        Event::NotSent { number, fault: TaskFault::Refused { error: Error::Auth, .. } } => Some(*number),
        _ => None,
    };
    assert_eq!(bob.event(&id, refused).await, number);
    let alice = alice.restart().await;
    let gone = in_time(alice.agent.load(&id)).await;
    assert!(matches!(gone, Err(AgentError::Unknown(_))), "{gone:?}");
}

#[tokio::test]
async fn a_name_is_used_once_and_an_unknown_one_is_said_to_be_unknown() {
    let server = Server::start().await;
    let mut alice = User::new(&server);
    let name = id("friends");
    alice.invite(&name).await;
    let mut env = Env { now: now(), random: &mut SystemRandom };
    let plan = QueuePlan::at(alice.server.clone());
    let other = Connection::invite(plan, Default::default(), &Settings::default(), &mut env).unwrap();
    let opened = in_time(alice.agent.open(name.clone(), other)).await;
    assert!(matches!(opened, Err(AgentError::Exists(_))), "{opened:?}");
    let loaded = in_time(alice.agent.load(&id("nobody"))).await;
    assert!(matches!(loaded, Err(AgentError::Unknown(_))), "{loaded:?}");
}

#[tokio::test]
async fn an_observer_sees_every_command_with_its_connection() {
    let server = Server::start().await;
    let seen = Arc::new(Mutex::new(Vec::<(ConnectionId, &'static str)>::new()));
    let notes = seen.clone();
    let observer = Arc::new(move |seen: &AgentExchange<'_>| {
        assert!(seen.exchange.sent > 0 && seen.exchange.outcome.is_some_and(Result::is_ok), "{seen:?}");
        notes.lock().unwrap().push((seen.connection.clone(), seen.exchange.command));
    });
    let options = AgentOptions { observer: Some(observer), ..options() };
    let (mut alice, mut bob) = (User::with(&server, options.clone()), User::new(&server));
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    bob.send(&id, b"hello").await;
    alice.receive(&id).await;
    in_time(alice.agent.close()).await;
    let keep = Connections::open(&file(&alice.folder)).unwrap();
    let mut alice = User::over(alice.folder, alice.server, keep, options);
    alice.load_all().await;
    bob.send(&id, b"hello again").await;
    alice.receive(&id).await;
    in_time(alice.agent.close()).await;
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(of, _)| *of == id));
    let commands: Vec<_> = seen.iter().map(|(_, command)| *command).collect();
    assert_eq!(commands, ["NEW", "ACK", "SKEY", "SEND", "ACK", "SUB", "ACK"]);
}
