//! Several owners write one group link: each looks before it writes and after it wrote, and merges what it finds.
//!
//! ```text
//!  changed ─▶ look ─┬─ what we made ours from ──────────▶ write ─▶ look: still ours ─▶ done
//!                   ├─ made from ours ─▶ taken as it is
//!                   ├─ made beside ours ─▶ merged ──────▶ write ─▶ look …
//!                   └─ what was there before ours ──────▶ write again: the server held it back
//! ```
//!
//! A look and the write after it are two commands, so another owner may write between them. What it wrote is lost on the
//! server then, but not with its writer, who looks after its own write, finds ours in its place, and merges: the
//! revision of what it finds does not cover its own (see [`revision`](crate::revision)). So whoever wrote last on the
//! server, all changes of all owners come together, as soon as everybody has looked.
//!
//! To see what others changed, an owner keeps the last states of the link that others may have made theirs from. A
//! single owner keeps none, and reads nothing before it writes.
//!
//! The server takes commands for the queue from the keys of all owners. Before an owner writes a list with other keys
//! than the server has from it, it sets these: who is no owner any more can write no more from then on.

use agent::link_read::RetrievedLinkData;
use agent::time::Env;
use crypto::authorize::AuthPublicKey;
use crypto::sign::Ed25519PublicKey;

use super::publish::Writing;
use super::read_back::LinkCondition;
use super::stage::{Parting, Stage};
use super::status::InactiveReason;
use super::task::{SetQueueKeys, Task, TaskId};
use super::{Event, GroupOwner, OwnerError};
use crate::document::Inconsistent;
use crate::identity::MemberId;
use crate::link_merge::LinkContents;
use crate::link_state::{LinkState, Unknown};
use crate::owner_list::{MAX_OWNERS, OwnerList};
use crate::revision::Revision;
use crate::step::link_create::{GroupContents, GroupLink};
use crate::text::shown;

/// How many states of the link are kept to compare with.
const REMEMBERED: usize = 4;
const KNOWN: &str = "link_data.known";

/// What an owner knows of the link because it is not the only one who writes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sharing {
    /// What others may have made theirs from, the last one last.
    known: Vec<LinkState>,
    /// Whether we looked since we last changed or wrote something. Not kept: others may write between two runs.
    looked: bool,
    /// The keys that the server takes commands from, if they are not ours alone.
    keys: Vec<Ed25519PublicKey>,
    /// Those that are being set.
    setting: Vec<Ed25519PublicKey>,
}

impl Sharing {
    pub(super) fn look_again(&mut self) {
        self.looked = false;
    }

    fn remember(&mut self, state: LinkState) {
        self.known.retain(|known| known.revision != state.revision);
        self.known.push(state);
        let surplus = self.known.len().saturating_sub(REMEMBERED);
        self.known.drain(..surplus);
    }

    /// The last state that the revision was made from.
    fn base(&self, revision: &Revision) -> Option<&LinkContents> {
        self.known.iter().rfind(|known| revision.covers(&known.revision)).map(|known| &known.said)
    }

    /// What a document keeps of it: user data of the states, and the keys.
    pub(super) fn to_keep(&self) -> (Vec<Vec<u8>>, Vec<Ed25519PublicKey>) {
        (self.known.iter().map(|state| state.data.user.clone()).collect(), self.keys.clone())
    }

    pub(super) fn restore(
        link: &GroupLink,
        known: Vec<Vec<u8>>,
        keys: Vec<Ed25519PublicKey>,
    ) -> Result<Self, Inconsistent> {
        if known.len() > REMEMBERED || keys.len() > MAX_OWNERS {
            return Err(Inconsistent::new(KNOWN, "more than are ever kept"));
        }
        let read = |user| {
            let found = link.found(user);
            LinkState::read(link.group().short_link(), &found)
        };
        let known: Result<Vec<LinkState>, Unknown> = known.into_iter().map(read).collect();
        let known = known.map_err(|_| Inconsistent::new(KNOWN, "no data of this link with a revision"))?;
        Ok(Sharing { known, keys, ..Sharing::default() })
    }

    /// What a further owner knows when it begins.
    pub(super) fn begin(state: LinkState) -> Self {
        let keys = sorted_keys(&state.said.owners);
        Sharing { known: vec![state], keys, ..Sharing::default() }
    }
}

fn sorted_keys(owners: &OwnerList) -> Vec<Ed25519PublicKey> {
    owners.queue_keys().into_values().collect()
}

impl GroupOwner {
    /// The state of an owner whom another one let in, and who has read the link.
    pub(crate) fn further(link: GroupLink, state: LinkState) -> Self {
        GroupOwner { sharing: Sharing::begin(state), ..GroupOwner::from(link) }
    }

    /// All owners of the group, in the order in which they were let in.
    pub fn owners(&self) -> &OwnerList {
        self.link.group().owners()
    }

    /// Whether others write the link too.
    pub fn is_shared(&self) -> bool {
        self.owners().len() > 1
    }

    /// Whether the group still has this owner, or its holder of the root key.
    pub fn is_owner(&self) -> bool {
        let ownership = self.link.group().ownership();
        ownership.root_key().is_some() || self.owners().get(&ownership.owner_id).is_some()
    }

    /// What is to be done about the link next: the same task again after one that failed.
    pub fn link_task(&self) -> Option<TaskId> {
        self.link.queue().access.as_ref()?;
        if !self.is_owner() || self.closing.is_some() {
            return None;
        }
        if self.is_shared() && !self.sharing.looked {
            return self.writing.is_none().then_some(TaskId::ReadGroupLink);
        }
        if self.lacks_keys() {
            return Some(TaskId::SetQueueKeys);
        }
        (!self.is_written()).then_some(TaskId::WriteLink)
    }

    /// The keys that are to be set: none as long as the server has none but the first owner's.
    fn wanted_keys(&self) -> Vec<Ed25519PublicKey> {
        let keys = sorted_keys(self.owners());
        if keys.len() <= 1 && self.sharing.keys.is_empty() { Vec::new() } else { keys }
    }

    fn lacks_keys(&self) -> bool {
        self.wanted_keys() != self.sharing.keys
    }

    pub(super) fn set_queue_keys(&mut self) -> Result<Task, OwnerError> {
        let group = self.link.group();
        let recipient_id = self.link.queue().access.as_ref().map(|access| access.recipient_id.clone());
        self.sharing.setting = self.wanted_keys();
        Ok(Task::SetQueueKeys(Box::new(SetQueueKeys {
            server: group.server().address.clone(),
            recipient_id: recipient_id.ok_or(OwnerError::NotWritable)?,
            key: group.recipient_key(),
            keys: self.sharing.setting.iter().copied().map(AuthPublicKey::Ed25519).collect(),
        })))
    }

    pub(super) fn queue_keys_set(&mut self) {
        self.sharing.keys = std::mem::take(&mut self.sharing.setting);
    }

    /// After a write: with several owners somebody else may have written at the same time.
    pub(super) fn written_beside_others(&mut self) {
        self.sharing.look_again();
        if !self.is_shared() {
            self.sharing.known.clear();
        }
    }

    /// Nothing stands under the link.
    pub(super) fn group_link_missing(&mut self, events: &mut Vec<Event>) {
        self.sharing.looked = true;
        if self.is_written() {
            self.write_again();
            events.push(Event::LinkWithheld(LinkCondition::Missing));
        }
    }

    pub(super) fn write_again(&mut self) {
        self.confirmed = self.link.group().written().version.saturating_sub(1);
    }

    /// Whoever is let in makes its first change from what stands in the link now.
    pub(super) fn remember_confirmed(&mut self) {
        if self.is_written() {
            self.sharing.remember(self.link.state());
        }
    }

    /// Compares what stands behind the link with what we know.
    pub(super) fn group_link_read(&mut self, found: &RetrievedLinkData, env: &mut Env<'_>, events: &mut Vec<Event>) {
        self.sharing.looked = true;
        if found.data == self.link.link_data().1 {
            return self.found_ours(env, events);
        }
        let theirs = match LinkState::read(self.link.group().short_link(), found) {
            Ok(theirs) => theirs,
            Err(Unknown::Foreign) => return events.push(Event::LinkWithheld(LinkCondition::Foreign)),
            Err(Unknown::NoRevision) => return self.found_older(events),
        };
        let ours = &self.link.group().written().revision;
        if ours.covers(&theirs.revision) {
            self.found_older(events);
        } else if theirs.revision.covers(ours) || !self.remains_owner(&theirs) {
            self.take(theirs, env, events);
        } else {
            self.merge(theirs, env, events);
        }
    }

    fn remains_owner(&self, theirs: &LinkState) -> bool {
        let ownership = self.link.group().ownership();
        ownership.root_key().is_some() || theirs.said.owners.get(&ownership.owner_id).is_some()
    }

    /// What was to be written is there, whatever was said about it.
    fn found_ours(&mut self, env: &mut Env<'_>, events: &mut Vec<Event>) {
        if !self.is_written() {
            self.confirmed = self.link.group().written().version;
            self.follow_listing(&self.listed(), env, events);
        }
    }

    /// That is as it should be while ours is not written; if it is, the server holds it back.
    fn found_older(&mut self, events: &mut Vec<Event>) {
        if self.is_written() {
            self.write_again();
            events.push(Event::LinkWithheld(LinkCondition::Old));
        }
    }

    /// Takes what another owner made from ours, or what ends our being an owner.
    fn take(&mut self, theirs: LinkState, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let before = self.link.group().contents().clone();
        let was_owner = self.is_owner();
        self.sharing.remember(theirs.clone());
        self.set_link(self.link.clone().adopt(theirs));
        self.confirmed = self.link.group().written().version;
        self.writing = None;
        if was_owner && !self.is_owner() {
            return events.push(Event::Dismissed);
        }
        self.follow(&before, env, events);
        self.follow_listing(&self.listed(), env, events);
        self.settle(env, events);
    }

    /// Writes what both say; nothing if that does not fit: then it waits until an owner says less.
    fn merge(&mut self, theirs: LinkState, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let before = self.link.group().contents().clone();
        let base = self.sharing.base(&theirs.revision);
        let (merged, overridden) = match self.link.clone().merge(base, &theirs, env.random) {
            Ok(merged) => merged,
            Err(error) => return self.not_merged(&error.to_string(), env, events),
        };
        self.sharing.remember(theirs);
        self.set_link(merged);
        events.extend(overridden.into_iter().map(Event::LinkConflict));
        self.follow(&before, env, events);
        self.settle(env, events);
        // What was settled just now is made from what was found.
        self.sharing.looked = true;
    }

    fn not_merged(&mut self, reason: &str, env: &mut Env<'_>, events: &mut Vec<Event>) {
        self.sharing.look_again();
        self.later(&TaskId::ReadGroupLink, env.now);
        events.push(Event::LinkNotWritten { reason: shown(reason) });
    }

    /// What another owner changed: relays hear of another profile, and relays that it took out of the link are gone.
    fn follow(&mut self, before: &GroupContents, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let contents = self.link.group().contents();
        if contents.member_count != before.member_count {
            self.headcount.set(contents.member_count);
        }
        if contents.profile != before.profile {
            self.untold_profile = Some(self.link.group().written().version);
        }
        let listed = self.listed();
        let gone = self.relays.iter().filter(|record| matches!(record.stage, Stage::Active(_) | Stage::Adopting(_)));
        let gone: Vec<MemberId> = gone.map(|record| record.id.clone()).filter(|id| !listed.contains(id)).collect();
        for relay in gone {
            self.end(&relay, InactiveReason::Unlisted, Parting::Done, env, events);
        }
    }

    /// Whether the server has everything that this owner wants of the link, and nobody wrote since.
    pub fn is_settled(&self) -> bool {
        self.is_written() && self.link_task().is_none() && self.writing.is_none()
    }

    /// What is written now, others may make theirs from.
    pub(super) fn begin_writing(&mut self) {
        let version = self.link.group().written().version;
        self.writing = Some(Writing { version, listed: self.listed() });
        if self.is_shared() {
            self.sharing.remember(self.link.state());
        }
    }
}
