//! What the binaries in `bins/` share because it joins two crates under `lib/` that do not know each other.

pub mod connection;
pub mod documents;
pub mod group_link;
pub mod held;
pub mod operator;
pub mod ordering;
pub mod owning;
pub mod profile;
mod relay_lines;
pub mod retrieve;
pub mod sequence;
pub mod serving;
pub mod speaking;
pub mod taking_part;
pub mod values;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use cli::{Code, Context, Error, OrError as _, Step, Timeout, Trace};
use codec::text::base64url_unpadded;
use crypto::Random;
use crypto::dh::X25519PrivateKey;
use net::Blame;
use net::client::{Client, ClientError, ClientOptions, Exchange, LinkContent, Observer};
use net::handshake::{ClientConnection, ConnectError, ConnectOptions, connect};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::command::BasicAuth;

/// How much of a hash is a name in a trace.
const TRACE_NAME: usize = 9;

/// How a failure on the network is reported: by who is at fault.
pub fn code(blame: Blame) -> Code {
    match blame {
        Blame::Unreachable => Code::ServerUnreachable,
        Blame::TimedOut => Code::TimedOut,
        Blame::Refused => Code::PeerRefused,
        Blame::Protocol => Code::PeerProtocol,
        Blame::Version => Code::PeerVersion,
        Blame::Identity => Code::PeerIdentity,
        Blame::Caller => Code::Usage,
        Blame::Bug => Code::Bug,
    }
}

/// Why there is no connection to `server`, with the host at fault.
pub fn connect_error(server: &ServerAddress, error: &ConnectError) -> Error {
    let code = code(error.blame());
    match error {
        ConnectError::Unreachable { host, source } => Error::new(code, source).at(host),
        error => Error::new(code, error).at(format!("{}:{}", server.first_host(), server.port_or_default())),
    }
}

/// Why `server` did not do what it was asked to.
pub fn client_error(server: &ServerAddress, error: ClientError) -> Error {
    let at = format!("{}:{}", server.first_host(), server.port_or_default());
    Error::new(code(error.blame()), error).at(at)
}

/// Connects to servers for a few commands, and records each of them in the trace.
pub struct Dialler {
    timeout: Duration,
    random: Box<dyn Random + Send>,
    record: Record,
}

/// Where the commands of a session are recorded, and who gives them.
struct Record {
    trace: Trace,
    who: &'static str,
}

impl Dialler {
    /// A dialler for one connection that `who` makes; `step` names its randomness.
    pub fn new(ctx: &mut Context, who: &'static str, step: &str, timeout: Timeout) -> Self {
        let record = Record { trace: ctx.trace(), who };
        Dialler { timeout: timeout.duration(), random: ctx.random(step), record }
    }

    /// Connects to `server`.
    pub async fn dial(mut self, server: &ServerAddress) -> Result<Client, Error> {
        let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
        let key = X25519PrivateKey::generate(self.random.as_mut());
        let options = ConnectOptions { timeout: self.timeout, ..ConnectOptions::default() };
        let connection = connect(server, &connector, options, key).await;
        let connection = connection.map_err(|error| connect_error(server, &error));
        self.record.connected(server, &connection);
        let options = ClientOptions { command_timeout: self.timeout, ..ClientOptions::default() };
        Ok(Client::start(connection?, options, self.random).0.observed_by(self.record.observer(server)))
    }
}

impl Record {
    fn connected(&self, server: &ServerAddress, outcome: &Result<ClientConnection, Error>) {
        let (outcome, note) = match outcome {
            Ok(connection) => ("ok", format!("SMP {}", connection.version)),
            Err(error) => (error.code().name(), String::new()),
        };
        let to = &server.to_string();
        self.trace.step(Step { who: self.who, to, name: "smp_connect", outcome, note: &note, ..Step::default() });
    }

    fn observer(self, server: &ServerAddress) -> Observer {
        let to = server.to_string();
        Arc::new(move |exchange: &Exchange<'_>| trace_exchange(&self.trace, self.who, &to, "", exchange))
    }
}

/// Records a command and what came of it; `about` names the connection that it is for, if there are several.
pub fn trace_exchange(trace: &Trace, who: &str, to: &str, about: &str, exchange: &Exchange<'_>) {
    let name = format!("smp_{}", exchange.command.to_lowercase());
    let (outcome, note) = match exchange.outcome {
        Some(Ok(_)) => ("ok", String::new()),
        Some(Err(error)) => (code(error.blame()).name(), error.to_string()),
        None => (Code::TimedOut.name(), String::new()),
    };
    let (bytes, hears) =
        (Some(exchange.sent), exchange.corr_id.map(|id| trace_name(id.as_bytes())).unwrap_or_default());
    let step = Step { who, to, name: &name, bytes, outcome, note: &note, about, ..Step::default() };
    trace.step(Step { hears: &hears, ..step });
}

/// How traces name what one party tells another: both know the bytes, and nobody else learns them from the name.
pub fn trace_name(bytes: &[u8]) -> String {
    let hash = crypto::hash::sha256(bytes);
    base64url_unpadded(hash.get(..TRACE_NAME).unwrap_or(&hash))
}

/// What stands behind a link, ready to be read.
pub fn retrieved(content: LinkContent) -> RetrievedLinkData {
    RetrievedLinkData { sender_id: content.sender_id, data: content.data }
}

/// Reads the address of a server from the argument `flag`: with the hash that the server is recognised by, and without
/// a password, which would be seen by others on the same machine.
pub fn server_address(flag: &str, text: &str) -> Result<ServerAddress, Error> {
    let hint = "expected smp://FINGERPRINT@HOST[:PORT]; a password goes into a file, for --password-file";
    let address: ServerAddress =
        text.parse().or_error_at(Code::LinkMalformed, flag).map_err(|error| error.hint(hint))?;
    match address.key_hash().certificate() {
        Some(_) => Ok(address),
        None => Err(Error::new(Code::LinkMalformed, "the fingerprint is not 32 bytes long").at(flag).hint(hint)),
    }
}

/// The time of the run in Unix seconds, as protocols have it.
pub fn now(ctx: &Context) -> i64 {
    i64::try_from(ctx.now()).unwrap_or(i64::MAX)
}

/// Reads a server's password from a file.
pub fn password_from_file(path: &Path, ctx: &mut Context) -> Result<BasicAuth, Error> {
    let bytes = ctx.secret_file(path)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim).filter(|text| !text.is_empty());
    text.and_then(BasicAuth::new).ok_or_else(|| {
        Error::new(Code::FieldInvalid, "no printable password without space, @, : and /").at(path.display())
    })
}
