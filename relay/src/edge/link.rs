//! A connection to an upstream: dials it, says hello, and passes on what it says. Decides nothing.

mod announced;
mod dialler;
mod line;
mod websocket;
mod webtransport;

use std::sync::Arc;

use ::webtransport::Transport;
use bytes::Bytes;
use protocol::{
    ErrorCode, MediaHeader, Secret, TrackNumber,
    control::{ClientHello, FromRelay, ToViewer},
    http::RelayAddress,
};
use service::Lifecycle;
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::dialler::Dialler;
use self::line::Line;
use crate::{connection::text_of, metrics::Metrics};

/// Messages that wait for whoever pulls: beyond them the upstream is read later, and skips for this relay as for a slow viewer.
const NEWS_MAX: usize = 64;

/// Words that wait to be said.
const WORDS_MAX: usize = 16;

/// How long saying a few words may take.
const SAY_TIME_MAX: Duration = Duration::from_secs(1);

/// What an upstream tells.
#[derive(Debug)]
pub(super) enum News {
    /// It is reached, by this way.
    Reached(Transport),
    /// A control message.
    Said(ToViewer),
    /// A media message.
    Media(MediaHeader, Bytes),
    /// What was left of a segment of this track does not come; how much that is nobody knows.
    Cut(TrackNumber),
    /// A sign of life.
    Alive,
    /// Nothing follows.
    Ended(Failure),
}

/// Why an upstream does not send the stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Failure {
    /// It was not reached.
    #[error("it can't be reached: {0}")]
    Unreached(String),
    /// The connection broke.
    #[error("the connection is closed")]
    Closed,
    /// It did not answer in time, or said nothing any more.
    #[error("it says nothing")]
    Silent,
    /// It has said no.
    #[error("{1} ({0})")]
    Refused(&'static str, String),
    /// An operator has shut it out.
    #[error("an operator of the directory has revoked it")]
    Revoked,
    /// What it says can't be used.
    #[error("{0}")]
    Useless(&'static str),
}

impl Failure {
    /// It sends something else than media messages.
    const NO_MEDIA: Self = Self::Useless("it sends what is no media message");

    /// The fixed word for it.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Unreached(_) => "unreached",
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Refused(code, _) => code,
            Self::Revoked => ErrorCode::RelayRevoked.as_str(),
            Self::Useless(_) => "useless",
        }
    }
}

/// A connection that is being opened or is open. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Link {
    news: mpsc::Receiver<News>,
    words: mpsc::Sender<FromRelay>,
    _end: DropGuard,
}

impl Link {
    /// Begins to open one.
    pub(super) fn open(
        dialler: &Dialler,
        relay: RelayAddress,
        hello: ClientHello,
        metrics: &Arc<Metrics>,
        life: &Lifecycle,
    ) -> Self {
        let (news_sender, news) = mpsc::channel(NEWS_MAX);
        let (words, words_receiver) = mpsc::channel(WORDS_MAX);
        let end = CancellationToken::new();
        let far = FarEnd {
            news: news_sender,
            words: words_receiver,
            end: end.clone(),
            dialler: dialler.clone(),
            relay,
            metrics: Arc::clone(metrics),
        };
        life.spawn(far.run(hello));
        Self { news, words, _end: end.drop_guard() }
    }

    /// What comes next. Can be cancelled: nothing is lost.
    pub(super) async fn next(&mut self) -> News {
        self.news.recv().await.unwrap_or(News::Ended(Failure::Closed))
    }

    /// Says something, unless so much waits to be said that the upstream can't be listening.
    pub(super) fn say(&self, word: FromRelay) {
        let _ = self.words.try_send(word);
    }

    /// Goes on with a newer ticket.
    pub(super) fn renew(&self, ticket: &Secret) {
        self.say(FromRelay::RenewTicket { ticket: ticket.clone() });
    }
}

/// The other end of a [`Link`].
struct FarEnd {
    news: mpsc::Sender<News>,
    words: mpsc::Receiver<FromRelay>,
    end: CancellationToken,
    dialler: Dialler,
    relay: RelayAddress,
    metrics: Arc<Metrics>,
}

impl FarEnd {
    async fn run(mut self, hello: ClientHello) {
        let end = self.end.clone();
        let mut line = match end.run_until_cancelled(self.dialler.open(&self.relay)).await {
            None => return,
            Some(Ok(line)) => line,
            // Nobody listens once the link is dropped.
            Some(Err(words)) => return drop(self.news.send(News::Ended(Failure::Unreached(words))).await),
        };
        let _counted = Counted::new(line.transport(), &self.metrics);
        let mut heard_at = Instant::now();
        if let Some(failure) = end.run_until_cancelled(self.pass_on(&mut line, &hello, &mut heard_at)).await {
            let _ = self.news.send(News::Ended(failure)).await;
        }
        self.dialler.ways.over(&self.relay, line.transport(), heard_at.into_std());
        line.close().await;
    }

    async fn pass_on(&mut self, line: &mut Line, hello: &ClientHello, heard_at: &mut Instant) -> Failure {
        if self.news.send(News::Reached(line.transport())).await.is_err() {
            return Failure::Closed;
        }
        if let Err(failure) = line.say(text_of(hello)).await {
            return failure;
        }
        let (is_session, mut probed_at) = (line.transport() == Transport::Webtransport, None);
        loop {
            let news = tokio::select! {
                news = line.next() => news,
                () = self.dialler.finds_dead(&self.relay, *heard_at, &mut probed_at), if is_session => {
                    return Failure::Closed;
                }
                Some(word) = self.words.recv() => match line.say(text_of(&word)).await {
                    Ok(()) => continue,
                    Err(failure) => Err(failure),
                },
            };
            *heard_at = Instant::now();
            let news = match news {
                Ok(news) => news,
                Err(failure) => return failure,
            };
            if self.news.send(news).await.is_err() {
                return Failure::Closed;
            }
        }
    }
}

/// A control message. What can't be read is of a later version, and passed over.
fn said(text: &str) -> News {
    serde_json::from_str(text).map_or(News::Alive, News::Said)
}

/// Counts a session with an upstream.
struct Counted(Option<Arc<Metrics>>);

impl Counted {
    fn new(transport: Transport, metrics: &Arc<Metrics>) -> Self {
        let session = (transport == Transport::Webtransport).then(|| Arc::clone(metrics));
        if let Some(metrics) = &session {
            metrics.webtransport_upstreams.inc();
        }
        Self(session)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(metrics) = &self.0 {
            metrics.webtransport_upstreams.dec();
        }
    }
}
