//! A line that delays and loses packets, between two ends that know nothing of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use protocol::{MediaHeader, MediaKind, TrackNumber};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{sleep_until, timeout},
};
use webtransport::{Client, Outgoing, Session, Trust};

use crate::pair::listener;

const PICTURE: TrackNumber = TrackNumber(1);
const SOUND: TrackNumber = TrackNumber(2);

/// Chunks of a segment, which has a second.
const PICTURES_OF_SEGMENT: u32 = 30;
const SOUND_OF_SEGMENT: u32 = 50;

/// Longer than what is sent here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line to `server` with so much delay each way and one packet in `lost_of` lost; where to call.
async fn line(server: SocketAddr, delay: Duration, lost_of: u32) -> SocketAddr {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    back.connect(server).await.unwrap();
    let address = front.local_addr().unwrap();
    let caller = Arc::new(Mutex::new(server));
    for (from, to, is_back) in [(&front, &back, false), (&back, &front, true)] {
        let (sender, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        let (heard, calling) = (Arc::clone(&caller), Arc::clone(&caller));
        tokio::spawn(async move {
            let (mut packet, mut random) = (vec![0; 65_536], 7 + u32::from(is_back));
            loop {
                // Nobody listens there at first, and no more at the end.
                let Ok((len, peer)) = from.recv_from(&mut packet).await else { continue };
                if !is_back {
                    *heard.lock().unwrap() = peer;
                }
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let lost = (random >> 16) % lost_of == 0;
                if !lost && sender.send((Instant::now() + delay, packet[..len].to_vec())).is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some((at, packet)) = due.recv().await {
                sleep_until(at.into()).await;
                let peer = *calling.lock().unwrap();
                let _ = if is_back { to.send_to(&packet, peer).await } else { to.send(&packet).await };
            }
        });
    }
    address
}

/// Sends a second of picture and sound, thirty and fifty chunks, three times over.
async fn send(sender: Session) -> quinn::PathStats {
    let mut outbox = sender.outbox();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for number in 0..3 * SOUND_OF_SEGMENT {
        while !outbox.is_empty() {
            tokio::select! {
                flushed = outbox.flush() => flushed.unwrap(),
                _ = tick.tick() => break,
            }
        }
        if outbox.is_empty() {
            tick.tick().await;
        }
        outbox.push(outgoing(SOUND, number, SOUND_OF_SEGMENT, 200));
        let (before, now) = ((number * 30).div_ceil(50), (number * 30 + 30).div_ceil(50));
        if now > before {
            let bytes = if before.is_multiple_of(PICTURES_OF_SEGMENT) { 60_000 } else { 10_400 };
            outbox.push(outgoing(PICTURE, before, PICTURES_OF_SEGMENT, bytes));
        }
    }
    timeout(PATIENCE, outbox.finish()).await.unwrap().unwrap();
    sender.quic().stats().path
}

fn outgoing(track: TrackNumber, number: u32, of_segment: u32, bytes: usize) -> Outgoing {
    let (segment, chunk) = (number / of_segment, number % of_segment);
    let header = MediaHeader {
        kind: MediaKind::Chunk,
        key: chunk == 0,
        sealed: false,
        track,
        segment,
        chunk,
        captured_at_us: 0,
    };
    let init = MediaHeader { kind: MediaKind::Init, key: false, ..header };
    Outgoing {
        track,
        sound: track == SOUND,
        segment,
        key: header.key,
        init: (number == 0).then(|| init.message(b"init").into()),
        chunk: header.message(&vec![7; bytes]).into(),
        arrived: tokio::time::Instant::now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_line_that_loses_packets_segments_come_in_order_to_the_last_chunk() {
    let (server, hash) = listener();
    let address = line(server.local_addr().unwrap(), Duration::from_millis(20), 50).await;
    let url = format!("https://{address}/wt").parse().unwrap();
    let client = Client::new(&Trust::Hashes(vec![hash])).unwrap();
    let accepting = async { server.accept().await.unwrap().enter().await.unwrap().accept().await.unwrap() };
    let both = async { tokio::join!(client.connect(&url), accepting) };
    let (connected, sender) = timeout(PATIENCE, both).await.unwrap();
    let session = connected.unwrap();
    let sending = tokio::spawn(send(sender));
    let mut inbox = session.inbox();
    let mut got: [Vec<(u32, u32)>; 2] = Default::default();
    let last = [(2, PICTURES_OF_SEGMENT - 1), (2, SOUND_OF_SEGMENT - 1)];
    while got.iter().zip(last).any(|(got, last)| got.last() != Some(&last)) {
        let (header, _) = timeout(PATIENCE, inbox.next()).await.unwrap().unwrap();
        if header.kind == MediaKind::Chunk {
            got[usize::from(header.track.0) - 1].push((header.segment, header.chunk));
        }
    }
    for got in &got {
        // A machine that is too busy for this makes it skip, but to nothing else than a key frame.
        let follows = |before: &(u32, u32), next: &(u32, u32)| match next {
            (segment, 0) => *segment > before.0,
            (segment, chunk) => (*segment, *chunk) == (before.0, before.1 + 1),
        };
        assert!(got.is_sorted_by(follows), "{got:?}");
    }
    assert!(sending.await.unwrap().lost_packets > 0, "the line is one that loses packets");
}
