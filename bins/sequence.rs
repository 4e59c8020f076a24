//! What groups and their relays did, step by step, from the records of everybody who took part.
//!
//! [`cli::sequence`] puts records together; here stands which of the recorded steps are steps of the protocol, what they are
//! called, and which number they have in the documents of the protocol's authors.

use std::fmt::Write as _;

use cli::sequence::{Placed, Record, RecordedStep, merge};

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

/// The sequence as text, a line for each step. `servers` are the records of servers: whatever they are asked is shown with
/// whether they answered.
pub fn text(numbering: Numbering, parties: &[Record], servers: &[Record]) -> String {
    let shown: Vec<Record> = parties.iter().map(shown).collect();
    let mut text = String::new();
    for placed in merge(&shown) {
        let Some((_, note, command, words)) = known(placed.step) else { continue };
        let number = number(numbering, placed.step, note);
        line(&mut text, number, &from_to(&placed, servers), &described(placed.step, words));
        if !command.is_empty() {
            let answer = answer(&placed, command, parties, servers);
            line(&mut text, "", &answer, "");
        }
    }
    text
}

fn line(text: &mut String, number: &str, who: &str, what: &str) {
    let mut line = format!("{number:<4} {who:<20} {what}");
    line.truncate(line.trim_end().len());
    // Writing into text cannot fail.
    let _ = writeln!(text, "{line}");
}

/// The steps of a record that are steps of the protocol, each once. Looks that find nothing new are none.
fn shown(record: &Record) -> Record {
    let mut steps: Vec<RecordedStep> = Vec::new();
    for step in record.steps.iter().filter(|step| step.name == "chat_receive" || known(step).is_some()) {
        let repeats = |before: &RecordedStep| before.name == step.name && before.tells == step.tells;
        if !step.tells.is_empty() && steps.iter().any(repeats) {
            continue;
        }
        if steps.last().is_some_and(|last| last.name == "group_link_look") && step.name != "listing_check" {
            steps.pop();
        }
        steps.push(step.clone());
    }
    steps.pop_if(|last| last.name == "group_link_look");
    Record { party: record.party.clone(), steps }
}

type Known = (&'static str, &'static str, &'static str, &'static str);

fn known(step: &RecordedStep) -> Option<Known> {
    STEPS.iter().find(|(name, note, ..)| step.name == *name && (note.is_empty() || step.note == *note)).copied()
}

fn number(numbering: Numbering, step: &RecordedStep, note: &str) -> &'static str {
    let same = |(_, name, of): &&(&str, &str, &str)| step.name == *name && note == *of;
    numbering.iter().find(same).map_or("", |(number, ..)| number)
}

/// Who acts, and whom that concerns. What nobody heard is crossed out.
fn from_to(placed: &Placed<'_>, servers: &[Record]) -> String {
    let party = placed.party;
    match (placed.heard_by, placed.step.to.as_str()) {
        _ if placed.step.name == "relay_status" => party.to_owned(),
        (Some(other), _) => format!("{party} -> {other}"),
        (None, "") => party.to_owned(),
        (None, to) => match server(to, servers) {
            Some(server) => format!("{party} -> {server}"),
            None => format!("{party} -x {to}"),
        },
    }
}

fn server<'a>(address: &str, servers: &'a [Record]) -> Option<&'a str> {
    let is_of = |record: &&Record| record.steps.iter().any(|step| step.who == address);
    servers.iter().find(is_of).map(|record| record.party.as_str())
}

/// Whether the server's record says that it answered the last such command before this step.
fn answer(placed: &Placed<'_>, command: &str, parties: &[Record], servers: &[Record]) -> String {
    let record = parties.iter().find(|record| record.party == placed.party);
    let before = record.into_iter().flat_map(|record| &record.steps).take_while(|step| *step != placed.step);
    let asked = before.filter(|step| step.name == command && step.to == placed.step.to).last();
    let answers = |step: &RecordedStep| asked.is_some_and(|asked| asked.hears == step.tells && step.outcome == "ok");
    let answered = servers.iter().find(|record| record.steps.iter().any(answers));
    match answered {
        Some(server) => format!("{} <- {}", placed.party, server.party),
        None => format!("{} x- {}", placed.party, server(&placed.step.to, servers).unwrap_or("server")),
    }
}

fn described(step: &RecordedStep, words: &str) -> String {
    let failed = if step.outcome == "ok" { String::new() } else { format!(" ({})", step.outcome) };
    match step.name.as_str() {
        "relay_status" if step.to.is_empty() => format!("own status: {}{failed}", step.note),
        "relay_status" => format!("status of {}: {}{failed}", step.to, step.note),
        "relay_choose" => format!("{words}; its status: {}{failed}", step.note),
        "chat_send" if step.note != "chunk" => format!("{words}: {}{failed}", step.note),
        "listing_check" => format!("{words}: {}{failed}", step.note),
        _ => format!("{words}{failed}"),
    }
}
