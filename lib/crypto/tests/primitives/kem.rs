//! Encapsulation with sntrup761 against the reference, and what holds for every key.

use crypto::SeededRandom;
use crypto::kem::{CIPHERTEXT, KemCiphertext, KemPublicKey, KemSecretKey, PUBLIC_KEY, SECRET_KEY};
use proptest::prelude::*;

use crate::vectors::{Vector, each, named, operations};

const FILE: &str = "sntrup761.json";

fn secret_key(vector: &Vector) -> KemSecretKey {
    let bytes = match vector.has("/in/key_of") {
        true => named(FILE, vector.text("/in/key_of")).hex("/in/secret"),
        false => vector.hex("/in/secret"),
    };
    KemSecretKey::from_bytes(&bytes).unwrap()
}

#[test]
fn ciphertexts_hold_the_secrets_of_the_reference_and_altered_ones_its_rejections() {
    each(FILE, "sntrup761_decaps", |vector| {
        let key = secret_key(vector);
        let ciphertext = KemCiphertext::from_bytes(&vector.hex("/in/ciphertext")).unwrap();
        assert_eq!(key.decapsulate(&ciphertext).expose(), &vector.array("/out/shared_secret"));
        if vector.has("/in/public") {
            assert_eq!(key.public().as_bytes().as_slice(), vector.hex("/in/public"));
        }
    });
}

#[test]
fn every_operation_is_covered() {
    // The forms on the wire are checked where they are used, by the tests of the agent.
    let covered = ["kem_params", "sntrup761_decaps"].map(str::to_owned);
    assert_eq!(operations(FILE), covered.into());
}

#[test]
fn keys_and_ciphertexts_are_determined_by_the_randomness() {
    let draw = || {
        let mut random = SeededRandom::new(&[1; 32], "kem");
        let key = KemSecretKey::generate(&mut random);
        let (ciphertext, secret) = key.public().encapsulate(&mut random);
        (key, ciphertext, secret)
    };
    assert!(draw() == draw());
}

#[test]
fn wrong_lengths_are_refused() {
    for (length, right) in [(PUBLIC_KEY, 1158), (SECRET_KEY, 1763), (CIPHERTEXT, 1039)] {
        assert_eq!(length, right);
        for wrong in [0, length - 1, length + 1] {
            let bytes = vec![1; wrong];
            assert!(KemPublicKey::from_bytes(&bytes).is_err());
            assert!(KemSecretKey::from_bytes(&bytes).is_err());
            assert!(KemCiphertext::from_bytes(&bytes).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_owner_finds_what_was_encapsulated(seed: [u8; 32], flipped in 0..CIPHERTEXT * 8) {
        let mut random = SeededRandom::new(&seed, "kem");
        let key = KemSecretKey::generate(&mut random);
        let (ciphertext, secret) = key.public().encapsulate(&mut random);
        prop_assert!(key.decapsulate(&ciphertext) == secret);
        let mut altered = *ciphertext.as_bytes();
        altered[flipped / 8] ^= 1 << (flipped % 8);
        let altered = KemCiphertext::from_bytes(&altered).unwrap();
        prop_assert!(key.decapsulate(&altered) != secret);
    }

    #[test]
    fn any_bytes_are_keys_and_ciphertexts(seed: [u8; 32], byte: u8) {
        let mut bytes = [byte; PUBLIC_KEY];
        crypto::Random::fill(&mut SeededRandom::new(&seed, "public"), &mut bytes[..500]);
        let public = KemPublicKey::from_bytes(&bytes).unwrap();
        let (ciphertext, _) = public.encapsulate(&mut SeededRandom::new(&seed, "kem"));
        KemSecretKey::generate(&mut SeededRandom::new(&seed, "other")).decapsulate(&ciphertext);
        KemSecretKey::from_bytes(&[byte; SECRET_KEY]).unwrap().decapsulate(&ciphertext);
    }
}
