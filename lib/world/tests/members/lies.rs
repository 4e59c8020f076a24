//! What hostile relays do: each runs the honest machine, and meddles with what comes out of it, or says something of its
//! own. What it did to whom is noted, so that it can be asked whether they were told.

use agent::time::Time;
use codec::Encode as _;
use group::body::{Batch, BatchWriter, ConnectionInfo};
use group::content::{Content, NewMessage};
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::event::{Event, GroupInfo, LinkInvite, MemberNew, MemberRemoval, RoleChange};
use group::identity::{GroupId, MemberId, MemberKey};
use group::member::{MemberInfo, MemberProfile, Role};
use group::message::Message;
use group::message_id::MessageId;
use group::profile::GroupProfile;
use group::relay::ConnectionName;
use group::signature::Signer;

use crate::pipes::{Client, Letter, PipeId, Way};
use crate::stage::{Stage, seconds};
use crate::truth::Kind;

/// What a relay does that it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Vice {
    /// Some messages reach nobody.
    Drop,
    /// All who do this drop the same posts of the owner.
    Conspire,
    /// Some messages do not reach some.
    DropForSome,
    /// Messages that nobody signed say something else.
    AlterUnsigned,
    /// So they do, to each half of the members something else.
    Split,
    /// What was signed says something else under its signature.
    AlterSigned,
    /// What was signed goes without its signature.
    Strip,
    /// The name of a signed message is taken for another, without signature.
    Shadow,
    /// What was said is attributed to somebody else.
    Attribute,
    /// What the group said is attributed to the owner who said it.
    Reveal,
    /// Elements and bodies come in another order.
    Reorder,
    /// Old words come again, and to those who never heard them.
    Replay,
    /// Words of the owner that it never said, and orders.
    ForgeOwner,
    /// Words of members that they never said.
    ForgeMember,
    /// Members that do not exist, some of them with rights.
    FakeMembers,
    /// Keys that members do not have.
    WrongKeys,
    /// Joiners are told of another number of members.
    WrongCount,
    /// Joiners are led into another group.
    OtherGroup,
    /// Joiners are told another profile.
    OtherProfile,
    /// Joiners get the first roster there was.
    OldRoster,
    /// What nobody can read.
    Garbage,
}

impl Vice {
    pub(crate) const ALL: [Vice; 21] = [
        Vice::Drop,
        Vice::Conspire,
        Vice::DropForSome,
        Vice::AlterUnsigned,
        Vice::Split,
        Vice::AlterSigned,
        Vice::Strip,
        Vice::Shadow,
        Vice::Attribute,
        Vice::Reveal,
        Vice::Reorder,
        Vice::Replay,
        Vice::ForgeOwner,
        Vice::ForgeMember,
        Vice::FakeMembers,
        Vice::WrongKeys,
        Vice::WrongCount,
        Vice::OtherGroup,
        Vice::OtherProfile,
        Vice::OldRoster,
        Vice::Garbage,
    ];
}

/// What a relay did to a member.
#[derive(Debug, Clone)]
pub(crate) struct Misdeed {
    pub(crate) relay: usize,
    /// Its name in the group.
    pub(crate) id: MemberId,
    pub(crate) member: usize,
    pub(crate) vice: Vice,
    /// The message that it is about, if it has a name.
    pub(crate) message: Option<MessageId>,
    pub(crate) at: Time,
}

/// How many forwarded words a relay keeps to say them again.
const REMEMBERED: usize = 12;
/// In how many of a thousand cases a relay does what it does.
const OFTEN: u64 = 350;

impl Stage {
    /// The relay says this through a connection, or something else.
    pub(crate) fn relay_says(&mut self, relay: usize, pipe: PipeId, body: &[u8]) {
        let Client::Member(member) = self.pipes.all[pipe].client else {
            return self.post(pipe, Way::ToClient, Letter::Body(body.to_vec()));
        };
        if self.plan.relays[relay].vices.is_empty() {
            return self.post(pipe, Way::ToClient, Letter::Body(body.to_vec()));
        }
        let mut elements = Vec::new();
        for element in Batch::parse(body).expect("a relay's own body") {
            let element = element.expect("a relay's own element");
            match element {
                Element::Forward(forward) => elements.extend(self.meddle(relay, pipe, member, forward)),
                other => elements.push(other),
            }
        }
        if self.vice(relay, Vice::Reorder) && self.malice.coin() {
            elements.reverse();
            self.count("bodies in another order");
        }
        if self.vice(relay, Vice::OldRoster) {
            elements = self.antedate(relay, elements);
        }
        self.say_all(pipe, &elements);
    }

    /// T10: whoever is to get a roster gets the first one that the relay ever passed on.
    fn antedate(&mut self, relay: usize, elements: Vec<Element>) -> Vec<Element> {
        let of_roster = |element: &Element| match element {
            Element::Forward(Forward { content: ForwardContent::Message(message), .. }) => {
                matches!(message.message().event, Event::GroupRoster(_))
            }
            Element::Chunk(_) => true,
            _ => false,
        };
        let (roster, others): (Vec<_>, Vec<_>) = elements.iter().cloned().partition(of_roster);
        // A header and its chunks come together as long as they are short.
        if roster.len() < 2 {
            return elements;
        }
        let first = self.rosters.entry(relay).or_insert_with(|| roster.clone()).clone();
        if first != roster {
            self.count("old rosters that joiners got");
        }
        others.into_iter().chain(first).collect()
    }

    /// Packs elements and sends them.
    fn say_all(&mut self, pipe: PipeId, elements: &[Element]) {
        let mut writer = BatchWriter::default();
        let mut bodies = Vec::new();
        for element in elements {
            if writer.push(element).is_err() {
                bodies.extend(std::mem::take(&mut writer).finish());
                writer.push(element).expect("an element fits an empty body");
            }
        }
        bodies.extend(writer.finish());
        bodies.into_iter().for_each(|body| self.post(pipe, Way::ToClient, Letter::Body(body)));
    }

    fn vice(&self, relay: usize, vice: Vice) -> bool {
        self.plan.relays[relay].vices.contains(&vice)
    }

    /// The name of a relay in the group, at the end of a connection.
    fn name_of(&self, relay: usize, pipe: PipeId) -> Option<MemberId> {
        let Some(ConnectionName::Member(service, ..)) = self.pipes.all[pipe].at_relay else { return None };
        let service = self.relays[relay].machine.service(service)?;
        Some(service.invitation().relay_member_id.clone())
    }

    fn misdeed(&mut self, relay: usize, pipe: PipeId, vice: Vice, message: Option<MessageId>) {
        let Client::Member(member) = self.pipes.all[pipe].client else { return };
        let Some(id) = self.name_of(relay, pipe) else { return };
        self.count("misdeeds");
        let misdeed = Misdeed { relay, id, member, vice, message, at: self.now };
        self.note(format_args!("{misdeed:?}"));
        self.misdeeds.push(misdeed);
    }

    /// Whether a relay does this to a message: to everybody or to nobody.
    fn decides(&mut self, relay: usize, vice: Vice, id: &MessageId) -> bool {
        // Conspirators agree.
        let relay = if vice == Vice::Conspire { 0 } else { relay };
        let malice = &mut self.malice;
        *self.decisions.entry((relay, vice, id.clone())).or_insert_with(|| malice.per_mille(OFTEN))
    }

    fn owner_id(&self) -> MemberId {
        self.owners[0].id.clone()
    }

    fn group_id(&self) -> GroupId {
        self.owners[0].machine.link().group().group_id()
    }

    /// What becomes of something that is to be forwarded to a member.
    fn meddle(&mut self, relay: usize, pipe: PipeId, member: usize, forward: Forward) -> Option<Element> {
        let whole = Element::Forward(forward.clone());
        let ForwardContent::Message(message) = &forward.content else { return Some(whole) };
        if self.vice(relay, Vice::Replay) {
            let remembered = &mut self.remembered[relay];
            remembered.push(whole.clone());
            if remembered.len() > REMEMBERED {
                remembered.remove(0);
            }
        }
        let Some(id) = message.message().id.clone() else { return Some(whole) };
        if self.vice(relay, Vice::Drop) && self.decides(relay, Vice::Drop, &id) {
            self.misdeed(relay, pipe, Vice::Drop, Some(id));
            return None;
        }
        let post =
            self.truth.said.get(&id).is_some_and(|said| said.kind == Kind::Post && said.author == Client::Owner(0));
        if post && self.vice(relay, Vice::Conspire) && self.decides(relay, Vice::Conspire, &id) {
            self.misdeed(relay, pipe, Vice::Conspire, Some(id));
            return None;
        }
        if self.vice(relay, Vice::DropForSome) && self.malice.per_mille(OFTEN) {
            self.misdeed(relay, pipe, Vice::DropForSome, Some(id));
            return None;
        }
        for vice in self.plan.relays[relay].vices.clone() {
            if let Some(altered) = self.alter(vice, member, &forward)
                && self.decides(relay, vice, &id)
            {
                let named = !matches!(vice, Vice::AlterSigned);
                self.misdeed(relay, pipe, vice, Some(id).filter(|_| named));
                return Some(Element::Forward(altered));
            }
        }
        Some(whole)
    }

    /// How a relay alters a message, if that vice is about such messages.
    fn alter(&self, vice: Vice, member: usize, forward: &Forward) -> Option<Forward> {
        let ForwardContent::Message(message) = &forward.content else { return None };
        let owner = self.owner_id();
        let by_owner = match &forward.sender {
            ForwardSender::Member(id, _) => *id == owner,
            ForwardSender::Channel => true,
        };
        let post = matches!(message.message().event, Event::MessageNew(_));
        let signed = matches!(message, AuthoredMessage::Signed(_));
        let with = |content: AuthoredMessage| Forward {
            content: ForwardContent::Message(content),
            sender: forward.sender.clone(),
            sent_at: forward.sent_at,
        };
        let other = |text: &str| {
            let said = message.message();
            Message { event: says(text), ..said.clone() }
        };
        match vice {
            Vice::AlterUnsigned if post && !signed && by_owner => Some(with(other("altered").into())),
            Vice::Split if post && !signed && by_owner => {
                let text = if member.is_multiple_of(2) { "one half" } else { "the other half" };
                Some(with(other(text).into()))
            }
            Vice::Shadow if post && signed && by_owner => Some(with(other("a shadow").into())),
            Vice::Strip if post && signed && by_owner => Some(with(message.message().clone().into())),
            Vice::AlterSigned if signed && by_owner => flipped(message).map(with),
            Vice::Reveal if forward.sender == ForwardSender::Channel && post => {
                Some(Forward { sender: ForwardSender::Member(owner, ShortName::new("Owner")), ..forward.clone() })
            }
            Vice::Attribute if post && !signed && forward.sender != ForwardSender::Channel => {
                Some(Forward { sender: ForwardSender::Channel, ..forward.clone() })
            }
            _ => None,
        }
    }

    /// What a joiner is answered.
    pub(crate) fn answer_of(&mut self, relay: usize, _pipe: PipeId, info: Vec<u8>) -> Vec<u8> {
        let Ok(parsed) = ConnectionInfo::parse(&info) else { return info };
        let Event::GroupLinkInvite(invite) = parsed.event() else { return info };
        let mut invitation = invite.group_link_invitation.clone();
        if self.vice(relay, Vice::WrongCount) {
            invitation.group_size = Some(1_000_000);
        }
        if self.vice(relay, Vice::OtherProfile) {
            invitation.group_profile.display_name = "Mallory's".to_owned();
        }
        if self.vice(relay, Vice::OtherGroup)
            && let Some(public) = &mut invitation.group_profile.public_group
        {
            public.public_group_id = GroupId::from_bytes(&[7; 32]).expect("32 bytes");
        }
        if invitation == invite.group_link_invitation {
            return info;
        }
        self.count("answers to joiners that were not so");
        let event = Event::GroupLinkInvite(LinkInvite { group_link_invitation: invitation }.into());
        ConnectionInfo::unsigned(event).to_bytes().expect("a short answer")
    }

    /// A hostile relay says something of its own to one member, or to all.
    pub(crate) fn mischief(&mut self, relay: usize) {
        let mut pipes: Vec<PipeId> = (0..self.pipes.all.len()).filter(|id| self.is_open(relay, *id)).collect();
        if pipes.is_empty() {
            return;
        }
        if self.malice.coin() {
            pipes = vec![self.malice.pick(&pipes)];
        }
        let vice = self.malice.pick(&self.plan.relays[relay].vices.clone());
        let Some((name, elements)) = self.invent(relay, vice) else { return };
        for pipe in pipes {
            let Some(mut elements) = elements.clone() else {
                self.misdeed(relay, pipe, vice, None);
                self.post(pipe, Way::ToClient, Letter::Body(vec![b'?'; 40]));
                continue;
            };
            if vice == Vice::ForgeMember {
                let Client::Member(member) = self.pipes.all[pipe].client else { continue };
                let Some(id) = self.members[member].machine.as_ref().map(|machine| machine.id().clone()) else {
                    continue;
                };
                elements = vec![self.forwarded(id, Message::named(says("not mine"), &mut self.random.clone()).into())];
            }
            if matches!(vice, Vice::ForgeOwner | Vice::ForgeMember | Vice::FakeMembers) {
                self.misdeed(relay, pipe, vice, name.clone());
            }
            self.say_all(pipe, &elements);
        }
    }

    fn is_open(&self, relay: usize, id: PipeId) -> bool {
        let pipe = &self.pipes.all[id];
        let open = pipe.relay == relay && pipe.connected && !pipe.closed && !pipe.left;
        open && matches!(pipe.client, Client::Member(_))
    }

    fn forwarded(&self, author: MemberId, message: AuthoredMessage) -> Element {
        let sender = ForwardSender::Member(author, ShortName::new("Somebody"));
        Element::Forward(Forward { sender, sent_at: seconds(self.now), content: ForwardContent::Message(message) })
    }

    /// Something that was never said; with its name if members cannot know better than to show it.
    #[allow(clippy::type_complexity, reason = "what is garbage has no elements")]
    fn invent(&mut self, relay: usize, vice: Vice) -> Option<(Option<MessageId>, Option<Vec<Element>>)> {
        let owner = self.owner_id();
        match vice {
            Vice::ForgeOwner => {
                let event = self.order_of_nobody();
                let message = Message::named(event, &mut self.random);
                let id = message.id.clone();
                let post = matches!(message.event, Event::MessageNew(_));
                let (group, key) = (self.group_id(), MemberKey::generate(&mut self.random));
                let signed = self.malice.coin();
                let authored: AuthoredMessage = match signed {
                    true => Signer { group: &group, member: &owner, key: &key }.sign(message).into(),
                    false => message.into(),
                };
                let relays_own = !signed && !post && self.malice.per_mille(300);
                let element = if relays_own { Element::Message(authored) } else { self.forwarded(owner, authored) };
                Some((id.filter(|_| post && !signed), Some(vec![element])))
            }
            Vice::ForgeMember => Some((None, Some(Vec::new()))),
            Vice::FakeMembers => {
                let fake = MemberId::random(&mut self.random);
                let info = self.introduction(fake.clone(), "Nobody", Role::Admin, None);
                Some((None, Some(vec![info])))
            }
            Vice::WrongKeys => {
                let people: Vec<MemberId> = self.truth.people.keys().cloned().collect();
                let person = self.malice.pick(&people);
                let key = MemberKey::generate(&mut self.random);
                let info = self.introduction(person.clone(), "Somebody", Role::Author, Some(&key));
                let group = self.group_id();
                let message = Message::named(says("signed with another key"), &mut self.random);
                let signed = Signer { group: &group, member: &person, key: &key }.sign(message);
                self.count("keys that nobody has");
                Some((None, Some(vec![info, self.forwarded(person, signed.into())])))
            }
            Vice::Garbage => Some((None, None)),
            Vice::Replay => {
                let again = self.remembered[relay].clone();
                self.count("words that were said again");
                (!again.is_empty()).then_some((None, Some(again)))
            }
            _ => None,
        }
    }

    /// What only owners can say, and never said.
    fn order_of_nobody(&mut self) -> Event {
        let people: Vec<MemberId> = self.truth.people.keys().cloned().collect();
        let somebody = self.malice.pick(&people);
        match self.malice.between(0..=5) {
            0 => Event::GroupDelete,
            1 => {
                let group_profile = self.owners[0].machine.link().group().contents().profile.clone();
                let group_profile = GroupProfile { display_name: "Mallory's".to_owned(), ..group_profile };
                Event::GroupInfo(GroupInfo::from(group_profile).into())
            }
            2 => Event::GroupMemberDelete(MemberRemoval { member_id: somebody, messages: None, roster_version: None }),
            3 => Event::GroupMemberRole(RoleChange {
                member_id: somebody,
                role: Role::Admin,
                member_key: None,
                roster_version: None,
            }),
            _ => says("what the owner never said"),
        }
    }

    fn introduction(&self, member_id: MemberId, name: &str, member_role: Role, key: Option<&MemberKey>) -> Element {
        let member_info = MemberInfo {
            member_id,
            member_role,
            v: None,
            profile: MemberProfile::named(name),
            member_key: key.map(MemberKey::public),
        };
        Message::unnamed(Event::GroupMemberNew(MemberNew { member_info, scope: None }.into())).into()
    }
}

fn says(text: &str) -> Event {
    Event::MessageNew(NewMessage::of(Content::text(text)).into())
}

/// The same message with another digit in it, under the signature of the first.
fn flipped(message: &AuthoredMessage) -> Option<AuthoredMessage> {
    let mut bytes = message.to_bytes();
    let place = bytes.windows(6).rposition(|window| window == b"words ")? + 6;
    let digit = bytes.get_mut(place).filter(|byte| byte.is_ascii_digit())?;
    *digit = if *digit == b'9' { b'8' } else { b'9' };
    AuthoredMessage::parse(&bytes).ok()
}
