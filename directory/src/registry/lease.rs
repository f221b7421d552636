//! Who holds a relay name: registration, heartbeats, and the loss of relays that are silent.

use std::collections::{HashMap, HashSet};

use protocol::{
    RelayName, StreamId,
    http::{CarriedStream, Heartbeat},
    signing::PublicKey,
};
use thiserror::Error;

use super::{
    Note, Registry,
    relay::{Joining, Relay},
    stream::{FAILOVER_TIME_MAX, INTERRUPTED_TIME_MAX, Report},
};

/// Most relays that hold a name at a time: an answer about assignment looks at all of them.
pub(super) const RELAYS_MAX: usize = 1024;

/// Most streams of one relay that are remembered though the directory does not know them: their broadcasters may bring them back.
const STRANGE_MAX: usize = 4096;

/// What a relay reads that signs two requests with the same time.
const REPLAYED: &str = "the relay's signature was used before: each must be of a later time than the one before it";

/// Why a relay may not join.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// A relay with another key holds the name.
    #[error("the name {0} is held by another relay; give this one another name, or stop the other one first")]
    NameTaken(RelayName),
    /// It was said before.
    #[error("{REPLAYED}")]
    Replayed,
    /// [`RELAYS_MAX`] is reached.
    #[error("the directory has {RELAYS_MAX} relays already, which is as many as it takes")]
    Full,
}

/// Why a heartbeat counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeartbeatError {
    /// The name is held by nobody.
    #[error("the directory does not know this relay: it must register again")]
    Unknown,
    /// It was said before.
    #[error("{REPLAYED}")]
    Replayed,
}

impl Registry {
    /// A relay joins, or registers once more after a restart; it said so at `said_at_ms` of its clock, in milliseconds
    /// since the Unix epoch.
    ///
    /// # Errors
    /// When another relay holds the name, or it was said before.
    pub fn register(&mut self, now_us: u64, joining: Joining, said_at_ms: u64) -> Result<(), RegisterError> {
        self.tick(now_us); // a relay lost by now must not be in the way
        let name = joining.address.name.clone();
        let holder = self.relays.get(&name);
        if holder.is_some_and(|holder| holder.joining.public_key != joining.public_key) {
            return Err(RegisterError::NameTaken(name));
        }
        if holder.is_none() && self.relays.len() >= RELAYS_MAX {
            return Err(RegisterError::Full);
        }
        if !self.said.is_news(now_us, joining.public_key, said_at_ms) {
            return Err(RegisterError::Replayed);
        }
        match self.relays.get_mut(&name) {
            Some(holder) => holder.rejoin(joining, now_us),
            None => drop(self.relays.insert(name.clone(), Relay::new(joining, now_us))),
        }
        self.note_registration(now_us, &name, said_at_ms);
        Ok(())
    }

    /// The key of the relay that holds a name.
    #[must_use]
    pub fn key_of(&self, name: &RelayName) -> Option<PublicKey> {
        self.relays.get(name).map(|relay| relay.joining.public_key)
    }

    /// Takes a relay's report, said at `said_at_ms` of its clock. The answer names the streams it is to end.
    ///
    /// # Errors
    /// When no relay with this key holds the name, or it was said before.
    pub fn heartbeat(
        &mut self,
        now_us: u64,
        name: &RelayName,
        key: &PublicKey,
        said_at_ms: u64,
        heartbeat: Heartbeat,
    ) -> Result<Vec<StreamId>, HeartbeatError> {
        let relay =
            self.relays.get_mut(name).filter(|relay| !relay.is_lost(now_us) && relay.joining.public_key == *key);
        let relay = relay.ok_or(HeartbeatError::Unknown)?;
        if !self.said.is_news(now_us, *key, said_at_ms) {
            return Err(HeartbeatError::Replayed);
        }
        relay.words.said_at_ms = said_at_ms;
        self.sharing.touch_relay(name);
        let end = self.take_report(now_us, name, &heartbeat);
        self.empty(now_us, name);
        Ok(end)
    }

    /// Takes over what a relay reports, here or to another directory. Tells which streams it is to end.
    pub(super) fn take_report(&mut self, now_us: u64, name: &RelayName, heartbeat: &Heartbeat) -> Vec<StreamId> {
        let Some(relay) = self.relays.get_mut(name) else { return Vec::new() };
        relay.words.heartbeat = self.sharing.is_on().then(|| heartbeat.clone());
        let reports = newest_of_each(now_us, &heartbeat.streams);
        relay.heard(now_us, u32::try_from(reports.len()).unwrap_or(u32::MAX), heartbeat);
        let known: HashSet<_> = reports.keys().filter(|id| self.streams.contains_key(*id)).copied().collect();
        let before = std::mem::replace(&mut relay.carried, known);
        let strange = reports.iter().filter(|(id, _)| !self.streams.contains_key(*id)).take(STRANGE_MAX);
        relay.strange = strange.map(|(id, report)| (*id, *report)).collect();

        for id in before.iter().filter(|id| !reports.contains_key(*id)) {
            self.with_stream(*id, now_us, |stream| {
                stream.reports.remove(name);
                stream.settle(now_us, INTERRUPTED_TIME_MAX);
            });
        }
        let mut end = Vec::new();
        for (id, report) in reports {
            // A stream that the registry never heard of goes on: the directory may have been restarted, and what is watched must
            // not stop for that. Only what is known to have ended is ended.
            if self.ended.contains(&id) {
                end.push(id);
            }
            self.with_stream(id, now_us, |stream| {
                stream.report(name, report);
                stream.settle(now_us, INTERRUPTED_TIME_MAX);
                // The old place is ended when the new one plays, not before: until then its viewers have nowhere to go.
                if stream.has_left(report, now_us) {
                    end.push(id);
                }
            });
        }
        end
    }

    /// Takes the names of silent relays away. Their streams wait for their broadcasters to ask for another relay.
    pub(super) fn lose_silent_relays(&mut self, now_us: u64) {
        self.vouch_for_silent_relays(now_us);
        let silent = self.relays.iter().filter(|(_, relay)| relay.is_lost(now_us));
        let lost: Vec<_> = silent.map(|(name, _)| name.clone()).collect();
        for name in lost {
            self.drop_relay(&name, now_us);
            self.notes.push(Note::RelayLost(name));
        }
    }

    /// Forgets a relay and what it told of.
    pub(super) fn drop_relay(&mut self, name: &RelayName, now_us: u64) {
        let carried = self.relays.remove(name).map(|relay| relay.carried).unwrap_or_default();
        for id in carried {
            self.with_stream(id, now_us, |stream| {
                stream.reports.remove(name);
                stream.settle(now_us, FAILOVER_TIME_MAX);
                stream.extend(now_us, FAILOVER_TIME_MAX);
            });
        }
    }
}

/// One report of each stream, also when a heartbeat tells of one twice: that of the newest publisher.
fn newest_of_each(now_us: u64, carried: &[CarriedStream]) -> HashMap<StreamId, Report> {
    let mut reports = HashMap::with_capacity(carried.len());
    for &CarriedStream { stream, epoch, live, viewers, depth } in carried {
        let report = Report { epoch, live, viewers, depth, since_us: now_us };
        reports.entry(stream).and_modify(|known: &mut Report| *known = report.max(*known)).or_insert(report);
    }
    reports
}
