//! What a relay, or whoever sits at one, can do with a sealed stream.

use protocol::{
    MediaHeader, MediaKind, TrackNumber,
    media_message::MEDIA_HEADER_BYTES,
    seal::{ContentKey, Opened, Opener, Sealer},
};
use serde_json::json;
use stage::{Created, Socket, System, WAYS};
use webtransport::Transport;

const SCREEN: &[u8] = b"what is on the screen";

fn header(kind: MediaKind, segment: u32, chunk: u32) -> MediaHeader {
    let key = kind == MediaKind::Chunk && chunk == 0;
    MediaHeader { kind, key, sealed: true, track: TrackNumber(1), segment, chunk, captured_at_us: 1 }
}

/// A sealed stream of two segments of two chunks, as it went through the relay, its key, and its id.
async fn carried(system: &System, by: Transport) -> (Vec<Vec<u8>>, ContentKey, Created) {
    let created = system.create(json!({"title": "a", "sealed": true})).await;
    let mut owner = Socket::publishing(created.at(by), created.ticket.expose()).await;
    owner.text("stream_registered").await;
    let watch = system.watch(created.id, None).await;
    assert_eq!(watch.body["stream"]["sealed"], true, "{watch:?}");
    let mut relay = Socket::watching(created.at(by), watch.body["assignment"]["ticket"].as_str().unwrap()).await;
    relay.text("watching").await;

    let key = ContentKey::generate().unwrap();
    let mut sealer = Sealer::new(key.clone(), created.id);
    let mut messages = vec![];
    for header in [
        header(MediaKind::Init, 0, 0),
        header(MediaKind::Chunk, 0, 0),
        header(MediaKind::Chunk, 0, 1),
        header(MediaKind::Chunk, 1, 0),
        header(MediaKind::Chunk, 1, 1),
    ] {
        let sealed = sealer.seal(header, SCREEN).unwrap();
        owner.media_message(sealed).await;
        // The relay hands an init segment on together with the first chunk that needs it.
        let due = match (header.kind, messages.len()) {
            (MediaKind::Init, _) => 0,
            (MediaKind::Chunk, 0) => 2,
            (MediaKind::Chunk, _) => 1,
        };
        for _ in 0..due {
            messages.push(relay.next_media().await);
        }
    }
    (messages, key, created)
}

fn opener(key: &ContentKey, created: &Created) -> Opener {
    Opener::new(key.clone(), created.id)
}

/// Whether the viewer would show it.
fn is_shown(opener: &mut Opener, message: &[u8]) -> bool {
    matches!(opener.open(&mut message.to_vec()), Ok(Opened::Payload(_, payload)) if payload == SCREEN)
}

#[tokio::test]
async fn read_media_of_a_sealed_stream_at_the_relay() {
    let system = System::start().await;
    for by in WAYS {
        let (messages, key, created) = carried(&system, by).await;
        for message in &messages {
            assert!(!message.windows(8).any(|bytes| SCREEN.windows(8).any(|screen| screen == bytes)));
            assert!(!is_shown(&mut opener(&ContentKey::generate().unwrap(), &created), message));
        }
        let mut viewer = opener(&key, &created);
        assert!(messages.iter().all(|message| is_shown(&mut viewer, message)), "with the key it plays");
        assert_eq!(viewer.tampered(), 0);
        let logs = system.logs();
        assert!(!logs.iter().any(|line| line.contains(&key.fragment())));
    }
}

#[tokio::test]
async fn replay_and_reorder_sealed_chunks() {
    let system = System::start().await;
    for by in WAYS {
        let (messages, key, created) = carried(&system, by).await;
        let [init, first, second, third, fourth] = &messages[..] else { panic!("five messages") };

        let mut viewer = opener(&key, &created);
        assert!([init, first, second].into_iter().all(|message| is_shown(&mut viewer, message)));
        assert!(!is_shown(&mut viewer, first) && !is_shown(&mut viewer, second), "replayed");
        assert!(is_shown(&mut viewer, third), "the picture resumes at the next segment");
        assert!(viewer.tampered() > 0);

        let mut viewer = opener(&key, &created);
        assert!(is_shown(&mut viewer, init));
        assert!(!is_shown(&mut viewer, second), "reordered: the segment's first chunk is missing");
        assert!(is_shown(&mut viewer, third) && is_shown(&mut viewer, fourth));
    }
}

#[tokio::test]
async fn change_sealed_chunks() {
    let system = System::start().await;
    for by in WAYS {
        let (messages, key, created) = carried(&system, by).await;
        let [init, first, second, third, _] = &messages[..] else { panic!("five messages") };
        let mut viewer = opener(&key, &created);
        assert!(is_shown(&mut viewer, init) && is_shown(&mut viewer, first));
        // A bit of the payload, and the capture time in the header.
        for place in [MEDIA_HEADER_BYTES + 3, MEDIA_HEADER_BYTES - 1] {
            let mut changed = second.clone();
            changed[place] ^= 1;
            assert!(!is_shown(&mut viewer, &changed));
        }
        assert!(!is_shown(&mut viewer, second), "what follows in a broken segment is left out");
        assert!(is_shown(&mut viewer, third), "the picture resumes at the next segment");
    }
}
