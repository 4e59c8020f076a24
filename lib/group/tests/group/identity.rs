//! The identity of a group: published values, and keys that do not repeat.

use crypto::sign::Ed25519PrivateKey;
use group::identity::{GroupId, MemberId, RootPublicKey};
use group::step::keygen::keygen;

use crate::support::{owner, random};

fn key(first: u8) -> Ed25519PrivateKey {
    Ed25519PrivateKey::from_seed(std::array::from_fn(|index| first + index as u8))
}

#[test]
fn chat_16_the_group_id_is_the_hash_of_the_raw_root_key() {
    let root = RootPublicKey(key(0).public());
    assert_eq!(hex::encode(root.0.as_bytes()), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    let id = GroupId::of_root_key(&root);
    assert_eq!(hex::encode(id.as_bytes()), "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c");
    assert_eq!(codec::text::base64url(id.as_bytes()), "Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3dIGy6rEHcIw=");
}

#[test]
fn chat_17_the_owner_entry_signs_id_and_der_key() {
    use agent::owner::{OwnerAuth, check_chain};
    use codec::{Decode, Encode};
    let entry = OwnerAuth::authorize(b"AAECAwQFBgcICQoL", key(0x20).public(), &key(0)).unwrap();
    let signature = "0868d2fdabaf4cb5dc29cd18413d82588d8e227e18e68da5ed15957602201f64\
                     9e7eb1bbd5668abcb770e90be25698d2db32a6cfc18fc31f6d5331149d3c750a";
    let der = "302a300506032b657003210029acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7";
    let expected = format!("7f10{}2c{der}40{signature}", hex::encode("AAECAwQFBgcICQoL"));
    assert_eq!(hex::encode(entry.to_bytes()), expected);
    assert_eq!(check_chain(&key(0).public(), &[entry]), Ok(()));

    let over_raw_key = key(0).sign(&[b"AAECAwQFBgcICQoL".as_slice(), key(0x20).public().as_bytes()].concat());
    let forged = hex::decode(expected.replace(signature, &hex::encode(over_raw_key))).unwrap();
    assert!(check_chain(&key(0).public(), &[OwnerAuth::decode_all(&forged).unwrap()]).is_err());
}

#[test]
fn an_identity_is_reproducible_and_its_keys_differ() {
    let (one, same) = (owner(), owner());
    assert_eq!(one.group_id(), same.group_id());
    assert_eq!(one.owner_id, same.owner_id);
    assert_ne!(one.root_key.public().0, one.owner_key.public().0);
    assert_ne!(one.group_id(), keygen(&mut random("another step")).group_id());
    assert!(one.authorization().is_some());
}

#[test]
fn member_ids_are_16_readable_characters() {
    let id = MemberId::random(&mut random("member"));
    assert_eq!(id.as_bytes().len(), 16);
    assert!(id.as_bytes().iter().all(u8::is_ascii_graphic));
    assert!(MemberId::from_bytes(&[]).is_none());
    assert!(MemberId::from_bytes(&[0; 145]).is_none());
}

#[test]
fn secrets_are_not_printed() {
    let owner = owner();
    let printed = format!("{owner:?}");
    assert!(!printed.contains(&codec::text::base64url(owner.root_key.signing_key().seed().expose())));
    assert!(printed.contains('…'));
}
