//! `conn-invite`: the beginning of a connection, or a contact address.

mod args;

use std::process::ExitCode;

use agent::connection::{AddressPlan, InviteLink};
use args::Args;
use cli::{Context, Error, Secret, Shape, Tool};
use grp::connection::address;
use grp::connection::documents::{Connection, Role};
use grp::connection::keep::Notes;
use grp::connection::running::Watch;
use grp::connection::session::Session;

const TOOL: Tool = Tool {
    name: "conn-invite",
    about: "Make a link through which a peer can connect",
    description: "Makes one end of a connection, and the link through which one peer becomes the other end. With \
        --address it makes a contact address: a link through which anybody can ask for a connection.\n\n\
        Everything is made and kept in the state file before anything is sent: keys for the queue, for its end-to-end \
        layer and for the double ratchet. Then one command goes to the server: NEW, with the data behind the short link \
        in it. A run that was cut off is repeated with the same command; it creates the queue that was prepared, once.\n\n\
        With --offline nothing is sent. The full link is known then; the short link of a contact address too, while that \
        of an invitation is chosen by the server.",
    keeps: &[Shape::of::<Connection>()],
    writes: &[Shape::of::<Connection>()],
    examples: &[
        ("Invite somebody", "conn-invite --state alice.json --server \"$SERVER\" --data '{\"hello\":1}' | jq -r .link"),
        ("Take requests from anybody", "conn-invite --state contact.json --server \"$SERVER\" --address | jq -r .link"),
        ("Know the link first", "conn-invite --state alice.json --server \"$SERVER\" --offline | jq -r .full_link"),
        ("Create exactly that", "conn-invite --state alice.json | jq -r .link"),
    ],
    json: "\"link\" is what to give away; conn-join takes it.",
    see_also: &["conn-join", "conn-accept", "smp-serve"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3")],
    ..Tool::NEW
};

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let mut session = Session::new(ctx, &args.kept, args.timeout);
    cli::block_on(async {
        match session.document().await? {
            Some(document) => args.check_repeated(&document)?,
            None => begin(&args, &mut session).await?,
        }
        if !args.offline && !session.existing().await?.is_created() {
            session.run(Watch::Send, async |running| running.until(Connection::is_created).await).await?;
        }
        session.emit_document().await
    })
}

/// Makes everything that will be sent.
async fn begin(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let ctx = session.context();
    args.check_new()?;
    let (plan, payload, settings) = (args.receive_at.plan(ctx)?, args.payload(ctx)?, args.settings());
    let link_data = payload.as_ref().map(|payload| payload.as_bytes().to_vec().into());
    if !args.address {
        let notes = Notes { role: Role::Inviter, link_data, ..Notes::default() };
        let link = InviteLink { short: payload, propose: args.proposes() };
        return session
            .begin("invite", notes, |env| agent::connection::Connection::invite(plan, link, &settings, env))
            .await;
    }
    let (plan, root_key) = match payload {
        Some(payload) => {
            let (plan, root_key) = address::linked(plan, payload, &settings, ctx.random("link_prepare").as_mut())?;
            (plan, Some(Secret(root_key.seed())))
        }
        None => (AddressPlan::Full(plan), None),
    };
    let notes = Notes { role: Role::Address, link_data, root_key, ..Notes::default() };
    session.begin("address", notes, |env| agent::connection::Connection::address(plan, &settings, env)).await
}
