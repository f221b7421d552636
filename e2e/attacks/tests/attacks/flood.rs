//! Messages that are too large, never end, or make no sense, by whatever way. They cost the connection that sends them, and nobody else.

use protocol::{
    ErrorCode, MediaHeader, MediaKind, TrackNumber,
    limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX},
};
use serde_json::json;
use stage::{Created, Socket, System, WAYS};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};
use webtransport::Transport;

fn header(kind: MediaKind, segment: u32) -> MediaHeader {
    let key = kind == MediaKind::Chunk;
    MediaHeader { kind, key, sealed: false, track: TrackNumber(1), segment, chunk: 0, captured_at_us: 1 }
}

#[tokio::test]
async fn oversized_and_endless_messages() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let mut owner = Socket::publishing(created.at(by), created.ticket.expose()).await;
        owner.text("stream_registered").await;
        owner.media(&header(MediaKind::Init, 0), b"init").await;

        let mut large = Socket::connect(created.at(by)).await;
        large.say_text(&"x".repeat(CONTROL_BYTES_MAX + 1)).await;
        large.is_refused(ErrorCode::TooLarge).await;
        if by == Transport::Websocket {
            message_in_fragments_that_never_end(&created).await;
        }

        // The stream has not noticed.
        let answer = system.watch(created.id, None).await;
        let ticket = answer.body["assignment"]["ticket"].as_str().unwrap();
        let mut viewer = Socket::watching(created.at(by), ticket).await;
        viewer.text("watching").await;
        owner.media(&header(MediaKind::Chunk, 1), b"picture").await;
        assert!(viewer.next_media().await.ends_with(b"init"));
        assert!(viewer.next_media().await.ends_with(b"picture"));
    }
}

async fn message_in_fragments_that_never_end(created: &Created) {
    let mut endless = Socket::connect(&created.relay_url).await;
    let piece = vec![b'x'; 16 * 1024];
    for number in 0..2 * MESSAGE_BYTES_MAX / piece.len() {
        let opcode = if number == 0 { Data::Text } else { Data::Continue };
        endless.throw(Message::Frame(Frame::message(piece.clone(), OpCode::Data(opcode), false))).await;
    }
    endless.is_refused(ErrorCode::TooLarge).await;
}

#[tokio::test]
async fn media_message_over_the_limit_ends_its_publisher_alone() {
    let system = System::start().await;
    for by in WAYS {
        let (first, second) = (system.create(json!({"title": "a"})).await, system.create(json!({"title": "b"})).await);
        let mut attacker = Socket::publishing(first.at(by), first.ticket.expose()).await;
        attacker.text("stream_registered").await;
        let mut other = Socket::publishing(second.at(by), second.ticket.expose()).await;
        other.text("stream_registered").await;
        attacker.media(&header(MediaKind::Init, 0), b"init").await;
        attacker.media(&header(MediaKind::Chunk, 0), &vec![0; MESSAGE_BYTES_MAX + 1]).await;
        loop {
            match attacker.next().await {
                stage::Got::Text(message) if message["type"] == "error" => {
                    assert_eq!(message["code"], "too_large", "{message}");
                    break;
                }
                stage::Got::Closed(_) => break,
                _ => {}
            }
        }
        other.media(&header(MediaKind::Init, 0), b"init").await;
        other.media(&header(MediaKind::Chunk, 0), b"picture").await;
        while other.text("received").await["chunks"] != 1 {}
    }
}
