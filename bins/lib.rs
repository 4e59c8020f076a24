//! What the binaries in `bins/` share because it joins two crates under `lib/` that do not know each other.

pub mod documents;

use std::path::Path;
use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use cli::{Code, Context, Error, OrError as _};
use crypto::Random;
use crypto::dh::X25519PrivateKey;
use net::Blame;
use net::client::{Client, ClientError, ClientOptions, LinkContent};
use net::handshake::{ConnectError, ConnectOptions, connect};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::command::BasicAuth;

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
pub fn connect_error(server: &ServerAddress, error: ConnectError) -> Error {
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

/// Connects to a server for a few commands.
pub async fn dial(
    server: &ServerAddress,
    timeout: Duration,
    mut random: Box<dyn Random + Send>,
) -> Result<Client, Error> {
    let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
    let key = X25519PrivateKey::generate(random.as_mut());
    let options = ConnectOptions { timeout, ..ConnectOptions::default() };
    let connection = connect(server, &connector, options, key).await.map_err(|error| connect_error(server, error))?;
    let options = ClientOptions { command_timeout: timeout, ..ClientOptions::default() };
    Ok(Client::start(connection, options, random).0)
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

/// Reads a server's password from a file.
pub fn password_from_file(path: &Path, ctx: &mut Context) -> Result<BasicAuth, Error> {
    let bytes = ctx.secret_file(path)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim).filter(|text| !text.is_empty());
    text.and_then(BasicAuth::new).ok_or_else(|| {
        Error::new(Code::FieldInvalid, "no printable password without space, @, : and /").at(path.display())
    })
}
