//! Who else is an owner: letting somebody in, and taking somebody out.
//!
//! Both change the list of owners in the group link and nothing else; what follows for the server, and for what others
//! write at the same time, [`sharing`](super::sharing) does.

use agent::time::Env;

use super::{GroupOwner, OwnerError};
use crate::identity::MemberId;
use crate::owner_list::{ListedOwner, MAX_OWNERS, OwnerList};
use crate::step::owner_request::VerifiedRequest;

impl GroupOwner {
    /// The owner of that name.
    pub fn owner(&self, id: &MemberId) -> Option<&ListedOwner> {
        self.owners().get(id)
    }

    /// Lets somebody else be an owner. Its entry is signed with our own key: the root key is not needed.
    pub fn appoint(&mut self, request: &VerifiedRequest, env: &mut Env<'_>) -> Result<(), OwnerError> {
        if request.group_id() != self.link.group().group_id() {
            return Err(OwnerError::OtherGroup);
        }
        self.check_may_change_owners()?;
        let owners = self.owners().clone();
        if let Some(known) =
            owners.iter().find(|owner| owner.id() == request.owner_id() || owner.key() == request.key())
        {
            let is_same = known.id() == request.owner_id() && known.key() == request.key();
            return match is_same && known.queue_key() == Some(request.queue_key()) {
                true => Ok(()),
                false => Err(OwnerError::OwnerKnown(known.id().clone())),
            };
        }
        if owners.len() >= MAX_OWNERS {
            return Err(OwnerError::TooManyOwners(MAX_OWNERS));
        }
        let entry = self.link.entry(request.owner_id(), request.key(), request.queue_key());
        let entry = entry.ok_or_else(|| OwnerError::OwnerKnown(request.owner_id().clone()))?;
        self.change_owners(owners.with(entry), env)
    }

    /// Takes an owner out of the group, and everybody whom only it let in. Owners may do that to those after them in the
    /// list, the holder of the root key to all others.
    pub fn dismiss(&mut self, id: &MemberId, env: &mut Env<'_>) -> Result<(), OwnerError> {
        self.check_may_change_owners()?;
        let ownership = self.link.group().ownership();
        let (own, root) = (ownership.owner_id.clone(), ownership.root());
        let Some(position) = self.owners().position(id) else { return Ok(()) };
        let is_after_us = self.owners().position(&own).is_some_and(|own| own < position);
        if *id == own || !(is_after_us || ownership.root_key().is_some()) {
            return Err(OwnerError::MayNotDismiss(id.clone()));
        }
        let owners = self.owners().without(root, id);
        self.change_owners(owners, env)
    }

    fn check_may_change_owners(&self) -> Result<(), OwnerError> {
        if self.link.queue().access.is_none() {
            return Err(OwnerError::NotWritable);
        }
        if self.is_owner() { Ok(()) } else { Err(OwnerError::NotAnOwner) }
    }

    fn change_owners(&mut self, owners: OwnerList, env: &mut Env<'_>) -> Result<(), OwnerError> {
        self.remember_confirmed();
        self.set_link(self.link.clone().with_owners(owners, env.random)?);
        self.sharing.look_again();
        Ok(())
    }
}
