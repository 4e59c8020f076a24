//! Words for the trace, without what makes events and answers long.

use agent::connection::event::Event;
use agent::connection::task::Outcome;
use smp::response::Response;

use crate::host::Waiting;

impl Waiting {
    pub(super) fn purpose(&self) -> String {
        match self {
            Waiting::Task(name, id) => format!("{name} {id:?}"),
            Waiting::Subscription(name) => name.clone(),
        }
    }
}

pub(super) fn tag(response: &Response) -> &'static str {
    match response {
        Response::Ids(_) => "IDS",
        Response::Lnk(..) => "LNK",
        Response::Msg(..) => "MSG",
        Response::Ok | Response::Sok(_) => "OK",
        Response::End => "END",
        Response::Deld => "DELD",
        Response::Err(_) => "ERR",
        _ => "something else",
    }
}

pub(super) fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(Response::Err(error)) => format!("answered: {error}"),
        Outcome::Answered(response) => format!("answered: {}", tag(response)),
        other => format!("{other:?}"),
    }
}

/// An event without what makes it long.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Message(message) => format!(
            "Message {} of {} bytes, {:?}, post-quantum {}",
            message.number,
            message.body.len(),
            message.integrity,
            message.post_quantum
        ),
        Event::Confirmed { info } => format!("Confirmed with {} bytes", info.len()),
        Event::Info(info) => format!("Info of {} bytes", info.len()),
        Event::Requested(request) => format!("Requested {} with {} bytes", request.id, request.info.len()),
        Event::Receipts { receipts, .. } => {
            format!(
                "Receipts {:?}",
                receipts.iter().map(|receipt| (receipt.number, receipt.status)).collect::<Vec<_>>()
            )
        }
        other => format!("{other:?}"),
    }
}
