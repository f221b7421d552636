//! A broadcaster that listens to what the directory wants of it.

use protocol::{
    BroadcastKey,
    http::{Assignment, CreatedStream, Order},
};
use reqwest::{Method, Response, StatusCode};

use crate::{
    driver::{Events, Server},
    relay::Relay,
};

pub(crate) async fn ask(server: &Server, made: &CreatedStream, key: &BroadcastKey) -> Response {
    let request = server.request(Method::GET, &format!("/api/streams/{}/orders", made.id));
    request.bearer_auth(key.expose()).send().await.unwrap()
}

pub(crate) async fn listen(server: &Server, made: &CreatedStream) -> Events {
    let answer = ask(server, made, &made.broadcast_key).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    Events::of(answer)
}

pub(crate) async fn assignment(events: &mut Events) -> Assignment {
    match events.next_as().await {
        Some(Order::Assignment { assignment }) => assignment,
        other => panic!("expected an assignment, got {other:?}"),
    }
}

/// The next order in this epoch.
pub(crate) async fn ordered(events: &mut Events, epoch: u32) -> Assignment {
    loop {
        let assignment = assignment(events).await;
        assert!(assignment.epoch <= epoch, "expected epoch {epoch}, got {assignment:?}");
        if assignment.epoch == epoch {
            return assignment;
        }
    }
}

pub(crate) fn first(assignment: &Assignment) -> (&str, u32) {
    (assignment.relays[0].name.as_str(), assignment.epoch)
}

/// A stream that somebody watches at the first of two relays, and its broadcaster, which was told so.
pub(crate) async fn on_first_of_two(server: &Server) -> (CreatedStream, [Relay<'_>; 2], Events) {
    let one = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    one.report(made.id, 1, true, 1).await;
    let two = server.relay("relay-2").await;
    let mut events = listen(server, &made).await;
    assert_eq!(first(&ordered(&mut events, 1).await), ("relay-1", 1));
    (made, [one, two], events)
}
