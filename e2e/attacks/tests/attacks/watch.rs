//! Watching, finding or listing what is not for everybody.

use futures_util::StreamExt as _;
use protocol::ErrorCode;
use reqwest::Method;
use serde_json::json;
use stage::{Socket, System, WAYS, eventually};

#[tokio::test]
async fn watch_a_password_stream_without_the_password() {
    let system = System::start().await;
    let body = json!({"title": "secret plans", "visibility": "password", "password": "correct horse"});
    let created = system.create(body).await;
    Socket::publishing(&created.relay_url, created.ticket.expose()).await.text("stream_registered").await;
    let refused = system.watch(created.id, None).await;
    refused.is_refused(401, "password_required");
    assert!(!refused.body.to_string().contains("secret plans"));
    assert_eq!(system.watch(created.id, Some(json!({"password": "correct horse"}))).await.status, 200);
}

#[tokio::test]
async fn watch_a_password_stream_with_100_wrong_passwords() {
    let system = System::start().await;
    let body = json!({"title": "secret plans", "visibility": "password", "password": "correct horse"});
    let created = system.create(body).await;
    let mut refusals = (0, 0);
    for number in 0..100 {
        let answer = system.watch(created.id, Some(json!({"password": format!("guess {number}")}))).await;
        assert!(!answer.body.to_string().contains("secret plans"));
        match answer.status {
            403 => refusals.0 += 1,
            429 => refusals.1 += 1,
            _ => panic!("{answer:?}"),
        }
    }
    assert!(refusals.0 <= 10 && refusals.1 >= 90, "{refusals:?} (wrong, too many)");
}

#[tokio::test]
async fn list_what_is_not_public() {
    let system = System::start().await;
    let response = system.request(Method::GET, "/api/events").send().await.unwrap();
    let mut events = response.bytes_stream();
    let mut seen = String::new();
    let mut shown = Vec::new();
    for body in [
        json!({"title": "hidden by link", "visibility": "unlisted"}),
        json!({"title": "hidden by password", "visibility": "password", "password": "correct horse"}),
        json!({"title": "for everybody"}),
    ] {
        let created = system.create(body).await;
        let mut socket = Socket::publishing(&created.relay_url, created.ticket.expose()).await;
        socket.text("stream_registered").await;
        let header = |kind, key| protocol::MediaHeader {
            kind,
            key,
            sealed: false,
            track: protocol::TrackNumber(1),
            segment: 0,
            chunk: 0,
            captured_at_us: 1,
        };
        socket.media(&header(protocol::MediaKind::Init, false), b"init").await;
        socket.media(&header(protocol::MediaKind::Chunk, true), b"chunk").await;
        shown.push(socket);
    }
    // The public one went live last: when it is told, the others would have been.
    while !seen.contains("for everybody") {
        seen.push_str(&String::from_utf8_lossy(&events.next().await.unwrap().unwrap()));
    }
    let list = eventually("the public stream in the list", async || {
        let list = system.get("/api/streams").await.body.to_string();
        list.contains("for everybody").then_some(list)
    })
    .await;
    assert!(!seen.contains("hidden") && !list.contains("hidden"), "{seen}\n{list}");
}

#[tokio::test]
async fn watch_with_a_publish_ticket_or_a_forged_one() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        Socket::watching(created.at(by), created.ticket.expose()).await.is_refused(ErrorCode::TicketInvalid).await;
        Socket::watching(created.at(by), "a.b.c").await.is_refused(ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn come_back_after_having_been_removed() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let mut owner = Socket::publishing(created.at(by), created.ticket.expose()).await;
        owner.text("stream_registered").await;
        let answer = eventually("a way to watch", async || {
            let answer = system.watch(created.id, None).await;
            (answer.status == 200).then_some(answer)
        })
        .await;
        let ticket = answer.body["assignment"]["ticket"].as_str().unwrap().to_owned();
        let mut viewer = Socket::watching(created.at(by), &ticket).await;
        viewer.text("watching").await;
        let id = loop {
            let audience = owner.text("audience").await;
            if let Some(id) = audience["viewers"][0]["viewer"].as_str() {
                break id.to_owned();
            }
        };

        let path = format!("/api/streams/{}/viewers/{id}", created.id);
        let removed =
            system.send(system.request(Method::DELETE, &path).bearer_auth(created.broadcast_key.expose())).await;
        assert_eq!(removed.status, 204, "{removed:?}");
        loop {
            match viewer.next().await {
                stage::Got::Text(message) if message["type"] == "error" => {
                    assert_eq!(message["code"], "viewer_removed", "{message}");
                    break;
                }
                stage::Got::Closed(code) => panic!("closed ({code:?}) without a word"),
                _ => {}
            }
        }
        Socket::watching(created.at(by), &ticket).await.is_refused(ErrorCode::ViewerRemoved).await;
        system.watch(created.id, None).await.is_refused(403, "viewer_removed");
        let path = format!("/api/streams/{}/watch", created.id);
        let renewed = system.send(system.request(Method::POST, &path).bearer_auth(&ticket)).await;
        renewed.is_refused(403, "viewer_removed");
    }
}
