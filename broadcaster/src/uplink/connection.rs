//! One connection to one relay: registers, sends what its lane holds, and passes on what the relay says. Decides nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, Stream, StreamExt as _};
use protocol::{
    ErrorCode, MediaHeader, MediaKind, PROTOCOL_VERSION, Secret, TrackInfo,
    control::{ClientHello, FromBroadcaster, ToBroadcaster},
    http::RelayAddress,
    limits::{CONTROL_BYTES_MAX, FIRST_MESSAGE_TIME_MAX},
};
use serde::Serialize;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::flight::Flight;
use crate::outbox::Outbox;

/// How long connecting may take, TLS and upgrade included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes that the system may hold on the way out: what it holds can't be left out any more when the uplink is slow, and half a
/// second at the highest bitrate fills a long path.
const SEND_BUFFER_BYTES: usize = 512 * 1024;

/// How long saying goodbye may take.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Tells connections apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// What a connection tells.
#[derive(Debug)]
pub(super) enum News {
    /// The relay takes the stream.
    Registered,
    /// The relay is alive, and may have said something.
    Heard(Option<ToBroadcaster>),
    /// Nothing follows.
    Ended(End),
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// It was asked to leave.
    Left,
    /// It did not come about, or broke.
    Broken(String),
    /// The relay said no.
    Refused(ErrorCode, String),
}

/// What one connection needs.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) relay: RelayAddress,
    pub(super) ticket: Secret,
    pub(super) tracks: Vec<TrackInfo>,
    pub(super) connector: Option<Connector>,
    pub(super) outbox: Arc<Outbox>,
    /// What is under way on it.
    pub(super) flight: Flight,
    /// What to say.
    pub(super) says: mpsc::Receiver<FromBroadcaster>,
    /// When to leave, after all that was to be said.
    pub(super) leave: CancellationToken,
    pub(super) news: mpsc::Sender<(ConnectionId, News)>,
}

impl Connection {
    /// Runs to its end.
    pub(super) async fn run(mut self) {
        let leave = self.leave.clone();
        let mut socket = match leave.run_until_cancelled(self.open()).await {
            None => return self.ended(End::Left).await,
            Some(Err(end)) => return self.ended(end).await,
            Some(Ok(socket)) => socket,
        };
        let end = self.send(&mut socket).await;
        let lost = matches!(end, End::Broken(_));
        self.ended(end).await;
        // A connection that was lost can't be said goodbye to.
        if !lost {
            let goodbye = async {
                while let Ok(message) = self.says.try_recv() {
                    let _ = socket.send(text(&message)).await;
                }
                let _ = socket.close(None).await;
                while let Some(Ok(_)) = socket.next().await {} // what is on its way must not become a reset
            };
            let _ = timeout(GOODBYE_TIME_MAX, goodbye).await;
        }
    }

    async fn tell(&self, news: News) {
        let _ = self.news.send((self.id, news)).await; // nobody listens once the broadcast is over
    }

    async fn ended(&self, end: End) {
        self.tell(News::Ended(end)).await;
    }

    async fn open(&self) -> Result<Socket, End> {
        let name = &self.relay.name;
        let mut socket = timeout(CONNECT_TIME_MAX, connect(&self.relay, self.connector.clone()))
            .await
            .map_err(|_| End::Broken(format!("{name} does not answer")))?
            .map_err(|error| End::Broken(format!("{name} can't be reached ({error})")))?;
        let hello = ClientHello::RegisterNewStream {
            protocol: PROTOCOL_VERSION,
            ticket: self.ticket.clone(),
            tracks: self.tracks.clone(),
        };
        socket.send(text(&hello)).await.map_err(|error| self.broken(&error))?;
        let registered = timeout(FIRST_MESSAGE_TIME_MAX, async {
            loop {
                match self.receive(&mut socket).await? {
                    Some(ToBroadcaster::StreamRegistered { .. }) => return Ok(()),
                    Some(ToBroadcaster::Error { code, message }) => return Err(End::Refused(code, message)),
                    _ => {}
                }
            }
        });
        registered.await.map_err(|_| End::Broken(format!("{name} does not register the stream")))??;
        Ok(socket)
    }

    async fn send(&mut self, socket: &mut Socket) -> End {
        let lane = self.outbox.open(&self.tracks);
        self.tell(News::Registered).await;
        let (mut sink, mut stream) = socket.split();
        let (_, nothing) = mpsc::channel(1);
        let mut says = std::mem::replace(&mut self.says, nothing);
        let sending = async {
            loop {
                let next = async {
                    self.flight.has_room().await;
                    lane.next().await
                };
                let message = tokio::select! {
                    message = next => {
                        if is_chunk(&message) {
                            self.flight.handed(Instant::now());
                        }
                        Message::Binary(message)
                    }
                    Some(message) = says.recv() => text(&message),
                };
                if let Err(error) = sink.send(message).await {
                    return self.broken(&error);
                }
            }
        };
        let listening = async {
            loop {
                match self.receive(&mut stream).await {
                    Ok(Some(ToBroadcaster::Error { code, message })) => return End::Refused(code, message),
                    Ok(message) => self.tell(News::Heard(message)).await,
                    Err(end) => return end,
                }
            }
        };
        let end = tokio::select! {
            biased; // a relay says why before it breaks off
            end = listening => end,
            end = sending => end,
            () = self.leave.cancelled() => End::Left,
        };
        self.says = says;
        end
    }

    /// The next control message; `None` for anything else that shows a sign of life.
    async fn receive(
        &self,
        stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    ) -> Result<Option<ToBroadcaster>, End> {
        match stream.next().await {
            // What a later version may add is not an error.
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).ok()),
            Some(Ok(Message::Close(_))) | None => {
                Err(End::Broken(format!("{} has closed the connection", self.relay.name)))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, error: &Error) -> End {
        End::Broken(format!("the connection to {} broke ({error})", self.relay.name))
    }
}

/// Whether the relay counts it.
fn is_chunk(message: &[u8]) -> bool {
    MediaHeader::decode(message).is_ok_and(|(header, _)| header.kind == MediaKind::Chunk)
}

fn text(message: &impl Serialize) -> Message {
    // Plain enums of strings and numbers always serialize; an empty message would be refused by the relay with a reason.
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

async fn connect(relay: &RelayAddress, connector: Option<Connector>) -> Result<Socket, Box<Error>> {
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
    Ok(socket)
}
