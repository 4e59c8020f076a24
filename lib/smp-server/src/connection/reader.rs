//! From blocks to executed commands.

use std::sync::Arc;

use crypto::dh::X25519PrivateKey;
use net::block_stream::PayloadReader;
use smp::block::transmissions;
use smp::command::Command;
use smp::transmission::{ClientTransmission, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::{Answer, Answers};
use crate::holdings::Holdings;
use crate::outbox::{Outbox, Outgoing};
use crate::queue_store::Share;
use crate::state::State;
use crate::verify::{Verified, verify};

/// Checks done before others get their turn; one takes up to some hundred microseconds.
const CHECKS_AT_A_TIME: usize = 8;

/// What authorizations of a connection are bound to.
pub(super) struct Session {
    pub(super) version: u16,
    pub(super) id: Vec<u8>,
    pub(super) key: X25519PrivateKey,
}

pub(super) struct Reader {
    state: Arc<State>,
    session: Session,
    outbox: Arc<Outbox>,
    holdings: Holdings,
    in_flight: Arc<Semaphore>,
    payloads: PayloadReader,
}

/// A transmission after all its checks.
enum Checked {
    Verified(Box<Verified>),
    Refused(Answer),
}

impl Reader {
    pub(super) fn new(state: Arc<State>, session: Session, outbox: Arc<Outbox>, payloads: PayloadReader) -> Self {
        let in_flight = Arc::new(Semaphore::new(state.config.limits.blocks_in_flight.max(1)));
        let holdings = Holdings::new(outbox.clone());
        Reader { state, session, outbox, holdings, in_flight, payloads }
    }

    /// Reads until the client closes the connection or the server wants to. What the client still says can be read from
    /// what is returned.
    pub(super) async fn run(mut self) -> PayloadReader {
        let outbox = self.outbox.clone();
        let stopped = outbox.stopped();
        tokio::pin!(stopped);
        loop {
            let permit = tokio::select! {
                biased;
                () = &mut stopped => break,
                permit = self.in_flight.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let checked = tokio::select! {
                biased;
                () = &mut stopped => break,
                checked = self.read() => checked,
            };
            let Some(checked) = checked else { break };
            self.execute(checked, permit).await;
        }
        self.outbox.send(Outgoing::End);
        self.payloads
    }

    /// Reads and checks the next block; `None` at the end of the connection. Nothing is lost if this is cancelled while
    /// it reads.
    async fn read(&mut self) -> Option<Vec<Checked>> {
        let payload = self.payloads.read().await.ok().flatten()?;
        self.outbox.touch(self.state.config.clock.now());
        self.state.metrics.blocks_received.add(1);
        let unreadable = || vec![Checked::Refused(Refusal::unreadable().into())];
        let Ok(payload) = payload else { return Some(unreadable()) };
        let Ok(transmissions) = transmissions(payload) else { return Some(unreadable()) };
        let mut checked = Vec::with_capacity(transmissions.len());
        for (index, bytes) in transmissions.into_iter().enumerate() {
            if index % CHECKS_AT_A_TIME == CHECKS_AT_A_TIME - 1 {
                tokio::task::yield_now().await;
            }
            checked.push(check(&self.session, &self.state, bytes));
        }
        Some(checked)
    }

    /// Executes what was verified, in the order of the block.
    async fn execute(&mut self, checked: Vec<Checked>, in_flight: OwnedSemaphorePermit) {
        let share = self.share(&checked).await;
        let mut list = Vec::with_capacity(checked.len());
        let mut commands = Vec::new();
        for item in checked {
            match item {
                Checked::Refused(answer) => list.push(answer),
                Checked::Verified(verified) => commands.push(*verified),
            }
        }
        list.extend(self.state.execute(commands, &mut self.holdings, &share));
        self.outbox.send(Outgoing::Answers(Box::new(Answers { list, in_flight })));
    }

    /// Memory for a block that will have to be written; waits while too many of all connections are unwritten.
    async fn share(&self, checked: &[Checked]) -> Share {
        let carries_data = |item: &Checked| match item {
            Checked::Verified(verified) => {
                matches!(verified.command, Command::Send(..) | Command::New(_) | Command::Lset(..))
            }
            Checked::Refused(_) => false,
        };
        if !checked.iter().any(carries_data) {
            return None;
        }
        self.state.unwritten.clone().acquire_owned().await.ok().map(Arc::new)
    }
}

fn check(session: &Session, state: &State, bytes: &[u8]) -> Checked {
    let parsed = ClientTransmission::parse(session.version, &session.id, bytes);
    match parsed.and_then(|transmission| verify(transmission, &state.registry, &session.key)) {
        Ok(verified) => Checked::Verified(Box::new(verified)),
        Err(refusal) => Checked::Refused(refusal.into()),
    }
}
