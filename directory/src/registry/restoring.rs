//! Streams that outlive the directory's memory: what is signed of them, and how they come back.

use protocol::{StreamId, stream_record::StreamRecord};

use super::{EndReason, NewStream, PlaceError, Registry, stream::Stream};
use crate::password::{InvalidPasswordHash, PasswordHash};

impl Registry {
    /// What brings the stream back to a directory that does not know it any more.
    #[must_use]
    pub fn record(&self, id: StreamId, now_s: u64) -> Option<StreamRecord> {
        let stream = self.streams.get(&id)?;
        let about = &stream.about;
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
