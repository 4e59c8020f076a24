//! Responses and errors: `broker_message` and `broker_decode` of `transmissions.json`.

use codec::VersionRange;
use crypto::Nonce;
use serde_json::Value;
use smp::command::LinkData;
use smp::error::{BlockingInfo, BlockingReason, BrokerError, ClientNotice, Error, NetworkError, ProxyError};
use smp::id::{LinkId, MessageId, NotifierId, RecipientId, SenderId, ServiceId};
use smp::queue_address::QueueMode;
use smp::response::{NotifierCredentials, QueueIds, RelaySession, Response};

use crate::support::{VERSIONS, array, dh_public};
use crate::vectors::{each, hex, number};

const FILE: &str = "transmissions.json";

fn some(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| !value.is_null())
}

fn notifier(value: &Value) -> NotifierCredentials {
    NotifierCredentials {
        notifier_id: NotifierId::new(hex(&value["notifier_id"])).unwrap(),
        dh_key: dh_public(&value["srv_ntf_dh_key"]),
    }
}

fn sender_id(value: &Value) -> SenderId {
    SenderId::new(hex(&value["sender_id"])).unwrap()
}

fn service_id(value: &Value) -> Option<ServiceId> {
    some(&value["service_id"]).map(|id| ServiceId::new(hex(id)).unwrap())
}

fn queue_ids(value: &Value) -> QueueIds {
    QueueIds {
        recipient_id: RecipientId::new(hex(&value["recipient_id"])).unwrap(),
        sender_id: sender_id(value),
        dh_key: dh_public(&value["srv_dh_key"]),
        mode: some(&value["mode"]).map(|mode| QueueMode::from_letter(mode.as_str().unwrap().as_bytes()[0]).unwrap()),
        link_id: some(&value["link_id"]).map(|id| LinkId::new(hex(id)).unwrap()),
        service_id: service_id(value),
        notifier: some(&value["srv_ntf"]).map(notifier),
    }
}

fn relay_session(value: &Value) -> RelaySession {
    let range = &value["version_range"];
    RelaySession {
        session_id: hex(&value["session_id"]),
        versions: VersionRange::new(number(&range[0]), number(&range[1])).unwrap(),
        certificates: value["cert_chain"].as_array().unwrap().iter().map(hex).collect(),
        signed_key: hex(&value["signed_key"]),
    }
}

/// The error that a vector names in words; what is not listed is named as it is on the wire.
fn error(words: &str) -> Error {
    let blocked = |reason, notice| Error::Blocked(BlockingInfo { reason, notice });
    let broker = |error| Error::Proxy(Box::new(ProxyError::Broker(error)));
    match words {
        "BLOCKED spam" => blocked(BlockingReason::Spam, None),
        "BLOCKED content notice indefinite" => blocked(BlockingReason::Content, Some(ClientNotice { ttl: None })),
        "BLOCKED content notice ttl 86400" => {
            blocked(BlockingReason::Content, Some(ClientNotice { ttl: Some(86_400) }))
        }
        "PROXY BROKER RESPONSE \"bad\"" => broker(BrokerError::Response("bad".into())),
        "PROXY BROKER UNEXPECTED \"PONG x\"" => broker(BrokerError::Unexpected("PONG x".into())),
        "PROXY BROKER NETWORK (detail dropped)" => broker(BrokerError::Network(Some(NetworkError::Failed))),
        plain => Error::decode(plain.as_bytes()).unwrap(),
    }
}

/// The response that a vector describes.
fn response(value: &Value) -> Response {
    match value["tag"].as_str().unwrap() {
        "IDS" => Response::Ids(Box::new(queue_ids(value))),
        "LNK" => {
            let data = LinkData { fixed: hex(&value["enc_fixed"]), user: hex(&value["enc_user"]) };
            Response::Lnk(sender_id(value), data)
        }
        "SOK" => Response::Sok(service_id(value)),
        "SOKS" => Response::Soks(number(&value["count"])),
        "MSG" => Response::Msg(MessageId::new(hex(&value["msg_id"])).unwrap(), hex(&value["enc_body"])),
        "NID" => Response::Nid(notifier(value)),
        "NMSG" => Response::Nmsg(Nonce(array(&value["nonce"])), hex(&value["enc_meta"])),
        "PKEY" => Response::Pkey(Box::new(relay_session(value))),
        "RRES" => Response::Rres(hex(&value["enc_res"])),
        "PRES" => Response::Pres(hex(&value["enc_r"])),
        "END" => Response::End,
        "ENDS" => Response::Ends(number(&value["count"])),
        "DELD" => Response::Deld,
        "OK" => Response::Ok,
        "PONG" => Response::Pong,
        "INFO" => Response::Info(serde_json::from_value(value["info"].clone()).unwrap()),
        "ERR" => Response::Err(error(value["error"].as_str().unwrap())),
        other => panic!("unknown response {other}"),
    }
}

/// What a peer that speaks `version` reads.
fn at_version(response: Response, version: u16) -> Response {
    match response {
        Response::Sok(_) if version < 16 => Response::Ok,
        Response::Ids(ids) => {
            let service_id = ids.service_id.clone().filter(|_| version >= 16);
            let notifier = ids.notifier.clone().filter(|_| version >= 17);
            Response::Ids(Box::new(QueueIds { service_id, notifier, ..*ids }))
        }
        Response::Err(Error::Blocked(info)) => {
            Response::Err(Error::Blocked(BlockingInfo { notice: info.notice.filter(|_| version >= 18), ..info }))
        }
        Response::Err(Error::Proxy(error)) => Response::Err(Error::Proxy(Box::new(match *error {
            ProxyError::Broker(BrokerError::Network(_)) => ProxyError::Broker(BrokerError::Network(None)),
            other => other,
        }))),
        other => other,
    }
}

#[test]
fn responses_have_the_bytes_of_the_reference_at_every_version() {
    each(FILE, "broker_message", |vector| {
        let response = response(vector.at("/in"));
        for version in VERSIONS {
            let bytes = response.to_bytes(version);
            assert_eq!(hex::encode(&bytes), vector.text(&format!("/out/{version}")), "at version {version}");
            assert_eq!(Response::decode(version, &bytes), Ok(at_version(response.clone(), version)));
        }
    });
}

#[test]
fn errors_are_shown_as_the_vectors_name_them() {
    each(FILE, "broker_message", |vector| {
        let Response::Err(error) = response(vector.at("/in")) else { return };
        let named = vector.text("/in/error");
        let ours = error.to_string();
        let same = ours == named || named == "PROXY BROKER NETWORK (detail dropped)";
        assert!(same || matches!(error, Error::Blocked(_)), "{ours} for {named}");
    });
}

#[test]
fn responses_are_read_or_refused_as_the_reference_does() {
    each(FILE, "broker_decode", |vector| {
        let version = vector.number("/in/version");
        match Response::decode(version, &vector.hex("/in/bytes")) {
            Ok(response) => {
                assert_eq!(vector.error(), None);
                assert_eq!(hex::encode(response.to_bytes(version)), vector.text("/out/bytes"));
            }
            Err(error) => assert_eq!(Some(Error::from(error).to_string().as_str()), vector.error()),
        }
    });
}
