//! Commands: `command` and `command_decode` of `transmissions.json`.

use serde_json::Value;
use smp::address::{Host, KeyHash, ServerAddress};
use smp::command::{
    BasicAuth, Command, ForwardedTransmission, LinkData, MessageFlags, NewQueue, NotifierKeys, QueueRequest,
};
use smp::error::Error;
use smp::id::{LinkId, MessageId, SenderId};

use crate::support::{VERSIONS, array, auth_public, dh_public};
use crate::vectors::{each, hex, number};

const FILE: &str = "transmissions.json";

fn link_data(value: &Value) -> LinkData {
    LinkData { fixed: hex(&value["enc_fixed"]), user: hex(&value["enc_user"]) }
}

fn notifier_keys(value: &Value) -> NotifierKeys {
    NotifierKeys { auth_key: auth_public(&value["ntf_auth_key"]), dh_key: dh_public(&value["ntf_dh_key"]) }
}

fn basic_auth(value: &Value) -> Option<BasicAuth> {
    value["basic_auth"].as_str().map(|password| BasicAuth::new(password).unwrap())
}

fn link_id(value: &Value) -> LinkId {
    LinkId::new(hex(&value["link_id"])).unwrap()
}

fn sender_id(value: &Value) -> SenderId {
    SenderId::new(hex(&value["sender_id"])).unwrap()
}

fn queue_request(value: &Value) -> Option<QueueRequest> {
    let link = Some(&value["link"]).filter(|link| !link.is_null());
    Some(match value["mode"].as_str()? {
        "M" => QueueRequest::Messaging(link.map(|link| (sender_id(link), link_data(link)))),
        _ => QueueRequest::Contact(link.map(|link| (link_id(link), sender_id(link), link_data(link)))),
    })
}

fn new_queue(value: &Value) -> NewQueue {
    NewQueue {
        recipient_key: auth_public(&value["rcv_auth_key"]),
        dh_key: dh_public(&value["rcv_dh_key"]),
        basic_auth: basic_auth(value),
        subscribe: value["sub_mode"] == "S",
        request: queue_request(&value["queue_req"]),
        notifier: Some(&value["ntf_creds"]).filter(|keys| !keys.is_null()).map(notifier_keys),
    }
}

fn relay_address(value: &Value) -> ServerAddress {
    let hosts = value["hosts"].as_array().unwrap().iter().map(|host| host.as_str().unwrap().parse::<Host>().unwrap());
    let port = value["port"].as_str().unwrap().parse().ok();
    ServerAddress::new(hosts.collect(), port, KeyHash::from(array(&value["fingerprint"]))).unwrap()
}

/// The command that a vector describes.
fn command(value: &Value) -> Command {
    match value["tag"].as_str().unwrap() {
        "NEW" => Command::New(Box::new(new_queue(value))),
        "SUB" => Command::Sub,
        "SUBS" => Command::Subs,
        "KEY" => Command::Key(auth_public(&value["key"])),
        "RKEY" => Command::Rkey(value["keys"].as_array().unwrap().iter().map(auth_public).collect()),
        "LSET" => Command::Lset(link_id(value), link_data(value)),
        "LDEL" => Command::Ldel,
        "NKEY" => Command::Nkey(notifier_keys(value)),
        "NDEL" => Command::Ndel,
        "GET" => Command::Get,
        "ACK" => Command::Ack(MessageId::new(hex(&value["msg_id"])).unwrap()),
        "OFF" => Command::Off,
        "DEL" => Command::Del,
        "QUE" => Command::Que,
        "SKEY" => Command::Skey(auth_public(&value["key"])),
        "SEND" => Command::Send(MessageFlags { notify: value["notify"] == true }, hex(&value["body"])),
        "PING" => Command::Ping,
        "LKEY" => Command::Lkey(auth_public(&value["key"])),
        "LGET" => Command::Lget,
        "NSUB" => Command::Nsub,
        "NSUBS" => Command::Nsubs,
        "PRXY" => Command::Prxy(relay_address(value), basic_auth(value)),
        "PFWD" => Command::Pfwd(ForwardedTransmission {
            version: number(&value["version"]),
            command_key: dh_public(&value["command_key"]),
            sealed: hex(&value["enc_t"]),
        }),
        "RFWD" => Command::Rfwd(hex(&value["enc_fwd"])),
        other => panic!("unknown command {other}"),
    }
}

/// What is left of a command for a peer that speaks `version`.
fn at_version(command: Command, version: u16) -> Command {
    match command {
        Command::New(new) if version < 17 => Command::New(Box::new(NewQueue { notifier: None, ..*new })),
        other => other,
    }
}

#[test]
fn commands_have_the_bytes_of_the_reference_at_every_version() {
    each(FILE, "command", |vector| {
        let command = command(vector.at("/in"));
        assert_eq!(command.tag(), vector.text("/in/tag"));
        for version in VERSIONS {
            let bytes = command.to_bytes(version);
            assert_eq!(hex::encode(&bytes), vector.text(&format!("/out/{version}")), "at version {version}");
            assert_eq!(Command::decode(version, &bytes), Ok(at_version(command.clone(), version)));
        }
    });
}

#[test]
fn commands_are_read_or_refused_as_the_reference_does() {
    each(FILE, "command_decode", |vector| {
        let version = vector.number("/in/version");
        match Command::decode(version, &vector.hex("/in/bytes")) {
            Ok(command) => {
                assert_eq!(vector.error(), None);
                assert_eq!(command.to_bytes(version), vector.hex("/out/bytes"));
            }
            Err(error) => assert_eq!(Some(Error::from(error).to_string().as_str()), vector.error()),
        }
    });
}
