//! One connection that brings server-sent events (HTML Living Standard, 9.2).

use std::{collections::VecDeque, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::{RequestBuilder, header::ACCEPT};

use super::{CALL_TIME_MAX, DirectoryClient, DirectoryError, event_parser::EventParser};

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Events as they come, until the connection breaks.
pub(super) struct EventSource {
    body: Body,
    parser: EventParser,
    ready: VecDeque<String>,
    silence_time_max: Duration,
}

impl EventSource {
    /// Connects. A connection without a byte for `silence_time_max` is taken for dead.
    pub(super) async fn connect(
        client: &DirectoryClient,
        request: RequestBuilder,
        silence_time_max: Duration,
    ) -> Result<Self, DirectoryError> {
        let answering = client.answer(request.header(ACCEPT, "text/event-stream"));
        let unreachable = |_| DirectoryError::Unreachable { directory: client.directory.clone() };
        let answer = tokio::time::timeout(CALL_TIME_MAX, answering).await.map_err(unreachable)??;
        let body = Box::pin(answer.bytes_stream());
        Ok(Self { body, parser: EventParser::default(), ready: VecDeque::new(), silence_time_max })
    }

    /// The `data` of the next event; `None` when the connection is over.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let bytes = tokio::time::timeout(self.silence_time_max, self.body.next()).await.ok()??.ok()?;
            self.ready.extend(self.parser.push(&bytes));
            if self.parser.is_overfull() {
                return None;
            }
        }
    }
}
