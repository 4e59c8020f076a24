//! A group with an owner, a relay, an admin and an observer, whose keys are known from their first byte.

use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::body::{Batch, single};
use group::element::{AuthoredMessage, Element, SignedMessage};
use group::event::Event;
use group::identity::{GroupId, MemberId, MemberKey, MemberPublicKey, OwnerPublicKey, RelayPublicKey, RootPublicKey};
use group::keys::{Asserted, Author, LinkKeys};
use group::member::Role;
use group::message::Message;
use group::message_id::MessageId;
use group::roster::{Roster, RosterVersion};
use group::signature::Signer;
use group::verification::{AcceptedMessage, Recipient, Refusal};
use serde_json::{Value, json};

pub(crate) const OWNER: &str = "owner-0000000000";
pub(crate) const RELAY: &str = "relay-0000000000";
pub(crate) const ADMIN: &str = "admin-0000000000";
pub(crate) const OBSERVER: &str = "observer-0000000";

pub(crate) fn random() -> SeededRandom {
    SeededRandom::new(&[7; 32], "chat")
}

/// A key whose seed counts up from `first`.
pub(crate) fn key(first: u8) -> MemberKey {
    Ed25519PrivateKey::from_seed(std::array::from_fn(|index| first.wrapping_add(index as u8))).into()
}

/// The key of a member: each has its own.
pub(crate) fn key_of(member: &str) -> MemberKey {
    key(member.bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte)))
}

pub(crate) fn id(member: &str) -> MemberId {
    MemberId::from_bytes(member.as_bytes()).unwrap()
}

pub(crate) fn message_id(text: &str) -> MessageId {
    MessageId::from_bytes(text.as_bytes()).unwrap()
}

pub(crate) fn group() -> GroupId {
    GroupId::of_root_key(&RootPublicKey(key(0).public().0))
}

pub(crate) fn version(number: i64) -> RosterVersion {
    RosterVersion::new(number).unwrap()
}

pub(crate) fn links() -> LinkKeys {
    let owner = (id(OWNER), OwnerPublicKey(key_of(OWNER).public().0));
    let relay = (id(RELAY), RelayPublicKey(key_of(RELAY).public().0));
    LinkKeys::new([owner], [relay])
}

/// The owner, the relay, or somebody of whom nothing is signed.
pub(crate) fn author(member: &str, role: Role, key: Option<MemberPublicKey>) -> Author {
    links().author(&id(member), &Roster::default(), Asserted { role, key })
}

pub(crate) fn owner() -> Author {
    author(OWNER, Role::Observer, None)
}

/// An observer whose key a relay told us.
pub(crate) fn observer() -> Author {
    author(OBSERVER, Role::Observer, Some(key_of(OBSERVER).public()))
}

/// An observer whose key nobody told us.
pub(crate) fn unknown() -> Author {
    author(OBSERVER, Role::Observer, None)
}

pub(crate) fn recipient(role: Role) -> Recipient {
    Recipient { group: group(), role }
}

/// An event as JSON, with parameters as they stand on the wire.
pub(crate) fn event(name: &str, params: Value) -> Event {
    message(name, params).event
}

/// A message as JSON, with a name.
pub(crate) fn message(name: &str, params: Value) -> Message {
    Message::parse(&message_json(name, params)).unwrap()
}

pub(crate) fn message_json(name: &str, params: Value) -> Vec<u8> {
    let json = json!({"v": "9-19", "msgId": "REEwT0R4QVJFaE1VRlJZWA==", "event": name, "params": params});
    json.to_string().into_bytes()
}

pub(crate) fn text_message(text: &str) -> Message {
    message("x.msg.new", json!({"content": {"type": "text", "text": text}}))
}

pub(crate) fn signed(member: &str, message: Message) -> SignedMessage {
    Signer { group: &group(), member: &id(member), key: &key_of(member) }.sign(message)
}

pub(crate) fn verify(message: impl Into<AuthoredMessage>, author: &Author) -> Result<AcceptedMessage, Refusal> {
    message.into().verify(author, &recipient(Role::Observer))
}

/// What the owner says, as everybody accepts it.
pub(crate) fn word_of_owner(message: Message) -> AcceptedMessage {
    verify(signed(OWNER, message), &owner()).unwrap()
}

/// What a body with one element says.
pub(crate) fn only(body: &[u8]) -> Element {
    let mut elements = Batch::parse(body).unwrap().into_iter();
    let element = elements.next().unwrap().unwrap();
    assert!(elements.next().is_none());
    element
}

/// What stands in a message of ours.
pub(crate) fn sent(message: Message) -> Vec<u8> {
    single(message).unwrap()
}

/// A batch of elements that were written before, well formed or not.
pub(crate) fn batch(elements: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![b'=', elements.len() as u8];
    for element in elements {
        body.extend((element.len() as u16).to_be_bytes());
        body.extend(*element);
    }
    body
}
