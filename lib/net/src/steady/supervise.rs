//! The task of a steady client: connect, serve, wait, and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::dh::X25519PrivateKey;
use crypto::{Random, random};
use smp::address::ServerAddress;
use smp::command::Command;
use smp::id::RecipientId;
use smp::response::Response;
use tokio::sync::watch;

use super::backoff::Delays;
use super::wishes::Wishes;
use super::{Outlet, Status, SteadyEvent, SteadyOptions, Subscribed};
use crate::client::{Client, ClientError, End, Event, Events, PendingResponse, Request, Violation};
use crate::handshake::{ConnectError, connect};
use crate::shared_random::SharedRandom;
use crate::tls::Connector;

/// As many subscriptions as surely fit a block.
const BATCH: usize = 128;

pub(super) struct Supervisor {
    address: ServerAddress,
    connector: Connector,
    options: SteadyOptions,
    random: SharedRandom,
    wishes: Arc<Wishes>,
    status: watch::Sender<Status>,
    outlet: Outlet,
}

impl Supervisor {
    pub(super) fn new(
        address: ServerAddress,
        connector: Connector,
        options: SteadyOptions,
        random: Box<dyn Random + Send>,
        wishes: Arc<Wishes>,
        status: watch::Sender<Status>,
        outlet: Outlet,
    ) -> Self {
        let random = SharedRandom::new(random);
        Supervisor { address, connector, options, random, wishes, status, outlet }
    }

    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.keep_connected() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        let last = self.status.send_replace(Status::Closed);
        if let Status::Connected(client) = last {
            client.close().await;
        }
    }

    async fn keep_connected(&self) {
        let mut delays = Delays::new(self.options.backoff);
        loop {
            let lasted = match self.connect().await {
                Ok((client, events)) => self.serve(client, events).await,
                Err(error) => {
                    let error = Arc::new(error);
                    self.status.send_replace(Status::Failing(error.clone()));
                    self.tell(SteadyEvent::ConnectFailed(error)).await;
                    Duration::ZERO
                }
            };
            let delay = delays.after(lasted, &mut self.random.clone());
            tokio::time::sleep(delay).await;
        }
    }

    async fn connect(&self) -> Result<(Client, Events), ConnectError> {
        let client_key = X25519PrivateKey::from_bytes(random::array(&mut self.random.clone()));
        let connection = connect(&self.address, &self.connector, self.options.connect, client_key).await?;
        Ok(Client::start(connection, self.options.client, Box::new(self.random.clone())))
    }

    /// Serves one connection until it ends; returns how long that was.
    async fn serve(&self, client: Client, events: Events) -> Duration {
        let start = Instant::now();
        self.wishes.start_over();
        self.status.send_replace(Status::Connected(client.clone()));
        self.tell(SteadyEvent::Connected { version: client.version() }).await;
        tokio::select! {
            () = self.forward(events) => {}
            () = self.subscribe(&client) => {}
        }
        self.status.send_replace(Status::Connecting);
        self.tell(SteadyEvent::Disconnected(client.end().unwrap_or(End::Closed))).await;
        start.elapsed()
    }

    async fn forward(&self, mut events: Events) {
        while let Some(event) = events.next().await {
            if let Event { entity_id, response: Ok(Response::End | Response::Deld) } = &event {
                self.wishes.remove(&RecipientId::from(entity_id.clone()));
            }
            self.tell(SteadyEvent::Event(event)).await;
        }
    }

    /// Subscribes to whatever is due, a block at a time.
    async fn subscribe(&self, client: &Client) {
        loop {
            let mut under_way = Vec::new();
            for (queue, key) in self.wishes.take(BATCH).await {
                let request = Request::new(Command::Sub).about(queue.clone()).authorized_by(&key);
                under_way.push((queue, client.submit(request).await));
            }
            for (queue, pending) in under_way {
                let sent = pending.as_ref().map_or(0, PendingResponse::sent);
                let outcome = self.answered(&queue, pending).await;
                self.conclude(queue, sent, outcome).await;
            }
        }
    }

    async fn answered(
        &self,
        queue: &RecipientId,
        pending: Result<PendingResponse, ClientError>,
    ) -> Result<Response, ClientError> {
        let limit = self.options.client.command_timeout;
        let response = tokio::time::timeout(limit, pending?.response()).await;
        match response.unwrap_or(Err(ClientError::TimedOut(limit)))? {
            response @ (Response::Ok | Response::Sok(_)) => Ok(response),
            Response::Msg(id, body) => {
                let message = Ok(Response::Msg(id.clone(), body));
                self.tell(SteadyEvent::Event(Event { entity_id: queue.clone().into(), response: message })).await;
                Ok(Response::Msg(id, Vec::new()))
            }
            _ => Err(Violation::Unexpected("SUB").into()),
        }
    }

    async fn conclude(&self, queue: RecipientId, sent: usize, outcome: Result<Response, ClientError>) {
        match &outcome {
            Ok(_) => {}
            // The next connection begins anew.
            Err(ClientError::NotSent | ClientError::OutcomeUnknown) => return,
            Err(ClientError::TimedOut(_)) => return self.wishes.postpone(queue),
            Err(_) => self.wishes.remove(&queue),
        }
        self.tell(SteadyEvent::Subscribed(Subscribed { queue, outcome, sent })).await;
    }

    /// Whoever dropped the events does not want to know.
    async fn tell(&self, event: SteadyEvent) {
        let _ = self.outlet.channel.send((self.outlet.number, event)).await;
    }
}
