//! Attacks on what WebTransport has and WebSocket has not: handshakes by UDP, streams, and two ways to say the same. What both have is
//! tried by both, in the other files.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use protocol::{
    ErrorCode, MediaHeader, MediaKind, TrackNumber, WebTransportAddress,
    framing::framed,
    limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX},
};
use reqwest::Method;
use serde_json::json;
use stage::{Created, Got, PATIENCE, Socket, System, WAYS, eventually};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use webtransport::{Client, Session, Transport, Trust, tuning};

/// Handshakes of a flood.
const HANDSHAKES: usize = 2_000;

/// Those that are under way at a time: more than are let in without having proved their address.
const HANDSHAKES_AT_A_TIME: usize = 160;

/// Every so many chunks begin a segment, of 2 s.
const SEGMENT_CHUNKS: u32 = 60;

const FRAME: Duration = Duration::from_millis(33);

fn header(kind: MediaKind, segment: u32, chunk: u32) -> MediaHeader {
    let key = kind == MediaKind::Chunk && chunk == 0;
    MediaHeader { kind, key, sealed: false, track: TrackNumber(1), segment, chunk, captured_at_us: 1 }
}

/// A stream of 30 chunks per second, and those who watch it by both ways.
struct Running {
    created: Created,
    over: Arc<AtomicBool>,
    sending: JoinHandle<Socket>,
    watching: Vec<JoinHandle<()>>,
}

impl Running {
    async fn on(system: &System) -> Self {
        let created = system.create(json!({"title": "a"})).await;
        let mut owner = Socket::publishing(created.at(Transport::Webtransport), created.ticket.expose()).await;
        owner.text("stream_registered").await;
        let mut watching = Vec::new();
        for by in WAYS {
            let answer = system.watch(created.id, None).await;
            let ticket = answer.body["assignment"]["ticket"].as_str().unwrap();
            let mut viewer = Socket::watching(created.at(by), ticket).await;
            viewer.text("watching").await;
            watching.push(tokio::spawn(async move { watch_to_the_end(viewer, by).await }));
        }
        let over = Arc::<AtomicBool>::default();
        let sending = tokio::spawn(send(owner, Arc::clone(&over)));
        Self { created, over, sending, watching }
    }

    /// Ends it. Nobody has missed anything.
    async fn ends_without_a_gap(self) {
        self.over.store(true, Ordering::Relaxed);
        let _owner = self.sending.await.unwrap();
        for watching in self.watching {
            watching.await.unwrap();
        }
    }
}

async fn send(mut owner: Socket, over: Arc<AtomicBool>) -> Socket {
    owner.media(&header(MediaKind::Init, 0, 0), b"init").await;
    let mut tick = tokio::time::interval(FRAME);
    for number in 0_u32.. {
        tick.tick().await;
        let is_last = number > SEGMENT_CHUNKS && over.load(Ordering::Relaxed);
        let header = header(MediaKind::Chunk, number / SEGMENT_CHUNKS, number % SEGMENT_CHUNKS);
        owner.media(&header, if is_last { b"last" } else { &[7; 8_000] }).await;
        if is_last {
            break;
        }
    }
    owner
}

/// Sees every chunk up to the last.
async fn watch_to_the_end(mut viewer: Socket, by: Transport) {
    assert!(viewer.next_media().await.ends_with(b"init"));
    for number in 0_u32.. {
        let message = viewer.next_media().await;
        let (header, payload) = MediaHeader::decode(&message).unwrap();
        let place = (header.segment, header.chunk);
        assert_eq!(place, (number / SEGMENT_CHUNKS, number % SEGMENT_CHUNKS), "a gap, over {by}");
        if payload == b"last" {
            return;
        }
    }
}

fn client(address: &WebTransportAddress) -> Client {
    Client::new(&Trust::Hashes(address.certificate_hashes.clone())).unwrap()
}

/// Somebody at the relay's UDP address who has said nothing yet.
async fn stranger(created: &Created) -> (Client, Session) {
    let address = created.webtransport.clone().unwrap();
    let client = client(&address);
    let session = timeout(PATIENCE, client.connect(&address.url)).await.unwrap().unwrap();
    (client, session)
}

/// Handshakes that are broken off, sessions on which nothing is said, and garbage: as many as are let in, and no more of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_handshakes_and_silent_sessions_beside_a_stream() {
    let system = System::start().await;
    let running = Running::on(&system).await;
    let (created, address) = (running.created.clone(), running.created.webtransport.clone().unwrap());
    let flood = Arc::new(client(&address));
    let at_a_time = Arc::new(Semaphore::new(HANDSHAKES_AT_A_TIME));
    let mut attempts = JoinSet::new();
    let garbage = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    garbage.connect((address.url.host_str().unwrap(), address.url.port().unwrap())).await.unwrap();
    for number in 0..HANDSHAKES {
        throw_garbage(&garbage, number).await;
        let place = Arc::clone(&at_a_time).acquire_owned().await.unwrap();
        let (flood, url) = (Arc::clone(&flood), address.url.clone());
        attempts.spawn(async move {
            let _place = place;
            let opening = flood.connect(&url);
            if number % 2 == 0 {
                // Broken off within the handshake, wherever that is.
                let _ = timeout(Duration::from_millis(number as u64 % 40), opening).await;
                return None;
            }
            timeout(PATIENCE, opening).await.ok()?.ok()
        });
    }
    let mut silent = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        silent.extend(attempt.unwrap());
    }
    println!("{} sessions were let in", silent.len());
    // Those of one address that are let in, less who watches and sends.
    assert!((1..HANDSHAKES / 2).contains(&silent.len()), "{} were let in", silent.len());
    // They are sent away by themselves, and whoever comes then is let in.
    for session in silent {
        timeout(PATIENCE, session.closed()).await.unwrap();
    }
    let answer = system.watch(created.id, None).await;
    let ticket = answer.body["assignment"]["ticket"].as_str().unwrap();
    let mut late = Socket::watching(created.at(Transport::Webtransport), ticket).await;
    late.text("watching").await;
    running.ends_without_a_gap().await;
    eventually("the end of the handshakes", async || {
        let sessions = system.metric(created.relay.as_str(), "relay_webtransport_sessions").await?;
        (sessions <= 3.0).then_some(())
    })
    .await;
}

/// Datagrams that are no QUIC, or only look like it: with the first byte of an Initial packet, its version, and nothing that fits.
async fn throw_garbage(socket: &tokio::net::UdpSocket, seed: usize) {
    for first in [0x00, 0x40, 0xc3, 0xff] {
        let mut datagram: Vec<_> = (0..1200).map(|at| (at * 31 + seed * 7) as u8).collect();
        datagram[..5].copy_from_slice(&[first, 0, 0, 0, 1]);
        let _ = socket.send(&datagram).await;
    }
}

/// What is no message, or more than one may be, before anybody has said who it is and after.
#[tokio::test]
async fn malformed_messages_on_a_session() {
    let system = System::start().await;
    let running = Running::on(&system).await;
    let created = running.created.clone();
    let huge = (CONTROL_BYTES_MAX as u32 + 1).to_be_bytes().to_vec();
    for (bytes, code) in [
        (huge, ErrorCode::TooLarge),
        (u32::MAX.to_be_bytes().to_vec(), ErrorCode::TooLarge),
        (0_u32.to_be_bytes().to_vec(), ErrorCode::InvalidRequest),
        (framed(b"\xff\xfe"), ErrorCode::InvalidRequest),
        (framed(b"{}"), ErrorCode::InvalidRequest),
        (framed(&[b'['; 20_000]), ErrorCode::InvalidRequest),
    ] {
        let (_client, session) = stranger(&created).await;
        let (mut sender, mut receiver) = session.quic().open_bi().await.unwrap();
        sender.write_all(&[0x40, 0x41, 0x00]).await.unwrap();
        sender.write_all(&bytes).await.unwrap();
        let told = timeout(PATIENCE, receiver.read_to_end(CONTROL_BYTES_MAX)).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains(&format!("\"code\":\"{}\"", code.as_str())), "{told} instead of {code}");
        timeout(PATIENCE, session.closed()).await.unwrap();
    }
    // Whoever is let in, and breaks the rules of media.
    let huge = (MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes().to_vec();
    let chunk = header(MediaKind::Chunk, 0, 0).message(b"x");
    let init = header(MediaKind::Init, 0, 0).message(b"init");
    for (bytes, code) in [
        (huge, ErrorCode::TooLarge),
        (framed(b"no header"), ErrorCode::InvalidRequest),
        (framed(&chunk), ErrorCode::WrongOrder),
        ([framed(&init), framed(&init)].concat(), ErrorCode::WrongOrder),
    ] {
        let own = system.create(json!({"title": "b"})).await;
        let mut attacker = Socket::publishing(own.at(Transport::Webtransport), own.ticket.expose()).await;
        attacker.text("stream_registered").await;
        let mut stream = attacker.session().quic().open_uni().await.unwrap();
        stream.write_all(&[0x40, 0x54, 0x00]).await.unwrap();
        // It may be cut off before it has written all.
        let _ = stream.write_all(&bytes).await;
        ends_with(&mut attacker, code).await;
        system.end(&own).await;
    }
    running.ends_without_a_gap().await;
}

/// Somebody who was let in is told this, and the session ends.
async fn ends_with(socket: &mut Socket, code: ErrorCode) {
    let mut error = None;
    loop {
        match socket.next().await {
            Got::Text(message) if message["type"] == "error" => error = Some(message["code"].clone()),
            Got::Closed(_) => break,
            _ => {}
        }
    }
    assert_eq!(error, Some(json!(code.as_str())));
}

/// Streams cost memory: strangers get as many as HTTP/3 needs, broadcasters as many as their segments do, viewers none.
#[tokio::test]
async fn more_streams_than_are_allowed() {
    let system = System::start().await;
    let running = Running::on(&system).await;
    let created = running.created.clone();
    let (_client, session) = stranger(&created).await;
    let mut streams = Vec::new();
    // The handshake has opened some of its own.
    let own = opened(&session, &mut streams).await;
    assert!((1..tuning::SERVICE_STREAMS_MAX as usize).contains(&own), "a stranger has opened {own} streams");
    // What it writes there is held up to a bound, and it is sent away.
    let flood = async {
        for at in (0..own).cycle() {
            if streams[at].write_all(&[0; 16 * 1024]).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, flood).await.expect("the relay takes what strangers send for ever");
    timeout(PATIENCE, session.closed()).await.unwrap();

    let own = system.create(json!({"title": "b"})).await;
    let mut broadcaster = Socket::publishing(own.at(Transport::Webtransport), own.ticket.expose()).await;
    broadcaster.text("stream_registered").await;
    let mut streams = Vec::new();
    let count = opened(broadcaster.session(), &mut streams).await;
    assert!(count <= tuning::MEDIA_STREAMS_MAX as usize, "a broadcaster has opened {count} streams");

    let answer = system.watch(created.id, None).await;
    let ticket = answer.body["assignment"]["ticket"].as_str().unwrap();
    let mut viewer = Socket::watching(created.at(Transport::Webtransport), ticket).await;
    viewer.text("watching").await;
    let mut stream = viewer.session().quic().open_uni().await.unwrap();
    stream.write_all(&[0x40, 0x54, 0x00, 0, 0, 0, 1, b'x']).await.unwrap();
    ends_with(&mut viewer, ErrorCode::InvalidRequest).await;
    running.ends_without_a_gap().await;
}

/// Opens streams until there are no more to be had; how many that are.
async fn opened(session: &Session, streams: &mut Vec<quinn::SendStream>) -> usize {
    while let Ok(stream) = timeout(Duration::from_secs(1), session.quic().open_uni()).await {
        let mut stream = stream.unwrap();
        stream.write_all(&[0x40, 0x54, 0x00]).await.unwrap();
        streams.push(stream);
    }
    streams.len()
}

/// What was said by one way does not count again by the other.
#[tokio::test]
async fn ticket_replayed_over_another_transport() {
    let system = System::start().await;
    for (first, second) in [(WAYS[0], WAYS[1]), (WAYS[1], WAYS[0])] {
        // A broadcaster's, while it sends.
        let created = system.create(json!({"title": "a"})).await;
        let mut owner = Socket::publishing(created.at(first), created.ticket.expose()).await;
        owner.text("stream_registered").await;
        let mut thief = Socket::publishing(created.at(second), created.ticket.expose()).await;
        thief.is_refused(ErrorCode::PublisherPresent).await;
        // A viewer's, who was removed.
        let answer = system.watch(created.id, None).await;
        let ticket = answer.body["assignment"]["ticket"].as_str().unwrap().to_owned();
        let mut viewer = Socket::watching(created.at(first), &ticket).await;
        viewer.text("watching").await;
        let id = loop {
            let audience = owner.text("audience").await;
            if let Some(id) = audience["viewers"][0]["viewer"].as_str() {
                break id.to_owned();
            }
        };
        let path = format!("/api/streams/{}/viewers/{id}", created.id);
        let request = system.request(Method::DELETE, &path).bearer_auth(created.broadcast_key.expose());
        assert_eq!(system.send(request).await.status, 204);
        ends_with(&mut viewer, ErrorCode::ViewerRemoved).await;
        Socket::watching(created.at(second), &ticket).await.is_refused(ErrorCode::ViewerRemoved).await;
        // One that is used again and again, by turns.
        let created = system.create(json!({"title": "b"})).await;
        let mut refused = false;
        for by in WAYS.into_iter().cycle().take(60) {
            let mut socket = Socket::publishing(created.at(by), created.ticket.expose()).await;
            refused = loop {
                match socket.next().await {
                    Got::Text(message) if message["type"] == "stream_registered" => break false,
                    Got::Text(message) if message["type"] == "error" => {
                        break message["code"] == "too_many_requests";
                    }
                    Got::Closed(code) => panic!("closed ({code:?}) without a word"),
                    _ => {}
                }
            };
            if refused {
                break;
            }
        }
        assert!(refused, "a ticket is taken for ever");
    }
}
