//! `grp-delete`: ends a group for everybody.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use group::membership::Order;
use group::owner::{GroupOwner, OwnerError};
use grp::documents::Group;
use grp::owning::work::{End, Work};
use grp::owning::{open, until_told};

const TOOL: Tool = Tool {
    name: "grp-delete",
    about: "End a group for all its members, for good",
    description: "Ends a group: every relay gets a signed x.grp.del as the last word, passes it on to its members, and \
        forgets the group; the connections with relays are deleted when they have it, and the group link with the queue \
        behind it is deleted from its server. Nobody joins any more, and nothing brings the group back.\n\n\
        Relays that cannot be reached find out that there is no link any more. Members that hear of it from no relay keep \
        what they have.\n\n\
        A run that was cut off is repeated with the same command, until nothing is left to do. The state file stays, and \
        says that the group is over: delete it then, with FILE.messages beside it.",
    keeps: &[Shape::of::<Group>()],
    writes: &[Shape::of::<Group>()],
    examples: &[("End a group", "grp-delete --state group.json --yes | jq .closing")],
    exit: &[(5, "a server cannot be reached: the same command goes on")],
    see_also: &["grp-leave", "grp-relay-remove", "grp-status"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Really: it cannot be taken back
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    if !args.yes {
        let message = "the group would end for all its members, and nothing brings it back";
        return Err(Error::new(Code::Usage, message).hint("--yes does it"));
    }
    let (keep, run) = open(&args.kept, args.timeout, ctx)?;
    cli::block_on(async {
        let prepare = async |work: &mut Work<'_>| {
            let messages = work.messages().clone();
            let issued = work.step(|owner, env| owner.order(&Order::EndGroup, &messages, env)).await?;
            work.told(&issued.map_err(refused)?.events);
            Ok(())
        };
        match until_told(&keep, &run, args.timeout, ctx, prepare, GroupOwner::is_closed).await? {
            End::Reached => Ok(()),
            End::Waiting | End::Unsent => {
                let message = format!("not everything is deleted after {} s", args.timeout.timeout);
                Err(Error::new(Code::NotYet, message).hint("the same command goes on"))
            }
        }
    })
}

fn refused(error: OwnerError) -> Error {
    Error::new(Code::Usage, error)
}
