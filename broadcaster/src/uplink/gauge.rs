//! Looks at the uplink whenever the leading relay confirms, and says what the picture may have.

use std::time::{Duration, Instant};

use super::{connection::ConnectionId, leg::Leg};
use crate::uplink_rate::{Look, PictureRate, UplinkRate};

/// Looks are not closer than this, although a relay's words may arrive together: the least of what
/// [`protocol::limits::KEEP_ALIVE_INTERVAL`] becomes on the way.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(200);

/// A connection begins with all of the current segment, which says nothing about whether the line bears the stream: looking begins
/// when that has arrived, or after this long.
const BURST_TIME_MAX: Duration = Duration::from_secs(4);

/// What is left of the burst when looking begins.
const BURST_OVER: Duration = Duration::from_millis(400);

/// The rate of one broadcast, over all its connections.
#[derive(Debug)]
pub(super) struct Gauge {
    rate: UplinkRate,
    /// The connection that is looked at, and since when.
    at: Option<(ConnectionId, Instant)>,
    settled: bool,
    looked_at: Instant,
    made: u64,
    acked: u64,
}

impl Gauge {
    /// A gauge that knows of no connection yet.
    pub(super) const fn new(rate: UplinkRate, now: Instant) -> Self {
        Self { rate, at: None, settled: false, looked_at: now, made: 0, acked: 0 }
    }

    /// What the picture may have.
    pub(super) fn picture(&self) -> PictureRate {
        self.rate.picture()
    }

    /// The relay of `leg` has confirmed, when `made` bytes of chunks had been made in all.
    pub(super) fn look(&mut self, leg: &Leg, made: u64, now: Instant) {
        let since = match self.at {
            Some((id, since)) if id == leg.id => since,
            _ => {
                self.settled = false;
                self.at.insert((leg.id, now)).1
            }
        };
        let age = leg.flight.age(now);
        if !self.settled {
            self.settled = now - since > BURST_TIME_MAX || age.is_none_or(|age| age < BURST_OVER);
            if self.settled {
                self.rate.connected(now);
                self.remember(leg, made, now);
            }
            return;
        }
        if now - self.looked_at >= LOOK_INTERVAL_MIN {
            let acked = leg.confirmed.bytes.saturating_sub(self.acked);
            self.rate.look(Look { now, made: made.saturating_sub(self.made), acked, age });
            self.remember(leg, made, now);
        }
    }

    fn remember(&mut self, leg: &Leg, made: u64, now: Instant) {
        (self.looked_at, self.made, self.acked) = (now, made, leg.confirmed.bytes);
    }
}
