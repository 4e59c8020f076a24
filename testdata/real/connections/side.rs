//! One side of a connection: its state file, what it wanted to say and what it has heard.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::{World, lines};

pub(super) struct Side {
    name: &'static str,
    /// Every text that was accepted for sending, in order.
    pub(super) said: Vec<String>,
}

impl Side {
    pub(super) fn new(name: &'static str) -> Self {
        Side { name, said: Vec::new() }
    }

    /// What the state file says; absent before the first run got so far.
    pub(super) fn state(&self, world: &World) -> Option<Value> {
        let text = fs::read(world.place.path(&format!("{}.json", self.name))).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Grows with every message that is kept.
    fn kept(&self, world: &World) -> i64 {
        self.state(world).unwrap()["sent"].as_i64().unwrap()
    }

    /// Sends a text by a program that may be killed. Whether it was kept, the state file tells.
    pub(super) async fn say(&mut self, world: &mut World, text: String) {
        let before = self.kept(world);
        loop {
            let moment = (world.below(2) == 0).then(|| world.moment());
            let command = world.command(&format!("conn-send --state {}.json {text}", self.name));
            let output = world.attempt(command, "", moment).await;
            if let Some(output) = output {
                let code = output.status.code().unwrap();
                assert_eq!(code, 0, "{}", String::from_utf8_lossy(&output.stderr));
            }
            if self.kept(world) > before {
                break;
            }
        }
        assert_eq!(self.kept(world), before + 1, "one run keeps one message");
        self.said.push(text);
    }

    /// A program that sends lines.
    pub(super) fn sending(&self, world: &World) -> Command {
        world.command(&format!("conn-send --state {}.json --lines", self.name))
    }

    fn heard_file(&self, world: &World) -> PathBuf {
        world.place.path(&format!("{}.jsonl", self.name))
    }

    /// A program that receives, and adds what it prints to a file.
    pub(super) fn receiving(&self, world: &World, flags: &str) -> Command {
        let file = OpenOptions::new().append(true).create(true).open(self.heard_file(world)).unwrap();
        let mut command = world.command(&format!("conn-recv --state {}.json {flags}", self.name));
        command.stdout(Stdio::from(file));
        command
    }

    /// Everything that was printed, with what was printed again after a kill.
    pub(super) fn heard(&self, world: &World, kind: &str) -> Vec<Value> {
        let printed = fs::read_to_string(self.heard_file(world)).unwrap_or_default();
        lines(&printed).into_iter().filter(|line| line["type"] == kind).collect()
    }

    /// The texts that were received. A message that is printed again is the last one, and says the same.
    pub(super) fn texts(&self, world: &World) -> Vec<String> {
        let mut messages = self.heard(world, "message");
        assert!(messages.iter().all(|message| message["integrity"]["result"] == "ok"), "{messages:?}");
        messages.dedup();
        messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }
}
