//! `grp-profile`: changes what a group, or somebody in it, says about itself.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use group::membership::Order;
use group::owner::{GroupOwner, OwnerError};
use grp::documents::{Group, Member};
use grp::held::{GroupKeep, MemberKeep, lock};
use grp::ordering::Commander;
use grp::owning::until_told;
use grp::owning::work::{End, Work};
use grp::profile::{Preference, ProfileArgs};

const TOOL: Tool = Tool {
    name: "grp-profile",
    about: "Change what a group, or oneself, says about itself",
    description: "Changes a profile: with the state file of an owner that of the group, with the state file of a member its \
        own. What is not given stays; what is given empty is removed.\n\n\
        The profile of a group is written to the group link first, which is what everybody believes; then the relays get \
        it signed, and tell the members to look. --prefer sets a feature: history, which joiners get; reactions; \
        support, the chats of members with those who run the group; timedMessages, fullDelete and signMessages. What other \
        programs put there stays.\n\n\
        A member's own profile, and with --own that of the owner, goes signed to all relays, which tell the others. Whoever \
        joined under a random name keeps it: under another one it would be seen to be the same.\n\n\
        A run that was cut off is repeated with the same command; what is so already is not said again.",
    keeps: &[Shape::of::<Member>(), Shape::of::<Group>()],
    writes: &[Shape::of::<Group>(), Shape::of::<Member>()],
    examples: &[
        ("Change the welcome text", "grp-profile --state group.json --description 'On Sundays' | jq .profile"),
        (
            "Give joiners the last posts, and let only members react",
            "grp-profile --state group.json --prefer history=on --prefer reactions=on:member",
        ),
        ("Go by another name", "grp-profile --state walks.json --name Maria"),
    ],
    exit: &[(5, "a server cannot be reached, or a relay does not know it yet: the same command goes on")],
    see_also: &["grp-join", "grp-link-create", "grp-link-verify", "grp-member"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    #[command(flatten)]
    profile: ProfileArgs,

    /// Set a feature of the group: FEATURE=on, FEATURE=off, or FEATURE=on:ROLE for those with that role and above. May be
    /// given more than once
    #[arg(long, value_name = "PREFERENCE", help_heading = "Profile")]
    prefer: Vec<Preference>,

    /// Change how the owner appears, and not the group
    #[arg(long)]
    own: bool,

    /// Take part in a group whose keys come from a seed
    #[arg(long)]
    allow_test: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    if !args.profile.is_given() && args.prefer.is_empty() {
        return Err(Error::new(Code::Usage, "nothing is to be changed").hint("--help shows what can be"));
    }
    let state = lock(&args.kept, args.timeout, ctx)?;
    let commander = Commander::open(state, &args.kept)?;
    ctx.refuse_test(args.allow_test || commander.is_owner())?;
    match &commander {
        Commander::Owner(keep, run) if !args.own => change_group(&args, keep, run, ctx),
        _ => change_own(&args, &commander, ctx),
    }
}

/// The link first, then the relays.
fn change_group(args: &Args, keep: &GroupKeep, run: &str, ctx: &mut Context) -> Result<(), Error> {
    let before = keep.look(|owner| owner.link().group().contents().clone());
    let mut profile = args.profile.apply(before.profile.clone())?;
    args.prefer.iter().for_each(|preference| preference.apply(&mut profile));
    cli::block_on(async {
        let prepare = async |work: &mut Work<'_>| {
            if profile == before.profile {
                return Ok(());
            }
            let count = before.member_count;
            work.step(|owner, env| owner.set_contents(profile, count, env)).await?.map_err(refused)
        };
        match until_told(keep, run, args.timeout, ctx, prepare, GroupOwner::is_written).await? {
            End::Reached => Ok(()),
            End::Waiting | End::Unsent => {
                let message = format!("not everybody was told after {} s", args.timeout.timeout);
                Err(Error::new(Code::NotYet, message).hint("the same command goes on"))
            }
        }
    })
}

fn refused(error: OwnerError) -> Error {
    Error::new(Code::Usage, error).at("profile")
}

/// An order about oneself.
fn change_own(args: &Args, commander: &Commander, ctx: &mut Context) -> Result<(), Error> {
    if !args.prefer.is_empty() {
        return Err(Error::new(Code::Usage, "--prefer: only groups have preferences"));
    }
    let before = match commander {
        Commander::Member(keep, _) => keep.look(|member| member.persona().profile().clone()),
        Commander::Owner(keep, _) => {
            keep.look(|owner| owner.persona().map(|persona| persona.profile().clone())).ok_or_else(|| {
                Error::new(Code::Usage, "no relay knows the owner yet").hint("grp-relay-invite --name decides it")
            })?
        }
    };
    let order = Order::Profile(args.profile.apply_to_member(before)?.into());
    let ordered = cli::block_on(commander.give(&order, &args.kept, args.timeout, ctx))?;
    match commander {
        Commander::Member(keep, _) => ctx.emit::<Member>(&MemberKeep::document(keep))?,
        Commander::Owner(keep, _) => ctx.emit::<Group>(&GroupKeep::document(keep))?,
    }
    ordered.outcome(args.timeout)
}
