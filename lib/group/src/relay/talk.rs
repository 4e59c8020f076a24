//! What owners say, and what the group link says: both decide how the relay stands with the group.
//!
//! | said, and signed by an owner | done |
//! |---|---|
//! | `x.grp.roster` and chunks | stored for those who join, and acknowledged while the relay is not active |
//! | `x.grp.info`, `x.grp.prefs` | the profile changes; with `ready1` the relay looks for itself in the group link |
//! | `x.grp.mem.role`, `x.grp.mem.del` | the roster changes |
//! | `x.info` | joiners are told the owner's new name |
//! | `x.grp.mem.del` of the relay, `x.grp.del` | passed on as the last word, and the service ends |
//! | `x.grp.relay.ctl`, with `susp1` | members are kept out or let in, and the owner is told |
//!
//! A signature says who wrote something, not when: a signed event that comes a second time is not followed again.

use agent::link_read::RetrievedLinkData;

use super::check::{ROLE, is_of_group, verify_group};
use super::event::Event as RelayEvent;
use super::journal::{AdmissionBy, LogEvent};
use super::roster::Progress;
use super::service::{Context, OwnerConnection, Service, capabilities};
use super::status::{Inactivity, Status};
use super::task::Outcome;
use crate::body::{Batch, single};
use crate::chunk::Chunk;
use crate::element::{AuthoredMessage, Element};
use crate::event::{
    Event, GroupPreferencesChange, MemberRemoval, RelayCapabilitiesChange, RelayCommand, RelayState, Signing,
};
use crate::extension::Extension;
use crate::identity::MemberId;
use crate::keys::Asserted;
use crate::link_history::Freshness;
use crate::message_id::MessageId;
use crate::profile::GroupProfile;
use crate::verification::{AcceptedMessage, Recipient};
use crate::{json, version};

/// How many signed messages are remembered.
const REMEMBERED: usize = 128;
/// How much of the digest of a message's name is kept.
const FINGERPRINT: usize = 16;

impl Service {
    /// A body came through the connection of an owner.
    pub(super) fn received(&mut self, number: u64, sent_at: i64, body: &[u8], context: &mut Context<'_, '_>) {
        let Some(owner) = self.owner(number).map(|connection| connection.owner.clone()) else { return };
        self.connected(number, context);
        if !self.status.is_serving() {
            return;
        }
        let batch = match Batch::parse(body) {
            Ok(batch) => batch,
            Err(error) => return self.ignore(None, error, context),
        };
        for element in batch {
            match element {
                Ok(Element::Message(authored)) => self.hear(number, &owner, authored, sent_at, context),
                Ok(Element::Chunk(chunk)) => self.chunk(number, &owner, &chunk, context),
                Ok(Element::Forward(_)) => self.ignore(None, "owners forward nothing to relays", context),
                Err(error) => self.ignore(None, error, context),
            }
        }
    }

    fn ignore(&mut self, what: Option<&str>, why: impl ToString, context: &mut Context<'_, '_>) {
        self.log(LogEvent::Ignored { what: what.map(str::to_owned), why: why.to_string() }, context);
    }

    /// Verifies a message and does what it says, unless the service ended with the element before.
    fn hear(
        &mut self,
        number: u64,
        owner: &MemberId,
        authored: AuthoredMessage,
        sent_at: i64,
        context: &mut Context<'_, '_>,
    ) {
        let Some(group) = self.group.as_ref().filter(|_| self.status.is_serving()) else { return };
        let name = authored.message().event.name().to_owned();
        let versions = authored.message().versions;
        let links = group.link_keys(&self.invitation.relay_member_id, &self.member_key);
        let author = links.author(owner, &self.rosters.applied, Asserted::default());
        let recipient = Recipient { group: group.group_id, role: ROLE };
        let accepted = match authored.verify(&author, &recipient) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.ignore(Some(&name), refusal, context),
        };
        if let Some(connection) = self.owner_mut(number) {
            connection.max_version = versions.max();
        }
        if accepted.event().signing() == Signing::Required && !accepted.is_word_of_owner() {
            return self.ignore(Some(&name), "not signed by an owner", context);
        }
        if !accepted.trust().is_verified() && !self.owner(number).is_some_and(OwnerConnection::is_of_owner) {
            return self.ignore(Some(&name), "unsigned, through a connection that anybody may have asked for", context);
        }
        if self.is_repeated(&accepted) {
            return self.ignore(Some(&name), "said before", context);
        }
        self.log(LogEvent::Said { what: name }, context);
        self.follow(number, owner, &accepted, sent_at, context);
    }

    /// Whether a signed message came before; remembers it otherwise. Rosters have versions of their own, and come again.
    fn is_repeated(&mut self, accepted: &AcceptedMessage) -> bool {
        let (Some(id), true) = (&accepted.message().id, accepted.trust().is_verified()) else { return false };
        if matches!(accepted.event(), Event::GroupRoster(_)) {
            return false;
        }
        let fingerprint = fingerprint(id);
        if self.seen.chunks(FINGERPRINT).any(|seen| seen == fingerprint) {
            return true;
        }
        self.seen.extend(fingerprint);
        let surplus = self.seen.len().saturating_sub(REMEMBERED.saturating_mul(FINGERPRINT));
        self.seen.drain(..surplus);
        false
    }

    fn follow(
        &mut self,
        number: u64,
        owner: &MemberId,
        accepted: &AcceptedMessage,
        sent_at: i64,
        context: &mut Context<'_, '_>,
    ) {
        match accepted.event() {
            Event::GroupRoster(_) => {
                let progress = self.rosters.begin(owner, accepted);
                self.roster_progress(number, progress, context);
            }
            Event::GroupRelayControl(control) => self.control(number, &control.command, context),
            Event::GroupMemberDelete(MemberRemoval { member_id, .. })
                if *member_id == self.invitation.relay_member_id =>
            {
                self.removed(Inactivity::Removed, accepted, sent_at, context);
            }
            Event::GroupDelete => self.removed(Inactivity::GroupDeleted, accepted, sent_at, context),
            Event::GroupInfo(info) => {
                if self.change_profile(info.group_profile.clone(), context) {
                    self.notified(number, context);
                    self.tell_capabilities(number, context);
                    self.pass_on(accepted, sent_at, context);
                }
            }
            Event::Info(info) => {
                if info.profile.check().is_ok() && *owner == self.invitation.owner {
                    self.invitation.rename_owner(&info.profile);
                }
                self.pass_on(accepted, sent_at, context);
            }
            Event::GroupPreferences(GroupPreferencesChange { group_preferences }) => {
                if let Some(group) = &mut self.group {
                    group.profile.group_preferences = Some(group_preferences.clone());
                }
                self.pass_on(accepted, sent_at, context);
            }
            Event::GroupMemberRole(_) | Event::GroupMemberDelete(_) => {
                self.apply_to_roster(accepted, context);
                self.pass_on(accepted, sent_at, context);
            }
            _ => self.pass_on(accepted, sent_at, context),
        }
    }

    fn pass_on(&self, accepted: &AcceptedMessage, sent_at: i64, context: &mut Context<'_, '_>) {
        if accepted.event().is_forwarded() {
            let message = Box::new(accepted.clone());
            context.out.events.push(RelayEvent::ToForward { service: self.id, message, sent_at });
        }
    }

    fn apply_to_roster(&mut self, accepted: &AcceptedMessage, context: &mut Context<'_, '_>) {
        let Some(group) = &self.group else { return };
        let links = group.link_keys(&self.invitation.relay_member_id, &self.member_key);
        self.rosters.applied.apply(accepted, &links);
        self.touch_roster(context);
        context.out.events.push(RelayEvent::RosterChanged(self.id));
    }

    /// The last word of an owner goes to all members.
    fn removed(&mut self, why: Inactivity, word: &AcceptedMessage, sent_at: i64, context: &mut Context<'_, '_>) {
        let forward = word.to_forward(&self.invitation.owner_name, sent_at);
        let body = forward.and_then(|forward| single(Element::Forward(forward)).ok());
        self.deactivate(why, context);
        self.farewell = body;
    }

    /// Whether the profile is one of this group; what it says is kept.
    fn change_profile(&mut self, profile: GroupProfile, context: &mut Context<'_, '_>) -> bool {
        let Some(group) = &mut self.group else { return false };
        let link = &self.invitation.group_link;
        let public_group = profile.public_group.as_ref();
        let same_link = public_group
            .and_then(|public_group| public_group.group_link.parse().ok())
            .is_some_and(|named: agent::short_link::ContactShortLink| named.same_link(link));
        let image = profile.image.as_ref().map_or(0, String::len);
        let fits = json::to_vec(&profile).len() <= context.settings.max_profile && image <= context.settings.max_image;
        let why = match profile.check() {
            _ if !is_of_group(public_group, group) => "the profile is of another group".to_owned(),
            _ if !same_link => "the profile names another group link".to_owned(),
            _ if !fits => "the profile is too long".to_owned(),
            Err(fault) => fault.to_string(),
            Ok(()) => {
                group.profile = profile;
                return true;
            }
        };
        self.ignore(Some("x.grp.info"), why, context);
        false
    }

    /// An owner says that it wrote the group link.
    fn notified(&mut self, number: u64, context: &mut Context<'_, '_>) {
        if !self.invitation.announces(&Extension::RelayReady) {
            return;
        }
        self.notified = Some(number);
        if let Some(watch) = &mut self.watch {
            watch.next = context.env.now;
        }
    }

    fn tell_capabilities(&mut self, number: u64, context: &mut Context<'_, '_>) {
        let understands =
            self.owner(number).is_some_and(|connection| connection.max_version >= version::RELAY_CAPABILITIES);
        if understands && self.told_web_domain != context.settings.web_domain {
            self.told_web_domain = context.settings.web_domain.clone();
            let relay_cap = capabilities(context.settings);
            self.tell(number, Event::GroupRelayCapabilities(RelayCapabilitiesChange { relay_cap }), context);
        }
    }

    fn control(&mut self, number: u64, command: &RelayCommand, context: &mut Context<'_, '_>) {
        if !self.invitation.announces(&Extension::Suspension) {
            return self.ignore(Some("x.grp.relay.ctl"), "the owner did not announce it", context);
        }
        match command {
            RelayCommand::Suspend => self.admit(AdmissionBy::Owner, true, context),
            RelayCommand::Resume => self.admit(AdmissionBy::Owner, false, context),
            RelayCommand::Status => {}
            RelayCommand::Other(_) => return self.ignore(Some("x.grp.relay.ctl"), "unknown command", context),
        }
        let accepting = self.is_accepting(context.settings);
        self.tell(number, Event::GroupRelayState(RelayState { accepting }), context);
    }

    fn chunk(&mut self, number: u64, owner: &MemberId, chunk: &Chunk, context: &mut Context<'_, '_>) {
        let Some(group) = self.group.as_ref().filter(|_| self.status.is_serving()) else { return };
        let links = group.link_keys(&self.invitation.relay_member_id, &self.member_key);
        let progress = self.rosters.chunk(owner, chunk, &links);
        self.roster_progress(number, progress, context);
    }

    /// Owners wait for an acknowledgement only before they publish the relay.
    fn roster_progress(&mut self, number: u64, progress: Progress, context: &mut Context<'_, '_>) {
        self.touch_roster(context);
        match &progress {
            Progress::Waiting => {}
            Progress::Stored(version) => {
                context.out.events.push(RelayEvent::RosterChanged(self.id));
                self.log(LogEvent::Roster { version: *version, error: None }, context);
            }
            Progress::Refused(version, error) => {
                self.log(LogEvent::Roster { version: *version, error: Some(error.to_string()) }, context);
            }
            Progress::Ignored(error) => self.ignore(Some("x.grp.roster"), error, context),
        }
        let awaited = matches!(self.status, Status::Accepted | Status::Acknowledged);
        if let Some(answer) = progress.answer().filter(|_| awaited) {
            let stored = answer.error.is_none();
            self.tell(number, Event::GroupRosterAcknowledgement(answer), context);
            if stored && self.status == Status::Accepted {
                self.advance(Status::Acknowledged, context);
            }
        }
    }

    /// The group link was looked at.
    pub(super) fn link_checked(&mut self, outcome: Outcome, context: &mut Context<'_, '_>) {
        let interval = context.settings.check_interval;
        let Some(watch) = self.watch.as_mut().filter(|_| self.status.is_serving()) else { return };
        match outcome {
            Outcome::LinkData(data) => self.link_seen(&data, context),
            Outcome::NoLink => {
                let missing = watch.missing(context.env.now);
                watch.failed(interval, context.env.now);
                if missing >= context.settings.missing_patience {
                    self.deactivate(Inactivity::LinkGone, context);
                } else {
                    self.log(LogEvent::Failed { what: "check".to_owned(), why: "no such link".to_owned() }, context);
                }
            }
            Outcome::Failed(why) => {
                watch.failed(interval, context.env.now);
                self.log(LogEvent::Failed { what: "check".to_owned(), why }, context);
            }
            Outcome::Unreachable | Outcome::Done | Outcome::Verdict(_) => watch.failed(interval, context.env.now),
        }
    }

    /// Only data that is believed and is no replay says anything about the relay.
    fn link_seen(&mut self, data: &RetrievedLinkData, context: &mut Context<'_, '_>) {
        let interval = context.settings.check_interval;
        let (Some(watch), Some(group), Some(own)) = (&mut self.watch, &mut self.group, &self.link) else { return };
        let verified = match verify_group(&self.invitation.group_link, data.clone()) {
            Ok(verified) => verified,
            Err(refusal) => {
                watch.failed(interval, context.env.now);
                return self.log(LogEvent::Failed { what: "check".to_owned(), why: refusal.detail }, context);
            }
        };
        if watch.freshness(data, &verified) == Freshness::Replayed {
            watch.failed(interval, context.env.now);
            return self.log(LogEvent::Replayed, context);
        }
        let listed = verified.relay_links().iter().any(|link| link.same_link(&own.link));
        let changed = watch.believed(data, &verified);
        *group = (&verified).into();
        self.drop_former_owners(context);
        let Some(watch) = &mut self.watch else { return };
        match listed || self.notified.is_none() {
            true => watch.later(interval, context.env),
            false => watch.soon(context.env.now),
        }
        if changed {
            self.log(LogEvent::Checked { listed }, context);
        }
        match (&self.status, listed) {
            (Status::Accepted | Status::Acknowledged, true) => {
                self.advance(Status::Active, context);
            }
            (Status::Active, false) => return self.deactivate(Inactivity::Absent, context),
            _ => {}
        }
        self.judge_asking(context);
        if listed && let Some(number) = self.notified.take() {
            self.confirmed = true;
            self.tell(number, Event::GroupRelayReady, context);
        }
    }
}

fn fingerprint(id: &MessageId) -> [u8; FINGERPRINT] {
    let mut digest = crypto::hash::sha256(id.as_bytes()).into_iter();
    std::array::from_fn(|_| digest.next().unwrap_or_default())
}
