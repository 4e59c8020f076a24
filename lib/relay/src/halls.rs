//! Groups at work: what is to be sent next in each of them, one thing at a time, in many groups at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent::connection::{Connection, ConnectionError, QueuePlan};
use agent::time::{Env, Time};
use group::relay::ServiceId;
use group::relay::members::{Answer, AnswerOutcome, DispatchKind, GroupView, Work, next_dispatch};
use group::relay::{ConnectionName, RelaySettings};
use net::agent::{AgentError, ChangeError};
use tokio::task::JoinSet;

use crate::effects::{Effects, connection_id};
use crate::keep::{Flight, Flights};
use crate::rows::SqlRows;
use crate::store::RelayStore;

/// Groups that are worked for at a time.
const TOGETHER: usize = 8;
/// How long a group rests whose work could not be done.
const REST: std::time::Duration = std::time::Duration::from_secs(5);

/// Which groups have work, and which are being worked for.
pub(crate) struct Halls {
    store: Arc<RelayStore>,
    flights: Flights,
    /// There may be something to do.
    active: BTreeSet<ServiceId>,
    busy: BTreeSet<ServiceId>,
    before: BTreeMap<ServiceId, DispatchKind>,
    /// When there will be.
    alarms: BTreeMap<ServiceId, Time>,
    running: JoinSet<(ServiceId, Worked)>,
}

/// What came of the work of one group.
#[derive(Debug)]
pub(crate) enum Worked {
    /// Something was done; perhaps there is more. How many connections took something.
    Done(DispatchKind, u64),
    /// There was nothing; when there will be something that is known already.
    Nothing(Option<Time>),
    /// It could not be done.
    Failed(String),
}

impl Halls {
    pub(crate) fn new(store: Arc<RelayStore>, flights: Flights, active: BTreeSet<ServiceId>) -> Self {
        Halls {
            store,
            flights,
            active,
            busy: BTreeSet::new(),
            before: BTreeMap::new(),
            alarms: BTreeMap::new(),
            running: JoinSet::new(),
        }
    }

    /// Something happened in a group.
    pub(crate) fn wake(&mut self, service: ServiceId) {
        self.active.insert(service);
    }

    /// When the next group is to be looked at, if nothing happens before.
    pub(crate) fn next(&self) -> Option<Time> {
        self.alarms.values().min().copied()
    }

    /// Begins to work for groups that have work, as far as there is room.
    pub(crate) fn start(
        &mut self,
        effects: &Effects,
        settings: &RelaySettings,
        now: Time,
        mut view: impl FnMut(ServiceId) -> Option<Arc<GroupView>>,
    ) {
        self.active.extend(self.alarms.iter().filter(|(_, at)| **at <= now).map(|(service, _)| *service));
        self.alarms.retain(|_, at| *at > now);
        while self.running.len() < TOGETHER {
            let Some(service) = self.active.iter().find(|service| !self.busy.contains(service)).copied() else {
                return;
            };
            self.active.remove(&service);
            self.busy.insert(service);
            let hall = Hall {
                service,
                view: view(service),
                store: self.store.clone(),
                flights: self.flights.clone(),
                effects: effects.clone(),
                settings: settings.clone(),
                now,
            };
            let before = self.before.get(&service).copied();
            self.running.spawn(async move { (service, hall.work(before).await) });
        }
    }

    /// The next group that was worked for; never, while there is none.
    pub(crate) async fn worked(&mut self) -> Option<(ServiceId, Worked)> {
        loop {
            match self.running.join_next().await {
                Some(Ok(worked)) => return Some(worked),
                Some(Err(_)) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// Waits for what is under way.
    pub(crate) async fn drain(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    /// Takes what came of it; how many connections took something.
    pub(crate) fn take(&mut self, service: ServiceId, worked: Worked, now: Time) -> u64 {
        self.busy.remove(&service);
        match worked {
            Worked::Done(kind, taken) => {
                self.before.insert(service, kind);
                self.active.insert(service);
                taken
            }
            Worked::Nothing(next) => {
                self.before.remove(&service);
                self.alarms.extend(next.map(|next| (service, next)));
                0
            }
            Worked::Failed(error) => {
                tracing::warn!(service = service.0, %error, "nothing can be sent to members");
                self.alarms.insert(service, now.after(REST));
                0
            }
        }
    }
}

/// One thing to do for one group.
struct Hall {
    service: ServiceId,
    view: Option<Arc<GroupView>>,
    store: Arc<RelayStore>,
    flights: Flights,
    effects: Effects,
    settings: RelaySettings,
    now: Time,
}

impl Hall {
    async fn work(mut self, before: Option<DispatchKind>) -> Worked {
        let (work, next) = match self.look(before).await {
            Ok(found) => found,
            Err(error) => return Worked::Failed(error.to_string()),
        };
        let Some(Work { answers, dispatch }) = work else { return Worked::Nothing(next) };
        let kind = dispatch.kind;
        if let Err(error) = self.answer_all(answers).await {
            return Worked::Failed(error.to_string());
        }
        match self.send(Arc::new(Flight::new(dispatch, self.now))).await {
            Ok(taken) => Worked::Done(kind, taken),
            Err(error) => Worked::Failed(error),
        }
    }

    async fn look(&self, before: Option<DispatchKind>) -> Result<(Option<Work>, Option<Time>), store::Error> {
        let (service, view, now) = (self.service, self.view.clone(), self.now);
        let look = move |db: &store::rusqlite::Connection| {
            let rows = SqlRows::of(db, service);
            let work = next_dispatch(service, view.as_deref(), &rows, now, before)?;
            Ok((work, rows.next_due()?))
        };
        self.store.read(look).await
    }

    async fn answer_all(&mut self, answers: Vec<Answer>) -> Result<(), store::Error> {
        for answer in answers {
            let outcome = self.answer(&answer).await;
            let (service, now) = (self.service, self.now);
            self.store.write(move |tx| answer.settle(outcome, &mut SqlRows::of(tx, service), now)).await?;
        }
        Ok(())
    }

    /// A request that is gone was answered before, and then there is the connection.
    async fn answer(&mut self, answer: &Answer) -> AnswerOutcome {
        let server = self.settings.draw_server(&mut self.effects.random).clone();
        let plan = QueuePlan { server: server.address, password: server.password, sender_secures: true };
        let (id, link) = (connection_id(&answer.connection), connection_id(&ConnectionName::Link(self.service)));
        let (request, info) = (answer.request, answer.info.clone());
        let accept = move |link: &mut Connection, env: &mut Env<'_>| link.accept(request, plan, info, env);
        match self.effects.agent.open_from(id, link, accept).await {
            Ok(()) | Err(ChangeError::Agent(AgentError::Exists(_))) => AnswerOutcome::Done,
            Err(ChangeError::Agent(_)) => AnswerOutcome::Later,
            Err(ChangeError::Refused(_)) => AnswerOutcome::Failed,
        }
    }

    /// Hands everything over in one step of the agent, which keeps it together with what follows.
    async fn send(&self, flight: Arc<Flight>) -> Result<u64, String> {
        let steps = flight.handovers().iter().enumerate().map(|(place, handover)| {
            let (flight, flights) = (flight.clone(), self.flights.clone());
            let step = move |connection: &mut Connection, env: &mut Env<'_>| {
                flights.board(&flight);
                flight.hand_over(place, connection, env);
                Ok::<_, ConnectionError>(())
            };
            (connection_id(&handover.connection), step)
        });
        let steps: Vec<_> = steps.collect();
        let boarded = !steps.is_empty();
        if boarded {
            self.effects.agent.change_many(steps).await.map_err(|error| error.to_string())?;
        }
        // Where no connection was there, or none took anything, nothing was kept, and so nothing was settled.
        let taken = flight.taken();
        if self.flights.leave(&flight) || !boarded || taken == 0 {
            let settled = flight.clone();
            self.store.write(move |tx| settled.settle(tx)).await.map_err(|error| error.to_string())?;
        }
        Ok(taken)
    }
}
