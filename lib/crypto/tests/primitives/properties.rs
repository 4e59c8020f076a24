//! What holds for every key and message, and for bytes that are neither.

use crypto::authorize::{AuthPrivateKey, AuthPublicKey, Authorization};
use crypto::certificate::{CertificateChain, verify_signed_key};
use crypto::dh::{X448PrivateKey, X448PublicKey, X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey, SigningPublicKey};
use crypto::{BoxKey, Error, Nonce, Random, SeededRandom, aead, pad};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::vectors;

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=most)
}

fn box_key() -> impl Strategy<Value = BoxKey> {
    any::<[u8; 32]>().prop_map(|key| BoxKey::symmetric(&key))
}

fn nonce() -> impl Strategy<Value = Nonce> {
    any::<[u8; 24]>().prop_map(Nonce)
}

fn auth_key() -> impl Strategy<Value = AuthPrivateKey> {
    (0..3, any::<[u8; 32]>(), any::<[u8; 25]>()).prop_map(|(kind, start, end)| match kind {
        0 => AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(start)),
        1 => AuthPrivateKey::X25519(X25519PrivateKey::from_bytes(start)),
        _ => AuthPrivateKey::Ed448(Ed448PrivateKey::from_seed([&start[..], &end].concat().try_into().unwrap())),
    })
}

proptest! {
    #[test]
    fn padding_is_undone(message in bytes(300), room in 0..40_usize) {
        let size = message.len() + 2 + room;
        let padded = pad::pad(&message, size).unwrap();
        prop_assert_eq!(padded.len(), size);
        prop_assert_eq!(pad::unpad(&padded), Ok(message.as_slice()));
        prop_assert_eq!(pad::pad(&message, message.len() + 1), Err(Error::TooLarge));
    }

    #[test]
    fn boxes_open_unless_a_byte_was_changed(key in box_key(), nonce in nonce(), message in bytes(90), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut sealed = key.seal(nonce, &message);
        prop_assert_eq!(key.open(nonce, &sealed), Ok(message));
        prop_assert_eq!(key.open(nonce, &sealed[..at.index(sealed.len())]), Err(Error::Decrypt));
        let position = at.index(sealed.len());
        sealed[position] ^= flip;
        prop_assert_eq!(key.open(nonce, &sealed), Err(Error::Decrypt));
    }

    #[test]
    fn a_box_that_does_not_fit_leaves_the_output_alone(key in box_key(), nonce in nonce(), message in bytes(90), before in bytes(9)) {
        let mut out = before.clone();
        prop_assert_eq!(key.seal_padded_into(nonce, &message, message.len() + 1, &mut out), Err(Error::TooLarge));
        prop_assert_eq!(&out, &before);
        key.seal_padded_into(nonce, &message, message.len() + 2, &mut out).unwrap();
        prop_assert_eq!(key.open_padded(nonce, &out[before.len()..]), Ok(message));
    }

    #[test]
    fn random_bytes_are_no_box(key in box_key(), nonce in nonce(), noise in bytes(90)) {
        prop_assert_eq!(key.open(nonce, &noise), Err(Error::Decrypt));
        prop_assert_eq!(aead::open_padded(&[1; 32], &[2; 16], &noise, &noise, &[3; 16]), Err(Error::Decrypt));
    }

    #[test]
    fn ratchet_messages_open_with_their_associated_data_only(key: [u8; 32], iv: [u8; 16], associated in bytes(40), message in bytes(90)) {
        let sealed = aead::seal_padded(&key, &iv, &associated, &message, 92).unwrap();
        prop_assert_eq!(aead::open_padded(&key, &iv, &associated, &sealed.ciphertext, &sealed.tag), Ok(message));
        let other = [associated.as_slice(), b"x"].concat();
        prop_assert_eq!(aead::open_padded(&key, &iv, &other, &sealed.ciphertext, &sealed.tag), Err(Error::Decrypt));
    }

    #[test]
    fn both_sides_agree(a: [u8; 32], b: [u8; 32]) {
        let (a, b) = (X25519PrivateKey::from_bytes(a), X25519PrivateKey::from_bytes(b));
        prop_assert_eq!(a.agree(&b.public()), b.agree(&a.public()));
        let stretched = |key: &X25519PrivateKey| {
            let mut raw = [0; 56];
            raw[..32].copy_from_slice(key.to_bytes().expose());
            X448PrivateKey::from_bytes(raw)
        };
        let (a, b) = (stretched(&a), stretched(&b));
        prop_assert_eq!(a.agree(&b.public().unwrap()).unwrap(), b.agree(&a.public().unwrap()).unwrap());
    }

    #[test]
    fn a_command_is_authorised_by_its_own_key_session_and_bytes(key in auth_key(), other in auth_key(), session: [u8; 32], id in bytes(30), command in bytes(90)) {
        let session = X25519PrivateKey::from_bytes(session);
        let bytes = key.authorize(&session.public(), &id, &command).unwrap();
        let received = Authorization::from_bytes(&bytes).unwrap();
        let public = key.public().unwrap();
        prop_assert_eq!(AuthPublicKey::from_der(&public.to_der()), Ok(public));
        prop_assert_eq!(public.verify(received, &session, &id, &command), Ok(()));
        prop_assert_eq!(public.verify(received, &session, &id, &[command.as_slice(), b"x"].concat()), Err(Error::BadSignature));
        prop_assert_eq!(other.public().unwrap().verify(received, &session, &id, &command), Err(Error::BadSignature));
        prop_assert_eq!(received.verify_in_vain(&session, &id, &command), Err(Error::BadSignature));
    }

    #[test]
    fn bytes_that_are_no_key_or_certificate_are_refused(noise in bytes(200)) {
        prop_assert!(AuthPublicKey::from_der(&noise).is_err());
        prop_assert!(SigningPublicKey::from_der(&noise).is_err());
        prop_assert!(X25519PublicKey::from_der(&noise).is_err() && X25519PrivateKey::from_der(&noise).is_err());
        prop_assert!(X448PublicKey::from_der(&noise).is_err() && X448PrivateKey::from_der(&noise).is_err());
        prop_assert!(Ed25519PrivateKey::from_der(&noise).is_err() && Ed448PrivateKey::from_der(&noise).is_err());
        let key = SigningPublicKey::Ed25519(Ed25519PrivateKey::from_seed([1; 32]).public());
        prop_assert!(verify_signed_key(&key, &noise).is_err());
        let chain = CertificateChain::new(vec![noise; 2]);
        prop_assert!(chain.verify(&chain.identity().unwrap(), 0).is_err() && chain.verify_service(0).is_err());
    }

    #[test]
    fn a_leaf_with_a_change_in_what_is_signed_or_in_its_signature_is_refused(at: prop::sample::Index, flip in 1..=255_u8) {
        let vector = vectors::named("handshake.json", "chain_3");
        let mut certificates: Vec<_> = vector.at("/in/chain").as_array().unwrap().iter().map(vectors::hex).collect();
        let now = 1_798_761_600;
        let chain = CertificateChain::new(certificates.clone());
        let fingerprint = chain.identity().unwrap();
        prop_assert!(chain.verify(&fingerprint, now).is_ok());
        // The certificate is a header of 3 bytes, the signed part, the algorithm, and a signature of 64 bytes.
        let leaf = &mut certificates[0];
        let (signed, signature) = (3..3 + 3 + usize::from(leaf[5]), leaf.len() - 64..leaf.len());
        let positions: Vec<usize> = signed.chain(signature).collect();
        leaf[positions[at.index(positions.len())]] ^= flip;
        prop_assert!(CertificateChain::new(certificates).verify(&fingerprint, now).is_err());
    }

    #[test]
    fn reproducible_bytes_do_not_depend_on_how_they_are_drawn(seed: [u8; 32], parts in vec(0..100_usize, 1..6)) {
        let mut all = vec![0; parts.iter().sum()];
        SeededRandom::new(&seed, "step").fill(&mut all);
        let mut source = SeededRandom::new(&seed, "step");
        let drawn: Vec<u8> = parts.iter().flat_map(|length| {
            let mut part = vec![0; *length];
            source.fill(&mut part);
            part
        }).collect();
        prop_assert_eq!(drawn, all);
    }
}
