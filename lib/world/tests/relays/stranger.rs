//! Somebody who found the addresses of relays, and the group link, and makes something of them.

use std::rc::Rc;
use std::time::Duration;

use agent::connection::{Connection, Delivery, Event, JoinLink, QueuePlan, SendOptions, Settings};
use agent::full_link::FullLink;
use agent::ratchet::Pq;
use agent::time::Time;
use codec::text::base64url;
use crypto::random;
use serde_json::{Value, json};
use smp::address::ServerAddress;
use world::Turn;

use crate::ledger::Ledger;

/// What a stranger does at a relay's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Sends noise.
    Noise,
    /// Says something that owners say elsewhere.
    WrongEvent,
    /// Invites the relay to the group as if it were the owner, under a name of its own.
    Invites,
    /// Repeats what the owner asked.
    Repeats,
    /// Repeats what the owner asked, as somebody else.
    RepeatsAsAnother,
    /// Invites the relay to a group that does not exist.
    InvitesNowhere,
    /// Tests the address.
    Tests,
    /// Tests the address with a challenge that is too long.
    TestsWrongly,
}

impl Mischief {
    pub(crate) const ALL: [Mischief; 8] = [
        Mischief::Noise,
        Mischief::WrongEvent,
        Mischief::Invites,
        Mischief::Repeats,
        Mischief::RepeatsAsAnother,
        Mischief::InvitesNowhere,
        Mischief::Tests,
        Mischief::TestsWrongly,
    ];
}

/// What does not change.
pub(crate) struct Part {
    pub(crate) server: ServerAddress,
    pub(crate) acts: Vec<(Time, FullLink, Mischief)>,
    pub(crate) group_link: String,
    pub(crate) owner: String,
    pub(crate) ledger: Ledger,
}

#[derive(Clone)]
pub(crate) struct Stranger {
    part: Rc<Part>,
    next: usize,
}

impl Stranger {
    pub(crate) fn new(part: Part) -> Self {
        Stranger { part: Rc::new(part), next: 0 }
    }

    pub(crate) fn restarted(&mut self, turn: &mut Turn<'_>) {
        self.wait(turn);
    }

    fn wait(&self, turn: &mut Turn<'_>) {
        if let Some((at, ..)) = self.part.acts.get(self.next) {
            turn.wake_after(at.since(turn.now()) + Duration::from_millis(1), 0);
        }
    }

    pub(crate) fn woken(&mut self, turn: &mut Turn<'_>) {
        let part = self.part.clone();
        if let Some((_, link, mischief)) = part.acts.get(self.next).filter(|(at, ..)| *at <= turn.now()) {
            self.next += 1;
            self.ask(turn, link.clone(), *mischief);
        }
        self.wait(turn);
    }

    fn ask(&mut self, turn: &mut Turn<'_>, link: FullLink, mischief: Mischief) {
        let Some(info) = self.info(turn, mischief) else { return };
        let (name, plan) = (format!("mischief {}", self.next), QueuePlan::at(self.part.server.clone()));
        let settings = Settings { pq: Pq::Off, ..Settings::default() };
        turn.begin(&name, |env| {
            let mut connection = Connection::open(JoinLink::Full(Box::new(link)), &settings, env);
            connection.join(plan, info, env)?;
            Ok(connection)
        })
        .expect("an address");
        self.part.ledger.count("requests of strangers");
    }

    fn info(&self, turn: &mut Turn<'_>, mischief: Mischief) -> Option<Vec<u8>> {
        let id = base64url(base64url(&random::array::<12>(turn.env().random)).as_bytes());
        let known = self.part.ledger.note(|entries| entries.requests.last().cloned());
        let said = match mischief {
            Mischief::Noise => return Some(random::array::<60>(turn.env().random).to_vec()),
            Mischief::WrongEvent => json!({"v": "9-19", "event": "x.grp.leave", "params": {}}),
            Mischief::Invites => self.invitation(&self.part.owner, &id, &self.part.group_link),
            Mischief::Repeats => return known,
            Mischief::RepeatsAsAnother => {
                let mut said: Value = crate::ledger::json(&known?);
                said["params"]["groupRelayInvitation"]["fromMember"]["memberId"] = id.into();
                said
            }
            Mischief::InvitesNowhere => {
                let nowhere =
                    format!("https://nowhere.example/c#{}", &self.part.group_link[self.part.group_link.len() - 43..]);
                self.invitation(&self.part.owner, &id, &nowhere)
            }
            Mischief::Tests | Mischief::TestsWrongly => {
                let length = if mischief == Mischief::Tests { 32 } else { 64 };
                let challenge = base64url(&random::array::<64>(turn.env().random)[..length]);
                json!({"v": "9-19", "event": "x.grp.relay.test", "params": {"challenge": challenge}})
            }
        };
        Some(serde_json::to_vec(&said).unwrap())
    }

    fn invitation(&self, owner: &str, id: &str, link: &str) -> Value {
        let invitation = json!({
            "fromMember": {"memberId": owner, "memberRole": "owner"},
            "fromMemberProfile": {"displayName": "Mallory", "fullName": ""},
            "relayMemberId": id,
            "groupLink": link,
        });
        json!({"v": "9-19", "event": "x.grp.relay.inv", "params": {"groupRelayInvitation": invitation}})
    }

    /// It agrees to everything, and goes on with forged messages.
    pub(crate) fn told(&mut self, turn: &mut Turn<'_>, name: &str, event: Event) {
        if turn.connection(name).is_none() {
            return;
        }
        match event {
            Event::Confirmed { .. } => {
                // It may have been told before.
                let _ = turn.step(name, |connection, env| connection.allow(b"{}".to_vec(), env));
            }
            Event::Connected { .. } => {
                turn.step(name, |connection, _| connection.heard());
                for body in [
                    br#"{"v":"9-19","event":"x.grp.del","params":{}}"#.to_vec(),
                    br#"{"v":"9-19","event":"x.grp.roster","params":{"version":7}}"#.to_vec(),
                    random::array::<50>(turn.env().random).to_vec(),
                ] {
                    // It may be over already.
                    let _ = turn.step(name, |connection, env| connection.send(&body, SendOptions::default(), env));
                }
            }
            Event::Message(message) => {
                // It may have been acknowledged before.
                let _ = turn.step(name, |connection, env| connection.acknowledge(&message.id, None, env));
            }
            Event::QueueLost | Event::NotSent { .. } => {
                turn.eventful(name, |connection, env| connection.delete(Delivery::Drop, env));
            }
            _ => {}
        }
    }
}
