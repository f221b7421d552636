//! Relays that an operator has shut out, at the others.

use protocol::{signing::PublicKey, ticket::Grant};
use serde_json::{Value, json};
use webtransport::Transport;

use crate::{
    driver::{PICTURE, new_key, now_s, stream},
    edge_proofs::Puller,
    fleet::{Fleet, address_by, broadcaster, by_both, watch},
    stub::{Directory, orders},
};

by_both!(
    edge_leaves_an_upstream_that_was_revoked_and_its_viewers_go_on_elsewhere,
    relay_that_holds_the_name_of_a_revoked_one_is_pulled_from,
);

fn revoked(relay: &str, key: PublicKey, at_s: u64) -> Value {
    orders(json!({"revoked": [{"relay": relay, "public_key": key, "at_s": at_s}]}))
}

#[tokio::test]
async fn relay_that_was_revoked_loses_what_it_pulls_and_others_do_not() {
    let fleet = Fleet::new();
    let (mut directory, origin) = Directory::with_relay_of(&fleet).await;
    directory.heard().await;
    let mut broadcaster = broadcaster(&origin, "relay-1", 1).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    let mut viewer = origin.viewer_with(&watch(&origin, 1, &["relay-1"], &[])).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    // Two relays of the same name: the second has another key.
    let mut out = Puller::new(fleet, "relay-1", &origin);
    let mut pulling = out.hello(&origin).await;
    assert_eq!(pulling.payloads(2).await, ["init of 1", "1/0/0"]);
    let key = out.key.public_key();
    directory.orders_from_now_on(revoked("puller", key, now_s()));
    assert_eq!(pulling.text("error").await["code"], "relay_revoked");
    origin.metrics_say("relay_edges_dropped_total{reason=\"relay_revoked\"} 1").await;
    assert_eq!(out.hello(&origin).await.text("error").await["code"], "relay_revoked");
    origin.metrics_say("relay_edges 0").await;

    out.change_key();
    let mut pulling = out.hello(&origin).await;
    assert_eq!(pulling.payloads(2).await, ["init of 1", "1/0/0"]);
    directory.heard().await;
    broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(pulling.payloads(1).await, ["1/1/0"]);
    assert_eq!(viewer.payloads(1).await, ["1/1/0"]);
}

async fn edge_leaves_an_upstream_that_was_revoked_and_its_viewers_go_on_elsewhere(by: Transport) {
    let fleet = Fleet::new();
    let (origin, other) = (fleet.relay("origin").await, fleet.relay("other").await);
    let (mut directory, edge) = Directory::with_relay_of(&fleet).await;
    directory.heard().await;
    let (mut sender, mut next) = (broadcaster(&origin, "origin", 1).await, broadcaster(&other, "other", 2).await);
    for sender in [&mut sender, &mut next] {
        sender.init(PICTURE).await;
        sender.chunk(PICTURE, 0, 0).await;
    }
    let grant = watch(&edge, 1, &["relay-1"], &[address_by(by, "origin", &origin)]);
    let mut viewer = edge.viewer_with(&grant).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    let renewed = Grant { epoch: 2, upstream: vec![address_by(by, "other", &other)], ..grant.clone() };
    directory.renews_with(fleet.key().sign(&renewed).unwrap());
    directory.orders_from_now_on(revoked("origin", new_key().public_key(), grant.issued_at_s));
    origin.metrics_say("relay_edges 0").await;
    edge.metrics_say("relay_upstream_failures_total{reason=\"relay_revoked\"} 1").await;
    directory.next("watch").await;
    next.chunk(PICTURE, 1, 0).await;
    assert_eq!(viewer.payloads(1).await, ["1/1/0"]);
    // The broadcaster is still there, and viewers come with tickets from before: they find the stream where it is now.
    sender.chunk(PICTURE, 1, 0).await;
    let mut late = edge.viewer_with(&Grant { viewer: Some(crate::fleet::somebody()), ..grant }).await;
    assert_eq!(late.payloads(2).await, ["init of 1", "1/1/0"]);
    origin.metrics_say("relay_edges 0").await;
}

async fn relay_that_holds_the_name_of_a_revoked_one_is_pulled_from(by: Transport) {
    let fleet = Fleet::new();
    let origin = fleet.relay("origin").await;
    let (mut directory, edge) = Directory::with_relay_of(&fleet).await;
    let mut grant = watch(&edge, 1, &["relay-1"], &[address_by(by, "origin", &origin)]);
    directory.orders_from_now_on(revoked("origin", new_key().public_key(), grant.issued_at_s));
    directory.heard().await;
    let mut sender = broadcaster(&origin, "origin", 1).await;
    sender.init(PICTURE).await;
    sender.chunk(PICTURE, 0, 0).await;
    // The ticket from before means the one that is out; one that was signed later means who has the name since.
    let mut viewer = edge.hello_with(&grant).await;
    directory.next("watch").await;
    origin.metrics_say("relay_edges 0").await;
    grant.issued_at_s += 6;
    viewer.renew(&fleet.key().sign(&grant).unwrap()).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    let reported = json!([{"stream": stream(1), "epoch": 1, "live": true, "viewers": 1, "depth": 1}]);
    directory.reports(reported).await;
}
