//! Reading group links from their servers.
//!
//! Many groups lie on few servers: the connection to a server is kept for a while. What servers return is not believed
//! here; the machine checks it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use group::relay::Outcome;
use net::client::{self, ClientError};
use net::steady::{SteadyClient, SteadyOptions, Unavailable};
use net::tls::Connector;
use net::{Blame, SharedRandom};
use smp::address::ServerAddress;
use smp::error::Error as ServerError;
use smp::id::LinkId;
use tokio::time::Instant;

use crate::observe::{Observed, Observer};

/// Connections that are kept. Anybody who sends invitations names servers.
const KEPT: usize = 64;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Reads links. Cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Shared>);

struct Shared {
    connector: Connector,
    options: SteadyOptions,
    random: SharedRandom,
    observer: Observer,
    clients: Mutex<HashMap<ServerAddress, Kept>>,
}

struct Kept {
    client: SteadyClient,
    used: Instant,
}

impl Links {
    /// Reads links through connections of this kind.
    pub fn new(connector: Connector, options: SteadyOptions, random: SharedRandom, observer: Observer) -> Self {
        Links(Arc::new(Shared { connector, options, random, observer, clients: Mutex::default() }))
    }

    /// What stands behind a link.
    pub async fn read(&self, server: &ServerAddress, link: &LinkId) -> Outcome {
        // Strangers name servers: one that cannot be reached is not waited for.
        let content = match self.client(server).client_unless_failing().await {
            Ok(client) => client.observed_by(self.observer(server)).get_link(link).await,
            Err(error) => return unavailable(&error),
        };
        match content {
            Ok(content) => {
                Outcome::LinkData(Box::new(RetrievedLinkData { sender_id: content.sender_id, data: content.data }))
            }
            Err(ClientError::Refused(ServerError::Auth)) => Outcome::NoLink,
            Err(error) => failed(error.blame(), &error),
        }
    }

    fn observer(&self, server: &ServerAddress) -> client::Observer {
        let (observer, server) = (self.0.observer.clone(), server.clone());
        Arc::new(move |exchange| observer.show(&Observed::Command(&server, exchange)))
    }

    /// The client of a server, which is connected to if it was not before.
    fn client(&self, server: &ServerAddress) -> SteadyClient {
        let now = Instant::now();
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, kept| now.duration_since(kept.used) < IDLE);
        if let Some(kept) = clients.get_mut(server) {
            kept.used = now;
            return kept.client.clone();
        }
        if clients.len() >= KEPT
            && let Some(oldest) = clients.iter().min_by_key(|(_, kept)| kept.used).map(|(server, _)| server.clone())
        {
            clients.remove(&oldest);
        }
        let Shared { connector, options, random, .. } = &*self.0;
        let (client, mut events) =
            SteadyClient::start(server.clone(), connector.clone(), *options, Box::new(random.clone()));
        // Nothing is subscribed to; events only tell how the connection stands.
        tokio::spawn(async move { while events.next().await.is_some() {} });
        clients.insert(server.clone(), Kept { client: client.clone(), used: now });
        client
    }
}

fn unavailable(error: &Unavailable) -> Outcome {
    match error {
        Unavailable::Closed => Outcome::Unreachable,
        error => failed(error.blame(), error),
    }
}

/// Only what may pass by itself is worth another try.
fn failed(blame: Blame, error: &dyn std::error::Error) -> Outcome {
    match blame {
        Blame::Unreachable | Blame::TimedOut => Outcome::Unreachable,
        Blame::Refused | Blame::Protocol | Blame::Version | Blame::Identity | Blame::Caller | Blame::Bug => {
            Outcome::Failed(error.to_string())
        }
    }
}
