//! What an owner counts, and where it says so.

use std::collections::BTreeMap;

use group::content::{Content, Mentions};
use group::content_digest::ContentDigest;
use group::document::{GroupDocument, GroupState};
use group::element::Element;
use group::event::Event as ChatEvent;
use group::identity::MemberId;
use group::member::Role;
use group::membership::{RecordError, RecordKey, Records, Saying, Speech, Voice};
use group::message_id::MessageId;
use group::profile::GroupProfile;
use group::step::link_verify::verify_group_link;
use group::transcript::{Mark, Post, Setting, Strength, Transcript, Writer};

use crate::hearing::{forwarded, forwarded_at, new_member, post as said, signed, two, unsigned};
use crate::support::{Desk, NOW, Out, Relay, reread};

#[derive(Default)]
struct Memory(BTreeMap<RecordKey, Vec<u8>>);

impl Records for Memory {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.0.get(key).cloned())
    }
}

fn post(text: &str, voice: Voice, signed: bool) -> Speech {
    let content = Content::text(text);
    let what = Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: None, ttl: None };
    Speech { what, voice, signed, scope: None, id: None }
}

fn say(desk: &mut Desk, speech: &Speech) -> MessageId {
    desk.with(|owner, env| owner.say(speech, &Memory::default(), env)).unwrap().messages.remove(0)
}

fn mark(desk: &mut Desk) {
    let events = desk.with(|owner, env| owner.mark_transcript(env));
    assert_eq!(events, []);
}

/// What the group link says to everybody.
fn published(desk: &Desk) -> Transcript {
    let link = desk.owner.link().group().short_link().clone();
    verify_group_link(link, desk.found()).unwrap().transcript().clone()
}

/// The marks that a relay is to pass on.
fn told(desk: &Desk, relay: &MemberId) -> Vec<(MessageId, Mark, Vec<u8>)> {
    let connection = desk.connection(relay);
    let mut told = Vec::new();
    for out in &desk.out {
        let Out::Said(name, body) = out else { continue };
        for element in group::body::Batch::parse(body).unwrap() {
            let Ok(Element::Message(message)) = element else { continue };
            let said = message.message();
            if let (true, ChatEvent::GroupInfo(info)) = (*name == connection, &said.event)
                && let [mark] = info.transcript.marks()
            {
                told.push((said.id.clone().unwrap(), mark.clone(), body.clone()));
            }
        }
    }
    told
}

fn active(desk: &mut Desk) -> [MemberId; 2] {
    let relays = [desk.activate(Relay::new(1)), desk.activate(Relay::new(2))];
    desk.published.clear();
    relays
}

#[test]
fn what_a_relay_is_to_get_stands_in_the_link_and_then_relays_pass_it_on() {
    let mut desk = Desk::new();
    let relays = active(&mut desk);
    let posts = [
        say(&mut desk, &post("signed", Voice::Oneself, true)),
        say(&mut desk, &post("as the group", Voice::GroupAlone, false)),
    ];
    mark(&mut desk);
    assert!(desk.owner.is_written(), "nothing is on its way yet");
    desk.owner = reread(&desk.owner);
    desk.run();
    assert_eq!(told(&desk, &relays[0]), []);
    mark(&mut desk);
    desk.run();
    let transcript = published(&desk);
    let [made] = transcript.marks() else { panic!("{transcript:?}") };
    assert_eq!((made.number, made.total, made.strength, made.made_at), (1, 2, Strength::Count, NOW as i64 / 1000));
    let owner = desk.owner_identity().owner_id;
    let named: Vec<(&MessageId, &Writer)> = made.posts.iter().map(|post| (&post.id, &post.writer)).collect();
    assert_eq!(named, [(&posts[0], &Writer::Member(owner)), (&posts[1], &Writer::Group)]);
    assert!(made.posts.iter().all(|post| post.digest.is_none()), "nothing is said of content");
    let told = relays.each_ref().map(|relay| told(&desk, relay));
    assert_eq!(told[0], told[1], "all relays get the same bytes");
    assert_eq!(told[0].iter().map(|(_, mark, _)| mark).collect::<Vec<_>>(), [made]);
    mark(&mut desk);
    assert!(desk.owner.is_written(), "nothing new to say");
}

#[test]
fn what_the_mark_digests_is_what_members_hear() {
    let mut desk = Desk::new();
    let [relay, _] = active(&mut desk);
    desk.owner.set_transcript(Setting::On(Strength::Digest));
    desk.owner = reread(&desk.owner);
    say(&mut desk, &post("as the group", Voice::GroupAlone, false));
    desk.run();
    mark(&mut desk);
    desk.run();
    let connection = desk.connection(&relay);
    let body = desk.out.iter().rev().find_map(|out| match out {
        Out::Said(name, body) if *name == connection && told(&desk, &relay)[0].2 != *body => Some(body.clone()),
        _ => None,
    });
    let Some(Ok(Element::Message(said))) = group::body::Batch::parse(&body.unwrap()).unwrap().into_iter().next() else {
        panic!("no message")
    };
    let heard = said.accept_from_channel().unwrap();
    let transcript = published(&desk);
    assert_eq!(transcript.marks()[0].posts[0].digest, Some(ContentDigest::of(&heard)));
    assert_eq!(transcript.marks()[0].posts[0], Post::of(&heard, NOW as i64 / 1000).unwrap());
}

#[test]
fn with_off_and_without_posts_nothing_is_written() {
    let mut desk = Desk::new();
    active(&mut desk);
    mark(&mut desk);
    desk.owner.set_transcript(Setting::Off);
    desk.owner = reread(&desk.owner);
    say(&mut desk, &post("unheard of", Voice::Oneself, true));
    desk.run();
    mark(&mut desk);
    desk.run();
    assert_eq!(desk.published.len(), 0);
    assert!(published(&desk).is_empty());
}

#[test]
fn relays_pass_marks_on_now_and_then() {
    let mut desk = Desk::new();
    let relays = active(&mut desk);
    for number in 0..70 {
        say(&mut desk, &post(&number.to_string(), Voice::Oneself, true));
        desk.run();
        mark(&mut desk);
        desk.run();
        desk.now = desk.now.after(std::time::Duration::from_secs(10));
    }
    let totals: Vec<u64> = told(&desk, &relays[0]).iter().map(|(_, mark, _)| mark.total).collect();
    assert_eq!(totals, [1, 33, 65]);
    desk.now = desk.now.after(std::time::Duration::from_secs(3600));
    say(&mut desk, &post("after an hour", Voice::Oneself, true));
    desk.run();
    mark(&mut desk);
    desk.run();
    assert_eq!(told(&desk, &relays[0]).last().unwrap().1.total, 71);
    assert_eq!(published(&desk).marks()[0].posts.len(), 64, "the link names the last ones");
}

#[test]
fn a_mark_is_as_long_as_there_is_room_and_never_in_the_way_of_the_profile() {
    let mut desk = Desk::new();
    let relays = active(&mut desk);
    desk.owner.set_transcript(Setting::On(Strength::Digest));
    for number in 0..80 {
        say(&mut desk, &post(&number.to_string(), Voice::GroupAlone, false));
    }
    desk.run();
    mark(&mut desk);
    desk.run();
    assert_eq!(published(&desk).marks()[0].posts.len(), 64);
    // A picture that leaves little room, and cannot be compressed.
    let mut random = crypto::SeededRandom::new(&[5; 32], "picture");
    let noise: Vec<u8> = crypto::random::array::<10_300>(&mut random).to_vec();
    let image = Some(format!("data:image/jpg;base64,{}", codec::text::base64_standard(&noise)));
    let profile = GroupProfile { image: image.clone(), ..desk.owner.link().group().contents().profile.clone() };
    desk.with(|owner, env| owner.set_contents(profile, 1, env)).unwrap();
    desk.run();
    let shortened = published(&desk).marks()[0].clone();
    assert!(shortened.posts.len() < 64, "{}", shortened.posts.len());
    assert_eq!((shortened.total, shortened.authors.iter().map(|tally| tally.count).sum::<u64>()), (80, 80));
    say(&mut desk, &post("one more", Voice::Oneself, true));
    desk.run();
    mark(&mut desk);
    desk.run();
    assert_eq!(published(&desk).marks()[0].total, 81);
    let longest = told(&desk, &relays[0]).into_iter().map(|(_, _, body)| body.len()).max().unwrap();
    assert!(longest <= group::limits::AUTHORED, "{longest}");
    let GroupState::Created(read) = GroupState::try_from(GroupDocument::from(&desk.owner)).unwrap() else {
        panic!("created")
    };
    assert_eq!(read.link().group().contents(), desk.owner.link().group().contents());
}

fn author(desk: &mut Desk, relays: &[Relay; 2], ids: &[MemberId; 2]) {
    for (relay, id) in relays.iter().zip(ids) {
        desk.receive(id, &relay.says(new_member("anna", Role::Author, None)));
    }
}

#[test]
fn what_others_say_counts_when_every_relay_has_delivered_it_alike() {
    let (mut desk, relays, ids) = two();
    author(&mut desk, &relays, &ids);
    let alike = forwarded("anna", unsigned("alike", said("hello")));
    desk.receive(&ids[0], &alike);
    assert!(!desk.owner.ledger().has_unmarked(), "one relay may have forged it");
    desk.restart();
    desk.receive(&ids[1], &alike);
    desk.receive(&ids[1], &alike);
    desk.receive(&ids[0], &forwarded("anna", unsigned("different", said("one thing"))));
    desk.receive(&ids[1], &forwarded("anna", unsigned("different", said("another"))));
    desk.receive(&ids[0], &forwarded("anna", unsigned("different", said("another"))));
    desk.receive(&ids[0], &forwarded("anna", signed(&desk, "anna", "withheld from the owner", said("hello"))));
    mark(&mut desk);
    desk.run();
    let transcript = published(&desk);
    let [made] = transcript.marks() else { panic!("{transcript:?}") };
    assert!(made.hears);
    let writer = Writer::Member(MemberId::from_bytes(b"anna").unwrap());
    assert_eq!((made.total, made.authors[0].writer.clone(), made.authors[0].count), (1, writer.clone(), 1));
    assert_eq!((made.posts[0].id.as_bytes(), &made.posts[0].writer), (&b"alike"[..], &writer));
}

#[test]
fn a_relay_that_lies_about_time_makes_nobody_look_guilty() {
    let (mut desk, relays, ids) = two();
    author(&mut desk, &relays, &ids);
    let now = NOW as i64 / 1000;
    desk.receive(&ids[0], &forwarded_at("anna", now + 100_000, unsigned("m1", said("hello"))));
    desk.receive(&ids[1], &forwarded_at("anna", now, unsigned("m1", said("hello"))));
    // An early time does not make the owner do without the other relay.
    desk.receive(&ids[0], &forwarded_at("anna", 0, unsigned("m2", said("hello"))));
    mark(&mut desk);
    desk.run();
    let transcript = published(&desk);
    let times: Vec<i64> = transcript.marks()[0].posts.iter().map(|post| post.said_at).collect();
    assert_eq!(times, [now]);
}
