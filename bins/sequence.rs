//! What groups and their relays did, step by step, from the records of everybody who took part.
//!
//! [`cli::sequence`] puts records together; here stands which of the recorded steps are steps of the protocol, what they are
//! called, and which number they have in the documents of the protocol's authors.

use std::collections::{HashMap, HashSet};

use cli::Error;
use cli::sequence::{Drawing, Line, Placed, Record, RecordedStep, Way, merge};
use smp::address::ServerAddress;

/// What a server records.
const SERVER_ANSWER: &str = "smp_answer";
/// How the names of commands to servers begin.
const COMMAND: &str = "smp_";
/// Steps that are about somebody, who learns nothing of them.
const ALONE: [&str; 6] = [CHAT_RECEIVE, "relay_status", "hear", "confirm", "miss", "refuse"];
/// That a message came.
const CHAT_RECEIVE: &str = "chat_receive";

/// Steps that are shown: their name, the note that tells them apart, the command to a server that they are made of, and
/// words.
const STEPS: &[(&str, &str, &str, &str)] = &[
    ("keygen", "", "", "makes the root key, the owner key and the group ID"),
    ("link_prepare", "", "", "prepares the link, signs the profile that names it"),
    ("link_create", "", "smp_new", "creates the link, with the profile behind it"),
    ("relay_choose", "", "", "chooses a relay"),
    ("relay_address_read", "", "smp_lget", "reads the relay's address"),
    ("chat_send", "x.grp.relay.inv", "", "asks it to serve the group"),
    ("group_link_read", "", "smp_lget", "reads the group link"),
    ("group_check", "", "", "checks what stands behind the group link"),
    ("relay_link_create", "", "smp_new", "creates the relay link, with the group ID in its fixed data"),
    ("chat_send", "x.grp.relay.acpt", "", "accepts, with the relay link"),
    ("chat_send", "x.grp.relay.reject", "", "refuses"),
    ("relay_link_read", "", "smp_lget", "reads the relay link"),
    ("relay_link_check", "", "", "checks the group ID in the relay link"),
    ("chat_send", "x.ok", "", "lets the relay in"),
    ("chat_send", "x.grp.roster", "", "announces the signed roster"),
    ("chat_send", "chunk", "", "sends the roster"),
    ("roster_check", "", "", "checks the roster and stores it"),
    ("chat_send", "x.grp.roster.ack", "", "acknowledges the roster"),
    ("link_update", "", "smp_lset", "updates the group link"),
    ("chat_send", "x.grp.info", "", "tells that the link was updated"),
    ("group_link_look", "", "smp_lget", "looks at the group link"),
    ("listing_check", "", "", "looks for its own link there"),
    ("chat_send", "x.grp.relay.ready", "", "tells that it found itself"),
    ("chat_send", "x.grp.mem.del", "", "tells that the relay is removed"),
    ("chat_send", "x.grp.leave", "", "tells that it leaves"),
    ("relay_link_delete", "", "smp_del", "deletes the relay link"),
    ("link_verify", "", "", "reads the group link, and checks everything"),
    ("chat_send", "x.member", "", "asks to be admitted"),
    ("chat_send", "x.grp.link.inv", "", "admits the member"),
    ("chat_send", "x.info", "", "says who it is"),
    ("chat_send", "x.grp.link.mem", "", "introduces itself"),
    ("chat_send", "x.grp.mem.intro", "", "introduces members"),
    ("chat_send", "x.grp.mem.new", "", "tells of a new member"),
    ("chat_send", "x.grp.relay.new", "", "tells of a new relay"),
    ("chat_send", "x.grp.relay.pair", "", "goes on through the second connection"),
    ("chat_send", "x.grp.mem.role", "", "changes a role"),
    ("chat_send", "x.grp.mem.restrict", "", "blocks a member"),
    ("chat_send", "x.grp.del", "", "deletes the group"),
    ("chat_send", "x.msg.new", "", "posts"),
    ("chat_send", "x.msg.update", "", "edits a post"),
    ("chat_send", "x.msg.del", "", "deletes a post"),
    ("chat_send", "x.msg.react", "", "reacts to a post"),
    ("chat_send", "forwarded x.msg.new", "", "passes the post on"),
    ("chat_send", "forwarded x.msg.update", "", "passes the edit on"),
    ("chat_send", "forwarded x.msg.del", "", "passes the deletion on"),
    ("chat_send", "forwarded x.msg.react", "", "passes the reaction on"),
    ("chat_send", "forwarded x.grp.leave", "", "passes on that somebody left"),
    ("chat_send", "forwarded x.grp.mem.del", "", "passes the removal on"),
    ("chat_send", "forwarded x.grp.info", "", "passes the profile on"),
    ("chat_send", "forwarded x.grp.relay.new", "", "passes on that there is a new relay"),
    ("hear", "x.msg.new", "", "reads the post"),
    ("confirm", "", "", "finds that another relay says the same"),
    ("difference", "", "", "finds that relays say different things"),
    ("miss", "", "", "misses what others delivered"),
    ("refuse", "", "", "refuses what is not signed, or not right"),
    ("membership_over", "", "", "is no member any more"),
    ("relay_status", "", "", ""),
];

/// A numbering of steps: the number, the name of the step, and the note that tells it apart.
pub type Numbering = &'static [(&'static str, &'static str, &'static str)];

/// Adding relays, in the final document; `M` is the look from time to time.
pub const ADDING: Numbering = &[
    ("1-2", "keygen", ""),
    ("2-3", "link_prepare", ""),
    ("4", "link_create", ""),
    ("5", "relay_choose", ""),
    ("6", "chat_send", "x.grp.relay.inv"),
    ("7", "group_link_read", ""),
    ("8", "group_check", ""),
    ("9", "relay_link_create", ""),
    ("10", "chat_send", "x.grp.relay.acpt"),
    ("11", "relay_link_read", ""),
    ("12", "relay_link_check", ""),
    ("13", "link_update", ""),
    ("M", "group_link_look", ""),
    ("M", "listing_check", ""),
];

/// Adding relays, in the older documents. There the profile is completed after the link was created.
pub const ADDING_BEFORE: Numbering = &[
    ("1", "keygen", ""),
    ("3", "link_prepare", ""),
    ("2", "link_create", ""),
    ("4", "relay_choose", ""),
    ("5", "chat_send", "x.grp.relay.inv"),
    ("6", "relay_link_create", ""),
    ("7", "chat_send", "x.grp.relay.acpt"),
    ("8", "link_update", ""),
    ("9", "chat_send", "x.grp.info"),
    ("10", "group_link_look", ""),
    ("11", "listing_check", ""),
    ("12", "chat_send", "x.grp.relay.ready"),
];

/// Joining through relays, and what is said then, in the final document.
pub const JOINING: Numbering = &[
    ("15", "link_verify", ""),
    ("16", "chat_send", "x.member"),
    ("17", "chat_send", "x.msg.new"),
    ("18", "chat_send", "forwarded x.msg.new"),
    ("19", "hear", "x.msg.new"),
    ("19", "confirm", ""),
    ("19", "difference", ""),
];

/// Removing a relay that is told.
pub const REMOVING: Numbering =
    &[("1a", "chat_send", "x.grp.mem.del"), ("1b", "link_update", ""), ("2a", "relay_link_delete", "")];

/// Removing a relay that is not told.
pub const REMOVING_UNTOLD: Numbering = &[
    ("1b", "link_update", ""),
    ("2", "group_link_look", ""),
    ("3", "listing_check", ""),
    ("4a", "relay_link_delete", ""),
];

/// Which steps are drawn, and how they are numbered.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The numbers of steps.
    pub numbering: Numbering,
    /// Whether everything that was recorded is drawn, not only the steps of the protocol.
    pub all: bool,
    /// Whether it is told when things happened.
    pub times: bool,
    /// Names of steps; with any, others are left out.
    pub only: Vec<String>,
    /// What steps may be about; with any, steps that are about something else are left out.
    pub about: Vec<String>,
}

/// What records of parties and servers say together. Answers of servers are drawn where the server recorded them.
pub fn drawing(view: &View, records: &[Record]) -> Result<Drawing, Error> {
    let (servers, parties): (Vec<_>, Vec<_>) = records.iter().partition(|record| is_server(record));
    let (servers, parties) = if parties.is_empty() { (parties, servers) } else { (servers, parties) };
    let cast = Cast::of(&parties, &servers);
    let shown: Vec<Record> =
        parties.into_iter().map(|record| if view.all { record.clone() } else { protocol_steps(record) }).collect();
    let mut lines = Vec::new();
    for placed in merge(&shown).iter().filter(|placed| view.draws(placed.step)) {
        lines.push(cast.line(view, placed));
        lines.extend(cast.answer(view, placed));
    }
    Drawing::new(records.iter().map(|record| record.party.clone()), lines)
}

fn is_server(record: &Record) -> bool {
    !record.steps.is_empty() && record.steps.iter().all(|step| step.name == SERVER_ANSWER)
}

impl View {
    fn draws(&self, step: &RecordedStep) -> bool {
        let known = self.all || known(step).is_some();
        let named = self.only.is_empty() || self.only.contains(&step.name);
        let about = subject(step).is_none_or(|subject| self.about.iter().any(|about| about == subject));
        known && named && (self.about.is_empty() || about)
    }
}

/// What a step is about: what its record says, or else whom it concerns, servers apart.
fn subject(step: &RecordedStep) -> Option<&str> {
    match (step.about.as_str(), step.to.as_str()) {
        ("", "") => None,
        ("", to) => server_address(to).is_none().then_some(to),
        (about, _) => Some(about),
    }
}

fn server_address(text: &str) -> Option<ServerAddress> {
    text.parse().ok()
}

/// How a party is called that did not record anything: servers by host and port.
pub fn called(who: &str) -> String {
    match server_address(who) {
        Some(address) => format!("{}:{}", address.first_host(), address.port_or_default()),
        None => who.to_owned(),
    }
}

/// The steps of a record that are steps of the protocol, each once, and whatever was heard. Looks that find nothing new
/// are none. Steps that are made of a command hear its answer.
fn protocol_steps(record: &Record) -> Record {
    let mut steps: Vec<RecordedStep> = Vec::new();
    let (mut told, mut asked) = (HashSet::new(), HashMap::new());
    for step in &record.steps {
        let known = known(step);
        if known.is_none() && step.name != CHAT_RECEIVE {
            asked.insert((step.name.as_str(), step.to.as_str()), step.hears.clone());
            continue;
        }
        if !step.tells.is_empty() && !told.insert((&step.name, &step.tells, &step.to)) {
            continue;
        }
        if steps.last().is_some_and(|last| last.name == "group_link_look") && step.name != "listing_check" {
            steps.pop();
        }
        let mut step = step.clone();
        if let Some((_, _, command, _)) = known.filter(|(_, _, command, _)| !command.is_empty()) {
            step.hears = asked.get(&(command, step.to.as_str())).cloned().unwrap_or_default();
        }
        steps.push(step);
    }
    steps.pop_if(|last| last.name == "group_link_look");
    Record { party: record.party.clone(), steps }
}

type Known = (&'static str, &'static str, &'static str, &'static str);

fn known(step: &RecordedStep) -> Option<Known> {
    let is_about = |note: &str| match step.note.strip_prefix(note) {
        // A body may hold more, of which the first part says what it is.
        Some(rest) => note.is_empty() || rest.is_empty() || rest.starts_with(", "),
        None => false,
    };
    STEPS.iter().find(|(name, note, ..)| step.name == *name && is_about(note)).copied()
}

/// Who took part, by the names under which others know them, and what servers answered.
struct Cast<'a> {
    /// Parties by name. As others call them by what they are, also by that, where it means one of them only.
    parties: HashMap<&'a str, &'a str>,
    /// Who heard what: the same may be told to several.
    heard: HashSet<(&'a str, &'a str)>,
    /// Servers by address.
    servers: HashMap<&'a str, &'a str>,
    /// Answers by their names in traces.
    answers: HashMap<&'a str, &'a RecordedStep>,
}

impl<'a> Cast<'a> {
    fn of(parties: &[&'a Record], servers: &[&'a Record]) -> Self {
        let whos = |record: &&'a Record| {
            let whos: HashSet<&str> = record.steps.iter().map(|step| step.who.as_str()).collect();
            let party = record.party.as_str();
            whos.into_iter().map(move |who| (who, party))
        };
        let mut meant: HashMap<&str, Vec<&str>> = HashMap::new();
        for (who, party) in parties.iter().flat_map(whos) {
            meant.entry(who).or_default().push(party);
        }
        let alone = meant.into_iter().filter_map(|(who, parties)| match parties.as_slice() {
            [party] => Some((who, *party)),
            _ => None,
        });
        let names = parties.iter().map(|record| (record.party.as_str(), record.party.as_str()));
        let answers = servers.iter().flat_map(|record| &record.steps).map(|step| (step.tells.as_str(), step));
        let heard = |record: &&'a Record| {
            let party = record.party.as_str();
            record.steps.iter().filter(|step| !step.hears.is_empty()).map(move |step| (party, step.hears.as_str()))
        };
        Cast {
            heard: parties.iter().flat_map(heard).collect(),
            parties: alone.chain(names).collect(),
            servers: servers.iter().flat_map(whos).collect(),
            answers: answers.filter(|(name, _)| !name.is_empty()).collect(),
        }
    }

    fn line(&self, view: &View, placed: &Placed<'_>) -> Line {
        let step = placed.step;
        let note = known(step).map_or("", |(_, note, ..)| note);
        Line {
            number: number(view.numbering, step, note).to_owned(),
            at: step.at.filter(|_| view.times),
            who: placed.party.to_owned(),
            way: self.way(view, placed),
            what: described(step),
            failed: has_failed(step),
        }
    }

    /// Whom a step concerns. What is known not to have been heard is lost.
    fn way(&self, view: &View, placed: &Placed<'_>) -> Way {
        let (step, to) = (placed.step, placed.step.to.as_str());
        let stands_alone = match known(step) {
            // The commands that it is made of are drawn already.
            Some((_, _, command, _)) if view.all && !command.is_empty() => true,
            _ => to.is_empty() || ALONE.contains(&step.name.as_str()),
        };
        let meant = self.parties.get(to).filter(|party| self.heard.contains(&(**party, step.tells.as_str())));
        match meant.copied().or(placed.heard_by) {
            _ if stands_alone => Way::Alone,
            Some(other) => Way::To(other.to_owned()),
            None => match (self.servers.get(to), self.parties.get(to)) {
                (Some(server), _) => Way::To((*server).to_owned()),
                (None, Some(party)) if !step.tells.is_empty() => Way::Lost((*party).to_owned()),
                (None, party) => Way::To(party.map_or_else(|| called(to), |party| (*party).to_owned())),
            },
        }
    }

    /// Whether the server's record says that it answered.
    fn answer(&self, view: &View, placed: &Placed<'_>) -> Option<Line> {
        let step = placed.step;
        let asks = if view.all {
            step.name.starts_with(COMMAND) && !step.hears.is_empty()
        } else {
            known(step).is_some_and(|(_, _, command, _)| !command.is_empty())
        };
        let server = (*self.servers.get(step.to.as_str()).filter(|_| asks)?).to_owned();
        let answer = self.answers.get(step.hears.as_str());
        let what = answer.map_or(String::new(), |answer| match (view.all, has_failed(answer)) {
            (true, _) => described(answer),
            (false, true) => answer.outcome.clone(),
            (false, false) => String::new(),
        });
        Some(Line {
            number: String::new(),
            at: None,
            who: placed.party.to_owned(),
            way: if answer.is_some() { Way::Answered(server) } else { Way::Unanswered(server) },
            what,
            failed: answer.is_some_and(|answer| has_failed(answer)),
        })
    }
}

fn number(numbering: Numbering, step: &RecordedStep, note: &str) -> &'static str {
    let same = |(_, name, of): &&(&str, &str, &str)| step.name == *name && note == *of;
    numbering.iter().find(same).map_or("", |(number, ..)| number)
}

fn has_failed(step: &RecordedStep) -> bool {
    !step.outcome.is_empty() && step.outcome != "ok"
}

fn described(step: &RecordedStep) -> String {
    let failed = if has_failed(step) { format!(" ({})", step.outcome) } else { String::new() };
    let Some((.., words)) = known(step) else { return recorded(step) + &failed };
    match step.name.as_str() {
        "relay_status" if step.to.is_empty() => format!("own status: {}{failed}", step.note),
        "relay_status" => format!("status of {}: {}{failed}", step.to, step.note),
        "relay_choose" => format!("{words}; its status: {}{failed}", step.note),
        "chat_send" if step.note != "chunk" => format!("{words}: {}{failed}", step.note),
        "hear" | "confirm" | "miss" => format!("{words}, from {}{failed}", step.to),
        "difference" => format!("{words}: {}", step.note),
        "refuse" => format!("{words}, from {}: {}", step.to, step.note),
        "listing_check" => format!("{words}: {}{failed}", step.note),
        _ => format!("{words}{failed}"),
    }
}

/// A step without words of its own, as it stands in the record.
fn recorded(step: &RecordedStep) -> String {
    let bytes = step.bytes.map(|bytes| format!("{bytes} bytes"));
    let more = [bytes.as_deref(), Some(step.note.as_str())].into_iter().flatten().filter(|more| !more.is_empty());
    std::iter::once(step.name.as_str()).chain(more).collect::<Vec<_>>().join(", ")
}
