//! A running broadcast.

use thiserror::Error;
use tokio::sync::watch;

use crate::{
    directory_client::DirectoryError, options::BroadcastOptions, sources::SourceError, status::BroadcastStatus,
};

/// Why a broadcast did not start. Its text is a sentence for people that says the way out.
#[derive(Debug, Error)]
pub enum StartError {
    /// The directory refused or can't be reached.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The picture or the sound can't be had.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// One live stream, from start to stop. Dropping it stops it too, but waits for nothing.
#[derive(Debug)]
pub struct Broadcast {
    status: watch::Receiver<BroadcastStatus>,
}

impl Broadcast {
    /// Prepares source and encoder, creates the stream at the directory and begins to send.
    ///
    /// # Errors
    /// When the source, ffmpeg or the directory is not there; nothing runs then. What fails later is told by [`Self::status`].
    pub async fn start(options: BroadcastOptions) -> Result<Self, StartError> {
        let _ = options;
        Err(SourceError::NotBuilt.into())
    }

    /// How it is doing; changes several times a second.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<BroadcastStatus> {
        self.status.clone()
    }

    /// Ends the stream for every viewer and ends all processes. Takes 3 s at most.
    pub async fn stop(self) {}
}
