//! Commands that applications give to servers themselves, each in a session of its own: link data is read and written so,
//! by whoever does not want a server to see what else it does.

use agent::connection::task::{Outcome, Task};
use smp::id::CorrId;
use smp::transmission::{ServerTransmission, Session, encode_command};

use super::World;
use super::describe::describe_outcome;
use crate::application::Application;
use crate::host::{Call, HostId, PersistPoint};
use crate::server::SessionNumber;

impl<A: Application> World<A> {
    /// Anybody may name a server that does not exist.
    pub(super) fn call(&mut self, host: HostId, token: u64, task: &Task) {
        let opened = self.server_at(&task.server).and_then(|server| self.open_session(host, server));
        let Some((session, terms)) = opened else { return self.called(host, token, Outcome::Unreachable) };
        let known = &mut self.hosts[host.0];
        let corr_id = task.corr_id.clone().unwrap_or_else(|| CorrId::random(&mut known.random));
        let terms_of_session = Session { version: terms.version, id: &terms.id, server_key: &terms.server_key };
        let bytes = encode_command(terms_of_session, &corr_id, &task.entity_id, &task.command, task.key.as_ref());
        let memory = known.memory.as_mut().expect("the host is running");
        memory.calls.insert(session, Call { token, version: terms.version });
        let (name, server) = (&self.hosts[host.0].name, task.server.first_host());
        note!(self, "{name} → {server}: {} (session {session})", task.command.tag());
        self.dispatch(host, session, &task.command, &bytes.expect("a command that can be sent"));
        if self.is_crash_due(host, PersistPoint::AfterEffect) {
            self.crash(host);
        }
    }

    /// With its answer the session has done its duty.
    pub(super) fn call_answered(&mut self, host: HostId, session: SessionNumber, call: &Call, bytes: &[u8]) {
        let transmission = ServerTransmission::parse(call.version, bytes).expect("what a server wrote");
        self.cut(session, self.now, self.now);
        self.called(host, call.token, Outcome::Answered(transmission.response.expect("what a server wrote")));
    }

    pub(super) fn called(&mut self, host: HostId, token: u64, outcome: Outcome) {
        note!(self, "{}: call {token} {}", self.hosts[host.0].name, describe_outcome(&outcome));
        self.turn(host, |application, turn| application.answered(turn, token, outcome));
    }
}
