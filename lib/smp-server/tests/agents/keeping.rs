//! What the agent and its keep expect of each other.

use std::sync::{Arc, Mutex};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record};
use agent::connection::{Connection, Delivery, JoinLink, SendOptions, Settings};
use agent::time::Env;
use net::agent::{AgentError, AgentEvent, ChangeError};
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::support::{Server, in_time};
use crate::user::{User, address, connect, file, id, now, options};

/// The storage itself refuses a write: everybody is told, nothing is half done, and it goes on.
#[tokio::test]
async fn after_a_failure_of_the_store_everything_goes_on() {
    let server = Server::start().await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let connections = Connections::open(&file(&folder)).unwrap();
    let mut alice = User::over(folder, address(&server), connections.clone(), options());
    let mut bob = User::new(&server);
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    let broken = connections.inner().write(|tx| tx.execute("no SQL at all", []));
    assert!(in_time(broken).await.is_err());
    let send = alice.agent.change(&id, |connection, env| connection.send(b"lost", SendOptions::default(), env));
    let refused = in_time(send).await;
    assert!(matches!(refused, Err(ChangeError::Agent(AgentError::NotKept(_)))), "{refused:?}");
    alice.next(|event| matches!(event, AgentEvent::Keeping(Err(_))).then_some(())).await;
    alice.next(|event| matches!(event, AgentEvent::Keeping(Ok(()))).then_some(())).await;
    alice.send(&id, b"kept").await;
    let message = bob.receive(&id).await;
    assert_eq!((message.body.as_slice(), message.number), (b"kept".as_slice(), 2));
}

/// A keep that is shared with somebody else, who is allowed in only while it is released.
#[derive(Clone)]
struct Shared {
    connections: Connections,
    changed: Arc<Mutex<Vec<ConnectionId>>>,
    /// Taken while the agent holds the keep.
    held: Arc<tokio::sync::Semaphore>,
}

impl Keep for Shared {
    type Error = store::Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), store::Error>> + Send + 'static {
        assert_eq!(self.held.available_permits(), 0, "a commit without hold");
        self.connections.commit(batch)
    }

    fn load(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, store::Error>> + Send + 'static {
        assert_eq!(self.held.available_permits(), 0, "a look without hold");
        self.connections.load(ids)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, store::Error>> + Send + 'static {
        self.connections.list()
    }

    fn acquire(&self) -> impl Future<Output = Result<Vec<ConnectionId>, store::Error>> + Send + 'static {
        let (held, changed) = (self.held.clone(), self.changed.clone());
        async move {
            held.acquire().await.unwrap().forget();
            Ok(std::mem::take(&mut *changed.lock().unwrap()))
        }
    }

    fn release(&self) {
        assert_eq!(self.held.available_permits(), 0, "released twice");
        self.held.add_permits(1);
    }
}

#[tokio::test]
async fn a_shared_keep_is_released_when_idle_and_read_again_when_others_changed_it() {
    let server = Server::start().await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let keep = Shared {
        connections: Connections::open(&file(&folder)).unwrap(),
        changed: Arc::default(),
        held: Arc::new(tokio::sync::Semaphore::new(1)),
    };
    let mut inviter = User::new(&server);
    let link = inviter.invite(&id("invitation")).await;
    let user = User::over(folder.clone(), address(&server), keep.clone(), options());
    let other = User::over(folder, address(&server), keep.clone(), options());
    let (kept, gone) = (id("kept"), id("gone"));
    for name in [&kept, &gone] {
        let mut env = Env { now: now(), random: &mut SystemRandom };
        let JoinLink::Full(link) = &link else { panic!("no full link") };
        let connection = Connection::open(JoinLink::Full(link.clone()), &Settings::default(), &mut env);
        in_time(user.agent.open(name.clone(), connection)).await.unwrap();
    }
    // The other agent gets hold of them, because the first is idle.
    other.load_all().await;
    other.change(&gone, |connection, env| Ok::<_, ()>(connection.delete(Delivery::Drop, env))).await;
    *keep.changed.lock().unwrap() = vec![gone.clone(), kept.clone()];
    let unknown = in_time(user.agent.status(&gone)).await;
    assert!(matches!(unknown, Err(AgentError::Unknown(_))), "{unknown:?}");
    in_time(user.agent.status(&kept)).await.unwrap();
}
