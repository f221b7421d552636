//! The directory's list as server-sent events, connecting again whenever the connection breaks.

use std::time::Duration;

use futures_util::{Stream, stream};
use protocol::http::ListEvent;

use super::{DirectoryClient, DirectoryError, event_source::EventSource};

/// First wait before connecting again; doubles up to [`RECONNECT_WAIT_MAX`].
const RECONNECT_WAIT_MIN: Duration = Duration::from_millis(500);

/// Longest wait before connecting again: an open list is back this soon after its directory.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// A connection without a byte for this long is dead: the directory sends comments more often.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(60);

struct State {
    client: DirectoryClient,
    source: Option<EventSource>,
    wait: Duration,
    failed: bool,
}

pub(super) fn list_events(
    client: DirectoryClient,
) -> impl Stream<Item = Result<ListEvent, DirectoryError>> + Send + use<> {
    let state = State { client, source: None, wait: RECONNECT_WAIT_MIN, failed: false };
    stream::unfold(state, |mut state| async move {
        let item = state.next().await;
        Some((item, state))
    })
}

impl State {
    async fn next(&mut self) -> Result<ListEvent, DirectoryError> {
        loop {
            if std::mem::take(&mut self.failed) {
                tokio::time::sleep(self.wait).await;
                self.wait = (self.wait * 2).min(RECONNECT_WAIT_MAX);
            }
            let Some(source) = &mut self.source else {
                let request = self.client.http.get(self.client.at("api/events"));
                let connecting = EventSource::connect(&self.client, request, SILENCE_TIME_MAX);
                self.source = Some(connecting.await.inspect_err(|_| self.failed = true)?);
                continue;
            };
            let Some(event) = source.next().await else {
                (self.source, self.failed) = (None, true);
                return Err(DirectoryError::Unreachable { directory: self.client.directory.clone() });
            };
            // An event of a later version is not an error; the next whole list repairs what it may have meant.
            if let Ok(event) = serde_json::from_str(&event) {
                self.wait = RECONNECT_WAIT_MIN;
                return Ok(event);
            }
        }
    }
}
