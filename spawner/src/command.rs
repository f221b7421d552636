//! Relays by way of a program that the operator brings: for every machinery that is not known here.
//!
//! The program is run as `PROGRAM start NAME`, `PROGRAM stop NAME` and `PROGRAM list`. It ends with code 0 when it did it.
//! - `start` has a relay run, with `RELAY_NAME`, `DIRECTORY_URL` and `JOIN_TOKEN` from its environment; back before it has joined.
//! - `stop` has it end by SIGTERM or the like, on which it sends its people away; back before it has ended. Stopping what is
//!   gone is no failure.
//! - `list` prints a line for each relay: its name, then `running`, `stopping` or `ended`; a name alone is a running one.

use std::{path::PathBuf, process::Stdio, time::Duration};

use async_trait::async_trait;
use protocol::RelayName;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{Join, Phase, SpawnError, Spawned, Spawner};

/// Most bytes that are read from the program: a list of thousands of relays.
const OUTPUT_BYTES_MAX: u64 = 256 * 1024;

/// Most characters of its words that are told on.
const WORDS_CHARS_MAX: usize = 300;

/// How the program is run.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// The program.
    pub program: PathBuf,
    /// How long each of its runs may take.
    pub time_max: Duration,
    /// What relays join with.
    pub join: Join,
}

/// Runs the operator's program.
#[derive(Debug)]
pub struct Command {
    config: CommandConfig,
}

impl Command {
    /// Nothing runs yet.
    #[must_use]
    pub const fn new(config: CommandConfig) -> Self {
        Self { config }
    }

    async fn run(&self, arguments: &[&str], environment: &[(&str, String)]) -> Result<Vec<u8>, SpawnError> {
        let what = format!("{} {}", self.config.program.display(), arguments.join(" "));
        let mut command = tokio::process::Command::new(&self.config.program);
        command.args(arguments).env_remove("JOIN_SECRET").env_remove("JOIN_TOKEN").envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn().map_err(SpawnError::io(format!("starting {what}")))?;
        let group = Group::of(&process);
        let (out, err) = (process.stdout.take(), process.stderr.take());
        let told = async {
            let (out, err, status) = tokio::join!(read_bounded(out), read_bounded(err), process.wait());
            (out, err, status)
        };
        let time_max = self.config.time_max;
        let Ok((out, err, status)) = tokio::time::timeout(time_max, told).await else {
            group.kill();
            return Err(SpawnError::TooLong { what, time_max });
        };
        let status = status.map_err(SpawnError::io(what.clone()))?;
        let refused = |said: String| Err(SpawnError::Refused { what: what.clone(), said });
        if !status.success() {
            return refused(format!("{status}, {}", shortened(&err)));
        }
        if out.len() as u64 > OUTPUT_BYTES_MAX {
            return refused(format!("it printed more than {OUTPUT_BYTES_MAX} bytes"));
        }
        Ok(out)
    }
}

#[async_trait]
impl Spawner for Command {
    async fn start(&self, name: &RelayName) -> Result<(), SpawnError> {
        self.run(&["start", name.as_str()], &self.config.join.environment(name)).await.map(drop)
    }

    async fn stop(&self, name: &RelayName) -> Result<(), SpawnError> {
        self.run(&["stop", name.as_str()], &[("RELAY_NAME", name.to_string())]).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<Spawned>, SpawnError> {
        let out = self.run(&["list"], &[]).await?;
        let text = String::from_utf8_lossy(&out);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(listed).collect()
    }
}

fn listed(line: &str) -> Result<Spawned, SpawnError> {
    let refused = || SpawnError::Refused { what: "the program's list".into(), said: shortened(line.as_bytes()) };
    let mut words = line.split_whitespace();
    let name = words.next().and_then(|word| word.parse().ok()).ok_or_else(refused)?;
    let phase = match words.next() {
        None | Some("running") => Phase::Running,
        Some("stopping") => Phase::Stopping,
        Some("ended") => Phase::Ended,
        Some(_) => return Err(refused()),
    };
    Ok(Spawned { name, phase, restarts: 0, address: None })
}

/// Reads to the end, and keeps up to one byte more than is allowed; the rest is read away, so that the program can end.
async fn read_bounded(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        // A pipe that breaks ends what can be read; the exit code says whether the program went well.
        let _ = (&mut pipe).take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    kept
}

fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() { "nothing said".into() } else { text.chars().take(WORDS_CHARS_MAX).collect() }
}

/// The program with everything it has started.
struct Group {
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
}

impl Group {
    #[cfg(unix)]
    fn of(process: &tokio::process::Child) -> Self {
        Self { id: process.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) }
    }

    #[cfg(not(unix))]
    fn of(_: &tokio::process::Child) -> Self {
        Self {}
    }

    /// Called while the leader is not waited for, so that its number is still its own.
    #[cfg(unix)]
    fn kill(&self) {
        if let Some(id) = self.id {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }

    #[cfg(not(unix))]
    fn kill(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_list_are_names_with_or_without_a_phase() {
        assert_eq!(listed("relay-1").unwrap().phase, Phase::Running);
        assert_eq!(listed("relay-1  stopping").unwrap().phase, Phase::Stopping);
        assert_eq!(listed("relay-1 ended").unwrap().phase, Phase::Ended);
        for line in ["Relay 1", "relay-1 dancing"] {
            assert!(listed(line).is_err(), "{line}");
        }
    }
}
