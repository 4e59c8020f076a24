//! From the group link to the first message.

use agent::short_link::ContactKind;
use agent::time::{Env, Time};
use crypto::SeededRandom;
use group::element::AuthoredMessage;
use group::event::{Event as ChatEvent, LinkReject};
use group::extension::Extension;
use group::member::MemberProfile;
use group::membership::{Event, GoneReason, Line, MemberError, Outcome, Status, TaskId, WrongLink};
use group::owner::Persona;
use group::profile::GroupProfile;

use crate::support::{Desk, NOW, Out, Owner, Relay, by, id, join, post, server};

fn two() -> (Relay, Relay) {
    (Relay::new(1), Relay::new(2))
}

#[test]
fn chat_38_the_same_member_and_key_ask_all_relays_each_with_a_signature_of_its_own() {
    let (one, two) = two();
    let mut desk = Desk::new(&[&one, &two]);
    desk.run();
    let mut asked = Vec::new();
    for relay in [&one, &two] {
        let request = desk.request(&desk.connection(relay, Line::Main)).unwrap();
        let AuthoredMessage::Signed(signed) = request.authored() else { panic!("not signed") };
        assert!(signed.is_signed_by(&desk.member.group_id(), desk.member.id(), &desk.member.key()));
        let ChatEvent::Member(join) = request.event() else { panic!("{:?}", request.event()) };
        assert_eq!(join.via_relay, Some(relay.id()));
        assert_eq!(request.authored().message().id, None);
        asked.push((join.new_member_id.clone(), join.new_member_key, join.profile.clone()));
    }
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0].0, *desk.member.id());
}

#[test]
fn the_first_relay_is_enough_and_the_others_go_on() {
    let (one, two) = two();
    let mut desk = Desk::new(&[&one, &two]);
    desk.run();
    assert!(!desk.member.is_usable());
    desk.admit(&two);
    assert!(desk.member.is_usable());
    assert_eq!((desk.status(&one), desk.status(&two)), (Status::Joining, Status::Connected));
    let owner = desk.owner.id();
    let hello = desk.owner.signs("m1", post("hello"));
    desk.deliver(&two, by(&owner, hello));
    assert_eq!(desk.texts(), ["hello"]);
    desk.admit(&one);
    assert_eq!(desk.status(&one), Status::Connected);
}

#[test]
fn a_relay_that_admits_gets_profile_and_key() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    desk.admit(&relay);
    let connection = desk.connection(&relay, Line::Main);
    let allowed = desk.out.iter().find_map(|out| match out {
        Out::Allowed(name, info) if *name == connection => Some(info.clone()),
        _ => None,
    });
    let info = group::body::ConnectionInfo::parse(&allowed.unwrap()).unwrap();
    let ChatEvent::Info(own) = info.event() else { panic!("{:?}", info.event()) };
    assert_eq!(own.member_key, Some(desk.member.key()));
    assert_eq!(own.profile, *desk.member.persona().profile());
}

#[test]
fn chat_40_a_joiner_aborts_when_the_invitation_leads_to_another_group_or_to_none() {
    let other = Owner::new(9).contents().profile;
    for profile in [other, GroupProfile::named("Walks")] {
        let relay = Relay::new(1);
        let mut desk = Desk::new(&[&relay]);
        desk.run();
        let connection = desk.connection(&relay, Line::Main);
        let info = relay.admits(desk.member.id(), profile);
        desk.answer(&relay, Line::Main, &info);
        let record = desk.member.relay(desk.number(&relay)).unwrap();
        assert!(matches!(record.why_gone(), Some(GoneReason::Answer(why)) if why.contains("another group")));
        desk.run();
        assert!(!desk.out.iter().any(|out| matches!(out, Out::Allowed(..))), "the connection is left unfinished");
        assert!(desk.out.iter().any(|out| matches!(out, Out::Deleted(name, _) if *name == connection)));
        assert!(!desk.member.is_usable());
    }
}

#[test]
fn an_answer_of_another_relay_or_for_somebody_else_is_none() {
    let (one, two) = two();
    for wrong in [0, 1] {
        let mut desk = Desk::new(&[&one]);
        desk.run();
        let profile = desk.owner.contents().profile;
        let info = match wrong {
            0 => two.admits(desk.member.id(), profile),
            _ => one.admits(&id("somebody"), profile),
        };
        desk.answer(&one, Line::Main, &info);
        assert_eq!(desk.status(&one), Status::Gone);
    }
}

#[test]
fn a_relay_may_refuse_and_the_member_hears_why() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    let words = serde_json::json!({"type": "rejected", "reason": "full\u{1b}[2J"});
    let rejection = LinkReject { group_link_rejection: words.as_object().unwrap().clone() };
    desk.answer(&relay, Line::Main, &relay.info(ChatEvent::GroupLinkReject(rejection)));
    let number = desk.number(&relay);
    let why = desk.member.relay(number).unwrap().why_gone().unwrap().to_string();
    assert!(why.contains("full") && !why.contains('\u{1b}'), "{why}");
}

#[test]
fn nothing_is_sent_to_a_relay_whose_link_is_not_one_of_the_group() {
    let relay = Relay::new(1);
    let good = |desk: &Desk| relay.linked(desk.owner.group_id());
    type Spoil = fn(&mut group::identity::GroupId, &mut crate::support::Linked);
    let spoils: [Spoil; 3] = [
        |_, linked| linked.direct = false,
        |_, linked| linked.json = serde_json::json!({}),
        |_, linked| linked.json["relayProfile"]["displayName"] = "@owner".into(),
    ];
    for spoil in spoils {
        let mut desk = Desk::new(&[&relay]);
        let mut linked = good(&desk);
        spoil(&mut desk.owner.group_id(), &mut linked);
        let (link, data) = linked.make();
        assert_eq!(link, good(&desk).make().0, "the same fixed data");
        desk.links.insert(link.to_string(), data);
        desk.run();
        assert_eq!(desk.status(&relay), Status::Gone);
        assert!(!desk.out.iter().any(|out| matches!(out, Out::Opened(..))));
    }
}

#[test]
fn a_relay_link_that_is_bound_to_another_group_is_not_used() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    let mut linked = relay.linked(Owner::new(9).group_id());
    linked.json["groupId"] = codec::text::base64url(Owner::new(9).group_id().as_bytes()).into();
    let (link, data) = linked.make();
    let mut contents = desk.owner.contents();
    contents.relays = vec![link.clone()];
    desk.owner.write(contents);
    desk.publish_group();
    desk.links.insert(link.to_string(), data);
    desk.member.open(desk.now);
    desk.run();
    let record = desk.member.relays().iter().find(|record| *record.link() == link).unwrap();
    assert!(matches!(record.why_gone(), Some(GoneReason::RelayLink(why)) if why.contains("another group")));
    assert!(desk.request(&record.connection(Line::Main)).is_none());
}

#[test]
fn a_link_of_another_kind_in_the_list_of_relays_is_not_used() {
    let relay = Relay::new(1);
    for kind in [ContactKind::Relay, ContactKind::Contact, ContactKind::Channel] {
        let mut desk = Desk::new(&[&relay]);
        let (link, data) = crate::support::Linked { kind, ..relay.linked(desk.owner.group_id()) }.make();
        let mut contents = desk.owner.contents();
        contents.relays = vec![link.clone()];
        desk.owner.write(contents);
        desk.publish_group();
        desk.links.insert(link.to_string(), data);
        desk.member.open(desk.now);
        desk.run();
        let record = desk.member.relays().iter().find(|record| *record.link() == link).unwrap();
        assert!(matches!(record.why_gone(), Some(GoneReason::RelayLink(_))), "{kind:?}");
    }
}

#[test]
fn a_relay_that_takes_the_name_of_an_owner_or_of_another_relay_is_not_asked() {
    let (one, two) = two();
    let mut desk = Desk::new(&[&one, &two]);
    for name in [desk.owner.id(), one.id()] {
        let usurper = Relay { number: 40, ..Relay::new(1) };
        let mut linked = usurper.linked(desk.owner.group_id());
        linked.entity_id = Some(name.as_bytes().to_vec());
        let (link, data) = linked.make();
        desk.run();
        let mut contents = desk.owner.contents();
        contents.relays.push(link.clone());
        desk.owner.write(contents);
        desk.publish_group();
        desk.links.insert(link.to_string(), data);
        desk.member.open(desk.now);
        desk.run();
        let record = desk.member.relays().iter().find(|record| *record.link() == link).unwrap();
        assert!(matches!(record.why_gone(), Some(GoneReason::RelayLink(why)) if why.contains("somebody else")));
    }
    assert_eq!(desk.status(&one), Status::Joining);
}

#[test]
fn a_relay_that_is_down_does_not_keep_the_others_from_being_joined() {
    let (one, two) = two();
    let mut desk = Desk::new(&[&one, &two]);
    let first = TaskId::ReadRelayLink(desk.number(&one));
    desk.finish(&first, Outcome::Unreachable("no route".to_owned()));
    assert!(desk.events.iter().any(|event| matches!(event, Event::Problem { problem, .. } if problem == "no route")));
    desk.run();
    assert_eq!((desk.status(&one), desk.status(&two)), (Status::Listed, Status::Joining));
    desk.now = desk.member.next_due().unwrap();
    desk.run();
    assert_eq!(desk.status(&one), Status::Joining);
}

#[test]
fn chat_57_two_memberships_of_one_person_share_no_name_key_or_connection_data() {
    let relay = Relay::new(1);
    let (one, two) = (Desk::seeded(7, &[&relay]), Desk::seeded(8, &[&relay]));
    assert_ne!(one.member.id(), two.member.id());
    assert_ne!(one.member.key(), two.member.key());
    assert_ne!(one.member.persona().profile(), two.member.persona().profile());
}

#[test]
fn a_member_that_wants_to_be_known_gives_no_way_to_be_reached_outside() {
    let profile =
        MemberProfile { contact_link: Some("https://example.org/a#key".to_owned()), ..MemberProfile::named("Mia") };
    let mut owner = Owner::new(7);
    owner.list(&[&Relay::new(1)]);
    let persona = Persona::known(profile, server("receive.example.org")).unwrap();
    let mut random = SeededRandom::new(&[1; 32], "member");
    let member = join(&owner, persona, &mut Env { now: Time::from_millis(NOW), random: &mut random }).unwrap();
    assert_eq!(member.persona().profile(), &MemberProfile::named("Mia"));
}

#[test]
fn a_group_without_relays_cannot_be_joined_now() {
    let owner = Owner::new(7);
    let mut random = SeededRandom::new(&[1; 32], "member");
    let persona = Persona::random(server("receive.example.org"), &mut random);
    let outcome = join(&owner, persona, &mut Env { now: Time::from_millis(NOW), random: &mut random });
    assert_eq!(outcome.unwrap_err(), MemberError::NoRelays);
}

#[test]
fn the_address_of_a_relay_is_no_group_and_the_error_says_what_to_do_with_it() {
    assert_eq!(WrongLink::check(ContactKind::Channel), Ok(()));
    assert_eq!(WrongLink::check(ContactKind::Group), Ok(()));
    let wrong = WrongLink::check(ContactKind::Relay).unwrap_err();
    assert_eq!(wrong, WrongLink::RelayAddress);
    assert!(wrong.advice().contains("grp-relay-invite"));
    assert_eq!(WrongLink::check(ContactKind::Contact), Err(WrongLink::Contact));
}

#[test]
fn chat_58_a_second_connection_is_opened_only_to_relays_that_offer_it() {
    let (plain, paired) = (Relay::new(1), Relay::paired(2));
    let mut desk = Desk::new(&[&plain, &paired]);
    desk.run();
    desk.admit(&plain);
    desk.admit(&paired);
    assert!(desk.request(&desk.connection(&plain, Line::Content)).is_none());
    let first = desk.request(&desk.connection(&paired, Line::Main)).unwrap();
    let second = desk.request(&desk.connection(&paired, Line::Content)).unwrap();
    let (ChatEvent::Member(first), ChatEvent::Member(second)) = (first.event(), second.event()) else { panic!() };
    assert_eq!(first.purpose, None);
    assert_eq!(second.purpose.as_ref().map(|purpose| purpose.name()), Some("msg"));
    assert_eq!((&first.new_member_id, first.new_member_key), (&second.new_member_id, second.new_member_key));
    assert_eq!(second.via_relay, Some(paired.id()));
    assert!(desk.member.relay(desk.number(&paired)).unwrap().has_content_line());
}

#[test]
fn the_second_connection_waits_until_the_relay_has_said_everything_through_the_first() {
    let relay = Relay::paired(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    let info = desk.admission(&relay);
    desk.answer(&relay, Line::Main, &info);
    desk.run();
    desk.connect(&relay, Line::Main);
    desk.run();
    // The word may come before the answer, and both before a restart.
    desk.receive(&relay, &relay.says(ChatEvent::GroupRelayPair));
    desk.restart();
    desk.run();
    let content = desk.connection(&relay, Line::Content);
    let allowed = |desk: &Desk| desk.out.iter().any(|out| matches!(out, Out::Allowed(name, _) if *name == content));
    assert!(!allowed(&desk), "the relay has not answered");
    desk.answer(&relay, Line::Content, &info);
    desk.run();
    assert!(allowed(&desk));

    let mut desk = Desk::new(&[&relay]);
    desk.run();
    for line in [Line::Main, Line::Content] {
        desk.answer(&relay, line, &desk.admission(&relay));
        desk.run();
        if line == Line::Main {
            desk.connect(&relay, line);
            desk.run();
        }
    }
    desk.restart();
    desk.run();
    assert!(!allowed(&desk), "messages may still be on their way through the first connection");
    desk.receive(&relay, &relay.says(ChatEvent::GroupRelayPair));
    desk.run();
    assert!(allowed(&desk));
}

#[test]
fn messages_are_heard_through_both_connections_with_a_relay() {
    let relay = Relay::paired(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    for (line, name) in [(Line::Main, "m1"), (Line::Content, "m2")] {
        let connection = desk.connection(&relay, line);
        let message = desk.owner.signs(name, post(name));
        desk.receive_through(&connection, &crate::support::body(&[by(&owner, message)]));
    }
    assert_eq!(desk.texts(), ["m1", "m2"]);
}

#[test]
fn without_the_second_connection_everything_goes_through_the_first() {
    let relay = Relay::paired(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.fail(&relay, Line::Content);
    desk.run();
    assert_eq!(desk.status(&relay), Status::Connected);
    assert!(!desk.member.relay(desk.number(&relay)).unwrap().has_content_line());
    let content = desk.connection(&relay, Line::Content);
    assert!(desk.out.iter().any(|out| matches!(out, Out::Deleted(name, _) if *name == content)));
    assert!(desk.member.relay(desk.number(&relay)).unwrap().problem().is_some());
}

#[test]
fn an_extension_may_be_announced_with_the_invitation() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    let mut invitation = relay.invitation(desk.member.id(), desk.owner.contents().profile);
    invitation.ext.0 = vec![Extension::SignedJoin, Extension::Other("new9".to_owned())];
    let invite = group::event::LinkInvite { group_link_invitation: invitation };
    desk.answer(&relay, Line::Main, &relay.info(ChatEvent::GroupLinkInvite(invite.into())));
    let record = desk.member.relay(desk.number(&relay)).unwrap();
    assert!(record.knows(&Extension::SignedJoin));
    assert!(!record.knows(&Extension::Other("new9".to_owned())));
}

#[test]
fn a_restart_at_any_point_of_the_handshake_loses_nothing() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.restart();
    for _ in 0..2 {
        let task = desk.member.due(desk.now).first().cloned().unwrap();
        desk.step(&task);
        desk.restart();
    }
    desk.run();
    let opened = desk.out.iter().filter(|out| matches!(out, Out::Opened(..))).count();
    assert_eq!(opened, 1);
    let info = desk.admission(&relay);
    desk.answer(&relay, Line::Main, &info);
    desk.restart();
    desk.answer(&relay, Line::Main, &info);
    desk.run();
    desk.restart();
    desk.connect(&relay, Line::Main);
    desk.restart();
    assert_eq!(desk.status(&relay), Status::Connected);
}

#[test]
fn a_relay_that_answers_what_was_lost_in_a_crash_was_asked() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    let read = desk.member.due(desk.now)[0].clone();
    desk.step(&read);
    desk.restart();
    assert_eq!(desk.status(&relay), Status::Listed);
    let info = desk.admission(&relay);
    desk.answer(&relay, Line::Main, &info);
    assert_eq!(desk.status(&relay), Status::Admitted);
}
