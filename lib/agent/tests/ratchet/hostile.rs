//! What peers, servers and damaged disks may do to a ratchet: each is named, and none changes it.

use agent::agreement::{AgreementError, AgreementKeys, join};
use agent::ratchet::{MessageKey, Pq, RatchetError, StoredError, StoredRatchet};
use agent::ratchet_keys::{KemOffer, SenderKeys};
use codec::VersionRange;
use crypto::SeededRandom;
use crypto::dh::X448PublicKey;

use crate::support::{HYBRID, PLAIN, Pair, SIZE, Terms};

#[test]
fn every_flipped_bit_is_refused_and_the_true_message_still_arrives() {
    for terms in [PLAIN, HYBRID] {
        let mut pair = Pair::talking(terms);
        for turn in 0..2 {
            // The first message turns the ratchet, the second does not.
            let message = pair.joiner_sends(&[turn]);
            let step = if terms.proposed == Pq::On { 29 } else { 1 };
            for byte in (0..message.len()).step_by(step) {
                let mut altered = message.clone();
                altered[byte] ^= 1 << (byte % 8);
                let error = pair.at_owner(&altered).unwrap_err();
                // The version stands before the encrypted header and decides how the header is read.
                let expected = match byte {
                    0..4 => true,
                    _ => matches!(error, RatchetError::UnknownHeader | RatchetError::Body | RatchetError::Malformed(_)),
                };
                assert!(expected, "byte {byte} gives {error}");
            }
            assert_eq!(pair.at_owner(&message).unwrap(), [turn]);
        }
    }
}

#[test]
fn truncated_and_extended_messages_are_refused() {
    let mut pair = Pair::talking(PLAIN);
    let message = pair.joiner_sends(b"whole");
    for length in 0..message.len() {
        assert!(pair.at_owner(&message[..length]).is_err());
    }
    assert_eq!(pair.at_owner(&[message.as_slice(), b"#"].concat()), Err(RatchetError::Body));
    assert_eq!(pair.at_owner(&message).unwrap(), b"whole");
}

#[test]
fn missing_messages_are_counted_and_50_000_are_refused() {
    let mut pair = Pair::talking(PLAIN);
    (0..50_000).for_each(|_| drop(pair.joiner.ratchet().next_key(None).unwrap()));
    let message = pair.joiner_sends(b"far");
    assert_eq!(pair.at_owner(&message), Err(RatchetError::TooManySkipped(50_001)));
    pair.reach_joiner(b"a new chain");
    let message = pair.joiner_sends(b"the old chain was too long");
    assert_eq!(pair.at_owner(&message), Err(RatchetError::TooManySkipped(50_002)));
}

#[test]
fn gap_after_gap_does_not_fill_the_memory() {
    let mut pair = Pair::talking(PLAIN);
    for _ in 0..6 {
        (0..500).for_each(|_| drop(pair.joiner.ratchet().next_key(None).unwrap()));
        pair.reach_owner(b"after a gap");
    }
    assert_eq!(pair.owner.ratchet().skipped_messages(), 2_048);
    let mut pair = Pair::talking(PLAIN);
    for _ in 0..140 {
        drop(pair.joiner.ratchet().next_key(None).unwrap());
        pair.reach_owner(b"after a gap");
        pair.reach_joiner(b"turn");
    }
    assert_eq!(pair.owner.ratchet().skipped_messages(), 128);
}

#[test]
fn messages_of_other_connections_and_our_own_are_unknown() {
    let mut pair = Pair::talking(HYBRID);
    let mut other = Pair::seeded(HYBRID, [8; 32]);
    other.reach_owner(b"hello");
    let foreign = other.joiner_sends(b"foreign");
    let own = pair.owner_sends(b"own");
    assert_eq!(pair.at_owner(&foreign), Err(RatchetError::UnknownHeader));
    assert_eq!(pair.at_owner(&own), Err(RatchetError::UnknownHeader));
}

#[test]
fn encapsulation_nobody_asked_for_names_the_peer() {
    // The joiner accepts a proposal, and the owner restores keys that never proposed.
    let mut random = SeededRandom::new(&[1; 32], "keys");
    let range = agent::version::RATCHET;
    let mut pair = Pair::new(Terms { owner: Pq::Off, ..HYBRID });
    let confirmation = pair.joiner_sends(b"confirmation");
    let stored = pair.owner.stored();
    let (session, kem) = stored.split_at(2 + 112 + 112);
    let without_kem = [session, b"0", &kem[1 + 1763 + 1039..]].concat();
    let StoredRatchet::Awaiting(owner) = StoredRatchet::from_stored(&without_kem).unwrap() else { panic!("state") };
    assert_eq!(owner.decrypt(&confirmation, &mut random).err(), Some(RatchetError::KemState));

    let keys = AgreementKeys::generate(Pq::On, &mut random).unwrap();
    let (accepted, _) = join(&keys.public(3), range, Pq::On, &mut random).unwrap();
    assert!(matches!(accepted.kem(), Some(KemOffer::Accepted(..))));
    let silent = AgreementKeys::generate(Pq::Off, &mut random).unwrap();
    assert_eq!(silent.accept(&accepted, range, Pq::On).err(), Some(AgreementError::KemState));
}

#[test]
fn unknown_versions_are_named() {
    let mut random = SeededRandom::new(&[1; 32], "keys");
    let range = agent::version::RATCHET;
    let keys = AgreementKeys::generate(Pq::On, &mut random).unwrap();
    for version in [0, 1, 4, u16::MAX] {
        let theirs = keys.public(version);
        assert_eq!(join(&theirs, range, Pq::On, &mut random).err(), Some(AgreementError::Version(version)));
        assert_eq!(keys.accept(&theirs.clone().into(), range, Pq::On).err(), Some(AgreementError::Version(version)));
        assert_eq!(keys.begin(&theirs, range, &mut random).err(), Some(AgreementError::Version(version)));
    }
    assert!(keys.offer(VersionRange::new(4, 9).unwrap()).agree(range).is_none());
    assert_eq!(keys.offer(VersionRange::new(3, 9).unwrap()).agree(range).unwrap().version(), 3);
    assert_eq!(keys.offer(VersionRange::new(1, 2).unwrap()).agree(range).unwrap().version(), 2);
}

#[test]
fn keys_that_make_the_agreement_predictable_are_refused() {
    let mut random = SeededRandom::new(&[1; 32], "keys");
    let range = agent::version::RATCHET;
    let keys = AgreementKeys::generate(Pq::Off, &mut random).unwrap();
    let (zero, good) = (X448PublicKey::from_bytes([0; 56]), *keys.public(3).key_1());
    for (key_1, key_2) in [(zero, good), (good, zero)] {
        let theirs = SenderKeys::new(3, key_1, key_2, None);
        assert_eq!(keys.accept(&theirs, range, Pq::Off).err(), Some(AgreementError::PeerKey));
    }
}

#[test]
fn too_large_messages_use_no_key() {
    let mut pair = Pair::talking(PLAIN);
    let before = pair.joiner.stored();
    let outcome = pair.joiner.ratchet().encrypt(None, &[0; SIZE - 1], SIZE);
    assert_eq!(outcome, Err(RatchetError::TooLarge { length: SIZE - 1, size: SIZE }));
    assert!(pair.joiner.stored() == before);
}

#[test]
fn damaged_and_newer_states_are_refused() {
    let mut pair = Pair::talking(HYBRID);
    drop(pair.joiner.ratchet().next_key(None).unwrap());
    pair.reach_owner(b"after a gap");
    let stored = pair.owner.stored();
    assert!(StoredRatchet::from_stored(&stored).is_ok());
    for length in 0..stored.len() {
        assert!(matches!(StoredRatchet::from_stored(&stored[..length]), Err(StoredError::Damaged(_))));
    }
    assert!(StoredRatchet::from_stored(&[stored.as_slice(), &[0]].concat()).is_err());
    let newer = [&[2], &stored[1..]].concat();
    assert!(matches!(StoredRatchet::from_stored(&newer), Err(StoredError::Version(2))));
    assert!(MessageKey::from_stored(&stored).is_err());
    assert!(AgreementKeys::from_stored(&stored).is_err());
}
