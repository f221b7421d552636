//! A directory that was started on an empty disk but for its key: relays and broadcasters bring back what it knew.

use std::{path::Path, time::Duration};

use protocol::{
    BroadcastKey, Secret,
    http::{Assignment, CreatedStream, RegisteredServer, WatchAnswer},
    limits::RECORD_TIME_MAX,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    broadcaster::{ask, assignment, first, listen},
    driver::{Server, refused},
    relay::Relay,
};

/// A folder with nothing of the other but the key.
fn only_the_key_of(before: &Path) -> TempDir {
    let empty = tempfile::tempdir().unwrap();
    std::fs::copy(before.join("ticket-key.der"), empty.path().join("ticket-key.der")).unwrap();
    empty
}

async fn restore(server: &Server, record: &Secret, key: &BroadcastKey) -> Response {
    let body = json!({ "record": record });
    server.post("/api/streams/restore", &body).bearer_auth(key.expose()).send().await.unwrap()
}

fn record(made: &CreatedStream) -> Secret {
    made.assignment.record.clone().expect("every assignment of a broadcaster has a record")
}

async fn watch(server: &Server, made: &CreatedStream, body: &Value) -> Response {
    server.post(&format!("/api/streams/{}/watch", made.id), body).send().await.unwrap()
}

/// What tests of a refusal begin with: a stream on a directory with a folder of its own.
async fn stream(flags: &[&str]) -> (TempDir, Server, CreatedStream) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), flags).await;
    server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    (data, server, made)
}

#[tokio::test]
async fn all_is_as_it_was_after_the_disk_was_lost_but_for_the_key() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let relay = server.relay("relay-1").await;
    let open = server.create("An open stream", "public").await;
    let hidden = server.create("A hidden one", "unlisted").await;
    let body = json!({ "title": "A locked one", "visibility": "password", "password": "correct horse" });
    let locked: CreatedStream = server.post("/api/streams", &body).send().await.unwrap().json().await.unwrap();
    let path = format!("/api/streams/{}/assignment", open.id);
    let moved = server.post(&path, &json!({})).bearer_auth(open.broadcast_key.expose()).send().await.unwrap();
    let moved: Assignment = moved.json().await.unwrap();
    assert_eq!(moved.epoch, 2);
    let membership = relay.registered.membership.expose().to_owned();
    let (signer, answerer) = relay.leave();
    server.stop().await;

    let empty = only_the_key_of(data.path());
    let server = Server::start_in(empty.path(), &[]).await;
    let gone = ask(&server, &open, &open.broadcast_key).await;
    assert_eq!(
        refused(gone).await,
        (404, "stream_not_found".to_owned()),
        "which tells the broadcaster to bring it back"
    );
    let early = restore(&server, moved.record.as_ref().unwrap(), &open.broadcast_key).await;
    assert_eq!(refused(early).await, (503, "no_relay".to_owned()), "the stream is here; its relays are not yet");

    let answer = signer.register_at(&server, "relay-1", &answerer.url, &membership).await;
    assert_eq!(answer.status(), StatusCode::OK, "its membership alone lets it in");
    let registered: RegisteredServer = answer.json().await.unwrap();
    let relay = Relay::again(&server, "relay-1", signer, answerer, registered);
    relay.problem_is(|problem| problem.is_none()).await;

    let again = restore(&server, moved.record.as_ref().unwrap(), &open.broadcast_key).await;
    let again: Assignment = again.json().await.unwrap();
    assert_eq!((again.epoch, again.relays[0].name.as_str()), (2, "relay-1"));
    for made in [&hidden, &locked] {
        for _ in 0..2 {
            let answer = restore(&server, &record(made), &made.broadcast_key).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let assignment: Assignment = answer.json().await.unwrap();
            assert!(assignment.epoch == 1 && assignment.record.is_some());
        }
    }
    let list = server.get_json("/api/streams").await;
    let listed = &list["streams"];
    assert_eq!(listed.as_array().unwrap().len(), 1, "{list}");
    let shown = ["id", "title", "state", "created_at_ms"].map(|field| listed[0][field].clone());
    let created_at_ms = json!(crate::driver::START_US / 1000);
    assert_eq!(shown, [json!(open.id), json!("An open stream"), json!("interrupted"), created_at_ms]);

    let carried =
        |made: &CreatedStream, epoch| json!({ "stream": made.id, "epoch": epoch, "live": true, "viewers": 2 });
    let streams = [carried(&open, 2), carried(&hidden, 1), carried(&locked, 1)];
    assert_eq!(relay.send(&json!({ "viewers": 6, "streams": streams })).await.status(), StatusCode::OK);
    assert_eq!(server.get_json("/api/streams").await["streams"][0]["state"], "live");
    for made in [&open, &hidden] {
        let watched: WatchAnswer = watch(&server, made, &json!({})).await.json().await.unwrap();
        assert_eq!((watched.stream.id, watched.stream.title.as_str()), (made.id, made.title.as_str()));
    }
    assert_eq!(refused(watch(&server, &locked, &json!({})).await).await, (401, "password_required".to_owned()));
    let wrong = watch(&server, &locked, &json!({ "password": "wrong horse" })).await;
    assert_eq!(refused(wrong).await, (403, "password_wrong".to_owned()));
    assert_eq!(watch(&server, &locked, &json!({ "password": "correct horse" })).await.status(), StatusCode::OK);

    let ordered = assignment(&mut listen(&server, &open).await).await;
    assert!(ordered.epoch == 2 && ordered.record.is_some());
}

#[tokio::test]
async fn broadcaster_hears_of_each_of_its_relays_as_they_come_back() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let (one, two) = (server.relay("relay-1").await, server.relay("relay-2").await);
    let made = server.create("demo", "public").await;
    assert_eq!(made.assignment.relays.len(), 2);
    let (_, _answers_still) = one.leave();
    drop(two);
    server.stop().await;
    let empty = only_the_key_of(data.path());
    let server = Server::start_in(empty.path(), &[]).await;
    let two = server.relay("relay-2").await;
    assert_eq!(restore(&server, &record(&made), &made.broadcast_key).await.status(), StatusCode::OK);
    two.report(made.id, 1, true, 1).await;
    let mut events = listen(&server, &made).await;
    let short = assignment(&mut events).await;
    let before = &made.assignment.relays;
    let was_at = |name: &str| before.iter().find(|relay| relay.name.as_str() == name).cloned();
    assert_eq!((short.relays.len(), first(&short)), (2, ("relay-2", 1)), "where it is");
    assert_eq!(short.relays.last().cloned(), was_at("relay-1"), "where it may go, as far as is known");
    let _one = server.relay("relay-1").await;
    let whole = assignment(&mut events).await;
    assert_eq!((whole.relays.len(), first(&whole)), (2, ("relay-2", 1)));
    assert_ne!(whole.relays.last().cloned(), was_at("relay-1"), "at another address by now");
}

#[tokio::test]
async fn viewer_is_to_ask_a_directory_that_has_just_begun_again_once_relays_had_the_time_to_come_back() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    let ask_again_ms = async || {
        relay.report(made.id, 1, true, 1).await;
        watch(&server, &made, &json!({})).await.json::<WatchAnswer>().await.unwrap().ask_again_ms
    };
    assert_eq!(ask_again_ms().await, Some(5000));
    server.clock.advance(Duration::from_secs(2));
    assert_eq!(ask_again_ms().await, Some(3000));
    server.clock.advance(Duration::from_secs(3));
    assert_eq!(ask_again_ms().await, None);
}

#[tokio::test]
async fn foreign_record_and_wrong_key_bring_nothing_back() {
    let (data, server, made) = stream(&[]).await;
    let (_other_data, other, others) = stream(&[]).await;
    let foreign = refused(restore(&server, &record(&others), &others.broadcast_key).await).await;
    assert_eq!(foreign, (403, "ticket_invalid".to_owned()));
    for text in ["", "x", made.assignment.ticket.expose()] {
        let answer = restore(&server, &text.into(), &made.broadcast_key).await;
        assert_eq!(refused(answer).await, (403, "ticket_invalid".to_owned()), "{text:?}");
    }
    server.stop().await;
    other.stop().await;
    let empty = only_the_key_of(data.path());
    let server = Server::start_in(empty.path(), &[]).await;
    let wrong = restore(&server, &record(&made), &others.broadcast_key).await;
    assert_eq!(refused(wrong).await, (401, "unauthorized".to_owned()));
    let bare = server.post("/api/streams/restore", &json!({ "record": record(&made) })).send().await.unwrap();
    assert_eq!(refused(bare).await, (401, "unauthorized".to_owned()));
    assert_eq!(server.get_json("/api/streams").await["streams"], json!([]));
}

#[tokio::test]
async fn old_record_brings_nothing_back() {
    let (data, server, made) = stream(&[]).await;
    server.stop().await;
    let empty = only_the_key_of(data.path());
    let server = Server::start_in(empty.path(), &[]).await;
    server.clock.advance(RECORD_TIME_MAX - Duration::from_secs(1));
    let young = restore(&server, &record(&made), &made.broadcast_key).await;
    assert_eq!(refused(young).await.1, "no_relay", "it is here now");
    server.clock.advance(Duration::from_secs(1));
    let old = restore(&server, &record(&made), &made.broadcast_key).await;
    assert_eq!(refused(old).await, (403, "ticket_expired".to_owned()));
}

#[tokio::test]
async fn stream_that_ended_here_does_not_come_back_also_after_a_restart_when_an_operator_ended_it() {
    let (data, server, made) = stream(&[]).await;
    assert_eq!(server.operator(Method::DELETE, &format!("/streams/{}", made.id)).await.0, 204);
    let ended = (404, "stream_not_found".to_owned());
    assert_eq!(refused(restore(&server, &record(&made), &made.broadcast_key).await).await, ended);
    let own = server.create("another", "public").await;
    let end = server.request(Method::DELETE, &format!("/api/streams/{}", own.id));
    assert_eq!(end.bearer_auth(own.broadcast_key.expose()).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(refused(restore(&server, &record(&own), &own.broadcast_key).await).await, ended);
    server.stop().await;
    let server = Server::start_in(data.path(), &[]).await;
    assert_eq!(refused(restore(&server, &record(&made), &made.broadcast_key).await).await, ended);
}

#[tokio::test]
async fn stream_of_a_revoked_pass_does_not_come_back() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--broadcast", "passes"];
    let server = Server::start_in(data.path(), &flags).await;
    server.relay("relay-1").await;
    let (_, pass) = server.operator_with(Method::POST, "/passes", &json!({ "name": "anna" })).await;
    let create = server.post("/api/streams", &json!({ "title": "demo" })).bearer_auth(pass["pass"].as_str().unwrap());
    let made: CreatedStream = create.send().await.unwrap().json().await.unwrap();
    assert_eq!(restore(&server, &record(&made), &made.broadcast_key).await.status(), StatusCode::OK);
    server.stop().await;

    let empty = only_the_key_of(data.path());
    let server = Server::start_in(empty.path(), &flags).await;
    let lost = restore(&server, &record(&made), &made.broadcast_key).await;
    assert_eq!(refused(lost).await.1, "no_relay", "a directory that lost all passes trusts its own word");
    server.stop().await;

    let server = Server::start_in(data.path(), &flags).await;
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(server.operator(Method::DELETE, "/passes/anna").await.0, 200);
    let invalid = (403, "pass_invalid".to_owned());
    assert_eq!(refused(restore(&server, &record(&made), &made.broadcast_key).await).await, invalid);
    assert_eq!(server.operator_with(Method::POST, "/passes", &json!({ "name": "anna" })).await.0, 201);
    assert_eq!(refused(restore(&server, &record(&made), &made.broadcast_key).await).await, invalid, "another pass");
    server.stop().await;
    let server = Server::start_in(data.path(), &flags).await;
    assert_eq!(refused(restore(&server, &record(&made), &made.broadcast_key).await).await, invalid);
}

#[tokio::test]
async fn stream_without_a_pass_does_not_come_back_where_one_is_asked_for() {
    let (data, server, made) = stream(&["--broadcast", "open"]).await;
    server.stop().await;
    let server = Server::start_in(data.path(), &["--broadcast", "passes"]).await;
    let answer = restore(&server, &record(&made), &made.broadcast_key).await;
    assert_eq!(refused(answer).await, (401, "pass_required".to_owned()));
}
