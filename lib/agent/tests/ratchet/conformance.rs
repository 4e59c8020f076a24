//! The lines of the conformance checklist about agreement and ratchet, by number.

use agent::agreement::{AgreementError, AgreementKeys, join};
use agent::ratchet::{MAX_SKIP, MessageKey, Pq, RatchetError};
use agent::ratchet_keys::{KemOffer, ReceiverKeys, SenderKeys};
use codec::{Decode, Encode, VersionRange};
use crypto::SeededRandom;
use crypto::kem::{KemCiphertext, KemPublicKey};

use crate::support::{HYBRID, PLAIN, Pair, Party, SIZE, Terms};

const V2: VersionRange = VersionRange::single(2);

/// Every way two sides can begin.
fn all_terms() -> Vec<Terms> {
    let mut all = vec![];
    for proposed in [Pq::On, Pq::Off] {
        for joiner in [Pq::On, Pq::Off] {
            for owner in [Pq::On, Pq::Off] {
                let terms = Terms { joiner, owner, proposed, ..PLAIN };
                all.extend([terms, Terms { joiner_versions: V2, owner_versions: V2, ..terms }]);
            }
        }
    }
    all
}

#[test]
fn agent_28_both_sides_derive_the_same_with_and_without_encapsulation() {
    for terms in all_terms() {
        let mut pair = Pair::new(terms);
        let hybrid = terms.proposed == Pq::On && terms.joiner == Pq::On && terms.joiner_versions.max() > 2;
        assert_eq!(pair.joiner.ratchet().sends_post_quantum(), hybrid);
        pair.reach_owner(b"first");
        pair.reach_joiner(b"second");
        assert_eq!(pair.owner.ratchet().receives_post_quantum(), hybrid);
        assert_eq!(pair.joiner.ratchet().security_code(), pair.owner.ratchet().security_code());
    }
}

#[test]
fn agent_29_only_what_was_proposed_can_be_accepted() {
    let mut random = SeededRandom::new(&[1; 32], "keys");
    let range = agent::version::RATCHET;
    let silent = AgreementKeys::generate(Pq::Off, &mut random).unwrap();
    let proposing = AgreementKeys::generate(Pq::On, &mut random).unwrap();
    let (accepted, _) = join(&proposing.public(3), range, Pq::On, &mut random).unwrap();
    assert!(matches!(accepted.kem(), Some(KemOffer::Accepted(..))));
    assert_eq!(silent.accept(&accepted, range, Pq::On).err(), Some(AgreementError::KemState));

    let (rejected, _) = join(&proposing.public(3), range, Pq::Off, &mut random).unwrap();
    assert_eq!(rejected.kem(), None);
    let (proposed_back, _) = join(&silent.public(3), range, Pq::On, &mut random).unwrap();
    assert!(matches!(proposed_back.kem(), Some(KemOffer::Proposed(_))));
    for answer in [rejected, proposed_back] {
        assert!(silent.accept(&answer, range, Pq::On).is_ok());
        assert!(proposing.accept(&answer, range, Pq::On).is_ok());
    }
}

#[test]
fn agent_30_parameters_round_trip_at_every_version() {
    let mut random = SeededRandom::new(&[1; 32], "keys");
    let keys = AgreementKeys::generate(Pq::On, &mut random).unwrap();
    let kem = KemPublicKey::from_bytes(&[5; 1158]).unwrap();
    let ciphertext = KemCiphertext::from_bytes(&[6; 1039]).unwrap();
    let offers = [None, Some(KemOffer::Proposed(kem.clone())), Some(KemOffer::Accepted(ciphertext, kem))];
    for version in [2, 3] {
        let public = keys.public(version);
        assert_eq!(public.kem().is_some(), version == 3);
        assert_eq!(ReceiverKeys::decode_all(&public.to_bytes()).as_ref(), Ok(&public));
        for offer in &offers {
            let sent = SenderKeys::new(version, *public.key_1(), *public.key_2(), offer.clone());
            assert_eq!(sent.kem().is_some(), offer.is_some() && version == 3);
            assert_eq!(SenderKeys::decode_all(&sent.to_bytes()), Ok(sent));
        }
    }
    assert_eq!(AgreementKeys::from_stored(&keys.to_stored()).unwrap().public(3), keys.public(3));
}

#[test]
fn agent_31_the_length_says_nothing_about_the_message() {
    let v2 = Terms { joiner_versions: V2, owner_versions: V2, ..PLAIN };
    for (terms, overhead) in [(v2, 140), (PLAIN, 142), (HYBRID, 2364)] {
        let mut pair = Pair::talking(terms);
        for text in [b"".as_slice(), b"x", &[0; SIZE - 2]] {
            assert_eq!(pair.joiner_sends(text).len(), SIZE + overhead);
            assert_eq!(pair.owner_sends(text).len(), SIZE + overhead);
        }
    }
}

#[test]
fn agent_32_both_sides_send_several_messages_in_a_row_and_at_once() {
    for terms in [PLAIN, HYBRID] {
        let mut pair = Pair::talking(terms);
        for round in 0..3u8 {
            let to_owner: Vec<_> = (0..3).map(|i| pair.joiner_sends(&[round, i])).collect();
            let to_joiner: Vec<_> = (0..3).map(|i| pair.owner_sends(&[round, i])).collect();
            for i in 0..3 {
                assert_eq!(pair.at_owner(&to_owner[i]).unwrap(), [round, i as u8]);
                assert_eq!(pair.at_joiner(&to_joiner[i]).unwrap(), [round, i as u8]);
            }
        }
    }
}

#[test]
fn agent_33_messages_arrive_in_reverse_and_the_last_again_is_a_duplicate() {
    let mut pair = Pair::talking(PLAIN);
    let messages: Vec<_> = (1..=3u8).map(|i| pair.joiner_sends(&[i])).collect();
    for i in [3, 2, 1u8] {
        assert_eq!(pair.at_owner(&messages[usize::from(i) - 1]).unwrap(), [i]);
    }
    assert_eq!(pair.at_owner(&messages[2]), Err(RatchetError::Duplicate));
    assert_eq!(pair.at_owner(&messages[1]), Err(RatchetError::Earlier(1)));
    assert_eq!(pair.at_owner(&messages[0]), Err(RatchetError::Earlier(2)));
}

#[test]
fn agent_34_messages_of_earlier_chains_arrive_once() {
    for terms in [PLAIN, HYBRID] {
        let mut pair = Pair::talking(terms);
        let late = [pair.joiner_sends(b"late 1"), pair.joiner_sends(b"late 2")];
        for _ in 0..3 {
            pair.reach_owner(b"ping");
            pair.reach_joiner(b"pong");
        }
        assert_eq!(pair.owner.ratchet().skipped_messages(), 2);
        assert_eq!(pair.at_owner(&late[1]).unwrap(), b"late 2");
        assert_eq!(pair.at_owner(&late[1]), Err(RatchetError::UnknownHeader));
        assert_eq!(pair.at_owner(&late[0]).unwrap(), b"late 1");
        assert_eq!(pair.at_owner(&late[0]), Err(RatchetError::UnknownHeader));
        assert_eq!(pair.owner.ratchet().skipped_messages(), 0);
    }
}

#[test]
fn agent_35_512_missing_messages_are_accepted_and_513_are_not() {
    for (missing, accepted) in [(MAX_SKIP, true), (MAX_SKIP + 1, false)] {
        for new_chain in [true, false] {
            let mut pair = Pair::talking(PLAIN);
            if !new_chain {
                pair.reach_owner(b"begins the chain");
            }
            (0..missing).for_each(|_| drop(pair.joiner.ratchet().next_key(None).unwrap()));
            let message = pair.joiner_sends(b"after the gap");
            let outcome = pair.at_owner(&message);
            match accepted {
                true => assert_eq!(outcome.unwrap(), b"after the gap"),
                false => assert_eq!(outcome, Err(RatchetError::TooManySkipped(missing + 1))),
            }
        }
    }
}

/// Sends a message each way, the sides asking for what they want; whether each was encrypted with encapsulation.
fn turn(pair: &mut Pair, joiner: Option<Pq>, owner: Option<Pq>) -> (bool, bool) {
    let to_owner = pair.joiner.ratchet().encrypt(joiner, b"ping", SIZE).unwrap();
    pair.at_owner(&to_owner).unwrap();
    let to_joiner = pair.owner.ratchet().encrypt(owner, b"pong", SIZE).unwrap();
    pair.at_joiner(&to_joiner).unwrap();
    (pair.owner.ratchet().receives_post_quantum(), pair.joiner.ratchet().receives_post_quantum())
}

#[test]
fn agent_36_encapsulation_goes_off_and_comes_back_when_both_want_it() {
    let mut pair = Pair::talking(HYBRID);
    assert_eq!(turn(&mut pair, Some(Pq::On), Some(Pq::On)), (true, true));
    turn(&mut pair, Some(Pq::Off), Some(Pq::Off));
    assert_eq!(turn(&mut pair, Some(Pq::Off), Some(Pq::Off)), (false, false));
    for _ in 0..4 {
        assert_eq!(turn(&mut pair, Some(Pq::On), Some(Pq::Off)), (false, false));
    }
    for _ in 0..3 {
        turn(&mut pair, Some(Pq::On), Some(Pq::On));
    }
    assert_eq!(turn(&mut pair, None, None), (true, true));
}

#[test]
fn agent_37_encapsulation_comes_without_having_been_in_the_handshake() {
    let mut pair = Pair::talking(PLAIN);
    assert_eq!(turn(&mut pair, None, None), (false, false));
    for _ in 0..3 {
        turn(&mut pair, Some(Pq::On), Some(Pq::On));
    }
    assert_eq!(turn(&mut pair, None, None), (true, true));
}

#[test]
fn agent_38_version_2_rises_to_3_with_a_header_that_says_so_and_both_lengths_are_read() {
    // Each side speaks 3, but the link was read by an agent that knew only 2.
    let mut random = SeededRandom::new(&[1; 32], "keys");
    let range = agent::version::RATCHET;
    let keys = AgreementKeys::generate(Pq::Off, &mut random).unwrap();
    let (sent, mut joiner) = join(&keys.public(2), range, Pq::Off, &mut random).unwrap();
    let owner = keys.accept(&sent, range, Pq::Off).unwrap();
    assert_eq!(joiner.version(), 2);
    let first = joiner.encrypt(None, b"one-byte length", SIZE).unwrap();
    let (mut owner, received) = owner.decrypt(&first, &mut random).unwrap();
    assert_eq!(received.plaintext, b"one-byte length");
    assert_eq!(owner.version(), 3);
    let second = owner.encrypt(None, b"two-byte length", SIZE).unwrap();
    let still_version_2 = joiner.encrypt(None, b"one byte again", SIZE).unwrap();
    assert_eq!(joiner.decrypt(&second, &mut random).unwrap().plaintext, b"two-byte length");
    assert_eq!(owner.decrypt(&still_version_2, &mut random).unwrap().plaintext, b"one byte again");
    assert_eq!((first[0], second[0], still_version_2[0], joiner.version()), (123, 0, 123, 3));
}

#[test]
fn agent_39_the_security_code_is_equal_on_both_sides_and_of_this_connection() {
    let code = |seed| {
        let mut pair = Pair::seeded(HYBRID, [seed; 32]);
        pair.reach_owner(b"hello");
        let (joiner, owner) = (pair.joiner.ratchet().security_code(), pair.owner.ratchet().security_code());
        assert_eq!(joiner, owner);
        joiner
    };
    assert_ne!(code(1), code(2));
}

#[test]
fn agent_41_encapsulation_is_on_when_both_sides_want_it_and_off_otherwise() {
    for terms in all_terms() {
        let mut pair = Pair::new(terms);
        let both = terms.joiner == Pq::On && terms.owner == Pq::On && terms.joiner_versions.max() > 2;
        turn(&mut pair, None, None);
        assert_eq!(turn(&mut pair, None, None), (both, both));
    }
}

#[test]
fn agent_42_messages_sent_right_after_joining_arrive_before_any_answer() {
    for proposed in [Pq::Off, Pq::On] {
        let mut pair = Pair::new(Terms { proposed, ..HYBRID });
        let sent = [b"confirmation", b"first words!", b"and some mor"].map(|text| pair.joiner_sends(text));
        for (message, text) in sent.iter().zip([b"confirmation", b"first words!", b"and some mor"]) {
            assert_eq!(pair.at_owner(message).unwrap(), text);
        }
        assert_eq!(pair.owner.ratchet().receives_post_quantum(), proposed == Pq::On);
    }
}

#[test]
fn agent_44_a_stored_confirmation_is_repeated_without_a_second_ratchet() {
    let mut pair = Pair::new(HYBRID);
    let key = pair.joiner.ratchet().next_key(None).unwrap();
    let stored = (pair.joiner.stored(), key.to_stored());
    let first_try = key.seal(b"confirmation", SIZE).unwrap();
    // The process dies here, perhaps after sending.
    pair.joiner = Party::from_stored(&stored.0);
    let second_try = MessageKey::from_stored(&stored.1).unwrap().seal(b"confirmation", SIZE).unwrap();
    assert!(first_try == second_try);
    assert_eq!(pair.at_owner(&second_try).unwrap(), b"confirmation");
    pair.reach_joiner(b"welcome");
}

#[test]
fn agent_49_a_repeated_confirmation_is_known_as_such() {
    let mut pair = Pair::new(HYBRID);
    let confirmation = pair.joiner_sends(b"confirmation");
    assert_eq!(pair.at_owner(&confirmation).unwrap(), b"confirmation");
    assert_eq!(pair.at_owner(&confirmation), Err(RatchetError::Duplicate));
    pair.reach_joiner(b"welcome");
    assert_eq!(pair.at_owner(&confirmation), Err(RatchetError::Duplicate));
}
