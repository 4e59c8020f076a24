//! Key agreement and public keys against the reference.

use agent::agreement::{AgreementError, AgreementKeys, join};
use agent::ratchet::{AwaitingRatchet, Pq, Ratchet};
use agent::ratchet_keys::{KemOffer, RatchetKeys, ReceiverKeys, SenderKeys};
use agent::ratchet_offer::RatchetOffer;
use codec::{Decode, Encode, VersionRange};
use crypto::dh::X448PrivateKey;
use crypto::hash::sha256;
use crypto::kem::{KemCiphertext, KemPublicKey, KemSecretKey, KemSharedSecret};

use crate::published::{Vector, each, named, operations};
use crate::replay::{initial_state, kem_secret, replay};
use crate::support::Prepared;

const FILE: &str = "x3dh-ratchet.json";
const VERSIONS: VersionRange = agent::version::RATCHET;

#[test]
fn every_operation_is_covered() {
    let covered = ["e2e_params_decode", "ratchet_first_message", "ratchet_scenario", "x3dh", "x3dh_error", "x3dh_kdf"];
    assert_eq!(operations(FILE), covered.map(str::to_owned).into());
}

fn private(vector: &Vector, pointer: &str) -> X448PrivateKey {
    X448PrivateKey::from_bytes(vector.array(pointer))
}

fn owner_keys(vector: &Vector, at: &str) -> AgreementKeys {
    let kem = vector.has(&format!("{at}/kem_pair")).then(|| kem_secret(vector.at(&format!("{at}/kem_pair"))));
    AgreementKeys::new(private(vector, &format!("{at}/r1")), private(vector, &format!("{at}/r2")), kem).unwrap()
}

/// What the joiner of a vector draws when it joins.
fn joiner_draws(vector: &Vector) -> Prepared {
    let mut draws = Prepared::agreement(["s1", "s2", "d0"].map(|name| vector.array(&format!("/in/snd/{name}"))));
    if vector.has("/in/snd/kem_pair") && vector.number::<u16>("/in/version") >= 3 {
        draws.kem.push_back(kem_secret(vector.at("/in/snd/kem_pair")));
    }
    if vector.has("/in/snd/kem_accepted") {
        draws.encapsulated.push_back((
            KemCiphertext::from_bytes(&vector.hex("/in/snd/kem_accepted/ciphertext")).unwrap(),
            KemSharedSecret::from_bytes(vector.array("/in/snd/kem_accepted/shared_secret")),
        ));
    }
    draws
}

/// Runs the agreement of a vector on both sides, with the versions that each side supports.
pub(crate) fn agree(vector: &Vector, snd_max: u16, rcv_max: u16) -> (SenderKeys, Ratchet, AwaitingRatchet) {
    let up_to = |max| VersionRange::new(2, max).unwrap();
    let keys = owner_keys(vector, "/in/rcv");
    let public = keys.public(vector.number("/in/version"));
    let mut draws = joiner_draws(vector);
    let wanted = if vector.has("/in/snd/kem_pair") { Pq::On } else { Pq::Off };
    let proposed_by_both =
        vector.has("/in/rcv/kem_pair") && vector.has("/in/snd/kem_pair") && !vector.has("/in/snd/kem_accepted");
    let (sent, joiner) = if proposed_by_both {
        let (s1, s2) = (draws.agreement.pop_front().unwrap(), draws.agreement.pop_front().unwrap());
        draws.kem.clear();
        let own = AgreementKeys::new(s1, s2, Some(kem_secret(vector.at("/in/snd/kem_pair")))).unwrap();
        let sent = own.public(vector.number("/in/version")).into();
        (sent, own.begin(&public, up_to(snd_max), &mut draws).unwrap())
    } else {
        join(&public, up_to(snd_max), wanted, &mut draws).unwrap()
    };
    draws.assert_used_up();
    let support = vector.at("/in/rcv/pq_support").as_bool().unwrap();
    let owner = keys.accept(&sent, up_to(rcv_max), if support { Pq::On } else { Pq::Off }).unwrap();
    (sent, joiner, owner)
}

/// X25519 instead of X448, which the reference's library allows and its agents never use.
fn refused_algorithm(vector: &Vector) -> bool {
    let refused = vector.text("/in/alg") != "X448";
    if refused {
        assert!(SenderKeys::decode_all(&vector.hex("/in/snd/e2e_params")).is_err());
        assert!(vector.text("/in/rcv/e2e_uri_text").parse::<RatchetOffer>().is_err());
    }
    refused
}

#[test]
fn both_sides_agree_as_in_the_reference() {
    each(FILE, "x3dh", |vector| {
        if refused_algorithm(vector) {
            return;
        }
        let max = |side: &str| vector.number(&format!("/out/{side}_initial_state/max"));
        let (sent, joiner, owner) = agree(vector, max("snd"), max("rcv"));
        assert_eq!(sent.to_bytes(), vector.hex("/in/snd/e2e_params"));
        assert_eq!(SenderKeys::decode_all(&sent.to_bytes()), Ok(sent));
        assert_eq!(joiner.to_stored().to_vec(), initial_state(vector, "snd", "/out"));
        assert_eq!(owner.to_stored().to_vec(), initial_state(vector, "rcv", "/out"));
        let code = vector.array("/out/agreed/security_code_sha256");
        assert_eq!((joiner.security_code(), owner.security_code()), (code, code));
        offers_have_the_forms_of_the_reference(vector);
    });
}

fn offers_have_the_forms_of_the_reference(vector: &Vector) {
    let keys = owner_keys(vector, "/in/rcv");
    assert_eq!(keys.public(vector.number("/in/version")).to_bytes(), vector.hex("/in/rcv/e2e_params"));
    let in_binary = RatchetOffer::decode_all(&vector.hex("/in/rcv/e2e_uri_binary")).unwrap();
    assert_eq!(in_binary.to_bytes(), vector.hex("/in/rcv/e2e_uri_binary"));
    assert_eq!(keys.offer(in_binary.versions), in_binary);
    assert_eq!(in_binary.to_string(), vector.text("/in/rcv/e2e_uri_text"));
    assert_eq!(vector.text("/in/rcv/e2e_uri_text").parse::<RatchetOffer>().unwrap().to_string(), in_binary.to_string());
}

#[test]
fn an_encapsulated_secret_goes_into_the_agreement_and_the_first_root() {
    each(FILE, "x3dh_kdf", |vector| {
        let (joiner, _) = joined_to_document_keys(vector, Some(vector.array("/in/kss")));
        let stored = joiner.to_stored();
        for name in ["hk", "nhk", "RK", "CKs", "NHKs"] {
            let key = vector.hex(&format!("/out/{name}"));
            assert!(stored.windows(32).any(|window| window == key), "{name} differs");
        }
        // The root of the agreement is used up by the first turn; the owner still has it, but needs a real secret.
        assert!(vector.has("/out/sk"));
    });
}

#[test]
fn the_first_message_is_that_of_the_reference() {
    each(FILE, "ratchet_first_message", |vector| {
        let (mut joiner, _) = joined_to_document_keys(vector, None);
        let size = vector.number("/in/padded_len");
        let message = joiner.encrypt(None, &vector.hex("/in/plaintext"), size).unwrap();
        assert_eq!(message, vector.hex("/out/ciphertext"));
        assert_eq!(sha256(&message), vector.array("/out/sha256"));
    });
}

fn joined_to_document_keys(vector: &Vector, encapsulated: Option<[u8; 32]>) -> (Ratchet, SenderKeys) {
    let kem = encapsulated.map(|_| KemSecretKey::generate(&mut crypto::SeededRandom::new(&[1; 32], "kem")));
    let mut draws = Prepared::agreement(["s1", "s2", "d0"].map(|name| vector.array(&format!("/in/{name}"))));
    draws.kem.extend(kem.clone());
    let ciphertext = KemCiphertext::from_bytes(&[0; 1039]).unwrap();
    draws.encapsulated.extend(encapsulated.map(|secret| (ciphertext, KemSharedSecret::from_bytes(secret))));
    let owner = AgreementKeys::new(private(vector, "/in/r1"), private(vector, "/in/r2"), kem).unwrap();
    let wanted = if encapsulated.is_some() { Pq::On } else { Pq::Off };
    let public = owner.public(vector.number("/in/version"));
    let (sent, ratchet) = join(&public, VERSIONS, wanted, &mut draws).unwrap();
    draws.assert_used_up();
    (ratchet, sent)
}

#[test]
fn encapsulation_accepted_without_a_proposal_is_an_error() {
    each(FILE, "x3dh_error", |vector| {
        assert_eq!(vector.error(), Some("RATCHET_KEM_STATE"));
        let mut random = crypto::SeededRandom::new(&[2; 32], "keys");
        let owner = AgreementKeys::generate(Pq::Off, &mut random).unwrap();
        match vector.text("/in/side") {
            "rcv" => {
                let kem = KemPublicKey::from_bytes(&[1; 1158]).unwrap();
                let accepted = KemOffer::Accepted(KemCiphertext::from_bytes(&[1; 1039]).unwrap(), kem);
                let public = owner.public(3);
                let theirs = SenderKeys::new(3, *public.key_1(), *public.key_2(), Some(accepted));
                assert_eq!(owner.accept(&theirs, VERSIONS, Pq::On).err(), Some(AgreementError::KemState));
            }
            // A joiner of ours cannot be brought to it: without a proposal it proposes.
            "snd" => {
                let (sent, _) = join(&owner.public(3), VERSIONS, Pq::On, &mut random).unwrap();
                assert!(matches!(sent.kem(), Some(KemOffer::Proposed(_))));
            }
            other => panic!("unknown side {other}"),
        }
    });
}

/// Whether a side accepts or proposes, as the vectors name it.
trait Named {
    fn name(&self) -> &'static str;
}

impl Named for KemOffer {
    fn name(&self) -> &'static str {
        match self {
            KemOffer::Proposed(_) => "proposed",
            KemOffer::Accepted(..) => "accepted",
        }
    }
}

impl Named for KemPublicKey {
    fn name(&self) -> &'static str {
        "proposed"
    }
}

fn check_decoded<K: Named>(vector: &Vector, keys: &RatchetKeys<K>) {
    assert_eq!(keys.version(), vector.number::<u16>("/out/version"));
    assert_eq!(keys.key_1().as_bytes(), &vector.array("/out/key_1"));
    assert_eq!(keys.key_2().as_bytes(), &vector.array("/out/key_2"));
    assert_eq!(keys.kem().map(Named::name), vector.at("/out/kem").as_str());
}

#[test]
fn public_keys_decode_as_in_the_reference() {
    each(FILE, "e2e_params_decode", |vector| {
        // The reference takes a key of any length and fails when it uses it; we refuse it at once.
        if vector.name() == "e2e_params_kem_short" {
            assert!(SenderKeys::decode_all(&vector.hex("/in/bytes")).is_err());
            return;
        }
        let bytes = vector.hex("/in/bytes");
        match vector.text("/in/side") {
            "snd" => {
                if let Some(keys) = vector.settle(SenderKeys::decode_all(&bytes)) {
                    check_decoded(vector, &keys);
                    assert_eq!(keys.to_bytes(), bytes);
                }
            }
            "rcv" => {
                if let Some(keys) = vector.settle(ReceiverKeys::decode_all(&bytes)) {
                    check_decoded(vector, &keys);
                    assert_eq!(keys.to_bytes(), bytes);
                }
            }
            other => panic!("unknown side {other}"),
        }
    });
}

#[test]
fn encapsulation_is_encoded_as_in_the_reference() {
    each("sntrup761.json", "kem_params", |vector| {
        let of = |name: &str| named("sntrup761.json", vector.text(&format!("/in/{name}")));
        let public = |vector: &Vector| KemPublicKey::from_bytes(&vector.hex("/in/public")).unwrap();
        let offer = match vector.text("/in/kind") {
            "proposed" => KemOffer::Proposed(public(&of("public_of"))),
            "accepted" => {
                let vector = of("ciphertext_and_public_of");
                KemOffer::Accepted(KemCiphertext::from_bytes(&vector.hex("/in/ciphertext")).unwrap(), public(&vector))
            }
            other => panic!("unknown kind {other}"),
        };
        let key = private_public();
        let keys = SenderKeys::new(3, key, key, Some(offer)).to_bytes();
        let encoded = keys.get(2 + 2 * 69 + 1..).unwrap();
        assert!(encoded.starts_with(&vector.hex("/out/prefix")));
        assert_eq!(encoded.len(), vector.number::<usize>("/out/len"));
        assert_eq!(sha256(encoded), vector.array("/out/sha256"));
    });
}

fn private_public() -> crypto::dh::X448PublicKey {
    X448PrivateKey::from_bytes([1; 56]).public().unwrap()
}

#[test]
fn ratchets_run_as_in_the_reference() {
    each(FILE, "ratchet_scenario", |vector| {
        if !refused_algorithm(vector) {
            replay(vector);
        }
    });
}
