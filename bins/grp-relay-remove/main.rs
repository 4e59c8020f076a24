//! `grp-relay-remove`: ends the service of a relay.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use group::owner::{GroupOwner, OwnerError, Removal};
use grp::documents::Group;
use grp::owning::work::{End, Work};
use grp::owning::{open, relays, until_told};

const TOOL: Tool = Tool {
    name: "grp-relay-remove",
    about: "Remove a relay from a group",
    description: "Ends the service of a relay: the group link no longer lists it, all relays get a signed \
        x.grp.mem.del, and the connection with it is deleted. It passes that on to its members, deletes its relay link and \
        goes. The other relays pass it on too, so that it cannot be kept from members.\n\n\
        A relay that cannot be reached is removed with --unnotified: it is not told, and finds out when it looks at the \
        link. Members find out from the other relays, or from the link.\n\n\
        Without relays nobody reaches the members, until grp-relay-invite brings another: the last one is removed only \
        with --last.\n\n\
        A run that was cut off is repeated with the same command.",
    keeps: &[Shape::of::<Group>()],
    writes: &[Shape::of::<Group>()],
    examples: &[
        (
            "Replace a relay",
            "grp-relay-invite --state group.json --relay \"$NEW\" && grp-relay-remove --state group.json \"$OLD\"",
        ),
        (
            "Remove those that the owner cannot reach",
            "grp-status group.json | jq -r '.relays[] | select(.problem) | .relay_id' | \
             xargs -n 1 grp-relay-remove --unnotified --state group.json",
        ),
    ],
    exit: &[(5, "a server cannot be reached: the same command goes on")],
    see_also: &["grp-relay-invite", "grp-status"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The relay, named by its ID in the group, its address or its relay link
    #[arg(value_name = "RELAY")]
    relay: String,

    #[command(flatten)]
    kept: Kept,

    /// Remove it even if it is the last one
    #[arg(long)]
    last: bool,

    /// Do not tell the relay
    #[arg(long)]
    unnotified: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let (keep, run) = open(&args.kept, args.timeout, ctx)?;
    let relay = keep.look(|owner| relays::find(owner, &args.relay).map(|record| record.id().clone()))?;
    let removal = Removal { last: args.last, unnotified: args.unnotified };
    let over = keep.look(|owner| owner.relay(&relay).is_some_and(|record| record.status().is_final()));
    cli::block_on(async {
        let prepare = async |work: &mut Work<'_>| {
            if over {
                return Ok(());
            }
            let events = work.step(|owner, env| owner.remove(&relay, removal, env)).await?.map_err(refused)?;
            work.told(&events);
            Ok(())
        };
        let goal = |owner: &GroupOwner| owner.relay(&relay).is_none_or(|record| record.is_over());
        if until_told(&keep, &run, args.timeout, ctx, prepare, goal).await? == End::Reached {
            return Ok(());
        }
        Err(Error::new(Code::NotYet, format!("not everybody was told after {} s", args.timeout.timeout))
            .hint("the same command goes on"))
    })
}

fn refused(error: OwnerError) -> Error {
    match error {
        OwnerError::LastRelay => Error::new(Code::Usage, error).hint("--last removes it all the same"),
        error => Error::new(Code::Usage, error),
    }
}
