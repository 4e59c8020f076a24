//! Orders: what owners, admins and moderators decide about members, and what members say about themselves.
//!
//! One place judges and writes them down, whoever gives them. It is stricter than those who obey have to be: what would be
//! ignored elsewhere is refused here, with the reason.
//!
//! | order | event | by whom | about whom |
//! |---|---|---|---|
//! | another role | `x.grp.mem.role` | moderators, between roles without rights; everything else owners | not owners, relays, oneself |
//! | removal | `x.grp.mem.del` | admins; of members with rights owners | the same |
//! | blocking, and its end | `x.grp.mem.restrict` | moderators | the same, with no higher role |
//! | another profile | `x.info` | everybody who goes by a chosen name | oneself |
//! | the end of the group | `x.grp.del` | owners | |
//!
//! All of them are signed. An order that changes nothing is not given: whoever gives it twice, because a run was cut off,
//! gives it once.
//!
//! # Keys
//!
//! Whoever gets rights gets its key pinned by the owner's signature, for good. So the owner should have the right one:
//!
//! | known from | worth |
//! |---|---|
//! | an order before | pinned already; no other one is taken |
//! | the member itself, out of band | the best there is: [`Assurance::Compared`] |
//! | the member's signed `x.member` (extension `mkey1`) | whoever holds the key goes by this name. A relay that has changed name and key from the beginning is found out by other relays, which name another key |
//! | a relay's word | nothing: the relay may name a key of its own. Taken only if that is wanted: [`Assurance::RelaysWord`] |

use agent::time::{Env, Time};
use codec::Encode as _;

use super::compose::Composed;
use super::people::{MemberRecord, Standing};
use super::records::{Change, Page, RecordKey, Records};
use super::relay::RelayNumber;
use super::view::View;
use super::{MemberError, Membership, OrderFault};
use crate::body::single;
use crate::element::AuthoredMessage;
use crate::event::{Event as ChatEvent, MemberRemoval, MemberRestriction, OwnProfile, RoleChange};
use crate::identity::{MemberId, MemberPublicKey};
use crate::keys::Author;
use crate::limits;
use crate::member::{MemberProfile, MemberRestrictions, Restriction, Role};
use crate::message::Message;
use crate::message_id::MessageId;
use crate::owner::Persona;
use crate::roster::{Roster, RosterEffect};

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// A member gets another role.
    Role {
        /// Who.
        member: MemberId,
        /// Which role.
        role: Role,
        /// How well its key must be known, if the role comes with rights.
        key: Assurance,
    },
    /// A member goes.
    Remove {
        /// Who.
        member: MemberId,
        /// Whether what it wrote goes too.
        messages: bool,
    },
    /// Others do not see what a member writes, or see it again.
    Block {
        /// Who.
        member: MemberId,
        /// Whether they do not.
        blocked: bool,
    },
    /// Whoever gives the order appears with another profile from now on.
    Profile(Box<MemberProfile>),
    /// The group ends for everybody.
    EndGroup,
}

/// How the key of a member must be known before an owner signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assurance {
    /// An owner has signed it, or the member has.
    #[default]
    Proven,
    /// A relay's word is enough.
    RelaysWord,
    /// It was compared with the member, not through relays.
    Compared(MemberPublicKey),
}

/// An order that a member gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The message that says so; none if nothing was to be changed.
    pub message: Option<MessageId>,
    /// The relays that are to get it; see [`Event::Sent`](super::Event::Sent).
    pub relays: Vec<RelayNumber>,
    /// Records to be written.
    pub changes: Vec<Change>,
}

/// An order, written down.
#[derive(Debug)]
pub(crate) struct Given {
    /// What everybody is to be told; nothing if it is so already.
    pub(crate) message: Option<Composed>,
    /// The members with rights as the order leaves them.
    pub(crate) roster: Roster,
    /// Records to be written.
    pub(crate) changes: Vec<Change>,
    /// How many members there are then, if somebody counts them.
    pub(crate) present: Option<u64>,
}

impl Order {
    /// Whoever gives it appears like this. Ways to reach it outside the group were left out.
    pub(crate) fn shown_as(persona: &Persona) -> Self {
        Order::Profile(persona.profile().clone().into())
    }

    /// The member that it is about, if it is about another one.
    pub(crate) fn subject(&self) -> Option<&MemberId> {
        match self {
            Order::Role { member, .. } | Order::Remove { member, .. } | Order::Block { member, .. } => Some(member),
            Order::Profile(_) | Order::EndGroup => None,
        }
    }
}

impl Membership {
    /// What is known of a member: its role, its key, and where that comes from.
    pub fn who(&self, id: &MemberId, record: &MemberRecord) -> Author {
        self.view.author(id, record)
    }

    /// Gives an order through all relays that can be talked to. If it cannot be given, nothing has changed.
    pub fn order(&mut self, order: &Order, records: &dyn Records, env: &mut Env<'_>) -> Result<Ordered, MemberError> {
        self.check_not_over()?;
        let persona = match order {
            Order::Profile(profile) => Some(self.persona.renamed(profile)?),
            _ => None,
        };
        let shown = persona.as_ref().map(Order::shown_as);
        let nothing = Ordered { message: None, relays: Vec::new(), changes: Vec::new() };
        if persona.as_ref().is_some_and(|persona| persona.profile() == self.persona.profile()) {
            return Ok(nothing);
        }
        let Given { message: Some(message), roster, changes, .. } =
            give(&self.view, shown.as_ref().unwrap_or(order), records, env)?
        else {
            return Ok(nothing);
        };
        let relays = self.hearers()?;
        self.view.roster = roster;
        self.persona = persona.unwrap_or_else(|| self.persona.clone());
        self.send_to(&relays, &message);
        Ok(Ordered { message: Some(message.id), relays, changes })
    }
}

/// Judges an order of somebody who sees the group like this, and writes it down, with what changes by it.
pub(crate) fn give(view: &View, order: &Order, records: &dyn Records, env: &mut Env<'_>) -> Result<Given, MemberError> {
    let subject = order.subject().cloned().map(RecordKey::Member);
    // Members know from the group link how many there are; owners write that there.
    let census = (view.role() == Role::Owner).then_some(RecordKey::Census);
    let mut page = Page::load(records, subject.into_iter().chain(census))?;
    let Some(event) = view.judge(order, &page)? else {
        return Ok(Given { message: None, roster: view.roster.clone(), changes: Vec::new(), present: None });
    };
    let message = Message::named(event, env.random);
    let Some(id) = message.id.clone() else { return Err(MemberError::Task) };
    let authored = AuthoredMessage::from(view.signer().sign(message));
    let roster = view.roster_after(&authored)?;
    let body = single(authored.clone())?;
    view.remember_order(order, authored, &id, &mut page, env.now);
    let present = page.present();
    Ok(Given { message: Some(Composed { id, body }), roster, changes: page.into_changes(), present })
}

impl View {
    /// The event that an order means; nothing if it is so already.
    fn judge(&self, order: &Order, page: &Page) -> Result<Option<ChatEvent>, OrderFault> {
        match order {
            Order::Role { member, role, key } => self.judge_role(member, role, *key, page),
            Order::Remove { member, messages } => self.judge_removal(member, *messages, page),
            Order::Block { member, blocked } => self.judge_block(member, *blocked, page),
            Order::Profile(profile) => {
                let info = OwnProfile { profile: (**profile).clone(), member_key: Some(self.me.key.public()) };
                Ok(Some(ChatEvent::Info(info.into())))
            }
            Order::EndGroup if self.role() == Role::Owner => Ok(Some(ChatEvent::GroupDelete)),
            Order::EndGroup => Err(OrderFault::OwnersOnly),
        }
    }

    fn judge_role(
        &self,
        id: &MemberId,
        role: &Role,
        assurance: Assurance,
        page: &Page,
    ) -> Result<Option<ChatEvent>, OrderFault> {
        self.at_least(Role::Moderator)?;
        self.check_subject(id)?;
        if matches!(role, Role::Owner | Role::Relay | Role::Other(_)) {
            return Err(OrderFault::NotAssignable(role.clone()));
        }
        let before = self.role_of(id, page);
        let alters = role.is_in_roster() || before.is_in_roster();
        if alters && self.role() != Role::Owner {
            return Err(OrderFault::OwnersOnly);
        }
        let record = self.present(id, page);
        let record = match (record, assurance) {
            // Whoever was asked for its key need not be known through relays.
            (Err(OrderFault::UnknownMember(_)), Assurance::Compared(_)) => MemberRecord::default(),
            (record, _) => record?.clone(),
        };
        let member_key = match role.is_in_roster() {
            true => Some(self.key_to_pin(id, &record, assurance)?),
            false => None,
        };
        if before == *role && (!alters || self.roster.key(id) == member_key) {
            return Ok(None);
        }
        let roster_version = alters.then(|| self.roster.version().unwrap_or_default().next());
        let change = RoleChange { member_id: id.clone(), role: role.clone(), member_key, roster_version };
        Ok(Some(ChatEvent::GroupMemberRole(change)))
    }

    fn judge_removal(&self, id: &MemberId, messages: bool, page: &Page) -> Result<Option<ChatEvent>, OrderFault> {
        self.at_least(Role::Admin)?;
        self.check_subject(id)?;
        let before = self.role_of(id, page);
        if before.is_privileged() && self.role() != Role::Owner {
            return Err(OrderFault::OwnersOnly);
        }
        let record = self.known(id, page)?;
        if record.standing() == Standing::Removed && (record.is_erased() || !messages) {
            return Ok(None);
        }
        let roster_version = before.is_in_roster().then(|| self.roster.version().unwrap_or_default().next());
        let removal = MemberRemoval { member_id: id.clone(), messages: messages.then_some(true), roster_version };
        Ok(Some(ChatEvent::GroupMemberDelete(removal)))
    }

    fn judge_block(&self, id: &MemberId, blocked: bool, page: &Page) -> Result<Option<ChatEvent>, OrderFault> {
        self.at_least(Role::Moderator)?;
        self.check_subject(id)?;
        let role = self.role_of(id, page);
        if role > self.role() {
            return Err(OrderFault::HigherRole(id.clone(), role));
        }
        if self.present(id, page)?.is_blocked() == blocked {
            return Ok(None);
        }
        let restriction = if blocked { Restriction::Blocked } else { Restriction::Unrestricted };
        let member_restrictions = MemberRestrictions { restriction };
        let restriction = MemberRestriction { member_id: id.clone(), member_restrictions };
        Ok(Some(ChatEvent::GroupMemberRestrict(restriction)))
    }

    fn at_least(&self, needed: Role) -> Result<(), OrderFault> {
        let role = self.role();
        if role >= needed { Ok(()) } else { Err(OrderFault::Role(role)) }
    }

    /// Orders are about other members.
    fn check_subject(&self, id: &MemberId) -> Result<(), OrderFault> {
        if *id == self.me.id {
            Err(OrderFault::Oneself)
        } else if self.links.is_owner(id) {
            Err(OrderFault::Owner(id.clone()))
        } else if self.links.is_relay(id) {
            Err(OrderFault::Relay(id.clone()))
        } else {
            Ok(())
        }
    }

    /// A member that somebody told of.
    fn known<'a>(&self, id: &MemberId, page: &'a Page) -> Result<&'a MemberRecord, OrderFault> {
        let unknown = || OrderFault::UnknownMember(id.clone());
        let record = page.member(id).ok_or_else(unknown)?;
        let heard_of = record.is_known() || record.name().is_some() || self.roster.role(id).is_some();
        if heard_of { Ok(record) } else { Err(unknown()) }
    }

    /// The same, if it is still there.
    fn present<'a>(&self, id: &MemberId, page: &'a Page) -> Result<&'a MemberRecord, OrderFault> {
        let record = self.known(id, page)?;
        match record.standing() {
            Standing::Present => Ok(record),
            Standing::Left | Standing::Removed => Err(OrderFault::Gone(id.clone())),
        }
    }

    /// The key that an owner signs for a member.
    fn key_to_pin(
        &self,
        id: &MemberId,
        record: &MemberRecord,
        assurance: Assurance,
    ) -> Result<MemberPublicKey, OrderFault> {
        match (self.roster.key(id), record.key(), assurance) {
            (Some(pinned), _, Assurance::Compared(key)) if pinned != key => Err(OrderFault::OtherKey(id.clone())),
            (Some(pinned), ..) => Ok(pinned),
            (None, _, Assurance::Compared(key)) => Ok(key),
            (None, Some(key), Assurance::RelaysWord) => Ok(key),
            (None, Some(key), Assurance::Proven) if record.is_proven() => Ok(key),
            (None, Some(_), Assurance::Proven) => Err(OrderFault::UnprovenKey(id.clone())),
            (None, None, _) => Err(OrderFault::UnknownKey(id.clone())),
        }
    }

    /// The roster as those have it who obey the order.
    fn roster_after(&self, order: &AuthoredMessage) -> Result<Roster, MemberError> {
        let accepted = order.clone().verify(&self.myself(), &self.recipient());
        let accepted = accepted.map_err(|_| OrderFault::Role(self.role()))?;
        let mut roster = self.roster.clone();
        match (roster.apply(&accepted, &self.links), accepted.event()) {
            (RosterEffect::Unaffected | RosterEffect::Applied, _) => {}
            (RosterEffect::OtherKey, ChatEvent::GroupMemberRole(change)) => {
                return Err(OrderFault::OtherKey(change.member_id.clone()).into());
            }
            (RosterEffect::Full, _) => return Err(OrderFault::Full.into()),
            (RosterEffect::OtherKey | RosterEffect::NotAllowed | RosterEffect::Replayed, _) => {
                return Err(OrderFault::OwnersOnly.into());
            }
        }
        // Names of members may be long, and then fewer have room than the list has entries.
        let fits = roster.to_blob().to_bytes().len() <= limits::ROSTER_BLOB;
        if fits || roster == self.roster { Ok(roster) } else { Err(OrderFault::Full.into()) }
    }

    /// What we order holds for us as well, and copies of it that come back are known.
    fn remember_order(&self, order: &Order, authored: AuthoredMessage, id: &MessageId, page: &mut Page, now: Time) {
        self.remember(id.clone(), authored, page, now);
        let Some(subject) = order.subject() else { return };
        let Some(record) = page.member_mut(subject) else { return };
        match order {
            Order::Role { role, .. } if role.is_in_roster() => {}
            Order::Role { role, .. } => record.set_role(role.clone()),
            Order::Remove { messages, .. } => record.removed(*messages),
            Order::Block { blocked, .. } => record.set_blocked(*blocked),
            Order::Profile(_) | Order::EndGroup => {}
        }
        page.count(subject);
    }
}
