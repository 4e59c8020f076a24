//! Who may join through the relay link, and what is answered.
//!
//! | who asks | is let in if |
//! |---|---|
//! | somebody new | a signature is right or there is none, and is made for no other relay |
//! | somebody with rights, by the roster | it signs with the key that an owner signed, for this relay |
//! | an owner | it signs with its key in the group link, for this relay, and only for a connection for content; its own connection is the relay's business, not the members' |
//! | a member again | it signs with the key that it joined with, for this relay: its connection is replaced, or gets a second one for content |
//! | whoever was removed | never, while that is remembered |
//!
//! Everybody else gets no answer. A request that comes again in the agent's words is the same request.

use serde::{Deserialize, Serialize};

use super::event::{JoinDismissal, MemberEvent};
use super::inputs::Members;
use super::member::{Member, MemberState};
use super::persona::Persona;
use super::rows::{MalformedRow, ReadRows, Rows};
use super::view::GroupView;
use crate::body::ConnectionInfo;
use crate::bytes::unpadded;
use crate::element::AuthoredMessage;
use crate::event::{Acceptance, ConnectionPurpose, Event, GroupLinkInvitation, Join, LinkInvite};
use crate::extension::Extension;
use crate::identity::{GroupId, MemberId, MemberPublicKey};
use crate::json;
use crate::member::{MemberIdRole, Role};
use crate::profile::GroupProfile;
use crate::relay::check::ROLE;
use crate::relay::name::ServiceId;
use crate::relay::settings::EXTENSIONS;

/// Requests that wait in one group.
const MAX_WAITING: usize = 100;
/// Requests that are judged together when members are admitted again.
const TOGETHER: usize = 50;

/// A request that is not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The agent's number of it.
    pub request: u64,
    /// What was said.
    #[serde(with = "unpadded")]
    pub info: Vec<u8>,
    /// Whether it waits for the operator's program, and not for members to be admitted at all.
    pub asked: bool,
}

impl JoinRequest {
    /// As it is kept.
    pub fn to_record(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// From what is kept.
    pub fn from_record(bytes: &[u8]) -> Result<Self, MalformedRow> {
        serde_json::from_slice(bytes).map_err(|_| MalformedRow("request"))
    }
}

/// What an operator's program is asked about somebody who wants to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinQuestion {
    /// The service.
    pub service: ServiceId,
    /// The request.
    pub request: u64,
    /// Which group.
    pub group_id: GroupId,
    /// Who.
    pub member: MemberId,
    /// The name that it goes by.
    pub name: String,
}

/// Whether whoever asks holds the key that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// It does, and says so to this relay.
    ForThisRelay,
    /// It does, and does not say to whom.
    Right,
    /// It did not sign.
    None,
    /// The signature is wrong, or made for another relay.
    Wrong,
}

impl<R: Rows> Members<'_, '_, R> {
    /// Somebody asks to join. The agent may tell of a request more than once.
    pub fn requested(&mut self, request: u64, info: &[u8]) -> Result<(), R::Error> {
        if let Some(waiting) = self.rows.request(request)? {
            if waiting.asked || !self.view.accepting {
                return Ok(());
            }
            self.rows.remove_request(request)?;
        }
        self.decide(request, info, self.view.asks)
    }

    /// Members are admitted now: those who waited for that are judged, some at a time. Whether there are more.
    pub fn admit_waiting(&mut self) -> Result<bool, R::Error> {
        if !self.view.accepting {
            return Ok(false);
        }
        let waiting: Vec<JoinRequest> = self.rows.requests(MAX_WAITING)?;
        let mut waiting = waiting.into_iter().filter(|waiting| !waiting.asked);
        for waiting in waiting.by_ref().take(TOGETHER) {
            self.rows.remove_request(waiting.request)?;
            self.decide(waiting.request, &waiting.info, self.view.asks)?;
        }
        Ok(waiting.next().is_some())
    }

    /// The operator's program has decided.
    pub fn decided(&mut self, request: u64, admitted: bool) -> Result<(), R::Error> {
        let Some(waiting) = self.rows.request(request)?.filter(|waiting| waiting.asked) else { return Ok(()) };
        self.rows.remove_request(request)?;
        match admitted {
            true => self.decide(request, &waiting.info, false),
            false => {
                self.dismiss(request, JoinDismissal::Policy);
                Ok(())
            }
        }
    }

    fn dismiss(&mut self, request: u64, why: JoinDismissal) {
        self.events.push(MemberEvent::Dismissed(request, why));
    }

    fn decide(&mut self, request: u64, info: &[u8], asks: bool) -> Result<(), R::Error> {
        let parsed = ConnectionInfo::parse(info).ok();
        let join = parsed.as_ref().and_then(|info| match info.event() {
            Event::Member(join) => Some((info, join.as_ref())),
            _ => None,
        });
        let Some((said, join)) = join else {
            self.dismiss(request, JoinDismissal::Unintelligible);
            return Ok(());
        };
        let known = self.rows.member_with_id(&join.new_member_id)?;
        if known.as_ref().is_some_and(|member| asked_by(member, request)) {
            return Ok(());
        }
        let judged = match self.judge(said, join, known.as_ref()) {
            Ok(proof) if self.view.accepting && !(asks && known.is_none()) => {
                self.let_in(request, said, join, known, proof)?
            }
            Ok(_) => self.wait(request, info, self.view.accepting)?,
            Err(why) => Err(why),
        };
        if let Err(why) = judged {
            self.dismiss(request, why);
        }
        Ok(())
    }

    fn wait(&mut self, request: u64, info: &[u8], asked: bool) -> Result<Result<(), JoinDismissal>, R::Error> {
        if self.rows.requests(MAX_WAITING)?.len() >= MAX_WAITING {
            return Ok(Err(JoinDismissal::Full));
        }
        self.rows.put_request(&JoinRequest { request, info: info.to_vec(), asked })?;
        self.events.push(MemberEvent::Waiting(request));
        Ok(Ok(()))
    }

    /// Whether the request is one that may be followed at all.
    fn judge(&self, said: &ConnectionInfo, join: &Join, known: Option<&Member>) -> Result<Proof, JoinDismissal> {
        let id = &join.new_member_id;
        join.profile.check().map_err(|_| JoinDismissal::Name)?;
        let proof = self.proof(said, join);
        let has_rights = self.view.role_of_joiner(id).is_privileged();
        let pinned = self.pinned_key(id).or(known.and_then(|member| member.key));
        let again = known.is_some_and(|member| member.is_current() || member.key.is_some());
        match proof {
            _ if self.view.links.is_relay(id) => Err(JoinDismissal::Taken),
            Proof::Wrong => Err(JoinDismissal::Proof),
            _ if pinned.is_some_and(|key| key != join.new_member_key) => Err(JoinDismissal::Taken),
            Proof::Right | Proof::None if has_rights => Err(JoinDismissal::Proof),
            Proof::Right | Proof::None if again => Err(JoinDismissal::Taken),
            _ if known.is_some_and(is_banned) => Err(JoinDismissal::Removed),
            proof => Ok(proof),
        }
    }

    /// The key that an owner said the member has.
    fn pinned_key(&self, id: &MemberId) -> Option<MemberPublicKey> {
        let nobody = crate::keys::Asserted::default();
        self.view.links.author(id, &self.view.roster, nobody).key().map(|(key, _)| key)
    }

    fn proof(&self, said: &ConnectionInfo, join: &Join) -> Proof {
        let via = join.via_relay.as_ref();
        if via.is_some_and(|via| *via != self.view.relay) {
            return Proof::Wrong;
        }
        match said.authored() {
            AuthoredMessage::Unsigned(_) => Proof::None,
            AuthoredMessage::Signed(signed) => {
                let right = signed.is_signed_by(&self.view.group_id, &join.new_member_id, &join.new_member_key);
                match (right, via) {
                    (true, Some(_)) => Proof::ForThisRelay,
                    (true, None) => Proof::Right,
                    (false, _) => Proof::Wrong,
                }
            }
        }
    }

    fn let_in(
        &mut self,
        request: u64,
        said: &ConnectionInfo,
        join: &Join,
        known: Option<Member>,
        proof: Proof,
    ) -> Result<Result<(), JoinDismissal>, R::Error> {
        let proved = proof == Proof::ForThisRelay;
        let is_owner = self.view.links.is_owner(&join.new_member_id);
        match (&join.purpose, known) {
            (Some(ConnectionPurpose::Content), Some(member)) if proved && member.is_connected() => {
                self.add_content(request, member)
            }
            (Some(_), _) => Ok(Err(JoinDismissal::NoMember)),
            (None, _) if is_owner => Ok(Err(JoinDismissal::NoMember)),
            (None, Some(member)) => self.rejoin(request, said, join, member),
            (None, None) => self.admit(request, said, join, proof),
        }
    }

    fn admit(
        &mut self,
        request: u64,
        said: &ConnectionInfo,
        join: &Join,
        proof: Proof,
    ) -> Result<Result<(), JoinDismissal>, R::Error> {
        let mut hall = self.hall()?;
        let there = hall.members.saturating_add(hall.admitted);
        if there >= self.view.max_members || hall.admitted >= self.view.max_admitted {
            return Ok(Err(JoinDismissal::Full));
        }
        hall.last_member = hall.last_member.saturating_add(1);
        hall.admitted = hall.admitted.saturating_add(1);
        self.rows.put_hall(&hall)?;
        let id = join.new_member_id.clone();
        let role = self.view.role_of_joiner(&id);
        let mut member = Member::admitted(hall.last_member, id, role, request, self.env.now);
        member.key = Some(join.new_member_key);
        self.greet(&mut member, said, join, proof)?;
        Ok(Ok(()))
    }

    /// Takes what the joiner says about itself.
    fn greet(&mut self, member: &mut Member, said: &ConnectionInfo, join: &Join, proof: Proof) -> Result<(), R::Error> {
        member.max_version = said.authored().message().versions.max();
        member.takes_joins = join.ext.announce(&Extension::SignedJoin);
        self.rows.put_member(member)?;
        let persona = Persona::new(join.profile.clone(), &self.view.profile, &member.role);
        let signed = matches!(proof, Proof::ForThisRelay | Proof::Right);
        let join = signed.then(|| codec::Encode::to_bytes(said.authored()));
        let joined_at = i64::try_from(self.env.now.millis() / 1_000).unwrap_or(i64::MAX);
        self.rows.put_persona(member.number, &Persona { join, joined_at, ..persona })?;
        self.events.push(MemberEvent::Admitted(member.id.clone()));
        Ok(())
    }

    /// A member that comes again, for example because it lost its connection, is introduced like a new one.
    fn rejoin(
        &mut self,
        request: u64,
        said: &ConnectionInfo,
        join: &Join,
        mut member: Member,
    ) -> Result<Result<(), JoinDismissal>, R::Error> {
        let Some(link) = member.next_link(request) else { return Ok(Err(JoinDismissal::Full)) };
        let mut hall = self.hall()?;
        match member.state {
            MemberState::Connected => hall.members = hall.members.saturating_sub(1),
            MemberState::Admitted => hall.admitted = hall.admitted.saturating_sub(1),
            MemberState::Parting { .. } | MemberState::Gone { .. } => {
                member.role = self.view.role_of_joiner(&member.id);
            }
        }
        if hall.admitted >= self.view.max_admitted {
            return Ok(Err(JoinDismissal::Full));
        }
        hall.admitted = hall.admitted.saturating_add(1);
        self.rows.put_hall(&hall)?;
        if member.state != (MemberState::Gone { banned: false }) {
            let replaced = std::mem::replace(&mut member.link, link);
            member.discard(&replaced);
            member.replace_content(None);
        } else {
            member.link = link;
        }
        member.state = MemberState::Admitted;
        member.since = self.env.now;
        (member.behind, member.stage, member.roster_served) = (None, None, None);
        (member.last_spoke, member.last_asked, member.introduced_since) = (None, None, None);
        member.due = Some(self.env.now);
        self.greet(&mut member, said, join, Proof::ForThisRelay)?;
        Ok(Ok(()))
    }

    /// A second connection, for content alone.
    fn add_content(&mut self, request: u64, mut member: Member) -> Result<Result<(), JoinDismissal>, R::Error> {
        let Some(link) = member.next_link(request) else { return Ok(Err(JoinDismissal::Full)) };
        member.replace_content(Some(link));
        member.due = Some(self.env.now);
        self.rows.put_member(&member)?;
        Ok(Ok(()))
    }
}

/// What the operator's program is to decide in a group.
pub fn questions<R: ReadRows>(view: &GroupView, rows: &R, limit: usize) -> Result<Vec<JoinQuestion>, R::Error> {
    let question = |waiting: JoinRequest| {
        let info = ConnectionInfo::parse(&waiting.info).ok()?;
        let Event::Member(join) = info.event() else { return None };
        let name = join.profile.display_name.clone();
        let (request, member) = (waiting.request, join.new_member_id.clone());
        Some(JoinQuestion { service: view.service, request, group_id: view.group_id, member, name })
    };
    let asked = rows.requests(MAX_WAITING)?.into_iter().filter(|waiting| waiting.asked);
    Ok(asked.filter_map(question).take(limit).collect())
}

fn asked_by(member: &Member, request: u64) -> bool {
    let links = [Some(&member.link).filter(|_| !member.is_owner()), member.content.as_ref()];
    member.is_current() && links.into_iter().flatten().any(|link| link.request == request)
}

fn is_banned(member: &Member) -> bool {
    matches!(member.state, MemberState::Parting { banned: true, .. } | MemberState::Gone { banned: true })
}

/// What whoever is let in is answered.
pub(super) fn answer(view: &GroupView, member: &Member, size: u64) -> Vec<u8> {
    let role = if member.is_owner() { Role::Owner } else { member.role.clone() };
    answer_as(view, MemberIdRole { member_id: member.id.clone(), member_role: role }, i64::try_from(size).ok())
}

/// What an owner is answered that did not invite the relay.
pub(in crate::relay) fn answer_owner(view: &GroupView, owner: &MemberId, size: Option<u64>) -> Vec<u8> {
    let owner = MemberIdRole { member_id: owner.clone(), member_role: Role::Owner };
    answer_as(view, owner, size.and_then(|size| i64::try_from(size).ok()))
}

fn answer_as(view: &GroupView, invited: MemberIdRole, size: Option<i64>) -> Vec<u8> {
    let short = GroupProfile { image: None, description: None, other: serde_json::Map::new(), ..view.profile.clone() };
    let least = GroupProfile {
        public_group: view.profile.public_group.clone(),
        ..GroupProfile::named(&view.profile.display_name)
    };
    // The profile in the group link is what counts; this one only has to name the group.
    let profiles = [view.profile.clone(), short, least];
    let answers = profiles.into_iter().filter_map(|profile| invite(view, &invited, size, profile).to_bytes().ok());
    answers.into_iter().next().unwrap_or_default()
}

fn invite(
    view: &GroupView,
    invited: &MemberIdRole,
    group_size: Option<i64>,
    group_profile: GroupProfile,
) -> ConnectionInfo {
    ConnectionInfo::unsigned(Event::GroupLinkInvite(
        LinkInvite {
            group_link_invitation: GroupLinkInvitation {
                from_member: MemberIdRole { member_id: view.relay.clone(), member_role: ROLE },
                from_member_name: view.relay_profile.display_name.clone(),
                from_member_key: Some(view.relay_key.public()),
                invited_member: invited.clone(),
                group_profile,
                accepted: Some(Acceptance::Accepted),
                business: None,
                group_size,
                ext: EXTENSIONS.into_iter().collect(),
            },
        }
        .into(),
    ))
}
