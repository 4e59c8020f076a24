//! What relays pass on, and whether copies say the same.

use codec::Encode;
use group::body::{Batch, BatchWriter, single};
use group::content_digest::{ContentDigest, copy_key};
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::message::Message;
use group::verification::{AcceptedMessage, Attribution, Refusal, Trust};
use serde_json::{Value, json};

use crate::support::{
    OBSERVER, OWNER, id, message, message_id, message_json, observer, only, owner, signed, text_message, unknown,
    verify, word_of_owner,
};

fn forwarded(body: &[u8]) -> Forward {
    let Element::Forward(forward) = only(body) else { panic!("a forward") };
    forward
}

fn content(forward: &Forward) -> AuthoredMessage {
    let ForwardContent::Message(message) = &forward.content else { panic!("a message") };
    message.clone()
}

/// What a relay makes of a body: it reads, verifies, stores and forwards. The store is a file that survives a restart.
fn relay(body: &[u8]) -> Vec<u8> {
    let authored = match only(body) {
        Element::Message(message) => message,
        Element::Forward(forward) => content(&forward),
        Element::Chunk(_) => panic!("a message"),
    };
    let stored = verify(authored, &observer()).unwrap().authored().to_bytes();
    let restored = verify(AuthoredMessage::parse(&stored).unwrap(), &observer()).unwrap();
    let mut writer = BatchWriter::default();
    writer.push(&Element::Forward(restored.to_forward("Mary", 1).unwrap())).unwrap();
    writer.finish().unwrap()
}

#[test]
fn chat_15_signed_bytes_arrive_as_they_were_written() {
    // No program of ours writes keys in this order, with these spaces and escapes.
    let json = br#"{ "params":{"content":{"text":"\u0061\/","type":"text","x":1.50}} ,"event":"x.msg.new","v":"9"}"#;
    let binding = group::signature::Binding::Member(&crate::support::group(), &id(OBSERVER)).to_bytes();
    let signature = crate::support::key_of(OBSERVER).signing_key().sign(&[&binding, json.as_slice()].concat());
    let element = [b"/G\x01M\x40".as_slice(), &signature, json].concat();

    let through_three = relay(&relay(&relay(&element)));
    let arrived = content(&forwarded(&through_three));
    assert_eq!(arrived.to_bytes(), element);
    assert!(verify(arrived, &observer()).unwrap().trust().is_verified());
}

#[test]
fn chat_43_what_is_forwarded_for_the_channel_tells_no_author() {
    let post = message("x.msg.new", json!({"content": {"type": "text", "text": "a"}, "asGroup": true}));
    let forward = verify(post, &owner()).unwrap().to_forward("Olga", 1).unwrap();
    assert_eq!(forward.sender, ForwardSender::Channel);
    let body = single_forward(&forward);
    assert!(!body.windows(OWNER.len()).any(|bytes| bytes == OWNER.as_bytes()));
    assert!(!body.windows(4).any(|bytes| bytes == b"Olga"));

    let accepted = content(&forwarded(&body)).accept_from_channel().unwrap();
    assert_eq!((accepted.attribution(), accepted.trust()), (&Attribution::Channel, Trust::Unsigned));
    assert!(accepted.is_from_channel());
    let signed = AuthoredMessage::from(signed(OWNER, text_message("a")));
    assert_eq!(signed.accept_from_channel().unwrap_err(), Refusal::SignedByNobody);
    let leave = AuthoredMessage::from(message("x.grp.leave", json!({})));
    assert_eq!(leave.accept_from_channel().unwrap_err(), Refusal::NoAuthor);
}

fn single_forward(forward: &Forward) -> Vec<u8> {
    let mut writer = BatchWriter::default();
    writer.push(&Element::Forward(forward.clone())).unwrap();
    writer.finish().unwrap()
}

#[test]
fn chat_44_a_signed_post_of_the_channel_keeps_its_author() {
    let post = message("x.msg.new", json!({"content": {"type": "text", "text": "a"}, "asGroup": true}));
    let forward = word_of_owner(post).to_forward("Olga", 1).unwrap();
    assert_eq!(forward.sender, ForwardSender::Member(id(OWNER), ShortName::new("Olga")));
    let accepted = verify(content(&forwarded(&single_forward(&forward))), &owner()).unwrap();
    assert!(accepted.is_from_channel() && accepted.is_word_of_owner());
}

#[test]
fn what_concerns_only_the_relay_is_not_forwarded() {
    let forward = |name: &str, params: Value| verify(message(name, params), &owner()).unwrap().to_forward("a", 1);
    assert!(forward("x.msg.del", json!({"msgId": "YQ=="})).is_some());
    assert!(forward("x.msg.del", json!({"msgId": "YQ==", "onlyHistory": true})).is_none());
    assert!(forward("x.grp.relay.cap", json!({"relayCap": {}})).is_none());
    assert!(forward("x.grp.vote", json!({})).is_none());
    assert!(verify(message("x.grp.vote", json!({})), &owner()).unwrap().to_served("a", 1).sent_at == 1);
}

#[test]
fn old_forwards_are_read_like_new_ones() {
    let inner: Value = serde_json::from_slice(&text_message("hello").to_json()).unwrap();
    let read = |params: Value| forwarded(&message_json("x.grp.msg.forward", params));
    let by_member = read(json!({"memberId": codec::text::base64url(OBSERVER.as_bytes()), "memberName": "Mary",
        "msg": inner, "msgTs": "2026-01-01T00:00:00.123456789012Z"}));
    assert_eq!(by_member.sender, ForwardSender::Member(id(OBSERVER), ShortName::new("Mary")));
    assert_eq!(by_member.sent_at, 1_767_225_600);
    assert_eq!(content(&by_member), AuthoredMessage::from(text_message("hello")));
    let by_channel = read(json!({"msg": inner, "msgTs": "2026-01-01T00:00:00Z"}));
    assert_eq!(by_channel.sender, ForwardSender::Channel);
}

#[test]
fn names_in_front_of_forwards_are_cut_to_16_characters() {
    let name = |name: &str| ShortName::new(name).as_str().to_owned();
    assert_eq!(name("Mary"), "Mary");
    assert_eq!(name("éééééééééééééééé"), "éééééééééééééééé");
    assert_eq!(name("ééééééééééééééééa"), "éééééééééééééééé…");
}

fn digest(accepted: &AcceptedMessage) -> ContentDigest {
    ContentDigest::of(accepted)
}

#[test]
fn copies_have_one_digest_however_relays_write_them() {
    let original = verify(text_message("hello"), &observer()).unwrap();
    let rewritten = br#"{"params": {"mentions": null, "content": {"text": "hell\u006f", "type": "text", "new": 1}},
        "event": "x.msg.new", "msgId": "REEwT0R4QVJFaE1VRlJZWA==", "v": "9-21"}"#;
    let copy = verify(Message::parse(rewritten).unwrap(), &observer()).unwrap();
    assert_eq!(copy_key(&original), Some(&message_id("DA0ODxAREhMUFRYX")));
    assert_eq!(copy_key(&copy), copy_key(&original));
    assert_eq!(digest(&copy), digest(&original));
    assert_eq!(digest(&verify(signed(OBSERVER, text_message("hello")), &unknown()).unwrap()), digest(&original));

    assert_ne!(digest(&verify(text_message("Hello"), &observer()).unwrap()), digest(&original));
    assert_ne!(digest(&verify(text_message("hello"), &owner()).unwrap()), digest(&original));
    let from_channel = AuthoredMessage::from(text_message("hello")).accept_from_channel().unwrap();
    assert_ne!(digest(&from_channel), digest(&original));
}

#[test]
fn descriptions_of_files_do_not_count_and_their_digests_do() {
    let with = |file: Value| {
        let params = json!({"content": {"type": "file", "text": ""}, "file": file});
        digest(&verify(message("x.msg.new", params), &observer()).unwrap())
    };
    let plain = with(json!({"fileName": "a", "fileSize": 1, "fileDigest": "YQ=="}));
    let described = with(json!({"fileName": "a", "fileSize": 1, "fileDigest": "YQ==",
        "fileDescr": {"fileDescrText": "b", "fileDescrPartNo": 1, "fileDescrComplete": true}}));
    assert_eq!(plain, described);
    assert_ne!(plain, with(json!({"fileName": "a", "fileSize": 1, "fileDigest": "Yg=="})));
}

#[test]
fn a_profile_of_a_sender_goes_before_what_it_sent() {
    let member = message(
        "x.grp.mem.new",
        json!({"memberInfo": {"memberId": "YQ==", "memberRole": "observer",
        "v": "9-19", "profile": {"displayName": "Mary", "fullName": ""}}}),
    );
    let forward = verify(text_message("a"), &observer()).unwrap().to_forward("Mary", 1).unwrap();
    let mut writer = BatchWriter::default();
    writer.push(&member.clone().into()).unwrap();
    writer.push(&Element::Forward(forward.clone())).unwrap();
    let body = writer.finish().unwrap();
    let elements: Vec<_> = Batch::parse(&body).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(elements, [Element::from(member.clone()), Element::Forward(forward)]);
    assert_eq!(single(member).unwrap()[0], b'{');
}
