//! What each relay said last, by the time it put on it: nothing that a relay signed counts twice.

use std::collections::HashMap;

use protocol::{limits::RELAY_ASSERTION_TIME, signing::PublicKey};

use super::micros;

/// What is forgotten is out of time by then, whichever way the clocks of directory and relay differ.
const FORGOTTEN_AFTER_US: u64 = 2 * micros(RELAY_ASSERTION_TIME) + 1;

/// A memory of as many keys as said something within a minute: only keys that were let in before are remembered.
#[derive(Debug, Default)]
pub(super) struct Said {
    last: HashMap<PublicKey, Last>,
    /// When this memory began, by the directory's clock: what was said before may have been heard by one that is forgotten.
    begun_at_ms: u64,
}

#[derive(Debug)]
struct Last {
    said_at_ms: u64,
    heard_at_us: u64,
}

impl Said {
    pub(super) fn new(begun_at_ms: u64) -> Self {
        Self { begun_at_ms, ..Self::default() }
    }

    /// Whether this was said after all that its key said before; it is remembered then. A relay whose clock is late is refused for as
    /// long after the directory's start: it asks again.
    pub(super) fn is_news(&mut self, now_us: u64, key: PublicKey, said_at_ms: u64) -> bool {
        let newer = self.last.get(&key).is_none_or(|last| said_at_ms > last.said_at_ms);
        let news = newer && said_at_ms >= self.begun_at_ms;
        if news {
            self.last.insert(key, Last { said_at_ms, heard_at_us: now_us });
        }
        news
    }

    /// The same for what another directory was told, which has judged it.
    pub(super) fn was_told(&mut self, now_us: u64, key: PublicKey, said_at_ms: u64) -> bool {
        let news = self.last.get(&key).is_none_or(|last| said_at_ms > last.said_at_ms);
        if news {
            self.last.insert(key, Last { said_at_ms, heard_at_us: now_us });
        }
        news
    }

    /// Forgets what can't be said again.
    pub(super) fn forget_old(&mut self, now_us: u64) {
        self.last.retain(|_, last| now_us.saturating_sub(last.heard_at_us) < FORGOTTEN_AFTER_US);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: u64 = 1_763_000_000_000_000;

    fn key(number: u8) -> PublicKey {
        let digit = char::from(b'A' + number);
        format!("{}AAAA", digit.to_string().repeat(39)).parse().unwrap()
    }

    #[test]
    fn same_word_counts_once_and_an_older_one_never() {
        let mut said = Said::default();
        assert!(said.is_news(NOW_US, key(0), 100));
        assert!(!said.is_news(NOW_US, key(0), 100));
        assert!(!said.is_news(NOW_US, key(0), 99));
        assert!(said.is_news(NOW_US, key(1), 99), "another relay's");
        assert!(said.is_news(NOW_US, key(0), 101));
    }

    #[test]
    fn what_was_said_before_this_memory_began_counts_for_nothing() {
        let mut said = Said::new(100);
        assert!(!said.is_news(NOW_US, key(0), 99));
        assert!(said.is_news(NOW_US, key(0), 100));
        assert!(!Said::new(100).is_news(NOW_US, key(0), 99));
    }

    #[test]
    fn what_is_out_of_time_is_forgotten() {
        let mut said = Said::default();
        assert!(said.is_news(NOW_US, key(0), 100));
        said.forget_old(NOW_US + 2 * micros(RELAY_ASSERTION_TIME));
        assert!(!said.is_news(NOW_US, key(0), 100));
        said.forget_old(NOW_US + FORGOTTEN_AFTER_US);
        assert!(said.last.is_empty());
    }
}
