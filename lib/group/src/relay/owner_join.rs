//! Owners who did not invite the relay: the group link names them, and they come through the relay link as members do.
//!
//! | who asks | what is done |
//! |---|---|
//! | an owner that the group link names, signed with its key for this relay | it is let in, with everything that an owner may |
//! | somebody who says that it is an owner (`own1`), and is not known as one | the group link is read again, within bounds |
//! | an owner's name with another key, or without a right signature | gets no answer |
//! | anybody else, or a second connection for content | is the members' business |
//!
//! Such a connection is worth more than a repeated invitation, which anybody could have sent: it is the owner's for sure.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::time::{Env, Time};
use serde::{Deserialize, Serialize};

use super::event::Event as RelayEvent;
use super::journal::LogEvent;
use super::name::ServiceId;
use super::service::{Context, OwnerConnection, OwnerState, Service};
use super::state::Relay;
use super::status::Status;
use crate::body::ConnectionInfo;
use crate::bytes::unpadded;
use crate::element::AuthoredMessage;
use crate::event::{Event, Join};
use crate::extension::Extension;
use crate::identity::{MemberId, MemberPublicKey};

/// Those who wait for the group link to be read.
const MAX_ASKING: usize = 4;
/// How often strangers can make the relay read the group link.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Who wait for the group link to be read, because they say that it names them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Asking {
    waiting: Vec<Request>,
    /// When the relay looked last because of that, or will.
    #[serde(default, with = "super::record::moment_option", skip_serializing_if = "Option::is_none")]
    look: Option<Time>,
}

impl Asking {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.look.is_none()
    }
}

/// A request at the relay link.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Request {
    number: u64,
    #[serde(with = "unpadded")]
    info: Vec<u8>,
}

/// What a request is to the relay.
enum Claim {
    /// Somebody whom the group link names, with this key.
    Owner(Owner),
    /// Somebody who holds its key, and may be an owner by now.
    Unknown,
    /// Somebody who takes an owner's name, or proves nothing.
    Wrong,
}

/// An owner that holds its key and wants to be let in here.
struct Owner {
    id: MemberId,
    name: String,
    max_version: u16,
}

impl Relay {
    /// Somebody asks to join through a relay link. Nothing is returned for those who do not ask as owners: they are the
    /// members' business. The agent may tell of a request more than once.
    pub fn owner_requested(
        &mut self,
        service: ServiceId,
        request: u64,
        info: &[u8],
        env: &mut Env<'_>,
    ) -> Option<Vec<RelayEvent>> {
        let asks_as_owner = self.service(service)?.claim(info).is_some();
        if !asks_as_owner {
            return None;
        }
        self.with(service, env, |service, context| service.owner_requested(request, info, context));
        Some(self.told(env))
    }
}

impl Service {
    /// What a request is, if it is for us to decide.
    fn claim(&self, info: &[u8]) -> Option<Claim> {
        let group = self.group.as_ref().filter(|_| self.status.is_serving())?;
        let said = ConnectionInfo::parse(info).ok()?;
        let Event::Member(join) = said.event() else { return None };
        let known = group.owners.iter().find(|owner| owner.id == join.new_member_id);
        if join.purpose.is_some() || (known.is_none() && !join.ext.announce(&Extension::OwnerJoin)) {
            return None;
        }
        let is_listed = self.status == Status::Active;
        Some(match known {
            _ if !self.is_for_us(&said, join) => Claim::Wrong,
            Some(owner) if MemberPublicKey::from(owner.key) != join.new_member_key => Claim::Wrong,
            Some(owner) if is_listed && join.profile.check().is_ok() => Claim::Owner(Owner {
                id: owner.id.clone(),
                name: join.profile.display_name.clone(),
                max_version: said.authored().message().versions.max(),
            }),
            _ => Claim::Unknown,
        })
    }

    /// Whether whoever asks holds the key that it names, and says so to this relay.
    fn is_for_us(&self, said: &ConnectionInfo, join: &Join) -> bool {
        let (Some(group), AuthoredMessage::Signed(signed)) = (&self.group, said.authored()) else { return false };
        join.via_relay.as_ref() == Some(&self.invitation.relay_member_id)
            && signed.is_signed_by(&group.group_id, &join.new_member_id, &join.new_member_key)
    }

    fn owner_requested(&mut self, request: u64, info: &[u8], context: &mut Context<'_, '_>) {
        let through_link = |connection: &OwnerConnection| connection.through_link && connection.request == request;
        if self.owners.iter().any(through_link) || self.asking.waiting.iter().any(|asking| asking.number == request) {
            return;
        }
        match self.claim(info) {
            Some(Claim::Owner(owner)) => self.let_owner_in(owner, request, context),
            Some(Claim::Unknown) if self.asking.waiting.len() < MAX_ASKING => {
                self.asking.waiting.push(Request { number: request, info: info.to_vec() });
                self.look_for_owners(context.env.now);
            }
            _ => self.dismiss_owner(request, context),
        }
    }

    /// The group link is read soon, however many ask.
    fn look_for_owners(&mut self, now: Time) {
        let at = match self.asking.look {
            Some(planned) if planned > now => planned,
            Some(before) => before.after(LOOK_AGAIN).max(now),
            None => now,
        };
        self.asking.look = Some(at);
        if let Some(watch) = &mut self.watch {
            watch.next = watch.next.min(at);
        }
    }

    pub(super) fn dismiss_owner(&self, request: u64, context: &mut Context<'_, '_>) {
        context.out.events.push(RelayEvent::OwnerDismissed { service: self.id, request });
    }

    /// The group link was read: those who wait are owners, or are not.
    pub(super) fn judge_asking(&mut self, context: &mut Context<'_, '_>) {
        for Request { number, info } in std::mem::take(&mut self.asking.waiting) {
            match self.claim(&info) {
                Some(Claim::Owner(owner)) => self.let_owner_in(owner, number, context),
                _ => self.dismiss_owner(number, context),
            }
        }
    }

    /// What owners are called, as far as they said.
    pub(super) fn owner_names(&self) -> BTreeMap<MemberId, String> {
        let named = |connection: &OwnerConnection| Some((connection.owner.clone(), connection.name.clone()?));
        let mut names: BTreeMap<_, _> = self.owners.iter().filter_map(named).collect();
        names.insert(self.invitation.owner.clone(), self.invitation.owner_name.clone());
        names
    }

    /// Nothing of what is said in the group goes to those who are no owners any more.
    pub(super) fn drop_former_owners(&mut self, context: &mut Context<'_, '_>) {
        let Some(group) = &self.group else { return };
        let now = context.env.now;
        let former = |connection: &&mut OwnerConnection| !group.has_owner(&connection.owner);
        for connection in self.owners.iter_mut().filter(former) {
            connection.delete_at = Some(connection.delete_at.map_or(now, |at| at.min(now)));
        }
    }

    /// A connection of its own for an owner; the one that it had through the relay link before is replaced.
    fn let_owner_in(&mut self, owner: Owner, request: u64, context: &mut Context<'_, '_>) {
        let Owner { id, name, max_version } = owner;
        let now = context.env.now;
        for before in self.owners.iter_mut().filter(|before| before.through_link && before.owner == id) {
            before.delete_at = Some(before.delete_at.map_or(now, |at| at.min(now)));
        }
        let number = self.next_owner();
        self.owners.push(OwnerConnection {
            number,
            owner: id,
            request,
            early: false,
            through_link: true,
            name: Some(name),
            state: OwnerState::Asked,
            since: now,
            max_version,
            delete_at: None,
        });
        let connection = self.connection_name(number).to_string();
        self.log(LogEvent::Repeated { connection }, context);
        self.touch(context);
    }
}
