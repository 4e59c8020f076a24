//! Who is believed: lines 19 to 25 of the checklist.

use agent::owner::{OwnerAuth, OwnerFault, check_chain};
use codec::Encode;
use group::body::ConnectionInfo;
use group::card::CardSignature;
use group::content::Content;
use group::element::{AuthoredMessage, BindingTag, Element, SignedMessage};
use group::event::{Event, Signing};
use group::identity::{GroupId, MemberId, MemberPublicKey};
use group::keys::{Asserted, KeySource};
use group::member::Role;
use group::message::Message;
use group::roster::Roster;
use group::signature::{Binding, Signer};
use group::verification::{Attribution, Recipient, Refusal, Trust};
use serde_json::{Value, json};

use crate::support::{
    ADMIN, OBSERVER, OWNER, RELAY, author, event, group, id, key, key_of, links, message, message_id, observer, only,
    owner, recipient, sent, signed, text_message, unknown, verify,
};

fn leave() -> Message {
    message("x.grp.leave", json!({}))
}

/// The same message, signed for something else.
fn rebound(message: &SignedMessage, letter: u8) -> SignedMessage {
    let mut bytes = message.to_bytes();
    bytes[1] = letter;
    let Element::Message(AuthoredMessage::Signed(rebound)) = only(&bytes) else { panic!("a signed message") };
    rebound
}

#[test]
fn chat_18_owner_lists_that_repeat_or_refer_forward_are_refused() {
    let root = key(0).signing_key().clone();
    let entry = |member: &str, key: MemberPublicKey, by| OwnerAuth::authorize(member.as_bytes(), key.0, by).unwrap();
    let first_owner = key_of("one");
    let one = entry("one", key_of("one").public(), &root);
    let two = entry("two", key_of("two").public(), first_owner.signing_key());
    let check = |owners: &[OwnerAuth]| check_chain(&root.public(), owners);

    assert_eq!(check(&[one.clone(), two.clone()]), Ok(()));
    assert!(matches!(check(&[two.clone(), one.clone()]), Err(OwnerFault::Unauthorized(_))));
    let same_id = entry("one", key_of("two").public(), &root);
    assert!(matches!(check(&[one.clone(), same_id]), Err(OwnerFault::Duplicate(_))));
    let same_key = entry("two", key_of("one").public(), &root);
    assert!(matches!(check(&[one.clone(), same_key]), Err(OwnerFault::Duplicate(_))));
    let root_key = OwnerAuth::authorize(b"two", root.public(), &root).unwrap();
    assert!(matches!(check(&[one, root_key]), Err(OwnerFault::RootKey(_))));
}

#[test]
fn chat_19_one_changed_byte_of_group_member_or_body_breaks_the_signature() {
    let message = signed(OBSERVER, leave());
    let key = key_of(OBSERVER).public();
    assert!(message.is_signed_by(&group(), &id(OBSERVER), &key));

    for byte in 0..32 {
        let mut bytes = *group().as_bytes();
        bytes[byte] ^= 1;
        assert!(!message.is_signed_by(&GroupId::from_bytes(&bytes).unwrap(), &id(OBSERVER), &key));
    }
    for byte in 0..OBSERVER.len() {
        let mut bytes = OBSERVER.as_bytes().to_vec();
        bytes[byte] ^= 1;
        assert!(!message.is_signed_by(&group(), &MemberId::from_bytes(&bytes).unwrap(), &key));
    }
    let bytes = message.to_bytes();
    let refused = (69..bytes.len()).filter(|byte| {
        let mut altered = bytes.clone();
        altered[*byte] ^= 1;
        match AuthoredMessage::parse(&altered) {
            Ok(message) => verify(message, &observer()).unwrap_err() == Refusal::BadSignature,
            Err(_) => true,
        }
    });
    assert_eq!(refused.count(), bytes.len() - 69);
    // A space more in the JSON says the same, and is not what was signed.
    let spaced = [&bytes[..70], b" ", &bytes[70..]].concat();
    assert_eq!(verify(AuthoredMessage::parse(&spaced).unwrap(), &observer()).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn chat_20_a_signature_does_not_hold_in_another_channel() {
    let message = signed(OBSERVER, leave());
    let other = Recipient { group: GroupId::from_bytes(&[9; 32]).unwrap(), role: Role::Observer };
    let verify = |recipient: &Recipient| AuthoredMessage::from(message.clone()).verify(&observer(), recipient);
    assert_eq!(verify(&other).unwrap_err(), Refusal::BadSignature);
    assert_eq!(verify(&recipient(Role::Observer)).unwrap().trust(), Trust::Verified(KeySource::Asserted));
}

/// Every event that must be signed, as it stands on the wire.
fn must_be_signed() -> Vec<(&'static str, Value)> {
    let profile = json!({"displayName": "a", "fullName": ""});
    vec![
        ("x.grp.del", json!({})),
        ("x.grp.info", json!({"groupProfile": profile})),
        ("x.grp.prefs", json!({"groupPreferences": {}})),
        ("x.grp.mem.del", json!({"memberId": "YQ=="})),
        ("x.grp.mem.role", json!({"memberId": "YQ==", "role": "admin"})),
        ("x.grp.mem.restrict", json!({"memberId": "YQ==", "memberRestrictions": {"restriction": "blocked"}})),
        ("x.grp.leave", json!({})),
        ("x.grp.relay.new", json!({"relayLink": "https://h/g#x"})),
        (
            "x.grp.roster",
            json!({"version": 1, "fileInv": {"fileSize": 2, "fileDigest": codec::text::base64url(&[1; 64])}}),
        ),
        ("x.info", json!({"profile": profile})),
    ]
}

#[test]
fn chat_21_each_event_that_must_be_signed_is_dropped_without_signature() {
    for (name, params) in must_be_signed() {
        let message = message(name, params);
        assert_eq!(message.event.signing(), Signing::Required, "{name}");
        let refused = verify(message.clone(), &owner()).unwrap_err();
        assert_eq!(refused, Refusal::Unsigned, "{name}");
        assert!(refused.shows_bad_signature());
        assert!(verify(signed(OWNER, message.clone()), &owner()).unwrap().is_word_of_owner());
        assert_eq!(verify(signed(OBSERVER, message.clone()), &owner()).unwrap_err(), Refusal::BadSignature, "{name}");
        // Nobody's key but the owner's own makes it an owner's word, and members without rights have none.
        let stranger = author(ADMIN, Role::Admin, Some(key_of(ADMIN).public()));
        assert!(!verify(signed(ADMIN, message), &stranger).unwrap().is_word_of_owner());
    }
}

#[test]
fn events_that_need_no_signature_are_accepted_without() {
    let message = text_message("hello");
    let accepted = verify(message.clone(), &observer()).unwrap();
    assert_eq!(accepted.trust(), Trust::Unsigned);
    assert_eq!(accepted.attribution(), &Attribution::Member(id(OBSERVER), Role::Observer));
    assert_eq!(accepted.message(), &message);
    let without_key = verify(signed(OBSERVER, message.clone()), &unknown()).unwrap();
    assert_eq!(without_key.trust(), Trust::SignedWithoutKey);
    assert_eq!(verify(signed(ADMIN, message), &observer()).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn all_signatures_must_be_right() {
    let message = signed(OBSERVER, leave()).to_bytes();
    let other = signed(ADMIN, leave()).to_bytes();
    let (signature, body) = (&message[3..69], &message[69..]);
    let with = |second: &[u8]| {
        let bytes = [b"/G\x02".as_slice(), signature, second, body].concat();
        verify(AuthoredMessage::parse(&bytes).unwrap(), &observer())
    };
    assert!(with(signature).unwrap().trust().is_verified());
    assert_eq!(with(&other[3..69]).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn chat_22_an_unknown_observer_may_leave_among_observers_only() {
    let decide = |message: Message, author_role: Role, own_role: Role| {
        let message = AuthoredMessage::from(signed(OBSERVER, message));
        message.verify(&author(OBSERVER, author_role, None), &recipient(own_role)).map(|accepted| accepted.trust())
    };
    for message in [leave(), message("x.info", json!({"profile": {"displayName": "a", "fullName": ""}}))] {
        for low in [Role::Observer, Role::Author, Role::Member] {
            assert_eq!(decide(message.clone(), Role::Observer, low), Ok(Trust::SignedWithoutKey));
        }
        for high in [Role::Moderator, Role::Admin, Role::Owner] {
            assert_eq!(decide(message.clone(), Role::Observer, high), Err(Refusal::UnknownKey));
        }
    }
    let removal = message("x.grp.mem.del", json!({"memberId": "YQ=="}));
    assert_eq!(decide(removal, Role::Observer, Role::Observer), Err(Refusal::UnknownKey));
    assert_eq!(verify(leave(), &unknown()).unwrap_err(), Refusal::Unsigned);
}

#[test]
fn chat_23_a_binding_to_the_channel_is_never_verified() {
    for (letter, tag) in [(b'C', BindingTag::Channel), (b'D', BindingTag::Direct)] {
        let post = rebound(&signed(OBSERVER, text_message("hello")), letter);
        assert_eq!(post.binding(), tag);
        assert_eq!(verify(post.clone(), &observer()).unwrap().trust(), Trust::SignedWithoutKey);
        assert_eq!(verify(post, &unknown()).unwrap().trust(), Trust::SignedWithoutKey);
        let left = rebound(&signed(OBSERVER, leave()), letter);
        assert_eq!(verify(left, &observer()).unwrap_err(), Refusal::WrongBinding);
    }
    // Not even with a signature that is right for the channel.
    let message = leave();
    let over_channel = [Binding::Channel(&group()).to_bytes(), message.to_json()].concat();
    let signature = key_of(OBSERVER).signing_key().sign(&over_channel);
    let bytes = [b"/C\x01M\x40".as_slice(), &signature, &message.to_json()].concat();
    assert_eq!(verify(AuthoredMessage::parse(&bytes).unwrap(), &observer()).unwrap_err(), Refusal::WrongBinding);
}

#[test]
fn chat_24_a_verified_item_is_changed_only_by_what_is_verified() {
    let update = message("x.msg.update", json!({"msgId": "YQ==", "content": {"type": "text", "text": "b"}}));
    let post = verify(signed(OWNER, text_message("a")), &owner()).unwrap().trust();
    let unsigned = verify(update.clone(), &owner()).unwrap().trust();
    let without_key = verify(signed(OBSERVER, update.clone()), &unknown()).unwrap().trust();
    let verified = verify(signed(OWNER, update), &owner()).unwrap().trust();
    assert!(!unsigned.may_change(post));
    assert!(!without_key.may_change(post));
    assert!(verified.may_change(post));
    for item in [unsigned, without_key] {
        assert!([unsigned, without_key, verified].iter().all(|change| change.may_change(item)));
    }
    assert!(verified.may_moderate_unseen() && !unsigned.may_moderate_unseen() && !without_key.may_moderate_unseen());
}

#[test]
fn chat_25_only_owners_speak_as_the_group() {
    let content = json!({"type": "text", "text": "a"});
    for as_group in [
        message("x.msg.new", json!({"content": content, "asGroup": true})),
        message("x.msg.update", json!({"msgId": "YQ==", "content": content, "asGroup": true})),
    ] {
        for role in [Role::Relay, Role::Observer, Role::Author, Role::Owner] {
            let pretender = author(OBSERVER, role, Some(key_of(OBSERVER).public()));
            for message in [AuthoredMessage::from(as_group.clone()), signed(OBSERVER, as_group.clone()).into()] {
                let refused = verify(message, &pretender).unwrap_err();
                assert_eq!(refused, Refusal::NotAnOwner);
                assert!(!refused.shows_bad_signature());
            }
        }
        assert!(verify(as_group.clone(), &owner()).unwrap().is_from_channel());
        let signed = verify(signed(OWNER, as_group), &owner()).unwrap();
        assert!(signed.is_from_channel() && signed.is_word_of_owner());
    }
    let not_as_group = message("x.msg.new", json!({"content": content, "asGroup": false}));
    assert!(!verify(not_as_group, &observer()).unwrap().is_from_channel());
}

#[test]
fn keys_and_roles_of_owners_and_relays_come_from_links_only() {
    let asserted = |member: &str, role: Role| {
        links().author(&id(member), &Roster::default(), Asserted { role, key: Some(key_of("someone").public()) })
    };
    let owner = asserted(OWNER, Role::Observer);
    assert_eq!((owner.role(), owner.key()), (&Role::Owner, Some((key_of(OWNER).public(), KeySource::GroupLink))));
    let relay = asserted(RELAY, Role::Admin);
    assert_eq!((relay.role(), relay.key()), (&Role::Relay, Some((key_of(RELAY).public(), KeySource::RelayLink))));
    for claimed in [Role::Owner, Role::Admin, Role::Moderator, Role::Member, Role::Relay] {
        let somebody = asserted(OBSERVER, claimed);
        assert_eq!(somebody.role(), &Role::Observer);
        assert_eq!(somebody.key(), Some((key_of("someone").public(), KeySource::Asserted)));
    }
    assert_eq!(asserted(OBSERVER, Role::Author).role(), &Role::Author);
}

#[test]
fn a_join_is_signed_for_its_group_and_member() {
    let join = event(
        "x.member",
        json!({
            "profile": {"displayName": "Mary", "fullName": ""},
            "newMemberId": codec::text::base64url(OBSERVER.as_bytes()),
            "newMemberKey": codec::text::base64url(&key_of(OBSERVER).public().0.to_der()),
            "viaRelay": codec::text::base64url(RELAY.as_bytes()),
        }),
    );
    let Event::Member(params) = &join else { panic!("{join:?}") };
    assert_eq!(params.via_relay, Some(id(RELAY)));
    let signer = Signer { group: &group(), member: &id(OBSERVER), key: &key_of(OBSERVER) };
    let bytes = ConnectionInfo::signed(join.clone(), &signer).to_bytes().unwrap();
    let info = ConnectionInfo::parse(&bytes).unwrap();
    let AuthoredMessage::Signed(signed) = info.authored() else { panic!("signed") };
    let Event::Member(read) = info.event() else { panic!("{info:?}") };
    assert!(signed.is_signed_by(&group(), &read.new_member_id, &read.new_member_key));
    assert!(!signed.is_signed_by(&group(), &read.new_member_id, &key_of(ADMIN).public()));
}

#[test]
fn a_card_keeps_its_signature_in_the_conversation_it_was_made_for() {
    let card = |binding: Vec<u8>| {
        let signature = json!({"chatBinding": codec::text::base64url(&binding),
            "ownerSig": codec::text::base64url(&[1; 64])});
        let link = json!({"type": "group", "connLink": "https://h/c#x",
            "groupProfile": {"displayName": "Walks", "fullName": ""}});
        let content = json!({"type": "chat", "text": "come", "chatLink": link, "ownerSig": signature});
        let message = message("x.msg.new", json!({"content": content}));
        assert_eq!(Message::parse(&message.to_json()).unwrap(), message);
        let Event::MessageNew(new) = message.event else { panic!("a message") };
        let Content::Chat(card) = new.content else { panic!("a card") };
        *card
    };
    let (group, member, other) = (group(), id(OWNER), id(ADMIN));
    let (as_member, as_channel) = (Binding::Member(&group, &member), Binding::Channel(&group));
    let kept = |made_for: Binding<'_>, found_in: Binding<'_>| {
        let mut card = card(made_for.to_bytes());
        card.keep_signature_for(&found_in);
        card.owner_sig.is_some_and(|CardSignature { owner_sig, .. }| owner_sig == [1; 64])
    };
    assert!(kept(as_member, as_member));
    assert!(kept(as_channel, as_channel));
    assert!(!kept(as_member, as_channel));
    assert!(!kept(as_channel, as_member));
    assert!(!kept(as_member, Binding::Member(&group, &other)));
}

#[test]
fn fresh_names_of_messages_are_16_readable_characters() {
    let message = Message::named(Event::GroupLeave, &mut crate::support::random());
    let name = message.id.unwrap();
    assert_eq!(name.as_bytes().len(), 16);
    assert!(name.as_bytes().iter().all(u8::is_ascii_graphic));
    assert_ne!(name, message_id("DA0ODxAREhMUFRYX"));
    assert!(sent(text_message("a")).starts_with(b"{\"v\":\"9-19\",\"msgId\":"));
}
