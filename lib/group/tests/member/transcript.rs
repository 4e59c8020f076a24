//! What owners counted, compared with what relays delivered.

use std::collections::BTreeSet;
use std::time::Duration;

use group::content::{Content, Mentions, MessageDeletion, NewMessage};
use group::element::{AuthoredMessage, Element};
use group::event::{Event as ChatEvent, GroupInfo, MemberNew};
use group::identity::MemberId;
use group::keys::{Asserted, LinkKeys};
use group::member::{MemberInfo, MemberProfile, Role};
use group::membership::{Compared, Event, Finding, PATIENCE, RelayName, Saying, Speech, Voice};
use group::roster::Roster;
use group::step::link_create::GroupContents;
use group::transcript::{Ledger, Mark, Post, Setting, Strength, Transcript, Writer};
use group::verification::Recipient;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Desk, Relay, body, by_at, by_channel, id, message_id, post, post_as_group, unsigned};

const POSTS: usize = 64;

/// An owner who says something and counts it, beside a member.
struct Count {
    desk: Desk,
    ledger: Ledger,
}

fn three() -> [Relay; 3] {
    [Relay::new(1), Relay::new(2), Relay::new(3)]
}

impl Count {
    /// A member that is connected for long enough that everything new is owed to it.
    fn new(strength: Strength, relays: &[Relay]) -> Self {
        let mut desk = Desk::connected(&relays.iter().collect::<Vec<_>>());
        desk.later(PATIENCE * 2);
        Count { desk, ledger: Ledger::new(Setting::On(strength)) }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.desk.now.millis() / 1000).unwrap()
    }

    /// The owner says something as the group.
    fn says(&mut self, name: &str) -> AuthoredMessage {
        let said = unsigned(name, post_as_group(name));
        self.counts(&said);
        said
    }

    fn counts(&mut self, said: &AuthoredMessage) {
        let accepted = said.clone().accept_from_channel().unwrap();
        self.counts_post(Post::of(&accepted, self.now()).unwrap());
    }

    fn counts_post(&mut self, post: Post) {
        self.ledger.said(post.clone());
        self.ledger.sent(&post.id);
    }

    /// Somebody's post that all relays delivered to the owner.
    fn hears(&mut self, author: &MemberId, said: &AuthoredMessage) {
        let group = self.desk.owner.group_id();
        let known = LinkKeys::default().author(author, &Roster::default(), Asserted { role: Role::Author, key: None });
        let accepted = said.clone().verify(&known, &Recipient { group, role: Role::Owner }).unwrap();
        let post = Post::of(&accepted, self.now()).unwrap();
        self.ledger.heard(post);
    }

    fn mark(&mut self) -> Mark {
        let (by, now) = (self.desk.owner.id(), self.now());
        self.ledger.next_mark(&by, POSTS, now).unwrap()
    }

    /// The group link says it, and the member reads that.
    fn publish(&mut self, mark: &Mark) {
        self.publish_transcript(Transcript::from(mark.clone()));
    }

    fn publish_transcript(&mut self, transcript: Transcript) {
        self.desk.owner.write(GroupContents { transcript, ..self.desk.owner.contents() });
        self.desk.publish_group();
        self.read_link();
    }

    fn read_link(&mut self) {
        self.desk.tell(|member, env| member.restore(env));
        self.desk.run();
        self.desk.later(Duration::ZERO);
    }

    /// The mark in a message of the owner, through a relay.
    fn tell(&mut self, relay: &Relay, name: &str, mark: &Mark) {
        let group_profile = self.desk.owner.contents().profile;
        let info = GroupInfo { group_profile, transcript: Transcript::from(mark.clone()) };
        let said = self.desk.owner.signs(name, ChatEvent::GroupInfo(info.into()));
        let owner = self.desk.owner.id();
        let sent_at = self.now();
        self.desk.deliver(relay, by_at(&owner, sent_at, said));
        self.desk.later(Duration::ZERO);
    }

    fn deliver(&mut self, relays: &[Relay], said: &AuthoredMessage) {
        for relay in relays {
            self.desk.deliver(relay, by_channel(said.clone()));
        }
    }

    /// What was told since the last call.
    fn told(&mut self) -> Vec<Compared> {
        let events = self.desk.take_events();
        events
            .into_iter()
            .filter_map(|event| match event {
                Event::Compared(Finding { what, .. }) => Some(what),
                _ => None,
            })
            .collect()
    }

    /// What is wrong now.
    fn findings(&self) -> Vec<Compared> {
        self.desk.member.findings().into_iter().map(|finding| finding.what).collect()
    }

    fn wait(&mut self) {
        self.desk.later(PATIENCE + Duration::from_secs(1));
    }
}

fn names(findings: &[Compared]) -> BTreeSet<String> {
    let name = |finding: &Compared| match finding {
        Compared::Withheld { message, .. } | Compared::Altered { message, .. } | Compared::Unmarked { message } => {
            String::from_utf8(message.as_bytes().to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    };
    findings.iter().map(name).collect()
}

#[test]
fn a_post_that_all_relays_withhold_is_named_when_patience_is_over() {
    for strength in [Strength::Count, Strength::Digest] {
        let relays = three();
        let mut count = Count::new(strength, &relays);
        for name in ["one", "two", "three"] {
            let said = count.says(name);
            if name != "two" {
                count.deliver(&relays, &said);
            }
        }
        let mark = count.mark();
        count.publish(&mark);
        assert_eq!(count.told(), [], "it may still be on its way");
        count.desk.restart();
        count.wait();
        let told = count.told();
        let [Compared::Withheld { message, said_at, .. }] = &told[..] else { panic!("{told:?}") };
        assert_eq!((message, *said_at), (&message_id("two"), mark.posts[1].said_at));
        count.wait();
        count.read_link();
        assert_eq!(count.told(), [], "it is told once");
        count.desk.restart();
        assert_eq!(names(&count.findings()), ["two".to_owned()].into(), "and stays so");
    }
}

#[test]
fn a_mark_that_a_relay_passes_on_finds_the_same_and_is_not_shown_as_something_said() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    count.says("one");
    let mark = count.mark();
    count.tell(&relays[1], "mark", &mark);
    assert_eq!(count.desk.texts(), [""; 0]);
    count.wait();
    assert_eq!(names(&count.told()), ["one".to_owned()].into());
}

#[test]
fn marks_in_messages_of_others_than_their_owner_count_for_nothing() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    count.says("one");
    let mark = Mark { by: id("anna"), ..count.mark() };
    count.tell(&relays[0], "mark", &mark);
    count.publish(&mark);
    count.wait();
    assert_eq!((count.told(), count.findings()), (vec![], vec![]));
}

#[test]
fn what_one_of_three_relays_delivers_is_not_withheld() {
    let relays = three();
    let mut count = Count::new(Strength::Digest, &relays);
    let said = count.says("one");
    let mark = count.mark();
    count.publish(&mark);
    count.deliver(&relays[2..], &said);
    count.wait();
    assert_eq!(count.told(), []);
}

#[test]
fn a_post_that_comes_after_all_is_late_and_no_longer_missing() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    let said = count.says("one");
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    assert_eq!(count.told().len(), 1);
    count.deliver(&relays[..1], &said);
    let late = Event::Late { message: message_id("one"), relay: relays[0].id() };
    assert!(count.desk.take_events().contains(&late));
    assert_eq!(count.findings(), []);
}

#[test]
fn whoever_joins_misses_nothing_that_came_before() {
    let relays = three();
    let desk = Desk::connected(&relays.iter().collect::<Vec<_>>());
    let mut count = Count { desk, ledger: Ledger::default() };
    for name in ["before", "while joining"] {
        count.says(name);
    }
    // An owner that hears, or writes the link, much later than somebody spoke.
    let old = Post { said_at: count.now() - 100_000, ..count.ledger_post("old") };
    count.counts_post(old);
    count.desk.later(PATIENCE * 2);
    let late = Post { said_at: count.now() - 3600, ..count.ledger_post("late") };
    count.counts_post(late);
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    count.says("after");
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    assert_eq!(names(&count.told()), ["after".to_owned()].into());
}

impl Count {
    fn ledger_post(&self, name: &str) -> Post {
        Post { id: message_id(name), writer: Writer::Group, said_at: self.now(), digest: None }
    }
}

#[test]
fn what_was_said_while_no_relay_was_connected_is_owed_by_nobody() {
    let relay = Relay::new(1);
    let mut count = Count::new(Strength::Count, &[relay.clone()]);
    count.desk.fail(&relay, group::membership::Line::Main);
    count.says("in between");
    count.desk.later(PATIENCE);
    count.desk.tell(|member, env| member.restore(env));
    count.desk.run();
    count.desk.admit(&relay);
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    assert_eq!(count.told(), []);
}

#[test]
fn a_digest_finds_what_all_relays_altered_and_a_count_does_not() {
    let relays = three();
    for strength in [Strength::Count, Strength::Digest] {
        let mut count = Count::new(strength, &relays);
        count.says("one");
        let mark = count.mark();
        count.publish(&mark);
        count.deliver(&relays[..2], &unsigned("one", post_as_group("something else")));
        count.wait();
        let told = count.told();
        match strength {
            Strength::Count => assert_eq!(told, []),
            Strength::Digest => {
                let [Compared::Altered { message, relays: by, .. }] = &told[..] else { panic!("{told:?}") };
                assert_eq!(*message, message_id("one"));
                assert_eq!(by[..], [RelayName(relays[0].id()), RelayName(relays[1].id())]);
            }
        }
    }
}

#[test]
fn a_digest_says_which_of_two_unsigned_copies_the_owner_counted() {
    let relays = three();
    let mut count = Count::new(Strength::Digest, &relays);
    let said = count.says("one");
    count.deliver(&relays[..1], &unsigned("one", post_as_group("something else")));
    count.deliver(&relays[1..], &said);
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    let told = count.told();
    let [Compared::Altered { relays: by, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(by[..], [RelayName(relays[0].id())]);
}

#[test]
fn deleted_posts_and_posts_in_refused_copies_are_not_withheld() {
    let relays = three();
    let mut count = Count::new(Strength::Digest, &relays);
    let said = count.says("deleted");
    count.deliver(&relays[..1], &said);
    let deletion =
        MessageDeletion { message_id: message_id("deleted"), member_id: None, scope: None, only_history: None };
    count.deliver(&relays[..1], &unsigned("deletion", ChatEvent::MessageDelete(deletion)));
    // The member does not know yet that anna may write.
    let anna = id("anna");
    let said = unsigned("anna's", post("hello"));
    count.hears(&anna, &said);
    let sent_at = count.now();
    count.desk.deliver(&relays[0], by_at(&anna, sent_at, said));
    let mark = count.mark();
    assert_eq!(mark.posts.len(), 2);
    count.publish(&mark);
    count.wait();
    assert_eq!(count.told(), []);
}

#[test]
fn relays_cannot_fill_up_a_record_to_make_a_post_look_withheld_or_altered() {
    let relays = three();
    let mut count = Count::new(Strength::Digest, &relays);
    let said = count.says("one");
    for number in 0..9 {
        count.deliver(&relays[..1], &unsigned("one", post_as_group(&format!("forged {number}"))));
    }
    count.deliver(&relays[1..], &said);
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    assert_eq!(count.told(), [], "that relays disagree was told as such");
}

#[test]
fn chats_with_the_moderators_are_in_no_transcript() {
    let scope = Some(group::content::Scope::Member(group::content::Mention { member_id: id("anna") }));
    let message = NewMessage { scope, ..NewMessage::of(Content::text("help")) };
    let said = unsigned("support", ChatEvent::MessageNew(message.into()));
    let accepted = said.accept_from_channel().unwrap();
    assert_eq!(Post::of(&accepted, 0), None);
}

#[test]
fn an_older_mark_in_the_link_is_reported_and_not_taken() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    let mut marks = Vec::new();
    for name in ["one", "two", "three"] {
        let said = count.says(name);
        count.deliver(&relays, &said);
        marks.push(count.mark());
    }
    count.tell(&relays[0], "mark", &marks[1]);
    // The member never saw the first mark: its server could pretend that it is new.
    count.publish(&marks[0]);
    assert_eq!(count.told(), [Compared::Replayed]);
    assert_eq!(count.desk.member.marks()[0].number, 2);
    count.desk.restart();
    assert_eq!(count.findings(), [Compared::Replayed]);
    count.publish_transcript(Transcript::default());
    assert_eq!(count.told(), [Compared::Replayed], "no mark is older than any");
    count.publish(&marks[2]);
    assert_eq!((count.told(), count.findings()), (vec![], vec![]));
    // Messages may be on their way for long.
    count.tell(&relays[1], "old mark", &marks[0]);
    assert_eq!((count.told(), count.findings()), (vec![], vec![]));
}

#[test]
fn a_mark_that_says_something_else_of_what_was_counted_before_is_reported() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    let said = count.says("one");
    count.deliver(&relays, &said);
    let mark = count.mark();
    count.publish(&mark);
    let mut other = Ledger::default();
    std::mem::swap(&mut count.ledger, &mut other);
    let said = count.says("another");
    count.deliver(&relays, &said);
    count.says("two");
    let rewritten = count.mark();
    count.publish(&Mark { number: 2, ..rewritten });
    assert_eq!(count.told(), [Compared::Rewritten]);
    count.wait();
    assert_eq!(names(&count.told()), ["two".to_owned()].into(), "what it names is looked for all the same");
}

#[test]
fn an_own_post_that_no_mark_names_did_not_reach_the_owner() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    let me = count.desk.member.id().clone();
    make_author(&mut count, &relays[0], &me);
    let own = |count: &mut Count, text: &str| {
        let what = Saying::Post {
            content: Content::text(text),
            mentions: Mentions::default(),
            reply_to: None,
            file: None,
            ttl: None,
        };
        let speech = Speech { what, voice: Voice::Oneself, signed: false, scope: None, id: None };
        let spoken = count.desk.with(|member, memory, env| member.say(&speech, memory, env)).unwrap();
        count.desk.memory.records.extend(spoken.changes.into_iter().map(|change| (change.key, change.value)));
        spoken.messages[0].clone()
    };
    let heard = own(&mut count, "heard");
    let unheard = own(&mut count, "unheard");
    let post = Post { id: heard, writer: Writer::Member(me.clone()), said_at: count.now(), digest: None };
    count.ledger.heard(post);
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    assert_eq!(count.told(), [], "the owner may not have heard it yet");
    let said = count.says("later");
    count.deliver(&relays, &said);
    let mark = count.mark();
    count.desk.restart();
    count.publish(&mark);
    assert_eq!(count.told(), [Compared::Unmarked { message: unheard }]);
    let newer = own(&mut count, "newer");
    count.wait();
    let said = count.says("still later");
    count.deliver(&relays, &said);
    let deaf = Mark { hears: false, ..count.mark() };
    count.publish(&deaf);
    assert_eq!(count.told(), [], "who counts only its own says nothing about {newer:?}");
}

/// Owners give the member a role.
fn make_author(count: &mut Count, relay: &Relay, member: &MemberId) {
    let change = group::event::RoleChange {
        member_id: member.clone(),
        role: Role::Author,
        member_key: None,
        roster_version: None,
    };
    let said = count.desk.owner.signs("role", ChatEvent::GroupMemberRole(change));
    let owner = count.desk.owner.id();
    let sent_at = count.now();
    count.desk.deliver(relay, by_at(&owner, sent_at, said));
    count.desk.take_events();
}

#[test]
fn what_a_mark_has_no_room_to_name_is_compared_by_numbers() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    let say = |count: &mut Count, numbers: std::ops::Range<usize>, drops: &[usize]| {
        for number in numbers {
            let said = count.says(&format!("m{number}"));
            if !drops.contains(&number) {
                count.deliver(&relays[..1], &said);
            }
            count.desk.later(Duration::from_secs(1));
        }
    };
    say(&mut count, 0..1, &[]);
    let mark = count.mark();
    count.publish(&mark);
    count.wait();
    say(&mut count, 1..30, &[]);
    let mark = count.mark();
    count.publish(&mark);
    // So many that the first ones are not named, and three of these are withheld; and one that is named.
    say(&mut count, 30..200, &[40, 50, 60, 190]);
    let mark = count.mark();
    assert_eq!(mark.posts.len(), POSTS);
    count.publish(&mark);
    count.wait();
    let told = count.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(matches!(&told[0], Compared::Withheld { message, .. } if *message == message_id("m190")));
    assert_eq!(told[1], Compared::WithheldUnnamed { missing: 3 });
}

#[test]
fn numbers_accuse_nobody_when_everything_came() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    for round in 0..4 {
        for number in 0..100 {
            let said = count.says(&format!("m{round}-{number}"));
            count.deliver(&relays[number % 3..][..1], &said);
        }
        count.desk.later(PATIENCE * 2);
        let mark = count.mark();
        count.publish(&mark);
        count.wait();
        assert_eq!(count.told(), []);
    }
}

#[test]
fn whatever_stands_in_the_place_of_marks_leaves_the_link_readable() {
    let relays = three();
    let mut count = Count::new(Strength::Count, &relays);
    count.says("one");
    let good = serde_json::to_value(count.mark()).unwrap();
    for transcript in [json!(7), json!({"marks": "none"}), json!({"marks": [1, {"by": "AA=="}, {}]}), json!({})] {
        let read: Transcript = serde_json::from_value(transcript).unwrap();
        assert!(read.is_empty());
    }
    let read: Transcript = serde_json::from_value(json!({"marks": [{}, good, good], "later": 1})).unwrap();
    assert_eq!(read.marks().len(), 1);
    let many: Vec<_> = (0..100)
        .map(|number| {
            json!({"by": format!("AA{number:02}"), "strength": "count",
        "number": 1, "at": 0, "total": 0, "chain": "A".repeat(43) + "="})
        })
        .collect();
    let read: Transcript = serde_json::from_value(json!({"marks": many})).unwrap();
    assert_eq!(read.marks().len(), 16);
}

#[test]
fn two_owners_marks_merge_to_the_newer_one_of_each() {
    let mut count = Count::new(Strength::Count, &[Relay::new(1)]);
    count.says("one");
    let made = count.mark();
    let mark = |by: &str, number| Mark { by: id(by), number, ..made.clone() };
    let one = Transcript::from(mark("a", 3)).merge(&mark("b", 1).into());
    let other = Transcript::from(mark("a", 2)).merge(&mark("b", 4).into());
    for merged in [one.merge(&other), other.merge(&one)] {
        let mut numbers: Vec<_> = merged.marks().iter().map(|mark| (mark.by.clone(), mark.number)).collect();
        numbers.sort();
        assert_eq!(numbers, [(id("a"), 3), (id("b"), 4)]);
    }
}

/// What the world does next.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody says something; each relay delivers it now, later, twice, altered, or never.
    Say(bool, [Fate; 3]),
    /// The owner marks and publishes what it counted.
    Publish,
    /// A relay passes the last mark on.
    Tell(usize),
    Later(u64),
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Now,
    Later,
    Twice,
    Altered,
    Never,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Now),
        2 => Just(Fate::Later),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Altered),
        5 => Just(Fate::Never),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), [fate(), fate(), fate()]).prop_map(|(by_member, fates)| Step::Say(by_member, fates)),
        3 => Just(Step::Publish),
        1 => (0..3usize).prop_map(Step::Tell),
        2 => (1..900u64).prop_map(Step::Later),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_no_relay_delivers_is_always_found_and_nothing_else_ever_is(
        steps in vec(step(), 1..60),
        digests in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let relays = three();
        let strength = if digests { Strength::Digest } else { Strength::Count };
        let mut count = Count::new(strength, &relays);
        let anna = id("anna");
        introduce(&mut count, &relays, &anna);
        let (mut withheld, mut altered, mut last) = (BTreeSet::new(), BTreeSet::new(), None);
        let mut later: Vec<(usize, Element)> = Vec::new();
        let mut told = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Say(by_member, fates) => {
                    let name = format!("m{number}");
                    let event = |text: &str| if by_member { post(text) } else { post_as_group(text) };
                    let (said, forged) = (unsigned(&name, event("true")), unsigned(&name, event("false")));
                    if by_member { count.hears(&anna, &said) } else { count.counts(&said) }
                    let sent_at = count.now();
                    let wrap = |said: AuthoredMessage| match by_member {
                        true => by_at(&anna, sent_at, said),
                        false => by_channel(said),
                    };
                    for (relay, fate) in fates.into_iter().enumerate() {
                        match fate {
                            Fate::Now => count.desk.deliver(&relays[relay], wrap(said.clone())),
                            Fate::Twice => {
                                count.desk.deliver(&relays[relay], wrap(said.clone()));
                                later.push((relay, wrap(said.clone())));
                            }
                            Fate::Later => later.push((relay, wrap(said.clone()))),
                            Fate::Altered => count.desk.deliver(&relays[relay], wrap(forged.clone())),
                            Fate::Never => {}
                        }
                    }
                    if fates.iter().all(|fate| *fate == Fate::Never) {
                        withheld.insert(name);
                    } else {
                        // Whoever comes first is shown, and stays.
                        let first = fates.iter().find(|fate| !matches!(fate, Fate::Never | Fate::Later));
                        if first == Some(&Fate::Altered) {
                            altered.insert(name);
                        }
                    }
                }
                Step::Publish if count.ledger.has_unmarked() => {
                    let mark = count.mark();
                    count.publish(&mark);
                    last = Some(mark);
                }
                Step::Publish => {}
                Step::Tell(relay) => {
                    if let Some(mark) = &last {
                        count.tell(&relays[relay], &format!("mark{number}"), mark);
                    }
                }
                Step::Later(seconds) => {
                    // What is late comes within patience, in any order.
                    let turn = usize::try_from(seed % 7).unwrap() % later.len().max(1);
                    later.rotate_left(turn);
                    for (relay, element) in later.drain(..) {
                        count.desk.receive(&relays[relay], &body(&[element]));
                    }
                    count.desk.later(Duration::from_secs(seconds));
                }
                Step::Restart => count.desk.restart(),
            }
            told.extend(count.told());
        }
        for (relay, element) in later.drain(..) {
            count.desk.receive(&relays[relay], &body(&[element]));
        }
        if count.ledger.has_unmarked() {
            let mark = count.mark();
            count.publish(&mark);
        }
        count.wait();
        told.extend(count.told());
        let of = |wanted: fn(&Compared) -> bool| names(&told.iter().filter(|found| wanted(found)).cloned().collect::<Vec<_>>());
        prop_assert_eq!(of(|found| matches!(found, Compared::Withheld { .. })), withheld.clone());
        let expected = if digests { altered.clone() } else { BTreeSet::new() };
        prop_assert_eq!(of(|found| matches!(found, Compared::Altered { .. })), expected.clone());
        prop_assert_eq!(told.len(), withheld.len() + expected.len());
        prop_assert_eq!(count.findings().len(), told.len());
        prop_assert_eq!(count.desk.member.outstanding(), 0);
    }
}

/// All relays say that somebody may write.
fn introduce(count: &mut Count, relays: &[Relay], member: &MemberId) {
    let member_info = MemberInfo {
        member_id: member.clone(),
        member_role: Role::Author,
        v: None,
        profile: MemberProfile::named("Anna"),
        member_key: None,
    };
    for relay in relays {
        let new = MemberNew { member_info: member_info.clone(), scope: None };
        count.desk.receive(relay, &relay.says(ChatEvent::GroupMemberNew(new.into())));
    }
    count.desk.take_events();
}
