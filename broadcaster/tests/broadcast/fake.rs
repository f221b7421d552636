//! A directory and a relay inside the test's process, which do what the test says.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use broadcaster::{
    Authorities, Broadcast, BroadcastOptions, BroadcastState, BroadcastStatus, Quality, SoundChoice, SourceChoice,
};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    BroadcastKey, ErrorCode, MediaHeader, MediaKind, Secret, StreamId, TrackInfo,
    control::{ClientHello, ToBroadcaster},
    http::{Assignment, CreateStream, CreatedStream, RelayAddress, ServerTime, Visibility},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

/// Longer than anything in a test takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Names the relays at `relays` to every broadcaster.
#[derive(Clone)]
pub(crate) struct FakeDirectory {
    pub(crate) address: SocketAddr,
    pub(crate) assignments: Arc<AtomicU32>,
    pub(crate) ended: Arc<AtomicU32>,
    relays: Arc<Vec<RelayAddress>>,
}

impl FakeDirectory {
    pub(crate) async fn start(relays: &[&FakeRelay]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relays = relays.iter().enumerate().map(|(n, relay)| RelayAddress {
            name: format!("relay-{}", n + 1).parse().unwrap(),
            url: format!("ws://{}/ws", relay.address).parse().unwrap(),
        });
        let directory = Self {
            address: listener.local_addr().unwrap(),
            assignments: Arc::default(),
            ended: Arc::default(),
            relays: Arc::new(relays.collect()),
        };
        let router = Router::new()
            .route("/api/time", get(async || Json(ServerTime { now_us: now_us() })))
            .route("/api/streams", post(Self::create))
            .route("/api/streams/{id}/assignment", post(Self::assign))
            .route("/api/streams/{id}", delete(Self::end))
            .with_state(directory.clone());
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        directory
    }

    fn assignment(&self, epoch: u32) -> Assignment {
        Assignment { relays: self.relays.to_vec(), ticket: format!("ticket {epoch}").into(), epoch }
    }

    async fn create(State(this): State<Self>, Json(body): Json<CreateStream>) -> Json<CreatedStream> {
        let title = body.title.parse().unwrap();
        let id = StreamId::of(&title, now_us());
        Json(CreatedStream { id, title, broadcast_key: BroadcastKey::new([7; 32]), assignment: this.assignment(1) })
    }

    async fn assign(State(this): State<Self>) -> Json<Assignment> {
        Json(this.assignment(2 + this.assignments.fetch_add(1, Ordering::SeqCst)))
    }

    async fn end(State(this): State<Self>) -> StatusCode {
        this.ended.fetch_add(1, Ordering::SeqCst);
        StatusCode::NO_CONTENT
    }

    pub(crate) async fn broadcast(&self, source: SourceChoice, sound: SoundChoice) -> Broadcast {
        let options = BroadcastOptions {
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
            ffmpeg: "ffmpeg".into(),
        };
        Broadcast::start(options).await.unwrap()
    }
}

/// Accepts broadcasters one after the other.
pub(crate) struct FakeRelay {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl FakeRelay {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// The next broadcaster, before it is answered.
    pub(crate) async fn hello(&self) -> Publisher {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let hello = loop {
            if let Message::Text(text) = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
                break serde_json::from_str(&text).unwrap();
            }
        };
        let ClientHello::RegisterNewStream { ticket, tracks, .. } = hello else { panic!("{hello:?}") };
        Publisher { socket, ticket, tracks, confirms: true, chunks: 0, bytes: 0 }
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
    socket: WebSocketStream<TcpStream>,
    pub(crate) ticket: Secret,
    pub(crate) tracks: Vec<TrackInfo>,
    pub(crate) confirms: bool,
    chunks: u64,
    bytes: u64,
}

/// One media message.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) header: MediaHeader,
    pub(crate) payload: Bytes,
    pub(crate) arrived_us: u64,
}

impl Publisher {
    pub(crate) async fn say(&mut self, message: &ToBroadcaster) {
        self.socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
    }

    pub(crate) async fn refuse(mut self, code: ErrorCode) {
        self.say(&ToBroadcaster::Error { code, message: format!("refused: {code}") }).await;
        let _ = self.socket.close(None).await;
    }

    /// The next media message; `None` when the broadcaster says that the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Media> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("media within the test's patience")? {
                Ok(Message::Binary(bytes)) => {
                    let (header, payload) = MediaHeader::decode(&bytes).unwrap();
                    let payload = bytes.slice_ref(payload);
                    self.chunks += u64::from(header.kind == MediaKind::Chunk);
                    self.bytes += bytes.len() as u64;
                    if self.confirms {
                        self.say(&ToBroadcaster::Received { chunks: self.chunks, bytes: self.bytes }).await;
                    }
                    return Some(Media { header, payload, arrived_us: now_us() });
                }
                Ok(Message::Text(text)) => {
                    assert_eq!(text.as_str(), r#"{"type":"end_stream"}"#);
                    return None;
                }
                Ok(_) => {}
                Err(_) => return None,
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
