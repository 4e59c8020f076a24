//! Keys of messages that were passed over: they may still come, each once.
//!
//! A peer can make us pass over many messages and never send them. What is kept is therefore bounded; beyond the
//! bounds the oldest chain is forgotten, and its messages will not be recognised any more.

use std::collections::{BTreeMap, VecDeque};

use super::chain::{BodyKey, Skipped};
use super::derive::Key;

/// Chains with missing messages, the oldest first.
#[derive(Default)]
pub(super) struct SkippedKeys {
    pub(super) chains: VecDeque<SkippedChain>,
}

/// The keys of one chain.
pub(super) struct SkippedChain {
    pub(super) header_key: Key,
    pub(super) keys: BTreeMap<u32, BodyKey>,
}

/// How many keys are kept.
pub(super) const MAX_KEYS: usize = 2_048;
/// How many chains are kept; every header that belongs to none of the current chains is tried with each.
pub(super) const MAX_CHAINS: usize = 128;

impl SkippedKeys {
    pub(super) fn len(&self) -> usize {
        self.chains.iter().map(|chain| chain.keys.len()).sum()
    }

    pub(super) fn get(&self, header_key: &Key, number: u32) -> Option<&BodyKey> {
        self.chain(header_key)?.keys.get(&number)
    }

    pub(super) fn remove(&mut self, header_key: &Key, number: u32) {
        if let Some(chain) = self.chain_mut(header_key) {
            chain.keys.remove(&number);
        }
        self.chains.retain(|chain| !chain.keys.is_empty());
    }

    pub(super) fn store(&mut self, header_key: &Key, passed: Vec<Skipped>) {
        if passed.is_empty() {
            return;
        }
        match self.chain_mut(header_key) {
            Some(chain) => chain.keys.extend(passed),
            None => {
                let keys = passed.into_iter().collect();
                self.chains.push_back(SkippedChain { header_key: header_key.clone(), keys });
            }
        }
        while self.chains.len() > MAX_CHAINS || self.len() > MAX_KEYS && self.chains.len() > 1 {
            self.chains.pop_front();
        }
        self.forget_oldest_of_one_chain();
    }

    /// A single chain can exceed the bound when a peer leaves gap after gap.
    fn forget_oldest_of_one_chain(&mut self) {
        while self.len() > MAX_KEYS {
            self.chains.front_mut().and_then(|chain| chain.keys.pop_first());
        }
    }

    fn chain(&self, header_key: &Key) -> Option<&SkippedChain> {
        self.chains.iter().find(|chain| chain.header_key == *header_key)
    }

    fn chain_mut(&mut self, header_key: &Key) -> Option<&mut SkippedChain> {
        self.chains.iter_mut().find(|chain| chain.header_key == *header_key)
    }
}
