//! What the binaries in `bins/` share because it joins two crates under `lib/` that do not know each other.

use cli::{Code, Error};
use net::Blame;
use net::handshake::ConnectError;
use smp::address::ServerAddress;

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
