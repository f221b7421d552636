//! What an edge makes of a session with its upstream, whose words and segments come in whatever order.

use bytes::Bytes;
use protocol::{
    MediaHeader, MediaKind,
    webtransport::{STREAM_SKIPPED, STREAM_STALLED},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use webtransport::codes;

use crate::{
    driver::{PATIENCE, PICTURE, Peer, TestRelay, header},
    fleet::{Fleet, watch},
    upstream_player::{Pulling, UpstreamPlayer},
};

/// An edge with a viewer, and its upstream.
struct Scene {
    edge: TestRelay,
    viewer: Peer,
    player: UpstreamPlayer,
    pulling: Pulling,
}

impl Scene {
    async fn new() -> Self {
        let player = UpstreamPlayer::open();
        let edge = Fleet::new().relay("edge").await;
        let viewer = edge.hello_with(&watch(&edge, 1, &["edge"], std::slice::from_ref(&player.address))).await;
        let pulling = player.pulled().await;
        Self { edge, viewer, player, pulling }
    }
}

fn init(name: &str, captured_at_us: u64) -> Bytes {
    let header = header(MediaKind::Init, PICTURE, 0, 0, captured_at_us);
    header.message(name.as_bytes()).into()
}

fn chunk(segment: u32, chunk: u32) -> Bytes {
    header(MediaKind::Chunk, PICTURE, segment, chunk, 0).message(format!("1/{segment}/{chunk}").as_bytes()).into()
}

/// The next message that counts skipped chunks, and the media before it.
async fn skipped(viewer: &mut Peer) -> Value {
    viewer.text("skipped").await["chunks"].clone()
}

#[tokio::test]
async fn media_that_overtake_their_announcement_wait_for_it() {
    let mut scene = Scene::new().await;
    scene.pulling.whole_stream(&[init("init", 1), chunk(0, 0), chunk(0, 1)]).await;
    scene.pulling.announces("x").await;
    assert_eq!(scene.viewer.payloads(3).await, ["init", "1/0/0", "1/0/1"]);
}

#[tokio::test]
async fn init_segment_comes_to_viewers_as_its_broadcaster_made_it() {
    let mut scene = Scene::new().await;
    scene.pulling.announces("x").await;
    let sealed = MediaHeader { sealed: true, ..header(MediaKind::Init, PICTURE, 77, 5, u64::MAX) };
    let message = Bytes::from(sealed.message(b"sealed"));
    scene.pulling.whole_stream(&[message, chunk(3, 0)]).await;
    assert_eq!(scene.viewer.next_media().await, (sealed, "sealed".to_owned()));
    assert_eq!(scene.viewer.payloads(1).await, ["1/3/0"]);
}

#[tokio::test]
async fn other_tracks_that_overtake_their_announcement_are_seen_from_their_next_key_frame_on() {
    let mut scene = Scene::new().await;
    scene.pulling.announces("x").await;
    // What the first publisher has sent is still on its way when the second one has begun.
    let _rest = scene.pulling.stream(&[init("init of x", 1), chunk(7, 0)]).await;
    assert_eq!(scene.viewer.payloads(2).await, ["init of x", "1/7/0"]);
    let _overtakes = scene.pulling.stream(&[init("init of y", 2), chunk(0, 0)]).await;
    scene.pulling.announces("y").await;
    assert_eq!(scene.viewer.text("watching").await["tracks"][0]["codec"], "y");
    scene.pulling.whole_stream(&[init("init of y", 2), chunk(1, 0)]).await;
    let (header, first) = scene.viewer.next_media().await;
    assert_eq!((header.captured_at_us, first.as_str()), (2, "init of y"));
    while scene.viewer.next_media().await.1 != "1/1/0" {}
}

#[tokio::test]
async fn viewers_are_told_of_what_was_left_out_for_their_edge_and_go_on_at_a_key_frame() {
    let mut scene = Scene::new().await;
    scene.pulling.announces("x").await;
    let mut first = scene.pulling.stream(&[init("init", 1), chunk(0, 0), chunk(0, 1)]).await;
    assert_eq!(scene.viewer.payloads(3).await, ["init", "1/0/0", "1/0/1"]);
    first.reset(codes::to_http3(STREAM_SKIPPED)).unwrap();
    scene.pulling.say(json!({"type": "skipped", "track": 1, "chunks": 40})).await;
    // Said before the next segment is sent, as it is the newest that is known.
    scene.edge.metrics_say("relay_upstream_chunks_in_total 2").await;
    scene.pulling.whole_stream(&[init("init", 1), chunk(1, 0)]).await;
    scene.pulling.whole_stream(&[init("init", 1), chunk(2, 0)]).await;
    assert_eq!(skipped(&mut scene.viewer).await, 40);
    scene.edge.metrics_say("relay_chunks_skipped_total{reason=\"upstream\"} 40").await;
    assert!(scene.viewer.payloads(1).await[0].ends_with("/0"));
}

#[tokio::test]
async fn segment_that_stalls_is_given_up_for_the_next_one_and_counted() {
    let mut scene = Scene::new().await;
    scene.pulling.announces("x").await;
    let mut stalls = scene.pulling.stream(&[init("init", 1), chunk(0, 0)]).await;
    assert_eq!(scene.viewer.payloads(2).await, ["init", "1/0/0"]);
    let _next = scene.pulling.stream(&[init("init", 1), chunk(1, 0), chunk(1, 1)]).await;
    let stopped = timeout(PATIENCE, stalls.stopped()).await.unwrap().unwrap();
    assert_eq!(stopped.and_then(codes::from_http3), Some(STREAM_STALLED));
    assert_eq!(skipped(&mut scene.viewer).await, 1);
    assert_eq!(scene.viewer.payloads(2).await, ["1/1/0", "1/1/1"]);
    assert!(stalls.write_all(b"late").await.is_err());
}

#[tokio::test]
async fn end_of_a_stream_is_told_behind_its_last_chunk() {
    let mut scene = Scene::new().await;
    scene.pulling.announces("x").await;
    let chunks: Vec<_> = [init("init", 1)].into_iter().chain((0..200).map(|number| chunk(0, number))).collect();
    scene.pulling.whole_stream(&chunks).await;
    scene.pulling.say(json!({"type": "stream_ended"})).await;
    let got = scene.viewer.payloads(201).await;
    assert_eq!(got.last().unwrap(), "1/0/199");
    scene.viewer.text("stream_ended").await;
}

#[tokio::test]
async fn upstream_that_breaks_the_rules_is_left() {
    for messages in [
        vec![Bytes::from_static(b"nothing")],
        vec![chunk(0, 0)],
        vec![init("init", 1), chunk(0, 0), init("another", 2)],
    ] {
        let mut scene = Scene::new().await;
        scene.pulling.announces("x").await;
        let _stream = scene.pulling.stream(&messages).await;
        scene.edge.metrics_say("relay_upstream_failures_total{reason=\"useless\"} 1").await;
        // It is asked again, as there is nobody else.
        scene.pulling = scene.player.pulled().await;
        scene.pulling.announces("x").await;
        scene.pulling.whole_stream(&[init("init", 1), chunk(1, 0)]).await;
        while scene.viewer.next_media().await.1 != "1/1/0" {}
    }
}

#[tokio::test]
async fn track_that_is_never_announced_is_not_waited_for_long() {
    let mut scene = Scene::new().await;
    scene.pulling.announces("x").await;
    scene.pulling.whole_stream(&[init("init", 1), chunk(0, 0)]).await;
    assert_eq!(scene.viewer.payloads(2).await, ["init", "1/0/0"]);
    let track = protocol::TrackNumber(2);
    let foreign = [header(MediaKind::Init, track, 0, 0, 0), header(MediaKind::Chunk, track, 0, 0, 0)];
    let foreign = foreign.map(|header| Bytes::from(header.message(b"x")));
    let _stream = scene.pulling.stream(&foreign).await;
    // Whatever else is said meanwhile.
    let failed = async {
        loop {
            let alive = json!({"type": "viewers", "count": 1});
            if scene.pulling.try_say(alive).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, failed).await.unwrap();
    scene.edge.metrics_say("relay_upstream_failures_total{reason=\"useless\"} 1").await;
}
