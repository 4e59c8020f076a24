//! The group link alone: what is to be done about it is done, and nothing else; no connection with a relay is touched.
//!
//! With several owners that is more than a write: a look before and after it, and a merge if another owner wrote.

use agent::time::{Env, Time};
use cli::{Code, Context, Error, OrError as _, Progress, State, Step, Timeout};
use group::document::GroupDocument;
use group::owner::{Event, GroupOwner, Outcome, OwnerError, Task, TaskId};

use super::link_data;
use super::report::{OWNER, condition, conflict};
use crate::Dialler;
use crate::documents::Group;

/// More looks and writes than owners who write at once ever need.
const ROUNDS: usize = 32;

/// Makes a change of the link durable, and brings it to the server.
pub fn change(
    owner: &mut GroupOwner,
    state: &State,
    timeout: Timeout,
    ctx: &mut Context,
    change: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<(), OwnerError>,
) -> Result<(), Error> {
    let version = owner.link().group().written().version;
    let mut random = ctx.random(&format!("link_update_{version}"));
    let now = Time::from_millis(ctx.now().saturating_mul(1000));
    let mut env = Env { now, random: random.as_mut() };
    change(owner, &mut env).map_err(refused)?;
    state.save(&Group(GroupDocument::from(&*owner)))?;
    settle(owner, state, timeout, ctx, &mut env)
}

/// Why an owner cannot do what it was asked for.
fn refused(error: OwnerError) -> Error {
    match error {
        OwnerError::NotWritable => {
            Error::new(Code::FieldInvalid, "queue.recipient_id: missing, so the link cannot be changed")
                .hint("use the document of the run that created the link")
        }
        OwnerError::NotAnOwner => Error::new(Code::Refused, error),
        error => Error::new(Code::Usage, error),
    }
}

fn settle(
    owner: &mut GroupOwner,
    state: &State,
    timeout: Timeout,
    ctx: &mut Context,
    env: &mut Env<'_>,
) -> Result<(), Error> {
    let server = owner.link().group().server().address.to_string();
    let progress = ctx.progress(format!("updating the link on {server}"));
    for _ in 0..ROUNDS {
        let Some(id) = owner.link_task() else { return done(owner, progress) };
        let task = owner.task(&id).or_error(Code::Bug)?;
        let name = step(&id);
        let dialler = Dialler::new(ctx, OWNER, "connect", timeout);
        let outcome = cli::block_on(async { Ok(perform(task, dialler).await) })?;
        let failure = failure(&id, &outcome);
        let code = failure.as_ref().map_or("ok", |error| error.code().name());
        ctx.trace().step(Step { who: OWNER, to: &server, name, outcome: code, ..Step::default() });
        let events = owner.finish(&id, outcome, env).or_error(Code::Bug)?;
        state.save(&Group(GroupDocument::from(&*owner)))?;
        failure.map_or(Ok(()), Err)?;
        tell(ctx, &server, &events)?;
    }
    Err(Error::new(Code::NotYet, "other owners change the link all the time").hint("the same command goes on"))
}

/// Who is no owner any more has nothing to do, but was not heard.
fn done(owner: &GroupOwner, progress: Progress) -> Result<(), Error> {
    drop(progress);
    if owner.is_owner() { Ok(()) } else { Err(refused(OwnerError::NotAnOwner)) }
}

fn step(id: &TaskId) -> &'static str {
    match id {
        TaskId::ReadGroupLink => "link_look",
        TaskId::SetQueueKeys => "link_keys",
        _ => "link_update",
    }
}

async fn perform(task: Task, dialler: Dialler) -> Outcome {
    match task {
        Task::ReadLink(link) => link_data::read(link, dialler).await,
        Task::SetQueueKeys(set) => link_data::set_keys(*set, dialler).await,
        Task::WriteLink(write) => link_data::write(*write, dialler).await,
        Task::Open { .. } | Task::Allow { .. } | Task::Send { .. } | Task::Delete { .. } | Task::DeleteLink(_) => {
            Outcome::Refused("not a task of the link".to_owned())
        }
    }
}

/// That there is nothing under the link is no failure of a look: it is written again.
fn failure(id: &TaskId, outcome: &Outcome) -> Option<Error> {
    match outcome {
        Outcome::Unreachable(reason) => {
            Some(Error::new(Code::ServerUnreachable, reason).hint("the same command goes on"))
        }
        Outcome::Refused(_) if *id == TaskId::ReadGroupLink => None,
        Outcome::Refused(reason) => Some(Error::new(Code::PeerRefused, reason)),
        Outcome::Done | Outcome::Retrieved(_) | Outcome::Written(_) => None,
    }
}

fn tell(ctx: &Context, server: &str, events: &[Event]) -> Result<(), Error> {
    for event in events {
        match event {
            Event::LinkConflict(overridden) => ctx.warn(Code::LinkConflict, conflict(overridden)),
            Event::LinkWithheld(found) => ctx.warn(Code::LinkWithheld, format!("{server} {}", condition(*found))),
            // What several owners say together may not fit.
            Event::LinkNotWritten { reason } => {
                return Err(Error::new(Code::Usage, reason).hint("say less, and the same command merges it"));
            }
            // Whoever is dismissed is told at the end.
            _ => {}
        }
    }
    Ok(())
}
