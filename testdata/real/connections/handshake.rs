//! Handshakes whose every program is killed.

use serde_json::Value;

use super::World;
use super::side::Side;

/// An invitation and whoever joins it.
pub(super) async fn by_invitation(world: &mut World, flags: &str) -> (Side, Side) {
    let server = world.address.clone();
    let invited = world.persist(&format!("conn-invite --state alice.json --server {server} {flags}")).await;
    let link = invited["link"].as_str().unwrap();
    world.persist(&format!("conn-join {link} --state bob.json --server {server} --info Bob")).await;
    let accepted = world.persist("conn-accept --state alice.json --info Alice").await;
    assert_eq!((&accepted["status"], &accepted["peer_info"]["text"]), (&Value::from("connected"), &Value::from("Bob")));
    let joined = world.persist("conn-join --state bob.json --wait").await;
    assert_eq!((&joined["status"], &joined["peer_info"]["text"]), (&Value::from("connected"), &Value::from("Alice")));
    assert_eq!(accepted["security_code"], joined["security_code"]);
    (Side::new("alice"), Side::new("bob"))
}

/// A request to a contact address.
async fn by_address(world: &mut World) -> (Side, Side) {
    let server = world.address.clone();
    let address = world.persist(&format!("conn-invite --state contact.json --server {server} --address")).await;
    let link = address["link"].as_str().unwrap();
    let asked = world.persist(&format!("conn-join {link} --state bob.json --server {server} --info Bob")).await;
    assert_eq!(asked["status"], "asked");
    let accepted =
        world.persist(&format!("conn-accept --state contact.json --into alice.json --server {server}")).await;
    assert_eq!((&accepted["status"], &accepted["answers"]["request"]), (&Value::from("joined"), &Value::from(1)));
    let joined = world.persist("conn-join --state bob.json --wait").await;
    assert_eq!(joined["status"], "connected");
    let waiting = Side::new("contact").state(world).unwrap();
    assert!(waiting.get("requests").is_none(), "the address has forgotten the request");
    (Side::new("alice"), Side::new("bob"))
}

#[tokio::test]
async fn an_invitation_is_joined_and_accepted_whatever_is_killed() {
    let mut world = World::new("127.0.0.81").await;
    let (mut alice, mut bob) = by_invitation(&mut world, "").await;
    super::talk::a_while(&mut world, &mut alice, &mut bob, 4).await;
}

#[tokio::test]
async fn a_request_is_accepted_once_whatever_is_killed() {
    let mut world = World::new("127.0.0.82").await;
    let (mut alice, mut bob) = by_address(&mut world).await;
    super::talk::a_while(&mut world, &mut alice, &mut bob, 4).await;
}

#[tokio::test]
async fn a_deletion_leaves_nothing_whatever_is_killed() {
    let mut world = World::new("127.0.0.83").await;
    by_invitation(&mut world, "--no-short-link").await;
    while Side::new("alice").state(&world).is_some() {
        let moment = world.moment();
        let command = world.command("conn-delete --state alice.json");
        if let Some(output) = world.attempt(command, "", Some(moment)).await {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let refused = world.attempt(world.command("conn-send --state bob.json hello"), "", None).await.unwrap();
    assert_eq!(refused.status.code(), Some(6), "{}", String::from_utf8_lossy(&refused.stderr));
}
