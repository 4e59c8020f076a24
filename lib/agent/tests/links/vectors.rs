//! Every vector of `links.json`, in both directions where there are two.

use agent::full_link::FullLink;
use agent::link_data::{ContactData, FixedData, InvitationData, LinkEntityId, Payload};
use agent::link_key::LinkKey;
use agent::link_read::{LinkReadError, ReadableLink, RetrievedLinkData, VerifiedLinkData};
use agent::owner::{OwnerAuth, WriterKeys, check_before_writing, check_chain};
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, OwnFixedData, PreparedContactLink};
use agent::ratchet_offer::RatchetOffer;
use agent::short_link::{ContactKind, ContactShortLink, InvitationShortLink, LinkScheme, ShortLink};
use agent::signed_item::{Item, OpenError, SignedItem};
use codec::{Decode, Encode, VersionRange};
use crypto::dh::X25519PrivateKey;
use crypto::sign::{Ed25519PrivateKey, Ed25519PublicKey};
use crypto::{BoxKey, Nonce};
use serde_json::{Value, json};
use smp::address::{KeyHash, ServerAddress};
use smp::command::LinkData;
use smp::id::{CorrId, LinkId};
use smp::queue_address::QueueMode;

use crate::support::{array, bytes, hash_text, text, vector, vectors};

#[test]
fn all_vectors_match() {
    let vectors = vectors();
    for vector in &vectors {
        let name = text(&vector["name"]);
        println!("{name}");
        match text(&vector["op"]) {
            "full_link" => full_link(vector),
            "full_link_binary" => full_link_binary(vector),
            "short_link" => short_link(vector),
            "short_link_binary" => short_link_binary(vector),
            "shorten_restore" => shorten_restore(vector),
            "link_kdf" => link_kdf(vector),
            "user_data" => user_data(vector),
            "user_data_decode" => user_data_decode(vector),
            "validate_owners" => validate_owners(vector),
            "validate_owners_writer" => validate_owners_writer(vector),
            "link_data" => link_data(vector),
            "link_read" => link_read(vector),
            "link_decrypt" => link_decrypt(vector),
            "link_capacity" => link_capacity(vector),
            "prepared_link" => prepared_link(vector),
            other => panic!("{name}: unknown operation {other}"),
        }
    }
    assert_eq!(vectors.len(), 254);
}

/// The expected value and what was read, or nothing when reading must fail, or may fail and did.
fn expected<T>(vector: &Value, read: Option<T>) -> Option<(&Value, T)> {
    match (vector.get("error"), read) {
        (Some(error), Some(_)) => panic!("must fail: {error}"),
        (Some(_), None) => None,
        (None, None) => {
            assert_eq!(vector["lenient"], true, "must be read");
            None
        }
        (None, Some(read)) => Some((&vector["out"], read)),
    }
}

fn versions(value: &Value) -> VersionRange {
    let end = |index: usize| u16::try_from(value[index].as_u64().unwrap()).unwrap();
    VersionRange::new(end(0), end(1)).unwrap()
}

fn server(value: &Value) -> ServerAddress {
    let hosts = value["hosts"].as_array().unwrap().iter().map(|host| text(host).parse().unwrap()).collect();
    let port = Some(text(&value["port"])).filter(|port| !port.is_empty()).map(|port| port.parse().unwrap());
    let fingerprint = bytes(&value["fingerprint"]);
    let key_hash =
        if fingerprint.is_empty() { KeyHash::NONE } else { KeyHash::from(<[u8; 32]>::try_from(fingerprint).unwrap()) };
    ServerAddress::new(hosts, port, key_hash).unwrap()
}

fn assert_full_link(link: &FullLink, out: &Value) {
    let request = link.request();
    let (mode, offer) = match link {
        FullLink::Invitation(_, offer) => ("invitation", Some(offer)),
        FullLink::Contact(_) => ("contact", None),
    };
    assert_eq!(mode, out["mode"]);
    assert_eq!(request.versions(), versions(&out["agent_version_range"]));
    assert_eq!(request.client_data(), out["client_data"].as_str());
    assert_eq!(offer.map(offer_json), out.get("e2e").filter(|offer| !offer.is_null()).cloned());
    let queues = out["queues"].as_array().unwrap();
    assert_eq!(request.queues().count(), queues.len());
    for (queue, out) in request.queues().zip(queues) {
        assert_eq!(queue.versions, versions(&out["version_range"]));
        assert_eq!(queue.address.server, server(&out["server"]));
        assert_eq!(queue.address.sender_id.as_bytes(), bytes(&out["sender_id"]));
        assert_eq!(queue.address.dh_key.as_bytes(), &array::<32>(&out["dh_public"]));
        let mode = queue.address.mode.map(|mode| match mode {
            QueueMode::Messaging => "messaging",
            QueueMode::Contact => "contact",
        });
        assert_eq!(mode, out["mode"].as_str());
    }
    assert_eq!(link.to_string(), text(&out["text"]));
}

fn offer_json(offer: &RatchetOffer) -> Value {
    json!({
        "version_range": [offer.versions.min(), offer.versions.max()],
        "key_1": hex::encode(offer.key_1.as_bytes()),
        "key_2": hex::encode(offer.key_2.as_bytes()),
        "kem": offer.kem.as_ref().map(|kem| json!({"proposed_key": hex::encode(kem.as_bytes())})),
    })
}

fn full_link(vector: &Value) {
    let read = text(&vector["in"]["text"]).parse::<FullLink>().ok();
    let Some((out, link)) = expected(vector, read) else { return };
    let binary = bytes(&out["binary"]);
    let decoded = FullLink::decode_all(&binary).unwrap();
    assert_eq!(decoded.to_bytes(), binary);
    if let Some(text) = out["binary_decoded_as_text"].as_str() {
        assert_eq!(decoded.to_string(), text);
    }
    if vector["name"] == "full_invitation_e2e_v2_with_kem" {
        // A key that the text form leaves out at this version; only the binary form has it.
        assert_eq!(link.to_string(), decoded.to_string());
        assert!(matches!(decoded, FullLink::Invitation(_, offer) if offer.kem.is_some()));
        return;
    }
    assert_full_link(&link, out);
    assert_eq!(link.to_bytes(), binary);
}

fn full_link_binary(vector: &Value) {
    let read = FullLink::decode_all(&bytes(&vector["in"]["binary"])).ok();
    let Some((out, link)) = expected(vector, read) else { return };
    assert_full_link(&link, out);
    assert_eq!(link.to_bytes(), bytes(&out["binary"]));
}

fn kind_name(kind: ContactKind) -> &'static str {
    match kind {
        ContactKind::Contact => "contact",
        ContactKind::Channel => "channel",
        ContactKind::Group => "group",
        ContactKind::Relay => "relay",
    }
}

fn assert_short_link(link: &ShortLink, out: &Value) {
    let (kind, scheme, address, id, key) = match link {
        ShortLink::Invitation(InvitationShortLink { scheme, server, link_id, key }) => {
            ("invitation", scheme, server, Some(hex::encode(link_id.as_bytes())), key)
        }
        ShortLink::Contact(ContactShortLink { scheme, kind, server, key }) => {
            (kind_name(*kind), scheme, server, None, key)
        }
    };
    let scheme = match scheme {
        LinkScheme::Simplex => "simplex",
        LinkScheme::Https => "https",
    };
    assert_eq!(kind, out["kind"]);
    assert_eq!(scheme, out["scheme"]);
    assert_eq!(*address, server(&out["server"]));
    assert_eq!(id.as_deref(), out["link_id"].as_str());
    assert_eq!(key.as_bytes(), &array::<32>(&out["link_key"]));
    assert_eq!(link.to_string(), text(&out["text"]));
}

fn short_link(vector: &Value) {
    let read = text(&vector["in"]["text"]).parse::<ShortLink>().ok();
    let Some((out, link)) = expected(vector, read) else { return };
    assert_short_link(&link, out);
    assert_eq!(link.to_bytes(), bytes(&out["binary"]));
    assert_eq!(ShortLink::decode_all(&bytes(&out["binary"])).unwrap().to_bytes(), bytes(&out["binary"]));
}

fn short_link_binary(vector: &Value) {
    let given = bytes(&vector["in"]["binary"]);
    let Some((out, link)) = expected(vector, ShortLink::decode_all(&given).ok()) else { return };
    assert_short_link(&link, out);
    assert_eq!(link.to_bytes(), given);
}

fn shorten_restore(vector: &Value) {
    let presets: Vec<ServerAddress> = vector["in"]["preset_servers"].as_array().unwrap().iter().map(server).collect();
    let link: ContactShortLink = text(&vector["in"]["text"]).parse().unwrap();
    let shortened = link.shortened(&presets);
    assert_eq!(shortened.to_string(), text(&vector["out"]["shortened"]));
    assert_eq!(shortened.restored(&presets).to_string(), text(&vector["out"]["restored"]));
}

fn box_key(value: &Value) -> BoxKey {
    BoxKey::symmetric(&array(value))
}

fn link_kdf(vector: &Value) {
    let key = LinkKey::from_bytes(array(&vector["in"]["link_key"]));
    let (link_id, contact) = key.derive_contact();
    assert_eq!(link_id.as_bytes(), bytes(&vector["out"]["contact_link_id"]));
    assert!(contact == box_key(&vector["out"]["contact_box_key"]));
    assert!(key.derive_invitation() == box_key(&vector["out"]["invitation_box_key"]));
}

fn owners(value: &Value) -> Vec<OwnerAuth> {
    let entries = value.as_array().unwrap().iter();
    entries
        .map(|entry| {
            let owner = OwnerAuth::decode_all(&bytes(&entry["encoded"])).unwrap();
            assert_eq!(owner.id(), bytes(&entry["owner_id"]));
            assert_eq!(owner.key().as_bytes(), &array::<32>(&entry["owner_key"]));
            assert_eq!(owner.to_bytes(), bytes(&entry["encoded"]));
            owner
        })
        .collect()
}

fn contact_data(value: &Value, agent_versions: VersionRange) -> ContactData {
    let relays = value["relays"].as_array().unwrap().iter().map(|link| text(link).parse().unwrap()).collect();
    let direct = value["direct"].as_bool().unwrap();
    let payload = Payload::new(bytes(&value["user_data"])).unwrap();
    ContactData::new(agent_versions, direct, owners(&value["owners"]), relays, payload).unwrap()
}

fn invitation_data(value: &Value) -> InvitationData {
    let payload = Payload::new(bytes(&value["user_data"])).unwrap();
    InvitationData { versions: versions(&value["agent_version_range"]), payload }
}

fn encoded_user_data(value: &Value) -> Vec<u8> {
    match text(&value["kind"]) {
        "invitation" => invitation_data(value).to_bytes(),
        "contact" => contact_data(value, versions(&value["agent_version_range"])).to_bytes(),
        other => panic!("kind {other}"),
    }
}

fn user_data(vector: &Value) {
    let expected = bytes(&vector["out"]["bytes"]);
    assert_eq!(encoded_user_data(&vector["in"]), expected);
    let (reencoded, payload) = decode_user_data(&expected).unwrap();
    assert_eq!(reencoded, expected);
    assert_eq!(payload, bytes(&vector["in"]["user_data"]));
}

fn decode_user_data(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if bytes.first() == Some(&b'I') {
        let data = InvitationData::decode_all(bytes).ok()?;
        return Some((data.to_bytes(), data.payload.as_bytes().to_vec()));
    }
    let data = ContactData::decode_all(bytes).ok()?;
    Some((data.to_bytes(), data.payload().as_bytes().to_vec()))
}

fn user_data_decode(vector: &Value) {
    let read = decode_user_data(&bytes(&vector["in"]["bytes"]));
    let Some((out, (reencoded, payload))) = expected(vector, read) else { return };
    assert_eq!(reencoded, bytes(&out["bytes"]));
    assert_eq!(payload, bytes(&out["user_data"]));
}

fn public_key(value: &Value) -> Ed25519PublicKey {
    Ed25519PublicKey::from_bytes(array(value))
}

fn private_key(value: &Value) -> Ed25519PrivateKey {
    let key = Ed25519PrivateKey::from_seed(array(&value["private"]));
    assert_eq!(key.public(), public_key(&value["public"]));
    key
}

fn assert_outcome<E: std::fmt::Display>(vector: &Value, outcome: Result<(), E>) {
    if vector["lenient"] != true {
        assert_eq!(outcome.err().map(|fault| fault.to_string()).as_deref(), vector["error"].as_str());
    }
}

fn validate_owners(vector: &Value) {
    let root = public_key(&vector["in"]["root_public"]);
    let owners: Vec<OwnerAuth> = vector["in"]["owners"].as_array().unwrap().iter().map(decode_owner).collect();
    assert_outcome(vector, check_chain(&root, &owners));
}

/// From the parts, because a vector with a damaged signature has the undamaged one in its encoded form.
fn decode_owner(value: &Value) -> OwnerAuth {
    let mut entry = vec![u8::try_from(bytes(&value["owner_id"]).len()).unwrap()];
    entry.extend(bytes(&value["owner_id"]));
    entry.push(44);
    entry.extend(public_key(&value["owner_key"]).to_der());
    entry.push(64);
    entry.extend(bytes(&value["signature"]));
    let mut encoded = vec![u8::try_from(entry.len()).unwrap()];
    encoded.extend(entry);
    OwnerAuth::decode_all(&encoded).unwrap()
}

fn validate_owners_writer(vector: &Value) {
    let credentials = &vector["in"]["credentials"];
    let writer = credentials.is_object().then(|| {
        let signer = private_key(&credentials["signing_key"]).public();
        let root = &credentials["root_public"];
        WriterKeys { signer, root: if root.is_null() { signer } else { public_key(root) } }
    });
    assert_outcome(vector, check_before_writing(&owners(&vector["in"]["owners"]), writer));
}

fn link_data(vector: &Value) {
    let (given, out) = (&vector["in"], &vector["out"]);
    let signed_fixed = SignedItem::sign(bytes(&out["fixed_data"]), &private_key(&given["root"]));
    assert_eq!(signed_fixed.to_bytes(), bytes(&out["signed_fixed_data"]));
    let key = LinkKey::of_fixed_data(signed_fixed.body());
    assert_eq!(key.as_bytes(), &array::<32>(&out["link_key"]));
    let signed_user = SignedItem::sign(encoded_user_data(given), &private_key(&given["user_data_signer"]));
    assert_eq!(signed_user.body(), bytes(&out["user_link_data"]));
    assert_eq!(signed_user.to_bytes(), bytes(&out["signed_user_data"]));
    let (link_id, box_key) = derive(text(&given["kind"]), &key);
    assert_eq!(link_id.as_deref(), out["link_id"].as_str());
    assert!(box_key == self::box_key(&out["box_key"]));
    assert_encrypted(&signed_fixed, Item::Fixed, &box_key, &out["enc_fixed"]);
    assert_encrypted(&signed_user, Item::User, &box_key, &out["enc_user"]);
    assert_fixed_data(given, signed_fixed.body());
}

fn derive(kind: &str, key: &LinkKey) -> (Option<String>, BoxKey) {
    match kind {
        "invitation" => (None, key.derive_invitation()),
        "contact" => {
            let (id, key) = key.derive_contact();
            (Some(hex::encode(id.as_bytes())), key)
        }
        other => panic!("kind {other}"),
    }
}

fn assert_encrypted(item: &SignedItem, kind: Item, key: &BoxKey, out: &Value) {
    let encrypted = item.encrypt(kind, key, Nonce(array(&out["nonce"]))).unwrap();
    assert_eq!(hash_text(&encrypted), text(&out["sha256"]));
    if let Some(length) = out["len"].as_u64() {
        assert_eq!(encrypted.len() as u64, length);
    }
    assert_eq!(&SignedItem::decrypt(&encrypted, key).unwrap(), item);
}

fn assert_fixed_data(given: &Value, body: &[u8]) {
    let data = FixedData::decode_all(body).unwrap();
    assert_eq!(data.to_bytes(), body);
    assert_eq!(data.versions, versions(&given["agent_version_range"]));
    assert_eq!(data.root_key, private_key(&given["root"]).public());
    assert_eq!(data.link.to_bytes(), bytes(&given["conn_req_binary"]));
    assert_eq!(data.entity_id.map(|id| hex::encode(id.as_bytes())).as_deref(), given["link_entity_id"].as_str());
    assert!(data.tail.is_empty());
}

/// The name that the vectors have for a failure.
fn failure_name(error: &LinkReadError) -> String {
    match error {
        LinkReadError::Open(OpenError::Decrypt) => "A_CRYPTO: DECRYPT_CB".to_owned(),
        LinkReadError::Open(OpenError::Malformed(_)) | LinkReadError::Malformed(_) => "A_MESSAGE".to_owned(),
        LinkReadError::Fault(fault) => format!("A_LINK: {fault}"),
    }
}

fn link_read(vector: &Value) {
    let given = &vector["in"];
    let scheme = LinkScheme::Https;
    let key = LinkKey::from_bytes(array(&given["link_key"]));
    let server = ServerAddress::of_host("smp.example.org".parse().unwrap());
    match text(&given["kind"]) {
        "contact" => {
            let link = ContactShortLink { scheme, kind: ContactKind::Contact, server, key };
            assert_read(vector, read_signed(&link, given), |user| user.payload());
        }
        "invitation" => {
            let link = InvitationShortLink { scheme, server, link_id: LinkId::from([0; 24]), key };
            assert_read(vector, read_signed(&link, given), |user| &user.payload);
        }
        other => panic!("kind {other}"),
    }
}

/// Encrypts both items with the key of the vector, which need not be the link's, and reads them as the link's data.
fn read_signed<L: ReadableLink>(link: &L, given: &Value) -> Result<VerifiedLinkData<L>, LinkReadError> {
    let key = box_key(&given["box_key"]);
    let seal = |field: &str, size| {
        let nonce = Nonce([size as u8; 24]);
        [nonce.0.to_vec(), key.seal_padded(nonce, &bytes(&given[field]), size).unwrap()].concat()
    };
    let data = LinkData { fixed: seal("signed_fixed_data", 2008), user: seal("signed_user_data", 13_784) };
    let sender_id = "fc558894bced1abcdf943603a007b58d340922cc2d41c527";
    let sender_id = <[u8; 24]>::try_from(hex::decode(sender_id).unwrap()).unwrap().into();
    Ok(RetrievedLinkData { sender_id, data }.decrypt(&key)?.parse(link)?.verify()?)
}

fn assert_read<L: ReadableLink>(
    vector: &Value,
    read: Result<VerifiedLinkData<L>, LinkReadError>,
    payload: impl Fn(&L::UserData) -> &Payload,
) {
    match (vector["error"].as_str(), read) {
        (Some(error), Err(failure)) => assert_eq!(failure_name(&failure), error),
        (None, Ok(read)) => {
            let entity_id = read.fixed().entity_id.as_ref().map(|id| hex::encode(id.as_bytes()));
            assert_eq!(entity_id.as_deref(), vector["out"]["link_entity_id"].as_str());
            assert_eq!(payload(read.user()).as_bytes(), bytes(&vector["out"]["user_data"]));
        }
        (expected, read) => panic!("expected {expected:?}, got {:?}", read.map(|_| ())),
    }
}

fn link_decrypt(vector: &Value) {
    let given = &vector["in"];
    let base = self::vector(text(&given["base"]));
    let key = LinkKey::from_bytes(array(&base["out"]["link_key"]));
    let mut data =
        LinkData { fixed: bytes(&base["out"]["enc_fixed"]["bytes"]), user: bytes(&base["out"]["enc_user"]["bytes"]) };
    mutate(&mut data, &given["mutation"]);
    let server = ServerAddress::of_host("smp.example.org".parse().unwrap());
    let link = ContactShortLink { scheme: LinkScheme::Https, kind: ContactKind::Contact, server, key };
    let retrieved = RetrievedLinkData { sender_id: [0; 24].into(), data };
    assert_eq!(failure_name(&retrieved.read(&link).unwrap_err()), text(&vector["error"]));
}

fn mutate(data: &mut LinkData, mutation: &Value) {
    if mutation["swap_items"] == true {
        std::mem::swap(&mut data.fixed, &mut data.user);
        return;
    }
    let item = match text(&mutation["item"]) {
        "enc_fixed" => &mut data.fixed,
        "enc_user" => &mut data.user,
        other => panic!("item {other}"),
    };
    if let Some(index) = mutation["flip_lowest_bit_of_byte"].as_u64() {
        item[usize::try_from(index).unwrap()] ^= 1;
    } else {
        item.truncate(usize::try_from(mutation["truncate_to"].as_u64().unwrap()).unwrap());
    }
}

fn link_capacity(vector: &Value) {
    let item = match text(&vector["in"]["item"]) {
        "enc_fixed" => Item::Fixed,
        "enc_user" => Item::User,
        other => panic!("item {other}"),
    };
    let signed = usize::try_from(vector["in"]["signed_len"].as_u64().unwrap()).unwrap();
    let record = SignedItem::sign(vec![0; signed - 65], &Ed25519PrivateKey::from_seed([0; 32]));
    let encrypted = record.encrypt(item, &BoxKey::symmetric(&[0; 32]), Nonce([0; 24]));
    match vector["error"].as_str() {
        None => assert!(encrypted.is_ok()),
        Some("LARGE") => assert_eq!(encrypted.unwrap_err().excess, 1),
        Some(other) => panic!("error {other}"),
    }
}

fn prepared_link(vector: &Value) {
    let (given, out) = (&vector["in"], &vector["out"]);
    let agent_versions = versions(&given["agent_version_range"]);
    let request = ContactLinkRequest {
        server: server(&given["server"]),
        entity_id: LinkEntityId::new(bytes(&given["link_entity_id"])),
        tail: vec![],
        client_data: given["client_data"].as_str().map(str::to_owned),
        agent_versions,
        client_versions: versions(&given["client_version_range"]),
    };
    let secrets = LinkSecrets {
        corr_id: CorrId::new(bytes(&given["corr_id"])).unwrap(),
        queue_key: X25519PrivateKey::from_bytes(array(&given["queue_e2e"]["private"])),
        fixed_nonce: Nonce(array(&out["enc_fixed"]["nonce"])),
    };
    let root = private_key(&given["root"]);
    let link = PreparedContactLink::prepare(request, &root, secrets).unwrap();
    assert_prepared(&link, out);
    let user = contact_data(&given["user_data"], agent_versions);
    let nonce = Nonce(array(&out["enc_user"]["nonce"]));
    let data = link.fixed().with_user_data(&user, &root, nonce).unwrap();
    assert_eq!(hash_text(&data.fixed), text(&out["enc_fixed"]["sha256"]));
    assert_eq!(hash_text(&data.user), text(&out["enc_user"]["sha256"]));
    let box_key = box_key(&out["box_key"]);
    assert_eq!(SignedItem::decrypt(&data.user, &box_key).unwrap().to_bytes(), bytes(&out["signed_user_data"]));
    let kept = OwnFixedData::restore(link.fixed().link_key().clone(), data.fixed).unwrap();
    assert_eq!(&kept, link.fixed());
}

fn assert_prepared(link: &PreparedContactLink, out: &Value) {
    assert_eq!(link.sender_id().as_bytes(), bytes(&out["sender_id"]));
    assert_eq!(link.full_link().to_string(), text(&out["full_link"]));
    assert_eq!(link.full_link().to_bytes(), bytes(&out["conn_req_binary"]));
    let signed = SignedItem::decrypt(link.fixed().encrypted(), &box_key(&out["box_key"])).unwrap();
    assert_eq!(signed.to_bytes(), bytes(&out["signed_fixed_data"]));
    assert_eq!(link.fixed().link_key().as_bytes(), &array::<32>(&out["link_key"]));
    assert_eq!(link.fixed().link_id().as_bytes(), bytes(&out["link_id"]));
    for (field, kind, scheme) in [
        ("short_link_https", ContactKind::Contact, LinkScheme::Https),
        ("short_link_simplex", ContactKind::Contact, LinkScheme::Simplex),
        ("short_link_group_https", ContactKind::Group, LinkScheme::Https),
        ("short_link_channel_https", ContactKind::Channel, LinkScheme::Https),
    ] {
        assert_eq!(link.fixed().short_link(kind, scheme).to_string(), text(&out[field]), "{field}");
    }
}
