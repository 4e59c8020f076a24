//! When the group link lists a relay, and what follows.

use agent::link_read::RetrievedLinkData;
use agent::short_link::LinkScheme;
use group::event::Event as ChatEvent;
use group::identity::MemberId;
use group::owner::{ActiveStage, Event, Outcome, OwnerError, RejectedReason, Status, Task, TaskId};
use group::profile::GroupProfile;
use group::roster::Roster;

use crate::support::{Desk, Linked, Relay};

/// The data of the write that is due, without saying that it was made.
fn begin_write(desk: &mut Desk) -> (u64, Vec<String>) {
    let Task::WriteLink(write) = desk.owner.task(&TaskId::WriteLink).unwrap() else { panic!("a write") };
    (write.version, desk.read_listed(&write.data))
}

#[test]
fn chat_31_a_relay_that_takes_rosters_is_published_after_its_acknowledgement() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.accept(relay);
    desk.run();
    assert_eq!((desk.status(&id), desk.published.len()), (Status::Accepted, 0), "connected, and not listed");
    let said = desk.said(&id);
    let (ChatEvent::GroupRoster(header), true) = (&said[0].0.event, said[0].1) else { panic!("a signed roster") };
    assert_eq!((header.version.number(), header.file_inv.file_size), (0, 2), "version 0, nobody in it");
    desk.receive(&id, &relay.acknowledges(0, None));
    assert_eq!(desk.status(&id), Status::Acknowledged);
    desk.run();
    assert_eq!((desk.status(&id), desk.listed().len()), (Status::Active, 1));
}

#[test]
fn chat_31_an_older_relay_is_published_when_it_is_connected() {
    let mut desk = Desk::new();
    let id = desk.accept(Relay::old(1));
    assert_eq!(desk.owner.due(desk.now), [TaskId::WriteLink]);
    desk.run();
    assert_eq!((desk.status(&id), desk.listed().len()), (Status::Active, 1));
    assert_eq!(desk.said(&id), [], "it would not know what a roster is");
}

#[test]
fn chat_32_old_acknowledgements_do_not_publish_and_errors_reject() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.accept(relay);
    desk.run();
    desk.receive(&id, &relay.acknowledges(7, None));
    assert_eq!(desk.status(&id), Status::Accepted, "nobody sent version 7");
    let roster: Roster = serde_json::from_str(r#"{"version":2,"contiguous":2,"members":[]}"#).unwrap();
    desk.with(|owner, env| owner.set_roster(roster, env));
    desk.receive(&id, &relay.acknowledges(0, None));
    assert_eq!(desk.status(&id), Status::Accepted, "there is a newer one");
    desk.run();
    assert_eq!(desk.said_names(&id), ["x.grp.roster", "x.grp.roster"]);
    desk.receive(&id, &relay.acknowledges(2, Some("wrong digest")));
    let reason = RejectedReason::Roster("wrong digest".to_owned());
    assert_eq!(desk.owner.relay(&id).unwrap().reason(), Some(reason.into()));
    desk.run();
    assert!(desk.published.is_empty());
    assert_eq!(desk.said_names(&id).last().unwrap(), "x.grp.mem.del", "so that it deletes its link");
}

#[test]
fn chat_33_a_relay_is_active_only_when_the_server_confirmed_a_link_that_lists_it() {
    let mut desk = Desk::new();
    desk.slow_link = true;
    let first = desk.accept(Relay::old(1));
    let (version, listed) = begin_write(&mut desk);
    assert_eq!(listed.len(), 1);
    // Another relay may be listed while that is under way.
    let second = desk.accept(Relay::old(2));
    desk.finish(&TaskId::WriteLink, Outcome::Unreachable("time out".to_owned()));
    assert_eq!([desk.status(&first), desk.status(&second)], [Status::Accepted; 2]);
    assert_eq!(desk.owner.due(desk.now), [], "a little later");
    desk.now = desk.owner.next_due().unwrap();
    let (newest, listed) = begin_write(&mut desk);
    assert!(newest > version && listed.len() == 2, "the next write has everything");
    let third = desk.accept(Relay::old(3));
    desk.finish(&TaskId::WriteLink, Outcome::Written(newest));
    assert_eq!([desk.status(&first), desk.status(&second)], [Status::Active; 2]);
    assert_eq!(desk.status(&third), Status::Accepted, "it was not in what the server confirmed");
    assert!(!desk.owner.is_written());
    desk.slow_link = false;
    desk.run();
    assert_eq!(desk.status(&third), Status::Active);
    assert!(desk.owner.is_written());
}

#[test]
fn what_was_not_begun_is_not_confirmed() {
    let mut desk = Desk::new();
    let id = desk.accept(Relay::old(1));
    let outcome = desk.with(|owner, env| owner.finish(&TaskId::WriteLink, Outcome::Written(2), env));
    assert_eq!(outcome, Err(OwnerError::Task));
    let (version, _) = begin_write(&mut desk);
    let outcome = desk.with(|owner, env| owner.finish(&TaskId::WriteLink, Outcome::Written(version + 1), env));
    assert_eq!(outcome, Err(OwnerError::Task));
    assert_eq!(desk.status(&id), Status::Accepted);
}

#[test]
fn a_slow_relay_keeps_no_other_waiting() {
    let mut desk = Desk::new();
    let slow = desk.invite(Relay::new(1));
    let fast = desk.activate(Relay::old(2));
    assert_eq!([desk.status(&slow), desk.status(&fast)], [Status::Invited, Status::Active]);
}

#[test]
fn chat_34_published_links_equal_the_received_text() {
    for scheme in [LinkScheme::Https, LinkScheme::Simplex] {
        let mut desk = Desk::new();
        let relay = Relay::old(1);
        let other = desk.activate(Relay::old(2));
        desk.with(|owner, env| owner.set_contents(GroupProfile::named("Walks"), 5, env)).unwrap();
        let id = desk.invite(relay);
        desk.run();
        let link = desk.publish(&Linked { scheme, ..relay.relay_link(&id) });
        let text = link.to_string();
        desk.answer(&id, &relay.accepts(&text));
        desk.restart();
        desk.run();
        desk.connect(&id);
        desk.run();
        assert_eq!(desk.status(&id), Status::Active);
        assert_eq!(desk.owner.relay(&id).unwrap().relay_link(), Some(text.as_str()));
        let document = group::document::GroupDocument::from(&desk.owner);
        assert_eq!(document.relays[1].link.to_string(), text);
        assert_eq!(document.relay_records[1].relay_link.as_ref(), Some(&text));
        let said = desk.said(&other);
        let (ChatEvent::GroupRelayNew(news), true) = (&said.last().unwrap().0.event, said.last().unwrap().1) else {
            panic!("a signed announcement")
        };
        assert_eq!(news.relay_link, text);
        // The binary form in link data does not tell the scheme; everything else is there.
        assert_eq!(
            desk.listed()[1].split_once("/g#").unwrap().1,
            match scheme {
                LinkScheme::Https => text.split_once("/g#").unwrap().1.to_owned(),
                LinkScheme::Simplex => text.split_once("/g#").unwrap().1.replace("h=relay.example.org&", ""),
            }
        );
    }
}

#[test]
fn a_relay_with_ready_is_notified_and_confirms() {
    let mut desk = Desk::new();
    let relay = Relay::ready(1);
    let id = desk.accept(relay);
    desk.run();
    desk.receive(&id, &relay.says(ChatEvent::GroupRelayReady));
    assert!(matches!(desk.events.last(), Some(Event::Dropped { .. })), "it is not listed yet");
    desk.receive(&id, &relay.acknowledges(0, None));
    let stage = |desk: &Desk| desk.owner.relay(&id).unwrap().active_stage();
    desk.step(&TaskId::WriteLink);
    assert_eq!(stage(&desk), Some(ActiveStage::Listed));
    desk.run();
    assert_eq!(stage(&desk), Some(ActiveStage::Notified));
    let said = desk.said(&id);
    let (ChatEvent::GroupInfo(info), true) = (&said[1].0.event, said[1].1) else { panic!("a signed profile") };
    assert_eq!(info.group_profile, desk.owner.link().group().contents().profile);
    desk.restart();
    desk.with(|owner, env| owner.ask_again(&id, env)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&id), ["x.grp.roster", "x.grp.info", "x.grp.info"]);
    desk.receive(&id, &relay.says(ChatEvent::GroupRelayReady));
    assert_eq!(stage(&desk), Some(ActiveStage::Confirmed));
    let history = desk.owner.relay(&id).unwrap().history().to_vec();
    let names: Vec<_> = history.iter().map(|change| change.status.name()).collect();
    assert_eq!(names, ["new", "invited", "accepted", "acknowledged_roster", "active", "active", "active"]);
}

#[test]
fn chat_48_other_relays_are_told_of_a_new_one_when_there_are_members() {
    let mut desk = Desk::new();
    let first = desk.activate(Relay::new(1));
    let second = desk.activate(Relay::new(2));
    desk.run();
    assert_eq!(desk.said_names(&first), ["x.grp.roster"], "nobody is there to connect to it");
    desk.with(|owner, env| owner.set_contents(GroupProfile::named("Walks"), 2, env)).unwrap();
    let third = desk.activate(Relay::new(3));
    desk.run();
    let told = |desk: &Desk, id: &MemberId| desk.said(id).into_iter().next_back().unwrap().0;
    assert_eq!(told(&desk, &first), told(&desk, &second), "one message, with one name, through both");
    assert_eq!(told(&desk, &first).event.name(), "x.grp.relay.new");
    assert_eq!(desk.said_names(&third), ["x.grp.roster"]);
}

#[test]
fn relays_hear_of_another_profile_after_the_link_says_it() {
    let mut desk = Desk::new();
    let id = desk.activate(Relay::new(1));
    desk.with(|owner, env| owner.set_contents(GroupProfile::named("Runs"), 1, env)).unwrap();
    assert_eq!(desk.owner.due(desk.now), [TaskId::WriteLink]);
    desk.restart();
    assert_eq!(desk.owner.due(desk.now), [TaskId::WriteLink]);
    desk.step(&TaskId::WriteLink);
    desk.run();
    assert_eq!(desk.said_names(&id), ["x.grp.roster", "x.grp.info"]);
    desk.with(|owner, env| owner.set_contents(GroupProfile::named("Runs"), 9, env)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&id).len(), 2, "the number of members is nothing to tell");
    assert_eq!(desk.status(&id), Status::Active);
}

#[test]
fn chat_52_an_owner_never_publishes_or_sends_another_group() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.activate(relay);
    let before = desk.owner.link().group().contents().profile.clone();
    let mut foreign = GroupProfile::named("Runs");
    foreign.public_group = crate::support::created(9).group().contents().profile.public_group.clone();
    assert_ne!(foreign.public_group, before.public_group);
    for profile in [foreign.clone(), GroupProfile::named("Runs")] {
        desk.with(|owner, env| owner.set_contents(profile, 1, env)).unwrap();
        desk.run();
        let said = desk.said(&id);
        let ChatEvent::GroupInfo(info) = &said.last().unwrap().0.event else { panic!("a profile") };
        assert_eq!(info.group_profile.public_group, before.public_group);
        assert_eq!(desk.owner.link().group().contents().profile.public_group, before.public_group);
    }
    // Nor does a relay tell the owner what the group is.
    let info = ChatEvent::GroupInfo(group::event::GroupInfo::from(foreign).into());
    let group = desk.group_id();
    desk.receive(&id, &relay.signs(group, &id, info));
    assert!(matches!(desk.events.last(), Some(Event::Dropped { .. })));
    assert_eq!(desk.owner.link().group().contents().profile.public_group, before.public_group);
}

#[test]
fn link_data_without_room_for_another_relay_stays_as_it_was() {
    let mut desk = Desk::new();
    let mut noise = vec![0; 14_500];
    crypto::Random::fill(&mut desk.random, &mut noise);
    let text = noise.iter().map(|byte| char::from(b'#' + byte % 57)).collect();
    let profile = GroupProfile { description: Some(text), ..GroupProfile::named("Walks") };
    desk.with(|owner, env| owner.set_contents(profile, 1, env)).unwrap();
    let refused = |desk: &Desk| matches!(desk.events.last(), Some(Event::LinkNotWritten { .. }));
    let mut listed = Vec::new();
    let last = (1..100).find_map(|number| {
        let id = desk.accept(Relay::old(number));
        if refused(&desk) {
            return Some(id);
        }
        desk.run();
        listed.push(id);
        None
    });
    let last = last.unwrap();
    desk.run();
    assert!(!listed.is_empty() && listed.iter().all(|id| desk.status(id) == Status::Active));
    assert_eq!((desk.status(&last), desk.listed().len()), (Status::Accepted, listed.len()));
    desk.with(|owner, env| owner.set_contents(GroupProfile::named("Walks"), 1, env)).unwrap();
    desk.run();
    assert_eq!(desk.status(&last), Status::Active, "there is room now");
}

#[test]
fn members_find_exactly_the_active_relays() {
    let mut desk = Desk::new();
    let ids = [1, 2, 3].map(|number| desk.activate(Relay::new(number)));
    let group = desk.owner.link().group();
    let data = desk.published.last().unwrap().clone();
    let sender_id =
        smp::id::SenderId::from_corr_id(&group::document::GroupDocument::from(&desk.owner).queue.correlation_id);
    let mut verification = group::step::link_verify::LinkVerification::start(group.short_link().clone());
    verification.fetched([Ok(RetrievedLinkData { sender_id, data })]);
    let wanted = verification.to_fetch();
    verification.fetched(wanted.iter().map(|fetch| Ok(desk.links[&fetch.link.to_string()].clone())));
    let verified = verification.finish().verified.unwrap();
    let members: Vec<MemberId> = verified.relays().iter().map(|relay| relay.member_id.clone()).collect();
    assert_eq!(members, ids);
}

#[test]
fn an_owner_knows_old_link_data_from_what_the_server_confirmed() {
    use group::owner::{LinkCondition, Outcome};
    let mut desk = Desk::new();
    let found = |desk: &Desk| Outcome::Retrieved(Box::new(desk.found()));
    let first = found(&desk);
    assert_eq!(desk.owner.read_back(&first), Some(LinkCondition::Current));
    desk.activate(Relay::new(1));
    let second = found(&desk);
    assert_eq!(desk.owner.read_back(&second), Some(LinkCondition::Current));

    // Withheld, or nobody knows.
    let nothing = Outcome::Refused("nothing".to_owned());
    assert_eq!(desk.owner.read_back(&nothing), Some(LinkCondition::Missing));
    assert_eq!(desk.owner.read_back(&Outcome::Unreachable("down".to_owned())), None);
    let Outcome::Retrieved(mut forged) = second.clone() else { unreachable!() };
    let last = forged.data.user.last_mut().unwrap();
    *last ^= 1;
    assert_eq!(desk.owner.read_back(&Outcome::Retrieved(forged)), Some(LinkCondition::Foreign));
    let Outcome::Retrieved(other) = found(&Desk::seeded(77)) else { unreachable!() };
    assert_eq!(desk.owner.read_back(&Outcome::Retrieved(other)), Some(LinkCondition::Foreign));
    assert!(desk.owner.is_written() && !desk.owner.has_tasks());

    // Replayed: it is written again, also after a restart, and relays stay as they are.
    assert_eq!(desk.owner.read_back(&first), Some(LinkCondition::Old));
    assert!(!desk.owner.is_written());
    assert_eq!(desk.owner.read_back(&first), None, "nothing is confirmed now");
    desk.restart();
    let (before, events) = (desk.published.len(), desk.events.len());
    desk.run();
    assert_eq!((desk.published.len(), desk.owner.is_written()), (before + 1, true));
    let statuses = desk.events[events..].iter().filter(|event| matches!(event, Event::Status { .. }));
    assert_eq!(statuses.count(), 0);
    assert_eq!(found(&desk), second, "the same bytes");
}
