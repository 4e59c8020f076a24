//! One owner's mark, and how it is written.

use std::collections::BTreeMap;
use std::fmt;

use codec::Write as _;
use crypto::hash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::{padded, padded_option};
use crate::content_digest::ContentDigest;
use crate::event::Event;
use crate::identity::MemberId;
use crate::message::Message;
use crate::message_id::MessageId;
use crate::verification::{AcceptedMessage, Attribution};

/// The longest ID of a message that can be in a transcript. Ours, and those of the reference, have 16 bytes.
const MAX_ID: usize = 64;
/// How many authors a mark may name.
const MAX_AUTHORS: usize = 256;
/// How many posts a mark may name.
const MAX_POSTS: usize = 256;

/// Who wrote a post, as far as members are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Writer {
    /// The group: an owner spoke for it without a signature.
    Group,
    /// A member.
    Member(MemberId),
}

/// How much a mark says of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// That there is one
    #[default]
    Count,
    /// Also a digest of its content
    Digest,
}

/// A post, as a mark names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its name.
    pub id: MessageId,
    /// Who wrote it.
    pub writer: Writer,
    /// When it was said, in Unix seconds: by the owner's clock if it is the owner's, otherwise as a relay says.
    pub said_at: i64,
    /// What it says.
    pub digest: Option<ContentDigest>,
}

/// How many posts somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Who.
    pub writer: Writer,
    /// How many, of those that were counted soon after they were said.
    pub count: u64,
}

/// What the authors wrote that a mark does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Others {
    /// How many they are.
    pub authors: u64,
    /// How many posts they wrote.
    pub count: u64,
}

/// A hash over posts in the order in which an owner counted them.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain(pub(crate) [u8; 32]);

/// What one owner counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Mark {
    /// Which owner.
    pub by: MemberId,
    /// How much it says of a post.
    pub strength: Strength,
    /// Whether it counts what others say.
    pub hears: bool,
    /// Counts the marks of this owner.
    pub number: u64,
    /// When it was made, in Unix seconds.
    pub made_at: i64,
    /// How many posts the owner ever counted.
    pub total: u64,
    /// All of them.
    pub chain: Chain,
    /// Those who posted last, and everybody whose post is named.
    pub authors: Vec<Tally>,
    /// All others.
    pub others: Others,
    /// The last posts, the newest last.
    pub posts: Vec<Post>,
}

/// Whether a message is what transcripts count.
pub(crate) fn is_post(message: &Message) -> Option<&MessageId> {
    let id = message.id.as_ref().filter(|id| id.as_bytes().len() <= MAX_ID);
    id.filter(|_| matches!(&message.event, Event::MessageNew(new) if new.scope.is_none()))
}

impl Writer {
    /// Who wrote a message.
    pub fn of(message: &AcceptedMessage) -> Self {
        match message.attribution() {
            Attribution::Member(id, _) => Writer::Member(id.clone()),
            Attribution::Channel => Writer::Group,
        }
    }

    /// The member, if it is one.
    pub fn member(&self) -> Option<&MemberId> {
        match self {
            Writer::Member(id) => Some(id),
            Writer::Group => None,
        }
    }
}

impl From<Option<MemberId>> for Writer {
    fn from(member: Option<MemberId>) -> Self {
        member.map_or(Writer::Group, Writer::Member)
    }
}

impl Post {
    /// A message that transcripts count; nothing if they do not.
    pub fn of(message: &AcceptedMessage, said_at: i64) -> Option<Self> {
        let id = is_post(message.message())?.clone();
        Some(Post { id, writer: Writer::of(message), said_at, digest: Some(ContentDigest::of(message)) })
    }
}

impl Chain {
    /// The chain with one more post.
    pub(super) fn with(&self, post: &Post) -> Self {
        let mut bytes = self.0.to_vec();
        match &post.writer {
            Writer::Group => bytes.put(b"C"),
            Writer::Member(id) => {
                bytes.put(b"M");
                bytes.put_short(id.as_bytes());
            }
        }
        bytes.put_short(post.id.as_bytes());
        bytes.extend(post.said_at.to_be_bytes());
        bytes.put_short(post.digest.as_ref().map_or(&[], |digest| digest.as_bytes()));
        Chain(hash::sha256(&bytes))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({})", codec::text::base64url_unpadded(&self.0))
    }
}

impl Mark {
    /// How many posts were counted before the first that is named.
    pub fn unnamed(&self) -> u64 {
        self.total.saturating_sub(count(&self.posts))
    }

    /// The posts that were counted after the first `total` ones, as far as they are named.
    pub fn since(&self, total: u64) -> &[Post] {
        let known = usize::try_from(total.saturating_sub(self.unnamed())).unwrap_or(usize::MAX);
        self.posts.get(known..).unwrap_or_default()
    }

    /// Whether the mark names everything that was counted after the first `total` posts.
    pub fn reaches_back_to(&self, total: u64) -> bool {
        self.unnamed() <= total
    }

    /// Whether this mark continues one with that many posts and that chain; nothing if it does not name enough to tell.
    pub fn continues(&self, total: u64, chain: &Chain) -> Option<bool> {
        if self.total < total {
            return Some(false);
        }
        let added = self.reaches_back_to(total).then(|| self.since(total))?;
        Some(added.iter().fold(*chain, |chain, post| chain.with(post)) == self.chain)
    }

    /// The same mark with fewer names: fewer posts, and only their authors.
    pub(crate) fn shortened(&self, posts: usize) -> Self {
        if posts >= self.posts.len() {
            return self.clone();
        }
        let skip = self.posts.len().saturating_sub(posts);
        let posts: Vec<Post> = self.posts.iter().skip(skip).cloned().collect();
        let is_named = |tally: &&Tally| posts.iter().any(|post| post.writer == tally.writer);
        let (named, rest): (Vec<&Tally>, Vec<&Tally>) = self.authors.iter().partition(is_named);
        let others = rest.iter().fold(self.others, |others, tally| Others {
            authors: others.authors.saturating_add(1),
            count: others.count.saturating_add(tally.count),
        });
        Mark { authors: named.into_iter().cloned().collect(), others, posts, ..self.clone() }
    }
}

fn count<T>(things: &[T]) -> u64 {
    u64::try_from(things.len()).unwrap_or(u64::MAX)
}

/// A mark in JSON. Posts name their authors by their place in the list.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(with = "padded")]
    by: MemberId,
    strength: Strength,
    #[serde(default, skip_serializing_if = "is_false")]
    hears: bool,
    number: u64,
    at: i64,
    total: u64,
    #[serde(with = "padded")]
    chain: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authors: Vec<WrittenTally>,
    #[serde(default, skip_serializing_if = "is_nothing")]
    others: Others,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    posts: Vec<WrittenPost>,
}

#[derive(Serialize, Deserialize)]
struct WrittenTally {
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    id: Option<MemberId>,
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenPost {
    #[serde(with = "padded")]
    id: MessageId,
    by: usize,
    at: i64,
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    digest: Option<Vec<u8>>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_nothing(others: &Others) -> bool {
    *others == Others::default()
}

impl From<Mark> for Written {
    fn from(mark: Mark) -> Self {
        let places: BTreeMap<&Writer, usize> =
            mark.authors.iter().enumerate().map(|(place, tally)| (&tally.writer, place)).collect();
        let posts = mark.posts.iter().filter_map(|post| {
            let by = *places.get(&post.writer)?;
            let digest = post.digest.as_ref().map(|digest| digest.as_bytes().to_vec());
            Some(WrittenPost { id: post.id.clone(), by, at: post.said_at, digest })
        });
        let posts = posts.collect();
        let tally = |tally: &Tally| WrittenTally { id: tally.writer.member().cloned(), count: tally.count };
        Written {
            strength: mark.strength,
            hears: mark.hears,
            number: mark.number,
            at: mark.made_at,
            total: mark.total,
            chain: mark.chain.0.to_vec(),
            authors: mark.authors.iter().map(tally).collect(),
            others: mark.others,
            posts,
            by: mark.by,
        }
    }
}

impl TryFrom<Written> for Mark {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        if written.authors.len() > MAX_AUTHORS || written.posts.len() > MAX_POSTS {
            return Err("a transcript mark that names too much");
        }
        let chain = written.chain.try_into().map(Chain).map_err(|_| "a chain that is not 32 bytes long")?;
        let tally = |tally: WrittenTally| Tally { writer: tally.id.into(), count: tally.count };
        let authors: Vec<Tally> = written.authors.into_iter().map(tally).collect();
        let posts: Result<Vec<Post>, _> = written.posts.into_iter().map(|post| post.named(&authors)).collect();
        let posts = posts?;
        if count(&posts) > written.total {
            return Err("a transcript mark that names more posts than it counts");
        }
        Ok(Mark {
            by: written.by,
            strength: written.strength,
            hears: written.hears,
            number: written.number,
            made_at: written.at,
            total: written.total,
            chain,
            authors,
            others: written.others,
            posts,
        })
    }
}

impl WrittenPost {
    fn named(self, authors: &[Tally]) -> Result<Post, &'static str> {
        let author = authors.get(self.by).ok_or("a post of nobody")?;
        if self.id.as_bytes().len() > MAX_ID {
            return Err("a post with a long ID");
        }
        let digest = self.digest.map(|digest| ContentDigest::from_bytes(&digest).ok_or("a digest of another length"));
        Ok(Post { id: self.id, writer: author.writer.clone(), said_at: self.at, digest: digest.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn post(number: u8, digest: bool) -> Post {
        Post {
            id: MessageId::from_bytes(&[number; 16]).unwrap(),
            writer: if number.is_multiple_of(2) { Writer::Group } else { Writer::Member(member()) },
            said_at: 1_700_000_000 + i64::from(number),
            digest: digest.then(|| ContentDigest::from_bytes(&[number; 32]).unwrap()),
        }
    }

    fn member() -> MemberId {
        MemberId::from_bytes(b"anna").unwrap()
    }

    fn mark(posts: Vec<Post>, total: u64) -> Mark {
        let authors = [Writer::Group, Writer::Member(member())].map(|writer| Tally { writer, count: 3 });
        let chain = posts.iter().fold(Chain::default(), |chain, post| chain.with(post));
        let (strength, others) = (Strength::Digest, Others { authors: 1, count: 2 });
        let by = MemberId::from_bytes(b"owner").unwrap();
        let (hears, number, made_at) = (true, 4, 1_700_000_000);
        Mark { by, strength, hears, number, made_at, total, chain, authors: authors.to_vec(), others, posts }
    }

    #[test]
    fn what_is_written_is_read() {
        let mark = mark(vec![post(1, true), post(2, false)], 2);
        let json = serde_json::to_string(&mark).unwrap();
        assert_eq!(serde_json::from_str::<Mark>(&json).unwrap(), mark);
        assert_eq!(mark.shortened(1).posts, [post(2, false)]);
        assert_eq!(mark.shortened(0).others, Others { authors: 3, count: 8 });
    }

    #[test]
    fn marks_that_name_what_cannot_be_are_refused() {
        let whole = serde_json::to_value(mark(vec![post(1, true)], 1)).unwrap();
        let cases = [
            ("total", 0.into()),
            ("chain", "AAAA".into()),
            ("authors", serde_json::json!([])),
            ("strength", "telepathy".into()),
            ("posts", serde_json::Value::Array(vec![whole["posts"][0].clone(); MAX_POSTS + 1])),
        ];
        for (field, value) in cases {
            let mut altered = whole.clone();
            altered[field] = value;
            assert!(serde_json::from_value::<Mark>(altered).is_err(), "{field}");
        }
    }

    #[test]
    fn a_mark_shows_what_it_continues() {
        let posts: Vec<Post> = (0..5).map(|number| post(number, true)).collect();
        let chain_of = |count: usize| posts.iter().take(count).fold(Chain::default(), |chain, post| chain.with(post));
        let whole = mark(posts.clone(), 5);
        assert_eq!(whole.continues(3, &chain_of(3)), Some(true));
        assert_eq!(whole.continues(3, &chain_of(2)), Some(false));
        assert_eq!(whole.continues(6, &chain_of(5)), Some(false), "a mark that shrank");
        let short = Mark { posts: posts[3..].to_vec(), ..whole };
        assert_eq!(short.continues(3, &chain_of(3)), Some(true));
        assert_eq!(short.continues(2, &chain_of(2)), None, "one post is not named");
        assert_eq!(short.since(4), &posts[4..]);
        assert_eq!(short.since(9), []);
    }
}
