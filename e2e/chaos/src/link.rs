//! A connection to a relay that is being opened or is open, and several of them at once.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{SinkExt as _, Stream as _, future::BoxFuture};
use protocol::MediaHeader;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use crate::{directory::Relay, feed::LinkId};

/// A socket to a relay.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What is read at once: thousands of viewers live in one process.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// How long a relay may take to open a connection before it counts as closed.
const OPEN_TIME_MAX: Duration = Duration::from_secs(6);

/// How long sending a few bytes may take; whoever does not take them in is dead or will be found so.
const SEND_TIME_MAX: Duration = Duration::from_millis(200);

/// Connects and says hello.
pub(crate) async fn open(relay: &Relay, hello: Value) -> Result<Socket, Box<Error>> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
    let opening = async {
        let (mut socket, _) = connect_async_with_config(&relay.url, Some(config), true).await?;
        socket.send(Message::text(hello.to_string())).await?;
        Ok(socket)
    };
    timeout(OPEN_TIME_MAX, opening).await.unwrap_or(Err(Error::ConnectionClosed)).map_err(Box::new)
}

/// What was heard over a connection.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It is open, and the hello is said.
    Opened,
    /// A control message.
    Text(Value),
    /// Media.
    Media(MediaHeader),
    /// A sign of life that says nothing.
    Life,
    /// It is over.
    Closed,
}

enum State {
    Opening(BoxFuture<'static, Result<Socket, Box<Error>>>),
    Open(Box<Socket>),
    Closed,
}

/// One connection.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) relay: Relay,
    state: State,
}

impl Link {
    /// Begins to open one.
    pub(crate) fn begin(id: LinkId, relay: Relay, hello: Value) -> Self {
        let to = relay.clone();
        let opening = Box::pin(async move { open(&to, hello).await });
        Self { id, relay, state: State::Opening(opening) }
    }

    /// Sends a control message; one that can't be sent is heard of as a close.
    pub(crate) async fn say(&mut self, message: Value) {
        if let State::Open(socket) = &mut self.state {
            let _ = timeout(SEND_TIME_MAX, socket.send(Message::text(message.to_string()))).await;
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        match &mut self.state {
            State::Closed => Poll::Pending,
            State::Opening(opening) => match std::task::ready!(opening.as_mut().poll(context)) {
                Ok(socket) => {
                    self.state = State::Open(Box::new(socket));
                    Poll::Ready(Heard::Opened)
                }
                Err(_) => {
                    self.state = State::Closed;
                    Poll::Ready(Heard::Closed)
                }
            },
            State::Open(socket) => {
                let heard = match std::task::ready!(Pin::new(socket.as_mut()).poll_next(context)) {
                    Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map_or(Heard::Life, Heard::Text),
                    // What can't be read is of a later version, and passed over.
                    Some(Ok(Message::Binary(bytes))) => {
                        MediaHeader::decode(&bytes).map_or(Heard::Life, |(header, _)| Heard::Media(header))
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Heard::Life,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => {
                        self.state = State::Closed;
                        Heard::Closed
                    }
                };
                Poll::Ready(heard)
            }
        }
    }
}

/// What comes next over any of these.
pub(crate) async fn next(links: &mut [Link]) -> (LinkId, Heard) {
    let mut turn = pin!(std::future::poll_fn(|context| {
        for link in links.iter_mut() {
            if let Poll::Ready(heard) = link.poll(context) {
                return Poll::Ready((link.id, heard));
            }
        }
        Poll::Pending
    }));
    turn.as_mut().await
}
