//! Transcript marks of an owner: what it counts goes into the group link, and then to the members through relays.
//!
//! A mark is made when nothing that counts is still on its way, see [`GroupOwner::mark_transcript`]; the link is written
//! first, so that it never says less than what relays pass on.
//!
//! The names of 64 posts take 3.6 KB of JSON, with digests 7.2 KB; 10 KB stand in a link uncompressed, and compressed JSON
//! may be longer. A picture in the profile may leave less: then the mark names fewer posts, or none, and still counts all.

use agent::time::Env;

use super::outgoing::{Owed, Say, owe};
use super::{Event, GroupOwner, OwnerError};
use crate::body::single;
use crate::event::{Event as ChatEvent, GroupInfo};
use crate::limits::TooLong;
use crate::membership::seconds;
use crate::message_id::MessageId;
use crate::step::link_create::GroupContents;
use crate::text::shown;
use crate::transcript::{Ledger, Mark, Post, Setting, Transcript};

/// How many posts a mark in the link names, and how many if that is too much.
const POSTS_IN_LINK: [usize; 7] = [64, 48, 32, 16, 8, 4, 0];
/// The same for marks that relays pass on.
const POSTS_IN_MESSAGE: [usize; 7] = [128, 96, 64, 32, 16, 8, 0];
/// Relays pass on a mark when so many posts were counted since the last one that they did …
const TELL_AFTER_POSTS: u64 = 32;
/// … or so many seconds have passed.
const TELL_AFTER_SECONDS: i64 = 3600;

impl GroupOwner {
    /// What this owner counted of what was said.
    pub fn ledger(&self) -> &Ledger {
        self.link.group().ledger()
    }

    pub(super) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.link.group.ledger
    }

    /// Whether posts are counted from now on, and how much is published of them.
    pub fn set_transcript(&mut self, setting: Setting) {
        self.ledger_mut().set(setting);
    }

    /// Puts what was counted into the group link, if something was. Call it when the first relay's server has whatever the
    /// owner said: a mark must not be ahead of what is still in the owner's own state.
    pub fn mark_transcript(&mut self, env: &mut Env<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.ledger().has_unmarked() || self.link.queue().access.is_none() {
            return events;
        }
        let before = self.link.clone();
        let contents = self.link.group().contents().clone();
        let by = self.link.group().owner.owner_id.clone();
        let [most, ..] = POSTS_IN_LINK;
        let Some(mark) = self.ledger_mut().next_mark(&by, most, seconds(env.now)) else { return events };
        let mut transcript = contents.transcript.clone();
        transcript.replace(mark);
        if let Err(error) = self.update(GroupContents { transcript, ..contents }, env) {
            self.set_link(before);
            events.push(Event::LinkNotWritten { reason: shown(&error.to_string()) });
        }
        events
    }

    /// Makes link data with as many names of posts as there is room for. Everything else in the link comes first.
    pub(super) fn update(&mut self, contents: GroupContents, env: &mut Env<'_>) -> Result<(), OwnerError> {
        if self.link.queue().access.is_none() {
            return Err(OwnerError::NotWritable);
        }
        let mut outcome = Ok(());
        for posts in POSTS_IN_LINK {
            let transcript = contents.transcript.shortened(posts);
            match self.link.clone().update(GroupContents { transcript, ..contents.clone() }, env.random) {
                Ok(link) => {
                    self.set_link(link);
                    self.sharing.look_again();
                    return Ok(());
                }
                Err(error) => outcome = Err(error.into()),
            }
            if contents.transcript.is_empty() {
                break;
            }
        }
        outcome
    }

    /// The server has a mark: now and then relays pass it on, in the same bytes, so that nobody has to read the link.
    pub(super) fn tell_mark(&mut self, env: &mut Env<'_>) {
        let by = self.link.group().owner.owner_id.clone();
        let published = self.link.group().contents().transcript.of(&by).cloned();
        let Some(published) = published.filter(|_| self.is_written()) else { return };
        if !self.ledger().wants_telling(&published, TELL_AFTER_POSTS, TELL_AFTER_SECONDS) {
            return;
        }
        let id = MessageId::random(env.random);
        let Some(body) = self.body_of_mark(&published, &id) else { return };
        for record in self.relays.iter_mut().filter(|record| record.is_connected()) {
            owe(&mut record.owed, id.clone(), Say::Mark(body.clone()));
        }
        self.ledger_mut().told(&published);
    }

    /// A mark beside the profile that everybody knows: others see nothing new in it.
    fn body_of_mark(&self, published: &Mark, id: &MessageId) -> Option<Vec<u8>> {
        POSTS_IN_MESSAGE.into_iter().find_map(|posts| {
            let longer = self.ledger().last_mark(&published.by, posts).filter(|mark| mark.number == published.number);
            let mark = longer.unwrap_or_else(|| published.shortened(posts));
            let group_profile = self.link.group().contents().profile.clone();
            let info = GroupInfo { group_profile, transcript: Transcript::from(mark) };
            let body: Result<Vec<u8>, TooLong> = single(self.signed(id, ChatEvent::GroupInfo(info.into())));
            body.ok()
        })
    }

    /// Every relay delivered these posts alike.
    pub(super) fn count_heard(&mut self, posts: Vec<Post>) {
        self.ledger_mut().listens();
        posts.into_iter().for_each(|post| self.ledger_mut().heard(post));
    }

    /// A message of the owner is on its way to a relay.
    pub(super) fn counts(&mut self, sent: &Owed) {
        if let Say::Content(_) = sent.say {
            self.ledger_mut().sent(&sent.id);
        }
    }
}
