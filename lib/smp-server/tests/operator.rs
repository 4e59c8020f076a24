//! What operators see: metrics, health, and the control socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::future::pending;

use codec::text::base64url;
use smp::command::Command;
use smp::error::{BlockingInfo, BlockingReason, Error};
use smp::response::Response;
use smp_server::{control, http};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use support::{Server, in_time, messaging};

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    in_time(stream.read_to_string(&mut response)).await.unwrap();
    response
}

#[tokio::test]
async fn metrics_count_and_health_is_ok() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = tokio::spawn(http::serve(listener, server.state.clone(), pending()));
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    assert_eq!(queue.send(&mut peer, b"hello").await, Response::Ok);
    let message = queue.pushed(&mut peer).await;
    assert_eq!(queue.ack(&mut peer, &message.id).await, Response::Ok);
    assert_eq!(queue.ack(&mut peer, &message.id).await, Response::Err(Error::NoMessage));

    let metrics = get(address, "/metrics").await;
    for line in [
        "smp_connections 1",
        "smp_queues 1",
        "smp_serving 1",
        "smp_messages_received_total 1",
        "smp_messages_delivered_total 1",
        "smp_messages_acknowledged_total 1",
        "smp_commands_total{command=\"ACK\"} 2",
        "smp_commands_total{command=\"SUB\"} 0",
        "smp_errors_total{error=\"NO_MSG\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert!(!metrics.contains(&base64url(queue.recipient_id.as_bytes())));
    let health = get(address, "/health").await;
    assert!(health.starts_with("HTTP/1.1 200 OK") && health.ends_with("ok\n"), "{health}");
    assert!(get(address, "/else").await.starts_with("HTTP/1.1 404"));
    http.abort();
}

#[tokio::test]
async fn the_operator_blocks_and_unblocks_through_the_control_socket() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    let state = server.state.clone();
    let listener = control::bind(&path).unwrap();
    let control = tokio::spawn(async move { control::serve(listener, state, pending()).await });
    let mut operator = BufReader::new(UnixStream::connect(&path).await.unwrap());
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let id = base64url(queue.sender_id.as_bytes());
    let mut says = async |command: String| {
        operator.get_mut().write_all(command.as_bytes()).await.unwrap();
        let mut answer = String::new();
        in_time(operator.read_line(&mut answer)).await.unwrap();
        answer
    };
    assert_eq!(says(format!("block {id} spam\n")).await, "ok\n");
    let blocked = Response::Err(Error::Blocked(BlockingInfo { reason: BlockingReason::Spam, notice: None }));
    assert_eq!(peer.event().await.1, blocked);
    assert_eq!(queue.does(&mut peer, Command::Sub).await, blocked);
    assert_eq!(says(format!("unblock {id}\n")).await, "ok\n");
    assert_eq!(queue.does(&mut peer, Command::Sub).await, Response::Sok(None));
    assert_eq!(says("block AAEC spam\n".to_owned()).await, "error: no such queue\n");
    assert!(says("drop everything\n".to_owned()).await.starts_with("error: expected"));
    control.abort();
    // A socket left behind is replaced, a live one is not.
    let _ = control.await;
    let listener = control::bind(&path).unwrap();
    assert!(control::bind(&path).is_err());
    drop(listener);
}
