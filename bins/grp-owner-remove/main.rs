//! `grp-owner-remove`: an owner takes another one out of the group.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use codec::text::from_base64url;
use group::identity::MemberId;
use grp::documents::Group;
use grp::owning::{link, load};

const TOOL: Tool = Tool {
    name: "grp-owner-remove",
    about: "Remove an owner from a group",
    description: "Takes an owner out of the group link, and everybody whom only that owner let in; the link's server takes \
        no commands from them any more. Whoever holds the root key may remove every other owner, an owner those that \
        stand after it in the list.\n\n\
        A run that was cut off is repeated with the same command. An owner that is not there is removed already.",
    keeps: &[Shape::of::<Group>()],
    writes: &[Shape::of::<Group>()],
    examples: &[(
        "Remove the last owner that was let in",
        "grp-owner-remove --state group.json \"$(jq -r '.owners[-1].owner_id' group.json)\" | jq .owners",
    )],
    exit: &[(1, "this owner was removed itself"), (5, "the server cannot be reached: the same command goes on")],
    see_also: &["grp-owner-add", "grp-status"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The owner, named by its ID in the group
    #[arg(value_name = "OWNER")]
    owner: String,

    #[command(flatten)]
    kept: Kept,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Group, Error> {
    let id = from_base64url(&args.owner).ok().and_then(|bytes| MemberId::from_bytes(&bytes));
    let id = id.ok_or_else(|| Error::new(Code::Usage, "not the ID of an owner").at("OWNER"))?;
    let (mut owner, state) = load(&args.kept, args.timeout, ctx)?;
    link::change(&mut owner, &state, args.timeout, ctx, |owner, env| owner.dismiss(&id, env))?;
    Ok(Group((&owner).into()))
}
