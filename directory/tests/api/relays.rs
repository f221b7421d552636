//! Relays join and report.

use std::time::Duration;

use protocol::{
    PROTOCOL_VERSION,
    ticket::{Action, Grant},
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    driver::{JOIN_SECRET, Server, refused},
    relay::{Signer, registration},
};

#[tokio::test]
async fn relay_joins_and_gets_what_it_needs() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    assert_eq!(relay.registered.heartbeat_interval_ms, 1000);
    let answer = relay.send(&json!({ "viewers": 0, "streams": [] })).await;
    assert_eq!(
        answer.json::<serde_json::Value>().await.unwrap(),
        json!({ "end": [], "removed": [], "revoked": [], "problem": null, "drain": false })
    );
}

#[tokio::test]
async fn second_relay_of_the_same_name_is_refused_with_a_reason() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let answer = Signer::new().register(&server, "relay-1").await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "relay_name_taken");
    assert!(body["message"].as_str().unwrap().contains("the name relay-1 is held by another relay"), "{body}");
    let again = relay.register().await;
    assert_eq!(again.status(), StatusCode::OK, "a restart of the same relay");
}

#[tokio::test]
async fn nobody_joins_without_the_secret() {
    let server = Server::start().await;
    let signer = Signer::new();
    let body = registration("relay-1", signer.public_key());
    let post = || signer.post(&server, "relay-1", "/register_server", &body);
    let bare = post().send().await.unwrap();
    assert_eq!(bare.headers()["www-authenticate"], "Bearer");
    assert_eq!(refused(bare).await, (401, "unauthorized".to_owned()));
    let prefix = &JOIN_SECRET[..JOIN_SECRET.len() - 1];
    for header in ["Bearer wrong", "Bearer", "Bearer  ", &format!("Basic {JOIN_SECRET}"), &format!("Bearer {prefix}")] {
        let request = post().header("authorization", header);
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
    let signer = Signer::new();
    for (field, value, code) in cases {
        let mut body = registration("relay-1", signer.public_key());
        body[field] = value;
        let answer = signer.post(&server, "relay-1", "/register_server", &body).bearer_auth(JOIN_SECRET);
        let answer = answer.send().await.unwrap();
        assert_eq!(refused(answer).await, (400, code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn heartbeat_needs_the_signature_of_a_known_relay() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let body = json!({ "viewers": 0, "streams": [] });
    let path = relay.heartbeat_path();
    let unauthorized = (401, "unauthorized".to_owned());
    let send = async |signer: &Signer, name: &str, path: &str| {
        refused(signer.post(&server, name, path, &body).send().await.unwrap()).await
    };
    assert_eq!(send(&Signer::new(), "relay-1", &path).await, unauthorized, "another key");
    let elsewhere = "/api/relays/relay-2/heartbeat";
    assert_eq!(send(&relay.signer, "relay-2", elsewhere).await, (404, "relay_unknown".to_owned()));
    let malformed = "/api/relays/Relay%201/heartbeat";
    assert_eq!(send(&relay.signer, "relay-1", malformed).await, (400, "invalid_request".to_owned()));
    let bare = server.post(&path, &body).send().await.unwrap();
    assert_eq!(refused(bare).await, unauthorized, "no signature");
    let other_body = relay.signer.post(&server, "relay-1", &path, &body).body(body.to_string() + " ");
    assert_eq!(refused(other_body.send().await.unwrap()).await, unauthorized, "another body");
    let request = relay.signer.post(&server, "relay-1", &path, &body).build().unwrap();
    let again = request.try_clone().unwrap();
    assert_eq!(server.client.execute(request).await.unwrap().status(), StatusCode::OK);
    assert_eq!(refused(server.client.execute(again).await.unwrap()).await, unauthorized, "said before");
    let late = relay.signer.post(&server, "relay-1", &path, &body);
    server.clock.advance(Duration::from_secs(31));
    assert_ne!(refused(late.send().await.unwrap()).await.0, 200, "said too long ago");
}

#[tokio::test]
async fn silent_relay_must_register_again() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    server.clock.advance(protocol::limits::RELAY_SILENCE_TIME_MAX);
    let answer = relay.send(&json!({ "viewers": 0, "streams": [] })).await;
    assert_eq!(refused(answer).await, (404, "relay_unknown".to_owned()));
    assert_eq!(relay.register().await.status(), StatusCode::OK);
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
    let path = relay.heartbeat_path();
    let not_json = r#"{"viewers":NaN,"streams":[]}"#;
    let assertion = relay.signer.assert(&server, "relay-1", &format!("POST {path}"), not_json.as_bytes());
    let raw = server.request(Method::POST, &path).header("relay-assertion", assertion.expose());
    let raw = raw.header("content-type", "application/json").body(not_json);
    assert_eq!(refused(raw.send().await.unwrap()).await, (400, "invalid_request".to_owned()));
    let list = server.get_json("/api/streams").await;
    assert_eq!(list["streams"][0]["viewers"], 7, "{list}");
}

#[tokio::test]
async fn ticket_names_the_relay_it_is_for() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let key = relay.registered.ticket_key;
    let now_s = server.clock.now_s();
    let verify = |ticket: &protocol::Secret, action| {
        Grant::verify(&key, ticket.expose(), action, &relay.name, now_s, Duration::ZERO).unwrap()
    };
    let grant = verify(&made.assignment.ticket, Action::Publish);
    assert_eq!((grant.stream, grant.epoch, grant.viewer), (made.id, 1, None));
    relay.report(made.id, 1, true, 0).await;
    let watch = async || -> protocol::http::WatchAnswer {
        let watched = server.post(&format!("/api/streams/{}/watch", made.id), &json!({})).send().await.unwrap();
        watched.json().await.unwrap()
    };
    let (first, second) = (watch().await, watch().await);
    let grant = verify(&first.assignment.ticket, Action::Watch);
    assert_eq!((grant.stream, first.stream.viewers), (made.id, 0));
    assert_ne!(grant.viewer, verify(&second.assignment.ticket, Action::Watch).viewer, "two viewers");
}
