//! One connection that brings server-sent events (HTML Living Standard, 9.2).

use std::{collections::VecDeque, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::{RequestBuilder, header::ACCEPT};

use super::{CALL_TIME_MAX, DirectoryClient, DirectoryError};

/// Longest event that is read: a list of some ten thousand streams.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

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
