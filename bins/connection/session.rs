//! One run of a program on the connection in its state file.
//!
//! A step is made on the connection as it is in the file, under the file's lock, and written before anything that
//! follows from it: what is sent in [`Session::run`] was durable before.

use std::sync::Arc;

use agent::connection::{Connection, ConnectionError};
use agent::time::{Env, Time};
use cli::{Code, Context, Error, Kept, Step, Timeout};

use super::documents::{self, Role};
use super::fault;
use super::keep::{Notes, StateKeep};
use super::running::{Running, Watch};

/// A run.
pub struct Session<'a> {
    ctx: &'a mut Context,
    keep: StateKeep,
    timeout: Timeout,
}

impl<'a> Session<'a> {
    /// A run on a state file, which need not exist yet.
    pub fn new(ctx: &'a mut Context, kept: &Kept, timeout: Timeout) -> Self {
        Self::on(ctx, &kept.state, timeout)
    }

    /// The same on another file.
    pub fn on(ctx: &'a mut Context, path: &std::path::Path, timeout: Timeout) -> Self {
        let keep = StateKeep::new(ctx.shared_state(path), Some(timeout.duration()));
        Session { ctx, keep, timeout }
    }

    /// A run that waits for the file as long as it takes, because nobody waits for the run.
    pub fn patient(ctx: &'a mut Context, kept: &Kept, timeout: Timeout) -> Self {
        let keep = StateKeep::new(ctx.shared_state(&kept.state), None);
        Session { ctx, keep, timeout }
    }

    /// Everything else that the run has at hand.
    pub fn context(&mut self) -> &mut Context {
        self.ctx
    }

    /// The state file.
    pub fn keep(&self) -> &StateKeep {
        &self.keep
    }

    /// What the state file says, if it is there.
    pub async fn document(&mut self) -> Result<Option<Arc<documents::Connection>>, Error> {
        if !self.keep.exists() {
            return Ok(None);
        }
        self.keep.lock().await?;
        self.keep.unlock();
        Ok(self.keep.document().borrow().clone())
    }

    /// What the state file says. It must be there.
    pub async fn existing(&mut self) -> Result<Arc<documents::Connection>, Error> {
        let missing = Error::new(Code::FileMissing, "there is no connection in this file").at(self.keep.name());
        self.document().await?.ok_or_else(|| missing.hint("conn-invite and conn-join begin one"))
    }

    /// Begins a connection in a new state file.
    pub async fn begin(
        &mut self,
        step: &'static str,
        notes: Notes,
        make: impl FnOnce(&mut Env<'_>) -> Result<Connection, ConnectionError>,
    ) -> Result<(), Error> {
        let role = notes.role;
        self.keep.lock().await?;
        let begun = self.begin_locked(step, notes, make);
        self.keep.unlock();
        self.trace(role, step, &begun);
        begun
    }

    fn begin_locked(
        &mut self,
        step: &str,
        notes: Notes,
        make: impl FnOnce(&mut Env<'_>) -> Result<Connection, ConnectionError>,
    ) -> Result<(), Error> {
        if self.keep.exists() {
            return Err(Error::new(Code::FileExists, "another run has begun a connection here").at(self.keep.name()));
        }
        let mut random = self.ctx.random(step);
        let mut env = Env { now: now(self.ctx), random: random.as_mut() };
        let mut connection = make(&mut env).map_err(fault::step_error)?;
        self.keep.note(|noted| *noted = notes);
        self.keep.save(&mut connection)
    }

    /// Makes a step of the connection.
    pub async fn step<T>(
        &mut self,
        step: &'static str,
        make: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.keep.lock().await?;
        let made = self.step_locked(step, make);
        self.keep.unlock();
        self.trace(self.keep.notes().role, step, &made);
        made
    }

    fn step_locked<T>(
        &mut self,
        step: &str,
        make: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.keep.connection()?;
        let mut random = self.ctx.random(&format!("{step}_{}", self.keep.revision()));
        let mut env = Env { now: now(self.ctx), random: random.as_mut() };
        let made = make(&mut connection, &mut env)?;
        self.keep.save(&mut connection)?;
        Ok(made)
    }

    /// Talks to servers as long as `work` does, and ends in good order. `watch` says whether to receive.
    pub async fn run<T>(
        &mut self,
        watch: Watch,
        work: impl AsyncFnOnce(&mut Running<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut running = Running::start(self.ctx, &self.keep, self.timeout, watch).await?;
        let outcome = work(&mut running).await;
        if outcome.is_ok() {
            running.settle().await;
        }
        running.close().await;
        outcome
    }

    /// Prints what the state file says.
    pub async fn emit_document(&mut self) -> Result<(), Error> {
        let document = self.existing().await?;
        self.ctx.emit(&*document)
    }

    fn trace<T>(&self, role: Role, step: &str, made: &Result<T, Error>) {
        let outcome = made.as_ref().err().map_or("ok", |error| error.code().name());
        let name = &format!("conn_{step}");
        self.ctx.trace().step(Step { who: role.name(), name, outcome, ..Step::default() });
    }
}

/// The time of a step.
fn now(ctx: &Context) -> Time {
    Time::from_millis(ctx.clock().millis())
}
