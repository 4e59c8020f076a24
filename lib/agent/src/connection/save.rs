//! From a connection to its records and back.

use std::collections::BTreeMap;

use codec::{Encode as _, Malformed, Reader, Write};
use smp::queue_address::QueueInfo;
use zeroize::Zeroizing;

use super::conversation::{Conversation, ConversationRecords};
use super::end::Ending;
use super::incoming::Incoming;
use super::link::{Read, Reading};
use super::plan::{Settings, Versions};
use super::send_queue::SendQueue;
use super::stored::{
    begin, open, put_long, put_pq, put_value, put_version, take_long, take_pq, take_range, take_value,
};
use super::{
    Address, Change, Confirmed, Connection, Dirty, Hello, Inviting, Joining, LoadError, Phase, ReceiveQueue, RecordKey,
    Request, Stage, Subscription, Talking, Unheard,
};
use crate::agreement::AgreementKeys;
use crate::ratchet::Touched;

type Bytes = Zeroizing<Vec<u8>>;

/// The letter of a phase.
const TALKING: u8 = b'T';

impl Connection {
    /// What the steps since the last call changed. To be made durable, all together, before anything else happens.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut touched = Touched::default();
        if let Some(talk) = self.talk_mut() {
            touched = talk.ratchet.take_touched();
            dirty.outgoing.extend(talk.outbox.take_completed());
        }
        let removed = dirty.removed.iter().copied();
        let mut keys: Vec<RecordKey> = removed.collect();
        if !self.is_over() {
            keys.extend(dirty.core.then_some(RecordKey::Core));
            keys.extend(dirty.position.then_some(RecordKey::Position));
            keys.extend(touched.turn.then_some(RecordKey::Turn));
            keys.extend(touched.skipped.then_some(RecordKey::Skipped));
            keys.extend(dirty.incoming.then_some(RecordKey::Incoming));
            keys.extend(dirty.outgoing.into_iter().map(RecordKey::Outgoing));
            keys.extend(dirty.awaited.into_iter().map(RecordKey::Awaited));
            keys.extend(dirty.requests.into_iter().map(RecordKey::Request));
        }
        keys.into_iter().map(|key| Change { key, value: self.record(key) }).collect()
    }

    /// Everything there is to keep.
    pub fn records(&self) -> Vec<(RecordKey, Bytes)> {
        self.record_keys().into_iter().filter_map(|key| Some((key, self.record(key)?))).collect()
    }

    fn record_keys(&self) -> Vec<RecordKey> {
        let mut keys =
            vec![RecordKey::Core, RecordKey::Position, RecordKey::Turn, RecordKey::Skipped, RecordKey::Incoming];
        if let Some(talk) = self.talk() {
            keys.extend(talk.outbox.iter().map(|message| RecordKey::Outgoing(message.number)));
            keys.extend(talk.awaited_numbers().map(RecordKey::Awaited));
        }
        if let Phase::Address(address) = &self.phase {
            keys.extend(address.request_numbers().map(RecordKey::Request));
        }
        keys
    }

    /// Ends the connection: every record goes, also of what was removed in this step.
    pub(super) fn remove_all(&mut self) {
        let mut keys = self.record_keys();
        let dirty = std::mem::take(&mut self.dirty);
        keys.extend(dirty.outgoing.into_iter().map(RecordKey::Outgoing));
        keys.extend(dirty.awaited.into_iter().map(RecordKey::Awaited));
        keys.extend(dirty.requests.into_iter().map(RecordKey::Request));
        self.phase = Phase::Over;
        self.incoming = None;
        self.unheard = Unheard::default();
        self.dirty = Dirty { removed: keys, ..Dirty::default() };
    }

    fn record(&self, key: RecordKey) -> Option<Bytes> {
        if self.is_over() {
            return None;
        }
        match key {
            RecordKey::Core => Some(self.stored_core()),
            RecordKey::Position => self.talk().map(Conversation::stored_position),
            RecordKey::Turn => self.talk().map(|talk| talk.ratchet.stored_turn()),
            RecordKey::Skipped => self.talk().and_then(|talk| talk.ratchet.stored_skipped()),
            RecordKey::Incoming => self.incoming.as_ref().map(Incoming::to_stored),
            RecordKey::Outgoing(number) => self.talk()?.outbox.get(number).map(|message| message.to_stored()),
            RecordKey::Awaited(number) => self.talk()?.stored_awaited(number),
            RecordKey::Request(number) => match &self.phase {
                Phase::Address(address) => address.stored_request(number),
                _ => None,
            },
        }
    }

    fn stored_core(&self) -> Bytes {
        let mut out = Zeroizing::new(Vec::with_capacity(4_096));
        put_version(&mut out);
        put_settings(&mut out, &self.settings);
        out.put_maybe(self.ending.as_ref(), |out, ending| ending.put(out));
        out.put_maybe(self.unheard.info.as_ref(), |out, info| put_long(out, info));
        out.put_maybe(self.unheard.connected, |out, post_quantum| out.put_bool(post_quantum));
        self.phase.put(&mut out);
        out
    }

    /// A connection as it was kept.
    pub fn load(records: impl IntoIterator<Item = (RecordKey, Bytes)>) -> Result<Self, LoadError> {
        let mut core = None;
        let mut incoming = None;
        let mut talk = ConversationRecords::default();
        let mut requests = BTreeMap::new();
        for (key, value) in records {
            match key {
                RecordKey::Core => core = Some(value),
                RecordKey::Position => talk.position = Some(value),
                RecordKey::Turn => talk.turn = Some(value),
                RecordKey::Skipped => talk.skipped = Some(value),
                RecordKey::Incoming => incoming = Some(Incoming::from_stored(&value)?),
                RecordKey::Outgoing(number) => drop(talk.outgoing.insert(number, value)),
                RecordKey::Awaited(number) => drop(talk.awaited.insert(number, value)),
                RecordKey::Request(number) => drop(requests.insert(number, value)),
            }
        }
        let core = core.ok_or(LoadError::Missing("core"))?;
        open(&core, |reader| {
            let Head { settings, ending, unheard } = Head::take(reader)?;
            let phase = Phase::take(reader, talk, requests)?;
            Ok(Connection {
                settings,
                phase,
                incoming,
                unheard,
                ending,
                passed_over: false,
                stopped: None,
                retries: BTreeMap::new(),
                dirty: Dirty::default(),
            })
        })
    }
}

/// What a core record begins with.
struct Head {
    settings: Settings,
    ending: Option<Ending>,
    unheard: Unheard,
}

impl Head {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let settings = take_settings(reader)?;
        let ending = reader.maybe(Ending::take)?;
        let unheard = Unheard { info: reader.maybe(take_long)?, connected: reader.maybe(|reader| reader.bool())? };
        Ok(Head { settings, ending, unheard })
    }
}

impl Connection {
    /// What the core record of a connection whose handshake is over says of its receive queue; nothing of any other.
    pub(super) fn settled_queue(core: &[u8]) -> Result<Option<Option<Subscription>>, LoadError> {
        let mut reader = begin(core)?;
        let Head { ending, unheard, .. } = Head::take(&mut reader)?;
        if ending.is_some() || !unheard.is_empty() || reader.u8()? != TALKING {
            return Ok(None);
        }
        let (queue, send) = (ReceiveQueue::take(&mut reader)?, SendQueue::take(&mut reader)?);
        let connected = Stage::take(&mut reader)? == Stage::Connected;
        let settled = connected && queue.secure_with.is_none() && !send.needs_securing();
        Ok(settled.then(|| queue.subscription()))
    }
}

impl Stage {
    fn letter(self) -> &'static [u8; 1] {
        match self {
            Stage::Joined => b"J",
            Stage::Allowed => b"A",
            Stage::Greeting => b"G",
            Stage::Connected => b"C",
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            b'J' => Stage::Joined,
            b'A' => Stage::Allowed,
            b'G' => Stage::Greeting,
            b'C' => Stage::Connected,
            _ => return Err(Malformed::BadValue("stage of conversation")),
        })
    }
}

fn put_settings(out: &mut Vec<u8>, settings: &Settings) {
    let Versions { agent, ratchet, client } = settings.versions;
    [agent, ratchet, client].iter().for_each(|range| range.encode(out));
    put_pq(out, settings.pq);
}

fn take_settings(reader: &mut Reader<'_>) -> Result<Settings, Malformed> {
    let versions = Versions { agent: take_range(reader)?, ratchet: take_range(reader)?, client: take_range(reader)? };
    Ok(Settings { versions, pq: take_pq(reader)? })
}

impl Phase {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Phase::Reading(reading) => {
                out.put(b"R");
                reading.put(out);
            }
            Phase::Read(read) => {
                out.put(b"L");
                read.put(out);
            }
            Phase::Inviting(inviting) => {
                out.put(b"I");
                inviting.put(out);
            }
            Phase::Confirmed(confirmed) => {
                out.put(b"C");
                confirmed.put(out);
            }
            Phase::Joining(joining) => {
                out.put(b"J");
                joining.put(out);
            }
            Phase::Talking(talking) => {
                out.put(&[TALKING]);
                talking.put(out);
            }
            Phase::Address(address) => {
                out.put(b"A");
                address.put(out);
            }
            Phase::Over => out.put(b"O"),
        }
    }

    fn take(
        reader: &mut Reader<'_>,
        mut talk: ConversationRecords,
        requests: BTreeMap<u64, Bytes>,
    ) -> Result<Self, LoadError> {
        Ok(match reader.u8()? {
            b'R' => Phase::Reading(Box::new(Reading::take(reader)?)),
            b'L' => Phase::Read(Box::new(Read::take(reader)?)),
            b'I' => Phase::Inviting(Box::new(Inviting::take(reader)?)),
            b'C' => Phase::Confirmed(Box::new(Confirmed::take(reader, &mut talk)?)),
            b'J' => Phase::Joining(Box::new(Joining::take(reader, &mut talk)?)),
            TALKING => Phase::Talking(Box::new(Talking::take(reader, &mut talk)?)),
            b'A' => Phase::Address(Box::new(Address::take(reader, requests)?)),
            b'O' => Phase::Over,
            _ => return Err(Malformed::BadValue("phase of connection").into()),
        })
    }
}

impl Inviting {
    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        put_long(out, &self.keys.to_stored());
        out.put_maybe(self.request.as_ref(), |out, request| request.put(out));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, LoadError> {
        let queue = ReceiveQueue::take(reader)?;
        let keys = Zeroizing::new(take_long(reader)?);
        let keys = AgreementKeys::from_stored(&keys)?;
        Ok(Inviting { queue, keys, request: reader.maybe(Request::take)? })
    }
}

impl Confirmed {
    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        put_value(out, &self.reply);
        put_long(out, &self.info);
        out.put_bool(self.owes_continue);
        self.talk.put(out);
    }

    fn take(reader: &mut Reader<'_>, records: &mut ConversationRecords) -> Result<Self, LoadError> {
        let queue = ReceiveQueue::take(reader)?;
        let reply: QueueInfo = take_value(reader)?;
        let (info, owes_continue) = (take_long(reader)?, reader.bool()?);
        Ok(Confirmed { queue, talk: records.load(reader)?, reply, info, owes_continue })
    }
}

impl Talking {
    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.send.put(out);
        out.put(self.stage.letter());
        out.put_maybe(self.hello, |out, hello| {
            [hello.first, hello.sent, hello.heard].into_iter().for_each(|flag| out.put_bool(flag));
        });
        self.talk.put(out);
    }

    fn take(reader: &mut Reader<'_>, records: &mut ConversationRecords) -> Result<Self, LoadError> {
        let (queue, send) = (ReceiveQueue::take(reader)?, SendQueue::take(reader)?);
        let stage = Stage::take(reader)?;
        let hello =
            reader.maybe(|reader| Ok(Hello { first: reader.bool()?, sent: reader.bool()?, heard: reader.bool()? }))?;
        Ok(Talking { queue, send, talk: records.load(reader)?, stage, hello })
    }
}
