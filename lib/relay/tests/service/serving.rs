//! What an owner gets from a relay.

use std::time::Duration;

use group::event::RejectionReason;
use group::owner::{ActiveStage, EndReason, InactiveReason, RejectedReason, Removal, Status};

use crate::owner::{Owner, read};
use crate::running::{Server, TestRelay};

fn is_confirmed(owner: &Owner, member: &group::identity::MemberId) -> bool {
    owner.relay(member).active_stage() == Some(ActiveStage::Confirmed)
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_serve_a_group_from_invitation_to_removal() {
    let server = Server::start().await;
    let (one, other) = (TestRelay::start(&server, |_| {}).await, TestRelay::start(&server, |_| {}).await);
    let mut owner = Owner::new(&server, "Walks").await;
    let members = [owner.invite(&one.address()), owner.invite(&other.address())];
    for member in &members {
        owner.until("a confirmed relay", |owner| is_confirmed(owner, member)).await;
    }
    let listed = owner.listed().await;
    assert_eq!(listed.len(), 2);
    let link = owner.relay(&members[0]).relay_link().unwrap().to_owned();
    assert!(listed.contains(&link));

    owner.step(|machine, env| machine.remove(&members[0], Removal::default(), env).unwrap());
    owner.until("an unlisted relay", |owner| owner.machine.is_written() && owner.machine.due(far()).is_empty()).await;
    assert_eq!(owner.listed().await.len(), 1);
    // The relay deletes its link.
    let link = link.parse().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while matches!(read(&link).await, group::owner::Outcome::Retrieved(_)) {
        assert!(tokio::time::Instant::now() < deadline, "the relay link stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn far() -> agent::time::Time {
    agent::time::Time::from_millis(u64::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_35_a_relay_that_is_killed_at_any_time_converges_to_one_link() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let address = relay.address();
    let mut owner = Owner::new(&server, "Walks").await;
    let member = owner.invite(&address);
    owner.work().await;
    for milliseconds in [0, 5, 15, 30, 50, 80, 120, 200] {
        relay.kill().await;
        relay.run().await;
        assert_eq!(relay.address(), address);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    owner.until("a confirmed relay", |owner| is_confirmed(owner, &member)).await;
    relay.kill().await;
    relay.run().await;
    owner.step(|machine, env| {
        machine.control(&member, group::event::RelayCommand::Suspend, env).unwrap();
        Vec::new()
    });
    owner.until("an answer", |owner| owner.relay(&member).accepting() == Some(false)).await;
    assert_eq!(owner.listed().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_50_a_relay_that_was_off_finds_out_that_it_was_removed() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |_| {}).await;
    let mut owner = Owner::new(&server, "Walks").await;
    let member = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| is_confirmed(owner, &member)).await;
    let link = owner.relay(&member).relay_link().unwrap().parse().unwrap();
    relay.stop().await;
    let removal = Removal { last: true, unnotified: true };
    owner.step(|machine, env| machine.remove(&member, removal, env).unwrap());
    owner.until("an unlisted relay", |owner| owner.machine.is_written()).await;
    assert!(matches!(read(&link).await, group::owner::Outcome::Retrieved(_)));
    relay.clock.pass(Duration::from_secs(3_600));
    relay.run().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while matches!(read(&link).await, group::owner::Outcome::Retrieved(_)) {
        assert!(tokio::time::Instant::now() < deadline, "the relay link stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_program_decides_and_nobody_is_let_in_because_it_fails() {
    let server = Server::start().await;
    let mut relay = TestRelay::start(&server, |settings| settings.ask_policy = true).await;
    let answer = r#"while read -r line; do
        id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
        case "$line" in
            *'"name":"Walks"'*) echo "{\"id\":$id,\"action\":\"accept\"}" ;;
            *) echo "{\"id\":$id,\"action\":\"refuse\",\"reason\":\"no_songs\"}" ;;
        esac
    done"#;
    relay.with_policy("exit 1", Duration::from_secs(5));
    relay.stop().await;
    relay.run().await;
    let (mut walks, mut songs) = (Owner::new(&server, "Walks").await, Owner::new(&server, "Songs").await);
    let in_walks = walks.invite(&relay.address());
    let in_songs = songs.invite(&relay.address());
    walks.until("a request", |owner| owner.relay(&in_walks).status() == Status::Invited).await;
    songs.until("a request", |owner| owner.relay(&in_songs).status() == Status::Invited).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    walks.work().await;
    assert_eq!(walks.relay(&in_walks).status(), Status::Invited);

    relay.with_policy(answer, Duration::from_secs(5));
    relay.pass(Duration::from_secs(600)).await;
    walks.until("a confirmed relay", |owner| is_confirmed(owner, &in_walks)).await;
    songs.until("a refusal", |owner| owner.relay(&in_songs).status() == Status::Rejected).await;
    let reason = songs.relay(&in_songs).reason();
    assert_eq!(reason, Some(RejectedReason::Refused(RejectionReason::from("no_songs")).into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_relay_leaves_is_told() {
    let server = Server::start().await;
    let relay = TestRelay::start(&server, |_| {}).await;
    let mut owner = Owner::new(&server, "Walks").await;
    let member = owner.invite(&relay.address());
    owner.until("a confirmed relay", |owner| is_confirmed(owner, &member)).await;
    let leave = format!(r#"{{"command":"leave","group":"{}"}}"#, owner.group_link());
    assert_eq!(crate::operating::order(&relay, &leave).await.last().unwrap()["ok"], true);
    let left = |owner: &Owner| owner.relay(&member).reason() == Some(EndReason::Inactive(InactiveReason::Left));
    owner.until("the relay's leave", left).await;
}
