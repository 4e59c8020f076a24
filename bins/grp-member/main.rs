//! `grp-member`: shows the members of a group, and decides about them.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use codec::text::from_base64url;
use crypto::sign::Ed25519PublicKey;
use group::identity::{MemberId, MemberPublicKey};
use group::member::Role;
use group::membership::{Assurance, Order};
use grp::documents::{Group, Member};
use grp::held::lock;
use grp::ordering::Commander;
use grp::ordering::known::GroupMember;
use grp::taking_part::messages::Messages;

const TOOL: Tool = Tool {
    name: "grp-member",
    about: "Show the members of a group, and decide about them",
    description: "Shows who is in a group, or gives an order about one member, as the owner or member that the state file \
        belongs to. What is shown was heard with grp-recv: nothing is asked from anybody. A member is named by its \
        member_id; what it calls itself proves nothing.\n\n\
        Orders are signed, and relays pass them on. Moderators block members, and move them between observer and author; \
        admins also remove members without rights; owners do everything, and they alone make somebody member, moderator or \
        admin, or take that back. An order that changes nothing is not given again.\n\n\
        Whoever gets rights gets its key signed by the owner, for good: it should be the member's own. Most members prove it \
        when they join. Where only a relay names the key, the order is refused: the member prints its own with \
        grp-member list, tells it over another channel, and the owner gives it with --key. With --force the relay is \
        believed.\n\n\
        An order is in the state file before anything is sent. What could not be sent is sent by the next run. Other \
        commands on the same file have to wait for this one.",
    keeps: &[Shape::of::<Member>(), Shape::of::<Group>()],
    writes: &[Shape::of::<GroupMember>()],
    examples: &[
        (
            "See who may do what",
            "grp-member list --state group.json | jq -r '[.member_id, .role, .display_name] | @tsv'",
        ),
        ("Let somebody write", "grp-member role \"$ID\" member --state group.json | jq .relays"),
        ("Remove somebody with everything that it wrote", "grp-member remove \"$ID\" --messages --state group.json"),
        ("Let nobody see what somebody writes", "grp-member block \"$ID\" --state walks.json"),
    ],
    exit: &[(5, "a relay does not have the order yet: the next run goes on")],
    see_also: &["grp-profile", "grp-recv", "grp-relay-remove", "grp-send"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// What to do
    #[arg(value_name = "WHAT", value_enum)]
    what: What,

    /// The member, named by its member_id
    #[arg(value_name = "MEMBER")]
    member: Option<String>,

    /// The new role: observer, author, member, moderator or admin
    #[arg(value_name = "ROLE")]
    role: Option<String>,

    #[command(flatten)]
    kept: Kept,

    /// The member's public key, as the member itself told it over another channel; with `role`
    #[arg(long, value_name = "KEY", conflicts_with = "force")]
    key: Option<String>,

    /// Believe the relay that names the member's key; with `role`
    #[arg(long)]
    force: bool,

    /// What the member wrote goes as well; with `remove`
    #[arg(long)]
    messages: bool,

    /// Take part in a group whose keys come from a seed
    #[arg(long)]
    allow_test: bool,

    #[command(flatten)]
    timeout: Timeout,
}

/// What to do.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Show everybody who is known
    List,
    /// Give a member another role
    Role,
    /// Remove a member
    Remove,
    /// Let nobody see what a member writes
    Block,
    /// Let everybody see it again
    Unblock,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let order = args.order()?;
    let state = lock(&args.kept, args.timeout, ctx)?;
    let commander = Commander::open(state, &args.kept)?;
    ctx.refuse_test(args.allow_test || commander.is_owner())?;
    let Some((member, order)) = order else {
        let messages = Messages::beside(&args.kept.state)?;
        return commander.everybody(&messages)?.iter().try_for_each(|member| ctx.emit(member));
    };
    let ordered = cli::block_on(commander.give(&order, &args.kept, args.timeout, ctx))?;
    let outcome = ordered.outcome(args.timeout);
    // The run that gave the order had the messages to itself.
    let messages = Messages::beside(&args.kept.state)?;
    ctx.emit(&commander.one(&member, &messages, ordered)?)?;
    outcome
}

impl Args {
    /// What is to be ordered, and about whom; nothing if members are only to be shown.
    fn order(&self) -> Result<Option<(MemberId, Order)>, Error> {
        let usage = |message: &str| Err(Error::new(Code::Usage, message));
        let is = |what| self.what == what;
        if !is(What::Role) && (self.role.is_some() || self.key.is_some() || self.force) {
            return usage("ROLE, --key and --force belong to `role`");
        }
        if !is(What::Remove) && self.messages {
            return usage("--messages belongs to `remove`");
        }
        let member = match &self.member {
            None if is(What::List) => return Ok(None),
            Some(_) if is(What::List) => return usage("`list` shows everybody: it takes no MEMBER"),
            None => return usage("MEMBER: needed, unless everybody is to be shown with `list`"),
            Some(text) => member_id(text)?,
        };
        let order = match (self.what, &self.role) {
            (What::Role, None) => return usage("ROLE: needed with `role`"),
            (What::Role, Some(role)) => {
                Order::Role { member: member.clone(), role: Role::from(role.as_str()), key: self.assurance()? }
            }
            (What::Remove, _) => Order::Remove { member: member.clone(), messages: self.messages },
            (What::Block, _) => Order::Block { member: member.clone(), blocked: true },
            (What::Unblock, _) => Order::Block { member: member.clone(), blocked: false },
            (What::List, _) => return Ok(None),
        };
        Ok(Some((member, order)))
    }

    fn assurance(&self) -> Result<Assurance, Error> {
        let Some(text) = &self.key else {
            return Ok(if self.force { Assurance::RelaysWord } else { Assurance::Proven });
        };
        let bytes = from_base64url(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = bytes.map(|bytes| MemberPublicKey(Ed25519PublicKey::from_bytes(bytes)));
        key.map(Assurance::Compared).ok_or_else(|| {
            Error::new(Code::Usage, "--key: not a public key").hint("the member finds it with grp-member list")
        })
    }
}

fn member_id(text: &str) -> Result<MemberId, Error> {
    let id = from_base64url(text).ok().and_then(|bytes| MemberId::from_bytes(&bytes));
    id.ok_or_else(|| {
        Error::new(Code::Usage, "not the ID of a member")
            .at(text)
            .hint("grp-member list shows the member_id of everybody")
    })
}
