//! Answering a request to a contact address.
//!
//! An accepted request becomes a connection in a file of its own. That file is written first and names the request, so
//! that a run which is cut off before the address forgets the request does not accept it twice.

use std::path::Path;

use agent::connection::QueuePlan;
use cli::{Code, Error};
use grp::connection::documents::events::Request;
use grp::connection::documents::{Answers, Connection, Role};
use grp::connection::fault::step_error;
use grp::connection::keep::{Notes, StateKeep};
use grp::connection::running::{Running, Watch};
use grp::connection::session::Session;

use crate::Args;

pub(crate) async fn answer(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    if args.reject {
        let request = next(args.request, session).await?;
        session.step("reject", |address, _| address.reject(request.id).map_err(step_error)).await?;
        return session.emit_document().await;
    }
    let missing = || Error::new(Code::Usage, "--into: needed to accept a request").hint("or --reject, or --list");
    let into = args.into.as_deref().ok_or_else(missing)?;
    if !accepted_before(args, into, session).await? {
        let request = next(args.request, session).await?;
        let plan = args.receive_at.plan(session.context())?;
        accept(request, plan, args.info.bytes(), into, session).await?;
    }
    let mut session = Session::on(session.context(), into, args.timeout);
    let document = session.existing().await?;
    if !document.is_joined() || (args.wait && !document.is_connected()) {
        let watch = if args.wait { Watch::Answer } else { Watch::Send };
        session.run(watch, async |running| work(args.wait, running).await).await?;
    }
    session.emit_document().await
}

async fn work(wait: bool, running: &mut Running<'_>) -> Result<(), Error> {
    running.show("answering the request");
    running.until(Connection::is_joined).await?;
    if wait { running.connected().await } else { Ok(()) }
}

/// The request to answer: the wanted one, or the first. Waits until it is there.
async fn next(wanted: Option<u64>, session: &mut Session<'_>) -> Result<Request, Error> {
    let find = |document: &Connection| {
        document.requests.iter().find(|request| wanted.is_none_or(|wanted| wanted == request.id)).cloned()
    };
    let waits = async |running: &mut Running<'_>| {
        running.show("waiting for a request");
        running.until(|document| find(document).is_some()).await?;
        running.document()
    };
    let mut document = session.existing().await?;
    if find(&document).is_none() {
        document = session.run(Watch::Answer, waits).await?;
    }
    find(&document).ok_or_else(|| Error::bug("a request has gone"))
}

/// Accepts a request: the new connection is kept before the address forgets the request.
async fn accept(
    request: Request,
    plan: QueuePlan,
    info: Vec<u8>,
    into: &Path,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let address = link(session).await?;
    let new = StateKeep::new(session.context().shared_state(into), None);
    new.lock().await?;
    if new.exists() {
        return Err(Error::new(Code::FileExists, "the file exists").at(into.display()));
    }
    let answers = Some(Answers { address, request: request.id });
    let (role, peer_info) = (Role::Joiner, Some(request.info));
    new.note(|notes| *notes = Notes { role, answers, peer_info, info: info.clone(), ..Notes::default() });
    let accepted = session
        .step("accept", |address, env| {
            let mut connection = address.accept(request.id, plan, info, env).map_err(step_error)?;
            new.save(&mut connection)
        })
        .await;
    new.unlock();
    accepted
}

/// Whether an earlier run has accepted a request into this file. If it was cut off, the address forgets the request now.
async fn accepted_before(args: &Args, into: &Path, session: &mut Session<'_>) -> Result<bool, Error> {
    let address = link(session).await?;
    let earlier = Session::on(session.context(), into, args.timeout).document().await?;
    let Some(earlier) = earlier else { return Ok(false) };
    let answers = earlier.answers.clone().filter(|answers| answers.address == address);
    let answers = answers.filter(|answers| args.request.is_none_or(|request| request == answers.request));
    let Some(Answers { request, .. }) = answers else {
        let hint = "choose another name; every connection needs a file of its own";
        return Err(Error::new(Code::FileExists, "the file holds another connection").at(into.display()).hint(hint));
    };
    args.receive_at.check_repeated(&earlier)?;
    let waits = session.existing().await?.requests.iter().any(|waiting| waiting.id == request);
    if waits {
        session.step("accept", |address, _| address.reject(request).map_err(step_error)).await?;
    }
    Ok(true)
}

/// The link of the address, which is its name.
async fn link(session: &mut Session<'_>) -> Result<String, Error> {
    let link = session.existing().await?.link.clone();
    link.ok_or_else(|| Error::new(Code::NotYet, "the address was not created").hint("conn-invite creates it"))
}
