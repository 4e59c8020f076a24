//! A server in this process, and clients that put exact bytes on the wire.
#![allow(dead_code, reason = "every test binary uses its part")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crypto::authorize::AuthPrivateKey;
use crypto::certificate::Fingerprint;
use crypto::dh::{SharedSecret, X25519PrivateKey};
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey};
use crypto::{BoxKey, random};
use net::handshake::{ClientConnection, ConnectOptions, connect_over};
use net::identity::{Algorithm, CertificateAuthority, ServerIdentity};
use net::tls::{Acceptor, Connector};
use smp::block::payloads;
use smp::command::{Command, LinkData, MessageFlags, NewQueue, QueueRequest};
use smp::delivery::Delivered;
use smp::error::Error;
use smp::id::{CorrId, EntityId, LinkId, MessageId, RecipientId, SenderId};
use smp::response::Response;
use smp::transmission::{ServerTransmission, Session, encode_command};
use smp_server::config::{Clock, Config};
use smp_server::random::SystemRandom;
use smp_server::sqlite::SqliteStore;
use smp_server::state::State;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// When the clock of a test server starts.
pub(crate) const START: i64 = 1_800_000_000;
/// Nothing that a test waits for takes so long; a test that hits it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("an answer in time")
}

/// A running server; dropped or stopped, it leaves nothing behind.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) identity: ServerIdentity,
    folder: Arc<tempfile::TempDir>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// The defaults, with events that are not delayed.
pub(crate) fn config() -> Config {
    Config { event_delay: Duration::ZERO, ..Config::default() }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_in(folder, anywhere, identity(), Arc::new(AtomicI64::new(START)), config).await
    }

    async fn start_in(
        folder: Arc<tempfile::TempDir>,
        address: SocketAddr,
        identity: ServerIdentity,
        clock: Arc<AtomicI64>,
        config: Config,
    ) -> Self {
        let store = Arc::new(SqliteStore::open(&folder.path().join("smp.sqlite")).unwrap());
        let config = Config { clock: Clock::Manual(clock.clone()), ..config };
        let state = State::load(store.clone(), config).unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = Acceptor::new(identity.clone()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(smp_server::server::serve(listener, acceptor, state.clone(), shutdown));
        Server { address, state, store, clock, identity, folder, stop: Some(stop), task: Some(task) }
    }

    /// Stops accepting and waits until every connection has finished.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        in_time(self.task.take().unwrap()).await.unwrap();
    }

    /// The same server again at the same address, from what it left on disk.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(config()).await
    }

    pub(crate) async fn restart_with(self, config: Config) -> Self {
        self.shut().await.open_with(config).await
    }

    /// Stops; only what is on disk stays.
    pub(crate) async fn shut(mut self) -> Shut {
        self.stop().await;
        let Server { folder, address, identity, clock, state, store, .. } = self;
        drop(state);
        // A look for expired messages, on a thread of its own, may still use it.
        in_time(async {
            while Arc::strong_count(&store) > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Shut { folder, address, identity, clock }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) async fn connect(&self) -> Peer {
        self.connect_at(18).await
    }

    pub(crate) async fn connect_at(&self, version: u16) -> Peer {
        Peer::connect(self.address, self.identity.fingerprint(), version).await
    }
}

/// A server that is not there.
pub(crate) struct Shut {
    folder: Arc<tempfile::TempDir>,
    pub(crate) address: SocketAddr,
    pub(crate) identity: ServerIdentity,
    clock: Arc<AtomicI64>,
}

impl Shut {
    /// At the same address, from what is on disk.
    pub(crate) async fn open_with(self, config: Config) -> Server {
        Server::start_in(self.folder, self.address, self.identity, self.clock, config).await
    }
}

pub(crate) fn identity() -> ServerIdentity {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap() - 60;
    let authority = CertificateAuthority::create(Algorithm::Ed25519, now, &mut SystemRandom).unwrap();
    authority.identity("127.0.0.1", now, &mut SystemRandom).unwrap()
}

/// A client connection.
pub(crate) struct Peer {
    pub(crate) connection: ClientConnection,
    /// What was received while something else was waited for, block by block.
    received: VecDeque<ServerTransmission>,
}

/// A command on its way.
pub(crate) struct Sent {
    corr_id: CorrId,
    entity_id: EntityId,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr, fingerprint: &Fingerprint, version: u16) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let options = ConnectOptions { versions: codec::VersionRange::single(version), ..ConnectOptions::default() };
        let connector = Connector::new().unwrap();
        let key = X25519PrivateKey::generate(&mut SystemRandom);
        let connection = connect_over(tcp, fingerprint, &connector, options, key).await.unwrap();
        assert_eq!(connection.version, version);
        Peer { connection, received: VecDeque::new() }
    }

    pub(crate) fn version(&self) -> u16 {
        self.connection.version
    }

    pub(crate) fn encode(
        &self,
        corr_id: &CorrId,
        entity_id: &EntityId,
        command: &Command,
        key: Option<&AuthPrivateKey>,
    ) -> Vec<u8> {
        let connection = &self.connection;
        let session =
            Session { version: connection.version, id: &connection.session_id, server_key: &connection.server_key };
        encode_command(session, corr_id, entity_id, command, key).unwrap()
    }

    /// Puts a payload on the wire as it is.
    pub(crate) async fn send_payload(&mut self, payload: &[u8]) {
        self.connection.writer.queue(payload).unwrap();
        in_time(self.connection.writer.flush()).await.unwrap();
    }

    /// Sends transmissions in as few blocks as possible.
    pub(crate) async fn send_transmissions(&mut self, transmissions: &[Vec<u8>]) {
        for payload in payloads(transmissions.iter().map(Vec::as_slice)) {
            self.send_payload(&payload).await;
        }
    }

    /// Sends one transmission and takes what answers it.
    pub(crate) async fn exchange(&mut self, transmission: Vec<u8>) -> ServerTransmission {
        self.send_transmissions(&[transmission]).await;
        self.receive().await
    }

    /// The next transmission, whatever it is.
    pub(crate) async fn receive(&mut self) -> ServerTransmission {
        while self.received.is_empty() {
            let block = self.receive_block().await;
            self.received.extend(block);
        }
        self.received.pop_front().unwrap()
    }

    /// The transmissions of the next block.
    pub(crate) async fn receive_block(&mut self) -> Vec<ServerTransmission> {
        let version = self.connection.version;
        let payload = in_time(self.connection.reader.read()).await.unwrap().expect("the connection is open").unwrap();
        let transmissions = smp::block::transmissions(payload).unwrap();
        transmissions.into_iter().map(|bytes| ServerTransmission::parse(version, bytes).unwrap()).collect()
    }

    /// Waits until the server has closed the connection; nothing else may come.
    pub(crate) async fn closed(&mut self) {
        assert!(self.received.is_empty(), "{:?}", self.received);
        assert!(in_time(self.connection.reader.read()).await.is_ok_and(|end| end.is_none()));
    }

    /// Gives a command and waits for its response, which must carry the command's IDs.
    pub(crate) async fn command(
        &mut self,
        key: Option<&AuthPrivateKey>,
        entity_id: impl Into<EntityId>,
        command: Command,
    ) -> Response {
        let sent = self.submit(key, entity_id, command).await;
        self.response(sent).await
    }

    /// Gives a command without waiting.
    pub(crate) async fn submit(
        &mut self,
        key: Option<&AuthPrivateKey>,
        entity_id: impl Into<EntityId>,
        command: Command,
    ) -> Sent {
        let sent = Sent { corr_id: CorrId::random(&mut SystemRandom), entity_id: entity_id.into() };
        let transmission = self.encode(&sent.corr_id, &sent.entity_id, &command, key);
        self.send_transmissions(&[transmission]).await;
        sent
    }

    /// The response to a command; events that come before it are kept.
    pub(crate) async fn response(&mut self, sent: Sent) -> Response {
        let is_response = |received: &ServerTransmission| received.corr_id == sent.corr_id;
        let mut skipped = VecDeque::new();
        let response = loop {
            let received = self.receive().await;
            if is_response(&received) {
                break received;
            }
            skipped.push_back(received);
        };
        skipped.append(&mut self.received);
        self.received = skipped;
        let expected = if response.response == Ok(Response::Pong) { EntityId::default() } else { sent.entity_id };
        assert_eq!(response.entity_id, expected, "{:?}", response.response);
        response.response.unwrap()
    }

    /// The next event, about what.
    pub(crate) async fn event(&mut self) -> (EntityId, Response) {
        let received = self.receive().await;
        assert!(received.is_event(), "{received:?}");
        (received.entity_id, received.response.unwrap())
    }

    /// Everything that the server had to say so far has been taken.
    pub(crate) async fn nothing_more(&mut self) {
        assert_eq!(self.command(None, EntityId::default(), Command::Ping).await, Response::Pong);
        assert!(self.received.is_empty(), "{:?}", self.received);
    }
}

/// A queue with the secrets of its recipient.
pub(crate) struct Queue {
    pub(crate) recipient_id: RecipientId,
    pub(crate) sender_id: SenderId,
    pub(crate) link_id: Option<LinkId>,
    pub(crate) key: AuthPrivateKey,
    pub(crate) secret: SharedSecret,
}

/// What the recipient finds in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) id: MessageId,
    pub(crate) content: Delivered,
}

impl Opened {
    pub(crate) fn body(&self) -> &[u8] {
        match &self.content {
            Delivered::Message { body, .. } => body,
            Delivered::Quota { .. } => panic!("a quota message"),
        }
    }
}

impl Queue {
    /// Opens a `MSG`.
    pub(crate) fn open(&self, response: Response) -> Opened {
        let Response::Msg(id, body) = response else { panic!("{response:?} instead of a message") };
        assert_eq!(body.len(), 16_122);
        let content = Delivered::open(&BoxKey::agreed(&self.secret), &id, &body).unwrap();
        Opened { id, content }
    }

    /// Takes a `MSG` event about this queue.
    pub(crate) async fn pushed(&self, peer: &mut Peer) -> Opened {
        let (entity_id, response) = peer.event().await;
        assert_eq!(entity_id, self.recipient_id.clone().into());
        self.open(response)
    }

    /// Gives a recipient's command.
    pub(crate) async fn does(&self, peer: &mut Peer, command: Command) -> Response {
        peer.command(Some(&self.key), self.recipient_id.clone(), command).await
    }

    pub(crate) async fn ack(&self, peer: &mut Peer, id: &MessageId) -> Response {
        self.does(peer, Command::Ack(id.clone())).await
    }

    /// Sends without authorization.
    pub(crate) async fn send(&self, peer: &mut Peer, body: &[u8]) -> Response {
        self.send_as(peer, None, body).await
    }

    pub(crate) async fn send_as(&self, peer: &mut Peer, key: Option<&AuthPrivateKey>, body: &[u8]) -> Response {
        peer.command(key, self.sender_id.clone(), send(body)).await
    }
}

pub(crate) fn send(body: &[u8]) -> Command {
    Command::Send(MessageFlags { notify: true }, body.to_vec())
}

pub(crate) fn ed25519() -> AuthPrivateKey {
    AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut SystemRandom))
}

pub(crate) fn ed448() -> AuthPrivateKey {
    AuthPrivateKey::Ed448(Ed448PrivateKey::generate(&mut SystemRandom))
}

pub(crate) fn x25519() -> AuthPrivateKey {
    AuthPrivateKey::X25519(X25519PrivateKey::generate(&mut SystemRandom))
}

/// One key of each kind.
pub(crate) fn all_kinds() -> [AuthPrivateKey; 3] {
    [ed25519(), ed448(), x25519()]
}

/// `NEW` and the key that belongs to its Diffie-Hellman key.
pub(crate) fn new_queue(key: &AuthPrivateKey, request: Option<QueueRequest>) -> (NewQueue, X25519PrivateKey) {
    let dh = X25519PrivateKey::generate(&mut SystemRandom);
    let new = NewQueue {
        recipient_key: key.public().unwrap(),
        dh_key: dh.public(),
        basic_auth: None,
        subscribe: true,
        request,
        notifier: None,
    };
    (new, dh)
}

/// Creates a queue with a choice of everything.
pub(crate) async fn create_as(
    peer: &mut Peer,
    key: AuthPrivateKey,
    request: Option<QueueRequest>,
    corr_id: CorrId,
    subscribe: bool,
) -> Result<Queue, Error> {
    let (new, dh) = new_queue(&key, request);
    let command = Command::New(Box::new(NewQueue { subscribe, ..new }));
    let transmission = peer.encode(&corr_id, &EntityId::default(), &command, Some(&key));
    peer.send_transmissions(&[transmission]).await;
    match peer.response(Sent { corr_id, entity_id: EntityId::default() }).await {
        Response::Ids(ids) => Ok(Queue {
            recipient_id: ids.recipient_id,
            sender_id: ids.sender_id,
            link_id: ids.link_id,
            secret: dh.agree(&ids.dh_key),
            key,
        }),
        Response::Err(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// Creates a queue and subscribes to it.
pub(crate) async fn create(peer: &mut Peer, request: QueueRequest) -> Queue {
    create_as(peer, ed25519(), Some(request), CorrId::random(&mut SystemRandom), true).await.unwrap()
}

pub(crate) async fn messaging(peer: &mut Peer) -> Queue {
    create(peer, QueueRequest::Messaging(None)).await
}

pub(crate) async fn contact(peer: &mut Peer) -> Queue {
    create(peer, QueueRequest::Contact(None)).await
}

/// A queue that nobody is subscribed to.
pub(crate) async fn unsubscribed(peer: &mut Peer) -> Queue {
    let request = Some(QueueRequest::Messaging(None));
    create_as(peer, ed25519(), request, CorrId::random(&mut SystemRandom), false).await.unwrap()
}

/// A messaging queue with link data, created in one step.
pub(crate) async fn invitation(peer: &mut Peer, data: LinkData) -> Queue {
    let corr_id = CorrId::random(&mut SystemRandom);
    let request = QueueRequest::Messaging(Some((SenderId::from_corr_id(&corr_id), data)));
    create_as(peer, ed25519(), Some(request), corr_id, true).await.unwrap()
}

/// A contact queue with link data under a link ID of its own, created in one step.
pub(crate) async fn contact_link(peer: &mut Peer, data: LinkData) -> Queue {
    let (corr_id, link_id) = (CorrId::random(&mut SystemRandom), LinkId::random(&mut SystemRandom));
    let request = QueueRequest::Contact(Some((link_id, SenderId::from_corr_id(&corr_id), data)));
    create_as(peer, ed25519(), Some(request), corr_id, true).await.unwrap()
}

pub(crate) fn link_data(fixed: u8, user: u8) -> LinkData {
    LinkData { fixed: vec![fixed; 2048], user: vec![user; 13_000] }
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    random::array(&mut SystemRandom)
}

pub(crate) const AUTH: Response = Response::Err(Error::Auth);
