//! One relay as the registry knows it: what it said of itself, when it was last heard of, and what it carries.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use protocol::{
    StreamId,
    http::{Heartbeat, RelayAddress, RelayLoad},
    limits::{HEARTBEAT_INTERVAL, RELAY_SILENCE_TIME_MAX},
    signing::PublicKey,
};
use serde::{Deserialize, Serialize};

use super::{
    check::Check,
    micros,
    pressure::{Pressure, is_strained},
    sharing::Words,
    stream::Report,
};

/// A relay whose heartbeat is this late keeps its name, but gets new streams only when no other relay can take them.
const LATE_AFTER: Duration = Duration::from_millis(1500);

/// What a relay says of itself when it joins; checked by [`super::joining`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Joining {
    /// Its name and where it is reached.
    pub address: RelayAddress,
    /// Most streams it carries.
    pub streams_max: u32,
    /// Most viewers it serves.
    pub viewers_max: u32,
    /// Most bytes a second that it sends, where its operator said so.
    pub egress_bytes_per_s_max: Option<u64>,
    /// Where it stands, in lower case.
    pub region: Option<String>,
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
    /// It has so little room left that it gets nothing new.
    Busy,
    /// It carries as much as it may.
    Full,
    /// It is to be rid of its streams.
    Draining,
    /// Nobody, or somebody else, answers at its public address, or it was not dialled yet.
    Unchecked,
}

/// What was sent to a relay since its last heartbeat, which could not tell of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) viewers: u32,
    /// Streams that those viewers make it pull.
    pub(super) edges: u32,
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
    /// Whether that is too busy.
    pub(super) pressure: Pressure,
    pub(super) sent: Sent,
    /// Whether it says that it wants to be rid of its streams.
    pub(super) says_draining: bool,
    /// Whether an operator wants that.
    pub(super) told_to_drain: bool,
    /// What other directories are to hear of it.
    pub(super) words: Words,
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
            pressure: Pressure::default(),
            sent: Sent::default(),
            says_draining: false,
            told_to_drain: false,
            words: Words::default(),
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
        (self.pressure, self.sent) = Default::default();
        // One that was drained has ended by now, and starts anew.
        (self.says_draining, self.told_to_drain) = (false, false);
    }

    /// A heartbeat, with so many streams.
    pub(super) fn heard(&mut self, now_us: u64, streams: u32, heartbeat: &Heartbeat) {
        self.heard_at_us = now_us;
        (self.streams, self.viewers) = (streams, heartbeat.viewers);
        (self.load, self.says_draining) = (heartbeat.load, heartbeat.draining);
        self.sent = Sent::default();
        // One that can't be is as none: the relay is of use without.
        let webtransport =
            heartbeat.webtransport.as_ref().filter(|other| other.is_well_formed(&self.joining.address.url));
        self.joining.address.webtransport = webtransport.cloned();
        self.pressure.note(now_us, self.room_for(self.told()), is_strained(&self.load, self.viewers));
    }

    /// It answers at its public address while nobody can say to whom it reports: late, but not lost.
    pub(super) fn vouch(&mut self, now_us: u64) {
        let late_us = now_us.saturating_sub(micros(HEARTBEAT_INTERVAL.saturating_add(LATE_AFTER)) + 1);
        self.heard_at_us = self.heard_at_us.max(late_us);
    }

    /// Whether it has lost its name by being silent.
    pub(super) fn is_lost(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.heard_at_us) >= micros(RELAY_SILENCE_TIME_MAX)
    }

    /// Whether its heartbeat is late, or it may be broken as somebody says.
    pub(super) fn is_suspect(&self, now_us: u64) -> bool {
        self.is_late(now_us) || self.check.is_in_doubt()
    }

    /// Whether its heartbeat is late.
    pub(super) fn is_late(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.heard_at_us) > micros(HEARTBEAT_INTERVAL.saturating_add(LATE_AFTER))
    }

    /// Whether it is to be rid of its streams.
    pub(super) fn is_draining(&self) -> bool {
        self.says_draining || self.told_to_drain
    }
}
