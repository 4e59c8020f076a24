//! Messages: lines 51 to 58 of the checklist, and what was observed of reference agents that ours must not do.

use std::time::Duration;

use agent::connection::{
    Connection, ConnectionError, Event, InviteLink, JoinLink, PeerFault, ReceiptEvent, RecordKey, SendOptions,
    Settings, TaskFault, TaskId,
};
use agent::link_data::{ContactData, Payload};
use agent::message_chain::Integrity;
use agent::padding::TooLarge;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, LinkWriteError, PreparedContactLink};
use agent::ratchet::Pq;
use agent::receipt::{NoReceipt, ReceiptStatus};
use agent::time::Time;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, SeededRandom};
use world::{Fate, Rules};

use crate::support::{DAY, HOUR, Pair, Terms, bodies, only_messages, only_receipts, up_to};

const WITH_RECEIPT: SendOptions = SendOptions { notify: false, receipt: true, pq: None };

fn small_queues() -> Terms {
    Terms { rules: Rules { quota: 4, ..Rules::default() }, ..Terms::plain() }
}

fn since(pair: &Pair, earlier: Time) -> Duration {
    pair.world.now().since(earlier)
}

#[test]
fn agent_51_order_is_kept_across_restarts_of_clients_and_servers() {
    let mut pair = Pair::connected(Terms::plain());
    let sides = [pair.alice, pair.bob];
    let mut said: [Vec<Vec<u8>>; 2] = Default::default();
    let mut heard: [Vec<Vec<u8>>; 2] = Default::default();
    for round in 0..12 {
        for (index, side) in sides.into_iter().enumerate() {
            for part in 0..3 {
                let body = format!("{round}.{part}").into_bytes();
                pair.send(side, &body);
                said[index].push(body);
            }
        }
        // In the middle of what follows from that, something goes down.
        pair.run_for(Duration::from_millis(10 + round * 13));
        match round % 4 {
            0 => pair.world.crash(pair.alice.host),
            1 => pair.world.crash(pair.bob.host),
            which => {
                let server = pair.servers[usize::from(which == 3)];
                pair.world.stop_server(server);
                pair.run_for(Duration::from_secs(90));
                pair.world.start_server(server);
            }
        }
        for (index, side) in sides.into_iter().enumerate() {
            let messages = pair.take_messages(side);
            assert!(messages.iter().all(|message| message.integrity == Integrity::Ok));
            heard[1 - index].extend(messages.into_iter().map(|message| message.body));
        }
    }
    for (index, side) in sides.into_iter().enumerate() {
        let messages = pair.take_messages(side);
        heard[1 - index].extend(messages.into_iter().map(|message| message.body));
    }
    assert_eq!(said, heard);
}

#[test]
fn agent_51_messages_that_wait_take_their_headers_along_when_the_ratchet_turns() {
    let mut pair = Pair::connected(Terms::default());
    pair.assert_works();
    // Bob has a chain of which Alice knows nothing yet.
    pair.send(pair.alice, b"Your turn.");
    pair.take_messages(pair.bob);
    let bobs = pair.server_of(pair.bob);
    pair.world.stop_server(bobs);
    pair.run_for(Duration::from_secs(1));
    let waiting: Vec<_> = (0..2).map(|which| pair.send(pair.alice, &[which]).number).collect();
    pair.run_for(Duration::from_secs(1));
    let kept = |pair: &Pair| -> Vec<usize> {
        let records = pair.world.records(pair.alice.host, pair.alice.name).unwrap();
        waiting.iter().map(|number| records[&RecordKey::Outgoing(*number)].len()).collect()
    };
    // The header, which has room for encapsulation, is that of the chain.
    assert!(kept(&pair).iter().all(|length| *length < 500), "{:?}", kept(&pair));
    pair.send(pair.bob, b"This turns the ratchet.");
    pair.run_for(Duration::from_secs(1));
    let told = only_messages(pair.events(pair.alice));
    assert_eq!(bodies(&told), [b"This turns the ratchet."]);
    pair.acknowledge(pair.alice, &told[0].id, None);
    assert!(kept(&pair).iter().all(|length| *length > 2_000), "{:?}", kept(&pair));
    pair.send(pair.alice, &[2]);
    pair.world.crash(pair.alice.host);
    pair.world.start_server(bobs);
    let messages = pair.take_messages(pair.bob);
    assert_eq!(bodies(&messages), [[0], [1], [2]]);
    assert!(messages.iter().all(|message| message.integrity == Integrity::Ok));
}

#[test]
fn agent_52_a_message_is_told_until_it_is_acknowledged_and_then_never_again() {
    let mut pair = Pair::connected(Terms::plain());
    pair.send(pair.alice, b"first");
    pair.send(pair.alice, b"second");
    pair.run();
    let told = only_messages(pair.events(pair.bob));
    assert_eq!(bodies(&told), [b"first"]);
    for _ in 0..2 {
        pair.world.crash(pair.bob.host);
        pair.run();
        // Once because it waits, once more because the server repeats it.
        let again = only_messages(pair.events(pair.bob));
        assert!(!again.is_empty() && again.iter().all(|message| *message == told[0]));
    }
    pair.acknowledge(pair.bob, &told[0].id, None);
    // What was acknowledged stays so even if the server never heard it.
    pair.world.order(pair.bob.host, "ACK", Fate::Lost);
    pair.world.crash(pair.bob.host);
    pair.run();
    let next = only_messages(pair.events(pair.bob));
    assert_eq!(bodies(&next), [b"second"]);
    pair.acknowledge(pair.bob, &next[0].id, None);
    pair.run();
    pair.world.crash(pair.bob.host);
    pair.run();
    assert_eq!(pair.events(pair.bob), []);
    assert_eq!(pair.waiting(pair.bob), 0);
}

#[test]
fn agent_52_a_lost_answer_to_an_acknowledgement_loses_and_repeats_nothing() {
    for fate in [Fate::Lost, Fate::AnswerLost] {
        let mut pair = Pair::connected(Terms::plain());
        for body in [b"1", b"2", b"3"] {
            pair.send(pair.alice, body);
        }
        pair.world.order(pair.bob.host, "ACK", fate);
        let messages = pair.take_messages(pair.bob);
        assert_eq!(bodies(&messages), [b"1", b"2", b"3"], "{fate:?}");
        assert_eq!(pair.waiting(pair.bob), 0);
    }
}

#[test]
fn observed_6_an_unacknowledged_message_is_told_again_although_something_was_sent_after_it() {
    let mut pair = Pair::connected(Terms::plain());
    pair.send(pair.alice, b"please acknowledge");
    pair.run();
    let told = only_messages(pair.events(pair.bob));
    pair.send(pair.bob, b"later");
    pair.run();
    pair.world.crash(pair.bob.host);
    pair.run();
    let again = only_messages(pair.events(pair.bob));
    assert!(!again.is_empty() && again.iter().all(|message| *message == told[0]));
    pair.acknowledge(pair.bob, &told[0].id, None);
    pair.run();
    assert_eq!(pair.waiting(pair.bob), 0);
    assert_eq!(bodies(&pair.take_messages(pair.alice)), [b"later"]);
}

#[test]
fn agent_53_lost_messages_show_as_a_gap_at_the_next_one() {
    let mut pair = Pair::connected(Terms::plain());
    pair.world.go_offline(pair.bob.host);
    pair.run_for(HOUR);
    for body in [b"2", b"3", b"4", b"5", b"6", b"7"] {
        pair.send(pair.alice, body);
    }
    pair.run_for(HOUR);
    let (two, queue) = (pair.servers[1], pair.queue_of(pair.bob));
    pair.world.server(two).lose(&queue, |index| (1..=3).contains(&index));
    pair.world.go_online(pair.bob.host);
    let messages = pair.take_messages(pair.bob);
    let got: Vec<_> = messages.iter().map(|message| (message.number, message.integrity)).collect();
    assert_eq!(got, [(2, Integrity::Ok), (6, Integrity::Skipped { from: 3, to: 5 }), (7, Integrity::Ok)]);
    assert_eq!(pair.status(pair.bob).missing, 3);
    pair.events(pair.alice);
    pair.assert_works();
}

#[test]
fn agent_54_a_full_queue_holds_up_one_connection_and_goes_on_as_soon_as_it_is_empty() {
    let mut pair = Pair::connected(small_queues());
    let [alice, bob] = pair.connect_again();
    let numbers: Vec<i64> = (0..8).map(|index| pair.send(alice, format!("{index}").as_bytes()).number).collect();
    pair.run_for(Duration::from_secs(10));
    let events = pair.events(alice);
    assert_eq!(events.last(), Some(&Event::QuotaExceeded { number: numbers[4] }), "{events:?}");
    let sent: Vec<_> = numbers[..4].iter().map(|number| Event::Sent { number: *number }).collect();
    assert_eq!(events[..4], sent);

    let other = pair.send(pair.alice, b"through the other connection");
    pair.run_for(Duration::from_secs(10));
    assert_eq!(bodies(&only_messages(pair.events(pair.bob))), [b"through the other connection"]);
    assert_eq!(pair.events(pair.alice), [Event::Sent { number: other.number }]);

    // Bob reads what there is; Alice sends long before she would have tried again.
    let began = pair.world.now();
    let mut got = Vec::new();
    while got.len() < 8 {
        for message in only_messages(pair.events(bob)) {
            pair.acknowledge(bob, &message.id, None);
            got.push(message);
        }
        pair.run_for(Duration::from_millis(200));
        assert!(since(&pair, began) < Duration::from_secs(30), "got {}", got.len());
    }
    assert!(got.iter().all(|message| message.integrity == Integrity::Ok));
    assert_eq!(got.iter().map(|message| message.number).collect::<Vec<_>>(), numbers);
    assert!(pair.events(alice).contains(&Event::QuotaRestored));
}

#[test]
fn agent_54_a_full_queue_is_tried_again_without_being_told_and_after_restarts() {
    let mut pair = Pair::connected(small_queues());
    pair.world.go_offline(pair.bob.host);
    pair.run_for(HOUR);
    for index in 0..6 {
        pair.send(pair.alice, format!("{index}").as_bytes());
    }
    pair.run_for(HOUR);
    pair.world.crash(pair.alice.host);
    pair.run_for(HOUR);
    // Bob's word that there is room again gets lost for ever.
    pair.world.go_online(pair.bob.host);
    let (one, queue) = (pair.servers[0], pair.queue_of(pair.alice));
    pair.world.go_offline(pair.alice.host);
    let first = pair.take_messages_for(pair.bob, HOUR);
    assert_eq!(first.len(), 4);
    pair.world.server(one).lose(&queue, |_| true);
    pair.world.go_online(pair.alice.host);
    let rest = pair.take_messages(pair.bob);
    assert_eq!(bodies(&rest), [b"4", b"5"]);
    assert!(rest.iter().all(|message| message.integrity == Integrity::Ok));
}

#[test]
fn agent_55_messages_that_are_too_old_fail_and_younger_ones_show_the_gap() {
    let mut pair = Pair::connected(Terms::plain());
    let two = pair.servers[1];
    pair.world.stop_server(two);
    let old = pair.send(pair.alice, b"old");
    pair.run_for(DAY);
    let young = pair.send(pair.alice, b"young");
    pair.run_for(DAY - HOUR);
    assert_eq!(pair.events(pair.alice), []);
    pair.run_for(2 * HOUR);
    let expired = TaskFault::Expired(TaskId::Send(old.number));
    assert_eq!(pair.events(pair.alice), [Event::NotSent { number: old.number, fault: expired }]);
    pair.world.start_server(two);
    let messages = pair.take_messages(pair.bob);
    let gap = Integrity::Skipped { from: old.number, to: old.number };
    assert_eq!((bodies(&messages), messages[0].integrity), (vec![b"young".as_slice()], gap));
    assert_eq!(pair.events(pair.alice), [Event::Sent { number: young.number }]);
    pair.assert_works();
}

#[test]
fn agent_55_messages_for_a_full_queue_fail_after_a_week() {
    let mut pair = Pair::connected(small_queues());
    pair.world.go_offline(pair.bob.host);
    pair.run_for(HOUR);
    let numbers: Vec<i64> = (0..5).map(|index| pair.send(pair.alice, format!("{index}").as_bytes()).number).collect();
    pair.run_for(6 * DAY);
    let young = pair.send(pair.alice, b"young").number;
    let events = pair.events(pair.alice);
    assert!(!events.iter().any(|event| matches!(event, Event::NotSent { .. })), "{events:?}");
    pair.run_for(DAY + 12 * HOUR);
    let fault = TaskFault::Expired(TaskId::Send(numbers[4]));
    assert!(pair.events(pair.alice).contains(&Event::NotSent { number: numbers[4], fault }));
    pair.world.go_online(pair.bob.host);
    let messages = pair.take_messages_for(pair.bob, Duration::from_secs(600));
    let got: Vec<_> = messages.iter().map(|message| (message.number, message.integrity)).collect();
    let gap = Integrity::Skipped { from: numbers[4], to: numbers[4] };
    assert_eq!(got[..4], numbers[..4].iter().map(|number| (*number, Integrity::Ok)).collect::<Vec<_>>());
    assert_eq!(got[4..], [(young, gap)]);
}

#[test]
fn agent_56_a_message_that_is_never_acknowledged_is_dropped_after_eight_times_and_a_day() {
    // (how often Bob restarts, over what time, whether the message is dropped at the last one)
    for (restarts, span, dropped) in [(8, 2 * DAY, true), (12, 20 * HOUR, false), (5, 5 * DAY, false)] {
        let mut pair = Pair::connected(Terms::plain());
        pair.send(pair.alice, b"never acknowledged");
        pair.send(pair.alice, b"next");
        pair.run();
        let mut told = only_messages(pair.events(pair.bob));
        for _ in 0..restarts {
            pair.run_for(span / restarts);
            pair.world.crash(pair.bob.host);
            pair.run();
            let events = pair.events(pair.bob);
            let is_fault = |event: &&Event| matches!(event, Event::Refused(_));
            let faults: Vec<_> = events.iter().filter(is_fault).cloned().collect();
            told.extend(events.into_iter().filter_map(|event| match event {
                Event::Message(message) => Some(message),
                _ => None,
            }));
            if !faults.is_empty() {
                assert_eq!(faults, [Event::Refused(PeerFault::Undeliverable)]);
                assert!(dropped, "dropped within {span:?}");
            }
        }
        let next = told.iter().any(|message| message.body == b"next");
        assert_eq!(next, dropped, "{restarts} restarts in {span:?}");
        assert_eq!(pair.waiting(pair.bob), if dropped { 1 } else { 2 });
    }
}

#[test]
fn agent_57_a_receipt_arrives_once_and_has_none_itself() {
    let mut pair = Pair::connected(Terms::plain());
    let sent = pair.try_send(pair.alice, b"did you get it?", WITH_RECEIPT).unwrap();
    pair.run();
    let messages = only_messages(pair.events(pair.bob));
    pair.acknowledge(pair.bob, &messages[0].id, Some(b"yes"));
    pair.run();
    let events = pair.events(pair.alice);
    let receipt = ReceiptEvent { number: sent.number, status: ReceiptStatus::Confirmed, info: b"yes".to_vec() };
    let [(id, receipts)] = only_receipts(&events).try_into().unwrap_or_else(|_| panic!("{events:?}"));
    assert_eq!(receipts, [receipt]);

    // Told until it is acknowledged, like a message.
    pair.world.crash(pair.alice.host);
    pair.run();
    let again = only_receipts(&pair.events(pair.alice));
    assert!(!again.is_empty() && again.iter().all(|(_, same)| *same == receipts));
    let no_receipt = pair.step(pair.alice, |connection, env| connection.acknowledge(&id, Some(Vec::new()), env));
    assert_eq!(no_receipt, Err(ConnectionError::NoReceipt(NoReceipt::NotOfApplication)));
    assert!(pair.world.records(pair.alice.host, pair.alice.name).unwrap().contains_key(&RecordKey::Awaited(2)));
    pair.acknowledge(pair.alice, &id, None);
    pair.run();
    pair.world.crash(pair.alice.host);
    pair.run();
    assert_eq!(pair.events(pair.alice), []);
    assert!(!pair.world.records(pair.alice.host, pair.alice.name).unwrap().contains_key(&RecordKey::Awaited(2)));
    assert_eq!((pair.waiting(pair.alice), pair.waiting(pair.bob)), (0, 0));
    pair.assert_works();
}

#[test]
fn agent_57_a_receipt_that_nobody_awaits_is_taken_in_silence() {
    let mut pair = Pair::connected(Terms::plain());
    pair.send(pair.alice, b"whatever");
    pair.run();
    let messages = only_messages(pair.events(pair.bob));
    pair.acknowledge(pair.bob, &messages[0].id, Some(b"read"));
    pair.run();
    assert_eq!(pair.events(pair.alice), [Event::Sent { number: 2 }]);
    assert_eq!(pair.waiting(pair.alice), 0);
    pair.assert_works();
}

#[test]
fn agent_57_there_are_no_receipts_below_agent_version_4() {
    for (version, allowed) in [(3, false), (4, true)] {
        let mut pair = Pair::connected(Terms { bob: up_to(version, 3, 4), ..Terms::default() });
        pair.try_send(pair.alice, b"did you get it?", WITH_RECEIPT).unwrap();
        pair.run();
        let messages = only_messages(pair.events(pair.bob));
        let id = messages[0].id.clone();
        let given = pair.step(pair.bob, |connection, env| connection.acknowledge(&id, Some(Vec::new()), env));
        match allowed {
            true => assert_eq!(given, Ok(())),
            false => {
                assert_eq!(given, Err(ConnectionError::NoReceipt(NoReceipt::OldAgent)));
                pair.acknowledge(pair.bob, &id, None);
            }
        }
        pair.run();
        assert_eq!(only_receipts(&pair.events(pair.alice)).len(), usize::from(allowed));
    }
}

fn too_large(length: usize, limit: usize) -> ConnectionError {
    ConnectionError::TooLarge(TooLarge { length, limit })
}

#[test]
fn agent_58_messages_of_the_greatest_length_arrive_and_longer_ones_are_refused() {
    // The limits are those of encoded messages, which are longer than their bodies by 43 bytes.
    for (terms, limit) in [(Terms::plain(), 15_795), (Terms::default(), 13_573)] {
        let mut pair = Pair::connected(terms);
        for side in [pair.alice, pair.bob] {
            let before = pair.connection(side).records();
            let refused = pair.try_send(side, &vec![b'x'; limit + 1], SendOptions::default());
            assert_eq!(refused, Err(too_large(limit + 44, limit + 43)));
            assert!(pair.connection(side).records() == before);
            let sent = pair.send(side, &vec![b'x'; limit]);
            assert_eq!(sent.number, 2);
            let messages = pair.take_messages(pair.other(side));
            assert_eq!((messages[0].body.len(), messages[0].integrity), (limit, Integrity::Ok));
        }
    }
}

#[test]
fn agent_58_the_limits_change_with_the_first_wish_for_encapsulation_for_good() {
    let mut pair = Pair::connected(Terms::plain());
    let options = |pq| SendOptions { pq, ..SendOptions::default() };
    let body = vec![b'x'; 15_795];
    pair.send(pair.alice, &body);
    let refused = pair.try_send(pair.alice, &body, options(Some(Pq::On)));
    assert_eq!(refused, Err(too_large(15_838, 13_616)));
    // A wish that was refused has changed nothing.
    pair.send(pair.alice, &body);
    pair.try_send(pair.alice, &body[..13_573], options(Some(Pq::On))).unwrap();
    for pq in [None, Some(Pq::Off), None] {
        assert_eq!(pair.try_send(pair.alice, &body, options(pq)), Err(too_large(15_838, 13_616)));
        pair.try_send(pair.alice, &body[..13_573], options(pq)).unwrap();
    }
    pair.world.crash(pair.alice.host);
    pair.run();
    assert_eq!(pair.try_send(pair.alice, &body, options(None)), Err(too_large(15_838, 13_616)));
    assert_eq!(pair.take_messages(pair.bob).len(), 6);
    // The other side goes on as it was.
    pair.send(pair.bob, &body);
    assert_eq!(pair.take_messages(pair.alice)[0].body.len(), 15_795);
}

#[test]
fn observed_8_information_of_the_greatest_length_arrives_and_longer_is_refused() {
    for (terms, limit) in [(Terms::plain(), 14_829), (Terms::default(), 11_103)] {
        let mut pair = Pair::new(terms);
        let link = pair.invite();
        let settings = pair.terms.bob;
        pair.world.begin(pair.bob.host, pair.bob.name, |env| Ok(Connection::open(link, &settings, env))).unwrap();
        let plan = pair.plan(pair.bob);
        // What joins also names a queue; how much room that leaves, the refusal says.
        let join = |length| {
            let (plan, info) = (plan.clone(), vec![b'x'; length]);
            move |connection: &mut Connection, env: &mut agent::time::Env<'_>| connection.join(plan, info, env)
        };
        let refused = pair.step(pair.bob, join(limit));
        let Err(ConnectionError::TooLarge(TooLarge { limit: room, .. })) = refused else { panic!("{refused:?}") };
        assert!(room < limit && room > limit - 200);
        assert_eq!(pair.step(pair.bob, join(room + 1)), Err(too_large(room + 1, room)));
        pair.step(pair.bob, join(room)).unwrap();
        pair.run();
        let events = pair.events(pair.alice);
        assert!(matches!(events.as_slice(), [Event::Confirmed { info }] if info.len() == room), "{events:?}");

        let allow = |length| {
            move |connection: &mut Connection, env: &mut agent::time::Env<'_>| connection.allow(vec![b'x'; length], env)
        };
        let refused = pair.step(pair.alice, allow(limit + 1));
        assert_eq!(refused, Err(too_large(limit + 2, limit + 1)));
        pair.step(pair.alice, allow(limit)).unwrap();
        pair.run();
        let events = pair.events(pair.bob);
        assert!(matches!(&events[0], Event::Info(info) if info.len() == limit), "{events:?}");
        pair.events(pair.alice);
        pair.assert_works();
    }
}

#[test]
fn observed_8_link_data_of_the_greatest_length_is_read_and_longer_is_refused() {
    let payload = |length| Payload::new(vec![b'x'; length]).unwrap();
    let link = |length| InviteLink { short: Some(payload(length)), propose: true };
    let mut pair = Pair::new(Terms { link: link(13_709), ..Terms::plain() });
    let (plan, settings) = (pair.plan(pair.alice), pair.terms.alice);
    let refused = |env: &mut agent::time::Env<'_>| Connection::invite(plan, link(13_710), &settings, env);
    let refused = pair.world.begin(pair.alice.host, "too large", refused);
    assert!(matches!(refused, Err(ConnectionError::Link(LinkWriteError::TooLarge(_)))), "{refused:?}");
    let link = pair.invite();
    assert!(matches!(link, JoinLink::Invitation(_)));
    pair.join(link);
    pair.run();

    let mut random = SeededRandom::new(&[1; 32], "address");
    let root_key = Ed25519PrivateKey::generate(&mut random);
    let versions = Settings::default().versions;
    let request = ContactLinkRequest {
        server: pair.world.address(pair.servers[0]),
        entity_id: None,
        tail: Vec::new(),
        client_data: None,
        agent_versions: versions.agent,
        client_versions: versions.client,
    };
    let link = PreparedContactLink::prepare(request, &root_key, LinkSecrets::random(&mut random)).unwrap();
    for (length, fits) in [(13_706, true), (13_707, false)] {
        let data = ContactData::new(versions.agent, true, Vec::new(), Vec::new(), payload(length)).unwrap();
        let written = link.fixed().with_user_data(&data, &root_key, Nonce::random(&mut random));
        assert_eq!(written.is_ok(), fits, "{length}");
    }
}
