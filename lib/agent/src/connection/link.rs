//! Opening a link: a short link is read before it can be joined.

use codec::{Malformed, Reader, Write};
use crypto::sign::Ed25519PrivateKey;
use smp::address::ServerAddress;
use smp::command::{Command, LinkData};
use smp::id::{EntityId, SenderId};

use super::fault::TaskFault;
use super::plan::{JoinLink, ReadData, ReadLink, Settings};
use super::stored::{auth, put_auth_key, put_value, take_auth_key, take_value};
use super::task::Task;
use super::{Connection, ConnectionError, Event, Phase};
use crate::full_link::FullLink;
use crate::link_data::{ContactData, FixedData, InvitationData};
use crate::link_read::{LinkReadError, RetrievedLinkData};
use crate::short_link::ShortLink;
use crate::time::Env;

/// A short link, and the key with which its data is read. The data of an invitation is given to one key only, which
/// secures the queue thereby: it is stored before it is used.
pub(super) struct Reading {
    link: ShortLink,
    key: Ed25519PrivateKey,
}

/// A link that can be joined.
pub(super) struct Read {
    pub(super) read: ReadLink,
    /// The key that has secured the queue.
    pub(super) claimed: Option<Ed25519PrivateKey>,
}

impl Connection {
    /// Begins with a link of somebody else. A full link can be joined at once; a short one is read first, and says so
    /// with [`Event::LinkRead`].
    pub fn open(link: JoinLink, settings: &Settings, env: &mut Env<'_>) -> Self {
        let mut reading =
            |link| Phase::Reading(Box::new(Reading { link, key: Ed25519PrivateKey::generate(env.random) }));
        let phase = match link {
            JoinLink::Full(link) => Phase::Read(Box::new(Read::full(*link))),
            JoinLink::Invitation(link) => reading(ShortLink::Invitation(link)),
            JoinLink::Contact(link) => reading(ShortLink::Contact(link)),
        };
        Self::begin(settings, phase)
    }

    /// What the link says, until it is joined.
    pub fn link_read(&self) -> Option<&ReadLink> {
        match &self.phase {
            Phase::Read(read) => Some(&read.read),
            _ => None,
        }
    }

    /// Takes what the server has for the link.
    pub(super) fn link_answered(
        &mut self,
        sender_id: SenderId,
        data: LinkData,
        events: &mut Vec<Event>,
    ) -> Result<(), TaskFault> {
        let Phase::Reading(reading) = &self.phase else { return Ok(()) };
        let read = reading.read(&RetrievedLinkData { sender_id, data })?;
        self.phase = Phase::Read(Box::new(read));
        self.dirty.core = true;
        events.push(Event::LinkRead);
        Ok(())
    }
}

impl Reading {
    pub(super) fn server(&self) -> &ServerAddress {
        match &self.link {
            ShortLink::Invitation(link) => &link.server,
            ShortLink::Contact(link) => &link.server,
        }
    }

    pub(super) fn task(&self) -> Result<Task, ConnectionError> {
        let (server, entity_id, key, command) = match &self.link {
            ShortLink::Invitation(link) => {
                let key = auth(&self.key);
                let public = key.public().map_err(|_| ConnectionError::Library)?;
                (&link.server, EntityId::from(link.link_id.clone()), Some(key), Command::Lkey(public))
            }
            ShortLink::Contact(link) => (&link.server, link.derive().0.into(), None, Command::Lget),
        };
        Ok(Task { server: server.clone(), corr_id: None, entity_id, key, command })
    }

    fn read(&self, retrieved: &RetrievedLinkData) -> Result<Read, LinkReadError> {
        let (fixed, data, claimed) = match &self.link {
            ShortLink::Invitation(link) => {
                let data = retrieved.read(link)?;
                let read = ReadData::Invitation(Box::new((data.fixed().clone(), data.user().clone())));
                (data.fixed().clone(), read, Some(self.key.clone()))
            }
            ShortLink::Contact(link) => {
                let data = retrieved.read(link)?;
                let read = ReadData::Contact(Box::new((data.fixed().clone(), data.user().clone())));
                (data.fixed().clone(), read, None)
            }
        };
        Ok(Read { read: ReadLink { link: fixed.link, data: Some(data) }, claimed })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_value(out, &self.link);
        put_auth_key(out, &self.key);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Reading { link: take_value(reader)?, key: take_auth_key(reader)? })
    }
}

impl Read {
    pub(super) fn full(link: FullLink) -> Self {
        Read { read: ReadLink { link, data: None }, claimed: None }
    }

    pub(super) fn data(&self) -> Option<&ReadData> {
        self.read.data.as_ref()
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        // Only the text form keeps everything that a full link says.
        super::stored::put_long(out, self.read.link.to_string().as_bytes());
        out.put_maybe(self.claimed.as_ref(), put_auth_key);
        out.put_maybe(self.read.data.as_ref(), put_data);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let text = super::stored::take_long(reader)?;
        let link = std::str::from_utf8(&text).map_err(|_| Malformed::NotUtf8)?.parse()?;
        let claimed = reader.maybe(take_auth_key)?;
        let data = reader.maybe(take_data)?;
        Ok(Read { read: ReadLink { link, data }, claimed })
    }
}

fn put_data(out: &mut Vec<u8>, data: &ReadData) {
    match data {
        ReadData::Invitation(data) => {
            out.put(b"I");
            put_value(out, &data.0);
            put_value(out, &data.1);
        }
        ReadData::Contact(data) => {
            out.put(b"C");
            put_value(out, &data.0);
            put_value(out, &data.1);
        }
    }
}

fn take_data(reader: &mut Reader<'_>) -> Result<ReadData, Malformed> {
    match reader.u8()? {
        b'I' => {
            let (fixed, user): (FixedData, InvitationData) = (take_value(reader)?, take_value(reader)?);
            Ok(ReadData::Invitation(Box::new((fixed, user))))
        }
        b'C' => {
            let (fixed, user): (FixedData, ContactData) = (take_value(reader)?, take_value(reader)?);
            Ok(ReadData::Contact(Box::new((fixed, user))))
        }
        _ => Err(Malformed::BadValue("kind of link data")),
    }
}
