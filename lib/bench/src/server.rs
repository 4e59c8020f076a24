//! A running `smp-serve`, pinned to one core, with an eye on its memory and processor time.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Deserialize;

use crate::Failure;

/// The core that servers run on; load comes from the others.
const CORE: &str = "0";

/// The server, its ready line, and the folder it keeps its state in. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    ready: Ready,
    _stdout: BufReader<ChildStdout>,
    folder: Option<tempfile::TempDir>,
}

#[derive(Deserialize)]
struct Ready {
    address: String,
    http: Option<String>,
    queues: usize,
}

impl Server {
    /// Starts a server with durable state of its own and waits until it listens.
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::start_with(&[])
    }

    /// The same with flags besides.
    pub(crate) fn start_with(flags: &[&str]) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let mut server = Self::spawn(folder.path(), flags)?;
        server.folder = Some(folder);
        Ok(server)
    }

    /// Starts a server on the state in a folder.
    pub(crate) fn start_in(folder: &Path) -> Result<Self, Failure> {
        Self::spawn(folder, &[])
    }

    fn spawn(folder: &Path, flags: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new("taskset")
            .args(["--cpu-list", CORE])
            .arg(program("smp-serve")?)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
                "--max-connections-per-address",
                "100000",
                "--quiet",
            ])
            .args(flags)
            .arg("--identity")
            .arg(folder.join("identity"))
            .arg("--store")
            .arg(format!("sqlite://{}", folder.join("state.sqlite").display()))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let ready = serde_json::from_str(&line)?;
        Ok(Server { child, ready, _stdout: stdout, folder: None })
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> &str {
        &self.ready.address
    }

    /// How many queues it found at its start.
    pub(crate) fn queues(&self) -> usize {
        self.ready.queues
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<f64, Failure> {
        resident(&self.child.id().to_string())
    }

    /// Seconds of processor time used so far, in user mode and in the kernel.
    pub(crate) fn processor_time(&self) -> Result<f64, Failure> {
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').ok_or("no process name")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |field: usize| -> Result<f64, Failure> { Ok(fields.get(field).ok_or("short stat")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// The value of a counter that the server publishes.
    pub(crate) fn counter(&self, name: &str) -> Result<f64, Failure> {
        let http = self.ready.http.as_deref().ok_or("the server has no HTTP address")?;
        let metrics = get(http, "/metrics")?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| format!("no metric {name}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of the measuring process in bytes.
pub(crate) fn memory_of_this_process() -> Result<f64, Failure> {
    resident("self")
}

fn resident(process: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    Ok(kibibytes.ok_or("no VmRSS")?.trim().parse::<f64>()? * 1024.0)
}

/// One request over plain HTTP on loopback.
fn get(host: &str, path: &str) -> Result<String, Failure> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(host.trim_start_matches("http://").trim_end_matches('/'))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// A program of this project, built beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if path.exists() { Ok(path) } else { Err(format!("{name} is not built: use scripts/bench").into()) }
}
