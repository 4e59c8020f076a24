//! What members may say, as far as a relay can judge it, and to whom it goes.
//!
//! | what | who |
//! |---|---|
//! | posts, edits, deletions, files | authors and above; in the chat with moderators also the member whose chat it is |
//! | reactions | everybody, if the group wants them |
//! | deletion of what somebody else wrote | moderators, signed, of authors with no higher role |
//! | change of a role | moderators between roles without rights, admins the same; everything else owners alone |
//! | blocking | moderators, of members with no higher role |
//! | removal | admins, of members without rights; of others owners alone |
//! | own profile, leaving | everybody about itself |
//! | the group's profile and preferences, its end, relays | owners |
//!
//! What cannot be judged without having seen it before, such as an edit of a message that came long ago, goes on: members
//! judge it again.

use super::inputs::Members;
use super::member::Member;
use super::message::{History, StoredMessage};
use super::rows::Rows;
use super::sequence::Speaker;
use crate::content::{Mention, MessageDeletion, Scope};
use crate::event::{Event, MemberRemoval, MemberRestriction, RoleChange};
use crate::identity::MemberId;
use crate::member::{Restriction, Role};
use crate::message_id::MessageId;
use crate::preferences::Feature;
use crate::verification::{AcceptedMessage, Trust};

/// Messages that are looked at when one is named: only their authors choose names.
const NAMESAKES: usize = 8;

/// To whom a message goes, and what it changes.
#[derive(Debug, Default)]
pub(super) struct Passage {
    /// Not to everybody, but to moderators and the member of this chat.
    pub(super) to_moderators: bool,
    pub(super) scope: Option<MemberId>,
    /// A member that does not get it.
    pub(super) about: Option<u64>,
    /// The post that it belongs to.
    pub(super) item: Option<History>,
    pub(super) effect: Effect,
}

/// What a message changes at the relay.
#[derive(Debug, Default)]
pub(super) enum Effect {
    #[default]
    Nothing,
    /// The author's profile.
    Profile,
    /// The author leaves.
    Leave,
    Remove(Box<Member>),
    Role(Box<Member>, Role),
    Block(Box<Member>, bool),
    /// The post is no longer for those who join later.
    Forget(u64),
    /// The post has a newer edit.
    Edit(u64),
}

/// Whether a message may go on.
type Ruling = Result<Passage, &'static str>;

impl<R: Rows> Members<'_, '_, R> {
    /// Judges something that is verified and may be forwarded at all.
    pub(super) fn rule(&self, speaker: &Speaker, accepted: &AcceptedMessage) -> Result<Ruling, R::Error> {
        let owner = speaker.role == Role::Owner;
        let plain = |passes: bool, why| if passes { Ok(Passage::default()) } else { Err(why) };
        Ok(match accepted.event() {
            Event::MessageNew(_) => self.passage_of_content(speaker, accepted),
            Event::MessageUpdate(update) => self.rule_on_item(speaker, accepted, &update.message_id, Change::Edit)?,
            Event::MessageFileDescription(part) => {
                self.rule_on_item(speaker, accepted, &part.message_id, Change::Addition)?
            }
            Event::FileCancel(cancel) => self.rule_on_item(speaker, accepted, &cancel.message_id, Change::Addition)?,
            Event::MessageDelete(deletion) => self.rule_on_deletion(speaker, accepted, deletion)?,
            Event::MessageReact(_) => self.rule_on_reaction(speaker, accepted),
            Event::Info(info) => {
                let valid = info.profile.check().is_ok();
                valid.then(|| Passage::having(Effect::Profile)).ok_or("a profile without a valid name")
            }
            Event::GroupLeave => Ok(Passage::having(Effect::Leave)),
            Event::GroupMemberRole(change) => self.rule_on_role(speaker, change)?,
            Event::GroupMemberDelete(removal) => self.rule_on_removal(speaker, removal)?,
            Event::GroupMemberRestrict(restriction) => self.rule_on_restriction(speaker, restriction)?,
            Event::GroupInfo(_) | Event::GroupPreferences(_) | Event::GroupRelayNew(_) => {
                plain(owner, "only owners say that")
            }
            _ => Err("members do not say that"),
        })
    }

    /// Where what members write goes.
    fn passage_of_content(&self, speaker: &Speaker, accepted: &AcceptedMessage) -> Ruling {
        let Some(Scope::Member(Mention { member_id })) = accepted.event().scope() else {
            let may = speaker.role > Role::Observer;
            return if may { Ok(Passage::default()) } else { Err("observers only read") };
        };
        let moderates = speaker.role >= Role::Moderator;
        if !moderates && !self.view.allows(Feature::Support, &speaker.role) {
            return Err("there are no chats with moderators in this group");
        }
        if !moderates && *member_id != speaker.id {
            return Err("the chat of another member with moderators");
        }
        Ok(Passage { to_moderators: true, scope: Some(member_id.clone()), ..Passage::default() })
    }

    fn rule_on_reaction(&self, speaker: &Speaker, accepted: &AcceptedMessage) -> Ruling {
        if !self.view.allows(Feature::Reactions, &speaker.role) {
            return Err("there are no reactions in this group");
        }
        match accepted.event().scope() {
            Some(_) => self.passage_of_content(speaker, accepted),
            None => Ok(Passage::default()),
        }
    }

    /// A change of a post by its author; those of the group's own posts by any owner.
    fn rule_on_item(
        &self,
        speaker: &Speaker,
        accepted: &AcceptedMessage,
        item: &MessageId,
        change: Change,
    ) -> Result<Ruling, R::Error> {
        let passage = match self.passage_of_content(speaker, accepted) {
            Ok(passage) => passage,
            // Whoever wrote in its chat with moderators may name a message there without naming the chat.
            Err(why) => return Ok(Err(why)),
        };
        let namesakes = self.rows.named(item, NAMESAKES)?;
        let posts: Vec<StoredMessage> =
            namesakes.into_iter().filter(|message| message.lane == passage.lane()).collect();
        let own = posts.iter().find(|post| is_by(post, speaker));
        Ok(match own {
            None if posts.is_empty() => Ok(passage),
            None => Err("a change of what somebody else wrote"),
            Some(post) if !may_change(accepted.trust(), post) => Err("an unsigned change of a signed message"),
            Some(post) => {
                let effect = match change {
                    Change::Edit => Effect::Edit(post.seq),
                    Change::Addition => Effect::Nothing,
                    Change::Deletion => Effect::Forget(post.seq),
                };
                let item = post.history.filter(|_| change != Change::Deletion);
                Ok(Passage { item, effect, ..passage })
            }
        })
    }

    fn rule_on_deletion(
        &self,
        speaker: &Speaker,
        accepted: &AcceptedMessage,
        deletion: &MessageDeletion,
    ) -> Result<Ruling, R::Error> {
        let Some(author) = &deletion.member_id else {
            return self.rule_on_item(speaker, accepted, &deletion.message_id, Change::Deletion);
        };
        if speaker.role < Role::Moderator {
            return Ok(Err("only moderators delete what others wrote"));
        }
        if !accepted.trust().is_verified() {
            return Ok(Err("moderators sign what they do"));
        }
        if self.role_of(author)? > speaker.role {
            return Ok(Err("the author has a higher role"));
        }
        let passage = match self.passage_of_content(speaker, accepted) {
            Ok(passage) => passage,
            Err(why) => return Ok(Err(why)),
        };
        let namesakes = self.rows.named(&deletion.message_id, NAMESAKES)?;
        let post = namesakes.into_iter().find(|post| post.author == *author && post.lane == passage.lane());
        let effect = post.map_or(Effect::Nothing, |post| Effect::Forget(post.seq));
        Ok(Ok(Passage { effect, ..passage }))
    }

    fn role_of(&self, id: &MemberId) -> Result<Role, R::Error> {
        if self.view.links.is_owner(id) {
            return Ok(Role::Owner);
        }
        let member = self.rows.member_with_id(id)?;
        let known = member.map(|member| member.role).or_else(|| self.view.roster.role(id));
        Ok(known.unwrap_or(Role::Observer))
    }

    fn rule_on_role(&self, speaker: &Speaker, change: &RoleChange) -> Result<Ruling, R::Error> {
        let target = self.rows.member_with_id(&change.member_id)?.filter(Member::is_current);
        let owner = speaker.role == Role::Owner;
        let before = self.role_of(&change.member_id)?;
        let to_plain = matches!(change.role, Role::Observer | Role::Author);
        let from_plain = !before.is_privileged() && before != Role::Relay;
        if owner {
            // The roster says what became of it; roles without rights stand in the row alone.
            let effect = target.filter(|_| to_plain && from_plain);
            let effect = effect.map_or(Effect::Nothing, |member| Effect::Role(member.into(), change.role.clone()));
            return Ok(Ok(Passage::having(effect)));
        }
        Ok(match target {
            _ if speaker.role < Role::Moderator => Err("only moderators change roles"),
            _ if !to_plain || !from_plain => Err("only owners give rights and take them"),
            None => Err("there is no such member"),
            Some(member) => Ok(Passage::having(Effect::Role(member.into(), change.role.clone()))),
        })
    }

    fn rule_on_removal(&self, speaker: &Speaker, removal: &MemberRemoval) -> Result<Ruling, R::Error> {
        let target = self.rows.member_with_id(&removal.member_id)?.filter(Member::is_current);
        let owner = speaker.role == Role::Owner;
        let is_owner = self.view.links.is_owner(&removal.member_id);
        let has_rights = self.role_of(&removal.member_id)?.is_privileged();
        let target = target.filter(|_| !is_owner);
        Ok(match target {
            _ if !owner && speaker.role < Role::Admin => Err("only admins remove members"),
            _ if !owner && has_rights => Err("only owners remove members with rights"),
            _ if !owner && self.view.links.is_relay(&removal.member_id) => Err("only owners remove relays"),
            Some(member) => Ok(Passage::having(Effect::Remove(member.into()))),
            // It may be a member of other relays, or another relay.
            None => Ok(Passage::default()),
        })
    }

    fn rule_on_restriction(&self, speaker: &Speaker, restriction: &MemberRestriction) -> Result<Ruling, R::Error> {
        if speaker.role < Role::Moderator {
            return Ok(Err("only moderators block members"));
        }
        if self.role_of(&restriction.member_id)? > speaker.role {
            return Ok(Err("the member has a higher role"));
        }
        let target = self.rows.member_with_id(&restriction.member_id)?.filter(Member::is_current);
        let about = target.as_ref().map(|member| member.number);
        let blocked = restriction.member_restrictions.restriction == Restriction::Blocked;
        let effect = target.map_or(Effect::Nothing, |member| Effect::Block(member.into(), blocked));
        Ok(Ok(Passage { about, effect, ..Passage::default() }))
    }
}

impl Passage {
    fn having(effect: Effect) -> Self {
        Passage { effect, ..Passage::default() }
    }

    fn lane(&self) -> super::hall::Lane {
        if self.to_moderators { super::hall::Lane::Support } else { super::hall::Lane::Group }
    }
}

/// What is done to a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Edit,
    Addition,
    Deletion,
}

fn is_by(post: &StoredMessage, speaker: &Speaker) -> bool {
    post.author == speaker.id || post.as_group && speaker.role == Role::Owner
}

/// What was signed stays so.
fn may_change(trust: Trust, post: &StoredMessage) -> bool {
    trust.is_verified() || !post.verified
}
