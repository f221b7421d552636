//! What a broadcaster is told while it listens.

use std::time::Duration;

use protocol::{
    BroadcastKey,
    http::{CreatedStream, Order},
    limits::TICKET_RENEWED_AFTER,
};
use reqwest::Method;
use serde_json::json;

use crate::{
    broadcaster::{ask, assignment, first, listen, on_first_of_two, ordered},
    driver::{PATIENCE, Server, refused},
};

#[tokio::test]
async fn broadcaster_gets_fresh_tickets_in_time() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 0).await;
    let mut events = listen(&server, &made).await;
    let at_once = assignment(&mut events).await;
    assert_eq!(first(&at_once), ("relay-1", 1));
    // Its relay stays in touch meanwhile.
    for _ in 0..TICKET_RENEWED_AFTER.as_secs() / 4 {
        server.clock.advance(Duration::from_secs(4));
        relay.report(made.id, 1, true, 0).await;
    }
    let renewed = assignment(&mut events).await;
    assert_eq!(first(&renewed), ("relay-1", 1));
    assert_ne!(renewed.ticket, at_once.ticket);
}

#[tokio::test]
async fn stream_of_a_revoked_relay_is_told_to_move_and_its_viewers_too() {
    let server = Server::start().await;
    let (made, [_one, two], mut events) = on_first_of_two(&server).await;
    assert_eq!(server.operator(Method::DELETE, "/relays/relay-1").await.0, 204);
    let moved = ordered(&mut events, 2).await;
    assert_eq!(first(&moved), ("relay-2", 2));
    assert_eq!(moved.relays.len(), 1, "the revoked one is not named");
    let watch = server.post(&format!("/api/streams/{}/watch", made.id), &json!({})).send().await.unwrap();
    let watch: protocol::http::WatchAnswer = watch.json().await.unwrap();
    assert_eq!(first(&watch.assignment), ("relay-2", 2));
    two.report(made.id, 2, true, 1).await;
}

#[tokio::test]
async fn stream_that_finds_no_relay_is_told_to_move_once_there_is_one() {
    let server = Server::start().await;
    let one = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    one.report(made.id, 1, true, 1).await;
    let mut events = listen(&server, &made).await;
    assignment(&mut events).await;
    assert_eq!(server.operator(Method::DELETE, "/relays/relay-1").await.0, 204);
    server.relay("relay-2").await;
    assert_eq!(first(&assignment(&mut events).await), ("relay-2", 2));
}

#[tokio::test]
async fn stream_whose_relay_is_answered_for_by_somebody_else_moves() {
    let server = Server::start().await;
    let (made, [mut one, two], mut events) = on_first_of_two(&server).await;
    one.taken_over().await;
    let moved = async {
        loop {
            server.clock.advance(Duration::from_secs(1));
            one.report(made.id, 1, true, 1).await;
            two.send(&json!({ "viewers": 0, "streams": [] })).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = moved => {}
        order = tokio::time::timeout(PATIENCE, ordered(&mut events, 2)) => {
            assert_eq!(first(&order.expect("it was never told to move")), ("relay-2", 2));
        }
    }
}

#[tokio::test]
async fn broadcaster_reads_why_an_operator_ended_its_stream() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let mut events = listen(&server, &made).await;
    assignment(&mut events).await;
    assert_eq!(server.operator(Method::DELETE, &format!("/streams/{}", made.id)).await.0, 204);
    match events.next_as().await {
        Some(Order::End { message }) => assert!(message.contains("operator"), "{message}"),
        other => panic!("expected the end, got {other:?}"),
    }
    assert!(events.next_as::<Order>().await.is_none());
    assert_eq!(refused(ask(&server, &made, &made.broadcast_key).await).await, (404, "stream_not_found".to_owned()));
}

#[tokio::test]
async fn orders_end_with_their_stream_and_are_for_its_owner_alone() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let stranger = ask(&server, &made, &BroadcastKey::new([0; 32])).await;
    assert_eq!(refused(stranger).await, (401, "unauthorized".to_owned()));
    let mut events = listen(&server, &made).await;
    assignment(&mut events).await;
    let end = server.request(Method::DELETE, &format!("/api/streams/{}", made.id));
    assert_eq!(end.bearer_auth(made.broadcast_key.expose()).send().await.unwrap().status(), 204);
    assert!(events.next_as::<Order>().await.is_none());
}

#[tokio::test]
async fn revoked_pass_ends_the_streams_that_were_made_with_it() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--broadcast", "passes"]).await;
    server.relay("relay-1").await;
    assert_eq!(server.get_json("/api/directory").await["broadcast"], "passes");
    let create = |pass: Option<String>| {
        let request = server.post("/api/streams", &json!({ "title": "demo" }));
        if let Some(pass) = pass { request.bearer_auth(pass) } else { request }
    };
    assert_eq!(refused(create(None).send().await.unwrap()).await, (401, "pass_required".to_owned()));
    let wrong = create(Some("dsp_wrong".to_owned())).send().await.unwrap();
    assert_eq!(refused(wrong).await, (403, "pass_invalid".to_owned()));
    let mut passes = Vec::new();
    for name in ["anna", "bob smith"] {
        let (status, made) = server.operator_with(Method::POST, "/passes", &json!({ "name": name })).await;
        assert_eq!(status, 201);
        passes.push(made["pass"].as_str().unwrap().to_owned());
    }
    let again = server.operator_with(Method::POST, "/passes", &json!({ "name": "anna" })).await;
    assert_eq!((again.0, again.1["code"].as_str()), (400, Some("invalid_request")));
    let annas: CreatedStream = create(Some(passes[0].clone())).send().await.unwrap().json().await.unwrap();
    let bobs: CreatedStream = create(Some(passes[1].clone())).send().await.unwrap().json().await.unwrap();
    let (mut anna_listens, mut bob_listens) = (listen(&server, &annas).await, listen(&server, &bobs).await);
    assignment(&mut anna_listens).await;
    assignment(&mut bob_listens).await;
    let (status, revoked) = server.operator_with(Method::DELETE, "/passes/bob%20smith", &json!(null)).await;
    assert_eq!((status, &revoked), (200, &json!({ "streams_ended": 1 })));
    match bob_listens.next_as().await {
        Some(Order::End { message }) => assert!(message.contains("pass was revoked"), "{message}"),
        other => panic!("expected the end, got {other:?}"),
    }
    let refusal = create(Some(passes[1].clone())).send().await.unwrap();
    assert_eq!(refused(refusal).await, (403, "pass_invalid".to_owned()));
    let (_, streams) = server.operator(Method::GET, "/streams").await;
    assert_eq!(streams["streams"].as_array().unwrap().len(), 1);
    assert_eq!((&streams["streams"][0]["pass"], &streams["streams"][0]["id"]), (&json!("anna"), &json!(annas.id)));
    server.stop().await;
    let server = Server::start_in(data.path(), &["--broadcast", "passes"]).await;
    let (_, kept) = server.operator(Method::GET, "/passes").await;
    assert_eq!(kept["passes"][0]["name"], "anna");
    assert_eq!(kept["passes"].as_array().unwrap().len(), 1);
}
