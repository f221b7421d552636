//! Who may watch.

use std::time::Duration;

use protocol::{
    Secret, StreamId, ViewerId,
    http::{CreatedStream, WatchAnswer},
    limits::{DIRECTORY_AWAY_TIME_MAX, TICKET_TIME},
    signing::PublicKey,
    ticket::{Action, Grant},
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    driver::{Server, refused},
    relay::Signer,
};

async fn watch(server: &Server, id: StreamId, body: &Value) -> Response {
    server.post(&format!("/api/streams/{id}/watch"), body).send().await.unwrap()
}

async fn renew(server: &Server, id: StreamId, ticket: &Secret) -> Response {
    let request = server.request(Method::POST, &format!("/api/streams/{id}/watch"));
    request.bearer_auth(ticket.expose()).send().await.unwrap()
}

async fn admitted(answer: Response) -> WatchAnswer {
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

fn viewer(key: &PublicKey, answer: &WatchAnswer) -> ViewerId {
    key.verify::<Grant>(answer.assignment.ticket.expose()).unwrap().viewer.unwrap()
}

async fn with_password(server: &Server, password: &str) -> CreatedStream {
    let body = json!({ "title": "a secret title", "visibility": "password", "password": password, "sealed": true });
    let answer = server.post("/api/streams", &body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn password_stream_shows_nothing_to_those_who_do_not_know_it() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let mut events = server.follow().await;
    let made = with_password(&server, "correct horse").await;
    relay.report(made.id, 1, true, 3).await;
    assert_eq!(server.get_json("/api/streams").await, json!({ "streams": [] }));
    for (body, expected) in [
        (json!({}), (401, "password_required")),
        (json!({ "password": null }), (401, "password_required")),
        (json!({ "password": "correct hors" }), (403, "password_wrong")),
        (json!({ "password": "" }), (403, "password_wrong")),
    ] {
        let answer = watch(&server, made.id, &body).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!(!text.contains("secret title") && !text.contains("ticket\""), "{text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, body["code"].as_str().unwrap()), expected);
    }
    let answer = admitted(watch(&server, made.id, &json!({ "password": "correct horse" })).await).await;
    assert_eq!(
        (answer.stream.title.as_str(), answer.stream.sealed, answer.stream.viewers),
        ("a secret title", true, 3)
    );
    let renewed = admitted(renew(&server, made.id, &answer.assignment.ticket).await).await;
    let key = relay.registered.ticket_key;
    assert_eq!(viewer(&key, &renewed), viewer(&key, &answer), "no password is asked for again");
    // The list was never told of it: the next event is of another stream.
    assert!(events.next().await.is_some());
    let public = server.create("public", "public").await;
    relay.report(public.id, 1, true, 0).await;
    match events.next().await {
        Some(protocol::http::ListEvent::StreamChanged { stream }) => assert_eq!(stream.id, public.id),
        other => panic!("expected the public stream, got {other:?}"),
    }
}

#[tokio::test]
async fn passwords_that_cannot_be_are_refused() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    for body in [
        json!({ "title": "demo", "visibility": "password" }),
        json!({ "title": "demo", "visibility": "password", "password": "abc" }),
        json!({ "title": "demo", "visibility": "password", "password": "x".repeat(129) }),
        json!({ "title": "demo", "visibility": "public", "password": "long enough" }),
        json!({ "title": "demo", "password": "long enough" }),
    ] {
        let answer = server.post("/api/streams", &body).send().await.unwrap();
        assert_eq!(refused(answer).await, (422, "invalid_password".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn guessing_is_over_after_five_wrong_ones_a_minute() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = with_password(&server, "correct horse").await;
    relay.report(made.id, 1, true, 0).await;
    let mut answers = Vec::new();
    for number in 0..100 {
        let answer = watch(&server, made.id, &json!({ "password": format!("guess {number}") })).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait_s: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=61).contains(&wait_s), "{wait_s}");
        }
        answers.push(answer.status().as_u16());
    }
    assert_eq!(answers.iter().filter(|status| **status == 403).count(), 5);
    assert!(answers[5..].iter().all(|status| *status == 429));
    let right = watch(&server, made.id, &json!({ "password": "correct horse" })).await;
    assert_eq!(right.status(), StatusCode::TOO_MANY_REQUESTS, "also for the right one, from there");
    for _ in 0..15 {
        server.clock.advance(Duration::from_secs(4));
        relay.report(made.id, 1, true, 0).await;
    }
    admitted(watch(&server, made.id, &json!({ "password": "correct horse" })).await).await;
}

#[tokio::test]
async fn ticket_is_renewed_for_its_own_stream_and_viewer_only() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let (made, other) = (server.create("demo", "public").await, server.create("other", "public").await);
    relay.report(made.id, 1, true, 0).await;
    let answer = admitted(watch(&server, made.id, &json!({})).await).await;
    let ticket = &answer.assignment.ticket;
    let invalid = (403, "ticket_invalid".to_owned());
    assert_eq!(refused(renew(&server, other.id, ticket).await).await, invalid, "another stream");
    let publish = &made.assignment.ticket;
    assert_eq!(refused(renew(&server, made.id, publish).await).await, invalid, "a ticket to publish");
    assert_eq!(refused(renew(&server, made.id, &"x.y.z".into()).await).await, invalid);
    let membership = &relay.registered.membership;
    assert_eq!(refused(renew(&server, made.id, membership).await).await, invalid, "another kind of token");

    let pass = async |seconds: u64| {
        for _ in 0..seconds / 4 {
            server.clock.advance(Duration::from_secs(4));
            relay.report(made.id, 1, true, 0).await;
        }
    };
    // A page that was cut off longer than its ticket comes back as the same viewer.
    pass((TICKET_TIME + DIRECTORY_AWAY_TIME_MAX).as_secs() - 4).await;
    let renewed = admitted(renew(&server, made.id, ticket).await).await;
    let key = relay.registered.ticket_key;
    assert_eq!(viewer(&key, &renewed), viewer(&key, &answer));
    let now_s = server.clock.now_s();
    let grant =
        Grant::verify(&key, renewed.assignment.ticket.expose(), Action::Watch, &relay.name, now_s, Duration::ZERO);
    assert_eq!(grant.unwrap().expires_at_s, now_s + TICKET_TIME.as_secs());
    pass(4).await;
    assert_eq!(refused(renew(&server, made.id, ticket).await).await, (403, "ticket_expired".to_owned()));
}

#[tokio::test]
async fn removed_viewer_stays_out_and_its_relay_is_told() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let (made, other) = (server.create("demo", "public").await, server.create("other", "public").await);
    relay.report(made.id, 1, true, 2).await;
    let answer = admitted(watch(&server, made.id, &json!({})).await).await;
    let viewer = viewer(&relay.registered.ticket_key, &answer);
    let remove = |id: StreamId, viewer: &str, key: String| {
        let request = server.request(Method::DELETE, &format!("/api/streams/{id}/viewers/{viewer}"));
        request.bearer_auth(key).send()
    };
    let text = viewer.to_string();
    let wrong = remove(made.id, &text, other.broadcast_key.expose()).await.unwrap();
    assert_eq!(refused(wrong).await, (401, "unauthorized".to_owned()));
    let malformed = remove(made.id, "no-viewer", made.broadcast_key.expose()).await.unwrap();
    assert_eq!(refused(malformed).await, (400, "invalid_request".to_owned()));
    assert!(relay.beat(made.id, 1).await.removed.is_empty());
    let removed = remove(made.id, &text, made.broadcast_key.expose()).await.unwrap();
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);

    let out = (403, "viewer_removed".to_owned());
    assert_eq!(refused(renew(&server, made.id, &answer.assignment.ticket).await).await, out);
    assert_eq!(refused(watch(&server, made.id, &json!({})).await).await, out, "nor as somebody new");
    let told = relay.beat(made.id, 1).await.removed;
    assert_eq!((told.len(), told[0].stream, told[0].viewer), (1, made.id, viewer));
    relay.beat(other.id, 1).await;
    admitted(watch(&server, other.id, &json!({})).await).await;
    assert!(relay.beat(other.id, 1).await.removed.is_empty(), "other streams are told of nobody");
}

#[tokio::test]
async fn removed_viewers_own_network_is_out_and_not_that_of_the_relay_that_renewed_its_ticket() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--behind-proxy"]).await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 1).await;
    let path = format!("/api/streams/{}/watch", made.id);
    let from = async |address: &str, ticket: Option<&Secret>, signature: Option<Secret>| {
        let mut request = server.request(Method::POST, &path).header("x-forwarded-for", address);
        if let Some(ticket) = ticket {
            request = request.bearer_auth(ticket.expose());
        }
        if let Some(signature) = signature {
            request = request.header("relay-assertion", signature.expose());
        }
        request.send().await.unwrap()
    };
    let (viewers, relays) = ("203.0.113.5", "198.51.100.1");
    let answer = admitted(from(viewers, None, None).await).await;
    let ticket = &answer.assignment.ticket;
    let signed = |signer: &Signer, name: &str, path: &str| signer.assert(&server, name, &format!("POST {path}"), b"");
    let other = format!("/api/streams/{}/watch", "0".repeat(32));
    for signature in [
        signed(&Signer::new(), "relay-1", &path),
        signed(&relay.signer, "relay-2", &path),
        signed(&relay.signer, "relay-1", &other),
        "".into(),
    ] {
        let refusal = refused(from(relays, Some(ticket), Some(signature)).await).await;
        assert_eq!(refusal, (401, "unauthorized".to_owned()));
    }
    let renewed = from(relays, Some(ticket), Some(signed(&relay.signer, "relay-1", &path))).await;
    admitted(renewed).await;
    let viewer = viewer(&relay.registered.ticket_key, &answer);
    let removal = server.request(Method::DELETE, &format!("/api/streams/{}/viewers/{viewer}", made.id));
    let removed = removal.bearer_auth(made.broadcast_key.expose()).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    assert_eq!(refused(from(viewers, None, None).await).await, (403, "viewer_removed".to_owned()));
    admitted(from(relays, None, None).await).await;
}

#[tokio::test]
async fn relay_renews_a_ticket_without_a_body() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 1).await;
    let ticket = admitted(watch(&server, made.id, &json!({})).await).await.assignment.ticket;
    let path = format!("/api/streams/{}/watch", made.id);
    let request = relay.signer.post(&server, "relay-1", &path, &json!({"failed": "relay-1"}));
    let refusal = refused(request.bearer_auth(ticket.expose()).send().await.unwrap()).await;
    assert_eq!(refusal, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn relay_that_did_not_serve_a_viewer_is_named_last_and_dialled_at_once() {
    let server = Server::start().await;
    let mut one = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    one.report(made.id, 1, true, 1).await;
    let two = server.relay("relay-2").await;
    one.taken_over().await;
    let path = format!("/api/streams/{}/watch", made.id);
    let gone = async {
        loop {
            server.clock.advance(std::time::Duration::from_secs(1));
            one.report(made.id, 1, true, 1).await;
            two.report(made.id, 1, false, 0).await;
            let answer = server.post(&path, &json!({ "failed": "relay-1" })).send().await.unwrap();
            let answer: protocol::http::WatchAnswer = answer.json().await.unwrap();
            let names: Vec<_> = answer.assignment.relays.iter().map(|relay| relay.name.as_str().to_owned()).collect();
            assert_eq!(names[0], "relay-2");
            if names.len() == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(crate::driver::PATIENCE, gone)
        .await
        .expect("it failed twice within seconds, and is named no more");
}
