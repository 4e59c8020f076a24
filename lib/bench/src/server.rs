//! A running `smp-serve`, pinned to one core.

use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::program::Program;

/// The core that servers run on; load comes from the others.
const CORE: &str = "0";

/// The server, its ready line, and the folder it keeps its state in. Killed when dropped.
pub(crate) struct Server {
    program: Program,
    ready: Ready,
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
        let (program, ready) = Program::start("smp-serve", CORE, |command| {
            command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
            command.args(["--max-connections-per-address", "100000", "--quiet"]).args(flags);
            command.arg("--identity").arg(folder.join("identity"));
            command.arg("--store").arg(format!("sqlite://{}", folder.join("state.sqlite").display()));
        })?;
        Ok(Server { program, ready, folder: None })
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
        self.program.memory()
    }

    /// Seconds of processor time used so far.
    pub(crate) fn processor_time(&self) -> Result<f64, Failure> {
        self.program.processor_time()
    }

    /// The value of a counter that the server publishes.
    pub(crate) fn counter(&self, name: &str) -> Result<f64, Failure> {
        let http = self.ready.http.as_deref().ok_or("the server has no HTTP address")?;
        let metrics = get(http, "/metrics")?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| format!("no metric {name}").into())
    }
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
