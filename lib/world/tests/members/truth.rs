//! What was really said and ordered, by whom, so that what members are shown can be judged without asking a machine.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use agent::time::Time;
use codec::Encode as _;
use group::body::Batch;
use group::element::{AuthoredMessage, Element};
use group::identity::{MemberId, MemberPublicKey};
use group::message_id::MessageId;
use group::profile::GroupProfile;

use crate::pipes::Client;

/// What kind of thing was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Post,
    Edit(MessageId),
    Delete(MessageId),
    React,
}

/// Something that somebody really said.
#[derive(Debug, Clone)]
pub(crate) struct Utterance {
    pub(crate) author: Client,
    pub(crate) kind: Kind,
    pub(crate) signed: bool,
    /// In a chat with the moderators.
    pub(crate) apart: bool,
    /// Its place among everything that was said.
    pub(crate) order: u64,
    pub(crate) at: Time,
    /// The relays that it was meant for.
    pub(crate) relays: Vec<usize>,
}

#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) said: BTreeMap<MessageId, Utterance>,
    /// Everything that owners and members signed, by whom.
    signed: HashSet<(MemberId, Vec<u8>)>,
    /// What owners ordered or announced, by its names.
    pub(crate) orders: BTreeMap<MessageId, Time>,
    /// Who is who.
    pub(crate) people: BTreeMap<MemberId, Client>,
    pub(crate) relay_ids: BTreeMap<MemberId, usize>,
    /// Their keys.
    pub(crate) keys: BTreeMap<MemberId, MemberPublicKey>,
    /// Every profile that the group ever had.
    pub(crate) profiles: Vec<GroupProfile>,
    /// Members that an owner removed.
    pub(crate) expelled: BTreeSet<usize>,
}

impl Truth {
    /// Somebody sends this: what is signed in it is really signed.
    pub(crate) fn note_signed(&mut self, author: &MemberId, body: &[u8], now: Time) {
        let by_owner = matches!(self.people.get(author), Some(Client::Owner(_)));
        for element in Batch::parse(body).expect("our own body") {
            if let Ok(Element::Message(message @ AuthoredMessage::Signed(_))) = element {
                if by_owner && !message.message().event.is_content() {
                    let id = message.message().id.clone();
                    if let Some(id) = id {
                        self.orders.entry(id).or_insert(now);
                    }
                }
                self.signed.insert((author.clone(), message.to_bytes()));
            }
        }
    }

    pub(crate) fn is_signed(&self, author: &MemberId, bytes: &[u8]) -> bool {
        self.signed.contains(&(author.clone(), bytes.to_vec()))
    }

    pub(crate) fn say(&mut self, id: MessageId, utterance: Utterance) {
        let order = self.said.len() as u64;
        self.said.insert(id, Utterance { order, ..utterance });
    }

    /// Posts that somebody may still edit, delete or react to, oldest first.
    pub(crate) fn posts(&self) -> Vec<(&MessageId, &Utterance)> {
        let mut posts: Vec<_> = self.said.iter().filter(|(_, said)| said.kind == Kind::Post && !said.apart).collect();
        posts.sort_by_key(|(_, said)| said.order);
        posts
    }

    pub(crate) fn is_deleted(&self, post: &MessageId) -> bool {
        self.said.values().any(|said| said.kind == Kind::Delete(post.clone()))
    }
}
