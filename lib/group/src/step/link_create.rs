//! Steps 2 to 4: the owner prepares the group link, writes it into the profile, signs both and creates the link.
//!
//! ```text
//! OwnerIdentity ── prepare ──▶ PreparedGroupLink ── NEW, confirm ──▶ GroupLink ── update ──▶ GroupLink
//!                               all bytes are final                    on the server          to be written with LSET
//! ```
//!
//! Everything that the server will get is made when the link is prepared, so repeating an interrupted creation sends
//! the same bytes again, and a prepared link can be shown, signed and kept before any server knows of it. A server
//! refuses to create a queue twice, in the same words as it refuses strangers; whether an earlier attempt succeeded is
//! seen by reading the link ([`PreparedGroupLink::confirm_found`]).

use agent::link_data::{ContactData, FixedData};
use agent::link_read::{LinkReadError, RetrievedLinkData};
use agent::owner::OwnerAuth;
use agent::prepared_link::{ContactLinkRequest, CreationMismatch, LinkSecrets, LinkWriteError, PreparedContactLink};
use agent::short_link::{ContactShortLink, LinkScheme};
use agent::version;
use codec::{Malformed, text};
use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed25519PrivateKey, Ed25519PublicKey};
use crypto::{Nonce, Random, random};
use serde_json::{Map, json};
use smp::address::ServerWithPassword;
use smp::command::{LinkData, NewQueue};
use smp::id::{CorrId, LinkId, RecipientId};
use smp::response::QueueIds;

use crate::identity::{GroupId, MemberId, OwnerIdentity, OwnerPublicKey, Ownership};
use crate::link_merge::{LinkContents, Overridden, Side, merge};
use crate::link_state::LinkState;
use crate::owner_list::{ListedOwner, OwnerList};
use crate::profile::{GroupProfile, GroupType, ProfileFault, PublicGroup};
use crate::revision::{Revision, RevisionMark};
use crate::transcript::{Ledger, Setting, Transcript};
use crate::user_data::{Contents as _, ContentsError, GroupLinkContents, PublicGroupData};

/// Random bytes of the ID that contact requests through the link would carry.
const GROUP_LINK_ID: usize = 16;
/// The owner alone.
const FIRST_MEMBER_COUNT: u64 = 1;

/// What the link is to be.
#[derive(Debug, Clone)]
pub struct GroupLinkRequest {
    /// Channel or group.
    pub group_type: GroupType,
    /// What the group says about itself; what binds it to the link is added.
    pub profile: GroupProfile,
    /// Where the link will be.
    pub server: ServerWithPassword,
}

/// Why a group link cannot be made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkCreateError {
    /// The profile says something that no profile may say.
    #[error(transparent)]
    Profile(#[from] ProfileFault),
    /// Only channels and groups have group links.
    #[error("groups of type {0} are not known to this version")]
    GroupType(GroupType),
    /// The profile cannot be put into the link.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The link data cannot be written.
    #[error(transparent)]
    Write(#[from] LinkWriteError),
}

/// The part of the link that the owner may change.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupContents {
    /// What the group says about itself.
    pub profile: GroupProfile,
    /// Members and owners, not relays.
    pub member_count: u64,
    /// The links of the relays that serve the group, exactly as the relays wrote them.
    pub relays: Vec<ContactShortLink>,
    /// How much was said, by the count of each owner.
    pub transcript: Transcript,
}

/// The owner's keys for the queue behind the link.
#[derive(Debug, Clone)]
pub struct QueueKeys {
    /// Authorises the owner's commands.
    pub recipient_key: Ed25519PrivateKey,
    /// The owner's half of the delivery secret.
    pub dh_key: X25519PrivateKey,
}

/// What is known of a group link whether the server has it or not.
#[derive(Debug, Clone)]
pub struct OwnGroup {
    pub(crate) owner: Ownership,
    pub(crate) owners: OwnerList,
    pub(crate) server: ServerWithPassword,
    pub(crate) link: PreparedContactLink,
    pub(crate) short_link: ContactShortLink,
    pub(crate) keys: QueueKeys,
    pub(crate) contents: GroupContents,
    pub(crate) ledger: Ledger,
    pub(crate) written: WrittenData,
    pub(crate) prepared_at: i64,
}

/// The link data as the server has it or is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenData {
    /// Counts from 1; every update has a higher one than all that were known. The number of the revision.
    pub version: u64,
    /// Which writes of which owners are in the data.
    pub revision: Revision,
    /// Both records, encrypted.
    pub data: LinkData,
}

/// A group link that the server need not know yet.
#[derive(Debug, Clone)]
pub struct PreparedGroupLink(pub(crate) OwnGroup);

/// A group link that the server has.
#[derive(Debug, Clone)]
pub struct GroupLink {
    pub(crate) group: OwnGroup,
    pub(crate) queue: CreatedQueue,
}

/// The queue behind a link that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedQueue {
    /// What the server told the run that created the queue; it tells nobody else.
    pub access: Option<QueueAccess>,
    /// When the link was created, or first found; seconds since the Unix epoch.
    pub created_at: i64,
}

/// What the server answered when the queue was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAccess {
    /// Names the queue in the owner's commands.
    pub recipient_id: RecipientId,
    /// The server's half of the delivery secret.
    pub server_dh_key: X25519PublicKey,
}

/// Why what was found under a prepared link is not that link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoundMismatch {
    /// It is not even a link.
    #[error(transparent)]
    Read(#[from] LinkReadError),
    /// It has other fixed data than the prepared ones.
    #[error("the server has other data under this link")]
    Fixed,
}

impl OwnGroup {
    /// The link to share.
    pub fn short_link(&self) -> &ContactShortLink {
        &self.short_link
    }

    /// The group's name.
    pub fn group_id(&self) -> GroupId {
        self.owner.group_id()
    }

    /// All owners, in the order in which they were let in.
    pub fn owners(&self) -> &OwnerList {
        &self.owners
    }

    /// This owner.
    pub fn ownership(&self) -> &Ownership {
        &self.owner
    }

    /// Where the link is or will be.
    pub fn server(&self) -> &ServerWithPassword {
        &self.server
    }

    /// The part that may be changed.
    pub fn contents(&self) -> &GroupContents {
        &self.contents
    }

    /// What the owner counted of what was said.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What the server has or is to have.
    pub fn written(&self) -> &WrittenData {
        &self.written
    }

    /// Authorises commands on the queue behind the link.
    pub fn recipient_key(&self) -> AuthPrivateKey {
        AuthPrivateKey::Ed25519(self.keys.recipient_key.clone())
    }

    pub(crate) fn said(&self) -> LinkContents {
        LinkContents { contents: self.contents.clone(), owners: self.owners.clone() }
    }

    /// How far from the group's beginning this owner is.
    fn rank(&self) -> usize {
        self.owners.rank(self.owner.root(), self.owner.link_signer().public())
    }

    /// Says something else, with a revision after all that are known.
    fn rewrite(
        mut self,
        said: LinkContents,
        known: &Revision,
        random: &mut dyn Random,
    ) -> Result<Self, LinkCreateError> {
        let revision = known.next(&self.owner.owner_id);
        self.contents = said.contents;
        self.owners = said.owners;
        let data = seal(&self.owner, &self.link, &self.contents, (&self.owners, &revision), random)?;
        self.written = WrittenData { version: revision.number(), revision, data };
        Ok(self)
    }

    /// Says what another owner wrote.
    fn adopt(mut self, state: LinkState) -> Self {
        self.contents = state.said.contents;
        self.owners = state.said.owners;
        self.written = WrittenData { version: state.revision.number(), revision: state.revision, data: state.data };
        self
    }
}

impl PreparedGroupLink {
    /// Makes the link and everything that creating it will send. The profile gets its link and group ID here.
    pub fn prepare(
        owner: OwnerIdentity,
        request: GroupLinkRequest,
        now: i64,
        random: &mut dyn Random,
    ) -> Result<Self, LinkCreateError> {
        let authorization = owner.authorization();
        let kind = request.group_type.link_kind();
        let kind = kind.ok_or_else(|| LinkCreateError::GroupType(request.group_type.clone()))?;
        let link = prepare_link(&owner, &request.server, random)?;
        let short_link = link.fixed().short_link(kind, LinkScheme::Https);
        let public_group = PublicGroup {
            group_type: request.group_type,
            group_link: short_link.to_string(),
            public_group_id: owner.group_id(),
            other: Map::new(),
        };
        let profile = GroupProfile { public_group: Some(public_group), ..request.profile };
        let contents = GroupContents {
            profile,
            member_count: FIRST_MEMBER_COUNT,
            relays: Vec::new(),
            transcript: Transcript::default(),
        };
        let keys = QueueKeys {
            recipient_key: Ed25519PrivateKey::generate(random),
            dh_key: X25519PrivateKey::generate(random),
        };
        let owner = Ownership::from(owner);
        let first = authorization.and_then(|auth| ListedOwner::new(auth, Some(keys.recipient_key.public())));
        let owners: OwnerList = first.into_iter().collect();
        let revision = Revision::alone(1, owner.owner_id.clone());
        let data = seal(&owner, &link, &contents, (&owners, &revision), random)?;
        let written = WrittenData { version: revision.number(), revision, data };
        let server = request.server;
        let (ledger, prepared_at) = (Ledger::default(), now);
        Ok(PreparedGroupLink(OwnGroup {
            owner,
            owners,
            server,
            link,
            short_link,
            keys,
            contents,
            ledger,
            written,
            prepared_at,
        }))
    }

    /// The group.
    pub fn group(&self) -> &OwnGroup {
        &self.0
    }

    /// Whether posts are to be counted, and how much is published of them.
    pub fn set_transcript(&mut self, setting: Setting) {
        self.0.ledger.set(setting);
    }

    /// The parameters of the command that creates the link, and the correlation ID that it must have.
    pub fn new_queue(&self) -> (CorrId, NewQueue) {
        let OwnGroup { server, link, keys, written, .. } = &self.0;
        let queue = NewQueue {
            recipient_key: AuthPublicKey::Ed25519(keys.recipient_key.public()),
            dh_key: keys.dh_key.public(),
            basic_auth: server.password.clone(),
            subscribe: false,
            request: Some(link.queue_request(written.data.clone())),
            notifier: None,
        };
        (link.corr_id().clone(), queue)
    }

    /// Takes the server's answer. An answer for another queue or link is the server's fault.
    pub fn confirm(self, created: &QueueIds, now: i64) -> Result<GroupLink, CreationMismatch> {
        self.0.link.confirm(created)?;
        let access = QueueAccess { recipient_id: created.recipient_id.clone(), server_dh_key: created.dh_key };
        Ok(GroupLink { group: self.0, queue: CreatedQueue { access: Some(access), created_at: now } })
    }

    /// Takes what the server has under the link, after it refused to create the link again. The link may have been
    /// updated since; it cannot be updated from here, because only the run that created it can name its queue.
    pub fn confirm_found(self, found: &RetrievedLinkData, now: i64) -> Result<GroupLink, FoundMismatch> {
        found.read(self.0.short_link())?;
        if found.data.fixed != self.0.written.data.fixed {
            return Err(FoundMismatch::Fixed);
        }
        Ok(GroupLink { group: self.0, queue: CreatedQueue { access: None, created_at: now } })
    }
}

impl GroupLink {
    /// The group.
    pub fn group(&self) -> &OwnGroup {
        &self.group
    }

    /// The queue behind the link.
    pub fn queue(&self) -> &CreatedQueue {
        &self.queue
    }

    /// The same link with other contents, still to be written. The profile keeps what binds it to the link.
    pub fn update(self, contents: GroupContents, random: &mut dyn Random) -> Result<Self, LinkCreateError> {
        let public_group = self.group.contents.profile.public_group.clone();
        let contents = GroupContents { profile: GroupProfile { public_group, ..contents.profile }, ..contents };
        let owners = self.group.owners.clone();
        self.rewrite(LinkContents { contents, owners }, random)
    }

    /// The same link with other owners, still to be written.
    pub(crate) fn with_owners(self, owners: OwnerList, random: &mut dyn Random) -> Result<Self, LinkCreateError> {
        let contents = self.group.contents.clone();
        self.rewrite(LinkContents { contents, owners }, random)
    }

    fn rewrite(self, said: LinkContents, random: &mut dyn Random) -> Result<Self, LinkCreateError> {
        let GroupLink { group, queue } = self;
        let known = group.written.revision.clone();
        Ok(GroupLink { group: group.rewrite(said, &known, random)?, queue })
    }

    /// The link as another owner wrote it, who knew everything that we wrote.
    pub(crate) fn adopt(self, state: LinkState) -> Self {
        GroupLink { group: self.group.adopt(state), queue: self.queue }
    }

    /// The link with what both wrote, still to be written; `base` is what both were made from. Also says what of one
    /// side's changes was overridden.
    pub(crate) fn merge(
        self,
        base: Option<&LinkContents>,
        theirs: &LinkState,
        random: &mut dyn Random,
    ) -> Result<(Self, Vec<Overridden>), LinkCreateError> {
        let GroupLink { group, queue } = self;
        let said = group.said();
        let (by, number) = (&group.owner.owner_id, group.written.version);
        let mine = Side { said: &said, by, rank: group.rank(), number };
        let (merged, overridden) = merge(group.owner.root(), base, mine, theirs.side());
        let known = group.written.revision.joined(&theirs.revision);
        Ok((GroupLink { group: group.rewrite(merged, &known, random)?, queue }, overridden))
    }

    /// An entry of the owners' list for somebody whom this owner lets in.
    pub(crate) fn entry(&self, id: &MemberId, key: OwnerPublicKey, queue_key: Ed25519PublicKey) -> Option<ListedOwner> {
        let auth = OwnerAuth::authorize(id.as_bytes(), key.0, &self.group.owner.owner_key.0)?;
        ListedOwner::new(auth, Some(queue_key))
    }

    /// What everybody else finds once this is written.
    pub(crate) fn state(&self) -> LinkState {
        let OwnGroup { written, .. } = &self.group;
        LinkState::own(written.revision.clone(), self.group.said(), self.group.rank(), written.data.clone())
    }

    /// User data of this link as a server returns it.
    pub(crate) fn found(&self, user: Vec<u8>) -> RetrievedLinkData {
        let fixed = self.group.link.fixed().encrypted().to_vec();
        RetrievedLinkData { sender_id: self.group.link.sender_id().clone(), data: LinkData { fixed, user } }
    }

    /// What to write under which ID, for the queue's recipient ID. Writing it twice changes nothing.
    pub fn link_data(&self) -> (LinkId, LinkData) {
        (self.group.link.fixed().link_id(), self.group.written.data.clone())
    }
}

fn prepare_link(
    owner: &OwnerIdentity,
    server: &ServerWithPassword,
    random: &mut dyn Random,
) -> Result<PreparedContactLink, LinkWriteError> {
    let request = ContactLinkRequest {
        server: server.address.clone(),
        entity_id: owner.group_id().to_entity_id(),
        tail: Vec::new(),
        client_data: Some(client_data(random)),
        agent_versions: version::AGENT,
        client_versions: version::SMP_CLIENT,
    };
    PreparedContactLink::prepare(request, owner.root_key.signing_key(), LinkSecrets::random(random))
}

/// What the connection request of a group link or a relay link says to applications.
pub(crate) fn client_data(random: &mut dyn Random) -> String {
    let group_link_id = text::base64url(&random::array::<GROUP_LINK_ID>(random));
    json!({"type": "group", "groupLinkId": group_link_id}).to_string()
}

/// Signs and encrypts the contents beside the fixed data. Owners' links accept no requests: members go to relays.
fn seal(
    owner: &Ownership,
    link: &PreparedContactLink,
    contents: &GroupContents,
    (owners, revision): (&OwnerList, &Revision),
    random: &mut dyn Random,
) -> Result<LinkData, LinkCreateError> {
    contents.profile.check()?;
    let payload = GroupLinkContents {
        group_profile: contents.profile.clone(),
        public_group_data: Some(PublicGroupData { public_member_count: contents.member_count, roster_version: None }),
        revision: Some(RevisionMark::new(revision, &owners.queue_keys())),
        transcript: contents.transcript.clone(),
        other: Map::new(),
    };
    let FixedData { versions, .. } = link.fixed().data();
    let user = ContactData::new(*versions, false, owners.chain(), contents.relays.clone(), payload.to_payload()?);
    let user = user.map_err(LinkWriteError::from)?;
    let nonce = Nonce::random(random);
    Ok(link.fixed().with_user_data(&user, owner.link_signer(), nonce)?)
}

impl From<Malformed> for LinkCreateError {
    fn from(malformed: Malformed) -> Self {
        LinkCreateError::Write(malformed.into())
    }
}
