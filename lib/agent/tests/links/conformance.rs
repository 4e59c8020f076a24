//! Lines 1 to 27 of the conformance checklist of links. Lines 22 to 25 speak about servers and are tested with one.

use agent::full_link::{ConnectionRequest, FullLink};
use agent::link_data::{ContactData, FixedData, InvitationData, LinkEntityId, Payload};
use agent::link_key::LinkKey;
use agent::link_read::{LinkCheck, LinkFault, LinkReadError, RetrievedLinkData};
use agent::owner::{OwnerAuth, OwnerFault, check_chain};
use agent::prepared_link::{ContactLinkRequest, CreationMismatch, LinkSecrets, LinkWriteError, PreparedContactLink};
use agent::ratchet_offer::RatchetOffer;
use agent::short_link::{ContactKind, ContactShortLink, InvitationShortLink, LinkScheme, ShortLink};
use agent::version;
use codec::{Decode, Encode, VersionRange, query};
use crypto::Nonce;
use crypto::dh::{X448PrivateKey, X25519PrivateKey};
use crypto::kem::KemPublicKey;
use crypto::sign::Ed25519PrivateKey;
use smp::address::ServerAddress;
use smp::command::QueueRequest;
use smp::id::{LinkId, SenderId};
use smp::queue_address::{QueueAddress, QueueMode, QueueUri};
use smp::response::QueueIds;

use crate::support::{
    contact_data, key, link_request, owner, prepare, random, retrieved, retrieved_bodies, retrieved_records, root_key,
    server, short,
};

fn queue(min: u16, max: u16, mode: Option<QueueMode>) -> QueueUri {
    let address = QueueAddress {
        server: server(),
        sender_id: SenderId::from([5; 24]),
        dh_key: X25519PrivateKey::from_bytes([6; 32]).public(),
        mode,
    };
    QueueUri { versions: VersionRange::new(min, max).unwrap(), address }
}

const MESSAGING: Option<QueueMode> = Some(QueueMode::Messaging);
const CONTACT: Option<QueueMode> = Some(QueueMode::Contact);

fn offer(max: u16, kem: bool) -> RatchetOffer {
    let public = |number| X448PrivateKey::from_bytes([number; 56]).public().unwrap();
    let kem = kem.then(|| KemPublicKey::from_bytes(&[9; 1158]).unwrap());
    RatchetOffer { versions: VersionRange::new(2, max).unwrap(), key_1: public(1), key_2: public(2), kem }
}

fn link(versions: VersionRange, queues: Vec<QueueUri>, client_data: Option<&str>) -> ConnectionRequest {
    ConnectionRequest::new(versions, queues, client_data.map(str::to_owned)).unwrap()
}

fn invitation() -> FullLink {
    FullLink::Invitation(link(version::AGENT, vec![queue(1, 4, MESSAGING)], None), offer(3, true))
}

#[test]
fn agent_01_the_lowest_version_decides_where_hosts_stand() {
    let old = queue(1, 4, None).to_string();
    assert!(old.contains("@smp.example.org/") && old.ends_with("&srv=abc234.onion"), "{old}");
    let new = queue(2, 4, None).to_string();
    assert!(new.contains("@smp.example.org,abc234.onion/") && !new.contains("srv"), "{new}");
}

#[test]
fn agent_02_the_mode_is_written_for_old_and_new_readers() {
    let parameters = |queue: QueueUri| queue.to_string().split_once("%3D").unwrap().1.to_owned();
    assert_eq!(parameters(queue(2, 4, MESSAGING)), "&q=m&k=s");
    assert_eq!(parameters(queue(4, 4, MESSAGING)), "&q=m");
    assert_eq!(parameters(queue(2, 4, CONTACT)), "&q=c");
    assert_eq!(parameters(queue(2, 4, None)), "");
}

#[test]
fn agent_03_parameters_of_a_queue_may_stand_anywhere() {
    let expected = queue(2, 4, CONTACT);
    let written = expected.to_string();
    let (base, _) = written.split_once('#').unwrap();
    let key = codec::text::base64url(&expected.address.dh_key.to_der());
    for fragment in [format!("{key}/?v=2-4&q=c"), format!("/?q=c&new=1&dh={key}&v=2-4"), format!("?v=2-4;dh={key};q=c")]
    {
        assert_eq!(format!("{base}#{fragment}").parse::<QueueUri>().unwrap(), expected, "{fragment}");
    }
}

#[test]
fn agent_04_a_bare_key_is_version_1_and_a_missing_port_stays_missing() {
    let written = queue(2, 4, None).to_string();
    let (base, _) = written.split_once('#').unwrap();
    let key = codec::text::base64url(&queue(2, 4, None).address.dh_key.to_der());
    let parsed: QueueUri = format!("{base}#{key}").parse().unwrap();
    assert_eq!(parsed.versions, VersionRange::single(1));
    assert_eq!(parsed.address.mode, None);
    assert_eq!(parsed.address.server.port(), None);
    assert!(parsed.to_string().contains("@smp.example.org/"));
}

#[test]
fn agent_05_invitations_round_trip_in_either_scheme() {
    let text = invitation().to_string();
    assert!(
        text.starts_with("simplex:/invitation#/?v=2-7&smp=smp%3A%2F%2F") && text.contains("&e2e=v%3D2-3%26x3dh%3D")
    );
    assert_eq!(text.parse::<FullLink>().unwrap(), invitation());
    let browser = text.replace("simplex:/", "https://simplex.chat/");
    assert_eq!(browser.parse::<FullLink>().unwrap(), invitation());
}

#[test]
fn agent_06_two_queues_stand_in_one_escaped_value() {
    let queues = vec![queue(2, 4, CONTACT), queue(4, 4, CONTACT)];
    let two = FullLink::Contact(link(version::AGENT, queues, None));
    assert_eq!(two.to_string().matches("%3Bsmp%3A%2F%2F").count(), 1);
    assert_eq!(two.to_string().parse::<FullLink>().unwrap(), two);
}

#[test]
fn agent_07_old_contact_links_are_raised_to_version_2() {
    let at = |text: &str| text.parse::<FullLink>().unwrap().request().versions();
    let contact = FullLink::Contact(link(version::AGENT, vec![queue(2, 4, CONTACT)], None)).to_string();
    assert_eq!(at(&contact.replace("?v=2-7", "?v=1")), VersionRange::single(2));
    assert_eq!(at(&contact.replace("?v=2-7", "?v=1-2")), VersionRange::single(2));
    assert_eq!(at(&invitation().to_string().replace("?v=2-7", "?v=1")), VersionRange::single(1));
}

#[test]
fn agent_08_client_data_keeps_spaces_and_quotes() {
    let json = r#"{"name": "a \"b\" c", "plus": "+&;=é"}"#;
    let with_data = FullLink::Contact(link(version::AGENT, vec![queue(2, 4, CONTACT)], Some(json)));
    assert_eq!(with_data.to_string().parse::<FullLink>().unwrap().request().client_data(), Some(json));
    assert_eq!(FullLink::decode_all(&with_data.to_bytes()).unwrap(), with_data);
}

#[test]
fn agent_09_binary_links_round_trip_and_know_contact_queues() {
    for (min, max) in [(1, 4), (2, 4), (1, 1)] {
        let contact = queue(min, max, CONTACT);
        let full = FullLink::Contact(link(version::AGENT, vec![contact.clone()], None));
        assert_eq!(FullLink::decode_all(&full.to_bytes()).unwrap(), full, "{min}-{max}");
        let bare = QueueUri::decode_all(&contact.to_bytes()).unwrap();
        assert_eq!(bare, queue(min, max, None), "a bare queue of {min}-{max} cannot say that it is for contacts");
    }
    let messaging = queue(1, 4, MESSAGING);
    assert_eq!(QueueUri::decode_all(&messaging.to_bytes()).unwrap(), messaging);
}

#[test]
fn agent_10_ratchet_keys_are_escaped_once_and_encapsulation_needs_version_3() {
    let text = offer(3, true).to_string();
    let keys = text.strip_prefix("v=2-3&x3dh=").unwrap().split_once("&kem_key=").unwrap().0;
    assert_eq!(
        keys.split(',').map(|key| codec::text::from_base64url(key).unwrap().len()).collect::<Vec<_>>(),
        [68, 68]
    );
    assert!(invitation().to_string().ends_with(&query::escape(text.as_bytes())));
    assert!(!offer(2, true).to_string().contains("kem"));
    assert_eq!(offer(2, true).to_string().parse::<RatchetOffer>().unwrap(), offer(2, false));
    assert_eq!(text.parse::<RatchetOffer>().unwrap(), offer(3, true));
}

#[test]
fn agent_11_short_links_round_trip_in_either_scheme() {
    let server: ServerAddress = format!("{}:5224", server()).parse().unwrap();
    for scheme in [LinkScheme::Simplex, LinkScheme::Https] {
        let (server, key) = (server.clone(), LinkKey::from_bytes([3; 32]));
        let contact =
            |kind| ShortLink::Contact(ContactShortLink { scheme, kind, server: server.clone(), key: key.clone() });
        let one_time =
            InvitationShortLink { scheme, server: server.clone(), link_id: LinkId::from([4; 24]), key: key.clone() };
        for (link, letter) in [
            (contact(ContactKind::Contact), "/a#"),
            (contact(ContactKind::Group), "/g#"),
            (ShortLink::Invitation(one_time), "/i#"),
        ] {
            let text = link.to_string();
            let hosts =
                if scheme == LinkScheme::Simplex { "h=smp.example.org%2Cabc234.onion&" } else { "h=abc234.onion&" };
            let fingerprint = "c=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
            assert!(text.contains(letter) && text.ends_with(&format!("?{hosts}p=5224&{fingerprint}")), "{text}");
            assert_eq!(text.parse::<ShortLink>().unwrap(), link);
        }
    }
}

fn short_link_at(server: &str) -> ContactShortLink {
    let link = short(&prepare(link_request()));
    ContactShortLink {
        server: format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@{server}").parse().unwrap(),
        ..link
    }
}

#[test]
fn agent_12_only_links_to_presets_are_shortened() {
    let presets = [server()];
    for known in ["smp.example.org,abc234.onion", "smp.example.org", "smp.example.org:443", "smp.example.org:5223"] {
        let shortened = short_link_at(known).shortened(&presets).to_string();
        assert!(!shortened.contains('?'), "{known} gives {shortened}");
    }
    for foreign in ["abc234.onion", "other.example.org", "smp.example.org,other.example.org", "smp.example.org:5224"] {
        let link = short_link_at(foreign);
        assert_eq!(link.clone().shortened(&presets), link, "{foreign}");
    }
}

#[test]
fn agent_13_only_shortened_links_to_presets_are_restored() {
    let presets = [server()];
    let shortened = short_link_at("smp.example.org").shortened(&presets);
    assert_eq!(shortened.restored(&presets).server, server());
    let with_hash = short_link_at("smp.example.org");
    assert_eq!(with_hash.clone().restored(&presets), with_hash);
    let foreign: ContactShortLink =
        short_link_at("other.example.org").to_string().split('?').next().unwrap().parse().unwrap();
    assert_eq!(foreign.clone().restored(&presets), foreign);
}

#[test]
fn agent_14_link_data_survives_encryption_for_both_kinds() {
    let prepared = prepare(link_request());
    let user = contact_data(vec![], b"payload");
    let data = prepared.fixed().with_user_data(&user, &root_key(), Nonce([1; 24])).unwrap();
    let read = retrieved(&prepared, data).read(&short(&prepared)).unwrap();
    assert_eq!(read.user(), &user);
    assert_eq!(read.fixed(), prepared.fixed().data());

    let (one_time, fixed) = one_time_link();
    let user = InvitationData { versions: version::AGENT, payload: Payload::new(*b"payload").unwrap() };
    let read = retrieved_records(&one_time, &fixed, &user).read(&one_time).unwrap();
    assert_eq!((read.fixed(), read.user()), (&fixed, &user));
}

fn one_time_link() -> (InvitationShortLink, FixedData) {
    let root_key = root_key().public();
    let fixed = FixedData { versions: version::AGENT, root_key, link: invitation(), entity_id: None, tail: vec![] };
    let key = LinkKey::of_fixed_data(&fixed.to_bytes());
    let link_id = LinkId::from([4; 24]);
    (InvitationShortLink { scheme: LinkScheme::Https, server: server(), link_id, key }, fixed)
}

#[test]
fn agent_15_data_of_another_link_key_has_the_wrong_hash() {
    let prepared = prepare(link_request());
    let data = prepared.fixed().with_user_data(&contact_data(vec![], b""), &root_key(), Nonce([1; 24])).unwrap();
    let link = short(&prepared);
    let other = ContactShortLink { key: LinkKey::from_bytes([1; 32]), ..link.clone() };
    let decrypted = retrieved(&prepared, data).decrypt(&link.derive().1).unwrap();
    assert_eq!(decrypted.parse(&other).unwrap().verify().unwrap_err().to_string(), "link data hash");
}

#[test]
fn agent_16_user_data_can_be_replaced_beside_the_same_fixed_data() {
    let prepared = prepare(link_request());
    let write = |payload: &[u8], nonce| {
        prepared.fixed().with_user_data(&contact_data(vec![], payload), &root_key(), Nonce([nonce; 24])).unwrap()
    };
    let (first, second) = (write(b"first", 1), write(b"second", 2));
    assert_eq!(first.fixed, second.fixed);
    let read = retrieved(&prepared, second).read(&short(&prepared)).unwrap();
    assert_eq!(read.user().payload().as_bytes(), b"second");
}

/// What a server returns for the prepared link with this user data, signed by any key.
fn signed_by(signer: &Ed25519PrivateKey, user: &ContactData) -> Result<(), LinkReadError> {
    let prepared = prepare(link_request());
    let link = short(&prepared);
    let fixed = prepared.fixed().data();
    let returned =
        retrieved_bodies(&link.derive().1, &fixed.link, (fixed.to_bytes(), &root_key()), (user.to_bytes(), signer));
    returned.read(&link).map(|_| ())
}

#[test]
fn agent_17_user_data_signed_by_an_unknown_key_is_refused() {
    let user = contact_data(vec![owner(2, &root_key())], b"");
    assert_eq!(signed_by(&key(9), &user).unwrap_err().to_string(), "user data signature");
}

/// Five owners, each let in by the one before; their keys are numbers 2 to 6.
fn five_owners() -> Vec<OwnerAuth> {
    (2..=6).map(|number| owner(number, &key(number - 1))).collect()
}

#[test]
fn agent_18_the_root_key_and_every_owner_may_sign_user_data() {
    let user = contact_data(five_owners(), b"");
    for signer in 1..=6 {
        assert_eq!(signed_by(&key(signer), &user), Ok(()), "key {signer}");
    }
}

#[test]
fn agent_19_bad_owner_lists_are_refused_with_their_reason() {
    let renamed = OwnerAuth::authorize(b"owner-2", key(9).public(), &root_key()).unwrap();
    let mut reversed = five_owners();
    reversed.swap(0, 1);
    for (owners, reason) in [
        (vec![owner(1, &root_key())], "owner key for ID b3duZXItMQ matches root key"),
        (vec![owner(2, &root_key()), renamed], "duplicate owner key or ID b3duZXItMg"),
        (vec![owner(2, &root_key()), owner(2, &root_key())], "duplicate owner key or ID b3duZXItMg"),
        (reversed, "invalid authorization of owner ID b3duZXItMw"),
        (vec![owner(2, &key(9))], "invalid authorization of owner ID b3duZXItMg"),
    ] {
        assert_eq!(check_chain(&root_key().public(), &owners).unwrap_err().to_string(), reason);
        assert_eq!(signed_by(&root_key(), &contact_data(owners, b"")).unwrap_err().to_string(), reason);
    }
}

#[test]
fn agent_20_what_follows_the_known_fields_is_ignored() {
    let prepared = prepare(link_request());
    let mut fixed = prepared.fixed().data().clone();
    fixed.tail = b"from a later version".to_vec();
    let link = ContactShortLink { key: LinkKey::of_fixed_data(&fixed.to_bytes()), ..short(&prepared) };
    let user = contact_data(vec![], b"payload");
    let longer = [user.to_bytes(), b"more".to_vec()].concat();
    let returned =
        retrieved_bodies(&link.derive().1, &fixed.link, (fixed.to_bytes(), &root_key()), (longer, &root_key()));
    let read = returned.read(&link).unwrap();
    assert_eq!(read.user(), &user);
    assert_eq!(read.fixed().entity_id, LinkEntityId::new(*b"entity"));
    assert_eq!(read.fixed().tail, b"from a later version");

    let known = owner(2, &root_key());
    let mut entry = known.to_bytes();
    entry.push(0);
    entry[0] += 1;
    assert_eq!(OwnerAuth::decode_all(&entry).unwrap(), known);
}

#[test]
fn agent_21_payloads_from_255_bytes_have_a_long_length() {
    assert_eq!(Payload::new([7; 254]).unwrap().to_bytes()[..2], [254, 7]);
    assert_eq!(Payload::new([7; 255]).unwrap().to_bytes()[..4], [255, 0, 255, 7]);
}

fn created(link: &PreparedContactLink) -> QueueIds {
    let QueueRequest::Contact(Some((link_id, sender_id, _))) =
        link.queue_request(smp::command::LinkData { fixed: vec![], user: vec![] })
    else {
        panic!("a contact queue with link data")
    };
    QueueIds {
        recipient_id: [8; 24].into(),
        sender_id,
        dh_key: X25519PrivateKey::from_bytes([8; 32]).public(),
        mode: Some(QueueMode::Contact),
        link_id: Some(link_id),
        service_id: None,
        notifier: None,
    }
}

#[test]
fn agent_26_a_prepared_link_is_the_one_that_gets_created() {
    let prepared = prepare(link_request());
    assert_eq!(prepared.sender_id(), &SenderId::from_corr_id(prepared.corr_id()));
    prepared.confirm(&created(&prepared)).unwrap();
    let data = prepared.fixed().with_user_data(&contact_data(vec![], b""), &root_key(), Nonce([1; 24])).unwrap();
    let read = retrieved(&prepared, data).read(&short(&prepared)).unwrap();
    assert_eq!(read.fixed().entity_id, LinkEntityId::new(*b"entity"));

    let other_sender = QueueIds { sender_id: [9; 24].into(), ..created(&prepared) };
    assert_eq!(prepared.confirm(&other_sender), Err(CreationMismatch::SenderId));
    let other_link = QueueIds { link_id: Some([9; 24].into()), ..created(&prepared) };
    assert_eq!(prepared.confirm(&other_link), Err(CreationMismatch::LinkId));
    let no_link = QueueIds { link_id: None, ..created(&prepared) };
    assert_eq!(prepared.confirm(&no_link), Err(CreationMismatch::LinkId));
}

#[test]
fn agent_27_data_found_at_another_queue_or_server_has_a_different_address() {
    let prepared = prepare(link_request());
    let link = short(&prepared);
    let data = prepared.fixed().with_user_data(&contact_data(vec![], b""), &root_key(), Nonce([1; 24])).unwrap();
    let at_other_queue = RetrievedLinkData { sender_id: [9; 24].into(), data: data.clone() };
    assert_eq!(at_other_queue.read(&link).unwrap_err().to_string(), "different address");

    let elsewhere = ServerAddress::of_host("other.example.org".parse().unwrap());
    let at_other_server = ContactShortLink { server: elsewhere, ..link.clone() };
    assert_eq!(retrieved(&prepared, data.clone()).read(&at_other_server).unwrap_err().to_string(), "different address");

    let by_second_host = ServerAddress::of_host("abc234.onion".parse().unwrap());
    let known_host = ContactShortLink { server: by_second_host.clone(), ..link };
    let read = retrieved(&prepared, data).read(&known_host).unwrap();
    assert_eq!(read.fixed().link.request().first_queue().address.server, by_second_host);
}

#[test]
fn every_check_has_its_own_verdict() {
    let prepared = prepare(link_request());
    let link = short(&prepared);
    let fixed = prepared.fixed().data();
    let user = contact_data(vec![owner(2, &key(9))], b"");
    let body = (fixed.to_bytes(), &root_key());
    let returned = retrieved_bodies(&link.derive().1, &fixed.link, body, (user.to_bytes(), &key(8)));
    let other = ContactShortLink { key: LinkKey::from_bytes([1; 32]), ..link.clone() };
    let unverified = returned.decrypt(&link.derive().1).unwrap().parse(&other).unwrap();
    let verdicts = LinkCheck::ALL.map(|check| (check.name(), unverified.check(check).err()));
    let unauthorized = OwnerFault::Unauthorized("b3duZXItMg".to_owned());
    assert_eq!(
        verdicts,
        [
            ("link_key_hash", Some(LinkFault::Hash)),
            ("fixed_signature", None),
            ("owner_chain", Some(LinkFault::Owners(unauthorized))),
            ("user_signature", Some(LinkFault::UserSignature)),
            ("address", None),
        ]
    );
    assert_eq!(unverified.verify().unwrap_err(), LinkFault::Hash);
}

#[test]
fn writers_refuse_what_readers_would_refuse() {
    let prepared = prepare(link_request());
    let write = |owners, signer| {
        prepared.fixed().with_user_data(&contact_data(owners, b""), &key(signer), Nonce([1; 24])).map(|_| ())
    };
    assert_eq!(write(vec![], 2), Err(LinkWriteError::Owners(OwnerFault::NotAnOwner)));
    assert_eq!(write(vec![owner(2, &root_key())], 2), Ok(()));
    assert!(write(vec![owner(2, &key(3))], 1).is_err());
    let long = contact_data(vec![], &[0; 13_707]);
    let Err(LinkWriteError::TooLarge(error)) = prepared.fixed().with_user_data(&long, &root_key(), Nonce([1; 24]))
    else {
        panic!("one byte more than fits")
    };
    assert_eq!(error.excess, 1);
}

#[test]
fn a_kept_link_is_restored_only_from_parts_that_belong_together() {
    let prepared = prepare(link_request());
    let LinkSecrets { corr_id, queue_key, .. } = LinkSecrets::random(&mut random("prepare"));
    let restored = PreparedContactLink::restore(corr_id.clone(), queue_key.clone(), prepared.fixed().clone()).unwrap();
    assert_eq!(restored.full_link(), prepared.full_link());
    assert_eq!(restored.queue_key().public(), queue_key.public());

    let other = LinkSecrets::random(&mut random("other"));
    assert!(PreparedContactLink::restore(other.corr_id, queue_key, prepared.fixed().clone()).is_err());
    assert!(PreparedContactLink::restore(corr_id, other.queue_key, prepared.fixed().clone()).is_err());
}

#[test]
fn a_tail_of_fixed_data_needs_an_entity_id_before_it() {
    let request = ContactLinkRequest { entity_id: None, tail: vec![1], ..link_request() };
    let secrets = LinkSecrets::random(&mut random("prepare"));
    assert!(PreparedContactLink::prepare(request, &root_key(), secrets).is_err());
}

#[test]
fn links_are_the_same_however_they_are_written() {
    let link = short_link_at("smp.example.org");
    for same in [
        ContactShortLink { scheme: LinkScheme::Simplex, ..link.clone() },
        short_link_at("smp.example.org:443"),
        short_link_at("smp.example.org:5223"),
        short_link_at("smp.example.org,abc234.onion"),
    ] {
        assert!(link.same_link(&same), "{same}");
    }
    for other in [
        ContactShortLink { kind: ContactKind::Group, ..link.clone() },
        ContactShortLink { key: LinkKey::from_bytes([0; 32]), ..link.clone() },
        short_link_at("smp.example.org:5224"),
        short_link_at("abc234.onion"),
    ] {
        assert!(!link.same_link(&other), "{other}");
    }
}
