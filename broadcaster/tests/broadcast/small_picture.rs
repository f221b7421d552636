//! A second, smaller picture beside the first.

use std::collections::BTreeMap;

use broadcaster::{Broadcast, BroadcastOptions, SoundChoice, SourceChoice};
use protocol::{MediaHeader, TrackKind, TrackNumber, control::ToBroadcaster};

use super::{
    Folder, assert_well_formed, chunks, decoded_frames,
    fake::{FakeDirectory, FakeRelay, Media, track_bytes},
    make_film,
    trust::{opened, opener},
};

const PICTURE: u16 = 1;
const SMALL: u16 = 3;

async fn broadcast(directory: &FakeDirectory, source: SourceChoice, sound: SoundChoice, encrypt: bool) -> Broadcast {
    let options = BroadcastOptions { small_picture: true, encrypt, ..directory.options(source, sound) };
    Broadcast::start(options).await.unwrap()
}

/// The first chunk of each segment of a track.
fn beginnings(media: &[Media], track: u16) -> BTreeMap<u32, MediaHeader> {
    let keys = chunks(media, track).into_iter().filter(|media| media.header.key);
    keys.map(|media| (media.header.segment, media.header)).collect()
}

/// Checks that the two pictures are of the same frames, cut alike.
fn assert_aligned(media: &[Media]) {
    assert_well_formed(media, PICTURE);
    assert_well_formed(media, SMALL);
    let (full, small) = (beginnings(media, PICTURE), beginnings(media, SMALL));
    assert!(small.len() >= 2 && full.len() - small.len() <= 1, "{full:?} {small:?}");
    for (segment, header) in &small {
        assert_eq!(header.captured_at_us, full[segment].captured_at_us, "segment {segment}");
    }
    let moments = |track| chunks(media, track).into_iter().map(|media| media.header.captured_at_us);
    let full: Vec<u64> = moments(PICTURE).collect();
    assert!(moments(SMALL).all(|moment| full.contains(&moment)));
}

#[tokio::test]
async fn smaller_picture_has_the_frames_and_segments_of_the_picture() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let _broadcast = broadcast(&directory, SourceChoice::Test, SoundChoice::None, false).await;
    let mut publisher = relay.publisher().await;
    let pictures: Vec<_> = publisher.tracks.iter().filter(|track| track.kind == TrackKind::Video).collect();
    let sizes: Vec<_> = pictures.iter().map(|track| (track.track.0, track.width, track.height)).collect();
    assert_eq!(sizes, [(PICTURE, 1280, 720), (SMALL, 640, 360)]);

    let mut media = publisher.take(SMALL, 70).await;
    // A second encoder takes over for both.
    publisher.say(&ToBroadcaster::KeyFrameWanted { track: TrackNumber(SMALL) }).await;
    media.extend(publisher.take(SMALL, 130).await);
    assert_aligned(&media);
    assert!(chunks(&media, SMALL).len() * 20 >= chunks(&media, PICTURE).len() * 19);
    let bytes = |track| track_bytes(&media, track).len();
    assert!(bytes(SMALL) * 3 < bytes(PICTURE), "{} {}", bytes(SMALL), bytes(PICTURE));
    assert_eq!(decoded_frames(&track_bytes(&media, SMALL), &Folder::new("small")), chunks(&media, SMALL).len());
}

#[tokio::test]
async fn film_has_a_smaller_picture_too_and_all_of_it_is_sealed() {
    let folder = Folder::new("small-film");
    let film = SourceChoice::File { path: make_film(&folder, 20), repeat: false };
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast(&directory, film, SoundChoice::System, true).await;
    let mut publisher = relay.publisher().await;
    let mut kinds: Vec<_> = publisher.tracks.iter().map(|track| (track.track.0, track.kind)).collect();
    kinds.sort_by_key(|(track, _)| *track);
    assert_eq!(kinds, [(1, TrackKind::Video), (2, TrackKind::Sound), (SMALL, TrackKind::Video)]);
    let media = publisher.take(SMALL, 80).await;
    assert_aligned(&media);
    let small: Vec<Media> = media.into_iter().filter(|media| media.header.track.0 == SMALL).collect();
    let shown = opened(&mut opener(&broadcast), &small);
    assert_eq!(decoded_frames(&shown, &folder), chunks(&small, SMALL).len());
}
