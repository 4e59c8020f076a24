//! What holds whatever relays deliver, in whatever order, and whenever the program ends and begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use group::content::{Content, MessageUpdate};
use group::element::{AuthoredMessage, Element};
use group::event::Event as ChatEvent;
use group::identity::MemberKey;
use group::membership::{Event, Heard, Line, PATIENCE, Status};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Desk, Relay, body, by, by_channel, id, message_id, post, post_as_group, signed, unsigned};

const MESSAGES: usize = 6;

/// What a relay makes of a message.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    Honest,
    /// The signature is gone.
    Stripped,
    /// It says something else.
    Altered,
    /// Something else, with a signature that is wrong.
    Forged,
    /// It is said by somebody else.
    Attributed,
    /// An edit under its name.
    Edited,
}

#[derive(Debug, Clone)]
enum Input {
    Deliver(usize, usize, Delivery),
    /// Several at once.
    Batch(usize, Vec<(usize, Delivery)>),
    Garbage(usize, Vec<u8>),
    Restart,
    Later(u64),
    Lose(usize),
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        6 => Just(Delivery::Honest),
        1 => Just(Delivery::Stripped),
        1 => Just(Delivery::Altered),
        1 => Just(Delivery::Forged),
        1 => Just(Delivery::Attributed),
        1 => Just(Delivery::Edited),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let relay = 0..3usize;
    prop_oneof![
        12 => (relay.clone(), 0..MESSAGES, delivery()).prop_map(|(r, m, d)| Input::Deliver(r, m, d)),
        4 => (relay.clone(), vec((0..MESSAGES, delivery()), 1..5)).prop_map(|(r, all)| Input::Batch(r, all)),
        1 => (relay.clone(), vec(any::<u8>(), 0..60)).prop_map(|(r, bytes)| Input::Garbage(r, bytes)),
        2 => Just(Input::Restart),
        1 => (1..2000u64).prop_map(Input::Later),
        1 => relay.prop_map(Input::Lose),
    ]
}

/// Even messages are signed by the owner, odd ones are said as the group without a signature.
fn is_signed(message: usize) -> bool {
    message.is_multiple_of(2)
}

fn original(desk: &Desk, message: usize) -> AuthoredMessage {
    let (name, text) = (format!("m{message}"), format!("true {message}"));
    if is_signed(message) { desk.owner.signs(&name, post(&text)) } else { unsigned(&name, post_as_group(&text)) }
}

fn element(desk: &Desk, message: usize, delivery: Delivery) -> Element {
    let owner = desk.owner.id();
    let name = format!("m{message}");
    let wrap = |said: AuthoredMessage| if is_signed(message) { by(&owner, said) } else { by_channel(said) };
    match delivery {
        Delivery::Honest => wrap(original(desk, message)),
        Delivery::Stripped if is_signed(message) => wrap(unsigned(&name, post(&format!("true {message}")))),
        Delivery::Stripped | Delivery::Altered => {
            wrap(unsigned(&name, if is_signed(message) { post("false") } else { post_as_group("false") }))
        }
        Delivery::Forged => {
            let key = MemberKey::generate(&mut crypto::SeededRandom::new(&[66; 32], "mallory"));
            by(&owner, signed(desk.owner.group_id(), &owner, &key, &name, post("forged")))
        }
        Delivery::Attributed => by(&id("anna"), unsigned(&name, post("false"))),
        Delivery::Edited => {
            let update = MessageUpdate {
                message_id: message_id("m0"),
                content: Content::text("false"),
                mentions: Default::default(),
                ttl: None,
                live: None,
                scope: None,
                as_group: None,
            };
            wrap(unsigned(&name, ChatEvent::MessageUpdate(update.into())))
        }
    }
}

/// What the reader was shown.
#[derive(Default)]
struct Reader {
    shown: BTreeMap<String, Vec<Heard>>,
}

impl Reader {
    fn read(&mut self, desk: &mut Desk) {
        for heard in desk.heard() {
            let id = heard.id().unwrap().as_bytes().to_vec();
            self.shown.entry(String::from_utf8(id).unwrap()).or_default().push(heard);
        }
    }

    /// Once, or once more when the signed original came.
    fn check(&self) {
        for (id, shown) in &self.shown {
            let replaces: Vec<bool> = shown.iter().map(|heard| heard.replaces).collect();
            assert!(replaces == [false] || replaces == [false, true], "{id}: {replaces:?}");
            if let [first, second] = &shown[..] {
                assert!(!first.trust().is_verified() && second.trust().is_verified());
            }
            for heard in shown {
                let ChatEvent::MessageNew(new) = heard.event() else { continue };
                if heard.trust().is_verified() {
                    assert!(new.content.as_text().unwrap().starts_with("true"), "{id}");
                }
                assert_ne!(new.content.as_text(), Some("forged"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_shown_once_and_signed_ones_end_as_their_authors_wrote_them(
        inputs in vec(input(), 1..60),
        honest in 0..3usize,
    ) {
        let relays = [Relay::new(1), Relay::new(2), Relay::new(3)];
        let mut desk = Desk::connected(&[&relays[0], &relays[1], &relays[2]]);
        let mut reader = Reader::default();
        let deliver = |desk: &mut Desk, relay: usize, elements: Vec<Element>| {
            if desk.status(&relays[relay]) == Status::Connected {
                desk.receive(&relays[relay], &body(&elements));
            }
        };
        for input in inputs {
            match input {
                Input::Deliver(relay, message, delivery) => {
                    let element = element(&desk, message, delivery);
                    deliver(&mut desk, relay, vec![element]);
                }
                Input::Batch(relay, all) => {
                    let elements = all.iter().map(|(message, delivery)| element(&desk, *message, *delivery)).collect();
                    deliver(&mut desk, relay, elements);
                }
                Input::Garbage(relay, bytes) => {
                    if desk.status(&relays[relay]) == Status::Connected {
                        desk.receive(&relays[relay], &bytes);
                    }
                }
                Input::Restart => {
                    let before = serde_json::to_value(group::document::MemberDocument::from(&desk.member)).unwrap();
                    desk.restart();
                    let after = serde_json::to_value(group::document::MemberDocument::from(&desk.member)).unwrap();
                    prop_assert_eq!(before, after);
                }
                Input::Later(seconds) => desk.later(Duration::from_secs(seconds)),
                Input::Lose(relay) if relay != honest && desk.status(&relays[relay]) == Status::Connected => {
                    desk.fail(&relays[relay], Line::Main);
                }
                Input::Lose(_) => {}
            }
            reader.read(&mut desk);
        }
        // In the end one relay delivers everything as it was said.
        for message in 0..MESSAGES {
            let element = element(&desk, message, Delivery::Honest);
            deliver(&mut desk, honest, vec![element]);
        }
        reader.read(&mut desk);
        reader.check();
        for message in 0..MESSAGES {
            let record = desk.record(&format!("m{message}"));
            let kept = record.kept().unwrap();
            if is_signed(message) {
                prop_assert_eq!(kept.as_bytes(), crate::support::bytes(&original(&desk, message)));
                prop_assert!(kept.trust().is_verified());
            }
            // Whatever was said otherwise is not forgotten, and neither is who said it.
            for delivered in record.others().iter().flat_map(|other| other.deliveries()) {
                let is_marked = record.marks().iter().any(|mark| mark.relay == delivered.relay);
                prop_assert!(is_marked);
            }
        }
        // Nobody that only delivered what was said is refuted.
        let refuted: BTreeSet<_> = (0..MESSAGES)
            .flat_map(|message| desk.record(&format!("m{message}")).marks().to_vec())
            .filter(|mark| mark.refuted)
            .map(|mark| mark.relay)
            .collect();
        for relay in &relays {
            let health = desk.member.health(&relay.id()).unwrap();
            prop_assert_eq!(health.altered > 0, refuted.contains(&relay.id()));
        }
    }

    #[test]
    fn what_every_relay_delivers_is_neither_missing_nor_different(order in vec((0..3usize, 0..MESSAGES), 0..80)) {
        let relays = [Relay::new(1), Relay::new(2), Relay::new(3)];
        let mut desk = Desk::connected(&[&relays[0], &relays[1], &relays[2]]);
        let rest = (0..3).flat_map(|relay| (0..MESSAGES).map(move |message| (relay, message)));
        for (relay, message) in order.into_iter().chain(rest) {
            let element = element(&desk, message, Delivery::Honest);
            desk.deliver(&relays[relay], element);
        }
        desk.later(PATIENCE * 2);
        let bad = |event: &&Event| matches!(event, Event::Missing { .. } | Event::Different { .. } | Event::Dropped { .. });
        prop_assert_eq!(desk.events.iter().find(bad), None);
        prop_assert_eq!(desk.texts().len(), MESSAGES);
        for relay in &relays {
            prop_assert_eq!(desk.member.health(&relay.id()).unwrap().delivered, MESSAGES as u64);
        }
    }
}
