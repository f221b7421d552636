//! A directory and a relay inside the test's process, which do what the test says.

mod throttle;
mod tls;
mod udp_line;
mod wire;

use std::{
    convert::Infallible,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{delete, get, post},
};
use broadcaster::{
    Authorities, Broadcast, BroadcastOptions, BroadcastState, BroadcastStatus, Quality, SoundChoice, SourceChoice,
    TransportChoice,
};
use bytes::Bytes;
use futures_util::stream;
use protocol::{
    BroadcastKey, ErrorCode, MediaHeader, MediaKind, Secret, StreamId, TrackInfo, WebTransportAddress,
    control::{ClientHello, FromBroadcaster, ToBroadcaster},
    http::{
        ApiError, Assignment, AssignmentRequest, CreateStream, CreatedStream, Order, RelayAddress, RestoreStream,
        ServerTime, Visibility,
    },
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
    time::{Interval, MissedTickBehavior, timeout},
};
use tokio_tungstenite::accept_async;
use url::Url;

use throttle::{Speed, Throttled};
use tls::Io;
pub(crate) use tls::{Certificate, TlsListener};
use wire::{Incoming, Sessions, Wire};

/// Longer than anything in a test takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a relay says what has arrived.
const CONFIRMATION_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Names the relays at `relays` to every broadcaster.
#[derive(Clone)]
pub(crate) struct FakeDirectory {
    pub(crate) address: SocketAddr,
    pub(crate) assignments: Arc<AtomicU32>,
    pub(crate) ended: Arc<AtomicU32>,
    /// What to order each broadcaster that listens; `None` breaks its connection.
    pub(crate) orders: broadcast::Sender<Option<Order>>,
    /// How often orders were asked for.
    pub(crate) orders_asked: Arc<AtomicU32>,
    /// What `POST /api/streams` said.
    pub(crate) created: Arc<Mutex<Vec<CreateStream>>>,
    /// Viewers that were removed, with the key that did it.
    pub(crate) removed: Arc<Mutex<Vec<(String, String)>>>,
    /// The only pass that counts, where one is needed.
    pub(crate) pass: Option<&'static str>,
    /// Whether it knows of orders at all.
    pub(crate) has_orders: bool,
    /// Which relays failed, as it was told.
    pub(crate) failed: Arc<Mutex<Vec<Option<String>>>>,
    /// What its assignments are recorded as.
    pub(crate) record: Option<&'static str>,
    /// Whether it has lost its memory.
    pub(crate) forgetful: Arc<AtomicBool>,
    /// Records that were brought back, with the key that did it.
    pub(crate) restored: Arc<Mutex<Vec<(String, String)>>>,
    /// What it says to records; none takes them.
    pub(crate) restore_refusal: Option<ErrorCode>,
    relays: Arc<Vec<RelayAddress>>,
}

impl FakeDirectory {
    pub(crate) async fn start(relays: &[&FakeRelay]) -> Self {
        Self::start_as(relays, None, |_| {}).await
    }

    /// The same, changed by `change`, with this certificate where there is one.
    pub(crate) async fn start_as(
        relays: &[&FakeRelay],
        certificate: Option<&Certificate>,
        change: impl FnOnce(&mut Self),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relays = relays.iter().enumerate().map(|(n, relay)| relay.named(&format!("relay-{}", n + 1)));
        let mut directory = Self {
            address: listener.local_addr().unwrap(),
            assignments: Arc::default(),
            ended: Arc::default(),
            orders: broadcast::Sender::new(16),
            orders_asked: Arc::default(),
            created: Arc::default(),
            removed: Arc::default(),
            pass: None,
            has_orders: true,
            failed: Arc::default(),
            record: None,
            forgetful: Arc::default(),
            restored: Arc::default(),
            restore_refusal: None,
            relays: Arc::new(relays.collect()),
        };
        change(&mut directory);
        let router = Router::new()
            .route("/api/time", get(async || Json(ServerTime { now_us: now_us() })))
            .route("/api/streams", post(Self::create))
            .route("/api/streams/{id}/assignment", post(Self::assign))
            .route("/api/streams/restore", post(Self::restore))
            .route("/api/streams/{id}", delete(Self::end))
            .route("/api/streams/{id}/orders", get(Self::orders))
            .route("/api/streams/{id}/viewers/{viewer}", delete(Self::remove))
            .with_state(directory.clone());
        match certificate {
            None => drop(tokio::spawn(async move { axum::serve(listener, router).await })),
            Some(certificate) => {
                let listener = TlsListener(listener, certificate.acceptor.clone());
                drop(tokio::spawn(async move { axum::serve(listener, router).await }));
            }
        }
        directory
    }

    pub(crate) fn assignment(&self, epoch: u32) -> Assignment {
        Assignment {
            relays: self.relays.to_vec(),
            ticket: format!("ticket {epoch}").into(),
            epoch,
            record: self.record.map(Secret::from),
        }
    }

    async fn create(State(this): State<Self>, headers: HeaderMap, Json(body): Json<CreateStream>) -> Response {
        if let Some(pass) = this.pass {
            match bearer(&headers) {
                None => return refused(ErrorCode::PassRequired),
                Some(given) if given != pass => return refused(ErrorCode::PassInvalid),
                Some(_) => {}
            }
        }
        this.created.lock().unwrap().push(body.clone());
        let title = body.title.parse().unwrap();
        let id = StreamId::of(&title, now_us());
        let broadcast_key = BroadcastKey::new([7; 32]);
        Json(CreatedStream { id, title, broadcast_key, assignment: this.assignment(1) }).into_response()
    }

    async fn orders(State(this): State<Self>) -> Response {
        this.orders_asked.fetch_add(1, Ordering::SeqCst);
        if !this.has_orders || this.forgetful.load(Ordering::SeqCst) {
            return refused(ErrorCode::StreamNotFound);
        }
        let first = Order::Assignment { assignment: this.assignment(1) };
        let events = stream::unfold((Some(first), this.orders.subscribe()), async |(first, mut orders)| {
            let order = match first {
                Some(first) => first,
                None => orders.recv().await.ok()??,
            };
            Some((Ok::<_, Infallible>(Event::default().json_data(order).unwrap()), (None, orders)))
        });
        Sse::new(events).into_response()
    }

    async fn remove(
        State(this): State<Self>,
        Path((_, viewer)): Path<(String, String)>,
        headers: HeaderMap,
    ) -> StatusCode {
        this.removed.lock().unwrap().push((viewer, bearer(&headers).unwrap().to_owned()));
        StatusCode::NO_CONTENT
    }

    async fn assign(State(this): State<Self>, Json(body): Json<AssignmentRequest>) -> Response {
        this.failed.lock().unwrap().push(body.failed.map(|name| name.to_string()));
        let epoch = 2 + this.assignments.fetch_add(1, Ordering::SeqCst);
        match this.forgetful.load(Ordering::SeqCst) {
            true => refused(ErrorCode::StreamNotFound),
            false => Json(this.assignment(epoch)).into_response(),
        }
    }

    async fn restore(State(this): State<Self>, headers: HeaderMap, Json(body): Json<RestoreStream>) -> Response {
        let key = bearer(&headers).unwrap().to_owned();
        this.restored.lock().unwrap().push((body.record.expose().to_owned(), key));
        if let Some(code) = this.restore_refusal {
            return refused(code);
        }
        this.forgetful.store(false, Ordering::SeqCst);
        Json(this.assignment(1)).into_response()
    }

    async fn end(State(this): State<Self>) -> StatusCode {
        this.ended.fetch_add(1, Ordering::SeqCst);
        StatusCode::NO_CONTENT
    }

    /// The `broadcast` command, which sends to this directory's relays.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_broadcast"));
        command
            .args(["--directory", &format!("http://{}", self.address)])
            .env_remove("BROADCAST_PASS")
            .env_remove("STREAM_PASSWORD")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub(crate) async fn broadcast(&self, source: SourceChoice, sound: SoundChoice) -> Broadcast {
        Broadcast::start(self.options(source, sound)).await.unwrap()
    }

    pub(crate) fn options(&self, source: SourceChoice, sound: SoundChoice) -> BroadcastOptions {
        BroadcastOptions {
            directory: format!("http://{}", self.address).parse().unwrap(),
            title: "A test".to_owned(),
            authorities: Authorities::default(),
            pass: None,
            visibility: Visibility::Public,
            password: None,
            encrypt: false,
            source,
            sound,
            quality: Quality::P720At30,
            bitrate_kbit_s: None,
            small_picture: false,
            transport: TransportChoice::Auto,
            ffmpeg: "ffmpeg".into(),
        }
    }
}

fn refused(code: ErrorCode) -> Response {
    let status = StatusCode::from_u16(code.http_status()).unwrap();
    (status, Json(ApiError { code, message: format!("refused: {code}.") })).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Accepts broadcasters one after the other.
pub(crate) struct FakeRelay {
    listener: TcpListener,
    certificate: Option<Certificate>,
    pub(crate) address: SocketAddr,
    /// Of the line to it, without a certificate.
    pub(crate) speed: Speed,
    /// Where it is to be reached by WebTransport, and who listens there.
    pub(crate) webtransport: Option<WebTransportAddress>,
    sessions: Option<Sessions>,
}

impl FakeRelay {
    pub(crate) async fn start() -> Self {
        Self::start_as(None).await
    }

    /// The same, with this certificate where there is one.
    pub(crate) async fn start_as(certificate: Option<Certificate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, certificate, address, speed: Speed::default(), webtransport: None, sessions: None }
    }

    /// One that speaks WebTransport, too.
    pub(crate) async fn start_with_webtransport() -> Self {
        let (sessions, address) = Sessions::listen();
        Self { webtransport: Some(address), sessions: Some(sessions), ..Self::start().await }
    }

    /// The same, at the end of a line that [`Self::speed`] makes slow.
    pub(crate) async fn start_behind_udp_line() -> Self {
        let mut relay = Self::start_with_webtransport().await;
        let there = relay.sessions.as_ref().unwrap().local_addr();
        let entrance = udp_line::lay(there, relay.speed.clone()).await;
        relay.webtransport.as_mut().unwrap().url.set_port(Some(entrance.port())).unwrap();
        relay
    }

    /// Its address, by this name.
    pub(crate) fn named(&self, name: &str) -> RelayAddress {
        RelayAddress { webtransport: self.webtransport.clone(), ..RelayAddress::new(name.parse().unwrap(), self.url()) }
    }

    pub(crate) fn url(&self) -> Url {
        let url = match self.certificate {
            Some(_) => format!("wss://localhost:{}/ws", self.address.port()),
            None => format!("ws://{}/ws", self.address),
        };
        url.parse().unwrap()
    }

    /// The next broadcaster, before it is answered.
    pub(crate) async fn hello(&self) -> Publisher {
        let mut wire = timeout(PATIENCE, self.accept()).await.expect("somebody within the test's patience");
        let hello = loop {
            if let Some(Incoming::Words(text)) = timeout(PATIENCE, wire.next()).await.unwrap() {
                break serde_json::from_str(&text).unwrap();
            }
        };
        let ClientHello::RegisterNewStream { ticket, tracks, .. } = hello else { panic!("{hello:?}") };
        let mut tick = tokio::time::interval(CONFIRMATION_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Publisher {
            wire,
            ticket,
            tracks,
            renewed: Vec::new(),
            moving: Vec::new(),
            confirms: true,
            confirmed: (0, 0),
            chunks: 0,
            bytes: 0,
            tick,
        }
    }

    /// Whoever comes next by whatever way, if only to see who else comes first.
    async fn accept(&self) -> Wire {
        loop {
            let session = async {
                match &self.sessions {
                    Some(sessions) => sessions.accept().await,
                    None => std::future::pending().await,
                }
            };
            let stream = tokio::select! {
                stream = self.listener.accept() => stream.unwrap().0,
                session = session => return session,
            };
            let stream: Box<dyn Io> = match &self.certificate {
                Some(certificate) => Box::new(certificate.acceptor.accept(stream).await.unwrap()),
                None => Box::new(Throttled::new(stream, self.speed.clone())),
            };
            // One that lost its race goes away here.
            if let Ok(socket) = accept_async(stream).await {
                return Wire::Socket(Box::new(socket));
            }
        }
    }

    /// The next broadcaster, registered.
    pub(crate) async fn publisher(&self) -> Publisher {
        let mut publisher = self.hello().await;
        let relay = "relay-1".parse().unwrap();
        let stream = "0".repeat(32).parse().unwrap();
        publisher.say(&ToBroadcaster::StreamRegistered { stream, relay }).await;
        publisher
    }
}

/// A broadcaster as the relay sees it.
pub(crate) struct Publisher {
    wire: Wire,
    pub(crate) ticket: Secret,
    pub(crate) tracks: Vec<TrackInfo>,
    /// Tickets that came later.
    pub(crate) renewed: Vec<Secret>,
    /// Where it said that it goes on.
    pub(crate) moving: Vec<Vec<RelayAddress>>,
    /// Whether what arrives is confirmed; else the relay is alive, but nothing seems to arrive.
    pub(crate) confirms: bool,
    confirmed: (u64, u64),
    chunks: u64,
    bytes: u64,
    tick: Interval,
}

/// One media message.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) header: MediaHeader,
    pub(crate) payload: Bytes,
    /// Header and payload as they came.
    pub(crate) message: Bytes,
}

impl Publisher {
    pub(crate) async fn say(&mut self, message: &ToBroadcaster) {
        self.try_say(message).await.expect("the broadcaster listens");
    }

    async fn try_say(&mut self, message: &ToBroadcaster) -> Option<()> {
        self.wire.say(serde_json::to_string(message).unwrap()).await
    }

    /// Whether it came by WebTransport.
    pub(crate) const fn is_session(&self) -> bool {
        matches!(self.wire, Wire::Session(_))
    }

    /// Says that everything arrives, and reads nothing, until `condition` is there.
    pub(crate) async fn pretend_until<T>(&mut self, condition: impl Future<Output = T>) -> T {
        let mut interval = tokio::time::interval(Duration::from_millis(100));
        tokio::pin!(condition);
        loop {
            tokio::select! {
                outcome = &mut condition => return outcome,
                _ = interval.tick() => {
                    self.confirmed = (self.confirmed.0 + 1, self.confirmed.1 + 1_000);
                    let (chunks, bytes) = self.confirmed;
                    self.say(&ToBroadcaster::Received { chunks, bytes }).await;
                }
            }
        }
    }

    /// Takes media until `condition` is there.
    pub(crate) async fn read_until<T>(&mut self, condition: impl Future<Output = T>) -> T {
        tokio::pin!(condition);
        loop {
            tokio::select! {
                outcome = &mut condition => return outcome,
                media = self.next() => assert!(media.is_some(), "the stream goes on"),
            }
        }
    }

    /// Waits until a session is over, and says nothing meanwhile.
    pub(crate) async fn left(&self) {
        self.wire.left().await;
    }

    pub(crate) async fn refuse(self, code: ErrorCode) {
        let error = ToBroadcaster::Error { code, message: format!("refused: {code}") };
        self.wire.refuse(serde_json::to_string(&error).unwrap(), code).await;
    }

    /// The next media message; `None` when the broadcaster says that the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Media> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let message = tokio::select! {
                biased; // a relay that is asked for much says what it has, too
                _ = self.tick.tick() => {
                    if self.confirms {
                        self.confirmed = (self.chunks, self.bytes);
                    }
                    // Whoever is gone is told nothing; what it sent before counts.
                    let (chunks, bytes) = self.confirmed;
                    let _ = self.try_say(&ToBroadcaster::Received { chunks, bytes }).await;
                    continue;
                }
                message = self.wire.next() => message?,
                () = tokio::time::sleep_until(deadline) => panic!("no media within the test's patience"),
            };
            match message {
                Incoming::Media(bytes) => {
                    let (header, payload) = MediaHeader::decode(&bytes).unwrap();
                    let payload = bytes.slice_ref(payload);
                    self.chunks += u64::from(header.kind == MediaKind::Chunk);
                    self.bytes += bytes.len() as u64;
                    return Some(Media { header, payload, message: bytes });
                }
                Incoming::Words(text) => match serde_json::from_str(&text).unwrap() {
                    FromBroadcaster::EndStream {} => return None,
                    FromBroadcaster::RenewTicket { ticket } => self.renewed.push(ticket),
                    FromBroadcaster::Moving { relays } => self.moving.push(relays),
                },
            }
        }
    }

    /// Media messages until there are `count` chunks of `track`.
    pub(crate) async fn take(&mut self, track: u16, count: usize) -> Vec<Media> {
        let mut taken = Vec::new();
        let mut chunks = 0;
        while chunks < count {
            let media = self.next().await.expect("the stream goes on");
            chunks += usize::from(media.header.track.0 == track && media.header.kind == MediaKind::Chunk);
            taken.push(media);
        }
        taken
    }
}

/// Waits until the status is as wanted.
pub(crate) async fn wait_for(
    status: &mut watch::Receiver<BroadcastStatus>,
    wanted: impl FnMut(&BroadcastStatus) -> bool,
) -> BroadcastStatus {
    timeout(PATIENCE, status.wait_for(wanted)).await.expect("the status within the test's patience").unwrap().clone()
}

pub(crate) async fn wait_for_state(broadcast: &Broadcast, state: BroadcastState) -> BroadcastStatus {
    wait_for(&mut broadcast.status(), |status| status.state == state).await
}

/// One track's bytes as a viewer would put them together.
pub(crate) fn track_bytes(media: &[Media], track: u16) -> Vec<u8> {
    media.iter().filter(|media| media.header.track.0 == track).flat_map(|media| media.payload.to_vec()).collect()
}

pub(crate) fn chunks(media: &[Media], track: u16) -> Vec<&Media> {
    media.iter().filter(|m| m.header.track.0 == track && m.header.kind == MediaKind::Chunk).collect()
}
