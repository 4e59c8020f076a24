//! What whoever joins is told, in this order.
//!
//! | stage | what |
//! |---|---|
//! | welcome | `x.grp.link.mem`: who the relay is; then the profile that an owner signed last |
//! | owners | `x.grp.mem.intro` of each |
//! | roster | as an owner signed it, with its chunks; to programs that know rosters |
//! | moderators | `x.grp.mem.intro` of each |
//! | history | the last 100 posts with their last edits, if the group wants that |

use codec::{Decode as _, Encode as _};
use serde::{Deserialize, Serialize};

use super::composer::{Composer, Packer};
use super::hall::{Hall, Lane};
use super::inputs::member_info;
use super::member::Member;
use super::message::StoredMessage;
use super::rows::ReadRows;
use super::view::GroupView;
use crate::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use crate::event::{Event, MemberIntroduction};
use crate::identity::MemberId;
use crate::member::{MemberInfo, MemberRestrictions, Restriction, Role};
use crate::message::Message;
use crate::preferences::Feature;
use crate::relay::roster::StoredRoster;
use crate::roster::RosterVersion;
use crate::roster_blob::RosterBlob;
use crate::version;

/// Posts that those who join get.
const HISTORY: usize = 100;
/// What is read of the history at a time.
const HISTORY_PAGE: usize = 128;
/// Moderators that are introduced at a time.
const MODERATORS_PAGE: usize = 32;

/// How far an introduction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", content = "from", rename_all = "snake_case")]
pub enum Stage {
    /// Nothing was said yet.
    Welcome,
    /// The owners are next.
    Owners,
    /// The roster is next.
    Roster,
    /// Moderators with numbers above this one are next.
    Moderators(u64),
    /// Posts from this one on are next; none was looked for yet where there is no number.
    History(Option<u64>),
    /// Only the roster is to be served, to a member that was introduced before.
    RosterAgain,
}

/// Makes what the stages say.
pub(super) struct Introducer<'a, R> {
    pub(super) view: &'a GroupView,
    pub(super) rows: &'a R,
    pub(super) hall: &'a Hall,
    /// Unix seconds.
    pub(super) now: i64,
}

impl<R: ReadRows> Introducer<'_, R> {
    /// Says what belongs to a stage, and which one is next.
    pub(super) fn say(
        &self,
        stage: Stage,
        member: &Member,
        composer: &mut Composer<'_, R>,
        packer: &mut Packer,
    ) -> Result<Option<Stage>, R::Error> {
        match stage {
            Stage::Welcome => self.welcome(packer).map(|()| Some(Stage::Owners)),
            Stage::Owners => self.owners(member, packer).map(|()| Some(Stage::Roster)),
            Stage::Roster => {
                self.roster(member, packer);
                Ok(Some(Stage::Moderators(0)))
            }
            Stage::Moderators(after) => self.moderators(after, member, packer).map(Some),
            Stage::History(from) => self.history(from, member, composer, packer),
            Stage::RosterAgain => {
                self.roster(member, packer);
                Ok(None)
            }
        }
    }

    fn welcome(&self, packer: &mut Packer) -> Result<(), R::Error> {
        packer.push(&Element::from(self.view.own_introduction()).to_bytes());
        if let Some(seq) = self.hall.signed_profile
            && let Some(profile) = self.rows.message(Lane::Group, seq)?
        {
            packer.push(&profile.element);
        }
        Ok(())
    }

    fn owners(&self, member: &Member, packer: &mut Packer) -> Result<(), R::Error> {
        for owner in self.view.owners.iter().filter(|owner| **owner != member.id) {
            let persona = self.view.owner_persona(owner);
            let member_info = MemberInfo {
                member_id: owner.clone(),
                member_role: Role::Owner,
                v: None,
                profile: persona.profile,
                member_key: None,
            };
            packer.push(&introduction(member_info, None));
        }
        Ok(())
    }

    /// The roster that is stored, for programs that know rosters.
    fn roster(&self, member: &Member, packer: &mut Packer) {
        let stored = self.view.stored_roster.as_ref().filter(|_| member.max_version >= version::ROSTER);
        let elements = stored.and_then(|stored| self.roster_elements(stored)).unwrap_or_default();
        elements.iter().for_each(|element| packer.push(element));
    }

    fn roster_elements(&self, stored: &StoredRoster) -> Option<Vec<Vec<u8>>> {
        let header = AuthoredMessage::parse(&stored.header).ok()?;
        let blob = RosterBlob::decode_all(&stored.blob).ok()?;
        let chunks = blob.chunks(header.message().id.as_ref()?);
        let name = ShortName::new(self.view.owner_name(&stored.owner));
        let sender = ForwardSender::Member(stored.owner.clone(), name);
        let forward = Forward { sender, sent_at: self.now, content: ForwardContent::Message(header) };
        let chunks = chunks.into_iter().map(Element::Chunk);
        Some(std::iter::once(Element::Forward(forward)).chain(chunks).map(|element| element.to_bytes()).collect())
    }

    fn moderators(&self, after: u64, member: &Member, packer: &mut Packer) -> Result<Stage, R::Error> {
        let page = self.rows.moderators(after, MODERATORS_PAGE)?;
        for moderator in page.iter().filter(|other| !other.is_owner() && other.number != member.number) {
            let Some(persona) = self.rows.persona(moderator.number)? else { continue };
            let blocked = moderator.blocked.then_some(MemberRestrictions { restriction: Restriction::Blocked });
            packer.push(&introduction(member_info(moderator, &persona), blocked));
        }
        let last = page.last().filter(|_| page.len() >= MODERATORS_PAGE);
        Ok(last.map_or(Stage::History(None), |last| Stage::Moderators(last.number)))
    }

    fn history(
        &self,
        from: Option<u64>,
        member: &Member,
        composer: &mut Composer<'_, R>,
        packer: &mut Packer,
    ) -> Result<Option<Stage>, R::Error> {
        if !self.view.allows(Feature::History, &member.role) {
            return Ok(None);
        }
        let from = match from {
            Some(from) => Some(from),
            None => self.rows.first_of_last_items(member.start, HISTORY)?,
        };
        let Some(from) = from else { return Ok(None) };
        let page = self.rows.history(from, member.start, HISTORY_PAGE)?;
        let next = page.last().filter(|_| page.len() >= HISTORY_PAGE).map(|last| last.seq.saturating_add(1));
        let mut shown = Vec::new();
        for message in page {
            if self.is_shown(&message, from)? {
                shown.push(message);
            }
        }
        composer.pack(&shown, member, packer)?;
        Ok(next.map(|next| Stage::History(Some(next))))
    }

    /// Not what belongs to older posts, nor what has disappeared, nor what blocked members wrote.
    fn is_shown(&self, message: &StoredMessage, from: u64) -> Result<bool, R::Error> {
        let Some(history) = message.history.filter(|history| history.item >= from || from > message.seq) else {
            return Ok(false);
        };
        let disappeared = history.until.is_some_and(|until| until <= self.now);
        Ok(!disappeared && !self.is_blocked(&message.author)?)
    }

    fn is_blocked(&self, author: &MemberId) -> Result<bool, R::Error> {
        Ok(self.rows.member_with_id(author)?.is_some_and(|member| member.blocked))
    }
}

/// The roster that a stage serves.
pub(super) fn served_roster(stage: Stage, view: &GroupView, member: &Member) -> Option<RosterVersion> {
    let serves = matches!(stage, Stage::Roster | Stage::RosterAgain) && member.max_version >= version::ROSTER;
    view.stored_roster.as_ref().filter(|_| serves).map(|stored| stored.version)
}

fn introduction(member_info: MemberInfo, member_restrictions: Option<MemberRestrictions>) -> Vec<u8> {
    let event = Event::GroupMemberIntroduction(MemberIntroduction { member_info, member_restrictions }.into());
    Message::unnamed(event).to_json()
}
