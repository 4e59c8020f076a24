//! The one timer of the agent's task.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use agent::time::Time;
use tokio::time::{Instant, Sleep, sleep};

use super::Clock;

pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// The time of the clock that was asked for last, and when that is.
    asked: Option<(Time, Instant)>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Alarm { sleep: Box::pin(sleep(Duration::ZERO)), asked: None }
    }

    /// When the clock will show `time`.
    pub(super) fn at(&mut self, time: Time, clock: &Clock) -> Instant {
        match self.asked.filter(|(asked, _)| *asked == time) {
            Some((_, instant)) => instant,
            None => {
                let instant = Instant::now() + time.since(clock());
                self.asked = Some((time, instant));
                instant
            }
        }
    }

    /// Whether it is time; sees to it that the task is woken then.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> bool {
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        match self.sleep.as_mut().poll(context) {
            Poll::Ready(()) => {
                // The clock may have been set meanwhile.
                self.asked = None;
                true
            }
            Poll::Pending => false,
        }
    }
}
