//! A relay that is to be empty, because its directory or its operator wants so.

use std::time::{Duration, Instant};

use protocol::{ErrorCode, ViewerId, ticket::Action};
use serde_json::json;

use crate::{
    driver::{PICTURE, TestRelay, stream},
    stub::{Directory, orders},
};

/// A directory and a relay that it wants empty, which has said so; `before` comes first.
async fn drained<T>(before: impl AsyncFnOnce(&TestRelay) -> T) -> (Directory, TestRelay, T) {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.heard().await;
    let here = before(&relay).await;
    directory.orders_from_now_on(orders(json!({"drain": true})));
    while directory.next("heartbeat").await.body["draining"] != true {}
    (directory, relay, here)
}

fn elsewhere() -> serde_json::Value {
    json!([{"name": "relay-2", "url": "ws://relay-2.example/ws"}])
}

#[tokio::test]
async fn draining_relay_takes_nobody_new_serves_those_who_are_here_and_ends_when_they_have_left() {
    let (mut directory, relay, (mut broadcaster, mut viewer)) = drained(async |relay| {
        let mut broadcaster = relay.publisher(stream(1), 1).await;
        broadcaster.init(PICTURE).await;
        broadcaster.chunk(PICTURE, 0, 0).await;
        let viewer = relay.viewer(stream(1)).await;
        (broadcaster, viewer)
    })
    .await;
    let (status, body) = relay.get(relay.internal, "/readyz").await;
    assert!(status == 503 && body.contains("draining: the directory wants this relay empty"), "{status} {body}");
    relay.hello_of_publisher(stream(2), 1).await.ends_with(ErrorCode::ShuttingDown).await;
    relay.hello_of_publisher(stream(1), 2).await.ends_with(ErrorCode::ShuttingDown).await;
    relay.hello_of_viewer(stream(2)).await.ends_with(ErrorCode::ShuttingDown).await;
    let late = relay.viewer(stream(1)).await;
    broadcaster.chunk(PICTURE, 0, 1).await;
    assert_eq!(viewer.payloads(3).await, ["init of 1", "1/0/0", "1/0/1"]);
    directory.heard().await;

    broadcaster.say(json!({"type": "moving", "relays": elsewhere()})).await;
    let told = viewer.text("move").await;
    assert_eq!(told["relays"], elsewhere());
    // Of the overlap's three seconds, those that were left when it was this viewer's turn.
    assert!((1..=3000).contains(&told["within_ms"].as_u64().unwrap()), "{told}");
    broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(viewer.payloads(1).await, ["1/1/0"], "it is served on");
    drop((broadcaster, late));
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    directory.heard().await;
    drop(viewer);
    let begun = Instant::now();
    relay.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn viewers_of_a_stream_that_moves_are_told_over_a_second_and_those_who_come_later_at_once() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let begun = Instant::now();
    let mut viewers = vec![];
    for number in [0, 400, 999] {
        let grant =
            protocol::ticket::Grant { viewer: Some(ViewerId(number)), ..relay.grant(Action::Watch, stream(1), 1) };
        viewers.push((number, relay.viewer_with(&grant).await));
    }
    let came = begun.elapsed();
    broadcaster.say(json!({"type": "moving", "relays": elsewhere()})).await;
    for (number, viewer) in &mut viewers {
        let within_ms = viewer.text("move").await["within_ms"].as_u64().unwrap();
        assert!(within_ms <= 3000 - *number, "{number}: {within_ms}");
    }
    assert!(begun.elapsed() >= came + Duration::from_millis(990));
    let begun = Instant::now();
    relay.viewer(stream(1)).await.text("move").await;
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    // Somebody who sends it here again does not send them away.
    drop(broadcaster);
    let mut broadcaster = relay.publisher(stream(1), 2).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    let mut viewer = relay.viewer(stream(1)).await;
    loop {
        match viewer.next().await {
            crate::driver::Got::Text(message) => assert_ne!(message["type"], "move"),
            crate::driver::Got::Media(..) => break,
            crate::driver::Got::Closed(code) => panic!("closed ({code:?})"),
        }
    }
}

#[tokio::test]
async fn move_to_what_is_no_relay_is_refused() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    broadcaster.say(json!({"type": "moving", "relays": [{"name": "relay-2", "url": "https://other.example/"}]})).await;
    broadcaster.ends_with(ErrorCode::InvalidRequest).await;
}

#[tokio::test]
async fn relay_whose_time_to_drain_is_over_sends_everybody_away() {
    let (mut directory, relay) =
        Directory::with_relay_and(|config| config.drain_time_max = Duration::from_secs(1)).await;
    directory.heard().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    directory.orders_from_now_on(orders(json!({"drain": true})));
    let told = viewer.text("move").await;
    assert_eq!((&told["relays"], &told["within_ms"]), (&json!([]), &json!(0)));
    viewer.ends_with(ErrorCode::ShuttingDown).await;
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    drop((viewer, broadcaster));
    relay.stopped().await;
}

#[tokio::test]
async fn relay_without_a_stream_ends_at_once() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.heard().await;
    let begun = Instant::now();
    directory.orders_from_now_on(orders(json!({"drain": true})));
    relay.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn order_that_is_taken_back_lets_the_relay_serve_again() {
    let (mut directory, relay, _broadcaster) = drained(async |relay| relay.publisher(stream(1), 1).await).await;
    directory.orders_from_now_on(orders(json!({"drain": false})));
    while directory.next("heartbeat").await.body["draining"] != false {}
    directory.heard().await;
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);
    relay.publisher(stream(2), 1).await;
}
