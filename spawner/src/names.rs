//! Names of started relays: a prefix, "-" and a number from 0.

use std::collections::BTreeSet;

use protocol::RelayName;

/// Longest prefix: with "-" and ten digits it is still a relay's name.
pub(crate) const PREFIX_CHARS_MAX: usize = 50;

/// Most names that are set aside after a failure: then all are tried again.
const AVOIDED_MAX: usize = 64;

/// Gives out names. A number is used again when its relay is gone, as its folder or volume holds the key that the name belongs to;
/// one whose start failed is set aside, as the name may belong to another.
#[derive(Debug)]
pub struct Names {
    prefix: String,
    avoided: BTreeSet<RelayName>,
}

impl Names {
    /// Names that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), avoided: BTreeSet::new() }
    }

    /// The lowest one that is not `taken`.
    pub fn free(&self, taken: impl Fn(&RelayName) -> bool) -> Option<RelayName> {
        (0..10_000)
            .filter_map(|number| name(&self.prefix, number))
            .find(|name| !taken(name) && !self.avoided.contains(name))
    }

    /// Sets a name aside.
    pub fn avoid(&mut self, name: RelayName) {
        if self.avoided.len() >= AVOIDED_MAX {
            self.avoided.clear();
        }
        self.avoided.insert(name);
    }
}

pub(crate) fn name(prefix: &str, number: u32) -> Option<RelayName> {
    format!("{prefix}-{number}").parse().ok()
}

pub(crate) fn number(prefix: &str, name: &RelayName) -> Option<u32> {
    let digits = name.as_str().strip_prefix(prefix)?.strip_prefix('-')?;
    let canonical = digits == "0" || !digits.starts_with('0');
    (canonical && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_number_that_is_free_is_given_out_and_a_failed_one_set_aside() {
        let mut names = Names::new("spawned");
        let taken = |name: &RelayName| name.as_str() == "spawned-0";
        assert_eq!(names.free(taken).unwrap().as_str(), "spawned-1");
        names.avoid("spawned-1".parse().unwrap());
        assert_eq!(names.free(taken).unwrap().as_str(), "spawned-2");
    }

    #[test]
    fn numbers_are_read_back_from_own_names_only() {
        for (text, number_read) in
            [("relay-0", Some(0)), ("relay-12", Some(12)), ("relay-01", None), ("relay-x", None), ("relays-1", None)]
        {
            assert_eq!(number("relay", &text.parse().unwrap()), number_read, "{text}");
        }
    }
}
