//! Whether a relay has more to do than is good for who watches there. Pure; with hysteresis, so that one that is just full does not
//! get and lose work in turn.

use std::time::Duration;

use protocol::http::RelayLoad;

use super::{head_room::HeadRoom, micros};

/// A relay with less head-room than this gets nothing new: what it has may grow before the next heartbeat tells.
pub(super) const BUSY_UNDER: HeadRoom = HeadRoom::of_percent(10);

/// Only above this it gets something again. Well above [`BUSY_UNDER`], so that a single stream does not make it busy again.
pub(super) const FREE_OVER: HeadRoom = HeadRoom::of_percent(20);

/// A relay with less head-room than this is hot: nothing is left for the next peak, and a stream rather moves than suffers.
pub(super) const HOT_UNDER: HeadRoom = HeadRoom::of_percent(5);

/// How long it has to be hot before a stream moves: five heartbeats. A key frame for everybody, or many who join at a time, is over by
/// then.
pub(super) const HOT_TIME: Duration = Duration::from_secs(5);

/// A relay is strained when half of what it sends waits this long inside of it: a tenth of a second is what a viewer loses of the
/// quarter that the whole way from screen to screen may take. The median, because a tenth of the viewers may well have slow lines.
const SEND_LAG_MEDIAN_MS_MAX: u32 = 100;

/// Fewest viewers for that: with less it is the line of one viewer that is measured, not the relay.
const SEND_LAG_VIEWERS_MIN: u32 = 10;

/// So many connections that could not be accepted since the last heartbeat strain a relay: one is somebody who was turned away, for
/// want of files or memory.
const ACCEPT_FAILURES_MIN: u32 = 1;

/// Whether a relay lags or turns people away, whatever its head-room.
pub(super) const fn is_strained(load: &RelayLoad, viewers: u32) -> bool {
    let lags = load.send_lag_median_ms >= SEND_LAG_MEDIAN_MS_MAX && viewers >= SEND_LAG_VIEWERS_MIN;
    lags || load.accept_failures >= ACCEPT_FAILURES_MIN
}

/// What one relay's heartbeats add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pressure {
    busy: bool,
    hot_since_us: Option<u64>,
}

impl Pressure {
    /// A heartbeat told this.
    pub(super) fn note(&mut self, now_us: u64, room: HeadRoom, strained: bool) {
        self.busy = strained || room < BUSY_UNDER || (self.busy && room <= FREE_OVER);
        let hot = strained || room < HOT_UNDER;
        self.hot_since_us = hot.then(|| self.hot_since_us.unwrap_or(now_us));
    }

    /// Whether it gets nothing new.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether it has been hot for so long that a stream has to leave.
    pub(super) fn is_hot(&self, now_us: u64) -> bool {
        self.hot_since_us.is_some_and(|since_us| now_us.saturating_sub(since_us) >= micros(HOT_TIME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn percent(percent: u16) -> HeadRoom {
        HeadRoom::of_percent(percent)
    }

    #[test]
    fn busy_relay_gets_nothing_until_it_has_twice_the_room() {
        let mut pressure = Pressure::default();
        let busy: Vec<_> = [30, 10, 9, 10, 19, 20, 21, 19, 10, 9]
            .into_iter()
            .map(|room| {
                pressure.note(0, percent(room), false);
                pressure.is_busy()
            })
            .collect();
        assert_eq!(busy, [false, false, true, true, true, true, false, false, false, true]);
    }

    #[test]
    fn hot_is_who_stays_so_for_five_seconds() {
        let mut pressure = Pressure::default();
        for (second, room, hot) in
            [(0, 4, false), (4, 3, false), (5, 4, true), (6, 5, false), (7, 4, false), (12, 0, true)]
        {
            pressure.note(second * S, percent(room), false);
            assert_eq!(pressure.is_hot(second * S), hot, "after {second} s");
        }
    }

    #[test]
    fn strained_relay_is_busy_and_hot_with_all_the_room_of_the_world() {
        let mut pressure = Pressure::default();
        pressure.note(0, percent(90), true);
        assert!(pressure.is_busy() && !pressure.is_hot(0));
        pressure.note(5 * S, percent(90), true);
        assert!(pressure.is_hot(5 * S));
        pressure.note(6 * S, percent(90), false);
        assert_eq!(pressure, Pressure::default());
    }

    #[test]
    fn one_viewer_with_a_slow_line_strains_nobody() {
        let idle = RelayLoad::default();
        let lags = RelayLoad { send_lag_ms: 3000, send_lag_median_ms: 100, ..idle };
        assert!(is_strained(&lags, 10));
        assert!(!is_strained(&lags, 9));
        assert!(!is_strained(&RelayLoad { send_lag_median_ms: 99, ..lags }, 5000));
        assert!(is_strained(&RelayLoad { accept_failures: 1, ..idle }, 0));
        assert!(!is_strained(&idle, 5000));
    }
}
