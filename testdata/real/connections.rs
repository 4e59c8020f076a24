//! The connection programs, killed at any moment, and their server with them: whatever was cut off is done by running
//! the same command again, and what was kept arrives once, in order, both ways.

mod follow;
mod handshake;
mod side;
mod talk;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use crypto::SeededRandom;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::server::{Place, Server, soon};

/// A program on a file does its work within about so many milliseconds.
const MOMENT: u64 = 120;

/// A folder with state files, and the server that both sides use.
pub(crate) struct World {
    place: Place,
    server: Option<Server>,
    address: String,
    listen: String,
    random: SeededRandom,
}

impl World {
    /// Every test has an address of its own, so that a server that is started again finds its port free.
    pub(crate) async fn new(host: &str) -> Self {
        let place = Place::new();
        let server = place.start(&["--listen", &format!("{host}:0")]).await;
        let address = server.address.to_string();
        let listen = server.ready["listen"].as_str().unwrap().to_owned();
        let random = SeededRandom::new(&[5; 32], host);
        World { place, server: Some(server), address, listen, random }
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        u64::from_be_bytes(crypto::random::array(&mut self.random)) % limit
    }

    /// Where a file of this world is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// The server's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(MOMENT * 1000))
    }

    /// `kill -9` of the server, and another one in its place.
    pub(crate) async fn restart_server(&mut self) {
        self.restart_server_after(|_| ()).await;
    }

    /// The same, with something done to its folder in between.
    pub(crate) async fn restart_server_after(&mut self, change: impl FnOnce(&Path)) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
        change(&self.place.path(""));
        self.server = Some(self.place.start(&["--listen", &self.listen]).await);
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(program(words.next().unwrap()));
        command.args(words).current_dir(self.place.path("")).env_clear().kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a program, and kills it after `moment` if it has not ended. `None` if it was killed.
    pub(crate) async fn attempt(&self, mut command: Command, stdin: &str, moment: Option<Duration>) -> Option<Output> {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // It may not want to know.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes()).await;
        let ended = child.wait_with_output();
        match moment {
            Some(moment) => tokio::time::timeout(moment, ended).await.ok().map(Result::unwrap),
            None => Some(soon("the end of a program", ended).await.unwrap()),
        }
    }

    /// Runs a command again and again, killed a few times, with and without its server, until it says that it is done.
    async fn persist(&mut self, line: &str) -> Value {
        for _ in 0..self.below(5) {
            let moment = self.moment();
            self.attempt(self.command(line), "", Some(moment)).await;
            if self.below(4) == 0 {
                self.restart_server().await;
            }
        }
        let output = self.attempt(self.command(line), "", None).await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {}\n{stderr}", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn program(name: &str) -> &'static str {
    match name {
        "conn-accept" => env!("CARGO_BIN_EXE_conn-accept"),
        "conn-delete" => env!("CARGO_BIN_EXE_conn-delete"),
        "conn-invite" => env!("CARGO_BIN_EXE_conn-invite"),
        "conn-join" => env!("CARGO_BIN_EXE_conn-join"),
        "conn-recv" => env!("CARGO_BIN_EXE_conn-recv"),
        "conn-send" => env!("CARGO_BIN_EXE_conn-send"),
        "grp-delete" => env!("CARGO_BIN_EXE_grp-delete"),
        "grp-join" => env!("CARGO_BIN_EXE_grp-join"),
        "grp-keygen" => env!("CARGO_BIN_EXE_grp-keygen"),
        "grp-leave" => env!("CARGO_BIN_EXE_grp-leave"),
        "grp-link-create" => env!("CARGO_BIN_EXE_grp-link-create"),
        "grp-link-verify" => env!("CARGO_BIN_EXE_grp-link-verify"),
        "grp-member" => env!("CARGO_BIN_EXE_grp-member"),
        "grp-profile" => env!("CARGO_BIN_EXE_grp-profile"),
        "grp-owner-accept" => env!("CARGO_BIN_EXE_grp-owner-accept"),
        "grp-owner-add" => env!("CARGO_BIN_EXE_grp-owner-add"),
        "grp-owner-remove" => env!("CARGO_BIN_EXE_grp-owner-remove"),
        "grp-owner-request" => env!("CARGO_BIN_EXE_grp-owner-request"),
        "grp-recv" => env!("CARGO_BIN_EXE_grp-recv"),
        "grp-relay-invite" => env!("CARGO_BIN_EXE_grp-relay-invite"),
        "grp-relay-remove" => env!("CARGO_BIN_EXE_grp-relay-remove"),
        "grp-restore" => env!("CARGO_BIN_EXE_grp-restore"),
        "grp-send" => env!("CARGO_BIN_EXE_grp-send"),
        "grp-status" => env!("CARGO_BIN_EXE_grp-status"),
        "relay-log" => env!("CARGO_BIN_EXE_relay-log"),
        "relay-serve" => env!("CARGO_BIN_EXE_relay-serve"),
        other => panic!("no program: {other}"),
    }
}

/// What a program printed, line by line. One that was killed may have left a line unfinished.
pub(crate) fn lines(printed: &str) -> Vec<Value> {
    printed
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
