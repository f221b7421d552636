//! What the directory wants of a broadcaster, as server-sent events, connecting again whenever the connection breaks.

use std::time::Duration;

use futures_util::{Stream, stream};
use protocol::{BroadcastKey, ErrorCode, StreamId, http::Order};

use super::{Backoff, DirectoryClient, DirectoryError, event_source::EventSource};

/// A connection without a byte for this long is dead: the directory sends a comment every 10 s.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(30);

struct State {
    client: DirectoryClient,
    stream: StreamId,
    key: BroadcastKey,
    source: Option<EventSource>,
    backoff: Backoff,
    over: bool,
}

pub(super) fn orders(
    client: DirectoryClient,
    stream: StreamId,
    key: BroadcastKey,
) -> impl Stream<Item = Result<Order, DirectoryError>> + Send + use<> {
    let state = State { client, stream, key, source: None, backoff: Backoff::new(), over: false };
    stream::unfold(state, |mut state| async move {
        if state.over {
            return None;
        }
        let order = state.next().await;
        state.over = order.is_err();
        Some((order, state))
    })
}

impl State {
    /// The next order; an error when the directory does not know the stream or its key: it has no orders then.
    async fn next(&mut self) -> Result<Order, DirectoryError> {
        loop {
            let Some(source) = &mut self.source else {
                let path = format!("api/streams/{}/orders", self.stream);
                let request = self.client.http.get(self.client.at(&path)).bearer_auth(self.key.expose());
                match EventSource::connect(&self.client, request, SILENCE_TIME_MAX).await {
                    Ok(source) => self.source = Some(source),
                    Err(error) => match error.code() {
                        Some(ErrorCode::StreamNotFound | ErrorCode::NotFound | ErrorCode::Unauthorized) => {
                            tracing::debug!(%error, "the directory has no orders for this stream");
                            return Err(error);
                        }
                        _ => tokio::time::sleep(self.backoff.next()).await,
                    },
                }
                continue;
            };
            let Some(event) = source.next().await else {
                self.source = None;
                tokio::time::sleep(self.backoff.next()).await;
                continue;
            };
            // An order of a later version is not an error.
            if let Ok(order) = serde_json::from_str(&event) {
                self.backoff = Backoff::new();
                return Ok(order);
            }
        }
    }
}
