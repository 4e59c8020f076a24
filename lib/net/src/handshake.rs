//! From an accepted or opened TCP connection to an SMP session: TLS, then the two hellos.
//!
//! The server speaks first. On a wrong hello it closes without a word, so that strangers learn nothing; the reason
//! goes to its caller. The client accepts a server only if the hello repeats the TLS certificates, those belong to the
//! fingerprint in the address, and the session key is signed by the leaf.

mod accept;
mod connect;

pub use accept::{AcceptError, AcceptOptions, ServerConnection, accept};
pub use connect::{ClientConnection, ConnectError, ConnectOptions, connect, connect_over};

use smp::error::TransportError;
use smp::handshake;

use crate::block_stream::{BlockReader, BlockWriter};

/// How a handshake over an established TLS connection failed.
enum Failure {
    Io(std::io::Error),
    Closed,
    Hello(TransportError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Failure::Hello(error)
    }
}

/// Reads one handshake block and what `parse` makes of it.
async fn receive<T>(
    reader: &mut BlockReader,
    parse: impl FnOnce(&[u8]) -> Result<T, TransportError>,
) -> Result<T, Failure> {
    let block = reader.read().await?.ok_or(Failure::Closed)?;
    Ok(parse(handshake::from_block(block.as_slice())?)?)
}

/// Sends one handshake message.
async fn send(writer: &mut BlockWriter, message: &impl codec::Encode) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    writer.queue().extend(handshake::to_block(&bytes)?);
    Ok(writer.flush().await?)
}
