//! Identifiers on the wire: opaque short strings, typed by the role that may use them.
//!
//! A queue has up to four unrelated random IDs. Using one role's ID in another role's command looks exactly like a
//! queue that does not exist, so the types keep them apart from the first byte on.

use std::fmt;

use codec::{Decode, Encode, Malformed, Reader, Write, text};
use crypto::{Random, hash, random};

/// Length of every ID that a server or a client of ours makes.
pub const ID_LENGTH: usize = 24;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(Vec<u8>);

        impl $name {
            /// An ID of at most 255 bytes; longer ones do not fit the wire.
            pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
                let bytes = bytes.into();
                (bytes.len() <= usize::from(u8::MAX)).then_some($name(bytes))
            }

            /// A fresh random ID of 24 bytes.
            pub fn random(source: &mut dyn Random) -> Self {
                $name(random::array::<ID_LENGTH>(source).to_vec())
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// True when the command or response names nothing.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<[u8; ID_LENGTH]> for $name {
            fn from(bytes: [u8; ID_LENGTH]) -> Self {
                $name(bytes.to_vec())
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.put_short(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                reader.short().map(|bytes| $name(bytes.to_vec()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&text::base64url(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

ids! {
    /// Names whatever a transmission is about, in the role that its command implies.
    EntityId,
    /// Names a queue to its recipient.
    RecipientId,
    /// Names a queue to its sender.
    SenderId,
    /// Names link data to whoever has the link.
    LinkId,
    /// Names a queue's notifications to the notifier.
    NotifierId,
    /// Names a service to itself and its server.
    ServiceId,
    /// Names a message of a queue; also the nonce of its encryption.
    MessageId,
    /// Matches a response to its command; also the nonce of its authenticator.
    CorrId,
}

macro_rules! roles {
    ($($name:ident)*) => {$(
        impl From<$name> for EntityId {
            fn from(id: $name) -> Self {
                EntityId(id.0)
            }
        }

        impl From<EntityId> for $name {
            fn from(id: EntityId) -> Self {
                $name(id.0)
            }
        }
    )*};
}

roles! { RecipientId SenderId LinkId NotifierId ServiceId }

impl SenderId {
    /// The sender ID that a client must choose for a queue it creates together with its link data.
    ///
    /// Deriving it from the correlation ID keeps creation from being used to probe for existing IDs.
    pub fn from_corr_id(corr_id: &CorrId) -> Self {
        let mut digest = hash::sha3_384(corr_id.as_bytes()).to_vec();
        digest.truncate(ID_LENGTH);
        SenderId(digest)
    }
}
