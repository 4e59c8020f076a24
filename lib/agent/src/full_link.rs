//! Full links: everything that is needed to connect, in one text or inside short link data.
//!
//! ```text
//! simplex:/invitation#/?v=2-7&smp=queue;queue&e2e=offer&data=text     one connection
//! simplex:/contact#/?v=2-7&smp=queue&data=text                        an address for requests
//! ```
//!
//! Every value is escaped once more than it stands there, so that the parameters of a queue do not become ours; the `;`
//! between queues would otherwise end the value, because query strings are split at `;` too. Links may also begin with
//! `https://host`, for browsers; the host says nothing about the queues and is forgotten.

use std::fmt;
use std::str::FromStr;

use codec::query::Query;
use codec::{Decode, Encode, Malformed, Reader, VersionRange, Write, query};
use smp::address::{Host, parse_port};
use smp::queue_address::{QueueMode, QueueUri};

use crate::ratchet_offer::RatchetOffer;
use crate::version::LOWEST_CONTACT_AGENT;

const MAX_QUEUES: usize = 255;
const MAX_CLIENT_DATA: usize = 65_535;

/// A link that says everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FullLink {
    /// For one connection.
    Invitation(ConnectionRequest, RatchetOffer),
    /// For requests from anybody who has the link.
    Contact(ConnectionRequest),
}

/// What both kinds of link say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRequest {
    versions: VersionRange,
    first_queue: QueueUri,
    more_queues: Vec<QueueUri>,
    client_data: Option<String>,
}

impl ConnectionRequest {
    /// A request with 1 to 255 queues and at most 65,535 bytes of client data.
    pub fn new(versions: VersionRange, queues: Vec<QueueUri>, client_data: Option<String>) -> Result<Self, Malformed> {
        if queues.len() > MAX_QUEUES {
            return Err(Malformed::BadValue("number of queues"));
        }
        if client_data.as_ref().is_some_and(|data| data.len() > MAX_CLIENT_DATA) {
            return Err(Malformed::BadValue("length of client data"));
        }
        let mut queues = queues.into_iter();
        let first_queue = queues.next().ok_or(Malformed::EmptyList)?;
        Ok(ConnectionRequest { versions, first_queue, more_queues: queues.collect(), client_data })
    }

    /// Agent versions of the link's owner.
    pub fn versions(&self) -> VersionRange {
        self.versions
    }

    /// The queue that is used.
    pub fn first_queue(&self) -> &QueueUri {
        &self.first_queue
    }

    /// All queues; those after the first are reserved.
    pub fn queues(&self) -> impl Iterator<Item = &QueueUri> {
        std::iter::once(&self.first_queue).chain(&self.more_queues)
    }

    /// Text for the application, usually a small JSON object.
    pub fn client_data(&self) -> Option<&str> {
        self.client_data.as_deref()
    }

    /// The same request with its first queue replaced.
    pub fn with_first_queue(self, first_queue: QueueUri) -> Self {
        ConnectionRequest { first_queue, ..self }
    }
}

impl FullLink {
    /// What both kinds say.
    pub fn request(&self) -> &ConnectionRequest {
        match self {
            FullLink::Invitation(request, _) | FullLink::Contact(request) => request,
        }
    }

    /// The same link with its first queue replaced.
    pub fn with_first_queue(self, queue: QueueUri) -> Self {
        match self {
            FullLink::Invitation(request, offer) => FullLink::Invitation(request.with_first_queue(queue), offer),
            FullLink::Contact(request) => FullLink::Contact(request.with_first_queue(queue)),
        }
    }
}

impl fmt::Display for FullLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mode, offer) = match self {
            FullLink::Invitation(_, offer) => ("invitation", Some(offer.to_string())),
            FullLink::Contact(_) => ("contact", None),
        };
        let request = self.request();
        let versions = request.versions.to_string();
        let queues: Vec<String> = request.queues().map(QueueUri::to_string).collect();
        let queues = queues.join(";");
        let mut params = vec![("v", versions.as_bytes()), ("smp", queues.as_bytes())];
        params.extend(offer.as_ref().map(|offer| ("e2e", offer.as_bytes())));
        params.extend(request.client_data().map(|data| ("data", data.as_bytes())));
        write!(f, "simplex:/{mode}#/?{}", query::encode(params))
    }
}

impl FromStr for FullLink {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.contains([' ', '\n']) {
            return Err(Malformed::BadValue("link: space or line feed"));
        }
        let (path, query) =
            strip_authority(text)?.split_once("#/?").ok_or(Malformed::BadValue("link without parameters"))?;
        let query = Query::parse(query);
        match path.strip_suffix('/').unwrap_or(path) {
            "invitation" => {
                let offer = query.text("e2e").ok_or(Malformed::BadValue("invitation without ratchet keys"))?;
                Ok(FullLink::Invitation(parse_request(&query)?, offer.parse()?))
            }
            "contact" => parse_request(&query).map(raise_versions).map(FullLink::Contact),
            _ => Err(Malformed::BadValue("kind of link")),
        }
    }
}

/// What follows `simplex:/` or `https://host:port/`.
fn strip_authority(text: &str) -> Result<&str, Malformed> {
    if let Some(path) = text.strip_prefix("simplex:/") {
        return Ok(path);
    }
    let authority = text.strip_prefix("https://").ok_or(Malformed::BadValue("scheme of link"))?;
    let (_, rest) = Host::take(authority)?;
    let (port, path) = rest.split_once('/').ok_or(Malformed::BadValue("link without path"))?;
    match port.strip_prefix(':') {
        Some(digits) => parse_port(digits).map(|_| path),
        None if port.is_empty() => Ok(path),
        None => Err(Malformed::BadValue("host of link")),
    }
}

fn parse_request(query: &Query) -> Result<ConnectionRequest, Malformed> {
    let param = |name| query.text(name).ok_or(Malformed::BadValue("parameters of link"));
    let queues = param("smp")?.split(';').map(str::parse).collect::<Result<_, _>>()?;
    let client_data = query.get("data").map(|data| std::str::from_utf8(data).map(str::to_owned));
    let client_data = client_data.transpose().map_err(|_| Malformed::NotUtf8)?;
    ConnectionRequest::new(param("v")?.parse()?, queues, client_data)
}

/// Very old addresses are still published; their owners understand newer agents.
fn raise_versions(mut request: ConnectionRequest) -> ConnectionRequest {
    let min = request.versions.min().max(LOWEST_CONTACT_AGENT);
    let max = request.versions.max().max(min);
    request.versions = VersionRange::new(min, max).unwrap_or(request.versions);
    request
}

impl Encode for FullLink {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FullLink::Invitation(request, offer) => {
                out.put(b"I");
                request.encode(out);
                offer.encode(out);
            }
            FullLink::Contact(request) => {
                out.put(b"C");
                request.encode(out);
            }
        }
    }
}

impl Decode for FullLink {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            b'I' => Ok(FullLink::Invitation(ConnectionRequest::decode(reader)?, RatchetOffer::decode(reader)?)),
            b'C' => ConnectionRequest::decode(reader).map(FullLink::Contact),
            _ => Err(Malformed::BadValue("kind of link")),
        }
    }
}

impl Encode for ConnectionRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        let queues: Vec<&QueueUri> = self.queues().collect();
        self.versions.encode(out);
        out.put_list(&queues, |out, queue| queue.encode(out));
        out.put_maybe(self.client_data(), |out, data| out.put_large(data.as_bytes()));
    }
}

impl Decode for ConnectionRequest {
    /// A queue that states no mode is read as a contact queue: addresses for clients below version 3 cannot state it.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let versions = VersionRange::decode(reader)?;
        let mut queues = reader.non_empty(QueueUri::decode)?;
        for queue in &mut queues {
            queue.address.mode.get_or_insert(QueueMode::Contact);
        }
        let client_data =
            reader.maybe(|reader| std::str::from_utf8(reader.large()?).map_err(|_| Malformed::NotUtf8))?;
        ConnectionRequest::new(versions, queues, client_data.map(str::to_owned))
    }
}
