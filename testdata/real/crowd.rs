//! A crowd: an owner, three relays and many members, any of whom may be killed at any moment, and the server with them.
//! Every post reaches every member once through every relay, in the order of posting, and no post that was accepted is
//! lost.
//!
//! `CROWD_MEMBERS` and `CROWD_ROUNDS` make it larger and longer than it is in every run of the tests: `scripts/soak`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Child;

use crate::connections::{World, lines};
use crate::members::print;
use crate::relays::{Relay, create_group, run};
use crate::server::soon;

const MEMBERS: usize = 5;
const ROUNDS: u64 = 12;
/// Members who join at the same time.
const TOGETHER: usize = 8;
/// Posts of one round.
const MOST_POSTS: u64 = 4;
/// A run of the owner does its work within about so many milliseconds.
const MOMENT: u64 = 600;
/// The relays of the group.
const NAMES: [&str; 3] = ["ray", "rob", "rut"];

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |value| value.parse().unwrap())
}

/// A member, and the program that prints what it hears.
struct Member {
    name: String,
    runs: usize,
    child: Option<Child>,
}

impl Member {
    fn new(number: usize) -> Self {
        Member { name: format!("m{number}"), runs: 0, child: None }
    }

    /// `kill -9` if it runs, and another program in its place. Every run prints into a file of its own.
    async fn listen(&mut self, world: &World) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
        self.runs += 1;
        let printed = File::create(world.path(&self.printed(self.runs))).unwrap();
        let mut command = world.command(&format!("grp-recv --state {}.json --follow --quiet", self.name));
        let problems = File::create(world.path(&format!("{}.stderr", self.name))).unwrap();
        self.child = Some(command.stdout(Stdio::from(printed)).stderr(problems).spawn().unwrap());
    }

    fn printed(&self, run: usize) -> String {
        format!("{}.{run}.jsonl", self.name)
    }

    /// What every run printed. A run may begin with the lines that the one before it printed last.
    fn heard(&self, world: &World) -> Vec<Value> {
        let mut heard: Vec<Value> = Vec::new();
        for run in 1..=self.runs {
            let printed = fs::read_to_string(world.path(&self.printed(run))).unwrap();
            let printed = lines(&printed);
            let longest = heard.len().min(printed.len());
            let repeated = (0..=longest).rev().find(|count| heard.ends_with(&printed[..*count])).unwrap();
            heard.extend_from_slice(&printed[repeated..]);
        }
        heard
    }
}

/// The texts of posts, in the order in which they were printed.
fn texts(heard: &[Value]) -> Vec<&str> {
    heard.iter().filter(|line| line["event"] == "x.msg.new").map(|line| line["text"].as_str().unwrap()).collect()
}

/// A group with three relays, and its link.
async fn group(world: &World) -> (Vec<Relay>, String) {
    let mut relays = Vec::new();
    for name in NAMES {
        relays.push(Relay::start(world, name).await);
    }
    create_group(world, "group.json").await;
    let invited: String = relays.iter().map(|relay| format!(" --relay {}", relay.address)).collect();
    let group = run(world, &format!("grp-relay-invite --state group.json{invited} --timeout 60")).await;
    (relays, group["link"].as_str().unwrap().to_owned())
}

/// Everybody joins through all relays, hears the group's profile and goes on listening.
async fn joined(world: &World, link: &str, count: usize) -> Vec<Member> {
    let mut members: Vec<Member> = (1..=count).map(Member::new).collect();
    for together in members.chunks_mut(TOGETHER) {
        let join = |member: &Member| {
            let (state, server) = (format!("{}.json", member.name), world.address());
            let line = format!("grp-join {link} --state {state} --server {server} --all --timeout 120");
            world.command(&line).spawn().unwrap()
        };
        let joining: Vec<Child> = together.iter().map(join).collect();
        for child in joining {
            let output = soon("joining", child.wait_with_output()).await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let joined: Value = serde_json::from_slice(&output.stdout).unwrap();
            let relays = joined["relays"].as_array().unwrap();
            assert!(relays.iter().all(|relay| relay["status"] == "connected"), "{joined}");
        }
        for member in together {
            member.listen(world).await;
        }
    }
    members
}

/// The owner says some things in one run, which may be killed. What it printed is accepted.
async fn post(world: &mut World, round: u64, accepted: &mut Vec<String>) {
    let count = 1 + world.below(MOST_POSTS);
    let said: Vec<String> = (0..count).map(|number| format!("{round}.{number}")).collect();
    let say = |text: &String| format!("{{\"type\":\"say\",\"v\":1,\"text\":\"{text}\"}}\n");
    let input: String = said.iter().map(say).collect();
    let moment = (world.below(2) == 0).then(|| Duration::from_millis(world.below(MOMENT)));
    let sign = if world.below(2) == 0 { "--sign" } else { "" };
    let command = world.command(&format!("grp-send --state group.json {sign} --timeout 60"));
    let Some(output) = world.attempt(command, &input, moment).await else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(lines(&String::from_utf8(output.stdout).unwrap()).len(), said.len());
    accepted.extend(said);
}

/// The order of posting: by round, and by number within it.
fn place(text: &str) -> (u64, u64) {
    let (round, number) = text.split_once('.').unwrap();
    (round.parse().unwrap(), number.parse().unwrap())
}

/// Whether a member has heard all of it, and every other relay has confirmed what one brought.
fn is_complete(heard: &[Value], accepted: &[String]) -> bool {
    let texts: BTreeSet<&str> = texts(heard).into_iter().collect();
    let confirmed =
        heard.iter().filter(|line| line["happened"] == "confirmed" || line["happened"] == "verified").count();
    accepted.iter().all(|text| texts.contains(text.as_str())) && confirmed >= texts.len() * (NAMES.len() - 1)
}

fn check(member: &Member, heard: &[Value]) {
    let name = &member.name;
    let texts = texts(heard);
    assert!(texts.is_sorted_by_key(|text| place(text)), "{name} heard in another order: {texts:?}");
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{name} heard twice: {texts:?}");
    let mut confirmed: Vec<(&Value, &Value)> = heard
        .iter()
        .filter(|line| line["happened"] == "confirmed")
        .map(|line| (&line["message_id"], &line["relay_id"]))
        .collect();
    let before = confirmed.len();
    confirmed.sort_by_key(|(message, relay)| (message.to_string(), relay.to_string()));
    confirmed.dedup();
    assert_eq!(confirmed.len(), before, "{name}: a relay brought the same twice");
    let wrong = ["different", "refused", "dropped", "missing", "late", "other_key", "ended", "link"];
    let found: Vec<&Value> = heard.iter().filter(|line| wrong.iter().any(|wrong| line["happened"] == *wrong)).collect();
    assert!(found.is_empty(), "{name}: {found:?}");
}

#[tokio::test]
async fn every_post_reaches_every_member_once_whoever_is_killed() {
    let mut world = World::new("127.0.0.90").await;
    let count = usize::try_from(setting("CROWD_MEMBERS", MEMBERS as u64)).unwrap();
    let rounds = setting("CROWD_ROUNDS", ROUNDS);
    let (mut relays, link) = group(&world).await;
    let mut members = joined(&world, &link, count).await;
    let mut accepted = Vec::new();
    for round in 1..=rounds {
        post(&mut world, round, &mut accepted).await;
        match world.below(4) {
            0 => world.restart_server().await,
            1 => {
                let relay = relays.remove(0);
                relays.push(relay.again(&world).await);
            }
            _ => {
                let victim = usize::try_from(world.below(count as u64)).unwrap();
                members[victim].listen(&world).await;
            }
        }
    }
    // What a run that was killed had kept goes out with the last post.
    let last = format!("{}.0", rounds + 1);
    print(&world, &format!("grp-send --state group.json {last} --timeout 120"), "").await;
    accepted.push(last);
    for member in &members {
        soon("everything that was posted", async {
            while !is_complete(&member.heard(&world), &accepted) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await;
        check(member, &member.heard(&world));
    }
    println!("{count} members heard {} accepted posts, {rounds} kills", accepted.len());
}
