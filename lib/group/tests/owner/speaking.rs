//! What an owner says to the group, through all relays.

use group::body::Batch;
use group::content::{Content, Mentions};
use group::element::{AuthoredMessage, Element};
use group::event::Event as ChatEvent;
use group::identity::MemberId;
use group::membership::{MemberError, Saying, Speech, SpeechFault, Voice};
use group::owner::{Event, OwnerError};

use crate::support::{Desk, Out, Relay, reread};

pub(crate) fn post(voice: Voice, signed: bool) -> Speech {
    let content = Content::text("news");
    let what = Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: None, ttl: None };
    Speech { id: None, what, voice, signed, scope: None }
}

/// Messages to the group that went to a relay.
pub(crate) fn heard(desk: &Desk, relay: &MemberId) -> Vec<AuthoredMessage> {
    let connection = desk.connection(relay);
    let mut heard = Vec::new();
    for out in &desk.out {
        if let Out::Said(name, body) = out
            && *name == connection
        {
            for element in Batch::parse(body).unwrap() {
                if let Ok(Element::Message(message)) = element
                    && message.message().event.is_content()
                {
                    heard.push(message);
                }
            }
        }
    }
    heard
}

#[test]
fn a_post_goes_to_all_relays_and_waits_through_a_restart() {
    let mut desk = Desk::new();
    let relays = [desk.activate(Relay::new(1)), desk.activate(Relay::new(2))];
    let said = desk.say(&post(Voice::Oneself, true)).unwrap();
    assert_eq!(said.relays, relays);
    assert!(!said.reveals_owner);
    desk.owner = reread(&desk.owner);
    desk.run();
    let first = heard(&desk, &relays[0]);
    assert_eq!(first, heard(&desk, &relays[1]));
    let AuthoredMessage::Signed(signed) = &first[0] else { panic!("not signed") };
    let owner = desk.owner_identity();
    assert!(signed.is_signed_by(&owner.group_id(), &owner.owner_id, &owner.owner_key.public().into()));
    for relay in relays {
        let sent = Event::Sent { relay, message: said.messages[0].clone() };
        assert_eq!(desk.events.iter().filter(|event| **event == sent).count(), 1);
    }
}

#[test]
fn speaking_as_the_group_hides_nothing_with_a_single_owner_and_is_refused_unless_it_is_wanted() {
    let mut desk = Desk::new();
    let relay = desk.activate(Relay::new(1));
    let refused = desk.say(&post(Voice::Group, false)).unwrap_err();
    assert_eq!(refused, OwnerError::Speech(MemberError::Speech(SpeechFault::SingleOwner)));
    let alone = desk.say(&post(Voice::GroupAlone, false)).unwrap();
    let signed = desk.say(&post(Voice::GroupAlone, true)).unwrap();
    assert!(!alone.reveals_owner && signed.reveals_owner);
    desk.run();
    let heard = heard(&desk, &relay);
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|message| message.message().event.is_as_group()));
    assert!(matches!(heard[0], AuthoredMessage::Unsigned(_)) && matches!(heard[1], AuthoredMessage::Signed(_)));
}

#[test]
fn posts_of_the_group_are_edited_and_deleted_as_the_group() {
    let mut desk = Desk::new();
    let relay = desk.activate(Relay::new(1));
    let message = desk.say(&post(Voice::GroupAlone, false)).unwrap().messages.remove(0);
    let edit =
        Saying::Edit { message: message.clone(), content: Content::text("better"), mentions: Mentions::default() };
    for what in [edit, Saying::Delete { message: message.clone() }] {
        desk.say(&Speech { what, ..post(Voice::Oneself, false) }).unwrap();
    }
    desk.run();
    let heard = heard(&desk, &relay);
    let ChatEvent::MessageUpdate(update) = &heard[1].message().event else { panic!("{heard:?}") };
    assert_eq!((&update.message_id, update.as_group), (&message, Some(true)));
    assert!(matches!(&heard[2].message().event, ChatEvent::MessageDelete(_)));
}

#[test]
fn without_a_relay_nobody_hears_anything() {
    let mut desk = Desk::new();
    desk.invite(Relay::new(1));
    let outcome = desk.say(&post(Voice::Oneself, false));
    assert_eq!(outcome.unwrap_err(), OwnerError::Speech(MemberError::NotConnected));
}
