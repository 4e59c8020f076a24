//! A member's program: it verifies the group link, joins, runs the tasks of its machine, keeps what it heard.

use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};
use group::document::MemberDocument;
use group::membership::{Change, Event, MemberError, Membership, Outcome, Received, Task, TaskId};
use group::owner::Persona;
use group::step::link_verify::LinkVerification;

use crate::checks::Reader;
use crate::links::Found;
use crate::owner::{Disk, TASKS};
use crate::pipes::{Client, Letter, PipeId};
use crate::plan::{Deed, Words};
use crate::stage::{Fate, Host, Party, Stage, server};

/// How long somebody waits who cannot join yet, in milliseconds.
const AGAIN: u64 = 60_000;

pub(crate) struct Member {
    /// Whether its runs take messages until they are stopped.
    goes_on: bool,
    pub(crate) machine: Option<Membership>,
    pub(crate) disk: Disk,
    pub(crate) host: Host,
    /// What it was shown.
    pub(crate) reader: Reader,
}

impl Member {
    pub(crate) fn new(goes_on: bool) -> Self {
        Member { goes_on, machine: None, disk: Disk::default(), host: Host::default(), reader: Reader::default() }
    }

    /// As another run reads it from its file.
    pub(crate) fn reload(&mut self, now: Time) {
        let Some(machine) = &self.machine else { return };
        let text = serde_json::to_vec(&MemberDocument::from(machine)).expect("a document");
        let document: MemberDocument = serde_json::from_slice(&text).expect("our own document");
        let mut machine = Membership::try_from(document).expect("a consistent document");
        machine.open(now);
        if self.goes_on {
            machine.go_on();
        }
        self.machine = Some(machine);
    }
}

impl Stage {
    pub(crate) fn member_works(&mut self, number: usize, restarts: bool) -> Option<Time> {
        if self.members[number].machine.is_none() {
            self.join(number);
        }
        let now = self.now;
        let member = &mut self.members[number];
        let Some(machine) = member.machine.as_mut() else {
            return Some(now.after(std::time::Duration::from_millis(AGAIN)));
        };
        if restarts {
            machine.open(now);
        }
        let events = machine.elapsed(&member.disk, now).expect("records that can be read");
        self.told(number, None, events);
        for _ in 0..TASKS {
            let machine = self.members[number].machine.as_ref()?;
            let Some(id) = machine.due(self.now).first().cloned() else {
                return machine.next_due().map(|next| next.max(self.now.after(std::time::Duration::from_millis(1))));
            };
            let outcome = match self.fails() {
                true => Outcome::Unreachable("the network is gone".to_owned()),
                false => self.member_task(number, &id),
            };
            let fate = self.fate();
            if fate != Fate::Before {
                self.member_step(number, None, |member, _, env| {
                    member.finish(&id, outcome, env).map(|events| Received { events, changes: Vec::new() })
                });
            }
            if fate != Fate::Calm {
                self.crash(Party::Member(number));
                return None;
            }
        }
        self.violate(format_args!("tasks of member {number} without end"));
        None
    }

    /// Somebody follows the group link.
    fn join(&mut self, number: usize) {
        let link = self.owners[0].machine.link().group().short_link().clone();
        let Found::Data(data) = self.links.read(&link) else { return };
        let Some(verified) = verify(link, &data) else {
            return self.violate(format_args!("an owner's link does not pass"));
        };
        let persona = Persona::random(server("receive.example.org"), &mut self.random);
        let mut env = Env { now: self.now, random: &mut self.random };
        match Membership::join(&verified, &data, persona, &mut env) {
            Ok(mut machine) => {
                if self.members[number].goes_on {
                    machine.go_on();
                }
                self.note(format_args!("member {number} is {} and joins", machine.id()));
                self.truth.people.insert(machine.id().clone(), Client::Member(number));
                self.truth.keys.insert(machine.id().clone(), machine.key());
                self.members[number].machine = Some(machine);
                self.count("members that joined");
            }
            Err(MemberError::NoRelays) => {}
            Err(error) => self.violate(format_args!("member {number} cannot join: {error}")),
        }
    }

    /// A step, and what it tells, once it is durable. `from` is the connection through which came what led to it.
    fn member_step(
        &mut self,
        number: usize,
        from: Option<PipeId>,
        step: impl FnOnce(&mut Membership, &Disk, &mut Env<'_>) -> Result<Received, MemberError>,
    ) {
        let member = &mut self.members[number];
        let mut env = Env { now: self.now, random: &mut self.random };
        let machine = member.machine.as_mut().expect("a member");
        match step(machine, &member.disk, &mut env) {
            Ok(Received { events, changes }) => {
                member.disk.write(changes);
                self.told(number, from, events);
            }
            Err(MemberError::UnknownConnection(_)) => {}
            Err(error) => self.violate(format_args!("the machine of member {number}: {error}")),
        }
    }

    fn told(&mut self, number: usize, from: Option<PipeId>, events: Vec<Event>) {
        for event in events {
            self.judge(Client::Member(number), from, &event);
        }
    }

    fn member_task(&mut self, number: usize, id: &TaskId) -> Outcome {
        let client = Client::Member(number);
        let machine = self.members[number].machine.as_ref().expect("a member");
        match machine.task(id).expect("a task that is due") {
            Task::ReadLink(link) => match self.links.read(&link) {
                Found::Data(data) => Outcome::Retrieved(data),
                Found::Nothing => Outcome::Refused("no such link".to_owned()),
                Found::Unreachable => Outcome::Unreachable("no answer".to_owned()),
            },
            Task::Open { connection, link, info, .. } => {
                match self.open(client, &connection, &link.request().first_queue().address.sender_id, info) {
                    true => Outcome::Done,
                    false => Outcome::Refused("no such queue".to_owned()),
                }
            }
            Task::Allow { connection, info } => {
                self.allow(client, &connection, info);
                Outcome::Done
            }
            Task::Send { connection, body } => {
                let author = machine.id().clone();
                self.truth.note_signed(&author, &body, self.now);
                self.send(client, &connection, body);
                Outcome::Done
            }
            Task::Delete { connection, delivery } => {
                self.leave(client, &connection, delivery);
                Outcome::Done
            }
        }
    }

    pub(crate) fn member_takes(&mut self, number: usize, pipe: PipeId, letter: &Letter) {
        let name = self.pipes.all[pipe].name.clone();
        let events = |events| Received { events, changes: Vec::new() };
        self.member_step(number, Some(pipe), |member, disk, env| match letter {
            Letter::Answer(info) => member.answered(&name, info, env).map(events),
            Letter::Connected => member.connected(&name, env).map(events),
            Letter::Body(body) => member.received(&name, body, disk, env),
            Letter::Lost => member.connection_failed(&name, "the other side is gone", env).map(events),
            Letter::Request(_) | Letter::Allowed(_) => panic!("not for members"),
        });
    }

    /// The member's user wants something. Not everything is possible at all times.
    pub(crate) fn member_does(&mut self, number: usize, deed: &Deed) {
        if self.members[number].machine.is_none() {
            return;
        }
        self.note(format_args!("member {number}: {deed:?}"));
        match deed {
            Deed::Say(words) => self.member_says(number, words),
            Deed::Leave => {
                let mut env = Env { now: self.now, random: &mut self.random };
                let machine = self.members[number].machine.as_mut().expect("a member");
                if let Ok(events) = machine.leave(&mut env) {
                    self.told(number, None, events);
                }
            }
            other => panic!("{other:?} is not for members"),
        }
        self.wake(Party::Member(number));
    }

    fn member_says(&mut self, number: usize, words: &Words) {
        let client = Client::Member(number);
        let Some((speech, kind)) = self.speech(client, words) else { return };
        let member = &mut self.members[number];
        let mut env = Env { now: self.now, random: &mut self.random };
        let Some(machine) = member.machine.as_mut() else { return };
        let Ok(said) = machine.say(&speech, &member.disk, &mut env) else { return self.count("unsayable words") };
        let ids = said.relays.iter().filter_map(|relay| machine.relay(*relay)?.id());
        let relays = ids.filter_map(|id| self.truth.relay_ids.get(id)).copied().collect();
        let changes: Vec<Change> = said.changes;
        member.disk.write(changes);
        self.said(client, &said.messages, relays, (&speech, kind));
    }
}

fn verify(
    link: agent::short_link::ContactShortLink,
    data: &RetrievedLinkData,
) -> Option<group::step::link_verify::VerifiedGroupLink> {
    let mut verification = LinkVerification::start(link);
    verification.fetched([Ok(data.clone())]);
    let relays = verification.to_fetch().len();
    verification.fetched((0..relays).map(|_| Err("read later".to_owned())));
    verification.finish().verified
}
