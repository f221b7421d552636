//! How often one ticket is let in, and how often one network is told who this relay is.

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use protocol::{RelayName, StreamId, ViewerId, ticket::Grant};
use service::client_address::Network;

use super::some;

/// How often one viewer, or the broadcaster of one stream, may come: a page whose network changes back and forth comes a few times
/// in a row, and not every second for long.
const TICKET: Quota = Quota::per_second(some(1)).allow_burst(some(20));

/// How often one network may ask who this relay is: a directory asks once a minute, and a few times in a row when it doubts. A
/// signature costs less than the connection it is asked for over, so strangers gain nothing by it; nor can they keep a directory,
/// which comes from elsewhere, from its answer.
const IDENTITY: Quota = Quota::per_second(some(2)).allow_burst(some(20));

/// Most tickets, and most networks, that are counted at a time: some thousand times what directories give to one address. Whoever
/// comes while so many are counted is not; how many connections there are is bounded elsewhere.
const COUNTED_MAX: usize = 65_536;

/// Whose ticket it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The broadcaster of this stream.
    Broadcaster(StreamId),
    /// This viewer of this stream.
    Viewer(StreamId, ViewerId),
    /// This relay, for its viewers of this stream.
    Edge(StreamId, RelayName),
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
    identity: DefaultKeyedRateLimiter<Network>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { tickets: RateLimiter::keyed(TICKET), identity: RateLimiter::keyed(IDENTITY) }
    }
}

impl Attempts {
    /// Whether the holder of a verified ticket may come now.
    #[must_use]
    pub fn admits(&self, whose: &Whose) -> bool {
        self.tickets.len() >= COUNTED_MAX || self.tickets.check_key(whose).is_ok()
    }

    /// Whether somebody from this network may be told now who this relay is.
    #[must_use]
    pub fn may_ask_identity(&self, from: Network) -> bool {
        self.identity.len() >= COUNTED_MAX || self.identity.check_key(&from).is_ok()
    }

    /// Forgets those who did not come lately.
    pub fn forget(&self) {
        self.tickets.retain_recent();
        self.tickets.shrink_to_fit();
        self.identity.retain_recent();
        self.identity.shrink_to_fit();
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

    #[test]
    fn stranger_who_asks_all_the_time_does_not_keep_a_directory_from_its_answer() {
        let attempts = Attempts::default();
        let network = |ip: &str| Network::of(ip.parse().unwrap());
        let answers = (0..100).filter(|_| attempts.may_ask_identity(network("2001:db8::1"))).count();
        assert!((20..=25).contains(&answers), "{answers}");
        assert!(!attempts.may_ask_identity(network("2001:db8::2")), "the same network");
        assert!(attempts.may_ask_identity(network("192.0.2.1")));
    }
}
