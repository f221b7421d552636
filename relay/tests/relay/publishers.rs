//! What broadcasters live through.

use protocol::ErrorCode;
use serde_json::json;

use crate::driver::{Got, PICTURE, TestRelay, stream};

#[tokio::test]
async fn broadcaster_is_told_what_has_arrived() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    loop {
        let received = broadcaster.text("received").await;
        if received["chunks"] == 1 {
            assert_eq!(received["bytes"], 2 * 20 + "init of 1".len() + "1/0/0".len());
            return;
        }
    }
}

#[tokio::test]
async fn quiet_broadcaster_gets_a_sign_of_life() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    broadcaster.text("received").await;
    let begun = std::time::Instant::now();
    for _ in 0..8 {
        assert_eq!(broadcaster.text("received").await["chunks"], 0);
    }
    let expected = protocol::limits::KEEP_ALIVE_INTERVAL * 8;
    assert!((expected * 3 / 4..expected * 3 / 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn second_publisher_of_the_same_epoch_is_refused() {
    let relay = TestRelay::start().await;
    let mut first = relay.publisher(stream(1), 1).await;
    relay.hello_of_publisher(stream(1), 1).await.ends_with(ErrorCode::PublisherPresent).await;
    let mut viewer = relay.viewer(stream(1)).await;
    first.init(PICTURE).await;
    first.chunk(PICTURE, 0, 0).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
}

#[tokio::test]
async fn publisher_of_a_higher_epoch_takes_over_and_a_lower_one_is_refused() {
    let relay = TestRelay::start().await;
    let mut old = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    old.init(PICTURE).await;
    old.chunk(PICTURE, 5, 0).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/5/0"]);
    let mut new = relay.publisher(stream(1), 2).await;
    old.ends_with(ErrorCode::Superseded).await;
    relay.hello_of_publisher(stream(1), 1).await.ends_with(ErrorCode::StaleEpoch).await;
    new.init(PICTURE).await;
    new.chunk(PICTURE, 0, 0).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
}

#[tokio::test]
async fn viewers_stay_while_the_broadcaster_is_away_and_go_on_when_it_is_back() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    assert_eq!(viewer.payloads(2).await.len(), 2);
    drop(broadcaster);
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    assert_eq!(viewer.text("broadcaster").await["present"], true);
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
}

#[tokio::test]
async fn viewers_are_told_new_tracks_when_the_broadcaster_is_back_with_others() {
    let relay = TestRelay::start().await;
    let broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    drop(broadcaster);
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    let mut broadcaster = relay.connect().await;
    let ticket = relay.ticket(protocol::ticket::Action::Publish, stream(1), 2);
    let tracks = json!([{"track": 8, "kind": "video", "codec": "vp8"}]);
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks})).await;
    let watching = viewer.text("watching").await;
    assert_eq!((&watching["selected"], &watching["tracks"][0]["codec"]), (&json!([8]), &json!("vp8")));
}

#[tokio::test]
async fn ended_stream_is_over_at_once_and_its_ticket_brings_it_back_no_more() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    broadcaster.say(json!({"type": "end_stream"})).await;
    viewer.text("stream_ended").await;
    assert!(matches!(viewer.next().await, Got::Closed(Some(1000))));
    while !matches!(broadcaster.next().await, Got::Closed(Some(1000))) {}
    relay.hello_of_publisher(stream(1), 1).await.ends_with(ErrorCode::StreamNotFound).await;
    relay.hello_of_viewer(stream(1)).await.ends_with(ErrorCode::StreamNotFound).await;
    relay.publisher(stream(1), 2).await;
}

#[tokio::test]
async fn relay_full_of_streams_refuses_one_more() {
    let relay = TestRelay::start_with(|config| config.capacity.streams_max = 1).await;
    let _first = relay.publisher(stream(1), 1).await;
    relay.hello_of_publisher(stream(2), 1).await.ends_with(ErrorCode::TooManyStreams).await;
}

#[tokio::test]
async fn stop_tells_everybody_and_ends() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    let mut stranger = relay.connect().await;
    relay.stop();
    viewer.text("move").await;
    viewer.ends_with(ErrorCode::ShuttingDown).await;
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    stranger.ends_with(ErrorCode::ShuttingDown).await;
    drop((viewer, broadcaster, stranger));
    let address = relay.address;
    relay.stopped().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
