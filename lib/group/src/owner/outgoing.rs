//! What an owner says to relays through their connections, one thing after the other.
//!
//! What is owed has its name from the beginning, and is written anew from the state whenever it is sent: if a crash
//! makes us send it twice, relays and members see that it is the same.

use super::GroupOwner;
use crate::body::single;
use crate::element::Element;
use crate::event::{Event, GroupInfo, MemberRemoval, RelayCommand, RelayControl, RelayNew, RosterRequest};
use crate::identity::{MemberId, MemberKey};
use crate::limits::TooLong;
use crate::message::Message;
use crate::message_id::MessageId;
use crate::signature::Signer;

/// Something that a relay is still to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owed {
    /// The name of the message, the same for all relays that are told.
    pub(super) id: MessageId,
    pub(super) say: Say,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Say {
    /// The roster as it is when it is sent.
    Roster,
    /// The profile as it is when it is sent.
    Profile,
    /// A transcript mark beside the profile, in the very bytes that all relays get.
    Mark(Vec<u8>),
    /// There is another relay.
    NewRelay(MemberId),
    /// A relay is removed.
    Removed(MemberId),
    /// Extension `susp1`.
    Control(RelayCommand),
    /// Another owner changed the roster, and not everything about it has come.
    RosterRequest(RosterRequest),
    /// A message to the group, in the very bytes that all relays get.
    Content(Vec<u8>),
}

impl Say {
    /// Whether saying `later` as well makes this pointless.
    fn is_covered_by(&self, later: &Say) -> bool {
        let latest = matches!(
            (self, later),
            (Say::Roster, Say::Roster)
                | (Say::Profile, Say::Profile)
                | (Say::Mark(_), Say::Mark(_))
                | (Say::RosterRequest(_), Say::RosterRequest(_))
        );
        latest || self == later
    }
}

/// Adds what is to be said, without saying the same twice.
pub(super) fn owe(owed: &mut Vec<Owed>, id: MessageId, say: Say) {
    // Orders that follow from a roster come after it: a newer one takes the place of one that waits.
    if let Some(waiting) = owed.iter_mut().find(|before| before.say == Say::Roster && say == Say::Roster) {
        waiting.id = id;
        return;
    }
    owed.retain(|before| !before.say.is_covered_by(&say));
    owed.push(Owed { id, say });
}

impl GroupOwner {
    /// The bodies that say it; nothing if there is nothing to say any more.
    pub(super) fn bodies(&self, owed: &Owed) -> Result<Vec<Vec<u8>>, TooLong> {
        let message = |event| vec![self.signed(&owed.id, event)];
        let elements = match &owed.say {
            Say::Content(body) | Say::Mark(body) => return Ok(vec![body.clone()]),
            Say::Roster => self.roster_elements(&owed.id),
            Say::Profile => {
                let group_profile = self.link.group().contents().profile.clone();
                message(Event::GroupInfo(GroupInfo::from(group_profile).into()))
            }
            Say::NewRelay(id) => {
                let link = self.relay(id).and_then(|record| record.relay_link().map(str::to_owned));
                let news = link.map(|relay_link| Event::GroupRelayNew(RelayNew { relay_link }));
                news.map(message).unwrap_or_default()
            }
            Say::Removed(id) => {
                let removal = MemberRemoval { member_id: id.clone(), messages: None, roster_version: None };
                message(Event::GroupMemberDelete(removal))
            }
            Say::RosterRequest(request) => {
                let message = Message::unnamed(Event::GroupRosterRequest(request.clone()));
                vec![Element::from(message)]
            }
            Say::Control(command) => message(Event::GroupRelayControl(RelayControl { command: command.clone() })),
        };
        elements.into_iter().map(single).collect()
    }

    fn roster_elements(&self, id: &MessageId) -> Vec<Element> {
        let blob = self.roster().to_blob();
        let header = self.signed(id, Event::GroupRoster(blob.header(self.roster_version())));
        std::iter::once(header).chain(blob.chunks(id).into_iter().map(Element::Chunk)).collect()
    }

    pub(super) fn signed(&self, id: &MessageId, event: Event) -> Element {
        let owner = &self.link.group().owner;
        let key = MemberKey::from(&owner.owner_key);
        let signer = Signer { group: &owner.group_id(), member: &owner.owner_id, key: &key };
        signer.sign(Message { id: Some(id.clone()), ..Message::unnamed(event) }).into()
    }
}
