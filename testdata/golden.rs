//! What users see of the binaries, compared byte for byte.
//!
//! * `testdata/cases/<binary>/<a-sentence>/`: one run each. `cmd` holds the arguments, in shell-like words; beside it may
//!   stand `stdin`, `files/` (what the run finds in its folder), `files-after/` (what it must leave there), `stdout`,
//!   `stderr` and `exit`. What is absent is empty, or 0.
//! * `scripts/golden/<name>.sh`: pipelines, compared with `<name>.out`.
//! * `testdata/sequences/<run>.txt`: what the records of everybody in `relays.sh` and `members.sh` say together, step by step.
//! * README.md: blocks marked `sh test` run in order, as one script.
//! * Every binary in Cargo.toml: the habits that all of them share, and a fresh page in `man/`.
//!
//! `GRP_GOLDEN=overwrite cargo test --test golden` writes what came out instead of comparing; read the diff.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cli::sequence::{Record, RecordedStep};
use grp::sequence::{self, ADDING, ADDING_BEFORE, JOINING, Numbering, REMOVING, REMOVING_UNTOLD, View};
use tempfile::TempDir;

/// A run that takes longer hangs.
const SECONDS: &str = "120";

#[test]
fn cases_print_what_they_should() {
    let mut failures = Failures::default();
    for binary in sorted(&root().join("testdata/cases")) {
        for case in sorted(&binary) {
            run_case(&name(&binary), &case, &mut failures);
        }
    }
    failures.report();
}

#[test]
fn pipelines_print_what_they_should() {
    let mut failures = Failures::default();
    for script in sorted(&root().join("scripts/golden")).iter().filter(|path| path.extension() == Some("sh".as_ref())) {
        let output = run_script(&fs::read_to_string(script).unwrap());
        failures.check_success(script, &output);
        failures.compare(&script.with_extension("out"), &output.stdout);
    }
    failures.report();
}

#[test]
fn recorded_runs_are_the_diagrams() {
    recorded_runs(
        "relays.sh",
        &[
            ("added", &["owner", "Ray"], "relay-added", ADDING, "1-2 2-3 4 5 6 7 8 9 10 11 12 13 M M"),
            ("added", &["owner", "Ray"], "relay-added-12-steps", ADDING_BEFORE, "1 3 2 4 5 6 7 8 9 10 11 12"),
            ("removed", &["owner", "Ray"], "relay-removed", REMOVING, "1a 1b 2a"),
            ("untold", &["owner", "Rob"], "relay-removed-untold", REMOVING_UNTOLD, "1b 2 3 4a"),
        ],
    );
}

#[test]
fn recorded_runs_of_members_are_the_diagrams() {
    recorded_runs(
        "members.sh",
        &[
            ("joined", &["Mia", "Ray", "owner"], "member-joins", JOINING, "15 16 17 18 19"),
            ("restored", &["owner", "Mia", "Rob"], "member-restores", JOINING, "16"),
        ],
    );
}

/// A run, who recorded it, the drawing, and the numbers that stand there.
type Recorded<'a> = (&'a str, &'a [&'a str], &'a str, Numbering, &'a str);

/// Steps that come in another order in every run: when members look at the group link, nobody waits for.
fn is_steady(step: &RecordedStep, file: &str) -> bool {
    file != "member-joins" || step.name != "group_link_read"
}

fn recorded_runs(script: &str, runs: &[Recorded<'_>]) {
    let folder = root().join("testdata/sequences");
    let place = TempDir::new().unwrap();
    let mut failures = Failures::default();
    let script = folder.join(script);
    failures.check_success(&script, &run_script_in(place.path(), &fs::read_to_string(&script).unwrap()));
    let record = |file: &str, party: &str| {
        let bytes = fs::read(place.path().join(file)).unwrap();
        Record::read(party, &bytes).unwrap()
    };
    for (run, parties, file, numbering, numbers) in runs {
        let mut records: Vec<Record> =
            parties.iter().map(|party| record(&format!("{run}-{party}.jsonl"), party)).collect();
        records.iter_mut().for_each(|record| record.steps.retain(|step| is_steady(step, file)));
        records.push(record("server.jsonl", "server"));
        let view = View { numbering, ..View::default() };
        let text = cli::sequence::text(&sequence::drawing(&view, &records).unwrap());
        let found: Vec<&str> =
            text.lines().filter_map(|line| line.split(' ').next()).filter(|s| !s.is_empty()).collect();
        failures.check(&format!("{file} has every step once, in order: {found:?}"), found.join(" ") == *numbers);
        failures.check(&format!("{file}: the server's record has every answer"), !text.contains(" x- "));
        failures.compare(&folder.join(file).with_extension("txt"), text.as_bytes());
    }
    failures.report();
}

#[test]
fn readme_runs_as_written() {
    let Ok(readme) = fs::read_to_string(root().join("README.md")) else { return };
    let blocks = readme.split("\n```sh test\n").skip(1);
    let script: Vec<_> = blocks.map(|block| block.split("\n```").next().unwrap()).collect();
    let mut failures = Failures::default();
    failures.check("README.md has a block that runs", !script.is_empty() || binaries().is_empty());
    failures.check_success(Path::new("README.md"), &run_script(&script.join("\n")));
    failures.report();
}

#[test]
fn every_binary_keeps_the_shared_habits() {
    let mut failures = Failures::default();
    for binary in binaries() {
        failures.binary = format!("{binary} ");
        failures.compare(&root().join(format!("man/{binary}.1")), &run(&binary, &["--man"]).stdout);
        failures.check("--help has its sections in order", has_sections(&run(&binary, &["--help"]).stdout));
        let schema = serde_json::from_slice::<serde_json::Value>(&run(&binary, &["--schema"]).stdout);
        failures.check("--schema is a JSON object", schema.is_ok_and(|schema| schema.is_object()));
        let unknown = run(&binary, &["--no-such-flag"]);
        failures.check("an unknown flag is exit 2", unknown.status.code() == Some(2) && unknown.stdout.is_empty());
        failures.check("a closed stdout ends it silently", survives_closed_stdout(&binary));
        failures.check("it has golden cases", !sorted(&root().join("testdata/cases").join(&binary)).is_empty());
    }
    failures.binary.clear();
    let pages = sorted(&root().join("man")).len();
    failures.check("man/ has a page for each binary and no others", pages == binaries().len());
    failures.report();
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of the `[[bin]]` entries, which begin with their `name`.
fn binaries() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let entries = manifest.split("\n[[bin]]\nname = \"").skip(1);
    entries.map(|entry| entry.split('"').next().unwrap().to_owned()).collect()
}

/// Cargo builds the binaries of a package into the folder above its tests.
fn binary_folder() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| !name(path).starts_with('.')).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A command that finds the binaries and nothing else of the caller's surroundings, and cannot hang.
fn command(program: &Path, place: &Path) -> Command {
    let mut path = OsString::from(binary_folder());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("timeout");
    command.arg(SECONDS).arg(program).current_dir(place);
    command.env_clear().env("PATH", path).env("HOME", place).env("TMPDIR", place).env("LC_ALL", "C.UTF-8");
    command
}

fn run(binary: &str, arguments: &[&str]) -> Output {
    let place = TempDir::new().unwrap();
    command(&binary_folder().join(binary), place.path()).args(arguments).output().unwrap()
}

fn run_script(script: &str) -> Output {
    run_script_in(TempDir::new().unwrap().path(), script)
}

fn run_script_in(place: &Path, script: &str) -> Output {
    let strict = format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    command(Path::new("bash"), place).arg("-c").arg(strict).stdin(Stdio::null()).output().unwrap()
}

fn run_case(binary: &str, case: &Path, failures: &mut Failures) {
    let place = TempDir::new().unwrap();
    for file in sorted(&case.join("files")) {
        let copy = place.path().join(name(&file));
        fs::copy(&file, &copy).unwrap();
        // Some hold secrets, whatever mode they were checked out with.
        fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let stdin = fs::read(case.join("stdin")).unwrap_or_default();
    let mut command = command(&binary_folder().join(binary), place.path());
    command.args(words(&fs::read_to_string(case.join("cmd")).unwrap()));
    let output = output_with(command, stdin);

    let exit = output.status.code().unwrap();
    failures.compare(&case.join("stdout"), &output.stdout);
    failures.compare(&case.join("stderr"), &output.stderr);
    failures.compare(&case.join("exit"), if exit == 0 { String::new() } else { format!("{exit}\n") }.as_bytes());
    for file in sorted(&case.join("files-after")) {
        failures.compare(&file, &fs::read(place.path().join(name(&file))).unwrap_or_default());
    }
}

fn output_with(mut command: Command, stdin: Vec<u8>) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A tool that does not read its stdin may have closed it.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Splits at white space; single and double quotes keep it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "a quote is open at the end of: {line}");
    words.extend(word);
    words
}

fn has_sections(help: &[u8]) -> bool {
    let help = String::from_utf8_lossy(help);
    let is_title = |line: &&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ');
    let titles: Vec<_> = help.lines().filter(is_title).collect();
    titles == ["USAGE", "OPTIONS", "EXAMPLES", "JSON", "EXIT STATUS", "ENVIRONMENT"]
}

fn survives_closed_stdout(binary: &str) -> bool {
    let place = TempDir::new().unwrap();
    let mut child = command(&binary_folder().join(binary), place.path())
        .arg("--help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap().stderr.is_empty()
}

/// What differs from the files, all of it before the test fails; or, with `GRP_GOLDEN=overwrite`, the files made anew.
#[derive(Default)]
struct Failures {
    binary: String,
    told: Vec<String>,
}

impl Failures {
    fn check(&mut self, what: &str, holds: bool) {
        if !holds {
            self.told.push(format!("not so: {}{what}", self.binary));
        }
    }

    fn check_success(&mut self, script: &Path, output: &Output) {
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            self.told.push(format!("{}: {}\n{stderr}", script.display(), output.status));
        }
    }

    /// A file that is absent stands for nothing.
    fn compare(&mut self, file: &Path, got: &[u8]) {
        let expected = fs::read(file).unwrap_or_default();
        if expected == got {
            return;
        }
        if std::env::var_os("GRP_GOLDEN").is_some_and(|mode| mode == "overwrite") {
            let written = if got.is_empty() { fs::remove_file(file) } else { fs::write(file, got) };
            return written.unwrap();
        }
        self.told.push(format!("{} differs\n{}", file.display(), difference(&expected, got)));
    }

    fn report(self) {
        if !self.told.is_empty() {
            panic!("\n{}\n(GRP_GOLDEN=overwrite accepts what came)", self.told.join("\n"));
        }
    }
}

/// The lines that only one side has, in order, after what both begin with.
fn difference(expected: &[u8], got: &[u8]) -> String {
    let (expected, got) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(got));
    let same = expected.lines().zip(got.lines()).take_while(|(expected, got)| expected == got).count();
    let side = |sign: &str, text: &str| -> Vec<String> {
        text.lines().skip(same).take(20).map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = vec![format!("  (from line {})", same.saturating_add(1))];
    lines.extend(side("-", &expected));
    lines.extend(side("+", &got));
    lines.join("\n")
}
