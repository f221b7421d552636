//! Relays that an operator has shut out, as the directory tells: nothing is sent to them, and nothing taken from them. Times go in.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use protocol::{
    RelayName,
    http::RevokedRelay,
    limits::{REVOKED_TOLD_MAX, REVOKED_TOLD_TIME},
    signing::PublicKey,
};
use tokio::{sync::watch, time::Instant};

/// Most that are remembered: what many answers name. Beyond it no more are, until others are forgotten.
const REMEMBERED_MAX: usize = 8 * REVOKED_TOLD_MAX;

/// How long after an operator's word a directory may still have named the relay in tickets: it has a disk to write to, and other
/// directories to tell.
const SETTLING_TIME_S: u64 = 5;

/// They, each until long after the directory named it last.
#[derive(Debug)]
pub(crate) struct Revoked {
    entries: RwLock<HashMap<PublicKey, Entry>>,
    /// Counts them as they come.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entry {
    relay: RelayName,
    at_s: u64,
    until: Instant,
}

impl Default for Revoked {
    fn default() -> Self {
        Self { entries: RwLock::default(), news: watch::Sender::new(0) }
    }
}

impl Revoked {
    /// The directory names these; gives the names of those that are news.
    pub(crate) fn hear(&self, named: Vec<RevokedRelay>, now: Instant) -> Vec<RelayName> {
        if named.is_empty() {
            return Vec::new();
        }
        let (mut news, until) = (Vec::new(), now + REVOKED_TOLD_TIME);
        let mut entries = self.write();
        for RevokedRelay { relay, public_key, at_s } in named {
            if let Some(entry) = entries.get_mut(&public_key) {
                entry.until = until;
            } else if entries.len() < REMEMBERED_MAX {
                news.push(relay.clone());
                entries.insert(public_key, Entry { relay, at_s, until });
            }
        }
        drop(entries);
        if !news.is_empty() {
            self.news.send_modify(|count| *count += news.len() as u64);
        }
        news
    }

    /// Whether the relay with this key is shut out.
    pub(crate) fn has(&self, key: &PublicKey) -> bool {
        self.read().contains_key(key)
    }

    /// Whether a ticket that was signed at `issued_at_s` (seconds since the Unix epoch) means one that is shut out by this name, and not
    /// the relay that holds the name since.
    pub(crate) fn is_meant(&self, name: &RelayName, issued_at_s: u64) -> bool {
        self.read()
            .values()
            .any(|entry| entry.relay == *name && issued_at_s <= entry.at_s.saturating_add(SETTLING_TIME_S))
    }

    /// Changes when there is news.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Forgets those that the directory has named no more for long.
    pub(crate) fn forget(&self, now: Instant) {
        if !self.read().is_empty() {
            self.write().retain(|_, entry| now < entry.until);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<PublicKey, Entry>> {
        // Every change stands by itself, so a panic elsewhere leaves it usable.
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<PublicKey, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> RelayName {
        text.parse().unwrap()
    }

    fn key(number: u64) -> PublicKey {
        format!("{number:042}A").parse().unwrap()
    }

    fn told(relay: &str, number: u64, at_s: u64) -> RevokedRelay {
        RevokedRelay { relay: name(relay), public_key: key(number), at_s }
    }

    #[test]
    fn relay_that_is_named_again_and_again_is_news_once() {
        let (revoked, now) = (Revoked::default(), Instant::now());
        let mut news = revoked.news();
        assert_eq!(revoked.hear(vec![told("a", 1, 100), told("b", 2, 101)], now), [name("a"), name("b")]);
        assert!(news.has_changed().unwrap());
        news.mark_unchanged();
        assert_eq!(revoked.hear(vec![told("a", 1, 100)], now), []);
        assert_eq!(revoked.hear(vec![], now), []);
        assert!(!news.has_changed().unwrap());
        assert!(revoked.has(&key(1)) && revoked.has(&key(2)) && !revoked.has(&key(3)));
    }

    #[test]
    fn tickets_from_before_mean_the_revoked_one_and_later_ones_who_has_its_name() {
        let revoked = Revoked::default();
        revoked.hear(vec![told("a", 1, 100)], Instant::now());
        let settled_s = 100 + SETTLING_TIME_S;
        assert!(revoked.is_meant(&name("a"), 99) && revoked.is_meant(&name("a"), settled_s));
        assert!(!revoked.is_meant(&name("a"), settled_s + 1) && !revoked.is_meant(&name("b"), 99));
        assert!(!revoked.has(&key(2)), "it is another relay");
    }

    #[test]
    fn one_is_remembered_for_as_long_as_it_is_named_and_then_some() {
        let (revoked, now) = (Revoked::default(), Instant::now());
        let second = Duration::from_secs(1);
        revoked.hear(vec![told("a", 1, 100)], now);
        revoked.hear(vec![told("a", 1, 100)], now + second);
        revoked.forget(now + REVOKED_TOLD_TIME);
        assert!(revoked.has(&key(1)));
        revoked.forget(now + REVOKED_TOLD_TIME + second);
        assert!(!revoked.has(&key(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let (revoked, now) = (Revoked::default(), Instant::now());
        let all = (0..REMEMBERED_MAX as u64 + 10).map(|number| told("a", number, 100)).collect();
        assert_eq!(revoked.hear(all, now).len(), REMEMBERED_MAX);
        assert_eq!(revoked.read().len(), REMEMBERED_MAX);
    }
}
