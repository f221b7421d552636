//! One stream as the registry knows it: its phase, where it is reported, and what the open lists were told of it.

use std::{collections::BTreeMap, time::Duration};

use protocol::{
    BroadcastKeyHash, RelayName, StreamId, Title,
    http::{ListEvent, StreamState, StreamSummary, Visibility},
    limits::{
        BROADCASTER_AWAY_TIME_MAX, HEARTBEAT_INTERVAL, MOVE_OVERLAP_TIME_MAX, RELAY_SILENCE_TIME_MAX,
        STREAM_START_TIME_MAX, TICKET_RELAYS_MAX,
    },
    stream_record::StreamRecord,
};

use super::{edges::Opened, micros, removed::Removed, restoring::Recalled, sharing::Mark};
use crate::password::PasswordHash;

/// How long a stream outlives the last report that media arrives: the relay's own patience with a broadcaster that is away, and
/// the heartbeats that tell of its return.
pub(super) const INTERRUPTED_TIME_MAX: Duration =
    BROADCASTER_AWAY_TIME_MAX.saturating_add(HEARTBEAT_INTERVAL.saturating_mul(2));

/// How long a stream outlives its relay: the broadcaster notices, asks for another relay, connects, and is reported from there.
pub(super) const FAILOVER_TIME_MAX: Duration = Duration::from_secs(30);

/// How often the lists are told of a stream whose count of viewers alone changes: faster than a person reads, and a stream with
/// a thousand joining viewers costs one event.
pub(super) const VIEWERS_TOLD_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stream's old place is left alone once the new one plays: the broadcaster sends to both, and the reports of both relays
/// are up to two heartbeats old.
pub(super) const OLD_PLACE_TIME: Duration = MOVE_OVERLAP_TIME_MAX.saturating_add(HEARTBEAT_INTERVAL.saturating_mul(2));

/// What one relay said of the stream in its last heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Report {
    // The order of the fields makes the newest publisher's report the greatest.
    pub(super) epoch: u32,
    pub(super) live: bool,
    pub(super) viewers: u32,
    /// How many relays lie between the origin and this one.
    pub(super) depth: u8,
    /// Since when the relay tells of media in this epoch.
    pub(super) since_us: u64,
}

impl Report {
    /// The same, when it takes the place of `before`.
    pub(super) fn after(self, before: Option<&Self>) -> Self {
        let goes_on = before.filter(|before| (before.epoch, before.live) == (self.epoch, self.live));
        Self { since_us: goes_on.map_or(self.since_us, |before| before.since_us), ..self }
    }

    /// Whether that began so lately that other relays may not have followed.
    pub(super) fn is_new(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.since_us) < micros(OLD_PLACE_TIME)
    }

    /// Whether the broadcaster itself sends to that relay. An edge carries the stream too, but nobody but other relays sends it there.
    pub(super) const fn is_origin(&self) -> bool {
        self.depth == 0
    }
}

/// How much later than its record a restored stream's epoch may be.
const EPOCHS_AHEAD_MAX: u32 = 1000;

/// A stream that was brought back, until it is assigned again.
#[derive(Debug)]
pub(super) struct Restored {
    /// The relays of its record.
    pub(super) relays: Vec<RelayName>,
    /// Whether one of them has told of it.
    pub(super) seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting { until_us: u64 },
    Live,
    Interrupted { until_us: u64 },
}

/// What the lists were told last.
#[derive(Debug, Clone, Copy)]
struct Told {
    state: StreamState,
    viewers: u32,
    at_us: u64,
}

/// What a broadcaster says of a stream that it asks for.
#[derive(Debug, Clone)]
pub struct NewStream {
    /// What it is called.
    pub title: Title,
    /// Who finds it.
    pub visibility: Visibility,
    /// Whether its payloads are end-to-end encrypted.
    pub sealed: bool,
    /// What owns it.
    pub key_hash: BroadcastKeyHash,
    /// What viewers must know.
    pub password: Option<PasswordHash>,
    /// The pass that it was made with.
    pub pass: Option<String>,
}

/// A stream that has not ended.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) about: NewStream,
    pub(super) created_at_us: u64,
    /// Counts the assignments; fences off older publishers.
    pub(super) epoch: u32,
    /// The epoch of the last move that the directory wanted; 1 when it never wanted one.
    pub(super) moved_in_epoch: u32,
    /// The relays of the newest assignment, in order of preference; also those that are not heard of just now.
    pub(super) assigned: Vec<RelayName>,
    /// Counts the changes of that list within an epoch.
    pub(super) list: u32,
    /// When the list was changed last.
    pub(super) list_at_us: u64,
    /// Who carries it.
    pub(super) reports: BTreeMap<RelayName, Report>,
    pub(super) removed: Removed,
    /// Relays that viewers were sent to though they lacked the stream.
    pub(super) opened: BTreeMap<RelayName, Opened>,
    /// When it had to leave a relay that had too much to do.
    pub(super) left_hot_at_us: Option<u64>,
    /// What is particular while it was brought back a moment ago.
    pub(super) restored: Option<Restored>,
    /// Where its relays were, while they have the time to come back.
    pub(super) recalled: Recalled,
    /// Whether another directory has seen media of it.
    pub(super) had_begun: bool,
    /// What other directories were told last.
    pub(super) shared: Option<Mark>,
    phase: Phase,
    told: Option<Told>,
}

impl Stream {
    pub(super) fn new(about: NewStream, created_at_us: u64, assigned: Vec<RelayName>) -> Self {
        Self {
            id: StreamId::of(&about.title, created_at_us),
            about,
            created_at_us,
            epoch: 1,
            moved_in_epoch: 1,
            assigned,
            list: 0,
            list_at_us: created_at_us,
            reports: BTreeMap::new(),
            removed: Removed::default(),
            opened: BTreeMap::new(),
            left_hot_at_us: None,
            restored: None,
            recalled: Recalled::default(),
            had_begun: false,
            shared: None,
            phase: Phase::Starting { until_us: created_at_us.saturating_add(micros(STREAM_START_TIME_MAX)) },
            told: None,
        }
    }

    /// One that is brought back by its broadcaster, as it was when the directory spoke of it last.
    pub(super) fn restored(about: NewStream, record: &StreamRecord, now_us: u64) -> Self {
        let mut assigned = record.relays.clone();
        assigned.truncate(TICKET_RELAYS_MAX);
        Self {
            epoch: record.epoch,
            // Until then those relays have the time to come back: what carries the stream is not to be left.
            list_at_us: now_us.saturating_add(micros(RELAY_SILENCE_TIME_MAX)),
            recalled: Recalled::of(record, now_us),
            restored: Some(Restored { relays: assigned.clone(), seen: false }),
            phase: Phase::Interrupted { until_us: now_us.saturating_add(micros(FAILOVER_TIME_MAX)) },
            ..Self::new(about, record.created_at_us, assigned)
        }
    }

    /// Takes what a relay says of it.
    pub(super) fn report(&mut self, relay: &RelayName, report: Report) {
        if let Some(restored) = &mut self.restored
            && report.is_origin()
            && restored.relays.contains(relay)
        {
            restored.seen = true;
            // Its relays may know of a later assignment than the record does; as late as a number that nobody gave out is none.
            let ahead = report.epoch.saturating_sub(self.epoch);
            self.epoch += if ahead <= EPOCHS_AHEAD_MAX { ahead } else { 0 };
        }
        // Nobody but the registry hands out epochs: a higher one is not this stream's.
        if report.epoch <= self.epoch {
            let report = report.after(self.reports.get(relay));
            self.reports.insert(relay.clone(), report);
        } else {
            self.reports.remove(relay);
        }
    }

    /// Whether media of it has ever been seen.
    pub(super) fn has_begun(&self) -> bool {
        self.had_begun || !matches!(self.phase, Phase::Starting { .. })
    }

    pub(super) fn state(&self) -> StreamState {
        match self.phase {
            Phase::Starting { .. } => StreamState::Starting,
            Phase::Live => StreamState::Live,
            Phase::Interrupted { .. } => StreamState::Interrupted,
        }
    }

    pub(super) fn viewers(&self) -> u32 {
        self.reports.values().fold(0, |sum, report| sum.saturating_add(report.viewers))
    }

    pub(super) fn summary(&self) -> StreamSummary {
        StreamSummary {
            id: self.id,
            title: self.about.title.clone(),
            created_at_ms: self.created_at_us / 1000,
            state: self.state(),
            viewers: self.viewers(),
            sealed: self.about.sealed,
        }
    }

    /// Whether people find it in the list.
    pub(super) fn is_listed(&self) -> bool {
        self.about.visibility == Visibility::Public && !matches!(self.phase, Phase::Starting { .. })
    }

    /// Where the broadcaster's media arrives: the origin's live report of the highest epoch. A broadcaster goes on to another relay of
    /// its list with the epoch that it has: where it arrived last is where it is.
    pub(super) fn live_on(&self) -> Option<(&RelayName, Report)> {
        let live = self.reports.iter().filter(|(_, report)| report.live && report.is_origin());
        let newest = live.max_by_key(|(_, report)| (report.epoch, report.since_us));
        newest.map(|(relay, report)| (relay, *report))
    }

    /// Whether the newest publisher's stream has arrived at a relay.
    pub(super) fn is_carried(&self) -> bool {
        self.reports.values().any(|report| self.is_newest_origin(report))
    }

    /// Whether this is what a relay says that the newest publisher sends to.
    pub(super) fn is_newest_origin(&self, report: &Report) -> bool {
        report.is_origin() && report.epoch == self.epoch
    }

    /// Whether the newest publisher's stream arrives at this relay or, when it does at none, is expected to.
    pub(super) fn belongs_on(&self, relay: &RelayName) -> bool {
        match self.live_on() {
            Some((live, _)) => live == relay,
            None => {
                self.reports.get(relay).is_some_and(|report| self.is_newest_origin(report))
                    || (!self.is_carried() && self.assigned.first() == Some(relay))
            }
        }
    }

    /// Whether it is sent to this relay, or expected there, and its broadcaster was not told of another.
    pub(super) fn has_to_leave(&self, relay: &RelayName) -> bool {
        let told = self.live_on().is_some_and(|(_, report)| report.epoch < self.epoch);
        !told && self.belongs_on(relay)
    }

    /// Whether a relay that has an older publisher's stream is to end it: the new place plays, and whoever followed has done so. An
    /// edge is behind by nature, and lets go by itself.
    pub(super) fn has_left(&self, report: Report, now_us: u64) -> bool {
        report.is_origin() && self.live_on().is_some_and(|(_, live)| live.epoch > report.epoch && !live.is_new(now_us))
    }

    /// Draws the conclusion from the reports. A stream that is live nowhere any more has `patience` left.
    pub(super) fn settle(&mut self, now_us: u64, patience: Duration) {
        let live = self.live_on().is_some();
        self.phase = match self.phase {
            _ if live => Phase::Live,
            Phase::Live => Phase::Interrupted { until_us: now_us.saturating_add(micros(patience)) },
            phase => phase,
        };
    }

    /// Gives a stream without media at least `patience` more: its broadcaster was heard of, or its relay was lost.
    pub(super) fn extend(&mut self, now_us: u64, patience: Duration) {
        let later_us = now_us.saturating_add(micros(patience));
        match &mut self.phase {
            Phase::Live => {}
            Phase::Starting { until_us } | Phase::Interrupted { until_us } => *until_us = later_us.max(*until_us),
        }
    }

    /// Whether its time without media is over.
    pub(super) fn is_over(&self, now_us: u64) -> bool {
        match self.phase {
            Phase::Live => false,
            Phase::Starting { until_us } | Phase::Interrupted { until_us } => now_us >= until_us,
        }
    }

    /// What the lists are to be told now, if anything: a new state at once, a new count of viewers at the next interval.
    pub(super) fn tell(&mut self, now_us: u64) -> Option<ListEvent> {
        if !self.is_listed() {
            return None;
        }
        let (state, viewers) = (self.state(), self.viewers());
        let news = self.told.is_none_or(|told| {
            let due = now_us.saturating_sub(told.at_us) >= micros(VIEWERS_TOLD_INTERVAL);
            told.state != state || (told.viewers != viewers && due)
        });
        news.then(|| {
            self.told = Some(Told { state, viewers, at_us: now_us });
            ListEvent::StreamChanged { stream: self.summary() }
        })
    }

    /// What the lists are to be told when it is removed.
    pub(super) fn farewell(&self) -> Option<ListEvent> {
        self.told.map(|_| ListEvent::StreamRemoved { id: self.id })
    }
}
