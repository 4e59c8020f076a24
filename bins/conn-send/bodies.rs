//! What `conn-send` sends: an argument, all of stdin, or its lines.

use cli::{Context, Error};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::Args;

/// No connection takes a longer message.
const MAX_LINE: usize = 16_384;

type Body = Zeroizing<Vec<u8>>;

/// The messages, one after the other.
pub(crate) enum Bodies {
    /// The only one.
    One(Option<Body>),
    /// As they come.
    Lines(mpsc::Receiver<Result<Body, Error>>),
}

impl Bodies {
    pub(crate) fn open(args: &Args, ctx: &mut Context) -> Result<Self, Error> {
        if args.lines {
            return Ok(Bodies::Lines(lines(ctx)?));
        }
        let body = match args.text.as_deref().filter(|text| *text != "-") {
            Some(text) => Zeroizing::new(text.as_bytes().to_vec()),
            None => ctx.bytes("a message")?,
        };
        Ok(Bodies::One(Some(body)))
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Body, Error>> {
        match self {
            Bodies::One(body) => body.take().map(Ok),
            Bodies::Lines(lines) => lines.recv().await,
        }
    }
}

/// Reads lines on a thread of its own: one that waits for stdin keeps nobody from ending.
fn lines(ctx: &mut Context) -> Result<mpsc::Receiver<Result<Body, Error>>, Error> {
    let lines = ctx.lines("messages, one per line", MAX_LINE)?;
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in lines {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
