//! The WebSocket of a publisher or a viewer.

use protocol::limits::MESSAGE_BYTES_MAX;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Error, protocol::WebSocketConfig},
};
use url::Url;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Bytes of one read: a chunk of the usual size is read at once, and little is zeroed before each read.
const READ_BYTES: usize = 16 * 1024;

pub(crate) async fn connect(relay: &Url) -> Result<Socket, Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    // Without Nagle's algorithm: a chunk must not wait for the acknowledgement of the one before.
    let (socket, _) = connect_async_with_config(relay.as_str(), Some(config), true).await?;
    Ok(socket)
}
