//! Steps 7 and 8, 11 and 12, 15: whoever retrieves a group link checks everything before using anything.
//!
//! Relays do it before they serve a group, owners before they publish a relay, members before they join. The link data
//! is fetched by the caller; this step says what to fetch next, first the group link, then all relay links that it
//! lists:
//!
//! ```text
//! LinkVerification::start(link) ──▶ to_fetch ──▶ fetched ──▶ to_fetch ──▶ fetched ──▶ finish ──▶ Verification
//! ```
//!
//! Only a [`VerifiedGroupLink`] may be used, and there is one only if no check failed. A relay link that cannot be
//! retrieved is a warning: a relay may be down; one that says something else than it should is a failure.

use agent::link_data::UserData as _;
use agent::link_read::{LinkCheck, RetrievedLinkData, UnverifiedLinkData, VerifiedLinkData};
use agent::owner::OwnerAuth;
use agent::short_link::ContactShortLink;
use crypto::sign::Ed25519PublicKey;
use smp::id::LinkId;

use crate::binding::{GroupBinding, read_tail};
use crate::check::{Check, CheckName, CheckResult, Checklist};
use crate::identity::{GroupId, MemberId, OwnerPublicKey, RelayPublicKey, RootPublicKey};
use crate::owner_list::OwnerList;
use crate::profile::{GroupProfile, GroupType, PublicGroup};
use crate::revision::{Revision, RevisionMark};
use crate::transcript::Transcript;
use crate::user_data::{Contents as _, GroupLinkContents, RelayLinkContents, RelayProfile};

/// The checks of a group link, in the order of a report.
pub const GROUP_CHECKS: [CheckName; 18] = [
    CheckName::Retrieved,
    CheckName::Decrypted,
    CheckName::WellFormed,
    CheckName::LinkKeyHash,
    CheckName::FixedSignature,
    CheckName::OwnerChain,
    CheckName::UserSignature,
    CheckName::Address,
    CheckName::OwnerListed,
    CheckName::NoDirectRequests,
    CheckName::EntityIdPresent,
    CheckName::GroupIdIsRootHash,
    CheckName::ProfileReadable,
    CheckName::ProfileValid,
    CheckName::PublicGroupPresent,
    CheckName::GroupTypeKnown,
    CheckName::GroupIdInProfile,
    CheckName::LinkInProfile,
];

/// The checks of a relay link, in the order of a report.
pub const RELAY_CHECKS: [CheckName; 11] = [
    CheckName::Retrieved,
    CheckName::Decrypted,
    CheckName::WellFormed,
    CheckName::LinkKeyHash,
    CheckName::FixedSignature,
    CheckName::OwnerChain,
    CheckName::UserSignature,
    CheckName::Address,
    CheckName::MemberIdPresent,
    CheckName::ProfileReadable,
    CheckName::GroupBinding,
];

/// What to retrieve next: the data of `link`, with `LGET` for the link ID at the link's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The link.
    pub link: ContactShortLink,
    /// The server's name for its data.
    pub link_id: LinkId,
}

/// A verification under way.
#[derive(Debug, Clone)]
pub struct LinkVerification {
    pending: Vec<ContactShortLink>,
    checks: Vec<Check>,
    group: Option<GroupFindings>,
    relays: Vec<VerifiedRelay>,
}

/// What a verification found.
#[derive(Debug, Clone)]
pub struct Verification {
    /// Every check with its result: those of the group link, then those of each relay link.
    pub checks: Vec<Check>,
    /// The group, if no check failed.
    pub verified: Option<VerifiedGroupLink>,
}

/// A group link that passed every check, and the relay links it lists that could be retrieved and passed theirs.
#[derive(Debug, Clone)]
pub struct VerifiedGroupLink {
    findings: GroupFindings,
    relays: Vec<VerifiedRelay>,
}

/// An owner named by the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedOwner {
    /// The owner's name in the group.
    pub id: MemberId,
    /// Checks what the owner signs.
    pub key: OwnerPublicKey,
}

/// A relay whose own link says what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRelay {
    /// The relay link, as the group link lists it.
    pub link: ContactShortLink,
    /// The relay's name in the group.
    pub member_id: MemberId,
    /// Checks what the relay signs.
    pub key: RelayPublicKey,
    /// What the relay says about itself.
    pub profile: RelayProfile,
    /// How firmly the link belongs to the group.
    pub binding: GroupBinding,
}

#[derive(Debug, Clone)]
struct GroupFindings {
    link: ContactShortLink,
    group_id: GroupId,
    group_type: GroupType,
    root_key: RootPublicKey,
    owners: Vec<VerifiedOwner>,
    profile: GroupProfile,
    member_count: Option<u64>,
    transcript: Transcript,
    relay_links: Vec<ContactShortLink>,
    owner_list: OwnerList,
    revision: Option<Revision>,
    signer: Ed25519PublicKey,
}

impl VerifiedGroupLink {
    /// The link that was verified.
    pub fn link(&self) -> &ContactShortLink {
        &self.findings.link
    }

    /// The group's name.
    pub fn group_id(&self) -> GroupId {
        self.findings.group_id
    }

    /// Channel or group.
    pub fn group_type(&self) -> &GroupType {
        &self.findings.group_type
    }

    /// Says who is an owner.
    pub fn root_key(&self) -> RootPublicKey {
        self.findings.root_key
    }

    /// Who may sign for the group.
    pub fn owners(&self) -> &[VerifiedOwner] {
        &self.findings.owners
    }

    /// What the group says about itself.
    pub fn profile(&self) -> &GroupProfile {
        &self.findings.profile
    }

    /// Members and owners, if the link says how many.
    pub fn member_count(&self) -> Option<u64> {
        self.findings.member_count
    }

    /// How much was said, by the count of each owner.
    pub fn transcript(&self) -> &Transcript {
        &self.findings.transcript
    }

    /// Every relay link that the group link lists.
    pub fn relay_links(&self) -> &[ContactShortLink] {
        &self.findings.relay_links
    }

    /// The owners as they let each other in.
    pub(crate) fn owner_list(&self) -> &OwnerList {
        &self.findings.owner_list
    }

    /// Which writes of which owners are in the link, if its owners say so.
    pub fn revision(&self) -> Option<Revision> {
        self.findings.revision.clone()
    }

    /// The key that signed what the link says: the root key, or that of an owner.
    pub fn signer(&self) -> Ed25519PublicKey {
        self.findings.signer
    }

    /// The relays whose own link was retrieved and passed.
    pub fn relays(&self) -> &[VerifiedRelay] {
        &self.relays
    }
}

impl LinkVerification {
    /// Begins with the group link alone. A shortened link must have been restored.
    pub fn start(link: ContactShortLink) -> Self {
        LinkVerification { pending: vec![link], checks: Vec::new(), group: None, relays: Vec::new() }
    }

    /// What to retrieve next, at once or one by one; nothing when all is known.
    pub fn to_fetch(&self) -> Vec<Fetch> {
        self.pending.iter().map(|link| Fetch { link: link.clone(), link_id: link.derive().0 }).collect()
    }

    /// Takes, in the same order, what was retrieved for [`LinkVerification::to_fetch`], or why nothing was.
    pub fn fetched(&mut self, outcomes: impl IntoIterator<Item = Result<RetrievedLinkData, String>>) {
        for (link, outcome) in std::mem::take(&mut self.pending).into_iter().zip(outcomes) {
            match self.group.as_ref().map(|group| group.group_id) {
                None => self.group_fetched(link, outcome),
                Some(group_id) => self.relay_fetched(link, outcome, group_id),
            }
        }
    }

    fn relay_fetched(&mut self, link: ContactShortLink, outcome: Result<RetrievedLinkData, String>, group_id: GroupId) {
        let mut checks = Checklist::of_relay(link.to_string());
        self.relays.extend(check_relay(&mut checks, link, outcome, group_id));
        self.checks.extend(checks.complete(&RELAY_CHECKS));
    }

    fn group_fetched(&mut self, link: ContactShortLink, outcome: Result<RetrievedLinkData, String>) {
        let mut checks = Checklist::of_group();
        let retrieved = checks.outcome(CheckName::Retrieved, outcome);
        self.group = retrieved.and_then(|retrieved| check_group(&mut checks, link, &retrieved));
        self.checks = checks.complete(&GROUP_CHECKS);
        self.pending.extend(self.group.iter().flat_map(|group| group.relay_links.iter().cloned()));
    }

    /// Ends the verification. Nothing is verified before everything was asked for.
    pub fn finish(self) -> Verification {
        let LinkVerification { pending, checks, group, relays } = self;
        let failed = checks.iter().any(|check| check.result == CheckResult::Failed);
        let complete = pending.is_empty() && !failed;
        let verified = group.filter(|_| complete).map(|findings| VerifiedGroupLink { findings, relays });
        Verification { checks, verified }
    }
}

/// Checks a group link alone. The relay links that it lists are not read. Answers with the first check that failed.
pub fn verify_group_link(link: ContactShortLink, retrieved: RetrievedLinkData) -> Result<VerifiedGroupLink, Check> {
    let mut verification = LinkVerification::start(link);
    verification.fetched([Ok(retrieved)]);
    let relays = verification.to_fetch();
    verification.fetched(relays.iter().map(|_| Err("not read".to_owned())));
    let Verification { checks, verified } = verification.finish();
    let failed = checks.into_iter().find(|check| check.result == CheckResult::Failed);
    verified.ok_or_else(|| failed.unwrap_or_else(|| nothing_found(None)))
}

/// A failure without a reason: there is always one.
fn nothing_found(relay: Option<String>) -> Check {
    Check { name: CheckName::Retrieved, relay, result: CheckResult::Failed, detail: None }
}

/// Checks one relay link that the group link need not list yet. Answers with the first check that failed.
pub fn verify_relay_link(
    link: ContactShortLink,
    retrieved: &RetrievedLinkData,
    group_id: GroupId,
) -> Result<VerifiedRelay, Check> {
    let text = link.to_string();
    let mut checks = Checklist::of_relay(text.clone());
    let relay = check_relay(&mut checks, link, Ok(retrieved.clone()), group_id);
    let failed = checks.complete(&RELAY_CHECKS).into_iter().find(|check| check.result == CheckResult::Failed);
    match (relay, failed) {
        (Some(relay), None) => Ok(relay),
        (_, Some(failed)) => Err(failed),
        (None, None) => Err(nothing_found(Some(text))),
    }
}

/// Opens link data and makes the checks that are the same for all links; each of them gets its line.
fn check_link_data(
    checks: &mut Checklist,
    link: &ContactShortLink,
    retrieved: &RetrievedLinkData,
) -> Option<VerifiedLinkData<ContactShortLink>> {
    let decrypted = checks.outcome(CheckName::Decrypted, retrieved.decrypt(&link.derive().1))?;
    let unverified: UnverifiedLinkData<_> = checks.outcome(CheckName::WellFormed, decrypted.parse(link))?;
    for check in LinkCheck::ALL {
        checks.outcome(check.into(), unverified.check(check));
    }
    unverified.verify().ok()
}

fn check_group(checks: &mut Checklist, link: ContactShortLink, retrieved: &RetrievedLinkData) -> Option<GroupFindings> {
    let data = check_link_data(checks, &link, retrieved)?;
    let root_key = RootPublicKey(data.fixed().root_key);
    let owners = check_owners(checks, data.user().owners());
    checks.require(CheckName::NoDirectRequests, !data.user().direct(), "the owner accepts requests through the link");
    let group_id = check_group_id(checks, &data, root_key);
    let contents =
        checks.outcome(CheckName::ProfileReadable, GroupLinkContents::from_payload(data.user().payload()))?;
    checks.outcome(CheckName::ProfileValid, contents.group_profile.check());
    let public_group = contents.group_profile.public_group.clone();
    let public_group =
        checks.outcome(CheckName::PublicGroupPresent, public_group.ok_or("not the profile of a group with relays"))?;
    check_group_type(checks, &public_group);
    check_profile_binding(checks, &public_group, &link, group_id);
    let mut transcript = contents.transcript;
    transcript.retain(|by| owners.iter().any(|owner| owner.id == *by));
    Some(GroupFindings {
        owner_list: OwnerList::read(data.user().owners(), contents.revision.as_ref()),
        revision: contents.revision.as_ref().map(RevisionMark::revision),
        signer: data.signer(),
        link,
        transcript,
        group_id: group_id?,
        group_type: public_group.group_type,
        root_key,
        owners,
        member_count: contents.public_group_data.map(|data| data.public_member_count),
        profile: contents.group_profile,
        relay_links: data.user().relays().to_vec(),
    })
}

fn check_owners(checks: &mut Checklist, listed: &[OwnerAuth]) -> Vec<VerifiedOwner> {
    let owner = |entry: &OwnerAuth| {
        Some(VerifiedOwner { id: MemberId::from_bytes(entry.id())?, key: OwnerPublicKey(entry.key()) })
    };
    let owners: Vec<VerifiedOwner> = listed.iter().filter_map(owner).collect();
    if owners.len() < listed.len() {
        checks.fail(CheckName::OwnerListed, "an owner has an empty ID");
    } else if owners.is_empty() {
        checks.warn(CheckName::OwnerListed, "no owner is named: only the root key can sign for the group");
    } else {
        checks.pass(CheckName::OwnerListed);
    }
    owners
}

/// A group may one day get a new root key and keep its ID, so that a difference is no reason to refuse.
fn check_group_id(
    checks: &mut Checklist,
    data: &VerifiedLinkData<ContactShortLink>,
    root_key: RootPublicKey,
) -> Option<GroupId> {
    let entity_id = data.fixed().entity_id.as_ref();
    let group_id = match entity_id {
        None => Err("the fixed data holds no group ID"),
        Some(id) => GroupId::from_bytes(id.as_bytes()).ok_or("the group ID in the fixed data is not 32 bytes long"),
    };
    let group_id = checks.outcome(CheckName::EntityIdPresent, group_id)?;
    if group_id == GroupId::of_root_key(&root_key) {
        checks.pass(CheckName::GroupIdIsRootHash);
    } else {
        checks.warn(CheckName::GroupIdIsRootHash, "the group ID is not the hash of the root key");
    }
    Some(group_id)
}

fn check_group_type(checks: &mut Checklist, public_group: &PublicGroup) {
    let GroupType::Other(name) = &public_group.group_type else {
        return checks.pass(CheckName::GroupTypeKnown);
    };
    checks.fail(CheckName::GroupTypeKnown, format!("groups of type {name} need a later version"));
}

fn check_profile_binding(
    checks: &mut Checklist,
    public_group: &PublicGroup,
    link: &ContactShortLink,
    group_id: Option<GroupId>,
) {
    let same_group = group_id == Some(public_group.public_group_id);
    checks.require(CheckName::GroupIdInProfile, same_group, "profile and link name different groups");
    let named: Option<ContactShortLink> = public_group.group_link.parse().ok();
    let same_link = named.is_some_and(|named| named.same_link(link));
    checks.require(CheckName::LinkInProfile, same_link, "the profile names another link");
}

fn check_relay(
    checks: &mut Checklist,
    link: ContactShortLink,
    outcome: Result<RetrievedLinkData, String>,
    group_id: GroupId,
) -> Option<VerifiedRelay> {
    let retrieved = match outcome {
        Ok(retrieved) => retrieved,
        Err(reason) => {
            checks.warn(CheckName::Retrieved, &reason);
            return None;
        }
    };
    checks.pass(CheckName::Retrieved);
    let data = check_link_data(checks, &link, &retrieved)?;
    let member_id = data.fixed().entity_id.as_ref().and_then(|id| MemberId::from_bytes(id.as_bytes()));
    let member_id = member_id.ok_or("the fixed data of the relay link holds no member ID");
    let member_id = checks.outcome(CheckName::MemberIdPresent, member_id);
    let contents =
        checks.outcome(CheckName::ProfileReadable, RelayLinkContents::from_payload(data.user().payload()))?;
    let binding = check_binding(checks, &data.fixed().tail, &contents, group_id)?;
    let key = RelayPublicKey(data.fixed().root_key);
    Some(VerifiedRelay { link, member_id: member_id?, key, profile: contents.relay_profile, binding })
}

/// Wherever a relay link names a group, it must be this one.
fn check_binding(
    checks: &mut Checklist,
    tail: &[u8],
    contents: &RelayLinkContents,
    group_id: GroupId,
) -> Option<GroupBinding> {
    let named = match read_tail(tail) {
        Ok(named) => named,
        Err(malformed) => {
            checks.fail(CheckName::GroupBinding, malformed);
            return None;
        }
    };
    if [named, contents.group_id].into_iter().flatten().any(|named| named != group_id) {
        checks.fail(CheckName::GroupBinding, "the relay link names another group");
        return None;
    }
    let (binding, found) = match named {
        Some(_) => (GroupBinding::FixedData, "bound by the group ID in the relay link's fixed data"),
        None => (GroupBinding::MemberId, "bound only through the relay's member ID"),
    };
    checks.pass_with(CheckName::GroupBinding, found);
    Some(binding)
}
