//! One turn of a row.

use tokio::time::Instant;

use crate::{
    metrics::Metrics,
    stream::{Steps, window::Delivery},
};

/// What the guests of a row share while they are served one after the other.
#[derive(Debug)]
pub struct Turn {
    /// When it began.
    pub now: Instant,
    /// What was found out for those who come later.
    pub steps: Steps,
    /// What was sent.
    pub sent: Sent,
}

/// What was sent, counted by whoever sends, and told to the metrics once for many sends: their counters are everybody's.
#[derive(Debug, Default)]
pub struct Sent {
    chunks: u64,
    bytes: u64,
    /// How often a chunk was sent that had come in then: the newest one to nearly all.
    arrivals: Vec<(Instant, u64)>,
}

impl Turn {
    /// One that begins at `now`.
    #[must_use]
    pub fn at(now: Instant) -> Self {
        Self { now, steps: Steps::default(), sent: Sent::default() }
    }

    /// Adds what was sent to the relay's metrics.
    pub fn tell(self, metrics: &Metrics) {
        let Sent { chunks, bytes, arrivals } = self.sent;
        if chunks == 0 {
            return;
        }
        metrics.chunks_out.inc_by(chunks);
        metrics.bytes_out.inc_by(bytes);
        for (arrived, times) in arrivals {
            metrics.lag.note(self.now.saturating_duration_since(arrived), times);
        }
    }
}

impl Sent {
    /// A chunk was sent, and maybe an init segment before it, to a guest that came at `came_at`.
    pub fn note(&mut self, delivery: &Delivery, came_at: Instant) {
        self.chunks += 1;
        self.bytes += delivery.chunk.message_len() as u64;
        self.bytes += delivery.init.as_ref().map_or(0, |init| init.message_len() as u64);
        // What was here before is not late: somebody who has just come begins with it.
        if delivery.arrived < came_at {
            return;
        }
        match self.arrivals.last_mut() {
            Some((arrived, times)) if *arrived == delivery.arrived => *times += 1,
            _ => self.arrivals.push((delivery.arrived, 1)),
        }
    }
}
