//! A membership as it stands in its document, and back.
//!
//! A document is outside data like any other: each status needs what belongs to it.

use std::collections::{BTreeMap, VecDeque};

use agent::time::Time;

use super::health::{Awaited, Waiting};
use super::link::LinkWatch;
use super::relay::{Connected, ContentLine, Handshake, KnownRelay, RelayNumber, RelayRecord, Stage, Unsent};
use super::status::Status;
use super::view::{KnownGroup, Me, Source, View, moment, seconds};
use super::{MAX_UNSENT, Membership};
use crate::document::{
    AwaitedDocument, DiscardedDocument, Inconsistent, LinkWatchDocument, MemberDocument, MemberKeysDocument,
    MemberRelayDocument, PersonaDocument, UnsentDocument, VerifiedOwnerDocument, require,
};
use crate::extension::Extension;
use crate::link_history::LinkHistory;
use crate::member::Role;
use crate::owner::{Persona, discarded};
use crate::step::link_verify::VerifiedOwner;

impl From<&Membership> for MemberDocument {
    fn from(membership: &Membership) -> Self {
        let Membership { view, persona, relays, next_relay, next_unsent, link, ended, connections, .. } = membership;
        let owners = view
            .group
            .owners
            .iter()
            .map(|owner| VerifiedOwnerDocument { owner_id: owner.id.clone(), owner_public_key: owner.key });
        MemberDocument {
            link: view.group.link.clone(),
            group_id: view.group.group_id,
            group_type: view.group.group_type.clone(),
            profile: view.group.profile.clone(),
            member_count: view.group.member_count,
            owners: owners.collect(),
            member: MemberKeysDocument {
                member_id: view.me.id.clone(),
                member_public_key: view.me.key.public(),
                member_private_key: view.me.key.clone(),
            },
            role: view.me.role.clone(),
            ended: *ended,
            persona: PersonaDocument::from(persona),
            relays: relays.iter().map(|record| relay_document(record, membership)).collect(),
            roster: view.roster.clone(),
            awaited: view.awaited.0.iter().map(|waiting| awaited_document(waiting, membership)).collect(),
            transcript: view.marks.clone(),
            link_watch: LinkWatchDocument { next_at: seconds(link.next), seen: link.seen.to_bytes() },
            next_relay: *next_relay,
            next_to_send: *next_unsent,
            connections: connections.clone(),
        }
    }
}

fn awaited_document(waiting: &Waiting, membership: &Membership) -> AwaitedDocument {
    let number = |id| membership.relay_with_id(id).map(|record| record.number.0);
    AwaitedDocument {
        message_id: waiting.message.clone(),
        first_at: seconds(waiting.since),
        relays: waiting.relays.iter().filter_map(number).collect(),
    }
}

fn relay_document(record: &RelayRecord, membership: &Membership) -> MemberRelayDocument {
    let known = record.known();
    let source = known.and_then(|relay| membership.view.sources.get(&relay.id));
    let connected = match &record.stage {
        Stage::Connected(_, connected) => Some(connected),
        _ => None,
    };
    MemberRelayDocument {
        number: record.number.0,
        link: record.link.clone(),
        status: record.status(),
        gone: record.why_gone().cloned(),
        relay_id: known.map(|relay| relay.id.clone()),
        public_key: known.map(|relay| relay.key),
        bound_by: known.map(|relay| relay.binding),
        profile: known.map(|relay| relay.profile.clone()),
        extensions: known.iter().flat_map(|relay| &relay.extensions).map(|known| known.name().to_owned()).collect(),
        versions: known.and_then(|relay| relay.versions),
        allowed: matches!(record.stage, Stage::Admitted(_, Handshake::Allowed)),
        connected_at: connected.map(|connected| seconds(connected.since)),
        content: connected.map(|connected| connected.content),
        may_pair: connected.is_some_and(|connected| connected.may_pair),
        spoke: connected.is_some_and(|connected| connected.spoke),
        problem: record.problem.clone(),
        health: source.map(|source| source.health.clone()),
        attempt: record.attempt,
        to_send: record.unsent.iter().map(UnsentDocument::from).collect(),
        to_delete: record.discarded.iter().map(DiscardedDocument::from).collect(),
        asked_roster: record.asked_roster,
        transfer: source.and_then(|source| source.transfer.clone()),
    }
}

impl From<&Unsent> for UnsentDocument {
    fn from(unsent: &Unsent) -> Self {
        UnsentDocument { number: unsent.number, message_id: unsent.message.clone(), body: unsent.body.clone() }
    }
}

impl From<UnsentDocument> for Unsent {
    fn from(document: UnsentDocument) -> Self {
        Unsent { number: document.number, message: document.message_id, body: document.body }
    }
}

impl TryFrom<MemberDocument> for Membership {
    type Error = Inconsistent;

    fn try_from(document: MemberDocument) -> Result<Self, Inconsistent> {
        let keys = document.member;
        let public = keys.member_private_key.public();
        require(keys.member_public_key == public, "member.member_public_key", "not that of the private key")?;
        let of_group = document.profile.public_group.as_ref().map(|public_group| public_group.public_group_id);
        require(of_group == Some(document.group_id), "profile.publicGroup", "does not name the group ID")?;
        let believable = !document.role.is_privileged() && document.role != Role::Relay;
        require(believable, "role", "a role that only owners give")?;
        let me = Me { id: keys.member_id, key: keys.member_private_key, role: document.role };
        let owners = document.owners.into_iter();
        let group = KnownGroup {
            link: document.link,
            group_id: document.group_id,
            group_type: document.group_type,
            owners: owners.map(|owner| VerifiedOwner { id: owner.owner_id, key: owner.owner_public_key }).collect(),
            profile: document.profile,
            member_count: document.member_count,
        };
        let mut view = View::new(me, group, Time::default());
        view.roster = document.roster;
        let mut relays: Vec<RelayRecord> = Vec::new();
        for relay in document.relays {
            let record = restored(relay, &mut view)?;
            let is_new = relays.iter().all(|other| other.number != record.number);
            let is_numbered = record.number.0 < document.next_relay && is_new;
            require(is_numbered, "relays.number", "used twice, or not below next_relay")?;
            let same_name = |other: &RelayRecord| {
                other.why_gone().is_none()
                    && record.why_gone().is_none()
                    && other.id() == record.id()
                    && other.id().is_some()
            };
            require(!relays.iter().any(same_name), "relays.relay_id", "used twice")?;
            relays.push(record);
        }
        view.awaited = awaited(document.awaited, &relays);
        view.marks = document.transcript;
        let seen = LinkHistory::from_bytes(&document.link_watch.seen);
        let seen = seen.ok_or(Inconsistent::new("link_watch.seen", "not a list of SHA-256 digests"))?;
        Ok(Membership {
            view,
            persona: Persona::try_from(document.persona)?,
            relays,
            next_relay: document.next_relay,
            next_unsent: document.next_to_send,
            link: LinkWatch::kept(moment(document.link_watch.next_at), seen),
            ended: document.ended,
            retries: BTreeMap::new(),
            goes_on: false,
            connections: document.connections,
        })
    }
}

fn awaited(documents: Vec<AwaitedDocument>, relays: &[RelayRecord]) -> Awaited {
    let mut awaited = Awaited::default();
    for AwaitedDocument { message_id, first_at, relays: numbers } in documents {
        let waits = |record: &&RelayRecord| numbers.contains(&record.number.0);
        let relays = relays.iter().filter(waits).filter_map(|record| record.id().cloned()).collect();
        awaited.wait(Waiting { message: message_id, since: moment(first_at), relays });
    }
    awaited
}

fn restored(document: MemberRelayDocument, view: &mut View) -> Result<RelayRecord, Inconsistent> {
    let known = known(&document);
    let missing = |field| Inconsistent::new(field, format!("missing in a relay that is {}", document.status));
    let needed = || known.clone().ok_or_else(|| missing("relays.relay_id"));
    let since = document.connected_at.map(moment);
    let stage = match document.status {
        Status::Listed => Stage::Listed(known.clone()),
        Status::Joining => Stage::Joining(needed()?),
        Status::Admitted if document.allowed => Stage::Admitted(needed()?, Handshake::Allowed),
        Status::Admitted => Stage::Admitted(needed()?, Handshake::Answered),
        Status::Connected => {
            let since = since.ok_or_else(|| missing("relays.connected_at"))?;
            let content = document.content.unwrap_or(ContentLine::Unwanted);
            Stage::Connected(
                needed()?,
                Connected { since, content, may_pair: document.may_pair, spoke: document.spoke },
            )
        }
        Status::Gone => {
            let why = document.gone.clone().ok_or_else(|| missing("relays.gone"))?;
            Stage::Gone(known.clone(), why)
        }
    };
    require(document.to_send.len() <= MAX_UNSENT, "relays.to_send", "more than may wait for a relay")?;
    let is_current = !matches!(stage, Stage::Gone(..));
    if let Some(relay) = &known {
        let (health, transfer) = (document.health.unwrap_or_default(), document.transfer);
        let source = Source { health, transfer, since: since.filter(|_| is_current) };
        view.restore_relay(&relay.id, Some(relay.key).filter(|_| is_current), source);
    }
    let unsent: VecDeque<Unsent> = document.to_send.into_iter().map(Unsent::from).collect();
    let to_delete: Result<Vec<_>, _> = document.to_delete.into_iter().map(discarded).collect();
    Ok(RelayRecord {
        number: RelayNumber(document.number),
        link: document.link,
        target: None,
        attempt: document.attempt,
        stage,
        unsent,
        discarded: to_delete?,
        problem: document.problem,
        asked_roster: document.asked_roster,
    })
}

/// A relay that passed every check, as the document says: who can write there has the member's key.
fn known(document: &MemberRelayDocument) -> Option<KnownRelay> {
    Some(KnownRelay {
        id: document.relay_id.clone()?,
        key: document.public_key?,
        profile: document.profile.clone()?,
        binding: document.bound_by?,
        extensions: document.extensions.iter().map(|name| Extension::from(name.as_str())).collect(),
        versions: document.versions,
    })
}
