//! What everybody did, written down by nobody's machine and taken back by no crash.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use codec::text::base64url;
use group::identity::MemberId;
use serde_json::Value;
use smp::command::LinkData;
use smp::id::LinkId;

/// A member ID as it stands in messages.
pub(crate) type Member = String;

/// A member ID as it stands in messages.
pub(crate) fn member(id: &MemberId) -> Member {
    base64url(id.as_bytes())
}

/// The book. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Rc<RefCell<Entries>>);

#[derive(Default)]
pub(crate) struct Entries {
    /// Whom the owner invited as whom: the number of the relay.
    pub(crate) invited: BTreeMap<Member, usize>,
    /// What relays named as their links to whom they were invited as.
    pub(crate) answers: BTreeMap<Member, BTreeSet<String>>,
    /// Who said that it has the roster.
    pub(crate) acknowledged: BTreeSet<Member>,
    /// The links that honest relays planned, by relay, group link and member.
    pub(crate) planned: BTreeMap<(usize, String, Member), BTreeSet<String>>,
    /// What would have been right where a relay wrote something wrong behind its link.
    pub(crate) mended: BTreeMap<LinkId, LinkData>,
    /// The owner's requests.
    pub(crate) requests: Vec<Vec<u8>>,
    /// How often something happened that a sample should show.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    fault: Option<String>,
}

impl Ledger {
    pub(crate) fn note<T>(&self, note: impl FnOnce(&mut Entries) -> T) -> T {
        note(&mut self.0.borrow_mut())
    }

    /// Something must not be.
    pub(crate) fn fault(&self, what: impl ToString) {
        self.note(|entries| entries.fault.get_or_insert(what.to_string()).len());
    }

    pub(crate) fn take_fault(&self) -> Option<String> {
        self.note(|entries| entries.fault.take())
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.note(|entries| *entries.seen.entry(what).or_default() += 1);
    }

    /// The owner asks a relay for something.
    pub(crate) fn requested(&self, relay: usize, info: &[u8]) {
        let said = json(info);
        let member = said["params"]["groupRelayInvitation"]["relayMemberId"].as_str().expect("an invitation");
        self.note(|entries| {
            if entries.invited.insert(member.to_owned(), relay).is_some_and(|before| before != relay) {
                entries.fault.get_or_insert(format!("two relays are invited as {member}"));
            }
            entries.requests.push(info.to_vec());
        });
    }

    /// A relay answers the owner.
    pub(crate) fn answered(&self, member: &MemberId, info: &[u8]) {
        let said: Value = serde_json::from_slice(info).unwrap_or_default();
        if let Some(link) = said["params"]["relayLink"].as_str() {
            self.note(|entries| {
                entries.answers.entry(self::member(member)).or_default().insert(link.to_owned());
            });
        }
    }

    /// A relay says something to the owner.
    pub(crate) fn said(&self, member: &MemberId, body: &[u8]) {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        if said["event"] == "x.grp.roster.ack" && said["params"]["error"].is_null() {
            self.note(|entries| entries.acknowledged.insert(self::member(member)));
        }
    }
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}
