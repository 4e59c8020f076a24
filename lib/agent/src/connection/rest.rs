//! Connections at rest: nothing is to be done for them until somebody wants something of them.
//!
//! Whoever has more connections than memory forgets these, and loads them again when something comes or is to be sent.
//! What no record says of a connection at rest are the pauses after which it sends again; they are kept beside it.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::incoming::Incoming;
use super::retry::{Pace, Retry};
use super::{Connection, LoadError, Phase, RecordKey, Stage, Subscription, Talking, TaskId};
use crate::time::Time;

/// When a connection at rest will send what it could not.
#[derive(Debug, Default)]
pub struct Pauses(BTreeMap<TaskId, Retry>);

impl Pauses {
    /// The connection to a server stands again: what failed for want of it is due at once. Whether anything is.
    pub fn server_returned(&mut self) -> bool {
        let before = self.0.len();
        self.0.retain(|_, retry| retry.pace == Pace::Slow);
        self.0.len() < before
    }
}

/// What has to be known of a connection that begins its rest without having been loaded.
#[derive(Debug)]
pub struct Resting {
    /// The queue through which it receives.
    pub subscription: Option<Subscription>,
    /// Whether something is to be sent, so that the rest is a short one.
    pub sends: bool,
}

impl Connection {
    /// Whether it may be forgotten once its changes are durable. Loaded again, with its [`pauses`](Self::pauses), it goes
    /// on as if it had been there all the time. To be asked while none of its tasks is under way.
    pub fn can_rest(&self, now: Time) -> bool {
        let stands = matches!(&self.phase, Phase::Talking(talking) if talking.is_settled());
        let told = self.unheard.is_empty() && !self.incoming.as_ref().is_some_and(Incoming::is_waiting);
        let works = self.ending.is_none() && self.stopped.is_none() && !self.passed_over;
        // An acknowledgement belongs to the session that delivered the message, which no record knows.
        let sends_at_most = || self.wanted().iter().all(|task| matches!(task, TaskId::Send(_)));
        stands && told && works && sends_at_most() && self.due(now).is_empty()
    }

    /// What its records do not say.
    pub fn pauses(&self) -> Pauses {
        let wanted = self.wanted();
        let retries = self.retries.iter().filter(|(task, _)| wanted.contains(task));
        Pauses(retries.map(|(task, retry)| (task.clone(), *retry)).collect())
    }

    /// Goes on after a rest.
    pub fn resume(&mut self, pauses: Pauses) {
        self.retries = pauses.0;
    }

    /// What is to be known of a connection while it rests, if it may; of all its records, those suffice that say how far
    /// it is, what it received last, and whether something is to be sent.
    pub fn at_rest<'a>(
        records: impl IntoIterator<Item = &'a (RecordKey, Zeroizing<Vec<u8>>)>,
    ) -> Result<Option<Resting>, LoadError> {
        let (mut core, mut waits, mut sends) = (None, false, false);
        for (key, value) in records {
            match key {
                RecordKey::Core => core = Some(value),
                RecordKey::Incoming => waits = Incoming::from_stored(value)?.is_waiting(),
                RecordKey::Outgoing(_) => sends = true,
                _ => {}
            }
        }
        let core = core.ok_or(LoadError::Missing("core"))?;
        if waits {
            return Ok(None);
        }
        Ok(Self::settled_queue(core)?.map(|subscription| Resting { subscription, sends }))
    }
}

impl Talking {
    /// The handshake is over on both sides.
    fn is_settled(&self) -> bool {
        self.stage == Stage::Connected && self.queue.secure_with.is_none() && !self.send.needs_securing()
    }
}
