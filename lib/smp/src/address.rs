//! Where an SMP server is and how to know it: hosts, port and the hash of its identity certificate.
//!
//! An address comes in two forms. As text, `smp://fingerprint@host,host:port`, it is what people configure; in binary
//! it stands inside queue addresses, short links and `PRXY`. Only the text form may carry the password that a server
//! asks for before it creates queues ([`ServerWithPassword`]); an address that is handed to others never does.
//!
//! Text is read by taking values off the front, because a host has no terminator of its own: the first alternative of
//! [`Host`] that matches a prefix decides, and what it leaves over must be the next part of the address.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use codec::{Decode, Encode, Malformed, Reader, Write, text};

use crate::command::BasicAuth;

/// The port of an address that names none.
pub const DEFAULT_PORT: u16 = 5223;

const SCHEME: &str = "smp://";
const ONION: &str = ".onion";
const MAX_SHORT: usize = 255;
const MAX_HOSTS: usize = 255;

/// One of the names under which a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address. Its text form has brackets, which every reader accepts and which keep it apart from a port.
    Ipv6(Ipv6Addr),
    /// A Tor onion service, with its suffix.
    Onion(OnionName),
    /// Any other name.
    Domain(DomainName),
}

/// The name of an onion service: lower-case letters and digits, then `.onion`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OnionName(String);

/// A host name that is neither an IP address nor an onion service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

impl Host {
    /// Takes a host off the front of `text`.
    pub fn take(text: &str) -> Result<(Host, &str), Malformed> {
        if let Some(taken) = take_ipv4(text)? {
            return Ok(taken);
        }
        if let Some(taken) = take_ipv6(text)? {
            return Ok(taken);
        }
        take_onion(text).or_else(|| take_domain(text)).ok_or(Malformed::BadValue("host"))
    }

    /// Takes hosts joined by `,` off the front of `text`; at least one.
    pub fn take_list(text: &str) -> Result<(Vec<Host>, &str), Malformed> {
        let (first, mut rest) = Host::take(text)?;
        let mut hosts = vec![first];
        while let Some(next) = rest.strip_prefix(',') {
            let (host, after) = Host::take(next)?;
            hosts.push(host);
            rest = after;
        }
        Ok((hosts, rest))
    }

    /// Reads hosts joined by `,`.
    pub fn parse_list(text: &str) -> Result<Vec<Host>, Malformed> {
        let (hosts, rest) = Host::take_list(text)?;
        finish(rest)?;
        Ok(hosts)
    }

    /// Hosts joined by `,`.
    pub fn join<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> String {
        let texts: Vec<String> = hosts.into_iter().map(Host::to_string).collect();
        texts.join(",")
    }

    /// The form that a resolver or a TLS library takes: as the text form, but IPv6 without brackets.
    pub fn to_plain(&self) -> String {
        match self {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ipv4(address) => write!(f, "{address}"),
            Host::Ipv6(address) => write!(f, "[{address}]"),
            Host::Onion(OnionName(name)) | Host::Domain(DomainName(name)) => f.write_str(name),
        }
    }
}

impl FromStr for Host {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (host, rest) = Host::take(text)?;
        finish(rest)?;
        Ok(host)
    }
}

impl Encode for Host {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_short(self.to_plain().as_bytes());
    }
}

impl Decode for Host {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.text()?.parse()
    }
}

/// Four numbers with dots. What looks like an IPv4 address must be a canonical one; what does not is left to others.
fn take_ipv4(text: &str) -> Result<Option<(Host, &str)>, Malformed> {
    let mut rest = text;
    for position in 0..4 {
        let digits = split_while(rest, |c| c.is_ascii_digit()).0;
        let in_range = digits.parse::<u8>().is_ok();
        rest = rest.strip_prefix(digits).unwrap_or_default();
        match position {
            3 if digits.is_empty() => return Ok(None),
            3 => break,
            _ => match rest.strip_prefix('.') {
                Some(after) if in_range => rest = after,
                _ => return Ok(None),
            },
        }
    }
    let taken = text.strip_suffix(rest).unwrap_or(text);
    let address = taken.parse().map_err(|_| Malformed::BadValue("IPv4 address"))?;
    Ok(Some((Host::Ipv4(address), rest)))
}

/// An address in brackets, or the longest run of hexadecimal digits and colons if it is an address.
fn take_ipv6(text: &str) -> Result<Option<(Host, &str)>, Malformed> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let address = bracketed.split_once(']').and_then(|(inside, rest)| Some((inside.parse().ok()?, rest)));
        let (address, rest) = address.ok_or(Malformed::BadValue("IPv6 address"))?;
        return Ok(Some((Host::Ipv6(address), rest)));
    }
    let (run, rest) = split_while(text, |c| c.is_ascii_hexdigit() || c == ':');
    Ok(run.parse().ok().map(|address| (Host::Ipv6(address), rest)))
}

fn take_onion(text: &str) -> Option<(Host, &str)> {
    let (name, rest) = split_while(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest = rest.strip_prefix(ONION)?;
    let fits = !name.is_empty() && name.len() + ONION.len() <= MAX_SHORT;
    fits.then(|| (Host::Onion(OnionName(format!("{name}{ONION}"))), rest))
}

fn take_domain(text: &str) -> Option<(Host, &str)> {
    let (name, rest) = split_while(text, |c| !":#,;/ ".contains(c) && !c.is_control());
    let fits = !name.is_empty() && name.len() <= MAX_SHORT && !name.ends_with(ONION);
    fits.then(|| (Host::Domain(DomainName(name.to_owned())), rest))
}

/// SHA-256 of a server's identity certificate, as an address states it.
///
/// Addresses in the wild hold other lengths too, and a shortened link holds none; such a hash decodes, prints and
/// compares, but no server can satisfy it: connecting needs [`KeyHash::certificate`].
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct KeyHash(Vec<u8>);

impl KeyHash {
    /// No hash: the server of a shortened link, known to the application in advance.
    pub const NONE: KeyHash = KeyHash(Vec::new());

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True in a shortened link.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fingerprint to demand of the server's certificate chain, if this is one.
    pub fn certificate(&self) -> Option<crypto::certificate::Fingerprint> {
        self.0.as_slice().try_into().ok()
    }
}

impl From<crypto::certificate::Fingerprint> for KeyHash {
    fn from(fingerprint: crypto::certificate::Fingerprint) -> Self {
        KeyHash(fingerprint.to_vec())
    }
}

impl FromStr for KeyHash {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bytes = text::from_base64url(text)?;
        if bytes.len() <= MAX_SHORT { Ok(KeyHash(bytes)) } else { Err(Malformed::BadValue("length of fingerprint")) }
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::base64url(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({self})")
    }
}

impl Encode for KeyHash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_short(&self.0);
    }
}

impl Decode for KeyHash {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.short().map(|bytes| KeyHash(bytes.to_vec()))
    }
}

/// A server as others are told of it. Equality is that of every part, the order of hosts included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    first_host: Host,
    other_hosts: Vec<Host>,
    port: Option<u16>,
    key_hash: KeyHash,
}

impl ServerAddress {
    /// An address with 1 to 255 hosts; port 0 is none.
    pub fn new(hosts: Vec<Host>, port: Option<u16>, key_hash: KeyHash) -> Result<Self, Malformed> {
        if hosts.len() > MAX_HOSTS {
            return Err(Malformed::BadValue("number of hosts"));
        }
        if port == Some(0) {
            return Err(Malformed::BadValue("port"));
        }
        let mut hosts = hosts.into_iter();
        let first_host = hosts.next().ok_or(Malformed::EmptyList)?;
        Ok(ServerAddress { first_host, other_hosts: hosts.collect(), port, key_hash })
    }

    /// A server of which only a host is known.
    pub fn of_host(host: Host) -> Self {
        ServerAddress { first_host: host, other_hosts: Vec::new(), port: None, key_hash: KeyHash::NONE }
    }

    /// All hosts, in the order in which they are tried.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.first_host).chain(&self.other_hosts)
    }

    /// The host that stands for the server in links.
    pub fn first_host(&self) -> &Host {
        &self.first_host
    }

    /// The hosts after the first.
    pub fn other_hosts(&self) -> &[Host] {
        &self.other_hosts
    }

    /// The port, if the address states one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port to connect to.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// The hash of the server's identity certificate.
    pub fn key_hash(&self) -> &KeyHash {
        &self.key_hash
    }

    /// The same server for the purpose of comparing queues: equal host lists and ports, whatever the hash.
    pub fn same_server(&self, other: &ServerAddress) -> bool {
        self.hosts().eq(other.hosts()) && self.port == other.port
    }

    /// Takes an address off the front of `text`; a password makes it malformed.
    pub fn take(text: &str) -> Result<(ServerAddress, &str), Malformed> {
        match take_server(text)? {
            (server, None, rest) => Ok((server, rest)),
            (_, Some(_), _) => Err(Malformed::BadValue("server address: a password does not belong here")),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_server(f, self, None)
    }
}

impl FromStr for ServerAddress {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (server, rest) = ServerAddress::take(text)?;
        finish(rest)?;
        Ok(server)
    }
}

impl Encode for ServerAddress {
    fn encode(&self, out: &mut Vec<u8>) {
        let hosts: Vec<&Host> = self.hosts().collect();
        out.put_list(&hosts, |out, host| host.encode(out));
        encode_port(self.port, out);
        self.key_hash.encode(out);
    }
}

impl Decode for ServerAddress {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let hosts = reader.non_empty(Host::decode)?;
        ServerAddress::new(hosts, decode_port(reader)?, KeyHash::decode(reader)?)
    }
}

impl ServerAddress {
    /// Appends the form of the first client version: one host and no count.
    pub(crate) fn encode_legacy(&self, out: &mut Vec<u8>) {
        self.first_host.encode(out);
        encode_port(self.port, out);
        self.key_hash.encode(out);
    }

    pub(crate) fn decode_legacy(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let host = Host::decode(reader)?;
        ServerAddress::new(vec![host], decode_port(reader)?, KeyHash::decode(reader)?)
    }

    /// The same server under its first host alone, as the authority of a queue URI for the first client version.
    pub(crate) fn with_first_host_only(&self) -> Self {
        ServerAddress { other_hosts: Vec::new(), ..self.clone() }
    }

    pub(crate) fn with_more_hosts(self, more: Vec<Host>) -> Result<Self, Malformed> {
        let hosts = self.hosts().cloned().chain(more).collect();
        ServerAddress::new(hosts, self.port, self.key_hash)
    }
}

/// A server as its users configure it: the address, and the password for creating queues if it asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerWithPassword {
    /// What may be told to others.
    pub address: ServerAddress,
    /// What may not.
    pub password: Option<BasicAuth>,
}

impl ServerWithPassword {
    /// The text form with the password in it.
    pub fn expose(&self) -> String {
        struct Exposed<'a>(&'a ServerWithPassword);
        impl fmt::Display for Exposed<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_server(f, &self.0.address, self.0.password.as_ref())
            }
        }
        Exposed(self).to_string()
    }
}

impl FromStr for ServerWithPassword {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (address, password, rest) = take_server(text)?;
        finish(rest)?;
        Ok(ServerWithPassword { address, password })
    }
}

fn take_server(text: &str) -> Result<(ServerAddress, Option<BasicAuth>, &str), Malformed> {
    let authority = text.strip_prefix(SCHEME).ok_or(Malformed::BadValue("scheme of server address"))?;
    let (identity, rest) = authority.split_once('@').ok_or(Malformed::BadValue("server address"))?;
    let (key_hash, password) = match identity.split_once(':') {
        Some((key_hash, password)) => (key_hash.parse()?, Some(parse_password(password)?)),
        None => (identity.parse()?, None),
    };
    let (hosts, rest) = Host::take_list(rest)?;
    let (port, rest) = take_port(rest)?;
    Ok((ServerAddress::new(hosts, port, key_hash)?, password, rest))
}

/// An address that announces a password has one.
fn parse_password(text: &str) -> Result<BasicAuth, Malformed> {
    BasicAuth::new(text).filter(|password| !password.expose().is_empty()).ok_or(Malformed::BadValue("password"))
}

fn write_server(f: &mut fmt::Formatter<'_>, server: &ServerAddress, password: Option<&BasicAuth>) -> fmt::Result {
    write!(f, "{SCHEME}{}", server.key_hash)?;
    if let Some(password) = password {
        write!(f, ":{}", password.expose())?;
    }
    write!(f, "@{}", Host::join(server.hosts()))?;
    match server.port {
        Some(port) => write!(f, ":{port}"),
        None => Ok(()),
    }
}

fn take_port(text: &str) -> Result<(Option<u16>, &str), Malformed> {
    match text.strip_prefix(':') {
        None => Ok((None, text)),
        Some(after) => {
            let (digits, rest) = split_while(after, |c| c.is_ascii_digit());
            parse_port(digits).map(|port| (Some(port), rest))
        }
    }
}

/// Reads a port without sign or leading zeros; 0 is none.
pub fn parse_port(digits: &str) -> Result<u16, Malformed> {
    text::decimal_u16(digits).filter(|port| *port > 0).ok_or(Malformed::BadValue("port"))
}

fn encode_port(port: Option<u16>, out: &mut Vec<u8>) {
    out.put_short(port.map(|port| port.to_string()).unwrap_or_default().as_bytes());
}

fn decode_port(reader: &mut Reader<'_>) -> Result<Option<u16>, Malformed> {
    match reader.text()? {
        "" => Ok(None),
        digits => parse_port(digits).map(Some),
    }
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn finish(rest: &str) -> Result<(), Malformed> {
    match rest.len() {
        0 => Ok(()),
        left => Err(Malformed::Leftover(left)),
    }
}
