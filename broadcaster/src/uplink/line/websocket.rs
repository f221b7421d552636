//! A WebSocket to a relay.

use std::time::Instant;

use futures_util::{SinkExt as _, Stream, StreamExt as _};
use protocol::{control::ToBroadcaster, http::RelayAddress, limits::CONTROL_BYTES_MAX};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use super::{Cargo, GOODBYE_TIME_MAX, LineEnd, text, understood};

/// Bytes that the system may hold on the way out: what it holds can't be left out any more when the uplink is slow, and half a
/// second at the highest bitrate fills a long path.
const SEND_BUFFER_BYTES: usize = 512 * 1024;

/// An open WebSocket.
pub(in crate::uplink) struct WebSocketLine(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocketLine {
    /// Connects, TLS and upgrade included. Takes as long as it takes.
    pub(in crate::uplink) async fn open(
        relay: &RelayAddress,
        connector: Option<Connector>,
    ) -> Result<Self, Box<Error>> {
        let host = relay.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = relay.url.port_or_known_default().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await.map_err(|error| Box::new(error.into()))?;
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(CONTROL_BYTES_MAX))
            .max_frame_size(Some(CONTROL_BYTES_MAX));
        let (socket, _) = client_async_tls_with_config(relay.url.as_str(), stream, Some(config), connector).await?;
        Ok(Self(socket))
    }

    pub(super) async fn say(&mut self, text: String) -> Result<(), LineEnd> {
        self.0.send(Message::text(text)).await.map_err(broke)
    }

    pub(super) async fn receive(&mut self) -> Result<Option<ToBroadcaster>, LineEnd> {
        receive(&mut self.0).await
    }

    pub(super) async fn carry(&mut self, cargo: &mut Cargo<'_>) -> LineEnd {
        let (mut sink, mut stream) = (&mut self.0).split();
        let Cargo { lane, flight, says, ear } = cargo;
        let sending = async {
            loop {
                let next = async {
                    flight.has_room().await;
                    lane.next().await
                };
                let sent = tokio::select! {
                    next = next => {
                        flight.handed(next.chunk.segment, next.chunk.message.len(), Instant::now());
                        let mut messages = futures_util::stream::iter(next.messages().map(|message| Ok(Message::Binary(message))));
                        sink.send_all(&mut messages).await
                    }
                    Some(message) = says.recv() => sink.send(Message::text(text(&message))).await,
                };
                if let Err(error) = sent {
                    return broke(error);
                }
            }
        };
        let listening = async {
            loop {
                match receive(&mut stream).await {
                    Ok(message) => ear.heard(message).await,
                    Err(end) => return end,
                }
            }
        };
        tokio::select! {
            biased; // a relay says why before it breaks off
            end = listening => end,
            end = sending => end,
        }
    }

    pub(super) async fn goodbye(mut self, last: Vec<String>) {
        let goodbye = async {
            for text in last {
                let _ = self.0.send(Message::text(text)).await;
            }
            let _ = self.0.close(None).await;
            while let Some(Ok(_)) = self.0.next().await {} // what is on its way must not become a reset
        };
        let _ = timeout(GOODBYE_TIME_MAX, goodbye).await;
    }
}

async fn receive(
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
) -> Result<Option<ToBroadcaster>, LineEnd> {
    match stream.next().await {
        Some(Ok(Message::Text(text))) => understood(&text),
        Some(Ok(Message::Close(_))) | None => Err(LineEnd::Closed),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(broke(error)),
    }
}

fn broke(error: Error) -> LineEnd {
    LineEnd::Broke(error.to_string())
}
