//! One stream on many relays, as viewers, relays and operators see it.

use protocol::{
    StreamId,
    http::WatchAnswer,
    ticket::{Action, Grant},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{driver::Server, relay::Relay};

fn carried(stream: StreamId, depth: u8, viewers: u32) -> Value {
    json!({ "stream": stream, "epoch": 1, "live": true, "viewers": viewers, "depth": depth })
}

async fn watch(server: &Server, id: StreamId, body: Value) -> WatchAnswer {
    server.post(&format!("/api/streams/{id}/watch"), &body).send().await.unwrap().json().await.unwrap()
}

fn names(answer: &WatchAnswer) -> Vec<&str> {
    answer.assignment.relays.iter().map(|relay| relay.name.as_str()).collect()
}

/// What the ticket says to the first relay of the answer.
fn grant(server: &Server, relay: &Relay<'_>, answer: &WatchAnswer) -> Grant {
    let (key, ticket) = (relay.registered.ticket_key, answer.assignment.ticket.expose());
    let first = &answer.assignment.relays[0].name;
    Grant::verify(&key, ticket, Action::Watch, first, server.clock.now_s(), Default::default()).unwrap()
}

#[tokio::test]
async fn viewers_of_a_busy_relay_are_sent_to_an_edge_whose_ticket_says_where_to_pull_from() {
    let server = Server::start().await;
    let origin = server.relay("relay-1").await;
    let edge = server.relay("relay-2").await;
    let made = server.create("demo", "public").await;
    origin.work(50, &[carried(made.id, 0, 9)]).await;
    let calm = watch(&server, made.id, json!({})).await;
    assert_eq!(names(&calm), ["relay-1", "relay-2"]);
    let upstream = grant(&server, &origin, &calm).upstream;
    assert_eq!(upstream[0].url.as_str(), origin.answerer.url, "relay-2 could pull from relay-1 when it fails there");

    origin.work(75, &[carried(made.id, 0, 9)]).await;
    let busy = watch(&server, made.id, json!({})).await;
    assert_eq!(names(&busy), ["relay-2", "relay-1"]);
    let granted = grant(&server, &origin, &busy);
    assert_eq!(granted.relays[0], edge.name);
    let upstream: Vec<_> = granted.upstream.iter().map(|relay| (relay.name.as_str(), relay.url.as_str())).collect();
    assert_eq!(upstream, [("relay-1", origin.answerer.url.as_str())]);

    edge.work(10, &[carried(made.id, 1, 4)]).await;
    let answer = watch(&server, made.id, json!({})).await;
    assert_eq!((names(&answer)[0], answer.stream.viewers), ("relay-2", 13));
    let renewal = server.request(Method::POST, &format!("/api/streams/{}/watch", made.id));
    let renewed = renewal.bearer_auth(calm.assignment.ticket.expose()).send().await.unwrap();
    assert!(names(&renewed.json().await.unwrap()).contains(&"relay-1"), "whoever is there may stay");

    let (_, streams) = server.operator(Method::GET, "/streams").await;
    assert_eq!(streams["streams"][0]["relay"], "relay-1", "{streams}");
    assert_eq!(streams["streams"][0]["edges"], json!([{ "relay": "relay-2", "depth": 1, "viewers": 4 }]));
    let (_, relays) = server.operator(Method::GET, "/relays").await;
    assert_eq!(relays["relays"][0]["at_work"]["head_room_percent"], 25, "{relays}");
}

#[tokio::test]
async fn proxy_says_where_viewers_are_unless_they_say_it_themselves() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--region-header", "X-Region"]).await;
    let origin = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let _near = Relay::join_saying(&server, "relay-2", json!({ "region": "eu-west" })).await;
    origin.work(10, &[carried(made.id, 0, 9)]).await;
    let first = async |body: Value, region: Option<&str>| {
        let request = server.post(&format!("/api/streams/{}/watch", made.id), &body);
        let request = if let Some(region) = region { request.header("x-region", region) } else { request };
        names(&request.send().await.unwrap().json().await.unwrap())[0].to_owned()
    };
    assert_eq!(first(json!({}), None).await, "relay-1");
    assert_eq!(first(json!({}), Some("EU-west")).await, "relay-2");
    assert_eq!(first(json!({ "region": "mars" }), Some("eu-west")).await, "relay-1");
}

#[tokio::test]
async fn edge_that_outlives_the_origin_is_no_place_for_the_broadcaster() {
    let server = Server::start().await;
    let origin = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let edge = server.relay("relay-2").await;
    let third = server.relay("relay-3").await;
    origin.work(75, &[carried(made.id, 0, 0)]).await;
    edge.work(0, &[carried(made.id, 1, 4)]).await;
    third.work(0, &[]).await;
    origin.work(75, &[]).await;
    let answer = watch(&server, made.id, json!({})).await;
    assert_eq!(serde_json::to_value(answer.stream.state).unwrap(), "interrupted", "an edge alone plays nothing");
    let (_, streams) = server.operator(Method::GET, "/streams").await;
    assert_eq!(streams["streams"][0]["relay"], "relay-1", "where it is expected");
    assert_eq!(names(&answer)[0], "relay-1");
    assert_eq!(grant(&server, &origin, &answer).upstream[0].name, origin.name);
}

#[tokio::test]
async fn viewer_that_names_a_region_gets_a_relay_there() {
    let server = Server::start().await;
    let origin = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let near = Relay::join_saying(&server, "relay-2", json!({ "region": "EU-West" })).await;
    origin.work(0, &[carried(made.id, 0, 9)]).await;
    near.work(40, &[]).await;
    assert_eq!(names(&watch(&server, made.id, json!({})).await)[0], "relay-1");
    assert_eq!(names(&watch(&server, made.id, json!({ "region": "eu-west" })).await)[0], "relay-2");
    let nowhere = "x".repeat(1000);
    assert_eq!(names(&watch(&server, made.id, json!({ "region": nowhere })).await)[0], "relay-1");
    let (_, relays) = server.operator(Method::GET, "/relays").await;
    assert_eq!(relays["relays"][1]["at_work"]["region"], "eu-west", "{relays}");
}

#[tokio::test]
async fn region_that_is_no_short_word_is_refused() {
    let server = Server::start().await;
    let signer = crate::relay::Signer::new();
    let says = json!({ "region": "x".repeat(33) });
    let answer = signer.register_as(&server, "relay-1", says, crate::driver::JOIN_SECRET).await;
    assert_eq!(crate::driver::refused(answer).await, (400, "invalid_request".to_owned()));
}
