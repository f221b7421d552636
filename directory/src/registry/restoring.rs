//! Streams that outlive the directory's memory: what is signed of them, and how they come back.

use std::time::Duration;

use protocol::{RelayName, StreamId, http::RelayAddress, limits::TICKET_RELAYS_MAX, stream_record::StreamRecord};

use super::{
    EndReason, NewStream, PlaceError, Registry, micros,
    stream::{INTERRUPTED_TIME_MAX, Stream},
};
use crate::password::{InvalidPasswordHash, PasswordHash};

/// How long relays are named where a record says that they were: one that is not back after several times its pauses is gone.
const RECALLED_TIME: Duration = Duration::from_secs(30);

/// Where a stream's relays were before the directory was gone.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    addresses: Vec<RelayAddress>,
    until_us: u64,
}

impl Recalled {
    /// As the directory itself said it.
    pub(super) fn of(record: &StreamRecord, now_us: u64) -> Self {
        let mut addresses = record.addresses.clone();
        addresses.truncate(TICKET_RELAYS_MAX);
        Self { addresses, until_us: now_us.saturating_add(micros(RECALLED_TIME)) }
    }

    pub(super) fn addresses(&self) -> &[RelayAddress] {
        &self.addresses
    }

    pub(super) fn forget_old(&mut self, now_us: u64) {
        if now_us >= self.until_us {
            self.addresses = Vec::new();
        }
    }
}

impl Registry {
    /// What brings the stream back to a directory that does not know it any more.
    #[must_use]
    pub fn record(&self, id: StreamId, now_s: u64) -> Option<StreamRecord> {
        let stream = self.streams.get(&id)?;
        let about = &stream.about;
        let address = |name: &RelayName| match self.relays.get(name).filter(|relay| !relay.check.is_awaited()) {
            Some(relay) => relay.check.is_good().then_some(&relay.joining.address),
            None => stream.recalled.addresses().iter().find(|relay| relay.name == *name),
        };
        Some(StreamRecord {
            stream: id,
            title: about.title.clone(),
            created_at_us: stream.created_at_us,
            visibility: about.visibility,
            password_hash: about.password.as_ref().map(ToString::to_string),
            sealed: about.sealed,
            key_hash: about.key_hash.clone(),
            pass: about.pass.clone(),
            epoch: stream.epoch,
            relays: stream.assigned.clone(),
            addresses: stream.assigned.iter().filter_map(address).cloned().collect(),
            issued_at_s: now_s,
        })
    }

    /// Brings a stream back of which the directory itself said `record`. One that is here stays as it is; its epoch never falls.
    ///
    /// # Errors
    /// When somebody has ended it, or there are as many streams as there may be.
    pub fn restore(&mut self, now_us: u64, record: &StreamRecord, about: NewStream) -> Result<(), PlaceError> {
        let id = record.stream;
        // One that expired comes back as well: its broadcaster's computer has slept.
        if self.ended.reason(&id).is_some_and(EndReason::is_final)
            || StreamId::of(&about.title, record.created_at_us) != id
        {
            return Err(PlaceError::NotFound);
        }
        if let Some(known) = self.streams.get_mut(&id) {
            if known.about.key_hash != about.key_hash {
                return Err(PlaceError::Unauthorized);
            }
            if record.epoch > known.epoch {
                // It was brought back by an older record before.
                let relays = record.relays.clone();
                (known.epoch, known.assigned) = (record.epoch, relays);
                known.recalled = Recalled::of(record, now_us);
                self.sharing.touch_stream(id);
            }
            return Ok(());
        }
        if self.streams.len() >= self.rules.streams_max {
            return Err(PlaceError::TooManyStreams);
        }
        self.ended.forget(&id);
        self.by_age.insert((record.created_at_us, id));
        self.streams.insert(id, Stream::restored(about, record, now_us));
        self.take_strange_reports(now_us, id);
        Ok(())
    }

    /// A stream is known now that relays have told of before.
    pub(super) fn take_strange_reports(&mut self, now_us: u64, id: StreamId) {
        let told = self.relays.iter_mut().filter_map(|(name, relay)| {
            let report = relay.strange.remove(&id)?;
            relay.carried.insert(id);
            Some((name.clone(), report))
        });
        let told: Vec<_> = told.collect();
        self.with_stream(id, now_us, |stream| {
            for (relay, report) in told {
                stream.report(&relay, report);
            }
            stream.settle(now_us, INTERRUPTED_TIME_MAX);
        });
    }
}

impl TryFrom<&StreamRecord> for NewStream {
    type Error = InvalidPasswordHash;

    fn try_from(record: &StreamRecord) -> Result<Self, InvalidPasswordHash> {
        Ok(Self {
            title: record.title.clone(),
            visibility: record.visibility,
            sealed: record.sealed,
            key_hash: record.key_hash.clone(),
            password: record.password_hash.as_deref().map(str::parse::<PasswordHash>).transpose()?,
            pass: record.pass.clone(),
        })
    }
}
