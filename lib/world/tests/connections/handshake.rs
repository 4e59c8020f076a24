//! Connecting: lines 40 to 50 of the checklist, and what was observed of reference agents that ours must not do.

use std::time::Duration;

use agent::connection::{
    AddressPlan, Connection, Event, InviteLink, JoinLink, PeerFault, RequestEvent, SendOptions, Settings, TaskFault,
    TaskId, Where,
};
use agent::full_link::FullLink;
use agent::link_data::Payload;
use agent::message_chain::Integrity;
use agent::ratchet::Pq;
use smp::error::Error;
use world::{Fate, PersistPoint};

use crate::support::{ALICE, BOB, HOUR, Pair, Side, Terms, bodies, only_messages, up_to};

/// What Alice calls her contact address.
const ADDRESS: &str = "address";

fn short() -> InviteLink {
    InviteLink { short: Payload::new(*b"come in"), propose: false }
}

fn settings(pq: Pq) -> Settings {
    Settings { pq, ..Settings::default() }
}

#[test]
fn agent_40_a_fast_connection_tells_both_sides_and_starts_at_number_2() {
    for link in [InviteLink::default(), short()] {
        let mut pair = Pair::new(Terms { link, ..Terms::default() });
        let link = pair.invite();
        pair.join(link);
        pair.run();
        assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }]);
        assert_eq!(pair.events(pair.bob), []);
        pair.allow();
        pair.run();
        let connected = Event::Connected { post_quantum: true };
        assert_eq!(pair.events(pair.alice), std::slice::from_ref(&connected));
        assert_eq!(pair.events(pair.bob), [Event::Info(b"alice".to_vec()), connected]);
        for side in [pair.alice, pair.bob] {
            assert_eq!(pair.send(side, b"hello").number, 2);
            let messages = pair.take_messages(pair.other(side));
            let [message] = messages.as_slice() else { panic!("{messages:?}") };
            assert_eq!((message.number, message.integrity), (2, Integrity::Ok));
        }
    }
}

#[test]
fn agent_41_encapsulation_is_on_if_both_sides_want_it_whatever_the_link_says() {
    let links = [InviteLink::default(), short()];
    let links = links.iter().flat_map(|link| [false, true].map(|propose| InviteLink { propose, ..link.clone() }));
    for link in links {
        for (alice, bob) in [(Pq::On, Pq::On), (Pq::On, Pq::Off), (Pq::Off, Pq::On), (Pq::Off, Pq::Off)] {
            let terms = Terms { alice: settings(alice), bob: settings(bob), link: link.clone(), ..Terms::default() };
            let mut pair = Pair::new(terms);
            let link = pair.invite();
            pair.join(link);
            pair.run();
            pair.allow();
            pair.run();
            let post_quantum = alice == Pq::On && bob == Pq::On;
            for side in [pair.alice, pair.bob] {
                let events = pair.events(side);
                assert_eq!(events.last(), Some(&Event::Connected { post_quantum }), "{:?}", pair.terms);
                assert_eq!(pair.status(side).post_quantum, Some(post_quantum));
            }
            pair.assert_works();
        }
    }
}

#[test]
fn agent_42_messages_sent_right_after_joining_arrive_before_allowing() {
    for propose in [false, true] {
        let link = InviteLink { propose, ..InviteLink::default() };
        let mut pair = Pair::new(Terms { link, ..Terms::default() });
        let link = pair.invite();
        pair.join(link);
        assert!(!pair.connection(pair.bob).can_send());
        pair.run();
        assert_eq!(pair.send(pair.bob, b"early").number, 2);
        pair.run();
        let events = pair.events(pair.alice);
        let [Event::Confirmed { .. }, Event::Message(message)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((message.body.as_slice(), message.integrity), (b"early".as_slice(), Integrity::Ok));
        // Only a link that proposes makes the very first messages hybrid.
        assert_eq!(message.post_quantum, propose);
        let id = message.id.clone();
        assert!(!pair.connection(pair.alice).can_send());
        pair.acknowledge(pair.alice, &id, None);
        pair.allow();
        pair.run();
        for side in [pair.alice, pair.bob] {
            let events = pair.events(side);
            assert!(events.contains(&Event::Connected { post_quantum: true }), "{events:?}");
        }
        pair.assert_works();
    }
}

/// How somebody is away.
#[derive(Debug, Clone, Copy)]
enum Away {
    /// Running, without network.
    Offline,
    /// Not running.
    Stopped,
}

fn leave(pair: &mut Pair, side: Side, away: Away) {
    match away {
        Away::Offline => pair.world.go_offline(side.host),
        Away::Stopped => pair.world.stop_host(side.host),
    }
}

fn come_back(pair: &mut Pair, side: Side, away: Away) {
    match away {
        Away::Offline => pair.world.go_online(side.host),
        Away::Stopped => pair.world.restart(side.host),
    }
}

/// Connects and talks; after every step those who are `away` are so for an hour, from one moment of the step on.
fn with_absences(link: InviteLink, absent: impl Fn(&Pair) -> Vec<Side>, away: Away, moment: u64) {
    let mut pair = Pair::new(Terms { link, ..Terms::plain() });
    let pass = |pair: &mut Pair| {
        let absent = absent(pair);
        pair.run_for(Duration::from_millis(moment));
        absent.iter().for_each(|side| leave(pair, *side, away));
        pair.run_for(HOUR);
        absent.iter().for_each(|side| come_back(pair, *side, away));
        pair.run();
    };
    pair.begin_inviting();
    pass(&mut pair);
    let link = pair.link();
    let settings = pair.terms.bob;
    let is_short = !matches!(link, JoinLink::Full(_));
    pair.world.begin(pair.bob.host, ALICE, |env| Ok(Connection::open(link, &settings, env))).unwrap();
    if is_short {
        pass(&mut pair);
    }
    let plan = pair.plan(pair.bob);
    pair.step(pair.bob, |connection, env| connection.join(plan, b"bob".to_vec(), env)).unwrap();
    pass(&mut pair);
    assert_eq!(pair.status(pair.alice).at, Where::Confirmed);
    pair.allow();
    pass(&mut pair);
    for side in [pair.alice, pair.bob] {
        assert_eq!(pair.status(side).at, Where::Connected, "{side:?} {away:?} {moment}");
        let events = pair.events(side);
        assert!(events.contains(&Event::Connected { post_quantum: false }), "{side:?} {away:?} {moment}: {events:?}");
        pair.step(side, |connection, _| connection.heard());
    }
    pair.assert_works();
}

#[test]
fn agent_43_either_or_both_may_be_away_between_and_during_all_steps() {
    for away in [Away::Offline, Away::Stopped] {
        // A command takes 20 ms to the server and as long back, after as long for connecting.
        for moment in [0, 30, 50, 10_000] {
            for link in [InviteLink::default(), short()] {
                with_absences(link.clone(), |pair| vec![pair.alice], away, moment);
                with_absences(link.clone(), |pair| vec![pair.bob], away, moment);
                with_absences(link, |pair| vec![pair.alice, pair.bob], away, moment);
            }
        }
    }
}

#[test]
fn agent_44_a_join_that_failed_goes_on_with_the_same_ratchet() {
    for tag in ["SKEY", "NEW", "SEND"] {
        for fate in [Fate::Lost, Fate::AnswerLost] {
            for restarts in [false, true] {
                let mut pair = Pair::new(Terms::plain());
                let link = pair.invite();
                pair.world.order(pair.bob.host, tag, fate);
                pair.join(link);
                let keys = pair.world.records(pair.bob.host, ALICE).unwrap().clone();
                if restarts {
                    pair.run_for(Duration::from_millis(250));
                    pair.world.crash(pair.bob.host);
                }
                pair.run();
                let joined = pair.world.records(pair.bob.host, ALICE).unwrap();
                let turn = agent::connection::RecordKey::Turn;
                assert!(keys[&turn] == joined[&turn], "{tag} {fate:?}: a second ratchet");
                // The same message under one key, however often: the wiretap of the world would object otherwise.
                assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }]);
                pair.allow();
                pair.run();
                assert_eq!(pair.status(pair.bob).at, Where::Connected);
                pair.events(pair.alice);
                pair.events(pair.bob);
                pair.assert_works();
            }
        }
    }
}

#[test]
fn agent_44_a_join_that_was_refused_goes_on_when_it_is_tried_again_or_after_a_restart() {
    for restarts in [false, true] {
        let mut pair = Pair::new(Terms::plain());
        let link = pair.invite();
        let two = pair.servers[1];
        pair.world.server(two).rules_mut().admission.closed = true;
        pair.join(link);
        pair.run();
        let refused = TaskFault::Refused { task: TaskId::CreateQueue, error: Error::Auth };
        assert_eq!(pair.events(pair.bob), [Event::Stopped(refused)]);
        pair.world.server(two).rules_mut().admission.closed = false;
        match restarts {
            true => pair.world.crash(pair.bob.host),
            false => pair.step(pair.bob, |connection, _| connection.retry()),
        }
        pair.run();
        pair.allow();
        pair.run();
        assert_eq!(pair.status(pair.bob).at, Where::Connected);
        pair.events(pair.alice);
        pair.events(pair.bob);
        pair.assert_works();
    }
}

#[test]
fn agent_45_allowing_survives_a_restart_and_completes_when_the_server_is_back() {
    let mut pair = Pair::new(Terms::plain());
    let link = pair.invite();
    pair.join(link);
    pair.run();
    let two = pair.servers[1];
    pair.world.stop_server(two);
    pair.allow();
    pair.run_for(HOUR);
    assert_eq!(pair.status(pair.alice).at, Where::Allowed);
    pair.world.crash(pair.alice.host);
    pair.run_for(HOUR);
    assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }]);
    assert_eq!(pair.status(pair.alice).at, Where::Allowed);
    pair.world.start_server(two);
    pair.run();
    for side in [pair.alice, pair.bob] {
        assert!(pair.events(side).contains(&Event::Connected { post_quantum: false }));
    }
    pair.assert_works();
}

/// Alice has an address, and Bob asks for a connection through it.
fn asked(terms: Terms) -> (Pair, RequestEvent) {
    let mut pair = Pair::new(terms);
    let (plan, settings) = (AddressPlan::Full(pair.plan(pair.alice)), pair.terms.alice);
    pair.world.begin(pair.alice.host, ADDRESS, |env| Connection::address(plan, &settings, env)).unwrap();
    pair.run();
    assert_eq!(pair.world.events(pair.alice.host, ADDRESS), [Event::Created]);
    let link = pair.world.connection(pair.alice.host, ADDRESS).unwrap().own_address().unwrap().full;
    pair.join(JoinLink::Full(Box::new(link)));
    (pair, RequestEvent { id: 1, info: b"bob".to_vec(), post_quantum: true })
}

fn accept(pair: &mut Pair, request: u64) {
    let plan = pair.plan(pair.alice);
    let accepted = pair.world.act(pair.alice.host, |_, turn| {
        let accept = |address: &mut Connection, env: &mut agent::time::Env<'_>| {
            address.accept(request, plan, b"alice".to_vec(), env)
        };
        let connection = turn.step(ADDRESS, accept).unwrap();
        turn.insert(BOB, connection);
    });
    accepted.unwrap();
}

#[test]
fn agent_46_a_request_to_an_address_is_accepted_and_leads_to_a_connection() {
    let (mut pair, request) = asked(Terms::default());
    pair.run();
    assert_eq!(pair.world.events(pair.alice.host, ADDRESS), [Event::Requested(request)]);
    assert!(!pair.connection(pair.bob).can_send());
    accept(&mut pair, 1);
    pair.run();
    // Whoever accepts has secured the requester's queue, and may send at once.
    assert!(pair.connection(pair.alice).can_send());
    let early = pair.send(pair.alice, b"welcome");
    pair.run();
    let events = pair.events(pair.bob);
    let [Event::Confirmed { info }, Event::Message(message)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((info.as_slice(), message.number), (b"alice".as_slice(), early.number));
    let id = message.id.clone();
    pair.acknowledge(pair.bob, &id, None);
    pair.step(pair.bob, |connection, env| connection.allow(b"bob again".to_vec(), env)).unwrap();
    pair.run();
    let connected = Event::Connected { post_quantum: true };
    assert_eq!(pair.events(pair.bob), std::slice::from_ref(&connected));
    let sent = Event::Sent { number: early.number };
    assert_eq!(pair.events(pair.alice), [sent, Event::Info(b"bob again".to_vec()), connected]);
    pair.assert_works();
    assert_eq!(pair.world.connection(pair.alice.host, ADDRESS).unwrap().status().at, Where::Open);
}

#[test]
fn agent_47_rejecting_delivers_nothing() {
    let (mut pair, _) = asked(Terms::plain());
    pair.run();
    let events = pair.world.events(pair.alice.host, ADDRESS);
    let [Event::Requested(request)] = events.as_slice() else { panic!("{events:?}") };
    pair.world.step(pair.alice.host, ADDRESS, |address, _| address.reject(request.id)).unwrap();
    pair.run();
    pair.world.crash(pair.alice.host);
    pair.run();
    assert_eq!(pair.world.events(pair.alice.host, ADDRESS), []);
    assert_eq!(pair.events(pair.bob), []);
    assert_eq!((pair.status(pair.bob).at, pair.waiting(pair.bob)), (Where::Asked, 0));
}

#[test]
fn agent_48_slow_paths_connect_and_number_from_2_or_3() {
    for (alice_fast, bob_fast, first) in [(true, true, 2), (false, true, 2), (true, false, 3), (false, false, 3)] {
        for restarts in [false, true] {
            let mut pair = Pair::new(Terms { fast: [alice_fast, bob_fast], ..Terms::plain() });
            let link = pair.invite();
            pair.join(link);
            pair.run();
            if restarts {
                pair.world.crash(pair.alice.host);
                pair.world.crash(pair.bob.host);
                pair.run();
            }
            // Where a queue is still to be secured nothing can be sent early.
            assert_eq!(pair.connection(pair.bob).can_send(), alice_fast && bob_fast);
            pair.allow();
            if restarts {
                pair.run_for(Duration::from_millis(100));
                pair.world.crash(pair.alice.host);
                pair.world.crash(pair.bob.host);
            }
            pair.run();
            for side in [pair.alice, pair.bob] {
                let events = pair.events(side);
                assert!(events.contains(&Event::Connected { post_quantum: false }), "{events:?}");
                let number = pair.send(side, b"hello").number;
                assert_eq!(number, first, "{side:?} with {:?}", pair.terms.fast);
            }
            for side in [pair.alice, pair.bob] {
                let messages = pair.take_messages(side);
                let [message] = messages.as_slice() else { panic!("{messages:?}") };
                assert_eq!(message.integrity, Integrity::Ok);
            }
            pair.assert_works();
        }
    }
}

#[test]
fn agent_48_a_confirmation_is_repeated_with_authorization_when_the_queue_was_secured_for_us() {
    let mut pair = Pair::new(Terms { fast: [false, false], ..Terms::plain() });
    let link = pair.invite();
    // Bob never learns that his confirmation arrived, and is away until Alice has secured her queue for him.
    pair.world.order(pair.bob.host, "SEND", Fate::AnswerLost);
    pair.join(link);
    pair.run_for(Duration::from_millis(220));
    pair.world.stop_host(pair.bob.host);
    pair.run();
    pair.allow();
    pair.run();
    let one = pair.servers[0];
    let queue = pair.queue_of(pair.alice);
    assert!(pair.world.server(one).queue(&queue).unwrap().sender_key.is_some());
    pair.world.restart(pair.bob.host);
    pair.run();
    for side in [pair.alice, pair.bob] {
        assert!(pair.events(side).contains(&Event::Connected { post_quantum: false }));
    }
    pair.assert_works();
}

#[test]
fn agent_49_a_repeated_confirmation_is_acknowledged_without_an_event() {
    let mut pair = Pair::new(Terms::plain());
    let link = pair.invite();
    pair.world.order(pair.bob.host, "SEND", Fate::AnswerLost);
    pair.join(link);
    pair.run();
    assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }]);
    assert_eq!(pair.waiting(pair.alice), 0);
    pair.world.order(pair.alice.host, "SEND", Fate::AnswerLost);
    pair.allow();
    pair.run();
    let connected = Event::Connected { post_quantum: false };
    assert_eq!(pair.events(pair.bob), [Event::Info(b"alice".to_vec()), connected]);
    assert_eq!(pair.waiting(pair.bob), 0);
    let sends = |name: &str| pair.world.trace().to_string().matches(&format!("SEND for {name} Send(1)")).count();
    assert_eq!((sends(ALICE), sends(BOB)), (2, 2));
    pair.events(pair.alice);
    pair.assert_works();
}

#[test]
fn agent_50_the_agent_version_rises_by_messages_alone() {
    let mut pair = Pair::new(Terms::plain());
    pair.invite();
    // A link that was published before Alice learned more.
    let text = pair.full_link().to_string().replace("v=2-7&smp", "v=2-4&smp");
    let old: FullLink = text.parse().unwrap();
    pair.join(JoinLink::Full(Box::new(old)));
    pair.run();
    pair.allow();
    pair.run();
    pair.events(pair.alice);
    pair.events(pair.bob);
    let versions = |pair: &Pair| [pair.alice, pair.bob].map(|side| pair.status(side).agent_version.unwrap());
    assert_eq!(versions(&pair), [4, 4]);
    pair.send(pair.bob, b"hello");
    pair.take_messages(pair.alice);
    assert_eq!(versions(&pair), [7, 4]);
    pair.send(pair.alice, b"hello");
    pair.take_messages(pair.bob);
    assert_eq!(versions(&pair), [7, 7]);
    pair.events(pair.alice);
    pair.events(pair.bob);
    pair.assert_works();
    assert_eq!(versions(&pair), [7, 7]);
}

#[test]
fn agent_50_the_highest_common_version_is_used_and_not_exceeded() {
    for (alice, bob, common) in [(up_to(7, 3, 4), up_to(5, 2, 3), 5), (up_to(2, 2, 3), up_to(7, 3, 4), 2)] {
        let mut pair = Pair::connected(Terms { alice, bob, ..Terms::default() });
        pair.assert_works();
        pair.assert_works();
        for side in [pair.alice, pair.bob] {
            assert_eq!(pair.status(side).agent_version, Some(common));
            assert_eq!(pair.status(side).ratchet_version, Some(2));
        }
    }
}

#[test]
fn observed_1_a_crash_around_the_confirmation_leaves_no_gap() {
    let mut crashes = 0;
    for point in [PersistPoint::BeforeCommit, PersistPoint::AfterCommit, PersistPoint::AfterEffect] {
        for turn in 1..=6 {
            let mut pair = Pair::new(Terms::plain());
            let link = pair.invite();
            pair.join(link);
            let at = pair.world.turns(pair.alice.host) + turn;
            pair.world.crash_at(pair.alice.host, at, point);
            pair.run();
            crashes += usize::from(!pair.world.cancel_crash(pair.alice.host));
            // Its application was told, once more if it crashed before it could know.
            let events = pair.events(pair.alice);
            assert!(events.contains(&Event::Confirmed { info: b"bob".to_vec() }), "{point:?} {turn}: {events:?}");
            pair.send(pair.bob, b"first");
            pair.run();
            let messages = only_messages(pair.events(pair.alice));
            assert_eq!((bodies(&messages), messages[0].integrity), (vec![b"first".as_slice()], Integrity::Ok));
            pair.acknowledge(pair.alice, &messages[0].id, None);
            if pair.status(pair.alice).at == Where::Confirmed {
                pair.allow();
            }
            pair.run();
            pair.events(pair.alice);
            pair.events(pair.bob);
            pair.assert_works();
        }
    }
    assert!(crashes >= 7, "{crashes}");
}

#[test]
fn observed_5_a_request_is_repeated_byte_by_byte_until_its_arrival_is_known_and_asked_once() {
    let (mut pair, request) = asked(Terms::plain());
    pair.world.order(pair.bob.host, "SEND", Fate::AnswerLost);
    pair.world.go_offline(pair.alice.host);
    pair.run_for(HOUR);
    let one = pair.servers[0];
    let address = pair.world.connection(pair.alice.host, ADDRESS).unwrap().status().receive.unwrap();
    let address = address.sender_id.unwrap();
    let waiting = pair.world.server(one).waiting(&address);
    assert_eq!(waiting.len(), 2);
    assert_eq!(waiting[0], waiting[1]);
    // It is known to have arrived, so that no restart repeats it.
    pair.world.crash(pair.bob.host);
    pair.run_for(HOUR);
    assert_eq!(pair.world.server(one).waiting(&address).len(), 2);

    pair.world.go_online(pair.alice.host);
    pair.run();
    let request = RequestEvent { post_quantum: false, ..request };
    assert_eq!(pair.world.events(pair.alice.host, ADDRESS), [Event::Requested(request)]);
    accept(&mut pair, 1);
    pair.run();
    // Somebody repeats it when it has long been accepted: nothing happens, least of all to the connection.
    let now = pair.world.now();
    pair.world.server(one).inject(&address, waiting[0].clone(), now);
    pair.world.settle(one);
    pair.run();
    assert_eq!(pair.world.events(pair.alice.host, ADDRESS), []);
    pair.step(pair.bob, |connection, env| connection.allow(Vec::new(), env)).unwrap();
    pair.run();
    pair.events(pair.alice);
    pair.events(pair.bob);
    pair.assert_works();
}

#[test]
fn observed_5_joining_an_invitation_twice_leaves_the_first_connection_alone() {
    let mut pair = Pair::new(Terms::plain());
    let link = pair.invite();
    pair.join(link.clone());
    pair.run();
    let (plan, settings) = (pair.plan(pair.bob), pair.terms.bob);
    let twice = |env: &mut agent::time::Env<'_>| {
        let mut connection = Connection::open(link, &settings, env);
        connection.join(plan, b"bob once more".to_vec(), env)?;
        Ok(connection)
    };
    pair.world.begin(pair.bob.host, "again", twice).unwrap();
    pair.run();
    let refused = TaskFault::Refused { task: TaskId::SecureSendQueue, error: Error::Auth };
    assert_eq!(pair.world.events(pair.bob.host, "again"), [Event::Stopped(refused)]);
    assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }]);
    pair.allow();
    pair.run();
    pair.events(pair.alice);
    pair.events(pair.bob);
    pair.assert_works();
}

/// Bob and somebody else on his host join the same invitation at the same time.
fn joined_by_two(fast: bool) -> Pair {
    let mut pair = Pair::new(Terms { fast: [fast, true], ..Terms::plain() });
    let link = pair.invite();
    pair.join(link.clone());
    let (plan, settings) = (pair.plan(pair.bob), pair.terms.bob);
    let also = |env: &mut agent::time::Env<'_>| {
        let mut connection = Connection::open(link, &settings, env);
        connection.join(plan, b"eve".to_vec(), env)?;
        Ok(connection)
    };
    pair.world.begin(pair.bob.host, "eve", also).unwrap();
    pair.run();
    pair
}

#[test]
fn one_invitation_makes_one_connection_even_if_two_join_it_at_once() {
    let mut pair = joined_by_two(true);
    let refused = TaskFault::Refused { task: TaskId::SecureSendQueue, error: Error::Auth };
    assert_eq!(pair.world.events(pair.bob.host, "eve"), [Event::Stopped(refused)]);
    assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }]);
    pair.allow();
    pair.run();
    pair.events(pair.alice);
    pair.events(pair.bob);
    pair.assert_works();
}

#[test]
fn one_invitation_makes_one_connection_even_if_anybody_can_confirm() {
    // Before Alice has secured her queue she gets both confirmations; the first one counts.
    let mut pair = joined_by_two(false);
    let refused = Event::Refused(PeerFault::Envelope);
    assert_eq!(pair.events(pair.alice), [Event::Confirmed { info: b"bob".to_vec() }, refused]);
    pair.allow();
    pair.run();
    let connected = Event::Connected { post_quantum: false };
    assert_eq!(pair.events(pair.alice), std::slice::from_ref(&connected));
    assert_eq!(pair.events(pair.bob), [Event::Info(b"alice".to_vec()), connected]);
    assert_eq!(pair.world.events(pair.bob.host, "eve"), []);
    pair.assert_works();
}

#[test]
fn a_connection_that_is_not_there_yet_accepts_no_message() {
    let mut pair = Pair::new(Terms::plain());
    let link = pair.invite();
    assert!(pair.try_send(pair.alice, b"hello?", SendOptions::default()).is_err());
    pair.join(link);
    assert!(pair.try_send(pair.bob, b"hello?", SendOptions::default()).is_err());
    pair.run();
    assert!(pair.try_send(pair.alice, b"hello?", SendOptions::default()).is_err());
    assert_eq!(pair.status(pair.alice).last_sent, 0);
}
