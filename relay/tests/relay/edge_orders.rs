//! An edge and its directory.

use protocol::ticket::Grant;
use serde_json::json;
use webtransport::Transport;

use crate::{
    driver::{PICTURE, Peer, TestRelay, stream},
    fleet::{Fleet, address_by, broadcaster, by_both, watch},
    stub::{Directory, orders},
};

by_both!(
    edge_reports_what_it_pulls_and_follows_no_order_to_end_it,
    edge_that_is_to_be_empty_sends_its_viewers_to_the_directory_and_ends,
    edge_that_has_lost_its_upstream_asks_the_directory_for_others,
    edge_asks_where_a_stream_has_moved_to_and_follows_it_without_a_gap,
    viewers_are_sent_after_a_stream_that_their_edge_can_not_follow,
);

/// The edge `relay-1`, a viewer of it, and an origin with a broadcaster.
struct Scene {
    fleet: Fleet,
    directory: Directory,
    origin: TestRelay,
    edge: TestRelay,
    broadcaster: Peer,
    grant: Grant,
    viewer: Peer,
}

impl Scene {
    async fn new(by: Transport) -> Self {
        let fleet = Fleet::new();
        let origin = fleet.relay("origin").await;
        let (mut directory, edge) = Directory::with_relay_of(&fleet).await;
        directory.heard().await;
        let mut broadcaster = broadcaster(&origin, "origin", 1).await;
        broadcaster.init(PICTURE).await;
        broadcaster.chunk(PICTURE, 0, 0).await;
        let grant = watch(&edge, 1, &["relay-1"], &[address_by(by, "origin", &origin)]);
        let mut viewer = edge.viewer_with(&grant).await;
        assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
        Self { fleet, directory, origin, edge, broadcaster, grant, viewer }
    }

    fn reported(&self, epoch: u32) -> serde_json::Value {
        json!([{"stream": stream(1), "epoch": epoch, "live": true, "viewers": 1, "depth": 1}])
    }
}

async fn edge_reports_what_it_pulls_and_follows_no_order_to_end_it(by: Transport) {
    let mut scene = Scene::new(by).await;
    let reported = scene.reported(1);
    scene.directory.reports(reported).await;
    scene.directory.orders_from_now_on(orders(json!({"end": [stream(1)]})));
    scene.directory.heard().await;
    scene.broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(scene.viewer.payloads(1).await, ["1/1/0"]);
}

async fn edge_that_is_to_be_empty_sends_its_viewers_to_the_directory_and_ends(by: Transport) {
    let Scene { directory, origin, edge, mut viewer, broadcaster: _broadcaster, grant, .. } = Scene::new(by).await;
    directory.orders_from_now_on(orders(json!({"drain": true})));
    let told = viewer.text("move").await;
    assert_eq!(told["relays"], json!([]));
    // Of the overlap's three seconds, those that were left when it was this viewer's turn.
    assert!((1..=3000).contains(&told["within_ms"].as_u64().unwrap()), "{told}");
    // It serves on until they have left.
    let elsewhere = Grant { relays: vec![crate::driver::relay_name("origin")], ..grant };
    origin.viewer_with(&elsewhere).await;
    drop(viewer);
    edge.stopped().await;
    origin.metrics_say("relay_edges 0").await;
}

async fn edge_that_has_lost_its_upstream_asks_the_directory_for_others(by: Transport) {
    let mut scene = Scene::new(by).await;
    let other = scene.fleet.relay("other").await;
    let mut sender = broadcaster(&other, "other", 2).await;
    sender.init(PICTURE).await;
    sender.chunk(PICTURE, 1, 0).await;
    let renewed = Grant { epoch: 2, upstream: vec![address_by(by, "other", &other)], ..scene.grant.clone() };
    scene.directory.renews_with(scene.fleet.key().sign(&renewed).unwrap());
    scene.origin.stop();
    drop(scene.broadcaster);
    scene.origin.stopped().await;
    let asked = scene.directory.next("watch").await;
    let ticket = scene.fleet.key().sign(&scene.grant).unwrap();
    assert_eq!(asked.bearer.unwrap(), format!("Bearer {}", ticket.expose()));
    assert_eq!(scene.viewer.payloads(1).await, ["1/1/0"]);
    let reported = json!([{"stream": stream(1), "epoch": 2, "live": true, "viewers": 1, "depth": 1}]);
    scene.directory.reports(reported).await;
}

async fn edge_asks_where_a_stream_has_moved_to_and_follows_it_without_a_gap(by: Transport) {
    let mut scene = Scene::new(by).await;
    let other = scene.fleet.relay("other").await;
    let mut sender = broadcaster(&other, "other", 2).await;
    sender.init(PICTURE).await;
    for sender in [&mut sender, &mut scene.broadcaster] {
        sender.chunk(PICTURE, 1, 0).await;
    }
    let renewed = Grant { epoch: 2, upstream: vec![address_by(by, "other", &other)], ..scene.grant.clone() };
    scene.directory.renews_with(scene.fleet.key().sign(&renewed).unwrap());
    scene.broadcaster.say(json!({"type": "moving", "relays": [address_by(by, "other", &other)]})).await;
    other.metrics_say("relay_edges 1").await;
    scene.origin.metrics_say("relay_edges 0").await;
    sender.chunk(PICTURE, 1, 1).await;
    assert_eq!(scene.viewer.payloads(2).await, ["1/1/0", "1/1/1"]);
}

async fn viewers_are_sent_after_a_stream_that_their_edge_can_not_follow(by: Transport) {
    let mut scene = Scene::new(by).await;
    let elsewhere = json!([{"name": "other", "url": "ws://other.example/ws"}]);
    scene.broadcaster.say(json!({"type": "moving", "relays": elsewhere})).await;
    let told = scene.viewer.text("move").await;
    assert_eq!(told["relays"], elsewhere);
    drop(scene.broadcaster);
    assert_eq!(scene.viewer.text("broadcaster").await["present"], false);
}
