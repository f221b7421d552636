//! The streams that ended a moment ago, so that a relay which still carries one is told to end it, and its broadcaster why.

use std::collections::{HashMap, VecDeque};

use protocol::StreamId;
use serde::{Deserialize, Serialize};

/// Most ids remembered. A relay reports within seconds of an end; a thousand ends a second would still be remembered for four.
const ENDED_MAX: usize = 4096;

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its broadcaster wanted it.
    Broadcaster,
    /// No media came for too long.
    Expired,
    /// An operator wanted it.
    Operator,
    /// The pass that it was made with was revoked.
    PassRevoked,
}

impl EndReason {
    /// Whether somebody wanted it. A stream that expired may have been seen by another directory, which knows better then.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Expired
    }
}

/// A bounded memory; the oldest id is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Ended {
    order: VecDeque<StreamId>,
    ids: HashMap<StreamId, EndReason>,
}

impl Ended {
    pub(super) fn insert(&mut self, id: StreamId, reason: EndReason) {
        if self.ids.insert(id, reason).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    /// The same for a stream that somebody wanted to end, also when it had expired here.
    pub(super) fn insert_final(&mut self, id: StreamId, reason: EndReason) {
        self.insert(id, reason);
        self.ids.insert(id, reason);
    }

    /// The stream goes on after all.
    pub(super) fn forget(&mut self, id: &StreamId) {
        if self.ids.remove(id).is_some() {
            self.order.retain(|ended| ended != id);
        }
    }

    /// The streams that somebody wanted to end.
    pub(super) fn for_good(&self) -> impl Iterator<Item = StreamId> {
        self.ids.iter().filter(|(_, reason)| reason.is_final()).map(|(id, _)| *id)
    }

    pub(super) fn contains(&self, id: &StreamId) -> bool {
        self.ids.contains_key(id)
    }

    pub(super) fn reason(&self, id: &StreamId) -> Option<EndReason> {
        self.ids.get(id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_id_is_forgotten_when_the_memory_is_full() {
        let title = "demo".parse().unwrap();
        let mut ended = Ended::default();
        for us in 0..=ENDED_MAX as u64 {
            ended.insert(StreamId::of(&title, us), EndReason::Expired);
        }
        assert!(!ended.contains(&StreamId::of(&title, 0)));
        assert!(ended.contains(&StreamId::of(&title, 1)));
        assert_eq!((ended.ids.len(), ended.order.len()), (ENDED_MAX, ENDED_MAX));
    }
}
