//! One connection: blocks come in, are checked, executed and answered; messages and events go out.
//!
//! Reading and writing are two loops of one task. The reading loop executes; what it owes goes through the outbox to
//! the writing loop, which waits for the disk and puts as many answers into a block as are ready. So several blocks of
//! a connection can wait for one commit, and a client that does not read stops being read from.

mod reader;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use net::block_stream::PayloadReader;
use net::handshake::ServerConnection;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::outbox::{Outbox, Outgoing};
use crate::state::State;

/// How long a client may take to hear that the connection ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves a connection until it ends. Everything that was begun is concluded even if the client has gone.
pub(crate) async fn serve(
    state: Arc<State>,
    connection: ServerConnection,
    outbox: Arc<Outbox>,
    outgoing: UnboundedReceiver<Outgoing>,
) {
    let version = connection.version;
    let session = reader::Session { version, id: connection.session_id, key: connection.session_key };
    let reader = reader::Reader::new(state.clone(), session, outbox.clone(), connection.reader);
    let writer = writer::Writer::new(state, version, outbox, connection.writer);
    let (payloads, told) = tokio::join!(reader.run(), writer.run(outgoing));
    if told {
        // Whether the client has heard it makes no difference.
        let _ = timeout(GOODBYE, hear_out(payloads)).await;
    }
}

/// A socket that is closed while something in it was not read is reset, and the last answers may be lost with it.
async fn hear_out(mut payloads: PayloadReader) {
    while let Ok(Some(_)) = payloads.read().await {}
}
