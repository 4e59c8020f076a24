//! Replays the recorded runs of two reference ratchets on two of ours, comparing every message and every state.
//!
//! States are compared in their stored form, which this module writes a second time from the names in the vectors.

use std::collections::BTreeMap;

use agent::ratchet::{Pq, RatchetError};
use crypto::dh::X448PrivateKey;
use crypto::hash::sha256;
use crypto::kem::{KemCiphertext, KemSecretKey, KemSharedSecret};
use serde_json::Value;

use crate::published::{Vector, hex, number};
use crate::support::{Party, Prepared};
use crate::vectors::agree;

pub(crate) fn kem_secret(pair: &Value) -> KemSecretKey {
    let key = KemSecretKey::from_bytes(&hex(&pair["secret"])).unwrap();
    assert_eq!(key.public().as_bytes().as_slice(), hex(&pair["public"]));
    key
}

/// Everything that the parties of a run drew: states name encapsulation keys only by hash.
#[derive(Default)]
struct Drawn {
    keys: Vec<KemSecretKey>,
    encapsulated: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Drawn {
    fn of_agreement(vector: &Vector) -> Self {
        let mut drawn = Drawn::default();
        for pair in ["/in/snd/kem_pair", "/in/rcv/kem_pair"] {
            drawn.keys.extend(vector.has(pair).then(|| kem_secret(vector.at(pair))));
        }
        if vector.has("/in/snd/kem_accepted") {
            let accepted = vector.at("/in/snd/kem_accepted");
            drawn.encapsulated.push((hex(&accepted["shared_secret"]), hex(&accepted["ciphertext"])));
        }
        drawn
    }

    /// What a turn draws, remembered.
    fn turn(&mut self, new: &Value) -> Prepared {
        let mut keys = Prepared::default();
        if new.is_null() {
            return keys;
        }
        keys.agreement.push_back(X448PrivateKey::from_bytes(hex(&new["dh_private"]).try_into().unwrap()));
        if new["kem_pair"].is_object() {
            let key = kem_secret(&new["kem_pair"]);
            self.keys.push(key.clone());
            keys.kem.push_back(key);
        }
        if new["kem_ciphertext"].is_string() {
            let (secret, ciphertext) = (hex(&new["kem_shared_secret"]), hex(&new["kem_ciphertext"]));
            keys.encapsulated.push_back((
                KemCiphertext::from_bytes(&ciphertext).unwrap(),
                KemSharedSecret::from_bytes(secret.as_slice().try_into().unwrap()),
            ));
            self.encapsulated.push((secret, ciphertext));
        }
        keys
    }

    /// The stored form of a state of encapsulation.
    fn kem_state(&self, state: &Value) -> Vec<u8> {
        if state.is_null() {
            return b"0".to_vec();
        }
        let hash = match state["pair"]["public"].is_string() {
            true => sha256(&hex(&state["pair"]["public"])).to_vec(),
            false => hex(&state["public_sha256"]),
        };
        let key = self.keys.iter().find(|key| sha256(key.public().as_bytes()).as_slice() == hash).unwrap();
        let secret = match &state["accepted"] {
            Value::Object(accepted) => &accepted["shared_secret"],
            _ => &state["accepted_shared_secret"],
        };
        if secret.is_null() {
            return [b"P".as_slice(), key.expose()].concat();
        }
        let secret = hex(secret);
        let (_, ciphertext) = self.encapsulated.iter().find(|(known, _)| *known == secret).unwrap();
        [b"A".as_slice(), key.expose(), ciphertext].concat()
    }

    /// The stored form of a state, up to the skipped keys.
    fn state(&self, state: &Value) -> Vec<u8> {
        let u16 = |name: &str| number::<u16>(&state[name]).to_be_bytes().to_vec();
        let u32 = |name: &str| number::<u32>(&state[name]).to_be_bytes().to_vec();
        let flag = |name: &str| if state[name] == true { b"T".to_vec() } else { b"F".to_vec() };
        let own = hex(&state["DHs_private"]);
        let public = X448PrivateKey::from_bytes(own.as_slice().try_into().unwrap()).public().unwrap();
        let established = state["Snd"].is_object();
        let position = [u16("cur"), u16("max"), flag("support"), flag("enable")].concat();
        let turn = [
            [hex(&state["AD"]), own, public.as_bytes().to_vec()].concat(),
            self.kem_state(&state["KEM"]),
            [hex(&state["RK"]), hex(&state["NHKs"]), hex(&state["NHKr"])].concat(),
        ]
        .concat();
        if !established {
            return [vec![1, b'A'], turn, position].concat();
        }
        let (snd, rcv) = (&state["Snd"], &state["Rcv"]);
        let (receiving_turn, receiving_position) = match rcv.is_object() {
            true => (
                [b"1".to_vec(), hex(&rcv["HKr"]), flag("rcvKEM")].concat(),
                [b"1".to_vec(), hex(&rcv["CKr"]), u32("Nr")].concat(),
            ),
            false => (b"0".to_vec(), b"0".to_vec()),
        };
        let sending_turn = [hex(&snd["HKs"]), u32("PN"), flag("sndKEM")].concat();
        let sending_position = [hex(&snd["CKs"]), u32("Ns")].concat();
        let turn = [turn, sending_turn, receiving_turn].concat();
        [vec![1, b'E'], turn, position, sending_position, receiving_position].concat()
    }
}

const NOTHING_SKIPPED: [u8; 2] = [0, 0];

/// The stored form of an initial state; `at` is where the vector has it.
pub(crate) fn initial_state(vector: &Vector, side: &str, at: &str) -> Vec<u8> {
    let state = vector.at(&format!("{at}/{side}_initial_state"));
    let mut stored = Drawn::of_agreement(vector).state(state);
    if state["Snd"].is_object() {
        stored.extend(NOTHING_SKIPPED);
    }
    stored
}

/// The name of an error in the vectors.
pub(crate) fn error_name(error: RatchetError) -> String {
    match error {
        RatchetError::Malformed(_) => "HEADER_PARSE".into(),
        RatchetError::UnknownHeader => "RATCHET_HEADER".into(),
        RatchetError::Duplicate => "A_DUPLICATE".into(),
        RatchetError::Earlier(count) => format!("RATCHET_EARLIER {count}"),
        RatchetError::TooManySkipped(count) => format!("RATCHET_SKIPPED {count}"),
        RatchetError::Body => "DECRYPT_AES".into(),
        RatchetError::TooLarge { .. } => "TOO_LARGE".into(),
        other => format!("{other:?}"),
    }
}

struct Run<'a> {
    vector: &'a Vector,
    snd: Party,
    rcv: Party,
    drawn: Drawn,
    /// Messages by their number in the vector.
    messages: Vec<Vec<u8>>,
    /// What the last header of each party said of encapsulation.
    said: BTreeMap<String, String>,
}

pub(crate) fn replay(vector: &Vector) {
    let max = |side: &str| vector.number(&format!("/in/{side}_initial_state/max"));
    let (sent, snd, rcv) = agree(vector, max("snd"), max("rcv"));
    assert_eq!(codec::Encode::to_bytes(&sent), vector.hex("/in/snd/e2e_params"));
    let (snd, rcv) = (Party::Established(snd), Party::Awaiting(rcv));
    assert_eq!(snd.stored(), initial_state(vector, "snd", "/in"));
    assert_eq!(rcv.stored(), initial_state(vector, "rcv", "/in"));
    let mut run = Run { vector, snd, rcv, drawn: Drawn::of_agreement(vector), messages: vec![], said: BTreeMap::new() };
    for (index, op) in vector.at("/out/ops").as_array().unwrap().iter().enumerate() {
        println!("{} op {index}", vector.name());
        match op["op"].as_str().unwrap() {
            "encrypt" => run.encrypt(op),
            "decrypt" => run.decrypt(op),
            "drop" => (0..number::<usize>(&op["count"])).for_each(|_| drop(run.party(op).ratchet().next_key(None))),
            // Ours keeps it by itself: what headers say of encapsulation does not change inside a chain.
            "keep_kem" => {}
            other => panic!("unknown operation {other}"),
        }
        if vector.name() == "ratchet_kem_off_trap" && op["error"].is_string() {
            return run.leave_the_trap();
        }
    }
    run.compare_final_states();
}

impl Run<'_> {
    fn party(&mut self, op: &Value) -> &mut Party {
        match op["party"].as_str().unwrap() {
            "snd" => &mut self.snd,
            "rcv" => &mut self.rcv,
            other => panic!("unknown party {other}"),
        }
    }

    fn encrypt(&mut self, op: &Value) {
        let plaintext = text(&op["plaintext"]);
        let size = number(&op["padded_len"]);
        let pq = op["pq"].as_bool().map(|on| if on { Pq::On } else { Pq::Off });
        if op["error"] == "RATCHET_STATE" {
            assert!(matches!(self.party(op), Party::Awaiting(_)), "this state could send");
            return;
        }
        let outcome = self.party(op).ratchet().encrypt(pq, &plaintext, size);
        if let Some(error) = op["error"].as_str() {
            return assert_eq!(error_name(outcome.unwrap_err()), error);
        }
        let message = outcome.unwrap();
        let sends_post_quantum = self.party(op).ratchet().sends_post_quantum();
        assert_eq!(op["pq_encrypted"], sends_post_quantum);
        self.compare_message(op, message);
    }

    fn compare_message(&mut self, op: &Value, message: Vec<u8>) {
        assert_eq!(number::<usize>(&op["msg"]), self.messages.len());
        let reference_takes_back = self.takes_back_acceptance(op);
        match op["ciphertext"].as_str() {
            Some(ciphertext) if reference_takes_back => {
                assert_eq!(message.len() * 2, ciphertext.len());
                self.messages.push(hex(&op["ciphertext"]));
            }
            Some(ciphertext) => {
                assert!(hex::encode(&message) == ciphertext, "another ciphertext than that of the reference");
                self.messages.push(message);
            }
            None => {
                assert_eq!(message.len(), number::<usize>(&op["ciphertext_len"]));
                assert_eq!(sha256(&message).as_slice(), hex(&op["ciphertext_sha256"]));
                self.messages.push(message);
            }
        }
    }

    /// Inside a chain the reference may stop saying that it accepted, after which nobody can begin the chain with its
    /// later messages. Ours says the same until the chain ends, so its header differs there, and nothing else.
    fn takes_back_acceptance(&mut self, op: &Value) -> bool {
        let says = op["header_kem"].as_str().unwrap();
        let said = self.said.insert(op["party"].as_str().unwrap().into(), says.into());
        number::<u32>(&op["number"]) > 0 && said.as_deref() == Some("accepted") && says == "proposed"
    }

    fn decrypt(&mut self, op: &Value) {
        let message = match op["msg"].is_null() {
            true => hex(&op["ciphertext"]),
            false => mutated(&self.messages[number::<usize>(&op["msg"])], &op["mutation"]),
        };
        let mut keys = self.drawn.turn(&op["new"]);
        let outcome = self.party(op).decrypt(&message, &mut keys);
        match op["error"].as_str() {
            None => {
                let received = outcome.unwrap();
                keys.assert_used_up();
                assert!(received.plaintext == text(&op["plaintext"]), "another plaintext");
                assert_eq!(op["pq_encrypted"], received.post_quantum);
            }
            Some(error) => {
                assert_eq!(error_name(outcome.unwrap_err()), error);
                if op["state_changed"] == true && self.vector.name() != "ratchet_kem_off_trap" {
                    self.catch_up(op);
                }
            }
        }
        if op["state"].is_object() && self.vector.name() != "ratchet_kem_off_trap" || op["error"].is_null() {
            self.compare_state(op);
        }
    }

    /// The reference kept a change although it refused the message, and ours did not. The true message still arrives
    /// here, which gives the state of the reference; where there is no true one, its state is taken over.
    fn catch_up(&mut self, op: &Value) {
        let mut keys = self.drawn.turn(&op["new"]);
        if op["mutation"].is_object() {
            let message = self.messages[number::<usize>(&op["msg"])].clone();
            self.party(op).decrypt(&message, &mut keys).unwrap();
            return;
        }
        let state = self.drawn.state(&op["state"]);
        let party = self.party(op);
        // States of one run without encapsulation have one length, and the skipped keys follow.
        let skipped = party.stored().split_off(state.len());
        *party = Party::from_stored(&[state, skipped].concat());
    }

    fn compare_state(&mut self, op: &Value) {
        let expected = op["state"].is_object().then(|| self.drawn.state(&op["state"]));
        let party = self.party(op);
        if let Some(expected) = expected {
            let stored = party.stored();
            assert_eq!(hex::encode(&stored[..expected.len().min(stored.len())]), hex::encode(&expected));
        }
        assert_eq!(party.ratchet().skipped_messages(), number::<usize>(&op["skipped_keys"]));
        assert_eq!(Party::from_stored(&party.stored()).stored(), party.stored());
    }

    /// A reference that sees the second message first stores wrong keys and never recovers. Ours refuses the second,
    /// opens the first, and then the second.
    fn leave_the_trap(mut self) {
        let ops = self.vector.at("/out/ops").as_array().unwrap();
        let op = ops.iter().find(|op| op["error"].is_string()).unwrap();
        for index in [2, 3] {
            let mut keys = if index == 2 { self.drawn.turn(&op["new"]) } else { Prepared::default() };
            let message = self.messages[index].clone();
            self.rcv.decrypt(&message, &mut keys).unwrap();
        }
    }

    fn compare_final_states(&mut self) {
        for (side, party) in [("snd", &self.snd), ("rcv", &self.rcv)] {
            let state = format!("/out/{side}_final_state");
            let skipped = format!("/out/{side}_final_skipped");
            if self.vector.has(&state) && self.vector.has(&skipped) {
                let expected = [self.drawn.state(self.vector.at(&state)), skipped_keys(self.vector.at(&skipped))];
                assert_eq!(hex::encode(party.stored()), hex::encode(expected.concat()), "final state of {side}");
            }
        }
    }
}

/// The stored form of skipped keys; the vectors order them by header key and number.
fn skipped_keys(keys: &Value) -> Vec<u8> {
    let mut chains: Vec<(Vec<u8>, Vec<Vec<u8>>)> = vec![];
    for key in keys.as_array().unwrap() {
        let header = hex(&key["header_key"]);
        let number = number::<u32>(&key["number"]).to_be_bytes().to_vec();
        let entry = [number, hex(&key["message_key"]), hex(&key["iv"])].concat();
        match chains.last_mut().filter(|(last, _)| *last == header) {
            Some((_, entries)) => entries.push(entry),
            None => chains.push((header, vec![entry])),
        }
    }
    let count = |length: usize| u16::try_from(length).unwrap().to_be_bytes().to_vec();
    let chains_count = count(chains.len());
    let chains = chains.into_iter().map(|(header, entries)| [header, count(entries.len()), entries.concat()].concat());
    [chains_count, chains.flatten().collect()].concat()
}

fn mutated(message: &[u8], mutation: &Value) -> Vec<u8> {
    let mut message = message.to_vec();
    let Some(mutation) = mutation.as_object() else { return message };
    for (kind, value) in mutation {
        match kind.as_str() {
            "flip_lowest_bit_of_byte" => message[number::<usize>(value)] ^= 1,
            "truncate_to" => message.truncate(number(value)),
            "replace_first_2_bytes_by" => drop(message.splice(..2, hex(value))),
            other => panic!("unknown mutation {other}"),
        }
    }
    message
}

/// Bytes as such, or a run of one byte.
fn text(value: &Value) -> Vec<u8> {
    match value["len"].is_null() {
        true => hex(value),
        false => hex(&value["filled_with"]).repeat(number(&value["len"])),
    }
}
