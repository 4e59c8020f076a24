//! The run that wants something done, and may find that another run has the state file.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cli::{Code, Context, Error, Incoming, Kept, OrError as _, State};
use serde::de::DeserializeOwned;

use super::job::{Answer, Done, MAX_LINE, Order};
use super::socket;
use crate::held::LOOK;

/// For how long an answer may be late, beyond the time that the order gives.
const GRACE: Duration = Duration::from_secs(30);

/// Who has the state file.
pub enum Access {
    /// This run.
    Own(State),
    /// Another one, which has done what this run wanted.
    Done(Done),
}

/// Takes the state file, or hands the order to the run that has it. Waits as long as the order says if neither is possible.
/// What stands in the file passes `check` before anybody is asked, as it does when this run has the file.
pub fn access<I: Incoming>(
    order: &Order,
    kept: &Kept,
    ctx: &mut Context,
    check: impl Fn(I, &mut Context) -> Result<(), Error>,
) -> Result<Access, Error> {
    let (began, patience) = (Instant::now(), Duration::from_secs(order.timeout.into()));
    let mut checked = false;
    loop {
        let busy = match ctx.state(&kept.state) {
            Ok(state) => return Ok(Access::Own(state)),
            Err(error) if error.code() == Code::StateBusy => error,
            Err(error) => return Err(error),
        };
        if let Some(stream) = connect(&kept.state, patience.saturating_add(GRACE))? {
            if !std::mem::replace(&mut checked, true)
                && let Some(document) = ctx.shared_state(&kept.state).load_changed()?
            {
                check(document, ctx)?;
            }
            if let Some(done) = ask(order, stream)? {
                return Ok(Access::Done(done));
            }
        }
        if began.elapsed() >= patience {
            return Err(busy);
        }
        sleep(LOOK);
    }
}

/// Nobody may be there: then whoever has the file does not serve others, or has just ended.
fn connect(state: &Path, patience: Duration) -> Result<Option<UnixStream>, Error> {
    let path = socket(state);
    let stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Error::new(Code::FileFailed, error).at(path.display()));
        }
        Err(_) => return Ok(None),
    };
    stream.set_read_timeout(Some(patience)).or_error(Code::Bug)?;
    stream.set_write_timeout(Some(patience)).or_error(Code::Bug)?;
    Ok(Some(stream))
}

/// The whole answer; nothing if whoever has the file went away before it was complete.
fn ask(order: &Order, mut stream: UnixStream) -> Result<Option<Done>, Error> {
    let mut line = serde_json::to_vec(order).or_error(Code::Bug)?;
    line.push(b'\n');
    if u64::try_from(line.len()).unwrap_or(u64::MAX) > MAX_LINE {
        let error = Error::new(Code::Usage, "too much at once for the run that is using this file");
        return Err(error.hint("give it in several runs, or wait until the other one has ended"));
    }
    if let Err(error) = stream.write_all(&line) {
        return gone(&error);
    }
    let mut documents = Vec::new();
    let mut answers = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        match (&mut answers).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(_) if !line.ends_with(b"\n") => return Ok(None),
            Ok(_) => {}
            Err(error) => return gone(&error),
        }
        match serde_json::from_slice(&line).or_error_at(Code::Bug, "the run that is using this file")? {
            Answer::Line { line } => documents.push(line),
            Answer::End { ok: true, .. } => return Ok(Some(Done { documents, outcome: Ok(()) })),
            Answer::End { error, .. } => {
                let error = error.as_ref().and_then(Error::from_json);
                let error = error.unwrap_or_else(|| Error::bug("the run that is using this file says not why"));
                return Ok(Some(Done { documents, outcome: Err(error) }));
            }
        }
    }
}

/// One that is gone leaves the file to others; one that keeps silent still has it.
fn gone(error: &std::io::Error) -> Result<Option<Done>, Error> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let message = "the run that is using this file does not answer: nobody knows what it has done";
            Err(Error::new(Code::TimedOut, message).hint("what has a name (message_id) may be said again"))
        }
        _ => Ok(None),
    }
}

/// Reads documents of one kind.
pub fn documents<D: DeserializeOwned>(done: &mut Done) -> Result<Vec<D>, Error> {
    let documents = std::mem::take(&mut done.documents).into_iter();
    documents.map(|document| serde_json::from_value(document).or_error_at(Code::Bug, "an answer")).collect()
}
