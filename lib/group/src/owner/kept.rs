//! The owner's state as it stands in the group document, and back.
//!
//! A document is outside data like any other: each status needs what belongs to it.

use agent::connection::Delivery;
use agent::short_link::ContactKind;
use crypto::sign::Ed25519PublicKey;
use smp::address::ServerWithPassword;
use smp::command::BasicAuth;

use super::administer::Closing;
use super::admission::{AdmittedRelay, Answer, RelayLink};
use super::adopt::{Adopting, Step};
use super::headcount::Headcount;
use super::history::MAX_PAST_POSTS;
use super::outgoing::{Owed, Say};
use super::persona::Persona;
use super::record::{ConnectionName, RelayRecord};
use super::sharing::Sharing;
use super::stage::{Accepted, Acknowledged, Active, Ended, Handshake, Invited, New, Parting, Stage};
use super::status::{InactiveReason, RejectedReason, Status};
use super::{GroupOwner, MAX_RELAYS};
use crate::document::{
    AwaitedByOwnerDocument, ConnectionRecords, DiscardedDocument, HandshakeDocument, HeadcountDocument, Inconsistent,
    OwedDocument, PartingDocument, PersonaDocument, ReasonCode, RelayIdDocument, RelayRecordDocument, ServerPassword,
    require,
};
use crate::event::{RejectionReason, RelayCapabilities, RelayCommand, RosterRequest};
use crate::extension::Extension;
use crate::membership::{Health, Source, View, Waiting, moment, seconds};
use crate::roster::Roster;
use crate::step::link_create::GroupLink;
use crate::step::link_verify::VerifiedRelay;

const FIELD: &str = "relay_records";
const ROSTER: &str = "x.grp.roster";
const PROFILE: &str = "x.grp.info";
const NEW_RELAY: &str = "x.grp.relay.new";
const REMOVED: &str = "x.grp.mem.del";
const CONTROL: &str = "x.grp.relay.ctl";
const ROSTER_REQUEST: &str = "x.grp.roster.request";
const CONTENT: &str = "x.msg";

/// What a document holds of an owner beside the link.
pub(crate) struct Kept {
    pub(crate) confirmed: Option<u64>,
    pub(crate) untold_profile: Option<u64>,
    pub(crate) persona: Option<PersonaDocument>,
    pub(crate) roster: Roster,
    pub(crate) relays: Vec<RelayRecordDocument>,
    pub(crate) awaited: Vec<AwaitedByOwnerDocument>,
    pub(crate) headcount: Option<HeadcountDocument>,
    pub(crate) connections: ConnectionRecords,
    /// User data of the link that other owners may have made theirs from.
    pub(crate) known: Vec<Vec<u8>>,
    pub(crate) queue_keys: Vec<Ed25519PublicKey>,
    pub(crate) closing: Option<Closing>,
}

impl From<&GroupOwner> for Kept {
    fn from(owner: &GroupOwner) -> Self {
        let (known, queue_keys) = owner.sharing.to_keep();
        Kept {
            known,
            queue_keys,
            confirmed: (!owner.is_written()).then_some(owner.confirmed),
            untold_profile: owner.untold_profile,
            persona: owner.persona.as_ref().map(PersonaDocument::from),
            roster: owner.roster().clone(),
            relays: owner.relays.iter().map(|record| relay_document(record, &owner.view)).collect(),
            awaited: owner.view.awaited.0.iter().map(AwaitedByOwnerDocument::from).collect(),
            headcount: headcount_document(owner),
            connections: owner.connections.clone(),
            closing: owner.closing,
        }
    }
}

impl Kept {
    pub(crate) fn restore(self, link: GroupLink) -> Result<GroupOwner, Inconsistent> {
        let version = link.group().written().version;
        let heard = self.relays.iter().map(|document| (document.health.clone(), document.transfer.clone()));
        let heard: Vec<_> = heard.collect();
        let relays: Result<Vec<RelayRecord>, _> = self.relays.into_iter().map(RelayRecord::try_from).collect();
        let relays = relays?;
        let distinct = relays
            .iter()
            .enumerate()
            .all(|(index, record)| relays.iter().take(index).all(|before| before.id != record.id));
        require(distinct, FIELD, "two relays have the same relay_id")?;
        let live = relays.iter().filter(|record| !record.status().is_final()).count();
        require(live <= MAX_RELAYS, FIELD, "more relays than a link can list")?;
        let persona = self.persona.map(Persona::try_from).transpose()?;
        require(persona.is_some() || live == 0, "persona", "missing in a group with relays")?;
        let confirmed = self.confirmed.unwrap_or(version);
        require(confirmed <= version, "link_data.confirmed", "more than link_data.version")?;
        let mut owner = GroupOwner::from(link);
        owner.view.roster = self.roster;
        for (record, (health, transfer)) in relays.iter().zip(heard) {
            let since = record.active_since().map(moment);
            let source = Source { health: health.unwrap_or_default(), transfer, since };
            let key = record.key().filter(|_| !record.status().is_final());
            owner.view.restore_relay(&record.id, key, source);
        }
        for waiting in self.awaited {
            owner.view.awaited.wait(waiting.into());
        }
        if let Some(headcount) = self.headcount {
            owner.headcount = headcount.into();
        }
        let (untold_profile, connections, closing) = (self.untold_profile, self.connections, self.closing);
        require(closing.is_none() || live == 0, FIELD, "a relay serves a group that was ended")?;
        let sharing = Sharing::restore(owner.link(), self.known, self.queue_keys)?;
        Ok(GroupOwner { confirmed, persona, relays, untold_profile, connections, closing, sharing, ..owner })
    }
}

impl From<&Persona> for PersonaDocument {
    fn from(persona: &Persona) -> Self {
        PersonaDocument {
            profile: persona.profile.clone(),
            server: persona.server.address.clone(),
            server_password: persona.server.password.as_ref().map(ServerPassword::from),
            known: persona.known,
        }
    }
}

impl TryFrom<PersonaDocument> for Persona {
    type Error = Inconsistent;

    fn try_from(document: PersonaDocument) -> Result<Self, Inconsistent> {
        document.profile.check().map_err(|fault| Inconsistent::new("persona.profile", fault))?;
        let password = document.server_password.map(|password| password.parse("persona.server_password"));
        let server = ServerWithPassword { address: document.server, password: password.transpose()? };
        Ok(Persona { profile: document.profile, server, known: document.known })
    }
}

impl From<&BasicAuth> for ServerPassword {
    fn from(password: &BasicAuth) -> Self {
        ServerPassword::new(password.expose())
    }
}

/// A relay, and what is known of how it delivers.
fn relay_document(record: &RelayRecord, view: &View) -> RelayRecordDocument {
    let source = view.sources.get(&record.id).cloned().unwrap_or_default();
    let health = Some(source.health).filter(|health| *health != Health::default());
    RelayRecordDocument { health, transfer: source.transfer, ..RelayRecordDocument::from(record) }
}

/// Nothing if nobody has counted.
fn headcount_document(owner: &GroupOwner) -> Option<HeadcountDocument> {
    let Headcount { unheard, present, published, published_at } = owner.headcount;
    let counted = owner.headcount != Headcount::of(owner.link.group().contents().member_count);
    counted.then(|| HeadcountDocument { unheard, present, published, published_at: published_at.map(seconds) })
}

impl From<HeadcountDocument> for Headcount {
    fn from(document: HeadcountDocument) -> Self {
        let HeadcountDocument { unheard, present, published, published_at } = document;
        Headcount { unheard, present, published, published_at: published_at.map(moment) }
    }
}

impl From<&Waiting> for AwaitedByOwnerDocument {
    fn from(waiting: &Waiting) -> Self {
        AwaitedByOwnerDocument {
            message_id: waiting.message.clone(),
            first_at: seconds(waiting.since),
            relays: waiting.relays.iter().cloned().map(RelayIdDocument).collect(),
        }
    }
}

impl From<AwaitedByOwnerDocument> for Waiting {
    fn from(document: AwaitedByOwnerDocument) -> Self {
        let relays = document.relays.into_iter().map(|RelayIdDocument(relay)| relay).collect();
        Waiting { message: document.message_id, since: moment(document.first_at), relays }
    }
}

impl From<&RelayRecord> for RelayRecordDocument {
    fn from(record: &RelayRecord) -> Self {
        let relay = record.stage.relay();
        let answer = relay.map(|relay| &relay.answer).or(match &record.stage {
            Stage::Invited(invited) => invited.answer.as_ref(),
            _ => None,
        });
        let capabilities = answer.map(|answer| answer.capabilities.clone()).unwrap_or_default();
        let (reason, reason_detail) = reason(&record.stage).unzip();
        RelayRecordDocument {
            relay_id: record.id.clone(),
            address: record.address.clone(),
            status: record.status(),
            stage: record.active_stage(),
            reason,
            reason_detail: reason_detail.flatten(),
            problem: record.problem.clone(),
            relay_link: answer.map(|answer| answer.relay_link.text().to_owned()),
            public_key: relay.map(|relay| relay.relay.key),
            bound_by: relay.map(|relay| relay.relay.binding),
            profile: record.profile.clone(),
            versions: answer.map(|answer| answer.versions),
            web_domain: capabilities.web_domain,
            extensions: capabilities.ext.0.iter().map(|extension| extension.name().to_owned()).collect(),
            roster_version: match &record.stage {
                Stage::Acknowledged(acknowledged) => Some(acknowledged.roster),
                Stage::Active(active) => active.roster,
                _ => None,
            },
            accepting: record.accepting,
            connection: record.connection().as_str().to_owned(),
            handshake: match &record.stage {
                Stage::Accepted(accepted) => Some(accepted.handshake.into()),
                Stage::Adopting(adopting) => adopting.handshake().map(HandshakeDocument::from),
                _ => None,
            },
            attempt: record.attempt,
            ask_again: matches!(&record.stage, Stage::Invited(Invited { again: Some(_), .. })),
            to_say: record.owed.iter().map(OwedDocument::from).collect(),
            parting: match record.stage.parting() {
                Some(Parting::Allow) => Some(PartingDocument::Allow),
                Some(Parting::Say) => Some(PartingDocument::Say),
                Some(Parting::Done) | None => None,
            },
            to_delete: record.discarded.iter().map(DiscardedDocument::from).collect(),
            history: record.history.clone(),
            health: None,
            transfer: None,
            asked_roster: record.asked_roster,
            posts_to_give: record.promised,
        }
    }
}

impl TryFrom<RelayRecordDocument> for RelayRecord {
    type Error = Inconsistent;

    fn try_from(document: RelayRecordDocument) -> Result<Self, Inconsistent> {
        let stage = stage(&document)?;
        let owed: Result<Vec<Owed>, _> = document.to_say.into_iter().map(Owed::try_from).collect();
        let discarded: Result<Vec<_>, _> = document.to_delete.into_iter().map(discarded).collect();
        let record = RelayRecord {
            id: document.relay_id,
            address: document.address,
            attempt: document.attempt,
            profile: document.profile,
            stage,
            owed: owed?,
            discarded: discarded?,
            problem: document.problem,
            accepting: document.accepting,
            asked_roster: document.asked_roster,
            promised: document.posts_to_give.min(MAX_PAST_POSTS),
            history: document.history,
        };
        let named = record.connection().as_str() == document.connection;
        require(named, "relay_records.connection", "not the connection of this relay and attempt")?;
        // What is owed to a relay of another owner waits until that is in reach again.
        let talks = record.is_connected()
            || matches!(record.stage, Stage::Adopting(_))
            || record.stage.parting() == Some(Parting::Say);
        let has_something = record.stage.parting() != Some(Parting::Say) || !record.owed.is_empty();
        require(has_something, "relay_records.parting", "there is nothing to say")?;
        require(talks || record.owed.is_empty(), "relay_records.to_say", "there is no connection to say it through")?;
        Ok(record)
    }
}

fn stage(document: &RelayRecordDocument) -> Result<Stage, Inconsistent> {
    let missing = |field| Inconsistent::new(field, format!("missing in a relay that is {}", document.status));
    let answer = answer(document)?;
    let relay = answer.clone().and_then(|answer| admitted(document, answer));
    let accepted = || relay.clone().ok_or_else(|| missing("relay_records.public_key"));
    if document.address.kind == ContactKind::Group
        && let Some(step) = Step::of(document.status, document.handshake.map(Handshake::from))
    {
        return Ok(Stage::Adopting(Adopting { relay: accepted()?, target: None, step }));
    }
    Ok(match document.status {
        Status::New => Stage::New(New::default()),
        Status::Invited => {
            require(!document.ask_again || answer.is_none(), "relay_records.ask_again", "the relay answered")?;
            Stage::Invited(Invited { answer, again: document.ask_again.then(New::default) })
        }
        Status::Accepted => {
            let handshake = document.handshake.ok_or_else(|| missing("relay_records.handshake"))?;
            Stage::Accepted(Accepted { relay: accepted()?, handshake: handshake.into() })
        }
        Status::Acknowledged => {
            let roster = document.roster_version.ok_or_else(|| missing("relay_records.roster_version"))?;
            Stage::Acknowledged(Acknowledged { relay: accepted()?, roster })
        }
        Status::Active => {
            let stage = document.stage.ok_or_else(|| missing("relay_records.stage"))?;
            Stage::Active(Active { relay: accepted()?, roster: document.roster_version, stage })
        }
        Status::Inactive => {
            let reason = inactive(document).ok_or_else(|| missing("relay_records.reason"))?;
            Stage::Inactive(Ended { reason, relay, parting: parting(document) })
        }
        Status::Rejected => {
            let reason = rejected(document).ok_or_else(|| missing("relay_records.reason"))?;
            Stage::Rejected(Ended { reason, relay, parting: parting(document) })
        }
    })
}

fn answer(document: &RelayRecordDocument) -> Result<Option<Answer>, Inconsistent> {
    let Some(text) = document.relay_link.clone() else { return Ok(None) };
    let relay_link = RelayLink::new(text).map_err(|fault| Inconsistent::new("relay_records.relay_link", fault))?;
    let versions = document.versions.ok_or(Inconsistent::new("relay_records.versions", "missing beside relay_link"))?;
    let ext = document.extensions.iter().map(|name| Extension::from(name.as_str())).collect();
    let capabilities = RelayCapabilities { web_domain: document.web_domain.clone(), ext };
    Ok(Some(Answer { relay_link, capabilities, versions }))
}

/// A relay that passed every check, as the document says: who can write there has the keys of the group.
fn admitted(document: &RelayRecordDocument, answer: Answer) -> Option<AdmittedRelay> {
    let relay = VerifiedRelay {
        link: answer.relay_link.link().clone(),
        member_id: document.relay_id.clone(),
        key: document.public_key?,
        profile: document.profile.clone()?,
        binding: document.bound_by?,
    };
    Some(AdmittedRelay { relay, answer })
}

fn parting(document: &RelayRecordDocument) -> Parting {
    match document.parting {
        Some(PartingDocument::Allow) => Parting::Allow,
        Some(PartingDocument::Say) => Parting::Say,
        None => Parting::Done,
    }
}

fn reason(stage: &Stage) -> Option<(ReasonCode, Option<String>)> {
    let rejected = |reason: &RejectedReason| match reason {
        RejectedReason::Refused(reason) => (ReasonCode::Refused, Some(reason.name().to_owned())),
        RejectedReason::Address(detail) => (ReasonCode::Address, Some(detail.clone())),
        RejectedReason::Answer(detail) => (ReasonCode::Answer, Some(detail.clone())),
        RejectedReason::RelayLink(detail) => (ReasonCode::RelayLink, Some(detail.clone())),
        RejectedReason::Roster(detail) => (ReasonCode::Roster, Some(detail.clone())),
    };
    match stage {
        Stage::Inactive(ended) => Some((ended.reason.into(), None)),
        Stage::Rejected(ended) => Some(rejected(&ended.reason)),
        _ => None,
    }
}

impl RelayRecord {
    /// The word for why it is inactive or rejected.
    pub fn reason_code(&self) -> Option<ReasonCode> {
        reason(&self.stage).map(|(code, _)| code)
    }
}

impl From<InactiveReason> for ReasonCode {
    fn from(reason: InactiveReason) -> Self {
        match reason {
            InactiveReason::Cancelled => ReasonCode::Cancelled,
            InactiveReason::Removed => ReasonCode::Removed,
            InactiveReason::RemovedUnnotified => ReasonCode::RemovedUnnotified,
            InactiveReason::Left => ReasonCode::Left,
            InactiveReason::Unlisted => ReasonCode::Unlisted,
            InactiveReason::GroupDeleted => ReasonCode::GroupDeleted,
            InactiveReason::ConnectionLost => ReasonCode::ConnectionLost,
        }
    }
}

fn inactive(document: &RelayRecordDocument) -> Option<InactiveReason> {
    match document.reason? {
        ReasonCode::Cancelled => Some(InactiveReason::Cancelled),
        ReasonCode::Removed => Some(InactiveReason::Removed),
        ReasonCode::RemovedUnnotified => Some(InactiveReason::RemovedUnnotified),
        ReasonCode::Left => Some(InactiveReason::Left),
        ReasonCode::Unlisted => Some(InactiveReason::Unlisted),
        ReasonCode::GroupDeleted => Some(InactiveReason::GroupDeleted),
        ReasonCode::ConnectionLost => Some(InactiveReason::ConnectionLost),
        _ => None,
    }
}

fn rejected(document: &RelayRecordDocument) -> Option<RejectedReason> {
    let detail = document.reason_detail.clone()?;
    match document.reason? {
        ReasonCode::Refused => Some(RejectedReason::Refused(RejectionReason::from(detail))),
        ReasonCode::Address => Some(RejectedReason::Address(detail)),
        ReasonCode::Answer => Some(RejectedReason::Answer(detail)),
        ReasonCode::RelayLink => Some(RejectedReason::RelayLink(detail)),
        ReasonCode::Roster => Some(RejectedReason::Roster(detail)),
        _ => None,
    }
}

impl From<Handshake> for HandshakeDocument {
    fn from(handshake: Handshake) -> Self {
        match handshake {
            Handshake::Answered => HandshakeDocument::Answered,
            Handshake::Allowed => HandshakeDocument::Allowed,
            Handshake::Connected => HandshakeDocument::Connected,
        }
    }
}

impl From<HandshakeDocument> for Handshake {
    fn from(handshake: HandshakeDocument) -> Self {
        match handshake {
            HandshakeDocument::Answered => Handshake::Answered,
            HandshakeDocument::Allowed => Handshake::Allowed,
            HandshakeDocument::Connected => Handshake::Connected,
        }
    }
}

impl From<&Owed> for OwedDocument {
    fn from(owed: &Owed) -> Self {
        let of = |event: &str| OwedDocument {
            message_id: owed.id.clone(),
            event: event.to_owned(),
            about: None,
            command: None,
            body: None,
            version: None,
        };
        match &owed.say {
            Say::Roster => of(ROSTER),
            Say::Profile => of(PROFILE),
            Say::Mark(body) => OwedDocument { body: Some(body.clone()), ..of(PROFILE) },
            Say::NewRelay(relay) => OwedDocument { about: Some(relay.clone()), ..of(NEW_RELAY) },
            Say::Removed(relay) => OwedDocument { about: Some(relay.clone()), ..of(REMOVED) },
            Say::Control(command) => OwedDocument { command: Some(command.name().to_owned()), ..of(CONTROL) },
            Say::RosterRequest(request) => OwedDocument { version: request.version, ..of(ROSTER_REQUEST) },
            Say::Content(body) => OwedDocument { body: Some(body.clone()), ..of(CONTENT) },
        }
    }
}

impl TryFrom<OwedDocument> for Owed {
    type Error = Inconsistent;

    fn try_from(document: OwedDocument) -> Result<Self, Inconsistent> {
        let say = match (document.event.as_str(), document.about, document.command, document.body) {
            (ROSTER, None, None, None) => Say::Roster,
            (PROFILE, None, None, None) => Say::Profile,
            (PROFILE, None, None, Some(body)) => Say::Mark(body),
            (NEW_RELAY, Some(relay), None, None) => Say::NewRelay(relay),
            (REMOVED, Some(relay), None, None) => Say::Removed(relay),
            (CONTROL, None, Some(command), None) => Say::Control(RelayCommand::from(command)),
            (ROSTER_REQUEST, None, None, None) => Say::RosterRequest(RosterRequest { version: document.version }),
            (CONTENT, None, None, Some(body)) => Say::Content(body),
            _ => return Err(Inconsistent::new("relay_records.to_say", "nothing that is said to relays")),
        };
        Ok(Owed { id: document.message_id, say })
    }
}

impl From<&(ConnectionName, Delivery)> for DiscardedDocument {
    fn from((name, delivery): &(ConnectionName, Delivery)) -> Self {
        DiscardedDocument { connection: name.as_str().to_owned(), deliver: *delivery == Delivery::Await }
    }
}

pub(crate) fn discarded(document: DiscardedDocument) -> Result<(ConnectionName, Delivery), Inconsistent> {
    let name = ConnectionName::new(&document.connection);
    let name = name.ok_or(Inconsistent::new("to_delete", "not the name of a connection"))?;
    Ok((name, if document.deliver { Delivery::Await } else { Delivery::Drop }))
}
