//! Peers that send too much, of whatever: it costs them their connection or their time, and nobody else notices.

use std::time::Duration;

use protocol::{ErrorCode, MediaKind, limits::MESSAGE_BYTES_MAX, ticket::Action};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    driver::{Got, PATIENCE, PICTURE, Peer, TestRelay, header, stream},
    malformed::Bystanders,
};

/// An empty text, binary or continuation frame that is not the last of its message (RFC 6455 5.4), masked.
const EMPTY_TEXT: &[u8] = b"\x01\x80\0\0\0\0";
const EMPTY_MEDIA: &[u8] = b"\x02\x80\0\0\0\0";
const EMPTY_MORE: &[u8] = b"\x00\x80\0\0\0\0";
/// A continuation of one byte.
const BYTE_MORE: &[u8] = b"\x00\x81\0\0\0\0x";
/// A ping of 125 bytes.
const PING: &[u8] = &{
    let mut ping = [0; 131];
    (ping[0], ping[1]) = (0x89, 0x80 | 125);
    ping
};

/// Writes `first` and then `more` until the relay has had enough.
async fn writes_until_closed(mut peer: Peer, first: &[u8], more: &[u8]) {
    let more = more.repeat(10_000);
    let socket = peer.socket.get_mut();
    let flood = async {
        let mut result = socket.write_all(first).await;
        while result.is_ok() {
            result = socket.write_all(&more).await;
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("the flood is taken for ever");
}

#[tokio::test]
async fn messages_without_an_end_cost_their_connection_only() {
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    for (what, first, more) in [
        ("empty fragments", EMPTY_TEXT, EMPTY_MORE),
        ("fragments of a byte", EMPTY_MEDIA, BYTE_MORE),
        ("fragments between pings", EMPTY_TEXT, &[BYTE_MORE, PING].concat()),
    ] {
        let begun = std::time::Instant::now();
        writes_until_closed(relay.connect().await, first, more).await;
        bystanders.are_unharmed().await;
        writes_until_closed(relay.viewer(stream(99)).await, first, more).await;
        bystanders.are_unharmed().await;
        let publisher = relay.publisher(stream(1), 1).await;
        writes_until_closed(publisher, first, more).await;
        bystanders.are_unharmed().await;
        relay.metrics_say("relay_publishers 1").await;
        println!("{what}: {:?}", begun.elapsed());
    }
    relay.metrics_say("relay_connections 2").await;
}

#[tokio::test]
async fn stranger_that_pings_instead_of_saying_who_it_is_is_sent_away() {
    let relay = TestRelay::start().await;
    let mut stranger = relay.connect().await;
    for _ in 0..200 {
        stranger.throw(Message::Ping("x".into())).await;
    }
    stranger.ends_with(ErrorCode::TooManyRequests).await;
}

#[tokio::test]
async fn viewer_that_talks_all_the_time_is_sent_away() {
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    for message in [Message::text(r#"{"type":"select_track","track":1}"#), Message::Ping("x".into())] {
        let mut viewer = relay.viewer(stream(99)).await;
        for _ in 0..200 {
            viewer.throw(message.clone()).await;
        }
        viewer.ends_with(ErrorCode::TooManyRequests).await;
        bystanders.are_unharmed().await;
    }
    relay.metrics_say("relay_viewers_dropped_total{reason=\"too_many_requests\"} 2").await;
}

#[tokio::test]
async fn broadcaster_that_talks_all_the_time_is_sent_away() {
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    let grant = relay.grant(Action::Publish, stream(1), 1);
    let renewal = json!({"type": "renew_ticket", "ticket": relay.sign(&grant)}).to_string();
    for message in [Message::text(renewal), Message::Pong("x".into())] {
        let mut broadcaster = relay.publisher(stream(1), 1).await;
        for _ in 0..200 {
            broadcaster.throw(message.clone()).await;
        }
        broadcaster.ends_with(ErrorCode::TooManyRequests).await;
        bystanders.are_unharmed().await;
    }
}

#[tokio::test]
async fn ticket_that_is_used_all_the_time_is_refused_for_a_while_and_others_are_not() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let grant = relay.grant(Action::Watch, stream(1), 1);
    let mut admitted = 0;
    loop {
        let mut viewer = relay.hello_with(&grant).await;
        match viewer.next().await {
            Got::Text(message) if message["type"] == "watching" => admitted += 1,
            Got::Text(message) if message["code"] == "too_many_requests" && admitted >= 20 => break,
            // The connection before is still being noticed as gone.
            Got::Text(message) if message["code"] == "too_many_requests" => {}
            got => panic!("{got:?}"),
        }
        assert!(admitted < 200);
    }
    relay.viewer(stream(1)).await;
}

#[tokio::test]
async fn broadcaster_that_sends_too_much_is_read_later_and_loses_nothing() {
    const MEGABYTE: u64 = 1_000_000;
    let relay = TestRelay::start_with(|config| {
        config.publisher_bytes_per_s_max = 8 * MEGABYTE;
        config.capacity.window_bytes = 3 * MESSAGE_BYTES_MAX;
    })
    .await;
    let mut bystanders = Bystanders::new(&relay).await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    broadcaster.init(PICTURE).await;
    let begun = std::time::Instant::now();
    for segment in 0..24 {
        broadcaster.media(header(MediaKind::Chunk, PICTURE, segment, 0, 0), &[0; 1_000_000]).await;
    }
    bystanders.are_unharmed().await;
    while broadcaster.text("received").await["chunks"] != 24 {}
    // 24 MB, of which some 8 come at once.
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    let metrics = relay.get(relay.internal, "/metrics").await.1;
    assert!(!metrics.contains("relay_publisher_pauses_total 0\n"), "{metrics}");
}
