//! Syntax and credentials, lines 13 to 23.

use codec::Write as _;
use crypto::authorize::AuthPrivateKey;
use smp::command::{Command, QueueRequest};
use smp::error::{CommandError, Error, ProxyError};
use smp::id::{CorrId, EntityId, MessageId};
use smp::response::Response;
use smp::transmission::ServerTransmission;

use crate::support::{AUTH, Peer, Server, ed25519, messaging, new_queue, send};

fn corr_id() -> CorrId {
    CorrId::from([1; 24])
}

fn some_entity() -> EntityId {
    EntityId::from([2; 24])
}

/// Sends bytes as a command, signed with nothing in particular if `authorized`.
async fn give(peer: &mut Peer, authorized: bool, entity_id: &EntityId, command: &[u8]) -> ServerTransmission {
    let mut transmission = Vec::new();
    if authorized {
        transmission.put_short(&[7; 64]);
        transmission.put(b"0");
    } else {
        transmission.put_short(&[]);
    }
    transmission.put_short(corr_id().as_bytes());
    transmission.put_short(entity_id.as_bytes());
    transmission.put(command);
    peer.exchange(transmission).await
}

fn refusal(entity_id: &EntityId, error: impl Into<Error>) -> ServerTransmission {
    let response = Ok(Response::Err(error.into()));
    ServerTransmission { corr_id: corr_id(), entity_id: entity_id.clone(), response }
}

async fn refused(command: &[u8], error: CommandError) {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let answer = give(&mut peer, true, &some_entity(), command).await;
    assert_eq!(answer, refusal(&some_entity(), error), "{}", String::from_utf8_lossy(command));
}

#[tokio::test]
async fn smp_13_an_unknown_command_is_told_under_its_ids() {
    refused(b"HELLO", CommandError::Unknown).await;
    refused(b"", CommandError::Unknown).await;
}

#[tokio::test]
async fn smp_14_a_response_is_no_command() {
    refused(b"OK", CommandError::Unknown).await;
}

#[tokio::test]
async fn smp_15_a_tag_ends_at_a_space_or_the_end() {
    refused(b"SUB=", CommandError::Unknown).await;
}

#[tokio::test]
async fn smp_16_parameters_must_be_there() {
    for command in ["NEW", "KEY", "ACK", "SEND", "SEND T"] {
        refused(command.as_bytes(), CommandError::Syntax).await;
    }
}

#[tokio::test]
async fn smp_17_surplus_parameters_are_refused() {
    let (new, _) = new_queue(&ed25519(), Some(QueueRequest::Messaging(None)));
    for command in [Command::New(Box::new(new)), Command::Key(ed25519().public().unwrap()), Command::Sub] {
        let mut bytes = command.to_bytes(18);
        bytes.extend(b" surplus");
        refused(&bytes, CommandError::Syntax).await;
    }
}

#[tokio::test]
async fn smp_18_new_wants_an_authorization_and_no_entity() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let new = Command::New(Box::new(new_queue(&ed25519(), None).0)).to_bytes(18);
    let unauthorized = give(&mut peer, false, &EntityId::default(), &new).await;
    assert_eq!(unauthorized, refusal(&EntityId::default(), CommandError::NoAuth));
    let with_entity = give(&mut peer, true, &some_entity(), &new).await;
    assert_eq!(with_entity, refusal(&some_entity(), CommandError::HasAuth));
}

#[tokio::test]
async fn smp_19_recipient_commands_want_authorization_and_entity() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let commands =
        [Command::Sub, Command::Key(ed25519().public().unwrap()), ack(), Command::Off, Command::Del, Command::Que];
    for command in commands.map(|command| command.to_bytes(18)) {
        let unauthorized = give(&mut peer, false, &some_entity(), &command).await;
        assert_eq!(unauthorized, refusal(&some_entity(), CommandError::NoAuth));
        let about_nothing = give(&mut peer, true, &EntityId::default(), &command).await;
        assert_eq!(about_nothing, refusal(&EntityId::default(), CommandError::NoAuth));
    }
}

fn ack() -> Command {
    Command::Ack(MessageId::from([3; 24]))
}

#[tokio::test]
async fn smp_20_send_wants_an_entity() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    for authorized in [true, false] {
        let answer = give(&mut peer, authorized, &EntityId::default(), &send(b"hello").to_bytes(18)).await;
        assert_eq!(answer, refusal(&EntityId::default(), CommandError::NoEntity));
    }
}

#[tokio::test]
async fn smp_21_an_unknown_entity_is_not_authorised_like_any_other() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let key = ed25519();
    for command in [Command::Sub, Command::Key(key.public().unwrap()), ack(), send(b"hello"), Command::Nsub] {
        assert_eq!(peer.command(Some(&key), some_entity(), command).await, AUTH);
    }
    assert_eq!(peer.command(None, some_entity(), send(b"hello")).await, AUTH);
}

#[tokio::test]
async fn smp_22_ping_is_answered_under_its_correlation_id() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let pong = give(&mut peer, false, &EntityId::default(), b"PING").await;
    let expected = ServerTransmission { response: Ok(Response::Pong), ..refusal(&EntityId::default(), Error::Auth) };
    assert_eq!(pong, expected);
    for (authorized, entity_id) in [(true, EntityId::default()), (false, some_entity())] {
        let refused = give(&mut peer, authorized, &entity_id, b"PING").await;
        assert_eq!(refused, refusal(&entity_id, CommandError::HasAuth));
    }
}

#[tokio::test]
async fn smp_23_lget_wants_no_authorization_and_lkey_does() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let lget = give(&mut peer, true, &some_entity(), b"LGET").await;
    assert_eq!(lget, refusal(&some_entity(), CommandError::HasAuth));
    let lkey = Command::Lkey(ed25519().public().unwrap()).to_bytes(18);
    assert_eq!(give(&mut peer, false, &some_entity(), &lkey).await, refusal(&some_entity(), CommandError::NoAuth));
}

/// Commands that wait for a later version, after the checks of credentials that hold for them.
#[tokio::test]
async fn notifier_service_and_proxy_commands_are_refused_as_by_a_server_without_them() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let keys = smp::command::NotifierKeys {
        auth_key: ed25519().public().unwrap(),
        dh_key: crypto::dh::X25519PrivateKey::from_bytes([1; 32]).public(),
    };
    assert_eq!(queue.does(&mut peer, Command::Ndel).await, Response::Ok);
    let prohibited = Response::Err(CommandError::Prohibited.into());
    assert_eq!(queue.does(&mut peer, Command::Nkey(keys.clone())).await, prohibited);
    let stranger = ed25519();
    assert_eq!(peer.command(Some(&stranger), queue.recipient_id.clone(), Command::Nkey(keys)).await, AUTH);
    assert_eq!(peer.command(Some(&stranger), some_entity(), Command::Nsubs).await, Response::Err(Error::Service));
    let proxy = |error| Response::Err(Error::Proxy(Box::new(error)));
    let forwarded = smp::command::ForwardedTransmission {
        version: 18,
        command_key: crypto::dh::X25519PrivateKey::from_bytes([1; 32]).public(),
        sealed: vec![0; 100],
    };
    assert_eq!(peer.command(None, some_entity(), Command::Pfwd(forwarded)).await, proxy(ProxyError::NoSession));
    assert_eq!(peer.command(None, EntityId::default(), Command::Rfwd(vec![0; 100])).await, prohibited);
}

#[tokio::test]
async fn a_service_signature_outside_a_service_session_is_refused() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let signed = peer.encode(&corr_id(), &queue.recipient_id.clone().into(), &Command::Sub, Some(&queue.key));
    assert_eq!(signed[65], b'0');
    let mut with_service = signed[..65].to_vec();
    with_service.put(b"1");
    with_service.put_short(&[9; 64]);
    with_service.extend(&signed[66..]);
    let answer = peer.exchange(with_service).await;
    assert_eq!(answer, refusal(&queue.recipient_id.into(), Error::Service));
}

#[tokio::test]
async fn commands_of_a_block_are_checked_before_any_is_executed_and_answered_in_order() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let sender_key: AuthPrivateKey = ed25519();
    let block: Vec<_> = [
        (queue.recipient_id.clone().into(), Command::Key(sender_key.public().unwrap()), Some(&queue.key)),
        (queue.sender_id.clone().into(), send(b"still checked against the unsecured queue"), None),
        (EntityId::default(), Command::Ping, None),
    ]
    .iter()
    .enumerate()
    .map(|(n, (id, command, key))| peer.encode(&CorrId::from([n as u8; 24]), id, command, *key))
    .collect();
    peer.send_transmissions(&block).await;
    for (number, expected) in [Response::Ok, Response::Ok, Response::Pong].into_iter().enumerate() {
        let answer = loop {
            let received = peer.receive().await;
            if !received.is_event() {
                break received;
            }
        };
        assert_eq!((answer.corr_id, answer.response), (CorrId::from([number as u8; 24]), Ok(expected)));
    }
    assert_eq!(queue.send(&mut peer, b"too late").await, AUTH);
}
