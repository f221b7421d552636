//! One relay's process: started under a guard, or found running; started again when it fails by itself; counted.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use protocol::RelayName;
use tokio::{process, sync::Notify, time::Instant};
use tracing::{info, warn};

use super::{
    House,
    guard::{self, Plan},
    log_file::LogFile,
    pipe::Pipe,
};
use crate::{Phase, SpawnError, Spawned};

/// Pause before a relay that has failed by itself is started again; doubles with each time in a row.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(250);

/// The longest of these pauses: head-room is missing meanwhile.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often in a row: what ended that often does not run here.
const RESTARTS_IN_A_ROW_MAX: u32 = 5;

/// A process that has lived so long ended for a new reason.
const WELL_TIME: Duration = Duration::from_secs(60);

/// How often is looked whether a relay that another process has started still runs: only its parent is told when it ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A relay's process as others see it.
#[derive(Debug)]
pub(super) struct Child {
    pipe: Option<Pipe>,
    stopped: Arc<Notify>,
    phase: Phase,
    restarts: u32,
    port: u16,
    log: LogFile,
}

/// What is waited for.
#[derive(Debug)]
pub(super) enum Process {
    /// Started here.
    Own(process::Child),
    /// Started by a process before this one, which has ended.
    Adopted,
}

impl Child {
    pub(super) fn start(plan: &Plan) -> Result<(Self, Process), SpawnError> {
        let (process, pipe, log) = spawn(plan)?;
        let stopped = Arc::default();
        let child = Self { pipe: Some(pipe), stopped, phase: Phase::Running, restarts: 0, port: plan.port, log };
        Ok((child, Process::Own(process)))
    }

    /// A relay that runs already.
    pub(super) fn adopt(log: LogFile, pipe: Pipe) -> Self {
        Self { pipe: Some(pipe), stopped: Arc::default(), phase: Phase::Running, restarts: 0, port: 0, log }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// The port it was given; 0 when it has taken one by itself, or when that is not known.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn stop(&mut self) -> std::io::Result<()> {
        if self.phase == Phase::Running {
            self.phase = Phase::Stopping;
        }
        self.stopped.notify_one();
        self.pipe.as_mut().map_or(Ok(()), Pipe::stop)
    }

    pub(super) fn describe(&mut self, name: &RelayName) -> Spawned {
        self.log.bound();
        Spawned { name: name.clone(), phase: self.phase, restarts: self.restarts, address: self.log.address() }
    }

    fn replace(&mut self, pipe: Pipe, port: u16, log: LogFile) {
        (self.pipe, self.port, self.log) = (Some(pipe), port, log);
    }
}

fn spawn(plan: &Plan) -> Result<(process::Child, Pipe, LogFile), SpawnError> {
    let (log, file) =
        LogFile::open(&plan.log).map_err(SpawnError::io(format!("opening the log {}", plan.log.display())))?;
    let pipe = Pipe::open(&plan.pipe).map_err(SpawnError::io(format!("opening the pipe {}", plan.pipe.display())))?;
    let process = guard::run(plan, file).map_err(SpawnError::io(format!("starting {}", plan.program.display())))?;
    Ok((process, pipe, log))
}

/// Waits for the process, and starts the relay again as long as it was not to end.
pub(super) async fn keep(house: Arc<House>, name: RelayName, mut process: Process) {
    let mut in_a_row = 0;
    loop {
        let begun = Instant::now();
        let ended = match process {
            Process::Own(mut own) => own.wait().await.into(),
            Process::Adopted => {
                while house.children().get(&name).is_some_and(|child| child.log.is_written().unwrap_or(true)) {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
                End::UNKNOWN
            }
        };
        in_a_row = if begun.elapsed() >= WELL_TIME { 1 } else { in_a_row + 1 };
        let Some(next) = restarted(&house, &name, in_a_row, &ended).await else {
            return;
        };
        process = Process::Own(next);
    }
}

/// How a process has ended.
struct End {
    said: String,
    /// Whether it was to end: what fails by itself is started again, what an operator has drained is not.
    wanted: bool,
}

impl End {
    /// What becomes of a relay whose end nobody saw is decided anew.
    const UNKNOWN: Self = Self { said: String::new(), wanted: true };
}

impl From<std::io::Result<ExitStatus>> for End {
    fn from(status: std::io::Result<ExitStatus>) -> Self {
        match status {
            Ok(status) => Self { said: status.to_string(), wanted: status.success() },
            Err(error) => Self { said: error.to_string(), wanted: false },
        }
    }
}

async fn restarted(house: &House, name: &RelayName, in_a_row: u32, end: &End) -> Option<process::Child> {
    let said = &end.said;
    let stopped = {
        let mut children = house.children();
        let child = children.get_mut(name)?;
        child.pipe = None;
        if child.phase == Phase::Stopping || end.wanted {
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
            child.replace(pipe, port, log);
            // A stop that came meanwhile had nobody to tell.
            if child.phase == Phase::Stopping
                && let Err(error) = child.stop()
            {
                warn!(relay = %name, %error, "a local relay could not be stopped");
            }
            Some(process)
        }
        Err(error) => {
            warn!(relay = %name, %error, "a local relay can't be started again");
            child.phase = Phase::Ended;
            None
        }
    }
}
