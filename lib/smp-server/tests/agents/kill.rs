//! `kill -9` of a process that answers every message: each is answered once, in order.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent::connection::{Connection, Event, JoinLink, QueuePlan, ReceivedMessage, SendOptions, Settings};
use agent::time::Env;
use net::agent::{Agent, AgentError, AgentEvent};
use smp::address::ServerAddress;
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::support::{Server, in_time};
use crate::user::{User, forgetful, id, now, start};

const CHILD: &str = "AGENTS_TEST_ECHO_FOLDER";
/// Messages that wait for their echo.
const WINDOW: u32 = 10;
/// Echoes between kills: the child dies at another point of its work each time.
const LIVES: [u32; 6] = [3, 17, 8, 31, 12, 23];

/// Not a test of its own: the process that is killed.
#[test]
fn child_echoes_until_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(echo(Path::new(&folder)));
}

async fn echo(folder: &Path) {
    let keep = Connections::open(&folder.join("connections.sqlite")).unwrap();
    let idle = if folder.join("forgetful").exists() { 0 } else { usize::MAX };
    let (agent, mut events) = start(keep, forgetful(idle));
    if let Err(AgentError::Unknown(_)) = agent.load(&id("echo")).await {
        join(&agent, folder).await;
    }
    while let Some(event) = events.next().await {
        if let AgentEvent::Connection(_, Event::Message(message)) = event {
            answer(&agent, message).await;
        }
    }
}

async fn join(agent: &Agent, folder: &Path) {
    let link = std::fs::read_to_string(folder.join("link")).unwrap().parse().unwrap();
    let server: ServerAddress = std::fs::read_to_string(folder.join("server")).unwrap().parse().unwrap();
    let mut env = Env { now: now(), random: &mut SystemRandom };
    let mut connection = Connection::open(JoinLink::Full(Box::new(link)), &Settings::default(), &mut env);
    connection.join(QueuePlan::at(server), Vec::new(), &mut env).unwrap();
    agent.open(id("echo"), connection).await.unwrap();
}

/// The answer and the acknowledgement are one step: both are kept, or neither.
async fn answer(agent: &Agent, message: ReceivedMessage) {
    let step = move |connection: &mut Connection, env: &mut Env<'_>| {
        connection.acknowledge(&message.id, None, env)?;
        connection.send(&message.body, SendOptions::default(), env)
    };
    agent.change(&id("echo"), step).await.unwrap();
}

/// The child process; it does not outlive the test.
struct Echo(Child);

impl Echo {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "kill::child_echoes_until_killed", "--nocapture"]).env(CHILD, folder);
        Echo(child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_killed_process_answers_every_message_once() {
    kill_and_count(false).await;
}

#[tokio::test]
async fn a_killed_process_that_forgets_connections_answers_every_message_once() {
    kill_and_count(true).await;
}

async fn kill_and_count(forgetful: bool) {
    let server = Server::start().await;
    let mut alice = User::new(&server);
    let (name, folder) = (id("echo"), tempfile::tempdir().unwrap());
    if forgetful {
        std::fs::write(folder.path().join("forgetful"), []).unwrap();
    }
    let JoinLink::Full(link) = alice.invite(&name).await else { panic!("no full link") };
    std::fs::write(folder.path().join("link"), link.to_string()).unwrap();
    std::fs::write(folder.path().join("server"), alice.server.to_string()).unwrap();
    let mut child = Echo::start(folder.path());
    alice.allow(&name).await;
    alice.connected(&name).await;
    let (mut sent, mut echoed) = (0u32, 0u32);
    for life in LIVES {
        for _ in 0..life {
            while sent < echoed + WINDOW {
                alice.send(&name, &sent.to_be_bytes()).await;
                sent += 1;
            }
            assert_eq!(alice.receive(&name).await.body, echoed.to_be_bytes());
            echoed += 1;
        }
        drop(child);
        child = Echo::start(folder.path());
    }
    while echoed < sent {
        assert_eq!(alice.receive(&name).await.body, echoed.to_be_bytes());
        echoed += 1;
    }
    let nothing_waits = in_time(alice.agent.status(&name)).await.unwrap();
    assert_eq!((nothing_waits.unsent, nothing_waits.missing), (0, 0));
}
