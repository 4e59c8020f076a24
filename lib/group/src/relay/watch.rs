//! Monitoring: whether the group link lists the relay, and whether what its server returns is current.
//!
//! Link data says nothing about its age, and a server may return old data for as long as the signature holds. But every
//! time owners write it they encrypt it under a fresh nonce: encrypted data that was seen before, and was then followed
//! by other data, is a replay.

use std::collections::VecDeque;
use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};
use crypto::{hash, random};
use serde::{Deserialize, Serialize};

use super::record::{moment, moment_option};
use super::work::Work;

/// How many former states of link data are remembered.
const REMEMBERED: usize = 64;
/// While an owner waits for the relay to find itself.
const NOTIFIED_INTERVAL: Duration = Duration::from_secs(30);

type Digest = [u8; 32];

/// What monitoring knows of a group link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Watch {
    /// When to look next.
    #[serde(with = "moment")]
    pub(super) next: Time,
    /// Of the last data that was no replay.
    current: Option<Digest>,
    /// Of data before that, oldest first.
    superseded: VecDeque<Digest>,
    /// Since when the server says that there is no such link.
    #[serde(default, with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub(super) missing_since: Option<Time>,
    retry: Option<Work>,
}

/// What the link data is, compared with what was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The same as last time, or never seen.
    Current,
    /// Old data: the server, or somebody between, holds back what owners wrote later.
    Replayed,
}

impl Watch {
    /// Begins with the data that was read when the group was admitted.
    pub(super) fn new(first: &RetrievedLinkData, now: Time) -> Self {
        let current = Some(digest(first));
        Watch { next: now, current, superseded: VecDeque::new(), missing_since: None, retry: None }
    }

    /// Compares what a server returned with what it returned before.
    pub(super) fn freshness(&self, data: &RetrievedLinkData) -> Freshness {
        if self.superseded.contains(&digest(data)) { Freshness::Replayed } else { Freshness::Current }
    }

    /// Takes data that was believed; whether it is new.
    pub(super) fn believed(&mut self, data: &RetrievedLinkData) -> bool {
        let digest = digest(data);
        let new = self.current != Some(digest);
        if new {
            self.superseded.extend(self.current.replace(digest));
            while self.superseded.len() > REMEMBERED {
                self.superseded.pop_front();
            }
        }
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

fn digest(data: &RetrievedLinkData) -> Digest {
    hash::sha256(&data.data.user)
}
