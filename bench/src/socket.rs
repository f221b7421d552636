//! The WebSocket of a publisher.

use std::sync::Arc;

use protocol::limits::MESSAGE_BYTES_MAX;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Error, protocol::WebSocketConfig},
};
use url::Url;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Bytes of one read: a relay has little to say to a publisher.
const READ_BYTES: usize = 4 * 1024;

pub(crate) async fn connect(relay: &Url, tls: Option<&Arc<ClientConfig>>) -> Result<Socket, Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let connector = tls.map(|config| Connector::Rustls(Arc::clone(config)));
    // Without Nagle's algorithm: a chunk must not wait for the acknowledgement of the one before.
    let (socket, _) = connect_async_tls_with_config(relay.as_str(), Some(config), true, connector).await?;
    Ok(socket)
}
