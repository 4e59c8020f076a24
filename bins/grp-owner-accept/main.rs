//! `grp-owner-accept`: who was let in finds itself in the group link, and is an owner from then on.

use std::path::PathBuf;
use std::process::ExitCode;

use cli::{Code, Context, Error, Input, Kept, OrError as _, Shape, Step, Timeout, Tool};
use group::document::GroupState;
use group::owner::GroupOwner;
use group::step::link_verify::LinkVerification;
use group::step::owner_accept::HandoverFault;
use group::step::{owner_add, owner_request};
use grp::documents::{Group, Handover, OwnerCandidate};
use grp::held::lock;
use grp::{group_link, retrieve};

const TOOL: Tool = Tool {
    name: "grp-owner-accept",
    about: "Become an owner of a group",
    description: "Takes what grp-owner-add printed, opens it with the keys from grp-owner-request, reads the group link and \
        makes every check of grp-link-verify; then it checks that the link names this owner, that an owner in the link \
        made the handover, and that it is about the queue behind the link. From then on the state file is like that of \
        the owner who created the group, without the root key.\n\n\
        A run on the file of an owner prints what is in it: whoever has accepted need not do it again.",
    reads: &[Shape::of::<Handover>(), Shape::of::<OwnerCandidate>()],
    keeps: &[Shape::of::<Group>()],
    writes: &[Shape::of::<Group>()],
    examples: &[
        ("Become an owner", "grp-owner-accept handover.json --keys keys.json --state group.json"),
        ("Change the profile then", "grp-link-create --state group.json --update --description 'On Sundays'"),
    ],
    exit: &[(1, "the handover is not for these keys or not by an owner, or the link does not name this owner")],
    see_also: &["grp-owner-request", "grp-owner-add", "grp-link-create"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    input: Input,

    /// The keys from grp-owner-request (required)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,

    #[command(flatten)]
    kept: Kept,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Group, Error> {
    let state = lock(&args.kept, args.timeout, ctx)?;
    let OwnerCandidate(keys) = ctx.read(&Input { file: Some(args.keys.clone()) })?;
    let candidate = owner_request::OwnerCandidate::try_from(keys);
    let candidate = candidate.or_error_at(Code::FieldInvalid, args.keys.display())?;
    if !state.is_new() {
        return accepted(state.load()?, &candidate, &args);
    }
    let Handover(document) = ctx.read(&args.input)?;
    let handover = owner_add::Handover::try_from(document).or_error_at(Code::FieldInvalid, "handover")?;
    let owner = accept(candidate, handover, args.timeout, ctx);
    let outcome = owner.as_ref().map_or_else(|error| error.code().name(), |_| "ok");
    ctx.trace().step(Step { who: "owner", name: "owner_accept", outcome, ..Step::default() });
    let document = Group((&owner?).into());
    state.save(&document)?;
    Ok(document)
}

fn accept(
    candidate: owner_request::OwnerCandidate,
    handover: owner_add::Handover,
    timeout: Timeout,
    ctx: &mut Context,
) -> Result<GroupOwner, Error> {
    let opened = candidate.open(handover).map_err(refused)?;
    let fetch = LinkVerification::start(opened.link().clone()).to_fetch();
    let read = retrieve::all(fetch, timeout, ctx)?.into_iter().next();
    let read = read.ok_or_else(|| Error::bug("nothing was retrieved"))??;
    opened.accept(read, grp::now(ctx)).map_err(refused)
}

/// What was accepted before is not asked for again.
fn accepted(document: Group, candidate: &owner_request::OwnerCandidate, args: &Args) -> Result<Group, Error> {
    let at = args.kept.state.display();
    let state = GroupState::try_from(document.0.clone()).or_error_at(Code::FieldInvalid, &at)?;
    let is_ours = match &state {
        GroupState::Created(owner) => {
            let ownership = owner.link().group().ownership();
            ownership.owner_id == candidate.owner_id && ownership.owner_key.public() == candidate.owner_key.public()
        }
        GroupState::Prepared(_) => false,
    };
    if is_ours {
        return Ok(document);
    }
    Err(Error::new(Code::FileExists, "the state file belongs to another owner or another group").at(at))
}

fn refused(fault: HandoverFault) -> Error {
    match &fault {
        HandoverFault::Link(check) => group_link::failure(check),
        HandoverFault::NotOurs { .. } => Error::new(Code::GroupIdMismatch, fault),
        HandoverFault::NotSigned | HandoverFault::Sealed => Error::new(Code::SignatureInvalid, fault),
        HandoverFault::NotListed | HandoverFault::NoRevision | HandoverFault::OtherQueue | HandoverFault::Malformed => {
            Error::new(Code::CheckFailed, fault)
        }
    }
}
