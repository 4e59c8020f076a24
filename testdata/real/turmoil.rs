//! Members, owners, relays and the server, killed with -9 at any moment: every post is printed once by whoever reads, up to
//! a line that was printed when the kill came, and nothing is lost or said twice.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::connections::{World, lines};
use crate::members::print;
use crate::relays::{Relay, create_group, run};

/// Posts, and as many reactions.
const POSTS: usize = 8;
/// A run does its work within about so many milliseconds.
const MOMENT: u64 = 500;

struct Turmoil {
    world: World,
    relays: [Option<Relay>; 2],
    /// How many runs have printed something.
    runs: usize,
}

impl Turmoil {
    async fn new(host: &str) -> Self {
        let world = World::new(host).await;
        let relays = [Some(Relay::start(&world, "ray").await), Some(Relay::start(&world, "rob").await)];
        let [ray, rob] = relays.each_ref().map(|relay| relay.as_ref().unwrap().address.clone());
        create_group(&world, "group.json").await;
        run(&world, &format!("grp-relay-invite --state group.json --relay {ray} --relay {rob} --timeout 60")).await;
        Turmoil { world, relays, runs: 0 }
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.world.below(MOMENT))
    }

    /// Something else dies too, now and then.
    async fn strike(&mut self) {
        match self.world.below(6) {
            0 => self.world.restart_server().await,
            number @ 1..3 => {
                let relay = &mut self.relays[usize::try_from(number - 1).unwrap()];
                *relay = Some(relay.take().unwrap().again(&self.world).await);
            }
            _ => {}
        }
    }

    /// Runs a command again and again, killed at any moment, until it has said that it is done.
    async fn persist(&mut self, line: &str, stdin: &str) -> Vec<Value> {
        for _ in 0..self.world.below(3) {
            let moment = self.moment();
            self.world.attempt(self.world.command(line), stdin, Some(moment)).await;
            self.strike().await;
        }
        print(&self.world, line, stdin).await
    }

    /// Reads, killed at any moment; what it prints goes into a file of its own.
    async fn read(&mut self, state: &str, moment: Option<Duration>) -> bool {
        let output = fs::File::create(self.world.path(&format!("{state}.{:03}.out", self.runs))).unwrap();
        self.runs += 1;
        let line = format!("grp-recv --state {state} --timeout 60 --quiet");
        let mut child = self.world.command(&line).stdout(output).stderr(Stdio::inherit()).spawn().unwrap();
        match moment {
            Some(moment) => {
                let ended = tokio::time::timeout(moment, child.wait()).await.is_ok();
                if !ended {
                    child.kill().await.unwrap();
                }
                ended
            }
            None => crate::server::soon("the end of a reader", child.wait()).await.unwrap().success(),
        }
    }

    /// Reads on until so many messages of a kind were printed; what was said, in its order.
    async fn read_all(&mut self, state: &str, event: &str, count: usize) -> Vec<Value> {
        while self.printed(state, event).len() < count {
            assert!(self.read(state, None).await, "a reader that nobody killed has failed");
        }
        // Nothing comes after that.
        assert!(self.read(state, None).await);
        self.printed(state, event)
    }

    /// What all runs on a file have printed. A line that was printed when a run was killed is printed again by the next.
    fn printed(&self, state: &str, event: &str) -> Vec<Value> {
        let mut printed: Vec<Value> = Vec::new();
        for number in 0..self.runs {
            let file = self.world.path(&format!("{state}.{number:03}.out"));
            let Ok(text) = fs::read_to_string(file) else { continue };
            let mut run = lines(&text);
            if run.first().is_some_and(|first| printed.last() == Some(first)) {
                run.remove(0);
            }
            printed.extend(run);
        }
        printed.retain(|line| line["happened"] == "said" && line["event"] == event);
        printed
    }
}

/// The name of a message, as `--message-id` takes it.
fn id(text: &str) -> String {
    codec::text::base64url_unpadded(format!("{text:-<16}").as_bytes())
}

#[tokio::test]
async fn every_post_is_read_once_whoever_is_killed() {
    let mut turmoil = Turmoil::new("127.0.0.126").await;
    let group: Value = serde_json::from_slice(&fs::read(turmoil.world.path("group.json")).unwrap()).unwrap();
    let (link, server) = (group["link"].as_str().unwrap().to_owned(), turmoil.world.address().to_owned());
    // The first run may have made the membership before it was killed; then the server is known.
    let moment = turmoil.moment();
    let join = format!("grp-join {link} --state mia.json --server {server} --name Mia --all --timeout 60");
    turmoil.world.attempt(turmoil.world.command(&join), "", Some(moment)).await;
    if !turmoil.world.path("mia.json").exists() {
        turmoil
            .world
            .attempt(turmoil.world.command(&format!("{join} --no-wait").replace("--all ", "")), "", None)
            .await;
    }
    let joined = turmoil.persist("grp-join --state mia.json --all --timeout 60", "").await.remove(0);
    let relays = joined["relays"].as_array().unwrap();
    assert!(relays.len() == 2 && relays.iter().all(|relay| relay["status"] == "connected"), "{joined}");

    let mut posts = Vec::new();
    for number in 0..POSTS {
        let text = format!("post{number}");
        let line = format!("grp-send --state group.json --message-id {} {text} --timeout 60", id(&text));
        let sent = turmoil.persist(&line, "").await.remove(0);
        assert_eq!(sent["message_id"], id(&text));
        posts.push(text);
        let moment = turmoil.moment();
        turmoil.read("mia.json", Some(moment)).await;
        turmoil.strike().await;
    }
    let heard = turmoil.read_all("mia.json", "x.msg.new", POSTS).await;
    assert_eq!(heard.iter().map(|line| line["text"].as_str().unwrap()).collect::<Vec<_>>(), posts);

    for post in &posts {
        let reaction = format!(
            "{{\"type\":\"say\",\"v\":1,\"message_id\":\"{}\",\"react_to\":\"{}\",\"emoji\":\"👍\"}}\n",
            id(&format!("re-{post}")),
            id(post)
        );
        turmoil.persist("grp-send --state mia.json --timeout 60", &reaction).await;
        let moment = turmoil.moment();
        turmoil.read("group.json", Some(moment)).await;
    }
    let heard = turmoil.read_all("group.json", "x.msg.react", POSTS).await;
    let names: Vec<&Value> = heard.iter().map(|line| &line["message_id"]).collect();
    assert_eq!(
        names,
        posts.iter().map(|post| Value::from(id(&format!("re-{post}")))).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    assert!(heard.iter().all(|line| line["author_name"] == "Mia"));
}
