//! What viewers live through.

use protocol::{ErrorCode, MediaKind};
use serde_json::json;

use crate::driver::{FRAME_US, Got, PICTURE, Peer, SOUND, TestRelay, header, stream};

#[tokio::test]
async fn late_joiner_gets_init_segments_and_the_newest_segment() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    for track in [PICTURE, SOUND] {
        broadcaster.init(track).await;
    }
    let mut early = relay.viewer(stream(1)).await;
    for segment in 0..3 {
        for chunk in 0..2 {
            broadcaster.chunk(PICTURE, segment, chunk).await;
            broadcaster.chunk(SOUND, segment, chunk).await;
        }
    }
    assert_eq!(early.payloads(14).await[..4], ["init of 1", "1/0/0", "init of 2", "2/0/0"]);
    let mut late = relay.viewer(stream(1)).await;
    let newest = ["init of 1", "1/2/0", "init of 2", "2/2/0", "1/2/1", "2/2/1"];
    assert_eq!(late.payloads(6).await, newest);
    broadcaster.chunk(PICTURE, 2, 2).await;
    assert_eq!(late.payloads(1).await, ["1/2/2"]);
    assert_eq!(early.payloads(1).await, ["1/2/2"]);
}

#[tokio::test]
async fn media_comes_byte_for_byte() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    broadcaster.init(PICTURE).await;
    let mut message = header(MediaKind::Chunk, PICTURE, 7, 0, u64::MAX).message(&[0xab; 2_000_000]);
    message[1] |= 0xfe; // flag bits without a meaning yet, and sealed
    broadcaster.throw(tokio_tungstenite::tungstenite::Message::binary(message.clone())).await;
    viewer.payloads(1).await;
    loop {
        use futures_util::StreamExt as _;
        if let tokio_tungstenite::tungstenite::Message::Binary(bytes) = viewer.socket.next().await.unwrap().unwrap() {
            assert!(bytes == message);
            return;
        }
    }
}

#[tokio::test]
async fn slow_viewer_skips_to_newest_key_frame_and_others_are_unharmed() {
    const FRAMES: u32 = 600;
    const FRAMES_OF_SEGMENT: u32 = 60;
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut quick = relay.viewer(stream(1)).await;
    let mut slow = relay.say_watch(Peer::connect(relay.address, Some(4096)).await, stream(1)).await;
    slow.text("watching").await;
    broadcaster.init(PICTURE).await;
    quick.payloads(0).await;
    for frame in 0..FRAMES {
        let (segment, chunk) = (frame / FRAMES_OF_SEGMENT, frame % FRAMES_OF_SEGMENT);
        let header = header(MediaKind::Chunk, PICTURE, segment, chunk, u64::from(frame) * FRAME_US);
        broadcaster.media(header, &[7; 10_000]).await;
        if frame == 0 {
            assert_eq!(quick.next_media().await.1, "init of 1");
        }
        // In step: the quick one is never behind, whatever else this machine does.
        assert_eq!(quick.next_media().await.0, header);
    }
    let (mut got, mut skipped, mut last) = (0, 0, None);
    while last != Some((9, 59)) {
        match slow.next().await {
            Got::Media(header, _) if header.kind == MediaKind::Chunk => {
                let follows =
                    last.is_none_or(|(segment, chunk)| (segment, chunk + 1) == (header.segment, header.chunk));
                assert!(follows || (header.key && skipped > 0), "{last:?} then {header:?}");
                last = Some((header.segment, header.chunk));
                got += 1;
            }
            Got::Text(message) if message["type"] == "skipped" => {
                assert_eq!(message["track"], 1);
                skipped += message["chunks"].as_u64().unwrap();
            }
            Got::Closed(code) => panic!("closed ({code:?})"),
            _ => {}
        }
    }
    assert_eq!(got + skipped, u64::from(FRAMES));
    assert!(skipped > u64::from(FRAMES) / 2, "{skipped}");
    relay.metrics_say(&format!("relay_chunks_skipped_total{{reason=\"behind\"}} {skipped}")).await;
}

#[tokio::test]
async fn viewer_of_a_stream_that_has_not_arrived_waits_for_it() {
    let relay = TestRelay::start().await;
    let mut viewer = relay.hello_of_viewer(stream(1)).await;
    let Got::Text(first) = viewer.next().await else { panic!("no text") };
    assert_eq!(first, json!({"type": "broadcaster", "present": false}));
    let mut broadcaster = relay.publisher(stream(1), 7).await;
    let watching = viewer.text("watching").await;
    assert_eq!((&watching["epoch"], &watching["path"]), (&json!(7), &json!(["relay-1"])));
    assert_eq!(watching["selected"], json!([1, 2]));
    assert_eq!(viewer.text("broadcaster").await["present"], true);
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
}

#[tokio::test]
async fn viewer_of_a_stream_that_does_not_arrive_is_told() {
    let relay = TestRelay::start().await;
    relay.hello_of_viewer(stream(1)).await.ends_with(ErrorCode::StreamNotLive).await;
    relay.metrics_say("relay_viewers_dropped_total{reason=\"stream_not_live\"} 1").await;
}

#[tokio::test]
async fn everybody_is_told_how_many_watch() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    assert_eq!(broadcaster.text("viewers").await["count"], 0);
    let mut first = relay.viewer(stream(1)).await;
    assert_eq!(first.text("viewers").await["count"], 1);
    let mut second = relay.viewer(stream(1)).await;
    assert_eq!(second.text("viewers").await["count"], 2);
    while broadcaster.text("viewers").await["count"] != 2 {}
    while first.text("viewers").await["count"] != 2 {}
    drop(second);
    while broadcaster.text("viewers").await["count"] != 1 {}
    while first.text("viewers").await["count"] != 1 {}
}

#[tokio::test]
async fn quiet_viewer_gets_a_sign_of_life() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    viewer.text("viewers").await;
    let begun = std::time::Instant::now();
    for _ in 0..8 {
        viewer.text("viewers").await;
    }
    // One may come for a change; the rest show life, and the machine may be busy.
    let expected = protocol::limits::KEEP_ALIVE_INTERVAL * 8;
    assert!((expected * 3 / 4..expected * 4).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn viewer_whom_media_reach_gets_no_other_signs_of_life() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    broadcaster.init(PICTURE).await;
    let mut frames = tokio::time::interval(protocol::limits::KEEP_ALIVE_INTERVAL / 5);
    let (mut chunks, mut texts) = (0, 0);
    for chunk in 0..60 {
        frames.tick().await;
        broadcaster.chunk(PICTURE, 0, chunk).await;
    }
    while chunks < 60 {
        match viewer.next().await {
            Got::Media(header, _) => chunks += u32::from(header.kind == MediaKind::Chunk),
            Got::Text(_) => texts += 1,
            Got::Closed(code) => panic!("closed ({code:?})"),
        }
    }
    // The number of viewers at the beginning and when it has changed; 12 would show life in this time.
    assert!(texts <= 4, "{texts}");
}

#[tokio::test]
async fn viewer_chooses_among_renditions() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.connect().await;
    let ticket = relay.ticket(protocol::ticket::Action::Publish, stream(1), 1);
    let tracks = json!([{"track": 1, "kind": "video", "codec": "a"}, {"track": 3, "kind": "video", "codec": "b"}]);
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks})).await;
    broadcaster.text("stream_registered").await;
    let small = protocol::TrackNumber(3);
    for track in [PICTURE, small] {
        broadcaster.init(track).await;
        broadcaster.chunk(track, 0, 0).await;
    }
    let mut viewer = relay.hello_of_viewer(stream(1)).await;
    assert_eq!(viewer.text("watching").await["selected"], json!([1]));
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    viewer.say(json!({"type": "select_track", "track": 3})).await;
    // One that the stream does not have changes nothing.
    viewer.say(json!({"type": "select_track", "track": 4})).await;
    viewer.text("viewers").await;
    broadcaster.chunk(PICTURE, 0, 1).await;
    assert_eq!(viewer.payloads(1).await, ["1/0/1"], "the segment goes on");
    broadcaster.chunk(PICTURE, 1, 0).await;
    broadcaster.chunk(small, 1, 0).await;
    broadcaster.chunk(PICTURE, 1, 1).await;
    assert_eq!(viewer.text("watching").await["selected"], json!([3]));
    assert_eq!(viewer.payloads(2).await, ["init of 3", "3/1/0"]);
    broadcaster.chunk(small, 1, 1).await;
    assert_eq!(viewer.payloads(1).await, ["3/1/1"]);
}

#[tokio::test]
async fn viewer_that_knows_the_stream_gets_its_picture_from_the_first_frame_on() {
    let relay = TestRelay::start().await;
    let mut viewer = relay.hello_of_viewer(stream(1)).await;
    assert_eq!(viewer.text("broadcaster").await["present"], json!(false));
    viewer.say(json!({"type": "select_track", "track": 3})).await;
    viewer.text("viewers").await;
    let mut broadcaster = relay.connect().await;
    let ticket = relay.ticket(protocol::ticket::Action::Publish, stream(1), 1);
    let tracks = json!([{"track": 1, "kind": "video", "codec": "a"}, {"track": 3, "kind": "video", "codec": "b"}]);
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks})).await;
    broadcaster.text("stream_registered").await;
    assert_eq!(viewer.text("watching").await["selected"], json!([3]));
    for track in [PICTURE, protocol::TrackNumber(3)] {
        broadcaster.init(track).await;
        broadcaster.chunk(track, 0, 0).await;
    }
    assert_eq!(viewer.payloads(2).await, ["init of 3", "3/0/0"]);
}

#[tokio::test]
async fn relay_full_of_viewers_refuses_one_more() {
    let relay = TestRelay::start_with(|config| config.capacity.viewers_max = 1).await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let first = relay.viewer(stream(1)).await;
    relay.hello_of_viewer(stream(1)).await.ends_with(ErrorCode::TooManyViewers).await;
    drop(first);
    relay.metrics_say("relay_viewers 0").await;
    relay.viewer(stream(1)).await;
}

#[tokio::test]
async fn broadcaster_is_asked_for_a_key_frame_when_somebody_needs_one() {
    let relay = TestRelay::start_with(|config| config.capacity.window_bytes = 50_000).await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    broadcaster.init(PICTURE).await;
    for chunk in 0..20 {
        broadcaster.media(header(MediaKind::Chunk, PICTURE, 0, chunk, 0), &[0; 10_000]).await;
    }
    while broadcaster.text("received").await["chunks"] != 20 {}
    let mut viewer = relay.viewer(stream(1)).await;
    assert_eq!(broadcaster.text("key_frame_wanted").await["track"], 1);
    broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/1/0"]);
}

#[tokio::test]
async fn peers_that_are_silent_are_given_up() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    // Whoever is not polled answers no ping.
    let mut viewer = relay.viewer(stream(1)).await;
    relay.metrics_say("relay_viewers_dropped_total{reason=\"silent\"} 1").await;
    relay.metrics_say("relay_publishers_dropped_total{reason=\"silent\"} 1").await;
    viewer.ends_with(ErrorCode::Silent).await;
    broadcaster.ends_with(ErrorCode::Silent).await;
}

#[tokio::test]
async fn viewer_that_takes_nothing_is_given_up() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.say_watch(Peer::connect(relay.address, Some(4096)).await, stream(1)).await;
    viewer.text("watching").await;
    broadcaster.init(PICTURE).await;
    broadcaster.media(header(MediaKind::Chunk, PICTURE, 0, 0, 0), &vec![0; 2_000_000]).await;
    // The broadcaster shows that it lives, and the viewer does nothing.
    let lives = async { while !matches!(broadcaster.next().await, Got::Closed(_)) {} };
    tokio::select! {
        () = lives => panic!("the broadcaster was sent away"),
        () = relay.metrics_say("relay_viewers_dropped_total{reason=\"too_slow\"} 1") => {}
    }
    relay.metrics_say("relay_viewers 0").await;
}

#[tokio::test]
async fn stop_does_not_wait_for_a_viewer_that_takes_nothing() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.say_watch(Peer::connect(relay.address, Some(4096)).await, stream(1)).await;
    viewer.text("watching").await;
    broadcaster.init(PICTURE).await;
    broadcaster.media(header(MediaKind::Chunk, PICTURE, 0, 0, 0), &vec![0; 2_000_000]).await;
    relay.metrics_say("relay_chunks_in_total 1").await;
    let begun = std::time::Instant::now();
    relay.stop();
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    drop(broadcaster);
    relay.stopped().await;
    assert!(begun.elapsed() < service::lifecycle::GRACE_DEFAULT / 2, "{:?}", begun.elapsed());
}
