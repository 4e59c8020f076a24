//! The life of the server: accept within limits, serve, drain.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crypto::dh::X25519PrivateKey;
use net::handshake::{AcceptOptions, accept};
use net::tls::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::connection;
use crate::connections::{Connections, Place};
use crate::expire;
use crate::outbox::Outbox;
use crate::random::SystemRandom;
use crate::state::State;

/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves clients until `shutdown` resolves, then lets connections finish what they began.
pub async fn serve(listener: TcpListener, acceptor: Acceptor, state: Arc<State>, shutdown: impl Future<Output = ()>) {
    let connections = Connections::new(state.config.limits);
    let mut background = JoinSet::new();
    background.spawn(state.clone().watch_store());
    background.spawn(expire::messages(state.clone()));
    background.spawn(expire::connections(state.clone(), connections.clone()));
    let events = state.clone();
    background.spawn(async move { events.events.run().await });

    let mut tasks = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => match connections.admit(peer.ip()) {
                    Some(place) => {
                        tasks.spawn(connect(tcp, acceptor.clone(), state.clone(), place));
                    }
                    None => state.metrics.refused.add(1),
                },
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    connections.close();
    drain(tasks, state.config.drain_timeout).await;
    background.shutdown().await;
}

/// A client that went away before it was accepted is no reason to wait.
async fn pause_after(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Waits for connections to end; those that take too long are cut.
async fn drain(mut tasks: JoinSet<()>, patience: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_err() {
        tasks.shutdown().await;
    }
}

async fn connect(tcp: TcpStream, acceptor: Acceptor, state: Arc<State>, mut place: Place) {
    let options = AcceptOptions {
        tls_timeout: state.config.tls_timeout,
        handshake_timeout: state.config.handshake_timeout,
        versions: state.config.versions,
    };
    let session_key = X25519PrivateKey::generate(&mut SystemRandom);
    let accepted = tokio::select! {
        biased;
        () = place.closing() => return,
        accepted = accept(tcp, &acceptor, options, session_key) => accepted,
    };
    let connection = match accepted {
        Ok(connection) => connection,
        Err(error) => {
            state.metrics.failed_handshakes.add(1);
            tracing::debug!(%error, "handshake failed");
            return;
        }
    };
    state.metrics.accepted.add(1);
    state.metrics.connections.add(1);
    let (outbox, outgoing) = Outbox::new(state.config.clock.now());
    place.occupy(outbox.clone());
    connection::serve(state.clone(), connection, outbox, outgoing).await;
    state.metrics.connections.subtract(1);
}
