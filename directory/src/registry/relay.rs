//! One relay as the registry knows it: what it said of itself, when it was last heard of, and what it carries.

use std::collections::{HashMap, HashSet};

use protocol::{
    StreamId,
    http::RelayAddress,
    limits::{HEARTBEAT_INTERVAL, RELAY_SILENCE_TIME_MAX},
    signing::PublicKey,
};

use super::{check::Check, micros, stream::Report};

/// A relay that missed this many heartbeats in a row keeps its name, but gets new streams only when no other relay can take them.
const HEARTBEATS_MISSED_MAX: u32 = 2;

/// What a relay says of itself when it joins; checked by [`super::joining`].
#[derive(Debug, Clone)]
pub struct Joining {
    /// Its name and where it is reached.
    pub address: RelayAddress,
    /// Most streams it carries.
    pub streams_max: u32,
    /// Most viewers it serves.
    pub viewers_max: u32,
    /// Its key: says whether it is the same relay.
    pub public_key: PublicKey,
    /// Whether it joined from the public internet, and not from the directory's own machine or network.
    pub from_afar: bool,
}

/// How a relay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelayHealth {
    /// Heard of in time, with room.
    Ready,
    /// It missed heartbeats, but still holds its name.
    Late,
    /// It carries as much as it may.
    Full,
    /// Nobody, or somebody else, answers at its public address, or it was not dialled yet.
    Unchecked,
}

/// A relay that holds its name.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) joining: Joining,
    heard_at_us: u64,
    /// Whether it is what answers at its public address.
    pub(super) check: Check,
    /// The streams of its last heartbeat that the registry knows.
    pub(super) carried: HashSet<StreamId>,
    /// What its last heartbeat told of streams that the registry does not know.
    pub(super) strange: HashMap<StreamId, Report>,
    /// How many streams its last heartbeat told of, also those that the registry doesn't know.
    pub(super) streams: u32,
    /// Viewers over all streams, as last told.
    pub(super) viewers: u32,
}

impl Relay {
    pub(super) fn new(joining: Joining, now_us: u64) -> Self {
        Self {
            joining,
            heard_at_us: now_us,
            check: Check::new(now_us),
            carried: HashSet::new(),
            strange: HashMap::new(),
            streams: 0,
            viewers: 0,
        }
    }

    /// The same relay registers once more: it was restarted, or lost the answer. What it carries is told by its next heartbeat.
    pub(super) fn rejoin(&mut self, joining: Joining, now_us: u64) {
        if self.joining.address.url == joining.address.url {
            self.check.again(now_us);
        } else {
            self.check = Check::new(now_us);
        }
        self.joining = joining;
        self.heard_at_us = now_us;
    }

    pub(super) fn heard(&mut self, now_us: u64) {
        self.heard_at_us = now_us;
    }

    /// Whether it has lost its name by being silent.
    pub(super) fn is_lost(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.heard_at_us) >= micros(RELAY_SILENCE_TIME_MAX)
    }

    /// Whether it missed heartbeats.
    pub(super) fn is_late(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.heard_at_us) > micros(HEARTBEAT_INTERVAL * (HEARTBEATS_MISSED_MAX + 1))
    }
}
