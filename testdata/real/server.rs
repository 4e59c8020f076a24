//! `smp-serve` as a child process.

use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use smp::address::ServerAddress;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// Flags of every server that is not told otherwise.
const USUAL: [(&str, &str); 3] =
    [("--listen", "127.0.0.1:0"), ("--identity", "identity"), ("--store", "sqlite://queues.sqlite")];

/// Waits for something that will happen unless there is a bug.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

/// A folder in which servers run, one after the other.
pub(crate) struct Place(TempDir);

/// A running server; it is killed when the value is dropped.
pub(crate) struct Server {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    /// The ready line.
    pub(crate) ready: Value,
    pub(crate) address: ServerAddress,
}

/// How a server ended on its own.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Place(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smp-serve"));
        for (flag, value) in USUAL.into_iter().filter(|(flag, _)| !flags.contains(flag)) {
            command.args([flag, value]);
        }
        command.args(flags).current_dir(self.0.path()).env_clear().kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a server and waits until it can be reached.
    pub(crate) async fn start(&self, flags: &[&str]) -> Server {
        self.ready(self.command(flags)).await
    }

    /// Starts a server in the folder `disk`, which holds so many MiB and ends with the server. `None` where only an
    /// administrator could make such a disk.
    pub(crate) async fn start_on_small_disk(&self, mib: u32, flags: &[&str]) -> Option<Server> {
        fs::create_dir(self.path("disk")).unwrap();
        let mount = format!("mount -t tmpfs -o size={mib}m tmpfs disk");
        let with_disk = |script: String| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &script, "sh"]).current_dir(self.0.path()).kill_on_drop(true);
            command
        };
        if !with_disk(mount.clone()).output().await.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let server = self.command(&[flags, &["--store", "sqlite://disk/queues.sqlite"]].concat()).into_std();
        let mut command = with_disk(format!("{mount} && exec \"$@\""));
        command.arg(server.get_program()).args(server.get_args()).stdin(Stdio::null()).stdout(Stdio::piped());
        Some(self.ready(command).await)
    }

    async fn ready(&self, mut command: Command) -> Server {
        let log = self.path("stderr");
        let mut child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        soon("the ready line", stdout.read_line(&mut line)).await.unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            panic!("not ready: {line:?}; {}", fs::read_to_string(log).unwrap());
        };
        let address = ready["address"].as_str().unwrap().parse().unwrap();
        Server { child, stdout: Some(stdout), ready, address }
    }

    /// Starts a server and kills it a moment later, ready or not.
    pub(crate) async fn start_and_kill_after(&self, moment: Duration) {
        let mut child = self.command(&[]).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(moment).await;
        child.kill().await.unwrap();
    }

    /// Starts a server and kills it when it has made a file of this name, wherever that is.
    pub(crate) async fn start_and_kill_once_there_is(&self, file: &str) {
        let mut child = self.command(&[]).stderr(Stdio::null()).spawn().unwrap();
        soon(file, async {
            while !contains(self.0.path(), file) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        child.kill().await.unwrap();
    }

    /// Runs a server that ends on its own.
    pub(crate) async fn run(&self, flags: &[&str]) -> Ended {
        let output = soon("the end", self.command(flags).output()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Server {
    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        soon("death", self.child.kill()).await.unwrap();
    }

    /// Sends a signal such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let order = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &order]).status().await.unwrap().success());
    }

    /// A page of the `--http` address, with its head.
    pub(crate) async fn page(&self, path: &str) -> String {
        let mut http = TcpStream::connect(self.ready["http"].as_str().unwrap()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        http.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        soon("a page", http.read_to_string(&mut page)).await.unwrap();
        page
    }

    /// Waits until the server has ended; also what it printed after the ready line.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        if let Some(stdout) = &mut self.stdout {
            soon("the end of stdout", stdout.read_to_string(&mut rest)).await.unwrap();
        }
        (soon("the end", self.child.wait()).await.unwrap(), rest)
    }

    /// Nobody reads what the server prints from now on.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// The most memory that it ever used, in MiB.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }
}

fn contains(folder: &Path, file: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.ends_with(file) || contains(&path, file))
}
