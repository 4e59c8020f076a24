//! `grp-recv`: prints what is said in a group, and what relays make of it.

use std::process::ExitCode;
use std::time::Duration;

use cli::{Code, Context, Either, Error, Kept, Shape, State, Timeout, Tool};
use group::membership::{Membership, PATIENCE};
use grp::documents::{Group, Member};
use grp::held::lock;
use grp::owning;
use grp::taking_part::audit::GroupAudit;
use grp::taking_part::lines::GroupEvent;
use grp::taking_part::messages::{Messages, Retention};
use grp::taking_part::work::{End, Reading, Work, restored};

const TOOL: Tool = Tool {
    name: "grp-recv",
    about: "Print what is said in a group",
    description: "Takes what all relays of a group deliver, prints one line for each thing that happened, and ends when \
        the servers have nothing left. With --count it waits until so many messages have come; with --follow it goes on \
        until it is stopped.\n\n\
        Every message is printed once, from whichever relay brings it first. Signatures are checked before anything else; \
        what must be signed and is not is refused. Copies that other relays bring are compared: \"confirmed\" if they say \
        the same, \"different\" with the relays that disagree if they do not. A signed copy takes the place of one without \
        signature; which of two unsigned copies is true, nobody can tell, and both are kept. What a relay does not bring \
        for ten minutes after another one is \"missing\". Owners read what members say in the same way; other commands of \
        owners that meet something leave it to the next grp-recv.\n\n\
        Owners publish in the group link how much was said, so that it is seen even when all relays together withhold \
        something: a post that an owner counted and that no relay brings for ten minutes is \"withheld\", one that says \
        something else than the owner counted is \"altered\", and one of the member's own that did not reach the owner is \
        \"unmarked\". What is withheld or altered can be \"late\". Nothing is claimed of what was said before a relay \
        admitted the member. --audit reads the link now, waits for what is not here, and prints everything that is wrong; \
        if anything is, the exit status is 1. How long it waits, --patience says.\n\n\
        Messages are kept in FILE.messages, an SQLite file beside the state file. What was received is acknowledged to the \
        servers only after it is on disk and on stdout; a run that is cut off in between may print a line again, and loses \
        none. Old messages are forgotten (--keep-days, --keep-messages): of these only the name is kept for a while longer, \
        so that no relay can deliver them as new.\n\n\
        On the way it does what else is due: for members it joins relays that the group link lists, and leaves those that \
        it does not; for owners it goes on with relays as grp-relay-invite does, and writes into the group link how many \
        members there are, as far as relays tell.\n\n\
        While it waits for messages it says for grp-send, and does for grp-restore, what these want with the same file; they \
        reach it through a socket beside it, FILE.sock. Other commands on the file have to wait.",
    keeps: &[Shape::of::<Member>(), Shape::of::<Group>()],
    writes: &[Shape::of::<GroupEvent>(), Shape::of::<GroupAudit>()],
    examples: &[
        (
            "Print the texts that have come",
            "grp-recv --state walks.json | jq -r 'select(.happened == \"said\") | .text // empty'",
        ),
        ("Watch the relays", "grp-recv --state walks.json --follow | jq -c 'select(.happened == \"different\")'"),
        (
            "Read what members answer",
            "grp-recv --state group.json --follow | jq -r 'select(.happened == \"said\") | .text'",
        ),
        ("Wait for one message", "grp-recv --state walks.json --count 1 --timeout 600"),
        (
            "See whether relays withhold something",
            "grp-recv --state walks.json --audit | jq -c 'select(.happened == \"withheld\")'",
        ),
    ],
    exit: &[
        (1, "--audit: relays did not deliver what owners counted"),
        (4, "another program receives from the queues now; a local file"),
        (5, "fewer than --count messages came in time, or a server cannot be reached: try again"),
    ],
    see_also: &["grp-join", "grp-restore", "grp-send"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Go on until stopped
    #[arg(long, conflicts_with = "count")]
    follow: bool,

    /// Wait until N messages have come; edits, deletions and reactions are messages too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Compare what came with what owners counted, and print what is missing or differs
    #[arg(long, conflicts_with_all = ["follow", "count"])]
    audit: bool,

    /// For so many seconds a post that an owner counted may be on its way
    #[arg(long, value_name = "SECS", default_value_t = PATIENCE.as_secs())]
    patience: u64,

    #[command(flatten)]
    retention: Retention,

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
    let state = lock(&args.kept, args.timeout, ctx)?;
    match state.load::<Either<Member, Group>>()? {
        Either::First(member) => receive_as_member(&args, member, state, ctx),
        Either::Second(group) => receive_as_owner(&args, group, state, ctx),
    }
}

fn receive_as_member(args: &Args, document: Member, state: State, ctx: &mut Context) -> Result<(), Error> {
    ctx.refuse_test(args.allow_test)?;
    let (keep, run) = restored(document, state, &args.kept)?;
    let messages = Messages::beside(&args.kept.state)?;
    keep.change(|member| member.set_patience(Duration::from_secs(args.patience)));
    cli::block_on(async {
        let mut work = Work::start(ctx, (&keep, &run), messages, Reading::Prints, args.timeout).await?;
        let ended = receive(args, &mut work).await;
        work.close().await;
        ended
    })
}

async fn receive(args: &Args, work: &mut Work<'_>) -> Result<(), Error> {
    if args.audit {
        return audit(args, work).await;
    }
    work.listen().await?;
    work.keep_for(args.retention);
    let enough = |work: &Work<'_>| args.count.is_some_and(|count| work.said() >= count);
    if args.follow || args.count.is_some() {
        work.serve_others(&args.kept.state);
    }
    if args.follow {
        return work.follow(|_| false).await;
    }
    let end = match args.count {
        Some(_) => work.wait(enough).await?,
        None => work.drain(|_| false).await?,
    };
    match end {
        End::Reached => Ok(()),
        End::TimedOut => Err(timed_out(args, work.said())),
    }
}

/// What is wrong is printed line by line, then how much was compared.
async fn audit(args: &Args, work: &mut Work<'_>) -> Result<(), Error> {
    work.audit(Duration::from_secs(args.patience)).await?;
    let findings = work.keep().look(Membership::findings);
    let at = grp::now(work.context());
    for finding in &findings {
        work.context().emit(&GroupEvent::found(finding, at))?;
    }
    let audit = work.keep().look(|member| GroupAudit::of(member, at));
    work.context().emit(&audit)?;
    match findings.len() {
        0 => Ok(()),
        count => Err(Error::new(Code::TranscriptDiffers, format!("{count} differences from what owners counted"))
            .hint("other relays may deliver what is missing; owners can remove relays")),
    }
}

fn receive_as_owner(args: &Args, document: Group, state: State, ctx: &mut Context) -> Result<(), Error> {
    if args.audit {
        return Err(Error::new(Code::Usage, "--audit: owners count, and members compare")
            .hint("grp-status shows what was counted"));
    }
    let (keep, run) = owning::restored(document, state, &args.kept)?;
    cli::block_on(async {
        let mut work = owning::work::Work::start(ctx, &keep, args.timeout, &run).await?;
        let ended = listen_as_owner(args, &mut work).await;
        work.close().await;
        ended
    })
}

async fn listen_as_owner(args: &Args, work: &mut owning::work::Work<'_>) -> Result<(), Error> {
    work.print().await?;
    work.keep_for(args.retention);
    if args.follow || args.count.is_some() {
        work.serve_others()?;
    }
    if args.follow {
        return work.follow().await;
    }
    let reached = match args.count {
        Some(count) => work.wait(|work| work.said() >= count).await?,
        None => work.drain().await?,
    };
    if reached { Ok(()) } else { Err(timed_out(args, work.said())) }
}

fn timed_out(args: &Args, said: u64) -> Error {
    let message = match args.count {
        Some(count) => format!("{said} of {count} messages came within {} s", args.timeout.timeout),
        None => format!("not every server has answered within {} s", args.timeout.timeout),
    };
    Error::new(Code::TimedOut, message).hint("try again, or give a longer --timeout; nothing is lost")
}
