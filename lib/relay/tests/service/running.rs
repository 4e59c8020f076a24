//! A server and relays in this process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::connection::keep::Keep as _;
use agent::non_empty::NonEmpty;
use agent::short_link::ContactShortLink;
use agent::time::Time;
use crypto::sign::Ed25519PrivateKey;
use group::relay::{RelayIdentity, RelaySettings};
use group::user_data::RelayProfile;
use net::SharedRandom;
use net::agent::AgentOptions;
use net::handshake::ConnectOptions;
use net::identity::{Algorithm, CertificateAuthority, ServerIdentity};
use net::steady::{Backoff, SteadyOptions};
use net::tls::{Acceptor, Connector};
use relay::config::{Clock, Config, PolicyProgram};
use relay::service::{Handle, RelayService, ServiceError, StartError};
use relay::store::RelayStore;
use smp::address::ServerWithPassword;
use smp_server::random::SystemRandom;
use smp_server::sqlite::SqliteStore;
use smp_server::state::State;
use store::connections::Connections;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Nothing that a test waits for takes so long; a test that hits it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// The time, and what a test adds to it.
#[derive(Clone, Default)]
pub(crate) struct Shifted(Arc<AtomicU64>);

impl Shifted {
    pub(crate) fn clock(&self) -> Clock {
        let shift = self.0.clone();
        Arc::new(move || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
            Time::from_millis(since + shift.load(Ordering::SeqCst))
        })
    }

    pub(crate) fn pass(&self, duration: Duration) {
        self.0.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
    }
}

/// An SMP server.
pub(crate) struct Server {
    pub(crate) address: ServerWithPassword,
    _folder: tempfile::TempDir,
    _task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(smp_server::config::Config::default()).await
    }

    pub(crate) async fn start_with(config: smp_server::config::Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = identity();
        let fingerprint = codec::text::base64url(identity.fingerprint());
        let store = Arc::new(SqliteStore::open(&folder.path().join("smp.sqlite")).unwrap());
        let config = smp_server::config::Config { event_delay: Duration::ZERO, ..config };
        let state = State::load(store, config).unwrap();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = format!("smp://{fingerprint}@{}", listener.local_addr().unwrap()).parse().unwrap();
        let acceptor = Acceptor::new(identity).unwrap();
        let task = tokio::spawn(smp_server::server::serve(listener, acceptor, state, std::future::pending()));
        Server { address, _folder: folder, _task: task }
    }
}

fn identity() -> ServerIdentity {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let authority = CertificateAuthority::create(Algorithm::Ed25519, now - 60, &mut SystemRandom).unwrap();
    authority.identity("127.0.0.1", now - 60, &mut SystemRandom).unwrap()
}

pub(crate) fn options() -> AgentOptions {
    let backoff = Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(200) };
    let connect = ConnectOptions { timeout: Duration::from_secs(10), ..Default::default() };
    let steady = SteadyOptions { connect, backoff, ..Default::default() };
    AgentOptions { steady, keep_backoff: backoff, ..AgentOptions::default() }
}

/// A relay that can be stopped and started again.
pub(crate) struct TestRelay {
    pub(crate) config: Config,
    pub(crate) clock: Shifted,
    folder: tempfile::TempDir,
    running: Option<Running>,
}

struct Running {
    handle: Handle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServiceError>>,
    others: Vec<JoinHandle<()>>,
    http: SocketAddr,
}

impl TestRelay {
    pub(crate) async fn start(server: &Server, change: impl FnOnce(&mut RelaySettings)) -> Self {
        let profile =
            RelayProfile { display_name: "Relay".to_owned(), full_name: String::new(), short_descr: None, image: None };
        let address_key = Ed25519PrivateKey::generate(&mut SystemRandom).into();
        let mut relay = Self::prepare(address_key, server, profile, change);
        relay.run().await;
        relay
    }

    fn prepare(
        address_key: group::relay::AddressKey,
        server: &Server,
        profile: RelayProfile,
        change: impl FnOnce(&mut RelaySettings),
    ) -> Self {
        let mut settings = RelaySettings::new(NonEmpty::one(server.address.clone()));
        change(&mut settings);
        let config = Config {
            identity: RelayIdentity { address_key, profile, credentials: None },
            settings,
            // Nearly every connection is forgotten whenever it may be.
            agent: AgentOptions { idle: 1, ..options() },
            policy: None,
            events: None,
            log_kept: Duration::from_secs(86_400),
            drain_timeout: Duration::from_secs(5),
            observer: relay::observe::Observer::none(),
        };
        TestRelay { config, clock: Shifted::default(), folder: tempfile::tempdir().unwrap(), running: None }
    }

    /// A relay whose server does not let it make its address; why it ended.
    pub(crate) async fn refused(server: &Server) -> ServiceError {
        let profile =
            RelayProfile { display_name: "Relay".to_owned(), full_name: String::new(), short_descr: None, image: None };
        let address_key = Ed25519PrivateKey::generate(&mut SystemRandom).into();
        let relay = Self::prepare(address_key, server, profile, |_| {});
        let store = RelayStore::open(&relay.folder.path().join("relay.sqlite")).unwrap();
        let random = SharedRandom::new(Box::new(SystemRandom));
        let connector = Connector::new().unwrap();
        let started = RelayService::start(relay.config.clone(), store, connector, random, relay.clock.clock());
        in_time(started.await.unwrap().run(std::future::pending())).await.unwrap_err()
    }

    pub(crate) async fn run(&mut self) {
        self.try_run().await.unwrap();
    }

    pub(crate) async fn try_run(&mut self) -> Result<(), StartError> {
        let store = RelayStore::open(&self.folder.path().join("relay.sqlite")).unwrap();
        let random = SharedRandom::new(Box::new(SystemRandom));
        let connector = Connector::new().unwrap();
        let started = RelayService::start(self.config.clone(), store, connector, random, self.clock.clock());
        let mut service = started.await?;
        let (handle, ready) = (service.handle(), service.ready());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(service.run(async move { drop(stopped.await) }));
        in_time(ready).await;
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let http = listener.local_addr().unwrap();
        let web = relay::http::serve(listener, handle.clone(), std::future::pending());
        let orders: UnixListener = relay::control::bind(&self.control()).unwrap();
        let control = relay::control::serve(orders, handle.clone(), std::future::pending());
        let others = vec![tokio::spawn(async { web.await.unwrap() }), tokio::spawn(control)];
        self.running = Some(Running { handle, stop, task, others, http });
        Ok(())
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.running.as_ref().unwrap().http
    }

    pub(crate) fn address(&self) -> ContactShortLink {
        self.running.as_ref().unwrap().handle.address().parse().unwrap()
    }

    /// The names of the connections that a relay which does not run has kept.
    pub(crate) async fn connections(&self) -> Vec<String> {
        let listed = self.kept().list().await.unwrap();
        let mut names: Vec<String> = listed.iter().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// How many requests wait at its addresses.
    pub(crate) async fn requests(&self) -> usize {
        let kept = self.kept();
        let ids = kept.list().await.unwrap();
        let records = kept.load(ids).await.unwrap();
        let waiting = |records: Vec<_>| agent::connection::Connection::load(records).unwrap().pending();
        let events = records.into_iter().flat_map(waiting);
        events.filter(|event| matches!(event, agent::connection::Event::Requested(_))).count()
    }

    fn kept(&self) -> Connections {
        RelayStore::open(&self.folder.path().join("relay.sqlite")).unwrap().connections().unwrap()
    }

    /// Ends in good order.
    pub(crate) async fn stop(&mut self) {
        let Running { handle, stop, task, others, .. } = self.running.take().unwrap();
        others.iter().for_each(JoinHandle::abort);
        for other in others {
            let _ = other.await;
        }
        drop(handle);
        drop(stop);
        in_time(task).await.unwrap().unwrap();
    }

    /// As if its process were killed: nothing more is done.
    pub(crate) async fn kill(&mut self) {
        let Running { handle, task, others, .. } = self.running.take().unwrap();
        others.iter().for_each(JoinHandle::abort);
        task.abort();
        for other in others {
            let _ = other.await;
        }
        let _ = task.await;
        drop(handle);
        // The agent's task ends with its last handle, and lets go of the file.
        in_time(async {
            while RelayStore::open(&self.folder.path().join("relay.sqlite")).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Makes the relay notice that time has passed.
    pub(crate) async fn pass(&mut self, duration: Duration) {
        self.clock.pass(duration);
        self.stop().await;
        self.run().await;
    }

    pub(crate) fn with_policy(&mut self, script: &str, timeout: Duration) {
        let path = self.folder.path().join("policy");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, mode).unwrap();
        self.config.policy = Some(PolicyProgram { path, timeout });
    }
}
