//! What relays that pull from here have said: nothing that a relay signed counts twice.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use protocol::{StreamId, limits::RELAY_ASSERTION_TIME, signing::PublicKey};

/// Most that are remembered: each is a stream that one relay of the directory has asked for within a minute, with a good ticket.
const REMEMBERED_MAX: usize = 65_536;

/// When each relay asked last for each stream, by the time it put on it, in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Replays(Mutex<HashMap<(PublicKey, StreamId), u64>>);

impl Replays {
    /// Whether this was said after all that its key said before of the stream; it is remembered then.
    pub(super) fn is_news(&self, key: PublicKey, stream: StreamId, said_at_ms: u64) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said.get(&(key, stream));
        // Who can't be remembered is not let in: it could come again with the same words.
        let news = last.map_or(said.len() < REMEMBERED_MAX, |last| said_at_ms > *last);
        if news {
            said.insert((key, stream), said_at_ms);
        }
        news
    }

    /// Forgets what is too old to be taken a second time.
    pub(super) fn forget(&self, now_ms: u64) {
        let time_ms = RELAY_ASSERTION_TIME.as_millis() as u64;
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, said_at_ms| now_ms <= said_at_ms.saturating_add(time_ms));
    }
}

#[cfg(test)]
mod tests {
    use protocol::signing::SigningKey;

    use super::*;

    fn key() -> PublicKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap().public_key()
    }

    #[test]
    fn same_word_counts_once_and_an_older_one_never() {
        let replays = Replays::default();
        let (one, other) = (key(), key());
        let stream = |number| StreamId::of(&"test".parse().unwrap(), number);
        assert!(replays.is_news(one, stream(1), 100));
        assert!(!replays.is_news(one, stream(1), 100) && !replays.is_news(one, stream(1), 99));
        assert!(replays.is_news(one, stream(2), 99) && replays.is_news(other, stream(1), 99));
        assert!(replays.is_news(one, stream(1), 101));
    }

    #[test]
    fn what_is_out_of_time_is_forgotten() {
        let replays = Replays::default();
        let (key, stream) = (key(), StreamId::of(&"test".parse().unwrap(), 1));
        assert!(replays.is_news(key, stream, 100_000));
        replays.forget(130_000);
        assert!(!replays.is_news(key, stream, 100_000));
        replays.forget(130_001);
        assert!(replays.0.lock().unwrap().is_empty());
    }
}
