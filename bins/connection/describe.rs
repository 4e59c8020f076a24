//! From a connection to its document.

use agent::connection::{Connection, Event, ReceiveQueueState, SendQueueState, SendStatus, Where};
use agent::short_link::{ContactKind, LinkScheme};
use cli::{Blob, Bytes, SecretBlob};
use zeroize::Zeroizing;

use super::documents::events::Request;
use super::documents::{self, Queue, Status};
use super::keep::Notes;

/// What the document of a connection says, without its records.
pub(super) fn describe(connection: &Connection, notes: &Notes) -> documents::Connection {
    let status = connection.status();
    let (short, full) = links(connection);
    // Before the queue is there, a short link may still come.
    let created = status.at != Where::Creating;
    documents::Connection {
        role: notes.role,
        status: place(status.at, status.send.as_ref()),
        link: short.or_else(|| full.clone().filter(|_| created)),
        full_link: full,
        peer_link: notes.peer_link.clone(),
        link_data: notes.link_data.clone(),
        peer_info: told_info(connection).or_else(|| notes.peer_info.clone()),
        answers: notes.answers.clone(),
        agent_version: status.agent_version,
        ratchet_version: status.ratchet_version,
        post_quantum: status.post_quantum,
        security_code: status.security_code.map(Bytes),
        receive_queue: status.receive.map(receive_queue),
        send_queue: status.send.map(send_queue),
        sent: status.last_sent,
        received: status.last_received,
        unsent: status.unsent,
        missing: status.missing,
        requests: requests(connection),
        root_key: notes.root_key.clone(),
        info: SecretBlob(Zeroizing::new(notes.info.clone())),
        revision: 0,
        records: Default::default(),
    }
}

/// The short and the full link to share.
fn links(connection: &Connection) -> (Option<String>, Option<String>) {
    if let Some(invitation) = connection.invitation() {
        return (invitation.short.map(|link| link.to_string()), Some(invitation.full.to_string()));
    }
    let Some(address) = connection.own_address() else { return (None, None) };
    let short = address.fixed.map(|fixed| fixed.short_link(ContactKind::Contact, LinkScheme::Simplex).to_string());
    (short, Some(address.full.to_string()))
}

/// What the peer says of itself, while that waits to be looked at.
fn told_info(connection: &Connection) -> Option<documents::Content> {
    connection.pending().into_iter().find_map(|event| match event {
        Event::Confirmed { info } | Event::Info(info) => Some(info.into()),
        _ => None,
    })
}

fn requests(connection: &Connection) -> Vec<Request> {
    let request = |event| match event {
        Event::Requested(request) => Some(request.into()),
        _ => None,
    };
    connection.pending().into_iter().filter_map(request).collect()
}

fn place(at: Where, send: Option<&SendQueueState>) -> Status {
    match at {
        Where::Reading => Status::Reading,
        Where::Read => Status::Read,
        Where::Creating => Status::Prepared,
        Where::Invited => Status::Invited,
        Where::Open => Status::Open,
        Where::Asking => Status::Asking,
        Where::Asked => Status::Asked,
        Where::Confirmed => Status::Confirmed,
        Where::Joined if send.is_some_and(|queue| queue.status == SendStatus::Confirmed) => Status::Joined,
        Where::Joining | Where::Joined => Status::Joining,
        Where::Allowed => Status::Allowed,
        Where::Greeting => Status::Greeting,
        Where::Connected => Status::Connected,
        Where::Suspended => Status::Suspended,
        Where::Deleting | Where::Over => Status::Deleting,
    }
}

fn receive_queue(state: ReceiveQueueState) -> Queue {
    Queue {
        server: state.server.to_string(),
        status: state.status.into(),
        recipient_id: state.recipient_id.map(|id| Blob(id.as_bytes().to_vec())),
        sender_id: state.sender_id.map(|id| Blob(id.as_bytes().to_vec())),
    }
}

fn send_queue(state: SendQueueState) -> Queue {
    Queue {
        server: state.server.to_string(),
        status: state.status.into(),
        recipient_id: None,
        sender_id: Some(Blob(state.sender_id.as_bytes().to_vec())),
    }
}
