//! The times of a ticket that a relay pulls with. Pure: seconds since the Unix epoch go in.

use protocol::ticket::Grant;

/// How long before its end a ticket is replaced that an upstream has.
const SPARE_S: u64 = 60;

/// From when until when a ticket is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit {
    /// When it was signed: it means the relays that had its names then.
    pub(super) issued_at_s: u64,
    /// When it ends.
    pub(super) expires_at_s: u64,
}

impl Permit {
    /// That of this ticket.
    pub(super) const fn of(grant: &Grant) -> Self {
        Self { issued_at_s: grant.issued_at_s, expires_at_s: grant.expires_at_s }
    }

    /// Whether it is worth telling the upstream of `newer`: not for every viewer that comes.
    pub(super) const fn is_outlived_by(&self, newer: &Self) -> bool {
        newer.expires_at_s >= self.expires_at_s.saturating_add(SPARE_S)
    }

    /// Whether it is time to look for a newer one.
    pub(super) const fn ends_soon(&self, now_s: u64) -> bool {
        now_s.saturating_add(SPARE_S) > self.expires_at_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_is_told_of_a_ticket_that_lasts_a_minute_longer() {
        let permit = |expires_at_s| Permit { issued_at_s: 0, expires_at_s };
        assert!(!permit(600).is_outlived_by(&permit(500)) && !permit(600).is_outlived_by(&permit(659)));
        assert!(permit(600).is_outlived_by(&permit(660)));
        assert!(!permit(u64::MAX).is_outlived_by(&permit(u64::MAX - 1)));
    }

    #[test]
    fn newer_ticket_is_looked_for_in_the_last_minute() {
        let permit = Permit { issued_at_s: 0, expires_at_s: 600 };
        assert!(!permit.ends_soon(540) && permit.ends_soon(541) && permit.ends_soon(u64::MAX));
    }
}
