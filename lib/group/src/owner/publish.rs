//! The group link: which relays it lists, when it is written, and what follows from that.

use agent::short_link::ContactShortLink;
use agent::time::Env;

use super::outgoing::{Owed, Say, owe};
use super::record::RelayRecord;
use super::stage::{Parting, Stage};
use super::status::InactiveReason;
use super::{Event, GroupOwner, OwnerError};
use crate::identity::MemberId;
use crate::message_id::MessageId;
use crate::profile::GroupProfile;
use crate::step::link_create::GroupContents;
use crate::text::shown;

/// The write that is under way.
#[derive(Debug, Clone)]
pub(super) struct Writing {
    pub(super) version: u64,
    pub(super) listed: Vec<MemberId>,
}

impl GroupOwner {
    /// Another profile or member count. The link is written first; then the relays are told of another profile.
    pub fn set_contents(
        &mut self,
        profile: GroupProfile,
        member_count: u64,
        env: &mut Env<'_>,
    ) -> Result<(), OwnerError> {
        self.check_not_over()?;
        let group_before = self.link.clone();
        let GroupContents { profile: before, relays: listed, transcript, .. } = self.link.group().contents().clone();
        // Relays that found no room before may find it now; if not, that is no reason to keep the old profile.
        let contents = GroupContents { profile, member_count, relays: self.links_to_list(&listed), transcript };
        self.update(contents.clone(), env)
            .or_else(|_| self.update(GroupContents { relays: listed, ..contents }, env))?;
        if !self.fits(Say::Profile, MessageId::random(env.random)) {
            self.set_link(group_before);
            return Err(OwnerError::ProfileTooLong);
        }
        self.headcount.set(member_count);
        if self.link.group().contents().profile != before {
            self.untold_profile = Some(self.link.group().written().version);
        }
        Ok(())
    }

    /// Lists relays that this state has no record of, and lists others no more; what else the link says stays.
    pub fn relist(
        &mut self,
        add: &[ContactShortLink],
        remove: &[ContactShortLink],
        env: &mut Env<'_>,
    ) -> Result<(), OwnerError> {
        let GroupContents { relays, .. } = self.link.group().contents().clone();
        let is_in = |list: &[ContactShortLink], link: &_| list.iter().any(|other| other.same_link(link));
        let stay: Vec<_> = relays.iter().filter(|link| !is_in(remove, link)).cloned().collect();
        let new = add.iter().filter(|link| !is_in(&stay, link)).cloned();
        let listed: Vec<_> = stay.iter().cloned().chain(new).collect();
        if listed == relays {
            return Ok(());
        }
        let contents = GroupContents { relays: listed, ..self.link.group().contents().clone() };
        self.update(contents, env)
    }

    /// Makes new link data if other relays are to be listed than it lists.
    pub(super) fn settle(&mut self, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let contents = self.link.group().contents().clone();
        let relays = self.links_to_list(&contents.relays);
        if relays == contents.relays || self.closing.is_some() {
            return;
        }
        if let Err(error) = self.update(GroupContents { relays, ..contents }, env) {
            events.push(Event::LinkNotWritten { reason: shown(&error.to_string()) });
        }
    }

    /// Links that no record knows were there before us, and stay.
    fn links_to_list(&self, listed: &[ContactShortLink]) -> Vec<ContactShortLink> {
        let known = |link: &ContactShortLink| self.relays.iter().any(|record| is_link_of(record, link));
        let unknown = listed.iter().filter(|link| !known(link));
        let is_complete = |record: &&RelayRecord| record.promised == 0;
        let ours = self.relays.iter().filter(is_complete).filter_map(|record| record.stage.publishable());
        unknown.chain(ours.map(|relay| relay.answer.relay_link.link())).cloned().collect()
    }

    /// The relays that the newest link data lists.
    pub(super) fn listed(&self) -> Vec<MemberId> {
        let listed = |record: &&RelayRecord| self.lists(record);
        self.relays.iter().filter(listed).map(|record| record.id.clone()).collect()
    }

    /// Whether the newest link data lists a relay, written or not.
    pub fn lists(&self, record: &RelayRecord) -> bool {
        self.link.group().contents().relays.iter().any(|link| is_link_of(record, link))
    }

    /// The server has link data. Nothing else makes a relay active.
    pub(super) fn written(
        &mut self,
        version: u64,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), OwnerError> {
        let writing = self.writing.take().filter(|writing| writing.version == version).ok_or(OwnerError::Task)?;
        self.confirmed = self.confirmed.max(version);
        events.push(Event::LinkWritten { version });
        self.follow_listing(&writing.listed, env, events);
        self.written_beside_others();
        Ok(())
    }

    /// The link that everybody reads lists these relays.
    pub(super) fn follow_listing(&mut self, listed: &[MemberId], env: &mut Env<'_>, events: &mut Vec<Event>) {
        let mut new = Vec::new();
        let mut gone = Vec::new();
        for record in &mut self.relays {
            let is_listed = listed.contains(&record.id);
            match (record.stage.listed(), &record.stage) {
                (Some(active), _) if is_listed => {
                    record.enter(active, env.now, events);
                    self.view.relay_connected(&record.id, env.now);
                    new.push(record.id.clone());
                }
                (_, Stage::Active(_) | Stage::Adopting(_)) if !is_listed => gone.push(record.id.clone()),
                _ => {}
            }
        }
        for relay in gone {
            self.end(&relay, InactiveReason::Unlisted, Parting::Done, env, events);
        }
        new.iter().for_each(|relay| self.announce(relay, env));
        self.tell_profile(env);
        self.tell_mark(env);
    }

    /// Tells the relay that it is listed, if it wants to know, and the other relays, if there is somebody to pass it on
    /// to.
    fn announce(&mut self, new: &MemberId, env: &mut Env<'_>) {
        let has_members = self.has_members();
        let (info, news) = (MessageId::random(env.random), MessageId::random(env.random));
        let can_say_profile = self.fits(Say::Profile, info.clone());
        for record in self.relays.iter_mut().filter(|record| record.is_connected()) {
            if record.id == *new && record.knows_ready() && can_say_profile {
                owe(&mut record.owed, info.clone(), Say::Profile);
            } else if record.id != *new && has_members {
                owe(&mut record.owed, news.clone(), Say::NewRelay(new.clone()));
            }
        }
    }

    fn tell_profile(&mut self, env: &mut Env<'_>) {
        if self.untold_profile.is_none_or(|version| version > self.confirmed) {
            return;
        }
        self.untold_profile = None;
        let id = MessageId::random(env.random);
        for record in self.relays.iter_mut().filter(|record| record.is_connected()) {
            owe(&mut record.owed, id.clone(), Say::Profile);
        }
    }

    /// Whether a message of ours can be said at all.
    pub(super) fn fits(&self, say: Say, id: MessageId) -> bool {
        self.bodies(&Owed { id, say }).is_ok()
    }
}

fn is_link_of(record: &RelayRecord, link: &ContactShortLink) -> bool {
    record.stage.relay().is_some_and(|relay| relay.answer.relay_link.link() == link)
}
