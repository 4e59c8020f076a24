//! `grp-restore`: finds the relays of a group again.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, State, Timeout, Tool};
use grp::documents::Member;
use grp::serving::asking::{Access, access};
use grp::serving::job::{Job, Order};
use grp::taking_part::joining::Wanted;
use grp::taking_part::messages::Messages;
use grp::taking_part::work::{Reading, Work, restored};

const TOOL: Tool = Tool {
    name: "grp-restore",
    about: "Find the relays of a group again",
    description: "Reads the group link again: relays that it does not list any more are left, and new ones are joined with \
        the same key, as the same member. Those that were lost, or that refused, are asked again; those that an owner \
        removed, or that left, are not. Members who lost their last relay need nobody for that but the server of the group \
        link.\n\n\
        The first relay that admits the member is enough; with --all it waits for the others too. grp-recv --follow does \
        the same by itself when the last relay is lost: after a minute, and then later each time. If it is at work on the \
        same file, it does it at once for this command.\n\n\
        What relays deliver meanwhile is left for grp-recv. A run that was cut off is repeated with the same command.",
    keeps: &[Shape::of::<Member>()],
    writes: &[Shape::of::<Member>()],
    examples: &[
        (
            "Find relays again after all were lost",
            "grp-restore --state walks.json --timeout 600 | jq '.relays[].status'",
        ),
        ("Wait for every relay", "grp-restore --state walks.json --all"),
    ],
    exit: &[
        (1, "every relay refused, or the membership is over"),
        (5, "no relay has answered yet, or a server cannot be reached: the same command goes on"),
    ],
    see_also: &["grp-join", "grp-recv", "grp-status"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Wait for all relays, not only for the first
    #[arg(long)]
    all: bool,

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
    let wanted = if args.all { Wanted::All } else { Wanted::One };
    let order = Order { job: Job::Restore(wanted), timeout: args.timeout.timeout };
    match access(&order, &args.kept, ctx, |_: Member, ctx| ctx.refuse_test(args.allow_test))? {
        Access::Own(state) => restore(&args, state, wanted, ctx),
        Access::Done(done) => {
            if let Some(member) = ctx.shared_state(&args.kept.state).load_changed::<Member>()? {
                ctx.emit(&member)?;
            }
            done.outcome
        }
    }
}

fn restore(args: &Args, state: State, wanted: Wanted, ctx: &mut Context) -> Result<(), Error> {
    if state.is_new() {
        return Err(Error::new(Code::FileMissing, "there is no membership to restore").at(args.kept.state.display()));
    }
    let member: Member = state.load()?;
    ctx.refuse_test(args.allow_test)?;
    let (keep, run) = restored(member, state, &args.kept)?;
    let messages = Messages::beside(&args.kept.state)?;
    cli::block_on(async {
        let mut work = Work::start(ctx, (&keep, &run), messages, Reading::Leaves, args.timeout).await?;
        let restored = work.join_again(wanted).await;
        work.close().await;
        if restored.is_ok() {
            ctx.emit(&keep.document())?;
        }
        restored?;
        keep.look(|member| wanted.outcome(member, args.timeout))
    })
}
