//! Relays that drain, and streams that are moved, as broadcasters and operators see it.

use protocol::http::HeartbeatAnswer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    broadcaster::{on_first_of_two, ordered},
    driver::Server,
};

#[tokio::test]
async fn stream_of_a_relay_that_drains_is_ordered_elsewhere_and_goes_on_meanwhile() {
    let server = Server::start().await;
    let (made, [one, two], mut events) = on_first_of_two(&server).await;
    let carried = json!({ "stream": made.id, "epoch": 1, "live": true, "viewers": 1 });
    let draining = json!({ "viewers": 1, "streams": [carried], "draining": true });
    let answer: HeartbeatAnswer = one.send(&draining).await.json().await.unwrap();
    assert!(answer.end.is_empty());
    let moved = ordered(&mut events, 2).await;
    assert_eq!((moved.relays.len(), moved.relays[0].name.as_str()), (1, "relay-2"));
    assert!(moved.record.is_some());
    two.report(made.id, 2, true, 1).await;
    let answer: HeartbeatAnswer = one.send(&draining).await.json().await.unwrap();
    assert!(answer.end.is_empty(), "its broadcaster still sends there");
    let (_, relays) = server.operator(Method::GET, "/relays").await;
    assert_eq!(relays["relays"][0]["state"], "draining", "{relays}");
}

#[tokio::test]
async fn operator_drains_a_relay_and_moves_a_stream() {
    let server = Server::start().await;
    let (made, [one, _two], mut events) = on_first_of_two(&server).await;
    let (status, answer) = server.operator(Method::POST, "/relays/relay-1/drain").await;
    assert_eq!((status, answer), (200, json!({ "streams": 1 })));
    assert_eq!(ordered(&mut events, 2).await.relays[0].name.as_str(), "relay-2");
    assert!(one.beat(made.id, 1).await.drain);
    assert_eq!(server.operator(Method::DELETE, "/relays/relay-1/drain").await.0, 200);
    assert!(!one.beat(made.id, 1).await.drain);
    let to = |relay: &str| json!({ "relay": relay });
    let path = format!("/streams/{}/move", made.id);
    let refusal = |(status, body): (u16, Value)| (status, body["code"].as_str().unwrap_or_default().to_owned());
    let unknown = server.operator_with(Method::POST, &path, &to("relay-9")).await;
    assert_eq!(refusal(unknown), (503, "no_relay".to_owned()));
    assert_eq!(server.operator_with(Method::POST, &path, &to("relay-1")).await.0, 204);
    assert_eq!(ordered(&mut events, 3).await.relays[0].name.as_str(), "relay-1");
    let unknown = server.operator(Method::POST, "/relays/relay-9/drain").await;
    assert_eq!(refusal(unknown), (404, "relay_unknown".to_owned()));
    let id = "0".repeat(32);
    let unknown = server.operator_with(Method::POST, &format!("/streams/{id}/move"), &to("relay-1")).await;
    assert_eq!(refusal(unknown), (404, "stream_not_found".to_owned()));
}
