//! Addresses of servers and queues against the published vectors, and what no address may do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use codec::{Decode, Encode, VersionRange};
use crypto::dh::X25519PublicKey;
use proptest::prelude::*;
use serde_json::Value;
use smp::address::{Host, KeyHash, ServerAddress, ServerWithPassword};
use smp::command::BasicAuth;
use smp::id::SenderId;
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode, QueueUri};

const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/encoding.json"));

/// Calls `check` for every vector of `op` and returns how many there were.
fn for_each(op: &str, check: impl Fn(&str, &Value)) -> usize {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors: Vec<&Value> = file["vectors"].as_array().unwrap().iter().filter(|v| v["op"] == op).collect();
    vectors.iter().for_each(|vector| check(vector["name"].as_str().unwrap(), vector));
    vectors.len()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

/// The value expected of a vector: `None` when reading it must fail, or may fail and did.
fn expected<'a, T>(name: &str, vector: &'a Value, read: &Option<T>) -> Option<&'a Value> {
    if vector.get("error").is_some() {
        assert!(read.is_none(), "{name} must be refused");
        return None;
    }
    if read.is_none() {
        assert!(vector["lenient"] == true, "{name} must be read");
        return None;
    }
    Some(&vector["out"])
}

fn kind(host: &Host) -> &'static str {
    match host {
        Host::Ipv4(_) => "ipv4",
        Host::Ipv6(_) => "ipv6",
        Host::Onion(_) => "onion",
        Host::Domain(_) => "domain",
    }
}

fn assert_hosts(name: &str, server: &ServerAddress, expected: &Value) {
    let hosts: Vec<Value> =
        server.hosts().map(|host| serde_json::json!({"kind": kind(host), "text": host.to_plain()})).collect();
    assert_eq!(Value::Array(hosts), *expected, "{name}");
}

fn assert_server(name: &str, server: &ServerAddress, expected: &Value) {
    assert_hosts(name, server, &expected["hosts"]);
    assert_eq!(server.port().map(|port| port.to_string()).unwrap_or_default(), text(&expected["port"]), "{name}");
    assert_eq!(server.key_hash().as_bytes(), bytes(&expected["fingerprint"]), "{name}");
}

fn mode(expected: &Value) -> Option<QueueMode> {
    match expected.as_str() {
        None => None,
        Some("messaging") => Some(QueueMode::Messaging),
        Some("contact") => Some(QueueMode::Contact),
        Some(other) => panic!("queue mode {other}"),
    }
}

fn assert_queue(name: &str, queue: &QueueUri, expected: &Value) {
    let QueueUri { versions, address } = queue;
    assert_eq!(serde_json::json!([versions.min(), versions.max()]), expected["version_range"], "{name}");
    assert_server(name, &address.server, expected);
    assert_eq!(address.sender_id.as_bytes(), bytes(&expected["sender_id"]), "{name}");
    assert_eq!(address.dh_key.as_bytes().as_slice(), bytes(&expected["dh_public"]), "{name}");
    assert_eq!(address.mode, mode(&expected["mode"]), "{name}");
    assert_eq!(queue.to_string(), text(&expected["text"]), "{name}");
    assert_eq!(hex::encode(queue.to_bytes()), text(&expected["binary"]), "{name}");
    for (version, info) in expected["queue_info"].as_object().unwrap() {
        let version = version.trim_start_matches('v').parse().unwrap();
        assert_eq!(hex::encode(queue.at(version).to_bytes()), text(info), "{name} at version {version}");
    }
}

#[test]
fn hosts_match_the_vectors() {
    let count = for_each("host", |name, vector| {
        let host = text(&vector["in"]["text"]).parse::<Host>().ok();
        let Some(out) = expected(name, vector, &host) else { return };
        let host = host.unwrap();
        assert_eq!(kind(&host), text(&out["host"]["kind"]), "{name}");
        assert_eq!(host.to_plain(), text(&out["host"]["text"]), "{name}");
        assert_eq!(host.to_bytes(), bytes(&out["bytes"]), "{name}");
        assert_eq!(Host::decode_all(&host.to_bytes()).unwrap(), host, "{name}");
    });
    assert_eq!(count, 27);
}

#[test]
fn servers_match_the_vectors() {
    let count = for_each("server", |name, vector| {
        let given = text(&vector["in"]["text"]);
        let server = given.parse::<ServerWithPassword>().ok();
        if vector["out"]["scheme"].as_str().is_some_and(|scheme| scheme != "smp") {
            assert!(server.is_none(), "{name} is not the address of an SMP server");
            return;
        }
        let Some(out) = expected(name, vector, &server) else { return };
        let server = server.unwrap();
        assert_server(name, &server.address, out);
        assert_eq!(server.password.as_ref().map(BasicAuth::expose), out["password"].as_str(), "{name}");
        assert_eq!(given.parse::<ServerAddress>().is_ok(), out["accepted_without_password_field"] == true, "{name}");
        assert_eq!(server.address.to_bytes(), bytes(&out["binary"]), "{name}");
        assert_eq!(ServerAddress::decode_all(&bytes(&out["binary"])).unwrap(), server.address, "{name}");
        if server.address.hosts().any(|host| matches!(host, Host::Ipv6(_))) {
            // The reference leaves the brackets out, which makes a port part of the address.
            assert_eq!(server.expose().parse::<ServerWithPassword>().unwrap(), server, "{name}");
        } else {
            assert_eq!(server.expose(), text(&out["text"]), "{name}");
        }
    });
    assert_eq!(count, 21);
}

#[test]
fn queue_uris_match_the_vectors() {
    let count = for_each("queue_uri", |name, vector| {
        let queue = text(&vector["in"]["text"]).parse::<QueueUri>().ok();
        if name == "queue_txt_legacy_preset_host" {
            // The reference adds the onion hosts of six servers to addresses of version 1; readers need not.
            assert_eq!(queue.unwrap().address.server.hosts().count(), 1);
            return;
        }
        let Some(out) = expected(name, vector, &queue) else { return };
        assert_queue(name, &queue.unwrap(), out);
    });
    assert_eq!(count, 63);
}

#[test]
fn binary_queue_uris_match_the_vectors() {
    let count = for_each("queue_uri_binary", |name, vector| {
        let queue = QueueUri::decode_all(&bytes(&vector["in"]["binary"])).ok();
        let Some(out) = expected(name, vector, &queue) else { return };
        assert_queue(name, &queue.unwrap(), out);
    });
    assert_eq!(count, 14);
}

#[test]
fn binary_queue_infos_match_the_vectors() {
    let count = for_each("queue_info_binary", |name, vector| {
        let info = QueueInfo::decode_all(&bytes(&vector["in"]["binary"])).ok();
        let Some(out) = expected(name, vector, &info) else { return };
        let info = info.unwrap();
        assert_eq!(u64::from(info.version), out["version"].as_u64().unwrap(), "{name}");
        assert_hosts(name, &info.address.server, &out["hosts"]);
        assert_eq!(info.address.mode, mode(&out["mode"]), "{name}");
        assert_eq!(info.to_bytes(), bytes(&out["binary"]), "{name}");
    });
    assert_eq!(count, 16);
}

const FINGERPRINT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn server(rest: &str) -> ServerAddress {
    format!("smp://{FINGERPRINT}@{rest}").parse().unwrap()
}

#[test]
fn ipv6_keeps_its_port_apart() {
    let address = server("[2001:db8::1]:5224");
    assert_eq!(address.port(), Some(5224));
    assert_eq!(address.to_string(), format!("smp://{FINGERPRINT}@[2001:db8::1]:5224"));
}

#[test]
fn numbers_that_only_look_like_ipv4_are_refused() {
    for host in ["192.168.0.256", "192.168.0.01", "010.0.0.1", "1.2.3.4.5", "1.2.3.99999999999999999999"] {
        assert!(host.parse::<Host>().is_err(), "{host}");
    }
}

#[test]
fn ports_are_canonical_and_in_range() {
    for port in ["0", "0443", "65536", "+443", "", " 443", "443 "] {
        assert!(format!("smp://{FINGERPRINT}@h:{port}").parse::<ServerAddress>().is_err(), "{port:?}");
    }
    assert_eq!(server("h").port_or_default(), 5223);
    assert_eq!(server("h:443").port_or_default(), 443);
}

#[test]
fn the_same_server_is_told_by_hosts_and_port_alone() {
    let other_hash = "smp://1234-w==@a,b:443".parse::<ServerAddress>().unwrap();
    assert!(server("a,b:443").same_server(&other_hash));
    assert_ne!(server("a,b:443"), other_hash);
    assert!(!server("a,b:443").same_server(&server("b,a:443")));
    assert!(!server("a").same_server(&server("a:5223")));
    assert!(!server("a").same_server(&server("a,b")));
}

#[test]
fn only_a_full_fingerprint_names_a_certificate() {
    assert_eq!(server("h").key_hash().certificate().map(KeyHash::from), Some(server("h").key_hash().clone()));
    assert_eq!("1234-w==".parse::<KeyHash>().unwrap().certificate(), None);
    assert_eq!(KeyHash::NONE.certificate(), None);
}

#[test]
fn passwords_are_exposed_only_on_request() {
    let with = format!("smp://{FINGERPRINT}:pass_word+1@h").parse::<ServerWithPassword>().unwrap();
    assert!(!format!("{with:?}").contains("pass_word"));
    assert!(!with.address.to_string().contains("pass_word"));
    assert!(with.expose().contains(":pass_word+1@"));
}

#[test]
fn a_version_is_agreed_or_there_is_none() {
    let uri = |versions: &str| {
        format!("smp://{FINGERPRINT}@h/AAAA#/?v={versions}&dh=MCowBQYDK2VuAyEAjiswwI3O_NlS8Fk3HJUW870EY2bAwmttMBsvRB9eV3o%3D")
            .parse::<QueueUri>()
            .unwrap()
    };
    let ours = VersionRange::new(1, 4).unwrap();
    assert_eq!(uri("2-9").agree(ours).unwrap().version, 4);
    assert_eq!(uri("1-3").agree(ours).unwrap().version, 3);
    assert!(uri("5-9").agree(ours).is_none());
    assert_eq!(uri("1-3").agree(ours).unwrap().to_uri(ours), uri("1-4"));
}

#[test]
fn text_after_a_queue_uri_is_refused() {
    let uri =
        format!("smp://{FINGERPRINT}@h/AAAA#/?v=4&dh=MCowBQYDK2VuAyEAjiswwI3O_NlS8Fk3HJUW870EY2bAwmttMBsvRB9eV3o%3D");
    assert!(uri.parse::<QueueUri>().is_ok());
    for tail in [" ", " x", "\n"] {
        assert!(format!("{uri}{tail}").parse::<QueueUri>().is_err(), "{tail:?}");
    }
}

#[test]
fn a_server_has_one_to_255_hosts() {
    let host: Host = "h".parse().unwrap();
    assert!(ServerAddress::new(vec![], None, KeyHash::NONE).is_err());
    assert!(ServerAddress::new(vec![host.clone(); 255], None, KeyHash::NONE).is_ok());
    assert!(ServerAddress::new(vec![host; 256], None, KeyHash::NONE).is_err());
}

fn any_host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Host::Ipv4(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| Host::Ipv6(octets.into())),
        "[a-z2-7]{1,56}\\.onion".prop_map(|name| name.parse().unwrap()),
        "[g-z]([a-z0-9-]{0,20}\\.)?[a-z]{1,10}".prop_map(|name| name.parse().unwrap()),
    ]
}

prop_compose! {
    fn any_server()(
        hosts in prop::collection::vec(any_host(), 1..4),
        port in prop::option::of(1..=u16::MAX),
        fingerprint in any::<[u8; 32]>(),
    ) -> ServerAddress {
        ServerAddress::new(hosts, port, fingerprint.into()).unwrap()
    }
}

prop_compose! {
    fn any_queue()(
        server in any_server(),
        sender_id in any::<[u8; 24]>(),
        dh_key in any::<[u8; 32]>(),
        mode in prop_oneof![Just(None), Just(Some(QueueMode::Messaging)), Just(Some(QueueMode::Contact))],
    ) -> QueueAddress {
        QueueAddress { server, sender_id: SenderId::from(sender_id), dh_key: X25519PublicKey::from_bytes(dh_key), mode }
    }
}

proptest! {
    #[test]
    fn servers_survive_text_and_binary(server in any_server()) {
        prop_assert_eq!(&server.to_string().parse::<ServerAddress>().unwrap(), &server);
        prop_assert_eq!(ServerAddress::decode_all(&server.to_bytes()).unwrap(), server);
    }

    #[test]
    fn queues_survive_text_and_binary(address in any_queue(), min in 1..6u16, more in 0..3u16) {
        let uri = QueueUri { versions: VersionRange::new(min, min + more).unwrap(), address };
        prop_assert_eq!(&uri.to_string().parse::<QueueUri>().unwrap(), &uri);
        let binary = QueueUri::decode_all(&uri.to_bytes()).unwrap();
        prop_assert_eq!(binary.to_bytes(), uri.to_bytes());
        if min >= 4 {
            prop_assert_eq!(&binary, &uri);
            let info = uri.at(min);
            prop_assert_eq!(QueueInfo::decode_all(&info.to_bytes()).unwrap(), info);
        }
    }

    #[test]
    fn truncated_and_extended_queues_are_refused(address in any_queue(), cut in 1..40usize) {
        let encoded = address_at_4(address).to_bytes();
        prop_assert!(QueueInfo::decode_all(&encoded[..encoded.len() - cut - 1]).is_err());
        let mut extended = encoded;
        extended.extend([0x58; 2]);
        prop_assert!(QueueInfo::decode_all(&extended).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ServerAddress::decode_all(&bytes);
        let _ = QueueUri::decode_all(&bytes);
        let _ = QueueInfo::decode_all(&bytes);
    }

    #[test]
    fn no_text_panics(rest in ".{0,80}") {
        let _ = rest.parse::<Host>();
        let _ = rest.parse::<QueueUri>();
        let _ = format!("smp://{FINGERPRINT}@{rest}").parse::<ServerWithPassword>();
        let _ = format!("smp://{FINGERPRINT}@h/AAAA#{rest}").parse::<QueueUri>();
    }
}

fn address_at_4(address: QueueAddress) -> QueueInfo {
    QueueInfo { version: 4, address }
}
