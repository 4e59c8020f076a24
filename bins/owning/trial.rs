//! Tests of relay addresses: whoever answers must hold the key of its address.

use agent::connection::{JoinLink, QueuePlan};
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use cli::{Code, Error, Step};
use group::owner::{AddressTest, ConnectionName, Outcome, Task, TestFault, TestTask};
use smp::address::ServerWithPassword;

use super::report::OWNER;
use super::work::{Job, Work};
use crate::held::id;

/// The tests of a run.
#[derive(Default)]
pub(super) struct Trials(Vec<Trial>);

struct Trial {
    test: AddressTest,
    /// Whether its address is being read.
    reading: bool,
}

impl Trials {
    /// When the first of them runs out of time.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.0.iter().filter_map(|trial| trial.test.deadline()).min()
    }

    pub(super) fn check_time(&mut self, now: Time) {
        self.0.iter_mut().for_each(|trial| trial.test.check_time(now));
    }

    /// Takes what was read for a test.
    pub(super) fn read(&mut self, number: usize, outcome: Outcome, now: Time) {
        if let Some(trial) = self.0.get_mut(number) {
            trial.test.finish(TestTask::ReadAddress, outcome, now);
            trial.reading = false;
        }
    }

    /// Takes an answer, if it is to a test.
    pub(super) fn answered(&mut self, name: &ConnectionName, info: &[u8], now: Time) -> bool {
        let trial = self.of(name);
        trial.map(|test| test.answered(info, now)).is_some()
    }

    /// Takes a failure, if it is of a test.
    pub(super) fn failed(&mut self, name: &ConnectionName, reason: &str) -> bool {
        self.of(name).map(|test| test.connection_failed(reason)).is_some()
    }

    fn of(&mut self, name: &ConnectionName) -> Option<&mut AddressTest> {
        self.0.iter_mut().map(|trial| &mut trial.test).find(|test| test.connection() == name)
    }

    fn are_over(&self) -> bool {
        self.0.iter().all(|trial| trial.test.is_over())
    }
}

impl Work<'_> {
    /// Tests relay addresses, all at once. Our queues for it are at `server`.
    pub async fn test(&mut self, addresses: &[ContactShortLink], server: &ServerWithPassword) -> Result<(), Error> {
        for address in addresses {
            let now = self.now();
            let mut env = Env { now, random: self.random.as_mut() };
            let test = AddressTest::start(address.clone(), server.clone(), &mut env);
            let test = test.map_err(|fault| fault_error(address, &fault))?;
            self.trials.0.push(Trial { test, reading: false });
        }
        while !self.trials.are_over() {
            self.start_trials().await?;
            if !self.trials.are_over() && !self.next().await? {
                // Each test has its own time.
                self.be_patient();
            }
        }
        self.trial_results(addresses)
    }

    /// The first failure is the error; all are in the trace.
    fn trial_results(&mut self, addresses: &[ContactShortLink]) -> Result<(), Error> {
        let mut first = Ok(());
        for (trial, address) in std::mem::take(&mut self.trials.0).iter().zip(addresses) {
            let outcome = match trial.test.result() {
                Some(Err(fault)) => Err(fault_error(address, fault)),
                _ => Ok(()),
            };
            let name = outcome.as_ref().err().map_or("ok", |error| error.code().name());
            let to = &address.server.first_host().to_string();
            self.ctx.trace().step(Step { who: OWNER, to, name: "relay_test", outcome: name, ..Step::default() });
            first = first.and(outcome);
        }
        first
    }

    async fn start_trials(&mut self) -> Result<(), Error> {
        for number in 0..self.trials.0.len() {
            while let Some((due, task)) = self.due_of_trial(number)? {
                match task {
                    Task::ReadLink(link) => {
                        self.spawn_read(Job::Trial(number), link);
                        break;
                    }
                    Task::Open { connection, link, server, info } => {
                        let plan =
                            QueuePlan { server: server.address, password: server.password, sender_secures: true };
                        let outcome = self.open(&connection, JoinLink::Full(link), plan, info).await?;
                        self.finish_trial(number, due, outcome);
                    }
                    Task::Delete { connection, .. } => {
                        self.delete(id(&connection)?).await?;
                        self.finish_trial(number, due, Outcome::Done);
                    }
                    Task::Allow { .. }
                    | Task::Send { .. }
                    | Task::SetQueueKeys(_)
                    | Task::WriteLink(_)
                    | Task::DeleteLink(_) => {
                        return Err(Error::bug("no task of a test"));
                    }
                }
            }
        }
        Ok(())
    }

    fn due_of_trial(&mut self, number: usize) -> Result<Option<(TestTask, Task)>, Error> {
        let Some(trial) = self.trials.0.get_mut(number).filter(|trial| !trial.reading) else { return Ok(None) };
        let Some(due) = trial.test.due() else { return Ok(None) };
        trial.reading = due == TestTask::ReadAddress;
        let task = trial.test.task().map_err(Error::bug)?;
        Ok(task.map(|task| (due, task)))
    }

    fn finish_trial(&mut self, number: usize, task: TestTask, outcome: Outcome) {
        let now = self.now();
        if let Some(trial) = self.trials.0.get_mut(number) {
            trial.test.finish(task, outcome, now);
        }
    }
}

fn fault_error(address: &ContactShortLink, fault: &TestFault) -> Error {
    let code = match fault {
        TestFault::Signature | TestFault::OtherChallenge => Code::SignatureInvalid,
        TestFault::TimedOut => Code::TimedOut,
        TestFault::Failed(_) => Code::RelayUnreachable,
        TestFault::Address(_) => Code::CheckFailed,
        TestFault::Info(_) | TestFault::OtherAnswer(_) => Code::PeerProtocol,
        TestFault::TooLong(_) => Code::Bug,
    };
    Error::new(code, fault).at(address.server.first_host())
}
