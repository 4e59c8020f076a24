//! What the members' side tells whoever runs the relay.

use serde::{Deserialize, Serialize};

use crate::identity::MemberId;
use crate::relay::journal::{LogEvent, MemberChange};
use crate::relay::name::ConnectionName;
use crate::wire_name::wire_names;

wire_names! {
    /// Why a request to join gets no answer. Whoever asked is not told.
    pub enum JoinDismissal {
        /// It says nothing that relays understand there.
        Unintelligible = "unintelligible",
        /// The member has no valid name.
        Name = "name",
        /// The signature is missing or wrong, or made for another relay.
        Proof = "proof",
        /// Somebody with another key has this member ID.
        Taken = "taken",
        /// The member was removed.
        Removed = "removed",
        /// The second connection of somebody who has no first one.
        NoMember = "no_member",
        /// There are too many members, or too many who do not connect.
        Full = "full",
        /// The operator's program says no.
        Policy = "policy",
    }
}

/// Something that whoever runs the relay may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberEvent {
    /// Somebody is let in.
    Admitted(MemberId),
    /// A request waits until members are admitted, or until somebody decides.
    Waiting(u64),
    /// A request gets no answer.
    Dismissed(u64, JoinDismissal),
    /// A member is there.
    Connected(MemberId),
    /// A member is no longer there.
    Parted(MemberId, Parting),
    /// A message goes to the group.
    Forwarded,
    /// What a member said does not count.
    Refused(MemberId, &'static str),
    /// What came through a connection is none of ours.
    UnknownConnection(ConnectionName),
}

impl MemberEvent {
    /// How it stands in the log, if it does.
    pub(in crate::relay) fn to_log(&self) -> Option<LogEvent> {
        let of =
            |member: &MemberId, state| Some(LogEvent::Member { member_id: Some(member.clone()), state, reason: None });
        match self {
            MemberEvent::Admitted(member) => of(member, MemberChange::Admitted),
            MemberEvent::Connected(member) => of(member, MemberChange::Connected),
            MemberEvent::Parted(member, Parting::Left) => of(member, MemberChange::Left),
            MemberEvent::Parted(member, Parting::Removed) => of(member, MemberChange::Removed),
            MemberEvent::Parted(member, Parting::Lost) => of(member, MemberChange::Lost),
            MemberEvent::Parted(member, Parting::OtherKey) => of(member, MemberChange::OtherKey),
            MemberEvent::Waiting(_) => {
                Some(LogEvent::Member { member_id: None, state: MemberChange::Waiting, reason: None })
            }
            MemberEvent::Dismissed(_, why) => {
                let (state, reason) = (MemberChange::Dismissed, Some(why.name().to_owned()));
                Some(LogEvent::Member { member_id: None, state, reason })
            }
            MemberEvent::Forwarded | MemberEvent::Refused(..) | MemberEvent::UnknownConnection(_) => None,
        }
    }
}

/// Why a member is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parting {
    /// It left.
    Left,
    /// An owner or an admin removed it.
    Removed,
    /// Its queue is gone, or it never connected.
    Lost,
    /// An owner says that somebody else has its member ID.
    OtherKey,
}
