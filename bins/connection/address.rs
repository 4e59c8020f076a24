//! Contact addresses with a short link: what the server is to keep behind it.

use agent::connection::{AddressPlan, QueuePlan, Settings};
use agent::link_data::{ContactData, Payload};
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, PreparedContactLink};
use cli::{Code, Error, OrError as _};
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, Random};

/// An address with a link that is known before anything is sent, and the key that signs what the link says.
pub fn linked(
    plan: QueuePlan,
    payload: Payload,
    settings: &Settings,
    random: &mut dyn Random,
) -> Result<(AddressPlan, Ed25519PrivateKey), Error> {
    let QueuePlan { server, password, .. } = plan;
    let root_key = Ed25519PrivateKey::generate(random);
    let request = ContactLinkRequest {
        server,
        entity_id: None,
        tail: Vec::new(),
        client_data: None,
        agent_versions: settings.versions.agent,
        client_versions: settings.versions.client,
    };
    let secrets = LinkSecrets::random(random);
    let link = PreparedContactLink::prepare(request, &root_key, secrets).or_error_at(Code::Bug, "link")?;
    let user = ContactData::new(settings.versions.agent, true, Vec::new(), Vec::new(), payload);
    let user = user.or_error_at(Code::Bug, "link data")?;
    let data = link.fixed().with_user_data(&user, &root_key, Nonce::random(random));
    let data = data.or_error_at(Code::FieldInvalid, "--data")?;
    Ok((AddressPlan::Linked { link: Box::new(link), data, password }, root_key))
}
