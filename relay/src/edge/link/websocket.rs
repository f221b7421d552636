//! A WebSocket to an upstream.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{MediaHeader, limits::MESSAGE_BYTES_MAX};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error as SocketError, Message, protocol::WebSocketConfig},
};
use url::Url;

use super::{Failure, News, SAY_TIME_MAX, said};

/// Bytes of one read: a few chunks.
const READ_BYTES: usize = 16 * 1024;

/// An open WebSocket.
pub(super) struct WebSocketLine(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocketLine {
    /// TLS, where there is any, and the upgrade. Takes as long as it takes; an error says why there is none.
    pub(super) async fn open(url: &Url, connection: TcpStream, connector: Connector) -> Result<Self, String> {
        connection.set_nodelay(true).map_err(|error| error.kind().to_string())?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let opened = client_async_tls_with_config(url.as_str(), connection, Some(config), Some(connector)).await;
        opened.map(|(socket, _)| Self(socket)).map_err(|error| unreached(&error))
    }

    pub(super) async fn say(&mut self, text: String) -> Result<(), Failure> {
        match timeout(SAY_TIME_MAX, self.0.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Failure::Closed),
        }
    }

    pub(super) async fn next(&mut self) -> Result<News, Failure> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Ok(said(&text)),
            Some(Ok(Message::Binary(message))) => match MediaHeader::decode(&message) {
                Ok((header, _)) => Ok(News::Media(header, message)),
                Err(_) => Err(Failure::NO_MEDIA),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(News::Alive),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Failure::Closed),
        }
    }

    pub(super) async fn close(mut self) {
        let _ = timeout(SAY_TIME_MAX, self.0.close(None)).await;
    }
}

/// Not the library's own words: an answer may repeat what strangers say.
fn unreached(error: &SocketError) -> String {
    match error {
        SocketError::Io(error) if error.get_ref().is_some() => "there is no encrypted connection".to_owned(),
        SocketError::Io(error) => error.kind().to_string(),
        SocketError::Tls(_) => "there is no encrypted connection".to_owned(),
        SocketError::Http(answer) => format!("it answers with status {}", answer.status().as_u16()),
        _ => "it is no relay".to_owned(),
    }
}
