//! One relay as the registry knows it: what it said of itself, when it was last heard of, and what it carries.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use protocol::{
    StreamId,
    http::{RelayAddress, RelayLoad},
    limits::{HEARTBEAT_INTERVAL, RELAY_SILENCE_TIME_MAX},
    signing::PublicKey,
};

use super::{check::Check, micros, stream::Report};

/// A relay whose heartbeat is this late keeps its name, but gets new streams only when no other relay can take them.
const LATE_AFTER: Duration = Duration::from_millis(1500);

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
    /// Its heartbeat is late, or somebody could not use it and the check of that is under way or went wrong.
    Suspect,
    /// It carries as much as it may.
    Full,
    /// It is to be rid of its streams.
    Draining,
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
    /// How busy it said to be.
    pub(super) load: RelayLoad,
    /// Whether it says that it wants to be rid of its streams.
    pub(super) says_draining: bool,
    /// Whether an operator wants that.
    pub(super) told_to_drain: bool,
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
            load: RelayLoad::default(),
            says_draining: false,
            told_to_drain: false,
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
        // One that was drained has ended by now, and starts anew.
        (self.says_draining, self.told_to_drain) = (false, false);
    }

    pub(super) fn heard(&mut self, now_us: u64) {
        self.heard_at_us = now_us;
    }

    /// Whether it has lost its name by being silent.
    pub(super) fn is_lost(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.heard_at_us) >= micros(RELAY_SILENCE_TIME_MAX)
    }

    /// Whether its heartbeat is late, or it may be broken as somebody says.
    pub(super) fn is_suspect(&self, now_us: u64) -> bool {
        let silence_us = now_us.saturating_sub(self.heard_at_us);
        silence_us > micros(HEARTBEAT_INTERVAL.saturating_add(LATE_AFTER)) || self.check.is_in_doubt()
    }

    /// Whether it is to be rid of its streams.
    pub(super) fn is_draining(&self) -> bool {
        self.says_draining || self.told_to_drain
    }
}
