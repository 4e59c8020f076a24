//! What the trace says of events.

use agent::connection::Event;
use cli::Code;

/// The name of an event, and how it ended what came before.
pub(super) fn traced(event: &Event) -> (&'static str, &'static str) {
    match event {
        Event::LinkRead => ("link_read", "ok"),
        Event::Created => ("queue_created", "ok"),
        Event::Confirmed { .. } => ("confirmation_received", "ok"),
        Event::Info(_) => ("info_received", "ok"),
        Event::Connected { .. } => ("connected", "ok"),
        Event::Requested(_) => ("request_received", "ok"),
        Event::Message(_) => ("message_received", "ok"),
        Event::Receipts { .. } => ("receipt_received", "ok"),
        Event::Sent { .. } => ("message_sent", "ok"),
        Event::QuotaExceeded { .. } => ("message_sent", Code::QueueFull.name()),
        Event::QuotaRestored => ("queue_continues", "ok"),
        Event::NotSent { .. } => ("message_sent", Code::PeerRefused.name()),
        Event::Stopped(_) => ("handshake", Code::PeerRefused.name()),
        Event::Refused(_) => ("message_received", Code::PeerMessageRefused.name()),
        Event::QueueLost => ("queue_lost", Code::PeerRefused.name()),
        Event::LinkSet => ("link_set", "ok"),
        Event::Suspended => ("queue_suspended", "ok"),
        Event::Deleted(None) => ("queue_deleted", "ok"),
        Event::Deleted(Some(_)) => ("queue_deleted", Code::PeerRefused.name()),
    }
}
