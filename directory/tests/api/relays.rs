//! Relays join and report.

use protocol::{PROTOCOL_VERSION, RelayName, ticket::TicketVerifier};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::driver::{JOIN_SECRET, PUBLIC_KEY, Server, refused, registration};

const OTHER_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

#[tokio::test]
async fn relay_joins_and_gets_what_it_needs() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    assert!(TicketVerifier::new(&relay.registered.ticket_key).is_ok());
    assert_eq!(relay.registered.heartbeat_interval_ms, 1000);
    let answer = relay.send(&json!({ "viewers": 0, "streams": [] })).await;
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap(), json!({ "end": [] }));
}

#[tokio::test]
async fn second_relay_of_the_same_name_is_refused_with_a_reason() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    let answer = server.register("relay-1", OTHER_KEY).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "relay_name_taken");
    assert!(body["message"].as_str().unwrap().contains("the name relay-1 is held by another relay"), "{body}");
    assert_eq!(server.register("relay-1", PUBLIC_KEY).await.status(), StatusCode::OK, "a restart of the same relay");
}

#[tokio::test]
async fn nobody_joins_without_the_secret() {
    let server = Server::start().await;
    let body = registration("relay-1", PUBLIC_KEY);
    let bare = server.post("/register_server", &body).send().await.unwrap();
    assert_eq!(bare.headers()["www-authenticate"], "Bearer");
    assert_eq!(refused(bare).await, (401, "unauthorized".to_owned()));
    let prefix = &JOIN_SECRET[..JOIN_SECRET.len() - 1];
    for header in ["Bearer wrong", "Bearer", "Bearer  ", &format!("Basic {JOIN_SECRET}"), &format!("Bearer {prefix}")] {
        let request = server.post("/register_server", &body).header("authorization", header);
        assert_eq!(refused(request.send().await.unwrap()).await, (401, "unauthorized".to_owned()), "{header}");
    }
}

#[tokio::test]
async fn registration_of_a_wrong_form_is_refused() {
    let server = Server::start().await;
    let cases = [
        ("name", json!("Relay One"), "invalid_request"),
        ("name", json!(""), "invalid_request"),
        ("url", json!("http://relay/ws"), "invalid_request"),
        ("url", json!("not a url"), "invalid_request"),
        ("url", json!("ws://user:secret@relay/ws"), "invalid_request"),
        ("public_key", json!("short"), "invalid_request"),
        ("streams_max", json!(-1), "invalid_request"),
        ("viewers_max", json!(1e99), "invalid_request"),
        ("viewers_max", json!(null), "invalid_request"),
        ("protocol", json!(PROTOCOL_VERSION + 1), "unsupported_protocol"),
    ];
    for (field, value, code) in cases {
        let mut body = registration("relay-1", PUBLIC_KEY);
        body[field] = value;
        let answer = server.post("/register_server", &body).bearer_auth(JOIN_SECRET).send().await.unwrap();
        assert_eq!(refused(answer).await, (400, code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn heartbeat_needs_the_token_of_a_known_relay() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let body = json!({ "viewers": 0, "streams": [] });
    let send = async |name: &str, token: &str| {
        let path = format!("/api/relays/{name}/heartbeat");
        refused(server.post(&path, &body).bearer_auth(token).send().await.unwrap()).await
    };
    assert_eq!(send("relay-1", "guessed").await, (401, "unauthorized".to_owned()));
    assert_eq!(send("relay-2", &relay.registered.token).await, (404, "relay_unknown".to_owned()));
    assert_eq!(send("Relay%201", &relay.registered.token).await, (400, "invalid_request".to_owned()));
    let bare = server.request(Method::POST, "/api/relays/relay-1/heartbeat").json(&body).send().await.unwrap();
    assert_eq!(refused(bare).await, (401, "unauthorized".to_owned()));
}

#[tokio::test]
async fn silent_relay_must_register_again() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    server.clock.advance(protocol::limits::RELAY_SILENCE_TIME_MAX);
    let answer = relay.send(&json!({ "viewers": 0, "streams": [] })).await;
    assert_eq!(refused(answer).await, (404, "relay_unknown".to_owned()));
    assert_eq!(server.register("relay-1", OTHER_KEY).await.status(), StatusCode::OK, "the name is free");
}

#[tokio::test]
async fn hostile_heartbeats_do_no_harm() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let stream = server.create("demo", "public").await.id;
    let carried = json!({ "stream": stream, "epoch": 1, "live": true, "viewers": 7 });
    let id = |number: usize| format!("{number:032x}");
    let unknown: Vec<_> =
        (0..8000).map(|n| json!({ "stream": id(n), "epoch": u32::MAX, "live": true, "viewers": u32::MAX })).collect();
    for (body, status) in [
        (json!({ "viewers": 7, "streams": vec![carried.clone(); 1000] }), 200),
        (json!({ "viewers": u32::MAX, "streams": unknown }), 200),
        (json!({ "viewers": -1, "streams": [] }), 400),
        (json!({ "viewers": 0.5, "streams": [] }), 400),
        (json!({ "viewers": 4_294_967_296_u64, "streams": [] }), 400),
        (json!({ "viewers": 0, "streams": [{ "stream": "zz", "epoch": 1, "live": true, "viewers": 0 }] }), 400),
        (json!({ "viewers": 0, "streams": null }), 400),
        (json!([]), 400),
        (json!({ "viewers": 7, "streams": [carried] }), 200),
    ] {
        assert_eq!(relay.send(&body).await.status().as_u16(), status);
    }
    let path = "/api/relays/relay-1/heartbeat";
    let raw = server.request(Method::POST, path).bearer_auth(&relay.registered.token);
    let raw = raw.header("content-type", "application/json").body(r#"{"viewers":NaN,"streams":[]}"#);
    assert_eq!(refused(raw.send().await.unwrap()).await, (400, "invalid_request".to_owned()));
    let list = server.get_json("/api/streams").await;
    assert_eq!(list["streams"][0]["viewers"], 7, "{list}");
}

#[tokio::test]
async fn ticket_names_the_relay_it_is_for() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let verifier = TicketVerifier::new(&relay.registered.ticket_key).unwrap();
    let at: RelayName = "relay-1".parse().unwrap();
    let now_s = server.clock.now_s();
    let grant = verifier.verify(&made.assignment.ticket, protocol::ticket::Action::Publish, &at, now_s).unwrap();
    assert_eq!((grant.stream, grant.epoch), (made.id, 1));
    relay.report(made.id, 1, true, 0).await;
    let watched = server.post(&format!("/api/streams/{}/watch", made.id), &json!({})).send().await.unwrap();
    let watched: protocol::http::WatchAnswer = watched.json().await.unwrap();
    let grant = verifier.verify(&watched.assignment.ticket, protocol::ticket::Action::Watch, &at, now_s).unwrap();
    assert_eq!((grant.stream, watched.stream.viewers), (made.id, 0));
}
