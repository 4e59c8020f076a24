//! The world of one group: servers, the owner, relays, a stranger, and what is to happen, before it begins.

use std::ops::RangeInclusive;
use std::time::Duration;

use agent::full_link::FullLink;
use agent::link_read::RetrievedLinkData;
use agent::non_empty::NonEmpty;
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use codec::text::base64url;
use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::identity::GroupId;
use group::owner::{GroupOwner, Persona};
use group::profile::{GroupProfile, GroupType};
use group::relay::{RelayIdentity, RelaySettings, Verdict};
use group::step::keygen::keygen;
use group::step::link_create::{GroupLink, GroupLinkRequest, PreparedGroupLink};
use group::user_data::RelayProfile;
use smp::address::ServerWithPassword;
use smp::command::Command;
use smp::id::EntityId;
use smp::response::Response;
use smp::transmission::{ServerTransmission, Session, encode_command};
use world::server::{SessionNumber, seconds};
use world::trace::START;
use world::{Chaos, Dice, HostId, Rules, Server, ServerId, World};

use crate::actor::Actor;
use crate::ledger::Ledger;
use crate::lies::Lie;
use crate::owner::{self, Act, Bent, Owner};
use crate::relay::{self, Order, Relay};
use crate::stranger::{self, Mischief, Stranger};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// The session in which the group link is created, before anything else happens.
const FIRST_SESSION: SessionNumber = 0;

/// What a relay is like.
#[derive(Debug, Clone)]
pub(crate) struct RelayPlan {
    pub(crate) lie: Lie,
    pub(crate) verdict: Verdict,
    pub(crate) ask_policy: bool,
    pub(crate) max_services: usize,
    pub(crate) pace: RangeInclusive<u64>,
    pub(crate) orders: Vec<(Time, Order)>,
    pub(crate) keeps_late: usize,
    /// The servers that it uses.
    pub(crate) servers: Vec<usize>,
}

impl RelayPlan {
    /// A relay that serves everybody at once.
    pub(crate) fn willing(servers: Vec<usize>) -> Self {
        RelayPlan {
            lie: Lie::No,
            verdict: Verdict::Accept,
            ask_policy: false,
            max_services: 10,
            pace: 1..=1,
            orders: Vec::new(),
            keeps_late: 0,
            servers,
        }
    }
}

/// What a server that lies says about a link from some time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerLie {
    /// The group link says what it said so many writes ago.
    OldGroup(usize),
    /// There is no group link.
    NoGroup,
    /// A relay link says what another one says.
    Swapped(usize),
    /// There is no such relay link.
    NoRelay(usize),
    /// The truth again.
    Truth,
}

/// Everything that is to be.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) chaos: Chaos,
    pub(crate) rules: Vec<Rules>,
    pub(crate) relays: Vec<RelayPlan>,
    pub(crate) acts: Vec<(Time, Act)>,
    pub(crate) bent: Bent,
    pub(crate) mischief: Vec<(Time, usize, Mischief)>,
    pub(crate) lies: Vec<(Time, ServerLie)>,
    pub(crate) check_interval: Duration,
}

/// The world and who is in it. The group link is on the first server.
pub(crate) struct Stage {
    pub(crate) world: World<Actor>,
    pub(crate) plan: Plan,
    pub(crate) servers: Vec<ServerId>,
    pub(crate) owner: HostId,
    pub(crate) relays: Vec<HostId>,
    pub(crate) ledger: Ledger,
    pub(crate) group: GroupId,
    pub(crate) group_link: ContactShortLink,
}

impl Stage {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut world = World::new(seed, Chaos::none());
        let servers: Vec<ServerId> =
            plan.rules.iter().enumerate().map(|(n, rules)| world.add_server(&format!("s{n}"), rules.clone())).collect();
        let mut random = SeededRandom::new(&world::dice::seed_bytes(seed), "stage");
        let ledger = Ledger::default();
        let link = group_link(&mut world, servers[0], &mut random);
        let (group, group_link) = (link.group().group_id(), link.group().short_link().clone());
        let mut relays = Vec::new();
        let mut addresses = Vec::new();
        for (number, of_relay) in plan.relays.iter().enumerate() {
            let at = of_relay.servers.iter().map(|server| with_password(&world, servers[*server])).collect();
            let settings = settings(&plan, of_relay, NonEmpty::new(at).expect("a server"));
            let part = relay_part(number, of_relay, (settings, plan.chaos.until), &group_link, &ledger, &mut random);
            let host = world.add_host(&format!("relay {number}"), Actor::Relay(Relay::new(part)));
            addresses.push(world.act(host, |relay, turn| relay.relay().open_address(turn)).expect("a calm beginning"));
            relays.push(host);
        }
        world.run_for(Duration::from_secs(2));
        let links = addresses.iter().map(|address| full_link(&mut world, &servers, address)).collect();
        let last = with_password(&world, servers[servers.len() - 1]);
        let part = owner::Part { addresses, acts: plan.acts.clone(), bent: plan.bent, ledger: ledger.clone() };
        let owner_id = owner_id(world.server(servers[0]), &group_link);
        let machine = introduced(link, last, &mut random);
        let owner = world.add_host("owner", Actor::Owner(Owner::new(machine, part)));
        let stranger = add_stranger(&mut world, &plan, links, (owner_id, group_link.to_string()), &ledger);
        let mut stage = Stage { world, plan, servers, owner, relays, ledger, group, group_link };
        *stage.world.chaos_mut() = stage.plan.chaos.clone();
        for (host, begin) in [(owner, true), (stranger, false)] {
            while stage
                .world
                .act(host, |actor, turn| match (actor, begin) {
                    (Actor::Owner(owner), true) => owner.restarted(turn),
                    (Actor::Stranger(stranger), false) => stranger.restarted(turn),
                    _ => panic!("somebody else"),
                })
                .is_none()
            {
                stage.world.run_for(Duration::from_secs(1));
            }
        }
        stage
    }

    pub(crate) fn hub(&mut self) -> &mut Server {
        let hub = self.servers[0];
        self.world.server(hub)
    }

    /// The server of a link.
    pub(crate) fn server_of(&self, link: &ContactShortLink) -> Option<ServerId> {
        self.servers.iter().copied().find(|server| self.world.address(*server).same_server(&link.server))
    }
}

/// The owner's member ID, as everybody can read it.
fn owner_id(server: &Server, group_link: &ContactShortLink) -> String {
    let write = &server.link_writes()[0];
    let retrieved = RetrievedLinkData { sender_id: write.sender_id.clone(), data: write.data.as_ref().clone() };
    let read = retrieved.read(group_link).expect("the group link");
    base64url(agent::link_data::UserData::owners(read.user())[0].id())
}

fn with_password(world: &World<Actor>, server: ServerId) -> ServerWithPassword {
    ServerWithPassword { address: world.address(server), password: None }
}

/// Waiting is shorter than usual, so that everything is over within hours.
fn settings(plan: &Plan, relay: &RelayPlan, servers: NonEmpty<ServerWithPassword>) -> RelaySettings {
    RelaySettings {
        ask_policy: relay.ask_policy,
        max_services: relay.max_services,
        check_interval: plan.check_interval,
        listing_patience: 3 * HOUR,
        missing_patience: 2 * HOUR,
        cleanup_after: HOUR,
        ..RelaySettings::new(servers)
    }
}

fn relay_part(
    number: usize,
    plan: &RelayPlan,
    (settings, lies_until): (RelaySettings, Time),
    group_link: &ContactShortLink,
    ledger: &Ledger,
    random: &mut SeededRandom,
) -> relay::Part {
    let address_key = Ed25519PrivateKey::generate(random);
    let profile = RelayProfile {
        display_name: format!("Relay {number}"),
        full_name: String::new(),
        short_descr: None,
        image: None,
    };
    relay::Part {
        number,
        identity: RelayIdentity { address_key: address_key.clone().into(), profile, credentials: None },
        address_key,
        settings,
        verdict: plan.verdict.clone(),
        lie: plan.lie,
        lies_until,
        pace: plan.pace.clone(),
        orders: plan.orders.clone(),
        group_link: group_link.clone(),
        keeps_late: plan.keeps_late,
        ledger: ledger.clone(),
    }
}

fn introduced(link: GroupLink, server: ServerWithPassword, random: &mut SeededRandom) -> GroupOwner {
    let mut owner = GroupOwner::from(link);
    let env = Env { now: START, random };
    owner.introduce(Persona::random(server, env.random)).expect("the first time");
    owner
}

/// The owner creates the group link.
fn group_link(world: &mut World<Actor>, server: ServerId, random: &mut SeededRandom) -> GroupLink {
    let request = GroupLinkRequest {
        group_type: GroupType::Channel,
        profile: GroupProfile::named("Walks"),
        server: with_password(world, server),
    };
    let prepared = PreparedGroupLink::prepare(keygen(random), request, seconds(START), random).expect("a link");
    let (corr_id, queue) = prepared.new_queue();
    let server = world.server(server);
    let terms = server.open(FIRST_SESSION);
    let session = Session { version: terms.version, id: &terms.id, server_key: &terms.server_key };
    let (command, key) = (Command::New(Box::new(queue)), prepared.group().recipient_key());
    let bytes = encode_command(session, &corr_id, &EntityId::default(), &command, Some(&key)).expect("a command");
    server.receive(FIRST_SESSION, &bytes, START);
    let told = server.commit(START);
    server.close(FIRST_SESSION);
    let answer = ServerTransmission::parse(terms.version, &told[0].bytes).expect("an answer").response;
    let Ok(Response::Ids(created)) = answer else { panic!("{answer:?}") };
    prepared.confirm(&created, seconds(START)).expect("the link that was prepared")
}

/// Where requests to an address go.
fn full_link(world: &mut World<Actor>, servers: &[ServerId], address: &ContactShortLink) -> FullLink {
    let id = address.derive().0;
    let found = servers.iter().find_map(|server| {
        let write = world.server(*server).link_writes().iter().find(|write| write.link == id)?;
        Some(RetrievedLinkData { sender_id: write.sender_id.clone(), data: write.data.as_ref().clone() })
    });
    found.expect("the address").read(address).expect("an address").fixed().link.clone()
}

fn add_stranger(
    world: &mut World<Actor>,
    plan: &Plan,
    links: Vec<FullLink>,
    (owner, group_link): (String, String),
    ledger: &Ledger,
) -> HostId {
    let acts = plan.mischief.iter().map(|(at, relay, what)| (*at, links[*relay].clone(), *what)).collect();
    let server = world.address(ServerId(0));
    let part = stranger::Part { server, acts, group_link, owner, ledger: ledger.clone() };
    world.add_host("stranger", Actor::Stranger(Stranger::new(part)))
}

/// Three relays that are invited at once, and nothing that goes wrong.
pub(crate) fn calm_plan() -> Plan {
    let chaos = Chaos { until: START.after(Duration::from_secs(600)), ..Chaos::none() };
    let invited = START.after(Duration::from_secs(3));
    Plan {
        chaos,
        rules: vec![Rules::default(), Rules::default()],
        relays: vec![RelayPlan::willing(vec![1]), RelayPlan::willing(vec![0]), RelayPlan::willing(vec![0, 1])],
        acts: (0..3).map(|relay| (invited, Act::Invite(relay))).collect(),
        bent: Bent::No,
        mischief: Vec::new(),
        lies: Vec::new(),
        check_interval: HOUR,
    }
}

/// Whatever the dice say.
pub(crate) fn random_plan(dice: &mut Dice) -> Plan {
    let mut chaos = Chaos::random(dice);
    // Programs end when nothing can be made durable; that is a crash.
    chaos.commit_failure = 0;
    let busy = chaos.until.since(START).as_millis() as u64;
    let rules = |dice: &mut Dice| Rules {
        version: dice.between(15..=18) as u16,
        quota: dice.pick(&[8, 128, 128]),
        ..Rules::default()
    };
    let servers = dice.between(2..=3) as usize;
    let rules = (0..servers).map(|_| rules(dice)).collect();
    let relays: Vec<RelayPlan> = (0..5).map(|_| random_relay(dice, servers, busy)).collect();
    let mut acts: Vec<(Time, Act)> =
        (0..relays.len()).map(|relay| (moment(dice, busy.min(60_000)), Act::Invite(relay))).collect();
    for _ in 0..dice.between(0..=8) {
        acts.push((moment(dice, busy), random_act(dice, relays.len())));
    }
    acts.sort_by_key(|(at, _)| *at);
    let mut mischief = Vec::new();
    if dice.per_mille(300) {
        for _ in 0..dice.between(1..=5) {
            mischief.push((moment(dice, busy), dice.between(0..=4) as usize, dice.pick(&Mischief::ALL)));
        }
        mischief.sort_by_key(|(at, ..)| *at);
    }
    let lies = if dice.per_mille(300) { random_lies(dice, busy) } else { Vec::new() };
    let check_interval = Duration::from_secs(60 * dice.pick(&[15, 60, 60, 60]));
    Plan { chaos, rules, relays, acts, bent: Bent::No, mischief, lies, check_interval }
}

fn moment(dice: &mut Dice, within: u64) -> Time {
    // Nothing happens before the addresses exist.
    START.after(Duration::from_secs(3)).after(dice.millis(0..=within))
}

fn random_relay(dice: &mut Dice, servers: usize, busy: u64) -> RelayPlan {
    let mut plan = RelayPlan::willing(vec![dice.between(0..=servers as u64 - 1) as usize]);
    if dice.coin() {
        plan.servers.push(dice.between(0..=servers as u64 - 1) as usize);
    }
    if dice.per_mille(300) {
        plan.lie = dice.pick(&Lie::ALL);
    }
    plan.ask_policy = dice.per_mille(200);
    if dice.per_mille(300) {
        plan.verdict = Verdict::Refuse(group::event::RejectionReason::Policy);
    }
    if dice.per_mille(50) {
        plan.max_services = 0;
    }
    plan.pace = 1..=dice.pick(&[5, 2_000, 60_000]);
    if dice.per_mille(200) {
        let order =
            |dice: &mut Dice| dice.pick(&[Order::Leave, Order::Leave, Order::Allow, Order::Suspend, Order::Resume]);
        plan.orders = (0..dice.between(1..=3)).map(|_| (moment(dice, busy), order(dice))).collect();
        plan.orders.sort_by_key(|(at, _)| *at);
    }
    plan
}

fn random_act(dice: &mut Dice, relays: usize) -> Act {
    let relay = dice.between(0..=relays as u64 - 1) as usize;
    match dice.between(0..=11) {
        0..=2 => Act::Invite(relay),
        3 => Act::Cancel(relay),
        4 | 5 => Act::Remove { relay, unnotified: false },
        6 => Act::Remove { relay, unnotified: true },
        7 => Act::AskAgain(relay),
        8 => Act::Control(relay, dice.pick(&[group::event::RelayCommand::Suspend, group::event::RelayCommand::Status])),
        9 => Act::Roster(dice.between(1..=3) as i64),
        _ => Act::Change(dice.between(1..=6)),
    }
}

fn random_lies(dice: &mut Dice, busy: u64) -> Vec<(Time, ServerLie)> {
    let lie = |dice: &mut Dice| match dice.between(0..=5) {
        0..=2 => ServerLie::OldGroup(dice.between(1..=4) as usize),
        3 => ServerLie::NoGroup,
        4 => ServerLie::Swapped(dice.between(0..=8) as usize),
        _ => ServerLie::NoRelay(dice.between(0..=8) as usize),
    };
    let mut lies: Vec<(Time, ServerLie)> = (0..dice.between(1..=4)).map(|_| (moment(dice, busy), lie(dice))).collect();
    lies.push((moment(dice, busy), ServerLie::Truth));
    lies.sort_by_key(|(at, _)| *at);
    lies
}
