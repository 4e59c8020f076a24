//! What members get from a relay.

use std::time::Duration;

use group::content::{Content, NewMessage};
use group::event::{Event, RelayCommand};
use group::identity::MemberId;
use group::owner::{ActiveStage, Removal};

use crate::flood::metric;
use crate::member::Member;
use crate::operating::order;
use crate::owner::Owner;
use crate::running::{Server, TestRelay};

fn post(text: &str) -> Event {
    Event::MessageNew(NewMessage { as_group: Some(true), ..NewMessage::of(Content::text(text)) }.into())
}

async fn published(server: &Server, relay: &TestRelay) -> (Owner, MemberId) {
    let mut owner = Owner::new(server, "Walks").await;
    let member = owner.invite(&relay.address());
    let confirmed = |owner: &Owner| owner.relay(&member).active_stage() == Some(ActiveStage::Confirmed);
    owner.until("a confirmed relay", confirmed).await;
    (owner, member)
}

async fn joined(server: &Server, owner: &Owner, relay: &MemberId) -> Member {
    let mut member = Member::join(server, owner, relay).await;
    member.until("the introduction", |member| member.connected && member.names().contains(&"x.grp.mem.intro")).await;
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_41_members_join_hear_what_owners_say_and_leave() {
    let server = Server::start().await;
    let relay = TestRelay::start(&server, |_| {}).await;
    let (mut owner, name) = published(&server, &relay).await;
    let mut mary = joined(&server, &owner, &name).await;
    let mut bob = joined(&server, &owner, &name).await;
    assert_eq!(mary.names()[0], "x.grp.link.mem");
    let answered = mary.answered.as_ref().unwrap().group_profile.public_group.as_ref().unwrap();
    assert_eq!(answered.public_group_id, owner.machine.link().group().group_id());

    owner.says(&name, post("hello")).await;
    for member in [&mut mary, &mut bob] {
        member.until("the post", |member| member.texts() == ["hello"]).await;
    }
    mary.signs(Event::GroupLeave).await;
    bob.until("the leave", |bob| bob.names().contains(&"x.grp.leave")).await;
    owner.until("the leave", |owner| owner.bodies.iter().any(|body| contains(body, b"x.grp.leave"))).await;
    owner.says(&name, post("bye")).await;
    bob.until("the post", |bob| bob.texts() == ["hello", "bye"]).await;
    mary.listen(Duration::from_millis(300)).await;
    assert_eq!(mary.texts(), ["hello"]);

    assert_eq!(metric(&relay, "members").await, 2);
    assert_eq!(metric(&relay, "connected_members_total").await, 2);
    assert_eq!(metric(&relay, "lag").await, 0);
    assert!(metric(&relay, "deliveries_total").await >= 5);
    let log = order(&relay, r#"{"command":"log","group":"1"}"#).await;
    let states: Vec<&str> = log
        .iter()
        .filter(|line| line["line"]["event"] == "member")
        .filter_map(|line| line["line"]["state"].as_str())
        .collect();
    assert_eq!(states.iter().filter(|state| **state == "connected").count(), 2);
    assert_eq!(states.last(), Some(&"left"));
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|bytes| bytes == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_45_a_relay_that_is_killed_again_and_again_delivers_everything_once() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let (owner, name) = published(&server, &relay).await;
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(joined(&server, &owner, &name).await);
    }
    let mut said = Vec::new();
    for (round, milliseconds) in [0, 3, 8, 15, 30, 60, 5, 20].into_iter().enumerate() {
        for number in 0..5 {
            let text = format!("{round}.{number}");
            owner.says(&name, post(&text)).await;
            said.push(text);
        }
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        relay.kill().await;
        relay.run().await;
    }
    for member in &mut members {
        member.until("all posts", |member| member.texts().len() >= said.len()).await;
        member.listen(Duration::from_millis(300)).await;
        assert_eq!(member.texts(), said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_a_full_queue_gets_everything_later_and_nobody_waits() {
    let server = Server::start_with(smp_server::config::Config { quota: 4, ..Default::default() }).await;
    let relay = TestRelay::start(&server, |_| {}).await;
    let (owner, name) = published(&server, &relay).await;
    let mut full = joined(&server, &owner, &name).await;
    let mut other = joined(&server, &owner, &name).await;
    full.listen(Duration::from_millis(200)).await;
    full.takes = false;
    let said: Vec<String> = (0..60).map(|number: u32| number.to_string()).collect();
    for text in &said {
        owner.says(&name, post(text)).await;
        // One by one, so that they are not delivered together.
        other.until("the post", |other| other.texts().last() == Some(text)).await;
    }
    assert_eq!(other.texts(), said);
    full.listen(Duration::from_millis(200)).await;
    assert!(full.texts().len() < said.len());
    full.take().await;
    full.until("all posts", |full| full.texts().len() >= said.len()).await;
    full.listen(Duration::from_millis(300)).await;
    assert_eq!(full.texts(), said);
}

/// Their connections rest in between, with what waits to be sent, and the relay is killed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn members_with_full_queues_that_were_forgotten_catch_up_and_nobody_else_waits() {
    let server = Server::start_with(smp_server::config::Config { quota: 4, ..Default::default() }).await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    relay.config.agent.idle = 0;
    let (owner, name) = published(&server, &relay).await;
    let (mut full, mut others) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        full.push(joined(&server, &owner, &name).await);
        others.push(joined(&server, &owner, &name).await);
    }
    relay.kill().await;
    relay.run().await;
    for member in &mut full {
        member.listen(Duration::from_millis(100)).await;
        member.takes = false;
    }
    let said: Vec<String> = (0..40).map(|number: u32| number.to_string()).collect();
    for (number, text) in said.iter().enumerate() {
        owner.says(&name, post(text)).await;
        for other in &mut others {
            other.until("the post", |other| other.texts().last() == Some(text)).await;
        }
        if number == 25 {
            relay.kill().await;
            relay.run().await;
        }
    }
    for member in &mut full {
        member.listen(Duration::from_millis(100)).await;
        assert!(member.texts().len() < said.len());
        member.take().await;
    }
    for member in full.iter_mut().chain(&mut others) {
        member.until("all posts", |member| member.texts().len() >= said.len()).await;
        member.listen(Duration::from_millis(300)).await;
        assert_eq!(member.texts(), said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_wait_while_nobody_is_admitted_also_across_a_restart() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let (mut owner, name) = published(&server, &relay).await;
    let control = |owner: &mut Owner, command: RelayCommand, accepting: bool| {
        owner.step(|machine, env| {
            machine.control(&name, command, env).unwrap();
            Vec::new()
        });
        accepting
    };
    let wanted = control(&mut owner, RelayCommand::Suspend, false);
    owner.until("an answer", |owner| owner.relay(&name).accepting() == Some(wanted)).await;
    let mut mary = Member::join(&server, &owner, &name).await;
    crate::flood::until("a request", &relay, async |relay| metric(relay, "joins_waiting").await == 1).await;
    mary.listen(Duration::from_millis(300)).await;
    assert!(mary.answered.is_none());
    relay.stop().await;
    relay.run().await;
    let wanted = control(&mut owner, RelayCommand::Resume, true);
    owner.until("an answer", |owner| owner.relay(&name).accepting() == Some(wanted)).await;
    mary.until("the introduction", |mary| mary.connected && mary.names().contains(&"x.grp.mem.intro")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_program_decides_who_joins() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |settings| settings.ask_about_members = true).await;
    let answer = r#"while read -r line; do
        id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
        case "$line" in
            *'"type":"member"'*'"name":"Mary"'*) echo "{\"id\":$id,\"action\":\"accept\"}" ;;
            *) echo "{\"id\":$id,\"action\":\"refuse\"}" ;;
        esac
    done"#;
    relay.with_policy(answer, Duration::from_secs(5));
    relay.stop().await;
    relay.run().await;
    let (owner, name) = published(&server, &relay).await;
    let mary = joined(&server, &owner, &name).await;
    assert!(mary.connected);
    let mut eve = Member::join_as(&server, &owner, &name, "Eve").await;
    crate::flood::until("a refusal", &relay, async |relay| metric(relay, "refused_joins_total").await == 1).await;
    eve.listen(Duration::from_millis(300)).await;
    assert!(eve.answered.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_49_members_of_a_removed_relay_are_told_and_their_connections_deleted() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let (mut owner, name) = published(&server, &relay).await;
    let mut mary = joined(&server, &owner, &name).await;
    owner.step(|machine, env| machine.remove(&name, Removal { last: true, ..Removal::default() }, env).unwrap());
    owner.until("an unlisted relay", |owner| owner.machine.is_written()).await;
    mary.until("the removal", |mary| mary.names().contains(&"x.grp.mem.del")).await;
    crate::flood::until("nobody", &relay, async |relay| metric(relay, "members").await == 0).await;
    // Its queues are deleted once everything has left.
    tokio::time::sleep(Duration::from_millis(500)).await;
    relay.stop().await;
    assert!(!relay.connections().await.iter().any(|name| name.starts_with("member")));
}
