//! Groups at work: what is to be sent next in each of them, one thing at a time, in many groups at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use agent::connection::{Connection, ConnectionError, QueuePlan};
use agent::time::{Env, Time};
use group::relay::ServiceId;
use group::relay::members::{
    Answer, AnswerOutcome, DispatchKind, GroupView, MemberEvent, Work, next_dispatch, questions,
};
use group::relay::{ConnectionName, Outcome, RelaySettings, Verdict};
use net::agent::{AgentError, ChangeError};
use tokio::task::JoinSet;

use crate::effects::{Effects, connection_id};
use crate::keep::{Flight, Flights};
use crate::members::{MemberInput, MemberStep};
use crate::observe::Observed;
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
    /// The group that was looked at last: all have their turn.
    last: ServiceId,
}

/// What members' rows told.
pub(crate) type Told = Vec<(ServiceId, Vec<MemberEvent>)>;

/// What came of the work of one group.
#[derive(Debug)]
pub(crate) enum Worked {
    /// Something was done; perhaps there is more. How many connections took something.
    Done(DispatchKind, u64),
    /// The operator's program decided about somebody who wants to join; what members' rows told then.
    Decided(Told),
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
            last: ServiceId(0),
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
            let Some(service) = self.next_active() else { return };
            self.last = service;
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

    fn next_active(&self) -> Option<ServiceId> {
        let later = self.active.range((Bound::Excluded(self.last), Bound::Unbounded));
        let mut waiting = later.chain(self.active.range(..=self.last));
        waiting.find(|service| !self.busy.contains(service)).copied()
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

    /// Takes what came of it; how many connections took something, and what members' rows told.
    pub(crate) fn take(&mut self, service: ServiceId, worked: Worked, now: Time) -> (u64, Told) {
        self.busy.remove(&service);
        match worked {
            Worked::Done(kind, taken) => {
                self.before.insert(service, kind);
                self.active.insert(service);
                (taken, Told::new())
            }
            Worked::Decided(told) => {
                self.active.insert(service);
                (0, told)
            }
            Worked::Nothing(next) => {
                self.before.remove(&service);
                self.alarms.extend(next.map(|next| (service, next)));
                (0, Told::new())
            }
            Worked::Failed(error) => {
                tracing::warn!(service = service.0, %error, "nothing can be sent to members");
                self.alarms.insert(service, now.after(REST));
                (0, Told::new())
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
        let Some(Work { answers, dispatch }) = work else { return self.ask(next).await };
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

    /// Asks the operator's program about one of those who want to join.
    async fn ask(&self, next: Option<Time>) -> Worked {
        let (Some(view), Some(policy)) = (&self.view, &self.effects.policy) else { return Worked::Nothing(next) };
        if !view.asks() {
            return Worked::Nothing(next);
        }
        let (service, of) = (self.service, view.clone());
        let asked = self.store.read(move |db| questions(&of, &SqlRows::of(db, service), 1)).await;
        let question = match asked.as_deref() {
            Ok([question, ..]) => question,
            Ok([]) => return Worked::Nothing(next),
            Err(error) => return Worked::Failed(error.to_string()),
        };
        let Outcome::Verdict(verdict) = policy.ask_about_member(question).await else {
            return Worked::Failed("nobody decides about somebody who wants to join".to_owned());
        };
        let input = MemberInput::Decided { request: question.request, admitted: verdict == Verdict::Accept };
        let step = MemberStep { service, view: Some(view.clone()), input };
        match self.store.commit_steps(Vec::new(), vec![step], self.now, self.effects.random.clone()).await {
            Ok(told) => Worked::Decided(told),
            Err(error) => Worked::Failed(error.to_string()),
        }
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
        self.effects.observer.show(&Observed::Says(answer.connection, &answer.info));
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
        for handover in flight.handovers() {
            let say = |body: &Vec<u8>| self.effects.observer.show(&Observed::Says(handover.connection, body));
            handover.bodies.iter().for_each(say);
        }
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
