//! Inviting: a queue of ours, keys to agree with, and a link that says so.

use codec::VersionRange;
use smp::queue_address::QueueMode;

use super::plan::{InviteLink, OwnInvitation, QueuePlan, Settings};
use super::receive_queue::{Creation, OwnLink, ReceiveQueue};
use super::{Connection, ConnectionError, Inviting, Phase};
use crate::agreement::AgreementKeys;
use crate::full_link::{ConnectionRequest, FullLink};
use crate::link_data::Payload;
use crate::prepared_invitation::{InvitationRequest, PreparedInvitation};
use crate::ratchet::Pq;
use crate::ratchet_offer::RatchetOffer;
use crate::short_link::{InvitationShortLink, LinkScheme};
use crate::time::Env;

impl Connection {
    /// Prepares an invitation. Its queue is created by the first task; with a short link, the full link is known before.
    pub fn invite(
        plan: QueuePlan,
        link: InviteLink,
        settings: &Settings,
        env: &mut Env<'_>,
    ) -> Result<Self, ConnectionError> {
        let propose = if link.propose { settings.pq } else { Pq::Off };
        let mut random = &mut *env.random;
        let keys = AgreementKeys::generate(propose, &mut random)?;
        let queue = match link.short.filter(|_| plan.sender_secures) {
            Some(payload) => linked_queue(plan, payload, keys.offer(settings.versions.ratchet), settings, env)?,
            None => ReceiveQueue::plan(plan, env.random),
        };
        Ok(Self::begin(settings, Phase::Inviting(Box::new(Inviting { queue, keys, request: None }))))
    }

    /// The links to our invitation, as far as they are known. `None` where this is no invitation, or was used.
    pub fn invitation(&self) -> Option<OwnInvitation> {
        let Phase::Inviting(inviting) = &self.phase else { return None };
        let full = inviting.full_link(self.versions().agent, self.versions().client, self.versions().ratchet)?;
        let short = match inviting.queue.link() {
            OwnLink::Invitation { key, link_id } => {
                let server = inviting.queue.server.clone();
                Some(InvitationShortLink { scheme: LinkScheme::Simplex, server, link_id, key })
            }
            _ => None,
        };
        Some(OwnInvitation { full, short }).filter(|_| inviting.request.is_none())
    }
}

fn linked_queue(
    plan: QueuePlan,
    payload: Payload,
    offer: RatchetOffer,
    settings: &Settings,
    env: &mut Env<'_>,
) -> Result<ReceiveQueue, ConnectionError> {
    let request = InvitationRequest {
        server: plan.server.clone(),
        agent_versions: settings.versions.agent,
        client_versions: settings.versions.client,
        offer,
        payload,
    };
    let (prepared, queue_key) = PreparedInvitation::prepare(&request, env.random)?;
    let creation = Creation::Invitation(Box::new(prepared));
    Ok(ReceiveQueue::new(plan.server, plan.password, Some(QueueMode::Messaging), queue_key, creation, env.random))
}

impl Inviting {
    /// The full link, once the queue's address is known.
    pub(super) fn full_link(
        &self,
        agent: VersionRange,
        client: VersionRange,
        ratchet: VersionRange,
    ) -> Option<FullLink> {
        let request = ConnectionRequest::new(agent, vec![self.queue.uri(client)?], None).ok()?;
        Some(FullLink::Invitation(request, self.keys.offer(ratchet)))
    }
}
