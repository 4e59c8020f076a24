//! Certificate chains and session keys signed by certificates: the operations of `handshake.json` without messages.

use crypto::certificate::{CertificateChain, sign_key, verify_signed_key};
use crypto::dh::X25519PublicKey;
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey, Ed25519PublicKey, SigningPrivateKey, SigningPublicKey};

use crate::vectors::{Vector, each, hex};

const FILE: &str = "handshake.json";
/// 2027-01-01, when the certificates of the vectors are valid unless they are meant to be expired.
const NOW: i64 = 1_798_761_600;

fn chain(vector: &Vector) -> CertificateChain {
    CertificateChain::new(vector.at("/in/chain").as_array().unwrap().iter().map(hex).collect())
}

/// Where the reference accepts a chain and the protocol allows refusing it, we refuse: a leaf that may not sign, a
/// leaf that signs itself, and every chain in which a certificate is not signed by the next one. The last kind lets
/// an attacker put a genuine identity certificate into a chain of his own.
#[test]
fn chains_are_accepted_as_the_reference_does_except_where_that_is_unsafe() {
    each(FILE, "chain_validate", |vector| {
        let verified = chain(vector).verify(&vector.array("/in/fingerprint"), NOW);
        assert!(!vector.lenient() || verified.is_err());
        vector.settle(verified);
    });
}

#[test]
fn smp_08_a_genuine_identity_in_the_chain_of_an_attacker_is_refused() {
    let mut attacks = 0;
    each(FILE, "chain_validate", |vector| {
        if vector.name().starts_with("chain_attack_") {
            assert!(chain(vector).verify(&vector.array("/in/fingerprint"), NOW).is_err());
            attacks += 1;
        }
    });
    assert_eq!(attacks, 2);
}

#[test]
fn session_keys_are_signed_as_the_reference_does() {
    each(FILE, "signed_key", |vector| {
        let key = match vector.text("/in/sign_key/alg") {
            "Ed25519" => SigningPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(vector.array("/in/sign_key/private"))),
            _ => SigningPrivateKey::Ed448(Ed448PrivateKey::from_seed(vector.array("/in/sign_key/private"))),
        };
        let der = vector.array("/in/key_der");
        let signed = sign_key(&key, &der).unwrap();
        assert_eq!(signed, vector.hex("/out/signed_key"));
        assert_eq!(verify_signed_key(&key.public().unwrap(), &signed), Ok(der.as_slice()));
        let object = vector.hex("/out/signed_bytes");
        assert!(signed.windows(object.len()).any(|window| window == object));
    });
}

#[test]
fn altered_session_keys_are_refused() {
    each(FILE, "signed_key_verify", |vector| {
        let key = SigningPublicKey::Ed25519(Ed25519PublicKey::from_bytes(vector.array("/in/verify_key")));
        let signed = vector.hex("/in/signed_key");
        let session_key = verify_signed_key(&key, &signed).and_then(X25519PublicKey::from_der);
        if let Some(session_key) = vector.settle(session_key) {
            assert_eq!(session_key.as_bytes().to_vec(), vector.hex("/out/x25519"));
        }
    });
}
