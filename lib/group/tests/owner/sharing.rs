//! Several owners of one group: how they become owners, write one link without losing what others wrote, and cease.

use std::collections::BTreeSet;

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use crypto::SeededRandom;
use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use group::document::{GroupDocument, HandoverDocument, OwnerCandidateDocument, OwnerRequestDocument};
use group::identity::MemberId;
use group::owner::{Event, GroupOwner, LinkCondition, Outcome, OwnerError, Task, TaskId};
use group::owner_list::MAX_OWNERS;
use group::profile::GroupProfile;
use group::step::link_create::GroupContents;
use group::step::link_verify::{VerifiedGroupLink, verify_group_link};
use group::step::owner_accept::HandoverFault;
use group::step::owner_add::Handover;
use group::step::owner_request::{OwnerCandidate, OwnerRequest, VerifiedRequest};
use proptest::collection::vec;
use proptest::prelude::*;
use smp::command::LinkData;

use crate::support::{NOW, Relay, created, reread};

/// More rounds than owners who merge each other's changes ever need.
const ROUNDS: usize = 100;

/// The server of the link: it has what was written last, and takes commands from the keys that were set last.
struct Server {
    data: LinkData,
    keys: Vec<AuthPublicKey>,
    /// How often it was read.
    reads: usize,
    writes: usize,
}

impl Server {
    fn of(owner: &GroupOwner) -> Self {
        let keys = vec![owner.link().group().recipient_key().public().unwrap()];
        Server { data: owner.link().link_data().1, keys, reads: 0, writes: 0 }
    }

    fn found(&self, owner: &GroupOwner) -> RetrievedLinkData {
        let correlation_id = GroupDocument::from(owner).queue.correlation_id;
        RetrievedLinkData { sender_id: smp::id::SenderId::from_corr_id(&correlation_id), data: self.data.clone() }
    }

    fn takes(&self, key: &AuthPrivateKey) -> bool {
        self.keys.contains(&key.public().unwrap())
    }

    /// Does a task that the owner began.
    fn answer(&mut self, owner: &GroupOwner, task: Task) -> Outcome {
        match task {
            Task::ReadLink(link) => {
                assert!(link.same_link(owner.link().group().short_link()));
                self.reads += 1;
                Outcome::Retrieved(Box::new(self.found(owner)))
            }
            Task::SetQueueKeys(set) if self.takes(&set.key) => {
                self.keys = set.keys;
                Outcome::Done
            }
            Task::WriteLink(write) if self.takes(&write.key) => {
                assert_eq!(write.data.fixed, self.data.fixed);
                self.writes += 1;
                self.data = write.data;
                Outcome::Written(write.version)
            }
            Task::SetQueueKeys(_) | Task::WriteLink(_) => Outcome::Refused("AUTH".to_owned()),
            other => panic!("{other:?} is not about the link"),
        }
    }

    fn verified(&self, owner: &GroupOwner) -> VerifiedGroupLink {
        verify_group_link(owner.link().group().short_link().clone(), self.found(owner)).unwrap()
    }
}

/// An owner at work, and what it has begun.
struct Seat {
    owner: GroupOwner,
    random: SeededRandom,
    begun: Option<(TaskId, Outcome)>,
    events: Vec<Event>,
}

impl Seat {
    fn new(owner: GroupOwner, seed: u8) -> Self {
        Seat { owner, random: SeededRandom::new(&[seed; 32], "seat"), begun: None, events: Vec::new() }
    }

    fn first() -> (Self, Server) {
        let owner = GroupOwner::from(created(7));
        let server = Server::of(&owner);
        (Seat::new(owner, 1), server)
    }

    fn with<T>(&mut self, step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> T) -> T {
        step(&mut self.owner, &mut Env { now: Time::from_millis(NOW), random: &mut self.random })
    }

    fn id(&self) -> MemberId {
        self.owner.link().group().ownership().owner_id.clone()
    }

    /// Begins what is to be done about the link; the server does it now, and the answer arrives later.
    fn begin(&mut self, server: &mut Server) {
        if self.begun.is_some() {
            return;
        }
        if let Some(id) = self.owner.link_task() {
            let task = self.owner.task(&id).unwrap();
            self.begun = Some((id, server.answer(&self.owner, task)));
        }
    }

    fn end(&mut self) {
        if let Some((id, outcome)) = self.begun.take() {
            let events = self.with(|owner, env| owner.finish(&id, outcome, env)).unwrap();
            self.events.extend(events);
        }
    }

    /// Works on the link until nothing is to be done.
    fn settle(&mut self, server: &mut Server) {
        for _ in 0..ROUNDS {
            self.begin(server);
            if self.begun.is_none() {
                return;
            }
            self.end();
        }
        panic!("an owner does not come to an end: {:?}", self.owner.link_task());
    }

    /// The process ends; what it began may have been done.
    fn restart(&mut self) {
        self.begun = None;
        self.owner = reread(&self.owner);
    }

    fn describe(&mut self, text: &str) {
        let GroupContents { profile, member_count, .. } = self.owner.link().group().contents().clone();
        let profile = GroupProfile { description: Some(text.to_owned()), ..profile };
        self.with(|owner, env| owner.set_contents(profile, member_count, env)).unwrap();
    }

    fn rename(&mut self, text: &str) {
        let GroupContents { profile, member_count, .. } = self.owner.link().group().contents().clone();
        let profile = GroupProfile { display_name: text.to_owned(), ..profile };
        self.with(|owner, env| owner.set_contents(profile, member_count, env)).unwrap();
    }

    fn count(&mut self, members: u64) {
        let profile = self.owner.link().group().contents().profile.clone();
        self.with(|owner, env| owner.set_contents(profile, members, env)).unwrap();
    }

    fn list(&mut self, number: u8) {
        self.with(|owner, env| owner.relist(&[link(number)], &[], env)).unwrap();
    }

    fn unlist(&mut self, number: u8) {
        self.with(|owner, env| owner.relist(&[], &[link(number)], env)).unwrap();
    }

    fn relays(&self) -> BTreeSet<String> {
        self.owner.link().group().contents().relays.iter().map(ContactShortLink::to_string).collect()
    }

    fn profile(&self) -> &GroupProfile {
        &self.owner.link().group().contents().profile
    }

    fn owner_ids(&self) -> Vec<MemberId> {
        self.owner.owners().iter().map(|owner| owner.id().clone()).collect()
    }

    fn appoint(&mut self, request: OwnerRequest) -> VerifiedRequest {
        let request = request.verify().unwrap();
        self.with(|owner, env| owner.appoint(&request, env)).unwrap();
        request
    }

    fn hand_over(&mut self, request: &VerifiedRequest) -> Handover {
        Handover::seal(&self.owner, request, &mut self.random).unwrap()
    }
}

fn link(number: u8) -> ContactShortLink {
    Relay::new(number).relay_link(&MemberId::from_bytes(&[number; 4]).unwrap()).make().0
}

fn candidate(seat: &Seat, seed: u8) -> OwnerCandidate {
    let group_id = seat.owner.link().group().group_id();
    OwnerCandidate::new(group_id, &mut SeededRandom::new(&[seed; 32], "candidate"))
}

/// Another owner, whom this one lets in.
fn appointed(by: &mut Seat, server: &mut Server, seed: u8) -> Seat {
    let candidate = candidate(by, seed);
    let request = by.appoint(candidate.request());
    by.settle(server);
    let handover = by.hand_over(&request);
    let found = server.found(&by.owner);
    let owner = candidate.open(handover).unwrap().accept(found, 1_700_000_100).unwrap();
    Seat::new(owner, seed)
}

fn two() -> (Seat, Seat, Server) {
    let (mut first, mut server) = Seat::first();
    let second = appointed(&mut first, &mut server, 2);
    (first, second, server)
}

#[test]
fn chat_16_a_single_owner_reads_nothing_before_it_writes() {
    let (mut first, mut server) = Seat::first();
    assert_eq!(first.owner.link_task(), None);
    first.describe("On Sundays");
    first.settle(&mut server);
    assert_eq!((server.reads, server.writes), (0, 1));
    assert_eq!(server.verified(&first.owner).revision().unwrap().number(), 2);
}

#[test]
fn a_further_owner_needs_no_root_key_and_everybody_believes_it() {
    let (mut first, mut second, mut server) = two();
    let json = serde_json::to_value(GroupDocument::from(&second.owner)).unwrap();
    assert!(json["owner"].get("root_private_key").is_none());
    assert_eq!(json["owners"].as_array().unwrap().len(), 2);
    assert_eq!(server.keys.len(), 2);
    second.restart();

    second.describe("By bicycle");
    second.settle(&mut server);
    let verified = server.verified(&second.owner);
    assert_eq!(verified.profile().description.as_deref(), Some("By bicycle"));
    let named: Vec<MemberId> = verified.owners().iter().map(|owner| owner.id.clone()).collect();
    assert_eq!(named, [first.id(), second.id()]);
    assert_eq!(verified.signer(), second.owner.link().group().ownership().owner_key.public().0);
    assert_eq!(verified.revision().unwrap().by(), &second.id());

    first.restart();
    first.settle(&mut server);
    assert_eq!(first.profile().description.as_deref(), Some("By bicycle"), "it reads what the other one wrote");
    first.rename("Rides");
    first.settle(&mut server);
    let verified = server.verified(&first.owner);
    assert_eq!(
        (verified.profile().display_name.as_str(), verified.profile().description.as_deref()),
        ("Rides", Some("By bicycle"))
    );
    assert_eq!(reread(&first.owner).owners(), first.owner.owners());
}

#[test]
fn a_further_owner_lets_in_another_one() {
    let (mut first, mut second, mut server) = two();
    let mut third = appointed(&mut second, &mut server, 3);
    third.list(5);
    third.settle(&mut server);
    first.restart();
    first.settle(&mut server);
    assert_eq!(first.owner_ids(), [first.id(), second.id(), third.id()]);
    assert_eq!(server.keys.len(), 3, "the server takes commands from all of them");
    assert_eq!(server.verified(&first.owner).relay_links(), [link(5)]);
}

#[test]
fn what_two_owners_write_at_once_is_merged() {
    let (mut first, mut second, mut server) = two();
    for seat in [&mut first, &mut second] {
        seat.restart();
        seat.settle(&mut server);
    }
    first.list(5);
    second.list(6);
    second.rename("Rides");
    // Both look, then both write: the server has what the second one wrote.
    for seat in [&mut first, &mut second] {
        seat.begin(&mut server);
    }
    for seat in [&mut first, &mut second] {
        seat.end();
        seat.begin(&mut server);
    }
    assert_eq!(server.verified(&first.owner).relay_links(), [link(6)]);
    for seat in [&mut first, &mut second] {
        seat.end();
        seat.settle(&mut server);
    }
    second.restart();
    second.settle(&mut server);
    let both = BTreeSet::from([link(5).to_string(), link(6).to_string()]);
    assert_eq!((first.relays(), second.relays()), (both.clone(), both));
    assert_eq!(first.profile().display_name, "Rides");
    assert!(first.events.iter().chain(&second.events).all(|event| !matches!(event, Event::LinkConflict(_))));
}

#[test]
fn of_two_values_for_one_field_that_of_the_earlier_owner_stays_and_both_are_told() {
    let (mut first, mut second, mut server) = two();
    first.describe("On Sundays");
    second.describe("On Mondays");
    first.settle(&mut server);
    second.settle(&mut server);
    assert_eq!(second.profile().description.as_deref(), Some("On Sundays"));
    let conflict = second.events.iter().find_map(|event| match event {
        Event::LinkConflict(overridden) => Some(overridden.clone()),
        _ => None,
    });
    let conflict = conflict.unwrap();
    assert_eq!((conflict.field.as_str(), conflict.kept, conflict.lost), ("description", first.id(), second.id()));
    first.restart();
    first.settle(&mut server);
    assert_eq!(first.profile().description.as_deref(), Some("On Sundays"));
}

#[test]
fn a_relay_that_one_owner_removes_stays_removed_whatever_the_other_changes() {
    let (mut first, mut second, mut server) = two();
    first.list(5);
    first.list(6);
    first.settle(&mut server);
    second.restart();
    second.settle(&mut server);
    second.unlist(5);
    first.rename("Rides");
    second.settle(&mut server);
    first.settle(&mut server);
    assert_eq!(first.relays(), BTreeSet::from([link(6).to_string()]));
    assert_eq!(server.verified(&first.owner).profile().display_name, "Rides");
}

#[test]
fn a_server_that_returns_what_was_before_is_found_out_and_written_again() {
    let (mut first, mut second, mut server) = two();
    let old = server.data.clone();
    second.list(5);
    second.settle(&mut server);
    first.restart();
    first.settle(&mut server);
    server.data = old;
    let found = Outcome::Retrieved(Box::new(server.found(&first.owner)));
    assert_eq!(first.owner.read_back(&found), Some(LinkCondition::Old));
    first.restart();
    first.settle(&mut server);
    assert_eq!(server.verified(&first.owner).relay_links(), [link(5)]);

    second.settle(&mut server);
    let newer = Outcome::Retrieved(Box::new(server.found(&second.owner)));
    first.list(6);
    first.settle(&mut server);
    assert_eq!(first.owner.read_back(&newer), Some(LinkCondition::Old));
    let newest = Outcome::Retrieved(Box::new(server.found(&second.owner)));
    assert_eq!(second.owner.read_back(&newest), Some(LinkCondition::Newer));
}

#[test]
fn an_owner_is_removed_by_those_before_it_only_and_writes_no_more() {
    let (mut first, mut second, mut server) = two();
    let third = appointed(&mut second, &mut server, 3);
    let (first_id, second_id, third_id) = (first.id(), second.id(), third.id());
    let refused = |error| matches!(error, Err(OwnerError::MayNotDismiss(_)));
    assert!(refused(second.with(|owner, env| owner.dismiss(&first_id, env))));
    assert!(refused(second.with(|owner, env| owner.dismiss(&second_id, env))));

    first.restart();
    first.settle(&mut server);
    first.with(|owner, env| owner.dismiss(&second_id, env)).unwrap();
    first.settle(&mut server);
    assert_eq!(first.owner_ids(), [first_id], "the third came in through the second");
    assert_eq!(server.keys.len(), 1);

    second.describe("Mine");
    second.restart();
    second.settle(&mut server);
    assert!(second.events.contains(&Event::Dismissed));
    assert_eq!(second.owner.link_task(), None);
    assert_eq!(server.verified(&first.owner).profile().description, None);
    let again = candidate(&second, 9).request().verify().unwrap();
    assert!(matches!(second.with(|owner, env| owner.appoint(&again, env)), Err(OwnerError::NotAnOwner)));
    assert!(first.owner.owner(&third_id).is_none());

    // Alone again, the first owner reads nothing before it writes.
    let reads = server.reads;
    first.describe("Ours");
    first.settle(&mut server);
    assert_eq!(server.reads, reads);
}

#[test]
fn nobody_becomes_an_owner_with_a_request_that_was_changed() {
    let (mut first, _) = Seat::first();
    let (one, other) = (candidate(&first, 2), candidate(&first, 3));
    let requests: [fn(&mut OwnerRequest, &OwnerCandidate); 5] = [
        |request, other| request.owner_id = other.owner_id.clone(),
        |request, other| request.owner_key = other.owner_key.public(),
        |request, other| request.queue_key = other.queue_key.public(),
        |request, other| request.handover_key = other.handover_key.public(),
        |request, _| request.group_id = created(8).group().group_id(),
    ];
    for change in requests {
        let mut request = one.request();
        change(&mut request, &other);
        assert!(request.verify().is_err());
    }
    let foreign = OwnerCandidate::new(created(8).group().group_id(), &mut first.random);
    let foreign = foreign.request().verify().unwrap();
    assert!(matches!(first.with(|owner, env| owner.appoint(&foreign, env)), Err(OwnerError::OtherGroup)));

    // The same request twice is one owner; the same name with another key is none.
    first.appoint(one.request());
    first.appoint(one.request());
    assert_eq!(first.owner.owners().len(), 2);
    let namesake = OwnerCandidate { owner_id: one.owner_id.clone(), ..other };
    let namesake = namesake.request().verify().unwrap();
    assert!(matches!(first.with(|owner, env| owner.appoint(&namesake, env)), Err(OwnerError::OwnerKnown(_))));
    for seed in 10.. {
        let request = candidate(&first, seed).request().verify().unwrap();
        match first.with(|owner, env| owner.appoint(&request, env)) {
            Ok(()) => assert!(first.owner.owners().len() <= MAX_OWNERS),
            Err(error) => return assert!(matches!(error, OwnerError::TooManyOwners(MAX_OWNERS))),
        }
    }
}

#[test]
fn a_handover_is_for_one_request_and_from_an_owner_of_the_group() {
    let (mut first, mut server) = Seat::first();
    let candidate = candidate(&first, 2);
    let request = candidate.request().verify().unwrap();
    assert!(Handover::seal(&first.owner, &request, &mut first.random).is_err(), "nobody let it in");
    let before = server.found(&first.owner);
    first.appoint(candidate.request());
    first.settle(&mut server);
    let handover = first.hand_over(&request);
    let fault = |handover: Handover, found: &RetrievedLinkData| match candidate.clone().open(handover) {
        Ok(opened) => opened.accept(found.clone(), 0).err(),
        Err(fault) => Some(fault),
    };
    let found = server.found(&first.owner);
    assert_eq!(fault(handover.clone(), &found), None);
    assert_eq!(fault(handover.clone(), &before), Some(HandoverFault::NotListed));

    let changed = |change: fn(&mut Handover)| {
        let mut handover = handover.clone();
        change(&mut handover);
        fault(handover, &found)
    };
    assert!(matches!(changed(|handover| handover.owner_id = handover.by.clone()), Some(HandoverFault::NotOurs { .. })));
    assert_eq!(changed(|handover| handover.sealed[20] ^= 1), Some(HandoverFault::Sealed));
    assert_eq!(changed(|handover| handover.signature[0] ^= 1), Some(HandoverFault::NotSigned));
    assert_eq!(changed(|handover| handover.by = handover.owner_id.clone()), Some(HandoverFault::NotSigned));
    let other = OwnerCandidate::new(candidate.group_id, &mut first.random);
    let other = OwnerCandidate { owner_id: candidate.owner_id.clone(), ..other };
    assert!(matches!(other.open(handover.clone()).err(), Some(HandoverFault::Sealed)));
    let mut foreign = Seat::new(GroupOwner::from(created(8)), 4);
    let foreign_server = Server::of(&foreign.owner);
    let elsewhere = Handover { link: foreign.owner.link().group().short_link().clone(), ..handover.clone() };
    let elsewhere = fault(elsewhere, &foreign_server.found(&foreign.owner));
    assert!(matches!(elsewhere, Some(HandoverFault::NotOurs { .. })), "{elsewhere:?}");
    assert!(foreign.owner.link_task().is_none() && foreign.with(|owner, _| owner.is_settled()));
}

#[test]
fn the_documents_of_an_appointment_survive_and_keep_their_secrets() {
    let (mut first, mut server) = Seat::first();
    let candidate = candidate(&first, 2);
    let document = OwnerCandidateDocument::from(&candidate);
    let json = serde_json::to_value(&document).unwrap();
    for secret in OwnerCandidateDocument::SECRETS {
        assert!(json.get(secret).is_some(), "{secret}");
    }
    let private = json.as_object().unwrap().keys().filter(|key| key.contains("private")).count();
    assert_eq!(private, OwnerCandidateDocument::SECRETS.len());
    let read: OwnerCandidateDocument = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(OwnerCandidate::try_from(read).unwrap().request(), candidate.request());
    let mut mixed = json.clone();
    mixed["queue_private_key"] = json["owner_private_key"].clone();
    let mixed: OwnerCandidateDocument = serde_json::from_value(mixed).unwrap();
    assert_eq!(OwnerCandidate::try_from(mixed).unwrap_err().field, "signature");

    let public: OwnerRequestDocument = serde_json::from_value(json).unwrap();
    let request = first.appoint(public.into());
    first.settle(&mut server);
    let handover = first.hand_over(&request);
    let json = serde_json::to_value(HandoverDocument::from(handover.clone())).unwrap();
    let text = json.to_string();
    let queue = serde_json::to_value(GroupDocument::from(&first.owner).queue).unwrap();
    for secret in
        ["correlation_id", "queue_private_key", "recipient_private_key", "delivery_private_key", "recipient_id"]
    {
        assert!(!text.contains(queue[secret].as_str().unwrap()), "{secret}");
    }
    let read: HandoverDocument = serde_json::from_value(json).unwrap();
    assert_eq!(Handover::try_from(read).unwrap(), handover);
}

#[test]
fn a_group_document_with_other_owners_than_its_link_is_refused() {
    let (first, _, _) = two();
    let json = serde_json::to_value(GroupDocument::from(&first.owner)).unwrap();
    let edits: [fn(&mut serde_json::Value); 4] = [
        |json| drop(json["owners"].as_array_mut().unwrap().pop()),
        |json| json["owners"][1]["owner_public_key"] = json["owners"][0]["owner_public_key"].clone(),
        |json| json["link_data"]["version"] = 7.into(),
        |json| json["link_data"]["known"][0]["user"] = json["link_data"]["fixed"].clone(),
    ];
    for edit in edits {
        let mut json = json.clone();
        edit(&mut json);
        let document: GroupDocument = serde_json::from_value(json).unwrap();
        assert!(group::document::GroupState::try_from(document).is_err());
    }
}

/// Something that happens to one of the owners.
#[derive(Debug, Clone, Copy)]
enum Act {
    List(u8),
    Unlist(u8),
    Describe(u8),
    Rename(u8),
    Count(u8),
    /// The server gets the next command; its answer is on its way.
    Begin,
    /// The answer arrives.
    End,
    /// The process ends, with what it had begun done or not, and begins again.
    Crash,
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let act = prop_oneof![
        2 => (0..6u8).prop_map(Act::List),
        1 => (6..9u8).prop_map(Act::List),
        1 => (6..9u8).prop_map(Act::Unlist),
        1 => any::<u8>().prop_map(Act::Describe),
        1 => any::<u8>().prop_map(Act::Rename),
        1 => any::<u8>().prop_map(Act::Count),
        8 => Just(Act::Begin),
        8 => Just(Act::End),
        2 => Just(Act::Crash),
    ];
    (any::<prop::sample::Index>(), act).prop_map(|(seat, act)| (seat.index(6), act))
}

impl Seat {
    fn act(&mut self, act: Act, server: &mut Server) {
        match act {
            Act::List(number) => self.list(number),
            Act::Unlist(number) => self.unlist(number),
            Act::Describe(number) => self.describe(&number.to_string()),
            Act::Rename(number) => self.rename(&format!("Walks {number}")),
            Act::Count(number) => self.count(number.into()),
            Act::Begin => self.begin(server),
            Act::End => self.end(),
            Act::Crash => self.restart(),
        }
    }
}

/// Everybody looks and writes until nobody has anything to say.
fn agree(seats: &mut [Seat], server: &mut Server) {
    for _ in 0..ROUNDS {
        let before = server.data.clone();
        for seat in seats.iter_mut() {
            seat.restart();
            seat.settle(server);
        }
        if server.data == before {
            return;
        }
    }
    panic!("the owners never agree");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Links 0 to 5 are only ever added.
    #[test]
    fn owners_who_write_at_once_agree_and_lose_no_relay(acts in vec(act(), 1..60), number in 2..=3usize) {
        let (mut first, mut server) = Seat::first();
        let second = appointed(&mut first, &mut server, 2);
        let mut seats = vec![first, second];
        if number == 3 {
            let third = appointed(&mut seats[1], &mut server, 3);
            seats.push(third);
        }
        let mut added = BTreeSet::new();
        for (seat, act) in acts {
            if let Act::List(relay @ 0..6) = act {
                added.insert(link(relay).to_string());
            }
            seats[seat % number].act(act, &mut server);
        }
        agree(&mut seats, &mut server);
        let written = server.verified(&seats[0].owner);
        let said = seats[0].owner.link().group().contents().clone();
        prop_assert_eq!(written.relay_links(), &said.relays[..]);
        for seat in &seats {
            prop_assert!(seat.owner.is_settled());
            prop_assert_eq!(seat.owner.link().group().contents(), &said);
            prop_assert_eq!(seat.owner.owners().len(), number);
            prop_assert!(added.is_subset(&seat.relays()), "{:?} lacks some of {:?}", seat.relays(), added);
        }
    }
}
