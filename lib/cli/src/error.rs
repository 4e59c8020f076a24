//! The one error of all binaries: a stable code, what happened, and what to do about it.
//!
//! The code owns the exit status, so no tool ever calls `exit` or picks a number. On stderr an error is two lines,
//!
//! ```text
//! grp-join: error[relay_unreachable]: smp.example:5223: timed out after 10 s
//! grp-join: hint: try again, or give a longer --timeout
//! ```
//!
//! or with `--json-errors` one JSON object with the same words.

use std::fmt::{self, Display};

use crate::Code;

/// Exit statuses, one for each party that can be at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for a question, yes.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What came in is malformed.
    Malformed = 3,
    /// A local file, port or store.
    File = 4,
    /// Unreachable or timed out: trying again may help.
    Unreachable = 5,
    /// The peer refused or broke the protocol: trying again will not help.
    Peer = 6,
    /// Our bug.
    Bug = 70,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// A server stopped by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Every status with its meaning, as help and man pages list them.
    pub const ALL: &[(Exit, &str)] = &[
        (Exit::Done, "done; for a question, the answer is yes"),
        (Exit::No, "the answer is no"),
        (Exit::Usage, "usage: bad flag, missing argument, a terminal where input is needed"),
        (Exit::Malformed, "malformed input"),
        (Exit::File, "a local file, port or store; refusal to overwrite"),
        (Exit::Unreachable, "unreachable or timed out, try again"),
        (Exit::Peer, "the peer refused or broke the protocol"),
        (Exit::Bug, "a bug of this program"),
        (Exit::Interrupted, "stopped by SIGINT"),
        (Exit::Terminated, "stopped by SIGTERM after draining"),
    ];

    /// The number the process exits with.
    pub fn status(self) -> u8 {
        self as u8
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
    line: Option<u64>,
}

impl Error {
    /// An error with what happened: lower case, no full stop, never a secret.
    pub fn new(code: Code, message: impl Display) -> Self {
        Error { code, message: message.to_string(), hint: None, line: None }
    }

    /// Our own fault: something that cannot be, was.
    pub fn bug(message: impl Display) -> Self {
        let hint = format!("please report this line and the command, version {}", crate::VERSION);
        Error::new(Code::Bug, message).hint(hint)
    }

    /// Adds what the reader can do about it.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Adds the line of the input that is at fault, counted from 1.
    pub fn line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// Puts a place before the message: `place: message`.
    pub fn at(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the reader can do about it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The object for scripts.
    pub fn json(&self) -> serde_json::Value {
        let mut object = serde_json::json!({"type": "error", "code": self.code.name(), "message": self.message});
        if let Some(hint) = &self.hint {
            insert(&mut object, "hint", hint.as_str());
        }
        insert(&mut object, "exit", self.code.exit().status());
        if let Some(line) = self.line {
            insert(&mut object, "line", line);
        }
        object
    }
}

impl Error {
    /// Reads the object back; nothing if it is none, or has a code that is not in the list.
    pub fn from_json(object: &serde_json::Value) -> Option<Self> {
        let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let name = text("code")?;
        let code = *Code::ALL.iter().find(|code| code.name() == name)?;
        let line = object.get("line").and_then(serde_json::Value::as_u64);
        Some(Error { code, message: text("message")?, hint: text("hint"), line })
    }
}

fn insert(object: &mut serde_json::Value, key: &str, value: impl Into<serde_json::Value>) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value.into());
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Turns any error into ours by giving it a code.
pub trait OrError<T> {
    /// The error's own words under `code`.
    fn or_error(self, code: Code) -> Result<T, Error>;

    /// The same, after the name of the file, server or field at fault.
    fn or_error_at(self, code: Code, place: impl Display) -> Result<T, Error>;
}

impl<T, E: std::error::Error> OrError<T> for Result<T, E> {
    fn or_error(self, code: Code) -> Result<T, Error> {
        self.map_err(|error| Error::new(code, chain(&error)))
    }

    fn or_error_at(self, code: Code, place: impl Display) -> Result<T, Error> {
        self.or_error(code).map_err(|error| error.at(place))
    }
}

/// An error and its causes on one line, without repeating a cause that the error already names.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_back_from_its_object() {
        let plain = Error::new(Code::NotYet, "no relay has it");
        for error in [plain.clone().hint("the next run goes on").at("ray").line(3), plain] {
            assert_eq!(Error::from_json(&error.json()), Some(error));
        }
        assert_eq!(Error::from_json(&serde_json::json!({"code": "unheard_of", "message": "no"})), None);
    }
}
