//! Step 9: the relay link, where members of one group connect.
//!
//! Its root key is the relay's member key, its entity ID the relay's member ID; a tail of the fixed data names the group.
//! It is planned once and then created from the same bytes however often that is tried, so that there is never a second
//! link for the same service.

use agent::link_data::{ContactData, LinkEntityId};
use agent::link_key::LinkKey;
use agent::prepared_link::{
    ContactLinkRequest, LinkSecrets, LinkWriteError, OwnFixedData, PreparedContactLink, RestoreError,
};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::version;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, Random};
use serde::{Deserialize, Serialize};
use smp::address::ServerWithPassword;
use smp::command::LinkData;
use smp::id::CorrId;

use super::settings::RelayIdentity;
use crate::binding;
use crate::bytes::{text_form, unpadded};
use crate::identity::{GroupId, MemberId, MemberKey};
use crate::step::link_create::client_data;
use crate::user_data::{Contents as _, ContentsError, RelayLinkContents};

/// Why a link of the relay cannot be made: the operator's profile does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LinkError {
    /// The profile cannot be written.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The link data cannot be written.
    #[error(transparent)]
    Write(#[from] LinkWriteError),
}

/// The relay link of a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RelayLink {
    /// As owners are to publish it.
    #[serde(with = "text_form")]
    pub(super) link: ContactShortLink,
    pub(super) state: LinkState,
}

/// Whether the relay link exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LinkState {
    /// It is to be created from these bytes.
    Planned(Box<LinkPlan>),
    /// The service ended before it was known whether it was created. Nobody can delete what was not: it is created first.
    Abandoned(Box<LinkPlan>),
    /// Members can find it.
    Created,
    /// It is to be deleted, if it exists.
    Deleting,
    /// It is gone.
    Deleted,
}

/// What a link is created from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LinkPlan {
    /// Of the server, with its password.
    server: String,
    #[serde(with = "unpadded")]
    corr_id: CorrId,
    #[serde(with = "unpadded")]
    queue_key: X25519PrivateKey,
    #[serde(with = "unpadded")]
    fixed: Vec<u8>,
    #[serde(with = "unpadded")]
    user: Vec<u8>,
}

impl RelayLink {
    /// Plans the link of one service.
    pub(super) fn plan(
        group: &GroupId,
        member: &MemberId,
        key: &MemberKey,
        identity: &RelayIdentity,
        server: &ServerWithPassword,
        random: &mut dyn Random,
    ) -> Result<Self, LinkError> {
        let contents = identity.contents(Some(*group));
        let entity_id = LinkEntityId::new(member.as_bytes());
        let (prepared, data) = prepare(entity_id, binding::tail(group), &contents, key.signing_key(), server, random)?;
        let link = prepared.fixed().short_link(ContactKind::Group, LinkScheme::Https);
        let plan = LinkPlan {
            server: server.expose(),
            corr_id: prepared.corr_id().clone(),
            queue_key: prepared.queue_key().clone(),
            fixed: data.fixed,
            user: data.user,
        };
        Ok(RelayLink { link, state: LinkState::Planned(Box::new(plan)) })
    }

    /// What creates the link, unless it was created already.
    pub(super) fn to_create(
        &self,
    ) -> Option<Result<(PreparedContactLink, LinkData, ServerWithPassword), RestoreError>> {
        match &self.state {
            LinkState::Planned(plan) | LinkState::Abandoned(plan) => Some(plan.restore(&self.link.key)),
            _ => None,
        }
    }

    pub(super) fn is_planned(&self) -> bool {
        matches!(self.state, LinkState::Planned(_))
    }

    pub(super) fn is_abandoned(&self) -> bool {
        matches!(self.state, LinkState::Abandoned(_))
    }

    pub(super) fn is_deleting(&self) -> bool {
        matches!(self.state, LinkState::Deleting)
    }

    /// Whoever serves the group no more is not to be found. What is planned may have been created already.
    pub(super) fn delete(&mut self) {
        self.state = match std::mem::replace(&mut self.state, LinkState::Deleting) {
            LinkState::Planned(plan) | LinkState::Abandoned(plan) => LinkState::Abandoned(plan),
            LinkState::Created | LinkState::Deleting => LinkState::Deleting,
            LinkState::Deleted => LinkState::Deleted,
        };
    }
}

impl LinkPlan {
    fn restore(&self, key: &LinkKey) -> Result<(PreparedContactLink, LinkData, ServerWithPassword), RestoreError> {
        let fixed = OwnFixedData::restore(key.clone(), self.fixed.clone())?;
        let prepared = PreparedContactLink::restore(self.corr_id.clone(), self.queue_key.clone(), fixed)?;
        let server = self.server.parse().map_err(|_| RestoreError::Mismatch("server"))?;
        Ok((prepared, LinkData { fixed: self.fixed.clone(), user: self.user.clone() }, server))
    }
}

/// Prepares a contact link of the relay with its data.
pub(super) fn prepare(
    entity_id: Option<LinkEntityId>,
    tail: Vec<u8>,
    contents: &RelayLinkContents,
    root_key: &Ed25519PrivateKey,
    server: &ServerWithPassword,
    random: &mut dyn Random,
) -> Result<(PreparedContactLink, LinkData), LinkError> {
    let request = ContactLinkRequest {
        server: server.address.clone(),
        entity_id,
        tail,
        client_data: Some(client_data(random)),
        agent_versions: version::AGENT,
        client_versions: version::SMP_CLIENT,
    };
    let prepared = PreparedContactLink::prepare(request, root_key, LinkSecrets::random(random))?;
    let data = prepared.fixed().with_user_data(&user_data(contents)?, root_key, Nonce::random(random))?;
    Ok((prepared, data))
}

/// What may change behind a link of the relay: it takes requests, and lists nobody.
pub(super) fn user_data(contents: &RelayLinkContents) -> Result<ContactData, LinkError> {
    let user = ContactData::new(version::AGENT, true, Vec::new(), Vec::new(), contents.to_payload()?);
    Ok(user.map_err(LinkWriteError::from)?)
}
