//! What a running tool has at hand: its input, its output, time, randomness, trace and a voice.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::Random;
use zeroize::Zeroizing;

use crate::args::{Common, Out};
use crate::console::{Console, Progress};
use crate::document::{self, Document, Incoming, Marks};
use crate::random::{self, Clock};
use crate::{Code, Error, Input, Lines, OrError, Shape, SharedState, Source, State, Tool, Trace, file, json, signal};

/// Handed to `run` beside its arguments.
#[derive(Debug)]
pub struct Context {
    run: Arc<Run>,
    usage: String,
    stdin_reader: Option<String>,
    pretty: bool,
    out: Out,
    kept: bool,
    events_stopped: bool,
    steps: HashMap<String, u32>,
}

/// What is the same for the whole run, shared with its [`State`].
#[derive(Debug)]
pub(crate) struct Run {
    tool: &'static Tool,
    pub(crate) console: Console,
    clock: Clock,
    trace: Trace,
    nature: Mutex<Nature>,
}

/// Test or real: decided by the seed file or the first document, and the same for all that follow.
#[derive(Debug, Default)]
struct Nature {
    is_test: Option<bool>,
    marks: Marks,
}

impl Run {
    fn nature(&self) -> MutexGuard<'_, Nature> {
        self.nature.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn marks(&self) -> Marks {
        self.nature().marks.clone()
    }

    pub(crate) fn check_mode(&self, path: &Path) {
        if file::is_open_to_others(path) {
            let message = format!("{}: others can read this file; chmod 600 would stop that", path.display());
            self.console.warn(Code::FileMode, message);
        }
    }

    /// Reads a document and takes over its test mark.
    pub(crate) fn accept<I: Incoming>(&self, bytes: &[u8]) -> Result<I, Error> {
        self.accept_up_to(bytes, json::MAX_SIZE)
    }

    /// The same for a document of our own, which may be larger.
    pub(crate) fn accept_kept<I: Incoming>(&self, bytes: &[u8]) -> Result<I, Error> {
        self.accept_up_to(bytes, json::MAX_STATE)
    }

    fn accept_up_to<I: Incoming>(&self, bytes: &[u8], limit: usize) -> Result<I, Error> {
        let shapes = I::shapes();
        let declared = |shape: &&Shape| self.tool.reads.contains(shape) || self.tool.keeps.contains(shape);
        if let Some(shape) = shapes.iter().find(|shape| !declared(shape)) {
            return Err(Error::bug(format!("reads `{}` without saying so", shape.kind)));
        }
        let object = document::open(bytes, &shapes, limit)?;
        self.settle(object.marks.clone())?;
        I::from_object(object)
    }

    /// Makes the run a test or a real one. A seed that was there first stays.
    fn settle(&self, marks: Marks) -> Result<(), Error> {
        let mut nature = self.nature();
        if nature.is_test.is_some_and(|is_test| is_test != marks.test) {
            return Err(Error::new(Code::TestMixed, "a test document or seed and a real document in one run")
                .hint("a real document stays real and a test document a test; use one kind throughout"));
        }
        if marks.test && nature.is_test.is_none() {
            self.console.warn(Code::TestDocument, "this is a test: its keys come from a seed and protect nothing");
        }
        nature.is_test = Some(marks.test);
        nature.marks.test = marks.test;
        nature.marks.seed = nature.marks.seed.take().or(marks.seed);
        Ok(())
    }
}

impl Context {
    pub(crate) fn new(
        tool: &'static Tool,
        usage: String,
        common: &Common,
        out: Out,
        console: Console,
    ) -> Result<Self, Error> {
        let clock = Clock { fixed: common.now };
        let trace = Trace::open(tool.name, common.trace.as_deref(), clock)?;
        let run = Arc::new(Run { tool, console, clock, trace, nature: Mutex::default() });
        let mut context = Context {
            run,
            usage,
            stdin_reader: None,
            pretty: common.pretty,
            out: named(out),
            kept: false,
            events_stopped: false,
            steps: HashMap::new(),
        };
        context.begin(common.seed_file.as_deref())?;
        Ok(context)
    }

    fn begin(&mut self, seed_file: Option<&Path>) -> Result<(), Error> {
        if let Some(path) = &self.out.out {
            file::check_creatable(path, self.out.force)?;
        }
        if let Some(path) = seed_file {
            let seed = Some(random::seed_from_file(path)?);
            self.run.settle(Marks { test: true, seed })?;
        }
        Ok(())
    }

    /// Reads the document that the arguments name: from a file, or from stdin.
    pub fn read<I: Incoming>(&mut self, input: &Input) -> Result<I, Error> {
        match named_file(input.file.as_deref()) {
            Some(path) => {
                let bytes = file::read(path, json::MAX_SIZE)?;
                self.run.accept(&bytes).map_err(|error| error.at(path.display()))
            }
            None => {
                let bytes = self.stdin(&expected(&I::shapes()))?;
                self.run.accept(&bytes)
            }
        }
    }

    /// Reads the document from wherever it lives, and gives the place to save it to.
    pub fn open<I: Incoming>(&mut self, source: &Source) -> Result<(I, State), Error> {
        match &source.state {
            Some(path) => {
                let state = self.state(path)?;
                Ok((state.load()?, state))
            }
            None => Ok((self.read(&source.input)?, State::piped(self.run.clone()))),
        }
    }

    /// Locks a state file. From then on stdout carries only public parts: the whole is in the file.
    pub fn state(&mut self, path: &Path) -> Result<State, Error> {
        self.kept = true;
        State::open(self.run.clone(), path)
    }

    /// Opens a state file that several runs share. From then on stdout carries only public parts.
    pub fn shared_state(&mut self, path: &Path) -> SharedState {
        self.kept = true;
        SharedState::new(self.run.clone(), path)
    }

    /// Reads a file that holds a secret; `-` is stdin. Warns if others can read it.
    pub fn secret_file(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        match named_file(Some(path)) {
            Some(path) => {
                self.run.check_mode(path);
                file::read(path, json::MAX_SIZE)
            }
            None => self.stdin("a secret"),
        }
    }

    /// Reads a file that is no document and no secret; `-` is stdin. `purpose` says what it is for.
    pub fn file(&mut self, path: &Path, purpose: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        match named_file(Some(path)) {
            Some(path) => file::read(path, json::MAX_SIZE),
            None => self.stdin(purpose),
        }
    }

    /// Reads what is no document, such as a message to send, from stdin to its end.
    pub fn bytes(&mut self, purpose: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.stdin(purpose)
    }

    /// Takes stdin line by line, each of at most `limit` bytes.
    pub fn lines(&mut self, purpose: &str, limit: usize) -> Result<Lines, Error> {
        self.take_stdin(purpose)?;
        Ok(Lines::new(limit))
    }

    /// Reads stdin to its end.
    fn stdin(&mut self, purpose: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.take_stdin(purpose)?;
        file::read_from(std::io::stdin().lock(), json::MAX_SIZE, "stdin")
    }

    /// stdin is read once, for one purpose, and never from a terminal.
    fn take_stdin(&mut self, purpose: &str) -> Result<(), Error> {
        if let Some(first) = &self.stdin_reader {
            let message = format!("stdin gave {first} already and cannot give {purpose}");
            return Err(Error::new(Code::StdinTaken, message).hint("put one of them into a file"));
        }
        self.stdin_reader = Some(purpose.to_owned());
        if std::io::stdin().is_terminal() {
            let message = format!("expected {purpose} on stdin, which is a terminal");
            return Err(Error::new(Code::InputRequired, message).hint(&self.usage));
        }
        Ok(())
    }

    /// Ends the run with its document: to stdout, or to `--out` with the public part on stdout.
    pub(crate) fn finish<D: Document>(&mut self, document: &D) -> Result<(), Error> {
        self.check_declared::<D>()?;
        if let Some(path) = &self.out.out {
            let whole = Zeroizing::new(document::whole(document, &self.run.marks(), self.pretty)?);
            let write = if self.out.force { file::replace } else { file::create };
            write(path, whole.as_bytes())?;
            self.kept = true;
        }
        self.emit(document)
    }

    /// Prints a document at once: an event, or a report beside an error. A server whose stdout is closed goes on in
    /// silence.
    pub fn emit<D: Document>(&mut self, document: &D) -> Result<(), Error> {
        self.check_declared::<D>()?;
        if let Some(table) = document.table().filter(|_| self.pretty) {
            return self.print(&format!("{table}\n"));
        }
        let text = if self.kept { document::public } else { document::whole };
        let text = Zeroizing::new(text(document, &self.run.marks(), self.pretty)?);
        self.print(&text)
    }

    fn check_declared<D: Document>(&self) -> Result<(), Error> {
        if self.run.tool.writes.contains(&Shape::of::<D>()) {
            return Ok(());
        }
        Err(Error::bug(format!("writes `{}` without saying so", D::TYPE)))
    }

    fn print(&mut self, text: &str) -> Result<(), Error> {
        if !self.run.tool.server {
            return print(text);
        }
        if !self.events_stopped {
            self.events_stopped = write_stdout(text).is_err();
        }
        Ok(())
    }

    /// The randomness of one step of this tool. In a reproducible run it depends on the seed, the tool, the step and
    /// how often the step was asked for; otherwise it comes from the system.
    pub fn random(&mut self, step: &str) -> Box<dyn Random + Send> {
        let count = self.steps.entry(step.to_owned()).or_default();
        let name = format!("{}/{step}/{count}", self.run.tool.name);
        *count = count.saturating_add(1);
        random::source(self.run.marks().seed.as_ref(), &name)
    }

    /// The time of the run in Unix seconds.
    pub fn now(&self) -> u64 {
        self.run.clock.millis() / 1000
    }

    /// The time of the run wherever there is no context.
    pub fn clock(&self) -> Clock {
        self.run.clock
    }

    /// Whether this run makes or uses test documents.
    pub fn is_test(&self) -> bool {
        self.run.marks().test
    }

    /// Refuses test documents unless `--allow-test` was given: for whatever meets real people.
    pub fn refuse_test(&self, allowed: bool) -> Result<(), Error> {
        if allowed || !self.is_test() {
            return Ok(());
        }
        Err(Error::new(Code::TestRefused, "this is a test document; anybody may know its keys")
            .hint("give --allow-test if that is what you want"))
    }

    /// Where protocol steps are recorded.
    pub fn trace(&self) -> Trace {
        self.run.trace.clone()
    }

    /// Tells the user something that does not stop the run.
    pub fn warn(&self, code: Code, message: impl Display) {
        self.run.console.warn(code, message);
    }

    /// Shows that something takes time, until the returned value is dropped.
    pub fn progress(&self, message: impl Into<String>) -> Progress {
        self.run.console.progress(message.into())
    }
}

/// `--out -` is stdout, as everywhere.
fn named(out: Out) -> Out {
    Out { out: out.out.filter(|path| named_file(Some(path)).is_some()), force: out.force }
}

fn named_file(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| path.as_os_str() != "-")
}

fn expected(shapes: &[Shape]) -> String {
    let kinds: Vec<_> = shapes.iter().map(|shape| format!("`{}`", shape.kind)).collect();
    format!("a document of type {}", kinds.join(" or "))
}

/// Prints to stdout; if nobody listens any more, the process ends without a word.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    match write_stdout(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(signal::die_of_broken_pipe()),
        result => result.or_error_at(Code::StdoutFailed, "stdout"),
    }
}

fn write_stdout(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
