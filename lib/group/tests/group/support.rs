//! An owner, a prepared link, a server that returns what it was given, and links that say anything at all.

use std::collections::HashMap;

use agent::link_data::{ContactData, LinkEntityId, Payload};
use agent::link_read::RetrievedLinkData;
use agent::owner::OwnerAuth;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, PreparedContactLink};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::version;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, SeededRandom};
use group::check::{Check, CheckName, CheckResult};
use group::identity::OwnerIdentity;
use group::profile::{GroupProfile, GroupType};
use group::step::keygen::keygen;
use group::step::link_create::{GroupLink, GroupLinkRequest, OwnGroup, PreparedGroupLink};
use group::step::link_verify::{LinkVerification, Verification};
use serde_json::{Value, json};
use smp::address::ServerWithPassword;
use smp::command::QueueRequest;
use smp::response::QueueIds;

pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) fn random(step: &str) -> SeededRandom {
    SeededRandom::new(&[7; 32], step)
}

pub(crate) fn owner() -> OwnerIdentity {
    keygen(&mut random("keygen"))
}

pub(crate) fn server() -> ServerWithPassword {
    "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:secret@smp.example.org,abc234.onion".parse().unwrap()
}

pub(crate) fn request(profile: GroupProfile) -> GroupLinkRequest {
    GroupLinkRequest { group_type: GroupType::Channel, profile, server: server() }
}

pub(crate) fn prepared() -> PreparedGroupLink {
    let request = request(GroupProfile::named("Walks"));
    PreparedGroupLink::prepare(owner(), request, NOW, &mut random("link_create")).unwrap()
}

/// What a server answers to the command that creates the link.
pub(crate) fn answer(prepared: &PreparedGroupLink) -> QueueIds {
    let (_, queue) = prepared.new_queue();
    let Some(QueueRequest::Contact(Some((link_id, sender_id, _)))) = queue.request else { panic!("link data") };
    QueueIds {
        recipient_id: [8; 24].into(),
        sender_id,
        dh_key: crypto::dh::X25519PrivateKey::from_bytes([8; 32]).public(),
        mode: None,
        link_id: Some(link_id),
        service_id: None,
        notifier: None,
    }
}

pub(crate) fn created() -> GroupLink {
    let prepared = prepared();
    let answer = answer(&prepared);
    prepared.confirm(&answer, NOW + 1).unwrap()
}

/// Link data by link, as the servers of a test return it.
#[derive(Default)]
pub(crate) struct Servers(HashMap<ContactShortLink, RetrievedLinkData>);

impl Servers {
    pub(crate) fn publish(&mut self, link: &ContactShortLink, data: RetrievedLinkData) {
        self.0.insert(link.clone(), data);
    }

    pub(crate) fn publish_group(&mut self, group: &OwnGroup, sender_id: smp::id::SenderId) {
        let data = group.written().data.clone();
        self.publish(group.short_link(), RetrievedLinkData { sender_id, data });
    }

    pub(crate) fn retrieve(&self, link: &ContactShortLink) -> RetrievedLinkData {
        self.0.get(link).unwrap().clone()
    }

    /// Verifies a link as a member would, fetching whatever is asked for.
    pub(crate) fn verify(&self, link: &ContactShortLink) -> Verification {
        let mut verification = LinkVerification::start(link.clone());
        loop {
            let wanted = verification.to_fetch();
            if wanted.is_empty() {
                break;
            }
            verification.fetched(wanted.iter().map(|fetch| {
                assert_eq!(fetch.link_id, fetch.link.derive().0);
                let found = self.0.iter().find(|(link, _)| link.same_link(&fetch.link)).map(|(_, data)| data.clone());
                found.ok_or("no such link".to_owned())
            }));
        }
        verification.finish()
    }
}

/// The result of a check of the group link.
pub(crate) fn result(checks: &[Check], name: CheckName) -> CheckResult {
    checks.iter().find(|check| check.name == name && check.relay.is_none()).unwrap().result
}

/// The results of a check of relay links, in their order.
pub(crate) fn relay_results(checks: &[Check], name: CheckName) -> Vec<CheckResult> {
    checks.iter().filter(|check| check.name == name && check.relay.is_some()).map(|check| check.result).collect()
}

/// Names of the checks with this result.
pub(crate) fn named(checks: &[Check], result: CheckResult) -> Vec<CheckName> {
    checks.iter().filter(|check| check.result == result).map(|check| check.name).collect()
}

/// A link whose every part can be wrong.
pub(crate) struct AnyLink {
    pub(crate) root: Ed25519PrivateKey,
    pub(crate) kind: ContactKind,
    pub(crate) entity_id: Option<Vec<u8>>,
    pub(crate) tail: Vec<u8>,
    pub(crate) direct: bool,
    pub(crate) owners: Vec<OwnerAuth>,
    pub(crate) relays: Vec<ContactShortLink>,
    /// Made when the link is known, because a profile names its link.
    pub(crate) json: Box<dyn Fn(&ContactShortLink) -> Value>,
}

impl AnyLink {
    /// A good group link.
    pub(crate) fn group() -> Self {
        let owner = owner();
        let group_id = owner.group_id();
        AnyLink {
            root: owner.root_key.signing_key().clone(),
            kind: ContactKind::Channel,
            entity_id: Some(group_id.as_bytes().to_vec()),
            tail: vec![],
            direct: false,
            owners: vec![owner.authorization().unwrap()],
            relays: vec![],
            json: Box::new(move |link| group_json(link, &codec::text::base64url(group_id.as_bytes()))),
        }
    }

    /// A good relay link without a tail, by relay `number`.
    pub(crate) fn relay(number: u8) -> Self {
        AnyLink {
            root: Ed25519PrivateKey::from_seed([number; 32]),
            kind: ContactKind::Group,
            entity_id: Some(vec![number; 16]),
            tail: vec![],
            direct: true,
            owners: vec![],
            relays: vec![],
            json: Box::new(|_| json!({"relayProfile": {"displayName": "Relay", "fullName": ""}})),
        }
    }

    /// Puts the link on the servers.
    pub(crate) fn publish(self, servers: &mut Servers) -> ContactShortLink {
        let AnyLink { root, kind, entity_id, tail, direct, owners, relays, json } = self;
        let request = ContactLinkRequest {
            server: server().address,
            entity_id: entity_id.and_then(LinkEntityId::new),
            tail,
            client_data: None,
            agent_versions: version::AGENT,
            client_versions: version::SMP_CLIENT,
        };
        let prepared = PreparedContactLink::prepare(request, &root, LinkSecrets::random(&mut random("any"))).unwrap();
        let link = prepared.fixed().short_link(kind, LinkScheme::Https);
        let payload = Payload::new(serde_json::to_vec(&json(&link)).unwrap()).unwrap();
        let user = ContactData::new(version::AGENT, direct, owners, relays, payload).unwrap();
        let data = prepared.fixed().with_user_data(&user, &root, Nonce([3; 24])).unwrap();
        servers.publish(&link, RetrievedLinkData { sender_id: prepared.sender_id().clone(), data });
        link
    }
}

/// User data of a group link.
pub(crate) fn group_json(link: &ContactShortLink, group_id: &str) -> Value {
    json!({
        "groupProfile": {
            "displayName": "Walks",
            "fullName": "",
            "publicGroup": {"groupType": "channel", "groupLink": link.to_string(), "publicGroupId": group_id},
        },
        "publicGroupData": {"publicMemberCount": 1},
    })
}
