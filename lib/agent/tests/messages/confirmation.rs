//! A whole confirmation, from the joiner's agreement down to the body of `SEND` and back up on the other side.

use agent::agreement::{AgreementKeys, join};
use agent::envelope::{AgentEnvelope, EnvelopeContent};
use agent::key_source::KeySource;
use agent::message::DecryptedMessage;
use agent::padding::Padding;
use agent::ratchet::Pq;
use agent::version;
use codec::{Decode, Encode};
use crypto::dh::{X448PrivateKey, X25519PrivateKey};
use crypto::hash::sha256;
use crypto::kem::{KemCiphertext, KemPublicKey, KemSecretKey, KemSharedSecret};
use crypto::{BoxKey, Nonce, SeededRandom};
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};

use crate::published::{Vector, each};
use crate::vectors::{FILE, message};

/// Draws what the joiner of a vector drew.
struct Recorded<'a> {
    vector: &'a Vector,
    keys: std::vec::IntoIter<&'static str>,
}

impl KeySource for Recorded<'_> {
    fn agreement_key(&mut self) -> X448PrivateKey {
        X448PrivateKey::from_bytes(self.vector.array(self.keys.next().unwrap()))
    }

    fn kem_key(&mut self) -> KemSecretKey {
        KemSecretKey::from_bytes(&self.vector.hex("/in/snd_kem_pair/secret")).unwrap()
    }

    fn encapsulate(&mut self, _to: &KemPublicKey) -> (KemCiphertext, KemSharedSecret) {
        (
            KemCiphertext::from_bytes(&self.vector.hex("/in/snd_kem_ciphertext")).unwrap(),
            KemSharedSecret::from_bytes(self.vector.array("/in/snd_kem_shared_secret")),
        )
    }
}

fn compare(vector: &Vector, name: &str, bytes: &[u8]) {
    let at = |field: &str| format!("/out/{name}/{field}");
    assert_eq!(bytes.len(), vector.number::<usize>(&at("len")), "length of {name}");
    assert_eq!(bytes[..64], vector.hex(&at("first_64")), "start of {name}");
    assert_eq!(sha256(bytes), vector.array(&at("sha256")), "{name}");
}

#[test]
fn a_confirmation_is_that_of_the_reference_in_every_layer() {
    each(FILE, "confirmation_flow", |vector| {
        let key = |name: &str| X448PrivateKey::from_bytes(vector.array(name));
        let pq = if vector.has("/in/snd_kem_pair") { Pq::On } else { Pq::Off };
        let kem = vector.has("/in/rcv_kem_pair").then(|| vector.hex("/in/rcv_kem_pair/secret"));
        let kem = kem.map(|secret| KemSecretKey::from_bytes(&secret).unwrap());
        let owner = AgreementKeys::new(key("/in/r1"), key("/in/r2"), kem).unwrap();
        let offered = owner.public(3);
        assert_eq!(offered.to_bytes(), vector.hex("/in/rcv_e2e_params"));

        let mut recorded = Recorded { vector, keys: vec!["/in/s1", "/in/s2", "/in/d0"].into_iter() };
        let (keys, mut ratchet) = join(&offered, version::RATCHET, pq, &mut recorded).unwrap();
        let encoded = message(vector.at("/in/agent_message")).to_bytes();
        assert_eq!(encoded, vector.hex("/out/agent_message_bytes"));
        let agent_version = vector.number("/in/agent_version");
        let padding = Padding::new(agent_version, pq == Pq::On);
        assert_eq!(padding.confirmation, vector.number::<usize>("/out/padded_len"));
        padding.check_confirmation(&encoded).unwrap();
        let encrypted = ratchet.encrypt(Some(pq), &encoded, padding.confirmation).unwrap();
        compare(vector, "enc_conn_info", &encrypted);

        let content = EnvelopeContent::Confirmation { keys: Some(keys), encrypted };
        let confirmation = AgentEnvelope { version: agent_version, content }.to_bytes();
        compare(vector, "agent_confirmation", &confirmation);
        let client_message = ClientMessage { header: PrivateHeader::Empty, content: confirmation };
        compare(vector, "client_message", &client_message.to_bytes());

        let x25519 = |name: &str| X25519PrivateKey::from_bytes(vector.array(name));
        let (sender, recipient) = (x25519("/in/sender_e2e/private"), x25519("/in/recipient_e2e/private"));
        let header = PublicHeader { version: vector.number("/in/client_version"), sender_key: Some(sender.public()) };
        let sealing = BoxKey::agreed(&sender.agree(&recipient.public()));
        let nonce = Nonce(vector.array("/in/nonce"));
        let body = Envelope::seal(header, &sealing, nonce, &client_message).unwrap().to_bytes();
        compare(vector, "send_body", &body);

        assert_eq!(read_by_owner(&owner, &recipient, &body, pq).to_bytes(), encoded);
    });
}

/// What the link's owner makes of the body of a `SEND`.
fn read_by_owner(owner: &AgreementKeys, recipient: &X25519PrivateKey, body: &[u8], pq: Pq) -> DecryptedMessage {
    let envelope = Envelope::decode_all(body).unwrap();
    let opening = BoxKey::agreed(&recipient.agree(&envelope.header.sender_key.unwrap()));
    let content = envelope.open(&opening).unwrap().content;
    let AgentEnvelope { content: EnvelopeContent::Confirmation { keys, encrypted }, .. } =
        AgentEnvelope::decode_all(&content).unwrap()
    else {
        panic!("no confirmation")
    };
    let awaiting = owner.accept(&keys.unwrap(), version::RATCHET, pq).unwrap();
    let (_, received) = awaiting.decrypt(&encrypted, &mut SeededRandom::new(&[1; 32], "owner")).unwrap();
    assert_eq!(received.post_quantum, pq == Pq::On);
    DecryptedMessage::decode_all(&received.plaintext).unwrap()
}
