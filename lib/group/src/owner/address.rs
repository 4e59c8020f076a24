//! A relay address: what an owner must find behind it before it asks the relay for anything.

use agent::full_link::FullLink;
use agent::link_read::{LinkReadError, RetrievedLinkData};
use agent::short_link::{ContactKind, ContactShortLink};
use crypto::sign::Ed25519PublicKey;

use crate::profile::{ProfileFault, check_name};
use crate::user_data::{Contents as _, ContentsError, RelayLinkContents, RelayProfile};

/// A relay address that passed every check.
#[derive(Debug, Clone)]
pub struct CheckedAddress {
    link: FullLink,
    root_key: Ed25519PublicKey,
    profile: RelayProfile,
}

/// Why something is no relay address. The relay is at fault, the server between, or whoever gave us the link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// The link says that it leads to something else.
    #[error("the link is not the address of a relay")]
    Kind,
    /// The link data cannot be used.
    #[error(transparent)]
    Read(#[from] LinkReadError),
    /// Nobody takes requests there.
    #[error("it takes no requests")]
    NotDirect,
    /// It does not say who the relay is.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The relay has a name that nobody may have.
    #[error(transparent)]
    Profile(#[from] ProfileFault),
}

impl CheckedAddress {
    /// Checks that a link promises to lead to a relay, before anything is retrieved.
    pub fn check_kind(link: &ContactShortLink) -> Result<(), AddressFault> {
        if link.kind == ContactKind::Relay { Ok(()) } else { Err(AddressFault::Kind) }
    }

    /// Checks what was retrieved.
    pub fn check(link: &ContactShortLink, retrieved: &RetrievedLinkData) -> Result<Self, AddressFault> {
        CheckedAddress::check_kind(link)?;
        let data = retrieved.read(link)?;
        if !data.user().direct() {
            return Err(AddressFault::NotDirect);
        }
        let profile = RelayLinkContents::from_payload(data.user().payload())?.relay_profile;
        check_name(&profile.display_name)?;
        Ok(CheckedAddress { link: data.fixed().link.clone(), root_key: data.fixed().root_key, profile })
    }

    /// Where to send requests.
    pub fn link(&self) -> &FullLink {
        &self.link
    }

    /// The key that the relay proves to have in a test.
    pub fn root_key(&self) -> Ed25519PublicKey {
        self.root_key
    }

    /// What the relay says about itself.
    pub fn profile(&self) -> &RelayProfile {
        &self.profile
    }
}
