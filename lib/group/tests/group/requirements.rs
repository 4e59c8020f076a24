//! The tables of the README: every test that they name exists, and every line says how it stands.

use std::fs;
use std::path::{Path, PathBuf};

/// What stands in a line instead of a test.
/// How a line begins to say why nothing shows it.
const OPEN: &str = "not done: ";

fn readme() -> String {
    let readme = fs::read_to_string(crate_folder().join("README.md")).unwrap();
    let (_, after) = readme.split_once("\n## What the protocol is to achieve\n").unwrap();
    after.split_once("\n## ").unwrap().0.to_owned()
}

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lines of tables as number and last cell, without heads.
fn lines(text: &str) -> Vec<(String, String)> {
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let rows = text.lines().filter(|line| line.starts_with('|')).map(cells);
    let named = rows.filter(|cells| !cells[1].is_empty() && !cells[1].starts_with('-'));
    named.map(|cells| (cells[1].clone(), cells[3].clone())).collect()
}

/// The names of tests in a cell, as folder, file and function.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').skip(1).step_by(2).map(|name| name.split_once("::").unwrap()).collect()
}

fn file(place: &str) -> PathBuf {
    let tests = match place.split('/').next().unwrap() {
        "owner" | "relay" | "member" | "flow" | "chat" | "group" => "tests",
        "service" => "../relay/tests",
        "links" => "../agent/tests",
        "members" => "../world/tests",
        "real" | "golden" => "../../testdata",
        other => panic!("no tests in {other}"),
    };
    crate_folder().join(tests).join(format!("{place}.rs"))
}

fn is_test(place: &str, function: &str) -> bool {
    let source = fs::read_to_string(file(place)).unwrap_or_default();
    let head = |line: &str| line.contains(&format!("fn {function}("));
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| head(line)) else { return false };
    let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    attributes.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
}

#[test]
fn every_named_test_exists() {
    let text = readme();
    for (number, cell) in lines(&text) {
        for (place, function) in tests(&cell) {
            assert!(is_test(place, function), "line {number}: there is no test {place}::{function}");
        }
    }
    assert!(!is_test("group/requirements", "readme"), "what is no test is told apart");
    assert!(!is_test("group/requirements", "no_such_test"));
}

#[test]
fn every_line_is_shown_or_says_what_it_waits_for() {
    let text = readme();
    for (number, cell) in lines(&text) {
        assert!(!tests(&cell).is_empty() || cell.contains(OPEN), "line {number}: {cell}");
    }
}

#[test]
fn no_line_is_left_out() {
    let text = readme();
    let found: Vec<String> = lines(&text).into_iter().map(|(number, _)| number).collect();
    let count = |prefix: &str, last: usize| (1..=last).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>();
    let mut wanted = [count("O", 7), count("", 15), count("N", 6), count("R", 6), count("T", 15)].concat();
    wanted.extend([count("C", 17), count("rec-O", 7), count("rec-R", 2)].concat());
    wanted.extend(["10*", "16a", "16b*", "17", "18", "19", "M", "TD", "TD2", "chk", "rem-2"].map(str::to_owned));
    let missing: Vec<_> = wanted.iter().filter(|number| !found.contains(number)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
