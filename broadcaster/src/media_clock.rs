//! The clock of a media file that is played: its picture and its sound come from two processes and share it, so that they stay
//! in sync whatever either is delayed by.

use std::sync::{Mutex, PoisonError};

use crate::package::timeline::Anchor;

/// Tells when a place in the file is played, by this machine's clock.
#[derive(Debug, Default)]
pub(crate) struct MediaClock(Mutex<Anchor>);

impl MediaClock {
    /// A sample at `time_us` of the file arrived at `now_us`; when it is played.
    pub(crate) fn arrived(&self, time_us: u64, now_us: u64) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).arrived(time_us, now_us)
    }

    /// The file begins again.
    pub(crate) fn restart(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Anchor::default();
    }
}
