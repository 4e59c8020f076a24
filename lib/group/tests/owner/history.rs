//! The last posts of an owner, for relays that are new.

use std::cell::RefCell;

use group::content::{Content, Mentions, Reaction};
use group::element::AuthoredMessage;
use group::identity::MemberId;
use group::membership::{RecordError, RecordKey, Records, Saying, Speech, Voice};
use group::message_id::MessageId;
use group::owner::{OwnerError, PastRecords, Status};

use crate::speaking::{heard, post};
use crate::support::{Desk, Memory, Relay, reread};

/// Records in the order in which their messages were said.
struct Past<'a> {
    memory: &'a Memory,
    order: &'a [MessageId],
    asked: RefCell<usize>,
}

impl Records for Past<'_> {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        self.memory.read(key)
    }
}

impl PastRecords for Past<'_> {
    fn before(&self, place: Option<i64>, _: usize) -> Result<Vec<(i64, MessageId, Vec<u8>)>, RecordError> {
        *self.asked.borrow_mut() += 1;
        let end = place.map_or(self.order.len(), |place| usize::try_from(place).unwrap());
        // Small pages.
        let start = end.saturating_sub(2);
        let numbered = (start..end).rev().zip(self.order[start..end].iter().rev());
        let record = |(place, id): (usize, &MessageId)| {
            let value = self.memory.read(&RecordKey::Message(id.clone()))?.unwrap();
            Ok((i64::try_from(place).unwrap(), id.clone(), value))
        };
        numbered.map(record).collect()
    }
}

/// An owner with a relay that has everything that was said.
struct Group {
    desk: Desk,
    first: MemberId,
    order: Vec<MessageId>,
}

impl Group {
    fn new() -> Self {
        let mut desk = Desk::new();
        let first = desk.activate(Relay::new(1));
        Group { desk, first, order: Vec::new() }
    }

    fn say(&mut self, speech: &Speech) -> MessageId {
        let said = self.desk.say(speech).unwrap();
        self.order.extend(said.messages.clone());
        said.messages[0].clone()
    }

    fn post(&mut self, text: &str, signed: bool) -> MessageId {
        let what = Saying::Post {
            content: Content::text(text),
            mentions: Mentions::default(),
            reply_to: None,
            file: None,
            ttl: None,
        };
        self.say(&Speech { what, ..post(Voice::Oneself, signed) })
    }

    fn give(&mut self) {
        while let Some(relay) = self.desk.owner.awaits_posts().cloned() {
            let Group { desk, order, .. } = self;
            let Desk { owner, memory, random, now, .. } = desk;
            let past = Past { memory, order, asked: RefCell::default() };
            let env = &mut agent::time::Env { now: *now, random };
            owner.give_posts(&relay, &past, env).unwrap();
        }
    }

    /// Another relay, which was promised posts.
    fn add(&mut self, relay: Relay, count: u32) -> MemberId {
        let id = self.desk.invite(relay);
        self.desk.owner.promise_posts(&id, count).unwrap();
        self.desk.run();
        let link = self.desk.publish(&relay.relay_link(&id));
        self.desk.answer(&id, &relay.accepts(&link.to_string()));
        self.desk.run();
        self.desk.connect(&id);
        id
    }
}

fn names(heard: &[AuthoredMessage]) -> Vec<MessageId> {
    heard.iter().map(|message| message.message().id.clone().unwrap()).collect()
}

#[test]
fn a_new_relay_gets_the_last_posts_in_their_order_and_bytes_before_the_link_lists_it() {
    let mut group = Group::new();
    let posts: Vec<MessageId> = (0..5).map(|number| group.post(&format!("post {number}"), number % 2 == 0)).collect();
    let reaction = Saying::React { message: posts[4].clone(), reaction: Reaction::Emoji("👍".to_owned()), add: true };
    group.say(&Speech { what: reaction, ..post(Voice::Oneself, false) });
    group.desk.run();
    let relay = Relay::new(2);
    let id = group.add(relay, 3);
    group.desk.owner = reread(&group.desk.owner);
    group.desk.run();
    group.desk.receive(&id, &relay.acknowledges(0, None));
    group.desk.run();
    assert_eq!(group.desk.status(&id), Status::Acknowledged);
    assert_eq!(group.desk.listed().len(), 1, "not before it has the posts");
    group.give();
    group.desk.run();
    assert_eq!((group.desk.status(&id), group.desk.listed().len()), (Status::Active, 2));
    let before = heard(&group.desk, &group.first);
    assert_eq!(heard(&group.desk, &id), before[2..5]);
    assert_eq!(names(&before[2..5]), posts[2..5]);
    assert_eq!(heard(&group.desk, &group.first).len(), before.len(), "those who have it hear nothing");
    // What is said from now on goes to both.
    let next = group.post("next", false);
    group.desk.run();
    assert_eq!(names(&heard(&group.desk, &id)).last(), Some(&next));
}

#[test]
fn edits_follow_their_posts_and_what_was_deleted_or_was_not_for_all_stays_away() {
    let mut group = Group::new();
    let [edited, deleted] = [group.post("one", true), group.post("two", false)];
    let what = Saying::Edit { message: edited.clone(), content: Content::text("uno"), mentions: Mentions::default() };
    let edit = group.say(&Speech { what, ..post(Voice::Oneself, false) });
    group.say(&Speech { what: Saying::Delete { message: deleted }, ..post(Voice::Oneself, false) });
    let file = group::membership::FileReference {
        name: "map".to_owned(),
        size: 5,
        digest: None,
        description: "d".repeat(20_000),
    };
    let what = Saying::Post {
        content: Content::text("a map"),
        mentions: Mentions::default(),
        reply_to: None,
        file: Some(file),
        ttl: Some(60),
    };
    let named = Speech { id: MessageId::from_bytes(b"map"), what, ..post(Voice::Oneself, false) };
    let map = group.say(&named);
    group.desk.run();
    let id = group.add(Relay::new(2), 100);
    group.give();
    group.desk.run();
    let given = heard(&group.desk, &id);
    assert_eq!(names(&given)[..3], [edited.clone(), edit, map]);
    assert_eq!(given.len(), 5, "the description of the file has two parts");
    // A minute later the file has disappeared.
    group.desk.now = group.desk.now.after(std::time::Duration::from_secs(61));
    let id = group.add(Relay::new(3), 100);
    group.give();
    group.desk.run();
    assert_eq!(names(&heard(&group.desk, &id))[0], edited);
    assert_eq!(heard(&group.desk, &id).len(), 2);
}

#[test]
fn posts_are_promised_before_a_relay_is_listed_and_given_only_if_they_can_be_read() {
    let mut group = Group::new();
    group.post("one", true);
    let refused = group.desk.owner.promise_posts(&group.first.clone(), 5).unwrap_err();
    assert_eq!(refused, OwnerError::Prohibited("give posts", Status::Active));
    let id = group.add(Relay::new(2), 5);
    group.desk.memory.broken = true;
    let Group { desk, order, .. } = &mut group;
    let Desk { owner, memory, random, now, .. } = desk;
    let past = Past { memory, order, asked: RefCell::default() };
    memory_is_broken(owner.give_posts(&id, &past, &mut agent::time::Env { now: *now, random }));
    assert_eq!(group.desk.owner.awaits_posts(), Some(&id), "it is still to be done");
    group.desk.memory.broken = false;
    group.give();
    group.desk.run();
    assert_eq!(heard(&group.desk, &id).len(), 1);
}

fn memory_is_broken(outcome: Result<Vec<group::owner::Event>, OwnerError>) {
    assert!(matches!(outcome, Err(OwnerError::Records(RecordError::Read(_)))), "{outcome:?}");
}
