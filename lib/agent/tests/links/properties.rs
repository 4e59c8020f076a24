//! What holds for all links and all bytes: encoding and decoding are inverse, nothing panics, nothing is left over.

use agent::full_link::{ConnectionRequest, FullLink};
use agent::link_data::{ContactData, FixedData, InvitationData, LinkEntityId, Payload};
use agent::link_key::LinkKey;
use agent::link_read::RetrievedLinkData;
use agent::owner::OwnerAuth;
use agent::prepared_link::OwnFixedData;
use agent::ratchet_offer::RatchetOffer;
use agent::short_link::{ContactKind, ContactShortLink, InvitationShortLink, LinkScheme, ShortLink};
use agent::signed_item::{Item, SignedItem};
use codec::{Decode, Encode, VersionRange};
use crypto::dh::{X448PublicKey, X25519PublicKey};
use crypto::kem::KemPublicKey;
use crypto::sign::Ed25519PublicKey;
use crypto::{BoxKey, Nonce};
use proptest::array::uniform;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smp::address::{Host, ServerAddress};
use smp::command::LinkData;
use smp::id::{LinkId, SenderId};
use smp::queue_address::{QueueAddress, QueueMode, QueueUri};

use crate::support::{key, link_request, prepare, short};

fn host() -> impl Strategy<Value = Host> {
    let domain = "[g-z][a-z0-9]{0,10}\\.example".prop_map(|name| name.parse().unwrap());
    prop_oneof![domain, any::<[u8; 16]>().prop_map(|octets| Host::Ipv6(octets.into()))]
}

prop_compose! {
    fn server()(hosts in vec(host(), 1..4), port in option::of(1..=u16::MAX), hash in any::<[u8; 32]>()) -> ServerAddress {
        ServerAddress::new(hosts, port, hash.into()).unwrap()
    }
}

prop_compose! {
    fn versions()(min in 0..9u16, more in 0..9u16) -> VersionRange {
        VersionRange::new(min, min + more).unwrap()
    }
}

prop_compose! {
    fn queue()(server in server(), id in any::<[u8; 24]>(), key in any::<[u8; 32]>(), messaging: bool) -> QueueUri {
        let mode = Some(if messaging { QueueMode::Messaging } else { QueueMode::Contact });
        let dh_key = X25519PublicKey::from_bytes(key);
        let address = QueueAddress { server, sender_id: SenderId::from(id), dh_key, mode };
        QueueUri { versions: VersionRange::new(1, 4).unwrap(), address }
    }
}

prop_compose! {
    fn request()(queues in vec(queue(), 1..3), data in option::of(".{0,40}")) -> ConnectionRequest {
        ConnectionRequest::new(VersionRange::new(2, 7).unwrap(), queues, data).unwrap()
    }
}

prop_compose! {
    fn offer()(keys in uniform::<_, 2>(uniform::<_, 56>(any::<u8>())), kem in option::of(any::<u8>())) -> RatchetOffer {
        RatchetOffer {
            versions: VersionRange::new(2, 3).unwrap(),
            key_1: X448PublicKey::from_bytes(keys[0]),
            key_2: X448PublicKey::from_bytes(keys[1]),
            kem: kem.and_then(|byte| KemPublicKey::from_bytes(&[byte; 1158]).ok()),
        }
    }
}

fn full_link() -> impl Strategy<Value = FullLink> {
    prop_oneof![
        request().prop_map(FullLink::Contact),
        (request(), offer()).prop_map(|(request, offer)| FullLink::Invitation(request, offer)),
    ]
}

fn scheme() -> impl Strategy<Value = LinkScheme> {
    prop_oneof![Just(LinkScheme::Simplex), Just(LinkScheme::Https)]
}

fn kind() -> impl Strategy<Value = ContactKind> {
    prop_oneof![
        Just(ContactKind::Contact),
        Just(ContactKind::Channel),
        Just(ContactKind::Group),
        Just(ContactKind::Relay)
    ]
}

prop_compose! {
    fn contact_link()(scheme in scheme(), kind in kind(), server in server(), key in any::<[u8; 32]>()) -> ContactShortLink {
        ContactShortLink { scheme, kind, server, key: LinkKey::from_bytes(key) }
    }
}

fn short_link() -> impl Strategy<Value = ShortLink> {
    let invitation = (contact_link(), any::<[u8; 24]>()).prop_map(|(link, id)| {
        let ContactShortLink { scheme, server, key, .. } = link;
        ShortLink::Invitation(InvitationShortLink { scheme, server, link_id: LinkId::from(id), key })
    });
    prop_oneof![contact_link().prop_map(ShortLink::Contact), invitation]
}

prop_compose! {
    fn owner()(id in vec(any::<u8>(), 0..=144), number: u8, by: u8) -> OwnerAuth {
        OwnerAuth::authorize(&id, key(number).public(), &key(by)).unwrap()
    }
}

prop_compose! {
    fn contact_data()(
        versions in versions(),
        direct: bool,
        owners in vec(owner(), 0..3),
        relays in vec(contact_link(), 0..3),
        payload in vec(any::<u8>(), 0..600),
    ) -> ContactData {
        let relays = relays.into_iter().map(|relay| ContactShortLink { scheme: LinkScheme::Https, ..relay }).collect();
        ContactData::new(versions, direct, owners, relays, Payload::new(payload).unwrap()).unwrap()
    }
}

prop_compose! {
    fn fixed_data()(
        versions in versions(),
        root in any::<[u8; 32]>(),
        link in full_link(),
        named in option::of((vec(any::<u8>(), 0..256), vec(any::<u8>(), 0..40))),
    ) -> FixedData {
        let (entity_id, tail) = named.map(|(id, tail)| (LinkEntityId::new(id), tail)).unwrap_or_default();
        FixedData { versions, root_key: Ed25519PublicKey::from_bytes(root), link, entity_id, tail }
    }
}

/// Encodes, decodes to the same value, and refuses every proper prefix shorter by `cut` and one more byte.
fn assert_strict<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: &T, cut: usize) {
    let bytes = value.to_bytes();
    assert_eq!(&T::decode_all(&bytes).unwrap(), value);
    assert!(T::decode_all(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
    assert!(T::decode_all(&[bytes, vec![0]].concat()).is_err());
}

proptest! {
    #[test]
    fn full_links_survive_text_and_binary(link in full_link(), cut in 1..200usize) {
        prop_assert_eq!(&link.to_string().parse::<FullLink>().unwrap(), &link);
        assert_strict(&link, cut);
    }

    #[test]
    fn short_links_survive_text_and_binary(link in short_link(), cut in 1..200usize) {
        prop_assert_eq!(&link.to_string().parse::<ShortLink>().unwrap(), &link);
        let binary = ShortLink::decode_all(&link.to_bytes()).unwrap();
        prop_assert_eq!(binary.to_bytes(), link.to_bytes());
        assert_strict(&binary, cut);
    }

    #[test]
    fn owners_survive_binary(owner in owner(), cut in 1..300usize) {
        assert_strict(&owner, cut);
    }

    #[test]
    fn link_data_survives_binary(fixed in fixed_data(), user in contact_data()) {
        prop_assert_eq!(FixedData::decode_all(&fixed.to_bytes()).unwrap(), fixed);
        prop_assert_eq!(ContactData::decode_all(&user.to_bytes()).unwrap(), user);
    }

    #[test]
    fn truncated_user_data_is_refused(user in contact_data(), cut in 1..100usize) {
        let bytes = user.to_bytes();
        prop_assert!(ContactData::decode_all(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
    }

    #[test]
    fn items_survive_encryption(body in vec(any::<u8>(), 0..=1941), nonce in any::<[u8; 24]>()) {
        let item = SignedItem::sign(body, &key(1));
        let box_key = BoxKey::symmetric(&[3; 32]);
        for kind in [Item::Fixed, Item::User] {
            let encrypted = item.encrypt(kind, &box_key, Nonce(nonce)).unwrap();
            prop_assert_eq!(&SignedItem::decrypt(&encrypted, &box_key).unwrap(), &item);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..400), prefix in prop_oneof![Just("I"), Just("C"), Just("\0\x02\0\x07")]) {
        let bytes = [prefix.as_bytes(), &bytes].concat();
        let _ = FullLink::decode_all(&bytes);
        let _ = ShortLink::decode_all(&bytes);
        let _ = FixedData::decode_all(&bytes);
        let _ = ContactData::decode_all(&bytes);
        let _ = InvitationData::decode_all(&bytes);
        let _ = OwnerAuth::decode_all(&bytes);
        let _ = SignedItem::from_bytes(&bytes);
        let _ = OwnFixedData::restore(LinkKey::from_bytes([0; 32]), bytes);
    }

    #[test]
    fn no_text_panics(text in ".{0,80}") {
        for start in ["", "simplex:/", "https://h/", "simplex:/a#", "https://h/i#", "simplex:/contact#/?v=2&smp=", "https://"] {
            let text = format!("{start}{text}");
            let _ = text.parse::<FullLink>();
            let _ = text.parse::<ShortLink>();
            let _ = text.parse::<RatchetOffer>();
        }
    }

    #[test]
    fn altered_link_data_is_never_accepted(position in 0..15_872usize, bit in 0..8u8) {
        let prepared = prepare(link_request());
        let user = crate::support::contact_data(vec![], b"payload");
        let LinkData { mut fixed, mut user } = prepared.fixed().with_user_data(&user, &key(1), Nonce([1; 24])).unwrap();
        let byte = if position < fixed.len() { &mut fixed[position] } else { &mut user[position - 2048] };
        *byte ^= 1 << bit;
        let altered = RetrievedLinkData { sender_id: prepared.sender_id().clone(), data: LinkData { fixed, user } };
        prop_assert!(altered.read(&short(&prepared)).is_err());
    }
}
