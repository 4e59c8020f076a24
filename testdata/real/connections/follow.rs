//! Programs that wait for messages while others send on the same state files.

use tokio::process::Child;

use super::handshake::by_invitation;
use super::side::Side;
use super::{World, lines};
use crate::server::soon;

const ROUNDS: u64 = 12;

#[tokio::test]
async fn followers_and_senders_share_a_file_whatever_is_killed() {
    let mut world = World::new("127.0.0.85").await;
    let (mut alice, mut bob) = by_invitation(&mut world, "").await;
    let mut following = [follow(&world, &alice), follow(&world, &bob)];
    for round in 0..ROUNDS {
        for side in [&mut alice, &mut bob] {
            say(&mut world, side, round).await;
        }
        match world.below(3) {
            0 => world.restart_server().await,
            1 => following = again(&world, following, [&alice, &bob]).await,
            _ => {}
        }
    }
    let count = |side: &Side, world: &World, kind| side.heard(world, kind).len();
    soon("everything that was sent, and its receipts", async {
        while alice.texts(&world).len() < bob.said.len()
            || bob.texts(&world).len() < alice.said.len()
            || count(&alice, &world, "receipt") < alice.said.len()
            || count(&bob, &world, "receipt") < bob.said.len()
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    for (side, peer) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(side.texts(&world), peer.said);
        let mut receipts = side.heard(&world, "receipt");
        receipts.dedup();
        assert_eq!(receipts.len(), side.said.len(), "one receipt for each message");
        assert!(receipts.iter().all(|receipt| receipt["status"] == "ok"), "{receipts:?}");
    }
}

fn follow(world: &World, side: &Side) -> Child {
    side.receiving(world, "--follow --receipts --quiet").spawn().unwrap()
}

/// Kills both, and starts both again.
async fn again(world: &World, following: [Child; 2], sides: [&Side; 2]) -> [Child; 2] {
    for mut child in following {
        child.kill().await.unwrap();
    }
    sides.map(|side| follow(world, side))
}

/// Sends some lines. A run that fails because the server is away says what it has kept.
async fn say(world: &mut World, side: &mut Side, round: u64) {
    let texts: Vec<String> = (0..world.below(4)).map(|line| format!("{round}-{line}")).collect();
    let input: String = texts.iter().map(|text| format!("{text}\n")).collect();
    let command = side.sending(world);
    let output = world.attempt(command, &input, None).await.unwrap();
    let kept = lines(&String::from_utf8(output.stdout).unwrap()).len();
    assert!(output.status.success() || output.status.code() == Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    side.said.extend(texts.into_iter().take(kept));
}
