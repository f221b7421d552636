//! Sending a stream without the right to, by whatever way.

use protocol::{ErrorCode, ticket::Grant};
use reqwest::Method;
use serde_json::json;
use stage::{Socket, System, WAYS};

/// The Unix time in seconds.
fn now_s() -> u64 {
    stage::now_ms() / 1000
}

#[tokio::test]
async fn publish_without_a_ticket() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        Socket::publishing(created.at(by), "").await.is_refused(ErrorCode::TicketInvalid).await;
        let mut silent_about_it = Socket::connect(created.at(by)).await;
        silent_about_it.say(json!({"type": "register_new_stream", "protocol": 1, "tracks": stage::tracks()})).await;
        silent_about_it.is_refused(ErrorCode::InvalidRequest).await;
    }
}

#[tokio::test]
async fn publish_with_a_forged_ticket() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let foreign = stage::RelayKey::generate();
        let grant = Grant::publish(created.id, 1, vec![created.relay.clone()], now_s());
        let forged = foreign.signing_key().sign(&grant).unwrap();
        Socket::publishing(created.at(by), forged.expose()).await.is_refused(ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn publish_with_an_expired_ticket() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let grant = Grant::publish(created.id, 1, vec![created.relay.clone()], now_s() - 601);
        let expired = system.directory_key().sign(&grant).unwrap();
        Socket::publishing(created.at(by), expired.expose()).await.is_refused(ErrorCode::TicketExpired).await;
    }
}

#[tokio::test]
async fn publish_on_with_another_streams_ticket() {
    let system = System::start().await;
    for by in WAYS {
        let mine = system.create(json!({"title": "mine"})).await;
        let other =
            Grant::publish(system.create(json!({"title": "theirs"})).await.id, 1, vec![mine.relay.clone()], now_s());
        let other = system.directory_key().sign(&other).unwrap();
        let mut socket = Socket::publishing(mine.at(by), mine.ticket.expose()).await;
        socket.text("stream_registered").await;
        socket.say(json!({"type": "renew_ticket", "ticket": other})).await;
        socket.is_refused(ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn publish_with_another_relays_ticket() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let elsewhere = ["relay-1", "relay-2"].into_iter().find(|name| *name != created.relay.as_str()).unwrap();
        let grant = Grant::publish(created.id, 1, vec![elsewhere.parse().unwrap()], now_s());
        let ticket = system.directory_key().sign(&grant).unwrap();
        Socket::publishing(created.at(by), ticket.expose()).await.is_refused(ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn publish_with_a_watch_ticket() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        Socket::publishing(created.at(by), created.ticket.expose()).await.text("stream_registered").await;
        let watch = system.watch(created.id, None).await;
        let ticket = watch.body["assignment"]["ticket"].as_str().unwrap();
        Socket::publishing(created.at(by), ticket).await.is_refused(ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn publish_with_a_ticket_of_an_old_epoch() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let newer = Grant::publish(created.id, 2, vec![created.relay.clone()], now_s());
        let newer = system.directory_key().sign(&newer).unwrap();
        let mut owner = Socket::publishing(created.at(by), newer.expose()).await;
        owner.text("stream_registered").await;
        Socket::publishing(created.at(by), created.ticket.expose()).await.is_refused(ErrorCode::StaleEpoch).await;
    }
}

#[tokio::test]
async fn second_publisher_of_a_stream() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let mut owner = Socket::publishing(created.at(by), created.ticket.expose()).await;
        owner.text("stream_registered").await;
        Socket::publishing(created.at(by), created.ticket.expose()).await.is_refused(ErrorCode::PublisherPresent).await;
        owner.say(json!({"type": "end_stream"})).await;
    }
}

#[tokio::test]
async fn end_or_move_a_stream_with_a_wrong_key() {
    let system = System::start().await;
    let (mine, theirs) =
        (system.create(json!({"title": "mine"})).await, system.create(json!({"title": "theirs"})).await);
    let id = theirs.id;
    for (method, path) in [
        (Method::DELETE, format!("/api/streams/{id}")),
        (Method::POST, format!("/api/streams/{id}/assignment")),
        (Method::GET, format!("/api/streams/{id}/orders")),
        (Method::DELETE, format!("/api/streams/{id}/viewers/0123456789abcdef")),
    ] {
        for key in ["", "wrong", mine.broadcast_key.expose()] {
            let answer = system.send(system.request(method.clone(), &path).bearer_auth(key)).await;
            answer.is_refused(401, "unauthorized");
        }
    }
}
