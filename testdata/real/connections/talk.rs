//! Both sides send and receive, one program after the other, and each may be killed.

use super::World;
use super::handshake::by_invitation;
use super::side::Side;

/// So many times something is sent or received, on this side or that; then everything has arrived.
pub(super) async fn a_while(world: &mut World, alice: &mut Side, bob: &mut Side, times: u64) {
    for time in 0..times {
        match world.below(4) {
            0 => alice.say(world, format!("a{time}")).await,
            1 => bob.say(world, format!("b{time}")).await,
            2 => receive(world, alice).await,
            _ => receive(world, bob).await,
        }
        if world.below(8) == 0 {
            world.restart_server().await;
        }
    }
    // Receiving sends what was left behind, so the second round has everything.
    for side in [&*alice, &*bob, &*alice, &*bob] {
        let output = world.attempt(side.receiving(world, ""), "", None).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(alice.texts(world), bob.said);
    assert_eq!(bob.texts(world), alice.said);
}

async fn receive(world: &mut World, side: &Side) {
    let moment = (world.below(3) > 0).then(|| world.moment());
    if let Some(output) = world.attempt(side.receiving(world, ""), "", moment).await {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn what_was_kept_arrives_once_and_in_order_whatever_is_killed() {
    let mut world = World::new("127.0.0.84").await;
    let (mut alice, mut bob) = by_invitation(&mut world, "").await;
    a_while(&mut world, &mut alice, &mut bob, 80).await;
    assert!(alice.said.len() > 5 && bob.said.len() > 5, "both have spoken");
}
