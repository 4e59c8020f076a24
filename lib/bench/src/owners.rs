//! Owners with groups on a server, and what they ask of relays, made without agents: what is measured is the relay.

use agent::agreement::AgreementKeys;
use agent::connection::Settings;
use agent::envelope::{AgentEnvelope, EnvelopeContent, Invitation};
use agent::full_link::ConnectionRequest;
use agent::link_read::RetrievedLinkData;
use agent::ratchet::Pq;
use agent::short_link::ContactShortLink;
use codec::Encode as _;
use crypto::authorize::AuthPrivateKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use crypto::{BoxKey, Nonce, SeededRandom};
use group::body::ConnectionInfo;
use group::event::{Event, GroupRelayInvitation, RelayInvite};
use group::extension::Extensions;
use group::identity::MemberId;
use group::member::{MemberIdRole, MemberProfile, Role};
use group::profile::{GroupProfile, GroupType};
use group::step::keygen::keygen;
use group::step::link_create::{GroupContents, GroupLink, GroupLinkRequest, PreparedGroupLink};
use net::client::Client;
use smp::address::ServerWithPassword;
use smp::command::MessageFlags;
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::id::SenderId;
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode};
use smp::response::QueueIds;
use tokio::task::JoinSet;

use crate::Failure;
use crate::client::messaging_queue;

/// Commands under way at once.
const TOGETHER: usize = 200;

/// A group whose link is on the server.
pub(crate) struct Group {
    link: GroupLink,
    owner: MemberId,
    sender_id: SenderId,
}

/// Creates groups on the server behind a client, many at once.
pub(crate) async fn create_groups(
    client: &Client,
    server: &ServerWithPassword,
    count: usize,
    random: &mut SeededRandom,
) -> Result<Vec<Group>, Failure> {
    let mut groups = Vec::with_capacity(count);
    while groups.len() < count {
        let mut creating = JoinSet::new();
        for _ in 0..TOGETHER.min(count - groups.len()) {
            let identity = keygen(random);
            let owner = identity.owner_id.clone();
            let profile = GroupProfile::named("A group of ordinary size");
            let request = GroupLinkRequest { group_type: GroupType::Channel, profile, server: server.clone() };
            let prepared = PreparedGroupLink::prepare(identity, request, 0, random)?;
            let client = client.clone();
            creating.spawn(async move { create(&client, prepared, owner).await });
        }
        for group in creating.join_all().await {
            groups.push(group?);
        }
    }
    Ok(groups)
}

async fn create(client: &Client, prepared: PreparedGroupLink, owner: MemberId) -> Result<Group, Failure> {
    let (corr_id, queue) = prepared.new_queue();
    let key = prepared.group().recipient_key();
    let created: QueueIds = client.create_queue(queue, Some(corr_id), &key).await?;
    let sender_id = created.sender_id.clone();
    Ok(Group { link: prepared.confirm(&created, 0)?, owner, sender_id })
}

/// Lists a relay link in each group, many at once.
pub(crate) async fn list_relays(
    client: &Client,
    groups: Vec<(Group, ContactShortLink)>,
    random: &mut SeededRandom,
) -> Result<Vec<Group>, Failure> {
    let mut listed = Vec::with_capacity(groups.len());
    let mut groups = groups.into_iter().peekable();
    while groups.peek().is_some() {
        let mut writing = JoinSet::new();
        for (group, relay) in groups.by_ref().take(TOGETHER) {
            let contents = GroupContents { relays: vec![relay], ..group.link.group().contents().clone() };
            let group = Group { link: group.link.update(contents, random)?, ..group };
            let client = client.clone();
            writing.spawn(async move { write(&client, group).await });
        }
        for group in writing.join_all().await {
            listed.push(group?);
        }
    }
    Ok(listed)
}

async fn write(client: &Client, group: Group) -> Result<Group, Failure> {
    let (link_id, data) = group.link.link_data();
    let access = group.link.queue().access.as_ref().ok_or("a group link that nobody can write")?;
    client.set_link(&access.recipient_id, &link_id, data, &group.link.group().recipient_key()).await?;
    Ok(group)
}

impl Group {
    pub(crate) fn short_link(&self) -> &ContactShortLink {
        self.link.group().short_link()
    }

    /// What the server returns for its link.
    pub(crate) fn data(&self) -> RetrievedLinkData {
        RetrievedLinkData { sender_id: self.sender_id.clone(), data: self.link.group().written().data.clone() }
    }

    /// What the owner asks of a relay.
    pub(crate) fn invitation(&self) -> Result<Vec<u8>, Failure> {
        let relay_member_id = MemberId::from_bytes(b"relay-member-id1").ok_or("a member ID")?;
        let invitation = GroupRelayInvitation {
            from_member: MemberIdRole { member_id: self.owner.clone(), member_role: Role::Owner },
            from_member_profile: MemberProfile::named("Owner"),
            relay_member_id,
            group_link: self.link.group().short_link().to_string(),
            ext: Extensions::default(),
        };
        let invite = RelayInvite { group_relay_invitation: invitation.into() };
        Ok(ConnectionInfo::unsigned(Event::GroupRelayInvite(invite)).to_bytes()?)
    }
}

/// Sends requests to an address.
pub(crate) struct Requests {
    client: Client,
    server: ServerWithPassword,
    address: QueueInfo,
    keys: AgreementKeys,
}

impl Requests {
    pub(crate) async fn to(
        address: &ContactShortLink,
        client: Client,
        server: ServerWithPassword,
        random: &mut SeededRandom,
    ) -> Result<Self, Failure> {
        let found = client.get_link(&address.derive().0).await?;
        let data = RetrievedLinkData { sender_id: found.sender_id, data: found.data }.read(address)?;
        let queue = data.fixed().link.request().first_queue().agree(Settings::default().versions.client);
        let keys = AgreementKeys::generate(Pq::Off, &mut &mut *random)?;
        Ok(Requests { client, server, address: queue.ok_or("an address of another version")?, keys })
    }

    /// Asks, with a queue for the answer.
    pub(crate) async fn send(&self, info: Vec<u8>, random: &mut SeededRandom) -> Result<(), Failure> {
        let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random));
        let queue = self.client.create_queue(messaging_queue(key.public()?, random), None, &key).await?;
        let body = self.seal(queue.sender_id, info, random)?;
        let to = &self.address.address.sender_id;
        Ok(self.client.send_message(to, None, MessageFlags { notify: true }, body).await?)
    }

    fn seal(&self, answer_to: SenderId, info: Vec<u8>, random: &mut SeededRandom) -> Result<Vec<u8>, Failure> {
        let versions = Settings::default().versions;
        let queue = QueueAddress {
            server: self.server.address.clone(),
            sender_id: answer_to,
            dh_key: X25519PrivateKey::generate(random).public(),
            mode: Some(QueueMode::Messaging),
        };
        let queue = QueueInfo { version: versions.client.max(), address: queue }.to_uri(versions.client);
        let request = ConnectionRequest::new(versions.agent, vec![queue], None)?;
        let invitation = Invitation::new(request, self.keys.offer(versions.ratchet), info)?;
        let content = EnvelopeContent::Invitation(Box::new(invitation));
        let content = AgentEnvelope { version: versions.agent.max(), content }.to_bytes();
        let once = X25519PrivateKey::generate(random);
        let key = BoxKey::agreed(&once.agree(&self.address.address.dh_key));
        let header = PublicHeader { version: self.address.version, sender_key: Some(once.public()) };
        let message = ClientMessage { header: PrivateHeader::Empty, content };
        Ok(Envelope::seal(header, &key, Nonce::random(random), &message)?.to_bytes())
    }
}
