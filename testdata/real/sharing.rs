//! Programs at work on one state file: whoever has it does for others what they want, and whatever is killed, everything is
//! said once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Child;

use crate::connections::{World, lines};
use crate::members::{joined, print, said};
use crate::relays::{Relay, run};
use crate::server::soon;

/// Messages that are sent beside a run that has the file.
const MESSAGES: usize = 20;

/// A program that prints into a file.
pub(crate) fn start(world: &World, line: &str, output: &str) -> Child {
    let output = fs::OpenOptions::new().create(true).append(true).open(world.path(output)).unwrap();
    world.command(line).stdout(output).stderr(std::process::Stdio::inherit()).spawn().unwrap()
}

/// Waits until a follower listens for others.
pub(crate) async fn listens(world: &World, state: &str) {
    let socket = world.path(&format!("{state}.sock"));
    soon("the socket", async {
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// What was printed into a file. A line that a kill cut off is not counted, nor one that was printed again.
fn printed(world: &World, output: &str) -> Vec<Value> {
    let mut printed = lines(&fs::read_to_string(world.path(output)).unwrap());
    printed.dedup();
    printed
}

/// Posts, one in each line.
fn posts() -> String {
    (0..MESSAGES).map(|number| format!("{{\"type\":\"say\",\"v\":1,\"text\":\"post {number}\"}}\n")).collect()
}

/// The name of a message, as `--message-id` takes it.
fn id(text: &str) -> String {
    codec::text::base64url_unpadded(format!("{text:-<16}").as_bytes())
}

/// A group with two relays in which a member may write, whose state is in `mia.json`; Tom listens in `tom.json`.
async fn writing(world: &World) -> [Relay; 2] {
    let relays = joined(world).await;
    let group: Value = serde_json::from_slice(&fs::read(world.path("group.json")).unwrap()).unwrap();
    let (link, server) = (group["link"].as_str().unwrap(), world.address());
    run(world, &format!("grp-join {link} --state tom.json --server {server} --all --timeout 60")).await;
    relays
}

/// What a member says that may only read: to the moderators, and reactions.
fn reaction(message: &Value, emoji: &str) -> String {
    format!("{{\"type\":\"say\",\"v\":1,\"react_to\":{message},\"emoji\":\"{emoji}\"}}\n")
}

#[tokio::test]
async fn what_is_said_beside_a_follower_arrives_once_and_prints_what_it_always_prints() {
    let world = World::new("127.0.0.120").await;
    let _relays = writing(&world).await;
    let posts = print(&world, "grp-send --state group.json --timeout 60", &posts()).await;
    let mut follower = start(&world, "grp-recv --state mia.json --follow --quiet", "mia.out");
    listens(&world, "mia.json").await;
    let mode = fs::metadata(world.path("mia.json.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    soon("all posts", async {
        while printed(&world, "mia.out").iter().filter(|line| line["event"] == "x.msg.new").count() < MESSAGES {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for post in &posts {
        let sent = print(&world, "grp-send --state mia.json --timeout 60", &reaction(&post["message_id"], "👍")).await;
        let statuses: Vec<&Value> =
            sent[0]["relays"].as_array().unwrap().iter().map(|relay| &relay["status"]).collect();
        assert_eq!((sent.len(), statuses), (1, vec![&"sent".into(), &"sent".into()]));
        assert_eq!(sent[0]["type"], "group_sent");
    }
    // Refused as if it had the file itself, by its exit status and in words.
    let refused = world.attempt(world.command("grp-send --state mia.json hello"), "", None).await.unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.starts_with("grp-send: error[usage]: members with role observer may not say that"), "{stderr}");
    let restored = run(&world, "grp-restore --state mia.json --all --timeout 60").await;
    assert!(restored["relays"].as_array().unwrap().iter().all(|relay| relay["status"] == "connected"));
    assert!(restored.get("connections").is_none(), "secrets stay in the file");

    let pid = follower.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(soon("the end of the follower", follower.wait()).await.unwrap().code(), Some(130));
    assert!(!world.path("mia.json.sock").exists());

    let mut heard = Vec::new();
    let reactions = |heard: &[Value]| heard.iter().filter(|line| line["event"] == "x.msg.react").count();
    while reactions(&heard) < MESSAGES {
        heard.extend(print(&world, "grp-recv --state tom.json --timeout 60", "").await);
    }
    heard.extend(print(&world, "grp-recv --state tom.json --timeout 60", "").await);
    assert_eq!(reactions(&heard), MESSAGES);
}

#[tokio::test]
async fn a_sender_whose_follower_is_killed_goes_on_and_nothing_is_said_twice() {
    let mut world = World::new("127.0.0.121").await;
    let _relays = writing(&world).await;
    let posts = print(&world, "grp-send --state group.json --timeout 60", &posts()).await;
    print(&world, &format!("grp-recv --state mia.json --count {MESSAGES} --timeout 60"), "").await;
    let mut follower = start(&world, "grp-recv --state mia.json --follow --quiet", "mia.out");
    for (number, post) in posts.iter().enumerate() {
        listens(&world, "mia.json").await;
        let name = format!("\"v\":1,\"message_id\":\"{}\"", id(&number.to_string()));
        let line = reaction(&post["message_id"], "👍").replace("\"v\":1", &name);
        let moment = Duration::from_micros(world.below(60_000));
        let sending = world.attempt(world.command("grp-send --state mia.json --timeout 60"), &line, None);
        let killing = async {
            tokio::time::sleep(moment).await;
            follower.kill().await.unwrap();
        };
        let (sent, ()) = tokio::join!(sending, killing);
        let sent = sent.unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        // Who is not sure says it again.
        let again = print(&world, "grp-send --state mia.json --timeout 60", &line).await;
        assert_eq!(lines(&String::from_utf8(sent.stdout).unwrap())[0]["message_id"], again[0]["message_id"]);
        follower = start(&world, "grp-recv --state mia.json --follow --quiet", "mia.out");
    }
    follower.kill().await.unwrap();
    let mut heard = Vec::new();
    let reactions = |heard: &[Value]| -> Vec<Value> {
        heard.iter().filter(|line| line["event"] == "x.msg.react").map(|line| line["params"]["msgId"].clone()).collect()
    };
    while reactions(&heard).len() < MESSAGES {
        heard.extend(print(&world, "grp-recv --state tom.json --timeout 60", "").await);
    }
    heard.extend(print(&world, "grp-recv --state tom.json --timeout 60", "").await);
    let decoded = |post: &Value| codec::text::from_base64url(post["message_id"].as_str().unwrap()).unwrap();
    let names: Vec<Vec<u8>> =
        reactions(&heard).iter().map(|id| codec::text::from_base64url(id.as_str().unwrap()).unwrap()).collect();
    assert_eq!(names, posts.iter().map(decoded).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_keeps_no_more_than_it_is_told_to_and_prints_nothing_twice() {
    let world = World::new("127.0.0.122").await;
    let _relays = joined(&world).await;
    let many = 110;
    let posts: String =
        (0..many).map(|number| format!("{{\"type\":\"say\",\"v\":1,\"text\":\"post {number}\"}}\n")).collect();
    print(&world, "grp-send --state group.json --timeout 60", &posts).await;
    let receive = "grp-recv --state mia.json --keep-messages 100 --timeout 60";
    let mut heard = print(&world, &format!("{receive} --count {many}"), "").await;
    // What the other relay brings of messages that are forgotten is not new.
    heard.extend(print(&world, receive, "").await);
    // A run forgets when it begins; this one finds nothing new.
    heard.extend(print(&world, receive, "").await);
    // What is said about the group comes between them.
    let texts: Vec<&str> = said(&heard).into_iter().filter(|text| !text.starts_with("x.")).collect();
    assert_eq!(texts, (0..many).map(|number| format!("post {number}")).collect::<Vec<_>>());
    let records = store::rusqlite::Connection::open(world.path("mia.json.messages")).unwrap();
    let count = |forgotten: u32| -> u32 {
        let query = "SELECT count(*) FROM record WHERE is_forgotten = ?1 AND name >= x'4d' AND name < x'4e'";
        records.query_row(query, [forgotten], |row| row.get(0)).unwrap()
    };
    let whole: u32 = count(0);
    assert!(whole <= 100, "{whole} messages are kept");
    assert!(count(1) >= many - 100, "names stay");
}

#[tokio::test]
async fn an_owner_that_follows_says_what_others_want_said() {
    let world = World::new("127.0.0.123").await;
    let _relays = joined(&world).await;
    let mut follower = start(&world, "grp-recv --state group.json --follow --quiet", "group.out");
    listens(&world, "group.json").await;
    let sent = print(&world, "grp-send --state group.json --sign one --timeout 60", "").await;
    let statuses: Vec<&Value> = sent[0]["relays"].as_array().unwrap().iter().map(|relay| &relay["status"]).collect();
    assert_eq!(statuses, ["sent", "sent"]);
    // The group has a single owner: said as the group only if that is forced.
    let refused = world.attempt(world.command("grp-send --state group.json --as-group two"), "", None).await.unwrap();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("grp-send: hint: --force says it all the same"), "{stderr}");
    print(&world, "grp-send --state group.json --as-group --force two --timeout 60", "").await;
    follower.kill().await.unwrap();
    // The socket that stayed behind leads nowhere.
    assert!(world.path("group.json.sock").exists());
    print(&world, "grp-send --state group.json three --timeout 60", "").await;
    let heard = print(&world, "grp-recv --state mia.json --count 3 --timeout 60", "").await;
    assert_eq!(said(&heard), ["one", "two", "three"]);
}
