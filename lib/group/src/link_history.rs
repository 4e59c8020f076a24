//! Whether what a server returns for a group link is current.
//!
//! A server may return old data for as long as the signature holds. But every time owners write it they encrypt it under
//! a fresh nonce: encrypted data that was seen before, and was then followed by other data, is a replay. Owners also
//! count what they write (see [`revision`](crate::revision)): data with a lower number than one that was seen is a
//! replay even if nobody saw it before. Data without a number is judged by its bytes alone: other programs do not count.

use std::collections::VecDeque;

use agent::link_read::RetrievedLinkData;
use crypto::hash;
use serde::{Deserialize, Serialize};

use crate::revision::Revision;

/// How many former states of link data are remembered.
const REMEMBERED: usize = 64;
const DIGEST: usize = 32;

type Digest = [u8; DIGEST];

/// What was seen behind one link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkHistory {
    /// Of the last data that was no replay.
    current: Option<Digest>,
    /// Of data before that, oldest first.
    superseded: VecDeque<Digest>,
    /// The highest number of a revision that was believed; 0 before any.
    #[serde(default, skip_serializing_if = "is_zero")]
    highest: u64,
}

/// What the link data is, compared with what was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The same as last time, or never seen.
    Current,
    /// Old data: the server, or somebody between, holds back what owners wrote later.
    Replayed,
}

impl LinkHistory {
    /// Compares what a server returned, and was verified, with what it returned before. The number decides if there is
    /// one: bytes that were seen and then followed by older ones are current all the same.
    pub(crate) fn freshness(&self, data: &RetrievedLinkData, revision: Option<&Revision>) -> Freshness {
        let is_older = match revision {
            Some(revision) => revision.number() < self.highest,
            None => self.superseded.contains(&digest(data)),
        };
        if is_older { Freshness::Replayed } else { Freshness::Current }
    }

    /// Takes data that was believed; whether it is new.
    pub(crate) fn believed(&mut self, data: &RetrievedLinkData, revision: Option<&Revision>) -> bool {
        self.highest = self.highest.max(revision.map_or(0, Revision::number));
        let digest = digest(data);
        let new = self.current != Some(digest);
        if new {
            self.superseded.extend(self.current.replace(digest));
            self.forget();
        }
        new
    }

    fn forget(&mut self) {
        while self.superseded.len() > REMEMBERED {
            self.superseded.pop_front();
        }
    }

    /// All that is remembered, one after the other, the current one last, then the highest number if there is one.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let number = (self.highest > 0).then(|| self.highest.to_be_bytes());
        self.superseded.iter().chain(&self.current).flatten().copied().chain(number.into_iter().flatten()).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digests, rest) = bytes.as_chunks::<DIGEST>();
        let mut superseded: VecDeque<Digest> = digests.iter().copied().collect();
        let highest = match rest {
            [] => 0,
            number => u64::from_be_bytes(number.try_into().ok()?),
        };
        let mut history = LinkHistory { current: superseded.pop_back(), superseded, highest };
        history.forget();
        Some(history)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn digest(data: &RetrievedLinkData) -> Digest {
    hash::sha256(&data.data.user)
}
