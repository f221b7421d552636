//! Golden vectors that the TypeScript side reads too, and properties.

use proptest::prelude::*;
use serde_json::Value;

use super::{track_key::nonce, *};
use crate::{MediaHeader, MediaKind, StreamId, TrackNumber};

const VECTORS: &str = include_str!("../../vectors/sealed_media.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v Vec<Value> {
    value[name].as_array().unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(value, name)).unwrap()
}

fn header_of(value: &Value) -> MediaHeader {
    let number = |name: &str| value[name].as_u64().unwrap();
    MediaHeader {
        kind: if value["kind"] == "init" { MediaKind::Init } else { MediaKind::Chunk },
        key: value["key"].as_bool().unwrap(),
        sealed: value["sealed"].as_bool().unwrap(),
        track: TrackNumber(number("track").try_into().unwrap()),
        segment: number("segment").try_into().unwrap(),
        chunk: number("chunk").try_into().unwrap(),
        captured_at_us: number("captured_at_us"),
    }
}

fn key_and_stream(vectors: &Value) -> (ContentKey, StreamId) {
    (text(vectors, "content_key").parse().unwrap(), text(vectors, "stream").parse().unwrap())
}

fn new_key() -> ContentKey {
    ContentKey::generate().unwrap()
}

fn stream() -> StreamId {
    StreamId::of(&"demo".parse().unwrap(), 1)
}

fn init_header(track: u16, captured_at_us: u64) -> MediaHeader {
    let (kind, track) = (MediaKind::Init, TrackNumber(track));
    MediaHeader { kind, key: false, sealed: false, track, segment: 0, chunk: 0, captured_at_us }
}

fn chunk_header(track: u16, segment: u32, chunk: u32) -> MediaHeader {
    let (kind, track) = (MediaKind::Chunk, TrackNumber(track));
    MediaHeader { kind, key: chunk == 0, sealed: false, track, segment, chunk, captured_at_us: 9 }
}

#[test]
fn golden_vectors_are_sealed_to_the_byte() {
    let vectors = vectors();
    let (key, stream) = key_and_stream(&vectors);
    let first_init = &list(&vectors, "sealed")[0];
    for (name, before) in [("sealed", None), ("sealed_again", Some(first_init))] {
        let mut sealer = Sealer::new(key.clone(), stream);
        let mut seal = |vector: &Value| {
            let (header, payload) = (header_of(&vector["header"]), bytes(vector, "payload"));
            match vector.get("salt") {
                Some(_) => sealer.init(header, &payload, &bytes(vector, "salt").try_into().unwrap()).unwrap(),
                None => sealer.seal(header, &payload).unwrap(),
            }
        };
        before.map(&mut seal);
        for vector in list(&vectors, name) {
            assert_eq!(hex::encode(seal(vector)), text(vector, "message"), "{}", vector["name"]);
            assert_eq!(nonce(&header_of(&vector["header"])).as_ref().as_slice(), bytes(vector, "nonce"));
        }
    }
}

#[test]
fn golden_vectors_that_sealers_refuse() {
    let vectors = vectors();
    let (key, stream) = key_and_stream(&vectors);
    for vector in list(&vectors, "refused_by_sealers") {
        let mut sealer = Sealer::new(key.clone(), stream);
        let (last, taken) = list(vector, "headers").split_last().unwrap();
        for header in taken {
            sealer.seal(header_of(header), b"payload").unwrap();
        }
        let error = match sealer.seal(header_of(last), b"payload").unwrap_err() {
            SealError::WrongOrder(_) => "wrong_order",
            SealError::InitMissing(_) => "init_missing",
            error => panic!("{error}"),
        };
        assert_eq!(error, vector["error"], "{}", vector["name"]);
    }
}

#[test]
fn golden_vectors_are_opened_or_refused() {
    let vectors = vectors();
    let (key, stream) = key_and_stream(&vectors);
    for vector in list(&vectors, "opened") {
        let key = vector.get("content_key").map_or(key.clone(), |key| key.as_str().unwrap().parse().unwrap());
        let mut opener = Opener::new(key, stream);
        for step in list(vector, "messages") {
            let mut message = bytes(step, "message");
            let verdict = match opener.open(&mut message) {
                Ok(Opened::Payload(_, payload)) => {
                    assert_eq!(hex::encode(payload), step["payload"], "{}: {}", vector["name"], step["note"]);
                    "opened"
                }
                Ok(Opened::LeftOut) => "left_out",
                Err(Refused::Unsealed) => "unsealed",
                Err(Refused::Failed) => "failed",
                Err(Refused::Stale) => "stale",
                Err(Refused::Replayed) => "replayed",
                Err(Refused::Hole) => "hole",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(verdict, step["verdict"], "{}: {}", vector["name"], step["note"]);
        }
        assert_eq!(opener.tampered(), vector["tampered"], "{}", vector["name"]);
    }
}

#[test]
fn content_key_reads_its_own_text_and_hides_in_debug() {
    let key = new_key();
    let fragment = key.fragment();
    let text = fragment.strip_prefix("k=").unwrap();
    assert_eq!((text.len(), text.parse::<ContentKey>().unwrap().bytes()), (43, key.bytes()));
    assert!(!format!("{key:?} {:?}", Sealer::new(key.clone(), stream())).contains(text));
    assert_ne!(key.bytes(), new_key().bytes());
    for text in ["", "k", &text[..42], &format!("{text}A"), &format!("{text}="), &text.replace(&text[..1], "/")] {
        assert_eq!(text.parse::<ContentKey>().err(), Some(InvalidContentKey), "{text}");
    }
}

#[test]
fn one_init_segment_sealed_twice_is_under_two_keys() {
    let key = new_key();
    let (mut one, mut other) = (Sealer::new(key.clone(), stream()), Sealer::new(key.clone(), stream()));
    let init = |sealer: &mut Sealer| sealer.seal(init_header(1, 5), b"moov").unwrap();
    let (mut first, second) = (init(&mut one), init(&mut other));
    assert_ne!(first, second);
    // A second process that numbers from the start: nothing it seals is opened under the first one's key.
    let mut opener = Opener::new(key, stream());
    assert!(matches!(opener.open(&mut first), Ok(Opened::Payload(..))));
    let mut foreign = other.seal(chunk_header(1, 0, 0), b"frame").unwrap();
    assert_eq!(opener.open(&mut foreign), Err(Refused::Failed));
}

#[test]
fn tracks_beyond_the_limit_are_refused() {
    let key = new_key();
    let (mut sealer, mut opener) = (Sealer::new(key.clone(), stream()), Opener::new(key, stream()));
    for track in 0..8 {
        let mut init = sealer.seal(init_header(track, 1), b"moov").unwrap();
        assert!(opener.open(&mut init).is_ok());
    }
    let mut init = sealer.seal(init_header(8, 1), b"moov").unwrap();
    assert_eq!(opener.open(&mut init), Err(Refused::TooManyTracks));
}

/// A sealed stream of one track: an init segment and one key chunk with this payload.
fn sealed_pair(key: &ContentKey, payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut sealer = Sealer::new(key.clone(), stream());
    let init = sealer.seal(init_header(1, 7), b"moov").unwrap();
    (init, sealer.seal(chunk_header(1, 3, 0), payload).unwrap())
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8)) {
        let key = new_key();
        let (mut sealer, mut opener) = (Sealer::new(key.clone(), stream()), Opener::new(key, stream()));
        let mut init = sealer.seal(init_header(1, 7), &payloads[0]).unwrap();
        let opened = opener.open(&mut init).unwrap();
        prop_assert_eq!(opened, Opened::Payload(MediaHeader { sealed: true, ..init_header(1, 7) }, &payloads[0]));
        for (chunk, payload) in (0..).zip(&payloads) {
            let header = chunk_header(1, 2, chunk);
            let mut message = sealer.seal(header, payload).unwrap();
            let opened = opener.open(&mut message).unwrap();
            prop_assert_eq!(opened, Opened::Payload(MediaHeader { sealed: true, ..header }, payload));
        }
        prop_assert_eq!(opener.tampered(), 0);
    }

    #[test]
    fn any_changed_bit_is_refused(payload in proptest::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0_u8..8) {
        let key = new_key();
        let (mut init, mut chunk) = sealed_pair(&key, &payload);
        let mut changed_init = init.clone();
        changed_init[at.index(init.len())] ^= 1 << bit;
        let opened = Opener::new(key.clone(), stream()).open(&mut changed_init).map(|opened| opened == Opened::LeftOut);
        // A changed kind or track makes it another message, which is nothing that can be shown either.
        prop_assert!(matches!(opened, Err(_) | Ok(true)));

        let mut opener = Opener::new(key, stream());
        prop_assert!(opener.open(&mut init).is_ok());
        let place = at.index(chunk.len());
        chunk[place] ^= 1 << bit;
        let opened = opener.open(&mut chunk).map(|opened| opened == Opened::LeftOut);
        prop_assert!(matches!(opened, Err(_) | Ok(true)));
    }

    #[test]
    fn no_bytes_make_it_panic_or_pass(messages in proptest::collection::vec(
        (1_u8..3, any::<u8>(), 0_u16..3, 0_u32..3, 0_u32..3, proptest::collection::vec(any::<u8>(), 0..80)), 1..20)) {
        let key = new_key();
        let (mut init, _) = sealed_pair(&key, b"");
        let mut opener = Opener::new(key, stream());
        prop_assert!(opener.open(&mut init).is_ok());
        for (kind, flags, track, segment, chunk, payload) in messages {
            let mut message = vec![kind, flags];
            message.extend(track.to_be_bytes().into_iter().chain(segment.to_be_bytes()).chain(chunk.to_be_bytes()));
            message.extend(payload);
            prop_assert!(!matches!(opener.open(&mut message), Ok(Opened::Payload(..))));
        }
    }
}
