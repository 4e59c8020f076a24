//! What must hold at all times, and in the end. Judged by what everybody did and by what servers have, not by what the
//! owner's machine says of it.

use std::collections::{BTreeMap, BTreeSet};

use agent::link_read::RetrievedLinkData;
use agent::short_link::{ContactKind, ContactShortLink};
use codec::text::base64url;
use group::owner::{ActiveStage, RelayRecord, Status};
use group::relay::{ConnectionName, Rejection, ServiceId, Status as ServiceStatus};
use serde_json::Value;
use world::LinkWrite;

use crate::ledger::{Member, member};
use crate::lies::Lie;
use crate::relay::Standing;
use crate::stage::Stage;

/// What was judged already.
#[derive(Default)]
pub(crate) struct Judge {
    /// How many writes of link data at the group link's server.
    writes: usize,
    owner_turns: u64,
    relay_turns: Vec<u64>,
    statuses: BTreeMap<Member, Status>,
    standings: Vec<BTreeMap<ServiceId, Standing>>,
    /// Every relay link that the group link ever listed.
    pub(crate) listed: BTreeSet<String>,
}

impl Judge {
    /// Looks at whatever is new.
    pub(crate) fn look(&mut self, stage: &mut Stage) {
        if let Some(fault) = stage.ledger.take_fault() {
            stage.world.violate(fault);
        }
        self.look_at_writes(stage);
        let turns = stage.world.turns(stage.owner);
        if turns != self.owner_turns {
            self.owner_turns = turns;
            self.look_at_owner(stage);
        }
        self.relay_turns.resize(stage.relays.len(), 0);
        self.standings.resize(stage.relays.len(), BTreeMap::new());
        for number in 0..stage.relays.len() {
            let turns = stage.world.turns(stage.relays[number]);
            if turns != self.relay_turns[number] {
                self.relay_turns[number] = turns;
                self.look_at_relay(stage, number);
            }
        }
    }

    /// Nothing is ever published that did not pass every check.
    fn look_at_writes(&mut self, stage: &mut Stage) {
        let id = stage.group_link.derive().0;
        let writes = stage.hub().link_writes();
        if writes.len() == self.writes {
            return;
        }
        let new: Vec<LinkWrite> = writes[self.writes..].iter().filter(|write| write.link == id).cloned().collect();
        self.writes = writes.len();
        for write in new {
            let Some(read) = retrieved(&write).read(&stage.group_link).ok() else {
                return stage.world.violate("the group link is written so that nobody can read it");
            };
            let links = read.user().relays().to_vec();
            let texts: BTreeSet<String> = links.iter().map(ToString::to_string).collect();
            if texts.len() != links.len() {
                stage.world.violate("a relay is listed twice");
            }
            for link in links.iter().filter(|link| !self.listed.contains(&link.to_string())) {
                if let Err(reason) = passes(stage, link) {
                    stage.world.violate(format_args!("{link} is listed although {reason}"));
                }
            }
            self.listed.extend(texts);
        }
    }

    fn look_at_owner(&mut self, stage: &mut Stage) {
        let records: Vec<RelayRecord> = stage.world.application(stage.owner).owner().machine.relays().to_vec();
        for record in &records {
            let id = member(record.id());
            let history: Vec<Status> = record.history().iter().map(|change| change.status).collect();
            let legal = history.windows(2).all(|pair| pair[0] == pair[1] || follows(pair[0], pair[1]));
            if !legal || history.first() != Some(&Status::New) || history.last() != Some(&record.status()) {
                stage.world.violate(format_args!("the owner's record of {id} went through {history:?}"));
            }
            let before = self.statuses.insert(id.clone(), record.status()).unwrap_or(Status::New);
            if before.is_final() && before != record.status() {
                stage.world.violate(format_args!("{id} was {before} and is {}", record.status()));
            }
            if record.status() == Status::Active && !record.relay_link().is_some_and(|link| self.listed.contains(link))
            {
                stage.world.violate(format_args!("{id} is active, and no server was ever told to list it"));
            }
        }
    }

    fn look_at_relay(&mut self, stage: &mut Stage, number: usize) {
        let services = stage.world.application(stage.relays[number]).relay().services.clone();
        for (id, standing) in &services {
            let before = self.standings[number].get(id).map_or(ServiceStatus::Invited, |before| before.status.clone());
            if !service_follows(&before, &standing.status) {
                let after = &standing.status;
                stage.world.violate(format_args!("service {id} of relay {number} was {before} and is {after}"));
            }
        }
        if services != self.standings[number] {
            self.standings[number] = services;
            look_for_second_links(stage, number);
        }
    }

    /// Everybody had time enough: everything fits together, and nothing is left of what is over.
    pub(crate) fn look_at_end(&mut self, stage: &mut Stage) {
        let owner = stage.world.application(stage.owner).owner().clone();
        let records = owner.machine.relays();
        let active: Vec<&RelayRecord> = records.iter().filter(|record| record.status() == Status::Active).collect();
        let listed = listed_now(stage);
        let expected: Vec<String> = active.iter().filter_map(|record| record.relay_link().map(str::to_owned)).collect();
        let (mut sorted, mut wanted) = (listed.clone(), expected.clone());
        sorted.sort();
        wanted.sort();
        if sorted != wanted || !owner.machine.is_written() {
            stage.world.violate(format_args!("the link lists {listed:?}, the owner {expected:?}"));
        }
        for record in records {
            let number = owner.part.addresses.iter().position(|address| address == record.address()).unwrap();
            self.look_at_record(stage, record, number);
        }
        let living: BTreeSet<String> = records
            .iter()
            .filter(|record| !record.status().is_final())
            .map(|record| record.connection().to_string())
            .collect();
        let has: BTreeSet<String> = stage.world.names(stage.owner).into_iter().collect();
        if !has.is_subset(&living) {
            stage.world.violate(format_args!("the owner still has {:?}", has.difference(&living).collect::<Vec<_>>()));
        }
        for number in 0..stage.relays.len() {
            look_at_remains(stage, number, &expected);
        }
    }

    fn look_at_record(&self, stage: &mut Stage, record: &RelayRecord, number: usize) {
        let lie = stage.plan.relays[number].lie;
        let id = member(record.id());
        let (status, reason) = (record.status(), record.reason().map(|reason| reason.to_string()));
        match (status, reason) {
            (Status::Inactive | Status::Rejected, Some(_)) if record.is_over() => {
                stage.ledger.count(if status == Status::Inactive { "relays that ended" } else { "relays rejected" });
            }
            (Status::Active, None) => {
                stage.ledger.count("relays that serve the group");
                let stage_reached = record.active_stage();
                let knows = lie != Lie::Plain;
                if lie.is_honest()
                    && stage_reached != Some(if knows { ActiveStage::Confirmed } else { ActiveStage::Listed })
                {
                    stage.world.violate(format_args!("relay {number}, {id}, stays {stage_reached:?}"));
                }
                let service = self.standings[number].values().find(|service| service.member == id);
                let serves = |service: &Standing| {
                    service.status == ServiceStatus::Active
                        && service
                            .link
                            .as_ref()
                            .is_some_and(|link| Some(link.to_string().as_str()) == record.relay_link())
                };
                if lie.is_honest() && !service.is_some_and(serves) {
                    stage
                        .world
                        .violate(format_args!("relay {number}, {id}, is active, and its service is {service:?}"));
                }
            }
            (status, reason) if lie.is_honest() => {
                stage.world.violate(format_args!("relay {number}, {id}, stays {status}: {reason:?}, {record:?}"));
            }
            _ => stage.ledger.count("liars that nobody waits for"),
        }
    }
}

fn retrieved(write: &LinkWrite) -> RetrievedLinkData {
    RetrievedLinkData { sender_id: write.sender_id.clone(), data: write.data.as_ref().clone() }
}

/// What the group link lists.
pub(crate) fn listed_now(stage: &mut Stage) -> Vec<String> {
    let id = stage.group_link.derive().0;
    let sender_id = stage.hub().link_writes().iter().find(|write| write.link == id).unwrap().sender_id.clone();
    let data = stage.hub().link_data(&id).expect("the group link").clone();
    let read = RetrievedLinkData { sender_id, data }.read(&stage.group_link).expect("the group link");
    read.user().relays().iter().map(ToString::to_string).collect()
}

/// Every check that a relay link must pass before it is listed.
fn passes(stage: &mut Stage, link: &ContactShortLink) -> Result<(), String> {
    let text = link.to_string();
    let named_by = stage.ledger.note(|entries| {
        let naming = entries.answers.iter().filter(|(_, links)| links.contains(&text)).map(|(id, _)| id.clone());
        naming.collect::<Vec<Member>>()
    });
    let server = stage.server_of(link).ok_or("there is no such server")?;
    let id = link.derive().0;
    let writes = stage.world.server(server).link_writes();
    let writes: Vec<LinkWrite> = writes.iter().filter(|write| write.link == id).cloned().collect();
    let mut why = format!("nothing ever stood there, named by {named_by:?}");
    for write in &writes {
        match says_what_it_must(stage, link, write) {
            Ok(member) if !named_by.contains(&member) => why = "another relay named it".to_owned(),
            Ok(member) => return invited_and_willing(stage, &member),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

/// Whom the relay was invited as, if the link is one of such a relay.
fn says_what_it_must(stage: &Stage, link: &ContactShortLink, write: &LinkWrite) -> Result<Member, String> {
    if link.kind != ContactKind::Group {
        return Err("it is no link of a group".to_owned());
    }
    let read = retrieved(write).read(link).map_err(|error| error.to_string())?;
    if !read.user().direct() {
        return Err("it takes no requests".to_owned());
    }
    let group = stage.group.as_bytes();
    let tail = &read.fixed().tail;
    if tail.starts_with(b"gid1") && tail.get(5..37) != Some(group) {
        return Err("its fixed data names another group".to_owned());
    }
    let said: Value = serde_json::from_slice(read.user().payload().as_bytes()).map_err(|error| error.to_string())?;
    if said["relayProfile"]["displayName"].as_str().is_none_or(str::is_empty) {
        return Err("it does not say who it is".to_owned());
    }
    if said.get("groupId").is_some_and(|named| named.as_str() != Some(&base64url(group))) {
        return Err("its user data names another group".to_owned());
    }
    let member = read.fixed().entity_id.as_ref().map(|id| base64url(id.as_bytes()));
    member.ok_or_else(|| "it names no member".to_owned())
}

fn invited_and_willing(stage: &Stage, member: &Member) -> Result<(), String> {
    stage.ledger.note(|entries| {
        let Some(number) = entries.invited.get(member) else { return Err(format!("nobody was invited as {member}")) };
        let old = stage.plan.relays[*number].lie == Lie::Old;
        if !old && !entries.acknowledged.contains(member) {
            return Err(format!("{member} has no roster"));
        }
        Ok(())
    })
}

/// One invitation leads to one link, whatever happens in between.
fn look_for_second_links(stage: &mut Stage, number: usize) {
    let planned = stage.ledger.note(|entries| {
        let of_relay = entries.planned.iter().filter(|((relay, ..), links)| *relay == number && links.len() > 1);
        of_relay.map(|(key, links)| (key.2.clone(), links.clone())).collect::<Vec<_>>()
    });
    for (member, links) in planned {
        let named = stage.ledger.note(|entries| entries.answers.get(&member).cloned().unwrap_or_default());
        let used = links.iter().filter(|text| named.contains(*text) || was_made(stage, text)).count();
        if used > 1 {
            stage.world.violate(format_args!("relay {number} has two links for {member}"));
        }
    }
}

/// Whether a server was ever told to make this link.
fn was_made(stage: &mut Stage, text: &str) -> bool {
    let link: ContactShortLink = text.parse().unwrap();
    let id = link.derive().0;
    let server = stage.server_of(&link).unwrap();
    stage.world.server(server).link_writes().iter().any(|write| write.link == id)
}

/// Of services that are over nothing is left.
fn look_at_remains(stage: &mut Stage, number: usize, listed: &[String]) {
    let kept = stage.world.application(stage.relays[number]).relay().clone();
    let names = stage.world.names(stage.relays[number]);
    for (id, service) in &kept.services {
        let Some(link) = &service.link else { continue };
        let current = service.status.is_current();
        if current && !listed.contains(&link.to_string()) {
            stage.world.violate(format_args!("relay {number} still waits with service {id}: {service:?}"));
        }
        if current {
            continue;
        }
        let server = stage.server_of(link).unwrap();
        if stage.world.server(server).link_data(&link.derive().0).is_some() {
            stage.world.violate(format_args!("relay {number} has left the link of service {id} behind"));
        }
        let remains = |name: &&String| match name.parse() {
            Ok(ConnectionName::Owner(of, _) | ConnectionName::Link(of)) => of == *id,
            _ => false,
        };
        if let Some(name) = names.iter().find(remains) {
            stage.world.violate(format_args!("relay {number} still has {name}, and its service is {service:?}"));
        }
    }
    let unknown = |name: &&String| match name.parse() {
        Ok(ConnectionName::Owner(of, _) | ConnectionName::Link(of)) => !kept.services.contains_key(&of),
        Ok(ConnectionName::Test(_)) => true,
        _ => false,
    };
    if let Some(name) = names.iter().find(unknown) {
        stage.world.violate(format_args!("relay {number} still has {name} of a service that it has forgotten"));
    }
}

/// Every step of the owner's table of statuses.
fn follows(before: Status, after: Status) -> bool {
    let next: &[Status] = match before {
        Status::New => &[Status::Invited, Status::Inactive, Status::Rejected],
        Status::Invited => &[Status::Accepted, Status::Inactive, Status::Rejected],
        Status::Accepted => &[Status::Acknowledged, Status::Active, Status::Inactive, Status::Rejected],
        Status::Acknowledged => &[Status::Active, Status::Inactive],
        Status::Active => &[Status::Inactive],
        Status::Inactive | Status::Rejected => &[],
    };
    next.contains(&after)
}

/// Every step of a relay's table of statuses, and several of them when nobody looks between.
fn service_follows(before: &ServiceStatus, after: &ServiceStatus) -> bool {
    let rank = |status: &ServiceStatus| match status {
        ServiceStatus::Invited => 0,
        ServiceStatus::LinkCreated => 1,
        ServiceStatus::Accepted => 2,
        ServiceStatus::Acknowledged => 3,
        ServiceStatus::Active => 4,
        ServiceStatus::Rejected(_) => 5,
        ServiceStatus::Inactive(_) => 6,
    };
    let over = matches!(before, ServiceStatus::Inactive(_) | ServiceStatus::Rejected(Rejection::Refused(_)));
    before == after || (!over && rank(after) > rank(before))
}
