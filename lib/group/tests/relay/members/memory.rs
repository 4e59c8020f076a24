//! Rows in memory. A copy is what a disk would hold.

use std::collections::BTreeMap;
use std::convert::Infallible;

use agent::time::Time;
use group::identity::MemberId;
use group::message_id::MessageId;
use group::relay::members::{Hall, JoinRequest, Lane, Member, MemberState, Persona, ReadRows, Rows, StoredMessage};

/// Rows as they are read back: whatever is not written is lost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Memory {
    hall: Option<Hall>,
    members: BTreeMap<u64, Member>,
    ids: BTreeMap<MemberId, u64>,
    personas: BTreeMap<u64, Persona>,
    messages: BTreeMap<(Lane, u64), StoredMessage>,
    requests: BTreeMap<u64, JoinRequest>,
}

type Read<T> = Result<T, Infallible>;

impl Memory {
    pub(crate) fn all_members(&self) -> impl Iterator<Item = Member> {
        self.members.values().cloned()
    }

    pub(crate) fn all_messages(&self) -> impl Iterator<Item = StoredMessage> {
        self.messages.values().cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Memory::default()
    }

    fn members_where(&self, after: u64, limit: usize, fits: impl Fn(&Member) -> bool) -> Vec<Member> {
        {
            let members = self.members.range(after.saturating_add(1)..).map(|(_, member)| member);
            members.filter(|member| fits(member)).take(limit).cloned().collect()
        }
    }

    fn messages_where(&self, limit: usize, fits: impl Fn(&StoredMessage) -> bool) -> Vec<StoredMessage> {
        self.messages.values().filter(|message| fits(message)).take(limit).cloned().collect()
    }
}

impl ReadRows for Memory {
    type Error = Infallible;

    fn hall(&self) -> Read<Option<Hall>> {
        Ok(self.hall.clone())
    }

    fn member(&self, number: u64) -> Read<Option<Member>> {
        Ok(self.members.get(&number).cloned())
    }

    fn member_with_id(&self, id: &MemberId) -> Read<Option<Member>> {
        Ok(self.ids.get(id).and_then(|number| self.members.get(number)).cloned())
    }

    fn persona(&self, number: u64) -> Read<Option<Persona>> {
        Ok(self.personas.get(&number).cloned())
    }

    fn connected(&self, after: u64, limit: usize) -> Read<Vec<Member>> {
        Ok(self.members_where(after, limit, Member::is_connected))
    }

    fn moderators(&self, after: u64, limit: usize) -> Read<Vec<Member>> {
        Ok(self.members_where(after, limit, |member| member.is_connected() && member.moderates()))
    }

    fn behind(&self, after: u64, upto: u64) -> Read<Vec<Member>> {
        let fits = |member: &Member| member.number <= upto && member.behind.is_some();
        Ok(self.members_where(after, usize::MAX, fits))
    }

    fn everybody(&self, after: u64, limit: usize) -> Read<Vec<Member>> {
        Ok(self.members_where(after, limit, |_| true))
    }

    fn due(&self, now: Time, limit: usize) -> Read<Vec<Member>> {
        let mut due = self.members_where(0, usize::MAX, |member| member.due.is_some_and(|due| due <= now));
        due.sort_by_key(|member| member.due);
        due.truncate(limit);
        Ok(due)
    }

    fn message(&self, lane: Lane, seq: u64) -> Read<Option<StoredMessage>> {
        Ok(self.messages.get(&(lane, seq)).cloned())
    }

    fn messages(&self, lane: Lane, from: u64, below: u64, limit: usize) -> Read<Vec<StoredMessage>> {
        Ok(self.messages.range((lane, from)..(lane, below)).take(limit).map(|(_, message)| message.clone()).collect())
    }

    fn named(&self, id: &MessageId, limit: usize) -> Read<Vec<StoredMessage>> {
        Ok(self.messages_where(limit, |message| message.id.as_ref() == Some(id)))
    }

    fn has_said(&self, author: &MemberId, id: &MessageId) -> Read<bool> {
        Ok(self.messages.values().any(|message| message.id.as_ref() == Some(id) && message.author == *author))
    }

    fn of_item(&self, item: u64) -> Read<Vec<StoredMessage>> {
        Ok(self.messages_where(usize::MAX, |message| message.history.is_some_and(|history| history.item == item)))
    }

    fn first_of_last_items(&self, below: u64, limit: usize) -> Read<Option<u64>> {
        let items = self.messages_where(usize::MAX, |message| message.is_item() && message.seq < below);
        Ok(items.iter().rev().take(limit).next_back().map(|item| item.seq))
    }

    fn history(&self, from: u64, below: u64, limit: usize) -> Read<Vec<StoredMessage>> {
        Ok(self.messages_where(limit, |message| message.history.is_some() && (from..below).contains(&message.seq)))
    }

    fn requests(&self, limit: usize) -> Read<Vec<JoinRequest>> {
        Ok(self.requests.values().take(limit).cloned().collect())
    }

    fn request(&self, request: u64) -> Read<Option<JoinRequest>> {
        Ok(self.requests.get(&request).cloned())
    }
}

impl Rows for Memory {
    fn put_hall(&mut self, hall: &Hall) -> Read<()> {
        let json = serde_json::to_vec(hall).unwrap();
        self.hall = Some(serde_json::from_slice(&json).unwrap());
        Ok(())
    }

    fn put_member(&mut self, member: &Member) -> Read<()> {
        let read = Member::from_record(&member.to_record()).unwrap();
        self.ids.insert(read.id.clone(), read.number);
        self.members.insert(read.number, read);
        Ok(())
    }

    fn put_persona(&mut self, number: u64, persona: &Persona) -> Read<()> {
        assert!(self.members.contains_key(&number), "a persona of nobody");
        self.personas.insert(number, Persona::from_record(&persona.to_record()).unwrap());
        Ok(())
    }

    fn remove_member(&mut self, number: u64) -> Read<()> {
        if let Some(member) = self.members.remove(&number) {
            self.ids.remove(&member.id);
        }
        self.personas.remove(&number);
        Ok(())
    }

    fn put_message(&mut self, message: &StoredMessage) -> Read<()> {
        let read = StoredMessage::from_record(&message.to_record()).unwrap();
        self.messages.insert((read.lane, read.seq), read);
        Ok(())
    }

    fn put_request(&mut self, request: &JoinRequest) -> Read<()> {
        self.requests.insert(request.request, JoinRequest::from_record(&request.to_record()).unwrap());
        Ok(())
    }

    fn remove_request(&mut self, request: u64) -> Read<()> {
        self.requests.remove(&request);
        Ok(())
    }

    fn forget_messages(&mut self, time: Time, group: u64, support: u64) -> Read<()> {
        let old = |message: &StoredMessage| {
            let place = if message.lane == Lane::Group { group } else { support };
            message.at < time && message.seq < place
        };
        self.messages.retain(|_, message| !old(message));
        Ok(())
    }

    fn clear(&mut self) -> Read<()> {
        *self = Memory::default();
        Ok(())
    }
}

/// How many members are in that state, as the hall counts them.
pub(crate) fn count(rows: &Memory, state: MemberState) -> u64 {
    rows.all_members().filter(|member| member.state == state).count() as u64
}
