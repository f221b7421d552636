//! A WebTransport session with an upstream. What comes on its control stream and on its streams of media knows no order among each other:
//! here it is put into the one that a WebSocket has.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use ::webtransport::{Client, Control, ControlError, Inbox, InboxError, Session};
use bytes::Bytes;
use protocol::{MediaHeader, TrackInfo, control::ToViewer, limits::CLIENT_PATIENCE};
use tokio::time::{Duration, Instant, sleep_until};
use url::Url;

use super::{
    Failure, News,
    announced::{Announced, Known},
    said,
};

/// How long an announcement may come behind the first media that it is of: some retransmissions of a slow network.
const EARLY_TIME_MAX: Duration = CLIENT_PATIENCE;

/// An open session.
pub(super) struct WebTransportLine {
    session: Session,
    control: Control,
    inbox: Inbox,
    announced: Announced,
    /// Media of a track that is not announced yet; no more is read meanwhile, which QUIC bounds.
    early: Option<Early>,
    /// What is in order.
    ready: VecDeque<News>,
    /// It carries the session.
    _client: Client,
}

/// Media that came before its track was announced.
struct Early {
    header: MediaHeader,
    message: Bytes,
    came_at: Instant,
}

impl WebTransportLine {
    /// Connects. Takes as long as it takes; an error says why there is none.
    pub(super) async fn open(client: Client, url: &Url) -> Result<Self, String> {
        // Not the library's own words: they may repeat what strangers say.
        let session = client.connect(url).await.map_err(|_| "there is no session by WebTransport".to_owned())?;
        let control = session.open_control().await.map_err(|error| error.to_string())?;
        let inbox = session.inbox();
        let (announced, ready) = (Announced::default(), VecDeque::new());
        Ok(Self { session, control, inbox, announced, early: None, ready, _client: client })
    }

    /// Has something said while [`Self::next`] is waited for.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.control.queue(text).map_err(|_| Failure::Closed)
    }

    pub(super) async fn next(&mut self) -> Result<News, Failure> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                return Ok(news);
            }
            let (is_open, late_at) = (self.is_open(), self.early.as_ref().map(|early| early.came_at + EARLY_TIME_MAX));
            tokio::select! {
                biased; // an upstream says why before it breaks off
                words = self.control.exchange() => self.hear(words)?,
                media = self.inbox.next(), if is_open => {
                    let (header, message) = media.map_err(end_of_media)?;
                    self.take(header, message);
                }
                () = sleep_until(late_at.unwrap_or_else(Instant::now)), if late_at.is_some() => {
                    return Err(Failure::Useless("it sends a track that it has not announced"));
                }
            }
        }
    }

    /// Whether media are of use: the upstream has said what it sends, and nothing waits for more of that.
    fn is_open(&self) -> bool {
        self.early.is_none() && self.announced.any()
    }

    fn hear(&mut self, words: Result<String, ControlError>) -> Result<(), Failure> {
        let words = match words {
            Ok(words) => said(&words),
            Err(_) if self.take_rest() => return Ok(()),
            Err(_) => return Err(Failure::Closed),
        };
        match &words {
            News::Said(ToViewer::Watching { tracks, .. }) => {
                self.announce(tracks);
                self.ready.push_back(words);
                if let Some(Early { header, message, .. }) = self.early.take() {
                    self.take(header, message);
                }
            }
            // The end is told beside the media that came before it.
            News::Said(ToViewer::StreamEnded {}) => {
                self.take_rest();
                self.ready.push_back(words);
            }
            _ => self.ready.push_back(words),
        }
        Ok(())
    }

    fn announce(&mut self, tracks: &[TrackInfo]) {
        let replaced = self.announced.announce(tracks);
        if !replaced.is_empty() {
            // Their init segments are wanted again, as whoever takes them begins anew.
            self.inbox.begin_again(&replaced);
        }
    }

    fn take(&mut self, header: MediaHeader, message: Bytes) {
        self.ready.extend(self.inbox.take_cut().map(News::Cut));
        match self.announced.know(header.track) {
            Known::Now => self.ready.push_back(News::Media(header, message)),
            Known::NoMore => {}
            Known::NotYet => self.early = Some(Early { header, message, came_at: Instant::now() }),
        }
    }

    /// Takes what has come of the media; whether there was any.
    fn take_rest(&mut self) -> bool {
        while self.is_open()
            && let Some((header, message)) = come(&mut self.inbox)
        {
            self.take(header, message);
        }
        !self.ready.is_empty()
    }

    pub(super) fn close(self) {
        self.session.close(0, "");
    }
}

/// A message that is here.
fn come(inbox: &mut Inbox) -> Option<(MediaHeader, Bytes)> {
    let mut context = Context::from_waker(Waker::noop());
    match inbox.poll_next(&mut context) {
        Poll::Ready(Ok(message)) => Some(message),
        _ => None,
    }
}

fn end_of_media(error: InboxError) -> Failure {
    match error {
        InboxError::Lost(_) => Failure::Closed,
        _ => Failure::NO_MEDIA,
    }
}
