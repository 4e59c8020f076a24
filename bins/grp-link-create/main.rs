//! `grp-link-create`: steps 2 to 4, the link of a group.

mod args;
mod server;

use std::fmt::Display;
use std::process::ExitCode;

use agent::time::Env;
use args::Args;
use cli::{Code, Context, Either, Error, OrError as _, Shape, State, Step, Tool};
use group::document::GroupState;
use group::identity::OwnerIdentity;
use group::owner::GroupOwner;
use group::step::link_create::{GroupLinkRequest, PreparedGroupLink};
use grp::Dialler;
use grp::documents::{Group, Owner};
use grp::owning::link;

const TOOL: Tool = Tool {
    name: "grp-link-create",
    about: "Create the link of a group, or change what it says",
    description: "Takes the keys from grp-keygen, makes the group link, writes it into the profile, signs both and \
        creates the link on an SMP server. The link accepts no contact requests: members join through relays.\n\n\
        Everything that is sent is made before anything is sent. With --offline that is all that happens; with --state \
        it is kept, so that a run that was cut off can be repeated. A prepared document creates one link, however \
        often it is used. Only the run that created the link learns the ID by which it can be changed later: keep its \
        document.\n\n\
        --update replaces what may change; repeating it is harmless. With several owners it reads the link before and after \
        that, and merges what others wrote: of two values for one field that of the owner who came first stays. Relays \
        that serve the group hear of another profile when grp-relay-invite runs next.\n\n\
        Every command of an owner that says something, or hears something, puts into the link how much was said, so that \
        members see if all relays together withhold posts: grp-recv --audit. --transcript says how much members learn.",
    reads: &[Shape::of::<Owner>(), Shape::of::<Group>()],
    writes: &[Shape::of::<Group>()],
    examples: &[
        (
            "Create a channel",
            "grp-keygen | grp-link-create --server \"$SERVER\" --name Walks --out group.json | jq -r .link",
        ),
        (
            "Know the link first",
            "grp-link-create owner.json --offline --server \"$SERVER\" --name Walks --out walks.json",
        ),
        ("Create exactly that link", "grp-link-create walks.json --out group.json"),
        ("Change the profile", "grp-link-create --state group.json --update --description 'On Sundays'"),
    ],
    see_also: &["grp-keygen", "grp-link-verify", "smp-serve"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

/// Who acts, in the trace.
const OWNER: &str = "owner";

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Group, Error> {
    let (input, state) = ctx.open::<Either<Owner, Group>>(&args.source)?;
    match input {
        Either::First(_) if args.update => Err(Error::new(Code::Usage, "--update: there is no link yet")),
        Either::First(owner) => {
            let prepared = prepare(&args, owner, ctx)?;
            create(&args, prepared, &state, ctx)
        }
        Either::Second(group) => match GroupState::try_from(group.0).or_error_at(Code::FieldInvalid, "group")? {
            GroupState::Prepared(_) if args.update => {
                Err(Error::new(Code::Usage, "--update: the link was not created yet").hint("create it first"))
            }
            GroupState::Prepared(prepared) => {
                args.refuse_new("the link is prepared")?;
                create(&args, *prepared, &state, ctx)
            }
            GroupState::Created(owner) => {
                args.refuse_new("the link was created")?;
                if args.update { update(&args, *owner, &state, ctx) } else { Ok(Group((&*owner).into())) }
            }
        },
    }
}

fn prepare(args: &Args, owner: Owner, ctx: &mut Context) -> Result<PreparedGroupLink, Error> {
    let owner = OwnerIdentity::try_from(owner.0).or_error_at(Code::FieldInvalid, "owner")?;
    let server = args.server(ctx)?;
    let request = GroupLinkRequest { group_type: args.group_type(), profile: args.profile.create()?, server };
    let prepared = PreparedGroupLink::prepare(owner, request, grp::now(ctx), ctx.random("link_prepare").as_mut());
    let mut prepared = prepared.map_err(profile_error)?;
    if let Some(transcript) = args.transcript {
        prepared.set_transcript(transcript.into());
    }
    ctx.trace().step(Step { who: OWNER, name: "link_prepare", outcome: "ok", ..Step::default() });
    Ok(prepared)
}

fn create(args: &Args, prepared: PreparedGroupLink, state: &State, ctx: &mut Context) -> Result<Group, Error> {
    let document = Group((&prepared).into());
    state.save(&document)?;
    if args.offline {
        return Ok(document);
    }
    let server = prepared.group().server().address.clone();
    let _progress = ctx.progress(format!("creating the link on {server}"));
    let dialler = Dialler::new(ctx, OWNER, "connect", args.timeout);
    let outcome = cli::block_on(server::create(prepared, grp::now(ctx), dialler));
    trace(ctx, "link_create", &server.to_string(), outcome.as_ref().err());
    let link = outcome?;
    if link.queue().access.is_none() {
        ctx.warn(Code::LinkExisted, "the link was created by an earlier run; only that run's document can change it");
    }
    let document = Group((&link).into());
    state.save(&document)?;
    Ok(document)
}

fn update(args: &Args, mut owner: GroupOwner, state: &State, ctx: &mut Context) -> Result<Group, Error> {
    if let Some(transcript) = args.transcript {
        owner.set_transcript(transcript.into());
    }
    let before = owner.link().group().contents().clone();
    let profile = args.profile.apply(before.profile)?;
    let member_count = args.member_count.unwrap_or(before.member_count);
    let change = |owner: &mut GroupOwner, env: &mut Env<'_>| owner.set_contents(profile, member_count, env);
    link::change(&mut owner, state, args.timeout, ctx, change)?;
    Ok(Group((&owner).into()))
}

fn profile_error(error: impl Display) -> Error {
    Error::new(Code::Usage, error).at("profile")
}

fn trace(ctx: &Context, name: &str, server: &str, error: Option<&Error>) {
    let outcome = error.map_or("ok", |error| error.code().name());
    ctx.trace().step(Step { who: OWNER, to: server, name, outcome, ..Step::default() });
}
