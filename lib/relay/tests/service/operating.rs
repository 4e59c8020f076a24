//! What an operator sees and does.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use group::event::RejectionReason;
use group::owner::{ActiveStage, RejectedReason, Status};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};

use crate::owner::Owner;
use crate::running::{Server, TestRelay, in_time};

/// Gives an order; every line of the answer.
pub(crate) async fn order(relay: &TestRelay, order: &str) -> Vec<Value> {
    in_time(async {
        let stream = UnixStream::connect(relay.control()).await.unwrap();
        let (read, mut write) = stream.into_split();
        write.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        let mut answer = Vec::new();
        loop {
            let line: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            let last = line.get("ok").is_some();
            answer.push(line);
            if last {
                return answer;
            }
        }
    })
    .await
}

pub(crate) async fn get(relay: &TestRelay, path: &str) -> String {
    let mut stream = TcpStream::connect(relay.http()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    in_time(stream.read_to_string(&mut page)).await.unwrap();
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_36_and_37_the_operator_leaves_a_group_and_allows_it_again() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let mut owner = Owner::new(&server, "Walks").await;
    let confirmed = |owner: &Owner, member| owner.relay(member).active_stage() == Some(ActiveStage::Confirmed);
    let first = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| confirmed(owner, &first)).await;
    let group = owner.machine.link().group().group_id().to_string();

    let said = order(&relay, &format!(r#"{{"command":"suspend","group":"{group}"}}"#)).await;
    assert_eq!(said, [serde_json::json!({"ok": true, "services": [1]})]);
    assert_eq!(order(&relay, r#"{"command":"leave","group":"1"}"#).await.last().unwrap()["ok"], true);
    assert_eq!(order(&relay, r#"{"command":"leave","group":"1"}"#).await.last().unwrap()["code"], "not_now");
    owner.until("the end", |owner| owner.relay(&first).status() == Status::Inactive).await;

    relay.stop().await;
    relay.run().await;
    let second = owner.invite(&relay.address());
    owner.until("a refusal", |owner| owner.relay(&second).status() == Status::Rejected).await;
    let reason = RejectedReason::Refused(RejectionReason::RejoinRejected);
    assert_eq!(owner.relay(&second).reason(), Some(reason.into()));

    let allow = format!(r#"{{"command":"allow","group":"{}"}}"#, owner.group_link());
    assert_eq!(order(&relay, &allow).await.last().unwrap()["ok"], true);
    let third = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| confirmed(owner, &third)).await;

    let log = order(&relay, &format!(r#"{{"command":"log","group":"{group}"}}"#)).await;
    let statuses: Vec<&str> = log.iter().filter_map(|line| line["line"]["status"].as_str()).collect();
    assert!(statuses.starts_with(&["link_created", "accepted"]), "{statuses:?}");
    assert!(statuses.contains(&"rejected") && statuses.contains(&"inactive"), "{statuses:?}");
    let all = order(&relay, r#"{"command":"log"}"#).await;
    assert!(all.len() >= log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_make_no_sense_are_refused_and_only_the_owner_of_the_socket_is_heard() {
    let server = Server::start().await;
    let relay = TestRelay::start(&server, |_| {}).await;
    let mode = std::fs::metadata(relay.control()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for (said, code) in [
        ("leave it", "malformed"),
        (r#"{"command":"dance","group":"1"}"#, "malformed"),
        (r#"{"command":"leave"}"#, "malformed"),
        (r#"{"command":"leave","group":"walks"}"#, "malformed"),
        (r#"{"command":"leave","group":"1"}"#, "unknown"),
    ] {
        let answer = order(&relay, said).await;
        assert_eq!((&answer[0]["ok"], &answer[0]["code"]), (&Value::Bool(false), &Value::from(code)), "{said}");
    }
    assert_eq!(order(&relay, r#"{"command":"log"}"#).await, [serde_json::json!({"ok": true})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_names_as_text() {
    let server = Server::start().await;
    let relay = TestRelay::start(&server, |_| {}).await;
    let mut owner = Owner::new(&server, "<script>alert(1)</script>").await;
    let member = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| owner.relay(&member).active_stage() == Some(ActiveStage::Confirmed)).await;
    let page = get(&relay, "/").await;
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>"), "{page}");
    assert!(page.contains("content-security-policy"));
    assert!(get(&relay, "/health").await.ends_with("ok\n"));
    let metrics = get(&relay, "/metrics").await;
    assert!(metrics.contains("relay_services{status=\"active\"} 1\n"), "{metrics}");
    assert!(metrics.contains("relay_invitations_total 1\n"), "{metrics}");
    assert!(!metrics.contains("alert"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_belongs_to_one_identity() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    relay.config.identity.profile.display_name = "Another name".to_owned();
    relay.stop().await;
    relay.run().await;
    let address = relay.address();
    // What stands behind the address follows the identity.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let group::owner::Outcome::Retrieved(data) = crate::owner::read(&address).await else { panic!("an address") };
        if group::owner::CheckedAddress::check(&address, &data).unwrap().profile().display_name == "Another name" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the old profile stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    relay.stop().await;
    relay.config.identity.address_key = crypto::sign::Ed25519PrivateKey::from_seed([1; 32]).into();
    let refused = relay.try_run().await.err().unwrap();
    assert!(matches!(refused, relay::service::StartError::OtherIdentity), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_server_refuses_its_address_ends() {
    let closed = smp_server::step::new::Admission { closed: true, password: None };
    let server = Server::start_with(smp_server::config::Config { admission: closed, ..Default::default() }).await;
    let ended = TestRelay::refused(&server).await;
    assert!(matches!(ended, relay::service::ServiceError::Address(_)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_operator_stand_behind_the_address() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let credentials = serde_json::json!({"certificate": "of the operator"}).as_object().cloned();
    relay.stop().await;
    relay.config.identity.credentials = credentials.clone();
    relay.run().await;
    let address = relay.address();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let group::owner::Outcome::Retrieved(data) = crate::owner::read(&address).await else { panic!("an address") };
        let read = data.read(&address).unwrap();
        let contents: Value = serde_json::from_slice(read.user().payload().as_bytes()).unwrap();
        if contents["identity"].as_object() == credentials.as_ref() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{contents}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
