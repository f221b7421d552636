//! What a relay has confirmed on one connection.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How far apart the moments are that figures are made of.
const FIGURES_INTERVAL: Duration = Duration::from_millis(250);

/// Figures are averages over this long.
const FIGURES_WINDOW: Duration = Duration::from_secs(2);

/// What has arrived, and when that last grew.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) chunks: u64,
    pub(super) grew_at: Instant,
    pub(super) bytes: u64,
    /// When, and how many bytes and frames by then.
    history: VecDeque<(Instant, u64, u64)>,
}

impl Confirmed {
    /// Nothing yet; `frames` were encoded before.
    pub(super) fn new(frames: u64, now: Instant) -> Self {
        Self { chunks: 0, bytes: 0, grew_at: now, history: VecDeque::from([(now, 0, frames)]) }
    }

    /// The relay has told its counts; whether more has arrived.
    pub(super) fn more(&mut self, chunks: u64, bytes: u64, now: Instant) -> bool {
        let grew = chunks > self.chunks;
        if grew {
            (self.chunks, self.bytes, self.grew_at) = (chunks, self.bytes.max(bytes), now);
        }
        grew
    }

    /// Bitrate in kbit/s and encoded frames per second over the last moment.
    pub(super) fn figures(&mut self, frames: u64, now: Instant) -> (u32, f32) {
        if self.history.back().is_none_or(|&(at, ..)| now - at >= FIGURES_INTERVAL) {
            self.history.push_back((now, self.bytes, frames));
        }
        while self.history.len() > 2 && now - self.history[0].0 > FIGURES_WINDOW {
            self.history.pop_front();
        }
        let (at, bytes_then, frames_then) = self.history[0];
        let seconds = (now - at).as_secs_f64();
        if seconds < FIGURES_INTERVAL.as_secs_f64() {
            return (0, 0.0);
        }
        let per_second = |count: u64| count as f64 / seconds;
        let kbit_s = per_second((self.bytes - bytes_then) * 8) / 1_000.0;
        let frame_rate = (per_second(frames - frames_then) * 10.0).round() / 10.0;
        (kbit_s.round() as u32, frame_rate as f32)
    }
}
