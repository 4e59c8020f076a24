//! The test of a relay address.

use std::time::Duration;

use agent::time::{Env, Time};
use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::body::ConnectionInfo;
use group::event::{Event as ChatEvent, RelayTest};
use group::owner::{AddressFault, AddressTest, Outcome, Task, TestFault, TestTask};
use serde_json::json;

use crate::support::{NOW, Relay, server};

struct Trial {
    test: AddressTest,
    now: Time,
}

impl Trial {
    /// A test whose challenge was sent.
    fn asked(relay: Relay) -> Self {
        let (address, data) = relay.address().make();
        let now = Time::from_millis(NOW);
        let mut random = SeededRandom::new(&[7; 32], "test");
        let mut env = Env { now, random: &mut random };
        let mut test = AddressTest::start(address, server("receive.example.org"), &mut env).unwrap();
        assert_eq!(test.due(), Some(TestTask::ReadAddress));
        test.finish(TestTask::ReadAddress, Outcome::Retrieved(Box::new(data)), now);
        assert_eq!(test.due(), Some(TestTask::Ask));
        Trial { test, now }
    }

    fn challenge(&mut self) -> Vec<u8> {
        let Some(Task::Open { info, .. }) = self.test.task().unwrap() else { panic!("open") };
        self.test.finish(TestTask::Ask, Outcome::Done, self.now);
        let info = ConnectionInfo::parse(&info).unwrap();
        let ChatEvent::GroupRelayTest(RelayTest { challenge, signature: None }) = info.event() else { panic!("test") };
        challenge.clone()
    }

    fn answer(&mut self, challenge: Vec<u8>, signature: Option<Vec<u8>>) {
        let answer = ChatEvent::GroupRelayTest(RelayTest { challenge, signature });
        self.test.answered(&ConnectionInfo::unsigned(answer).to_bytes().unwrap(), self.now);
    }

    fn fault(&self) -> TestFault {
        self.test.result().unwrap().unwrap_err().clone()
    }
}

#[test]
fn chat_56_the_key_of_the_address_passes() {
    let mut trial = Trial::asked(Relay::new(1));
    let challenge = trial.challenge();
    assert_eq!((challenge.len(), trial.test.result()), (32, None));
    let signature = Relay::new(1).address_key().sign(&challenge);
    trial.answer(challenge, Some(signature.to_vec()));
    assert_eq!(trial.test.result().unwrap().unwrap().display_name, "Relay 1");
    assert_eq!(trial.test.due(), Some(TestTask::Delete), "the connection served its purpose");
    assert!(matches!(trial.test.task(), Ok(Some(Task::Delete { .. }))));
    trial.test.finish(TestTask::Delete, Outcome::Done, trial.now);
    assert!(trial.test.is_over());
}

#[test]
fn chat_56_any_other_answer_fails() {
    let good = |challenge: &[u8]| Relay::new(1).address_key().sign(challenge).to_vec();
    type Forge = fn(&[u8]) -> (Vec<u8>, Option<Vec<u8>>);
    let forged: [(Forge, TestFault); 6] = [
        (|challenge| (challenge.to_vec(), None), TestFault::Signature),
        (|challenge| (challenge.to_vec(), Some(vec![0; 64])), TestFault::Signature),
        (|challenge| (challenge.to_vec(), Some(vec![1; 63])), TestFault::Signature),
        (
            |challenge| (challenge.to_vec(), Some(Ed25519PrivateKey::from_seed([9; 32]).sign(challenge).to_vec())),
            TestFault::Signature,
        ),
        (
            |challenge| {
                let text = codec::text::base64url(challenge);
                (challenge.to_vec(), Some(Relay::new(1).address_key().sign(text.as_bytes()).to_vec()))
            },
            TestFault::Signature,
        ),
        (|_| (vec![7; 32], Some(Relay::new(1).address_key().sign(&[7; 32]).to_vec())), TestFault::OtherChallenge),
    ];
    for (forge, expected) in forged {
        let mut trial = Trial::asked(Relay::new(1));
        let challenge = trial.challenge();
        let (answered, signature) = forge(&challenge);
        trial.answer(answered, signature);
        assert_eq!(trial.fault(), expected);
        // The first answer decides.
        trial.answer(challenge.clone(), Some(good(&challenge)));
        assert_eq!(trial.fault(), expected);
    }
    let mut trial = Trial::asked(Relay::new(1));
    trial.challenge();
    trial.test.answered(b"=\x02", trial.now);
    assert!(matches!(trial.fault(), TestFault::Info(_)));
    let mut trial = Trial::asked(Relay::new(1));
    trial.challenge();
    trial.test.answered(&Relay::new(1).info(ChatEvent::Ok), trial.now);
    assert_eq!(trial.fault(), TestFault::OtherAnswer("x.ok".to_owned()));
}

#[test]
fn chat_56_no_answer_within_40_seconds_fails() {
    let mut trial = Trial::asked(Relay::new(1));
    let challenge = trial.challenge();
    let deadline = trial.test.deadline().unwrap();
    assert_eq!(deadline, trial.now.after(Duration::from_secs(40)));
    trial.test.check_time(Time::from_millis(deadline.millis() - 1));
    assert_eq!(trial.test.result(), None);
    trial.now = deadline;
    let signature = Relay::new(1).address_key().sign(&challenge);
    trial.answer(challenge, Some(signature.to_vec()));
    assert_eq!(trial.fault(), TestFault::TimedOut, "too late is too late");
    assert_eq!((trial.test.due(), trial.test.deadline()), (Some(TestTask::Delete), None));
}

#[test]
fn what_is_no_relay_address_is_not_asked() {
    let mut random = SeededRandom::new(&[7; 32], "test");
    let now = Time::from_millis(NOW);
    let mut linked = Relay::new(1).address();
    linked.json = Some(json!({}));
    let (address, data) = linked.make();
    let receive = server("receive.example.org");
    let mut test = AddressTest::start(address.clone(), receive.clone(), &mut Env { now, random: &mut random }).unwrap();
    test.finish(TestTask::ReadAddress, Outcome::Retrieved(Box::new(data)), now);
    assert!(matches!(test.result(), Some(Err(TestFault::Address(AddressFault::Contents(_))))));
    assert!(test.is_over(), "nothing was opened");

    let mut test = AddressTest::start(address.clone(), receive.clone(), &mut Env { now, random: &mut random }).unwrap();
    test.finish(TestTask::ReadAddress, Outcome::Unreachable("no route".to_owned()), now);
    assert_eq!(test.result(), Some(Err(&TestFault::Failed("no route".to_owned()))));

    let group = agent::short_link::ContactShortLink { kind: agent::short_link::ContactKind::Group, ..address };
    let refused = AddressTest::start(group, receive, &mut Env { now, random: &mut random }).unwrap_err();
    assert_eq!(refused, TestFault::Address(AddressFault::Kind));
}

#[test]
fn two_tests_have_nothing_in_common() {
    let (address, _) = Relay::new(1).address().make();
    let mut random = SeededRandom::new(&[7; 32], "test");
    let mut env = Env { now: Time::from_millis(NOW), random: &mut random };
    let [one, other] =
        [(); 2].map(|()| AddressTest::start(address.clone(), server("receive.example.org"), &mut env).unwrap());
    assert_ne!(one.connection(), other.connection());
}
