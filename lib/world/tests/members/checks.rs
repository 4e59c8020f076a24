//! What must hold at all times and in the end. A threat that relays *can* carry out must be seen, one that they *cannot*
//! must not happen; the numbers are those of the threat model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::time::Time;
use group::identity::MemberId;
use group::keys::KeySource;
use group::membership::{Compared, EndReason, Event, Finding, Heard, Mark, PATIENCE, Status};
use group::message_id::MessageId;
use group::profile::GroupProfile;
use group::relay::members::ReadRows;
use group::verification::Trust;

use crate::lies::{Misdeed, Vice};
use crate::links::LinkLie;
use crate::pipes::{Client, PipeId};
use crate::plan::Act;
use crate::stage::Stage;
use crate::truth::Kind;

/// What is wrong with words whose author could say them when a relay took them.
const CROSSED: [&str; 4] = ["who was removed", "only read", "may not do that", "the role does not allow it"];

/// What an owner or a member was shown.
#[derive(Default)]
pub(crate) struct Reader {
    shown: BTreeMap<MessageId, usize>,
    replaced: BTreeMap<MessageId, usize>,
    /// Which relay brought which message, and when.
    brought: BTreeMap<(usize, MessageId), Time>,
    /// The place of the last message of an author that a relay brought.
    last: BTreeMap<(usize, Client), u64>,
    missing: BTreeSet<(MessageId, MemberId)>,
    /// Posts that no relay brought, as an owner's mark shows.
    withheld: BTreeSet<MessageId>,
    marks: Vec<(MessageId, Mark)>,
    /// Relays whose words were refused or dropped, and when last.
    refused: BTreeMap<MemberId, Time>,
    /// When a relay was connected last, and lost.
    since: BTreeMap<usize, Time>,
    until: BTreeMap<usize, Time>,
}

impl Stage {
    fn relay_of(&self, id: &MemberId) -> Option<usize> {
        self.truth.relay_ids.get(id).copied()
    }

    pub(crate) fn is_honest(&self, relay: usize) -> bool {
        self.plan.relays[relay].is_honest()
    }

    fn reader(&mut self, who: Client) -> &mut Reader {
        match who {
            Client::Owner(number) => &mut self.owners[number].reader,
            Client::Member(number) => &mut self.members[number].reader,
        }
    }

    /// Whether a member and a relay lost a connection, and what was on its way.
    fn was_cut(&self, who: Client, relay: usize) -> bool {
        self.plan
            .acts
            .iter()
            .any(|(_, act)| matches!(act, Act::Cut(one, other) if (Client::Member(*one), *other) == (who, relay)))
    }

    /// Whether a relay was to bring something to a member that it had let in before that was said.
    fn owes(&self, who: Client, relay: usize, message: &MessageId) -> bool {
        let Client::Member(member) = who else { return false };
        let said = self.truth.said.get(message);
        let meant = said.filter(|said| matches!(said.author, Client::Owner(_)) && said.relays.contains(&relay));
        let at = meant.map(|said| said.at).or(self.truth.orders.get(message).copied());
        let since = self.members[member].reader.since.get(&relay);
        !self.was_cut(who, relay) && since.zip(at).is_some_and(|(since, at)| *since < at)
    }

    fn was_expelled(&self, who: Client) -> bool {
        matches!(who, Client::Member(number) if self.truth.expelled.contains(&number))
    }

    fn is_honest_id(&self, id: &MemberId) -> bool {
        self.relay_of(id).is_some_and(|relay| self.is_honest(relay))
    }

    /// An owner or a member is told something, because of a word of a relay or by itself.
    pub(crate) fn judge(&mut self, who: Client, from: Option<PipeId>, event: &Event) {
        match event {
            Event::Heard(heard) => self.judge_heard(who, from, heard),
            Event::Confirmed { message, .. } | Event::Verified { message, .. } => {
                self.brought(who, from, message);
            }
            Event::Different { message, marks } => {
                self.brought(who, from, message);
                self.judge_marks(who, message, marks);
            }
            Event::Missing { message, relay } => {
                self.note(format_args!("{who:?} misses {message} from {relay}"));
                self.count("messages that relays did not bring");
                let owes = |relay: usize| self.is_honest(relay) && self.owes(who, relay, message);
                if self.relay_of(relay).is_some_and(owes) {
                    self.violate(format_args!("{who:?} misses {message} from the honest relay {relay}"));
                }
                self.reader(who).missing.insert((message.clone(), relay.clone()));
            }
            Event::Refused { relay, author, event, why } => {
                self.note(format_args!("{who:?} refuses {event} of {author:?} from {relay}: {why}"));
                // T12: whoever names a wrong key first makes the right one look wrong.
                let misled = author.as_ref().is_some_and(|author| *author != self.owners[0].id)
                    && self.plan.relays.iter().any(|relay| relay.vices.contains(&Vice::WrongKeys));
                if !misled {
                    self.complained(who, relay);
                }
            }
            Event::Dropped { relay, reason } => {
                self.note(format_args!("{who:?} drops what {relay} brings: {reason}"));
                // Orders and words may cross: a relay passes on what its author could still say.
                let crossed = !self.truth.orders.is_empty() && CROSSED.iter().any(|known| reason.contains(known));
                if !crossed {
                    self.complained(who, relay);
                }
            }
            Event::Profile(profile) => self.judge_profile(who, profile),
            Event::Status { relay, status, why } => self.judge_status(who, *relay, *status, why.as_ref()),
            Event::Ended(EndReason::Left) => {}
            Event::Ended(EndReason::Removed) if self.was_expelled(who) => self.count("members that were removed"),
            Event::Ended(why) => self.violate(format_args!("T6: to {who:?} the group has ended: {why}")),
            Event::Compared(finding) => self.judge_finding(who, finding),
            Event::LinkReplayed => self.count("old link data that was found out"),
            _ => {}
        }
    }

    /// T5: the profile is one that the owner gave the group.
    fn judge_profile(&mut self, who: Client, profile: &GroupProfile) {
        if !self.truth.profiles.iter().any(|known| known.says_the_same(profile)) {
            self.violate(format_args!("T5: {who:?} believes in a profile of nobody: {profile:?}"));
        }
    }

    /// What owners counted, compared with what came.
    fn judge_finding(&mut self, who: Client, finding: &Finding) {
        self.note(format_args!("{who:?} compares marks: {finding:?}"));
        let lies = self.plan.acts.iter().any(|(_, act)| matches!(act, Act::Link(LinkLie::Old(_))));
        match &finding.what {
            Compared::Withheld { message, .. } => {
                self.count("posts that were found withheld");
                self.reader(who).withheld.insert(message.clone());
                if self.reader(who).brought.keys().any(|(_, brought)| brought == message) {
                    self.violate(format_args!("{who:?} takes {message} for withheld, which came"));
                }
            }
            Compared::WithheldUnnamed { .. } => self.count("posts without names that were found withheld"),
            Compared::Unmarked { .. } => self.count("own posts that no owner counted"),
            Compared::Replayed if lies => self.count("old marks that were found out"),
            Compared::Altered { relays, .. } if relays.iter().all(|relay| !self.is_honest_id(&relay.0)) => {
                self.count("posts that marks show to be altered");
            }
            other => self.violate(format_args!("{who:?} compares marks and is wrong: {other:?}")),
        }
    }

    fn complained(&mut self, who: Client, relay: &MemberId) {
        if self.is_honest_id(relay) {
            self.violate(format_args!("{who:?} finds fault with the honest relay {relay}"));
        }
        self.count("words of relays that were refused");
        let now = self.now;
        self.reader(who).refused.insert(relay.clone(), now);
    }

    fn judge_heard(&mut self, who: Client, from: Option<PipeId>, heard: &Heard) {
        if let Trust::Verified(source) = heard.trust() {
            self.judge_signed(who, heard, source);
        }
        let Some(id) = heard.id() else { return };
        let reader = self.reader(who);
        let times = if heard.replaces { &mut reader.replaced } else { &mut reader.shown };
        let times = times.entry(id.clone()).or_default();
        *times += 1;
        if *times > 1 {
            self.violate(format_args!("{who:?} is shown {id} twice"));
        }
        self.count("messages that members were shown");
        let said = self.truth.said.get(id);
        if from.is_some_and(|pipe| self.is_honest(self.pipes.all[pipe].relay))
            && said.is_none()
            && heard.event().is_content()
        {
            self.violate(format_args!("an honest relay brings {id}, which nobody said"));
        }
        self.brought(who, from, id);
    }

    /// T6, T15: what is shown as signed was signed, by that very author.
    fn judge_signed(&mut self, who: Client, heard: &Heard, source: KeySource) {
        use codec::Encode as _;
        let Some(author) = heard.author() else { return };
        let vouched = matches!(source, KeySource::GroupLink | KeySource::Roster);
        if vouched && !self.truth.is_signed(author, &heard.message.authored().to_bytes()) {
            let event = heard.event().name();
            self.violate(format_args!("T6, T15: {who:?} believes {event} of {author}, who never signed it"));
        }
    }

    /// What an author says comes through an honest relay in its order.
    fn brought(&mut self, who: Client, from: Option<PipeId>, id: &MessageId) {
        let Some(pipe) = from else { return };
        let (relay, now) = (self.pipes.all[pipe].relay, self.now);
        let said = self.truth.said.get(id).map(|said| (said.author, said.order, said.apart));
        let reader = self.reader(who);
        reader.brought.entry((relay, id.clone())).or_insert(now);
        let Some((author, order, apart)) = said else { return };
        let last = reader.last.entry((relay, author)).or_default();
        let before = std::mem::replace(last, (*last).max(order));
        if before > order && self.is_honest(relay) && !apart {
            self.violate(format_args!("relay {relay} brings {id} to {who:?} after what was said later"));
        }
    }

    fn judge_marks(&mut self, who: Client, message: &MessageId, marks: &[Mark]) {
        for mark in marks {
            self.note(format_args!("{who:?} marks {message}: {mark:?}"));
            self.count("marks");
            if mark.refuted && self.is_honest_id(&mark.relay) {
                self.violate(format_args!("{who:?} accuses an honest relay: {mark:?}"));
            }
            self.reader(who).marks.push((message.clone(), mark.clone()));
        }
    }

    fn judge_status(
        &mut self,
        who: Client,
        number: group::membership::RelayNumber,
        status: Status,
        why: Option<&group::membership::GoneReason>,
    ) {
        let Client::Member(member) = who else { return };
        let machine = self.members[member].machine.as_ref().expect("a member");
        let id = machine.relay(number).and_then(|relay| relay.id()).cloned();
        let Some(relay) = id.as_ref().and_then(|id| self.relay_of(id)) else { return };
        self.note(format_args!("to member {member} relay {relay} is {status}, {why:?}"));
        let now = self.now;
        let reader = &mut self.members[member].reader;
        match status {
            Status::Connected => {
                reader.since.insert(relay, now);
                // Whoever comes again gets the history again.
                reader.last.retain(|(of, _), _| *of != relay);
                reader.until.remove(&relay);
                if self.plan.relays[relay].vices.contains(&Vice::OtherGroup) {
                    self.violate(format_args!("T4: member {member} followed relay {relay} into another group"));
                }
            }
            Status::Gone => drop(reader.until.insert(relay, now)),
            Status::Listed | Status::Joining | Status::Admitted => {}
        }
    }

    /// When everything is over.
    pub(crate) fn judge_end(&mut self) {
        for member in 0..self.members.len() {
            let over = |machine: &group::membership::Membership| machine.ended().is_some();
            if self.members[member].machine.as_ref().is_some_and(|machine| !over(machine)) {
                self.judge_convergence(member);
                self.judge_completeness(member);
            }
        }
        self.judge_relays();
        for misdeed in std::mem::take(&mut self.misdeeds) {
            self.judge_misdeed(&misdeed);
        }
    }

    /// All members see the same group, with the relays that the owner wants.
    fn judge_convergence(&mut self, member: usize) {
        let owner = &self.owners[0].machine;
        let machine = self.members[member].machine.as_ref().expect("a member");
        let contents = owner.link().group().contents();
        let mut wrong = Vec::new();
        if !machine.group().profile.says_the_same(&contents.profile) {
            wrong.push(format!("T5: another profile: {:?}", machine.group().profile));
        }
        if machine.roster().version().unwrap_or_default() != owner.roster().version().unwrap_or_default() {
            wrong.push(format!("T10: an old roster: {:?}", machine.roster().version()));
        }
        for (id, role) in owner.roster().listed() {
            let (theirs, key) = (machine.roster().role(id), machine.roster().key(id));
            if theirs.as_ref() != Some(role) || key != self.truth.keys.get(id).copied() {
                wrong.push(format!("T10, T12: {id} as {theirs:?} with {key:?}, who is {role:?}"));
            }
        }
        if machine.roster().listed().count() > owner.roster().listed().count() {
            wrong.push("T6: members with rights that no owner gave".to_owned());
        }
        for link in &contents.relays {
            let record = machine.relays().iter().rev().find(|record| record.link().same_link(link));
            let status = record.map(|record| record.status());
            if status != Some(Status::Connected) {
                wrong.push(format!("a relay of the group is {status:?}, {:?}", record.map(|record| record.why_gone())));
            }
        }
        let connected = machine.relays().iter().filter(|record| record.is_connected()).count();
        if connected > contents.relays.len() {
            wrong.push(format!("it is connected with {connected} relays of {}", contents.relays.len()));
        }
        for wrong in wrong {
            self.violate(format_args!("in the end member {member} has {wrong}"));
        }
    }

    /// What an honest relay keeps for everybody, everybody has who is connected with it.
    fn judge_completeness(&mut self, member: usize) {
        let machine = self.members[member].machine.as_ref().expect("a member");
        let mut lost = Vec::new();
        for relay in (0..self.relays.len()).filter(|relay| self.is_honest(*relay)) {
            for (service, rows) in &self.relays[relay].rows {
                let id =
                    self.relays[relay].machine.service(*service).map(|service| &service.invitation().relay_member_id);
                let connected = id.and_then(|id| machine.relay_with_id(id)).is_some_and(|record| record.is_connected());
                let known = rows.member_with_id(machine.id()).unwrap_or_else(|never| match never {});
                if self.was_cut(Client::Member(member), relay)
                    || !connected
                    || !known.is_some_and(|member| member.is_connected())
                {
                    continue;
                }
                for message in rows.all_messages().filter(|message| message.is_item()) {
                    let Some(id) = &message.id else { continue };
                    let own = self.truth.said.get(id).is_some_and(|said| said.author == Client::Member(member));
                    let kept = self.members[member].disk.message(id).is_some_and(|record| record.kept().is_some());
                    let there = self.members[member].reader.since.get(&relay);
                    let said = self.truth.said.get(id).is_some_and(|said| there.is_some_and(|since| *since < said.at));
                    if !own && !kept && (said || self.plan.history) {
                        lost.push(format!("member {member} never heard {id}, which relay {relay} has for everybody"));
                    }
                }
            }
        }
        lost.into_iter().for_each(|lost| self.violate(format_args!("{lost}")));
    }

    /// What owners said reached every honest relay that it was meant for, and that still serves the group.
    fn judge_relays(&mut self) {
        let mut lost = Vec::new();
        for (id, said) in &self.truth.said {
            let Client::Owner(_) = said.author else { continue };
            if said.kind != Kind::Post || self.truth.is_deleted(id) {
                continue;
            }
            for relay in said.relays.iter().filter(|relay| self.is_honest(**relay)) {
                let serves = self.relays[*relay].machine.services().any(|service| service.status().is_current());
                let mut rows = self.relays[*relay].rows.values();
                let has = rows.any(|rows| rows.all_messages().any(|message| message.id.as_ref() == Some(id)));
                if serves && !has {
                    lost.push(format!("relay {relay} never got {id}"));
                }
            }
        }
        lost.into_iter().for_each(|lost| self.violate(format_args!("{lost}")));
    }

    /// T1–T3, T7, T11: whatever a relay did to a message is seen by a member to whom an honest one brought it as well.
    fn judge_misdeed(&mut self, misdeed: &Misdeed) {
        let Misdeed { relay, id, member, vice, message, at } = misdeed;
        let reader = &self.members[*member].reader;
        let seen = match (vice, message) {
            (Vice::Conspire, Some(message)) if self.is_kept_from(*member, message) => reader.withheld.contains(message),
            (Vice::Drop | Vice::DropForSome | Vice::Conspire, Some(message)) => {
                if !self.was_due(misdeed, message) {
                    return;
                }
                self.members[*member].reader.missing.contains(&(message.clone(), id.clone()))
            }
            (
                Vice::AlterUnsigned | Vice::Split | Vice::Strip | Vice::Shadow | Vice::Attribute | Vice::Reveal,
                Some(message),
            ) => {
                let both = self.honestly_brought(*member, message).is_some()
                    && reader.brought.contains_key(&(*relay, message.clone()));
                if !both {
                    return;
                }
                reader.marks.iter().any(|(marked, mark)| marked == message && mark.relay == *id)
            }
            (Vice::AlterSigned | Vice::ForgeOwner | Vice::ForgeMember | Vice::Garbage | Vice::FakeMembers, None) => {
                let arrived = reader.since.get(relay).is_some_and(|since| since <= at)
                    && reader.until.get(relay).is_none_or(|until| until.since(*at) > Duration::from_secs(600));
                if !arrived {
                    return;
                }
                reader.refused.get(id).is_some_and(|last| last >= at)
            }
            (Vice::ForgeOwner, Some(fake)) => {
                let Some(brought) = reader.brought.get(&(*relay, fake.clone())) else { return };
                let others: Vec<&MemberId> = self.honest_since(*member, *brought);
                others.iter().all(|other| reader.missing.contains(&(fake.clone(), (*other).clone())))
            }
            _ => return,
        };
        if seen {
            self.count("misdeeds that were seen");
        } else {
            self.violate(format_args!("nobody tells member {member} of what relay {relay} did: {misdeed:?}"));
        }
    }

    /// Whether nobody brought a message to a member that must have found that out by the owner's marks: a relay had let
    /// it in for longer than clocks differ, and still serves it.
    fn is_kept_from(&self, member: usize, message: &MessageId) -> bool {
        let reader = &self.members[member].reader;
        let Some(said) = self.truth.said.get(message).filter(|said| said.kind == Kind::Post && !said.apart) else {
            return false;
        };
        let brought = reader.brought.keys().any(|(_, brought)| brought == message);
        let long = |since: &Time| said.at.since(*since) > 2 * PATIENCE;
        let mut served = reader.since.iter().filter(|(relay, _)| !reader.until.contains_key(relay));
        !brought && served.any(|(_, since)| long(since))
    }

    /// Honest relays that a member was connected with long before and long after a moment.
    fn honest_since(&self, member: usize, moment: Time) -> Vec<&MemberId> {
        let reader = &self.members[member].reader;
        let long = Duration::from_secs(2 * 3_600);
        let there = |relay: usize| {
            let since = reader.since.get(&relay).is_some_and(|since| moment.since(*since) > PATIENCE);
            since && reader.until.get(&relay).is_none_or(|until| until.since(moment) > long)
        };
        let honest = self.truth.relay_ids.iter().filter(|(_, relay)| self.is_honest(**relay) && there(**relay));
        honest.map(|(id, _)| id).collect()
    }

    fn honestly_brought(&self, member: usize, message: &MessageId) -> Option<Time> {
        let brought = self.members[member].reader.brought.iter();
        let honest = brought.filter(|((relay, id), _)| id == message && self.is_honest(*relay));
        honest.map(|(_, at)| *at).min()
    }

    /// Whether a member that waits for what a relay dropped must have found that out.
    fn was_due(&self, misdeed: &Misdeed, message: &MessageId) -> bool {
        let reader = &self.members[misdeed.member].reader;
        let Some(said) = self.truth.said.get(message) else { return false };
        let Some(brought) = self.honestly_brought(misdeed.member, message) else { return false };
        let came = reader.brought.contains_key(&(misdeed.relay, message.clone()));
        // The relay was there before it was said, and still when the patience of the member was at its end.
        let before = reader.since.get(&misdeed.relay).is_some_and(|since| *since < said.at);
        let still = reader.until.get(&misdeed.relay).is_none_or(|until| until.since(brought) > 3 * PATIENCE);
        !came && before && still
    }
}
