//! `grp-relay-invite`: steps 5 to 13, the relays of a group.

mod args;

use std::process::ExitCode;

use agent::short_link::ContactShortLink;
use args::Args;
use cli::{Code, Context, Error, Shape, Tool};
use group::extension::Extension;
use group::identity::MemberId;
use group::owner::{ActiveStage, GroupOwner, OwnerError, Persona, RelayRecord, Status};
use grp::documents::Group;
use grp::held::GroupKeep;
use grp::owning::work::{End, Work};
use grp::owning::{open, relays, until_told};

const TOOL: Tool = Tool {
    name: "grp-relay-invite",
    about: "Invite relays to serve a group, check them and publish them",
    description: "Asks relays to serve a group, and goes on with each until the group link lists it. All relays are \
        dealt with at the same time; none waits for another, and the link is updated as soon as one of them may be \
        listed.\n\n\
        A relay is asked through its address with x.grp.relay.inv, under a name, with a member ID and through a queue \
        that are made for this relay and group alone: it does not learn which groups have the same owner. It answers \
        with a relay link. That link is read and must belong to this group and to the member that was invited; otherwise \
        the relay is rejected and nothing is published. A relay that passes is let in, gets the signed roster and \
        acknowledges it, and then the link lists it. Relays that were listed before are told if there are members.\n\n\
        Of several owners each talks to all relays. Those that another owner invited are met through their relay links, as \
        soon as the group link lists them: they let in whom that names as an owner. The first run of a further owner decides \
        with --server and --name how they see it; it needs no --relay.\n\n\
        A new relay has no history for those who join through it. With --history it gets the owner's last posts first, the \
        same that the other relays have; those who have them already see nothing new.\n\n\
        Everything is in the state file before anything follows from it. A run that was cut off, or whose relays are \
        slow, is repeated with the same command, or without --relay, and goes on where the last one ended. Other \
        commands on the same file have to wait for this one.\n\n\
        Prints the group with all its relays. With --verbose every change of a status is a line on stderr.",
    keeps: &[Shape::of::<Group>()],
    writes: &[Shape::of::<Group>()],
    examples: &[
        (
            "Create a channel with two relays",
            "grp-keygen | grp-link-create --server \"$SERVER\" --name Walks --out group.json >/dev/null && \
             grp-relay-invite --state group.json --relay \"$RELAY1\" --relay \"$RELAY2\" | jq '.relays'",
        ),
        ("Ask now, look later", "grp-relay-invite --state group.json --relay \"$RELAY\" --no-wait"),
        ("Go on with whatever is not finished", "grp-relay-invite --state group.json --timeout 600"),
        (
            "Keep two groups apart",
            "grp-relay-invite --state rides.json --relay \"$RELAY\" --server \"$SERVER1,$SERVER2\" --apart-from walks.json",
        ),
        (
            "As a further owner, meet the relays of the others",
            "grp-relay-invite --state group.json --server \"$SERVER\"",
        ),
        (
            "Replace a lost relay, and give the new one what was said",
            "grp-relay-invite --state group.json --relay \"$NEW\" --history 50",
        ),
        ("Give one up", "grp-relay-invite --state group.json --cancel \"$RELAY\""),
    ],
    json: "\"relay_records\" has every relay that was invited; \"relays\" those that the link lists, or is to list once \
        it is written.",
    exit: &[
        (1, "a relay refused, or something about it is wrong; the others are served all the same"),
        (5, "a relay has not answered yet, or a server cannot be reached: the same command goes on"),
    ],
    see_also: &["grp-link-create", "grp-relay-remove", "grp-status", "grp-link-verify"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let addresses = args.addresses()?;
    let (keep, run) = open(&args.kept, args.timeout, ctx)?;
    let plan = Plan::new(&args, addresses, &keep)?;
    let persona = match plan.new.is_empty() && !keep.look(GroupOwner::lacks_persona) {
        true => None,
        false => keep.look(|owner| args.persona(owner, &run, ctx))?,
    };
    cli::block_on(async {
        let met = |owner: &GroupOwner| !plan.named.is_empty() || owner.to_adopt().is_empty();
        let goal = |owner: &GroupOwner| met(owner) && plan.wanted(owner).all(|record| args.is_enough(record));
        let prepare = async |work: &mut Work<'_>| plan.begin(&args, persona, work).await;
        let end = until_told(&keep, &run, args.timeout, ctx, prepare, goal).await?;
        keep.look(|owner| plan.result(&args, owner, end))
    })
}

/// What a run is to do.
struct Plan {
    /// Relays to be invited.
    new: Vec<ContactShortLink>,
    /// Relays that are waited for; all others that are not over, if none is named.
    named: Vec<ContactShortLink>,
    unfinished: Vec<MemberId>,
    cancel: Vec<MemberId>,
    again: Vec<MemberId>,
}

impl Plan {
    fn new(args: &Args, named: Vec<ContactShortLink>, keep: &GroupKeep) -> Result<Self, Error> {
        keep.look(|owner| {
            let ids = |names: &[String]| -> Result<Vec<MemberId>, Error> {
                names.iter().map(|name| relays::find(owner, name).map(|record| record.id().clone())).collect()
            };
            let is_new =
                |address: &&ContactShortLink| owner.relay_at(address).is_none_or(|record| record.status().is_final());
            let new = named.iter().filter(is_new).cloned().collect();
            let (cancel, again) = (ids(&args.cancel)?, ids(&args.again)?);
            let goes_on = |record: &&RelayRecord| !record.status().is_final() && !cancel.contains(record.id());
            let unfinished = owner.relays().iter().filter(goes_on).map(|record| record.id().clone()).collect();
            Ok(Plan { new, cancel, again, named, unfinished })
        })
    }

    /// Everything that is known before servers are asked.
    async fn begin(&self, args: &Args, persona: Option<Persona>, work: &mut Work<'_>) -> Result<(), Error> {
        for relay in &self.cancel {
            let events = work.step(|owner, env| owner.cancel(relay, env)).await?.map_err(refused)?;
            work.told(&events);
        }
        for relay in &self.again {
            work.step(|owner, env| owner.ask_again(relay, env)).await?.map_err(refused)?;
        }
        if let Some(persona) = persona {
            work.step(|owner, _| owner.introduce(persona)).await?.map_err(refused)?;
        }
        if args.test {
            let server = work.keep().look(|owner| owner.persona().map(|persona| persona.server().clone()));
            if let Some(server) = server {
                work.test(&self.new, &server).await?;
            }
        }
        for address in &self.new {
            let relay = work.step(|owner, env| owner.invite(address.clone(), env)).await?.map_err(refused)?;
            if let Some(count) = args.history {
                work.step(|owner, _| owner.promise_posts(&relay, count)).await?.map_err(refused)?;
            }
            work.record_choice(&relay);
        }
        Ok(())
    }

    /// The relays that this run is about.
    fn wanted<'a>(&'a self, owner: &'a GroupOwner) -> impl Iterator<Item = &'a RelayRecord> {
        let is_last =
            |record: &RelayRecord| owner.relay_at(record.address()).is_some_and(|last| last.id() == record.id());
        owner.relays().iter().filter(move |record| match self.named.is_empty() {
            true => self.unfinished.contains(record.id()) || (record.is_adopted() && !record.status().is_final()),
            false => is_last(record) && self.named.iter().any(|address| address.same_link(record.address())),
        })
    }

    fn result(&self, args: &Args, owner: &GroupOwner, end: End) -> Result<(), Error> {
        for record in self.wanted(owner) {
            let called = relays::called(record);
            if let Some(reason) = record.reason() {
                return Err(Error::new(Code::Refused, reason).at(called));
            }
            let is_done = record.status() == Status::Active || (args.no_wait && args.is_enough(record));
            if !is_done {
                let problem = record.problem().map(|problem| format!(": {problem}")).unwrap_or_default();
                let message = format!("{} within {} s{problem}", lacks(record), args.timeout.timeout);
                return Err(Error::new(Code::NotYet, message)
                    .at(called)
                    .hint("the same command goes on; --again asks once more, --cancel gives up"));
            }
        }
        if end == End::Unsent {
            let message = format!("not everything could be sent within {} s", args.timeout.timeout);
            return Err(Error::new(Code::NotYet, message).hint("the same command goes on"));
        }
        Ok(())
    }
}

impl Args {
    /// Whether this run need not wait for a relay any longer.
    fn is_enough(&self, record: &RelayRecord) -> bool {
        let ready = record.capabilities().is_some_and(|can| can.ext.announce(&Extension::RelayReady));
        match record.status() {
            Status::New => false,
            Status::Invited | Status::Accepted | Status::Acknowledged => self.no_wait,
            Status::Active => self.no_wait || !ready || record.active_stage() == Some(ActiveStage::Confirmed),
            Status::Inactive | Status::Rejected => true,
        }
    }
}

fn lacks(record: &RelayRecord) -> &'static str {
    match record.status() {
        Status::New => "the relay could not be asked",
        Status::Invited => "the relay has not answered",
        _ => "the relay is not in the group",
    }
}

fn refused(error: OwnerError) -> Error {
    let hint = match &error {
        OwnerError::NotWritable => "use the document of the run that created the link",
        OwnerError::Prohibited(..) => "grp-status shows how the relays stand",
        _ => return Error::new(Code::Usage, error),
    };
    Error::new(Code::Usage, error).hint(hint)
}
