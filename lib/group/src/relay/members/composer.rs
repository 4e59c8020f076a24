//! What one member gets of some messages: without its own, and with those before them who it does not know yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::Encode as _;

use super::inputs::member_info;
use super::member::Member;
use super::message::StoredMessage;
use super::rows::ReadRows;
use crate::body::{BatchWriter, DoesNotFit};
use crate::element::Element;
use crate::event::{Event, MemberNew};
use crate::limits;
use crate::message::Message;

/// Bodies for one or more members, in their order.
pub type Bodies = Arc<[Vec<u8>]>;

/// Who is said to have come, and what it signed then.
#[derive(Debug, Clone)]
struct Introduction {
    member: Vec<u8>,
    join: Option<Vec<u8>>,
}

/// What makes the bodies of two members differ.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Variant {
    messages: Vec<usize>,
    introduced: Vec<u64>,
    joins: bool,
}

/// Makes bodies of messages, each variant once.
pub(super) struct Composer<'a, R> {
    rows: &'a R,
    introductions: BTreeMap<u64, Option<Introduction>>,
    made: BTreeMap<Variant, Bodies>,
}

impl<'a, R: ReadRows> Composer<'a, R> {
    pub(super) fn new(rows: &'a R) -> Self {
        Composer { rows, introductions: BTreeMap::new(), made: BTreeMap::new() }
    }

    /// The bodies of one page for a member. Always for the same messages.
    pub(super) fn bodies(&mut self, messages: &[StoredMessage], receiver: &Member) -> Result<Bodies, R::Error> {
        let variant = variant(messages, receiver);
        if let Some(made) = self.made.get(&variant) {
            return Ok(made.clone());
        }
        let mut packer = Packer::default();
        self.pack(messages, receiver, &mut packer)?;
        let bodies: Bodies = packer.finish().into();
        self.made.insert(variant, bodies.clone());
        Ok(bodies)
    }

    /// Puts what a member gets of some messages into bodies.
    pub(super) fn pack(
        &mut self,
        messages: &[StoredMessage],
        receiver: &Member,
        packer: &mut Packer,
    ) -> Result<(), R::Error> {
        let Variant { messages: included, introduced, joins } = variant(messages, receiver);
        for sender in introduced {
            let Some(Introduction { member, join }) = self.introduction(sender)? else { continue };
            packer.push(&member);
            join.iter().filter(|_| joins).for_each(|join| packer.push(join));
        }
        for message in included.iter().filter_map(|place| messages.get(*place)) {
            packer.push(&message.element);
            // Owners may give the member rights, and want to know that the key is its own.
            let announced = message.announces().filter(|_| joins);
            let introduction = announced.map(|member| self.introduction(member)).transpose()?.flatten();
            introduction.and_then(|introduction| introduction.join).iter().for_each(|join| packer.push(join));
        }
        Ok(())
    }

    fn introduction(&mut self, number: u64) -> Result<Option<Introduction>, R::Error> {
        if let Some(known) = self.introductions.get(&number) {
            return Ok(known.clone());
        }
        let introduction = match (self.rows.member(number)?, self.rows.persona(number)?) {
            (Some(member), Some(persona)) => {
                let member_info = member_info(&member, &persona);
                let event = Event::GroupMemberNew(MemberNew { member_info, scope: None }.into());
                let join = persona.forwarded_join(&member.id).map(|join| Element::Forward(join).to_bytes());
                Some(Introduction { member: Message::unnamed(event).to_json(), join })
            }
            _ => None,
        };
        self.introductions.insert(number, introduction.clone());
        Ok(introduction)
    }
}

fn variant(messages: &[StoredMessage], receiver: &Member) -> Variant {
    let concerning = || messages.iter().enumerate().filter(|(_, message)| message.concerns(receiver));
    let mut introduced = Vec::new();
    for sender in concerning().filter_map(|(_, message)| message.introduces_to(receiver)) {
        if !introduced.contains(&sender) {
            introduced.push(sender);
        }
    }
    let messages = concerning().map(|(place, _)| place).collect();
    Variant { messages, introduced, joins: receiver.takes_joins }
}

/// Fills one body after another.
#[derive(Default)]
pub(super) struct Packer {
    writer: BatchWriter,
    bodies: Vec<Vec<u8>>,
}

impl Packer {
    /// Adds an element. What fits no body was refused when it came.
    pub(super) fn push(&mut self, element: &[u8]) {
        if self.writer.push_written(element) == Err(DoesNotFit::Full) {
            self.bodies.extend(std::mem::take(&mut self.writer).finish());
            // The first element of a body is never one too many.
            let _ = self.writer.push_written(element);
        }
    }

    /// Bodies so far, without the one that is being filled.
    pub(super) fn full_bodies(&self) -> usize {
        self.bodies.len()
    }

    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        self.bodies.extend(self.writer.finish());
        self.bodies
    }
}

/// How many messages at the front of a lane become one job: as many as fit one body, and at least one.
pub(super) fn job_size(messages: &[StoredMessage]) -> usize {
    let mut room = limits::AUTHORED;
    let fitting = messages.iter().take(limits::MESSAGES_IN_BODY).take_while(|message| {
        // The length in front of each, and at the beginning tag and count.
        match room.checked_sub(message.element.len().saturating_add(4)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        }
    });
    fitting.count().max(1)
}
