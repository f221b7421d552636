//! One connection to one relay: register, send, and watch what the relay confirms.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, Stream, StreamExt as _};
use protocol::{
    ErrorCode, PROTOCOL_VERSION, Secret, TrackInfo,
    control::{ClientHello, FromBroadcaster, ToBroadcaster},
    http::{Assignment, RelayAddress},
    limits::{AUDIENCE_MAX, CONTROL_BYTES_MAX, FIRST_MESSAGE_TIME_MAX, SILENCE_TIME_MAX},
};
use serde::Serialize;
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
    time::timeout,
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use crate::{
    directory_client::local_now_us,
    outbox::Outbox,
    status::{BroadcastState, StatusBoard},
};

/// How long connecting may take, TLS and upgrade included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Chunks that nothing confirms for this long are not live.
const CONFIRMATION_TIME_MAX: Duration = Duration::from_secs(2);

/// How often the figures of the status are brought up to date.
const FIGURES_INTERVAL: Duration = Duration::from_millis(250);

/// Figures are averages over this long.
const FIGURES_WINDOW: Duration = Duration::from_secs(2);

/// Bytes that the system may hold on the way out: what it holds can't be left out any more when the uplink is slow, and half a
/// second at the highest bitrate fills a long path.
const SEND_BUFFER_BYTES: usize = 512 * 1024;

/// How long saying goodbye may take.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// The broadcast was stopped, and the relay was told.
    Stopped,
    /// It did not come about, broke, or fell silent.
    Broken(String),
    /// The relay said no.
    Refused(ErrorCode, String),
    /// The relay is about to leave.
    Moved {
        /// A ticket for elsewhere.
        ticket: Secret,
        /// Elsewhere.
        relays: Vec<RelayAddress>,
    },
    /// The directory wants the stream elsewhere.
    Ordered(Assignment),
}

/// What the directory orders for a connection.
enum Directed {
    /// Go on with this ticket.
    Renewed(Secret),
    /// Go elsewhere.
    Elsewhere(Assignment),
}

/// What one connection needs.
pub(super) struct Connection<'a> {
    pub(super) relay: &'a RelayAddress,
    pub(super) assignment: &'a Assignment,
    pub(super) ordered: watch::Receiver<Option<Assignment>>,
    pub(super) connector: Option<Connector>,
    pub(super) tracks: Vec<TrackInfo>,
    pub(super) outbox: &'a Outbox,
    pub(super) key_frame_wanted: &'a Notify,
    pub(super) board: &'a StatusBoard,
    pub(super) stop: &'a CancellationToken,
}

impl Connection<'_> {
    /// Runs to its end; also whether anything was confirmed.
    pub(super) async fn run(&self, was_live: bool) -> (End, bool) {
        if !was_live {
            self.board.state(BroadcastState::Connecting, format!("Connecting to {}.", self.relay.name));
        }
        let socket = match self.stop.run_until_cancelled(self.open()).await {
            None => return (End::Stopped, false),
            Some(Err(end)) => return (end, false),
            Some(Ok(socket)) => socket,
        };
        self.board.change(|status| status.relay = Some(self.relay.name.clone()));
        let mut confirmed = Confirmed::new(self.outbox.frames());
        let end = self.send(socket, &mut confirmed).await;
        self.board.change(|status| {
            (status.bitrate_kbit_s, status.frame_rate, status.relay) = (0, 0.0, None);
            status.audience.clear();
        });
        (end, confirmed.chunks > 0)
    }

    /// The newest ticket for this connection: the assignment's, or one that was ordered since.
    fn ticket(&self) -> Secret {
        let ordered = self.ordered.borrow();
        ordered
            .as_ref()
            .filter(|order| self.is_here(order))
            .map_or(&self.assignment.ticket, |order| &order.ticket)
            .clone()
    }

    /// Whether an order only renews the ticket for where the stream is.
    fn is_here(&self, order: &Assignment) -> bool {
        order.epoch == self.assignment.epoch && order.relays.iter().any(|relay| relay.name == self.relay.name)
    }

    /// Waits until the directory has something new for this connection, whose ticket is `ticket`.
    async fn order(&self, ordered: &mut watch::Receiver<Option<Assignment>>, ticket: &Secret) -> Directed {
        loop {
            match &*ordered.borrow_and_update() {
                Some(order) if order.epoch > self.assignment.epoch => return Directed::Elsewhere(order.clone()),
                Some(order) if self.is_here(order) && order.ticket != *ticket => {
                    return Directed::Renewed(order.ticket.clone());
                }
                _ => {}
            }
            if ordered.changed().await.is_err() {
                std::future::pending::<()>().await; // no orders come any more
            }
        }
    }

    async fn open(&self) -> Result<Socket, End> {
        let name = &self.relay.name;
        let mut socket = timeout(CONNECT_TIME_MAX, connect(self.relay, self.connector.clone()))
            .await
            .map_err(|_| End::Broken(format!("{name} does not answer")))?
            .map_err(|error| End::Broken(format!("{name} can't be reached ({error})")))?;
        let hello = ClientHello::RegisterNewStream {
            protocol: PROTOCOL_VERSION,
            ticket: self.ticket(),
            tracks: self.tracks.clone(),
        };
        socket.send(text(&hello)).await.map_err(|error| self.broken(&error))?;
        let registered = timeout(FIRST_MESSAGE_TIME_MAX, async {
            loop {
                match self.receive(&mut socket).await? {
                    Some(ToBroadcaster::StreamRegistered { .. }) => return Ok(()),
                    Some(ToBroadcaster::Error { code, message }) => return Err(End::Refused(code, message)),
                    Some(ToBroadcaster::Move { ticket, relays, .. }) => return Err(End::Moved { ticket, relays }),
                    _ => {}
                }
            }
        });
        registered.await.map_err(|_| End::Broken(format!("{name} does not register the stream")))??;
        Ok(socket)
    }

    async fn send(&self, socket: Socket, confirmed: &mut Confirmed) -> End {
        self.outbox.begin_connection(&self.tracks);
        let (mut sink, mut stream) = socket.split();
        let mut ordered = self.ordered.clone();
        let sending = async {
            let mut ticket = self.ticket();
            loop {
                let message = tokio::select! {
                    message = self.outbox.next() => Message::Binary(message),
                    order = self.order(&mut ordered, &ticket) => match order {
                        Directed::Elsewhere(assignment) => return End::Ordered(assignment),
                        Directed::Renewed(renewed) => {
                            ticket = renewed.clone();
                            text(&FromBroadcaster::RenewTicket { ticket: renewed })
                        }
                    },
                };
                if let Err(error) = sink.send(message).await {
                    return self.broken(&error);
                }
            }
        };
        let end = tokio::select! {
            end = sending => end,
            end = self.listen(&mut stream, confirmed) => end,
            () = self.stop.cancelled() => End::Stopped,
        };
        let stopped = matches!(end, End::Stopped);
        let goodbye = async {
            if stopped {
                let _ = sink.send(text(&FromBroadcaster::EndStream {})).await;
            }
            let _ = sink.close().await;
            while let Some(Ok(_)) = stream.next().await {} // what is on its way must not become a reset
        };
        // A connection that was lost can't be said goodbye to.
        if !matches!(end, End::Broken(_)) {
            let _ = timeout(GOODBYE_TIME_MAX, goodbye).await;
        }
        end
    }

    async fn listen(
        &self,
        stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
        confirmed: &mut Confirmed,
    ) -> End {
        let mut figures = tokio::time::interval(FIGURES_INTERVAL);
        loop {
            let message = tokio::select! {
                message = timeout(SILENCE_TIME_MAX, self.receive(stream)) => message,
                _ = figures.tick() => {
                    self.show(confirmed);
                    if confirmed.grew_at.elapsed() > SILENCE_TIME_MAX {
                        return End::Broken(format!("{} takes nothing in", self.relay.name));
                    }
                    continue;
                }
            };
            match message {
                Err(_) => return End::Broken(format!("{} is silent", self.relay.name)),
                Ok(Err(end)) => return end,
                Ok(Ok(None)) => {}
                Ok(Ok(Some(message))) => match message {
                    ToBroadcaster::Received { chunks, bytes } => {
                        confirmed.more(chunks, bytes);
                        self.show(confirmed);
                    }
                    ToBroadcaster::KeyFrameWanted { .. } => self.key_frame_wanted.notify_one(),
                    ToBroadcaster::Viewers { count } => self.board.change(|status| status.viewers = count),
                    ToBroadcaster::Move { ticket, relays, .. } => return End::Moved { ticket, relays },
                    ToBroadcaster::Error { code, message } => return End::Refused(code, message),
                    ToBroadcaster::Audience { mut viewers } => {
                        viewers.truncate(AUDIENCE_MAX);
                        self.board.change(|status| status.audience = viewers);
                    }
                    ToBroadcaster::StreamRegistered { .. } => {}
                },
            }
        }
    }

    fn show(&self, confirmed: &mut Confirmed) {
        let dropped = self.outbox.dropped();
        let (bitrate_kbit_s, frame_rate) = confirmed.figures(self.outbox.frames());
        let live = confirmed.chunks > 0 && confirmed.grew_at.elapsed() <= CONFIRMATION_TIME_MAX;
        self.board.change(|status| {
            (status.dropped_frames, status.dropped_segments) = (dropped.frames, dropped.segments);
            (status.bitrate_kbit_s, status.frame_rate) = (bitrate_kbit_s, frame_rate);
            if live && status.started_at_ms.is_none() {
                status.started_at_ms = Some(local_now_us() / 1_000);
            }
        });
        if live {
            self.board.state(BroadcastState::Live, format!("Live at {}.", self.relay.name));
        } else if confirmed.chunks > 0 {
            let sentence = format!("Nothing has arrived at {} for a moment.", self.relay.name);
            self.board.state(BroadcastState::Stalled, sentence);
        }
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

/// What the relay has confirmed on this connection.
struct Confirmed {
    chunks: u64,
    bytes: u64,
    grew_at: Instant,
    /// When, and how many bytes and frames by then.
    history: VecDeque<(Instant, u64, u64)>,
}

impl Confirmed {
    fn new(frames: u64) -> Self {
        let now = Instant::now();
        Self { chunks: 0, bytes: 0, grew_at: now, history: VecDeque::from([(now, 0, frames)]) }
    }

    fn more(&mut self, chunks: u64, bytes: u64) {
        if chunks > self.chunks {
            (self.chunks, self.bytes, self.grew_at) = (chunks, bytes, Instant::now());
        }
    }

    /// Bitrate in kbit/s and encoded frames per second over the last moment.
    fn figures(&mut self, frames: u64) -> (u32, f32) {
        let now = Instant::now();
        if self.history.back().is_none_or(|&(at, ..)| now - at >= FIGURES_INTERVAL) {
            self.history.push_back((now, self.bytes, frames));
        }
        while self.history.len() > 2 && now - self.history[0].0 > FIGURES_WINDOW {
            self.history.pop_front();
        }
        let (at, bytes_then, frames_then) = self.history[0];
        let seconds = (now - at).as_secs_f64();
        if seconds < FIGURES_INTERVAL.as_secs_f64() {
            return (0, 0.0);
        }
        let per_second = |count: u64| count as f64 / seconds;
        let kbit_s = per_second((self.bytes - bytes_then) * 8) / 1_000.0;
        let frame_rate = (per_second(frames - frames_then) * 10.0).round() / 10.0;
        (kbit_s.round() as u32, frame_rate as f32)
    }
}
