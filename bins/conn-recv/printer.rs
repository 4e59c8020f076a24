//! What `conn-recv` does with what comes: print it, then acknowledge it.
//!
//! The agent tells again what was not acknowledged: after a restart, and after another program used the state file. Each
//! thing is printed once per run.

use std::collections::BTreeSet;

use agent::connection::{Connection, Event, ReceiptEvent, ReceivedMessage};
use agent::time::Env;
use cli::Error;
use grp::connection::documents::Role;
use grp::connection::documents::events::{Confirmed, Connected, Message, PeerInfo, Receipt, Request};
use grp::connection::fault::step_error;
use grp::connection::running::Running;
use smp::id::MessageId;

pub(crate) struct Printer {
    receipts: bool,
    messages: u64,
    last: Option<MessageId>,
    requests: BTreeSet<u64>,
    confirmed: bool,
    info: bool,
    connected: bool,
}

impl Printer {
    pub(crate) fn new(receipts: bool) -> Self {
        Printer {
            receipts,
            messages: 0,
            last: None,
            requests: BTreeSet::new(),
            confirmed: false,
            info: false,
            connected: false,
        }
    }

    /// How many messages were printed.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) async fn take(&mut self, event: Event, running: &mut Running<'_>) -> Result<(), Error> {
        match event {
            Event::Message(message) => self.message(message, running).await,
            Event::Receipts { id, receipts } => self.receipts(id, receipts, running).await,
            Event::Confirmed { info } => self.confirmed(info, running).await,
            Event::Requested(request) if self.requests.insert(request.id) => {
                running.context().emit(&Request::from(request))
            }
            Event::Info(info) if !std::mem::replace(&mut self.info, true) => {
                running.context().emit(&PeerInfo { info: info.into() })
            }
            Event::Connected { post_quantum } if !std::mem::replace(&mut self.connected, true) => {
                running.context().emit(&Connected { post_quantum })?;
                running.heard().await
            }
            Event::Requested(_) | Event::Info(_) | Event::Connected { .. } => Ok(()),
            event => running.refuse_failure(event),
        }
    }

    async fn message(&mut self, message: ReceivedMessage, running: &mut Running<'_>) -> Result<(), Error> {
        if self.last.as_ref() == Some(&message.id) {
            return Ok(());
        }
        let id = message.id.clone();
        running.context().emit(&Message::from(message))?;
        self.messages = self.messages.saturating_add(1);
        self.acknowledge(id, self.receipts, running).await
    }

    async fn receipts(
        &mut self,
        id: MessageId,
        receipts: Vec<ReceiptEvent>,
        running: &mut Running<'_>,
    ) -> Result<(), Error> {
        if self.last.as_ref() == Some(&id) {
            return Ok(());
        }
        for receipt in receipts {
            running.context().emit(&Receipt::from(receipt))?;
        }
        self.acknowledge(id, false, running).await
    }

    async fn acknowledge(&mut self, id: MessageId, receipt: bool, running: &mut Running<'_>) -> Result<(), Error> {
        self.last = Some(id.clone());
        running.step("acknowledge", move |connection, env| acknowledge(connection, &id, receipt, env)).await
    }

    /// Somebody used our invitation; or it is the owner of the address that we have asked ourselves.
    async fn confirmed(&mut self, info: Vec<u8>, running: &mut Running<'_>) -> Result<(), Error> {
        if std::mem::replace(&mut self.confirmed, true) {
            return Ok(());
        }
        if running.document()?.role == Role::Joiner {
            running.context().emit(&PeerInfo { info: info.into() })?;
            return running.allow_asked().await;
        }
        running.context().emit(&Confirmed { info: info.into() })
    }
}

/// A receipt needs a connection that stands, and a peer that knows receipts.
fn acknowledge(connection: &mut Connection, id: &MessageId, receipt: bool, env: &mut Env<'_>) -> Result<(), Error> {
    if receipt && connection.acknowledge(id, Some(Vec::new()), env).is_ok() {
        return Ok(());
    }
    connection.acknowledge(id, None, env).map_err(step_error)
}
