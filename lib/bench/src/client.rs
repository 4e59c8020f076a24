//! How measurements talk to a server: over connections of their own, with randomness from fixed seeds.

use crypto::SeededRandom;
use crypto::authorize::AuthPublicKey;
use crypto::dh::X25519PrivateKey;
use net::client::{Client, ClientOptions, Events};
use net::handshake::{ClientConnection, ConnectOptions, connect};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::command::{NewQueue, QueueRequest};

use crate::Failure;
use crate::server::Server;

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub(crate) async fn open_connection(server: &Server, random: &mut SeededRandom) -> Result<ClientConnection, Failure> {
    let address: ServerAddress = server.address().parse()?;
    let key = X25519PrivateKey::generate(random);
    Ok(connect(&address, &Connector::new()?, ConnectOptions::default(), key).await?)
}

pub(crate) async fn start_client(server: &Server, random: &mut SeededRandom) -> Result<(Client, Events), Failure> {
    let connection = open_connection(server, random).await?;
    Ok(Client::start(connection, ClientOptions::default(), Box::new(SeededRandom::new(&[3; 32], "commands"))))
}

/// A messaging queue without anything special.
pub(crate) fn messaging_queue(recipient_key: AuthPublicKey, random: &mut SeededRandom) -> NewQueue {
    NewQueue {
        recipient_key,
        dh_key: X25519PrivateKey::generate(random).public(),
        basic_auth: None,
        subscribe: false,
        request: Some(QueueRequest::Messaging(None)),
        notifier: None,
    }
}
