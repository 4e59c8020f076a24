//! What a member keeps of one relay.

use std::collections::VecDeque;
use std::fmt;

use agent::connection::Delivery;
use agent::full_link::FullLink;
use agent::link_read::RetrievedLinkData;
use agent::short_link::{ContactKind, ContactShortLink};
use agent::time::Time;
use codec::VersionRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::status::{GoneReason, Status};
use super::task::Line;
use crate::binding::GroupBinding;
use crate::extension::{Extension, Extensions};
use crate::identity::{GroupId, MemberId, RelayPublicKey};
use crate::message_id::MessageId;
use crate::owner::ConnectionName;
use crate::profile::check_name;
use crate::step::link_verify::verify_relay_link;
use crate::text::shown;
use crate::user_data::{Contents as _, RelayLinkContents, RelayProfile};

/// The local name of a relay; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayNumber(pub(super) u32);

impl RelayNumber {
    /// The number, which counts from 1.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RelayNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A relay whose relay link passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownRelay {
    pub(crate) id: MemberId,
    pub(crate) key: RelayPublicKey,
    pub(crate) profile: RelayProfile,
    pub(crate) binding: GroupBinding,
    /// Those that we know.
    pub(crate) extensions: Vec<Extension>,
    /// What its program speaks, once it said something.
    pub(crate) versions: Option<VersionRange>,
}

#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Where its link leads is read again after a restart; whose it is was pinned.
    Listed(Option<KnownRelay>),
    Joining(KnownRelay),
    Admitted(KnownRelay, Handshake),
    Connected(KnownRelay, Connected),
    Gone(Option<KnownRelay>, GoneReason),
}

/// How far a connection with a relay is that admits the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// The relay waits for our word.
    Answered,
    /// It has it, or will.
    Allowed,
}

/// A relay with which both sides can talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connected {
    pub(super) since: Time,
    /// The second connection.
    pub(super) content: ContentLine,
    /// The relay sends nothing more through the first connection until the second one stands.
    pub(super) may_pair: bool,
    /// Something was said through the first connection: what follows must not overtake it through the second.
    pub(super) spoke: bool,
}

/// How far the connection for content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentLine {
    /// There is one connection for everything
    Unwanted,
    /// The relay offers it
    Wanted,
    /// The relay was asked
    Joining,
    /// The relay waits for our word
    Answered,
    /// It has it, or will
    Allowed,
    /// Content goes through it
    Connected,
}

/// A message that a relay does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsent {
    pub(super) number: u64,
    /// Its name; requests to the relay itself have none.
    pub(super) message: Option<MessageId>,
    pub(super) body: Vec<u8>,
}

/// One relay that the group link lists, or listed.
#[derive(Debug, Clone)]
pub struct RelayRecord {
    pub(super) number: RelayNumber,
    pub(super) link: ContactShortLink,
    /// Where its link leads, as long as that was read in this run.
    pub(super) target: Option<FullLink>,
    /// How often it was joined again, for names of connections.
    pub(super) attempt: u32,
    pub(super) stage: Stage,
    pub(super) unsent: VecDeque<Unsent>,
    /// Connections that are to be deleted.
    pub(super) discarded: Vec<(ConnectionName, Delivery)>,
    pub(super) problem: Option<String>,
    /// The gap of the roster that it was asked about.
    pub(super) asked_roster: Option<i64>,
}

impl RelayRecord {
    pub(super) fn new(number: RelayNumber, link: ContactShortLink) -> Self {
        RelayRecord {
            number,
            link,
            target: None,
            attempt: 0,
            stage: Stage::Listed(None),
            unsent: VecDeque::new(),
            discarded: Vec::new(),
            problem: None,
            asked_roster: None,
        }
    }

    /// Its local name.
    pub fn number(&self) -> RelayNumber {
        self.number
    }

    /// Its relay link, as the group link lists it.
    pub fn link(&self) -> &ContactShortLink {
        &self.link
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        match self.stage {
            Stage::Listed(_) => Status::Listed,
            Stage::Joining(_) => Status::Joining,
            Stage::Admitted(..) => Status::Admitted,
            Stage::Connected(..) => Status::Connected,
            Stage::Gone(..) => Status::Gone,
        }
    }

    /// Why it is gone.
    pub fn why_gone(&self) -> Option<&GoneReason> {
        match &self.stage {
            Stage::Gone(_, why) => Some(why),
            _ => None,
        }
    }

    pub(super) fn known(&self) -> Option<&KnownRelay> {
        match &self.stage {
            Stage::Listed(relay) | Stage::Gone(relay, _) => relay.as_ref(),
            Stage::Joining(relay) | Stage::Admitted(relay, _) | Stage::Connected(relay, _) => Some(relay),
        }
    }

    pub(super) fn known_mut(&mut self) -> Option<&mut KnownRelay> {
        match &mut self.stage {
            Stage::Listed(relay) | Stage::Gone(relay, _) => relay.as_mut(),
            Stage::Joining(relay) | Stage::Admitted(relay, _) | Stage::Connected(relay, _) => Some(relay),
        }
    }

    /// Its name in the group, once its relay link passed every check.
    pub fn id(&self) -> Option<&MemberId> {
        self.known().map(|relay| &relay.id)
    }

    /// What it says about itself.
    pub fn profile(&self) -> Option<&RelayProfile> {
        self.known().map(|relay| &relay.profile)
    }

    /// How firmly its relay link belongs to the group.
    pub fn binding(&self) -> Option<GroupBinding> {
        self.known().map(|relay| relay.binding)
    }

    /// What its program speaks, once it said something.
    pub fn versions(&self) -> Option<VersionRange> {
        self.known().and_then(|relay| relay.versions)
    }

    /// Whether it announced an extension.
    pub fn knows(&self, extension: &Extension) -> bool {
        self.known().is_some_and(|relay| relay.extensions.contains(extension))
    }

    /// Whether both sides can talk.
    pub fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Connected(..))
    }

    /// Whether there is a separate connection for content, and it works.
    pub fn has_content_line(&self) -> bool {
        self.content_line() == Some(ContentLine::Connected)
    }

    pub(super) fn content_line(&self) -> Option<ContentLine> {
        match &self.stage {
            Stage::Connected(_, connected) => Some(connected.content),
            _ => None,
        }
    }

    /// The second connection takes over what comes from the relay, once it stands.
    pub(super) fn pair(&mut self) {
        if let Stage::Connected(_, connected) = &mut self.stage {
            connected.may_pair = matches!(connected.content, ContentLine::Joining | ContentLine::Answered);
        }
    }

    /// Something is to be said, through the first connection if there is no other.
    pub(super) fn speak(&mut self) {
        let alone = !self.has_content_line();
        if let Stage::Connected(_, connected) = &mut self.stage {
            connected.spoke |= alone;
        }
    }

    pub(super) fn set_content_line(&mut self, line: ContentLine) {
        if let Stage::Connected(_, connected) = &mut self.stage {
            connected.content = line;
        }
    }

    /// What stands in the way, if something does.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// How many messages wait for it.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Whether a message waits for it.
    pub(super) fn owes(&self, message: &MessageId) -> bool {
        self.unsent.iter().any(|unsent| unsent.message.as_ref() == Some(message))
    }

    /// Whether connections with it are still to be deleted.
    pub fn is_parting(&self) -> bool {
        !self.discarded.is_empty()
    }

    /// The name of a connection with it.
    pub fn connection(&self, line: Line) -> ConnectionName {
        let kind = match line {
            Line::Main => "relay",
            Line::Content => "content",
        };
        ConnectionName::numbered(kind, self.number.0, self.attempt)
    }

    /// Where content goes.
    pub(super) fn content_connection(&self) -> ConnectionName {
        let takes_turns = matches!(self.stage, Stage::Connected(_, Connected { spoke: false, .. }));
        self.connection(if takes_turns && self.has_content_line() { Line::Content } else { Line::Main })
    }

    /// Which of the connections has this name.
    pub(super) fn line(&self, connection: &ConnectionName) -> Option<Line> {
        [Line::Main, Line::Content].into_iter().find(|line| self.connection(*line) == *connection)
    }

    /// Comes to another stage.
    pub(super) fn enter(&mut self, stage: Stage, events: &mut Vec<Event>) {
        let before = self.status();
        self.stage = stage;
        let status = self.status();
        if status != before {
            self.problem = None;
            events.push(Event::Status { relay: self.number, status, why: self.why_gone().cloned() });
        }
    }

    pub(super) fn hinder(&mut self, problem: &str, events: &mut Vec<Event>) {
        let problem = shown(problem);
        if self.problem.as_ref() != Some(&problem) {
            events.push(Event::Problem { relay: self.number, problem: problem.clone() });
        }
        self.problem = Some(problem);
    }

    /// Ends it. What is said last is delivered before the connections go; everything else that waits is dropped.
    pub(super) fn part(&mut self, why: GoneReason, last: Option<Unsent>, events: &mut Vec<Event>) {
        if matches!(self.stage, Stage::Gone(..)) {
            return;
        }
        let talks = self.is_connected();
        let dropped = std::mem::take(&mut self.unsent).into_iter().filter_map(|unsent| unsent.message);
        events.extend(dropped.map(|message| Event::NotSent { relay: self.number, message }));
        self.unsent.extend(last.filter(|_| talks));
        let lines = match &self.stage {
            Stage::Listed(_) | Stage::Gone(..) => &[][..],
            Stage::Joining(_) | Stage::Admitted(..) => &[Line::Main],
            Stage::Connected(_, connected) if connected.content >= ContentLine::Joining => &[Line::Main, Line::Content],
            Stage::Connected(..) => &[Line::Main],
        };
        let delivery = if talks { Delivery::Await } else { Delivery::Drop };
        for line in lines {
            self.discarded.push((self.connection(*line), delivery));
        }
        let relay = self.known().cloned();
        self.enter(Stage::Gone(relay, why), events);
    }

    /// It is listed again, or the member wants to try once more.
    pub(super) fn join_again(&mut self, events: &mut Vec<Event>) {
        if matches!(self.stage, Stage::Gone(..)) {
            self.attempt = self.attempt.saturating_add(1);
            self.target = None;
            self.unsent.clear();
            self.asked_roster = None;
            self.enter(Stage::Listed(None), events);
        }
    }
}

/// Checks what stands behind a relay link before anything is sent there: it must be a link of this group's relay, signed
/// by its key, that takes requests. The answer is the relay, and where to send the request.
pub(crate) fn admit(
    link: &ContactShortLink,
    retrieved: &RetrievedLinkData,
    group: GroupId,
) -> Result<(KnownRelay, FullLink), String> {
    if link.kind != ContactKind::Group {
        return Err("it is of another kind than relay links are".to_owned());
    }
    let relay = verify_relay_link(link.clone(), retrieved, group)
        .map_err(|failed| format!("{}: {}", failed.name, failed.detail.unwrap_or_default()))?;
    let data = retrieved.read(link).map_err(|error| error.to_string())?;
    if !data.user().direct() {
        return Err("it takes no requests".to_owned());
    }
    check_name(&relay.profile.display_name).map_err(|fault| fault.to_string())?;
    let contents = RelayLinkContents::from_payload(data.user().payload()).map_err(|error| error.to_string())?;
    let known = KnownRelay {
        id: relay.member_id,
        key: relay.key,
        profile: relay.profile,
        binding: relay.binding,
        extensions: known_extensions(&contents.ext),
        versions: None,
    };
    Ok((known, data.fixed().link.clone()))
}

/// Each of the extensions that we know, once: others mean nothing to us.
pub(super) fn known_extensions(announced: &Extensions) -> Vec<Extension> {
    let mut known: Vec<Extension> = Vec::new();
    for extension in announced.0.iter().filter(|extension| !matches!(extension, Extension::Other(_))) {
        if !known.contains(extension) {
            known.push(extension.clone());
        }
    }
    known
}
