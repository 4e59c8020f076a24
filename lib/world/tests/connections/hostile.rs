//! What hostile servers and peers may send: it is refused with the fault that names the peer, changes nothing, is
//! acknowledged so that it does not block the queue, and the connection goes on.

use agent::agreement::AgreementError;
use agent::connection::{Connection, Event, InviteLink, JoinLink, PeerFault, ReceivedMessage, TaskId, Where};
use agent::envelope::{AgentEnvelope, EnvelopeContent, Invitation};
use agent::message::{AddedQueue, DecryptedMessage, MessageBody, SendAddress, UsedQueue};
use agent::message_chain::Integrity;
use agent::non_empty::NonEmpty;
use agent::ratchet::{Pq, RatchetError};
use agent::ratchet_keys::{KemOffer, SenderKeys};
use codec::{Decode as _, Encode as _};
use crypto::dh::X448PublicKey;
use crypto::kem::{KemCiphertext, KemSecretKey};
use crypto::{BoxKey, Nonce, SeededRandom};
use smp::command::Command;
use smp::envelope::{ClientMessage, Envelope, PrivateHeader};
use smp::id::{EntityId, MessageId, SenderId};
use smp::queue_address::QueueUri;

use crate::mallory::{Mallory, Victim};
use crate::support::{HOUR, Pair, Terms, bodies};

/// Two who have talked both ways, and a message of Alice's that Bob does not have yet.
struct Live {
    pair: Pair,
    bob: Victim,
    /// The body of its `SEND`.
    body: Vec<u8>,
    /// The key between sender and recipient.
    key: BoxKey,
}

fn live(terms: Terms) -> Live {
    let mut pair = Pair::connected(terms);
    pair.assert_works();
    let (alice, bob) = (pair.alice, pair.bob);
    pair.world.go_offline(alice.host);
    pair.run_for(HOUR);
    let number = pair.send(alice, b"the true one").number;
    let task = pair.step(alice, |connection, env| connection.task(&TaskId::Send(number), env)).unwrap();
    let Command::Send(_, body) = task.command else { panic!("{:?}", task.command.tag()) };
    let queue = EntityId::from(pair.queue_of(bob));
    let key = pair.world.wiretap().box_key("two.example", &queue).unwrap().clone();
    let bob = Victim::of(&mut pair, bob);
    Live { pair, bob, body, key }
}

impl Live {
    /// What is inside the box.
    fn message(&self) -> ClientMessage {
        Envelope::decode_all(&self.body).unwrap().open(&self.key).unwrap()
    }

    /// The same envelope around something else.
    fn around(&self, content: Vec<u8>) -> Vec<u8> {
        let header = Envelope::decode_all(&self.body).unwrap().header;
        let nonce = Nonce::random(&mut SeededRandom::new(&crypto::hash::sha256(&content), "nonce"));
        let message = ClientMessage { header: PrivateHeader::Empty, content };
        Envelope::seal(header, &self.key, nonce, &message).unwrap().to_bytes()
    }

    /// The true message still arrives, and the connection goes on, also in the world.
    fn assert_unharmed(mut self) {
        let message = deliver_message(&mut self.bob, &self.body);
        assert_eq!((message.body.as_slice(), message.integrity), (b"the true one".as_slice(), Integrity::Ok));
        self.pair.world.go_online(self.pair.alice.host);
        assert_eq!(bodies(&self.pair.take_messages(self.pair.bob)), [b"the true one"]);
        self.pair.events(self.pair.alice);
        self.pair.assert_works();
    }
}

/// The message in a body that is accepted, acknowledged.
fn deliver_message(victim: &mut Victim, body: &[u8]) -> ReceivedMessage {
    let events = victim.deliver(body);
    let [Event::Message(message)] = events.as_slice() else { panic!("{events:?}") };
    victim.step(|connection, env| connection.acknowledge(&message.id, None, env)).unwrap();
    message.clone()
}

fn flipped(bytes: &[u8], index: usize) -> Vec<u8> {
    let mut altered = bytes.to_vec();
    altered[index] ^= 1 << (index % 8);
    altered
}

/// Every byte of the beginning and of the end, and some of those between.
fn places(length: usize, beginning: usize, step: usize) -> Vec<usize> {
    let beginning = beginning.min(length);
    let end = length.saturating_sub(4).max(beginning);
    (0..beginning).chain((beginning..end).step_by(step)).chain(end..length).collect()
}

/// Flag and key in the header of a first message, nonce, box. The version has no authenticator, nor has the highest bit
/// of an X25519 key a meaning.
fn in_header_and_box(body: &[u8]) -> impl Iterator<Item = usize> {
    const HIGHEST: usize = 2 + 1 + 1 + 44 - 1;
    places(body.len(), 90, 401).into_iter().filter(|place| *place >= 2 && *place != HIGHEST)
}

fn both_sizes() -> [Terms; 2] {
    [Terms::plain(), Terms::default()]
}

#[test]
fn altered_deliveries_are_refused() {
    let mut live = live(Terms::plain());
    let body = live.body.clone();
    let mut refuse = |alter: &dyn Fn(&mut MessageId, &mut Vec<u8>)| {
        let (mut id, mut sealed) = live.bob.sealed(&body);
        alter(&mut id, &mut sealed);
        live.bob.refuse_sealed(&id, &sealed)
    };
    let length = 16_122;
    for place in places(length, 40, 401) {
        let fault = refuse(&|_, sealed| *sealed = flipped(sealed, place));
        assert_eq!(fault, PeerFault::Delivery, "byte {place}");
        let fault = refuse(&|_, sealed| sealed.truncate(place));
        assert_eq!(fault, PeerFault::Delivery, "cut to {place}");
    }
    assert_eq!(refuse(&|_, sealed| sealed.push(b'#')), PeerFault::Delivery);
    // Under another ID it is another message, of which there is none.
    assert_eq!(refuse(&|id, _| *id = MessageId::from([7; 24])), PeerFault::Delivery);
    live.assert_unharmed();
}

#[test]
fn altered_envelopes_are_refused() {
    let mut live = live(Terms::plain());
    let body = live.body.clone();
    // Version, flag of the key, nonce, box. The version has no authenticator: as long as it is one that Bob understands
    // it makes no difference.
    for place in places(body.len(), 60, 401) {
        let altered = flipped(&body, place);
        let fault = match place {
            0 | 1 => live.bob.refuse_or_accept(&altered),
            _ => Some(live.bob.refuse(&altered)),
        };
        let expected = matches!(
            (place, &fault),
            (0 | 1, None | Some(PeerFault::Version(_, "client")))
                | (2, Some(PeerFault::Malformed(_)))
                | (3.., Some(PeerFault::Envelope))
        );
        assert!(expected, "byte {place} gives {fault:?}");
    }
    for version in [5u16, 9, u16::MAX] {
        let altered = [&version.to_be_bytes(), &body[2..]].concat();
        assert_eq!(live.bob.refuse(&altered), PeerFault::Version(version, "client"));
    }
    for length in places(body.len(), 60, 401) {
        let fault = live.bob.refuse(&body[..length]);
        assert!(matches!(fault, PeerFault::Malformed(_) | PeerFault::Envelope), "cut to {length} gives {fault}");
    }
    assert_eq!(live.bob.refuse(&[body.as_slice(), b"#"].concat()), PeerFault::Envelope);
    live.assert_unharmed();
}

#[test]
fn altered_contents_of_the_box_are_refused() {
    let mut live = live(Terms::plain());
    let message = live.message();
    // A message cannot bring a key for securing.
    let key = crypto::authorize::AuthPublicKey::Ed25519(crypto::sign::Ed25519PublicKey::from_bytes([1; 32]));
    let keyed = ClientMessage { header: PrivateHeader::SenderKey(key), content: message.content[..100].to_vec() };
    let header = Envelope::decode_all(&live.body).unwrap().header;
    let keyed = Envelope::seal(header.clone(), &live.key, Nonce([9; 24]), &keyed).unwrap();
    assert!(matches!(live.bob.refuse(&keyed.to_bytes()), PeerFault::Prohibited(_)));
    // A first message again, with a key that is not the one from before.
    let again = Envelope {
        header: smp::envelope::PublicHeader {
            sender_key: Some(crypto::dh::X25519PublicKey::from_bytes([9; 32])),
            ..header
        },
        ..Envelope::decode_all(&live.body).unwrap()
    };
    assert!(matches!(live.bob.refuse(&again.to_bytes()), PeerFault::Prohibited(_)));
    // Kinds: a handshake after the handshake, and what there is not.
    for kind in [b'C', b'I', b'R', b'm', 0, 255] {
        let altered = [&message.content[..2], &[kind], &message.content[3..]].concat();
        let body = live.around(altered);
        let fault = live.bob.refuse(&body);
        assert!(matches!(fault, PeerFault::Malformed(_) | PeerFault::Prohibited(_)), "kind {kind} gives {fault}");
    }
    for length in 0..3 {
        let body = live.around(message.content[..length].to_vec());
        assert!(matches!(live.bob.refuse(&body), PeerFault::Malformed(_)), "cut to {length}");
    }
    let empty = live.around(message.content[..3].to_vec());
    assert!(matches!(live.bob.refuse(&empty), PeerFault::Ratchet(RatchetError::Malformed(_))));
    live.assert_unharmed();
}

#[test]
fn altered_ratchet_messages_are_refused() {
    for terms in both_sizes() {
        let mut live = live(terms);
        let AgentEnvelope { version, content } = AgentEnvelope::decode_all(&live.message().content).unwrap();
        let EnvelopeContent::Message { encrypted } = content else { panic!("{content:?}") };
        let around = |live: &Live, encrypted: Vec<u8>| {
            live.around(AgentEnvelope { version, content: EnvelopeContent::Message { encrypted } }.to_bytes())
        };
        for place in places(encrypted.len(), 160, 401) {
            let body = around(&live, flipped(&encrypted, place));
            let fault = live.bob.refuse(&body);
            let expected = matches!(
                fault,
                PeerFault::Ratchet(RatchetError::UnknownHeader | RatchetError::Body | RatchetError::Malformed(_))
            );
            assert!(expected, "byte {place} gives {fault}");
        }
        for length in places(encrypted.len(), 160, 1_601) {
            let body = around(&live, encrypted[..length].to_vec());
            let fault = live.bob.refuse(&body);
            let expected = matches!(fault, PeerFault::Ratchet(RatchetError::Malformed(_) | RatchetError::Body));
            assert!(expected, "cut to {length} gives {fault}");
        }
        live.assert_unharmed();
    }
}

#[test]
fn messages_of_other_connections_are_refused_at_every_layer() {
    let mut one = live(Terms::plain());
    let mut pair = Pair::connected(Terms::plain());
    pair.connect_again();
    pair.assert_works();
    let (alice, bob) = (pair.alice, pair.bob);
    let number = pair.send(alice, b"foreign").number;
    let task = pair.step(alice, |connection, env| connection.task(&TaskId::Send(number), env)).unwrap();
    let Command::Send(_, foreign) = task.command else { panic!("no SEND") };
    let mut other = Victim::of(&mut pair, bob);
    let (_, sealed) = other.sealed(&foreign);
    let id = MessageId::from([7; 24]);
    assert_eq!(one.bob.refuse_sealed(&id, &sealed), PeerFault::Delivery);
    assert_eq!(one.bob.refuse(&foreign), PeerFault::Envelope);
    let queue = EntityId::from(pair.queue_of(bob));
    let key = pair.world.wiretap().box_key("two.example", &queue).unwrap();
    let content = Envelope::decode_all(&foreign).unwrap().open(key).unwrap().content;
    let body = one.around(content);
    assert_eq!(one.bob.refuse(&body), PeerFault::Ratchet(RatchetError::UnknownHeader));
    one.assert_unharmed();
}

#[test]
fn a_server_that_alters_a_message_costs_that_message_and_nothing_else() {
    let mut pair = Pair::connected(Terms::plain());
    let two = pair.servers[1];
    pair.world.server(two).tamper(|sealed| sealed[1_000] ^= 1);
    pair.send(pair.alice, b"altered on the way");
    pair.send(pair.alice, b"next");
    pair.run();
    let events = pair.events(pair.bob);
    let [Event::Refused(PeerFault::Delivery), Event::Message(next)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((next.body.as_slice(), next.integrity), (b"next".as_slice(), Integrity::Skipped { from: 2, to: 2 }));
    pair.acknowledge(pair.bob, &next.id, None);
    pair.run();
    pair.events(pair.alice);
    pair.assert_works();
}

#[test]
fn what_was_received_before_is_taken_in_silence_when_it_comes_again() {
    let mut pair = Pair::connected(Terms::plain());
    let (one, two) = (pair.servers[0], pair.servers[1]);
    let queues = [pair.queue_of(pair.alice), pair.queue_of(pair.bob)];
    let mut copies: Vec<Vec<u8>> = Vec::new();
    for index in 0..3 {
        pair.world.go_offline(pair.bob.host);
        pair.run_for(HOUR);
        pair.send(pair.alice, format!("{index}").as_bytes());
        pair.run_for(HOUR);
        copies.extend(pair.world.server(two).waiting(&queues[1]));
        pair.world.go_online(pair.bob.host);
        assert_eq!(pair.take_messages(pair.bob).len(), 1);
    }
    let now = pair.world.now();
    for copy in copies.iter().rev().chain(&copies) {
        pair.world.server(two).inject(&queues[1], copy.clone(), now);
    }
    pair.world.settle(two);
    pair.run();
    assert_eq!(pair.events(pair.bob), []);
    assert_eq!((pair.waiting(pair.bob), pair.waiting(pair.alice)), (0, 0));
    // At the wrong queue they are nothing.
    pair.world.server(one).inject(&queues[0], copies[0].clone(), now);
    pair.world.settle(one);
    pair.run();
    let events = pair.events(pair.alice);
    assert!(events.contains(&Event::Refused(PeerFault::Envelope)), "{events:?}");
    pair.assert_works();
}

/// Alice has invited, and Mallory knows the link.
fn invited(link: InviteLink, pq: Pq) -> (Pair, Victim, Mallory) {
    let mut pair = Pair::new(Terms { link, ..Terms::default() });
    pair.invite();
    let alice = pair.alice;
    let victim = Victim::of(&mut pair, alice);
    let mallory = Mallory::joins(&pair.full_link(), pq, pair.world.address(pair.servers[1]));
    (pair, victim, mallory)
}

/// The true confirmation is still accepted.
fn assert_confirms(victim: &mut Victim, mallory: &mut Mallory) -> Vec<u8> {
    let info = mallory.info();
    let confirmation = mallory.confirmation(&info);
    assert_eq!(victim.deliver(&confirmation), [Event::Confirmed { info: b"mallory".to_vec() }]);
    confirmation
}

#[test]
fn confirmations_of_unknown_versions_are_refused() {
    let (_, mut alice, mut mallory) = invited(InviteLink::default(), Pq::On);
    for version in [0, 1, 8, u16::MAX] {
        let fault = mallory.undo(|mallory| {
            mallory.agent = version;
            let info = mallory.info();
            alice.refuse(&mallory.confirmation(&info))
        });
        assert_eq!(fault, PeerFault::Version(version, "agent"));
    }
    for version in [0, 5, u16::MAX] {
        let fault = mallory.undo(|mallory| {
            mallory.client = version;
            let info = mallory.info();
            alice.refuse(&mallory.confirmation(&info))
        });
        assert_eq!(fault, PeerFault::Version(version, "client"));
        let fault = mallory.undo(|mallory| {
            mallory.reply_mut().version = version;
            let info = mallory.info();
            alice.refuse(&mallory.confirmation(&info))
        });
        // Version 0 is written in a form that cannot be read.
        assert!(matches!(fault, PeerFault::Version(found, "client") if found == version) || version == 0, "{fault}");
    }
    for version in [0, 1, 4, u16::MAX] {
        let fault = mallory.undo(|mallory| {
            let keys = &mallory.keys;
            mallory.keys = SenderKeys::new(version, *keys.key_1(), *keys.key_2(), keys.kem().cloned());
            let info = mallory.info();
            alice.refuse(&mallory.confirmation(&info))
        });
        assert_eq!(fault, PeerFault::Agreement(AgreementError::Version(version)));
    }
    assert_confirms(&mut alice, &mut mallory);
}

#[test]
fn confirmations_with_wrong_keys_are_refused() {
    for propose in [false, true] {
        let (_, mut alice, mut mallory) = invited(InviteLink { propose, short: None }, Pq::On);
        let mut random = SeededRandom::new(&[4; 32], "kem");
        let foreign = KemSecretKey::generate(&mut random);
        let (ciphertext, _) = foreign.public().encapsulate(&mut random);
        let garbage = KemCiphertext::from_bytes(&[7; crypto::kem::CIPHERTEXT]).unwrap();
        for ciphertext in [ciphertext, garbage] {
            let fault = mallory.undo(|mallory| {
                let (keys, kem) = (&mallory.keys, KemOffer::Accepted(ciphertext, foreign.public()));
                mallory.keys = SenderKeys::new(3, *keys.key_1(), *keys.key_2(), Some(kem));
                let info = mallory.info();
                alice.refuse(&mallory.confirmation(&info))
            });
            // Accepted without a proposal, or a secret that is not the proposed key's.
            let expected = match propose {
                false => PeerFault::Agreement(AgreementError::KemState),
                true => PeerFault::Ratchet(RatchetError::UnknownHeader),
            };
            assert_eq!(fault, expected);
        }
        let zero = X448PublicKey::from_bytes([0; 56]);
        for first in [true, false] {
            let fault = mallory.undo(|mallory| {
                let keys = &mallory.keys;
                let (key_1, key_2) = if first { (zero, *keys.key_2()) } else { (*keys.key_1(), zero) };
                mallory.keys = SenderKeys::new(3, key_1, key_2, keys.kem().cloned());
                let info = mallory.info();
                alice.refuse(&mallory.confirmation(&info))
            });
            assert_eq!(fault, PeerFault::Agreement(AgreementError::PeerKey));
        }
        let swapped = mallory.undo(|mallory| {
            let keys = &mallory.keys;
            mallory.keys = SenderKeys::new(3, *keys.key_2(), *keys.key_1(), keys.kem().cloned());
            let info = mallory.info();
            alice.refuse(&mallory.confirmation(&info))
        });
        assert_eq!(swapped, PeerFault::Ratchet(RatchetError::UnknownHeader));
        assert_confirms(&mut alice, &mut mallory);
    }
}

#[test]
fn confirmations_that_say_something_else_are_refused() {
    let (pair, mut alice, mut mallory) = invited(InviteLink::default(), Pq::Off);
    for content in [
        DecryptedMessage::Info(b"I am the inviter".to_vec()),
        DecryptedMessage::RatchetInfo(Vec::new()),
        DecryptedMessage::Message(agent::message::AgentMessage {
            number: 1,
            previous_hash: Default::default(),
            body: MessageBody::Application(b"too early".to_vec()),
        }),
    ] {
        let fault = mallory.undo(|mallory| alice.refuse(&mallory.confirmation(&content)));
        assert!(matches!(fault, PeerFault::Prohibited(_)), "{content:?} gives {fault}");
    }
    let size = mallory.padding().confirmation;
    for plaintext in [b"".as_slice(), b"D", b"D\0", b"X?", b"D\x01\0\x04"] {
        let fault = mallory.undo(|mallory| {
            let encrypted = mallory.encrypt(plaintext, size);
            let content = EnvelopeContent::Confirmation { keys: Some(mallory.keys.clone()), encrypted };
            alice.refuse(&mallory.first(PrivateHeader::Empty, content))
        });
        assert!(matches!(fault, PeerFault::Malformed(_)), "{plaintext:?} gives {fault}");
    }
    // Without keys, as an inviter's; and any other envelope as the first.
    let encrypted = mallory.undo(|mallory| mallory.encrypt(b"Iinfo", size));
    let invitation = {
        let agent::full_link::FullLink::Invitation(request, offer) = pair.full_link() else { panic!("no invitation") };
        EnvelopeContent::Invitation(Box::new(Invitation::new(request, offer, Vec::new()).unwrap()))
    };
    for content in [
        EnvelopeContent::Confirmation { keys: None, encrypted: encrypted.clone() },
        EnvelopeContent::Message { encrypted: encrypted.clone() },
        invitation,
    ] {
        let fault = mallory.undo(|mallory| alice.refuse(&mallory.first(PrivateHeader::Empty, content)));
        assert!(matches!(fault, PeerFault::Prohibited(_)), "{fault}");
    }
    // Without a key in the header nothing can be opened.
    let keyless = mallory.undo(|mallory| mallory.later(encrypted));
    assert!(matches!(alice.refuse(&keyless), PeerFault::Prohibited(_)));
    assert_confirms(&mut alice, &mut mallory);
}

#[test]
fn altered_confirmations_are_refused() {
    let (_, mut alice, mut mallory) = invited(InviteLink::default(), Pq::Off);
    let confirmation = mallory.undo(|mallory| {
        let info = mallory.info();
        mallory.confirmation(&info)
    });
    for place in in_header_and_box(&confirmation) {
        let fault = alice.refuse(&flipped(&confirmation, place));
        assert!(matches!(fault, PeerFault::Malformed(_) | PeerFault::Envelope), "byte {place} gives {fault}");
    }
    // Everything inside the box.
    let inside = mallory.undo(|mallory| {
        let info = mallory.info();
        let encrypted = mallory.encrypt(&info.to_bytes(), mallory.padding().confirmation);
        let content = EnvelopeContent::Confirmation { keys: Some(mallory.keys.clone()), encrypted };
        AgentEnvelope { version: 7, content }.to_bytes()
    });
    let sender_key = Envelope::decode_all(&confirmation).unwrap().header.sender_key;
    for place in places(inside.len(), 310, 401).into_iter().skip(2) {
        let content = flipped(&inside, place);
        let message = ClientMessage { header: PrivateHeader::Empty, content };
        let fault = alice.refuse(&mallory.seal(sender_key, message));
        let expected = matches!(
            fault,
            PeerFault::Malformed(_) | PeerFault::Ratchet(_) | PeerFault::Agreement(_) | PeerFault::Prohibited(_)
        );
        assert!(expected, "byte {place} gives {fault}");
    }
    assert_confirms(&mut alice, &mut mallory);
}

#[test]
fn a_second_confirmation_changes_nothing_whoever_sends_it() {
    let (mut pair, mut alice, mut mallory) = invited(InviteLink::default(), Pq::Off);
    let confirmation = assert_confirms(&mut alice, &mut mallory);
    let mut late = Mallory::joins(&pair.full_link(), Pq::Off, pair.world.address(pair.servers[1]));
    late.random = SeededRandom::new(&[5; 32], "late");
    let info = late.info();
    alice.ignore(&confirmation);
    alice.step(|connection, env| connection.allow(Vec::new(), env)).unwrap();
    alice.ignore(&confirmation);
    // Somebody else, who cannot know the first one's box.
    let (_, _, mut other) = invited(InviteLink::default(), Pq::Off);
    let foreign = other.confirmation(&info);
    assert_eq!(alice.refuse(&flipped(&foreign, 100)), PeerFault::Envelope);
    let message = mallory.message(MessageBody::Application(b"still there".to_vec()));
    assert_eq!(deliver_message(&mut alice, &message).body, b"still there");
    alice.ignore(&confirmation);
    pair.run();
}

/// Alice has allowed Mallory, and got a first message.
fn talking(pq: Pq) -> (Victim, Mallory) {
    let (_, mut alice, mut mallory) = invited(InviteLink::default(), pq);
    assert_confirms(&mut alice, &mut mallory);
    alice.step(|connection, env| connection.allow(Vec::new(), env)).unwrap();
    let message = mallory.message(MessageBody::Application(b"first".to_vec()));
    assert_eq!(deliver_message(&mut alice, &message).integrity, Integrity::Ok);
    (alice, mallory)
}

fn assert_talks(victim: &mut Victim, mallory: &mut Mallory) {
    let body = MessageBody::Application(b"as before".to_vec());
    let message = mallory.message(body);
    assert_eq!(deliver_message(victim, &message).body, b"as before");
}

#[test]
fn agent_52_a_message_that_waits_is_not_displaced_by_another_whatever_the_server_does() {
    let (mut alice, mut mallory) = talking(Pq::Off);
    let [one, two] = [b"one", b"two"].map(|body| mallory.message(MessageBody::Application(body.to_vec())));
    let told = alice.deliver(&one);
    let [Event::Message(first)] = told.as_slice() else { panic!("{told:?}") };
    let (id, sealed) = alice.sealed(&two);
    let before = alice.connection.records();
    assert_eq!(alice.deliver_sealed(&id, &sealed), []);
    assert!(alice.connection.records() == before);
    assert!(!alice.connection.take_passed_over(), "it still waits");
    // As after a crash before the application has said anything.
    let again = Connection::load(before).unwrap().pending();
    assert_eq!(again, told);
    alice.step(|connection, env| connection.acknowledge(&first.id, None, env)).unwrap();
    assert!(alice.connection.take_passed_over(), "now the server is to deliver the other one again");
    assert!(!alice.connection.take_passed_over());
    let told = alice.deliver_sealed(&id, &sealed);
    let [Event::Message(second)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((second.body.as_slice(), second.integrity), (b"two".as_slice(), Integrity::Ok));
}

#[test]
fn fifty_thousand_skipped_messages_are_refused_at_once() {
    for pq in [Pq::Off, Pq::On] {
        let (mut alice, mut mallory) = talking(pq);
        let far = mallory.undo(|mallory| {
            // The header is the same whatever else it says; without room for keys it is quicker to make.
            (0..50_000).for_each(|_| drop(mallory.ratchet.next_key(None).unwrap()));
            mallory.message(MessageBody::Application(b"from far away".to_vec()))
        });
        assert_eq!(alice.refuse(&far), PeerFault::Ratchet(RatchetError::TooManySkipped(50_001)));
        assert_talks(&mut alice, &mut mallory);
    }
}

#[test]
fn messages_that_decrypt_to_nonsense_are_refused_and_the_next_one_is_read() {
    let (mut alice, mut mallory) = talking(Pq::Off);
    let size = mallory.padding().message;
    for plaintext in
        [b"".as_slice(), b"M", b"?", b"M\0\0\0\0\0\0\0\x03\0?", b"M\0\0\0\0\0\0\0\x03\0Hx", b"M\0\0\0\0\0\0\0\x03\0V\0"]
    {
        let encrypted = mallory.encrypt(plaintext, size);
        let body = mallory.later(encrypted);
        // Its key is used up: that much it changes.
        let events = alice.deliver(&body);
        assert!(matches!(events.as_slice(), [Event::Refused(PeerFault::Malformed(_))]), "{plaintext:?}: {events:?}");
        assert_talks(&mut alice, &mut mallory);
    }
    for plaintext in [b"Iinfo".as_slice(), b"R"] {
        let encrypted = mallory.encrypt(plaintext, size);
        let body = mallory.later(encrypted);
        let events = alice.deliver(&body);
        assert!(matches!(events.as_slice(), [Event::Refused(PeerFault::Prohibited(_))]), "{plaintext:?}: {events:?}");
        assert_talks(&mut alice, &mut mallory);
    }
}

#[test]
fn what_we_do_not_support_or_allow_is_named_and_the_connection_goes_on() {
    let (mut alice, mut mallory) = talking(Pq::Off);
    let address = mallory.reply_mut().address.clone();
    let send_address = SendAddress { server: address.server.clone(), sender_id: SenderId::from([1; 24]) };
    let queue = QueueUri { versions: agent::version::SMP_CLIENT, address };
    let rotation = PeerFault::Unsupported("rotation of queues");
    let cases = [
        (MessageBody::Hello, PeerFault::Prohibited("hello")),
        (MessageBody::QueueContinues(send_address.clone()), PeerFault::UnknownQueue),
        (MessageBody::AddQueues(NonEmpty::one(AddedQueue { queue, replaces: None })), rotation.clone()),
        (
            MessageBody::UseQueues(NonEmpty::one(UsedQueue { address: send_address.clone(), primary: true })),
            rotation.clone(),
        ),
        (MessageBody::TestQueues(NonEmpty::one(send_address)), rotation),
        (MessageBody::RatchetReady { last_received: 1 }, PeerFault::Unsupported("synchronisation of ratchets")),
    ];
    for (body, fault) in cases {
        let message = mallory.message(body);
        assert_eq!(alice.deliver(&message), [Event::Refused(fault)]);
        assert_talks(&mut alice, &mut mallory);
    }
}

#[test]
fn absurd_numbers_are_reported_and_the_connection_goes_on() {
    let (mut alice, mut mallory) = talking(Pq::Off);
    let application = || MessageBody::Application(b"numbered".to_vec());
    for (number, integrity) in [
        (i64::MAX, Integrity::Skipped { from: 3, to: i64::MAX - 1 }),
        (i64::MAX, Integrity::Duplicate),
        (i64::MIN, Integrity::BadNumber { last: i64::MAX }),
        (0, Integrity::Skipped { from: i64::MIN + 1, to: -1 }),
        (-1, Integrity::BadNumber { last: 0 }),
        (0, Integrity::BadHash),
    ] {
        let message = mallory.numbered(number, application());
        let got = deliver_message(&mut alice, &message);
        assert_eq!((got.number, got.integrity), (number, integrity));
    }
    assert_talks(&mut alice, &mut mallory);
}

#[test]
fn agent_50_the_agent_version_never_falls_and_never_exceeds_ours() {
    let (mut alice, mut mallory) = talking(Pq::Off);
    for version in [5, 2, 1, 0, 9, u16::MAX] {
        mallory.agent = version;
        assert_talks(&mut alice, &mut mallory);
        assert_eq!(alice.connection.status().agent_version, Some(7));
    }
}

#[test]
fn requests_to_an_address_are_refused_when_altered_and_the_address_goes_on() {
    let mut pair = Pair::new(Terms::plain());
    let (plan, settings) = (agent::connection::AddressPlan::Full(pair.plan(pair.alice)), pair.terms.alice);
    pair.alice.name = "address";
    let (alice, one) = (pair.alice, pair.servers[0]);
    pair.world.begin(alice.host, alice.name, |env| Connection::address(plan, &settings, env)).unwrap();
    pair.run();
    pair.events(alice);
    let link = pair.connection(alice).own_address().unwrap().full;
    pair.world.go_offline(alice.host);
    pair.run_for(HOUR);
    pair.join(JoinLink::Full(Box::new(link)));
    pair.run_for(HOUR);
    let queue = pair.queue_of(alice);
    let waiting = pair.world.server(one).waiting(&queue);
    let [request] = waiting.as_slice() else { panic!("{} requests", waiting.len()) };
    let mut victim = Victim::of(&mut pair, alice);
    for place in in_header_and_box(request) {
        let fault = victim.refuse(&flipped(request, place));
        assert!(matches!(fault, PeerFault::Malformed(_) | PeerFault::Envelope), "byte {place} gives {fault}");
    }
    // Inside the box.
    let address = pair.connection(alice).own_address().unwrap().full.request().first_queue().clone();
    let mut random = SeededRandom::new(&[6; 32], "asks");
    let once = crypto::dh::X25519PrivateKey::generate(&mut random);
    let key = BoxKey::agreed(&once.agree(&address.address.dh_key));
    let ask = |content: Vec<u8>| {
        let header = smp::envelope::PublicHeader { version: 4, sender_key: Some(once.public()) };
        let message = ClientMessage { header: PrivateHeader::Empty, content };
        Envelope::seal(header, &key, Nonce([1; 24]), &message).unwrap().to_bytes()
    };
    let text = b"simplex:/invitation#/?v=2-7&smp=nonsense&e2e=nonsense";
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    for content in [
        [b"\0\x07I".as_slice(), &length, text, b"info"].concat(),
        [b"\0\x07I\xff\xff".as_slice(), text].concat(),
        b"\0\x07I\0\0".to_vec(),
        b"\0\x07I".to_vec(),
        b"\0\x07I\0\x01\xff".to_vec(),
    ] {
        let fault = victim.refuse(&ask(content));
        assert!(matches!(fault, PeerFault::Malformed(_)), "{fault}");
    }
    for kind in [b'C', b'M', b'R'] {
        let fault = victim.refuse(&ask(vec![0, 7, kind, b'0', 1, 2, 3]));
        assert!(matches!(fault, PeerFault::Prohibited(_) | PeerFault::Malformed(_)), "kind {kind} gives {fault}");
    }
    assert!(matches!(victim.deliver(request).as_slice(), [Event::Requested(_)]));
    pair.world.go_online(alice.host);
    pair.run();
    assert!(matches!(pair.events(alice).as_slice(), [Event::Requested(_)]));
    assert_eq!(pair.status(alice).at, Where::Open);
}
