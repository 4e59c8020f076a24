//! `grp-join`: steps 15 and 16, from a group link to a membership.

mod args;

use std::process::ExitCode;

use agent::time::{Env, Time};
use args::Args;
use cli::{Code, Context, Error, Shape, State, Step, Tool};
use group::membership::{MemberError, Membership, RelayRecord, Status, WrongLink};
use group::step::link_verify::verify_group_link;
use grp::documents::{GroupSeen, Member, VerifiedLinkSeen};
use grp::held::MemberKeep;
use grp::taking_part::messages::Messages;
use grp::taking_part::work::{End, Reading, Work, first_name, lock, restored};
use grp::{group_link, retrieve};

const TOOL: Tool = Tool {
    name: "grp-join",
    about: "Join a group through its relays",
    description: "Becomes a member of the group that a link leads to. The link is retrieved and checked again, whoever \
        checked it before: that it is what it promises, who signed it, and that profile, link and group ID belong \
        together. Then every relay that it lists is asked for admission with a signed x.member, under a name, with a key \
        and through a queue that are made for this group alone. Nothing is sent to a relay before its own link was read \
        and found to belong to this group, and an answer that leads to another group ends it.\n\n\
        The first relay that admits the member is enough; the others are joined by later runs of grp-join, grp-recv or \
        grp-send on the same file. A run that was cut off is repeated with the same command, and goes on.\n\n\
        A run on the file of a membership reads the group link again: relays that it does not list any more are left, new \
        ones are joined with the same key, and those that refused are asked again.\n\n\
        What relays deliver meanwhile is left for grp-recv. The address of a relay is refused: owners invite relays with \
        it.",
    reads: &[Shape::of::<GroupSeen>(), Shape::of::<VerifiedLinkSeen>()],
    keeps: &[Shape::of::<Member>()],
    writes: &[Shape::of::<Member>()],
    examples: &[
        (
            "Check a link, then join",
            "grp-link-verify \"$LINK\" | grp-join --state walks.json --server \"$SERVER\" | jq '.relays[].status'",
        ),
        ("Join under a name", "grp-join \"$LINK\" --state walks.json --server \"$SERVER\" --name Mia"),
        ("Find relays again after all were lost", "grp-join --state walks.json --all --timeout 600"),
        ("Leave", "grp-join --state walks.json --leave"),
    ],
    exit: &[
        (1, "the link is not what it promises, or every relay refused"),
        (5, "no relay has answered yet, or a server cannot be reached: the same command goes on"),
    ],
    see_also: &["grp-link-verify", "grp-recv", "grp-send"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let state = lock(&args.kept, args.timeout, ctx)?;
    let is_new = state.is_new();
    let (keep, run) = if is_new { begin(&args, state, ctx)? } else { go_on(&args, state, ctx)? };
    let messages = Messages::beside(&args.kept.state)?;
    cli::block_on(async {
        let mut work = Work::start(ctx, (&keep, &run), messages, Reading::Leaves, args.timeout).await?;
        let end = take_part(&args, is_new, &mut work).await;
        work.close().await;
        ctx.emit(&keep.document())?;
        let end = end?;
        keep.look(|member| result(&args, member, end))
    })
}

/// A new membership: the link is verified before anything is written.
fn begin(args: &Args, state: State, ctx: &mut Context) -> Result<(MemberKeep, String), Error> {
    if args.leave {
        return Err(Error::new(Code::FileMissing, "there is no membership to leave").at(args.kept.state.display()));
    }
    let link = group_link::read(args.target.as_deref(), &args.presets()?, "--link-server", ctx)?;
    ctx.refuse_test(args.allow_test)?;
    WrongLink::check(link.kind).map_err(|wrong| Error::new(Code::Usage, wrong).hint(wrong.advice()))?;
    let persona = args.persona(ctx)?;
    let fetch = group::step::link_verify::LinkVerification::start(link.clone()).to_fetch();
    let read = retrieve::all(fetch, args.timeout, ctx)?.into_iter().next();
    let read = read.ok_or_else(|| Error::bug("nothing was retrieved"))??;
    let verified = verify_group_link(link, read.clone());
    let outcome = verified.as_ref().map_or_else(|check| group_link::failure(check).code().name(), |_| "ok");
    ctx.trace().step(Step { who: "member", name: "link_verify", outcome, ..Step::default() });
    let verified = verified.map_err(|check| group_link::failure(&check))?;
    let mut random = ctx.random("member");
    let now = Time::from_millis(ctx.now().saturating_mul(1000));
    let mut env = Env { now, random: random.as_mut() };
    let member = Membership::join(&verified, &read, persona, &mut env).map_err(refused)?;
    let run = first_name(&member)?;
    state.save(&Member((&member).into()))?;
    Ok((MemberKeep::new(member, state), run))
}

fn go_on(args: &Args, state: State, ctx: &mut Context) -> Result<(MemberKeep, String), Error> {
    args.check_repeated()?;
    let document: Member = state.load()?;
    ctx.refuse_test(args.allow_test)?;
    if let Some(target) = &args.target {
        let link = group_link::read(Some(target), &args.presets()?, "--link-server", ctx)?;
        if !link.same_link(&document.0.link) {
            return Err(Error::new(Code::Usage, "the state file belongs to another group")
                .at(args.kept.state.display())
                .hint("each membership has a file of its own"));
        }
    }
    restored(document, state, &args.kept)
}

async fn take_part(args: &Args, is_new: bool, work: &mut Work<'_>) -> Result<End, Error> {
    if args.leave {
        let events = work.step(|member, env| member.leave(env)).await?.map_err(refused)?;
        work.told(events).await?;
        return work.until(|_| true).await;
    }
    if !is_new && work.keep().look(|member| member.ended().is_none()) {
        let events = work.step(|member, env| member.restore(env)).await?.map_err(refused)?;
        work.told(events).await?;
    }
    work.until(|member| is_enough(args, member)).await
}

/// Whether this run need not wait any longer.
fn is_enough(args: &Args, member: &Membership) -> bool {
    let asked = |record: &RelayRecord| record.status() != Status::Listed;
    let over = |record: &RelayRecord| matches!(record.status(), Status::Connected | Status::Gone);
    let all_gone = member.relays().iter().all(|record| record.status() == Status::Gone);
    member.ended().is_some()
        || all_gone
        || match (args.no_wait, args.all) {
            (true, _) => member.relays().iter().all(asked),
            (_, true) => member.relays().iter().all(over),
            _ => member.is_usable(),
        }
}

fn result(args: &Args, member: &Membership, end: End) -> Result<(), Error> {
    if let Some(why) = member.ended() {
        if args.leave && end == End::Reached {
            return Ok(());
        }
        let error = if args.leave {
            Error::new(Code::NotYet, "not everybody was told").hint("the same command goes on")
        } else {
            Error::new(Code::Refused, why)
        };
        return Err(error);
    }
    if is_enough(args, member) && (member.is_usable() || args.no_wait) {
        return Ok(());
    }
    let reason = member.relays().iter().find_map(RelayRecord::why_gone);
    match reason.filter(|_| member.relays().iter().all(|record| record.status() == Status::Gone)) {
        Some(reason) => Err(Error::new(Code::Refused, reason).hint("grp-join asks again; other relays may come")),
        None => {
            let problem = member.relays().iter().find_map(RelayRecord::problem);
            let problem = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
            let which = if member.is_usable() { "not every relay" } else { "no relay" };
            let message = format!("{which} has admitted the member within {} s{problem}", args.timeout.timeout);
            Err(Error::new(Code::NotYet, message).hint("the same command goes on"))
        }
    }
}

fn refused(error: MemberError) -> Error {
    match error {
        MemberError::NoRelays => Error::new(Code::NotYet, error).hint("try again when its owner has found a relay"),
        MemberError::Over(why) => Error::new(Code::Usage, why).hint("join with another state file"),
        error => Error::new(Code::Usage, error),
    }
}
