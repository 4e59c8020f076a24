//! What relays can do is seen, and what they cannot do does not happen: each line of the threat model by itself.
//!
//! One relay does one thing here, and the two others are honest. That nothing else follows from it, the judgement of
//! [`crate::checks`] says; that it was done at all, and found out, is what these tests count.

use std::time::Duration;

use world::trace::START;
use world::world::Tally;

use crate::lies::Vice;
use crate::plan::{Act, Deed, FIRST, Plan};
use crate::schedules::play;

/// How many schedules each vice is played in.
const SCHEDULES: u64 = 5;
/// So long a relay is left alone, for all members to find out what it does.
const LONG: Duration = Duration::from_secs(2 * 3_600);
/// Enough members to have two halves.
const MEMBERS: usize = 6;

/// Plays schedules in which the first relay has these vices and nothing breaks, and adds up what was counted.
fn count(vices: &[Vice]) -> Tally {
    let mut total = Tally::new();
    for seed in 1..=SCHEDULES {
        let stage = play(seed, |plan| calm(plan, vices));
        assert_eq!(stage.violation(), None, "seed {seed}\n{}", stage.trace());
        for (what, count) in &stage.tally {
            *total.entry(what).or_default() += count;
        }
    }
    total
}

fn calm(plan: &mut Plan, vices: &[Vice]) {
    (plan.crashes, plan.failures, plan.quota, plan.history) = (0, 0, 1_000, true);
    plan.members.truncate(MEMBERS);
    let members = plan.members.len();
    plan.acts.retain(|(_, act)| match act {
        Act::Owner(_, Deed::Appoint(member, _) | Deed::Expel(member) | Deed::Block(member, _)) => *member < members,
        Act::Owner(_, Deed::Remove { .. }) => false,
        Act::Owner(_, Deed::Invite(relay)) => *relay < FIRST,
        Act::Owner(..) => true,
        Act::Member(member, _) => *member < members,
        Act::Cut(..) | Act::Pause(_) | Act::Link(_) | Act::Mischief(_) => false,
    });
    plan.relays.iter_mut().for_each(|relay| relay.vices.clear());
    plan.relays[0].vices = vices.to_vec();
    let minute = |minute: u64| START.after(Duration::from_secs(60 * minute));
    plan.acts.extend((4..10).map(|number| (minute(number), Act::Mischief(0))));
    for deed in [Deed::Remove { relay: 0, unnotified: false }, Deed::Invite(FIRST)] {
        plan.acts.push((plan.restored_at.after(LONG), Act::Owner(0, deed)));
    }
    plan.acts.sort_by_key(|(at, _)| *at);
}

fn assert_counted(total: &Tally, what: &[&str]) {
    for what in what {
        assert!(total.contains_key(what), "there are no {what}: {total:#?}");
    }
}

#[test]
fn t1_what_a_relay_makes_up_is_shown_without_signature_and_the_others_do_not_confirm_it() {
    assert_counted(&count(&[Vice::ForgeOwner]), &["misdeeds that were seen", "messages that relays did not bring"]);
}

#[test]
fn t2_whoever_drops_messages_is_named_with_each_of_them() {
    assert_counted(&count(&[Vice::Drop]), &["misdeeds that were seen", "messages that relays did not bring"]);
}

#[test]
fn t2_what_all_relays_withhold_is_found_by_the_owners_mark() {
    let mut found = 0;
    for seed in 1..=SCHEDULES {
        let stage = play(seed, |plan| {
            calm(plan, &[]);
            plan.relays.iter_mut().take(FIRST).for_each(|relay| relay.vices = vec![Vice::Conspire]);
            let stays = |act: &Act| !matches!(act, Act::Owner(_, Deed::Remove { .. } | Deed::Invite(FIRST..)));
            plan.acts.retain(|(_, act)| stays(act));
        });
        assert_eq!(stage.violation(), None, "seed {seed}\n{}", stage.trace());
        found += stage.tally.get("posts that were found withheld").copied().unwrap_or_default();
    }
    assert!(found > 0, "nobody found anything");
}

#[test]
fn t3_whoever_drops_messages_for_some_is_named_by_those() {
    assert_counted(&count(&[Vice::DropForSome]), &["misdeeds that were seen", "messages that relays did not bring"]);
}

#[test]
fn t4_no_relay_leads_a_joiner_into_another_group() {
    assert_counted(&count(&[Vice::OtherGroup]), &["answers to joiners that were not so"]);
}

#[test]
fn t5_no_relay_gives_the_group_another_profile() {
    let total = count(&[Vice::OtherProfile, Vice::ForgeOwner]);
    assert_counted(&total, &["answers to joiners that were not so", "misdeeds that were seen"]);
}

#[test]
fn t6_what_was_signed_does_not_pass_for_anything_else_and_nobody_signs_for_an_owner() {
    assert_counted(&count(&[Vice::AlterSigned]), &["words of relays that were refused", "misdeeds that were seen"]);
    assert_counted(&count(&[Vice::Strip]), &["marks", "misdeeds that were seen"]);
    assert_counted(&count(&[Vice::Garbage]), &["misdeeds that were seen"]);
}

#[test]
fn t7_when_relays_disagree_all_of_them_are_marked_and_no_honest_one_is_refuted() {
    for vice in [Vice::AlterUnsigned, Vice::Split] {
        assert_counted(&count(&[vice]), &["marks", "misdeeds that were seen"]);
    }
}

#[test]
fn t8_a_relay_that_names_the_owner_behind_a_post_of_the_group_contradicts_the_others() {
    assert_counted(&count(&[Vice::Reveal]), &["marks", "misdeeds that were seen"]);
}

#[test]
fn t9_wrong_numbers_and_members_that_do_not_exist_change_nothing_else() {
    assert_counted(&count(&[Vice::WrongCount]), &["answers to joiners that were not so"]);
    assert_counted(&count(&[Vice::FakeMembers]), &["words of relays that were refused", "misdeeds that were seen"]);
}

#[test]
fn t10_an_old_roster_gives_way_to_the_newer_one_of_another_relay() {
    assert_counted(&count(&[Vice::OldRoster]), &["old rosters that joiners got"]);
}

#[test]
fn t11_a_shadow_gives_way_to_the_signed_message_whose_name_it_took() {
    assert_counted(&count(&[Vice::Shadow]), &["marks", "misdeeds that were seen"]);
}

#[test]
fn t12_a_wrong_key_makes_nobody_an_owner_and_does_not_outlive_an_owners_word() {
    assert_counted(&count(&[Vice::WrongKeys]), &["keys that nobody has"]);
}

#[test]
fn t15_nobody_speaks_in_the_name_of_a_member() {
    assert_counted(&count(&[Vice::ForgeMember]), &["words of relays that were refused", "misdeeds that were seen"]);
}

/// What is found when a relay does something, and the judgement takes it for honest.
fn found(vice: Vice) -> Vec<String> {
    let played = (1..=SCHEDULES).map(|seed| {
        play(seed, |plan| {
            calm(plan, &[vice]);
            plan.relays[0].disguised = true;
        })
    });
    played.filter_map(|stage| stage.violation().map(str::to_owned)).collect()
}

#[test]
fn the_judgement_finds_out_relays_that_are_taken_for_honest() {
    for (vice, what) in [
        (Vice::Drop, "from the honest relay"),
        (Vice::AlterSigned, "finds fault with the honest relay"),
        (Vice::Strip, "accuses an honest relay"),
        (Vice::Shadow, "accuses an honest relay"),
        (Vice::Reorder, "after what was said later"),
        (Vice::ForgeOwner, "finds fault with the honest relay"),
        (Vice::Garbage, "finds fault with the honest relay"),
    ] {
        let found = found(vice);
        assert!(found.iter().any(|violation| violation.contains(what)), "{vice:?}: {found:?}");
    }
}
