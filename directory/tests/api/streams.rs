//! A stream from its making to its end.

use protocol::{
    http::{Assignment, StreamState, WatchAnswer},
    limits::STREAM_START_TIME_MAX,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::driver::{Server, refused};

#[tokio::test]
async fn stream_is_made_goes_live_and_ends() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("  Sunday demo ", "public").await;
    assert_eq!(made.title.as_str(), "Sunday demo");
    assert_eq!(made.assignment.relays[0].url.as_str(), relay.answerer.url);
    server.list_has(0).await;

    relay.report(made.id, 1, true, 2).await;
    let list = server.get_json("/api/streams").await;
    let created_at_ms = crate::driver::START_US / 1000;
    let expected = json!({
        "id": made.id, "title": "Sunday demo", "created_at_ms": created_at_ms, "state": "live", "viewers": 2,
        "sealed": false
    });
    assert_eq!(list, json!({ "streams": [expected] }));

    let path = format!("/api/streams/{}", made.id);
    let end = || server.request(Method::DELETE, &path);
    assert_eq!(refused(end().send().await.unwrap()).await, (401, "unauthorized".to_owned()));
    assert_eq!(refused(end().bearer_auth("x").send().await.unwrap()).await, (401, "unauthorized".to_owned()));
    let ended = end().bearer_auth(made.broadcast_key.expose()).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let again = end().bearer_auth(made.broadcast_key.expose()).send().await.unwrap();
    assert_eq!(refused(again).await, (404, "stream_not_found".to_owned()));
    server.list_has(0).await;
    assert_eq!(relay.report(made.id, 1, true, 2).await, [made.id], "its relay is told to end it");
}

#[tokio::test]
async fn stream_whose_broadcaster_is_gone_leaves_the_list_by_itself() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 0).await;
    relay.report(made.id, 1, false, 0).await;
    assert_eq!(server.get_json("/api/streams").await["streams"][0]["state"], "interrupted");
    for _ in 0..12 {
        server.clock.advance(std::time::Duration::from_secs(1));
        relay.report(made.id, 1, false, 0).await;
    }
    server.list_has(0).await;
}

#[tokio::test]
async fn broadcaster_whose_relay_failed_gets_another() {
    let server = Server::start().await;
    let (one, two) = (server.relay("relay-1").await, server.relay("relay-2").await);
    let made = server.create("demo", "unlisted").await;
    one.report(made.id, 1, true, 0).await;
    let path = format!("/api/streams/{}/assignment", made.id);
    let ask = || server.request(Method::POST, &path).bearer_auth(made.broadcast_key.expose());
    let moved: Assignment = ask().json(&json!({ "failed": "relay-1" })).send().await.unwrap().json().await.unwrap();
    let names: Vec<_> = moved.relays.iter().map(|relay| relay.name.as_str()).collect();
    assert_eq!((names, moved.epoch), (vec!["relay-2", "relay-1"], 2));
    two.report(made.id, 2, true, 0).await;
    assert!(one.report(made.id, 1, true, 0).await.is_empty(), "its viewers follow");
    for _ in 0..5 {
        server.clock.advance(std::time::Duration::from_secs(1));
        two.report(made.id, 2, true, 0).await;
    }
    let late = one.register().await.status();
    assert_eq!((late, one.report(made.id, 1, true, 0).await), (StatusCode::OK, vec![made.id]));
    let watch = server.post(&format!("/api/streams/{}/watch", made.id), &json!({})).send().await.unwrap();
    let watch: WatchAnswer = watch.json().await.unwrap();
    assert_eq!(watch.stream.state, StreamState::Live);
    assert_eq!(watch.assignment.relays[0].name.as_str(), "relay-2");
    server.list_has(0).await;

    let without_body: Assignment = ask().send().await.unwrap().json().await.unwrap();
    assert_eq!(without_body.epoch, 3);
    let stranger = server.request(Method::POST, &path).bearer_auth(protocol::BroadcastKey::new([0; 32]).expose());
    assert_eq!(refused(stranger.json(&json!({})).send().await.unwrap()).await, (401, "unauthorized".to_owned()));
    assert_eq!(refused(ask().json(&json!({ "failed": "No Name" })).send().await.unwrap()).await.0, 400);
}

#[tokio::test]
async fn broadcaster_is_told_when_there_is_no_relay() {
    let server = Server::start().await;
    let answer = server.post("/api/streams", &json!({ "title": "demo" })).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(refused(answer).await, (503, "no_relay".to_owned()));
}

#[tokio::test]
async fn full_directory_says_so_until_streams_expire() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--streams-max", "1", "--creates-per-minute", "1000000"]).await;
    let relay = server.relay("relay-1").await;
    server.create("demo", "public").await;
    let second = server.post("/api/streams", &json!({ "title": "demo" }));
    assert_eq!(refused(second.send().await.unwrap()).await, (503, "too_many_streams".to_owned()));
    server.clock.advance(STREAM_START_TIME_MAX);
    let gone = async {
        loop {
            relay.register().await;
            let answer = server.post("/api/streams", &json!({ "title": "demo" })).send().await.unwrap();
            if answer.status() == StatusCode::CREATED {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("the first stream never expired");
}

#[tokio::test]
async fn clock_is_told_and_never_cached() {
    let server = Server::start().await;
    let answer = server.get("/api/time").await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap(), json!({ "now_us": crate::driver::START_US }));
}

#[tokio::test]
async fn ticket_key_outlives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let before = server.relay("relay-1").await.registered.ticket_key;
    server.stop().await;
    let server = Server::start_in(data.path(), &[]).await;
    assert_eq!(server.relay("relay-2").await.registered.ticket_key, before);
}
