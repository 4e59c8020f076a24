//! `grp-join`: steps 15 and 16, from a group link to a membership.

mod args;

use std::process::ExitCode;

use agent::time::{Env, Time};
use args::Args;
use cli::{Code, Context, Error, Shape, State, Step, Tool};
use group::membership::{Membership, WrongLink};
use group::step::link_verify::verify_group_link;
use grp::documents::{GroupSeen, Member, VerifiedLinkSeen};
use grp::held::{MemberKeep, lock, run_name};
use grp::taking_part::joining::{Wanted, refused};
use grp::taking_part::messages::Messages;
use grp::taking_part::work::{End, Reading, Work, restored};
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
        A run on the file of a membership does what grp-restore does: it reads the group link again, leaves relays that it \
        does not list any more, joins new ones with the same key, and asks those again that refused.\n\n\
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
    ],
    exit: &[
        (1, "the link is not what it promises, or every relay refused"),
        (5, "no relay has answered yet, or a server cannot be reached: the same command goes on"),
    ],
    see_also: &["grp-link-verify", "grp-recv", "grp-restore", "grp-send"],
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
        end?;
        keep.look(|member| wanted(&args).outcome(member, args.timeout))
    })
}

/// A new membership: the link is verified before anything is written.
fn begin(args: &Args, state: State, ctx: &mut Context) -> Result<(MemberKeep, String), Error> {
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
    let document = Member((&member).into());
    let run = run_name(&document)?;
    state.save(&document)?;
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
    if !is_new && work.keep().look(|member| member.ended().is_none()) {
        return work.join_again(wanted(args)).await;
    }
    work.until(|member| wanted(args).is_decided(member)).await
}

fn wanted(args: &Args) -> Wanted {
    match (args.no_wait, args.all) {
        (true, _) => Wanted::Asked,
        (_, true) => Wanted::All,
        _ => Wanted::One,
    }
}
