//! `grp-owner-request`: somebody asks to be an owner of a group too.

use std::process::ExitCode;

use cli::{Context, Either, Error, Input, Shape, Step, Tool};
use group::step::owner_request;
use grp::documents::{GroupNamed, OwnerCandidate, VerifiedLinkNamed};

const TOOL: Tool = Tool {
    name: "grp-owner-request",
    about: "Ask to be an owner of a group",
    description: "Makes the keys of a further owner, and the request with which an owner lets it in: its name in the \
        group, its public keys, and a signature that binds them to each other and to the group. Nothing is sent.\n\n\
        Keep the keys in a file with --out; stdout then carries the request, which is public. Give it to an owner in a \
        way in which the owner knows that it comes from you, and pass what comes back to grp-owner-accept.",
    reads: &[Shape::of::<GroupNamed>(), Shape::of::<VerifiedLinkNamed>()],
    writes: &[Shape::of::<OwnerCandidate>()],
    examples: &[("Ask to be an owner", "grp-link-verify \"$LINK\" | grp-owner-request --out keys.json > request.json")],
    see_also: &["grp-owner-add", "grp-owner-accept", "grp-link-verify"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    input: Input,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<OwnerCandidate, Error> {
    let group_id = match ctx.read::<Either<GroupNamed, VerifiedLinkNamed>>(&args.input)? {
        Either::First(group) => group.0.group_id,
        Either::Second(verified) => verified.0.group_id,
    };
    let candidate = owner_request::OwnerCandidate::new(group_id, ctx.random("owner_request").as_mut());
    ctx.trace().step(Step { who: "candidate", name: "owner_request", outcome: "ok", ..Step::default() });
    Ok(OwnerCandidate((&candidate).into()))
}
