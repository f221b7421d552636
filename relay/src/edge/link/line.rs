//! An open line to an upstream, whatever carries it.

use ::webtransport::Transport;

use super::{Failure, News, websocket::WebSocketLine, webtransport::WebTransportLine};

/// The line.
pub(super) enum Line {
    /// By TCP.
    WebSocket(Box<WebSocketLine>),
    /// By UDP.
    WebTransport(Box<WebTransportLine>),
}

impl From<WebSocketLine> for Line {
    fn from(line: WebSocketLine) -> Self {
        Self::WebSocket(Box::new(line))
    }
}

impl From<WebTransportLine> for Line {
    fn from(line: WebTransportLine) -> Self {
        Self::WebTransport(Box::new(line))
    }
}

impl Line {
    /// What carries it.
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::WebSocket(_) => Transport::Websocket,
            Self::WebTransport(_) => Transport::Webtransport,
        }
    }

    /// Says something.
    pub(super) async fn say(&mut self, text: String) -> Result<(), Failure> {
        match self {
            Self::WebSocket(line) => line.say(text).await,
            Self::WebTransport(line) => line.say(&text),
        }
    }

    /// What the upstream tells next. Can be cancelled: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<News, Failure> {
        match self {
            Self::WebSocket(line) => line.next().await,
            Self::WebTransport(line) => line.next().await,
        }
    }

    /// Closes it, in bounded time.
    pub(super) async fn close(self) {
        match self {
            Self::WebSocket(line) => line.close().await,
            Self::WebTransport(line) => line.close(),
        }
    }
}
