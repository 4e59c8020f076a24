//! Two owners of a group: the second one comes to the relay that the first one invited.

use std::time::Duration;

use group::membership;
use group::owner::{ActiveStage, Event, Removal, Status};
use group::profile::GroupProfile;

use crate::meeting::{Meeting, post};

const SECOND: usize = 1;

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Two owners, both connected with the relay.
fn together() -> Meeting {
    let mut meeting = Meeting::new();
    meeting.appoint();
    meeting.work();
    meeting
}

/// Nothing that an owner was told is a complaint.
fn assert_content(meeting: &Meeting) {
    for seat in &meeting.seats {
        for event in &seat.events {
            let fine = match event {
                Event::Dropped { .. } | Event::Problem { .. } | Event::NotAdopted { .. } => false,
                Event::Group(event) => !matches!(
                    event.as_ref(),
                    membership::Event::Refused { .. }
                        | membership::Event::Different { .. }
                        | membership::Event::Missing { .. }
                        | membership::Event::OtherKey { .. }
                ),
                _ => true,
            };
            assert!(fine, "{event:?}");
        }
    }
}

#[test]
fn a_further_owner_comes_to_a_relay_that_it_did_not_invite() {
    let meeting = together();
    let [first, second] = [0, SECOND].map(|seat| &meeting.seats[seat].owner);
    let record = &second.relays()[0];
    assert_eq!((record.status(), record.active_stage()), (Status::Active, Some(ActiveStage::Confirmed)));
    assert!(record.is_adopted() && !first.relays()[0].is_adopted());
    assert_eq!(record.id(), first.relays()[0].id());
    assert_eq!(meeting.listed().len(), 1);
    let statuses = record.history().iter().map(|change| change.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [Status::New, Status::Invited, Status::Accepted, Status::Active]);
    assert_content(&meeting);
}

#[test]
fn what_one_owner_posts_the_other_hears_and_so_does_a_member() {
    let mut meeting = together();
    meeting.join();
    for (seat, text) in [(0, "one"), (SECOND, "two"), (0, "three"), (SECOND, "four")] {
        meeting.say(seat, &post(text, seat == 0));
        meeting.restart(0);
        meeting.restart(SECOND);
    }
    let [first, second] = [0, SECOND].map(|seat| meeting.seats[seat].id());
    let by = |id: &group::identity::MemberId, text: &str| (Some(id.clone()), text.to_owned());
    assert_eq!(meeting.seats[0].heard(), [by(&second, "two"), by(&second, "four")]);
    assert_eq!(meeting.seats[SECOND].heard(), [by(&first, "one"), by(&first, "three")]);
    let all = [by(&first, "one"), by(&second, "two"), by(&first, "three"), by(&second, "four")];
    assert_eq!(meeting.member_heard(), all);
    assert_eq!((meeting.seats[0].owner.present(), meeting.seats[SECOND].owner.present()), (1, 1));
    assert_content(&meeting);
}

#[test]
fn an_owner_that_hears_of_another_profile_looks_into_the_group_link() {
    let mut meeting = together();
    let contents = meeting.seats[SECOND].owner.link().group().contents().clone();
    let profile = GroupProfile { full_name: "Walks of both".to_owned(), ..contents.profile };
    let count = contents.member_count;
    meeting.with(SECOND, |owner, env| owner.set_contents(profile, count, env).map(|()| Vec::new()));
    meeting.pass(minutes(1));
    assert_eq!(meeting.seats[0].owner.link().group().contents().profile.full_name, "Walks of both");
    assert_content(&meeting);
}

#[test]
fn a_further_owner_removes_a_relay_and_the_first_one_learns_it() {
    let mut meeting = together();
    let id = meeting.seats[0].owner.relays()[0].id().clone();
    meeting.with(SECOND, |owner, env| owner.remove(&id, Removal { last: true, unnotified: false }, env));
    meeting.pass(minutes(1));
    assert!(meeting.listed().is_empty());
    assert_eq!(meeting.seats[SECOND].owner.relays()[0].status(), Status::Inactive);
    assert!(!meeting.relay.services().next().unwrap().status().is_current());
    // The first owner finds out when it looks at the link, which it does before it changes anything there.
    let contents = meeting.seats[0].owner.link().group().contents().clone();
    meeting.with(0, |owner, env| owner.set_contents(contents.profile, 7, env).map(|()| Vec::new()));
    meeting.pass(minutes(1));
    assert_eq!(meeting.seats[0].owner.relays()[0].status(), Status::Inactive);
    assert!(meeting.listed().is_empty());
}

#[test]
fn a_relay_that_a_further_owner_loses_stays_in_the_link_and_is_asked_again() {
    let mut meeting = together();
    let record = &meeting.seats[SECOND].owner.relays()[0];
    let (id, connection) = (record.id().clone(), record.connection());
    meeting.with(SECOND, |owner, env| owner.connection_failed(&connection, "the queue is gone", env));
    assert_eq!(meeting.seats[SECOND].owner.relays()[0].status(), Status::New);
    meeting.restart(SECOND);
    assert_eq!(meeting.listed().len(), 1);
    meeting.pass(minutes(1));
    let record = meeting.seats[SECOND].owner.relay(&id).unwrap();
    assert_eq!(record.status(), Status::Active);
    assert_ne!(record.connection(), connection);
    assert_eq!(meeting.listed().len(), 1);
    meeting.say(0, &post("still there?", true));
    assert_eq!(meeting.seats[SECOND].heard().len(), 1);
}

#[test]
fn a_run_that_is_cut_off_at_any_step_of_coming_to_a_relay_goes_on() {
    for steps in 0..6 {
        let mut meeting = Meeting::new();
        meeting.appoint();
        for _ in 0..steps {
            meeting.step();
        }
        meeting.restart(SECOND);
        meeting.work();
        assert_eq!(meeting.seats[SECOND].owner.relays().len(), 1, "after {steps} steps");
        assert_eq!(meeting.seats[SECOND].owner.relays()[0].status(), Status::Active, "after {steps} steps");
    }
}
