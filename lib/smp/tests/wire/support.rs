//! What the vectors of several operations have in common.

use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use crypto::certificate::CertificateChain;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::hash;
use crypto::sign::{Ed448PrivateKey, Ed448PublicKey, Ed25519PrivateKey, Ed25519PublicKey};
use serde_json::Value;

use crate::vectors::{Vector, hex, number};

/// The versions that vectors were made for; also all that we speak.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u16> = 15..=18;

/// Exactly `N` bytes.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap_or_else(|_| panic!("{value} has not {N} bytes"))
}

pub(crate) fn auth_public(value: &Value) -> AuthPublicKey {
    let public = &value["public"];
    match value["alg"].as_str().unwrap() {
        "Ed25519" => AuthPublicKey::Ed25519(Ed25519PublicKey::from_bytes(array(public))),
        "Ed448" => AuthPublicKey::Ed448(Ed448PublicKey::from_bytes(array(public))),
        "X25519" => AuthPublicKey::X25519(X25519PublicKey::from_bytes(array(public))),
        other => panic!("unknown algorithm {other}"),
    }
}

/// The private key at a pointer that may be absent.
pub(crate) fn auth_private(value: &Value) -> Option<AuthPrivateKey> {
    let private = &value["private"];
    Some(match value["alg"].as_str()? {
        "Ed25519" => AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(array(private))),
        "Ed448" => AuthPrivateKey::Ed448(Ed448PrivateKey::from_seed(array(private))),
        "X25519" => AuthPrivateKey::X25519(X25519PrivateKey::from_bytes(array(private))),
        other => panic!("unknown algorithm {other}"),
    })
}

pub(crate) fn dh_private(vector: &Vector, pointer: &str) -> X25519PrivateKey {
    X25519PrivateKey::from_bytes(vector.array(pointer))
}

pub(crate) fn dh_public(value: &Value) -> X25519PublicKey {
    X25519PublicKey::from_bytes(array(value))
}

pub(crate) fn chain(value: &Value) -> CertificateChain {
    CertificateChain::new(value.as_array().unwrap().iter().map(hex).collect())
}

/// Compares bytes with what a vector says of them: the hex itself, or length, digest and the ends of a long value.
pub(crate) fn assert_bytes(bytes: &[u8], expected: &Value) {
    let Some(description) = expected.as_object() else {
        return assert_eq!(bytes, hex(expected));
    };
    for (name, value) in description {
        match name.split_once('_') {
            None if name == "len" => assert_eq!(bytes.len(), number::<usize>(value)),
            None if name == "sha256" => assert_eq!(hash::sha256(bytes).to_vec(), hex(value)),
            Some(("first", _)) => assert!(bytes.starts_with(&hex(value))),
            Some(("last", _)) => assert!(bytes.ends_with(&hex(value))),
            _ => panic!("unknown property {name} of a long value"),
        }
    }
}

/// Bytes given as hex or as a run of one byte after a prefix.
pub(crate) fn filled(value: &Value) -> Vec<u8> {
    let Some(description) = value.as_object() else { return hex(value) };
    let mut bytes = description.get("prefix").map(hex).unwrap_or_default();
    bytes.resize(number(&description["len"]), hex(&description["filled_with"])[0]);
    bytes
}

/// `bytes` after the mutation of a negative vector.
pub(crate) fn mutated(mut bytes: Vec<u8>, mutation: &Value) -> Vec<u8> {
    for (name, value) in mutation.as_object().into_iter().flatten() {
        match name.as_str() {
            "flip_lowest_bit_of_byte" => bytes[number::<usize>(value)] ^= 1,
            "truncate_to" => bytes.truncate(number(value)),
            "append" => bytes.extend(hex(value)),
            other => panic!("unknown mutation {other}"),
        }
    }
    bytes
}
