//! What relays say that is not so: about their links, in their answers, between their messages.

use agent::link_data::{ContactData, LinkEntityId, Payload};
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, OwnFixedData, PreparedContactLink};
use agent::short_link::{ContactKind, LinkScheme};
use agent::signed_item::{Item, SignedItem};
use agent::version;
use codec::Encode as _;
use codec::text::base64url;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, Random, random};
use group::binding;
use group::identity::{GroupId, MemberId};
use group::relay::{ConnectionName, Service, ServiceId};
use serde_json::{Value, json};
use smp::command::LinkData;
use world::Turn;

use crate::ledger::member;
use crate::relay::Relay;

/// How a relay lies, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    No,
    /// No lie: it knows no extensions.
    Plain,
    /// No lie: its program is too old for rosters.
    Old,
    /// What it gives as its address is none of a relay.
    NoAddress,
    /// The fixed data of its link names another member.
    OtherMember,
    /// The fixed data of its link names another group.
    OtherGroup,
    /// The user data of its link names another group.
    OtherGroupInData,
    /// The user data of its link is signed by a stranger.
    OtherSignature,
    /// Its link takes no requests.
    NotDirect,
    /// Its link does not say who it is.
    NoProfile,
    /// What stands behind its link is right at one time and wrong at another.
    Changing,
    /// It names a link of another relay of the group.
    Borrowed,
    /// It names its address.
    Address,
    /// It repeats what it answered to an earlier invitation.
    Replayed,
    /// It answers with something that is no answer.
    WrongEvent,
    /// It answers with noise.
    Noise,
    /// It says things between its messages that nobody asked for.
    Babbling,
}

impl Lie {
    pub(crate) const ALL: [Lie; 16] = [
        Lie::Plain,
        Lie::Old,
        Lie::NoAddress,
        Lie::OtherMember,
        Lie::OtherGroup,
        Lie::OtherGroupInData,
        Lie::OtherSignature,
        Lie::NotDirect,
        Lie::NoProfile,
        Lie::Changing,
        Lie::Borrowed,
        Lie::Address,
        Lie::Replayed,
        Lie::WrongEvent,
        Lie::Noise,
        Lie::Babbling,
    ];

    /// Whether it is to serve the group like one that does not lie at all.
    pub(crate) fn is_honest(self) -> bool {
        matches!(self, Lie::No | Lie::Plain | Lie::Old)
    }

    /// Whether its link is another than the one that its machine planned.
    pub(crate) fn is_about_links(self) -> bool {
        matches!(
            self,
            Lie::OtherMember
                | Lie::OtherGroup
                | Lie::OtherGroupInData
                | Lie::OtherSignature
                | Lie::NotDirect
                | Lie::NoProfile
        )
    }
}

/// What a link of a liar says.
struct Said {
    member: MemberId,
    group: GroupId,
    /// The group in the user data.
    group_in_data: GroupId,
    direct: bool,
    profile: bool,
    /// Signs the user data.
    signer: Ed25519PrivateKey,
}

impl Said {
    fn payload(&self) -> Payload {
        let group = base64url(self.group_in_data.as_bytes());
        let said = match self.profile {
            true => json!({"relayProfile": {"displayName": "Liar", "fullName": ""}, "groupId": group}),
            false => json!({"profile": "none"}),
        };
        Payload::new(serde_json::to_vec(&said).unwrap()).unwrap()
    }

    fn data(&self, fixed: &OwnFixedData, random: &mut dyn Random) -> LinkData {
        let user = ContactData::new(version::AGENT, self.direct, Vec::new(), Vec::new(), self.payload()).unwrap();
        let (_, key) = fixed.link_key().derive_contact();
        let signed = SignedItem::sign(user.to_bytes(), &self.signer);
        let user = signed.encrypt(Item::User, &key, Nonce::random(random)).unwrap();
        LinkData { fixed: fixed.encrypted().to_vec(), user }
    }
}

/// Something behind an address that only relays understand, or nobody.
pub(crate) fn address_of_nobody(
    address: &PreparedContactLink,
    key: &Ed25519PrivateKey,
    random: &mut dyn Random,
) -> LinkData {
    let payload = Payload::new(b"{\"profile\":{\"displayName\":\"A person\",\"fullName\":\"\"}}".as_slice()).unwrap();
    let user = ContactData::new(version::AGENT, true, Vec::new(), Vec::new(), payload).unwrap();
    address.fixed().with_user_data(&user, key, Nonce::random(random)).unwrap()
}

impl Relay {
    fn service(&self, name: ConnectionName) -> &Service {
        let (ConnectionName::Link(id) | ConnectionName::Owner(id, _)) = name else { panic!("{name} is no service") };
        self.machine().service(id).expect("a service")
    }

    fn truth(&self, name: ConnectionName) -> Said {
        let service = self.service(name);
        let group = service.group_id().expect("a group that was read");
        Said {
            member: service.invitation().relay_member_id.clone(),
            group,
            group_in_data: group,
            direct: true,
            profile: true,
            signer: service.member_key().signing_key().clone(),
        }
    }

    fn untruth(&self, name: ConnectionName, random: &mut dyn Random) -> Said {
        let mut said = self.truth(name);
        let other_group = GroupId::from_bytes(&random::array::<32>(random)).unwrap();
        match self.part.lie {
            Lie::OtherMember => said.member = MemberId::random(random),
            Lie::OtherGroup => (said.group, said.group_in_data) = (other_group, other_group),
            Lie::OtherGroupInData => said.group_in_data = other_group,
            Lie::OtherSignature => said.signer = Ed25519PrivateKey::generate(random),
            Lie::NotDirect | Lie::Changing => said.direct = false,
            Lie::NoProfile => said.profile = false,
            _ => {}
        }
        said
    }

    /// The link that is really made.
    pub(crate) fn bend_link(
        &mut self,
        turn: &mut Turn<'_>,
        name: ConnectionName,
        link: Box<PreparedContactLink>,
        data: LinkData,
    ) -> (Box<PreparedContactLink>, LinkData) {
        if !self.part.lie.is_about_links() {
            return (link, data);
        }
        let env = turn.env();
        let said = self.untruth(name, env.random);
        let request = ContactLinkRequest {
            server: link.full_link().request().first_queue().address.server.clone(),
            entity_id: LinkEntityId::new(said.member.as_bytes()),
            tail: binding::tail(&said.group),
            client_data: None,
            agent_versions: version::AGENT,
            client_versions: version::SMP_CLIENT,
        };
        let key = self.service(name).member_key().signing_key();
        let bent = PreparedContactLink::prepare(request, key, LinkSecrets::random(env.random)).unwrap();
        let data = said.data(bent.fixed(), env.random);
        let mended = self.truth(name).data(bent.fixed(), env.random);
        self.part.ledger.note(|entries| entries.mended.insert(bent.fixed().link_id(), mended));
        (Box::new(bent), data)
    }

    /// The link that stands behind a service, whatever its machine believes.
    fn real_link(&self, turn: &Turn<'_>, service: ServiceId) -> Option<String> {
        let own = turn.connection(&ConnectionName::Link(service).to_string())?.own_address()?.fixed?;
        Some(own.short_link(ContactKind::Group, LinkScheme::Https).to_string())
    }

    /// The answer that is really given.
    pub(crate) fn bend_answer(&mut self, turn: &mut Turn<'_>, name: ConnectionName, info: Vec<u8>) -> Vec<u8> {
        let ConnectionName::Owner(id, _) = name else { return info };
        let told = self.service(name).invitation().relay_member_id.clone();
        let mut said: Value = crate::ledger::json(&info);
        if said["event"] == "x.grp.relay.acpt" {
            self.bend_acceptance(turn, id, &mut said);
        }
        let info = match self.part.lie {
            Lie::WrongEvent => br#"{"v":"9-19","event":"x.ok","params":{}}"#.to_vec(),
            Lie::Noise => random::array::<40>(turn.env().random).to_vec(),
            _ => serde_json::to_vec(&said).unwrap(),
        };
        self.part.ledger.answered(&told, &info);
        info
    }

    fn bend_acceptance(&self, turn: &Turn<'_>, id: ServiceId, said: &mut Value) {
        let mine = said["params"]["relayLink"].as_str().unwrap_or_default().to_owned();
        let told = member(&self.machine().service(id).expect("a service").invitation().relay_member_id);
        let other = |is_other: &dyn Fn(&str, &str) -> bool| {
            self.part.ledger.note(|entries| {
                let all = entries.answers.iter().flat_map(|(of, links)| links.iter().map(move |link| (of, link)));
                all.filter(|(of, link)| is_other(of, link)).map(|(_, link)| link.clone()).next()
            })
        };
        let link = match self.part.lie {
            lie if lie.is_about_links() => self.real_link(turn, id),
            Lie::Borrowed => other(&|of, link| of != told && link != mine),
            Lie::Replayed => {
                let own = |link: &str| {
                    self.machine().services().any(|service| {
                        service.id() != id && service.relay_link().is_some_and(|known| known.to_string() == link)
                    })
                };
                other(&|_, link| own(link))
            }
            Lie::Address => self.address.as_ref().map(ToString::to_string),
            _ => None,
        };
        if let Some(link) = link {
            said["params"]["relayLink"] = link.into();
        }
        match self.part.lie {
            Lie::Plain => drop(said["params"]["relayCap"].as_object_mut().and_then(|can| can.remove("ext"))),
            Lie::Old => said["v"] = "9-18".into(),
            _ => {}
        }
    }

    /// Something besides what is to be said.
    pub(crate) fn babble(&self, turn: &mut Turn<'_>) -> Option<Vec<u8>> {
        if self.part.lie != Lie::Babbling {
            return None;
        }
        let noise = random::array::<30>(turn.env().random).to_vec();
        Some(turn.dice().pick(&[
            noise,
            b"=\x02\x00\x01{".to_vec(),
            br#"{"v":"9-19","event":"x.grp.roster.ack","params":{"version":99}}"#.to_vec(),
            br#"{"v":"9-19","event":"x.grp.leave","params":{}}"#.to_vec(),
            br#"{"v":"9-19","event":"x.grp.del","params":{}}"#.to_vec(),
            br#"{"v":"9-19","event":"x.grp.relay.ready","params":{}}"#.to_vec(),
            br#"{"v":"9-19","event":"x.grp.relay.acpt","params":{"relayLink":"simplex:/g#nowhere"}}"#.to_vec(),
        ]))
    }

    /// Puts something else behind the links of its services.
    pub(crate) fn alter(&mut self, turn: &mut Turn<'_>, bad: bool) {
        let names: Vec<ConnectionName> =
            self.machine().services().map(|service| ConnectionName::Link(service.id())).collect();
        for name in names {
            let fixed =
                turn.connection(&name.to_string()).and_then(|link| link.own_address()).and_then(|own| own.fixed);
            let Some(fixed) = fixed else { continue };
            let env = turn.env();
            let said = if bad { self.untruth(name, env.random) } else { self.truth(name) };
            let data = said.data(&fixed, env.random);
            let mended = self.truth(name).data(&fixed, env.random);
            self.part.ledger.note(|entries| entries.mended.insert(fixed.link_id(), mended));
            // A link that is being deleted is left alone.
            let _ = crate::relay::step(turn, &name, |link, _| link.set_link(data));
        }
    }
}
