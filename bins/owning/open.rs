//! The beginning of a run on a group in a state file.

use std::thread::sleep;
use std::time::{Duration, Instant};

use cli::{Code, Context, Error, Kept, OrError as _, Timeout};
use codec::text::base64url_unpadded;
use group::document::{GroupDocument, GroupState};
use group::owner::GroupOwner;

use super::work::{End, Work};
use crate::documents::Group;
use crate::held::GroupKeep;

/// How often a run that waits for another one looks.
const LOOK: Duration = Duration::from_millis(20);
/// How much of a hash names a run.
const NAME: usize = 12;

/// A group in a file that this run has to itself, and the name of the run. Waits until an earlier run has ended.
pub fn open(kept: &Kept, timeout: Timeout, ctx: &mut Context) -> Result<(GroupKeep, String), Error> {
    let began = Instant::now();
    let state = loop {
        match ctx.state(&kept.state) {
            Err(error) if error.code() == Code::StateBusy && began.elapsed() < timeout.duration() => sleep(LOOK),
            opened => break opened?,
        }
    };
    let Group(document) = state.load()?;
    let run = name(&document)?;
    let at = kept.state.display();
    match GroupState::try_from(document).or_error_at(Code::FieldInvalid, &at)? {
        GroupState::Created(owner) => Ok((GroupKeep::new(*owner, state), run)),
        GroupState::Prepared(_) => Err(Error::new(Code::Usage, "the link of this group was not created yet")
            .at(at)
            .hint("grp-link-create --state creates it")),
    }
}

/// Runs on the same file follow from each other, and none of them repeats what another drew from a seed.
fn name(document: &GroupDocument) -> Result<String, Error> {
    let bytes = serde_json::to_vec(document).or_error(Code::Bug)?;
    let hash = crypto::hash::sha256(&bytes);
    Ok(base64url_unpadded(hash.get(..NAME).unwrap_or(&hash)))
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
