//! What a broadcaster holds of its stream: the key that owns it, and the record that brings it back to a directory which has lost
//! its memory.

use std::sync::{Mutex, PoisonError};

use futures_util::Stream;
use protocol::{
    BroadcastKey, ErrorCode, RelayName, Secret, StreamId,
    http::{Assignment, Order},
};

use crate::directory_client::{Backoff, DirectoryClient, DirectoryError};

/// The claim to one stream.
#[derive(Debug)]
pub(crate) struct Claim {
    directory: DirectoryClient,
    stream: StreamId,
    key: BroadcastKey,
    /// The newest record and its epoch.
    record: Mutex<Option<(u32, Secret)>>,
}

impl Claim {
    /// The claim of whoever has just made `stream`.
    pub(crate) fn new(
        directory: DirectoryClient,
        stream: StreamId,
        key: BroadcastKey,
        assignment: &Assignment,
    ) -> Self {
        let claim = Self { directory, stream, key, record: Mutex::default() };
        claim.keep(assignment);
        claim
    }

    /// What the directory wants, as [`DirectoryClient::orders`] has it.
    pub(crate) fn orders(&self) -> impl Stream<Item = Result<Order, DirectoryError>> + Send + use<> {
        self.directory.orders(self.stream, &self.key)
    }

    /// Keeps the record of an assignment that the directory gave, when it is the newest.
    pub(crate) fn keep(&self, assignment: &Assignment) {
        let mut kept = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = &assignment.record
            && kept.as_ref().is_none_or(|(epoch, _)| *epoch <= assignment.epoch)
        {
            *kept = Some((assignment.epoch, record.clone()));
        }
    }

    /// Asks once where to send the stream. A directory that does not know it any more is reminded of it.
    pub(crate) async fn assignment(&self, failed: Option<RelayName>) -> Result<Assignment, DirectoryError> {
        let assignment = match self.directory.assignment(self.stream, &self.key, failed).await {
            Err(forgotten) if forgotten.code() == Some(ErrorCode::StreamNotFound) => self.restore(forgotten).await?,
            answer => answer?,
        };
        self.keep(&assignment);
        Ok(assignment)
    }

    /// Brings the stream back to a directory that said `forgotten`; tries until it is back or refused for good.
    pub(crate) async fn restored(&self, forgotten: DirectoryError) -> Result<Assignment, DirectoryError> {
        let mut backoff = Backoff::new();
        loop {
            tokio::time::sleep(backoff.next()).await;
            match self.restore(forgotten.clone()).await {
                Ok(assignment) => {
                    self.keep(&assignment);
                    return Ok(assignment);
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => tracing::debug!(%error, "the stream is not back at the directory yet"),
            }
        }
    }

    /// Whether there is something to bring the stream back with.
    pub(crate) fn has_record(&self) -> bool {
        self.record().is_some()
    }

    async fn restore(&self, forgotten: DirectoryError) -> Result<Assignment, DirectoryError> {
        match self.record() {
            Some(record) => self.directory.restore_stream(&self.key, &record).await,
            None => Err(forgotten),
        }
    }

    fn record(&self) -> Option<Secret> {
        let kept = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|(_, record)| record.clone())
    }
}

/// Whether asking again would change nothing: the directory itself says no, and not for want of room or time.
pub(crate) fn is_final(error: &DirectoryError) -> bool {
    error.code().is_some_and(|code| code.http_status() < 500 && code != ErrorCode::TooManyRequests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_record_is_kept() {
        let assignment = |epoch, record: Option<&str>| Assignment {
            relays: Vec::new(),
            ticket: "ticket".into(),
            epoch,
            record: record.map(Secret::from),
        };
        let directory = DirectoryClient::new("http://localhost:1".parse().unwrap());
        let stream = StreamId::of(&"demo".parse().unwrap(), 1);
        let claim = Claim::new(directory, stream, BroadcastKey::new([7; 32]), &assignment(1, None));
        assert!(!claim.has_record());
        for (epoch, record) in [(2, Some("2")), (1, Some("1")), (3, None)] {
            claim.keep(&assignment(epoch, record));
        }
        assert_eq!(claim.record(), Some("2".into()));
        claim.keep(&assignment(2, Some("2 again")));
        assert_eq!(claim.record(), Some("2 again".into()));
    }

    #[test]
    fn only_what_the_directory_itself_refuses_is_final() {
        let refused = |code| DirectoryError::Refused { code, message: String::new() };
        for (code, wanted) in [
            (ErrorCode::StreamNotFound, true),
            (ErrorCode::Unauthorized, true),
            (ErrorCode::NoRelay, false),
            (ErrorCode::TooManyRequests, false),
        ] {
            assert_eq!(is_final(&refused(code)), wanted, "{code}");
        }
        assert!(!is_final(&DirectoryError::Unreachable { directory: "http://localhost:1".parse().unwrap() }));
    }
}
