//! Who the relay is, in a file.

use std::path::Path;

use cli::{Bytes, Code, Context, Document, Error, Secret, State};
use crypto::sign::Ed25519PrivateKey;
use group::relay::RelayIdentity;
use group::user_data::RelayProfile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who a relay is. Whoever has the private key is the relay
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RelayIdentityDocument {
    /// What the relay says about itself; may be changed
    profile: RelayProfile,
    /// What the operator adds to that, such as certificates, for those who understand it; signed by the links
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Map<String, Value>>,
    /// Ed25519; the root key of the relay's address
    address_public_key: Bytes<32>,
    /// Secret: signs the address, and answers those who test it
    address_private_key: Secret<32>,
}

impl Document for RelayIdentityDocument {
    const TYPE: &'static str = "relay_identity";
    const V: u32 = 1;
    const SECRETS: &'static [&'static str] = &["address_private_key"];
}

/// The identity of a relay that runs; no other one can run with it.
pub(crate) struct Identity {
    relay: RelayIdentity,
    #[expect(dead_code, reason = "holding its lock is the point")]
    state: State,
}

impl Identity {
    pub(crate) fn relay(&self) -> RelayIdentity {
        self.relay.clone()
    }
}

/// Reads the file, or makes it at the first start.
pub(crate) fn open(path: &Path, name: &str, ctx: &mut Context) -> Result<Identity, Error> {
    let state = ctx.state(path)?;
    if state.is_new() {
        let key = Ed25519PrivateKey::generate(ctx.random("relay_identity").as_mut());
        let profile =
            RelayProfile { display_name: name.to_owned(), full_name: String::new(), short_descr: None, image: None };
        state.save(&RelayIdentityDocument {
            profile,
            credentials: None,
            address_public_key: Bytes(*key.public().as_bytes()),
            address_private_key: Secret::new(*key.seed().expose()),
        })?;
    }
    let document: RelayIdentityDocument = state.load()?;
    let key = Ed25519PrivateKey::from_seed(*document.address_private_key.expose());
    if document.address_public_key.0 != *key.public().as_bytes() {
        return Err(
            Error::new(Code::FieldInvalid, "address_public_key: not that of the private key").at(path.display())
        );
    }
    let RelayIdentityDocument { profile, credentials, .. } = document;
    Ok(Identity { relay: RelayIdentity { address_key: key.into(), profile, credentials }, state })
}
