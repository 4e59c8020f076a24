//! `grp-send`: says something in a group, through all of its relays.

use std::process::ExitCode;

use cli::{Blob, Code, Context, Either, Error, Kept, Shape, State, Timeout, Tool};
use codec::text::from_base64url;
use group::membership::Speech;
use grp::documents::{Group, Member};
use grp::owning;
use grp::serving::asking::{Access, access, documents};
use grp::serving::job::{Job, Order};
use grp::speaking::Speaking;
use grp::speaking::say::Say;
use grp::speaking::sent::GroupSent;
use grp::taking_part::messages::Messages;
use grp::taking_part::work::{Reading, Work, restored};

/// A line of stdin.
const MAX_LINE: usize = 1 << 20;

const TOOL: Tool = Tool {
    name: "grp-send",
    about: "Say something in a group",
    description: "Says something in a group as the member, or as the owner, that the state file belongs to: one message, \
        the same for all relays that are connected, which pass it on to the members. Posts, replies, edits, deletions, \
        reactions and files that were stored somewhere are written as JSON lines of type \"say\"; a text alone may be an \
        argument. For each message one line is printed, with its ID and how far it is on its way to each relay.\n\n\
        What is signed can be shown to others as proof of who said it. What is not can be denied, and forged by relays: \
        members compare what several of them deliver. Edits and deletions of signed messages are signed as well, and so \
        is what moderators delete; reactions never are.\n\n\
        Owners may speak as the group: then members are not told which owner it was, unless it is signed. With a single \
        owner everybody knows, and it is refused unless --force is given.\n\n\
        A message is in the state file before anything is sent. What could not be sent is sent by the next run. Members \
        need not receive for that; owners do what else is due, as grp-relay-invite does. If grp-recv --follow is at work on \
        the same file it says everything, with the same result; other commands on the file wait for each other.\n\n\
        Every message has a name. Who does not know whether something was said, because the run was killed, says it again \
        with the same --message-id, or message_id in a line: what was said is not said again.",
    reads: &[Shape::of::<Say>()],
    keeps: &[Shape::of::<Member>(), Shape::of::<Group>()],
    writes: &[Shape::of::<GroupSent>()],
    examples: &[
        ("Post as the owner", "grp-send --state group.json --sign 'No walk today' | jq -r .message_id"),
        (
            "Edit what was said",
            "jq -nc --arg id \"$ID\" '{type: \"say\", v: 1, edit: $id, text: \"Better\"}' | grp-send --state group.json",
        ),
        (
            "React to everything",
            "grp-recv --state walks.json | jq -c 'select(.happened == \"said\") | \
             {type: \"say\", v: 1, react_to: .message_id, emoji: \"👍\"}' | grp-send --state walks.json",
        ),
    ],
    exit: &[(5, "a relay does not have everything yet: the next run goes on")],
    see_also: &["grp-join", "grp-recv", "grp-relay-invite"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The text of one post; without it, JSON lines of type `say` are read from stdin
    #[arg(value_name = "TEXT")]
    text: Option<String>,

    #[command(flatten)]
    kept: Kept,

    /// Sign it, whatever a line says
    #[arg(long)]
    sign: bool,

    /// Say it as the group, whatever a line says
    #[arg(long)]
    as_group: bool,

    /// Speak as the group even if there is no other owner
    #[arg(long)]
    force: bool,

    /// The message that TEXT answers
    #[arg(long, value_name = "ID", requires = "text")]
    reply_to: Option<String>,

    /// The name of the message; said again under the same name, TEXT is said once [default: a random one]
    #[arg(long, value_name = "ID", requires = "text")]
    message_id: Option<String>,

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
    let says = says(&args, ctx)?;
    let speeches = says.iter().map(|say| say.speech(args.force)).collect::<Result<Vec<_>, _>>()?;
    let order = Order { job: Job::Say { says, force: args.force }, timeout: args.timeout.timeout };
    let check = |who: Either<Member, Group>, ctx: &mut Context| {
        ctx.refuse_test(args.allow_test || matches!(who, Either::Second(_)))
    };
    let (sent, outcome) = match access(&order, &args.kept, ctx, check)? {
        Access::Own(state) => say(&args, state, &speeches, ctx)?,
        Access::Done(mut done) => (documents(&mut done)?, done.outcome),
    };
    sent.iter().try_for_each(|sent: &GroupSent| ctx.emit(sent))?;
    outcome?;
    let waiting = sent.iter().filter(|sent| sent.waits()).count();
    if waiting > 0 {
        let message = format!("{waiting} messages are not with every relay after {} s", args.timeout.timeout);
        return Err(Error::new(Code::NotYet, message).hint("the next run goes on"));
    }
    Ok(())
}

/// Says everything, and waits until all relays have it, or for too long. What was said before something failed is printed
/// before the failure.
fn say(
    args: &Args,
    state: State,
    speeches: &[Speech],
    ctx: &mut Context,
) -> Result<(Vec<GroupSent>, Result<(), Error>), Error> {
    let who = state.load::<Either<Member, Group>>()?;
    ctx.refuse_test(args.allow_test || matches!(who, Either::Second(_)))?;
    cli::block_on(async {
        match who {
            Either::First(member) => {
                let (keep, run) = restored(member, state, &args.kept)?;
                let messages = Messages::beside(&args.kept.state)?;
                let mut work = Work::start(ctx, (&keep, &run), messages, Reading::Looks, args.timeout).await?;
                let speaking = Speaking::begin(&mut work, speeches).await?;
                if !speaking.is_silent() {
                    work.until_sent().await?;
                }
                let sent = speaking.documents(&work).await?;
                work.close().await;
                Ok((sent, speaking.outcome()))
            }
            Either::Second(group) => {
                let (keep, run) = owning::restored(group, state, &args.kept)?;
                let mut work = owning::work::Work::start(ctx, &keep, args.timeout, &run).await?;
                let speaking = Speaking::begin(&mut work, speeches).await?;
                if !speaking.is_silent() {
                    work.until(|_| true).await?;
                }
                let sent = speaking.documents(&work).await?;
                work.close().await;
                Ok((sent, speaking.outcome()))
            }
        }
    })
}

/// Everything that is to be said, each under its name: nothing is, if a line is malformed.
fn says(args: &Args, ctx: &mut Context) -> Result<Vec<Say>, Error> {
    let mut random = ctx.random("message_ids");
    let mut complete = |say: Say| {
        let say = Say { sign: say.sign || args.sign, as_group: say.as_group || args.as_group, ..say };
        say.named(random.as_mut())
    };
    if let Some(text) = &args.text {
        let reply_to = args.reply_to.as_deref().map(|id| id_argument("--reply-to", id)).transpose()?;
        let message_id = args.message_id.as_deref().map(|id| id_argument("--message-id", id)).transpose()?;
        let say = complete(Say { text: Some(text.clone()), reply_to, message_id, ..Say::default() });
        say.speech(args.force)?;
        return Ok(vec![say]);
    }
    let mut says = Vec::new();
    let mut lines = ctx.lines("lines of type `say`", MAX_LINE)?;
    while let Some(line) = lines.next() {
        let number = lines.number();
        let say = complete(Say::parse(&line?).map_err(|error| error.at("stdin").line(number))?);
        say.speech(args.force).map_err(|error| error.at("stdin").line(number))?;
        says.push(say);
    }
    Ok(says)
}

fn id_argument(flag: &str, text: &str) -> Result<Blob, Error> {
    from_base64url(text).map(Blob).map_err(|_| Error::new(Code::Usage, format!("{flag}: not the ID of a message")))
}
