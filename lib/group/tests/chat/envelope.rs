//! Bodies and what stands in them: lines 1 to 14 of the checklist.

use agent::compressed::{CompressionError, compress};
use codec::{Encode, Malformed, Write};
use group::body::{self, Batch, BatchWriter, BodyError, ConnectionInfo, ConnectionInfoError, DoesNotFit, single};
use group::element::{AuthoredMessage, Element, ElementError};
use group::event::Event;
use group::limits::TooLong;
use group::message::{Message, MessageError};
use group::version;
use serde_json::{Value, json};

use crate::support::{
    OBSERVER, OWNER, batch, event, group, id, key_of, message, message_id, message_json, only, sent, signed,
    text_message,
};

fn leave() -> Vec<u8> {
    signed(OBSERVER, message("x.grp.leave", json!({}))).to_bytes()
}

fn hello() -> Vec<u8> {
    sent(text_message("hello"))
}

fn names(body: &[u8]) -> Vec<String> {
    let name = |element: &Element| match element {
        Element::Message(message) => message.message().event.name().to_owned(),
        other => panic!("{other:?}"),
    };
    Batch::parse(body).unwrap().elements().map(name).collect()
}

fn errors(body: &[u8]) -> Vec<ElementError> {
    Batch::parse(body).unwrap().errors().copied().collect()
}

#[test]
fn chat_01_a_batch_whose_count_is_wrong_is_rejected_as_a_whole() {
    let good = batch(&[&hello(), &leave()]);
    assert_eq!(names(&good), ["x.msg.new", "x.grp.leave"]);
    let counted = |count: u8| {
        let mut body = good.clone();
        body[1] = count;
        Batch::parse(&body).unwrap_err()
    };
    assert_eq!(counted(3), BodyError::Malformed(Malformed::Truncated));
    assert!(matches!(counted(1), BodyError::Malformed(Malformed::Leftover(_))));
    assert_eq!(counted(0), BodyError::Malformed(Malformed::EmptyList));
    let mut long = good.clone();
    long[2] = 0xff;
    assert_eq!(Batch::parse(&long).unwrap_err(), BodyError::Malformed(Malformed::Truncated));
}

#[test]
fn chat_02_bytes_after_the_last_element_are_an_error() {
    let mut body = batch(&[&hello()]);
    body.push(b' ');
    assert_eq!(Batch::parse(&body).unwrap_err(), BodyError::Malformed(Malformed::Leftover(1)));
}

#[test]
fn chat_03_a_malformed_element_leaves_the_others_usable() {
    let malformed: [&[u8]; 8] =
        [b"", b"{", b"?", b"/G", b">Q", b"F", br#"{"event":"x.grp.leave"}"#, br#"{"event":"x.msg.del","params":{}}"#];
    for element in malformed {
        let body = batch(&[&hello(), element, &leave()]);
        assert_eq!(names(&body), ["x.msg.new", "x.grp.leave"]);
        assert_eq!(errors(&body).len(), 1, "{element:?}");
    }
    assert_eq!(Batch::parse(b"").unwrap_err(), BodyError::Empty);
    assert_eq!(errors(b"?"), [ElementError::UnknownKind(b'?')]);
}

#[test]
fn chat_04_elements_stand_alone_and_arrays_are_never_signed() {
    assert!(matches!(only(&hello()), Element::Message(AuthoredMessage::Unsigned(_))));
    assert!(matches!(only(&leave()), Element::Message(AuthoredMessage::Signed(_))));
    let forward = [b">C\0\0\0\0\0\0\0\x01".as_slice(), &hello()].concat();
    assert!(matches!(only(&forward), Element::Forward(_)));
    assert!(matches!(only(b"F\0\x01m\x01content"), Element::Chunk(_)));

    let array = [b"[".as_slice(), &hello(), b",", &hello(), b"]"].concat();
    assert_eq!(names(&array), ["x.msg.new", "x.msg.new"]);
    let signed_in_array = [b"[".as_slice(), &hello(), b",", &leave(), b"]"].concat();
    assert_eq!(Batch::parse(&signed_in_array).unwrap_err(), BodyError::Array);
    assert_eq!(errors(b"[1]"), [ElementError::UnknownKind(b'1')]);
    assert_eq!(errors(&batch(&[b"[]"])), [ElementError::UnknownKind(b'[')]);
    let crowd = format!("[{}1]", "1,".repeat(255));
    assert_eq!(Batch::parse(crowd.as_bytes()).unwrap_err(), BodyError::TooMany(256));
}

#[test]
fn chat_05_a_signature_takes_66_bytes() {
    let plain = message("x.grp.leave", json!({})).to_json();
    let signed = leave();
    assert_eq!(signed.len() - plain.len(), 3 + 66);
    assert_eq!(signed[..5], [b'/', b'G', 1, b'M', 0x40]);
    assert_eq!(signed[69..], plain);
    for (position, byte) in [(3, b'N'), (4, 0x3f), (1, b'X')] {
        let mut altered = signed.clone();
        altered[position] = byte;
        assert!(matches!(errors(&altered)[..], [ElementError::Malformed(_)]), "{position}");
    }
}

#[test]
fn chat_06_a_signed_element_without_signatures_is_malformed() {
    let plain = message("x.grp.leave", json!({})).to_json();
    let unsigned = [b"/G\0".as_slice(), &plain].concat();
    assert_eq!(errors(&unsigned), [ElementError::Malformed(Malformed::EmptyList)]);
}

#[test]
fn chat_07_a_forward_inside_a_forward_spoils_only_itself() {
    let channel = b">C\0\0\0\0\0\0\0\x01".as_slice();
    let once = [channel, &hello()].concat();
    let twice = [channel, &once].concat();
    let body = batch(&[&once, &twice, &once]);
    assert_eq!(errors(&body), [ElementError::NestedForward]);
    assert_eq!(Batch::parse(&body).unwrap().elements().count(), 2);

    let json = |inner: Value| message_json("x.grp.msg.forward", json!({"msg": inner, "msgTs": "2026-01-01T00:00:00Z"}));
    let inner: Value = serde_json::from_slice(&hello()).unwrap();
    let json_once = json(inner);
    assert!(matches!(only(&json_once), Element::Forward(_)));
    let json_twice = json(serde_json::from_slice(&json_once).unwrap());
    assert_eq!(errors(&json_twice), [ElementError::Message(MessageError::Params("x.grp.msg.forward"))]);
    assert_eq!(errors(&[channel, &json_once].concat()), [ElementError::NestedForward]);
    let mut signed = leave();
    signed.truncate(69);
    signed.extend(&json_once);
    assert_eq!(errors(&signed), [ElementError::NestedForward]);
}

/// A body of parts that are compressed or not.
fn compressed(parts: &[&[u8]]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| compress(part).unwrap()).collect();
    [&[b'X', parts.len() as u8], parts.concat().as_slice()].concat()
}

/// A frame that does not say how much it holds.
fn frame_without_size(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    std::io::Write::write_all(&mut encoder, content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn chat_08_parts_are_plain_up_to_180_bytes_and_frames_state_their_size() {
    let padded = |length: usize| {
        let mut message = hello();
        message.resize(length, b' ');
        message
    };
    for (length, form) in [(180, b'0'), (181, b'1')] {
        let body = compressed(&[&padded(length)]);
        assert_eq!(body[2], form);
        assert_eq!(names(&body), ["x.msg.new"]);
    }
    let several = compressed(&[&hello(), &batch(&[&leave(), &hello()])]);
    assert_eq!(names(&several), ["x.msg.new", "x.grp.leave", "x.msg.new"]);

    let mut body = b"X\x01\x31".to_vec();
    body.put_large(&frame_without_size(&padded(300)));
    let refused = BodyError::Compression(CompressionError::Expansion(65_536));
    assert_eq!(Batch::parse(&body).unwrap_err(), refused);
    assert_eq!(Batch::parse(b"X\0").unwrap_err(), BodyError::Malformed(Malformed::EmptyList));
    assert_eq!(errors(&compressed(&[&compressed(&[&hello()])])), [ElementError::UnknownKind(b'X')]);
}

#[test]
fn chat_09_more_than_65536_bytes_are_not_expanded() {
    let spaces = |length: usize| [vec![b' '; length - 2], b"{}".to_vec()].concat();
    let refused = |limit: usize| BodyError::Compression(CompressionError::Expansion(limit));
    assert_eq!(errors(&compressed(&[&spaces(65_536)])), [ElementError::UnknownKind(b' ')]);
    assert_eq!(Batch::parse(&compressed(&[&spaces(65_537)])).unwrap_err(), refused(65_536));
    assert_eq!(Batch::parse(&compressed(&[&spaces(100_000_000)])).unwrap_err(), refused(65_536));
    assert_eq!(Batch::parse(&compressed(&[&spaces(60_000), &spaces(5_537)])).unwrap_err(), refused(5_536));
    assert_eq!(Batch::parse(&vec![b'{'; 65_537]).unwrap_err(), BodyError::TooLong(65_537));

    // A frame that lies about its size is not expanded beyond what it said.
    let mut lying = compressed(&[&spaces(60_000)]);
    let size = lying.windows(2).position(|pair| pair == 59_744u16.to_le_bytes()).unwrap();
    lying[size..size + 2].copy_from_slice(&1u16.to_le_bytes());
    assert!(matches!(Batch::parse(&lying).unwrap_err(), BodyError::Compression(_)));
}

#[test]
fn chat_10_what_compresses_well_is_refused_rather_than_compressed() {
    for length in [100, 1000, 15_000] {
        assert_eq!(sent(text_message(&"a".repeat(length)))[0], b'{');
    }
    assert!(single(text_message(&"a".repeat(20_000))).is_err());
    let mut writer = BatchWriter::default();
    for _ in 0..20 {
        writer.push(&text_message(&"a".repeat(500)).into()).unwrap();
    }
    assert_eq!(writer.finish().unwrap()[0], b'=');
}

/// A message whose JSON has this length.
fn message_of(length: usize) -> Message {
    let empty = text_message("").to_json().len();
    text_message(&"a".repeat(length - empty))
}

#[test]
fn chat_11_a_message_of_15602_bytes_is_sent_and_a_longer_one_refused() {
    assert_eq!(single(message_of(15_602)).unwrap().len(), 15_602);
    assert_eq!(single(message_of(15_603)).unwrap_err(), TooLong { length: 15_603, limit: 15_602 });

    let mut writer = BatchWriter::default();
    writer.push(&message_of(15_000).into()).unwrap();
    assert_eq!(writer.push(&message_of(597).into()), Err(DoesNotFit::Full));
    writer.push(&message_of(596).into()).unwrap();
    assert_eq!(writer.finish().unwrap().len(), 15_602);
}

#[test]
fn a_record_names_events_and_nothing_that_a_peer_chose() {
    let event = |name: &str| format!(r#"{{"v":"9-19","event":"{name}","params":{{}}}}"#).into_bytes();
    assert_eq!(body::names(&event("x.ok")), "x.ok");
    assert_eq!(body::names(&event("x.my.own")), "unknown");
    let leave = event("x.grp.leave");
    let length = u8::try_from(leave.len()).unwrap();
    let batch = [b"=".as_slice(), &[2], &[0, 2], b"Fx", &[0, length], &leave].concat();
    assert_eq!(body::names(&batch), "malformed, x.grp.leave");
    assert_eq!(body::names(b"=\x02"), "malformed");
}

#[test]
fn a_batch_holds_at_most_255_elements() {
    let mut writer = BatchWriter::default();
    let cancelled = only(b"F\0\x01m\0");
    for _ in 0..255 {
        writer.push(&cancelled).unwrap();
    }
    assert_eq!(writer.push(&cancelled), Err(DoesNotFit::Full));
    assert_eq!(Batch::parse(&writer.finish().unwrap()).unwrap().elements().count(), 255);
    assert_eq!(BatchWriter::default().finish(), None);
}

#[test]
fn a_forward_of_the_longest_message_fits_a_batch_of_its_own() {
    let AuthoredMessage::Unsigned(_) = AuthoredMessage::from(message_of(15_602)) else { panic!("unsigned") };
    let body = [b">M\x10observer-0000000\x04Mary\0\0\0\0\0\0\0\x01".as_slice(), &message_of(15_602).to_json()].concat();
    let forward = only(&body);
    let mut writer = BatchWriter::default();
    writer.push(&forward).unwrap();
    assert_eq!(writer.push(&text_message("").into()), Err(DoesNotFit::Full));
    let written = writer.finish().unwrap();
    assert!(written.len() > 15_602 && written.len() <= 15_763);
    assert_eq!(only(&written), forward);
}

fn information_of(length: usize) -> ConnectionInfo {
    let info = |description: &str| {
        let profile = json!({"displayName": "Mary", "fullName": "", "description": description});
        ConnectionInfo::unsigned(event("x.info", json!({"profile": profile})))
    };
    let empty = info("").to_bytes().unwrap().len();
    info(&"a".repeat(length - empty))
}

#[test]
fn chat_12_connection_information_over_14694_bytes_is_refused() {
    assert_eq!(information_of(14_694).to_bytes().unwrap().len(), 14_694);
    assert_eq!(information_of(14_695).to_bytes(), Err(TooLong { length: 14_695, limit: 14_694 }));
}

#[test]
fn connection_information_is_one_message_without_a_name() {
    let signer = group::signature::Signer { group: &group(), member: &id(OWNER), key: &key_of(OWNER) };
    for info in [ConnectionInfo::unsigned(Event::Ok), ConnectionInfo::signed(Event::Ok, &signer)] {
        let bytes = info.to_bytes().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("msgId"));
        assert_eq!(ConnectionInfo::parse(&bytes).unwrap(), info);
        assert_eq!(info.event(), &Event::Ok);
    }
    let refused = |bytes: &[u8]| ConnectionInfo::parse(bytes).unwrap_err();
    assert_eq!(refused(&batch(&[&hello(), &hello()])), ConnectionInfoError::NotOneMessage);
    assert_eq!(refused(&batch(&[&hello(), b""])), ConnectionInfoError::NotOneMessage);
    assert_eq!(refused(b"F\0\x01m\x01content"), ConnectionInfoError::NotOneMessage);
    assert_eq!(refused(&[b">C\0\0\0\0\0\0\0\x01".as_slice(), &hello()].concat()), ConnectionInfoError::NotOneMessage);
    assert!(matches!(refused(b"{}"), ConnectionInfoError::Element(_)));
    assert!(matches!(refused(b""), ConnectionInfoError::Body(BodyError::Empty)));
}

#[test]
fn chat_13_absent_versions_are_the_first_one_and_unknown_keys_are_ignored() {
    let bare = Message::parse(br#"{"event":"x.grp.leave","params":{}}"#).unwrap();
    assert_eq!((bare.versions, bare.id, bare.event), (version::INITIAL, None, Event::GroupLeave));
    let null = Message::parse(br#"{"v":null,"msgId":null,"event":"x.grp.leave","params":{}}"#).unwrap();
    assert_eq!((null.versions, null.id), (version::INITIAL, None));

    let plain = json!({"content": {"type": "text", "text": "a"}, "quote": {"msgRef": {"sentAt": "2026-01-01T00:00:00Z",
        "sent": true}, "content": {"type": "text", "text": "b"}}});
    let mut crowded = plain.clone();
    crowded["new"] = json!([1]);
    crowded["content"]["new"] = json!({"a": null});
    crowded["quote"]["new"] = json!(1);
    crowded["quote"]["msgRef"]["new"] = json!("c");
    let mut outer: Value = serde_json::from_slice(&message_json("x.msg.new", crowded)).unwrap();
    outer["new"] = json!(true);
    let read = Message::parse(outer.to_string().as_bytes()).unwrap();
    assert_eq!(read, message("x.msg.new", plain));
}

#[test]
fn versions_are_a_range_and_the_best_common_one_is_agreed() {
    let range = |text: &str| -> codec::VersionRange { text.parse().unwrap() };
    assert_eq!(version::CHAT.to_string(), "9-19");
    for (theirs, agreed) in [("1-17", 17), ("9-21", 19), ("20-21", 20), ("1-8", 8), ("1", 1), ("19", 19)] {
        assert_eq!(version::agreed(version::CHAT, range(theirs)), agreed, "{theirs}");
    }
    for malformed in ["", "a", "1-", "19-9", "1-2-3", "70000", " 1"] {
        let json = json!({"v": malformed, "event": "x.ok", "params": {}}).to_string();
        assert_eq!(Message::parse(json.as_bytes()), Err(MessageError::Envelope), "{malformed}");
    }
}

#[test]
fn chat_14_unknown_events_are_kept_and_not_forwarded() {
    let params = json!({"a": [1, null]});
    let unknown = message("x.grp.vote", params.clone());
    assert_eq!(unknown.event.name(), "x.grp.vote");
    assert!(!unknown.event.is_forwarded());
    let Event::Unknown(event) = &unknown.event else { panic!("{unknown:?}") };
    assert_eq!(Value::Object(event.params.clone()), params);
    assert_eq!(unknown.to_json(), message_json("x.grp.vote", params));
    let body = batch(&[&hello(), &unknown.to_json(), &leave()]);
    assert_eq!(names(&body), ["x.msg.new", "x.grp.vote", "x.grp.leave"]);

    for malformed in ["y.grp.leave", "grp", "", "x.grp leave"] {
        let json = json!({"event": malformed, "params": {}}).to_string();
        assert_eq!(Message::parse(json.as_bytes()), Err(MessageError::EventName), "{malformed}");
    }
}

#[test]
fn messages_that_are_no_json_or_too_deep_are_refused() {
    let deep = format!(r#"{{"event":"x.new","params":{{"a":{}1{}}}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    assert!(matches!(Message::parse(deep.as_bytes()), Err(MessageError::Json(_))));
    assert!(matches!(Message::parse(b"{\"event\":\"x.ok\",\"params\":{}} {}"), Err(MessageError::Json(_))));
    assert_eq!(Message::parse(b"[]"), Err(MessageError::Envelope));
    assert_eq!(Message::parse(br#"{"event":"x.ok","params":null}"#), Err(MessageError::Envelope));
    assert_eq!(Message::parse(&[b' '; 65_537]), Err(MessageError::TooLong(65_537)));
    let long_id = codec::text::base64url(&[1; 256]);
    let json = json!({"msgId": long_id, "event": "x.ok", "params": {}}).to_string();
    assert_eq!(Message::parse(json.as_bytes()), Err(MessageError::Envelope));
    assert_eq!(message("x.ok", json!({})).id, Some(message_id("DA0ODxAREhMUFRYX")));
}
