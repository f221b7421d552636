//! One end of a connection to a relay, by whatever way, held by somebody who may say anything.

mod session;
mod websocket;

use protocol::{ErrorCode, MediaHeader, WebTransportAddress};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use webtransport::{Session, Transport};

use self::{session::SessionSocket, websocket::WebSocket};
use crate::system::tracks;

/// The ways to a relay, each of which attacks are tried by.
pub const WAYS: [Transport; 2] = [Transport::Websocket, Transport::Webtransport];

/// What was received.
#[derive(Debug)]
pub enum Got {
    /// A control message.
    Text(Value),
    /// A media message, whole.
    Media(Vec<u8>),
    /// The end, with the code that the connection was closed with when there was one.
    Closed(Option<u16>),
}

/// Where a relay is entered.
#[derive(Debug, Clone)]
pub enum Entry {
    /// By WebSocket, at this address.
    Websocket(String),
    /// By WebTransport.
    Webtransport(WebTransportAddress),
}

impl From<&str> for Entry {
    fn from(url: &str) -> Self {
        Self::Websocket(url.to_owned())
    }
}

impl From<&String> for Entry {
    fn from(url: &String) -> Self {
        Self::Websocket(url.clone())
    }
}

/// The connection.
pub struct Socket(Way);

enum Way {
    Websocket(Box<WebSocket>),
    Webtransport(Box<SessionSocket>),
}

impl Socket {
    /// Connects to a relay.
    pub async fn connect(at: impl Into<Entry>) -> Self {
        Self(match at.into() {
            Entry::Websocket(url) => Way::Websocket(Box::new(WebSocket::connect(&url).await)),
            Entry::Webtransport(address) => Way::Webtransport(Box::new(SessionSocket::connect(&address).await)),
        })
    }

    /// Says hello as a broadcaster with this ticket.
    pub async fn publishing(at: impl Into<Entry>, ticket: &str) -> Self {
        let mut socket = Self::connect(at).await;
        socket.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks()})).await;
        socket
    }

    /// Says hello as a viewer with this ticket.
    pub async fn watching(at: impl Into<Entry>, ticket: &str) -> Self {
        let mut socket = Self::connect(at).await;
        socket.say(json!({"type": "watch_stream", "protocol": 1, "ticket": ticket})).await;
        socket
    }

    /// Sends a control message; the relay may have closed already.
    pub async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    /// Sends a text as a control message.
    pub async fn say_text(&mut self, text: &str) {
        match &mut self.0 {
            Way::Websocket(socket) => socket.throw(Message::text(text)).await,
            Way::Webtransport(session) => session.say(text).await,
        }
    }

    /// Sends a media message.
    pub async fn media(&mut self, header: &MediaHeader, payload: &[u8]) {
        self.media_message(header.message(payload)).await;
    }

    /// Sends a media message, whole. Over a session an init segment goes with the chunk behind it.
    pub async fn media_message(&mut self, message: Vec<u8>) {
        match &mut self.0 {
            Way::Websocket(socket) => socket.throw(Message::binary(message)).await,
            Way::Webtransport(session) => session.media(message).await,
        }
    }

    /// Sends anything over a WebSocket; the relay may have closed already.
    pub async fn throw(&mut self, message: Message) {
        match &mut self.0 {
            Way::Websocket(socket) => socket.throw(message).await,
            Way::Webtransport(_) => panic!("sessions know no such messages"),
        }
    }

    /// The session, for whoever keeps to no rule on it.
    #[must_use]
    pub fn session(&self) -> &Session {
        match &self.0 {
            Way::Websocket(_) => panic!("it is a WebSocket"),
            Way::Webtransport(session) => session.session(),
        }
    }

    /// What comes next.
    pub async fn next(&mut self) -> Got {
        match &mut self.0 {
            Way::Websocket(socket) => socket.next().await,
            Way::Webtransport(session) => session.next().await,
        }
    }

    /// The next control message of this type; what comes before it is passed over.
    pub async fn text(&mut self, wanted: &str) -> Value {
        loop {
            match self.next().await {
                Got::Text(message) if message["type"] == wanted => return message,
                Got::Text(message) if message["type"] == "error" => panic!("{message} instead of {wanted}"),
                Got::Closed(code) => panic!("closed ({code:?}) instead of {wanted}"),
                _ => {}
            }
        }
    }

    /// The next media message; what comes before it is passed over.
    pub async fn next_media(&mut self) -> Vec<u8> {
        loop {
            match self.next().await {
                Got::Media(message) => return message,
                Got::Text(message) if message["type"] == "error" => panic!("{message} instead of media"),
                Got::Text(_) => {}
                Got::Closed(code) => panic!("closed ({code:?}) instead of media"),
            }
        }
    }

    /// The connection ends with this error, said in words and by the close code, and without a byte of media.
    pub async fn is_refused(&mut self, code: ErrorCode) {
        let mut error = None;
        loop {
            match self.next().await {
                Got::Text(message) if message["type"] == "error" => error = Some(message),
                Got::Text(message) => {
                    assert_ne!(message["type"], "stream_registered", "let in");
                    assert_ne!(message["type"], "watching", "let in");
                }
                Got::Media(_) => panic!("media for somebody who is refused"),
                Got::Closed(closed) => {
                    let error = error.unwrap_or_else(|| panic!("closed ({closed:?}) without an error"));
                    assert_eq!(error["code"], code.as_str(), "{error}");
                    assert_eq!(closed, Some(code.close_code()), "{error}");
                    return;
                }
            }
        }
    }
}
