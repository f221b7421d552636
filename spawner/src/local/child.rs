//! One relay's process: started under a guard that ends it with us, started again when it ends by itself, counted.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use protocol::RelayName;
use tokio::{
    process::{ChildStdin, Command},
    sync::Notify,
    time::Instant,
};
use tracing::{info, warn};

use super::{House, log_file::LogFile};
use crate::{Phase, SpawnError, Spawned};

/// The guard's program. It is a shell because setting a death signal between fork and exec is unsafe code, and because the
/// kernel sends one when the *thread* ends that has started the process.
const GUARD: &str = include_str!("guard.sh");

/// Pause before a relay that has ended by itself is started again; doubles with each time in a row.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(250);

/// The longest of these pauses: head-room is missing meanwhile.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often in a row: what ended that often does not run here.
const RESTARTS_IN_A_ROW_MAX: u32 = 5;

/// A process that has lived so long ended for a new reason.
const WELL_TIME: Duration = Duration::from_secs(60);

/// Variables of our environment that a relay may have. All others stay here: the secrets of this process are not a relay's.
const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CA_FILE",
    "TLS_CERT",
    "TLS_KEY",
    "GRACE_SECONDS",
    "DRAIN_SECONDS",
];

/// Those that begin like this are settings of relays, for all that are started here.
const INHERITED_PREFIX: &str = "RELAY_";

/// What a process is started with.
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) log: PathBuf,
    pub(super) port: u16,
    pub(super) grace: Duration,
}

/// A relay's process as others see it.
#[derive(Debug)]
pub(super) struct Child {
    /// Closing it asks the process to end.
    pipe: Option<ChildStdin>,
    stopped: Arc<Notify>,
    phase: Phase,
    restarts: u32,
    port: u16,
    log: LogFile,
}

impl Child {
    pub(super) fn start(plan: &Plan) -> Result<(Self, tokio::process::Child), SpawnError> {
        let (process, pipe, log) = spawn(plan)?;
        let child = Self { pipe, stopped: Arc::default(), phase: Phase::Running, restarts: 0, port: plan.port, log };
        Ok((child, process))
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn stop(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Stopping;
        }
        self.pipe = None;
        self.stopped.notify_one();
    }

    pub(super) fn describe(&mut self, name: &RelayName) -> Spawned {
        self.log.bound();
        Spawned { name: name.clone(), phase: self.phase, restarts: self.restarts, address: self.log.address() }
    }

    fn replace(&mut self, pipe: Option<ChildStdin>, port: u16, log: LogFile) {
        (self.pipe, self.port, self.log) = (pipe, port, log);
    }
}

fn spawn(plan: &Plan) -> Result<(tokio::process::Child, Option<ChildStdin>, LogFile), SpawnError> {
    let opening = format!("opening the log {}", plan.log.display());
    let (log, out) = LogFile::open(&plan.log).map_err(SpawnError::io(opening.clone()))?;
    let errors = out.try_clone().map_err(SpawnError::io(opening))?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(GUARD).arg("guard").arg(plan.grace.as_secs().to_string()).arg(&plan.program);
    command.env_clear().envs(std::env::vars_os().filter(|(key, _)| {
        let key = key.to_string_lossy();
        INHERITED.contains(&key.as_ref()) || (key.starts_with(INHERITED_PREFIX) && key != "RELAY_PUBLIC_URL")
    }));
    command.envs(plan.environment.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::piped()).stdout(out).stderr(errors);
    // Ctrl-C in a terminal is for this process alone, which then lets its relays send their people away.
    #[cfg(unix)]
    command.process_group(0);
    let mut process = command.spawn().map_err(SpawnError::io(format!("starting {}", plan.program.display())))?;
    let pipe = process.stdin.take();
    Ok((process, pipe, log))
}

/// Waits for the process, and starts the relay again as long as it was not asked to end.
pub(super) async fn keep(house: Arc<House>, name: RelayName, mut process: tokio::process::Child) {
    let mut in_a_row = 0;
    loop {
        let begun = Instant::now();
        let status = process.wait().await;
        let said = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        in_a_row = if begun.elapsed() >= WELL_TIME { 1 } else { in_a_row + 1 };
        let Some(next) = restarted(&house, &name, in_a_row, &said).await else {
            return;
        };
        process = next;
    }
}

async fn restarted(house: &House, name: &RelayName, in_a_row: u32, said: &str) -> Option<tokio::process::Child> {
    let stopped = {
        let mut children = house.children();
        let child = children.get_mut(name)?;
        child.pipe = None;
        if child.phase == Phase::Stopping {
            children.remove(name);
            info!(relay = %name, said, "a local relay has ended");
            return None;
        }
        if in_a_row > RESTARTS_IN_A_ROW_MAX {
            child.phase = Phase::Ended;
            warn!(relay = %name, said, "a local relay ends again and again: it is given up");
            return None;
        }
        child.restarts += 1;
        Arc::clone(&child.stopped)
    };
    let pause = RESTART_PAUSE_MIN.saturating_mul(1 << (in_a_row - 1).min(8)).min(RESTART_PAUSE_MAX);
    warn!(relay = %name, said, "a local relay ended by itself, and is started again");
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stopped.notified() => {}
    }
    let started = if house.children().get(name)?.phase == Phase::Running {
        house.plan(name).and_then(|plan| Ok((spawn(&plan)?, plan.port)))
    } else {
        house.children().remove(name);
        return None;
    };
    let mut children = house.children();
    let child = children.get_mut(name)?;
    match started {
        Ok(((process, pipe, log), port)) => {
            // A stop that came meanwhile finds the pipe closed.
            let pipe = pipe.filter(|_| child.phase == Phase::Running);
            child.replace(pipe, port, log);
            Some(process)
        }
        Err(error) => {
            warn!(relay = %name, %error, "a local relay can't be started again");
            child.phase = Phase::Ended;
            None
        }
    }
}
