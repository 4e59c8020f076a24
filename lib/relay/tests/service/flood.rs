//! A relay that strangers ask without end goes on serving owners, and keeps no more than it says.

use std::time::Duration;

use agent::link_key::LinkKey;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use group::body::ConnectionInfo;
use group::event::{Event, GroupRelayInvitation, Join, RejectionReason, RelayInvite};
use group::extension::Extensions;
use group::identity::{MemberId, MemberKey};
use group::member::{MemberIdRole, MemberProfile, Role};
use group::owner::{ActiveStage, EndReason, RejectedReason};
use smp::address::ServerAddress;
use smp_server::random::SystemRandom;
use tokio::net::TcpListener;

use crate::operating::{get, order};
use crate::owner::Owner;
use crate::running::{Server, TestRelay, in_time};
use crate::stranger::Stranger;

/// MiB by which this process, with relay, server, owner and strangers, may grow: ten times what all that waits could take.
const MEMORY: usize = 200;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// A number that the relay shows to its operator.
pub(crate) async fn metric(relay: &TestRelay, name: &str) -> u64 {
    let page = get(relay, "/metrics").await;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("relay_{name} ")));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

async fn services(relay: &TestRelay) -> u64 {
    let page = get(relay, "/metrics").await;
    let counts = page.lines().filter(|line| line.starts_with("relay_services{"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

pub(crate) async fn until(what: &str, relay: &TestRelay, holds: impl AsyncFn(&TestRelay) -> bool) {
    in_time(async {
        while !holds(relay).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(holds(relay).await, "{what}");
}

/// An owner who means it is served, at the latest when it asks again: in the middle of a flood there may be no room for
/// one invitation more.
async fn serves(server: &Server, relay: &TestRelay, name: &str) {
    const FULL: EndReason = EndReason::Rejected(RejectedReason::Refused(RejectionReason::Capacity));
    for _ in 0..20 {
        let mut owner = Owner::new(server, name).await;
        let member = owner.invite(&relay.address());
        let confirmed = |owner: &Owner| owner.relay(&member).active_stage() == Some(ActiveStage::Confirmed);
        let refused = |owner: &Owner| owner.relay(&member).reason() == Some(FULL);
        owner.until("an answer", |owner| confirmed(owner) || refused(owner)).await;
        if confirmed(&owner) {
            return;
        }
    }
    panic!("there is never room");
}

fn invitation(server: &ServerAddress, group: u64, member: u64) -> Vec<u8> {
    let mut key = [5; 32];
    key[..8].copy_from_slice(&group.to_be_bytes());
    let key = LinkKey::from_bytes(key);
    let link =
        ContactShortLink { scheme: LinkScheme::Simplex, kind: ContactKind::Channel, server: server.clone(), key };
    let id = |text: String| MemberId::from_bytes(text.as_bytes()).unwrap();
    let invitation = GroupRelayInvitation {
        from_member: MemberIdRole { member_id: id("stranger-as-owner".to_owned()), member_role: Role::Owner },
        from_member_profile: MemberProfile::named("Stranger"),
        relay_member_id: id(format!("member-{member:09}")),
        group_link: link.to_string(),
        ext: Extensions::default(),
    };
    let invite = RelayInvite { group_relay_invitation: invitation.into() };
    ConnectionInfo::unsigned(Event::GroupRelayInvite(invite)).to_bytes().unwrap()
}

fn garbage() -> Vec<Vec<u8>> {
    let json =
        |event: &str, params: &str| format!(r#"{{"v":"9-19","event":"{event}","params":{params}}}"#).into_bytes();
    vec![
        Vec::new(),
        b"{".to_vec(),
        vec![0xff; 14_000],
        vec![b'['; 14_000],
        format!("{{\"v\":{}{}}}", "[".repeat(6_900), "]".repeat(6_900)).into_bytes(),
        json("x.ok", "{}"),
        json("x.member", "{}"),
        json("x.grp.relay.test", r#"{"challenge":"AAAA"}"#),
        json("x.grp.relay.inv", "{}"),
        json("x.grp.relay.inv", r#"{"groupRelayInvitation":{"fromMember":7}}"#),
        json("x.grp.relay.acpt", &format!(r#"{{"relayLink":"{}"}}"#, "A".repeat(13_000))),
        b"X\x02\x31\x00\x05aaaaa\x30\x01{".to_vec(),
        b"=\x02\x00\x02{}".to_vec(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_that_say_nothing_leave_nothing_and_hold_up_nobody() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let address = relay.address();
    let before = resident();
    let strangers = (0..4).map(|_| {
        let address = address.clone();
        tokio::spawn(async move {
            let (stranger, garbage) = (Stranger::at(&address).await, garbage());
            for number in 0..2_500 {
                stranger.ask(&garbage[number % garbage.len()]).await;
            }
        })
    });
    let strangers: Vec<_> = strangers.collect();
    for stranger in strangers {
        tokio::time::timeout(Duration::from_secs(180), stranger).await.expect("in time").unwrap();
    }
    serves(&server, &relay, "Walks").await;
    until("all requests dismissed", &relay, async |relay| metric(relay, "dismissed_requests_total").await >= 10_000)
        .await;
    until("nothing under way", &relay, async |relay| metric(relay, "tasks_under_way").await == 0).await;
    assert_eq!(services(&relay).await, 1);
    let grown = resident().saturating_sub(before);
    assert!(grown < MEMORY, "{grown} MiB");
    relay.stop().await;
    // The address, the relay link, and the owner's connection; no request is left.
    assert_eq!(relay.connections().await, ["address", "link-1", "owner-1-1"]);
    assert_eq!(relay.requests().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_to_groups_that_cannot_be_read_hold_up_nobody() {
    let server = Server::start().await;
    let relay = TestRelay::start(&server, |settings| {
        settings.max_unread = 20;
        settings.max_transient = 30;
    })
    .await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let key_hash = codec::text::base64url(server.address.address.key_hash().as_bytes());
    let at = |place: String| format!("smp://{key_hash}@{place}").parse::<ServerAddress>().unwrap();
    // Nobody listens; somebody listens and says nothing; another server; no such group.
    let servers = [
        at("127.0.0.1:1".to_owned()),
        at(silent.local_addr().unwrap().to_string()),
        format!(
            "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@127.0.0.1:{}",
            server.address.address.port_or_default()
        )
        .parse()
        .unwrap(),
        server.address.address.clone(),
    ];
    let before = resident();
    let address = relay.address();
    let stranger = Stranger::at(&address).await;
    for number in 0..400_u64 {
        let place = &servers[usize::try_from(number % 4).unwrap()];
        // Every other one names the same group.
        let group = if number % 2 == 0 { number } else { 1 };
        stranger.ask(&invitation(place, group, number)).await;
        if number == 200 {
            serves(&server, &relay, "Walks").await;
        }
    }
    serves(&server, &relay, "Songs").await;
    until("all invitations seen", &relay, async |relay| {
        metric(relay, "invitations_total").await + metric(relay, "dismissed_requests_total").await >= 402
    })
    .await;
    let services = services(&relay).await;
    assert!(services <= 20 + 30 + 2 + 16, "{services} services");
    let grown = resident().saturating_sub(before);
    assert!(grown < MEMORY, "{grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_members_that_say_nothing_leave_nothing() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let mut owner = Owner::new(&server, "Walks").await;
    let member = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| owner.relay(&member).active_stage() == Some(ActiveStage::Confirmed)).await;
    let link: ContactShortLink = owner.relay(&member).relay_link().unwrap().parse().unwrap();
    let stranger = Stranger::at(&link).await;
    for number in 0..300 {
        stranger.ask(&garbage()[number % garbage().len()]).await;
    }
    until("all requests seen", &relay, async |relay| metric(relay, "refused_joins_total").await >= 300).await;
    assert_eq!(metric(&relay, "joins_waiting").await, 0);
    assert_eq!(metric(&relay, "members").await, 1);
    relay.stop().await;
    assert_eq!(relay.requests().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_who_ask_without_end_wait_within_bounds_while_nobody_is_admitted() {
    let server = Server::start().await;
    let relay = TestRelay::start(&server, |_| {}).await;
    let mut owner = Owner::new(&server, "Walks").await;
    let member = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| owner.relay(&member).active_stage() == Some(ActiveStage::Confirmed)).await;
    assert_eq!(order(&relay, r#"{"command":"suspend","group":"1"}"#).await.last().unwrap()["ok"], true);
    let link: ContactShortLink = owner.relay(&member).relay_link().unwrap().parse().unwrap();
    let stranger = Stranger::at(&link).await;
    for number in 0..300 {
        stranger.ask(&join(number)).await;
    }
    until("all requests seen", &relay, async |relay| metric(relay, "waiting_joins_total").await >= 300).await;
    assert_eq!(metric(&relay, "joins_waiting").await, 100);
    assert_eq!(metric(&relay, "refused_joins_total").await, 200);
    let mut relay = relay;
    until("rejected", &relay, async |relay| metric(relay, "tasks_under_way").await == 0).await;
    relay.stop().await;
    assert_eq!(relay.requests().await, 100);
    // They are counted again after a restart.
    relay.run().await;
    until("told again", &relay, async |relay| metric(relay, "joins_waiting").await == 100).await;
}

fn join(number: u64) -> Vec<u8> {
    let join = Join {
        profile: MemberProfile::named("Stranger"),
        new_member_id: MemberId::from_bytes(format!("stranger-{number:07}").as_bytes()).unwrap(),
        new_member_key: MemberKey::generate(&mut SystemRandom).public(),
        via_relay: None,
        ext: Extensions::default(),
        purpose: None,
    };
    ConnectionInfo::unsigned(Event::Member(join.into())).to_bytes().unwrap()
}
