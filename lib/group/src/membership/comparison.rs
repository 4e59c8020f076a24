//! Copies of one message that different relays delivered, compared.
//!
//! | later copy | what is done |
//! |---|---|
//! | says the same | the relay confirms the message |
//! | says something else, and neither is verified | both are kept, and all relays that delivered one are marked |
//! | is verified, the first was not | it takes the place of the first; those that delivered the first are marked |
//! | is not verified, the first was | the first stays; the relay is marked |
//! | is verified and says something else than a verified one | the first stays; its author said two things |
//!
//! Relays are counted, not believed: which of two unsigned copies is the true one, nobody can tell but the author.

use codec::Encode as _;
use serde::{Deserialize, Serialize};

use super::item::Item;
use crate::bytes::{unpadded, unpadded_option};
use crate::content_digest::ContentDigest;
use crate::element::AuthoredMessage;
use crate::identity::MemberId;
use crate::member::Role;
use crate::verification::{AcceptedMessage, Attribution, Trust};

/// How many different copies of one message are kept beside the one that counts.
const MAX_OTHERS: usize = 7;
/// How many deliveries of one copy are remembered; no group has more relays.
const MAX_DELIVERIES: usize = 255;

/// What is kept of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MessageRecord {
    /// The copy that counts. There is none before the message came: others may have been about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Copy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Copy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Mark>,
    /// The relays that were connected when it came first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    expected: Vec<Name>,
    /// A copy came that was not accepted.
    #[serde(default, skip_serializing_if = "is_false")]
    refused: bool,
    /// What became of it later.
    #[serde(default, skip_serializing_if = "Item::is_untouched")]
    pub(super) item: Item,
    /// It came, and was too old to be kept: nothing that comes under its name is new.
    #[serde(default, skip_serializing_if = "is_false")]
    forgotten: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What one or several relays delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    author: Option<MemberId>,
    role: Role,
    from_channel: bool,
    trust: Trust,
    #[serde(with = "unpadded")]
    digest: Vec<u8>,
    #[serde(with = "unpadded")]
    bytes: Vec<u8>,
    deliveries: Vec<Delivered>,
}

/// That a relay delivered a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Which relay.
    #[serde(with = "unpadded")]
    pub relay: MemberId,
    /// When it arrived here, in Unix seconds.
    pub at: i64,
    /// When it reached the relay, as that says.
    pub sent_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Name(#[serde(with = "unpadded")] MemberId);

/// What is wrong with what a relay delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which relay.
    #[serde(with = "unpadded")]
    pub relay: MemberId,
    /// What.
    pub difference: Difference,
    /// Whether a signature refutes it under a key that an owner vouches for, or what the same relay delivered before.
    /// Otherwise the relay is only one of several that disagree.
    pub refuted: bool,
}

/// How copies differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// They say something else.
    Content,
    /// Somebody else is said to have written it.
    Author,
    /// It says the same, but without the signature.
    Signature,
    /// Both are signed: its author said two things.
    Equivocation,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Difference::Content => "says something else",
            Difference::Author => "names another author",
            Difference::Signature => "is without the signature",
            Difference::Equivocation => "is signed, and says something else",
        })
    }
}

/// What a copy is, compared with those before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The first.
    First,
    /// Another relay says the same.
    Confirmed(Vec<Mark>),
    /// This relay said so before.
    Repeated,
    /// It says the same, and its signature is right, which nobody's was before.
    Verified(Vec<Mark>),
    /// It counts from now on, and what counted before does not.
    Replaced(Vec<Mark>),
    /// It does not count.
    Different(Vec<Mark>),
}

/// One delivery of a message that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Arrival<'a> {
    pub(super) message: &'a AcceptedMessage,
    pub(super) delivered: Delivered,
    /// The relays that are to deliver it as well.
    pub(super) expected: Vec<MemberId>,
}

impl Copy {
    fn of(arrival: &Arrival<'_>) -> Self {
        let message = arrival.message;
        let (author, role) = match message.attribution() {
            Attribution::Member(id, role) => (Some(id.clone()), role.clone()),
            Attribution::Channel => (None, Role::Owner),
        };
        Copy {
            author,
            role,
            from_channel: message.is_from_channel(),
            trust: message.trust(),
            digest: ContentDigest::of(message).as_bytes().to_vec(),
            bytes: message.authored().to_bytes(),
            deliveries: vec![arrival.delivered.clone()],
        }
    }

    /// Who wrote it, as it is attributed; nobody if it is the group.
    pub fn author(&self) -> Option<&MemberId> {
        self.author.as_ref()
    }

    /// What the author could do then.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Whether it is shown as said by the group.
    pub fn is_from_channel(&self) -> bool {
        self.from_channel
    }

    /// What its signature is worth.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// SHA-256 of what it says.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The very bytes that were delivered.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message.
    pub fn message(&self) -> Option<AuthoredMessage> {
        AuthoredMessage::parse(&self.bytes).ok()
    }

    /// Who delivered it, first of all the relay that did so first.
    pub fn deliveries(&self) -> &[Delivered] {
        &self.deliveries
    }

    fn is_by(&self, relay: &MemberId) -> bool {
        self.deliveries.iter().any(|delivered| delivered.relay == *relay)
    }

    fn deliver(&mut self, delivered: &Delivered) {
        if !self.is_by(&delivered.relay) && self.deliveries.len() < MAX_DELIVERIES {
            self.deliveries.push(delivered.clone());
        }
    }

    fn marks(&self, difference: Difference, refuted: bool) -> impl Iterator<Item = Mark> {
        self.deliveries.iter().map(move |delivered| Mark { relay: delivered.relay.clone(), difference, refuted })
    }

    /// How another copy differs from this one, if what they say does.
    fn difference(&self, other: &Copy) -> Difference {
        match (self.author == other.author, self.trust.is_verified() && other.trust.is_verified()) {
            (false, _) => Difference::Author,
            (true, true) => Difference::Equivocation,
            (true, false) => Difference::Content,
        }
    }
}

/// Of two copies that say the same, the one with the better signature is kept.
fn worth(trust: Trust) -> u8 {
    match trust {
        Trust::Unsigned => 0,
        Trust::SignedWithoutKey => 1,
        Trust::Verified(_) => 2,
    }
}

impl MessageRecord {
    /// Reads a record.
    pub fn parse(key: &super::RecordKey, bytes: &[u8]) -> Result<Self, super::RecordError> {
        super::records::read(key, bytes)
    }

    /// What stays of a message that is not kept any longer, as a record: that it came. Without it a relay could deliver
    /// old messages as new ones.
    pub fn forgotten() -> Vec<u8> {
        super::records::write(&MessageRecord { forgotten: true, ..MessageRecord::default() })
    }

    /// The copy that counts, if the message came.
    pub fn kept(&self) -> Option<&Copy> {
        self.kept.as_ref()
    }

    /// Copies that say something else.
    pub fn others(&self) -> &[Copy] {
        &self.others
    }

    /// What is wrong with what relays delivered.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// What became of the message.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Whether a copy came that was not accepted.
    pub(super) fn was_refused(&self) -> bool {
        self.refused
    }

    /// Whether something of this name came, even if nothing is left of it.
    pub(super) fn came_once(&self) -> bool {
        self.refused || self.forgotten
    }

    /// A copy came that is not accepted. It does not stand in the way of another one, but the post was not withheld.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether no more copies are kept.
    pub(super) fn is_full(&self) -> bool {
        self.others.len() >= MAX_OTHERS
    }

    /// Whether what a copy says is what counts.
    pub(super) fn counts(&self, message: &AcceptedMessage) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.digest == ContentDigest::of(message).as_bytes())
    }

    /// When a post was said that all these relays delivered alike: by the earliest time that one of them tells. Nothing if
    /// one of them did not deliver it, or somebody delivered anything else.
    pub(super) fn told_alike_by<'a>(&self, mut relays: impl Iterator<Item = &'a MemberId>) -> Option<i64> {
        let kept = self.kept.as_ref().filter(|_| self.others.is_empty() && !self.refused)?;
        let all = relays.all(|relay| kept.is_by(relay));
        kept.deliveries.iter().map(|delivered| delivered.sent_at).min().filter(|_| all)
    }

    /// Whether a copy is attributed to somebody; to the group, if to nobody.
    pub(super) fn is_attributed_to(&self, author: Option<&MemberId>) -> bool {
        self.kept.iter().chain(&self.others).any(|copy| copy.author() == author)
    }

    /// Whether a relay was to deliver it.
    pub(super) fn expects(&self, relay: &MemberId) -> bool {
        self.expected.iter().any(|Name(expected)| expected == relay)
    }

    /// Takes a copy.
    pub(super) fn take(&mut self, arrival: &Arrival<'_>) -> Comparison {
        if self.forgotten {
            return Comparison::Repeated;
        }
        let copy = Copy::of(arrival);
        let Some(kept) = &mut self.kept else {
            self.kept = Some(copy);
            self.expected = arrival.expected.iter().cloned().map(Name).collect();
            return Comparison::First;
        };
        let (was_verified, is_verified) = (kept.trust.is_verified(), copy.trust.is_verified());
        let relay = &arrival.delivered.relay;
        if kept.digest == copy.digest {
            let repeated = kept.is_by(relay);
            let mut marks = Vec::new();
            match (kept.trust, copy.trust) {
                (Trust::Unsigned, Trust::Verified(_)) => {
                    let refuted = copy.trust.refutes();
                    marks.extend(kept.marks(Difference::Signature, refuted).filter(|mark| mark.relay != *relay));
                }
                (Trust::Verified(_), Trust::Unsigned) => {
                    let refuted = kept.trust.refutes();
                    marks.push(Mark { relay: relay.clone(), difference: Difference::Signature, refuted });
                }
                // Relays that delivered a signature which nobody could check yet have left nothing out.
                _ => {}
            }
            if worth(kept.trust) < worth(copy.trust) {
                (kept.trust, kept.role, kept.bytes) = (copy.trust, copy.role, copy.bytes);
            }
            kept.deliver(&arrival.delivered);
            let marks = self.mark(marks);
            return match (!was_verified && is_verified, repeated && marks.is_empty()) {
                (true, _) => Comparison::Verified(marks),
                (false, true) => Comparison::Repeated,
                (false, false) => Comparison::Confirmed(marks),
            };
        }
        let difference = kept.difference(&copy);
        // Somebody else may have used the name of the message: that is no relay's fault.
        let same_author = difference == Difference::Content;
        if is_verified && !was_verified {
            let before = std::mem::replace(kept, copy);
            let refuted = same_author && kept.trust.refutes();
            let mut marks: Vec<Mark> = before.marks(difference, refuted).collect();
            if !same_author && !before.is_by(relay) {
                marks.push(Mark { relay: relay.clone(), difference, refuted: false });
            }
            self.keep_beside(before);
            return Comparison::Replaced(self.mark(marks));
        }
        let twice =
            kept.is_by(relay) || self.others.iter().any(|other| other.digest != copy.digest && other.is_by(relay));
        let refuted = same_author && (kept.trust.refutes() || twice);
        let mut marks = vec![Mark { relay: relay.clone(), difference, refuted }];
        if !was_verified || difference == Difference::Author {
            marks.extend(kept.marks(difference, false).filter(|mark| mark.relay != *relay));
        }
        self.keep_beside(copy);
        match self.mark(marks) {
            marks if marks.is_empty() => Comparison::Repeated,
            marks => Comparison::Different(marks),
        }
    }

    /// What was said about the message before it came counts only if its author, or a moderator, said it.
    pub(super) fn settle(&mut self) {
        if let Some(kept) = &self.kept {
            self.item.settle(kept);
        }
    }

    fn keep_beside(&mut self, copy: Copy) {
        let has_room = self.others.len() < MAX_OTHERS;
        match self.others.iter_mut().find(|other| other.digest == copy.digest) {
            Some(other) => copy.deliveries.iter().for_each(|delivered| other.deliver(delivered)),
            None if has_room => self.others.push(copy),
            None => {}
        }
    }

    /// Remembers marks; those that are new.
    fn mark(&mut self, marks: Vec<Mark>) -> Vec<Mark> {
        let new: Vec<Mark> = marks.into_iter().filter(|mark| !self.marks.contains(mark)).collect();
        self.marks.extend(new.iter().cloned());
        new
    }
}
