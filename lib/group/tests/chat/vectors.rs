//! Published values: keys, a signed message, its forward, a roster, a security code.

use codec::Encode;
use crypto::hash::{sha256, sha512};
use group::body::BatchWriter;
use group::chunk::Chunk;
use group::element::{Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::identity::{GroupId, MemberId, MemberPublicKey, RootPublicKey};
use group::member::Role;
use group::message::Message;
use group::roster_blob::{RosterBlob, RosterEntry};
use group::security_code::security_code;
use group::signature::{Binding, Signer};
use serde_json::json;

use crate::support::{event, key, message_id, only, version};

const MEMBER: &str = "AAECAwQFBgcICQoL";
const MESSAGE: &str = "DA0ODxAREhMUFRYX";
const BODY: &[u8] = br#"{"v":"1-17","msgId":"REEwT0R4QVJFaE1VRlJZWA==","event":"x.grp.leave","params":{}}"#;
const SIGNATURE: &str = "62cc91d0179e1d691e2b001b4699c2015804f8ef7ac6bea6ef96d93f40ef5964\
                         bc909d4376d70687e7cdb1f2b6b370049c109ffb2e83235114707dfd775c6c00";
const GROUP: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";

fn group() -> GroupId {
    GroupId::of_root_key(&RootPublicKey(key(0).public().0))
}

fn member() -> MemberId {
    MemberId::from_bytes(MEMBER.as_bytes()).unwrap()
}

fn member_key() -> MemberPublicKey {
    key(0x20).public()
}

/// The element of vector B.
fn element() -> Element {
    let message = Message::parse(BODY).unwrap();
    Signer { group: &group(), member: &member(), key: &key(0x20) }.sign(message).into()
}

fn written(element: &Element) -> Vec<u8> {
    let mut writer = BatchWriter::default();
    writer.push(element).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_member_key_and_ids_in_json() {
    let params = json!({"memberId": "QUFFQ0F3UUZCZ2NJQ1FvTA==", "role": "member",
        "memberKey": "MCowBQYDK2VwAyEAKay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc="});
    let role = event("x.grp.mem.role", params.clone());
    let group::event::Event::GroupMemberRole(change) = &role else { panic!("{role:?}") };
    assert_eq!(change.member_id, member());
    assert_eq!(change.member_key, Some(member_key()));
    let written = serde_json::from_slice::<serde_json::Value>(&Message::unnamed(role).to_json()).unwrap();
    assert_eq!(written["params"], params);
    assert_eq!(hex::encode(group().as_bytes()), GROUP);
}

#[test]
fn b_message_binding_and_signature() {
    let message = Message::parse(BODY).unwrap();
    assert_eq!(message.id, Some(message_id(MESSAGE)));
    assert_eq!(message.to_json(), BODY);
    let prefix = Binding::Member(&group(), &member()).to_bytes();
    assert_eq!(hex::encode(&prefix), format!("4720{GROUP}10{}", hex::encode(MEMBER)));
    assert_eq!(prefix.len(), 51);
    let bytes = element().to_bytes();
    assert_eq!(hex::encode(&bytes), format!("2f47014d40{SIGNATURE}{}", hex::encode(BODY)));
    assert_eq!(bytes.len(), 150);
    assert_eq!(written(&element()), bytes, "a single element stands alone");
    let in_batch = [&[0x3d, 0x01, 0x00, 0x96], bytes.as_slice()].concat();
    assert_eq!(only(&in_batch), element());
}

fn forward(sender: ForwardSender) -> Forward {
    let Element::Message(message) = element() else { panic!("a message") };
    Forward { sender, sent_at: 0x6955_b900, content: ForwardContent::Message(message) }
}

#[test]
fn c_a_forward_in_its_batch() {
    let by_alice = forward(ForwardSender::Member(member(), ShortName::new("Alice")));
    let body = written(&Element::Forward(by_alice.clone()));
    let expected = format!("3d0100b73e4d10{}05{}000000006955b900", hex::encode(MEMBER), hex::encode("Alice"));
    assert_eq!(hex::encode(&body), format!("{expected}{}", hex::encode(element().to_bytes())));
    assert_eq!(hex::encode(sha256(&body)), "3cce360796c0ad25bc48c43a806602f9a71aec42193efbad038938c2fb3b6eba");
    assert_eq!(only(&body), Element::Forward(by_alice));

    let by_channel = forward(ForwardSender::Channel).to_bytes();
    assert!(hex::encode(by_channel).starts_with("3e43000000006955b900"));
}

#[test]
fn d_a_roster_with_one_admin() {
    let admin = RosterEntry { member_id: member(), key: member_key(), role: Role::Admin };
    let blob = RosterBlob::new(vec![admin]).unwrap();
    let bytes = blob.to_bytes();
    let der = hex::encode(member_key().0.to_der());
    let expected = format!("000110{}2c{der}05{}0000", hex::encode(MEMBER), hex::encode("admin"));
    assert_eq!(hex::encode(&bytes), expected);
    assert_eq!(bytes.len(), 72);

    let header = event("x.grp.roster", serde_json::to_value(blob.header(version(3))).unwrap());
    let json = Message::unnamed(header).to_json();
    let digest = "MIJhSgL6PfuW9lfVBKpDcDzrmsXL8yTQDDIYaiLHtwMJl4IbfbxtIoMJEF60DOWVU8TE8rJaRhByU34Ifwfbbg==";
    let params = format!(r#""params":{{"version":3,"fileInv":{{"fileSize":72,"fileDigest":"{digest}"}}}}}}"#);
    assert!(String::from_utf8(json).unwrap().ends_with(&params));
    assert_eq!(codec::text::base64url(&sha512(&bytes)), digest);

    let chunks: Vec<Vec<u8>> = blob.chunks(&message_id(MESSAGE)).iter().map(Chunk::to_bytes).collect();
    assert_eq!(chunks.len(), 1);
    assert_eq!(hex::encode(&chunks[0]), format!("460010{}01{}", hex::encode(MESSAGE), hex::encode(&bytes)));
}

#[test]
fn e_the_security_code_is_the_same_for_both() {
    let root = key(0).public();
    let code = "47226 56617 77106 17810 46359 97193 65689 91192 64946 12279 85238 72702 12388 44897 42070 7";
    assert_eq!(security_code(&root, &member_key()), code);
    assert_eq!(security_code(&member_key(), &root), code);
    assert_ne!(security_code(&root, &root), code);
}
