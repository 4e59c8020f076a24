//! Whether what a server returns for a group link is current.
//!
//! Link data says nothing about its age, and a server may return old data for as long as the signature holds. But every
//! time owners write it they encrypt it under a fresh nonce: encrypted data that was seen before, and was then followed
//! by other data, is a replay.

use std::collections::VecDeque;

use agent::link_read::RetrievedLinkData;
use crypto::hash;
use serde::{Deserialize, Serialize};

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
    /// Compares what a server returned with what it returned before.
    pub(crate) fn freshness(&self, data: &RetrievedLinkData) -> Freshness {
        if self.superseded.contains(&digest(data)) { Freshness::Replayed } else { Freshness::Current }
    }

    /// Takes data that was believed; whether it is new.
    pub(crate) fn believed(&mut self, data: &RetrievedLinkData) -> bool {
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

    /// All that is remembered, one after the other, the current one last.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.superseded.iter().chain(&self.current).flatten().copied().collect()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digests, rest) = bytes.as_chunks::<DIGEST>();
        let mut superseded: VecDeque<Digest> = digests.iter().copied().collect();
        let mut history = LinkHistory { current: superseded.pop_back(), superseded };
        history.forget();
        rest.is_empty().then_some(history)
    }
}

fn digest(data: &RetrievedLinkData) -> Digest {
    hash::sha256(&data.data.user)
}
