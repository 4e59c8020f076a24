//! From the first start to the last: what an operator sees of the process.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use net::client::{Client, ClientError};
use serde_json::Value;
use store::rusqlite::Connection;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::client::{Queue, dial, pushed};
use crate::server::{Ended, Place, Server, soon};

#[tokio::test]
async fn the_ready_line_is_one_line_and_says_where() {
    let place = Place::new();
    let server = place.start(&["--http", "127.0.0.1:0", "--host", "smp.example.org,127.0.0.1"]).await;
    let port = server.address.port().unwrap();
    assert_eq!(server.ready["type"], "listening");
    assert_eq!(server.ready["listen"], format!("127.0.0.1:{port}"));
    assert_eq!(server.ready["queues"], 0);
    let key_hash = server.address.key_hash();
    assert_eq!(server.ready["address"], format!("smp://{key_hash}@smp.example.org,127.0.0.1:{port}"));
    assert!(server.ready["http"].as_str().unwrap().starts_with("127.0.0.1:"));
    server.signal("TERM").await;
    assert_eq!(server.ended().await.1, "", "more on stdout");
}

#[tokio::test]
async fn a_start_keeps_the_address_and_the_queues_of_the_one_before() {
    // Nobody else uses this address, so the port will still be free.
    let place = Place::new();
    let server = place.start(&["--listen", "127.0.0.77:0"]).await;
    let first = server.address.clone();
    let (client, _events) = dial(&first).await.unwrap();
    let queue = Queue::create(&client).await.unwrap();
    queue.send(&client, b"kept".to_vec()).await.unwrap();
    server.signal("TERM").await;
    server.ended().await;

    for file in ["ca.key", "ca.crt", "server.key", "server.crt", "fingerprint"] {
        let mode = fs::metadata(place.path("identity").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let port = first.port().unwrap();
    let server = place.start(&["--listen", &format!("127.0.0.77:{port}")]).await;
    assert_eq!((&server.address, &server.ready["queues"]), (&first, &Value::from(1)));
    let (client, mut events) = dial(&server.address).await.unwrap();
    queue.subscribe(&client).await.unwrap();
    assert_eq!(queue.decrypt(&pushed(&mut events).await.unwrap()).unwrap(), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_and_sigint_answer_what_was_begun_and_say_which_it_was() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let place = Place::new();
        let server = place.start(&[]).await;
        let (client, mut events) = dial(&server.address).await.unwrap();
        let queue = Arc::new(Queue::create(&client).await.unwrap());
        let first = client.submit(queue.sending(body(0))).await.unwrap();
        let rest = tokio::spawn(send_until_closed(client.clone(), queue.clone()));
        first.response().await.unwrap();
        server.signal(signal).await;
        assert_eq!(server.ended().await.0.code(), Some(code));
        assert!(soon("goodbye", events.next()).await.is_none());

        let answered = 1 + soon("answers", rest).await.unwrap();
        println!("SIG{signal}: {answered} answered");
        assert_eq!(received(&place, &queue).await, (0..answered).collect::<Vec<_>>(), "stored and not answered");
    }
}

/// How many messages, after the first one, were answered; always the first ones of those sent.
async fn send_until_closed(client: Client, queue: Arc<Queue>) -> u8 {
    let mut answers = Vec::new();
    for number in 1..100 {
        answers.extend(client.submit(queue.sending(body(number))).await.ok());
    }
    let mut answered = 0;
    for (number, answer) in (0..).zip(answers) {
        match answer.response().await {
            Ok(_) => answered += 1,
            Err(ClientError::NotSent | ClientError::OutcomeUnknown) => continue,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(answered, number + 1, "answered after one that was not");
    }
    answered
}

/// Long, so that many of them are on their way when the server stops.
fn body(number: u8) -> Vec<u8> {
    vec![number; 16_000]
}

/// The first byte of every message that a queue holds.
async fn received(place: &Place, queue: &Queue) -> Vec<u8> {
    let server = place.start(&[]).await;
    let (client, mut events) = dial(&server.address).await.unwrap();
    queue.subscribe(&client).await.unwrap();
    let mut numbers = Vec::new();
    if client.describe(&queue.recipient_id, &queue.recipient_key).await.unwrap().size > 0 {
        let mut next = pushed(&mut events).await;
        while let Some(message) = next {
            numbers.push(queue.decrypt(&message).unwrap()[0]);
            next = queue.acknowledge(&client, &message).await.unwrap();
        }
    }
    numbers
}

#[tokio::test]
async fn clients_that_have_not_said_hello_do_not_hold_up_the_end() {
    let place = Place::new();
    let server = place.start(&["--drain-timeout", "100000"]).await;
    let mut silent = TcpStream::connect(("127.0.0.1", server.address.port().unwrap())).await.unwrap();
    dial(&server.address).await.unwrap().0.ping().await.unwrap();
    server.signal("TERM").await;
    assert_eq!(server.ended().await.0.code(), Some(143));
    assert_eq!(soon("the end of a connection", silent.read(&mut [0])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_closed_stdout_does_not_stop_the_server() {
    let place = Place::new();
    let mut server = place.start(&[]).await;
    server.close_stdout();
    let (client, _events) = dial(&server.address).await.unwrap();
    Queue::create(&client).await.unwrap();
    server.signal("TERM").await;
    assert_eq!(server.ended().await.0.code(), Some(143));
}

#[tokio::test]
async fn metrics_and_health_are_served() {
    let place = Place::new();
    let server = place.start(&["--http", "127.0.0.1:0"]).await;
    let (client, _events) = dial(&server.address).await.unwrap();
    Queue::create(&client).await.unwrap();
    assert!(server.page("/health").await.starts_with("HTTP/1.1 200"));
    let metrics = server.page("/metrics").await;
    assert!(metrics.contains("\nsmp_queues 1\n"), "{metrics}");
    assert!(server.page("/").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_store_has_one_server() {
    let place = Place::new();
    let server = place.start(&[]).await;
    refused(&place.run(&["--identity", "other"]).await, "queues.sqlite is in use by another process");
    assert!(!place.path("other").exists());
    dial(&server.address).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_left_alone() {
    let place = Place::new();
    stop(place.start(&[]).await).await;
    change(&place.path("queues.sqlite"), "user_version", 99);
    refused(&place.run(&[]).await, "schema version 99, this version knows up to");
    let database = Connection::open(place.path("queues.sqlite")).unwrap();
    assert_eq!(database.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0)).unwrap(), 99);
}

#[tokio::test]
async fn a_file_of_another_program_is_left_alone() {
    let place = Place::new();
    stop(place.start(&[]).await).await;
    change(&place.path("queues.sqlite"), "application_id", 1);
    refused(&place.run(&[]).await, "the file is not one of ours");
    fs::write(place.path("queues.sqlite"), "dear diary\n".repeat(1000)).unwrap();
    refused(&place.run(&[]).await, "not a database");
    assert!(fs::read(place.path("queues.sqlite")).unwrap().starts_with(b"dear diary"));
}

#[tokio::test]
async fn an_identity_that_is_not_the_one_in_the_address_is_refused() {
    let place = Place::new();
    stop(place.start(&[]).await).await;
    fs::write(place.path("identity").join("fingerprint"), format!("{}=\n", "A".repeat(43))).unwrap();
    refused(&place.run(&[]).await, "does not have the fingerprint in");
}

#[tokio::test]
async fn a_port_has_one_server() {
    let (place, other) = (Place::new(), Place::new());
    let server = place.start(&[]).await;
    let taken = other.run(&["--listen", server.ready["listen"].as_str().unwrap()]).await;
    refused(&taken, "error[port_taken]");
}

async fn stop(server: Server) -> ExitStatus {
    server.signal("TERM").await;
    server.ended().await.0
}

fn change(database: &Path, pragma: &str, value: i32) {
    Connection::open(database).unwrap().pragma_update(None, pragma, value).unwrap();
}

/// A local problem, told in one line, and nothing that could be mistaken for a server.
fn refused(ended: &Ended, reason: &str) {
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(4), ""));
}
