//! Monitoring: when the relay looks at the group link again, and what it saw there before.

use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};
use crypto::random;
use serde::{Deserialize, Serialize};

use super::record::{moment, moment_option};
use super::work::Work;
use crate::link_history::{Freshness, LinkHistory};
use crate::step::link_verify::VerifiedGroupLink;

/// While an owner waits for the relay to find itself.
const NOTIFIED_INTERVAL: Duration = Duration::from_secs(30);

/// What monitoring knows of a group link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Watch {
    /// When to look next.
    #[serde(with = "moment")]
    pub(super) next: Time,
    #[serde(flatten)]
    seen: LinkHistory,
    /// Since when the server says that there is no such link.
    #[serde(default, with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub(super) missing_since: Option<Time>,
    retry: Option<Work>,
}

impl Watch {
    /// Begins with the data that was read when the group was admitted.
    pub(super) fn new(first: &RetrievedLinkData, now: Time) -> Self {
        let mut seen = LinkHistory::default();
        seen.believed(first, None);
        Watch { next: now, seen, missing_since: None, retry: None }
    }

    /// Compares what a server returned, and was verified, with what it returned before.
    pub(super) fn freshness(&self, data: &RetrievedLinkData, verified: &VerifiedGroupLink) -> Freshness {
        self.seen.freshness(data, verified.revision().as_ref())
    }

    /// Takes data that was believed; whether it is new.
    pub(super) fn believed(&mut self, data: &RetrievedLinkData, verified: &VerifiedGroupLink) -> bool {
        let new = self.seen.believed(data, verified.revision().as_ref());
        self.missing_since = None;
        self.retry = None;
        new
    }

    /// Plans the next look, a tenth of the interval earlier or later, so that links of many groups are not read at once.
    pub(super) fn later(&mut self, interval: Duration, env: &mut Env<'_>) {
        let spread = interval / 5;
        let part = u32::from(u16::from_be_bytes(random::array(env.random)));
        let offset = spread.saturating_mul(part) / u32::from(u16::MAX);
        self.next = env.now.after(interval.saturating_sub(spread / 2).saturating_add(offset));
    }

    /// Plans a look soon after one that found nothing new while an owner waits.
    pub(super) fn soon(&mut self, now: Time) {
        self.next = now.after(NOTIFIED_INTERVAL);
    }

    /// Plans a look after one that failed, sooner than the next regular one.
    pub(super) fn failed(&mut self, interval: Duration, now: Time) {
        let retry = self.retry.unwrap_or_else(|| Work::new(now)).failed(now);
        self.next = retry.next.min(now.after(interval));
        self.retry = Some(retry);
    }

    /// The server says that there is no such link; since when it has said so.
    pub(super) fn missing(&mut self, now: Time) -> Duration {
        now.since(*self.missing_since.get_or_insert(now))
    }
}
