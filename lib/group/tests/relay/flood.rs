//! Requests without end: what is kept of them is bounded, whoever is refused is told why, and an honest owner is served
//! meanwhile.

use agent::link_key::LinkKey;
use agent::short_link::ContactShortLink;
use group::event::{Event, GroupRelayInvitation, RejectionReason, RelayTest};
use group::profile::{GroupProfile, GroupType};
use group::relay::{ConnectionName, LogEvent, RecordKey, RelaySettings, ServiceId, Status};
use zeroize::Zeroizing;

use crate::support::{Bench, Done, Found, Owner, hours, id, minutes, settings};

/// How many requests somebody sends who wants to do harm.
const MANY: u32 = 10_000;

/// How many invitations: each is checked, kept and answered.
const MANY_INVITATIONS: u32 = 1_000;

/// An invitation to one of many groups, at a server where nobody is.
fn to_nowhere(owner: &Owner, number: u32) -> GroupRelayInvitation {
    let mut key = [7; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let server = "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@nowhere.example.org".parse().unwrap();
    let link = ContactShortLink { server, key: LinkKey::from_bytes(key), ..owner.short_link() };
    GroupRelayInvitation { group_link: link.to_string(), ..owner.invitation("relay-member-id1") }
}

fn is_accepted(bench: &Bench, member: &str) -> bool {
    bench
        .relay
        .services()
        .any(|service| service.invitation().relay_member_id == id(member) && *service.status() == Status::Accepted)
}

/// An honest owner is served.
fn serves(bench: &mut Bench, member: &str) {
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation(member));
    bench.run();
    assert!(is_accepted(bench, member));
}

#[test]
fn requests_that_say_nothing_leave_nothing_behind() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    let nested = format!("{{\"v\":\"9-19\",\"event\":\"x.ok\",\"params\":{}{}}}", "[".repeat(7_000), "]".repeat(7_000));
    let mut garbage: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"{".to_vec(),
        vec![b'['; 14_000],
        nested.into_bytes(),
        b"{\"v\":\"9-19\",\"event\":\"x.grp.relay.inv\",\"params\":{\"groupRelayInvitation\":null}}".to_vec(),
        b"{\"v\":\"9-19\",\"event\":\"x.grp.relay.inv\",\"params\":[]}".to_vec(),
        b"{\"event\":\"x.member\",\"params\":{}}".to_vec(),
        b"X\x01\x31\xff\xff".to_vec(),
        b"=\xff".to_vec(),
        vec![0xff; 14_694],
    ];
    let mut long = owner.invitation("relay-member-id1");
    long.group_link = "https://smp.example.org/g#".repeat(400);
    let invite = group::event::RelayInvite { group_relay_invitation: long.into() };
    garbage.push(group::body::ConnectionInfo::unsigned(Event::GroupRelayInvite(invite)).to_bytes().unwrap());
    let challenge = RelayTest { challenge: vec![1; 33], signature: None };
    garbage.push(group::body::ConnectionInfo::unsigned(Event::GroupRelayTest(challenge)).to_bytes().unwrap());
    for number in 0..MANY as usize {
        bench.request_bytes(&garbage[number % garbage.len()]);
        if number % 100 == 0 {
            bench.run();
        }
    }
    bench.run();
    assert!(bench.waiting.is_empty() && bench.log.is_empty());
    assert_eq!((bench.services(), bench.kept.len()), (0, 0));
    serves(&mut bench, "relay-member-id1");
}

#[test]
fn groups_at_a_server_where_nobody_is_do_not_hold_up_others() {
    let mut bench = Bench::with(RelaySettings { max_unread: 50, max_transient: 200, ..settings() });
    let owner = Owner::new("Walks");
    for number in 0..MANY_INVITATIONS {
        let invitation = to_nowhere(&owner, number);
        bench.found.insert(invitation.group_link.clone(), Found::Unreachable);
        bench.invite(invitation);
        bench.run();
        if number == MANY_INVITATIONS / 2 {
            serves(&mut bench, "honest-member-id");
        }
    }
    serves(&mut bench, "honest-member-i2");
    let RelaySettings { max_unread, max_transient, .. } = bench.settings;
    assert!(bench.services() <= max_unread + max_transient + 2, "{}", bench.services());
    assert!(bench.waiting.len() <= max_unread, "{} requests wait in the agent", bench.waiting.len());
    let reasons = bench.done.iter().filter_map(|done| match done {
        Done::Answered(_, Event::GroupRelayReject(reject)) => Some(&reject.reason),
        _ => None,
    });
    let unreachable = RejectionReason::Other("unreachable".to_owned());
    assert!(reasons.clone().count() >= MANY_INVITATIONS as usize - max_unread, "whoever is given up is told");
    assert!(reasons.clone().all(|reason| *reason == unreachable));
    // Time brings all that waits to an end.
    bench.pass(hours(26 * 24));
    assert_eq!(bench.relay.services().filter(|service| service.status().is_pending()).count(), 0);
    assert!(bench.waiting.is_empty());
}

#[test]
fn a_server_that_never_answers_leaves_room_for_groups_at_others() {
    let mut bench = Bench::with(RelaySettings { max_unread: 20, ..settings() });
    let owner = Owner::new("Walks");
    // Nothing is run: the server has taken the requests, and nobody knows yet what becomes of them.
    for number in 0..30 {
        bench.invite(to_nowhere(&owner, number));
    }
    for (number, host) in ["one", "two", "three"].into_iter().enumerate() {
        let owner = Owner::at(&format!("{host}.example.org"), host);
        bench.serve(&owner);
        bench.invite(owner.invitation(&format!("honest-member-i{number}")));
    }
    assert_eq!(bench.relay.services().filter(|service| *service.status() == Status::Invited).count(), 20);
    let reads = bench.relay.due(bench.now);
    for read in reads.iter().filter(|task| matches!(task, group::relay::TaskId::ReadGroupLink(_))) {
        let group::relay::TaskId::ReadGroupLink(service) = *read else { continue };
        if bench.relay.service(service).unwrap().invitation().relay_member_id != id("relay-member-id1") {
            bench.run_task(read);
        }
    }
    let read = bench.relay.services().filter(|service| service.group().is_some()).count();
    assert_eq!(read, 3);
}

#[test]
fn one_group_has_few_invitations_however_often_it_is_named() {
    let mut bench = Bench::new();
    let owner = Owner::new("Songs");
    bench.serve(&owner);
    for number in 0..MANY_INVITATIONS {
        bench.invite(owner.invitation(&format!("member-id-{number:06}")));
        bench.run();
    }
    assert_eq!(bench.created().len(), bench.settings.max_unlisted);
    assert_eq!(bench.last_rejected(), Some(RejectionReason::Capacity));
    assert!(bench.services() <= bench.settings.max_transient + bench.settings.max_unlisted);
    assert!(bench.waiting.is_empty());
    serves(&mut bench, "relay-member-id1");
}

#[test]
fn a_repeated_invitation_keeps_no_requests_waiting_in_the_agent() {
    let mut bench = Bench::new();
    let owner = Owner::new("Songs");
    bench.lose(&owner, Found::Unreachable);
    for _ in 0..MANY_INVITATIONS {
        bench.invite(owner.invitation("relay-member-id1"));
        bench.run();
        assert!(bench.waiting.len() <= 5, "{} requests wait", bench.waiting.len());
    }
    assert_eq!(bench.services(), 1);
    let lines = bench.log.len();
    assert!(lines < 600, "{lines} lines of the log");
    bench.serve(&owner);
    bench.pass(minutes(15));
    assert!(is_accepted(&bench, "relay-member-id1") && bench.waiting.is_empty());
}

#[test]
fn an_answer_that_cannot_be_given_keeps_no_request_waiting() {
    use group::relay::Outcome;
    let mut bench = Bench::new();
    let owner = Owner::new("Songs");
    bench.serve(&owner);
    let asked = bench.invite(owner.invitation("relay-member-id1"));
    let tested = bench.request(Event::GroupRelayTest(RelayTest { challenge: vec![1; 32], signature: None }));
    loop {
        let due = bench.relay.due(bench.now);
        let answer = |task: &&group::relay::TaskId| matches!(task, group::relay::TaskId::Answer(_));
        match due.iter().find(answer) {
            Some(task) => {
                let refused = Outcome::Failed("their queue is none".to_owned());
                bench.step(|relay, env| relay.finish(task, refused, env));
            }
            None if due.is_empty() => break,
            None => bench.run_task(&due[0]),
        }
    }
    assert!(bench.done.contains(&Done::Dismissed(asked)) && bench.done.contains(&Done::Dismissed(tested)));
    assert!(bench.waiting.is_empty());
}

#[test]
fn refusals_make_room_for_each_other_and_everybody_gets_one() {
    let mut bench = Bench::with(RelaySettings { max_services: 0, max_transient: 20, ..settings() });
    let owner = Owner::new("Songs");
    for number in 0..200 {
        bench.invite(to_nowhere(&owner, number));
        bench.run();
        assert_eq!(bench.last_rejected(), Some(RejectionReason::Capacity));
        assert!(bench.services() <= 21, "{}", bench.services());
    }
    let answered = bench.done.iter().filter(|done| matches!(done, Done::Answered(..))).count();
    assert_eq!(answered, 200);
}

#[test]
fn groups_that_never_list_the_relay_leave_room_for_those_that_do() {
    let mut bench = Bench::with(RelaySettings { max_unlisted_services: 3, ..settings() });
    let mut listed = Owner::new("Listed");
    bench.activate(&mut listed, "relay-member-id1");
    for name in ["One", "Two", "Three", "Four"] {
        let owner = Owner::new(name);
        bench.serve(&owner);
        bench.invite(owner.invitation("relay-member-id2"));
        bench.run();
    }
    assert_eq!(bench.last_rejected(), Some(RejectionReason::Capacity));
    assert_eq!(bench.created().len(), 4);
    bench.pass(hours(24 * 8));
    serves(&mut bench, "relay-member-id3");
}

#[test]
fn services_that_are_over_are_remembered_within_bounds() {
    let mut bench = Bench::with(RelaySettings { max_remembered: 3, ..settings() });
    for number in 0..8 {
        let mut owner = Owner::new(&format!("Group {number}"));
        let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
        let body = owner.says(Event::GroupDelete);
        bench.receive(connection, &body);
        assert!(!bench.status(service).is_current());
        assert!(bench.services() <= 4);
    }
    let kept = bench.kept.keys().filter(|key| matches!(key, RecordKey::Service(_))).count();
    assert!(kept <= 4, "{kept}");
}

#[test]
fn what_an_owner_says_without_end_is_logged_within_bounds() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Songs");
    let (_, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let before = bench.log.len();
    for _ in 0..2_000 {
        bench.receive(connection, b"{");
    }
    assert!(bench.log.len() - before <= 500, "{}", bench.log.len() - before);
    bench.now = bench.now.after(hours(1));
    bench.receive(connection, b"{");
    assert!(matches!(bench.log.last().unwrap().event, LogEvent::Ignored { .. }), "the next hour is another one");
}

#[test]
fn a_profile_is_served_up_to_the_limit_and_not_one_byte_further() {
    let mut profile = GroupProfile::named("Pictures");
    profile.image = Some(format!("data:image/png;base64,{}", "A".repeat(5_000)));
    let owner = Owner::with_profile("Pictures", GroupType::Channel, profile);
    let length = serde_json::to_vec(&owner.profile()).unwrap().len();
    let image = owner.profile().image.unwrap().len();
    for (max_profile, max_image, accepted) in
        [(length, image, true), (length - 1, image, false), (length, image - 1, false)]
    {
        let mut bench = Bench::with(RelaySettings { max_profile, max_image, ..settings() });
        bench.serve(&owner);
        bench.invite(owner.invitation("relay-member-id1"));
        bench.run();
        assert_eq!(bench.last_accepted().is_some(), accepted);
        assert_eq!(bench.last_rejected(), (!accepted).then_some(RejectionReason::BadProfile));
    }
}

#[test]
fn a_group_link_that_is_another_one_at_the_second_look_is_not_believed() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    let (service, ..) = bench.accept(&owner, "relay-member-id1");
    let name = |bench: &Bench| bench.relay.service(service).unwrap().group().unwrap().profile.display_name.clone();
    for other in [Owner::new("Songs").data(), Owner::relinked(&owner, "second").data()] {
        bench.lose(&owner, Found::Data(other.into()));
        bench.pass(hours(3));
        assert_eq!((bench.status(service), name(&bench)), (Status::Accepted, "Walks".to_owned()));
        let refused = |entry: &group::relay::LogEntry| matches!(entry.event, LogEvent::Failed { .. });
        assert!(bench.log.iter().any(refused), "and the operator is told");
        bench.log.clear();
    }
}

/// The service of a bench as the record of another one, whose link is at `host`.
fn copy(record: &[u8], service: u64, host: &str) -> Zeroizing<Vec<u8>> {
    let mut value: serde_json::Value = serde_json::from_slice(record).unwrap();
    value["id"] = service.into();
    let link: ContactShortLink = value["invitation"]["group_link"].as_str().unwrap().parse().unwrap();
    let mut key = [9; 32];
    key[..8].copy_from_slice(&service.to_be_bytes());
    let server = format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@{host}").parse().unwrap();
    let link = ContactShortLink { server, key: LinkKey::from_bytes(key), ..link };
    value["invitation"]["group_link"] = link.to_string().into();
    value["owners"] = serde_json::json!([]);
    Zeroizing::new(serde_json::to_vec(&value).unwrap())
}

#[test]
fn a_server_with_many_groups_that_is_down_does_not_hold_up_looks_at_others() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, ..) = bench.activate(&mut owner, "relay-member-id1");
    let record = bench.kept[&RecordKey::Service(service)].to_vec();
    for number in 2..=2_000 {
        let host = if number % 10 == 0 { "well.example.org" } else { "down.example.org" };
        bench.kept.insert(RecordKey::Service(ServiceId(number)), copy(&record, number, host));
    }
    let relay = serde_json::json!({"v": 1, "next_service": 2_001});
    bench.kept.insert(RecordKey::Relay, Zeroizing::new(relay.to_string().into_bytes()));
    bench.restart();
    bench.now = bench.now.after(hours(1));
    let links: Vec<String> =
        bench.relay.services().map(|service| service.invitation().group_link.to_string()).collect();
    for link in links {
        let found = if link.contains("down") { Found::Unreachable } else { Found::Nothing };
        bench.found.insert(link, found);
    }
    let due = bench.relay.due(bench.now);
    assert!(due.len() <= bench.settings.max_checks && due.len() > bench.settings.max_reads_per_server, "{}", due.len());
    bench.log.clear();
    let mut done = 0;
    while let Some(task) = bench.relay.due(bench.now).first().copied() {
        bench.run_task(&task);
        assert_eq!((bench.relay.due(bench.now), bench.relay.next_due(bench.now)), bench.relay.scan(bench.now));
        done += 1;
    }
    // All of the server that answers, and one of the server that does not.
    assert!((200..=202).contains(&done), "{done}");
    assert!(bench.relay.next_due(bench.now).unwrap().since(bench.now) <= minutes(1));
    let names = bench.relay.services().filter(|service| service.status().is_serving()).count();
    assert_eq!(names, 2_000, "a server that is down ends nothing");
    assert!(!bench.deleted().iter().any(|name| matches!(name, ConnectionName::Link(_))));
}
