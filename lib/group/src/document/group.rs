//! The group document: a group with its link, from the moment the link is prepared.

use agent::link_data::UserData as _;
use agent::link_read::RetrievedLinkData;
use agent::prepared_link::{OwnFixedData, PreparedContactLink};
use agent::short_link::ContactShortLink;
use codec::Encode;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed25519PrivateKey, Ed25519PublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smp::address::{ServerAddress, ServerWithPassword};
use smp::command::{BasicAuth, LinkData};
use smp::id::{CorrId, RecipientId};

use super::{
    AwaitedByOwnerDocument, ConnectionRecords, HeadcountDocument, Inconsistent, OwnerDocument, PersonaDocument,
    RelayRecordDocument, require,
};
use crate::bytes::{Base64Url, text_form, unpadded, unpadded_option};
use crate::identity::{GroupId, MemberId, OwnerPublicKey, Ownership};
use crate::owner::{Closing, GroupOwner, Kept};
use crate::owner_list::{ListedOwner, OwnerList};
use crate::profile::GroupProfile;
use crate::revision::{Revision, RevisionMark};
use crate::roster::Roster;
use crate::step::link_create::{
    CreatedQueue, GroupContents, GroupLink, OwnGroup, PreparedGroupLink, QueueAccess, QueueKeys, WrittenData,
};
use crate::transcript::{Ledger, Transcript};
use crate::user_data::{Contents as _, GroupLinkContents};

/// A group and its link, as its owner keeps them
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupDocument {
    /// Whether the link exists on its server
    pub status: GroupStatus,
    /// The link to share
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// The group's name
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// What the group says about itself, with the field names of the chat protocol
    pub profile: GroupProfile,
    /// Members and owners, not relays
    pub member_count: u64,
    /// The relays that serve the group
    pub relays: Vec<RelayDocument>,
    /// How much was said, by the count of each owner, as the link says
    #[serde(default, skip_serializing_if = "Transcript::is_empty")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub transcript: Transcript,
    /// What this owner counted, for the next mark
    #[serde(default, skip_serializing_if = "is_untouched")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub ledger: Ledger,
    /// Every relay that was invited, and how far it is
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relay_records: Vec<RelayRecordDocument>,
    /// How the owner appears to relays, once it invited one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persona: Option<PersonaDocument>,
    /// The members with rights, if there ever were any
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub roster: Roster,
    /// Messages that some relays have not delivered yet
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<AwaitedByOwnerDocument>,
    /// How many members there are, once relays told of some
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headcount: Option<HeadcountDocument>,
    /// Secret: what the connections with relays need to go on
    #[serde(default, skip_serializing_if = "ConnectionRecords::is_empty")]
    pub connections: ConnectionRecords,
    /// This owner, and the keys of the group that it has
    pub owner: OwnerDocument,
    /// All owners as the link lists them, if there are several
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<ListedOwnerDocument>,
    /// The queue behind the link
    pub queue: QueueDocument,
    /// What the server has or is to have
    pub link_data: LinkDataDocument,
    /// When the link was prepared, in Unix seconds
    pub prepared_at: i64,
    /// When the link was created, in Unix seconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// How the group ended, if its owner has ended it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<ClosingDocument>,
}

/// How far a group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupStatus {
    /// The link is known, but its server need not know it yet
    Prepared,
    /// The server has the link
    Created,
    /// The owner has ended the group
    Ended,
}

/// The end of a group
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosingDocument {
    /// When the owner decided it, in Unix seconds
    pub decided_at: i64,
    /// Whether the server has deleted the link
    pub link_deleted: bool,
}

/// A relay that serves the group
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelayDocument {
    /// The relay link, exactly as the relay wrote it
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
}

/// An owner in the link
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedOwnerDocument {
    /// The owner's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// Ed25519; checks what the owner signs
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_public_key: OwnerPublicKey,
    /// Ed25519; gives commands for the queue behind the link
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub queue_public_key: Option<Ed25519PublicKey>,
}

/// A key that the server of the link takes commands from
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueKeyDocument {
    /// Ed25519
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub public_key: Ed25519PublicKey,
}

/// The queue behind a group link, and the owner's keys for it
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueueDocument {
    /// The server
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub server: ServerAddress,
    /// Secret: lets its holder create queues on the server
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_password: Option<ServerPassword>,
    /// Secret until the link is created: decides the queue's ID for senders
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub correlation_id: CorrId,
    /// Secret: X25519, decrypts what senders encrypt
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub queue_private_key: X25519PrivateKey,
    /// Secret: Ed25519, authorises the owner's commands
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub recipient_private_key: Ed25519PrivateKey,
    /// Secret: X25519, decrypts what the server delivers
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub delivery_private_key: X25519PrivateKey,
    /// Secret: the server's name for the queue in the owner's commands; only the run that created the link knows it
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub recipient_id: Option<RecipientId>,
    /// X25519; the server's half of the delivery secret
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub server_public_key: Option<X25519PublicKey>,
    /// The keys of all owners that the server takes commands from, if this owner set or found several
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner_keys: Vec<QueueKeyDocument>,
}

/// A server's password in a document. It is never printed for debugging.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ServerPassword(String);

impl ServerPassword {
    pub(crate) fn new(text: &str) -> Self {
        ServerPassword(text.to_owned())
    }

    pub(crate) fn parse(&self, field: &'static str) -> Result<BasicAuth, Inconsistent> {
        BasicAuth::new(&self.0).ok_or(Inconsistent::new(field, "not a password"))
    }
}

impl std::fmt::Debug for ServerPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Both records of the link, encrypted as the server keeps them
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LinkDataDocument {
    /// Counts from 1; every update by any owner has a higher one
    pub version: u64,
    /// Never changes
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub fixed: Vec<u8>,
    /// Made from profile, member count, relays and owner
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub user: Vec<u8>,
    /// The version that the server is known to have, if that is an older one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<u64>,
    /// The version with a profile that relays are still to be told of
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold_profile: Option<u64>,
    /// What stood in the link that other owners may have made theirs from, if there are several
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownUserDataDocument>,
}

/// Former user data of the link, encrypted as the server kept it
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownUserDataDocument {
    /// The record
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub user: Vec<u8>,
}

fn is_untouched(ledger: &Ledger) -> bool {
    *ledger == Ledger::default()
}

fn is_empty(roster: &Roster) -> bool {
    *roster == Roster::default()
}

impl GroupDocument {
    /// The fields that only the owner may see.
    pub const SECRETS: &'static [&'static str] = &[
        "owner.root_private_key",
        "owner.owner_private_key",
        "queue.server_password",
        "queue.correlation_id",
        "queue.queue_private_key",
        "queue.recipient_private_key",
        "queue.delivery_private_key",
        "queue.recipient_id",
        "persona.server_password",
        "connections",
    ];
}

/// What a group document stands for.
#[derive(Debug, Clone)]
pub enum GroupState {
    /// The link is to be created.
    Prepared(Box<PreparedGroupLink>),
    /// The link exists.
    Created(Box<GroupOwner>),
}

impl From<&PreparedGroupLink> for GroupDocument {
    fn from(prepared: &PreparedGroupLink) -> Self {
        document(prepared.group(), None)
    }
}

impl From<&GroupLink> for GroupDocument {
    fn from(link: &GroupLink) -> Self {
        document(link.group(), Some(link.queue()))
    }
}

impl From<&GroupOwner> for GroupDocument {
    fn from(owner: &GroupOwner) -> Self {
        let kept = Kept::from(owner);
        let Kept { persona, roster, relays, awaited, headcount, connections, closing, .. } = kept;
        let document = GroupDocument::from(owner.link());
        let known = kept.known.into_iter().map(|user| KnownUserDataDocument { user }).collect();
        let (confirmed, untold_profile) = (kept.confirmed, kept.untold_profile);
        let link_data = LinkDataDocument { confirmed, untold_profile, known, ..document.link_data };
        let owner_keys = kept.queue_keys.into_iter().map(|public_key| QueueKeyDocument { public_key }).collect();
        let queue = QueueDocument { owner_keys, ..document.queue };
        let document = GroupDocument { persona, roster, awaited, headcount, connections, queue, link_data, ..document };
        let status = if closing.is_some() { GroupStatus::Ended } else { document.status };
        GroupDocument { status, relay_records: relays, closing: closing.map(ClosingDocument::from), ..document }
    }
}

fn document(group: &OwnGroup, queue: Option<&CreatedQueue>) -> GroupDocument {
    let GroupContents { profile, member_count, relays, transcript } = group.contents.clone();
    GroupDocument {
        status: if queue.is_some() { GroupStatus::Created } else { GroupStatus::Prepared },
        link: group.short_link.clone(),
        group_id: group.group_id(),
        profile,
        member_count,
        relays: relays.into_iter().map(|link| RelayDocument { link }).collect(),
        transcript,
        ledger: group.ledger.clone(),
        relay_records: Vec::new(),
        persona: None,
        roster: Roster::default(),
        awaited: Vec::new(),
        headcount: None,
        connections: ConnectionRecords::default(),
        owner: OwnerDocument::from(&group.owner),
        owners: listed_owners(&group.owners),
        queue: queue_document(group, queue.and_then(|queue| queue.access.as_ref())),
        link_data: LinkDataDocument {
            version: group.written.version,
            fixed: group.written.data.fixed.clone(),
            user: group.written.data.user.clone(),
            confirmed: None,
            untold_profile: None,
            known: Vec::new(),
        },
        prepared_at: group.prepared_at,
        created_at: queue.map(|queue| queue.created_at),
        closing: None,
    }
}

/// One owner alone is in the document anyway.
fn listed_owners(owners: &OwnerList) -> Vec<ListedOwnerDocument> {
    let listed = |owner: &ListedOwner| ListedOwnerDocument {
        owner_id: owner.id().clone(),
        owner_public_key: owner.key(),
        queue_public_key: owner.queue_key(),
    };
    if owners.len() > 1 { owners.iter().map(listed).collect() } else { Vec::new() }
}

fn queue_document(group: &OwnGroup, access: Option<&QueueAccess>) -> QueueDocument {
    QueueDocument {
        server: group.server.address.clone(),
        server_password: group.server.password.as_ref().map(ServerPassword::from),
        correlation_id: group.link.corr_id().clone(),
        queue_private_key: group.link.queue_key().clone(),
        recipient_private_key: group.keys.recipient_key.clone(),
        delivery_private_key: group.keys.dh_key.clone(),
        recipient_id: access.map(|access| access.recipient_id.clone()),
        server_public_key: access.map(|access| access.server_dh_key),
        owner_keys: Vec::new(),
    }
}

impl From<Closing> for ClosingDocument {
    fn from(Closing { decided_at, link_deleted }: Closing) -> Self {
        ClosingDocument { decided_at, link_deleted }
    }
}

impl From<ClosingDocument> for Closing {
    fn from(ClosingDocument { decided_at, link_deleted }: ClosingDocument) -> Self {
        Closing { decided_at, link_deleted }
    }
}

impl TryFrom<GroupDocument> for GroupState {
    type Error = Inconsistent;

    fn try_from(document: GroupDocument) -> Result<Self, Inconsistent> {
        let queue = created_queue(&document)?;
        let kept = Kept {
            confirmed: document.link_data.confirmed,
            untold_profile: document.link_data.untold_profile,
            persona: document.persona.clone(),
            roster: document.roster.clone(),
            relays: document.relay_records.clone(),
            awaited: document.awaited.clone(),
            headcount: document.headcount.clone(),
            connections: document.connections.clone(),
            known: document.link_data.known.iter().map(|known| known.user.clone()).collect(),
            queue_keys: document.queue.owner_keys.iter().map(|key| key.public_key).collect(),
            closing: document.closing.map(Closing::from),
        };
        let prepared = PreparedGroupLink(own_group(document)?);
        match queue {
            None if kept.relays.is_empty() => Ok(GroupState::Prepared(Box::new(prepared))),
            None => Err(Inconsistent::new("relay_records", "the link was not created yet")),
            Some(queue) => Ok(GroupState::Created(Box::new(kept.restore(GroupLink { group: prepared.0, queue })?))),
        }
    }
}

fn created_queue(document: &GroupDocument) -> Result<Option<CreatedQueue>, Inconsistent> {
    let access = match (&document.queue.recipient_id, document.queue.server_public_key) {
        (Some(recipient_id), Some(server_dh_key)) => {
            Some(QueueAccess { recipient_id: recipient_id.clone(), server_dh_key })
        }
        (None, None) => None,
        _ => return Err(Inconsistent::new("queue", "recipient_id and server_public_key come together or not at all")),
    };
    match (document.status, document.created_at) {
        (GroupStatus::Ended, _) if document.closing.is_none() => {
            Err(Inconsistent::new("closing", "missing in a group that was ended"))
        }
        (GroupStatus::Prepared | GroupStatus::Created, _) if document.closing.is_some() => {
            Err(Inconsistent::new("closing", "in a group that was not ended"))
        }
        (GroupStatus::Created | GroupStatus::Ended, Some(created_at)) => Ok(Some(CreatedQueue { access, created_at })),
        (GroupStatus::Prepared, None) if access.is_none() => Ok(None),
        (GroupStatus::Created | GroupStatus::Ended, None) => {
            Err(Inconsistent::new("created_at", "missing in a created group"))
        }
        (GroupStatus::Prepared, _) => {
            Err(Inconsistent::new("status", "prepared, but the document has what only a created group has"))
        }
    }
}

fn own_group(document: GroupDocument) -> Result<OwnGroup, Inconsistent> {
    let GroupDocument { link: short_link, profile, member_count, queue, link_data, prepared_at, .. } = document;
    let owner = Ownership::try_from(document.owner)?;
    require(document.group_id == owner.group_id(), "group_id", "not that of the owner")?;
    let fixed = OwnFixedData::restore(short_link.key.clone(), link_data.fixed.clone())
        .map_err(|error| Inconsistent::new("link_data.fixed", error))?;
    require(fixed.data().root_key == owner.root().0, "link_data.fixed", "made with another root key")?;
    require(fixed.data().entity_id == owner.group_id().to_entity_id(), "link_data.fixed", "made for another group")?;
    let server = own_server(&queue, &fixed)?;
    require(short_link.server == server.address, "link", "at another server than the queue")?;
    let link = PreparedContactLink::restore(queue.correlation_id, queue.queue_private_key, fixed)
        .map_err(|error| Inconsistent::new("queue", error))?;
    let bound = profile.public_group.as_ref().is_some_and(|public_group| {
        public_group.public_group_id == owner.group_id() && public_group.group_link == short_link.to_string()
    });
    require(bound, "profile.publicGroup", "does not name the link and the group ID")?;
    let keys = QueueKeys { recipient_key: queue.recipient_private_key, dh_key: queue.delivery_private_key };
    let relays = document.relays.into_iter().map(|relay| relay.link).collect();
    let contents = GroupContents { profile, member_count, relays, transcript: document.transcript };
    let data = LinkData { fixed: link_data.fixed, user: link_data.user };
    let (mut owners, mark) = check_written(&data, &link, &short_link, &contents)?;
    require(
        document.owners.is_empty() || document.owners == listed_owners(&owners),
        "owners",
        "not those in the link",
    )?;
    owners.set_queue_key(&owner.owner_id, keys.recipient_key.public());
    let revision =
        mark.map_or_else(|| Revision::alone(link_data.version, owner.owner_id.clone()), |mark| mark.revision());
    require(revision.number() == link_data.version, "link_data.version", "not that of the data")?;
    let written = WrittenData { version: link_data.version, revision, data };
    let ledger = document.ledger;
    Ok(OwnGroup { owner, owners, server, link, short_link, keys, contents, ledger, written, prepared_at })
}

/// What will be published must be what the document shows. Says which owners and which revision it names.
fn check_written(
    data: &LinkData,
    link: &PreparedContactLink,
    short_link: &ContactShortLink,
    contents: &GroupContents,
) -> Result<(OwnerList, Option<RevisionMark>), Inconsistent> {
    const FIELD: &str = "link_data.user";
    let retrieved = RetrievedLinkData { sender_id: link.sender_id().clone(), data: data.clone() };
    let read = retrieved.read(short_link).map_err(|error| Inconsistent::new(FIELD, error))?;
    let written = GroupLinkContents::from_payload(read.user().payload());
    let written = written.map_err(|error| Inconsistent::new(FIELD, error))?;
    let encoded = |relays: &[ContactShortLink]| relays.iter().map(Encode::to_bytes).collect::<Vec<_>>();
    let same = written.group_profile == contents.profile
        && written.public_group_data.map(|data| data.public_member_count) == Some(contents.member_count)
        && encoded(read.user().relays()) == encoded(&contents.relays)
        && written.transcript == contents.transcript;
    require(same, FIELD, "says something else than profile, member_count, relays and transcript")?;
    Ok((OwnerList::read(read.user().owners(), written.revision.as_ref()), written.revision))
}

fn own_server(queue: &QueueDocument, fixed: &OwnFixedData) -> Result<ServerWithPassword, Inconsistent> {
    let address = &fixed.data().link.request().first_queue().address.server;
    require(*address == queue.server, "queue.server", "not the server in the link")?;
    let password = match &queue.server_password {
        None => None,
        Some(password) => Some(password.parse("queue.server_password")?),
    };
    Ok(ServerWithPassword { address: queue.server.clone(), password })
}
