//! Remembers where WebTransport was of no use, so that a network without UDP costs one head start and not one for each connection. For a
//! while only: networks change. Pure: times go in. The page remembers alike (`ui/src/transport/known_ways.ts`), but for what sessions with other
//! relays tell: it has one at a time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use protocol::WebTransportAddress;

/// After a silent failure no relay is tried for this long; each further one in a row doubles it.
const SILENT_TIME_MIN: Duration = Duration::from_secs(60);
const SILENT_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// A relay that has refused, or has gone silent, is not tried for this long.
const REFUSED_TIME: Duration = Duration::from_secs(5 * 60);

/// Most relays that are remembered: more than a broadcaster, or a relay that pulls streams, goes through in that time.
const REFUSED_MAX: usize = 32;

/// What one client has learned of its network.
#[derive(Debug, Default)]
pub(super) struct KnownWays {
    silent_until: Option<Instant>,
    silences: u32,
    /// When a session came about last.
    opened_at: Option<Instant>,
    refused: VecDeque<(WebTransportAddress, Instant)>,
}

impl KnownWays {
    /// Whether this address may be tried. With another certificate it is another one.
    pub(super) fn may_try(&self, address: &WebTransportAddress, now: Instant) -> bool {
        let refused = self.refused.iter().any(|(other, until)| other == address && now < *until);
        !refused && self.silent_until.is_none_or(|until| now >= until)
    }

    /// Nothing came back where another way was open: most likely the network lets no UDP through, to whomever. Where it did so not long
    /// ago it is that relay which none comes through to: what one of many relays offers does not cost the others.
    pub(super) fn was_silent(&mut self, address: &WebTransportAddress, now: Instant) {
        if self.opened_at.is_some_and(|at| now.saturating_duration_since(at) < SILENT_TIME_MAX) {
            return self.refused(address, now);
        }
        let doubled = 2_u32.saturating_pow(self.silences);
        self.silent_until = Some(now + SILENT_TIME_MIN.saturating_mul(doubled).min(SILENT_TIME_MAX));
        self.silences += 1;
    }

    /// This relay refused, or went silent after it had accepted.
    pub(super) fn refused(&mut self, address: &WebTransportAddress, now: Instant) {
        self.refused.retain(|(other, until)| other != address && now < *until);
        if self.refused.len() == REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back((address.clone(), now + REFUSED_TIME));
    }

    /// A session has come about: UDP gets through, in time or not.
    pub(super) const fn opened(&mut self, now: Instant) {
        (self.silences, self.silent_until, self.opened_at) = (0, None, Some(now));
    }

    /// The network may be another one.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> WebTransportAddress {
        let url = format!("https://localhost:{port}/wt").parse().unwrap();
        WebTransportAddress { url, certificate_hashes: Vec::new() }
    }

    #[test]
    fn network_without_udp_is_tried_less_and_less_often() {
        let (mut known, mut now) = (KnownWays::default(), Instant::now());
        for minutes in [1, 2, 4, 8, 16, 30, 30] {
            assert!(known.may_try(&address(1), now));
            known.was_silent(&address(1), now);
            let over = now + Duration::from_secs(60 * minutes);
            assert!(!known.may_try(&address(2), over - Duration::from_millis(1)), "{minutes}");
            now = over;
        }
        known.was_silent(&address(1), now);
        known.opened(now);
        assert!(known.may_try(&address(1), now), "it was late, no more");
    }

    #[test]
    fn relay_that_is_silent_where_others_are_not_costs_them_nothing() {
        let (mut known, now) = (KnownWays::default(), Instant::now());
        known.opened(now);
        known.was_silent(&address(1), now);
        assert!(!known.may_try(&address(1), now) && known.may_try(&address(2), now));
        assert!(known.may_try(&address(1), now + REFUSED_TIME));
        // The network may have changed since.
        known.was_silent(&address(1), now + SILENT_TIME_MAX);
        assert!(!known.may_try(&address(2), now + SILENT_TIME_MAX));
    }

    #[test]
    fn relay_that_refused_is_left_alone_for_a_while_and_others_are_tried() {
        let (mut known, now) = (KnownWays::default(), Instant::now());
        known.refused(&address(1), now);
        assert!(!known.may_try(&address(1), now) && known.may_try(&address(2), now));
        assert!(known.may_try(&address(1), now + REFUSED_TIME));
        known.forget();
        assert!(known.may_try(&address(1), now));
    }

    #[test]
    fn no_more_relays_are_remembered_than_there_is_room_for() {
        let (mut known, now) = (KnownWays::default(), Instant::now());
        (0..=REFUSED_MAX).for_each(|port| known.refused(&address(port), now));
        assert!(known.may_try(&address(0), now) && !known.may_try(&address(1), now));
        assert_eq!(known.refused.len(), REFUSED_MAX);
    }
}
