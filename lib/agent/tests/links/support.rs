//! Values that the tests share: vectors as read, keys, servers, links and data of our own making.

use agent::full_link::FullLink;
use agent::link_data::{ContactData, FixedData, LinkEntityId, Payload};
use agent::link_read::{ReadableLink, RetrievedLinkData};
use agent::owner::OwnerAuth;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, PreparedContactLink};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::signed_item::{Item, SignedItem};
use agent::version;
use codec::Encode;
use crypto::sign::Ed25519PrivateKey;
use crypto::{BoxKey, Nonce, SeededRandom};
use serde_json::Value;
use smp::address::ServerAddress;
use smp::command::LinkData;

const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/links.json"));

/// All vectors of the file.
pub(crate) fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

/// The vector with this name.
pub(crate) fn vector(name: &str) -> Value {
    vectors().into_iter().find(|vector| vector["name"] == name).unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

pub(crate) fn hash_text(bytes: &[u8]) -> String {
    hex::encode(crypto::hash::sha256(bytes))
}

pub(crate) fn random(step: &str) -> SeededRandom {
    SeededRandom::new(&[7; 32], step)
}

pub(crate) fn server() -> ServerAddress {
    "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@smp.example.org,abc234.onion".parse().unwrap()
}

pub(crate) fn key(number: u8) -> Ed25519PrivateKey {
    Ed25519PrivateKey::from_seed([number; 32])
}

pub(crate) fn root_key() -> Ed25519PrivateKey {
    key(1)
}

/// An owner called `owner-<number>` with the key of that number.
pub(crate) fn owner(number: u8, by: &Ed25519PrivateKey) -> OwnerAuth {
    OwnerAuth::authorize(format!("owner-{number}").as_bytes(), key(number).public(), by).unwrap()
}

pub(crate) fn contact_data(owners: Vec<OwnerAuth>, payload: &[u8]) -> ContactData {
    ContactData::new(version::AGENT, false, owners, vec![], Payload::new(payload).unwrap()).unwrap()
}

pub(crate) fn link_request() -> ContactLinkRequest {
    ContactLinkRequest {
        server: server(),
        entity_id: LinkEntityId::new(*b"entity"),
        tail: vec![],
        client_data: None,
        agent_versions: version::AGENT,
        client_versions: version::SMP_CLIENT,
    }
}

pub(crate) fn prepare(request: ContactLinkRequest) -> PreparedContactLink {
    PreparedContactLink::prepare(request, &root_key(), LinkSecrets::random(&mut random("prepare"))).unwrap()
}

pub(crate) fn short(link: &PreparedContactLink) -> ContactShortLink {
    link.fixed().short_link(ContactKind::Channel, LinkScheme::Https)
}

/// What a server returns for a prepared link after it was created with this data.
pub(crate) fn retrieved(link: &PreparedContactLink, data: LinkData) -> RetrievedLinkData {
    RetrievedLinkData { sender_id: link.sender_id().clone(), data }
}

/// What a server returns for any two bodies, each signed by any key.
pub(crate) fn retrieved_bodies(
    key: &BoxKey,
    link: &FullLink,
    fixed: (Vec<u8>, &Ed25519PrivateKey),
    user: (Vec<u8>, &Ed25519PrivateKey),
) -> RetrievedLinkData {
    let seal = |(body, signer): (Vec<u8>, &Ed25519PrivateKey), item, nonce| {
        SignedItem::sign(body, signer).encrypt(item, key, Nonce([nonce; 24])).unwrap()
    };
    let data = LinkData { fixed: seal(fixed, Item::Fixed, 1), user: seal(user, Item::User, 2) };
    RetrievedLinkData { sender_id: link.request().first_queue().address.sender_id.clone(), data }
}

/// As [`retrieved_bodies`], from records, all signed by the root key.
pub(crate) fn retrieved_records<L: ReadableLink>(link: &L, fixed: &FixedData, user: &L::UserData) -> RetrievedLinkData {
    let root = root_key();
    retrieved_bodies(&link.box_key(), &fixed.link, (fixed.to_bytes(), &root), (user.to_bytes(), &root))
}
