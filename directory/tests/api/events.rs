//! Open lists update by themselves.

use protocol::http::{ListEvent, StreamState};
use reqwest::{Method, StatusCode};

use crate::driver::{Events, Server};

async fn changed(events: &mut Events) -> (String, StreamState, u32) {
    match events.next().await {
        Some(ListEvent::StreamChanged { stream }) => (stream.title.to_string(), stream.state, stream.viewers),
        other => panic!("expected a change, got {other:?}"),
    }
}

#[tokio::test]
async fn open_list_is_told_everything_by_itself() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let first = server.create("first", "public").await;
    relay.report(first.id, 1, true, 1).await;
    let mut events = server.follow().await;
    match events.next().await {
        Some(ListEvent::Streams { streams }) => assert_eq!(streams[0].id, first.id),
        other => panic!("expected the list, got {other:?}"),
    }

    relay.report(first.id, 1, false, 1).await;
    assert_eq!(changed(&mut events).await, ("first".to_owned(), StreamState::Interrupted, 1));
    relay.report(first.id, 1, true, 1).await;
    assert_eq!(changed(&mut events).await, ("first".to_owned(), StreamState::Live, 1));

    relay.report(first.id, 1, true, 5).await;
    server.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(changed(&mut events).await, ("first".to_owned(), StreamState::Live, 5));

    let end = server.request(Method::DELETE, &format!("/api/streams/{}", first.id));
    let ended = end.bearer_auth(first.broadcast_key.expose()).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    match events.next().await {
        Some(ListEvent::StreamRemoved { id }) => assert_eq!(id, first.id),
        other => panic!("expected the end, got {other:?}"),
    }
}

#[tokio::test]
async fn unlisted_stream_is_never_told() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let mut events = server.follow().await;
    assert!(matches!(events.next().await, Some(ListEvent::Streams { streams }) if streams.is_empty()));
    let unlisted = server.create("unlisted", "unlisted").await;
    relay.report(unlisted.id, 1, true, 3).await;
    let public = server.create("public", "public").await;
    relay.report(public.id, 1, true, 0).await;
    assert_eq!(changed(&mut events).await.0, "public", "and nothing before it");
}

#[tokio::test]
async fn open_lists_end_with_the_directory() {
    let server = Server::start().await;
    let mut events = server.follow().await;
    assert!(events.next().await.is_some());
    server.stop().await;
    assert!(events.next().await.is_none());
}
