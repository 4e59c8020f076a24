//! Every event as it stands on the wire, and what preferences and profiles mean.

use group::content::{Content, OFFERED_REACTIONS, Reaction};
use group::event::{Event, RejectionReason, Signing};
use group::extension::{Extension, Extensions};
use group::member::{MemberProfile, Role};
use group::message::{Message, MessageError};
use group::preferences::{Feature, Preferences};
use group::profile::{GroupProfile, ProfileFault};
use serde_json::{Value, json};

use crate::support::{event, message, message_json};

const KEY: &str = "MCowBQYDK2VwAyEAKay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc=";

/// An event, whether it must be signed, and whether it is forwarded.
type Line = (&'static str, Value, Signing, bool);

fn profile() -> Value {
    json!({"displayName": "Mary", "fullName": "", "shortDescr": "a", "description": "b", "image": "data:image/png;base64,AA",
        "contactLink": "https://h/a#x", "preferences": {"voice": {"allow": "yes"}}, "peerType": "human"})
}

fn group_profile() -> Value {
    json!({"displayName": "Walks", "fullName": "", "publicGroup": {"groupType": "channel", "groupLink": "https://h/c#x",
        "publicGroupId": "Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3dIGy6rEHcIw=", "publicGroupAccess": {"groupWebPage": "x"}},
        "groupPreferences": {"history": {"enable": "on"}}, "memberAdmission": {}, "new": 1})
}

fn member_info() -> Value {
    json!({"memberId": "YQ==", "memberRole": "observer", "v": "9-19", "profile": profile(), "memberKey": KEY})
}

fn digest() -> String {
    codec::text::base64url(&[1; 64])
}

fn handshakes() -> Vec<Line> {
    let invitation = json!({"fromMember": {"memberId": "YQ==", "memberRole": "owner"}, "fromMemberProfile": profile(),
        "relayMemberId": "Yg==", "groupLink": "https://h/c#x", "ext": ["gid1", "ready1"]});
    let to_joiner = json!({"fromMember": {"memberId": "YQ==", "memberRole": "relay"}, "fromMemberName": "relay",
        "fromMemberKey": KEY, "invitedMember": {"memberId": "Yg==", "memberRole": "observer"},
        "groupProfile": group_profile(), "accepted": "accepted", "business": {"chatType": "business"}, "groupSize": 3,
        "ext": ["mkey1"]});
    let join = json!({"profile": profile(), "newMemberId": "YQ==", "newMemberKey": KEY, "viaRelay": "Yg==",
        "ext": ["prof1"], "conn": "msg"});
    vec![
        ("x.grp.relay.test", json!({"challenge": "YQ==", "signature": digest()}), Signing::Never, false),
        ("x.grp.relay.inv", json!({"groupRelayInvitation": invitation}), Signing::Never, false),
        (
            "x.grp.relay.acpt",
            json!({"relayLink": "https://h/g#x", "relayCap": {"webDomain": "h", "ext": ["susp1"]}}),
            Signing::Never,
            false,
        ),
        ("x.grp.relay.reject", json!({"reason": "rejoin_rejected"}), Signing::Never, false),
        ("x.ok", json!({}), Signing::Never, false),
        ("x.member", join, Signing::Optional, false),
        ("x.grp.link.inv", json!({"groupLinkInvitation": to_joiner}), Signing::Never, false),
        ("x.grp.link.reject", json!({"groupLinkRejection": {"reason": "x"}}), Signing::Never, false),
        ("x.info", json!({"profile": profile(), "memberKey": KEY}), Signing::Required, true),
        ("x.grp.link.mem", json!({"profile": profile()}), Signing::Optional, false),
        ("x.grp.relay.pair", json!({}), Signing::Never, false),
        ("x.grp.relay.ready", json!({}), Signing::Never, false),
        ("x.grp.relay.ctl", json!({"cmd": "suspend"}), Signing::Required, false),
        ("x.grp.relay.state", json!({"accepting": true}), Signing::Never, false),
    ]
}

fn administration() -> Vec<Line> {
    let required = |name, params| (name, params, Signing::Required, true);
    let scope = json!({"type": "member", "memberId": "YQ=="});
    vec![
        required("x.grp.relay.new", json!({"relayLink": "https://h/g#x"})),
        ("x.grp.relay.cap", json!({"relayCap": {"webDomain": "h"}}), Signing::Never, false),
        ("x.grp.mem.new", json!({"memberInfo": member_info(), "scope": scope}), Signing::Never, true),
        (
            "x.grp.mem.intro",
            json!({"memberInfo": member_info(), "memberRestrictions": {"restriction": "blocked"}}),
            Signing::Never,
            false,
        ),
        required("x.grp.mem.role", json!({"memberId": "YQ==", "role": "admin", "memberKey": KEY, "rosterVersion": 4})),
        required("x.grp.mem.restrict", json!({"memberId": "YQ==", "memberRestrictions": {"restriction": "muted"}})),
        required("x.grp.mem.del", json!({"memberId": "YQ==", "messages": true, "rosterVersion": 0})),
        required("x.grp.leave", json!({})),
        required("x.grp.del", json!({})),
        required("x.grp.info", json!({"groupProfile": group_profile()})),
        required("x.grp.prefs", json!({"groupPreferences": {"history": {"enable": "on"}}})),
        (
            "x.grp.roster",
            json!({"version": 4, "fileInv": {"fileSize": 72, "fileDigest": digest()}}),
            Signing::Required,
            false,
        ),
        ("x.grp.roster.ack", json!({"version": 4, "error": "bad"}), Signing::Never, false),
        ("x.grp.roster.request", json!({"version": 4}), Signing::Never, false),
        ("x.grp.roster.request", json!({}), Signing::Never, false),
    ]
}

fn content() -> Vec<Line> {
    let scope = json!({"type": "member", "memberId": "YQ=="});
    let reference = json!({"msgId": "YQ==", "sentAt": "2026-01-01T00:00:00.5Z", "sent": false, "memberId": "Yg=="});
    let description = json!({"fileDescrText": "a", "fileDescrPartNo": 1, "fileDescrComplete": true});
    let file = json!({"fileName": "a", "fileSize": 1, "fileDigest": "YQ==", "fileConnReq": "x", "fileInline": "offer",
        "fileDescr": description});
    let text = json!({"type": "text", "text": "hello"});
    let new = json!({"content": text, "mentions": {"Mary": {"memberId": "YQ=="}}, "file": file, "ttl": 60, "live": true,
        "scope": scope, "asGroup": true, "quote": {"msgRef": reference, "content": text}, "parent": reference,
        "forward": true});
    let update = json!({"msgId": "YQ==", "content": text, "mentions": {"Mary": {"memberId": "YQ=="}}, "ttl": 60,
        "live": false, "scope": scope, "asGroup": true});
    let reaction = json!({"type": "emoji", "emoji": "👍"});
    vec![
        ("x.msg.new", new, Signing::Optional, true),
        ("x.msg.update", update, Signing::Optional, true),
        ("x.msg.del", json!({"msgId": "YQ==", "memberId": "Yg==", "scope": scope}), Signing::Optional, true),
        (
            "x.msg.react",
            json!({"msgId": "YQ==", "memberId": "Yg==", "scope": scope, "reaction": reaction, "add": true}),
            Signing::Never,
            true,
        ),
        ("x.msg.file.descr", json!({"msgId": "YQ==", "fileDescr": description}), Signing::Never, true),
        ("x.file.cancel", json!({"msgId": "YQ=="}), Signing::Never, true),
        (
            "x.grp.msg.forward",
            json!({"memberId": "YQ==", "memberName": "Mary", "msg": {"v": "9", "event": "x.ok", "params": {}},
                "msgTs": "2026-01-01T00:00:00Z"}),
            Signing::Never,
            false,
        ),
    ]
}

#[test]
fn every_event_is_known_and_written_as_it_is_read() {
    let lines = [handshakes(), administration(), content()].concat();
    for (name, params, signing, forwarded) in lines {
        let message = message(name, params.clone());
        assert!(!matches!(message.event, Event::Unknown(_)), "{name}");
        assert_eq!(message.event.name(), name);
        assert_eq!(message.event.signing(), signing, "{name}");
        assert_eq!(message.event.is_forwarded(), forwarded, "{name}");
        let written: Value = serde_json::from_slice(&message.to_json()).unwrap();
        assert_eq!(written["params"], params, "{name}");
        assert_eq!(Message::parse(&message.to_json()).unwrap(), message);
    }
}

#[test]
fn required_parameters_are_required() {
    for (name, params, ..) in [handshakes(), administration(), content()].concat() {
        let fields = params.as_object().unwrap();
        let optional = fields.keys().filter(|key| {
            let mut fewer = fields.clone();
            fewer.shift_remove(*key);
            match Message::parse(&message_json(name, Value::Object(fewer))) {
                Ok(message) => message.event.name() == name,
                Err(error) => {
                    assert_eq!(error.to_string(), format!("wrong parameters of {name}"));
                    false
                }
            }
        });
        let expected: &[&str] = match name {
            "x.grp.relay.test" => &["signature"],
            "x.grp.relay.acpt" => &["relayCap"],
            "x.member" => &["viaRelay", "ext", "conn"],
            "x.info" => &["memberKey"],
            "x.grp.mem.new" => &["scope"],
            "x.grp.mem.intro" => &["memberRestrictions"],
            "x.grp.mem.role" => &["memberKey", "rosterVersion"],
            "x.grp.mem.del" => &["messages", "rosterVersion"],
            "x.grp.roster.ack" => &["error"],
            "x.grp.roster.request" if !fields.is_empty() => &["version"],
            "x.msg.new" => &["mentions", "file", "ttl", "live", "scope", "asGroup", "quote", "parent", "forward"],
            "x.msg.update" => &["mentions", "ttl", "live", "scope", "asGroup"],
            "x.msg.del" | "x.msg.react" => &["memberId", "scope"],
            "x.grp.msg.forward" => &["memberId", "memberName"],
            _ => &[],
        };
        assert_eq!(optional.collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn optional_parameters_may_be_null() {
    let nulls = json!({"content": {"type": "text", "text": "a"}, "mentions": null, "file": null, "ttl": null,
        "scope": null, "asGroup": null, "quote": null});
    let plain = json!({"content": {"type": "text", "text": "a"}});
    assert_eq!(event("x.msg.new", nulls), event("x.msg.new", plain));
    let nulls = json!({"memberId": "YQ==", "role": "admin", "memberKey": null, "rosterVersion": null});
    assert_eq!(event("x.grp.mem.role", nulls), event("x.grp.mem.role", json!({"memberId": "YQ==", "role": "admin"})));
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    let refused = |name: &'static str, params: Value| {
        let read = Message::parse(&message_json(name, params));
        assert_eq!(read, Err(MessageError::Params(name)));
    };
    refused("x.grp.mem.role", json!({"memberId": "", "role": "admin"}));
    refused("x.grp.mem.role", json!({"memberId": "*", "role": "admin"}));
    refused("x.grp.mem.role", json!({"memberId": "YQ==", "role": "admin", "rosterVersion": -1}));
    refused("x.grp.mem.role", json!({"memberId": "YQ==", "role": "admin", "memberKey": "YQ=="}));
    let size_below_zero = json!({"fileSize": -1, "fileDigest": digest()});
    refused("x.grp.roster", json!({"version": 1, "fileInv": size_below_zero}));
    refused("x.grp.roster", json!({"version": 1, "fileInv": {"fileSize": 1, "fileDigest": "YQ=="}}));
    // Whoever does not know for whom a message is must not show it to everybody.
    let scope = json!({"type": "council", "memberId": "YQ=="});
    refused("x.msg.new", json!({"content": {"type": "text", "text": "a"}, "scope": scope}));
    refused("x.msg.new", json!({"content": {"type": "image", "text": "a"}}));
    refused("x.msg.new", json!({"content": {"text": "a"}}));
}

#[test]
fn every_kind_of_content_survives_and_shows_its_text() {
    let preview =
        json!({"uri": "https://h", "title": "t", "description": "d", "image": "", "content": {"type": "page"}});
    for content in [
        json!({"type": "text", "text": "hello"}),
        json!({"type": "link", "text": "hello", "preview": preview}),
        json!({"type": "image", "text": "hello", "image": "data:"}),
        json!({"type": "video", "text": "hello", "image": "data:", "duration": 3}),
        json!({"type": "voice", "text": "hello", "duration": 3}),
        json!({"type": "file", "text": "hello"}),
        json!({"type": "report", "text": "hello", "reason": "spam"}),
        json!({"type": "chat", "text": "hello", "chatLink": {"type": "contact", "connLink": {"a": 1}}}),
        json!({"type": "chat", "text": "hello", "chatLink": {"type": "group", "connLink": ["odd"]}}),
        json!({"type": "dance", "text": "hello", "steps": [1, 2]}),
    ] {
        let read: Content = serde_json::from_value(content.clone()).unwrap();
        assert_eq!(read.as_text(), Some("hello"));
        assert_eq!(serde_json::to_value(&read).unwrap(), content);
    }
    let silent: Content = serde_json::from_value(json!({"type": "dance"})).unwrap();
    assert_eq!(silent.as_text(), None);
}

#[test]
fn reactions_that_we_do_not_offer_survive() {
    for json in [json!({"type": "emoji", "emoji": "🦀"}), json!({"type": "sound", "url": "x"}), json!({})] {
        let read: Reaction = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(matches!(read, Reaction::Emoji(_)), json["type"] == "emoji");
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }
    assert!(OFFERED_REACTIONS.contains(&"👍"));
}

#[test]
fn roles_have_an_order_and_unknown_ones_rank_below() {
    let names = ["relay", "observer", "author", "member", "moderator", "admin", "owner"];
    let roles: Vec<Role> = names.map(Role::from).to_vec();
    assert!(roles.is_sorted());
    assert!(roles.iter().all(|role| *role > Role::from("zar")));
    assert_eq!(roles.iter().map(Role::name).collect::<Vec<_>>(), names);
    let in_roster = roles.iter().filter(|role| role.is_in_roster()).map(Role::name);
    assert_eq!(in_roster.collect::<Vec<_>>(), ["member", "moderator", "admin"]);
    assert!(Role::Owner.is_privileged() && !Role::Author.is_privileged() && !Role::from("zar").is_privileged());
}

#[test]
fn extensions_are_names_in_an_array_and_anything_else_is_none() {
    let read = |ext: Value| -> Extensions { serde_json::from_value(ext).unwrap() };
    let some = read(json!(["gid1", "later7", 3]));
    assert!(some.announce(&Extension::GroupInFixedData));
    assert!(!some.announce(&Extension::SignedJoin));
    assert_eq!(serde_json::to_value(&some).unwrap(), json!(["gid1", "later7"]));
    for other in [json!(null), json!("gid1"), json!({"gid1": true})] {
        assert!(read(other).is_empty());
    }
    let reject = event("x.grp.relay.reject", json!({"reason": "tired"}));
    let Event::GroupRelayReject(reject) = reject else { panic!("{reject:?}") };
    assert_eq!(reject.reason, RejectionReason::Other("tired".to_owned()));
}

#[test]
fn preferences_have_defaults_and_may_name_a_role() {
    let none = Preferences::of(None);
    for (feature, on) in [
        (Feature::TimedMessages, false),
        (Feature::FullDelete, false),
        (Feature::Reactions, true),
        (Feature::History, false),
        (Feature::Support, true),
        (Feature::DirectMessages, false),
        (Feature::SimplexLinks, true),
        (Feature::SignMessages, false),
    ] {
        assert_eq!(none.allow(feature, &Role::Observer), on, "{feature:?}");
    }
    let json = json!({"history": {"enable": "on"}, "reactions": {"enable": "off"}, "support": null,
        "fullDelete": {"enable": "on", "role": "moderator"}, "timedMessages": {"enable": "on", "ttl": 60}, "signMessages": 1});
    let some = Preferences::of(json.as_object());
    assert!(some.allow(Feature::History, &Role::Observer) && some.allow(Feature::Support, &Role::Observer));
    assert!(!some.allow(Feature::Reactions, &Role::Owner) && !some.allow(Feature::SignMessages, &Role::Owner));
    assert!(some.allow(Feature::FullDelete, &Role::Moderator) && !some.allow(Feature::FullDelete, &Role::Member));
    assert_eq!((some.life_of_messages(), none.life_of_messages()), (Some(60), None));
    let endless = json!({"timedMessages": {"enable": "on"}});
    assert_eq!(Preferences::of(endless.as_object()).life_of_messages(), Some(86_400));
}

#[test]
fn profiles_in_groups_do_not_lead_outside() {
    let link = "https://smp.example.org/a#AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let json = json!({"displayName": "Mary", "fullName": "", "description": format!("ask {link} now"),
        "image": "https://h/a.png", "contactLink": link, "preferences": {}, "badge": {"a": 1}, "contactDomain": {}});
    let profile: MemberProfile = serde_json::from_value(json).unwrap();
    let shown = profile.clone().in_group(Preferences::of(None), &Role::Member);
    let expected = json!({"displayName": "Mary", "fullName": "", "description": "ask now", "image": ""});
    assert_eq!(serde_json::to_value(&shown).unwrap(), expected);

    let open = json!({"directMessages": {"enable": "on"}});
    let reachable = profile.in_group(Preferences::of(open.as_object()), &Role::Member);
    assert_eq!(reachable.contact_link.as_deref(), Some(link));
    assert!(reachable.description.unwrap().contains(link));
    assert_eq!(MemberProfile::named("#a").check(), Err(ProfileFault::NameMark));
    assert_eq!(MemberProfile::named(" ").check(), Err(ProfileFault::NoName));
}

#[test]
fn profiles_are_equal_if_what_we_know_is() {
    let profile: GroupProfile = serde_json::from_value(group_profile()).unwrap();
    let with = |pointer: &str, value: Value| -> GroupProfile {
        let mut json = group_profile();
        *json.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value(json).unwrap()
    };
    assert!(profile.says_the_same(&with("/new", json!(2))));
    assert!(!profile.says_the_same(&with("/displayName", json!("Talks"))));
    assert!(!profile.says_the_same(&with("/publicGroup/groupLink", json!("https://h/c#y"))));
    assert!(!profile.says_the_same(&with("/publicGroup/publicGroupAccess/groupWebPage", json!("y"))));
}
