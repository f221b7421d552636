//! A connection to an upstream: dials it, says hello, and passes on what it says. Decides nothing.

use std::{fmt, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    ErrorCode, MediaHeader, Secret,
    control::{ClientHello, FromRelay, ToViewer},
    limits::MESSAGE_BYTES_MAX,
};
use service::{ConnectTo, Lifecycle};
use thiserror::Error;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Bytes, Error as SocketError, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::connection::text_of;

/// Bytes of one read: a few chunks.
const READ_BYTES: usize = 16 * 1024;

/// Messages that wait for whoever pulls: beyond them the upstream is read later, and skips for this relay as for a slow viewer.
const NEWS_MAX: usize = 64;

/// Words that wait to be said.
const WORDS_MAX: usize = 16;

/// How long saying a few words may take.
const SAY_TIME_MAX: Duration = Duration::from_secs(1);

/// The ways to other relays.
pub struct Dialler {
    connector: Connector,
    connect_to: Vec<ConnectTo>,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("connect_to", &self.connect_to).finish_non_exhaustive()
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Dialler {
    /// One that verifies certificates as `connector` says, and really dials where `connect_to` says.
    #[must_use]
    pub const fn new(connector: Connector, connect_to: Vec<ConnectTo>) -> Self {
        Self { connector, connect_to }
    }

    async fn open(&self, url: &Url, hello: &ClientHello) -> Result<Socket, SocketError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        let elsewhere = self.connect_to.iter().find_map(|rule| rule.apply(host, port));
        let place = elsewhere.unwrap_or_else(|| (host.to_owned(), port));
        let connection = TcpStream::connect(place).await?;
        connection.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connector = Some(self.connector.clone());
        let (mut socket, _) = client_async_tls_with_config(url.as_str(), connection, Some(config), connector).await?;
        socket.send(Message::text(text_of(hello))).await?;
        Ok(socket)
    }
}

/// What an upstream tells.
#[derive(Debug)]
pub(super) enum News {
    /// A control message.
    Said(ToViewer),
    /// A media message.
    Media(MediaHeader, Bytes),
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
    pub(super) fn open(dialler: &Dialler, url: Url, hello: ClientHello, life: &Lifecycle) -> Self {
        let (news_sender, news) = mpsc::channel(NEWS_MAX);
        let (words, words_receiver) = mpsc::channel(WORDS_MAX);
        let end = CancellationToken::new();
        let dialler = Dialler::new(dialler.connector.clone(), dialler.connect_to.clone());
        let line = Line { news: news_sender, words: words_receiver, end: end.clone() };
        life.spawn(async move { line.run(&dialler, &url, &hello).await });
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
struct Line {
    news: mpsc::Sender<News>,
    words: mpsc::Receiver<FromRelay>,
    end: CancellationToken,
}

impl Line {
    async fn run(mut self, dialler: &Dialler, url: &Url, hello: &ClientHello) {
        let end = self.end.clone();
        let mut socket = match end.run_until_cancelled(dialler.open(url, hello)).await {
            None => return,
            Some(Ok(socket)) => socket,
            // Nobody listens once the link is dropped.
            Some(Err(error)) => return drop(self.news.send(News::Ended(unreached(&error))).await),
        };
        if let Some(failure) = end.run_until_cancelled(self.pass_on(&mut socket)).await {
            let _ = self.news.send(News::Ended(failure)).await;
        }
        let _ = timeout(SAY_TIME_MAX, socket.close(None)).await;
    }

    async fn pass_on(&mut self, socket: &mut Socket) -> Failure {
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                Some(word) = self.words.recv() => {
                    match timeout(SAY_TIME_MAX, socket.send(Message::text(text_of(&word)))).await {
                        Ok(Ok(())) => continue,
                        _ => return Failure::Closed,
                    }
                }
            };
            let news = match message {
                // What can't be read is of a later version, and passed over.
                Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map_or(News::Alive, News::Said),
                Some(Ok(Message::Binary(message))) => match MediaHeader::decode(&message) {
                    Ok((header, _)) => News::Media(header, message),
                    Err(_) => return Failure::Useless("it sends what is no media message"),
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => News::Alive,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Failure::Closed,
            };
            if self.news.send(news).await.is_err() {
                return Failure::Closed;
            }
        }
    }
}

fn unreached(error: &SocketError) -> Failure {
    // Not the library's own words: an answer may repeat what strangers say.
    let words = match error {
        SocketError::Io(error) if error.get_ref().is_some() => "there is no encrypted connection".to_owned(),
        SocketError::Io(error) => error.kind().to_string(),
        SocketError::Tls(_) => "there is no encrypted connection".to_owned(),
        SocketError::Http(answer) => format!("it answers with status {}", answer.status().as_u16()),
        _ => "it is no relay".to_owned(),
    };
    Failure::Unreached(words)
}

/// How certificates of other relays are verified.
pub(crate) fn connector(ca: Option<&std::path::Path>) -> anyhow::Result<Connector> {
    Ok(Connector::Rustls(service::tls::client_config(ca)?))
}
