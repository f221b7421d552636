//! Whose a relay name is: the first key's that asks for it, until that was not seen for a month.

use std::{collections::BTreeMap, time::Duration};

use protocol::{RelayName, signing::PublicKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Names that are held at a time, four times the relays that work at a time.
const NAMES_MAX: usize = 4096;

/// A name whose relay was not seen for this long is free for others.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How exactly it is written down when a relay was seen: a file that is written once a second wears its disk.
const SEEN_STEP: Duration = Duration::from_secs(3600);

/// Why a key may not hold a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NameError {
    /// Another key holds it.
    #[error(
        "the name {0} is held by another relay, which is said by its key; give this one another name, or let an operator \
         free the name with `directory relay-revoke {0}`"
    )]
    Taken(RelayName),
    /// [`NAMES_MAX`] is reached.
    #[error("the directory remembers {NAMES_MAX} relay names already, which is as many as it can")]
    Full,
}

/// Who holds a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Its key.
    pub(crate) public_key: PublicKey,
    /// When it was seen last, within an hour.
    pub(crate) seen_at_s: u64,
    /// The join token that it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) join_token: Option<String>,
}

impl Holder {
    fn is_gone(&self, now_s: u64) -> bool {
        now_s.saturating_sub(self.seen_at_s) >= KEPT.as_secs()
    }
}

/// All names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Names {
    holders: BTreeMap<RelayName, Holder>,
}

impl Names {
    /// Whether this key may hold the name.
    pub(super) fn check(&self, now_s: u64, name: &RelayName, key: PublicKey) -> Result<(), NameError> {
        match self.holders.get(name) {
            Some(holder) if holder.public_key == key || holder.is_gone(now_s) => Ok(()),
            Some(_) => Err(NameError::Taken(name.clone())),
            None if self.holders.len() < NAMES_MAX => Ok(()),
            None if self.holders.values().any(|holder| holder.is_gone(now_s)) => Ok(()),
            None => Err(NameError::Full),
        }
    }

    /// Gives the name to the key, which [`Self::check`] allowed.
    pub(super) fn hold(&mut self, now_s: u64, name: &RelayName, key: PublicKey, join_token: Option<String>) {
        if !self.holders.contains_key(name) && self.holders.len() >= NAMES_MAX {
            self.holders.retain(|_, holder| !holder.is_gone(now_s));
        }
        let before = self.holders.get(name).filter(|holder| holder.public_key == key);
        let join_token = join_token.or_else(|| before?.join_token.clone());
        // Registering again and again is no reason to write.
        let recent = before.map(|holder| holder.seen_at_s).filter(|seen_at_s| is_recent(*seen_at_s, now_s));
        let seen_at_s = recent.unwrap_or(now_s);
        self.holders.insert(name.clone(), Holder { public_key: key, seen_at_s, join_token });
    }

    /// Whether it is worth writing down that the name's relay was seen now.
    pub(super) fn seen_is_news(&self, now_s: u64, name: &RelayName) -> bool {
        self.holders.get(name).is_some_and(|holder| !is_recent(holder.seen_at_s, now_s))
    }

    /// The name's relay was seen now.
    pub(super) fn seen(&mut self, now_s: u64, name: &RelayName) {
        if let Some(holder) = self.holders.get_mut(name) {
            holder.seen_at_s = holder.seen_at_s.max(now_s);
        }
    }

    /// The same of another directory. A name that was given to two relays is the one's that was seen last.
    pub(super) fn merge(&mut self, other: &Self) {
        for (name, holder) in &other.holders {
            match self.holders.get_mut(name) {
                Some(own) if own.public_key == holder.public_key => {
                    own.seen_at_s = own.seen_at_s.max(holder.seen_at_s);
                    own.join_token = own.join_token.take().max(holder.join_token.clone());
                }
                Some(own) if (own.seen_at_s, own.public_key) > (holder.seen_at_s, holder.public_key) => {}
                _ => drop(self.holders.insert(name.clone(), holder.clone())),
            }
        }
    }

    /// Frees the names of all such keys.
    pub(super) fn release_all(&mut self, is_out: impl Fn(&PublicKey) -> bool) {
        self.holders.retain(|_, holder| !is_out(&holder.public_key));
    }

    pub(super) fn holder(&self, name: &RelayName) -> Option<&Holder> {
        self.holders.get(name)
    }

    pub(super) fn release(&mut self, name: &RelayName) -> Option<Holder> {
        self.holders.remove(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RelayName, &Holder)> {
        self.holders.iter()
    }
}

fn is_recent(seen_at_s: u64, now_s: u64) -> bool {
    now_s.saturating_sub(seen_at_s) < SEEN_STEP.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::sample::{NOW_S, key, name};

    #[test]
    fn name_is_the_first_keys_until_it_was_not_seen_for_a_month() {
        let mut names = Names::default();
        names.check(NOW_S, &name("a"), key(1)).unwrap();
        names.hold(NOW_S, &name("a"), key(1), None);
        names.check(NOW_S, &name("a"), key(1)).unwrap();
        assert_eq!(names.check(NOW_S, &name("a"), key(2)), Err(NameError::Taken(name("a"))));
        let month_later_s = NOW_S + 30 * 24 * 3600;
        assert!(names.check(month_later_s - 1, &name("a"), key(2)).is_err());
        names.check(month_later_s, &name("a"), key(2)).unwrap();
        names.seen(NOW_S + 24 * 3600, &name("a"));
        assert!(names.check(month_later_s, &name("a"), key(2)).is_err(), "it was seen meanwhile");
    }

    #[test]
    fn relay_that_is_seen_all_the_time_is_written_down_once_an_hour() {
        let mut names = Names::default();
        names.hold(NOW_S, &name("a"), key(1), None);
        let mut written = 0;
        for now_s in NOW_S..=NOW_S + 7200 {
            if names.seen_is_news(now_s, &name("a")) {
                names.seen(now_s, &name("a"));
                written += 1;
            }
        }
        assert_eq!(written, 2);
        let before = names.clone();
        names.hold(NOW_S + 7201, &name("a"), key(1), None);
        assert_eq!(names, before, "nor when it registers again");
    }

    #[test]
    fn as_many_names_as_there_can_be_and_forgotten_ones_make_room() {
        let mut names = Names::default();
        for number in 0..NAMES_MAX {
            let seen_at_s = if number == 7 { NOW_S - KEPT.as_secs() } else { NOW_S };
            names.hold(seen_at_s, &name(&format!("relay-{number}")), key(1), None);
        }
        names.check(NOW_S, &name("one-more"), key(1)).unwrap();
        names.hold(NOW_S, &name("one-more"), key(1), None);
        assert_eq!(names.holders.len(), NAMES_MAX);
        assert_eq!(names.check(NOW_S, &name("another"), key(1)), Err(NameError::Full));
    }
}
