//! Uplinks that are slower than the stream.

use std::time::{Duration, Instant};

use broadcaster::{Broadcast, BroadcastOptions, BroadcastStatus, SoundChoice, SourceChoice, Transport};

use protocol::MediaKind;

use super::{
    Folder, assert_well_formed, chunks, decoded_frames,
    fake::{FakeDirectory, FakeRelay, Media, Publisher, now_us, track_bytes},
};

/// What the picture may have on a good line.
const FULL_KBIT_S: u32 = 2_500;

/// What a slow line carries.
const SLOW_KBIT_S: u64 = 600;

/// Reads until the status is as wanted; what was read.
async fn read_to(
    publisher: &mut Publisher,
    broadcast: &Broadcast,
    wanted: impl Fn(&BroadcastStatus, &Media) -> bool,
) -> Vec<Media> {
    let began = Instant::now();
    let mut media: Vec<Media> = Vec::new();
    loop {
        let newest = publisher.next().await.expect("the stream goes on");
        let is_there = wanted(&broadcast.status().borrow(), &newest);
        media.push(newest);
        if is_there {
            return media;
        }
        let status = broadcast.status().borrow().clone();
        assert!(began.elapsed() < Duration::from_secs(60), "{status:?}");
    }
}

fn age_us(media: &Media) -> u64 {
    now_us().saturating_sub(media.header.captured_at_us)
}

#[tokio::test]
async fn slow_uplink_gets_fewer_bits_stays_live_and_gets_them_back() {
    slow_uplink(FakeRelay::start().await, Transport::Websocket).await;
}

#[tokio::test]
async fn slow_uplink_by_webtransport_gets_fewer_bits_stays_live_and_gets_them_back() {
    slow_uplink(FakeRelay::start_behind_udp_line().await, Transport::Webtransport).await;
}

async fn slow_uplink(relay: FakeRelay, transport: Transport) {
    let directory = FakeDirectory::start(&[&relay]).await;
    let options = directory.options(SourceChoice::Test, SoundChoice::None);
    let options = BroadcastOptions { bitrate_kbit_s: Some(FULL_KBIT_S), ..options };
    let broadcast = Broadcast::start(options).await.unwrap();
    let mut publisher = relay.publisher().await;
    let mut media = publisher.take(1, 90).await;
    assert_eq!(broadcast.status().borrow().picture_kbit_s, FULL_KBIT_S);

    relay.speed.set_kbit_s(SLOW_KBIT_S);
    let is_lower = |status: &BroadcastStatus, _: &Media| u64::from(status.picture_kbit_s) < SLOW_KBIT_S;
    media.extend(read_to(&mut publisher, &broadcast, is_lower).await);
    // What had queued up is through soon, although the line is no faster.
    let is_young = |_: &BroadcastStatus, media: &Media| age_us(media) < 400_000;
    media.extend(read_to(&mut publisher, &broadcast, is_young).await);
    let status = broadcast.status().borrow().clone();
    assert_eq!(status.transport, Some(transport));
    assert!(status.sentence.contains("Your connection is slow: the picture is sent at 0."), "{status:?}");
    let lowest_kbit_s = status.picture_kbit_s;

    relay.speed.set_kbit_s(0);
    let is_higher = |status: &BroadcastStatus, media: &Media| {
        status.picture_kbit_s >= lowest_kbit_s * 5 / 4 && media.header.kind == MediaKind::Chunk
    };
    media.extend(read_to(&mut publisher, &broadcast, is_higher).await);
    assert_well_formed(&media, 1);
    // An encoder for half the frames may have another configuration.
    let folder = Folder::new(&format!("slow-{transport}"));
    let parts = media.chunk_by(|_, next| next.header.kind != MediaKind::Init);
    let decoded: usize = parts.map(|part| decoded_frames(&track_bytes(part, 1), &folder)).sum();
    assert_eq!(decoded, chunks(&media, 1).len());
}
