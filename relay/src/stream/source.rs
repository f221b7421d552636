//! Where a stream comes from at this relay: from its broadcaster, from another relay, or from nobody at the moment.

use tokio::time::Instant;

use protocol::limits::CLIENT_PATIENCE;

/// Who sends the stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// Its broadcaster: this relay is the origin.
    Broadcaster { chunk_arrived: bool },
    /// Another relay, which says whether the broadcaster is connected: this relay is an edge.
    Upstream { chunk_arrived: bool, present: bool },
    /// Nobody.
    Nobody {
        since: Instant,
        /// From when on viewers are told: another relay is found in less time than they would notice.
        told_from: Instant,
    },
}

impl Source {
    /// Nobody sends it any more, and viewers are to know.
    pub(super) const fn left(now: Instant) -> Self {
        Self::Nobody { since: now, told_from: now }
    }

    /// Nobody sends it at the moment, and another relay is looked for.
    pub(super) fn looked_for(now: Instant) -> Self {
        Self::Nobody { since: now, told_from: now + CLIENT_PATIENCE }
    }

    /// A chunk has come; whether the stream becomes live by it.
    pub(super) const fn chunk_arrived(&mut self) -> bool {
        match self {
            Self::Broadcaster { chunk_arrived } | Self::Upstream { chunk_arrived, .. } => {
                !std::mem::replace(chunk_arrived, true)
            }
            Self::Nobody { .. } => false,
        }
    }

    /// Whether media arrives, as far as is known.
    pub(super) const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Broadcaster { chunk_arrived: true } | Self::Upstream { chunk_arrived: true, present: true }
        )
    }

    /// Whether a broadcaster is connected here.
    pub(super) const fn is_broadcaster(self) -> bool {
        matches!(self, Self::Broadcaster { .. })
    }

    /// Whether another relay sends it.
    pub(super) const fn is_upstream(self) -> bool {
        matches!(self, Self::Upstream { .. })
    }

    /// Whether viewers are told at `now` that the broadcaster is there.
    pub(super) fn seems_present(self, now: Instant) -> bool {
        match self {
            Self::Broadcaster { .. } => true,
            Self::Upstream { present, .. } => present,
            Self::Nobody { told_from, .. } => now < told_from,
        }
    }
}
