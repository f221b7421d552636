//! A relay under test, and peers that talk to it.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    ErrorCode, MediaHeader, MediaKind, RelayName, Secret, StreamId, TrackNumber, ViewerId, WebTransportAddress,
    limits::TICKET_TIME,
    relay_proof::Membership,
    signing::SigningKey,
    ticket::{Action, Grant},
};
use relay::{Config, Flags, Relay, data_dir::DataDir};
use serde_json::{Value, json};
use service::{Clock, Lifecycle};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config, tungstenite::Message,
};

/// Far longer than anything a test waits for takes; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One frame at 30 frames/s.
pub(crate) const FRAME_US: u64 = 33_333;

/// The picture of [`tracks`].
pub(crate) const PICTURE: TrackNumber = TrackNumber(1);
/// The sound of [`tracks`].
pub(crate) const SOUND: TrackNumber = TrackNumber(2);

/// What [`Peer::publish`] registers.
pub(crate) fn tracks() -> Value {
    json!([{"track": 1, "kind": "video", "codec": "avc1.4D401F", "width": 1280, "height": 720, "frame_rate": 30.0},
           {"track": 2, "kind": "sound", "codec": "opus", "sample_rate": 48000, "channels": 2}])
}

/// A stream's id.
pub(crate) fn stream(number: u64) -> StreamId {
    StreamId::of(&"test".parse().unwrap(), number)
}

/// A relay that serves.
pub(crate) struct TestRelay {
    pub(crate) address: SocketAddr,
    pub(crate) internal: SocketAddr,
    pub(crate) webtransport: Option<WebTransportAddress>,
    pub(crate) signer: SigningKey,
    pub(crate) clock: Clock,
    pub(crate) folder: tempfile::TempDir,
    life: Lifecycle,
    served: JoinHandle<()>,
}

impl TestRelay {
    /// A relay with the ticket key of an earlier run, and no directory to be found.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(new_key(), "relay-1", change).await
    }

    /// A relay of this name, which has joined a directory with this key before.
    pub(crate) async fn start_at(signer: SigningKey, name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path().into()).unwrap();
        data_dir.keep_ticket_key(&signer.public_key()).unwrap();
        let (relay, public_key) = (relay_name(name), data_dir.key().unwrap().public_key());
        let membership = Membership { relay: relay.clone(), public_key, issued_at_s: now_s() };
        data_dir.keep_membership(&signer.sign(&membership).unwrap()).unwrap();
        let mut config = config();
        config.name = relay;
        config.data_dir = folder.path().into();
        change(&mut config);
        let clock = config.clock.clone();
        let relay = Relay::bind(config).await.unwrap();
        let (address, internal) = (relay.local_addr().unwrap(), relay.internal_addr().unwrap());
        let webtransport = relay.webtransport().unwrap();
        let life = Lifecycle::new();
        let served = tokio::spawn({
            let life = life.clone();
            async move { relay.run(life).await.unwrap() }
        });
        Self { address, internal, webtransport, signer, clock, folder, life, served }
    }

    pub(crate) fn ticket(&self, action: Action, stream: StreamId, epoch: u32) -> Secret {
        self.sign(&self.grant(action, stream, epoch))
    }

    /// What the directory grants now, by this relay's clock, on `relay-1`; each viewer is another one.
    pub(crate) fn grant(&self, action: Action, stream: StreamId, epoch: u32) -> Grant {
        let issued_at_s = self.clock.now_s();
        let expires_at_s = issued_at_s + TICKET_TIME.as_secs();
        Grant { issued_at_s, expires_at_s, ..grant(action, stream, epoch) }
    }

    /// A ticket that says this.
    pub(crate) fn sign(&self, grant: &Grant) -> Secret {
        self.signer.sign(grant).unwrap()
    }

    pub(crate) async fn connect(&self) -> Peer {
        Peer::connect(self.address, None).await
    }

    /// A broadcaster that has said its hello, whatever the answer is.
    pub(crate) async fn hello_of_publisher(&self, stream: StreamId, epoch: u32) -> Peer {
        self.hello_with(&self.grant(Action::Publish, stream, epoch)).await
    }

    /// Somebody who has said hello with a ticket that says this, whatever the answer is.
    pub(crate) async fn hello_with(&self, grant: &Grant) -> Peer {
        let mut peer = self.connect().await;
        let ticket = self.sign(grant);
        peer.say(match grant.action {
            Action::Publish => {
                json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks()})
            }
            Action::Watch => json!({"type": "watch_stream", "protocol": 1, "ticket": ticket}),
        })
        .await;
        peer
    }

    /// A viewer that was let in with a ticket that says this.
    pub(crate) async fn viewer_with(&self, grant: &Grant) -> Peer {
        let mut peer = self.hello_with(grant).await;
        peer.text("watching").await;
        peer
    }

    /// A broadcaster that was let in.
    pub(crate) async fn publisher(&self, stream: StreamId, epoch: u32) -> Peer {
        let mut peer = self.hello_of_publisher(stream, epoch).await;
        let registered = peer.text("stream_registered").await;
        assert_eq!(registered["stream"], stream.to_string());
        assert_eq!(registered["relay"], "relay-1");
        peer
    }

    /// A viewer that has said its hello, whatever the answer is.
    pub(crate) async fn hello_of_viewer(&self, stream: StreamId) -> Peer {
        let peer = self.connect().await;
        self.say_watch(peer, stream).await
    }

    pub(crate) async fn say_watch(&self, mut peer: Peer, stream: StreamId) -> Peer {
        let ticket = self.ticket(Action::Watch, stream, 0);
        peer.say(json!({"type": "watch_stream", "protocol": 1, "ticket": ticket})).await;
        peer
    }

    /// A viewer that was let in.
    pub(crate) async fn viewer(&self, stream: StreamId) -> Peer {
        let mut peer = self.hello_of_viewer(stream).await;
        assert_eq!(peer.text("watching").await["selected"], json!([1, 2]));
        peer
    }

    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until `/metrics` says this.
    pub(crate) async fn metrics_say(&self, line: &str) {
        let said = async {
            loop {
                let text = self.get(self.internal, "/metrics").await.1;
                if text.lines().any(|found| found == line) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, said).await.is_err() {
            panic!("no {line:?} in:\n{}", self.get(self.internal, "/metrics").await.1);
        }
    }

    pub(crate) fn stop(&self) {
        self.life.stop();
    }

    pub(crate) async fn stopped(self) {
        timeout(PATIENCE, self.served).await.unwrap().unwrap();
    }
}

pub(crate) fn config() -> Config {
    let flags = ["relay", "--name", "relay-1", "--join-secret", "secret-of-tests", "--listen", "127.0.0.1:0"];
    // Port 9 (discard): nobody is there.
    let rest = ["--internal-listen", "127.0.0.1:0", "--directory", "http://127.0.0.1:9"];
    <Flags as clap::Parser>::try_parse_from(flags.into_iter().chain(rest)).unwrap().try_into().unwrap()
}

pub(crate) fn now_s() -> u64 {
    service::Clock::system().now_s()
}

/// A new key.
pub(crate) fn new_key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
}

/// What a directory grants now, on `relay-1`; each viewer is another one.
pub(crate) fn grant(action: Action, stream: StreamId, epoch: u32) -> Grant {
    let relays = vec![relay_name("relay-1")];
    match action {
        Action::Publish => Grant::publish(stream, epoch, relays, now_s()),
        Action::Watch => Grant::watch(stream, epoch, relays, ViewerId(rand::random()), now_s()),
    }
}

pub(crate) fn relay_name(name: &str) -> RelayName {
    name.parse().unwrap()
}

/// What a peer has received.
#[derive(Debug)]
pub(crate) enum Got {
    Text(Value),
    Media(MediaHeader, Vec<u8>),
    /// The connection is over; with the close frame's code when there was one.
    Closed(Option<u16>),
}

/// One end of a WebSocket.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Peer {
    /// Connects; `receive_bytes` bounds what the kernel takes for a peer that does not read.
    pub(crate) async fn connect(address: SocketAddr, receive_bytes: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let connection = socket.connect(address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        Self::over(connection, format!("ws://{address}/ws"), Connector::Plain).await
    }

    /// Connects within TLS, to the address by which the relay's certificate knows it.
    pub(crate) async fn connect_tls(address: SocketAddr, connector: Connector) -> Self {
        let connection = TcpStream::connect(address).await.unwrap();
        Self::over(connection, format!("wss://{address}/ws"), connector).await
    }

    /// Connects as `connector` says, within TLS or not.
    pub(crate) async fn connect_by(address: SocketAddr, connector: &Connector) -> Self {
        match connector {
            Connector::Plain => Self::connect(address, None).await,
            within => Self::connect_tls(address, within.clone()).await,
        }
    }

    async fn over(connection: TcpStream, url: String, connector: Connector) -> Self {
        let (socket, _) = client_async_tls_with_config(url, connection, None, Some(connector)).await.unwrap();
        Self { socket }
    }

    /// Its own address, when it is not within TLS.
    pub(crate) fn address(&self) -> SocketAddr {
        let MaybeTlsStream::Plain(connection) = self.socket.get_ref() else { panic!("within TLS") };
        connection.local_addr().unwrap()
    }

    /// Goes on with a ticket.
    pub(crate) async fn renew(&mut self, ticket: &Secret) {
        self.say(json!({"type": "renew_ticket", "ticket": ticket})).await;
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Sends a message; the relay may have closed already.
    pub(crate) async fn throw(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    pub(crate) async fn media(&mut self, header: MediaHeader, payload: &[u8]) {
        self.socket.send(Message::binary(header.message(payload))).await.unwrap();
    }

    pub(crate) async fn init(&mut self, track: TrackNumber) {
        self.media(header(MediaKind::Init, track, 0, 0, 0), format!("init of {track}").as_bytes()).await;
    }

    pub(crate) async fn chunk(&mut self, track: TrackNumber, segment: u32, chunk: u32) {
        self.media(header(MediaKind::Chunk, track, segment, chunk, 0), format!("{track}/{segment}/{chunk}").as_bytes())
            .await;
    }

    pub(crate) async fn next(&mut self) -> Got {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => return Got::Text(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(bytes))) => {
                    let (header, payload) = MediaHeader::decode(&bytes).unwrap();
                    return Got::Media(header, payload.to_vec());
                }
                Some(Ok(Message::Close(frame))) => return Got::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Got::Closed(None),
            }
        }
    }

    /// The next text message of this type; others and media before it are passed over.
    pub(crate) async fn text(&mut self, wanted: &str) -> Value {
        loop {
            match self.next().await {
                Got::Text(message) if message["type"] == wanted => return message,
                Got::Closed(code) => panic!("closed ({code:?}) while waiting for {wanted}"),
                Got::Text(message) if message["type"] == "error" => panic!("{message} while waiting for {wanted}"),
                _ => {}
            }
        }
    }

    /// The next media message; text before it is passed over.
    pub(crate) async fn next_media(&mut self) -> (MediaHeader, String) {
        loop {
            match self.next().await {
                Got::Media(header, payload) => return (header, String::from_utf8_lossy(&payload).into_owned()),
                Got::Text(_) => {}
                Got::Closed(code) => panic!("closed ({code:?}) while waiting for media"),
            }
        }
    }

    /// The payloads of the next `count` media messages.
    pub(crate) async fn payloads(&mut self, count: usize) -> Vec<String> {
        let mut payloads = vec![];
        for _ in 0..count {
            payloads.push(self.next_media().await.1);
        }
        payloads
    }

    /// The error and the close frame that end the connection have this code.
    pub(crate) async fn ends_with(&mut self, code: ErrorCode) {
        let mut error = None;
        loop {
            match self.next().await {
                Got::Text(message) if message["type"] == "error" => error = Some(message),
                Got::Closed(closed) => {
                    let error = error.unwrap_or_else(|| panic!("closed ({closed:?}) without an error"));
                    assert_eq!(error["code"], code.as_str(), "{error}");
                    assert!(error["message"].as_str().is_some_and(|message| message.len() > 8), "{error}");
                    assert_eq!(closed, Some(code.close_code()), "{error}");
                    return;
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn header(
    kind: MediaKind,
    track: TrackNumber,
    segment: u32,
    chunk: u32,
    captured_at_us: u64,
) -> MediaHeader {
    let key = kind == MediaKind::Chunk && chunk == 0;
    MediaHeader { kind, key, sealed: false, track, segment, chunk, captured_at_us }
}
