//! `grp-keygen`: steps 1 and 2, the keys of a group.

use std::process::ExitCode;

use cli::{Context, Error, Shape, Step, Tool};
use group::step::keygen::keygen;
use grp::documents::Owner;

const TOOL: Tool = Tool {
    name: "grp-keygen",
    about: "Make the keys of a group",
    description: "Makes the root key of a group, the key of its first owner and, from the root key, the group ID. \
        Nothing is sent: the group comes to be when its link is created.\n\n\
        Whoever has the private keys owns the group. Keep them in a file with --out; stdout then carries the public \
        part only.",
    writes: &[Shape::of::<Owner>()],
    examples: &[
        ("Prepare the link of a channel", "grp-keygen | grp-link-create --offline --server \"$SERVER\" --name Walks"),
        ("Keep the keys in a file", "grp-keygen --out owner.json | jq -r .group_id"),
    ],
    see_also: &["grp-link-create"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(_: Args, ctx: &mut Context) -> Result<Owner, Error> {
    let owner = keygen(ctx.random("keygen").as_mut());
    ctx.trace().step(Step { who: "owner", name: "keygen", outcome: "ok", ..Step::default() });
    Ok(Owner((&owner).into()))
}
