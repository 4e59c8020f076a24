//! Programs of this project while they run, with an eye on their memory and processor time.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;

use crate::Failure;

/// A program on some cores. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts a program and waits for the line that says that it is ready.
    pub(crate) fn start<T: DeserializeOwned>(
        name: &str,
        cores: &str,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<(Self, T), Failure> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", cores]).arg(program(name)?).stdout(Stdio::piped());
        arguments(&mut command);
        let mut child = command.spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        Ok((Program { child, _stdout: stdout }, serde_json::from_str(&line)?))
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<f64, Failure> {
        memory_of(&self.child.id().to_string(), "VmRSS:")
    }

    /// The most resident memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<f64, Failure> {
        memory_of(&self.child.id().to_string(), "VmHWM:")
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

    /// Ends it in good order.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of the measuring process in bytes.
pub(crate) fn memory_of_this_process() -> Result<f64, Failure> {
    memory_of("self", "VmRSS:")
}

fn memory_of(process: &str, kind: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix(kind)?.strip_suffix("kB"));
    Ok(kibibytes.ok_or("no memory in the status")?.trim().parse::<f64>()? * 1024.0)
}

/// A program of this project, built beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if path.exists() { Ok(path) } else { Err(format!("{name} is not built: use scripts/bench").into()) }
}
