//! What an owner counts, and the marks that it makes of it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::mark::{Chain, Mark, Others, Post, Strength, Tally, Writer};
use crate::bytes::{unpadded, unpadded_option};
use crate::content_digest::ContentDigest;
use crate::identity::MemberId;
use crate::membership::PATIENCE;
use crate::message_id::MessageId;

/// How many posts are remembered by name.
const MAX_RECENT: usize = 128;
/// Of how many authors the posts are counted one by one.
const MAX_AUTHORS: usize = 256;
/// How many authors a mark names beside those of the posts that it names.
const NAMED_AUTHORS: usize = 32;
/// How many of the owner's posts may wait for the first relay; no relay is owed more.
const MAX_PENDING: usize = 1000;

/// Whether an owner publishes marks, and how much they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// It counts nothing.
    Off,
    /// Its marks have this strength.
    #[serde(untagged)]
    On(Strength),
}

impl Default for Setting {
    fn default() -> Self {
        Setting::On(Strength::Count)
    }
}

/// What an owner counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Ledger {
    setting: Setting,
    hears: bool,
    /// Of the last mark.
    number: u64,
    marked_at: i64,
    marked: u64,
    /// Of the last mark that relays passed on.
    told: Option<(u64, i64)>,
    /// Of everything that was counted.
    total: u64,
    chain: Chain,
    authors: BTreeMap<Writer, Author>,
    others: Others,
    recent: VecDeque<Post>,
    /// What the owner said, and no relay is to get yet.
    pending: VecDeque<Post>,
}

/// What somebody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Author {
    count: u64,
    /// Which of all posts was the last one.
    last: u64,
}

impl Ledger {
    /// A ledger that counts nothing, or something, from now on.
    pub fn new(setting: Setting) -> Self {
        Ledger { setting, ..Ledger::default() }
    }

    /// Whether marks are made, and how much they say.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// Another setting from now on. What was published stays as it is.
    pub fn set(&mut self, setting: Setting) {
        self.setting = setting;
    }

    /// How many posts were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them stand in a mark.
    pub fn marked(&self) -> u64 {
        self.marked
    }

    /// Whether something was counted that no mark says.
    pub fn has_unmarked(&self) -> bool {
        self.setting != Setting::Off && self.total > self.marked
    }

    /// The owner says something. It counts once a relay is to get it.
    pub fn said(&mut self, post: Post) {
        if self.setting == Setting::Off {
            return;
        }
        self.pending.push_back(self.as_set(post));
        if self.pending.len() > MAX_PENDING {
            self.pending.pop_front();
        }
    }

    /// A message of the owner is on its way to a relay.
    pub fn sent(&mut self, message: &MessageId) {
        if let Some(place) = self.pending.iter().position(|post| post.id == *message)
            && let Some(post) = self.pending.remove(place)
        {
            self.count(post);
        }
    }

    /// Every relay delivered a post of somebody else.
    pub fn heard(&mut self, post: Post) {
        self.hears = true;
        let is_known = self.recent.iter().any(|known| known.id == post.id);
        if self.setting != Setting::Off && !is_known {
            let post = self.as_set(post);
            self.count(post);
        }
    }

    /// The owner listens to relays, so that what is not in its marks did not reach it.
    pub fn listens(&mut self) {
        self.hears = true;
    }

    fn as_set(&self, post: Post) -> Post {
        let says_digest = self.setting == Setting::On(Strength::Digest);
        Post { digest: post.digest.filter(|_| says_digest), ..post }
    }

    /// What comes long after it was said is named, but no number includes it: whoever joined in between does not have it.
    fn count(&mut self, post: Post) {
        self.total = self.total.saturating_add(1);
        self.chain = self.chain.with(&post);
        let patience = i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX);
        let in_time = post.said_at.saturating_add(patience) >= self.marked_at;
        let author = self.authors.entry(post.writer.clone()).or_insert(Author { count: 0, last: 0 });
        author.count = author.count.saturating_add(u64::from(in_time));
        author.last = self.total;
        self.recent.push_back(post);
        if self.recent.len() > MAX_RECENT {
            self.recent.pop_front();
        }
        if self.authors.len() > MAX_AUTHORS {
            self.forget_author();
        }
    }

    /// Whoever posted least recently is counted with all others.
    fn forget_author(&mut self) {
        let oldest = self.authors.iter().min_by_key(|(_, author)| author.last);
        let Some((writer, author)) = oldest.map(|(writer, author)| (writer.clone(), *author)) else { return };
        self.authors.remove(&writer);
        self.others.authors = self.others.authors.saturating_add(1);
        self.others.count = self.others.count.saturating_add(author.count);
    }

    /// The next mark; nothing if there is nothing to say.
    pub fn next_mark(&mut self, by: &MemberId, posts: usize, now: i64) -> Option<Mark> {
        if !self.has_unmarked() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        (self.marked, self.marked_at) = (self.total, now);
        Some(self.mark(by, posts))
    }

    /// The last mark once more, with so many posts. Only if nothing was counted since.
    pub fn last_mark(&self, by: &MemberId, posts: usize) -> Option<Mark> {
        (self.number > 0 && self.marked == self.total).then(|| self.mark(by, posts))
    }

    /// Whether relays are to pass a published mark on: when it says enough that the last one which they did does not.
    pub(crate) fn wants_telling(&self, published: &Mark, posts: u64, after: i64) -> bool {
        self.told.is_none_or(|(total, at)| {
            let is_due = published.made_at.saturating_sub(at) >= after;
            published.total >= total.saturating_add(if is_due { 1 } else { posts })
        })
    }

    /// Relays are to pass on a mark.
    pub(crate) fn told(&mut self, published: &Mark) {
        self.told = Some((published.total, published.made_at));
    }

    fn mark(&self, by: &MemberId, posts: usize) -> Mark {
        let Setting::On(strength) = self.setting else { return self.whole(by, Strength::Count, posts) };
        self.whole(by, strength, posts)
    }

    fn whole(&self, by: &MemberId, strength: Strength, posts: usize) -> Mark {
        let skip = self.recent.len().saturating_sub(posts);
        let posts: Vec<Post> = self.recent.iter().skip(skip).cloned().collect();
        let mut authors: Vec<(&Writer, &Author)> = self.authors.iter().collect();
        authors.sort_by_key(|(_, author)| std::cmp::Reverse(author.last));
        let is_named = |writer: &Writer| posts.iter().any(|post| post.writer == *writer);
        let (mut named, mut others) = (Vec::new(), self.others);
        for (place, (writer, author)) in authors.into_iter().enumerate() {
            if place < NAMED_AUTHORS || is_named(writer) {
                named.push(Tally { writer: writer.clone(), count: author.count });
            } else {
                others.authors = others.authors.saturating_add(1);
                others.count = others.count.saturating_add(author.count);
            }
        }
        Mark {
            by: by.clone(),
            strength,
            hears: self.hears,
            number: self.number,
            made_at: self.marked_at,
            total: self.total,
            chain: self.chain,
            authors: named,
            others,
            posts,
        }
    }
}

/// A ledger in a document.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    setting: Setting,
    #[serde(skip_serializing_if = "is_default")]
    hears: bool,
    #[serde(skip_serializing_if = "is_default")]
    number: u64,
    #[serde(skip_serializing_if = "is_default")]
    marked_at: i64,
    #[serde(skip_serializing_if = "is_default")]
    marked: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<(u64, i64)>,
    #[serde(skip_serializing_if = "is_default")]
    total: u64,
    #[serde(with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    chain: Option<Chain>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<KeptAuthor>,
    #[serde(skip_serializing_if = "is_default")]
    others: Others,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    recent: VecDeque<KeptPost>,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pending: VecDeque<KeptPost>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Clone, Serialize, Deserialize)]
struct KeptAuthor {
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    id: Option<MemberId>,
    count: u64,
    last: u64,
}

/// A post in a document.
#[derive(Clone, Serialize, Deserialize)]
struct KeptPost {
    #[serde(with = "unpadded")]
    id: MessageId,
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    by: Option<MemberId>,
    at: i64,
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    digest: Option<ContentDigest>,
}

impl From<Post> for KeptPost {
    fn from(post: Post) -> Self {
        KeptPost { id: post.id, by: post.writer.member().cloned(), at: post.said_at, digest: post.digest }
    }
}

impl From<KeptPost> for Post {
    fn from(kept: KeptPost) -> Self {
        Post { id: kept.id, writer: kept.by.into(), said_at: kept.at, digest: kept.digest }
    }
}

impl From<Ledger> for Kept {
    fn from(ledger: Ledger) -> Self {
        let author = |(writer, author): (Writer, Author)| KeptAuthor {
            id: writer.member().cloned(),
            count: author.count,
            last: author.last,
        };
        Kept {
            setting: ledger.setting,
            hears: ledger.hears,
            number: ledger.number,
            marked_at: ledger.marked_at,
            marked: ledger.marked,
            told: ledger.told,
            total: ledger.total,
            chain: (ledger.total > 0).then_some(ledger.chain),
            authors: ledger.authors.into_iter().map(author).collect(),
            others: ledger.others,
            recent: ledger.recent.into_iter().map(KeptPost::from).collect(),
            pending: ledger.pending.into_iter().map(KeptPost::from).collect(),
        }
    }
}

impl From<Kept> for Ledger {
    fn from(kept: Kept) -> Self {
        let author = |author: KeptAuthor| (Writer::from(author.id), Author { count: author.count, last: author.last });
        Ledger {
            setting: kept.setting,
            hears: kept.hears,
            number: kept.number,
            marked_at: kept.marked_at,
            marked: kept.marked,
            told: kept.told,
            total: kept.total,
            chain: kept.chain.unwrap_or_default(),
            authors: kept.authors.into_iter().map(author).collect(),
            others: kept.others,
            recent: kept.recent.into_iter().map(Post::from).collect(),
            pending: kept.pending.into_iter().map(Post::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SECONDS: i64 = 1_700_000_000;

    fn post(number: u32, author: u32, said_at: i64) -> Post {
        let id = MessageId::from_bytes(format!("m{number}").as_bytes()).unwrap();
        let writer = Writer::from(MemberId::from_bytes(format!("a{author}").as_bytes()));
        Post { id, writer, said_at, digest: ContentDigest::from_bytes(&[7; 32]) }
    }

    fn owner() -> MemberId {
        MemberId::from_bytes(b"owner").unwrap()
    }

    fn reread(ledger: &Ledger) -> Ledger {
        serde_json::from_str(&serde_json::to_string(ledger).unwrap()).unwrap()
    }

    #[test]
    fn what_no_relay_is_to_get_does_not_count() {
        let mut ledger = Ledger::default();
        ledger.said(post(1, 1, SECONDS));
        assert!(!ledger.has_unmarked());
        let mut ledger = reread(&ledger);
        ledger.sent(&post(1, 1, SECONDS).id);
        ledger.sent(&post(1, 1, SECONDS).id);
        let mark = ledger.next_mark(&owner(), 64, SECONDS + 1).unwrap();
        assert_eq!((mark.number, mark.total, mark.posts.len()), (1, 1, 1));
        assert_eq!(mark.posts[0].digest, None, "a mark that only counts says nothing of content");
        assert_eq!(ledger.next_mark(&owner(), 64, SECONDS + 2), None);
        assert_eq!(ledger.last_mark(&owner(), 64), Some(mark));
        assert_eq!(reread(&ledger), ledger);
    }

    #[test]
    fn marks_continue_each_other_however_much_is_counted_and_forgotten() {
        let mut ledger = Ledger::new(Setting::On(Strength::Digest));
        let mut before: Option<Mark> = None;
        for number in 0..1000_u32 {
            ledger.heard(post(number, number % 300, SECONDS));
            if number % 50 == 49 {
                let mark = ledger.next_mark(&owner(), 64, SECONDS).unwrap();
                if let Some(before) = &before {
                    assert_eq!(mark.continues(before.total, &before.chain), Some(true));
                }
                let counted: u64 = mark.authors.iter().map(|tally| tally.count).sum::<u64>() + mark.others.count;
                assert_eq!(counted, u64::from(number) + 1, "nothing is counted twice, or lost");
                assert_eq!(mark.posts.len(), 64.min(number as usize + 1));
                ledger = reread(&ledger);
                before = Some(mark);
            }
        }
    }

    #[test]
    fn what_is_heard_late_is_named_and_not_numbered() {
        let mut ledger = Ledger::default();
        ledger.heard(post(1, 1, SECONDS));
        ledger.next_mark(&owner(), 64, SECONDS + 10).unwrap();
        ledger.heard(post(2, 1, SECONDS - 3600));
        let mark = ledger.next_mark(&owner(), 64, SECONDS + 20).unwrap();
        assert_eq!((mark.total, mark.posts.len(), mark.authors[0].count), (2, 2, 1));
    }

    #[test]
    fn nothing_is_counted_when_it_is_off() {
        let mut ledger = Ledger::new(Setting::Off);
        ledger.said(post(1, 1, SECONDS));
        ledger.sent(&post(1, 1, SECONDS).id);
        ledger.heard(post(2, 1, SECONDS));
        assert_eq!((ledger.total(), ledger.next_mark(&owner(), 64, SECONDS)), (0, None));
        for (setting, json) in [
            (Setting::Off, "\"off\""),
            (Setting::On(Strength::Count), "\"count\""),
            (Setting::On(Strength::Digest), "\"digest\""),
        ] {
            assert_eq!(serde_json::to_string(&setting).unwrap(), json);
            assert_eq!(serde_json::from_str::<Setting>(json).unwrap(), setting);
        }
    }
}
