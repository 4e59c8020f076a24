//! Servers that go away and come back, sessions that take over, and applications that are slow.

use agent::connection::{Connection, Event, InviteLink, QueuePlan, SendOptions, Settings};
use agent::time::Env;
use net::agent::{AgentEvent, AgentOptions, ServerEvent, Unsubscribed};
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::support::{Server, config, in_time};
use crate::user::{User, connect, file, id, now, options};

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    let server = Server::start().await;
    let mut alice = User::new(&server);
    let shut = server.shut().await;
    let mut env = Env { now: now(), random: &mut SystemRandom };
    let plan = QueuePlan::at(alice.server.clone());
    let invitation = Connection::invite(plan, InviteLink::default(), &Settings::default(), &mut env).unwrap();
    let id = id("friends");
    in_time(alice.agent.open(id.clone(), invitation)).await.unwrap();
    let failed =
        |event: &AgentEvent| matches!(event, AgentEvent::Server(_, ServerEvent::ConnectFailed(_))).then_some(());
    alice.next(failed).await;
    let _server = shut.open_with(config()).await;
    alice.event(&id, |event| matches!(event, Event::Created).then_some(())).await;
}

#[tokio::test]
async fn messages_to_a_server_that_is_away_arrive_in_order_when_it_is_back() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (User::new(&server), User::new(&server));
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    let shut = server.shut().await;
    for number in 0..5 {
        alice.send(&id, &[number]).await;
    }
    assert_eq!(in_time(alice.agent.status(&id)).await.unwrap().unsent, 5);
    let _server = shut.open_with(config()).await;
    for number in 0..5 {
        assert_eq!(bob.receive(&id).await.body, [number]);
    }
}

#[tokio::test]
async fn a_session_that_takes_over_is_told_of_and_not_fought() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (User::new(&server), User::new(&server));
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    let taken = |event: &AgentEvent| match event {
        AgentEvent::Unsubscribed(id, Unsubscribed::TakenOver) => Some(id.clone()),
        _ => None,
    };
    let bob = bob.restart().await;
    let copy = bob.folder.path().join("copy.sqlite");
    copy_connections(&bob, &copy);
    let mut second = User::over(bob.folder.clone(), bob.server.clone(), Connections::open(&copy).unwrap(), options());
    let mut bob = bob;
    second.load_all().await;
    assert_eq!(bob.next(taken).await, id);
    alice.send(&id, b"to whoever listens").await;
    assert_eq!(second.receive(&id).await.body, b"to whoever listens");
    in_time(bob.agent.subscribe(&id)).await.unwrap();
    assert_eq!(second.next(taken).await, id);
}

fn copy_connections(user: &User, copy: &std::path::Path) {
    let source = store::rusqlite::Connection::open(file(&user.folder)).unwrap();
    source.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
}

/// The application takes no event while more arrive than may wait for it; what it asks for is done all the same.
#[tokio::test]
async fn an_application_that_takes_no_events_is_served_all_the_same() {
    let server = Server::start().await;
    let (mut alice, bob) = (User::new(&server), User::with(&server, AgentOptions { events: 1, ..options() }));
    let mut bob = bob;
    let ids: Vec<_> = (0..20).map(|number| id(&format!("friend {number}"))).collect();
    for id in &ids {
        connect(&mut alice, &mut bob, id).await;
        alice.send(id, b"one").await;
        alice.send(id, b"two").await;
    }
    for id in &ids {
        bob.send(id, b"from bob").await;
        assert_eq!(alice.receive(id).await.body, b"from bob");
    }
    for id in &ids {
        assert_eq!(bob.receive(id).await.body, b"one");
        assert_eq!(bob.receive(id).await.body, b"two");
    }
}

#[tokio::test]
async fn closing_in_the_middle_loses_nothing() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (User::new(&server), User::new(&server));
    let ids: Vec<_> = (0..20).map(|number| id(&format!("friend {number}"))).collect();
    for id in &ids {
        connect(&mut alice, &mut bob, id).await;
    }
    for body in 0..3 {
        let send =
            move |connection: &mut Connection, env: &mut Env<'_>| connection.send(&[body], SendOptions::default(), env);
        let steps = ids.iter().map(|id| (id.clone(), send)).collect();
        for outcome in in_time(alice.agent.change_many(steps)).await.unwrap() {
            outcome.unwrap();
        }
        alice = alice.restart().await;
        for id in &ids {
            assert_eq!(bob.receive(id).await.body, [body]);
        }
    }
}
