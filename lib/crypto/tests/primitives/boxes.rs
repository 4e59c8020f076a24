//! Everything symmetric, and signatures: `boxes.json`.

use crypto::authorize::{AuthPrivateKey, AuthPublicKey, Authorization};
use crypto::chain::SessionChains;
use crypto::dh::{SharedSecret, X25519PrivateKey, X25519PublicKey};
use crypto::sign::{
    Ed448PrivateKey, Ed448PublicKey, Ed25519PrivateKey, Ed25519PublicKey, SigningPrivateKey, SigningPublicKey,
};
use crypto::{BoxKey, Error, Nonce, aead, hash, pad};

use crate::vectors::{Vector, each, operations};

const FILE: &str = "boxes.json";
/// Checked where IDs are defined.
const IDS: [&str; 1] = ["sender_id_from_corr_id"];
/// Checked here.
const OURS: [&str; 17] = [
    "pad",
    "pad_ok",
    "unpad",
    "nonce_from_id",
    "hash",
    "hkdf_sha512",
    "box",
    "box_pad",
    "unbox_pad",
    "symmetric_key",
    "block_chain",
    "authenticator",
    "authenticator_verify",
    "sign",
    "verify",
    "aead_pad_seal",
    "aead_open_unpad",
];

fn nonce(vector: &Vector, pointer: &str) -> Nonce {
    Nonce(vector.array(pointer))
}

fn box_key(vector: &Vector) -> BoxKey {
    BoxKey::symmetric(&vector.array("/in/key"))
}

#[test]
fn every_operation_of_the_file_has_a_test() {
    let covered = [OURS.as_slice(), &IDS].concat();
    assert_eq!(operations(FILE), covered.into_iter().map(str::to_owned).collect());
}

#[test]
fn padding() {
    each(FILE, "pad", |vector| {
        let padded = pad::pad(&vector.hex("/in/msg"), vector.number("/in/len"));
        if let Some(padded) = vector.settle(padded) {
            assert_eq!(padded, vector.hex("/out/padded"));
        }
    });
    each(FILE, "pad_ok", |vector| {
        let message = vec![b'x'; vector.number("/in/msg_len")];
        let padded = pad::pad(&message, vector.number("/in/len"));
        assert_eq!(padded.is_ok(), *vector.at("/out/ok"));
    });
    each(FILE, "unpad", |vector| {
        let padded = vector.hex("/in/padded");
        if let Some(message) = vector.settle(pad::unpad(&padded)) {
            assert_eq!(message, vector.hex("/out/msg"));
        }
    });
}

#[test]
fn nonces_from_ids() {
    each(FILE, "nonce_from_id", |vector| {
        let made = Nonce::from_id(&vector.hex("/in/id"));
        assert_eq!(made, nonce(vector, "/out/nonce"));
        assert_eq!(made.reversed(), nonce(vector, "/out/reversed"));
    });
}

#[test]
fn hashes_and_derived_keys() {
    each(FILE, "hash", |vector| {
        let message = vector.hex("/in/msg");
        assert_eq!(hash::sha256(&message).to_vec(), vector.hex("/out/sha256"));
        assert_eq!(hash::sha512(&message).to_vec(), vector.hex("/out/sha512"));
        assert_eq!(hash::sha3_256(&message).to_vec(), vector.hex("/out/sha3_256"));
        assert_eq!(hash::sha3_384(&message).to_vec(), vector.hex("/out/sha3_384"));
    });
    each(FILE, "hkdf_sha512", |vector| {
        let mut derived = vec![0; vector.number("/in/len")];
        hash::hkdf_sha512_into(&vector.hex("/in/salt"), &vector.hex("/in/ikm"), &vector.hex("/in/info"), &mut derived);
        assert_eq!(derived, vector.hex("/out/okm"));
    });
}

#[test]
fn boxes_are_sealed_to_the_bytes_of_the_reference() {
    each(FILE, "box", |vector| {
        let sealed = box_key(vector).seal(nonce(vector, "/in/nonce"), &vector.hex("/in/msg"));
        assert_eq!(sealed, vector.hex("/out/box"));
        assert_eq!(box_key(vector).open(nonce(vector, "/in/nonce"), &sealed), Ok(vector.hex("/in/msg")));
    });
    each(FILE, "box_pad", |vector| {
        let (key, nonce) = (box_key(vector), nonce(vector, "/in/nonce"));
        if vector.has("/in/private") {
            let own = X25519PrivateKey::from_bytes(vector.array("/in/private"));
            let peer = X25519PublicKey::from_bytes(vector.array("/in/peer_public"));
            assert_eq!(BoxKey::agreed(&own.agree(&peer)), key);
        }
        let sealed = key.seal_padded(nonce, &vector.hex("/in/msg"), vector.number("/in/len"));
        if let Some(sealed) = vector.settle(sealed) {
            assert_eq!(sealed, vector.hex("/out/box"));
            assert_eq!(key.open_padded(nonce, &sealed), Ok(vector.hex("/in/msg")));
        }
    });
}

#[test]
fn altered_boxes_are_refused() {
    each(FILE, "unbox_pad", |vector| {
        let opened = box_key(vector).open_padded(nonce(vector, "/in/nonce"), &vector.hex("/in/box"));
        match vector.error() {
            Some("decrypt") => assert_eq!(opened, Err(Error::Decrypt)),
            Some("unpad") => assert_eq!(opened, Err(Error::Unpad)),
            Some(other) => panic!("unknown error {other}"),
            None => assert_eq!(opened, Ok(vector.hex("/out/msg"))),
        }
    });
}

#[test]
fn keys_of_another_length_are_no_keys() {
    each(FILE, "symmetric_key", |vector| {
        let key = <[u8; 32]>::try_from(vector.hex("/in/key"));
        assert_eq!(vector.settle(key.map(|key| BoxKey::symmetric(&key))), None);
    });
}

#[test]
fn chains_hand_out_the_keys_of_the_reference() {
    each(FILE, "block_chain", |vector| {
        let secret = SharedSecret::from_bytes(vector.array("/in/session_secret"));
        let chains = SessionChains::new(&vector.hex("/in/session_id"), &secret);
        for (mut chain, steps) in
            [(chains.server_to_client, "server_to_client_steps"), (chains.client_to_server, "client_to_server_steps")]
        {
            for position in 0..10 {
                let step = chain.step();
                let expected = format!("/out/{steps}/{position}");
                assert_eq!(step.key, BoxKey::symmetric(&vector.array(&format!("{expected}/box_key"))));
                assert_eq!(step.nonce, nonce(vector, &format!("{expected}/nonce")));
            }
        }
    });
}

#[test]
fn authenticators_are_made_and_checked_as_the_reference_does() {
    each(FILE, "authenticator", |vector| {
        let entity = AuthPrivateKey::X25519(X25519PrivateKey::from_bytes(vector.array("/in/entity_private")));
        let session = X25519PrivateKey::from_bytes(vector.array("/in/server_session_private"));
        let (id, authorized) = (vector.hex("/in/nonce_source"), vector.hex("/in/authorized"));
        let authenticator = entity.authorize(&session.public(), &id, &authorized).unwrap();
        assert_eq!(authenticator, vector.hex("/out/authenticator"));
        let received = Authorization::from_bytes(&authenticator).unwrap();
        assert_eq!(entity.public().unwrap().verify(received, &session, &id, &authorized), Ok(()));
    });
    each(FILE, "authenticator_verify", |vector| {
        let entity = AuthPublicKey::X25519(X25519PublicKey::from_bytes(vector.array("/in/entity_public")));
        let session = X25519PrivateKey::from_bytes(vector.array("/in/server_session_private"));
        let (id, authorized) = (vector.hex("/in/nonce_source"), vector.hex("/in/authorized"));
        let bytes = vector.hex("/in/authenticator");
        let received = Authorization::from_bytes(&bytes).ok_or(Error::BadSignature);
        let outcome = received.and_then(|received| entity.verify(received, &session, &id, &authorized));
        assert_eq!(vector.settle(outcome), None);
    });
}

#[test]
fn signatures_are_those_of_the_reference() {
    each(FILE, "sign", |vector| {
        let key = match vector.text("/in/key/alg") {
            "Ed25519" => SigningPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(vector.array("/in/key/private"))),
            _ => SigningPrivateKey::Ed448(Ed448PrivateKey::from_seed(vector.array("/in/key/private"))),
        };
        let signature = key.sign(&vector.hex("/in/msg")).unwrap();
        assert_eq!(signature, vector.hex("/out/signature"));
        assert_eq!(key.public().unwrap().verify(&vector.hex("/in/msg"), &signature), Ok(()));
    });
}

/// Checked twice: as a signature of a certificate, which may have any length, and as the authorization of a command.
#[test]
fn wrong_signatures_are_refused() {
    let session = X25519PrivateKey::from_bytes([7; 32]);
    each(FILE, "verify", |vector| {
        let (message, signature) = (vector.hex("/in/msg"), vector.hex("/in/signature"));
        let (certified, authorised) = match vector.text("/in/alg") {
            "Ed25519" => {
                let key = Ed25519PublicKey::from_bytes(vector.array("/in/public"));
                (SigningPublicKey::Ed25519(key), AuthPublicKey::Ed25519(key))
            }
            _ => {
                let key = Ed448PublicKey::from_bytes(vector.array("/in/public"));
                (SigningPublicKey::Ed448(key), AuthPublicKey::Ed448(key))
            }
        };
        vector.settle(certified.verify(&message, &signature));
        let received = Authorization::from_bytes(&signature).ok_or(Error::BadSignature);
        vector.settle(received.and_then(|received| authorised.verify(received, &session, b"", &message)));
    });
}

#[test]
fn messages_of_the_ratchet_are_sealed_to_the_bytes_of_the_reference() {
    each(FILE, "aead_pad_seal", |vector| {
        let (key, iv, associated) = (vector.array("/in/key"), vector.array("/in/iv"), vector.hex("/in/ad"));
        let sealed = aead::seal_padded(&key, &iv, &associated, &vector.hex("/in/msg"), vector.number("/in/len"));
        if let Some(sealed) = vector.settle(sealed) {
            assert_eq!(sealed.ciphertext, vector.hex("/out/ciphertext"));
            assert_eq!(sealed.tag.to_vec(), vector.hex("/out/tag"));
            let opened = aead::open_padded(&key, &iv, &associated, &sealed.ciphertext, &sealed.tag);
            assert_eq!(opened, Ok(vector.hex("/in/msg")));
        }
    });
    each(FILE, "aead_open_unpad", |vector| {
        let opened = aead::open_padded(
            &vector.array("/in/key"),
            &vector.array("/in/iv"),
            &vector.hex("/in/ad"),
            &vector.hex("/in/ciphertext"),
            &vector.array("/in/tag"),
        );
        assert_eq!(opened, Err(Error::Decrypt));
        assert_eq!(vector.error(), Some("decrypt"));
    });
}
