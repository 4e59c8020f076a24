//! stderr: everything that is meant for people, in one place.
//!
//! Errors are always shown; warnings, progress and logs give way to `--quiet`. With `--json-errors` stderr carries
//! exactly one object, and only if the run fails, so warnings and progress are off.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::{Color, Talk};
use crate::{Code, Error};

const BEFORE_PROGRESS: Duration = Duration::from_secs(1);

const RED: u8 = 31;
const YELLOW: u8 = 33;
const CYAN: u8 = 36;

/// How a tool talks to people.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    tool: &'static str,
    json: bool,
    quiet: bool,
    colored: bool,
    progress: MultiProgress,
}

impl Console {
    pub(crate) fn new(tool: &'static str, talk: &Talk) -> Self {
        let progress = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let (json, quiet) = (talk.json_errors, talk.quiet || talk.json_errors);
        Console { tool, json, quiet, colored: is_colored(talk.color), progress }
    }

    /// Prints why the run failed.
    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            return self.line(&error.json().to_string());
        }
        self.labelled(&format!("error[{}]", error.code().name()), RED, &error.to_string());
        if let Some(hint) = error.advice() {
            self.labelled("hint", CYAN, hint);
        }
    }

    /// Prints what the user should know although the run goes on.
    pub(crate) fn warn(&self, code: Code, message: impl Display) {
        if !self.quiet {
            self.labelled(&format!("warning[{}]", code.name()), YELLOW, &message.to_string());
        }
    }

    /// Prints a line of the log.
    pub(crate) fn log(&self, line: &str) {
        self.line(&format!("{}: {line}", self.tool));
    }

    fn labelled(&self, label: &str, color: u8, text: &str) {
        let (tool, text) = (self.tool, printable(text));
        if self.colored {
            self.line(&format!("{tool}: \x1b[1;{color}m{label}\x1b[0m: {text}"));
        } else {
            self.line(&format!("{tool}: {label}: {text}"));
        }
    }

    /// Prints one line above whatever progress is shown. Nobody can be told that stderr is gone.
    fn line(&self, line: &str) {
        self.progress.suspend(|| {
            let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
        });
    }

    /// Shows that something takes time: on a terminal, and only after a second.
    pub(crate) fn progress(&self, message: String) -> Progress {
        if self.quiet || !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        let (done, told) = mpsc::channel();
        let all = self.progress.clone();
        let worker = std::thread::spawn(move || {
            if told.recv_timeout(BEFORE_PROGRESS) == Err(RecvTimeoutError::Timeout) {
                let spinner = spinner(&all, message);
                let _ = told.recv();
                spinner.finish_and_clear();
            }
        });
        Progress(Some((done, worker)))
    }
}

fn spinner(all: &MultiProgress, message: String) -> ProgressBar {
    all.set_draw_target(ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let spinner = all.add(ProgressBar::new_spinner().with_message(message));
    spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// A spinner that disappears when it is dropped.
#[derive(Debug)]
pub struct Progress(Option<(mpsc::Sender<()>, JoinHandle<()>)>);

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, worker)) = self.0.take() {
            drop(done);
            let _ = worker.join();
        }
    }
}

fn is_colored(color: Color) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
        }
    }
}

/// Text from outside must not command the terminal: control and direction characters are shown as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let commands = c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if commands { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_command_the_terminal() {
        assert_eq!(printable("né\x1b[2J\r\u{202e}x"), "né\\u{1b}[2J\\r\\u{202e}x");
    }
}
