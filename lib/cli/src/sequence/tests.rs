use super::*;

/// A record from words such as `open`, `ask!1` (tells 1) and `asked?1` (hears 1).
fn record(party: &str, words: &str) -> Record {
    let line = |word: &str| {
        let (name, tells) = word.split_once('!').unwrap_or((word, ""));
        let (name, hears) = name.split_once('?').unwrap_or((name, ""));
        format!(
            r#"{{"type":"step","v":1,"at":5,"tool":"t","who":"w","step":"{name}","tells":"{tells}","hears":"{hears}"}}"#
        )
    };
    let lines: Vec<String> = words.split(' ').map(line).collect();
    Record::read(party, lines.join("\n").as_bytes()).unwrap()
}

fn merged(records: &[Record]) -> String {
    let placed = merge(records);
    placed.iter().map(|placed| format!("{}:{}", placed.party, placed.step.name)).collect::<Vec<_>>().join(" ")
}

#[test]
fn whoever_hears_something_does_so_after_it_was_told() {
    let owner = record("owner", "begin ask!1 answered?2 end");
    let relay = record("relay", "start asked?1 answer!2 rest");
    let order = "owner:begin owner:ask relay:start relay:asked relay:answer relay:rest owner:answered owner:end";
    assert_eq!(merged(&[owner.clone(), relay.clone()]), order);
    // The first party begins; as soon as it has to wait, the other one goes on until it has to.
    let order = "relay:start owner:begin owner:ask relay:asked relay:answer relay:rest owner:answered owner:end";
    assert_eq!(merged(&[relay, owner]), order);
}

#[test]
fn the_clock_of_a_line_makes_no_difference() {
    let mut late = record("relay", "asked?1 answer!2");
    let owner = record("owner", "ask!1 answered?2");
    let before = merged(&[owner.clone(), late.clone()]);
    late.steps.iter_mut().for_each(|step| step.tool = "another".to_owned());
    assert_eq!(merged(&[owner, late]), before);
}

#[test]
fn both_ends_of_what_was_told_are_known() {
    let records = [record("owner", "ask!1 lost!3"), record("relay", "asked?1 stranger?9")];
    let ends: Vec<_> = merge(&records).iter().map(|placed| (placed.from, placed.heard_by)).collect();
    assert_eq!(ends, [(None, Some("relay")), (None, None), (Some("owner"), None), (None, None)]);
}

#[test]
fn what_is_told_again_was_told_the_first_time() {
    let records = [record("owner", "ask!1 wait?2 ask!1"), record("relay", "asked?1 answer!2 asked?1")];
    assert_eq!(merged(&records), "owner:ask relay:asked relay:answer relay:asked owner:wait owner:ask");
}

#[test]
fn records_that_contradict_each_other_are_shown_all_the_same() {
    let records = [record("a", "x?2 y!1"), record("b", "z?1 w!2")];
    assert_eq!(merged(&records), "a:x a:y b:z b:w");
}

#[test]
fn nothing_but_steps_is_read() {
    for line in ["{}", "[]", "no JSON", r#"{"type":"step","v":2,"tool":"t","who":"w","step":"s"}"#] {
        assert!(Record::read("owner", line.as_bytes()).is_err(), "{line}");
    }
    let long = format!(r#"{{"type":"step","v":1,"tool":"t","who":"w","step":"{}"}}"#, "s".repeat(MAX_LINE));
    assert_eq!(Record::read("owner", long.as_bytes()).unwrap_err().code(), Code::JsonMalformed);
    assert_eq!(Record::read("owner", b"\n\n").unwrap().steps, []);
    assert!(merge(&[]).is_empty());
}
