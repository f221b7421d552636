//! Situations of viewers and publishers at one window.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const PICTURE: TrackNumber = TrackNumber(1);
const SOUND: TrackNumber = TrackNumber(2);
const SMALL: TrackNumber = TrackNumber(3);

/// One frame at 30 frames/s.
const FRAME_US: u64 = 33_333;

fn info(track: TrackNumber, kind: TrackKind) -> TrackInfo {
    let codec = "x".to_owned();
    TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate: 0, channels: 0 }
}

fn tracks() -> Vec<TrackInfo> {
    vec![info(PICTURE, TrackKind::Video), info(SOUND, TrackKind::Sound), info(SMALL, TrackKind::Video)]
}

/// A publisher of whole segments: what it pushes is in order.
struct Feed {
    window: Window,
    now_us: u64,
    at: HashMap<TrackNumber, (u32, u32)>,
}

impl Feed {
    fn new(bytes_max: usize) -> Self {
        let mut window = Window::new(bytes_max);
        window.begin(&tracks());
        Self { window, now_us: 1_000_000, at: HashMap::new() }
    }

    fn with_inits(bytes_max: usize) -> Self {
        let mut feed = Self::new(bytes_max);
        for track in [PICTURE, SOUND, SMALL] {
            feed.init(track);
        }
        feed
    }

    fn init(&mut self, track: TrackNumber) {
        self.window
            .push(&header(MediaKind::Init, track, 0, 0, 0), Bytes::from(format!("init {track}")), Instant::now())
            .unwrap();
    }

    /// A chunk that begins a segment.
    fn key(&mut self, track: TrackNumber) {
        let segment = self.at.get(&track).map_or(0, |at| at.0 + 1);
        self.chunk(track, segment, 0);
    }

    /// A chunk that goes on in the segment.
    fn more(&mut self, track: TrackNumber) {
        let (segment, chunk) = self.at[&track];
        self.chunk(track, segment, chunk + 1);
    }

    fn chunk(&mut self, track: TrackNumber, segment: u32, chunk: u32) {
        self.at.insert(track, (segment, chunk));
        let header = header(MediaKind::Chunk, track, segment, chunk, self.now_us);
        self.window.push(&header, Bytes::from(name(track, segment, chunk)), Instant::now()).unwrap();
    }

    fn frame(&mut self) {
        self.now_us += FRAME_US;
    }
}

fn name(track: TrackNumber, segment: u32, chunk: u32) -> String {
    format!("{track}/{segment}/{chunk}")
}

fn header(kind: MediaKind, track: TrackNumber, segment: u32, chunk: u32, captured_at_us: u64) -> MediaHeader {
    let key = kind == MediaKind::Chunk && chunk == 0;
    MediaHeader { kind, key, sealed: false, track, segment, chunk, captured_at_us }
}

/// What a viewer would get until there is nothing more, as words.
fn drain(window: &Window, cursor: &mut Cursor) -> Vec<String> {
    let mut got = vec![];
    while let Some(Delivery { skipped, init, chunk, .. }) = window.next(cursor) {
        got.extend(skipped.map(|skipped| format!("skipped {} of {}", skipped.chunks, skipped.track)));
        got.extend(init.map(|init| String::from_utf8(init.message().to_vec()).unwrap()));
        got.push(String::from_utf8(chunk.message().to_vec()).unwrap());
    }
    got
}

#[test]
fn late_joiner_gets_init_segments_and_the_newest_segment_of_each_kind() {
    let mut feed = Feed::with_inits(1 << 20);
    for _ in 0..3 {
        for track in [PICTURE, SOUND, SMALL] {
            feed.key(track);
        }
        for track in [PICTURE, SMALL, SOUND] {
            feed.more(track);
        }
    }
    let mut cursor = feed.window.join();
    assert_eq!(cursor.selected().collect::<Vec<_>>(), [PICTURE, SOUND]);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/2/0", "init 2", "2/2/0", "1/2/1", "2/2/1"]);
    feed.more(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), ["1/2/2"]);
}

#[test]
fn joiner_without_a_key_frame_in_the_window_wants_one() {
    let mut feed = Feed::with_inits(2000);
    feed.key(PICTURE);
    while feed.window.track(PICTURE).unwrap().newest_key.is_some() {
        feed.more(PICTURE);
    }
    let mut cursor = feed.window.join();
    assert_eq!(drain(&feed.window, &mut cursor), Vec::<String>::new());
    assert_eq!(cursor.wants_key_of(&feed.window), Some(PICTURE));
    feed.key(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/1/0"]);
    assert_eq!(cursor.wants_key_of(&feed.window), None);
}

#[test]
fn viewer_at_the_live_edge_wants_no_key_frame_when_the_window_has_lost_its_own() {
    let mut feed = Feed::with_inits(2000);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    while feed.window.track(PICTURE).unwrap().newest_key.is_some() {
        drain(&feed.window, &mut cursor);
        feed.more(PICTURE);
    }
    assert!(!drain(&feed.window, &mut cursor).is_empty());
    assert_eq!(cursor.wants_key_of(&feed.window), None);
}

#[test]
fn slow_viewer_resumes_at_newest_key_frame() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    feed.key(SOUND);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/0/0", "init 2", "2/0/0"]);
    for _ in 0..60 {
        feed.frame();
        feed.more(PICTURE);
        feed.more(SOUND);
    }
    feed.key(PICTURE);
    feed.key(SOUND);
    assert_eq!(drain(&feed.window, &mut cursor), ["skipped 60 of 1", "1/1/0", "skipped 60 of 2", "2/1/0"]);
}

#[test]
fn slow_viewer_goes_on_as_long_as_no_newer_key_frame_is_there() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    for _ in 0..90 {
        feed.frame();
        feed.more(PICTURE);
    }
    assert_eq!(drain(&feed.window, &mut cursor).len(), 92);
}

#[test]
fn viewer_a_little_behind_skips_nothing() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    for _ in 0..30 {
        feed.frame();
        feed.more(PICTURE);
    }
    feed.key(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor).len(), 33);
}

#[test]
fn sound_goes_on_without_a_gap_until_its_own_key_frame_has_come() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    feed.key(SOUND);
    drain(&feed.window, &mut cursor);
    for _ in 0..60 {
        feed.frame();
        feed.more(PICTURE);
    }
    feed.more(SOUND);
    feed.key(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), ["2/0/1", "skipped 60 of 1", "1/1/0"]);
}

#[test]
fn viewer_that_fell_out_of_the_window_resumes_at_newest_key_frame() {
    let mut feed = Feed::with_inits(4000);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    drain(&feed.window, &mut cursor);
    for _ in 0..20 {
        for _ in 0..9 {
            feed.more(PICTURE);
        }
        feed.key(PICTURE);
    }
    let delivery = feed.window.next(&mut cursor).unwrap();
    assert_eq!(delivery.skipped, Some(Skipped { track: PICTURE, chunks: 199, reason: SkipReason::Evicted }));
    assert_eq!(delivery.chunk.message(), name(PICTURE, 20, 0));
}

#[test]
fn viewer_behind_by_bytes_skips_even_when_the_capture_times_are_wrong() {
    let mut feed = Feed::with_inits(8000);
    let mut cursor = feed.window.join();
    feed.key(PICTURE);
    drain(&feed.window, &mut cursor);
    while feed.window.bytes() < 6000 {
        feed.more(PICTURE);
    }
    feed.key(PICTURE);
    assert_eq!(feed.window.next(&mut cursor).unwrap().skipped.unwrap().reason, SkipReason::Behind);
}

/// A viewer of the picture and the sound, who has had segment 0 of both, and chooses the small picture.
fn chooses_small(feed: &mut Feed) -> Cursor {
    for track in [PICTURE, SOUND, SMALL] {
        feed.chunk(track, 0, 0);
        feed.more(track);
    }
    let mut cursor = feed.window.join();
    drain(&feed.window, &mut cursor);
    assert!(cursor.select(&feed.window, SMALL));
    assert!(!cursor.select(&feed.window, TrackNumber(9)));
    assert!(!cursor.take_switched());
    cursor
}

#[test]
fn other_rendition_begins_where_the_segment_of_the_old_one_ends() {
    for first in [PICTURE, SMALL] {
        let mut feed = Feed::with_inits(1 << 20);
        let mut cursor = chooses_small(&mut feed);
        feed.more(PICTURE);
        feed.more(SOUND);
        assert_eq!(drain(&feed.window, &mut cursor), ["1/0/2", "2/0/2"]);
        assert_eq!((cursor.selected().collect::<Vec<_>>(), cursor.take_switched()), (vec![PICTURE, SOUND], false));
        // Whichever comes first; the old one's last chunk may come behind the new one's first.
        if first == SMALL {
            feed.key(SMALL);
            feed.more(PICTURE);
            feed.key(PICTURE);
        } else {
            feed.more(PICTURE);
            feed.key(PICTURE);
            feed.key(SMALL);
        }
        feed.more(SOUND);
        feed.more(PICTURE);
        feed.more(SMALL);
        let got = drain(&feed.window, &mut cursor);
        assert_eq!(got, ["1/0/3", "init 3", "3/1/0", "2/0/3", "3/1/1"], "{first}");
        assert_eq!((cursor.selected().collect::<Vec<_>>(), cursor.take_switched()), (vec![SMALL, SOUND], true));
        // And back.
        assert!(cursor.select(&feed.window, PICTURE));
        feed.key(PICTURE);
        feed.key(SMALL);
        assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/2/0"]);
    }
}

#[test]
fn segment_of_the_old_rendition_waits_a_moment_for_the_new_one_while_sound_goes_on() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = chooses_small(&mut feed);
    feed.key(PICTURE);
    feed.more(PICTURE);
    feed.more(SOUND);
    assert_eq!(drain(&feed.window, &mut cursor), ["2/0/2"]);
    feed.key(SMALL);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 3", "3/1/0"]);
}

#[tokio::test(start_paused = true)]
async fn rendition_that_does_not_come_changes_nothing() {
    let mut feed = Feed::with_inits(1 << 20);
    feed.chunk(PICTURE, 0, 0);
    feed.key(SOUND);
    let mut cursor = feed.window.join();
    drain(&feed.window, &mut cursor);
    assert!(cursor.select(&feed.window, SMALL));
    feed.key(PICTURE);
    tokio::time::advance(std::time::Duration::from_millis(499)).await;
    feed.more(PICTURE);
    feed.more(SOUND);
    assert_eq!(drain(&feed.window, &mut cursor), ["2/0/1"]);
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    feed.more(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), ["1/1/0", "1/1/1", "1/1/2"]);
    feed.key(PICTURE);
    feed.key(SMALL);
    assert_eq!(drain(&feed.window, &mut cursor), ["1/2/0"]);
    assert!(!cursor.take_switched());
}

#[tokio::test(start_paused = true)]
async fn rendition_that_counts_otherwise_begins_at_its_newest_key_frame() {
    let mut feed = Feed::with_inits(1 << 20);
    feed.chunk(PICTURE, 70, 0);
    feed.chunk(SMALL, 3, 0);
    let mut cursor = feed.window.join();
    drain(&feed.window, &mut cursor);
    assert!(cursor.select(&feed.window, SMALL));
    feed.key(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), Vec::<String>::new());
    feed.key(SMALL);
    tokio::time::advance(std::time::Duration::from_millis(500)).await;
    feed.more(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 3", "3/4/0"]);
}

#[test]
fn choice_that_is_taken_back_leaves_no_gap() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = chooses_small(&mut feed);
    feed.key(PICTURE);
    feed.more(PICTURE);
    feed.more(SOUND);
    assert_eq!(drain(&feed.window, &mut cursor), ["2/0/2"]);
    assert!(cursor.select(&feed.window, PICTURE));
    feed.key(SMALL);
    assert_eq!(drain(&feed.window, &mut cursor), ["1/1/0", "1/1/1"]);
    assert!(!cursor.take_switched());
}

#[test]
fn viewer_who_chooses_before_anything_was_sent_gets_nothing_of_the_other_rendition() {
    let mut feed = Feed::with_inits(1 << 20);
    for track in [PICTURE, SMALL, SOUND] {
        feed.key(track);
        feed.more(track);
    }
    let mut cursor = feed.window.join();
    assert!(cursor.select(&feed.window, SMALL));
    assert!(cursor.take_switched());
    assert_eq!(drain(&feed.window, &mut cursor), ["init 3", "3/0/0", "3/0/1", "init 2", "2/0/0", "2/0/1"]);
}

#[test]
fn viewer_that_has_fallen_behind_gets_the_other_rendition_from_its_newest_key_frame_on() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = chooses_small(&mut feed);
    for _ in 0..60 {
        feed.frame();
        feed.more(PICTURE);
        feed.more(SMALL);
    }
    feed.key(PICTURE);
    feed.key(SMALL);
    feed.more(PICTURE);
    feed.more(SMALL);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 3", "3/1/0", "3/1/1"]);
}

#[test]
fn other_rendition_takes_over_from_one_that_is_sent_no_more() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut cursor = chooses_small(&mut feed);
    feed.key(SMALL);
    assert_eq!(drain(&feed.window, &mut cursor), Vec::<String>::new());
    feed.key(SMALL);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 3", "3/2/0"]);
}

#[test]
fn new_init_segment_makes_older_chunks_of_its_track_unjoinable() {
    let mut feed = Feed::with_inits(1 << 20);
    let mut here = feed.window.join();
    feed.key(PICTURE);
    drain(&feed.window, &mut here);
    feed.more(PICTURE);
    feed.init(PICTURE);
    let mut late = feed.window.join();
    assert_eq!(drain(&feed.window, &mut late), Vec::<String>::new());
    feed.key(PICTURE);
    assert_eq!(drain(&feed.window, &mut late), ["init 1", "1/1/0"]);
    assert_eq!(drain(&feed.window, &mut here), ["skipped 1 of 1", "init 1", "1/1/0"]);
}

#[test]
fn broadcaster_that_is_back_with_the_same_tracks_leaves_the_old_ones_joinable_until_its_init_segments() {
    let mut feed = Feed::with_inits(1 << 20);
    feed.key(PICTURE);
    feed.window.begin_again();
    let mut cursor = feed.window.join();
    assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/0/0"]);
    let refused = feed.window.push(&header(MediaKind::Chunk, PICTURE, 1, 0, 0), Bytes::from("x"), Instant::now());
    assert_eq!(refused, Err(Refusal::InitMissing(PICTURE)));
    feed.at.clear();
    feed.init(PICTURE);
    feed.key(PICTURE);
    assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/0/0"]);
}

#[test]
fn messages_out_of_order_are_refused_and_change_nothing() {
    let refusal = |window: &mut Window, segment, chunk, key| {
        let header = MediaHeader { key, ..header(MediaKind::Chunk, PICTURE, segment, chunk, 0) };
        window.push(&header, Bytes::from("x"), Instant::now()).unwrap_err()
    };
    let mut feed = Feed::new(1 << 20);
    let window = &mut feed.window;
    assert_eq!(refusal(window, 0, 0, true), Refusal::InitMissing(PICTURE));
    feed.init(PICTURE);
    assert_eq!(refusal(&mut feed.window, 0, 0, false), Refusal::KeyMissing(PICTURE));
    assert!(matches!(refusal(&mut feed.window, 0, 1, true), Refusal::OutOfOrder { .. }));
    feed.chunk(PICTURE, 5, 0);
    feed.more(PICTURE);
    for (segment, chunk, key) in [
        (5, 1, false),
        (5, 0, true),
        (5, 3, false),
        (4, 0, true),
        (4, 2, false),
        (6, 1, false),
        (6, 0, false),
        (5, 2, true),
    ] {
        assert!(
            matches!(refusal(&mut feed.window, segment, chunk, key), Refusal::OutOfOrder { .. }),
            "{segment}/{chunk}"
        );
    }
    feed.more(PICTURE);
    feed.chunk(PICTURE, 9, 0);
    let unknown =
        feed.window.push(&header(MediaKind::Chunk, TrackNumber(7), 0, 0, 0), Bytes::from("x"), Instant::now());
    assert_eq!(unknown, Err(Refusal::UnknownTrack(TrackNumber(7))));
    let mut cursor = feed.window.join();
    assert_eq!(drain(&feed.window, &mut cursor), ["init 1", "1/9/0"]);
}

#[test]
fn messages_that_do_not_fit_are_refused() {
    let mut feed = Feed::with_inits(100_000);
    let large = Bytes::from(vec![0; 100_000]);
    assert_eq!(
        feed.window.push(&header(MediaKind::Chunk, PICTURE, 0, 0, 0), large.clone(), Instant::now()),
        Err(Refusal::TooLarge(100_000))
    );
    assert_eq!(
        feed.window.push(&header(MediaKind::Init, PICTURE, 0, 0, 0), large, Instant::now()),
        Err(Refusal::InitTooLarge(100_000))
    );
    feed.key(PICTURE);
}

/// What may happen to a window with three viewers.
#[derive(Debug, Clone)]
enum Happening {
    Init(u16),
    Key { track: u16, bytes: usize },
    More { track: u16, bytes: usize },
    Wild { track: u16, segment: u32, chunk: u32, key: bool, captured_at_us: u64 },
    BeginAgain,
    Read { viewer: usize, most: usize },
    Join(usize),
    Select { viewer: usize, track: u16 },
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let track = 1..4_u16;
    prop_oneof![
        1 => track.clone().prop_map(Init),
        4 => (track.clone(), 1..600_usize).prop_map(|(track, bytes)| Key { track, bytes }),
        16 => (track.clone(), 1..200_usize).prop_map(|(track, bytes)| More { track, bytes }),
        2 => (0..5_u16, 0..4_u32, 0..4_u32, any::<bool>(), any::<u64>())
            .prop_map(|(track, segment, chunk, key, captured_at_us)| Wild { track, segment, chunk, key, captured_at_us }),
        1 => Just(BeginAgain),
        10 => (0..3_usize, 1..20_usize).prop_map(|(viewer, most)| Read { viewer, most }),
        1 => (0..3_usize).prop_map(Join),
        1 => (0..3_usize, track).prop_map(|(viewer, track)| Select { viewer, track }),
        3 => (0..800_000_u64).prop_map(Pass),
    ]
}

/// What one viewer has seen of a track: the init segment, and the ordinal of its last chunk.
#[derive(Default)]
struct Seen {
    init: Option<Bytes>,
    last: Option<(u32, u32)>,
    last_id: u64,
}

proptest! {
    /// Whatever comes: the bound holds, and every viewer gets what can be decoded, in order, at most once.
    #[test]
    fn bound_and_order_hold_whatever_happens(happenings in proptest::collection::vec(happening(), 1..300)) {
        const BYTES_MAX: usize = 6000;
        let mut window = Window::new(BYTES_MAX);
        window.begin(&tracks());
        let mut viewers: Vec<(Cursor, HashMap<TrackNumber, Seen>)> =
            (0..3).map(|_| (window.join(), HashMap::new())).collect();
        let (mut now_us, mut id) = (0_u64, 0_u64);
        let mut at: HashMap<TrackNumber, (u32, u32)> = HashMap::new();
        let mut push = |window: &mut Window, header: MediaHeader, bytes: usize| {
            // Each message is one of its own, so that it can be known again.
            id += 1;
            let mut message = header.message(&id.to_be_bytes());
            message.resize(message.len() + bytes, 0);
            window.push(&header, message.into(), Instant::now())
        };
        for happening in happenings {
            match happening {
                Happening::Init(track) => {
                    let _ = push(&mut window, header(MediaKind::Init, TrackNumber(track), 0, 0, 0), 1);
                }
                Happening::Key { track, bytes } => {
                    let segment = at.get(&TrackNumber(track)).map_or(0, |at| at.0 + 1);
                    if push(&mut window, header(MediaKind::Chunk, TrackNumber(track), segment, 0, now_us), bytes).is_ok() {
                        at.insert(TrackNumber(track), (segment, 0));
                    }
                }
                Happening::More { track, bytes } => {
                    let Some(&(segment, chunk)) = at.get(&TrackNumber(track)) else { continue };
                    let header = header(MediaKind::Chunk, TrackNumber(track), segment, chunk + 1, now_us);
                    if push(&mut window, header, bytes).is_ok() {
                        at.insert(TrackNumber(track), (segment, chunk + 1));
                    }
                }
                Happening::Wild { track, segment, chunk, key, captured_at_us } => {
                    let header = MediaHeader { key, ..header(MediaKind::Chunk, TrackNumber(track), segment, chunk, captured_at_us) };
                    if push(&mut window, header, 1).is_ok() {
                        at.insert(TrackNumber(track), (segment, chunk));
                    }
                }
                Happening::BeginAgain => window.begin_again(),
                Happening::Join(viewer) => viewers[viewer] = (window.join(), HashMap::new()),
                Happening::Select { viewer, track } => {
                    prop_assert!(viewers[viewer].0.select(&window, TrackNumber(track)));
                }
                Happening::Read { viewer, most } => {
                    let (cursor, seen) = &mut viewers[viewer];
                    for _ in 0..most {
                        let Some(delivery) = window.next(cursor) else { break };
                        if cursor.take_switched() {
                            // A track that comes back begins anew.
                            let selected: Vec<_> = cursor.selected().collect();
                            seen.retain(|track, _| selected.contains(track));
                        }
                        let (header, payload) = MediaHeader::decode(delivery.chunk.as_message()).unwrap();
                        let id = u64::from_be_bytes(payload[..8].try_into().unwrap());
                        prop_assert!(cursor.selected().any(|track| track == header.track));
                        let seen = seen.entry(header.track).or_default();
                        let begins_anew = delivery.init.is_some();
                        if let Some(init) = delivery.init {
                            seen.init = Some(init.message());
                        }
                        prop_assert!(seen.init.is_some(), "a chunk before its init segment");
                        prop_assert!(id > seen.last_id, "a chunk twice, or backwards");
                        let follows = seen.last == Some((header.segment, header.chunk.wrapping_sub(1)));
                        prop_assert!(header.key || (follows && !begins_anew && delivery.skipped.is_none()));
                        (seen.last, seen.last_id) = (Some((header.segment, header.chunk)), id);
                    }
                }
                Happening::Pass(us) => now_us += us,
            }
            prop_assert!(window.bytes() <= BYTES_MAX);
            let counted: usize = window.entries.iter().map(|entry| Entry::cost(entry.message.message_len())).sum();
            prop_assert_eq!(window.bytes(), counted + window.init_bytes());
        }
    }
}
