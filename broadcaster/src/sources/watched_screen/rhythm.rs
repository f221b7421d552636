//! When a screen that changes is taken. Pure.

use std::time::{Duration, Instant};

/// A program paints in several strokes: so long after the first the picture is whole, mostly.
const STROKES_TIME: Duration = Duration::from_millis(2);

/// How often the whole screen is looked at though nothing was reported: some drivers don't report what they paint.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long it is looked at in full, at the frame rate, after it changed without a report.
const WARY_TIME: Duration = Duration::from_secs(5);

/// At most `frame_rate` frames a second in the long run, each as soon as something has changed.
#[derive(Debug)]
pub(super) struct Rhythm {
    interval: Duration,
    /// When the next frame is due by the frame rate.
    next: Instant,
    /// When the first change came that has not been taken.
    changed: Option<Instant>,
    look: Instant,
    wary_until: Option<Instant>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Take what has changed.
    Changes,
    /// Look at all of it.
    Look,
    /// Nothing before this moment.
    Nothing(Instant),
}

impl Rhythm {
    pub(super) fn new(frame_rate: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / frame_rate.max(1);
        Self { interval, next: now, changed: None, look: now + LOOK_INTERVAL, wary_until: None }
    }

    /// Something has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        self.changed.get_or_insert(now);
    }

    /// What to do at `now`.
    pub(super) fn due(&self, now: Instant) -> Due {
        let is_wary = self.wary_until.is_some();
        // A source that keeps the pace comes a little early now and then, and must not wait for that.
        let take = self.changed.map(|changed| (changed + STROKES_TIME).max(self.next - self.interval / 4));
        if self.look <= now {
            return Due::Look;
        }
        match take.filter(|_| !is_wary) {
            Some(take) if take <= now => Due::Changes,
            Some(take) => Due::Nothing(take.min(self.look)),
            None => Due::Nothing(self.look),
        }
    }

    /// What had changed was taken.
    pub(super) fn taken(&mut self, now: Instant) {
        self.changed = None;
        self.next = self.next.max(now) + self.interval;
    }

    /// All of it was looked at; `unreported` when it had changed and nobody had said so. True when that begins.
    pub(super) fn looked(&mut self, unreported: bool, now: Instant) -> bool {
        self.taken(now);
        let was_wary = self.wary_until.is_some();
        if unreported {
            self.wary_until = Some(now + WARY_TIME);
        }
        self.wary_until = self.wary_until.filter(|&until| until > now);
        self.look = now + if self.wary_until.is_some() { self.interval } else { LOOK_INTERVAL };
        unreported && !was_wary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When frames are taken of a screen that changes at these moments, in ms.
    fn taken(frame_rate: u32, changes: impl Iterator<Item = u64>) -> Vec<u64> {
        let begin = Instant::now();
        let mut rhythm = Rhythm::new(frame_rate, begin);
        let changes: Vec<u64> = changes.collect();
        let mut taken = Vec::new();
        for now in 0..900 {
            if changes.contains(&now) {
                rhythm.changed(begin + ms(now));
            }
            if rhythm.due(begin + ms(now)) == Due::Changes {
                rhythm.taken(begin + ms(now));
                taken.push(now);
            }
        }
        taken
    }

    #[test]
    fn change_of_a_still_screen_is_taken_when_it_has_been_painted() {
        assert_eq!(taken(30, [500, 501].into_iter()), [502]);
        assert_eq!(taken(30, [500, 503].into_iter()), [502, 527]);
    }

    #[test]
    fn film_of_the_same_frame_rate_is_taken_frame_by_frame_though_it_comes_unevenly() {
        let uneven = |n: u64| n * 100 / 3 + [0, 7, 3, 5][usize::try_from(n % 4).unwrap()];
        assert_eq!(taken(30, (0..25).map(uneven)), (0..25).map(|n| uneven(n) + 2).collect::<Vec<_>>());
    }

    #[test]
    fn faster_film_is_taken_at_the_frame_rate() {
        assert!((26..=27).contains(&taken(30, (0..52).map(|n| n * 100 / 6)).len()));
        let always = taken(30, 0..870);
        assert!((26..=28).contains(&always.len()), "{always:?}");
        assert!(always[3..].windows(2).all(|pair| (33..=34).contains(&(pair[1] - pair[0]))), "{always:?}");
        assert!(taken(60, 0..870).len() >= 50);
    }

    #[test]
    fn still_screen_is_looked_at_now_and_then_and_more_often_after_a_change_that_nobody_reported() {
        let begin = Instant::now();
        let mut rhythm = Rhythm::new(50, begin);
        assert_eq!(rhythm.due(begin), Due::Nothing(begin + LOOK_INTERVAL));
        let mut now = begin + LOOK_INTERVAL;
        assert_eq!(rhythm.due(now), Due::Look);
        assert!(!rhythm.looked(false, now));
        assert_eq!(rhythm.due(now), Due::Nothing(now + LOOK_INTERVAL));
        now += LOOK_INTERVAL;
        assert!(rhythm.looked(true, now));
        for _ in 0..249 {
            // What is reported meanwhile is seen by the next look.
            rhythm.changed(now + ms(1));
            assert_eq!(rhythm.due(now + ms(19)), Due::Nothing(now + ms(20)));
            now += ms(20);
            assert_eq!(rhythm.due(now), Due::Look);
            assert!(!rhythm.looked(false, now));
        }
        now += ms(20);
        assert!(!rhythm.looked(false, now));
        assert_eq!(rhythm.due(now), Due::Nothing(now + LOOK_INTERVAL));
    }
}
