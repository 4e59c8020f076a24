//! What holds for all inputs: nothing panics, nothing altered is verified, what is written is read again.

use codec::{Decode, Encode};
use group::body::{Batch, BatchWriter, ConnectionInfo};
use group::chunk::{Chunk, ChunkPart};
use group::content::{Content, NewMessage};
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::event::Event;
use group::identity::MemberId;
use group::member::Role;
use group::message::Message;
use group::message_id::MessageId;
use group::roster_blob::{RosterBlob, RosterEntry};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{OBSERVER, key, observer, signed, text_message, verify};

fn message() -> impl Strategy<Value = Message> {
    ("\\PC{0,40}", vec(any::<u8>(), 1..=255), any::<Option<bool>>()).prop_map(|(text, id, live)| {
        let new = NewMessage { live, ..NewMessage::of(Content::text(&text)) };
        Message { id: MessageId::from_bytes(&id), ..Message::unnamed(Event::MessageNew(new.into())) }
    })
}

fn authored() -> impl Strategy<Value = AuthoredMessage> {
    (message(), any::<bool>()).prop_map(
        |(message, is_signed)| {
            if is_signed { signed(OBSERVER, message).into() } else { message.into() }
        },
    )
}

fn chunk() -> impl Strategy<Value = Chunk> {
    let part = prop_oneof![
        Just(ChunkPart::Cancelled),
        (any::<std::num::NonZeroU8>(), vec(any::<u8>(), 0..40))
            .prop_map(|(number, bytes)| ChunkPart::Data(number, bytes)),
    ];
    (vec(any::<u8>(), 0..20), vec(any::<u8>(), 1..20), part).prop_map(|(id, file, part)| Chunk {
        id: MessageId::from_bytes(&id),
        file: MessageId::from_bytes(&file).unwrap(),
        part,
    })
}

fn forward() -> impl Strategy<Value = Forward> {
    let by_member = (vec(any::<u8>(), 1..=144), "\\PC{0,20}")
        .prop_map(|(id, name)| ForwardSender::Member(MemberId::from_bytes(&id).unwrap(), ShortName::new(&name)));
    let sender = prop_oneof![Just(ForwardSender::Channel), by_member];
    let content = prop_oneof![authored().prop_map(ForwardContent::Message), chunk().prop_map(ForwardContent::Chunk)];
    (sender, any::<i64>(), content).prop_map(|(sender, sent_at, content)| Forward { sender, sent_at, content })
}

fn element() -> impl Strategy<Value = Element> {
    prop_oneof![
        authored().prop_map(Element::Message),
        chunk().prop_map(Element::Chunk),
        forward().prop_map(Element::Forward)
    ]
}

fn body(elements: &[Element]) -> Vec<u8> {
    let mut writer = BatchWriter::default();
    for element in elements {
        writer.push(element).unwrap();
    }
    writer.finish().unwrap()
}

fn entry() -> impl Strategy<Value = RosterEntry> {
    let role = prop_oneof![Just(Role::Member), Just(Role::Moderator), Just(Role::Admin)];
    (vec(any::<u8>(), 1..=144), any::<u8>(), role).prop_map(|(id, first, role)| RosterEntry {
        member_id: MemberId::from_bytes(&id).unwrap(),
        key: key(first).public(),
        role,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bodies_are_read_as_they_were_written(elements in vec(element(), 1..8)) {
        let read: Vec<Element> = Batch::parse(&body(&elements)).unwrap().into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(read, elements);
    }

    #[test]
    fn altered_bodies_never_panic_and_verify_nothing_else(
        elements in vec(element(), 1..4),
        alterations in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = body(&elements);
        for (position, byte) in alterations {
            let position = position.index(bytes.len());
            bytes[position] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let _ = ConnectionInfo::parse(&bytes);
        let Ok(batch) = Batch::parse(&bytes) else { return Ok(()) };
        let original: Vec<Vec<u8>> = elements.iter().flat_map(messages).map(|message| message.to_bytes()).collect();
        for message in batch.elements().flat_map(messages) {
            let bytes = message.to_bytes();
            let verified = verify(message, &observer()).is_ok_and(|accepted| accepted.trust().is_verified());
            prop_assert!(!verified || original.contains(&bytes));
        }
    }

    #[test]
    fn no_bytes_panic(first in proptest::sample::select(b"=X[{/>F".as_slice()), bytes in vec(any::<u8>(), 0..300)) {
        let body = [&[first], bytes.as_slice()].concat();
        let _ = Batch::parse(&body);
        let _ = ConnectionInfo::parse(&body);
        let _ = RosterBlob::decode_all(&bytes);
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn rosters_are_read_as_they_were_written(entries in vec(entry(), 0..20)) {
        if let Ok(blob) = RosterBlob::new(entries) {
            prop_assert_eq!(RosterBlob::decode_all(&blob.to_bytes()).unwrap(), blob);
        }
    }

    #[test]
    fn signatures_hold_for_the_signed_text_only(one in "\\PC{0,20}", other in "\\PC{0,20}") {
        let (one, other) = (text_message(&one), text_message(&other));
        let mixed = [&signed(OBSERVER, one.clone()).to_bytes()[..69], &other.to_json()].concat();
        let verified = verify(AuthoredMessage::parse(&mixed).unwrap(), &observer()).is_ok();
        prop_assert_eq!(verified, one == other);
    }
}

fn messages(element: &Element) -> Option<AuthoredMessage> {
    match element {
        Element::Message(message) | Element::Forward(Forward { content: ForwardContent::Message(message), .. }) => {
            Some(message.clone())
        }
        Element::Forward(_) | Element::Chunk(_) => None,
    }
}
