//! `grp-leave`: ends a membership.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use grp::documents::Member;
use grp::held::lock;
use grp::taking_part::joining::refused;
use grp::taking_part::messages::Messages;
use grp::taking_part::work::{End, Reading, Work, restored};

const TOOL: Tool = Tool {
    name: "grp-leave",
    about: "Leave a group",
    description: "Ends a membership: every relay gets a signed x.grp.leave, which it passes on, and the connections with \
        relays are deleted when they have it. Nothing more is heard of the group. Whoever comes back joins with another \
        state file, as somebody else.\n\n\
        A run that was cut off is repeated with the same command. The state file stays, and says that the membership is \
        over: delete it then, with FILE.messages beside it.",
    keeps: &[Shape::of::<Member>()],
    writes: &[Shape::of::<Member>()],
    examples: &[("Leave", "grp-leave --state walks.json | jq .ended")],
    exit: &[(5, "a server cannot be reached: the same command goes on")],
    see_also: &["grp-delete", "grp-join"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Leave a group whose keys come from a seed
    #[arg(long)]
    allow_test: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let state = lock(&args.kept, args.timeout, ctx)?;
    let document: Member = state.load()?;
    ctx.refuse_test(args.allow_test)?;
    let (keep, run) = restored(document, state, &args.kept)?;
    let messages = Messages::beside(&args.kept.state)?;
    let end = cli::block_on(async {
        let mut work = Work::start(ctx, (&keep, &run), messages, Reading::Leaves, args.timeout).await?;
        let end = leave(&mut work).await;
        work.close().await;
        end
    });
    ctx.emit(&keep.document())?;
    match end? {
        End::Reached => Ok(()),
        End::TimedOut => Err(Error::new(Code::NotYet, "not everybody was told").hint("the same command goes on")),
    }
}

async fn leave(work: &mut Work<'_>) -> Result<End, Error> {
    if work.keep().look(|member| member.ended().is_none()) {
        let events = work.step(|member, env| member.leave(env)).await?.map_err(refused)?;
        work.told(events).await?;
    }
    work.until_sent().await
}
