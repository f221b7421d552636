//! What a person sees of a running broadcast.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use protocol::{RelayName, StreamId, control::AudienceMember, seal::ContentKey};
use serde::Serialize;

use tokio::sync::watch;
use ts_rs::TS;
use url::Url;

use crate::transport::Transport;

/// How long it is said that a line is good again: what people read once.
const GOOD_AGAIN_TIME: Duration = Duration::from_secs(10);

/// How a broadcast is doing. It is live only while the relay confirms that chunks arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum BroadcastState {
    /// Capture and encoder start up.
    Starting,
    /// The first connection to a relay is being made, or has not confirmed any chunk yet.
    Connecting,
    /// Chunks arrive at the relay.
    Live,
    /// Connected, but nothing has arrived at the relay for a moment, or the source gives no picture.
    Stalled,
    /// The connection broke and another is being made.
    Reconnecting,
    /// Over: stopped, or failed for good. Nothing follows.
    Ended,
}

/// The page to watch a stream. Of an encrypted stream it holds the key, behind the `#`: `Debug` prints the rest only.
#[derive(Clone, PartialEq, Eq, Serialize, TS)]
#[serde(transparent)]
#[ts(export, type = "string")]
pub struct WatchLink(Url);

impl WatchLink {
    /// The link to the page at `page`, with the key of an encrypted stream.
    pub(crate) fn new(mut page: Url, key: Option<&ContentKey>) -> Self {
        page.set_fragment(key.map(ContentKey::fragment).as_deref());
        Self(page)
    }

    /// The whole link, for whoever may watch.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for WatchLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().split('#').next().unwrap_or_default())
    }
}

/// A broadcast at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[ts(export)]
pub struct BroadcastStatus {
    /// How it is doing.
    pub state: BroadcastState,
    /// The same in a sentence for people, with the reason when something is wrong.
    pub sentence: String,
    /// The broadcast ended because of a failure; `sentence` says which.
    pub failed: bool,
    /// Names the stream.
    pub stream: StreamId,
    /// The page to watch it.
    pub watch_link: WatchLink,
    /// Its payloads are end-to-end encrypted; the key is in the link.
    pub sealed: bool,
    /// When the first chunk was confirmed, in milliseconds since the Unix epoch by this machine's clock; `None` until then.
    #[ts(type = "number | null")]
    pub started_at_ms: Option<u64>,
    /// Viewers on the relay.
    pub viewers: u32,
    /// Who watches on the relay, newest first; the newest [`protocol::limits::AUDIENCE_MAX`] of them.
    pub audience: Vec<AudienceMember>,
    /// What the relay took in over the last seconds, in kbit/s.
    pub bitrate_kbit_s: u32,
    /// The most bits that the picture takes at present, in kbit/s: less than was chosen while the connection is slow.
    pub picture_kbit_s: u32,
    /// The most bits that it takes on a good connection, in kbit/s.
    pub picture_kbit_s_max: u32,
    /// Frames per second that leave the encoder; a still screen has few.
    pub frame_rate: f32,
    /// Picture width in pixels; 0 until the first frame.
    pub width: u32,
    /// Picture height in pixels; 0 until the first frame.
    pub height: u32,
    /// Frames that were encoded but not sent because the connection was too slow or broken.
    #[ts(type = "number")]
    pub dropped_frames: u64,
    /// Segments that lost frames that way.
    #[ts(type = "number")]
    pub dropped_segments: u64,
    /// ffmpeg's name of the encoder in use.
    pub encoder: String,
    /// Whether the stream has sound.
    pub sound: bool,
    /// The relay it is sent to.
    pub relay: Option<RelayName>,
    /// What it travels by to that relay.
    pub transport: Option<Transport>,
}

/// Where every part of a broadcast writes what it knows of its status.
#[derive(Debug, Clone)]
pub(crate) struct StatusBoard {
    status: watch::Sender<BroadcastStatus>,
    notes: Arc<Mutex<Notes>>,
}

/// What the sentence is made of beside the state.
#[derive(Debug, Default)]
struct Notes {
    /// Why the source gives no picture.
    trouble: Option<String>,
    /// When the picture got all of its bits back.
    good_again_at: Option<Instant>,
}

impl StatusBoard {
    /// The board of a broadcast that starts now, whose picture may take so much.
    pub(crate) fn new(
        stream: StreamId,
        watch_link: WatchLink,
        sealed: bool,
        encoder: &str,
        sound: bool,
        picture_kbit_s: u32,
    ) -> Self {
        let status = watch::Sender::new(BroadcastStatus {
            state: BroadcastState::Starting,
            sentence: "Starting the capture.".to_owned(),
            failed: false,
            stream,
            watch_link,
            sealed,
            started_at_ms: None,
            viewers: 0,
            audience: Vec::new(),
            bitrate_kbit_s: 0,
            picture_kbit_s,
            picture_kbit_s_max: picture_kbit_s,
            frame_rate: 0.0,
            width: 0,
            height: 0,
            dropped_frames: 0,
            dropped_segments: 0,
            encoder: encoder.to_owned(),
            sound,
            relay: None,
            transport: None,
        });
        Self { status, notes: Arc::default() }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<BroadcastStatus> {
        self.status.subscribe()
    }

    /// Changes the status; whoever looks is woken only when something did change.
    pub(crate) fn change(&self, change: impl FnOnce(&mut BroadcastStatus)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Changes the state and its sentence, but never revives a broadcast that has ended. While the source gives no picture nothing is
    /// live, and that is what people are to know first.
    pub(crate) fn state(&self, state: BroadcastState, sentence: impl Into<String>) {
        let trouble = self.notes().trouble.clone();
        let (state, sentence) = match (state, trouble) {
            (BroadcastState::Live | BroadcastState::Stalled, Some(trouble)) => (BroadcastState::Stalled, trouble),
            (state, _) => (state, sentence.into()),
        };
        self.change(|status| {
            if status.state != BroadcastState::Ended {
                (status.state, status.sentence) = (state, sentence);
            }
        });
    }

    /// The source gives no picture, and why in a sentence; `None` when it does.
    pub(crate) fn trouble(&self, sentence: Option<String>) {
        let had = std::mem::replace(&mut self.notes().trouble, sentence.clone()).is_some();
        if let Some(sentence) = sentence {
            self.state(BroadcastState::Stalled, sentence);
        } else if had {
            tracing::info!("the source gives pictures again");
        }
    }

    /// The picture takes at most so many bits from now on.
    pub(crate) fn picture_takes(&self, kbit_s: u32, now: Instant) {
        let mut notes = self.notes();
        self.change(|status| {
            if kbit_s >= status.picture_kbit_s_max && status.picture_kbit_s < status.picture_kbit_s_max {
                notes.good_again_at = Some(now);
            }
            status.picture_kbit_s = kbit_s;
        });
    }

    /// What a live broadcast has to say about its line: nothing, or a sentence behind a blank.
    pub(crate) fn about_the_line(&self, now: Instant) -> String {
        let (kbit_s, kbit_s_max) = {
            let status = self.status.borrow();
            (status.picture_kbit_s, status.picture_kbit_s_max)
        };
        let mbit_s = f64::from(kbit_s) / 1_000.0;
        if kbit_s < kbit_s_max {
            return format!(" Your connection is slow: the picture is sent at {mbit_s:.1} Mbit/s.");
        }
        match self.notes().good_again_at {
            Some(at) if now.saturating_duration_since(at) < GOOD_AGAIN_TIME => {
                format!(" Your connection is good again: the picture is sent at {mbit_s:.1} Mbit/s.")
            }
            _ => String::new(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> StatusBoard {
        let stream = StreamId::of(&"demo".parse().unwrap(), 1);
        let link = WatchLink::new("http://localhost:5000/view/1".parse().unwrap(), None);
        StatusBoard::new(stream, link, false, "libx264", false, 2_500)
    }

    #[test]
    fn slow_line_is_said_and_for_a_while_that_it_is_good_again() {
        let (board, now) = (board(), Instant::now());
        assert_eq!(board.about_the_line(now), "");
        board.picture_takes(784, now);
        assert_eq!(board.about_the_line(now), " Your connection is slow: the picture is sent at 0.8 Mbit/s.");
        board.picture_takes(2_500, now);
        assert_eq!(board.about_the_line(now), " Your connection is good again: the picture is sent at 2.5 Mbit/s.");
        assert_eq!(board.about_the_line(now + GOOD_AGAIN_TIME), "");
    }

    #[test]
    fn source_without_a_picture_is_not_live() {
        let board = board();
        let shown = || (board.subscribe().borrow().state, board.subscribe().borrow().sentence.clone());
        board.trouble(Some("No display.".to_owned()));
        board.state(BroadcastState::Live, "Live at relay-1.");
        assert_eq!(shown(), (BroadcastState::Stalled, "No display.".to_owned()));
        board.state(BroadcastState::Reconnecting, "Connecting again.");
        assert_eq!(shown().0, BroadcastState::Reconnecting);
        board.trouble(None);
        board.state(BroadcastState::Live, "Live at relay-1.");
        assert_eq!(shown().1, "Live at relay-1.");
    }
}
