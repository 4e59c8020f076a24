//! What a relay learns of an owner: not which other groups are the owner's.

use std::collections::BTreeSet;

use crypto::SeededRandom;
use group::member::MemberProfile;
use group::owner::{GroupOwner, Persona, choose_server};
use group::profile::ProfileFault;

use crate::support::{Desk, Relay, created, server};

#[test]
fn chat_57_two_groups_at_one_relay_share_no_profile_id_key_or_queue() {
    let relay = Relay::new(1);
    let mut desks = [Desk::seeded(1), Desk::seeded(2)];
    let ids = desks.each_mut().map(|desk| desk.accept(relay));
    assert_ne!(ids[0], ids[1], "the relay is another member in each group");
    desks.iter_mut().for_each(Desk::run);
    let [one, other] = desks.each_ref().map(|desk| desk.invitations().remove(0));
    assert_ne!(one.from_member.member_id, other.from_member.member_id);
    assert_ne!(one.from_member_profile, other.from_member_profile);
    assert_ne!(one.group_link, other.group_link);
    let keys = desks.each_ref().map(|desk| desk.owner_identity().owner_key.public());
    assert_ne!(keys[0], keys[1]);
    assert_ne!(desks[0].connection(&ids[0]), desks[1].connection(&ids[1]));
    // Nothing that is unpredictable and stands in one invitation stands in the other.
    let words = |desk: &Desk| -> BTreeSet<String> {
        let json = serde_json::to_string(&desk.invitations()[0]).unwrap();
        json.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 8).map(str::to_owned).collect()
    };
    let known = BTreeSet::from(
        [
            "memberRole",
            "memberId",
            "fromMember",
            "fromMemberProfile",
            "displayName",
            "fullName",
            "relayMemberId",
            "groupLink",
        ]
        .map(str::to_owned),
    );
    let common: Vec<String> = words(&desks[0]).intersection(&words(&desks[1])).cloned().collect();
    let unexplained: Vec<&String> = common.iter().filter(|word| !known.contains(*word)).collect();
    // The server's certificate is the same, because both links of this test are at the same server.
    assert_eq!(unexplained, ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"]);
}

#[test]
fn relays_of_one_group_get_ids_and_connections_of_their_own() {
    let mut desk = Desk::new();
    let ids = [1, 2, 3].map(|number| desk.invite(Relay::new(number)));
    desk.run();
    let distinct: BTreeSet<_> = ids.iter().map(|id| desk.connection(id)).collect();
    assert_eq!((distinct.len(), ids.iter().collect::<BTreeSet<_>>().len()), (3, 3));
    assert_eq!(desk.hosts, ["receive.example.org"; 3], "where this group's queues are");
}

#[test]
fn an_owner_who_wants_to_be_known_is_not_reached_outside() {
    let profile = MemberProfile {
        contact_link: Some("https://smp.example.org/a#AAAA".to_owned()),
        preferences: Some(serde_json::Map::new()),
        ..MemberProfile::named("Ada")
    };
    let persona = Persona::known(profile.clone(), server("receive.example.org")).unwrap();
    assert_eq!(*persona.profile(), MemberProfile::named("Ada"));
    let refused = Persona::known(MemberProfile::named("#Ada"), server("receive.example.org")).unwrap_err();
    assert_eq!(refused, ProfileFault::NameMark);
    let image = Some(format!("data:image/png;base64,{}", "A".repeat(15_000)));
    let huge = Persona::known(MemberProfile { image, ..profile }, server("receive.example.org")).unwrap();
    let refused = GroupOwner::from(created(7)).introduce(huge);
    assert!(matches!(refused, Err(group::owner::OwnerError::TooLong(_))), "no request holds it");
}

#[test]
fn random_owners_have_names_that_say_nothing() {
    let mut random = SeededRandom::new(&[7; 32], "names");
    let names: BTreeSet<String> = (0..100)
        .map(|_| Persona::random(server("receive.example.org"), &mut random).profile().display_name.clone())
        .collect();
    assert!(names.len() > 80, "{}", names.len());
    assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphabetic())));
}

#[test]
fn groups_get_servers_that_other_groups_do_not_use() {
    let mut random = SeededRandom::new(&[7; 32], "servers");
    let configured = ["one.example.org", "two.example.org", "three.example.org"].map(server);
    let mut used = Vec::new();
    for _ in 0..9 {
        used.push(choose_server(&configured, &used, &mut random).unwrap().address.clone());
    }
    for group in used.chunks(3) {
        let hosts: BTreeSet<String> = group.iter().map(|server| server.first_host().to_plain()).collect();
        assert_eq!(hosts.len(), 3, "none twice before each was used once");
    }
    let first: BTreeSet<String> = (0..50)
        .map(|_| choose_server(&configured, &[], &mut random).unwrap().address.first_host().to_plain())
        .collect();
    assert_eq!(first.len(), 3, "any of them may come first");
    assert!(choose_server(&[], &used, &mut random).is_none());
    assert_eq!(choose_server(&configured[..1], &used, &mut random), Some(&configured[0]));
}
