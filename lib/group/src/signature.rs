//! Signatures of messages: what is signed, and with which key.
//!
//! ```text
//! signature = Ed25519(member key, binding ‖ JSON)
//! binding   = "G" short(group ID) short(member ID)
//! ```
//!
//! The binding does not travel with the message. Readers build it from the group they are in and the member that the
//! message is attributed to, so that a signature proves nothing in another group or about another member.

use agent::non_empty::NonEmpty;
use codec::Write;

use crate::element::{BindingTag, Signature, SignedMessage};
use crate::identity::{GroupId, MemberId, MemberKey, MemberPublicKey};
use crate::message::{ExactMessage, Message};

/// What something signed belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// What a member says in a group.
    Member(&'a GroupId, &'a MemberId),
    /// What is said as the group.
    Channel(&'a GroupId),
}

impl Binding<'_> {
    /// The bytes in front of what is signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.tag().letter()];
        match self {
            Binding::Member(group, member) => {
                out.put_short(group.as_bytes());
                out.put_short(member.as_bytes());
            }
            Binding::Channel(group) => out.put_short(group.as_bytes()),
        }
        out
    }

    fn tag(&self) -> BindingTag {
        match self {
            Binding::Member(..) => BindingTag::Group,
            Binding::Channel(_) => BindingTag::Channel,
        }
    }

    fn signed_bytes(&self, message: &ExactMessage) -> Vec<u8> {
        [&self.to_bytes(), message.as_bytes()].concat()
    }
}

/// Somebody who signs what it says in a group: a member, an owner, also when it speaks as the group, or a relay.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The group.
    pub group: &'a GroupId,
    /// Who signs.
    pub member: &'a MemberId,
    /// With which key.
    pub key: &'a MemberKey,
}

impl Signer<'_> {
    /// Writes and signs a message.
    pub fn sign(&self, message: Message) -> SignedMessage {
        let message = ExactMessage::from(message);
        let binding = Binding::Member(self.group, self.member);
        let signature = Signature(self.key.0.sign(&binding.signed_bytes(&message)));
        SignedMessage { binding: binding.tag(), signatures: NonEmpty::one(signature), message }
    }
}

impl SignedMessage {
    /// Whether all signatures are by the holder of `key`, for this member in this group.
    pub fn is_signed_by(&self, group: &GroupId, member: &MemberId, key: &MemberPublicKey) -> bool {
        let binding = Binding::Member(group, member);
        let signed = binding.signed_bytes(&self.message);
        self.binding == binding.tag() && self.signatures.iter().all(|by| key.0.verify(&signed, &by.0).is_ok())
    }
}
