//! What agents send through a queue: the layer between the box of the queue and the double ratchet.
//!
//! ```text
//! version C [keys] encrypted   a confirmation; keys only from who joined
//! version M encrypted          a message
//! version I link info          an invitation, sent to a contact address; the ratchet is not there yet
//! version R keys info          new keys for the ratchet
//! ```

use codec::{Decode, Encode, Malformed, Reader, Write};

use crate::full_link::{ConnectionRequest, FullLink};
use crate::padding::TooLarge;
use crate::ratchet_keys::{ReceiverKeys, SenderKeys};
use crate::ratchet_offer::RatchetOffer;

/// What fits the padded box of a confirmation or invitation.
const MAX_INVITATION: usize = 15_904 - 2 - 1;
/// Version, kind and the length of the link.
const INVITATION_OVERHEAD: usize = 5;

/// An envelope of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEnvelope {
    /// In confirmations the agreed agent version; elsewhere the highest that the sender speaks.
    pub version: u16,
    /// What it carries.
    pub content: EnvelopeContent,
}

/// The kinds of envelopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvelopeContent {
    /// Completes a handshake.
    Confirmation {
        /// Keys for the ratchet, from who joined.
        keys: Option<SenderKeys>,
        /// Information about the peer, and perhaps a queue for replies.
        encrypted: Vec<u8>,
    },
    /// Any message after the handshake.
    Message {
        /// An agent message.
        encrypted: Vec<u8>,
    },
    /// A request to the owner of a contact address.
    Invitation(Box<Invitation>),
    /// The peer starts the ratchet anew.
    RatchetKey {
        /// Keys for the new ratchet.
        keys: ReceiverKeys,
        /// Not encrypted; without content today.
        info: Vec<u8>,
    },
}

/// An invitation made for the owner of a contact address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    request: ConnectionRequest,
    offer: RatchetOffer,
    link: String,
    info: Vec<u8>,
}

impl Invitation {
    /// An invitation with information for the owner of the address, if one envelope holds both.
    pub fn new(request: ConnectionRequest, offer: RatchetOffer, info: Vec<u8>) -> Result<Self, TooLarge> {
        let link = FullLink::Invitation(request.clone(), offer.clone()).to_string();
        let length = link.len().saturating_add(info.len());
        let limit = MAX_INVITATION - INVITATION_OVERHEAD;
        if length > limit {
            return Err(TooLarge { length, limit });
        }
        Ok(Invitation { request, offer, link, info })
    }

    /// Queues and versions of the new connection.
    pub fn request(&self) -> &ConnectionRequest {
        &self.request
    }

    /// Keys of the new connection.
    pub fn offer(&self) -> &RatchetOffer {
        &self.offer
    }

    /// About who asks.
    pub fn info(&self) -> &[u8] {
        &self.info
    }
}

impl AgentEnvelope {
    /// Begins the envelope of a message; what the ratchet encrypted follows.
    pub(crate) fn begin_message(version: u16, out: &mut Vec<u8>) {
        begin(version, b"M", out);
    }
}

fn begin(version: u16, kind: &[u8; 1], out: &mut Vec<u8>) {
    out.put_u16(version);
    out.put(kind);
}

impl Encode for AgentEnvelope {
    fn encode(&self, out: &mut Vec<u8>) {
        let version = self.version;
        match &self.content {
            EnvelopeContent::Message { encrypted } => {
                Self::begin_message(version, out);
                out.put(encrypted);
            }
            EnvelopeContent::Confirmation { keys, encrypted } => {
                begin(version, b"C", out);
                out.put_maybe(keys.as_ref(), |out, keys| keys.encode(out));
                out.put(encrypted);
            }
            EnvelopeContent::Invitation(invitation) => {
                begin(version, b"I", out);
                out.put_large(invitation.link.as_bytes());
                out.put(&invitation.info);
            }
            EnvelopeContent::RatchetKey { keys, info } => {
                begin(version, b"R", out);
                keys.encode(out);
                out.put(info);
            }
        }
    }
}

impl Decode for AgentEnvelope {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.u16()?;
        let content = match reader.u8()? {
            b'C' => EnvelopeContent::Confirmation {
                keys: reader.maybe(SenderKeys::decode)?,
                encrypted: reader.tail().to_vec(),
            },
            b'M' => EnvelopeContent::Message { encrypted: reader.tail().to_vec() },
            b'I' => EnvelopeContent::Invitation(Box::new(take_invitation(reader)?)),
            b'R' => EnvelopeContent::RatchetKey { keys: ReceiverKeys::decode(reader)?, info: reader.tail().to_vec() },
            _ => return Err(Malformed::BadValue("kind of agent envelope")),
        };
        Ok(AgentEnvelope { version, content })
    }
}

fn take_invitation(reader: &mut Reader<'_>) -> Result<Invitation, Malformed> {
    let link = std::str::from_utf8(reader.large()?).map_err(|_| Malformed::NotUtf8)?;
    let FullLink::Invitation(request, offer) = link.parse()? else {
        return Err(Malformed::BadValue("link in invitation: not for one connection"));
    };
    Invitation::new(request, offer, reader.tail().to_vec()).map_err(|_| Malformed::BadValue("length of invitation"))
}
