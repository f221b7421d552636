//! The clock of a media file that is played: its picture and its sound come from two processes and share it, so that they stay
//! in sync whatever either is delayed by.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::package::timeline::Anchor;

/// Tells when a place in the file is played, by this machine's clock.
#[derive(Debug, Default)]
pub(crate) struct MediaClock(Mutex<Anchor>);

impl MediaClock {
    /// A sample at `time_us` of the file arrived at `now_us`; when it is played.
    pub(crate) fn arrived(&self, time_us: u64, now_us: u64) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).arrived(time_us, now_us)
    }

    /// When a place in the file is played; `None` before the first arrival.
    pub(crate) fn at(&self, time_us: u64) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at(time_us)
    }

    /// The place in the file that is played at `now_us`; `None` before the first arrival.
    pub(crate) fn place(&self, now_us: u64) -> Option<Duration> {
        let anchor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Duration::from_micros(now_us.saturating_sub(anchor.at(0)?)))
    }

    /// The file begins again.
    pub(crate) fn restart(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Anchor::default();
    }
}
