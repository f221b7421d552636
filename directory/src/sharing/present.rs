//! Which directories there are, by what was heard of them, and which of them leads: the first by name takes the decisions that one is
//! enough for. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How often a directory says that it is there.
pub(super) const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a directory may be silent that is there: three beats that were lost.
pub(super) const SILENCE_TIME_MAX: Duration = Duration::from_secs(4);

/// Directories that are counted: far more than anybody runs.
const DIRECTORIES_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Present {
    own: String,
    heard: BTreeMap<String, Instant>,
}

impl Present {
    /// One directory, of this name, begins to listen.
    pub(super) fn new(own: String, now: Instant) -> Self {
        Self { heard: [(own.clone(), now)].into(), own }
    }

    /// A directory has said that it is there, or that it goes.
    pub(super) fn heard(&mut self, name: &str, is_there: bool, now: Instant) {
        if !is_there && name != self.own {
            self.heard.remove(name);
        } else if self.heard.len() < DIRECTORIES_MAX || self.heard.contains_key(name) {
            self.heard.insert(name.to_owned(), now);
        }
    }

    /// Forgets who was silent for too long. Whether this directory still hears itself, and so everybody else.
    pub(super) fn hears(&mut self, now: Instant) -> bool {
        self.heard.retain(|name, at| *name == self.own || now.duration_since(*at) < SILENCE_TIME_MAX);
        self.heard.get(&self.own).is_some_and(|at| now.duration_since(*at) < SILENCE_TIME_MAX)
    }

    pub(super) fn own(&self) -> &str {
        &self.own
    }

    pub(super) fn count(&self) -> usize {
        self.heard.len()
    }

    pub(super) fn leads(&self) -> bool {
        self.heard.keys().next() == Some(&self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_those_that_are_there_leads() {
        let start = Instant::now();
        let mut present = Present::new("b".to_owned(), start);
        assert!(present.leads());
        present.heard("a", true, start);
        present.heard("c", true, start + BEAT_INTERVAL);
        assert_eq!((present.leads(), present.count()), (false, 3));
        present.heard("b", true, start + SILENCE_TIME_MAX);
        assert!(present.hears(start + SILENCE_TIME_MAX));
        assert_eq!((present.leads(), present.count()), (true, 2), "a is silent");
        present.heard("c", false, start + SILENCE_TIME_MAX);
        assert_eq!(present.count(), 1);
    }

    #[test]
    fn who_does_not_hear_itself_hears_nobody() {
        let start = Instant::now();
        let mut present = Present::new("a".to_owned(), start);
        assert!(present.hears(start + SILENCE_TIME_MAX - BEAT_INTERVAL));
        assert!(!present.hears(start + SILENCE_TIME_MAX));
        assert_eq!(present.count(), 1, "it is there nevertheless");
    }
}
