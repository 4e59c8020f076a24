//! An owner's programs and the relays they invite, killed at any moment, and the server with them: each relay is invited
//! once, checked, published and removed, whatever was cut off.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use store::rusqlite::{Connection, OpenFlags};

use crate::connections::World;
use crate::server::soon;

/// Runs that are killed before one may end.
const KILLS: u64 = 12;
/// A run of the owner does its work within about so many milliseconds.
const MOMENT: u64 = 400;

/// A relay as a process.
pub(crate) struct Relay {
    name: &'static str,
    flags: &'static str,
    child: Child,
    pub(crate) address: String,
}

impl Relay {
    /// Starts it in a folder of its name, with a trace there.
    pub(crate) async fn start(world: &World, name: &'static str) -> Self {
        Relay::start_with(world, name, "").await
    }

    async fn start_with(world: &World, name: &'static str, flags: &'static str) -> Self {
        let folder = world.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let line = format!("relay-serve --server {} --name {name} --trace trace --quiet {flags}", world.address());
        let mut command = world.command(&line);
        let mut child = command.current_dir(folder).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        soon("the relay", stdout.read_line(&mut line)).await.unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Relay { name, flags, child, address: ready["address"].as_str().unwrap().to_owned() }
    }

    /// `kill -9`, and another process in its place.
    pub(crate) async fn again(mut self, world: &World) -> Self {
        self.child.kill().await.unwrap();
        let again = Relay::start_with(world, self.name, self.flags).await;
        assert_eq!(again.address, self.address);
        again
    }

    /// What the relay's log says, one object for each line.
    pub(crate) async fn log(&self, world: &World) -> Vec<Value> {
        let command = world.command(&format!("relay-log --control {}/relay.sock", self.name));
        let output = world.attempt(command, "", None).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        crate::connections::lines(&String::from_utf8(output.stdout).unwrap())
    }
}

/// Creates a group whose document is in `file`.
pub(crate) async fn create_group(world: &World, file: &str) {
    let keys = world.attempt(world.command("grp-keygen"), "", None).await.unwrap().stdout;
    let line = format!("grp-link-create --server {} --name Walks --out {file}", world.address());
    let created = world.attempt(world.command(&line), &String::from_utf8(keys).unwrap(), None).await.unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
}

/// Runs a program to its end.
pub(crate) async fn run(world: &World, line: &str) -> Value {
    let output = world.attempt(world.command(line), "", None).await.unwrap();
    assert!(output.status.success(), "{line}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command again and again, with everybody killed now and then, until it has said that it is done.
async fn persist(world: &mut World, relays: &mut [Option<Relay>; 2], line: &str) -> Value {
    for _ in 0..KILLS {
        let moment = Duration::from_millis(world.below(MOMENT));
        world.attempt(world.command(line), "", Some(moment)).await;
        match world.below(8) {
            0 => world.restart_server().await,
            number @ 1..3 => {
                let relay = &mut relays[usize::try_from(number - 1).unwrap()];
                *relay = Some(relay.take().unwrap().again(world).await);
            }
            _ => {}
        }
    }
    run(world, line).await
}

#[tokio::test]
async fn relays_are_invited_once_and_removed_whatever_is_killed() {
    let mut world = World::new("127.0.0.91").await;
    let mut relays = [Some(Relay::start(&world, "ray").await), Some(Relay::start(&world, "rob").await)];
    let [ray, rob] = relays.each_ref().map(|relay| relay.as_ref().unwrap().address.clone());
    let keys = world.attempt(world.command("grp-keygen"), "", None).await.unwrap().stdout;
    let create = world.command(&format!("grp-link-create --server {} --name Walks --out group.json", world.address()));
    let created = world.attempt(create, &String::from_utf8(keys).unwrap(), None).await.unwrap();
    let created: Value = serde_json::from_slice(&created.stdout).unwrap();
    let link = created["link"].as_str().unwrap();

    let invite = format!("grp-relay-invite --state group.json --relay {ray} --relay {rob} --timeout 60");
    let invited = persist(&mut world, &mut relays, &invite).await;
    for record in invited["relay_records"].as_array().unwrap() {
        assert_eq!((&record["status"], &record["stage"]), (&"active".into(), &"confirmed".into()), "{record}");
        assert_eq!(record["bound_by"], "fixed_data");
    }
    let verified = run(&world, &format!("grp-link-verify {link}")).await;
    let names: Vec<&Value> =
        verified["relays"].as_array().unwrap().iter().map(|relay| &relay["profile"]["displayName"]).collect();
    assert_eq!((names.len(), verified["relay_links"].as_array().unwrap().len()), (2, 2));
    for relay in relays.iter().flatten() {
        let log = relay.log(&world).await;
        let invitations = log.iter().filter(|line| line["event"] == "invited").count();
        assert_eq!(invitations, 1, "{}: {log:?}", relay.name);
    }

    persist(&mut world, &mut relays, &format!("grp-relay-remove --state group.json {rob} --timeout 60")).await;
    let last = format!("grp-relay-remove --state group.json {ray} --last --timeout 60");
    let removed = persist(&mut world, &mut relays, &last).await;
    for record in removed["relay_records"].as_array().unwrap() {
        assert_eq!((&record["status"], &record["reason"]), (&"inactive".into(), &"removed".into()), "{record}");
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(world.path("group.json")).unwrap()).unwrap();
    assert!(kept.get("connections").is_none(), "no connection is left");
    let verified = run(&world, &format!("grp-link-verify {link}")).await;
    assert_eq!(verified["relay_links"].as_array().unwrap().len(), 0);
    for relay in relays.iter().flatten() {
        soon("a relay that ends its service", async {
            let ended = |line: &Value| line["event"] == "status" && line["status"] == "inactive";
            while !relay.log(&world).await.iter().any(ended) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

/// How often the owner and the relay are killed, each at a moment of its own.
const MOMENTS: u64 = 30;
/// Groups that the relay serves; it refuses further ones.
const SERVED: usize = 12;
/// A run of the owner leaves about so many lines of trace.
const LINES: u64 = 40;

/// Waits for a moment in the owner's work: until there are so many lines of its trace, or for so long.
async fn moment(world: &mut World, trace: &std::path::Path) {
    let (line, delay) = (world.below(LINES), Duration::from_millis(world.below(MOMENT)));
    if world.below(2) == 0 {
        return tokio::time::sleep(delay).await;
    }
    let written = || std::fs::read_to_string(trace).map_or(0, |trace| trace.lines().count());
    let reached = async {
        while u64::try_from(written()).unwrap() < line {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // The run may have less to do.
    let _ = tokio::time::timeout(Duration::from_millis(2 * MOMENT), reached).await;
}

/// How the relay stands with a group, as its owner has it.
fn standing(world: &World, file: &str) -> Option<(String, Option<String>)> {
    let kept: Value = serde_json::from_slice(&std::fs::read(world.path(file)).unwrap()).unwrap();
    let records = kept.get("relay_records")?.as_array()?;
    assert!(records.len() <= 1, "one relay was invited: {records:?}");
    let text = |name: &str| records.first()?.get(name)?.as_str().map(str::to_owned);
    Some((text("status")?, text("stage").or_else(|| text("reason"))))
}

fn count(world: &World, file: &str, sql: &str) -> usize {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(world.path(file), flags).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn is_settled(standing: Option<&(String, Option<String>)>) -> bool {
    standing.is_some_and(|(status, detail)| match status.as_str() {
        "active" => detail.as_deref() == Some("confirmed"),
        "rejected" => true,
        _ => false,
    })
}

#[tokio::test]
async fn chat_35_thirty_kills_of_owner_and_relay_leave_one_service_and_one_link_for_each_group() {
    let mut world = World::new("127.0.0.92").await;
    let mut relay = Relay::start_with(&world, "ray", "--max-groups 12").await;
    let invite = |world: &World, file: &str, address: &str| {
        world.command(&format!("grp-relay-invite --state {file} --relay {address} --timeout 60 --trace trace --quiet"))
    };
    let mut groups: Vec<String> = Vec::new();
    for _ in 0..MOMENTS {
        let unsettled = groups.iter().find(|file| !is_settled(standing(&world, file).as_ref())).cloned();
        let file = match unsettled {
            Some(file) => file,
            None => {
                let file = format!("group{}.json", groups.len());
                create_group(&world, &file).await;
                groups.push(file.clone());
                file
            }
        };
        let trace = world.path("trace");
        let _ = std::fs::remove_file(&trace);
        let mut owner = invite(&world, &file, &relay.address).spawn().unwrap();
        moment(&mut world, &trace).await;
        if world.below(2) == 0 {
            relay = relay.again(&world).await;
            moment(&mut world, &trace).await;
            owner.kill().await.unwrap();
        } else {
            owner.kill().await.unwrap();
            relay = relay.again(&world).await;
        }
        if world.below(6) == 0 {
            world.restart_server().await;
        }
    }
    while groups.len() <= SERVED {
        let file = format!("group{}.json", groups.len());
        create_group(&world, &file).await;
        groups.push(file);
    }
    let mut settled = Vec::new();
    for file in &groups {
        if !is_settled(standing(&world, file).as_ref()) {
            world.attempt(invite(&world, file, &relay.address), "", None).await.unwrap();
        }
        settled.push(standing(&world, file).unwrap());
    }
    let expected = |(status, detail): &(String, Option<String>)| match status.as_str() {
        "active" => detail.as_deref() == Some("confirmed"),
        _ => status == "rejected" && detail.as_deref() == Some("refused"),
    };
    assert!(settled.iter().all(expected), "{settled:?}");
    let active = settled.iter().filter(|(status, _)| status == "active").count();
    assert_eq!(active, SERVED);

    let log = relay.log(&world).await;
    let mut reasons = log.iter().filter(|line| line["status"] == "rejected");
    assert!(reasons.clone().all(|line| line["reason"]["refused"] == "capacity"), "{:?}", reasons.next_back());
    let planned = log.iter().filter(|line| line["event"] == "link_planned").count();
    let invited = log.iter().filter(|line| line["event"] == "invited").count();
    assert_eq!((planned, invited), (SERVED, groups.len()), "nothing was begun twice");
    // A group link for each group, a relay link for each that is served, and the relay's address.
    let links = count(&world, "queues.sqlite", "SELECT count(*) FROM queue WHERE link_id IS NOT NULL");
    assert_eq!(links, groups.len() + SERVED + 1);
    let addresses = count(&world, "ray/relay.sqlite", "SELECT count(*) FROM connection WHERE name LIKE 'link-%'");
    assert_eq!(addresses, SERVED);
    let services = "SELECT count(*) FROM relay_record WHERE substr(key, 1, 1) = x'53'";
    assert!(count(&world, "ray/relay.sqlite", services) <= groups.len());
}

/// Copies what a server keeps, or puts the copy in its place.
fn copy_store(folder: &std::path::Path, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let (from, to) = (folder.join(format!("{from}{end}")), folder.join(format!("{to}{end}")));
        let _ = std::fs::remove_file(&to);
        let _ = std::fs::copy(from, to);
    }
}

#[tokio::test]
async fn an_owner_finds_out_that_a_server_returns_old_link_data_and_writes_it_again() {
    let mut world = World::new("127.0.0.93").await;
    let relay = Relay::start(&world, "ray").await;
    create_group(&world, "group.json").await;
    world.restart_server_after(|folder| copy_store(folder, "queues.sqlite", "backup")).await;
    let invite = format!("grp-relay-invite --state group.json --relay {} --timeout 60", relay.address);
    run(&world, &invite).await;
    run(&world, &format!("grp-relay-remove --state group.json {} --last --timeout 60", relay.address)).await;
    let read_back = async |world: &World| {
        let command = world.command("grp-relay-invite --state group.json --timeout 60");
        let output = world.attempt(command, "", None).await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        stderr
    };
    assert_eq!(read_back(&world).await, "");

    world.restart_server_after(|folder| copy_store(folder, "backup", "queues.sqlite")).await;
    let warned = read_back(&world).await;
    assert!(warned.contains("warning[link_withheld]: 127.0.0.93 returns older data"), "{warned}");
    assert_eq!(run(&world, "grp-status group.json").await["link_written"], false);
    assert_eq!(read_back(&world).await, "", "it is written again");
    assert_eq!(run(&world, "grp-status group.json").await["link_written"], true);
}
