//! What the operator may do to a queue: block it, and unblock it.
//!
//! A Unix socket that only the server's own user can open; one command per line, one line in answer:
//!
//! ```text
//! block ID spam|content [SECONDS]     ok
//! unblock ID                          ok
//! ```
//!
//! `ID` is the recipient or sender ID of the queue in base64url. `SECONDS` is how long the client may show its user a
//! notice for. Anything else is answered with `error: …`.

use std::future::Future;
use std::io;
use std::sync::Arc;

use codec::text;
pub use net::control_socket::bind;
use smp::error::{BlockingInfo, BlockingReason, ClientNotice};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::state::State;

/// No command is longer.
const LINE: u64 = 1024;

/// A command of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    id: Vec<u8>,
    info: Option<BlockingInfo>,
}

/// Obeys until `shutdown` resolves; one operator at a time is enough.
pub async fn serve(listener: UnixListener, state: Arc<State>, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the control socket failed");
                    return;
                }
            },
        };
        tokio::select! {
            () = &mut shutdown => return,
            ended = obey(stream, &state) => if let Err(error) = ended {
                tracing::debug!(%error, "the operator went away");
            },
        }
    }
}

async fn obey(stream: UnixStream, state: &State) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        if (&mut read).take(LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match parse(&line) {
            Some(order) => carry_out(order, state).await,
            None => "error: expected block ID spam|content [SECONDS], or unblock ID".to_owned(),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

fn parse(line: &str) -> Option<Order> {
    let words: Vec<_> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["unblock", id] => Some(Order { id: text::from_base64url(id).ok()?, info: None }),
        ["block", id, reason] => order(id, reason, None),
        ["block", id, reason, seconds] => order(id, reason, Some(seconds.parse().ok()?)),
        _ => None,
    }
}

fn order(id: &str, reason: &str, ttl: Option<u32>) -> Option<Order> {
    let reason = match reason {
        "spam" => BlockingReason::Spam,
        "content" => BlockingReason::Content,
        _ => return None,
    };
    let notice = ttl.map(|ttl| ClientNotice { ttl: Some(ttl.into()) });
    Some(Order { id: text::from_base64url(id).ok()?, info: Some(BlockingInfo { reason, notice }) })
}

async fn carry_out(order: Order, state: &State) -> String {
    let Some(ticket) = state.block(&order.id, order.info) else { return "error: no such queue".to_owned() };
    match state.durable(ticket).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_documented() {
        let info = |ttl: Option<i64>| BlockingInfo {
            reason: BlockingReason::Content,
            notice: ttl.map(|ttl| ClientNotice { ttl: Some(ttl) }),
        };
        let order = |info| Some(Order { id: vec![0, 1, 2], info });
        assert_eq!(parse("block AAEC content\n"), order(Some(info(None))));
        assert_eq!(parse("block AAEC content 60"), order(Some(info(Some(60)))));
        assert_eq!(parse("unblock AAEC"), order(None));
        for wrong in ["", "block AAEC", "block AAEC rudeness", "block !! spam", "block AAEC spam -1", "unblock A B"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
