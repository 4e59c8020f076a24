//! Signals, solved once.
//!
//! * SIGINT: a running [`block_on`] is dropped, so that everything it holds cleans up, and the run ends with 130. Outside
//!   of it the process ends at once, but never in the middle of writing a file. A second SIGINT always ends at once.
//! * SIGTERM: servers only ([`serve`]); it asks for a drain like SIGINT does, and ends with 143.
//! * SIGPIPE: a closed stdout ends a one-shot tool silently, as the default action would. Only stdout counts: a socket
//!   that the peer closed is an ordinary error, which is why the signal itself stays ignored.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

use crate::console::Console;
use crate::{Code, Error, OrError};

/// How long background tasks may take to end after the work is done; a blocking read may never end.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// The first signal that asked the process to stop, or 0.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// How many futures wait for the first signal; with none of them it ends the process.
static WAITING: AtomicUsize = AtomicUsize::new(0);

static ASKED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

static WRITING: Mutex<()> = Mutex::new(());

/// While this lives, a signal does not end the process.
pub(crate) struct Uninterrupted(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Uninterrupted {
    pub(crate) fn begin() -> Self {
        Uninterrupted(WRITING.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts watching for signals.
pub(crate) fn watch(console: &Console, server: bool) -> Result<(), Error> {
    let kinds: &[i32] = if server { &[SIGINT, SIGTERM] } else { &[SIGINT] };
    let mut signals = Signals::new(kinds).or_error_at(Code::Bug, "signals")?;
    let console = console.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            handle(signal, &console);
        }
    });
    Ok(())
}

fn handle(signal: i32, console: &Console) {
    let first = FIRST.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if first && WAITING.load(Ordering::SeqCst) > 0 {
        ASKED.send_replace(true);
        return;
    }
    let _whole = first.then(Uninterrupted::begin);
    if first {
        console.error(&stopped(signal));
    }
    std::process::exit(i32::from(stopped(signal).code().exit().status()));
}

fn stopped(signal: i32) -> Error {
    match signal {
        SIGTERM => Error::new(Code::Terminated, "stopped by SIGTERM"),
        _ => Error::new(Code::Interrupted, "stopped by SIGINT"),
    }
}

/// What ended the run if a signal did.
pub(crate) fn received() -> Option<Error> {
    match FIRST.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(stopped(signal)),
    }
}

/// Ends the process as a write to a closed pipe does by default.
pub(crate) fn die_of_broken_pipe() -> Error {
    match signal_hook::low_level::emulate_default_handler(SIGPIPE) {
        Ok(()) => Error::bug("alive after SIGPIPE"),
        Err(error) => Error::new(Code::StdoutFailed, error),
    }
}

/// Told to stop, once. Clones share the order.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Waits until SIGINT or SIGTERM asked to stop.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has been asked.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Counts a future that answers signals itself.
struct Waiting;

impl Waiting {
    fn begin() -> (Self, Shutdown) {
        WAITING.fetch_add(1, Ordering::SeqCst);
        (Waiting, Shutdown(ASKED.subscribe()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs the networked part of a one-shot tool. SIGINT drops it, so its clean-up belongs into `Drop`.
pub fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let (_waiting, mut shutdown) = Waiting::begin();
    run(async {
        tokio::select! {
            result = work => result,
            () = shutdown.requested() => Err(received().unwrap_or_else(|| Error::bug("stopped by no signal"))),
        }
    })
}

/// Runs a server until it has drained. The exit status says which signal asked for it.
pub fn serve<F: Future<Output = Result<(), Error>>>(server: impl FnOnce(Shutdown) -> F) -> Result<(), Error> {
    let (_waiting, shutdown) = Waiting::begin();
    run(server(shutdown))
}

fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.or_error_at(Code::Bug, "runtime")?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(CLEAN_UP);
    result
}
