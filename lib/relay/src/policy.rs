//! The operator's program that is asked about every invitation, and if wanted about everybody who wants to join.
//!
//! It runs as long as the relay, reads one JSON object per line on stdin and writes one per line on stdout:
//!
//! ```text
//! {"id":1,"type":"invitation","service":7,"group_id":"…","group_link":"…","group_type":"channel","name":"Walks",
//!  "full_name":"","description":"…","member_count":1,"owners":["…"],"owner":"…","relay_member_id":"…"}
//! {"id":1,"type":"member","service":7,"group_id":"…","member_id":"…","name":"Mary"}
//! {"id":1,"action":"accept"}
//! {"id":1,"action":"refuse","reason":"policy"}
//! ```
//!
//! `reason` is what the owner is told, `policy` if it is absent. Answers with another ID are passed over. A program that
//! says nothing in time, says something else, or ends, is started anew, and the question is asked again later: nobody is
//! let in because it failed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use group::event::RejectionReason;
use group::relay::members::JoinQuestion;
use group::relay::{Outcome, PolicyQuestion, Verdict};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::config::PolicyProgram;

/// No answer is longer.
const LINE: u64 = 4_096;
/// Answers to questions that were given up before.
const PASSED_OVER: usize = 100;

/// The program, or what is left of it.
#[derive(Debug)]
pub struct Policy {
    program: PolicyProgram,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    asked: u64,
    program: Option<Program>,
}

#[derive(Debug)]
struct Program {
    #[expect(dead_code, reason = "it is killed when this is dropped")]
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    id: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    service: u64,
    group_id: String,
    group_link: String,
    group_type: &'a str,
    name: &'a str,
    full_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_count: Option<u64>,
    owners: Vec<String>,
    owner: String,
    relay_member_id: String,
}

/// What is asked about somebody who wants to join.
#[derive(Serialize)]
struct MemberQuestion<'a> {
    id: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    service: u64,
    group_id: String,
    member_id: String,
    name: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    action: Action,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Accept,
    Refuse,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum PolicyError {
    #[error("the policy program: {0}")]
    Program(#[from] std::io::Error),
    #[error("the policy program ended")]
    Ended,
    #[error("the policy program said something that is no answer")]
    Answer,
    #[error("the policy program took longer than {0:?}")]
    TimedOut(Duration),
}

impl Policy {
    /// The program is started when it is first asked.
    pub fn new(program: PolicyProgram) -> Self {
        Policy { program, running: Mutex::default() }
    }

    /// Asks about an invitation; questions are asked one after another.
    pub async fn ask(&self, question: &PolicyQuestion) -> Outcome {
        self.decide(|id| serde_json::to_vec(&to_line(id, question))).await
    }

    /// Asks about somebody who wants to join.
    pub async fn ask_about_member(&self, question: &JoinQuestion) -> Outcome {
        let JoinQuestion { service, group_id, member, name, .. } = question;
        let line = |id| MemberQuestion {
            id,
            kind: "member",
            service: service.0,
            group_id: group_id.to_string(),
            member_id: member.to_string(),
            name,
        };
        self.decide(|id| serde_json::to_vec(&line(id))).await
    }

    async fn decide(&self, line: impl Fn(u64) -> serde_json::Result<Vec<u8>>) -> Outcome {
        let mut running = self.running.lock().await;
        let timeout = self.program.timeout;
        let asked = tokio::time::timeout(timeout, running.ask(&self.program.path, line)).await;
        match asked.unwrap_or(Err(PolicyError::TimedOut(timeout))) {
            Ok(verdict) => Outcome::Verdict(verdict),
            Err(error) => {
                running.program = None;
                tracing::warn!(%error, "nobody decides about an invitation");
                Outcome::Unreachable
            }
        }
    }
}

impl Running {
    async fn ask(
        &mut self,
        path: &Path,
        line: impl Fn(u64) -> serde_json::Result<Vec<u8>>,
    ) -> Result<Verdict, PolicyError> {
        self.asked = self.asked.saturating_add(1);
        let id = self.asked;
        let program = match &mut self.program {
            Some(program) => program,
            none => none.insert(Program::start(path)?),
        };
        let mut line = line(id).map_err(std::io::Error::from)?;
        line.push(b'\n');
        program.stdin.write_all(&line).await?;
        program.stdin.flush().await?;
        for _ in 0..PASSED_OVER {
            let answer = program.answer().await?;
            if answer.id == id {
                return Ok(match answer.action {
                    Action::Accept => Verdict::Accept,
                    Action::Refuse => Verdict::Refuse(reason(answer.reason)),
                });
            }
        }
        Err(PolicyError::Answer)
    }
}

impl Program {
    fn start(path: &Path) -> Result<Self, PolicyError> {
        let mut command = Command::new(path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().ok_or(PolicyError::Ended)?;
        let stdout = child.stdout.take().ok_or(PolicyError::Ended)?;
        Ok(Program { child, stdin, stdout: BufReader::new(stdout) })
    }

    async fn answer(&mut self) -> Result<Answer, PolicyError> {
        let mut line = Vec::new();
        if (&mut self.stdout).take(LINE).read_until(b'\n', &mut line).await? == 0 {
            return Err(PolicyError::Ended);
        }
        serde_json::from_slice(&line).map_err(|_| PolicyError::Answer)
    }
}

fn reason(reason: Option<String>) -> RejectionReason {
    reason.map_or(RejectionReason::Policy, RejectionReason::from)
}

fn to_line(id: u64, question: &PolicyQuestion) -> Question<'_> {
    let PolicyQuestion { service, invitation, group } = question;
    let public_group = group.profile.public_group.as_ref();
    Question {
        id,
        kind: "invitation",
        service: service.0,
        group_id: group.group_id.to_string(),
        group_link: invitation.group_link.to_string(),
        group_type: public_group.map_or("", |public_group| public_group.group_type.name()),
        name: &group.profile.display_name,
        full_name: &group.profile.full_name,
        short_description: group.profile.short_descr.as_deref(),
        description: group.profile.description.as_deref(),
        member_count: group.member_count,
        owners: group.owners.iter().map(|owner| owner.id.to_string()).collect(),
        owner: invitation.owner.to_string(),
        relay_member_id: invitation.relay_member_id.to_string(),
    }
}
