//! Counters: aggregates only, nothing about a single group or owner.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use group::relay::members::MemberEvent;
use group::relay::{Event, Outcome, TaskId};

use crate::http::Page;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the relay counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    invitations: Counter,
    dismissed: Counter,
    tests: Counter,
    pub(crate) joins: Counter,
    pub(crate) refused_joins: Counter,
    connected: Counter,
    member_messages: Counter,
    refused_messages: Counter,
    pub(crate) deliveries: Counter,
    checks: Counter,
    forwarded: Counter,
    tasks: Counter,
    unreachable: Counter,
    failed: Counter,
    broken: AtomicBool,
}

impl Metrics {
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Invited(_) => self.invitations.add(1),
            Event::Dismissed(_) => self.dismissed.add(1),
            Event::OwnerDismissed { .. } => self.refused_joins.add(1),
            Event::Tested => self.tests.add(1),
            Event::ToForward { .. } => self.forwarded.add(1),
            Event::StatusChanged { .. }
            | Event::OwnerConnected { .. }
            | Event::OwnerLost { .. }
            | Event::RosterChanged(_)
            | Event::Admission { .. }
            | Event::UnknownConnection(_) => {}
        }
    }

    pub(crate) fn task(&self, task: &TaskId) {
        self.tasks.add(1);
        if matches!(task, TaskId::CheckLink(_)) {
            self.checks.add(1);
        }
    }

    pub(crate) fn member(&self, event: &MemberEvent) {
        match event {
            MemberEvent::Connected(_) => self.connected.add(1),
            MemberEvent::Dismissed(..) => self.refused_joins.add(1),
            MemberEvent::Forwarded => self.member_messages.add(1),
            MemberEvent::Refused(..) => self.refused_messages.add(1),
            MemberEvent::Admitted(_)
            | MemberEvent::Waiting(_)
            | MemberEvent::Parted(..)
            | MemberEvent::UnknownConnection(_) => {}
        }
    }

    pub(crate) fn outcome(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Unreachable => self.unreachable.add(1),
            Outcome::Failed(_) => self.failed.add(1),
            Outcome::Done | Outcome::LinkData(_) | Outcome::NoLink | Outcome::Verdict(_) => {}
        }
    }

    pub(crate) fn keeping(&self, works: bool) {
        self.broken.store(!works, Ordering::Relaxed);
    }

    /// Whether connections can be kept.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    /// Everything in the text format of Prometheus.
    pub(crate) fn render(&self, now: &Page) -> String {
        let mut page = String::new();
        let counters = [
            ("invitations_total", "Invitations, repeated ones not counted.", &self.invitations),
            ("dismissed_requests_total", "Requests that got no answer.", &self.dismissed),
            ("address_tests_total", "Tests of the address.", &self.tests),
            ("waiting_joins_total", "Requests of members that came.", &self.joins),
            ("refused_joins_total", "Requests of members that got no answer.", &self.refused_joins),
            ("connected_members_total", "Members that came.", &self.connected),
            ("forwarded_messages_total", "Messages that go to a group, its owners' among them.", &self.member_messages),
            ("refused_messages_total", "Messages that do not.", &self.refused_messages),
            ("deliveries_total", "Connections that took something of what was forwarded.", &self.deliveries),
            ("owner_messages_total", "Messages of owners for everybody in a group.", &self.forwarded),
            ("link_checks_total", "Looks at group links.", &self.checks),
            ("tasks_total", "Tasks that were begun.", &self.tasks),
            ("tasks_unreachable_total", "Tasks that are tried again.", &self.unreachable),
            ("tasks_failed_total", "Tasks that failed.", &self.failed),
        ];
        let _ = writeln!(page, "# HELP relay_services Services by status.\n# TYPE relay_services gauge");
        for (status, count) in &now.statuses {
            let _ = writeln!(page, "relay_services{{status=\"{status}\"}} {count}");
        }
        let _ = writeln!(page, "# HELP relay_keeping 1 while connections can be kept.\n# TYPE relay_keeping gauge");
        let _ = writeln!(page, "relay_keeping {}", u8::from(self.is_healthy()));
        let gauges = [
            ("tasks_under_way", "Tasks that are under way.", now.under_way),
            ("joins_waiting", "Requests of members that wait.", now.joins),
            (
                "members",
                "Members that are connected, owners among them.",
                usize::try_from(now.members()).unwrap_or(usize::MAX),
            ),
            ("lag", "Messages that are not with everybody yet.", usize::try_from(now.lag()).unwrap_or(usize::MAX)),
        ];
        for (name, help, count) in gauges {
            let _ = writeln!(page, "# HELP relay_{name} {help}\n# TYPE relay_{name} gauge\nrelay_{name} {count}");
        }
        for (name, help, counter) in counters {
            let _ = writeln!(page, "# HELP relay_{name} {help}\n# TYPE relay_{name} counter");
            let _ = writeln!(page, "relay_{name} {}", counter.get());
        }
        page
    }
}
