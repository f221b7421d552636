//! Takes server-sent events (HTML Living Standard, 9.2) out of bytes as they arrive. Pure.

/// Longest event that is read: a list of some ten thousand streams.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Takes bytes as they come and gives the `data` of each complete event.
#[derive(Debug, Default)]
pub(super) struct EventParser {
    line: Vec<u8>,
    data: Option<String>,
    after_return: bool,
}

impl EventParser {
    /// More bytes have arrived; gives the events that are whole with them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
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

    /// Whether what has come of the next event is more than any has.
    pub(super) fn is_overfull(&self) -> bool {
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
