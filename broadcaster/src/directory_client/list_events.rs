//! The directory's list as server-sent events (HTML Living Standard, 9.2), connecting again whenever the connection breaks.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use protocol::http::ListEvent;
use reqwest::header::ACCEPT;

use super::{DirectoryClient, DirectoryError};

/// First wait before connecting again; doubles up to [`RECONNECT_WAIT_MAX`].
const RECONNECT_WAIT_MIN: Duration = Duration::from_millis(500);

/// Longest wait before connecting again: an open list is back this soon after its directory.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// A connection without a byte for this long is dead: the directory sends comments more often.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest event that is read: a list of some ten thousand streams.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

struct State {
    client: DirectoryClient,
    body: Option<Body>,
    parser: EventParser,
    ready: VecDeque<ListEvent>,
    wait: Duration,
    failed: bool,
}

pub(super) fn list_events(
    client: DirectoryClient,
) -> impl Stream<Item = Result<ListEvent, DirectoryError>> + Send + use<> {
    let state = State {
        client,
        body: None,
        parser: EventParser::default(),
        ready: VecDeque::new(),
        wait: RECONNECT_WAIT_MIN,
        failed: false,
    };
    stream::unfold(state, |mut state| async move {
        let item = state.next().await;
        Some((item, state))
    })
}

impl State {
    async fn next(&mut self) -> Result<ListEvent, DirectoryError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.wait = RECONNECT_WAIT_MIN;
                return Ok(event);
            }
            if std::mem::take(&mut self.failed) {
                tokio::time::sleep(self.wait).await;
                self.wait = (self.wait * 2).min(RECONNECT_WAIT_MAX);
            }
            let Some(body) = &mut self.body else {
                self.parser = EventParser::default();
                self.body = Some(connect(&self.client).await.inspect_err(|_| self.failed = true)?);
                continue;
            };
            let bytes = match tokio::time::timeout(SILENCE_TIME_MAX, body.next()).await {
                Ok(Some(Ok(bytes))) => bytes,
                _ => Bytes::new(),
            };
            if bytes.is_empty() || self.parser.is_overfull() {
                (self.body, self.failed) = (None, true);
                return Err(DirectoryError::Unreachable { directory: self.client.directory.clone() });
            }
            // An event of a later version is not an error; the next whole list repairs what it may have meant.
            self.ready.extend(self.parser.push(&bytes).iter().filter_map(|data| serde_json::from_str(data).ok()));
        }
    }
}

async fn connect(client: &DirectoryClient) -> Result<Body, DirectoryError> {
    let request = client.http.get(client.at("api/events")).header(ACCEPT, "text/event-stream");
    Ok(Box::pin(client.answer(request).await?.bytes_stream()))
}

/// Takes bytes as they come and gives the `data` of each complete event.
#[derive(Debug, Default)]
struct EventParser {
    line: Vec<u8>,
    data: Option<String>,
    after_return: bool,
}

impl EventParser {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let ends_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if ends_return => {} // the second half of CR LF
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn is_overfull(&self) -> bool {
        self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_BYTES_MAX
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_comments_and_line_ends_are_understood() {
        let text = ": keep-alive\n\nevent: list\ndata: {\"a\":\ndata: 1}\n\nid: 3\r\ndata:x\r\n\r\ndata: y\r\r";
        assert_eq!(EventParser::default().push(text.as_bytes()), ["{\"a\":\n1}", "x", "y"]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..80),
                                cut in 0_usize..80) {
            let whole = EventParser::default().push(&bytes);
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut parser = EventParser::default();
            let mut pieces = parser.push(head);
            pieces.extend(parser.push(tail));
            prop_assert_eq!(whole, pieces);
        }
    }
}
