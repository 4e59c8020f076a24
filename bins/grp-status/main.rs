//! `grp-status`: what an owner or a member knows of a group.

use std::process::ExitCode;

use cli::{Code, Context, Either, Error, Input, OrError as _, Shape, Tool};
use group::document::GroupState;
use group::membership::Membership;
use grp::documents::{Group, GroupStatus, Member, MemberStatus};

const TOOL: Tool = Tool {
    name: "grp-status",
    about: "Show what an owner or a member knows of a group",
    description: "Takes the group document of an owner, or the member document of a member, and shows the group and its \
        relays, without keys, link data and whatever else only programs need; with --pretty as a few lines and a table. \
        Nothing is asked from servers: a relay may have left since. The file need not be free; a run that is at work on it \
        replaces it as a whole.\n\n\
        Owners see which relays were invited, and how far they are. Members see how well each relay delivers: how many \
        messages came from it, how many of them first; how many other relays delivered and it did not, or late; of how many \
        it brought another copy than others, of how many of these a signature proves that it altered them; and how many were \
        refused.",
    reads: &[Shape::of::<Group>(), Shape::of::<Member>()],
    writes: &[Shape::of::<GroupStatus>(), Shape::of::<MemberStatus>()],
    examples: &[
        ("Look at a group", "grp-status group.json | jq ."),
        ("See the relays in a table", "grp-status group.json --pretty"),
        (
            "Find relays that withhold or alter messages",
            "grp-status walks.json | jq '.relays[] | select(.health.missing + .health.altered > 0) | .display_name'",
        ),
        ("Follow a run", "watch -n 1 grp-status group.json --pretty"),
    ],
    see_also: &["grp-relay-invite", "grp-relay-remove", "grp-restore", "grp-link-verify", "relay-status"],
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

fn run(args: Args, ctx: &mut Context) -> Result<Either<GroupStatus, MemberStatus>, Error> {
    Ok(match ctx.read(&args.input)? {
        Either::First(Group(group)) => {
            let state = GroupState::try_from(group).or_error_at(Code::FieldInvalid, "group")?;
            Either::First(GroupStatus((&state).into()))
        }
        Either::Second(Member(member)) => {
            let member = Membership::try_from(member).or_error_at(Code::FieldInvalid, "member")?;
            Either::Second(MemberStatus((&member).into()))
        }
    })
}
