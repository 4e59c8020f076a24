//! What holds for every order of sending, losing and receiving, and for every stored form.

use std::collections::BTreeSet;

use agent::agreement::AgreementKeys;
use agent::ratchet::{MessageKey, Pq, StoredRatchet};
use agent::ratchet_keys::{KemOffer, SenderKeys};
use codec::{Decode, Encode};
use crypto::dh::X448PublicKey;
use crypto::kem::{KemCiphertext, KemPublicKey};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::support::{HYBRID, PLAIN, Pair, Party, SIZE};

/// What may happen next between two sides.
#[derive(Debug, Clone)]
enum Step {
    Send {
        from_joiner: bool,
        request: Option<bool>,
    },
    /// The message in the air at this position arrives; it may stay in the air and arrive again.
    Deliver {
        position: usize,
        again: bool,
    },
    Lose {
        position: usize,
    },
    /// Both programs stop and read their states again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), option::of(any::<bool>())).prop_map(|(from_joiner, request)| Step::Send { from_joiner, request }),
        6 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(position, again)| Step::Deliver { position, again }),
        1 => any::<usize>().prop_map(|position| Step::Lose { position }),
        1 => Just(Step::Restart),
    ]
}

struct InTheAir {
    to_owner: bool,
    text: Vec<u8>,
    message: Vec<u8>,
}

fn run(mut pair: Pair, steps: Vec<Step>) {
    let mut air: Vec<InTheAir> = vec![];
    let mut arrived = BTreeSet::new();
    let mut sent = 0u32;
    for step in steps {
        match step {
            Step::Send { from_joiner, request } => {
                let party = if from_joiner { &mut pair.joiner } else { &mut pair.owner };
                let Party::Established(ratchet) = party else { continue };
                let text = sent.to_be_bytes().to_vec();
                sent += 1;
                let request = request.map(|on| if on { Pq::On } else { Pq::Off });
                let message = ratchet.encrypt(request, &text, SIZE).unwrap();
                air.push(InTheAir { to_owner: from_joiner, text, message });
            }
            Step::Deliver { position, again } if !air.is_empty() => {
                let position = position % air.len();
                let one = if again { None } else { Some(air.remove(position)) };
                let one = one.as_ref().unwrap_or_else(|| &air[position]);
                let outcome = if one.to_owner { pair.at_owner(&one.message) } else { pair.at_joiner(&one.message) };
                match arrived.insert(one.text.clone()) {
                    true => assert_eq!(outcome.unwrap(), one.text),
                    false => assert!(outcome.is_err(), "a message arrived twice"),
                }
            }
            Step::Lose { position } if !air.is_empty() => drop(air.remove(position % air.len())),
            Step::Deliver { .. } | Step::Lose { .. } => {}
            Step::Restart => {
                pair.joiner = Party::from_stored(&pair.joiner.stored());
                pair.owner = Party::from_stored(&pair.owner.stored());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_message_arrives_once_in_whatever_order(seed: [u8; 32], steps in vec(step(), 0..120)) {
        run(Pair::seeded(PLAIN, seed), steps);
    }

    #[test]
    fn every_message_arrives_once_while_encapsulation_goes_on_and_off(seed: [u8; 32], steps in vec(step(), 0..40)) {
        run(Pair::seeded(HYBRID, seed), steps);
    }

    #[test]
    fn a_stored_message_key_makes_the_same_message(seed: [u8; 32], text in vec(any::<u8>(), 0..SIZE - 2)) {
        let mut pair = Pair::seeded(PLAIN, seed);
        let key = pair.joiner.ratchet().next_key(None).unwrap();
        let again = MessageKey::from_stored(&key.to_stored()).unwrap();
        let message = key.seal(&text, SIZE).unwrap();
        prop_assert_eq!(&again.seal(&text, SIZE).unwrap(), &message);
        prop_assert_eq!(pair.at_owner(&message).unwrap(), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn made_up_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        let mut pair = Pair::new(PLAIN);
        prop_assert!(pair.at_owner(&bytes).is_err());
        prop_assert!(pair.at_joiner(&bytes).is_err());
        prop_assert!(StoredRatchet::from_stored(&bytes).is_err());
        prop_assert!(MessageKey::from_stored(&bytes).is_err() || bytes.len() > 160);
        prop_assert!(AgreementKeys::from_stored(&bytes).is_err() || bytes.len() > 112);
        prop_assert!(SenderKeys::decode_all(&bytes).is_err());
    }

    #[test]
    fn public_keys_round_trip(version in 2u16..5, key: [u8; 32], kem: u8, kind in 0..3) {
        let mut raw = [0; 56];
        raw[..32].copy_from_slice(&key);
        let key = X448PublicKey::from_bytes(raw);
        let public = KemPublicKey::from_bytes(&[kem; 1158]).unwrap();
        let kem = match kind {
            0 => None,
            1 => Some(KemOffer::Proposed(public)),
            _ => Some(KemOffer::Accepted(KemCiphertext::from_bytes(&[kem; 1039]).unwrap(), public)),
        };
        let keys = SenderKeys::new(version, key, key, kem);
        let bytes = keys.to_bytes();
        prop_assert_eq!(SenderKeys::decode_all(&bytes), Ok(keys));
        prop_assert!(SenderKeys::decode_all(&bytes[..bytes.len() - 1]).is_err());
        prop_assert!(SenderKeys::decode_all(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}
