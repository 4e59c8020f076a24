//! Reading a short link: from what a server returned to data that may be shown and used.
//!
//! ```text
//! RetrievedLinkData ── decrypt ──▶ DecryptedLinkData ── parse ──▶ UnverifiedLinkData ── verify ──▶ VerifiedLinkData
//!    as returned         box key      signatures apart    kinds match     nothing trusted   checks     safe to use
//! ```
//!
//! Only [`UnverifiedLinkData::verify`] makes verified data, and only after every check of [`LinkCheck::ALL`] passed, in
//! that order. A report that wants to name all failures asks [`UnverifiedLinkData::check`] for each of them.

use codec::{Decode, Malformed};
use crypto::BoxKey;
use crypto::sign::Ed25519PublicKey;
use smp::address::ServerAddress;
use smp::command::LinkData;
use smp::id::SenderId;

use crate::full_link::FullLink;
use crate::link_data::{ContactData, FixedData, InvitationData, UserData};
use crate::link_key::LinkKey;
use crate::owner::{OwnerFault, check_chain};
use crate::short_link::{ContactShortLink, InvitationShortLink};
use crate::signed_item::{OpenError, SignedItem};

/// A short link, as far as reading its data is concerned.
pub trait ReadableLink: Clone {
    /// The user data of this kind of link.
    type UserData: UserData;

    /// The server that has the data.
    fn server(&self) -> &ServerAddress;

    /// The hash of the fixed data.
    fn key(&self) -> &LinkKey;

    /// Decrypts both records.
    fn box_key(&self) -> BoxKey;

    /// Whether the full link is of the kind that this link promises.
    fn leads_to(&self, link: &FullLink) -> bool;
}

impl ReadableLink for ContactShortLink {
    type UserData = ContactData;

    fn server(&self) -> &ServerAddress {
        &self.server
    }

    fn key(&self) -> &LinkKey {
        &self.key
    }

    fn box_key(&self) -> BoxKey {
        self.derive().1
    }

    fn leads_to(&self, link: &FullLink) -> bool {
        matches!(link, FullLink::Contact(_))
    }
}

impl ReadableLink for InvitationShortLink {
    type UserData = InvitationData;

    fn server(&self) -> &ServerAddress {
        &self.server
    }

    fn key(&self) -> &LinkKey {
        &self.key
    }

    fn box_key(&self) -> BoxKey {
        self.key.derive_invitation()
    }

    fn leads_to(&self, link: &FullLink) -> bool {
        matches!(link, FullLink::Invitation(..))
    }
}

/// What a server returned for a link: the answer to `LGET` or `LKEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievedLinkData {
    /// The queue that the server says the data belongs to.
    pub sender_id: SenderId,
    /// Both records, encrypted.
    pub data: LinkData,
}

/// Both records with their signatures taken apart. Whoever has the link could have encrypted them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecryptedLinkData {
    sender_id: SenderId,
    fixed: SignedItem,
    user: SignedItem,
}

/// Both records decoded, and of the kind that the link promises. Not one signature has been checked.
#[derive(Debug, Clone)]
pub struct UnverifiedLinkData<L: ReadableLink> {
    link: L,
    decrypted: DecryptedLinkData,
    fixed: FixedData,
    user: L::UserData,
}

/// Link data that passed every check.
#[derive(Debug, Clone)]
pub struct VerifiedLinkData<L: ReadableLink> {
    link: L,
    fixed: FixedData,
    user: L::UserData,
    signer: Ed25519PublicKey,
}

/// What must hold before link data may be used, in the order of checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkCheck {
    /// The link key is the hash of the fixed data.
    LinkKeyHash,
    /// The root key signed the fixed data.
    FixedSignature,
    /// Every owner was let in by the root key or an earlier owner.
    OwnerChain,
    /// The root key or an owner signed the user data.
    UserSignature,
    /// The data is about the queue and the server where it was found.
    Address,
}

impl LinkCheck {
    /// All checks, in order.
    pub const ALL: [LinkCheck; 5] = [
        LinkCheck::LinkKeyHash,
        LinkCheck::FixedSignature,
        LinkCheck::OwnerChain,
        LinkCheck::UserSignature,
        LinkCheck::Address,
    ];

    /// The name of the check in reports.
    pub const fn name(self) -> &'static str {
        match self {
            LinkCheck::LinkKeyHash => "link_key_hash",
            LinkCheck::FixedSignature => "fixed_signature",
            LinkCheck::OwnerChain => "owner_chain",
            LinkCheck::UserSignature => "user_signature",
            LinkCheck::Address => "address",
        }
    }
}

/// Which check failed and why. The texts are those that peers report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// [`LinkCheck::LinkKeyHash`].
    #[error("link data hash")]
    Hash,
    /// [`LinkCheck::FixedSignature`].
    #[error("link data signature")]
    FixedSignature,
    /// [`LinkCheck::OwnerChain`].
    #[error(transparent)]
    Owners(#[from] OwnerFault),
    /// [`LinkCheck::UserSignature`].
    #[error("user data signature")]
    UserSignature,
    /// [`LinkCheck::Address`].
    #[error("different address")]
    Address,
}

/// Why link data cannot be used. In every case it is the peer who is at fault, or the server between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkReadError {
    /// Neither record can be opened with the link's key, or one cannot.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record does not decode, or is not of the kind that the link promises.
    #[error("malformed link data: {0}")]
    Malformed(#[from] Malformed),
    /// A check failed.
    #[error(transparent)]
    Fault(#[from] LinkFault),
}

impl RetrievedLinkData {
    /// All steps: opens, decodes and checks the data of `link`.
    pub fn read<L: ReadableLink>(&self, link: &L) -> Result<VerifiedLinkData<L>, LinkReadError> {
        Ok(self.decrypt(&link.box_key())?.parse(link)?.verify()?)
    }

    /// Opens both records with the key derived from the link.
    pub fn decrypt(&self, key: &BoxKey) -> Result<DecryptedLinkData, OpenError> {
        Ok(DecryptedLinkData {
            sender_id: self.sender_id.clone(),
            fixed: SignedItem::decrypt(&self.data.fixed, key)?,
            user: SignedItem::decrypt(&self.data.user, key)?,
        })
    }
}

impl DecryptedLinkData {
    /// Decodes both records.
    pub fn parse<L: ReadableLink>(self, link: &L) -> Result<UnverifiedLinkData<L>, Malformed> {
        let fixed = FixedData::decode_all(self.fixed.body())?;
        let user = L::UserData::decode_all(self.user.body())?;
        if !link.leads_to(&fixed.link) {
            return Err(Malformed::BadValue("kind of link in link data"));
        }
        Ok(UnverifiedLinkData { link: link.clone(), decrypted: self, fixed, user })
    }
}

impl<L: ReadableLink> UnverifiedLinkData<L> {
    /// Makes one check.
    pub fn check(&self, check: LinkCheck) -> Result<(), LinkFault> {
        match check {
            LinkCheck::LinkKeyHash => {
                require(LinkKey::of_fixed_data(self.decrypted.fixed.body()) == *self.link.key(), LinkFault::Hash)
            }
            LinkCheck::FixedSignature => {
                require(self.decrypted.fixed.signed_by(&self.fixed.root_key), LinkFault::FixedSignature)
            }
            LinkCheck::OwnerChain => Ok(check_chain(&self.fixed.root_key, self.user.owners())?),
            LinkCheck::UserSignature => require(self.signer().is_some(), LinkFault::UserSignature),
            LinkCheck::Address => require(self.address_matches(), LinkFault::Address),
        }
    }

    /// Makes all checks and, if they pass, turns the data into what may be used.
    pub fn verify(self) -> Result<VerifiedLinkData<L>, LinkFault> {
        LinkCheck::ALL.into_iter().try_for_each(|check| self.check(check))?;
        let signer = self.signer().ok_or(LinkFault::UserSignature)?;
        let UnverifiedLinkData { link, mut fixed, user, .. } = self;
        fixed.link = at_server(fixed.link, link.server());
        Ok(VerifiedLinkData { link, fixed, user, signer })
    }

    /// The first key of those that may sign the user data that did.
    fn signer(&self) -> Option<Ed25519PublicKey> {
        let owners = self.user.owners().iter().map(|owner| owner.key());
        std::iter::once(self.fixed.root_key).chain(owners).find(|key| self.decrypted.user.signed_by(key))
    }

    fn address_matches(&self) -> bool {
        let queue = &self.fixed.link.request().first_queue().address;
        let first_host = self.link.server().first_host();
        queue.sender_id == self.decrypted.sender_id && queue.server.hosts().any(|host| host == first_host)
    }
}

/// The link may know the server better than its own fixed data, which cannot follow a server to new hosts.
fn at_server(link: FullLink, server: &ServerAddress) -> FullLink {
    let mut queue = link.request().first_queue().clone();
    queue.address.server = server.clone();
    link.with_first_queue(queue)
}

impl<L: ReadableLink> VerifiedLinkData<L> {
    /// The link that led here.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// What never changes. Its first queue is at the server where the link was found.
    pub fn fixed(&self) -> &FixedData {
        &self.fixed
    }

    /// What may be replaced.
    pub fn user(&self) -> &L::UserData {
        &self.user
    }

    /// Who signed what may be replaced: the root key, or the key of an owner.
    pub fn signer(&self) -> Ed25519PublicKey {
        self.signer
    }
}

fn require(holds: bool, fault: LinkFault) -> Result<(), LinkFault> {
    if holds { Ok(()) } else { Err(fault) }
}
