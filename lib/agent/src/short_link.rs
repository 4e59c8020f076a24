//! Short links: the name of a record on an SMP server and the key to read it.
//!
//! ```text
//! simplex:/a#key?h=hosts&p=port&c=fingerprint        all kinds but invitations: a contact, c channel, g group, r relay
//! https://host/i#id/key?h=more hosts&p=port&c=…      i invitation
//! https://host/g#key                                 a preset server, shortened
//! ```
//!
//! The letter tells people and programs what to expect behind a link; nothing is derived from it and nothing vouches
//! for it. A shortened link leaves out what an application knows about its preset servers; it can only be used after
//! [`ContactShortLink::restored`] has put it back.

use std::fmt;
use std::str::FromStr;

use codec::query::Query;
use codec::{Decode, Encode, Malformed, Reader, Write, query, text};
use crypto::BoxKey;
use smp::address::{DEFAULT_PORT, Host, KeyHash, ServerAddress, parse_port};
use smp::id::{ID_LENGTH, LinkId};

use crate::link_key::LinkKey;

/// The port that servers often use besides the default one.
const WEB_PORT: u16 = 443;

/// How the text of a link begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkScheme {
    /// `simplex:`: opened by an application.
    Simplex,
    /// `https://` and the first host of the server: opened by a browser.
    Https,
}

/// What a link that may be used many times leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContactKind {
    /// A person or a program.
    Contact,
    /// A group in which members only read by default.
    Channel,
    /// A group.
    Group,
    /// A service that forwards for groups.
    Relay,
}

/// A short link of either kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ShortLink {
    /// Works once.
    Invitation(InvitationShortLink),
    /// Works many times.
    Contact(ContactShortLink),
}

/// Names the data of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvitationShortLink {
    /// How it is written.
    pub scheme: LinkScheme,
    /// The server that has the data.
    pub server: ServerAddress,
    /// The server's name for the data.
    pub link_id: LinkId,
    /// Reads the data.
    pub key: LinkKey,
}

/// Names the data of an address, a channel, a group or a relay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContactShortLink {
    /// How it is written.
    pub scheme: LinkScheme,
    /// What it claims to lead to.
    pub kind: ContactKind,
    /// The server that has the data.
    pub server: ServerAddress,
    /// Reads the data and yields the server's name for it.
    pub key: LinkKey,
}

impl ContactKind {
    fn letter(self) -> char {
        match self {
            ContactKind::Contact => 'a',
            ContactKind::Channel => 'c',
            ContactKind::Group => 'g',
            ContactKind::Relay => 'r',
        }
    }

    fn from_letter(letter: char) -> Option<Self> {
        match letter {
            'a' => Some(ContactKind::Contact),
            'c' => Some(ContactKind::Channel),
            'g' => Some(ContactKind::Group),
            'r' => Some(ContactKind::Relay),
            _ => None,
        }
    }
}

impl ContactShortLink {
    /// Where the server keeps the data, and the key that encrypts it.
    pub fn derive(&self) -> (LinkId, BoxKey) {
        self.key.derive_contact()
    }

    /// The same link for people to share, if its server is one of the presets; otherwise unchanged.
    pub fn shortened(self, presets: &[ServerAddress]) -> Self {
        ContactShortLink { server: shorten(self.server, presets), ..self }
    }

    /// The link with everything its server needs, if it was shortened for one of the presets; otherwise unchanged.
    pub fn restored(self, presets: &[ServerAddress]) -> Self {
        ContactShortLink { server: restore(self.server, presets), ..self }
    }

    /// The same link however it is written: kind, first host, port and key decide; the usual ports stand for none.
    pub fn same_link(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.key == other.key
            && self.server.first_host() == other.server.first_host()
            && same_port(self.server.port(), other.server.port())
    }
}

impl InvitationShortLink {
    /// As [`ContactShortLink::shortened`].
    pub fn shortened(self, presets: &[ServerAddress]) -> Self {
        InvitationShortLink { server: shorten(self.server, presets), ..self }
    }

    /// As [`ContactShortLink::restored`].
    pub fn restored(self, presets: &[ServerAddress]) -> Self {
        InvitationShortLink { server: restore(self.server, presets), ..self }
    }
}

fn same_port(one: Option<u16>, other: Option<u16>) -> bool {
    match (one, other) {
        (None, Some(port)) | (Some(port), None) => is_usual(port),
        (one, other) => one == other,
    }
}

fn is_usual(port: u16) -> bool {
    port == WEB_PORT || port == DEFAULT_PORT
}

fn shorten(server: ServerAddress, presets: &[ServerAddress]) -> ServerAddress {
    let known = presets.iter().any(|preset| {
        let port = server.port() == preset.port() || (preset.port().is_none() && server.port().is_some_and(is_usual));
        let hosts = server.hosts().all(|host| preset.hosts().any(|known| known == host));
        preset.first_host() == server.first_host() && preset.key_hash() == server.key_hash() && port && hosts
    });
    if known { host_only(&server) } else { server }
}

fn restore(server: ServerAddress, presets: &[ServerAddress]) -> ServerAddress {
    let shortened = server == host_only(&server);
    let preset = presets.iter().find(|preset| preset.first_host() == server.first_host());
    preset.filter(|_| shortened).cloned().unwrap_or(server)
}

/// The server of a shortened link.
fn host_only(server: &ServerAddress) -> ServerAddress {
    ServerAddress::of_host(server.first_host().clone())
}

impl fmt::Display for ShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShortLink::Invitation(link) => link.fmt(f),
            ShortLink::Contact(link) => link.fmt(f),
        }
    }
}

impl fmt::Display for InvitationShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = format!("{}/{}", text::base64url_unpadded(self.link_id.as_bytes()), self.key.to_text());
        write_link(f, self.scheme, 'i', &body, &self.server)
    }
}

impl fmt::Display for ContactShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_link(f, self.scheme, self.kind.letter(), &self.key.to_text(), &self.server)
    }
}

fn write_link(
    f: &mut fmt::Formatter<'_>,
    scheme: LinkScheme,
    letter: char,
    body: &str,
    server: &ServerAddress,
) -> fmt::Result {
    let hosts = match scheme {
        LinkScheme::Simplex => {
            write!(f, "simplex:/{letter}#{body}")?;
            Host::join(server.hosts())
        }
        LinkScheme::Https => {
            write!(f, "https://{}/{letter}#{body}", server.first_host())?;
            Host::join(server.other_hosts())
        }
    };
    let port = server.port().map(|port| port.to_string()).unwrap_or_default();
    let key_hash = text::base64url_unpadded(server.key_hash().as_bytes());
    let params = [("h", hosts.as_bytes()), ("p", port.as_bytes()), ("c", key_hash.as_bytes())];
    let query = query::encode(params.into_iter().filter(|(_, value)| !value.is_empty()));
    if query.is_empty() { Ok(()) } else { write!(f, "?{query}") }
}

impl FromStr for ShortLink {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.contains([' ', '\n']) {
            return Err(Malformed::BadValue("link: space or line feed"));
        }
        let (scheme, authority, rest) = take_authority(text)?;
        let (letter, rest) = rest.split_once('#').ok_or(Malformed::BadValue("link without key"))?;
        let (body, params) = rest.split_once('?').unwrap_or((rest, ""));
        let server = parse_server(authority, &Query::parse(params))?;
        match single_letter(letter.strip_suffix('/').unwrap_or(letter))? {
            'i' => {
                let (id, key) = body.split_once('/').ok_or(Malformed::BadValue("invitation without link ID"))?;
                let link_id = LinkId::from(text::array_from_base64url::<ID_LENGTH>(id)?);
                Ok(ShortLink::Invitation(InvitationShortLink { scheme, server, link_id, key: parse_key(key)? }))
            }
            letter => {
                let kind = ContactKind::from_letter(letter.to_ascii_lowercase());
                let kind = kind.ok_or(Malformed::BadValue("kind of link"))?;
                Ok(ShortLink::Contact(ContactShortLink { scheme, kind, server, key: parse_key(body)? }))
            }
        }
    }
}

impl FromStr for ContactShortLink {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.parse()? {
            ShortLink::Contact(link) => Ok(link),
            ShortLink::Invitation(_) => Err(Malformed::BadValue("kind of link: an invitation")),
        }
    }
}

/// The scheme, the host that the authority names, and what follows the `/`.
fn take_authority(text: &str) -> Result<(LinkScheme, Option<Host>, &str), Malformed> {
    if let Some(path) = text.strip_prefix("simplex:/") {
        return Ok((LinkScheme::Simplex, None, path));
    }
    let authority = text.strip_prefix("https://").ok_or(Malformed::BadValue("scheme of link"))?;
    let (host, rest) = Host::take(authority)?;
    let path = rest.strip_prefix('/').ok_or(Malformed::BadValue("host of link"))?;
    Ok((LinkScheme::Https, Some(host), path))
}

fn parse_server(authority: Option<Host>, query: &Query) -> Result<ServerAddress, Malformed> {
    let listed = query.text("h").map(Host::parse_list).transpose()?.unwrap_or_default();
    let port = query.text("p").map(parse_port).transpose()?;
    let key_hash = query.text("c").map(str::parse).transpose()?.unwrap_or(KeyHash::NONE);
    ServerAddress::new(authority.into_iter().chain(listed).collect(), port, key_hash)
}

fn single_letter(text: &str) -> Result<char, Malformed> {
    let mut letters = text.chars();
    let letter = letters.next().filter(|_| letters.as_str().is_empty());
    letter.ok_or(Malformed::BadValue("kind of link"))
}

fn parse_key(text: &str) -> Result<LinkKey, Malformed> {
    text::array_from_base64url(text).map(LinkKey::from_bytes)
}

impl Encode for ShortLink {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ShortLink::Invitation(link) => {
                out.put(b"I");
                link.server.encode(out);
                link.link_id.encode(out);
                out.put_short(link.key.as_bytes());
            }
            ShortLink::Contact(link) => link.encode(out),
        }
    }
}

impl Decode for ShortLink {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if !reader.literal(b"I") {
            return ContactShortLink::decode(reader).map(ShortLink::Contact);
        }
        let server = ServerAddress::decode(reader)?;
        let link_id: [u8; ID_LENGTH] =
            reader.short()?.try_into().map_err(|_| Malformed::BadValue("length of link ID"))?;
        let key = LinkKey::decode_short(reader.short()?)?;
        let scheme = LinkScheme::Https;
        Ok(ShortLink::Invitation(InvitationShortLink { scheme, server, link_id: link_id.into(), key }))
    }
}

impl Encode for ContactShortLink {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut letter = [0; 4];
        out.put(b"C");
        out.put(self.kind.letter().to_ascii_uppercase().encode_utf8(&mut letter).as_bytes());
        self.server.encode(out);
        out.put_short(self.key.as_bytes());
    }
}

impl Decode for ContactShortLink {
    /// The binary form does not tell the scheme; links that came in it are written for browsers.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if !reader.literal(b"C") {
            return Err(Malformed::BadValue("kind of link"));
        }
        let letter = char::from(reader.u8()?);
        let kind = ContactKind::from_letter(letter.to_ascii_lowercase()).filter(|_| letter.is_ascii_uppercase());
        Ok(ContactShortLink {
            scheme: LinkScheme::Https,
            kind: kind.ok_or(Malformed::BadValue("kind of link"))?,
            server: ServerAddress::decode(reader)?,
            key: LinkKey::decode_short(reader.short()?)?,
        })
    }
}
