//! Owners, relays and hosts that break a rule: the judgement must find them out, and nobody else.

use std::sync::Mutex;

use world::Discipline;
use world::runs;

use crate::lies::Lie;
use crate::owner::Bent;
use crate::schedules::Schedule;
use crate::stage::{Plan, calm_plan};

/// How many schedules are tried to find out that something is broken.
const SAMPLE: u64 = 6;

/// What is found in a calm schedule.
fn found(alter: impl FnOnce(&mut Plan)) -> Option<String> {
    let mut plan = calm_plan();
    alter(&mut plan);
    let mut schedule = Schedule::of(1, plan);
    schedule.play();
    schedule.stage.world.violation().map(str::to_owned)
}

/// What is found in random schedules in which hosts crash.
fn found_in_some(alter: impl Fn(&mut Plan) + Sync, break_rule: impl Fn(&mut Schedule) + Sync) -> Vec<String> {
    let seeds: Vec<u64> = (1..=SAMPLE).collect();
    let found = Mutex::new(Vec::new());
    runs::failures(&seeds, |seed| {
        let mut schedule = Schedule::altered(seed, &alter);
        break_rule(&mut schedule);
        schedule.play();
        found.lock().unwrap().extend(schedule.stage.world.violation().map(str::to_owned));
        Ok(())
    });
    found.into_inner().unwrap()
}

#[test]
fn chat_29_an_owner_that_does_not_check_relay_links_is_found_out() {
    for lie in [Lie::OtherGroupInData, Lie::OtherSignature, Lie::NotDirect, Lie::NoProfile] {
        assert_eq!(found(|plan| plan.relays[1].lie = lie), None, "{lie:?}");
        let violation = found(|plan| (plan.relays[1].lie, plan.bent) = (lie, Bent::TrustsLinks));
        assert!(violation.as_ref().is_some_and(|what| what.contains("is listed although")), "{lie:?}: {violation:?}");
    }
}

#[test]
fn chat_31_an_owner_that_waits_for_no_roster_is_found_out() {
    let slow = |plan: &mut Plan| plan.relays[1].pace = 5_000..=5_000;
    assert_eq!(found(slow), None);
    let violation = found(|plan| {
        slow(plan);
        plan.bent = Bent::TrustsRosters;
    });
    assert!(violation.as_ref().is_some_and(|what| what.contains("has no roster")), "{violation:?}");
}

#[test]
fn hosts_that_act_before_they_commit_are_found_out() {
    let crash = |plan: &mut Plan| plan.chaos.crash_before_commit = 100;
    assert_eq!(found_in_some(crash, |_| {}), Vec::<String>::new());
    let found = found_in_some(crash, |schedule| {
        for host in schedule.stage.relays.clone().into_iter().chain([schedule.stage.owner]) {
            schedule.stage.world.set_discipline(host, Discipline::ActsBeforeCommit);
        }
    });
    assert!(found.iter().any(|violation| violation.contains("two plaintexts with one message key")), "{found:#?}");
}

#[test]
fn chat_35_a_relay_whose_state_is_durable_too_late_is_found_out() {
    let crash = |plan: &mut Plan| plan.chaos.crash_after_commit = 100;
    assert_eq!(found_in_some(crash, |_| {}), Vec::<String>::new());
    let late = |plan: &mut Plan| {
        crash(plan);
        plan.relays.iter_mut().for_each(|relay| relay.keeps_late = 4);
    };
    let found = found_in_some(late, |_| {});
    assert!(found.iter().any(|violation| violation.contains("has two links")), "{found:#?}");
}
