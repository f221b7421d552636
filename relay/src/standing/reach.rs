//! When the directory was not reached, and what that means for tickets nobody could renew. Times go in, seconds since the Unix
//! epoch; nothing is measured here.

use protocol::limits::DIRECTORY_AWAY_TIME_MAX;

/// How long after an outage a ticket that expired in it still counts: viewers try to renew every 30 s, and some try twice.
const RENEWAL_TIME_MAX_S: u64 = 90;

/// An outage that is shorter than this has kept nobody from renewing: tickets are renewed long before they end.
const OUTAGE_TIME_MIN_S: u64 = 30;

/// When the directory was reached, and when not.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    started_s: u64,
    /// The newest answer; none since the start.
    answered_s: Option<u64>,
    /// The newest outage.
    outage: Option<Outage>,
}

/// A time without answers.
#[derive(Debug, Clone, Copy)]
struct Outage {
    since_s: u64,
    /// `None`: it goes on.
    until_s: Option<u64>,
}

impl Reach {
    /// Nothing was reached yet. Nobody knows for how long: a relay that restarts in an outage lets those go on who were here.
    #[must_use]
    pub const fn new(now_s: u64) -> Self {
        Self { started_s: now_s, answered_s: None, outage: Some(Outage { since_s: 0, until_s: None }) }
    }

    /// The directory has answered.
    pub fn answered(&mut self, now_s: u64) {
        if let Some(outage) = self.outage.filter(|outage| outage.until_s.is_none()) {
            let since_s = if self.answered_s.is_none() { self.started_s } else { outage.since_s };
            let over = Outage { since_s, until_s: Some(now_s) };
            self.outage = Some(over).filter(|_| now_s.saturating_sub(since_s) >= OUTAGE_TIME_MIN_S);
        }
        self.answered_s = Some(now_s);
    }

    /// The directory has not answered.
    pub const fn failed(&mut self, now_s: u64) {
        match &mut self.outage {
            // The outage before this one is not over for those who wait to renew.
            Some(outage) if outage.counts_at(now_s) => outage.until_s = None,
            _ => {
                let since_s = match self.answered_s {
                    Some(answered_s) => answered_s,
                    None => self.started_s,
                };
                self.outage = Some(Outage { since_s, until_s: None });
            }
        }
    }

    /// Until when a ticket counts that expires at `expires_at_s`: longer than that only when the directory was already away.
    #[must_use]
    pub fn counts_until_s(&self, expires_at_s: u64) -> u64 {
        let Some(outage) = self.outage.filter(|outage| outage.since_s <= expires_at_s) else { return expires_at_s };
        let latest_s = expires_at_s.saturating_add(DIRECTORY_AWAY_TIME_MAX.as_secs());
        match outage.until_s {
            None => latest_s,
            Some(until_s) => latest_s.min(until_s.saturating_add(RENEWAL_TIME_MAX_S)).max(expires_at_s),
        }
    }
}

impl Outage {
    const fn counts_at(self, now_s: u64) -> bool {
        match self.until_s {
            None => true,
            Some(until_s) => now_s < until_s.saturating_add(RENEWAL_TIME_MAX_S),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY_S: u64 = DIRECTORY_AWAY_TIME_MAX.as_secs();

    fn reached_at(now_s: u64) -> Reach {
        let mut reach = Reach::new(now_s);
        reach.answered(now_s);
        reach
    }

    #[test]
    fn ticket_ends_on_time_while_the_directory_is_reached() {
        let mut reach = reached_at(10_000);
        reach.answered(10_100);
        for expires_at_s in [5_000, 9_999, 10_000, 10_050, 10_100, 20_000] {
            assert_eq!(reach.counts_until_s(expires_at_s), expires_at_s);
        }
    }

    #[test]
    fn short_outage_changes_nothing_once_it_is_over() {
        let mut reach = reached_at(10_000);
        reach.failed(10_001);
        reach.answered(10_029);
        assert_eq!(reach.counts_until_s(10_010), 10_010);
    }

    #[test]
    fn ticket_that_expires_in_an_outage_counts_longer_and_one_that_expired_before_does_not() {
        let mut reach = reached_at(10_000);
        reach.answered(11_000);
        reach.failed(11_001);
        reach.failed(12_000);
        assert_eq!(reach.counts_until_s(10_999), 10_999);
        assert_eq!(reach.counts_until_s(11_000), 11_000 + AWAY_S);
        assert_eq!(reach.counts_until_s(11_500), 11_500 + AWAY_S);
    }

    #[test]
    fn outage_that_is_over_leaves_time_to_renew_and_no_more() {
        let mut reach = reached_at(10_000);
        reach.answered(11_000);
        reach.failed(11_001);
        reach.answered(12_000);
        assert_eq!(reach.counts_until_s(11_500), 12_000 + RENEWAL_TIME_MAX_S);
        assert_eq!(reach.counts_until_s(10_999), 10_999);
        assert_eq!(reach.counts_until_s(20_000), 20_000);
        // Long after it another one has its own beginning.
        reach.answered(19_000);
        reach.failed(19_001);
        assert_eq!(reach.counts_until_s(11_500), 11_500);
    }

    #[test]
    fn outages_in_a_row_are_one() {
        let mut reach = reached_at(10_000);
        reach.answered(11_000);
        reach.failed(11_001);
        reach.answered(11_300);
        reach.failed(11_389);
        assert_eq!(reach.counts_until_s(11_100), 11_100 + AWAY_S);
    }

    #[test]
    fn relay_that_restarts_in_an_outage_lets_those_go_on_who_were_here_until_the_directory_is_back() {
        let mut reach = Reach::new(10_000);
        assert_eq!(reach.counts_until_s(9_000), 9_000 + AWAY_S);
        reach.failed(10_001);
        assert_eq!(reach.counts_until_s(9_000), 9_000 + AWAY_S);
        reach.answered(10_100);
        assert_eq!(reach.counts_until_s(9_000), 9_000);
        assert_eq!(reach.counts_until_s(10_050), 10_100 + RENEWAL_TIME_MAX_S);
    }
}
