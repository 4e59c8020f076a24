//! What owners counted, compared with what came: posts that all relays withhold, or that they altered.
//!
//! ```text
//! group link ─┐             ┌─ here ─ the same? ──────────────────────────────────▶ altered
//! x.grp.info ─┴▶ Mark ─ post┤                        came, and it is the same ─▶ nothing, or late
//!                           └─ not here ─▶ Claim ─┬─ ten minutes ─────────────────▶ withheld
//!                                                 └─ own post in no mark ─────────▶ unmarked
//! ```
//!
//! A mark is an owner's word that there is a post; it may be ahead of what is on its way. So each post that is not here is
//! waited for, as messages are that one relay delivered and others did not. Nothing is claimed of posts from before a relay
//! admitted the member that still delivers, see [`crate::transcript`] for the reasons.
//!
//! Marks come while no records are at hand. They wait until [`elapsed`](super::Membership::elapsed), which looks for the
//! posts in the records.
//!
//! Where a mark names fewer posts than were counted since the one before, the numbers are compared: of each author those
//! that were counted since with those that came. A relay can make up for a post that it withholds by one that it forges,
//! which the member sees. What is named cannot be made up for.

use std::collections::VecDeque;
use std::time::Duration;

use agent::time::Time;
use serde::{Deserialize, Serialize};

use super::comparison::{Copy, MessageRecord};
use super::error::RecordError;
use super::event::Event;
use super::hear::Step;
use super::records::{Page, RecordKey, Records};
use super::view::{View, moment, seconds};
use crate::bytes::{unpadded, unpadded_option};
use crate::content_digest::ContentDigest;
use crate::identity::MemberId;
use crate::message_id::MessageId;
use crate::transcript::{Chain, Mark, Post, Strength, Tally, Transcript, Writer, is_post};
use crate::verification::AcceptedMessage;

/// How many owners' marks are remembered.
const MAX_OWNERS: usize = 16;
/// How many marks may wait to be compared.
const MAX_WAITING: usize = 8;
/// How many posts are waited for, and how many findings are remembered. The oldest goes for a new one.
const MAX_CLAIMS: usize = 512;
/// How many posts of our own are looked for in marks.
const MAX_OWN: usize = 64;
/// Of how many authors it is counted what came.
const MAX_AUTHORS: usize = 64;

/// What is known of owners' marks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct MarkWatch {
    /// The newest mark of each owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<Seen>,
    /// Marks whose posts were not looked for yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Mark>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    claims: VecDeque<Claim>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    found: VecDeque<Finding>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    own: VecDeque<OwnPost>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heard: Vec<HeardOf>,
}

/// The newest mark of an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    #[serde(with = "unpadded")]
    by: MemberId,
    strength: Strength,
    number: u64,
    made_at: i64,
    total: u64,
    #[serde(with = "unpadded")]
    chain: Chain,
    /// How far posts were looked for.
    #[serde(default)]
    compared: u64,
    /// The group link held an older one, or none, when it was read last.
    #[serde(default)]
    replayed: bool,
}

/// A post, or a number of posts, that a mark counts and that is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    #[serde(with = "unpadded")]
    by: MemberId,
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    writer: Option<MemberId>,
    what: Claimed,
    /// When the mark came, in Unix seconds.
    since: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Claimed {
    Post {
        #[serde(with = "unpadded")]
        id: MessageId,
        said_at: i64,
        #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
        digest: Option<ContentDigest>,
    },
    /// So many posts were counted of the author.
    Count(u64),
}

/// What is wrong with what all relays together delivered, by an owner's count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which owner counted.
    #[serde(with = "unpadded")]
    pub by: MemberId,
    /// Whose post it is; nobody if it is the group's.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub author: Option<MemberId>,
    /// What is wrong.
    pub what: Compared,
}

/// What came of comparing a mark with what relays delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// No relay delivered a post.
    Withheld {
        /// Which.
        #[serde(with = "unpadded")]
        message: MessageId,
        /// When it was said, as the owner says, in Unix seconds.
        said_at: i64,
        /// What it says, if the mark tells.
        #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
        digest: Option<ContentDigest>,
    },
    /// No relay delivered so many posts, which the mark does not name.
    WithheldUnnamed {
        /// How many.
        missing: u64,
    },
    /// What counts here says something else than the owner counted.
    Altered {
        /// Which post.
        #[serde(with = "unpadded")]
        message: MessageId,
        /// What the owner counted.
        #[serde(with = "unpadded")]
        digest: ContentDigest,
        /// The relays that delivered what counts here.
        relays: Vec<RelayName>,
    },
    /// A post of our own did not reach the owner.
    Unmarked {
        /// Which.
        #[serde(with = "unpadded")]
        message: MessageId,
    },
    /// The group link held an older mark than one that was seen before, or none.
    Replayed,
    /// The mark says something else of posts that were counted before.
    Rewritten,
}

/// A relay's name in the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RelayName(#[serde(with = "unpadded")] pub MemberId);

/// A post of our own that is looked for in marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OwnPost {
    #[serde(with = "unpadded")]
    id: MessageId,
    said_at: i64,
    /// How much each owner had counted without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    without: Vec<Without>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Without {
    #[serde(with = "unpadded")]
    by: MemberId,
    total: u64,
}

/// How many posts came of an author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeardOf {
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    author: Option<MemberId>,
    /// Since when they are counted here, in Unix seconds.
    since: i64,
    count: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bases: Vec<Base>,
}

/// What an owner had counted of an author when the member began to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    #[serde(with = "unpadded")]
    by: MemberId,
    made_at: i64,
    count: u64,
    /// What came before, and is counted in it.
    here: u64,
}

/// What is here of a post that a mark names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Presence {
    /// No relay delivered it.
    Absent,
    /// As the owner counted it, as far as the mark says.
    Same,
    /// What counts here is something else.
    Other(Vec<RelayName>),
    /// It was here and is forgotten, a copy was refused, or relays disagree so much that not all copies were kept. That was
    /// told.
    Disputed,
}

/// The newest mark of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkStatus {
    /// Which owner.
    pub by: MemberId,
    /// How much it says of posts.
    pub strength: Strength,
    /// Counts the marks of this owner.
    pub number: u64,
    /// When it was made, in Unix seconds.
    pub made_at: i64,
    /// How many posts the owner counted.
    pub total: u64,
}

impl MarkWatch {
    /// The newest mark of each owner.
    pub(super) fn statuses(&self) -> Vec<MarkStatus> {
        let status = |seen: &Seen| MarkStatus {
            by: seen.by.clone(),
            strength: seen.strength,
            number: seen.number,
            made_at: seen.made_at,
            total: seen.total,
        };
        self.seen.iter().map(status).collect()
    }

    /// Posts that are still waited for.
    pub(super) fn outstanding(&self) -> usize {
        self.claims.len()
    }

    /// What was found, and is still so.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let replayed = self.seen.iter().filter(|seen| seen.replayed);
        let replayed = replayed.map(|seen| Finding { by: seen.by.clone(), author: None, what: Compared::Replayed });
        self.found.iter().cloned().chain(replayed).collect()
    }

    /// When something is given up next; marks that wait are to be compared at once.
    pub(super) fn next_due(&self, opened: Time, patience: Duration) -> Option<Time> {
        if !self.waiting.is_empty() {
            return Some(opened);
        }
        self.claims.iter().map(|claim| claim.due(opened, patience)).min()
    }

    /// A post of our own.
    pub(super) fn said(&mut self, id: MessageId, said_at: i64) {
        let without = self.seen.iter().map(|seen| Without { by: seen.by.clone(), total: seen.total }).collect();
        self.own.push_back(OwnPost { id, said_at, without });
        if self.own.len() > MAX_OWN {
            self.own.pop_front();
        }
    }

    /// The marks in the group link. It holds the newest ones that owners published: whatever else there is says less.
    pub(super) fn in_link(&mut self, transcript: &Transcript, is_owner: impl Fn(&MemberId) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        self.seen.retain(|seen| is_owner(&seen.by));
        for seen in &mut self.seen {
            let number = transcript.of(&seen.by).map_or(0, |mark| mark.number);
            seen.replayed = number < seen.number;
            if seen.replayed {
                let what = Compared::Replayed;
                events.push(Event::Compared(Finding { by: seen.by.clone(), author: None, what }));
            }
        }
        transcript.marks().iter().for_each(|mark| self.take(mark, &mut events));
        events
    }

    /// The mark that an owner signed. It may have been on its way for long.
    pub(super) fn in_message(&mut self, transcript: &Transcript, by: &MemberId, events: &mut Vec<Event>) {
        transcript.of(by).into_iter().for_each(|mark| self.take(mark, events));
    }

    fn take(&mut self, mark: &Mark, events: &mut Vec<Event>) {
        let place = self.seen.iter().position(|seen| seen.by == mark.by);
        let before = place.and_then(|place| self.seen.get(place)).cloned();
        if before.as_ref().is_some_and(|seen| mark.number <= seen.number)
            || (place.is_none() && self.seen.len() >= MAX_OWNERS)
        {
            return;
        }
        let rewritten = before.as_ref().is_some_and(|seen| mark.continues(seen.total, &seen.chain) == Some(false));
        if rewritten {
            self.find(Finding { by: mark.by.clone(), author: None, what: Compared::Rewritten }, events);
        }
        let seen = Seen {
            by: mark.by.clone(),
            strength: mark.strength,
            number: mark.number,
            made_at: mark.made_at,
            total: mark.total,
            chain: mark.chain,
            compared: before.map_or(0, |seen| if rewritten { 0 } else { seen.compared }),
            replayed: false,
        };
        match place.and_then(|place| self.seen.get_mut(place)) {
            Some(known) => *known = seen,
            None => self.seen.push(seen),
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(mark.clone());
        }
    }

    fn find(&mut self, finding: Finding, events: &mut Vec<Event>) {
        if self.found.contains(&finding) {
            return;
        }
        events.push(Event::Compared(finding.clone()));
        self.found.push_back(finding);
        if self.found.len() > MAX_CLAIMS {
            self.found.pop_front();
        }
    }

    fn claim(&mut self, claim: Claim) {
        let is_known = self.claims.iter().any(|known| known.what == claim.what && known.writer == claim.writer);
        let is_found = match &claim.what {
            Claimed::Post { id, .. } => self.found.iter().any(|finding| finding.message() == Some(id)),
            Claimed::Count(_) => false,
        };
        if is_known || is_found {
            return;
        }
        self.claims.push_back(claim);
        if self.claims.len() > MAX_CLAIMS {
            self.claims.pop_front();
        }
    }

    /// A copy of a post came; `counts` if it is the one that counts here. Whether it had been found missing.
    fn came(&mut self, id: &MessageId, digest: &ContentDigest, counts: bool) -> bool {
        self.claims.retain(|claim| match &claim.what {
            Claimed::Post { id: claimed, digest: expected, .. } => {
                claimed != id || expected.is_some_and(|expected| !counts || expected != *digest)
            }
            Claimed::Count(_) => true,
        });
        let before = self.found.len();
        self.found.retain(|finding| !finding.is_settled_by(id, digest, counts));
        self.found.len() < before
    }

    /// A post came of an author that had not been heard under this name.
    fn heard(&mut self, writer: &Writer, now: i64) {
        self.about(writer, now, |of| of.count = of.count.saturating_add(1));
    }

    /// Looks at what came of an author, who moves to the end of the list, and is put there if it is new.
    fn about<T>(&mut self, writer: &Writer, now: i64, look: impl FnOnce(&mut HeardOf) -> T) -> T {
        let author = writer.member().cloned();
        let place = self.heard.iter().position(|of| of.author == author);
        let new = HeardOf { author, since: now, count: 0, bases: Vec::new() };
        let mut of = place.map_or(new, |place| self.heard.remove(place));
        let seen = look(&mut of);
        if self.heard.len() >= MAX_AUTHORS {
            self.heard.remove(0);
        }
        self.heard.push(of);
        seen
    }

    /// Of the posts that are counted from `made_at` on, how many are known or suspected to be missing by name.
    fn named_missing(&self, by: &MemberId, author: Option<&MemberId>, from: i64) -> u64 {
        let claimed = self.claims.iter().filter(|claim| {
            let is_post = matches!(&claim.what, Claimed::Post { said_at, .. } if *said_at >= from);
            is_post && claim.by == *by && claim.writer.as_ref() == author
        });
        let found = self.found.iter().filter(|finding| {
            let is_post = matches!(&finding.what, Compared::Withheld { said_at, .. } if *said_at >= from);
            is_post && finding.by == *by && finding.author.as_ref() == author
        });
        u64::try_from(claimed.count().saturating_add(found.count())).unwrap_or(u64::MAX)
    }
}

impl HeardOf {
    /// Takes what a mark counts of the author. Whether there is an earlier count to compare it with; if not, this may be
    /// the first one. `here` is what of it came already.
    fn grew(&mut self, mark: &Mark, tally: &Tally, (here, patience): (u64, i64)) -> bool {
        match self.bases.iter().position(|base| base.by == mark.by) {
            None => {
                if self.bases.len() < MAX_OWNERS && self.since.saturating_add(patience) <= mark.made_at {
                    let (by, made_at) = (mark.by.clone(), mark.made_at);
                    self.bases.push(Base { by, made_at, count: tally.count, here });
                }
                false
            }
            // The owner forgot the author, and counts anew.
            Some(place) if self.bases.get(place).is_some_and(|base| tally.count < base.count) => {
                self.bases.remove(place);
                false
            }
            Some(_) => true,
        }
    }
}

impl Claim {
    fn due(&self, opened: Time, patience: Duration) -> Time {
        moment(self.since).max(opened).after(patience)
    }
}

impl Finding {
    /// The post that it is about.
    pub fn message(&self) -> Option<&MessageId> {
        match &self.what {
            Compared::Withheld { message, .. } | Compared::Altered { message, .. } | Compared::Unmarked { message } => {
                Some(message)
            }
            Compared::WithheldUnnamed { .. } | Compared::Replayed | Compared::Rewritten => None,
        }
    }

    fn is_settled_by(&self, id: &MessageId, came: &ContentDigest, counts: bool) -> bool {
        match &self.what {
            Compared::Withheld { message, digest, .. } => {
                message == id && digest.is_none_or(|digest| counts && digest == *came)
            }
            Compared::Altered { message, digest, .. } => message == id && counts && digest == came,
            _ => false,
        }
    }
}

impl View {
    /// Members compare; owners count.
    pub(super) fn compares_marks(&self) -> bool {
        !self.links.is_owner(&self.me.id)
    }

    /// A post came, in whatever copy. It is looked for among those that are missing, and counted for its author.
    pub(super) fn post_came(
        &mut self,
        message: &AcceptedMessage,
        counts: bool,
        is_new_author: bool,
        step: &mut Step<'_>,
    ) {
        let Some(id) = is_post(message.message()).filter(|_| self.compares_marks()) else { return };
        if is_new_author {
            self.marks.heard(&Writer::of(message), seconds(step.now));
        }
        if self.marks.came(id, &ContentDigest::of(message), counts) {
            step.events.push(Event::Late { message: id.clone(), relay: step.relay.clone() });
        }
    }

    /// Looks for the posts of marks that came, and gives up what was waited for long enough. If records cannot be read,
    /// nothing has changed.
    pub(super) fn compare_marks(
        &mut self,
        records: &dyn Records,
        opened: Time,
        now: Time,
        events: &mut Vec<Event>,
    ) -> Result<(), RecordError> {
        let patience = self.patience;
        let is_over = |claim: &Claim| claim.due(opened, patience) <= now;
        if self.marks.waiting.is_empty() && !self.marks.claims.iter().any(is_over) {
            return Ok(());
        }
        let named = self.marks.waiting.iter().flat_map(|mark| mark.posts.iter().map(|post| post.id.clone()));
        let claimed = self.marks.claims.iter().filter_map(|claim| match &claim.what {
            Claimed::Post { id, .. } => Some(id.clone()),
            Claimed::Count(_) => None,
        });
        let page = Page::load(records, named.chain(claimed).map(RecordKey::Message))?;
        for mark in std::mem::take(&mut self.marks.waiting) {
            self.look_for_posts(&mark, &page, now, events);
        }
        let (over, waiting) = self.marks.claims.drain(..).partition(is_over);
        let over: VecDeque<Claim> = over;
        self.marks.claims = waiting;
        over.into_iter().for_each(|claim| self.give_up(claim, &page, events));
        Ok(())
    }

    fn look_for_posts(&mut self, mark: &Mark, page: &Page, now: Time, events: &mut Vec<Event>) {
        let place = self.marks.seen.iter().position(|seen| seen.by == mark.by);
        let Some(compared) = place.and_then(|place| self.marks.seen.get(place)).map(|seen| seen.compared) else {
            return;
        };
        self.look_for_own(mark, events);
        for post in mark.since(compared) {
            let presence = presence(page.message(&post.id), post.digest.as_ref());
            let is_here = matches!(presence, Presence::Same | Presence::Disputed);
            let is_ours = post.writer.member() == Some(&self.me.id);
            if !is_here && !is_ours && self.is_owed(post.said_at) {
                self.marks.claim(Claim {
                    by: mark.by.clone(),
                    writer: post.writer.member().cloned(),
                    what: Claimed::Post { id: post.id.clone(), said_at: post.said_at, digest: post.digest },
                    since: seconds(now),
                });
            }
        }
        self.look_at_numbers(mark, !mark.reaches_back_to(compared), page, seconds(now));
        if let Some(seen) = place.and_then(|place| self.marks.seen.get_mut(place)) {
            seen.compared = seen.compared.max(mark.total);
        }
    }

    /// Whether a relay that delivers was to deliver what was said at a time.
    fn is_owed(&self, said_at: i64) -> bool {
        let owes = |since: Time| seconds(since.after(self.patience)) <= said_at;
        self.sources.values().any(|source| source.since.is_some_and(owes))
    }

    /// Looks for posts of our own that did not reach an owner. Only a mark that was made long enough afterwards, and names
    /// everything that was counted meanwhile, says so.
    fn look_for_own(&mut self, mark: &Mark, events: &mut Vec<Event>) {
        let mut missing = Vec::new();
        let patience = whole_seconds(self.patience);
        self.marks.own.retain_mut(|own| {
            if mark.posts.iter().any(|post| post.id == own.id) {
                return false;
            }
            let without = own.without.iter().position(|without| without.by == mark.by);
            let counted = without.and_then(|place| own.without.get(place)).map_or(0, |without| without.total);
            if !mark.hears {
                return true;
            }
            if !mark.reaches_back_to(counted) {
                // It may be among those that are not named, unless this is the first mark of the owner that we see.
                own.without.push(Without { by: mark.by.clone(), total: mark.total });
                return without.is_none();
            }
            if mark.made_at < own.said_at.saturating_add(patience) {
                return true;
            }
            missing.push(own.id.clone());
            false
        });
        let author = Some(self.me.id.clone());
        for message in missing {
            let what = Compared::Unmarked { message };
            self.marks.find(Finding { by: mark.by.clone(), author: author.clone(), what }, events);
        }
    }

    fn look_at_numbers(&mut self, mark: &Mark, overflows: bool, page: &Page, now: i64) {
        for tally in &mark.authors {
            if tally.writer.member() == Some(&self.me.id) {
                continue;
            }
            let is_here = |post: &&Post| {
                post.writer == tally.writer && presence(page.message(&post.id), None) != Presence::Absent
            };
            let here = u64::try_from(mark.posts.iter().filter(is_here).count()).unwrap_or(u64::MAX);
            let patience = whole_seconds(self.patience);
            let grew = self.marks.about(&tally.writer, now, |of| of.grew(mark, tally, (here, patience)));
            if grew && overflows {
                self.marks.claim(Claim {
                    by: mark.by.clone(),
                    writer: tally.writer.member().cloned(),
                    what: Claimed::Count(tally.count),
                    since: now,
                });
            }
        }
    }

    fn give_up(&mut self, claim: Claim, page: &Page, events: &mut Vec<Event>) {
        let Claim { by, writer: author, what, .. } = claim;
        let what = match what {
            Claimed::Post { id, said_at, digest } => match (presence(page.message(&id), digest.as_ref()), digest) {
                (Presence::Absent, digest) => Some(Compared::Withheld { message: id, said_at, digest }),
                (Presence::Other(relays), Some(digest)) => Some(Compared::Altered { message: id, digest, relays }),
                _ => None,
            },
            Claimed::Count(count) => self.unnamed_missing(&by, author.as_ref(), count),
        };
        if let Some(what) = what {
            self.marks.find(Finding { by, author, what }, events);
        }
    }

    /// How many posts by an author are missing beside those that are missing by name.
    fn unnamed_missing(&mut self, by: &MemberId, author: Option<&MemberId>, counted: u64) -> Option<Compared> {
        let of = self.marks.heard.iter().find(|of| of.author.as_ref() == author)?;
        let base = of.bases.iter().find(|base| base.by == *by).filter(|base| self.is_owed(base.made_at))?;
        let expected = counted.saturating_sub(base.count);
        let came = of.count.saturating_sub(base.here);
        let named = self.marks.named_missing(by, author, base.made_at);
        let missing = expected.saturating_sub(came).saturating_sub(named);
        // A number that was told before gives way to the one that holds now.
        let is_number = |finding: &Finding| {
            let same = finding.by == *by && finding.author.as_ref() == author;
            same && matches!(finding.what, Compared::WithheldUnnamed { .. })
        };
        let told = Compared::WithheldUnnamed { missing };
        self.marks.found.retain(|finding| !is_number(finding) || (missing > 0 && finding.what == told));
        (missing > 0).then_some(told)
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn presence(record: Option<&MessageRecord>, digest: Option<&ContentDigest>) -> Presence {
    let Some(record) = record else { return Presence::Absent };
    let Some(kept) = record.kept() else {
        return if record.came_once() { Presence::Disputed } else { Presence::Absent };
    };
    let says = |copy: &Copy| digest.is_none_or(|digest| copy.digest() == digest.as_bytes());
    if says(kept) {
        Presence::Same
    } else if record.is_full() || record.was_refused() {
        Presence::Disputed
    } else {
        Presence::Other(kept.deliveries().iter().map(|delivered| RelayName(delivered.relay.clone())).collect())
    }
}
