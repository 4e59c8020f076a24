//! The beginning of a run on a group in a state file.

use cli::{Code, Context, Error, Kept, OrError as _, State, Timeout};
use group::document::GroupState;
use group::owner::GroupOwner;

use super::work::{End, Work};
use crate::documents::Group;
use crate::held::{GroupKeep, lock, run_name};

/// A group in a file that this run has to itself, and the name of the run. Waits until an earlier run has ended.
pub fn open(kept: &Kept, timeout: Timeout, ctx: &mut Context) -> Result<(GroupKeep, String), Error> {
    let state = lock(kept, timeout, ctx)?;
    restored(state.load()?, state, kept)
}

/// The group in a file that this run has to itself, for a run that touches no connection. Waits as [`open`] does.
pub fn load(kept: &Kept, timeout: Timeout, ctx: &mut Context) -> Result<(GroupOwner, State), Error> {
    let state = lock(kept, timeout, ctx)?;
    Ok((created(state.load()?, kept)?, state))
}

/// The group in a file that this run has to itself, and the name of the run.
pub fn restored(document: Group, state: State, kept: &Kept) -> Result<(GroupKeep, String), Error> {
    let run = run_name(&document)?;
    Ok((GroupKeep::new(created(document, kept)?, state), run))
}

fn created(Group(document): Group, kept: &Kept) -> Result<GroupOwner, Error> {
    let at = kept.state.display();
    match GroupState::try_from(document).or_error_at(Code::FieldInvalid, &at)? {
        GroupState::Created(owner) => Ok(*owner),
        GroupState::Prepared(_) => Err(Error::new(Code::Usage, "the link of this group was not created yet")
            .at(at)
            .hint("grp-link-create --state creates it")),
    }
}

/// Makes the steps of this run, works until `goal` holds, prints what the owner knows then, and says how it
/// ended. If the steps cannot be made, nothing is printed.
pub async fn until_told(
    keep: &GroupKeep,
    run: &str,
    timeout: Timeout,
    ctx: &mut Context,
    prepare: impl AsyncFnOnce(&mut Work<'_>) -> Result<(), Error>,
    goal: impl Fn(&GroupOwner) -> bool,
) -> Result<End, Error> {
    let mut work = Work::start(ctx, keep, timeout, run).await?;
    let prepared = prepare(&mut work).await;
    let outcome = match &prepared {
        Ok(()) => work.until(goal).await,
        Err(_) => Ok(End::Unsent),
    };
    if prepared.is_ok() && outcome.is_ok() {
        work.read_back().await?;
    }
    work.close().await;
    prepared?;
    ctx.emit(&keep.document())?;
    outcome
}
