//! The lines of the conformance checklist about messages that need no server, by number.

use agent::envelope::Invitation;
use agent::full_link::FullLink;
use agent::message::{AgentMessage, DecryptedMessage, MessageBody, SendAddress};
use agent::message_chain::{Integrity, Numbered, ReceivedChain, SentChain};
use agent::non_empty::NonEmpty;
use agent::padding::{Padding, TooLarge};
use agent::receipt::{NoReceipt, ProhibitedReceipt, Receipt, ReceiptStatus, SentMessage};
use agent::version::{AGENT, raised_agent};
use codec::Decode;

const PLAIN: Padding = Padding { confirmation: 14_832, message: 15_840 };

fn parse(numbered: &Numbered) -> AgentMessage {
    match DecryptedMessage::decode_all(&numbered.encoded).unwrap() {
        DecryptedMessage::Message(message) => message,
        other => panic!("{other:?} has no number"),
    }
}

/// Two ends of one direction after the handshake.
struct Direction {
    sent: SentChain,
    received: ReceivedChain,
}

impl Direction {
    fn new() -> Self {
        let mut sent = SentChain::default();
        let confirmation = sent.append_unnumbered(b"Iinfo".to_vec());
        Direction { sent, received: ReceivedChain::after_confirmation(&confirmation.encoded) }
    }

    fn send(&mut self, body: &[u8]) -> Numbered {
        self.sent.append(MessageBody::Application(body.to_vec()), PLAIN).unwrap()
    }

    fn receive(&mut self, numbered: &Numbered) -> Integrity {
        self.received.receive(&parse(numbered), &numbered.encoded)
    }
}

#[test]
fn agent_40_the_first_message_after_the_handshake_has_number_2_and_follows() {
    let mut direction = Direction::new();
    let first = direction.send(b"hello");
    assert_eq!(first.number, 2);
    assert_eq!(direction.receive(&first), Integrity::Ok);
}

#[test]
fn agent_50_the_agent_version_rises_to_the_highest_common_one_and_never_falls() {
    assert_eq!(raised_agent(4, 7, AGENT), 7);
    assert_eq!(raised_agent(4, 9, AGENT), 7);
    assert_eq!(raised_agent(4, 5, AGENT), 5);
    assert_eq!(raised_agent(7, 4, AGENT), 7);
    assert_eq!(raised_agent(7, 2, AGENT), 7);
    assert_eq!(raised_agent(2, 1, AGENT), 2);
}

#[test]
fn agent_53_lost_messages_are_reported_with_the_next_one_and_then_forgotten() {
    let mut direction = Direction::new();
    for lost in [b"2", b"3", b"4"] {
        direction.send(lost);
    }
    let (fifth, sixth) = (direction.send(b"5"), direction.send(b"6"));
    assert_eq!(direction.receive(&fifth), Integrity::Skipped { from: 2, to: 4 });
    assert_eq!(direction.receive(&sixth), Integrity::Ok);
}

#[test]
fn agent_53_other_breaks_of_the_chain_are_named_and_the_chain_goes_on() {
    let mut direction = Direction::new();
    let (second, third) = (direction.send(b"2"), direction.send(b"3"));
    assert_eq!(direction.receive(&second), Integrity::Ok);
    assert_eq!(direction.receive(&second), Integrity::Duplicate);
    assert_eq!(direction.receive(&third), Integrity::Ok);
    assert_eq!(direction.receive(&second), Integrity::BadNumber { last: 3 });
    let other = Direction::new().send(b"another 2");
    assert_eq!(direction.receive(&other), Integrity::Duplicate);
    assert_eq!(direction.receive(&third), Integrity::BadHash);
    let fourth = direction.send(b"4");
    assert_eq!(direction.receive(&fourth), Integrity::Ok);
}

#[test]
fn agent_53_new_ratchet_keys_use_a_number() {
    let mut direction = Direction::new();
    assert_eq!(direction.sent.append_unnumbered(b"R".to_vec()).number, 2);
    let ready = direction.sent.append(MessageBody::RatchetReady { last_received: 1 }, PLAIN).unwrap();
    assert_eq!(direction.receive(&ready), Integrity::Skipped { from: 2, to: 2 });
}

#[test]
fn agent_54_the_queue_with_room_is_found_by_name_and_a_common_host() {
    let address = |server: &str, id: u8| SendAddress { server: server.parse().unwrap(), sender_id: [id; 24].into() };
    let hash = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let ours = address(&format!("smp://{hash}@one.example,abc234.onion"), 1);
    assert!(ours.same_queue(&ours));
    assert!(ours.same_queue(&address(&format!("smp://{hash}@abc234.onion"), 1)));
    assert!(!ours.same_queue(&address(&format!("smp://{hash}@two.example"), 1)));
    assert!(!ours.same_queue(&address(&format!("smp://{hash}@one.example,abc234.onion"), 2)));
}

#[test]
fn agent_57_a_receipt_confirms_once() {
    let mut direction = Direction::new();
    let numbered = direction.send(b"please confirm");
    let mut record = SentMessage { hash: numbered.hash.clone(), of_application: true, receipt: None };
    let receipt = Receipt::for_message(&parse(&numbered), &numbered.encoded, 4, b"read".to_vec()).unwrap();
    assert_eq!((receipt.number(), receipt.info()), (2, b"read".as_slice()));
    let other = direction.send(b"another message");
    let wrong = Receipt::for_message(&parse(&other), &other.encoded, 4, vec![]).unwrap();
    assert_eq!(record.take_receipt(&wrong), Ok(Some(ReceiptStatus::OtherHash)));
    assert_eq!(record.take_receipt(&receipt), Ok(Some(ReceiptStatus::Confirmed)));
    assert_eq!(record.take_receipt(&receipt), Ok(None));
    assert_eq!(record.take_receipt(&wrong), Ok(None));
    assert_eq!(record.receipt, Some(ReceiptStatus::Confirmed));
}

#[test]
fn agent_57_no_receipt_below_version_4_and_none_for_a_receipt() {
    let mut direction = Direction::new();
    let numbered = direction.send(b"hello");
    let message = parse(&numbered);
    assert_eq!(Receipt::for_message(&message, &numbered.encoded, 3, vec![]), Err(NoReceipt::OldAgent));
    let too_long = Receipt::for_message(&message, &numbered.encoded, 4, vec![0; 65_536]);
    assert_eq!(too_long, Err(NoReceipt::TooLong));
    let receipt = Receipt::for_message(&message, &numbered.encoded, 4, vec![]).unwrap();
    let receipts = direction.sent.append(MessageBody::Receipts(NonEmpty::one(receipt.clone())), PLAIN).unwrap();
    let for_receipt = Receipt::for_message(&parse(&receipts), &receipts.encoded, 7, vec![]);
    assert_eq!(for_receipt, Err(NoReceipt::NotOfApplication));
    let mut record = SentMessage { hash: receipts.hash, of_application: false, receipt: None };
    assert_eq!(record.take_receipt(&receipt), Err(ProhibitedReceipt));
}

#[test]
fn agent_58_what_does_not_fit_is_refused_and_uses_no_number() {
    for (pq, max_body, max_info) in [(false, 15_795, 14_829), (true, 13_573, 11_103)] {
        let padding = Padding::new(7, pq);
        assert_eq!((padding.max_body(), padding.max_info()), (max_body, max_info));
        let mut direction = Direction::new();
        let too_large = direction.sent.append(MessageBody::Application(vec![0; max_body + 1]), padding);
        assert_eq!(too_large, Err(TooLarge { length: padding.message - 1, limit: padding.message - 2 }));
        let fitting = direction.sent.append(MessageBody::Application(vec![0; max_body]), padding).unwrap();
        assert_eq!(fitting.number, 2);
        assert_eq!(direction.receive(&fitting), Integrity::Ok);

        let info = |length| codec::Encode::to_bytes(&DecryptedMessage::Info(vec![0; length]));
        assert!(padding.check_confirmation(&info(max_info)).is_ok());
        assert!(padding.check_confirmation(&info(max_info + 1)).is_err());
    }
    // The limits of post-quantum connections hold only where both agents know them.
    assert_eq!(Padding::new(4, true), PLAIN);
}

#[test]
fn agent_58_an_invitation_that_does_not_fit_its_envelope_is_refused() {
    let mut random = crypto::SeededRandom::new(&[1; 32], "keys");
    let keys = agent::agreement::AgreementKeys::generate(agent::ratchet::Pq::On, &mut random).unwrap();
    let queue = "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@smp.example.org/AAAA#/?v=1-4&dh=MCowBQYDK2VuAyEAf_SWK-komZIfRghl0VWO_aRBfiwV3yyV5wJzZHI1L0o%3D";
    let versions = agent::version::AGENT;
    let request = agent::full_link::ConnectionRequest::new(versions, vec![queue.parse().unwrap()], None).unwrap();
    let offer = keys.offer(agent::version::RATCHET);
    let link = FullLink::Invitation(request.clone(), offer.clone()).to_string();
    let room = 15_904 - 2 - 1 - 2 - 1 - 2 - link.len();
    let fitting = Invitation::new(request.clone(), offer.clone(), vec![0; room]).unwrap();
    assert_eq!((fitting.request(), fitting.offer(), fitting.info().len()), (&request, &offer, room));
    let too_large = Invitation::new(request, offer, vec![0; room + 1]);
    assert_eq!(too_large, Err(TooLarge { length: link.len() + room + 1, limit: link.len() + room }));
}
