//! One end of a relay's WebSocket, held by somebody who may say anything.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{ErrorCode, MediaHeader};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::{PATIENCE, system::tracks};

/// What was received.
#[derive(Debug)]
pub enum Got {
    /// A control message.
    Text(Value),
    /// A media message, whole.
    Media(Vec<u8>),
    /// The end, with the close frame's code when there was one.
    Closed(Option<u16>),
}

/// The socket.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects to a relay's public address.
    pub async fn connect(url: &str) -> Self {
        Self(connect_async(url).await.unwrap().0)
    }

    /// Says hello as a broadcaster with this ticket.
    pub async fn publishing(url: &str, ticket: &str) -> Self {
        let mut socket = Self::connect(url).await;
        socket.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks()})).await;
        socket
    }

    /// Says hello as a viewer with this ticket.
    pub async fn watching(url: &str, ticket: &str) -> Self {
        let mut socket = Self::connect(url).await;
        socket.say(json!({"type": "watch_stream", "protocol": 1, "ticket": ticket})).await;
        socket
    }

    /// Sends a control message.
    pub async fn say(&mut self, message: Value) {
        self.throw(Message::text(message.to_string())).await;
    }

    /// Sends a media message.
    pub async fn media(&mut self, header: &MediaHeader, payload: &[u8]) {
        self.throw(Message::binary(header.message(payload))).await;
    }

    /// Sends anything; the relay may have closed already.
    pub async fn throw(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// What comes next.
    pub async fn next(&mut self) -> Got {
        loop {
            return match timeout(PATIENCE, self.0.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => Got::Text(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(bytes))) => Got::Media(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => Got::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Got::Closed(None),
            };
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
