//! How often one ticket is let in, and how often this relay says who it is.

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use protocol::{StreamId, ViewerId, ticket::Grant};

use super::some;

/// How often one viewer, or the broadcaster of one stream, may come: a page whose network changes back and forth comes a few times
/// in a row, and not every second for long.
const TICKET: Quota = Quota::per_second(some(1)).allow_burst(some(20));

/// Most tickets whose use is counted at a time: some thousand times what directories give to one address. Whoever comes while so
/// many are counted is not; how many connections there are is bounded elsewhere.
const TICKETS_MAX: usize = 65_536;

/// How often this relay says who it is, whoever asks: a directory asks once a minute. A signature costs about 50 us, so that
/// strangers who ask can take 1 % of a core. Above what one address may connect, so that nobody alone keeps a directory from it.
const IDENTITY: Quota = Quota::per_second(some(200));

/// Whose ticket it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The broadcaster of this stream.
    Broadcaster(StreamId),
    /// This viewer of this stream.
    Viewer(StreamId, ViewerId),
}

impl From<&Grant> for Whose {
    fn from(grant: &Grant) -> Self {
        grant.viewer.map_or(Self::Broadcaster(grant.stream), |viewer| Self::Viewer(grant.stream, viewer))
    }
}

/// Counts both.
#[derive(Debug)]
pub struct Attempts {
    tickets: DefaultKeyedRateLimiter<Whose>,
    identity: DefaultDirectRateLimiter,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { tickets: RateLimiter::keyed(TICKET), identity: RateLimiter::direct(IDENTITY) }
    }
}

impl Attempts {
    /// Whether the holder of a verified ticket may come now.
    #[must_use]
    pub fn admits(&self, whose: &Whose) -> bool {
        self.tickets.len() >= TICKETS_MAX || self.tickets.check_key(whose).is_ok()
    }

    /// Whether somebody may be told now who this relay is.
    #[must_use]
    pub fn may_identify(&self) -> bool {
        self.identity.check().is_ok()
    }

    /// Forgets those who did not come lately.
    pub fn forget(&self) {
        self.tickets.retain_recent();
        self.tickets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ticket_used_too_often_leaves_others_alone() {
        let attempts = Attempts::default();
        let stream = StreamId::of(&"test".parse().unwrap(), 1);
        let (one, other) = (Whose::Viewer(stream, ViewerId(1)), Whose::Viewer(stream, ViewerId(2)));
        let admitted = (0..100).filter(|_| attempts.admits(&one)).count();
        assert!((20..=25).contains(&admitted), "{admitted}");
        assert!(attempts.admits(&other) && attempts.admits(&Whose::Broadcaster(stream)));
        attempts.forget();
        assert!(!attempts.admits(&one));
    }
}
