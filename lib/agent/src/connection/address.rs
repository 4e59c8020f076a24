//! Contact addresses: requests come in, and are accepted or rejected one by one.

use std::collections::{BTreeMap, VecDeque};

use codec::{Encode as _, Malformed, Reader, Write};
use crypto::dh::X25519PrivateKey;
use crypto::hash::sha256;
use smp::command::{Command, LinkData};
use smp::queue_address::QueueMode;
use zeroize::Zeroizing;

use super::ask::invitation_link;
use super::fault::LoadError;
use super::join::pq_support;
use super::link::Read;
use super::plan::{AddressPlan, QueuePlan, Settings};
use super::receive_queue::{Creation, OwnLink, ReceiveQueue};
use super::stored::{self, put_link_data, put_long, put_version, take_link_data, take_long};
use super::task::Task;
use super::{Connection, ConnectionError, Event, PeerFault, Phase, RequestEvent};
use crate::envelope::Invitation;
use crate::full_link::{ConnectionRequest, FullLink};
use crate::prepared_link::OwnFixedData;
use crate::time::Env;

/// How many requests may wait for the application. Further ones are refused: anybody can send them.
const MAX_WAITING: usize = 1_000;
/// How many requests are remembered, to know them when they come again.
const REMEMBERED: usize = 64;

/// A contact address.
pub(super) struct Address {
    pub(super) queue: ReceiveQueue,
    /// Data of the link that the server is still to be given.
    pub(super) link_data: Option<LinkData>,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    recent: VecDeque<[u8; 16]>,
}

/// What somebody asked.
struct Request {
    link: FullLink,
    info: Vec<u8>,
}

/// The links to a contact address of ours.
#[derive(Debug, Clone)]
pub struct OwnAddress {
    /// Says everything.
    pub full: FullLink,
    /// What the short link is made of, if there is one.
    pub fixed: Option<Box<OwnFixedData>>,
}

impl Connection {
    /// Prepares a contact address. Its queue is created by the first task.
    pub fn address(plan: AddressPlan, settings: &Settings, env: &mut Env<'_>) -> Result<Self, ConnectionError> {
        let contact = Some(QueueMode::Contact);
        let queue = match plan {
            AddressPlan::Full(QueuePlan { server, password, .. }) => {
                let e2e_key = X25519PrivateKey::generate(env.random);
                ReceiveQueue::new(server, password, contact, e2e_key, Creation::Plain, env.random)
            }
            AddressPlan::Linked { link, data, password } => {
                let server = link.full_link().request().first_queue().address.server.clone();
                let e2e_key = link.queue_key().clone();
                ReceiveQueue::new(server, password, contact, e2e_key, Creation::Contact(link, data), env.random)
            }
        };
        let address =
            Address { queue, link_data: None, requests: BTreeMap::new(), next_request: 1, recent: VecDeque::new() };
        Ok(Self::begin(settings, Phase::Address(Box::new(address))))
    }

    /// The links to our address, as far as they are known. `None` where this is no address.
    pub fn own_address(&self) -> Option<OwnAddress> {
        let Phase::Address(address) = &self.phase else { return None };
        let fixed = match address.queue.link() {
            OwnLink::Contact(fixed) => Some(fixed),
            _ => None,
        };
        let full = match &fixed {
            Some(fixed) => fixed.data().link.clone(),
            None => {
                let queue = address.queue.uri(self.versions().client)?;
                FullLink::Contact(ConnectionRequest::new(self.versions().agent, vec![queue], None).ok()?)
            }
        };
        Some(OwnAddress { full, fixed })
    }

    /// Replaces what may change in the data of our link. A later call before the server has it replaces it again.
    pub fn set_link(&mut self, data: LinkData) -> Result<(), ConnectionError> {
        let Phase::Address(address) = &mut self.phase else { return Err(self.prohibited("set link")) };
        match address.queue.link() {
            OwnLink::Contact(fixed) if fixed.encrypted() == data.fixed => {}
            _ => return Err(ConnectionError::Unknown("link")),
        }
        if !address.queue.replace_planned(&data) {
            address.link_data = Some(data);
        }
        self.dirty.core = true;
        Ok(())
    }

    /// Accepts a request: a connection that joins the invitation in it. Both must be made durable together.
    pub fn accept(
        &mut self,
        request: u64,
        plan: QueuePlan,
        info: Vec<u8>,
        env: &mut Env<'_>,
    ) -> Result<Connection, ConnectionError> {
        let settings = self.settings;
        let Phase::Address(address) = &mut self.phase else { return Err(self.prohibited("accept")) };
        let asked = address.requests.get(&request).ok_or(ConnectionError::Unknown("request"))?;
        let mut connection = Self::begin(&settings, Phase::Read(Box::new(Read::full(asked.link.clone()))));
        connection.join(plan, info, env)?;
        self.forget_request(request);
        Ok(connection)
    }

    /// Rejects a request. Whoever asked is not told.
    pub fn reject(&mut self, request: u64) -> Result<(), ConnectionError> {
        let Phase::Address(address) = &mut self.phase else { return Err(self.prohibited("reject")) };
        address.requests.get(&request).ok_or(ConnectionError::Unknown("request"))?;
        self.forget_request(request);
        Ok(())
    }

    fn forget_request(&mut self, request: u64) {
        if let Phase::Address(address) = &mut self.phase {
            address.requests.remove(&request);
            self.dirty.requests.insert(request);
        }
    }

    /// Takes a request, unless it is the repetition of an earlier one.
    pub(super) fn receive_request(
        &mut self,
        invitation: &Invitation,
        events: &mut Vec<Event>,
    ) -> Result<(), PeerFault> {
        let settings = self.settings;
        let Phase::Address(address) = &mut self.phase else { return Err(PeerFault::Prohibited("request")) };
        let fingerprint = fingerprint(invitation.request());
        if address.recent.contains(&fingerprint) {
            return Ok(());
        }
        if address.requests.len() >= MAX_WAITING {
            return Err(PeerFault::Prohibited("too many requests wait"));
        }
        if address.recent.len() >= REMEMBERED {
            address.recent.pop_front();
        }
        address.recent.push_back(fingerprint);
        let id = address.next_request;
        address.next_request = id.saturating_add(1);
        let request = Request { link: invitation_link(invitation), info: invitation.info().to_vec() };
        events.push(Event::Requested(request.event(id, &settings)));
        address.requests.insert(id, request);
        self.dirty.requests.insert(id);
        self.dirty.core = true;
        Ok(())
    }
}

impl Address {
    pub(super) fn events(&self, settings: &Settings) -> impl Iterator<Item = Event> {
        self.requests.iter().map(|(id, request)| Event::Requested(request.event(*id, settings)))
    }

    pub(super) fn set_link_task(&self) -> Option<Task> {
        let OwnLink::Contact(fixed) = self.queue.link() else { return None };
        self.queue.command(Command::Lset(fixed.link_id(), self.link_data.clone()?))
    }

    pub(super) fn request_numbers(&self) -> impl Iterator<Item = u64> {
        self.requests.keys().copied()
    }

    pub(super) fn stored_request(&self, number: u64) -> Option<Zeroizing<Vec<u8>>> {
        let request = self.requests.get(&number)?;
        let mut out = Zeroizing::new(Vec::new());
        put_version(&mut out);
        put_long(&mut out, request.link.to_string().as_bytes());
        put_long(&mut out, &request.info);
        Some(out)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        out.put_maybe(self.link_data.as_ref(), put_link_data);
        out.put_i64(i64::try_from(self.next_request).unwrap_or(i64::MAX));
        let recent: Vec<_> = self.recent.iter().collect();
        out.put_list(&recent, |out, fingerprint| out.put(*fingerprint));
    }

    pub(super) fn take(
        reader: &mut Reader<'_>,
        requests: BTreeMap<u64, Zeroizing<Vec<u8>>>,
    ) -> Result<Self, LoadError> {
        let queue = ReceiveQueue::take(reader)?;
        let link_data = reader.maybe(take_link_data)?;
        let next_request = u64::try_from(reader.i64()?).unwrap_or_default();
        let recent = reader.list(Reader::array)?.into();
        let requests = requests.into_iter().map(|(number, bytes)| Ok((number, Request::from_stored(&bytes)?)));
        Ok(Address { queue, link_data, requests: requests.collect::<Result<_, LoadError>>()?, next_request, recent })
    }
}

impl Request {
    fn event(&self, id: u64, settings: &Settings) -> RequestEvent {
        let post_quantum = match &self.link {
            FullLink::Invitation(request, offer) => request
                .versions()
                .common(settings.versions.agent)
                .is_some_and(|agent| pq_support(settings.pq, agent.max(), offer, settings)),
            FullLink::Contact(_) => false,
        };
        RequestEvent { id, info: self.info.clone(), post_quantum }
    }

    fn from_stored(bytes: &[u8]) -> Result<Self, LoadError> {
        stored::open(bytes, |reader| {
            let text = take_long(reader)?;
            let link = std::str::from_utf8(&text).map_err(|_| Malformed::NotUtf8)?.parse()?;
            Ok(Request { link, info: take_long(reader)? })
        })
    }
}

/// Requests with the same queue are the same.
fn fingerprint(request: &ConnectionRequest) -> [u8; 16] {
    let address = &request.first_queue().address;
    let mut bytes = address.server.first_host().to_plain().into_bytes();
    address.sender_id.encode(&mut bytes);
    let mut digest = sha256(&bytes).into_iter();
    std::array::from_fn(|_| digest.next().unwrap_or_default())
}
