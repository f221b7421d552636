//! How many bits per second the picture may have, decided from how the uplink bears what is sent. The page decides the same; both
//! are tested with the table in `protocol/vectors/uplink_rate.json`. Pure: what was observed goes in. Whole numbers only, so that
//! both come to the same results.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A chunk that has queued for longer is late. Twice in a row, and the line is slower than the picture.
const LATE: Duration = Duration::from_millis(400);

/// A line on which nothing queues for longer has room.
const CALM: Duration = Duration::from_millis(150);

/// The way there and back, which is no queue, is believed up to this: half around the world.
const FAR_MAX: Duration = Duration::from_millis(300);

/// Below this nothing moving can be made out any more, in bits per second.
const BITRATE_MIN: u64 = 200_000;

/// Below this half the frames, each with twice the bits, are easier to read, in bits per second.
const HALF_FRAMES_BELOW: u64 = 500_000;

/// So long there has to be room before more is tried. It doubles with each try that fails.
const CALM_WAIT: Duration = Duration::from_secs(5);
const CALM_WAIT_MAX: Duration = Duration::from_secs(60);

/// A step down that comes this soon after a step up: the try has failed.
const CLIMB_FAILED: Duration = Duration::from_secs(10);

/// What an encoder was set to takes this long to show.
const SILENCE: Duration = Duration::from_secs(1);

/// Between two steps up.
const STEP: Duration = Duration::from_secs(1);

/// What has gone through is counted over this time.
const THROUGHPUT_WINDOW: Duration = Duration::from_secs(1);

/// Of a connection that is younger, so much: a first confirmation is no flood.
const THROUGHPUT_WINDOW_MIN: Duration = Duration::from_millis(250);

/// Nobody has looked for longer than this: whatever is found is not the line's doing.
const SLEPT: Duration = Duration::from_millis(1500);

/// What is seen of the uplink, four times a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// When.
    pub(crate) now: Instant,
    /// Bytes of the chunks that were made since the last look, sent or left out.
    pub(crate) made: u64,
    /// Bytes that the relay has confirmed since.
    pub(crate) acked: u64,
    /// How long the oldest unconfirmed chunk has been under way, right after a confirmation was taken in; `None` when there is none.
    pub(crate) age: Option<Duration>,
}

/// What the picture may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PictureRate {
    /// The most bits per second that it takes, in kbit/s.
    pub(crate) bitrate_kbit_s: u32,
    /// Only every other frame is to be sent.
    pub(crate) halves_frames: bool,
}

/// Decides the rate of one broadcast.
#[derive(Debug)]
pub(crate) struct UplinkRate {
    bitrate: u64,
    configured: u64,
    fixed: u64,
    looks: VecDeque<Look>,
    looked_at: Instant,
    connected_at: Instant,
    way: Option<Duration>,
    late: u32,
    restless: u32,
    calm_since: Option<Instant>,
    silent_until: Option<Instant>,
    stepped_up_at: Option<Instant>,
    wait: Duration,
}

impl UplinkRate {
    /// `configured`: what the picture gets on a good line. `fixed`: what else is sent and does not adapt. Bits per second.
    pub(crate) const fn new(configured: u64, fixed: u64, now: Instant) -> Self {
        Self {
            bitrate: configured,
            configured,
            fixed,
            looks: VecDeque::new(),
            looked_at: now,
            connected_at: now,
            way: None,
            late: 0,
            restless: 0,
            calm_since: None,
            silent_until: None,
            stepped_up_at: None,
            wait: CALM_WAIT,
        }
    }

    /// What the picture may have.
    pub(crate) fn picture(&self) -> PictureRate {
        PictureRate {
            bitrate_kbit_s: u32::try_from(self.bitrate / 1_000).unwrap_or(u32::MAX),
            halves_frames: self.bitrate < HALF_FRAMES_BELOW.min(self.configured),
        }
    }

    /// A connection begins: what was seen of another says nothing about it.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.connected_at = now;
        self.looks.clear();
        (self.way, self.calm_since, self.late, self.restless) = (None, None, 0, 0);
    }

    /// Takes one look and decides.
    pub(crate) fn look(&mut self, look: Look) {
        let now = look.now;
        let slept = now - self.looked_at > SLEPT;
        self.looked_at = now;
        if slept {
            return self.connected(now);
        }
        self.looks.push_back(look);
        while self.looks.front().is_some_and(|look| now - look.now >= THROUGHPUT_WINDOW) {
            self.looks.pop_front();
        }
        let queued = look.age.map_or(Duration::ZERO, |age| self.queued(age));
        if self.silent_until.is_some_and(|until| now < until) {
            return;
        }
        self.late = if queued > LATE { self.late + 1 } else { 0 };
        self.restless = if queued < CALM { 0 } else { self.restless + 1 };
        // A single one is a key frame, or a machine that was busy.
        if self.restless >= 2 {
            self.calm_since = None;
        } else if self.restless == 0 {
            self.calm_since.get_or_insert(now);
        }
        if self.late >= 2 {
            self.step_down(now);
        } else if self.may_step_up(now) {
            self.bitrate = self.configured.min(self.bitrate * 108 / 100);
            self.stepped_up_at = Some(now);
        }
    }

    /// What is left of an age when the way is taken off.
    fn queued(&mut self, age: Duration) -> Duration {
        let way = self.way.map_or(age, |way| way.min(age));
        self.way = Some(way);
        age - way.min(FAR_MAX)
    }

    fn may_step_up(&self, now: Instant) -> bool {
        let is_calm = self.restless == 0 && self.calm_since.is_some_and(|since| now - since >= self.wait);
        let is_due = self.stepped_up_at.is_none_or(|at| now - at >= STEP);
        self.bitrate < self.configured && is_calm && is_due
    }

    fn step_down(&mut self, now: Instant) {
        let failed = self.stepped_up_at.is_some_and(|at| now - at <= CLIMB_FAILED);
        self.wait = if failed { CALM_WAIT_MAX.min(2 * self.wait) } else { CALM_WAIT };
        let mut next = self.bitrate * 7 / 10;
        let (made, acked) = (self.per_second(now, |look| look.made), self.per_second(now, |look| look.acked));
        // A still picture, or a line that carries nothing for a moment, tells nothing about what the line could carry.
        if acked > 0 && made * 2 >= self.bitrate + self.fixed {
            next = next.min((acked * 8 / 10).saturating_sub(self.fixed));
        }
        self.bitrate = self.bitrate.min(next.max(BITRATE_MIN.min(self.configured)));
        self.silent_until = Some(now + SILENCE);
        (self.late, self.calm_since) = (0, None);
    }

    /// Bits per second of something that was looked at.
    fn per_second(&self, now: Instant, bytes: impl Fn(&Look) -> u64) -> u64 {
        let window = (now - self.connected_at).clamp(THROUGHPUT_WINDOW_MIN, THROUGHPUT_WINDOW);
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.looks.iter().map(bytes).sum::<u64>() * 8_000 / window_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const TABLE: &str = include_str!("../../protocol/vectors/uplink_rate.json");

    #[derive(Deserialize)]
    struct Table {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        configured: u64,
        fixed: u64,
        runs: Vec<Run>,
    }

    #[derive(Deserialize)]
    struct Run {
        samples: u32,
        made: u64,
        acked: u64,
        age_ms: Option<u64>,
        after_ms: Option<u64>,
        connection: Option<String>,
        bitrate: u64,
        halves_frames: bool,
    }

    #[test]
    fn table_shared_with_the_page_holds() {
        let table: Table = serde_json::from_str(TABLE).unwrap();
        assert!(table.cases.len() >= 20);
        for case in table.cases {
            let mut now = Instant::now();
            let mut rate = UplinkRate::new(case.configured, case.fixed, now);
            for (n, run) in case.runs.into_iter().enumerate() {
                if run.connection.is_some_and(|connection| connection == "new") {
                    rate.connected(now);
                }
                for sample in 0..run.samples {
                    let after_ms = run.after_ms.filter(|_| sample == 0).unwrap_or(250);
                    now += Duration::from_millis(after_ms);
                    let age = run.age_ms.map(Duration::from_millis);
                    rate.look(Look { now, made: run.made, acked: run.acked, age });
                }
                let decided = (rate.bitrate, rate.picture().halves_frames);
                assert_eq!(decided, (run.bitrate, run.halves_frames), "{}: run {n}", case.name);
            }
        }
    }

    proptest! {
        #[test]
        fn rate_stays_between_floor_and_what_was_chosen(
            configured in 100_000_u64..50_000_000,
            fixed in 0_u64..800_000,
            looks in proptest::collection::vec((1_u64..3_000, 0_u64..2_000_000, 0_u64..2_000_000, 0_u64..4_000), 0..200),
        ) {
            let mut now = Instant::now();
            let mut rate = UplinkRate::new(configured, fixed, now);
            for (after_ms, made, acked, age_ms) in looks {
                now += Duration::from_millis(after_ms);
                rate.look(Look { now, made, acked, age: Some(Duration::from_millis(age_ms)) });
                prop_assert!((BITRATE_MIN.min(configured)..=configured).contains(&rate.bitrate));
            }
        }
    }
}
