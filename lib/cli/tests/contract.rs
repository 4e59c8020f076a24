//! The contract as a user and a script meet it, on the example tools.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const SEED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const TICKET: &str = r#"{"type":"ticket","v":1,"name":"Ada","number":"AAAAAA","expires_at":2000,"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// A place to run tools in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).unwrap();
        fs::set_permissions(self.0.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(example(words.next().unwrap()));
        command.args(words).current_dir(&self.0);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRP_")) {
            command.env_remove(name);
        }
        command
    }

    fn start(&self, line: &str) -> Child {
        self.command(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, line: &str) -> Ran {
        self.run_with(line, "")
    }

    fn run_with(&self, line: &str, stdin: &str) -> Ran {
        let mut child = self.start(line);
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Ran::from(child.wait_with_output().unwrap())
    }
}

fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is built by `cargo test -p cli`", path.display());
    path
}

#[derive(Debug, PartialEq, Eq)]
struct Ran {
    stdout: String,
    stderr: String,
    exit: Option<i32>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { stdout: text(output.stdout), stderr: text(output.stderr), exit: output.status.code() }
    }
}

impl Ran {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.exit, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// The first line of stderr without the name of the tool; stdout must be empty.
    #[track_caller]
    fn refused(self, exit: i32) -> String {
        assert_eq!((self.exit, self.stdout.as_str()), (Some(exit), ""), "{self:?}");
        let first = self.stderr.lines().next().unwrap_or_default();
        first.split_once(": ").unwrap().1.to_owned()
    }
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn a_document_goes_through_a_pipe() {
    let place = Place::new();
    let ticket = place.run("ticket-issue --name Ada --now 1000").ok();
    assert!(ticket.starts_with(r#"{"type":"ticket","v":1,"name":"Ada","number":""#), "{ticket}");
    assert!(ticket.ends_with("\"}\n"));
    let entry = place.run_with("ticket-check --now 1001", &ticket).ok();
    assert_eq!(entry, "{\"type\":\"entry\",\"v\":1,\"name\":\"Ada\",\"entered_at\":1001}\n");
}

#[test]
fn a_no_is_exit_1_with_nothing_on_stdout() {
    let no = Place::new().run_with("ticket-check --now 2000", TICKET).refused(1);
    assert_eq!(no, "error[check_failed]: the ticket of Ada has expired");
}

#[test]
fn pretty_is_chosen_and_json_is_ignored() {
    let place = Place::new();
    let pretty = place.run_with("ticket-check --now 1 --pretty --json", TICKET).ok();
    assert_eq!(pretty, "{\n  \"type\": \"entry\",\n  \"v\": 1,\n  \"name\": \"Ada\",\n  \"entered_at\": 1\n}\n");
}

#[test]
fn a_file_or_a_dash_may_stand_for_stdin() {
    let place = Place::new();
    place.write("ticket.json", TICKET);
    assert!(place.run("ticket-check --now 1 ticket.json").ok().contains("Ada"));
    assert!(place.run_with("ticket-check --now 1 -", TICKET).ok().contains("Ada"));
    assert_eq!(
        place.run("ticket-check none.json").refused(4),
        "error[file_missing]: none.json: No such file or directory (os error 2)"
    );
}

#[test]
fn input_that_is_not_the_expected_document_is_exit_3() {
    let place = Place::new();
    let refused = |stdin: &str| place.run_with("ticket-check", stdin).refused(3);
    assert_eq!(refused(""), "error[json_malformed]: expected one JSON object, got nothing");
    assert_eq!(
        refused(r#"{"type":"entry","v":1}"#),
        "error[type_unexpected]: expected a document of type `ticket`, got `entry`"
    );
    assert_eq!(
        refused(&TICKET.replace("\"v\":1", "\"v\":2")),
        "error[version_unexpected]: expected version 1 of `ticket`, got 2"
    );
    assert_eq!(
        refused(&TICKET.replace("AAAAAA\"", "A!\"")),
        "error[field_invalid]: number: expected base64url without padding"
    );
    assert_eq!(
        refused(&format!("{TICKET}\n{TICKET}")),
        "error[json_malformed]: after the object: trailing characters at line 2 column 1"
    );
    assert_eq!(refused(&" ".repeat(1_048_577)), "error[json_malformed]: stdin: larger than 1048576 bytes");
}

#[test]
fn required_input_on_a_terminal_is_two_lines_of_usage() {
    let line = format!("{} --timeout 1", example("ticket-check").display());
    let output = Command::new("script")
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .args(["-qefc", &line, "/dev/null"])
        .output()
        .unwrap();
    let told = Ran::from(output);
    assert_eq!(
        told.stdout,
        "ticket-check: \u{1b}[1;31merror[input_required]\u{1b}[0m: \
         expected a document of type `ticket` on stdin, which is a terminal\r\n\
         ticket-check: \u{1b}[1;36mhint\u{1b}[0m: usage: ticket-check [OPTIONS] [FILE]\r\n"
    );
    assert_eq!(told.exit, Some(2));
}

#[test]
fn stdin_has_one_reader() {
    let place = Place::new();
    let refused = place.run_with("ticket-fault --how read-twice", TICKET).refused(2);
    assert!(refused.starts_with("error[stdin_taken]: "), "{refused}");
}

#[test]
fn a_wrong_command_line_is_exit_2_with_a_suggestion() {
    let place = Place::new();
    assert_eq!(
        place.run("ticket-issue --nam Ada"),
        Ran {
            stdout: String::new(),
            stderr: "ticket-issue: error[usage]: unexpected argument '--nam' found\n\
                     ticket-issue: hint: a similar argument exists: '--name'\n"
                .to_owned(),
            exit: Some(2),
        }
    );
    assert_eq!(
        place.run("ticket-issue").refused(2),
        "error[usage]: the following required arguments were not provided: --name <NAME>"
    );
}

#[test]
fn json_errors_are_one_object_on_stderr() {
    let place = Place::new();
    let object = |ran: Ran| serde_json::from_str::<Value>(&ran.stderr).unwrap();
    assert_eq!(
        object(place.run("ticket-issue --nam Ada --json-errors")),
        json!({"type": "error", "code": "usage", "message": "unexpected argument '--nam' found",
               "hint": "a similar argument exists: '--name'", "exit": 2})
    );
    place.write("seed", SEED);
    let mut command = place.command("ticket-check --seed-file seed none.json");
    let ran = Ran::from(command.env("GRP_ERRORS", "json").output().unwrap());
    assert_eq!(
        object(ran),
        json!({"type": "error", "code": "file_missing",
               "message": "none.json: No such file or directory (os error 2)", "exit": 4})
    );
    let malformed = object(place.run_with("ticket-check --json-errors", "{\n\"a\":?}"));
    assert_eq!(malformed["line"], 2);
}

#[test]
fn out_takes_the_secret_and_leaves_the_public_part_on_stdout() {
    let place = Place::new();
    let public = place.run("ticket-issue --name Ada --now 1 -o ada.json").ok();
    let whole = place.read("ada.json");
    assert!(!public.contains("key") && whole.contains("\"key\":\""), "{public}{whole}");
    assert_eq!(fs::metadata(place.0.path().join("ada.json")).unwrap().permissions().mode() & 0o777, 0o600);

    let again = place.run("ticket-issue --name Bob -o ada.json");
    assert_eq!(again.refused(4), "error[file_exists]: ada.json: the file exists");
    assert_eq!(place.read("ada.json"), whole);

    place.run("ticket-issue --name Bob -o ada.json --force").ok();
    assert!(place.read("ada.json").contains("Bob"));
    assert_eq!(place.run("ticket-issue --name Bob -o none/x").refused(4), "error[file_missing]: none: no such folder");
    assert!(place.run("ticket-issue --name Bob -o -").ok().contains("\"key\""));
    assert_eq!(place.names(), ["ada.json"]);
}

#[test]
fn a_failed_run_creates_nothing() {
    let place = Place::new();
    place.run_with("ticket-check --now 2000 -o entry.json", TICKET).refused(1);
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_state_file_is_replaced_before_the_network_is_used() {
    let place = Place::new();
    place.write("state.json", TICKET);
    let ran = place.run("ticket-check --now 1000 --state state.json --ask --timeout 1");
    assert_eq!(ran.refused(5), "error[timed_out]: door.example: timed out after 1 s");
    assert!(place.read("state.json").contains("\"expires_at\":1000,"));
    assert_eq!(place.names(), ["state.json", "state.json.lock"]);
    place.run("ticket-check --now 1000 --state state.json").refused(1);
}

#[test]
fn a_state_file_has_one_user_at_a_time() {
    let place = Place::new();
    place.write("state.json", TICKET);
    let mut first = place.start("ticket-check --now 1000 --state state.json --ask -v --timeout 60");
    wait_until(|| place.read("state.json").contains("\"expires_at\":1000,"));
    let second = place.run("ticket-check --now 1 --state state.json").refused(4);
    assert_eq!(second, "error[state_busy]: state.json: another run is using this file");
    signal(&first, "INT");
    assert_eq!(first.wait().unwrap().code(), Some(130));
    place.run("ticket-check --now 1 --state state.json").ok();
}

/// A run of `ticket-extend`, given one line after the other.
struct Extending {
    child: Child,
    stdin: std::process::ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Extending {
    fn start(place: &Place, flags: &str) -> Self {
        let mut child = place.start(&format!("ticket-extend --state state.json {flags}"));
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Extending { child, stdin, stdout }
    }

    /// Adds so many seconds; until when the ticket is good then.
    fn add(&mut self, seconds: u64) -> u64 {
        self.stdin.write_all(format!("{seconds}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["entered_at"].as_u64().unwrap()
    }

    /// What is left on stdout.
    fn end(mut self) -> String {
        drop(self.stdin);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

#[test]
fn a_shared_state_file_has_many_users_and_each_sees_what_others_did() {
    let place = Place::new();
    place.write("state.json", TICKET);
    let (mut first, mut second) = (Extending::start(&place, ""), Extending::start(&place, ""));
    assert_eq!([first.add(1), first.add(10), second.add(100), first.add(1000)], [2001, 2011, 2111, 3111]);
    second.end();
    let shown = first.end();
    assert!(shown.contains("\"expires_at\":3111}"), "stdout has the public part only: {shown}");
    assert!(place.read("state.json").contains("\"expires_at\":3111,\"key\":"));
}

#[test]
fn who_wants_a_shared_state_file_waits_for_it() {
    let place = Place::new();
    place.write("state.json", TICKET);
    let mut holding = Extending::start(&place, "--hold");
    holding.add(1);
    let refused = place.run_with("ticket-extend --state state.json --timeout 1", "5\n").refused(4);
    assert_eq!(refused, "error[state_busy]: state.json: another run is using this file");
    let mut patient = Extending::start(&place, "--timeout 60");
    let mut killed = holding;
    killed.child.kill().unwrap();
    assert_eq!(patient.add(10), 2011);
    killed.child.wait().unwrap();
    patient.end();
}

#[test]
fn a_shared_state_file_that_is_over_leaves_nothing_behind() {
    let place = Place::new();
    place.write("state.json", TICKET);
    Extending::start(&place, "--remove").end();
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_line_that_is_too_long_is_told_by_its_number() {
    let place = Place::new();
    place.write("state.json", TICKET);
    let ran = place.run_with("ticket-extend --state state.json --json-errors", &format!("5\n{}\n", "1".repeat(21)));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(
        error,
        json!({"type": "error", "code": "field_invalid", "message": "stdin: the line is longer than 20 bytes",
            "exit": 3, "line": 2})
    );
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn a_tool_whose_document_stays_in_its_file_has_no_out() {
    assert!(!Place::new().run("ticket-extend --help").ok().contains("--out"));
    let refused = Place::new().run("ticket-extend --state state.json --out copy.json").refused(2);
    assert!(refused.starts_with("error[usage]: unexpected argument '--out'"), "{refused}");
}

#[test]
fn others_who_may_read_a_state_file_are_told_of() {
    let place = Place::new();
    place.write("state.json", TICKET);
    fs::set_permissions(place.0.path().join("state.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = place.run("ticket-check --now 1 --state state.json");
    assert!(ran.stderr.starts_with("ticket-check: warning[file_mode]: ") && ran.exit == Some(0), "{ran:?}");
    place.run("ticket-check --now 1 --state state.json").refused(1);
}

#[test]
fn a_seed_and_a_time_make_the_same_bytes_again() {
    let place = Place::new();
    place.write("seed", &format!("# throw-away\n{SEED}\n"));
    let line = "ticket-issue --name Ada --seed-file seed --now 1000 --trace trace";
    let (first, second) = (place.run(line), place.run(line));
    assert_eq!(first, second);
    assert!(first.stdout.starts_with(&format!("{{\"type\":\"ticket\",\"v\":1,\"test\":true,\"seed\":\"{SEED}\",")));
    assert_eq!(
        first.stderr,
        "ticket-issue: warning[test_document]: this is a test: its keys come from a seed and protect nothing\n"
    );
    let step = "{\"type\":\"step\",\"v\":1,\"at\":1000000,\"tool\":\"ticket-issue\",\
                \"who\":\"office\",\"step\":\"ticket_issue\",\"outcome\":\"ok\"}\n";
    assert_eq!(place.read("trace"), step.repeat(2));
    let real = place.run("ticket-issue --name Ada --now 1000");
    assert_ne!(real.stdout, place.run("ticket-issue --name Ada --now 1000").stdout);
}

#[test]
fn a_test_document_marks_what_is_made_from_it_and_never_meets_real_ones() {
    let place = Place::new();
    place.write("seed", SEED);
    let test = place.run("ticket-issue --name Ada --seed-file seed").stdout;
    let entry = place.run_with("ticket-check -q", &test).ok();
    assert!(entry.starts_with(r#"{"type":"entry","v":1,"test":true,"name":"#), "{entry}");
    let mixed = place.run_with("ticket-check --now 1 --seed-file seed -q", TICKET).refused(2);
    assert!(mixed.starts_with("error[test_mixed]"), "{mixed}");
    place.write("seed", "too short");
    assert!(place.run("ticket-issue --name Ada --seed-file seed").refused(3).starts_with("error[seed_malformed]"));
}

#[test]
fn verbose_shows_steps_and_quiet_hides_warnings() {
    let place = Place::new();
    place.write("seed", SEED);
    let verbose = place.run("ticket-issue --name Ada -v");
    assert_eq!(verbose.stderr, "ticket-issue: INFO ticket_issue: office, ok\n");
    place.run("ticket-issue --name Ada --seed-file seed --quiet").ok();
}

#[test]
fn flags_can_come_from_the_environment() {
    let place = Place::new();
    let mut command = place.command("ticket-issue");
    command.env("GRP_NAME", "Ada").env("GRP_NOW", "5").env("GRP_PRETTY", "0").env("GRP_SEED_FILE", "none");
    let ran = Ran::from(command.output().unwrap());
    assert!(ran.ok().contains("\"expires_at\":3605,"));
    let mut command = place.command("ticket-issue");
    let ran = Ran::from(command.env("GRP_NAME", "Ada").env("GRP_PRETTY", "1").output().unwrap());
    assert!(ran.ok().starts_with("{\n"));
}

#[test]
fn a_closed_stdout_ends_a_tool_silently_and_a_full_one_is_an_error() {
    let place = Place::new();
    for line in ["ticket-issue --name Ada", "ticket-issue --help", "ticket-issue --schema"] {
        let mut child = place.start(line);
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        // A tool that was faster than the closing may have written everything.
        assert!(matches!(ran.exit, None | Some(0)) && ran.stderr.is_empty(), "{line}: {ran:?}");
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place.command("ticket-issue --name Ada").stdout(full).output().unwrap();
    assert_eq!(Ran::from(output).refused(4), "error[stdout_failed]: stdout: No space left on device (os error 28)");
}

#[test]
fn a_panic_is_exit_70_with_one_line_to_report() {
    let ran = Place::new().run("ticket-fault --how panic");
    assert_eq!((ran.exit, ran.stderr.lines().count()), (Some(70), 2), "{ran:?}");
    let refused = ran.refused(70);
    assert!(refused.starts_with("error[bug]: ") && refused.ends_with(": no ticket"), "{refused}");
}

#[test]
fn a_document_that_the_tool_did_not_announce_is_our_bug() {
    let place = Place::new();
    let refused = place.run_with("ticket-fault --how undeclared", "{}").refused(70);
    assert_eq!(refused, "error[bug]: reads `entry` without saying so");
}

#[test]
fn words_of_a_peer_cannot_command_the_terminal() {
    let refused = Place::new().run("ticket-fault --how hostile").refused(6);
    assert_eq!(refused, "error[peer_refused]: server said \\u{1b}[31mno");
}

#[test]
fn sigint_ends_a_tool_with_130() {
    let place = Place::new();
    for line in ["ticket-check --now 1", "ticket-check --now 1 --ask -v"] {
        let mut child = place.start(line);
        // Waiting for the child would close its stdin, which is an end of its own.
        let mut stdin = child.stdin.take();
        if line.contains("--ask") {
            stdin.take().unwrap().write_all(TICKET.as_bytes()).unwrap();
        }
        wait_until(|| watches(&child, 2));
        signal(&child, "INT");
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.refused(130), "error[interrupted]: stopped by SIGINT", "{line}");
        drop(stdin);
    }
}

/// Whether the process has its own handler for a signal.
fn watches(child: &Child, signal: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
    u64::from_str_radix(caught, 16).unwrap() & (1 << (signal - 1)) != 0
}

fn wait_until(done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < 20, "nothing happened for 20 s");
        std::thread::yield_now();
    }
}

#[test]
fn a_server_drains_on_sigterm_and_sigint_and_says_which() {
    let place = Place::new();
    for (name, exit) in [("TERM", 143), ("INT", 130)] {
        let mut child = place.start("ticket-serve --now 7");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "{\"type\":\"entry\",\"v\":1,\"name\":\"ready\",\"entered_at\":7}\n");
        signal(&child, name);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "{\"type\":\"entry\",\"v\":1,\"name\":\"drained\",\"entered_at\":7}\n");
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.exit, ran.stderr.as_str()), (Some(exit), ""));
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    let mut child = place.start("ticket-serve --stubborn");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("ready"));
    signal(&child, "TERM");
    assert!(lines.next().unwrap().contains("drained"));
    assert_eq!(child.try_wait().unwrap(), None);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_server_outlives_its_stdout_and_a_failed_task() {
    let place = Place::new();
    let mut child = place.start("ticket-serve --panic");
    drop(child.stdout.take());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut warning = String::new();
    stderr.read_line(&mut warning).unwrap();
    assert!(warning.starts_with("ticket-serve: warning[task_panicked]: "), "{warning}");
    assert_eq!(child.try_wait().unwrap(), None);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn version_help_schema_man_and_completions_need_nothing_else() {
    let place = Place::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(place.run("ticket-issue -V").ok(), format!("ticket-issue {version}\n"));
    let verbose = place.run("ticket-issue --version --verbose").ok();
    assert!(verbose.starts_with(&format!("ticket-issue {version}\nticket 1\nbuild ")), "{verbose}");
    assert!(place.run("ticket-issue -h").ok().lines().count() <= 24);
    let schema: Value = serde_json::from_str(&place.run("ticket-issue --schema").ok()).unwrap();
    assert!(schema.get("stdin").is_none());
    assert_eq!(schema["stdout"]["properties"]["type"]["const"], "ticket");
    assert!(place.run("ticket-issue --completions bash").ok().contains("ticket-issue"));
    assert!(place.run("ticket-issue --completions csh").refused(2).starts_with("error[usage]"));
}

#[test]
fn help_and_man_page_have_their_sections_in_order() {
    let place = Place::new();
    let help = place.run("ticket-check --help").ok();
    let headings = |text: &str, prefix: &str| -> Vec<String> {
        let titled = |line: &str| Some(line.strip_prefix(prefix)?.trim_matches('"').to_owned());
        let capital = |title: &String| title.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') && title.len() > 2;
        text.lines().filter_map(titled).filter(capital).collect()
    };
    assert_eq!(headings(&help, ""), ["USAGE", "OPTIONS", "EXAMPLES", "JSON", "EXIT STATUS", "ENVIRONMENT"]);
    assert!(help.contains("  1    the ticket has expired\n"), "{help}");
    assert!(help.contains("  GRP_TIMEOUT        --timeout\n"), "{help}");
    let man = place.run("ticket-check --man").ok();
    let sections =
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "JSON", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"];
    assert_eq!(headings(&man, ".SH "), sections);
}
