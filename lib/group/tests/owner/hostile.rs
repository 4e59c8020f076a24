//! Relays that say anything at any time.

use codec::VersionRange;
use group::event::{Event as ChatEvent, RelayCapabilities, RelayCapabilitiesChange, RelayState, UnknownEvent};
use group::extension::{Extension, Extensions};
use group::identity::MemberId;
use group::owner::{EndReason, Event, OwnerError, RejectedReason, Status};
use serde_json::{Map, json};

use crate::support::{Desk, Linked, Out, Relay};

fn invited(relay: Relay) -> (Desk, MemberId) {
    let mut desk = Desk::new();
    let id = desk.invite(relay);
    desk.run();
    (desk, id)
}

#[test]
fn answers_that_are_none_end_the_invitation() {
    let relay = Relay::new(1);
    let long = format!("https://relay.example.org/g#{}", "A".repeat(3000));
    let (channel, _) = {
        let linked = relay.relay_link(&MemberId::from_bytes(b"0123456789abcdef").unwrap());
        Linked { kind: agent::short_link::ContactKind::Channel, ..linked }.make()
    };
    let answers: [Vec<u8>; 9] = [
        vec![],
        b"{".to_vec(),
        b"{\"event\":\"x.grp.relay.acpt\",\"params\":{}}".to_vec(),
        [b"=\x02", relay.rejects("policy").as_slice()].concat(),
        relay.info(ChatEvent::Ok),
        relay.info(ChatEvent::GroupLeave),
        relay.accepts("https://example.org/"),
        relay.accepts(&long),
        relay.accepts(&channel.to_string()),
    ];
    for answer in answers {
        let (mut desk, id) = invited(relay);
        desk.answer(&id, &answer);
        let reason = desk.owner.relay(&id).unwrap().reason();
        assert!(matches!(reason, Some(EndReason::Rejected(RejectedReason::Answer(_)))), "{reason:?}");
        assert!(reason.unwrap().to_string().chars().count() < 260);
        desk.run();
        assert!(desk.owner.relay(&id).unwrap().is_over());
        assert!(desk.published.is_empty() && !desk.out.iter().any(|out| matches!(out, Out::Allowed(..))));
    }
}

#[test]
fn nothing_that_a_relay_wrote_reaches_a_terminal_unfiltered() {
    let relay = Relay::new(1);
    let (mut desk, id) = invited(relay);
    desk.answer(&id, &relay.rejects(&format!("\u{1b}[2J{}", "no ".repeat(4000))));
    let shown = desk.owner.relay(&id).unwrap().reason().unwrap().to_string();
    assert!(shown.chars().count() < 260 && !shown.contains('\u{1b}'), "{shown}");

    let relay = Relay::new(2);
    let mut desk = Desk::new();
    let id = desk.activate(relay);
    let web_domain = Some("x\u{7}".repeat(1000));
    let ext = (0..300).map(|number| Extension::Other(format!("e{number}"))).collect::<Extensions>();
    let relay_cap = RelayCapabilities { web_domain, ext };
    desk.receive(&id, &relay.says(ChatEvent::GroupRelayCapabilities(RelayCapabilitiesChange { relay_cap })));
    let kept = desk.owner.relay(&id).unwrap().capabilities().unwrap();
    assert_eq!((kept.web_domain.as_ref().unwrap().chars().count(), kept.ext.0.len()), (201, 0));
}

#[test]
fn messages_before_and_after_the_connection_stands_are_dropped() {
    let relay = Relay::new(1);
    let (mut desk, id) = invited(relay);
    desk.receive(&id, &relay.acknowledges(0, None));
    assert_eq!(desk.status(&id), Status::Invited);
    let link = desk.publish(&relay.relay_link(&id));
    desk.answer(&id, &relay.accepts(&link.to_string()));
    desk.run();
    desk.receive(&id, &relay.acknowledges(0, None));
    assert_eq!((desk.status(&id), desk.published.len()), (Status::Accepted, 0));
    assert!(matches!(desk.events.last(), Some(Event::Dropped { .. })));
    desk.with(|owner, env| owner.cancel(&id, env)).unwrap();
    desk.receive(&id, &relay.acknowledges(0, None));
    assert_eq!(desk.status(&id), Status::Inactive);
}

#[test]
fn a_connection_that_nobody_allowed_is_not_connected() {
    let relay = Relay::new(1);
    let (mut desk, id) = invited(relay);
    let connection = desk.connection(&id);
    let refused = desk.with(|owner, env| owner.connected(&connection, env)).unwrap_err();
    assert_eq!(refused, OwnerError::Prohibited("connected", Status::Invited));
}

#[test]
fn relays_cannot_do_what_owners_do() {
    let relay = Relay::new(1);
    let mut desk = Desk::new();
    let id = desk.activate(relay);
    let group = desk.group_id();
    let before = without_health(&desk);
    let other = MemberId::from_bytes(b"somebody").unwrap();
    let params = |value: serde_json::Value| value.as_object().unwrap().clone();
    let member = codec::text::base64url(other.as_bytes());
    let events = [
        ("x.grp.del", json!({})),
        ("x.grp.mem.del", json!({"memberId": member})),
        ("x.grp.mem.role", json!({"memberId": member, "role": "owner"})),
        ("x.grp.relay.new", json!({"relayLink": "https://relay.example.org/g#AAAA"})),
        ("x.grp.prefs", json!({"groupPreferences": {}})),
        ("x.grp.relay.ctl", json!({"cmd": "suspend"})),
        ("x.grp.relay.state", json!({"accepting": true})),
    ];
    for (name, value) in events {
        let json = json!({"v": "9-19", "event": name, "params": params(value)}).to_string();
        let event = group::message::Message::parse(json.as_bytes()).unwrap().event;
        desk.events.clear();
        desk.receive(&id, &relay.signs(group, &id, event));
        assert!(matches!(desk.events.as_slice(), [Event::Dropped { .. }]), "{name}: {:?}", desk.events);
    }
    // What it may say, or what later versions say, is no reason to complain.
    desk.events.clear();
    let unknown = UnknownEvent::new("x.grp.something".to_owned(), Map::new()).unwrap();
    desk.receive(&id, &relay.says(ChatEvent::Unknown(unknown)));
    desk.receive(&id, b"F");
    assert!(matches!(desk.events.as_slice(), [Event::Dropped { .. }]), "a chunk that is none");
    assert_eq!(without_health(&desk), before);
    assert_eq!(desk.owner.health(&id).unwrap().refused, 6);
}

/// The document without what is counted about relays.
fn without_health(desk: &Desk) -> serde_json::Value {
    let mut document = serde_json::to_value(group::document::GroupDocument::from(&desk.owner)).unwrap();
    for relay in document["relay_records"].as_array_mut().unwrap() {
        relay.as_object_mut().unwrap().remove("health");
    }
    document
}

#[test]
fn a_relay_says_whether_it_admits_members_only_if_it_can_be_asked() {
    let mut relay = Relay::ready(1);
    let mut desk = Desk::new();
    let id = desk.activate(relay);
    let ext = [Extension::Suspension].into_iter().collect();
    let relay_cap = RelayCapabilities { web_domain: None, ext };
    desk.receive(&id, &relay.says(ChatEvent::GroupRelayCapabilities(RelayCapabilitiesChange { relay_cap })));
    assert!(matches!(desk.events.last(), Some(Event::Capabilities { .. })));
    let command = group::event::RelayCommand::Suspend;
    desk.with(|owner, env| owner.control(&id, command, env)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&id).last().unwrap(), "x.grp.relay.ctl");
    relay.ready = false;
    desk.receive(&id, &relay.says(ChatEvent::GroupRelayState(RelayState { accepting: false })));
    assert_eq!(desk.owner.relay(&id).unwrap().accepting(), Some(false));
}

#[test]
fn a_relay_that_learns_to_take_rosters_gets_one() {
    let mut relay = Relay::old(1);
    let mut desk = Desk::new();
    let id = desk.activate(relay);
    relay.versions = (9, 19);
    let nothing = RelayCapabilitiesChange { relay_cap: RelayCapabilities::default() };
    desk.receive(&id, &relay.says(ChatEvent::GroupRelayCapabilities(nothing)));
    desk.run();
    assert_eq!(desk.said_names(&id), ["x.grp.roster"]);
    assert_eq!(desk.owner.relay(&id).unwrap().versions(), VersionRange::new(9, 19));
    assert_eq!((desk.status(&id), desk.listed().len()), (Status::Active, 1));
    desk.receive(&id, &relay.acknowledges(0, Some("too large")));
    assert!(matches!(desk.events.last(), Some(Event::RosterRefused { .. })), "it keeps the one before");
    assert_eq!(desk.status(&id), Status::Active);
}

#[test]
fn bodies_that_say_nothing_change_nothing() {
    let relay = Relay::new(1);
    let mut desk = Desk::new();
    let id = desk.accept(relay);
    desk.run();
    for body in [&b""[..], b"=", b"=\x00", b"X", b"X\x01\x30\x01{", b"[", b"[]", b"{}", b"/", b">", b"\x00"] {
        desk.receive(&id, body);
        assert!(matches!(desk.events.last(), Some(Event::Dropped { .. })), "{body:?}");
    }
    assert_eq!((desk.status(&id), desk.published.len()), (Status::Accepted, 0));
}
