//! A member over sockets: an agent with one connection to a relay, which does what the protocol says and remembers what
//! it hears.

use std::time::Duration;

use agent::connection::keep::ConnectionId;
use agent::connection::{
    Connection, ConnectionError, Event as ConnectionEvent, JoinLink, QueuePlan, SendOptions, Settings,
};
use agent::ratchet::Pq;
use agent::short_link::ContactShortLink;
use agent::time::Env;
use group::body::{Batch, ConnectionInfo, single};
use group::element::{Element, ForwardContent};
use group::event::{Event, GroupLinkInvitation, Join, OwnProfile};
use group::extension::Extensions;
use group::identity::{GroupId, MemberId, MemberKey};
use group::member::MemberProfile;
use group::message::Message;
use group::signature::Signer;
use net::agent::{Agent, AgentEvent, AgentEvents};
use net::tls::Connector;
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::owner::{Owner, read};
use crate::running::{PATIENCE, Server, Shifted, in_time, options};

pub(crate) struct Member {
    pub(crate) id: MemberId,
    key: MemberKey,
    group: GroupId,
    pub(crate) answered: Option<GroupLinkInvitation>,
    pub(crate) connected: bool,
    /// What came: forwarded or not, and the event.
    pub(crate) heard: Vec<(bool, Event)>,
    agent: Agent,
    told: AgentEvents,
    /// Whether messages are acknowledged.
    pub(crate) takes: bool,
    held: Vec<smp::id::MessageId>,
    _folder: tempfile::TempDir,
}

fn name() -> ConnectionId {
    ConnectionId::new(b"relay").unwrap()
}

impl Member {
    /// Asks the relay that has this name in the owner's group for admission.
    pub(crate) async fn join(server: &Server, owner: &Owner, relay: &MemberId) -> Self {
        Self::join_as(server, owner, relay, "Mary").await
    }

    pub(crate) async fn join_as(server: &Server, owner: &Owner, relay: &MemberId, called: &str) -> Self {
        let link: ContactShortLink = owner.relay(relay).relay_link().unwrap().parse().unwrap();
        let group::owner::Outcome::Retrieved(data) = read(&link).await else { panic!("a relay link") };
        let full = data.read(&link).unwrap().fixed().link.clone();
        let folder = tempfile::tempdir().unwrap();
        let keep = Connections::open(&folder.path().join("member.sqlite")).unwrap();
        let clock = Shifted::default();
        let connector = Connector::new().unwrap();
        let (agent, told) = Agent::start(keep, connector, options(), Box::new(SystemRandom), clock.clock());
        let (id, key) = (MemberId::random(&mut SystemRandom), MemberKey::generate(&mut SystemRandom));
        let group = owner.machine.link().group().group_id();
        let join = Join {
            profile: MemberProfile::named(called),
            new_member_id: id.clone(),
            new_member_key: key.public(),
            via_relay: Some(relay.clone()),
            ext: Extensions::default(),
            purpose: None,
        };
        let signer = Signer { group: &group, member: &id, key: &key };
        let info = ConnectionInfo::signed(Event::Member(join.into()), &signer).to_bytes().unwrap();
        let settings = Settings { pq: Pq::Off, ..Settings::default() };
        let now = (clock.clock())();
        let made = {
            let mut env = Env { now, random: &mut SystemRandom };
            let mut made = Connection::open(JoinLink::Full(full.into()), &settings, &mut env);
            made.join(QueuePlan::at(server.address.address.clone()), info, &mut env).unwrap();
            made
        };
        agent.open(name(), made).await.unwrap();
        let (answered, heard, held) = (None, Vec::new(), Vec::new());
        let (connected, takes) = (false, true);
        Member { id, key, group, answered, connected, heard, agent, told, takes, held, _folder: folder }
    }

    /// Works until something holds.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Member) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", self.heard);
            if let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), self.told.next()).await {
                self.told(event).await;
            }
        }
    }

    /// Works for a while.
    pub(crate) async fn listen(&mut self, duration: Duration) {
        let end = tokio::time::Instant::now() + duration;
        while let Ok(Some(event)) = tokio::time::timeout_at(end, self.told.next()).await {
            self.told(event).await;
        }
    }

    /// Acknowledges what was held back, and everything from now on.
    pub(crate) async fn take(&mut self) {
        self.takes = true;
        for message in std::mem::take(&mut self.held) {
            self.acknowledge(message).await;
        }
    }

    async fn told(&mut self, event: AgentEvent) {
        let AgentEvent::Connection(_, event) = event else { return };
        match event {
            ConnectionEvent::Confirmed { info } => {
                let info = ConnectionInfo::parse(&info).unwrap();
                let Event::GroupLinkInvite(invite) = info.event() else { panic!("{info:?}") };
                self.answered = Some(invite.group_link_invitation.clone());
                let own = OwnProfile { profile: MemberProfile::named("Mary"), member_key: Some(self.key.public()) };
                let info = ConnectionInfo::unsigned(Event::Info(own.into())).to_bytes().unwrap();
                self.change(move |connection, env| connection.allow(info, env)).await;
            }
            ConnectionEvent::Connected { .. } => {
                self.connected = true;
                let heard = |connection: &mut Connection, _: &mut Env<'_>| {
                    connection.heard();
                    Ok(())
                };
                self.change(heard).await;
            }
            ConnectionEvent::Message(message) => {
                self.heard.extend(events(&message.body));
                match self.takes {
                    true => self.acknowledge(message.id).await,
                    false => self.held.push(message.id),
                }
            }
            _ => {}
        }
    }

    async fn acknowledge(&self, message: smp::id::MessageId) {
        self.change(move |connection, env| connection.acknowledge(&message, None, env)).await;
    }

    async fn change(
        &self,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError> + Send + 'static,
    ) {
        in_time(self.agent.change(&name(), step)).await.unwrap();
    }

    async fn send(&self, body: Vec<u8>) {
        self.change(move |connection, env| connection.send(&body, SendOptions::default(), env).map(drop)).await;
    }

    pub(crate) async fn signs(&self, event: Event) {
        let signer = Signer { group: &self.group, member: &self.id, key: &self.key };
        self.send(single(signer.sign(Message::named(event, &mut SystemRandom))).unwrap()).await;
    }

    /// What posts say that were forwarded.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |(_, event): &(bool, Event)| match event {
            Event::MessageNew(message) => message.content.as_text().map(str::to_owned),
            _ => None,
        };
        self.heard.iter().filter_map(text).collect()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.heard.iter().map(|(_, event)| event.name()).collect()
    }
}

fn events(body: &[u8]) -> Vec<(bool, Event)> {
    let event = |element: Element| match element {
        Element::Message(authored) => Some((false, authored.message().event.clone())),
        Element::Forward(forward) => match forward.content {
            ForwardContent::Message(authored) => Some((true, authored.message().event.clone())),
            ForwardContent::Chunk(_) => None,
        },
        Element::Chunk(_) => None,
    };
    Batch::parse(body).unwrap().into_iter().filter_map(|element| event(element.unwrap())).collect()
}
