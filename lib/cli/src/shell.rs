//! The `main` of every binary: arguments in, one run, exit status out.
//!
//! | stage | what may happen |
//! |---|---|
//! | pages | `--help`, `--version`, `--schema`, `--man`, `--completions` print and end; nothing else is checked |
//! | parse | a refusal of clap becomes `error[usage]`, exit 2 |
//! | run | the tool's own `run`; panics are caught |
//! | deliver | its document is written; only now anything appears on stdout or in `--out` |
//! | report | the error, if any, goes to stderr and its code decides the exit status |

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::error::ErrorKind;
use clap::{Args, Command, FromArgMatches};
use clap_complete::Shell;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{Common, Out, Talk};
use crate::console::Console;
use crate::context::{Context, print};
use crate::document::Outcome;
use crate::{Code, Error, Tool, command, page, signal};

/// Runs a tool. The whole `main` of a binary is `cli::main(&TOOL, run)`.
pub fn main<A: Args, R: Outcome>(tool: &'static Tool, run: fn(A, &mut Context) -> Result<R, Error>) -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let talk = Talk { json_errors: command::wants_json_errors(&argv), ..Talk::default() };
    let mut console = Console::new(tool.name, &talk);
    tell_panics(&console);
    let result = caught(|| start(tool, run, &argv, &mut console));
    match result.and_then(|()| if tool.server { signal::received().map_or(Ok(()), Err) } else { Ok(()) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !(tool.server && is_signal(error.code())) {
                console.error(&error);
            }
            ExitCode::from(error.code().exit().status())
        }
    }
}

/// A server that drained did what it was told; that is no error to report.
fn is_signal(code: Code) -> bool {
    matches!(code, Code::Interrupted | Code::Terminated)
}

fn start<A: Args, R: Outcome>(
    tool: &'static Tool,
    run: fn(A, &mut Context) -> Result<R, Error>,
    argv: &[OsString],
    console: &mut Console,
) -> Result<(), Error> {
    let mut command = command::build::<A>(tool);
    if let Some(page) = static_page(tool, &command, argv)? {
        return print(&page);
    }
    let usage = command.render_usage().to_string().replacen("Usage:", "usage:", 1);
    let matches = match command.try_get_matches_from_mut(argv) {
        Ok(matches) => matches,
        Err(help) if help.kind() == ErrorKind::DisplayHelp => return print(&command::without_trailing_spaces(&help)),
        Err(refusal) => return Err(command::usage_error(&refusal)),
    };
    let parse = |refusal: clap::Error| command::usage_error(&refusal);
    let mut common = Common::from_arg_matches(&matches).map_err(parse)?;
    common.talk.json_errors |= command::wants_json_errors(argv);
    let out = if tool.has_out() { Out::from_arg_matches(&matches).map_err(parse)? } else { Out::default() };
    let args = A::from_arg_matches(&matches).map_err(parse)?;

    *console = Console::new(tool.name, &common.talk);
    tell_panics(console);
    log(console, &common.talk, tool.server);
    signal::watch(console, tool.server)?;
    let mut context = Context::new(tool, usage, &common, out, console.clone())?;
    run(args, &mut context)?.deliver(&mut context)?;
    context.trace().failure().map_or(Ok(()), Err)
}

/// Pages that are printed whatever else the command line says.
fn static_page(tool: &Tool, command: &Command, argv: &[OsString]) -> Result<Option<String>, Error> {
    let short = |arg: &str, flag: char| {
        arg.strip_prefix('-').is_some_and(|flags| flags.contains(flag) && flags.chars().all(|c| "qvV".contains(c)))
    };
    let has = |long: &str, flag| command::flags(argv).any(|arg| arg == long || short(arg, flag));
    if has("--version", 'V') {
        return Ok(Some(page::version(tool, has("--verbose", 'v'))));
    }
    if has("--schema", ' ') {
        return Ok(Some(format!("{}\n", page::schema(tool))));
    }
    if has("--man", ' ') {
        return page::man(tool, command).map(Some);
    }
    Ok(asked_shell(argv).map(|shell| page::completions(tool, command.clone(), shell)))
}

/// The known shell after `--completions`; an unknown one is left for clap to refuse.
fn asked_shell(argv: &[OsString]) -> Option<Shell> {
    let mut after = command::flags(argv).skip_while(|arg| !arg.starts_with("--completions"));
    let shell = match after.next()?.split_once('=') {
        Some((_, shell)) => shell,
        None => after.next()?,
    };
    shell.parse().ok()
}

/// Logs of all crates, on stderr: `-v` shows protocol steps, `-vv` what happens inside them.
fn log(console: &Console, talk: &Talk, server: bool) {
    let level = match (talk.quiet || talk.json_errors, talk.verbose) {
        (true, 0) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        (_, 2) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let writer = console.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(move || LogWriter(writer.clone()));
    let dispatch: tracing::Dispatch =
        if server { subscriber.finish().into() } else { subscriber.without_time().finish().into() };
    // A second subscriber cannot be set; the first one is ours.
    let _ = tracing::dispatcher::set_global_default(dispatch);
}

struct LogWriter(Console);

impl std::io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.log(String::from_utf8_lossy(line).trim());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Remembers panics for [`caught`]; one of a background task does not end the run and is told at once.
fn tell_panics(console: &Console) {
    let main = std::thread::current().id();
    let console = console.clone();
    std::panic::set_hook(Box::new(move |info| {
        let panic = describe(info);
        if std::thread::current().id() == main {
            *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        } else {
            console.warn(Code::TaskPanicked, panic);
        }
    }));
}

/// A panic of the tool itself is our bug, told in one line.
fn caught(run: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let panic = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(Error::bug(panic.unwrap_or_else(|| "panic".to_owned())))
    })
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or("somewhere".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
    let payload = info.payload();
    let words =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("{place}: {}", words.unwrap_or("panic"))
}
