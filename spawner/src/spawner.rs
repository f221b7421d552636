//! What every machinery that starts relays can do.

use std::{fmt, io, time::Duration};

use async_trait::async_trait;
use protocol::RelayName;
use thiserror::Error;

use crate::{PortRange, scale::Removal};

/// Where a started relay is in its life, as far as its machinery knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It was started, and was not asked to stop.
    Running,
    /// It was asked to stop, and sends its people away.
    Stopping,
    /// It has ended and will not come back by itself; stopping it clears away what is left.
    Ended,
}

/// One relay that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawned {
    /// Its name.
    pub name: RelayName,
    /// Where it is in its life.
    pub phase: Phase,
    /// How often it ended by itself and was started again; 0 where the machinery doesn't tell.
    pub restarts: u32,
    /// Where it listens, where that is known.
    pub address: Option<String>,
}

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// Every port of the range is taken.
    #[error("no port of {0} is free")]
    NoPort(PortRange),
    /// A file, folder or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program did not end in time.
    #[error("{what} took longer than {} s", .time_max.as_secs())]
    TooLong {
        /// What ran.
        what: String,
        /// The time it had.
        time_max: Duration,
    },
    /// Somebody said no.
    #[error("{what}: {said}")]
    Refused {
        /// What was tried.
        what: String,
        /// What was answered, shortened.
        said: String,
    },
    /// Relays of this machinery come and go at the end of the row only.
    #[error("{name} can't be {tried}: the row of relays ends at {end}")]
    NotLast {
        /// Which relay.
        name: RelayName,
        /// What was tried with it.
        tried: &'static str,
        /// How many relays there are.
        end: i32,
    },
    /// An API could not be reached, or refused.
    #[error("{what}: {source}")]
    Api {
        /// What was tried.
        what: String,
        /// What came back.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SpawnError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn api<E: std::error::Error + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        |source| Self::Api { what, source: Box::new(source) }
    }
}

/// Starts and stops relays. All of it may be asked for twice: starting what runs and stopping what is gone changes nothing.
#[async_trait]
pub trait Spawner: fmt::Debug + Send + Sync {
    /// Has a relay of this name run soon. Back before it has joined.
    ///
    /// # Errors
    /// When it could not be started.
    async fn start(&self, name: &RelayName) -> Result<(), SpawnError>;

    /// Asks this relay to end, which it does once it has sent its people away, and sees to it that it does within a time.
    /// Back before it has ended.
    ///
    /// # Errors
    /// When it could not be asked.
    async fn stop(&self, name: &RelayName) -> Result<(), SpawnError>;

    /// All relays that were started here and are not gone.
    ///
    /// # Errors
    /// When they can't be told.
    async fn list(&self) -> Result<Vec<Spawned>, SpawnError>;

    /// Which relay can be taken away.
    fn removal(&self) -> Removal {
        Removal::Emptiest
    }

    /// Called once, when the process is about to end: ends what can't outlive it.
    async fn close(&self) {}
}
