//! `grp-owner-add`: an owner lets somebody else be an owner too.

use std::process::ExitCode;

use cli::{Code, Context, Error, Input, Kept, OrError as _, Shape, Step, Timeout, Tool};
use group::step::owner_add;
use group::step::owner_request::OwnerRequest;
use grp::documents;
use grp::documents::{Group, Handover};
use grp::owning::{link, load};

const TOOL: Tool = Tool {
    name: "grp-owner-add",
    about: "Let somebody be an owner of a group",
    description: "Takes the request of grp-owner-request, checks that whoever made it holds the key that it names, and lets \
        it in: the group link names the new owner under this owner's signature, and the link's server takes its \
        commands. Then it prints what the new owner needs, encrypted for it alone and signed: pass it to \
        grp-owner-accept. The root key is not needed.\n\n\
        That the request comes from the person whom you mean, only you can know: compare its owner_id and \
        owner_public_key with what the other one sees.\n\n\
        Every owner may change everything that the link says, and let in further owners. A run that was cut off is \
        repeated with the same command; a run that was not prints the same once more, encrypted anew.",
    reads: &[Shape::of::<documents::OwnerRequest>()],
    keeps: &[Shape::of::<Group>()],
    writes: &[Shape::of::<Handover>()],
    examples: &[("Let somebody in who asked", "grp-owner-add request.json --state group.json > handover.json")],
    exit: &[
        (1, "the request is not signed with the key that it names, or this owner was removed"),
        (5, "the server cannot be reached: the same command goes on"),
    ],
    see_also: &["grp-owner-request", "grp-owner-accept", "grp-owner-remove", "grp-status"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    input: Input,

    #[command(flatten)]
    kept: Kept,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Handover, Error> {
    let documents::OwnerRequest(document) = ctx.read(&args.input)?;
    let request = OwnerRequest::from(document).verify().or_error(Code::SignatureInvalid)?;
    let (mut owner, state) = load(&args.kept, args.timeout, ctx)?;
    link::change(&mut owner, &state, args.timeout, ctx, |owner, env| owner.appoint(&request, env))?;
    let mut random = ctx.random("owner_handover");
    let handover = owner_add::Handover::seal(&owner, &request, random.as_mut()).or_error(Code::Bug)?;
    let about = &request.owner_id().to_string();
    ctx.trace().step(Step { who: "owner", name: "owner_add", outcome: "ok", about, ..Step::default() });
    Ok(Handover(handover.into()))
}
