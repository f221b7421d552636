//! A directory dials the relay's address and asks who answers.

use protocol::{ErrorCode, limits::CHALLENGE_BYTES_MAX, relay_proof::Identity};
use relay::data_dir::DataDir;
use serde_json::json;

use crate::driver::{Got, Peer, TestRelay, relay_name, stream};

async fn ask(relay: &TestRelay, challenge: &str) -> Peer {
    let mut peer = relay.connect().await;
    peer.say(json!({"type": "identify", "protocol": 1, "challenge": challenge})).await;
    peer
}

#[tokio::test]
async fn relay_proves_who_it_is_and_closes() {
    let relay = TestRelay::start_with(|config| {
        config.public_url = Some("wss://relay.example/ws".parse().unwrap());
    })
    .await;
    let key = DataDir::open(relay.folder.path().into()).unwrap().key().unwrap().public_key();
    let challenge = "c".repeat(CHALLENGE_BYTES_MAX);
    let mut peer = ask(&relay, &challenge).await;
    let answer = peer.text("identity").await;
    let identity: Identity = key.verify(answer["identity"].as_str().unwrap()).unwrap();
    let url = "wss://relay.example/ws".parse().unwrap();
    assert_eq!(identity, Identity { relay: relay_name("relay-1"), url, challenge });
    assert!(matches!(peer.next().await, Got::Closed(Some(1000))));
    relay.metrics_say("relay_identified_total 1").await;
}

#[tokio::test]
async fn challenge_that_is_none_is_refused() {
    let relay = TestRelay::start().await;
    for challenge in [String::new(), "c".repeat(CHALLENGE_BYTES_MAX + 1)] {
        ask(&relay, &challenge).await.ends_with(ErrorCode::InvalidRequest).await;
    }
    let mut peer = relay.connect().await;
    peer.say(json!({"type": "identify", "protocol": 2, "challenge": "c"})).await;
    peer.ends_with(ErrorCode::UnsupportedProtocol).await;
}

#[tokio::test]
async fn whoever_asks_too_often_is_refused_and_streams_go_on() {
    let relay = TestRelay::start().await;
    let mut refused = 0;
    for _ in 0..60 {
        let mut peer = ask(&relay, "challenge").await;
        match peer.next().await {
            Got::Text(message) if message["type"] == "error" => {
                assert_eq!(message["code"], "too_many_requests");
                refused += 1;
            }
            _ => {}
        }
    }
    assert!(refused > 0);
    relay.publisher(stream(1), 1).await;
}
