//! `kill -9` under load: no message that got `OK` is lost, and none whose `ACK` was answered comes again.
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
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;

use crypto::SeededRandom;
use net::identity::{Algorithm, CertificateAuthority, ServerIdentity};
use net::tls::Acceptor;
use smp::command::Command;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::ServerTransmission;
use smp_server::config::Config;
use smp_server::sqlite::SqliteStore;
use smp_server::state::State;

use support::{Opened, Peer, Queue, in_time, send, unsubscribed};

const CHILD: &str = "SMP_SERVER_TEST_SERVE_UNTIL_KILLED";
/// `SMP_SERVER_TEST_KILLS` asks for more.
const KILLS: usize = 5;
const QUEUES: u64 = 4;
/// Messages under way.
const WINDOW: usize = 40;

/// The same in parent and child.
fn identity() -> ServerIdentity {
    let (now, mut random) = (1_700_000_000, SeededRandom::new(&[1; 32], "kill"));
    let authority = CertificateAuthority::create(Algorithm::Ed25519, now, &mut random).unwrap();
    authority.identity("127.0.0.1", now, &mut random).unwrap()
}

/// Not a test of its own: the server that is killed.
#[test]
fn child_serves_until_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Arc::new(SqliteStore::open(Path::new(&path)).unwrap());
    let state = State::load(store, Config { quota: 100_000, ..Config::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("\nlistening {}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        let acceptor = Acceptor::new(identity()).unwrap();
        smp_server::server::serve(listener, acceptor, state, std::future::pending()).await;
    });
}

/// A server process; it does not outlive the test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(path: &Path) -> Self {
        let mut process = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_serves_until_killed", "--nocapture"])
            .env(CHILD, path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("listening ")?.parse().ok());
        Server { process, address: address.unwrap() }
    }

    async fn connect(&self) -> Peer {
        Peer::connect(self.address, identity().fingerprint(), 18).await
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the clients know of their messages, which are numbered.
#[derive(Default)]
struct Seen {
    sent: u64,
    accepted: BTreeSet<u64>,
    received: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
}

impl Seen {
    /// Checks that a message may come now.
    fn receive(&mut self, queue: &Queue, message: Response) -> Opened {
        let opened = queue.open(message);
        let number = number(opened.body());
        assert!(!self.acknowledged.contains(&number), "message {number} came again after its ACK was answered");
        let latest = self.received.iter().rev().find(|other| *other % QUEUES == number % QUEUES);
        assert!(latest.is_none_or(|latest| *latest <= number), "message {number} came after {latest:?}");
        self.received.insert(number);
        opened
    }
}

fn corr_id(number: u64) -> CorrId {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    CorrId::from(bytes)
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

fn queue_of(queues: &[Queue], number: u64) -> &Queue {
    &queues[usize::try_from(number % QUEUES).unwrap()]
}

/// What comes next, or `None` when the server has gone.
async fn receive(peer: &mut Peer) -> Option<Vec<ServerTransmission>> {
    let payload = in_time(peer.connection.reader.read()).await.ok().flatten()?.unwrap();
    let transmissions = smp::block::transmissions(payload).unwrap();
    Some(transmissions.into_iter().map(|bytes| ServerTransmission::parse(18, bytes).unwrap()).collect())
}

async fn transmit(peer: &mut Peer, transmissions: &[Vec<u8>]) -> Option<()> {
    for payload in smp::block::payloads(transmissions.iter().map(Vec::as_slice)) {
        peer.connection.writer.queue(&payload).unwrap();
    }
    in_time(peer.connection.writer.flush()).await.ok()
}

/// Sends as fast as the window allows, until `enough` messages were accepted; then kills the server.
async fn send_until(server: &mut Server, peer: &mut Peer, queues: &[Queue], seen: &mut Seen, enough: usize) {
    let mut under_way = 0;
    loop {
        let fresh = seen.sent..seen.sent + (WINDOW - under_way) as u64;
        let encode = |number: u64| {
            let body = [&number.to_be_bytes()[..], &[7; 10_000]].concat();
            let queue = queue_of(queues, number);
            peer.encode(&corr_id(number), &queue.sender_id.clone().into(), &send(&body), None)
        };
        let messages: Vec<_> = fresh.clone().map(encode).collect();
        seen.sent = fresh.end;
        under_way = WINDOW;
        transmit(peer, &messages).await.unwrap();
        for answer in receive(peer).await.unwrap() {
            under_way -= 1;
            if answer.response == Ok(Response::Ok) {
                seen.accepted.insert(number(answer.corr_id.as_bytes()));
            }
        }
        if seen.accepted.len() >= enough {
            return server.kill();
        }
    }
}

/// Receives and acknowledges until the server is gone.
async fn receive_all(peer: &mut Peer, queues: &[Queue], seen: &mut Seen) {
    let subscribe = |queue: &Queue| {
        let id = queue.recipient_id.clone().into();
        peer.encode(&corr_id(u64::MAX), &id, &Command::Sub, Some(&queue.key))
    };
    let subscriptions: Vec<_> = queues.iter().map(subscribe).collect();
    if transmit(peer, &subscriptions).await.is_none() {
        return;
    }
    while let Some(received) = receive(peer).await {
        let mut acks = Vec::new();
        for transmission in received {
            if !transmission.is_event() && number(transmission.corr_id.as_bytes()) != u64::MAX {
                seen.acknowledged.insert(number(transmission.corr_id.as_bytes()));
            }
            if let Ok(response @ Response::Msg(..)) = transmission.response {
                acks.push(acknowledge(peer, queues, seen, &transmission.entity_id, response));
            }
        }
        if transmit(peer, &acks).await.is_none() {
            return;
        }
    }
}

/// Takes what is left in a queue.
async fn drain(peer: &mut Peer, queue: &Queue, seen: &mut Seen) {
    loop {
        let response = queue.does(peer, Command::Get).await;
        if response == Response::Ok {
            return;
        }
        let opened = seen.receive(queue, response);
        assert_eq!(queue.ack(peer, &opened.id).await, Response::Ok);
        seen.acknowledged.insert(number(opened.body()));
    }
}

fn acknowledge(peer: &Peer, queues: &[Queue], seen: &mut Seen, entity_id: &EntityId, message: Response) -> Vec<u8> {
    let queue = queues.iter().find(|queue| EntityId::from(queue.recipient_id.clone()) == *entity_id).unwrap();
    let opened = seen.receive(queue, message);
    peer.encode(&corr_id(number(opened.body())), entity_id, &Command::Ack(opened.id), Some(&queue.key))
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smp.sqlite");
    let kills = std::env::var("SMP_SERVER_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut server = Server::start(&path);
    let mut owner = server.connect().await;
    let mut queues = Vec::new();
    for _ in 0..QUEUES {
        queues.push(unsubscribed(&mut owner).await);
    }
    let (mut sending, mut receiving) = (Seen::default(), Seen::default());
    for kill in 0..kills {
        let (mut sender, mut recipient) = (server.connect().await, server.connect().await);
        let enough = sending.accepted.len() + 100 + 37 * (kill % 7);
        tokio::join!(
            send_until(&mut server, &mut sender, &queues, &mut sending, enough),
            receive_all(&mut recipient, &queues, &mut receiving),
        );
        server = Server::start(&path);
    }
    let mut recipient = server.connect().await;
    for queue in &queues {
        drain(&mut recipient, queue, &mut receiving).await;
    }
    let lost: Vec<_> = sending.accepted.difference(&receiving.received).collect();
    assert!(lost.is_empty(), "accepted but never received: {lost:?}");
}
