//! Relays that have too much to do, as broadcasters and operators see it.

use std::time::Duration;

use protocol::http::Order;
use reqwest::Method;
use serde_json::{Value, json};

use crate::driver::{Events, PATIENCE, Server, refused};

fn carried(stream: protocol::StreamId, viewers: u32) -> Value {
    json!({ "stream": stream, "epoch": 1, "live": true, "viewers": viewers })
}

#[tokio::test]
async fn streams_go_where_most_is_free_or_where_the_fewest_are_as_the_operator_says() {
    for (flags, expected) in [(&[][..], "relay-2"), (&["--assign", "fewest-streams"], "relay-1")] {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_in(data.path(), flags).await;
        let (one, two) = (server.relay("relay-1").await, server.relay("relay-2").await);
        let elsewhere = protocol::StreamId::of(&"elsewhere".parse().unwrap(), 1);
        one.work(80, &[]).await;
        two.work(0, &[carried(elsewhere, 0)]).await;
        let made = server.create("demo", "public").await;
        assert_eq!(made.assignment.relays[0].name.as_str(), expected, "{flags:?}");
    }
}

#[tokio::test]
async fn busy_relay_gets_no_new_stream_and_its_operator_sees_why() {
    let server = Server::start().await;
    let one = server.relay("relay-1").await;
    one.work(95, &[]).await;
    let made = server.post("/api/streams", &json!({ "title": "demo" })).send().await.unwrap();
    assert_eq!(refused(made).await, (503, "no_relay".to_owned()));
    let (_, relays) = server.operator(Method::GET, "/relays").await;
    assert_eq!(relays["relays"][0]["state"], "busy", "{relays}");
    assert_eq!(relays["relays"][0]["at_work"]["head_room_percent"], 5);
    one.work(70, &[]).await;
    server.create("demo", "public").await;
}

#[tokio::test]
async fn stream_of_a_hot_relay_is_ordered_to_one_with_room() {
    let server = Server::start().await;
    let one = server.relay("relay-1").await;
    let (small, large) = (server.create("small", "public").await, server.create("large", "public").await);
    let two = server.relay("relay-2").await;
    let request = server.request(Method::GET, &format!("/api/streams/{}/orders", small.id));
    let mut events = Events::of(request.bearer_auth(small.broadcast_key.expose()).send().await.unwrap());
    let hot = async {
        loop {
            server.clock.advance(Duration::from_secs(1));
            one.work(99, &[carried(small.id, 20), carried(large.id, 40)]).await;
            two.work(0, &[]).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ordered = async {
        loop {
            match events.next_as().await {
                Some(Order::Assignment { assignment }) if assignment.epoch > 1 => return assignment,
                Some(Order::Assignment { .. }) => {} // relay-2 is named beside relay-1
                other => panic!("expected an assignment, got {other:?}"),
            }
        }
    };
    tokio::select! {
        () = hot => {}
        moved = tokio::time::timeout(PATIENCE, ordered) => {
            let moved = moved.expect("it was never told to move");
            assert_eq!((moved.relays[0].name.as_str(), moved.epoch), ("relay-2", 2));
        }
    }
    let metrics = server.client.get(format!("http://{}/metrics", server.internal)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("directory_streams_moved_from_hot_total 1"), "{metrics}");
}
