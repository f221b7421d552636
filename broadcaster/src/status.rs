//! What a person sees of a running broadcast.

use std::fmt;

use protocol::{RelayName, StreamId, control::AudienceMember, seal::ContentKey};
use serde::Serialize;

use tokio::sync::watch;
use ts_rs::TS;
use url::Url;

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
    /// Connected, but nothing has arrived at the relay for a moment.
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
}

/// Where every part of a broadcast writes what it knows of its status.
#[derive(Debug, Clone)]
pub(crate) struct StatusBoard(watch::Sender<BroadcastStatus>);

impl StatusBoard {
    /// The board of a broadcast that starts now.
    pub(crate) fn new(stream: StreamId, watch_link: WatchLink, sealed: bool, encoder: &str, sound: bool) -> Self {
        Self(watch::Sender::new(BroadcastStatus {
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
            frame_rate: 0.0,
            width: 0,
            height: 0,
            dropped_frames: 0,
            dropped_segments: 0,
            encoder: encoder.to_owned(),
            sound,
            relay: None,
        }))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<BroadcastStatus> {
        self.0.subscribe()
    }

    /// Changes the status; whoever looks is woken only when something did change.
    pub(crate) fn change(&self, change: impl FnOnce(&mut BroadcastStatus)) {
        self.0.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Changes the state and its sentence, but never revives a broadcast that has ended.
    pub(crate) fn state(&self, state: BroadcastState, sentence: impl Into<String>) {
        self.change(|status| {
            if status.state != BroadcastState::Ended {
                (status.state, status.sentence) = (state, sentence.into());
            }
        });
    }
}
