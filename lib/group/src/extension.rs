//! What our programs do beyond the protocol, and how a peer learns of it.
//!
//! Each side lists names under `"ext"` in objects of which others ignore that key. An event that belongs to an extension
//! goes only to peers that listed its name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire_name::wire_names;

wire_names! {
    /// The name of an extension.
    pub enum Extension {
        /// The owner says when the group link lists the relay, and the relay answers that it found itself there.
        RelayReady = "ready1",
        /// The relay keeps the last profile that an owner signed and sends it to joiners.
        SignedProfile = "prof1",
        /// Content and requests go through separate connections.
        PairedConnections = "pair1",
        /// Owners suspend and resume the admission of members.
        Suspension = "susp1",
        /// Relays keep what members signed when they joined and pass it on.
        SignedJoin = "mkey1",
        /// Relay links name their group in fixed data.
        GroupInFixedData = "gid1",
        /// An owner joins through a relay link; a relay that does not know it as one looks into the group link.
        OwnerJoin = "own1",
    }
}

/// The names that a peer listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct Extensions(pub Vec<Extension>);

impl Extensions {
    /// Whether nothing was listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the peer may be sent what belongs to `extension`.
    pub fn announce(&self, extension: &Extension) -> bool {
        self.0.contains(extension)
    }
}

impl From<Value> for Extensions {
    /// The key is ours: whatever others put there is no name of an extension, and no error.
    fn from(value: Value) -> Self {
        let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(Extension::from).collect()
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(names: I) -> Self {
        Extensions(names.into_iter().collect())
    }
}
