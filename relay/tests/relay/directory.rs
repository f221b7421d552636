//! The link to the directory, which a stub plays.

use protocol::{ErrorCode, MediaKind};
use relay::data_dir::DataDir;
use serde_json::json;

use crate::{
    driver::{PICTURE, header, stream},
    stub::{Directory, MEMBERSHIP, orders},
};

#[tokio::test]
async fn relay_joins_reports_and_ends_what_it_is_told_to_end() {
    let (mut directory, relay) = Directory::with_relay().await;
    let joined = directory.next("register").await;
    assert_eq!(joined.bearer.as_deref(), Some("Bearer secret-of-tests"));
    assert_eq!(joined.body["url"], format!("ws://{}/ws", relay.address));
    assert_eq!((&joined.body["name"], &joined.body["protocol"]), (&json!("relay-1"), &json!(1)));
    assert_eq!(directory.next("heartbeat").await.bearer, None);
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);

    let mut broadcaster = relay.publisher(stream(1), 3).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    let id = stream(1).to_string();
    directory.reports(json!([{"stream": id, "epoch": 3, "live": true, "viewers": 0, "depth": 0}])).await;
    let mut viewer = relay.viewer(stream(1)).await;
    directory.reports(json!([{"stream": id, "epoch": 3, "live": true, "viewers": 1, "depth": 0}])).await;
    directory.answers_next(200, orders(json!({"end": [id]})));
    viewer.text("stream_ended").await;
    broadcaster.ends_with(ErrorCode::StreamNotFound).await;
    directory.reports(json!([])).await;
}

#[tokio::test]
async fn relay_joins_again_when_the_directory_does_not_know_it() {
    let (mut directory, _relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    directory.answers_next(404, json!({"code": "relay_unknown", "message": "who?"}));
    directory.next("register").await;
    directory.next("heartbeat").await;
    directory.answers_next(401, json!({"code": "unauthorized", "message": "no"}));
    directory.next("register").await;
}

#[tokio::test]
async fn relay_keeps_trying_while_its_name_is_taken_and_heartbeats_survive_a_broken_directory() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    // The last pushed is the first answered.
    for _ in 0..2 {
        directory.answers_next(409, json!({"code": "relay_name_taken", "message": "taken"}));
    }
    directory.answers_next(404, json!({"code": "relay_unknown", "message": "who?"}));
    directory.next("register").await;
    directory.next("register").await;
    let (status, body) = relay.get(relay.internal, "/readyz").await;
    assert!(status == 503 && body.contains("it does not let this relay join: taken"), "{status} {body}");
    directory.heard().await;
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);
    directory.answers_next(500, json!("not an error of ours"));
    directory.next("heartbeat").await;
    directory.next("heartbeat").await;
    directory.next("heartbeat").await;
    relay.metrics_say("relay_heartbeat_failures_total 4").await;
}

#[tokio::test]
async fn relay_joins_with_its_membership_once_it_has_one_and_with_the_secret_when_that_is_refused() {
    let (mut directory, relay) = Directory::with_relay().await;
    let joins_with = |bearer: &str| Some(format!("Bearer {bearer}"));
    assert_eq!(directory.next("register").await.bearer, joins_with("secret-of-tests"));
    directory.next("heartbeat").await;
    let data_dir = DataDir::open(relay.folder.path().into()).unwrap();
    assert_eq!(data_dir.membership(), Some(MEMBERSHIP.into()));
    // The last given is the first used.
    directory.answers_next(401, json!({"code": "unauthorized", "message": "what membership?"}));
    directory.answers_next(404, json!({"code": "relay_unknown", "message": "who?"}));
    assert_eq!(directory.next("register").await.bearer, joins_with(MEMBERSHIP));
    assert_eq!(directory.next("register").await.bearer, joins_with("secret-of-tests"));
    directory.next("heartbeat").await;
    directory.answers_next(404, json!({"code": "relay_unknown", "message": "who?"}));
    assert_eq!(directory.next("register").await.bearer, joins_with(MEMBERSHIP));
}

#[tokio::test]
async fn what_the_directory_finds_wrong_is_in_readyz() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.heard().await;
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);
    let problem = orders(json!({"problem": "ws://relay.example/ws was not reached"}));
    // For longer than the test looks at it.
    for _ in 0..100 {
        directory.answers_next(200, problem.clone());
    }
    directory.heard().await;
    let (status, body) = relay.get(relay.internal, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("ws://relay.example/ws was not reached"), "{body}");
    // It serves those who come nevertheless: the directory may be mistaken.
    relay.publisher(stream(1), 1).await;
    directory.forget_answers();
    directory.heard().await;
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);
}

#[tokio::test]
async fn revoked_relay_sends_everybody_away_and_keeps_asking() {
    let (mut directory, relay) =
        Directory::with_relay_and(|config| config.revoked_pause = std::time::Duration::from_millis(300)).await;
    directory.next("heartbeat").await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    let revoked = json!({"code": "relay_revoked", "message": "an operator has revoked this relay"});
    // The heartbeat, and two attempts to join.
    for _ in 0..3 {
        directory.answers_next(403, revoked.clone());
    }
    viewer.text("move").await;
    viewer.ends_with(ErrorCode::ShuttingDown).await;
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    let (status, body) = relay.get(relay.internal, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("revoked this relay"), "{body}");
    relay.hello_of_publisher(stream(1), 2).await.ends_with(ErrorCode::RelayRevoked).await;
    relay.hello_of_viewer(stream(1)).await.ends_with(ErrorCode::RelayRevoked).await;
    for _ in 0..3 {
        directory.next("register").await;
    }
    // It is let in again, and serves again.
    directory.heard().await;
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);
    relay.publisher(stream(1), 2).await;
}

#[tokio::test]
async fn relay_says_what_it_can_send_where_it_stands_and_how_busy_it_is() {
    let (mut directory, relay) = Directory::with_relay_and(|config| {
        config.egress_bytes_per_s_max = Some(10_000_000);
        config.region = Some("eu-west".to_owned());
    })
    .await;
    let joined = directory.next("register").await.body;
    assert_eq!((&joined["egress_bytes_per_s_max"], &joined["region"]), (&json!(10_000_000), &json!("eu-west")));
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = relay.viewer(stream(1)).await;
    broadcaster.init(PICTURE).await;
    broadcaster.media(header(MediaKind::Chunk, PICTURE, 0, 0, 0), &vec![0; 1_000_000]).await;
    viewer.payloads(2).await;
    loop {
        let load = &directory.next("heartbeat").await.body["load"];
        if load["egress_bytes_per_s"].as_u64().unwrap() > 100_000 {
            assert_eq!(load["accept_failures"], 0);
            assert!(load["send_lag_ms"].as_u64().unwrap() < 5000, "{load}");
            #[cfg(target_os = "linux")]
            assert!(load["memory_bytes"].as_u64().unwrap() > 1_000_000 && load["files_open"] != 0, "{load}");
            break;
        }
    }
    // And it is over again.
    while directory.next("heartbeat").await.body["load"]["egress_bytes_per_s"] != 0 {}
}
